//! Runs real matrices: of threads and of processes, interrupted and taken up again.

mod common;

use common::{held, program, record, refuses, signal, stress};
use nix::sys::signal::Signal;
use serde_json::Value;
use splinter_testkit::{Folder, wait_until};
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn records(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
}

#[test]
fn a_matrix_over_processes_keeps_a_record_for_each_cell_and_runs_none_twice() {
    let folder = Folder::new();
    let into = folder.join("into");
    let line = format!(
        "matrix --scrub none,full --writers 1,2,90 --readers 1 --value-len 64,16..256 --pin none --keys 64 \
         --workers processes --ops 1000 --into {}",
        into.display()
    );
    let (code, first) = record(&line);
    assert!(held(code, &first), "{code:?} {}", first["reasons"]);
    assert_eq!((&first["schema_version"], &first["kind"]), (&1.into(), &"matrix".into()));
    let cells = first["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    assert_eq!(first["refused"].as_array().unwrap().len(), 4, "64 keys for 90 writers");
    assert!(first["refused"][0]["reason"].as_str().unwrap().contains("--keys"));
    assert_eq!((&first["measured"], &first["kept"]), (&8.into(), &0.into()));
    for cell in cells {
        assert_eq!(cell["kind"], "run");
        assert_eq!(cell["config"]["workers"], "processes");
        let done = ["set", "get"].map(|op| cell["operations"][op]["successes"].as_u64().unwrap());
        assert!(done[0] > 0 && done[1] > 0, "{done:?}");
    }
    let kept = records(&into);
    assert_eq!(kept.len(), 8);
    for path in &kept {
        let on_disk: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(cells.contains(&on_disk), "{}", path.display());
    }

    // One is lost: that one is run.
    std::fs::remove_file(&kept[3]).unwrap();
    let (code, second) = record(&line);
    assert!(held(code, &second), "{code:?} {}", second["reasons"]);
    assert_eq!((&second["measured"], &second["kept"]), (&1.into(), &7.into()));
    let text = String::from_utf8(stress(&format!("{line} --rows scrub --columns value-len")).stdout).unwrap();
    for word in ["8 kept from before", "goodput/s", "scrub \\ value_len", "refused", "verdict"] {
        assert!(text.contains(word), "{word} in {text}");
    }

    // What is there is of something else.
    let output = stress(&format!("{line} --seed 2"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("seed is 1 there, 2 now") && error.contains("--again"), "{error}");
}

#[test]
fn an_interrupted_matrix_says_how_to_go_on_and_does() {
    let folder = Folder::new();
    let into = folder.join("into");
    let line = format!(
        "matrix --writers 1,2,3 --readers 0 --pin none --keys 64 --ops 100k --into {}",
        into.display()
    );
    let child = program()
        .args(line.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the first record", || !records(&into).is_empty());
    signal(child.id(), Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    let there = records(&into).len();
    let error = String::from_utf8(output.stderr).unwrap();
    // On a machine that stopped this test for a while, all may have been done.
    if there < 3 {
        assert_eq!(output.status.code(), Some(4), "{error}");
        assert!(error.contains("the same command goes on"), "{error}");
    }
    let (code, all) = record(&line);
    assert!(held(code, &all), "{code:?} {}", all["reasons"]);
    assert_eq!(all["kept"], there);
    assert_eq!(all["measured"], 3 - there);
    let leftovers = std::fs::read_dir(&into).unwrap().count();
    assert_eq!(leftovers, 3, "nothing unfinished is left");
}

#[test]
fn a_matrix_that_makes_no_sense_is_refused_in_one_line() {
    refuses(
        "matrix --ops 100",
        &[
            ("--writers 1,1", "twice"),
            ("--writers none", "'none'"),
            ("--writers 900,1000 --keys 5", "--keys"),
            ("--value-len 9..3,4", "3..9"),
            ("--rows threads", "value_len"),
            ("--again", "--into"),
            ("--into /dev/null/folder", "--into"),
            ("--history=x", "--history"),
            ("--frobnicate", "--help"),
        ],
    );
}
