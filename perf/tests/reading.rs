//! The verbs that read records, as their users meet them: what goes to which stream and into which file, and which exit
//! codes there are. What the files look like is `drawn`'s business.

mod common;

use common::{Folder, PROGRAM, committed, run, text};
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Command, Stdio};

#[test]
fn a_reader_of_a_page_who_has_had_enough_is_no_error() {
    let folder = Folder::new("broken-pipe");
    folder.put_json("run.json", &run(1, 1e6));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut report = Command::new(PROGRAM);
    report.args(["report", "run.json", "--out", "/dev/stdout"]).current_dir(&folder.0).stdout(writer);
    let output = report.stderr(Stdio::piped()).spawn().and_then(Child::wait_with_output);
    let output = output.expect("the command runs");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn a_report_of_the_committed_records_links_to_them_and_fetches_nothing() {
    let folder = Folder::new("report");
    let records = committed().display().to_string();
    let output = folder.perf_with(&[
        "report",
        &records,
        "--out",
        "r.html",
        "--markdown",
        "r.md",
        "--title",
        "A <title>",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("r.html and r.md: "), "{}", text(&output.stdout));
    let html = folder.get("r.html");
    assert!(html.contains("<h1>A &lt;title&gt;</h1>"));
    for fetched in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    let record = html
        .split("href=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|link| link.ends_with(".json"))
        .expect("there is a link to a record");
    assert!(folder.0.join(record).is_file(), "{record}");
    let markdown = folder.get("r.md");
    for heading in ["# A", "## Verdicts", "## Throughput", "## Latency", "## Environment", "## Records"] {
        assert!(markdown.contains(heading), "{heading}");
    }
    assert!(markdown.contains("splinter-stress run "), "the command that makes a record again");
}

#[test]
fn a_broken_invariant_is_on_top_of_the_report_and_no_error_of_it() {
    let folder = Folder::new("broken");
    let mut broken = run(1, 2e6);
    broken["verdict"] = json!("fail");
    broken["invariants"]["torn_reads"] = json!(3);
    folder.put_json("x.json", &broken);
    let output = folder.perf("report x.json --out r.html --markdown r.md");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("1 failed"));
    let markdown = folder.get("r.md");
    let (broken, throughput) = (markdown.find("3 torn reads"), markdown.find("## Throughput"));
    assert!(broken.is_some() && broken < throughput, "{markdown}");
    // One run has no scaling curve, no matrix, no limits: that is said, with what would make them.
    assert!(markdown.contains("## Not shown"), "{markdown}");
}

#[test]
fn every_verb_refuses_an_unreadable_record_in_one_line() {
    let folder = Folder::new("refused");
    folder.put_json("good.json", &run(1, 1e6));
    folder.put_json("newer.json", &json!({"schema_version": 99, "kind": "run"}));
    folder.put_json("none.json", &json!({"a": 1}));
    for (file, hint) in
        [("newer.json", "schema version 99"), ("none.json", "no record"), ("absent.json", "cannot read")]
    {
        for line in ["report FILE", "compare good.json FILE", "compare FILE good.json"] {
            let output = folder.perf(&line.replace("FILE", file));
            assert_eq!(output.status.code(), Some(2), "{line}");
            let errors = text(&output.stderr);
            assert!(errors.contains(hint) && errors.lines().count() == 1, "{line}: {errors}");
            assert_eq!(text(&output.stdout), "", "{line}");
        }
    }
    assert!(!folder.0.join("report.html").exists());
}

#[test]
fn a_comparison_says_what_differs_before_it_gives_ratios() {
    let folder = Folder::new("compare");
    for side in ["a", "b"] {
        fs::create_dir(folder.0.join(side)).unwrap();
    }
    for seed in 1..=6_u64 {
        folder.put_json(&format!("a/{seed}.json"), &run(seed, 1e6 + seed as f64));
        let mut other = run(seed, 2e6 + seed as f64);
        other["environment"]["kernel"] = json!("6.2");
        folder.put_json(&format!("b/{seed}.json"), &other);
    }
    let output = folder.perf("compare a b --markdown c.md");
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    let (kernel, ratio) = (out.find("6.2").unwrap(), out.find("B / A").unwrap());
    assert!(kernel < ratio && out.contains("better"), "{out}");
    assert!(folder.get("c.md").contains("| get | goodput |"));
    let output = folder.perf("compare a b --json");
    let record: Value = serde_json::from_slice(&output.stdout).expect("it is JSON and nothing else");
    let row = &record["pairs"][0]["rows"][0];
    assert_eq!(
        (&record["kind"], &row["subject"], &row["better"]),
        (&json!("compare"), &json!("get"), &json!(true))
    );
    assert!((row["ratio"].as_f64().unwrap() - 2.0).abs() < 1e-3);
    assert_eq!(row["a"]["samples"], 6);

    let wake = json!({"schema_version": 1, "kind": "wake", "verdict": "pass", "rows": [{"name": "x", "value_ns": 4.0}]});
    folder.put_json("wake.json", &wake);
    let output = folder.perf("compare a wake.json");
    assert_eq!(output.status.code(), Some(4), "nothing of the two can be compared");
    assert!(text(&output.stderr).contains("can be compared"));
}

#[test]
fn the_index_is_written_between_its_marks_and_checked() {
    let folder = Folder::new("index");
    folder.put_json("run-20260102T030405Z.json", &run(1, 1e6));
    let index = |check: bool| folder.perf(if check { "index . --check" } else { "index ." }).status.code();
    assert_eq!(index(false), Some(2), "there is no README.md");
    folder.put("README.md", "# Records\n");
    assert_eq!(index(false), Some(2), "there are no marks");
    folder.put("README.md", "# Records\n<!-- records -->\n<!-- end of records -->\nEnd\n");
    assert_eq!(index(true), Some(1));
    assert_eq!(folder.get("README.md").lines().count(), 4, "a check writes nothing");
    assert_eq!(index(false), Some(0));
    let written = folder.get("README.md");
    assert!(written.contains("| 2026-01-02 03:04 | run |") && written.ends_with("End\n"), "{written}");
    assert_eq!(index(true), Some(0));
    assert!(text(&folder.perf("index .").stdout).ends_with("up to date, 1 file\n"));
    // The records that scripts/bench writes are in no table, even one that equals a record that is.
    fs::create_dir(folder.0.join("local")).unwrap();
    folder.put_json("local/run-20260102T030405Z.json", &run(1, 1e6));
    folder.put_json("local/run-20270102T030405Z.json", &run(2, 1e6));
    assert_eq!(index(true), Some(0));
    assert_eq!(index(false), Some(0));
    assert_eq!(folder.get("README.md"), written);
    fs::create_dir(folder.0.join("cells")).unwrap();
    for cell in 2..9 {
        folder.put_json(&format!("cells/{cell}.json"), &run(cell, 1e6));
    }
    assert_eq!(index(true), Some(1));
    assert_eq!(index(false), Some(0));
    let written = folder.get("README.md");
    assert_eq!(written.lines().count(), 9, "a folder has one row: {written}");
    assert!(written.contains("[cells/, 7 files](cells)"), "{written}");
    let page = folder.0.join("schema.md");
    fs::write(&page, "# Tables of my database\n").unwrap();
    assert_eq!((index(true), index(false)), (Some(2), Some(2)), "it is a page of somebody else");
    assert_eq!(folder.get("schema.md"), "# Tables of my database\n");
    fs::write(&page, "# Fields of the records\n").unwrap();
    assert_eq!(index(true), Some(1), "the page has not the fields of the types");
    assert_eq!(index(false), Some(0));
    assert!(fs::read_to_string(&page).unwrap().contains("`collision_rate`"));
    assert_eq!(index(true), Some(0));
}
