//! The verbs that read records, as their users meet them: what goes to which stream and into which file, and which exit
//! codes there are. What the files look like is `drawn`'s business.

use serde_json::{Value, json};
use splinter_testkit::Folder;
use std::fs;
use std::process::{Command, Output};

fn perf(folder: &Folder, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_splinter-perf"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

fn committed() -> String {
    format!("{}/../results", env!("CARGO_MANIFEST_DIR"))
}

fn run(seed: u64, goodput: f64) -> Value {
    json!({"schema_version": 1, "kind": "run", "verdict": "pass", "config": {"scrub": "none", "seed": seed},
        "environment": {"kernel": "6.1"}, "invariants": {"torn_reads": 0},
        "operations": {"get": {"attempts": 9, "goodput_per_s": goodput}}})
}

#[test]
fn a_report_of_the_committed_records_links_to_them_and_fetches_nothing() {
    let folder = Folder::new();
    let output = perf(
        &folder,
        &["report", &committed(), "--out", "r.html", "--markdown", "r.md", "--title", "A <title>"],
    );
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
    assert!(folder.join(record).is_file(), "{record}");
    let markdown = folder.get("r.md");
    for heading in ["# A", "## Verdicts", "## Throughput", "## Latency", "## Environment", "## Records"] {
        assert!(markdown.contains(heading), "{heading}");
    }
    assert!(markdown.contains("splinter-stress run "), "the command that makes a record again");
}

#[test]
fn a_broken_invariant_is_on_top_of_the_report_and_no_error_of_it() {
    let folder = Folder::new();
    let mut broken = run(1, 2e6);
    broken["verdict"] = json!("fail");
    broken["invariants"]["torn_reads"] = json!(3);
    folder.put("x.json", broken.to_string());
    let output = perf(&folder, &["report", "x.json", "--out", "r.html", "--markdown", "r.md"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("1 failed"));
    let markdown = folder.get("r.md");
    let (broken, throughput) = (markdown.find("3 torn reads"), markdown.find("## Throughput"));
    assert!(broken.is_some() && broken < throughput, "{markdown}");
    // One run has no scaling curve, no matrix, no limits: that is said, with what would make them.
    assert!(markdown.contains("## Not shown"), "{markdown}");
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line_by_every_verb() {
    let folder = Folder::new();
    folder.put("good.json", run(1, 1e6).to_string());
    folder.put("newer.json", json!({"schema_version": 99, "kind": "run"}).to_string());
    folder.put("none.json", json!({"a": 1}).to_string());
    for (file, hint) in
        [("newer.json", "schema version 99"), ("none.json", "no record"), ("absent.json", "cannot read")]
    {
        for arguments in
            [&["report", file][..], &["compare", "good.json", file], &["compare", file, "good.json"]]
        {
            let output = perf(&folder, arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let errors = text(&output.stderr);
            assert!(errors.contains(hint) && errors.lines().count() == 1, "{arguments:?}: {errors}");
            assert_eq!(text(&output.stdout), "", "{arguments:?}");
        }
    }
    assert!(!folder.join("report.html").exists());
}

#[test]
fn a_comparison_says_what_differs_before_it_gives_ratios() {
    let folder = Folder::new();
    for side in ["a", "b"] {
        fs::create_dir(folder.join(side)).unwrap();
    }
    for seed in 1..=6_u64 {
        folder.put(&format!("a/{seed}.json"), run(seed, 1e6 + seed as f64).to_string());
        let mut other = run(seed, 2e6 + seed as f64);
        other["environment"]["kernel"] = json!("6.2");
        folder.put(&format!("b/{seed}.json"), other.to_string());
    }
    let output = perf(&folder, &["compare", "a", "b", "--markdown", "c.md"]);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    let (kernel, ratio) = (out.find("6.2").unwrap(), out.find("B / A").unwrap());
    assert!(kernel < ratio && out.contains("better"), "{out}");
    assert!(folder.get("c.md").contains("| get | goodput |"));
    let output = perf(&folder, &["compare", "a", "b", "--json"]);
    let record: Value = serde_json::from_slice(&output.stdout).expect("it is JSON and nothing else");
    let row = &record["pairs"][0]["rows"][0];
    assert_eq!(
        (&record["kind"], &row["subject"], &row["better"]),
        (&json!("compare"), &json!("get"), &json!(true))
    );
    assert!((row["ratio"].as_f64().unwrap() - 2.0).abs() < 1e-3);
    assert_eq!(row["a"]["samples"], 6);

    let wake = json!({"schema_version": 1, "kind": "wake", "verdict": "pass", "rows": [{"name": "x", "value_ns": 4.0}]});
    folder.put("wake.json", wake.to_string());
    let output = perf(&folder, &["compare", "a", "wake.json"]);
    assert_eq!(output.status.code(), Some(4), "nothing of the two can be compared");
    assert!(text(&output.stderr).contains("can be compared"));
}

#[test]
fn the_index_is_written_between_its_marks_and_checked() {
    let folder = Folder::new();
    folder.put("run-20260102T030405Z.json", run(1, 1e6).to_string());
    let index = |check: bool| {
        let arguments: &[&str] = if check { &["index", ".", "--check"] } else { &["index", "."] };
        perf(&folder, arguments).status.code()
    };
    let readme = folder.join("README.md");
    assert_eq!(index(false), Some(2), "there is no README.md");
    fs::write(&readme, "# Records\n").unwrap();
    assert_eq!(index(false), Some(2), "there are no marks");
    fs::write(&readme, "# Records\n<!-- records -->\n<!-- end of records -->\nEnd\n").unwrap();
    assert_eq!(index(true), Some(1));
    assert_eq!(fs::read_to_string(&readme).unwrap().lines().count(), 4, "a check writes nothing");
    assert_eq!(index(false), Some(0));
    let written = fs::read_to_string(&readme).unwrap();
    assert!(written.contains("| 2026-01-02 03:04 | run |") && written.ends_with("End\n"), "{written}");
    assert_eq!(index(true), Some(0));
    // What scripts/bench writes is in no table, though it says the same as a record that is.
    fs::create_dir(folder.join("local")).unwrap();
    folder.put("local/run-20260102T030405Z.json", run(1, 1e6).to_string());
    folder.put("local/run-20270102T030405Z.json", run(2, 1e6).to_string());
    assert_eq!(index(true), Some(0));
    assert_eq!(index(false), Some(0));
    assert_eq!(fs::read_to_string(&readme).unwrap(), written);
    fs::create_dir(folder.join("cells")).unwrap();
    for cell in 2..9 {
        folder.put(&format!("cells/{cell}.json"), run(cell, 1e6).to_string());
    }
    assert_eq!(index(true), Some(1));
    assert_eq!(index(false), Some(0));
    let written = fs::read_to_string(&readme).unwrap();
    assert_eq!(written.lines().count(), 9, "a folder has one row: {written}");
    assert!(written.contains("[cells/, 7 files](cells)"), "{written}");
}
