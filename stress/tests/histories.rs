//! Histories as users meet them: recorded by a run, saved, checked again, and refused.

mod common;

use common::{count, passes, program, refuses};
use serde_json::Value;
use splinter_testkit::Folder;
use std::path::PathBuf;

/// Without its keys.
const SMALL: &str = "run --writers 3 --readers 2 --ops 4000 --scrub hybrid";

#[test]
fn histories_of_every_kind_of_load_are_linearizable() {
    let everything = "get=3,set=4,append=3,unset=2,int=3,tandem=2,vector=2,label=1,\
                      transaction=2,update=2,set_if=2,expire=2";
    for workers in ["threads", "processes"] {
        let record = passes(&format!(
            "{SMALL} --history --workers {workers} --keys 12 --key-choice hot:2 --mix {everything} \
             --value-len 32..90 --dim 8"
        ));
        let history = &record["history"];
        // Each operation that was answered is in it, but for labels and appends that found no room.
        let answered: u64 = [
            "get",
            "set",
            "int",
            "tandem",
            "vector",
            "unset",
            "read_int",
            "transaction",
            "update",
            "set_if",
            "read_transaction",
            "read_update",
        ]
        .iter()
        .map(|op| count(&record, op, "successes"))
        .sum();
        assert!(history["operations"].as_u64().unwrap() > answered, "{history}");
        assert_eq!(history["verdict"], "pass");
        assert_eq!(history["recorded"], "all of the run");
        assert_eq!(record["invariants"]["linearizability_violations"], 0);
        // Values, counters, groups, vectors, journals, tallies, chains, locks and leases.
        assert!(history["keys"].as_u64().unwrap() > 72, "{history}");
    }
}

#[test]
fn a_run_ends_when_its_history_is_full_and_says_so() {
    let record = passes(
        "run --writers 2 --readers 2 --keys 64 --scrub hybrid --duration 60s --history --history-limit 64k",
    );
    assert_eq!(record["history"]["recorded"], "all until its room was used up");
    let operations = record["history"]["operations"].as_u64().unwrap();
    assert!((2_000..=64_000 + 128).contains(&operations), "{operations}");
    assert!(record["window"]["measured_s"].as_f64().unwrap() < 50.0);
}

#[test]
fn a_saved_history_is_checked_again_and_a_wrong_one_is_shown_at_its_shortest() {
    let folder = Folder::new();
    let (good, bad) = (folder.join("history"), folder.join("wrong-history"));
    passes(&format!("{SMALL} --keys 3 --key-choice uniform --history={}", good.display()));
    let check = |path: &PathBuf, json: &[&str]| {
        let command = program().arg("history").arg(path).args(json).output();
        command.expect("the program starts")
    };
    let output = check(&good, &[]);
    assert!(output.status.success());
    let text = std::fs::read_to_string(&good).unwrap();
    // After the last operation, a worker reads what was there before the first one.
    let filled = text.lines().find(|line| line.contains("\"worker\":65535")).unwrap();
    let mut stale: Value = serde_json::from_str(filled).unwrap();
    stale["operation"] = "get".into();
    stale["worker"] = 7.into();
    stale["epoch"] = 0.into();
    stale["invoked"] = (u64::MAX - 5).into();
    stale["returned"] = (u64::MAX - 3).into();
    // As in an older file, which does not say how many operations it has.
    let (header, operations) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(header).unwrap();
    assert!(header.as_object_mut().unwrap().remove("operations").is_some());
    std::fs::write(&bad, format!("{header}\n{operations}{stale}\n")).unwrap();
    let output = check(&bad, &["--json"]);
    let text = String::from_utf8_lossy(&check(&bad, &[]).stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&record["kind"], &record["verdict"]), (&"history".into(), &"fail".into()));
    let window = record["history"]["window"].as_array().unwrap();
    assert_eq!(window.len(), 2, "{window:?}");
    assert_eq!((&window[1]["worker"], &window[1]["operation"]), (&"7".into(), &"get".into()));
    assert!(text.contains("shortest contradiction") && text.contains("FAIL"), "{text}");
}

#[test]
fn what_is_no_history_is_refused_in_one_line() {
    let folder = Folder::new();
    let path = folder.put("no-history", "{}\n");
    let cases =
        [(&*path, "history"), ("/nowhere/at/all", "/nowhere/at/all"), ("/dev/zero", "longer than 4 MiB")];
    refuses("history", &cases);
    // What is in a file reaches the terminal as escapes only.
    for (what, kind) in [("run\\u001b[2J\\nforged", "history"), ("history", "value\\u001b[2J\\nforged")] {
        let text = format!(
            "{{\"schema_version\":1,\"kind\":\"{what}\",\"cycle_ns\":1}}\n{{\"invoked\":1,\"returned\":1,\
             \"worker\":0,\"object\":\"{kind}\",\"key\":\"k\",\"operation\":\"get\"}}\n"
        );
        refuses("history", &[(&folder.put("forged", text), "\\u{1b}[2J\\nforged")]);
    }
    let read = |id: u32, at: u32| {
        format!(
            "{{\"invoked\":{at},\"returned\":{at},\"worker\":0,\"object\":\"counter\",\"operation\":\"get_number\",\
             \"key\":\"\\u001b[2J\\nforged\",\"id\":{id}}}\n"
        )
    };
    let header = "{\"schema_version\":1,\"kind\":\"history\",\"cycle_ns\":1}\n";
    let text = format!("{header}{}{}", read(1, 5), read(2, 9));
    let output = program().args(["history", &folder.put("forged", text)]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("on counter \\u{1b}[2J\\nforged:"), "{text}");
    refuses(
        "run",
        &[
            ("--history --value-len 8", "--value-len"),
            ("--history --no-oracle", "--no-oracle"),
            ("--history --history-limit 0", "--history-limit"),
            ("--history=x", "--scrub"),
            ("--history-limit 5", "--history"),
        ],
    );
}
