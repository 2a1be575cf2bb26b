//! Runs `numa` and what it builds upon as their users do. Most machines have one node: there the proof must not
//! pass, and still find what is wrong. `ci/numa` runs it where there are four.

mod common;

use common::{record, refuses, stress};
use serde_json::Value;

fn rows<'a>(record: &'a Value, check: &str) -> Vec<&'a Value> {
    let rows = record["rows"].as_array().unwrap().iter();
    rows.filter(|row| row["check"] == check).collect()
}

#[test]
fn a_machine_with_fewer_nodes_than_asked_fails() {
    let (code, found) = record("numa --machine-only --nodes 999");
    assert_eq!((code, &found["verdict"]), (Some(1), &Value::from("fail")));
    assert_eq!((&found["schema_version"], &found["kind"]), (&1.into(), &"numa".into()));
    assert_eq!(rows(&found, "nodes with memory")[0]["verdict"], "fail");
    let table = stress("numa --machine-only --processors 9999");
    assert_eq!(table.status.code(), Some(1));
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("FAIL") && table.contains("9999 or more"), "{table}");
}

#[test]
fn a_machine_passes_only_if_it_has_several_nodes_and_all_was_checked() {
    let (code, found) = record("numa --ops 2000");
    let failed: Vec<&Value> =
        found["rows"].as_array().unwrap().iter().filter(|row| row["verdict"] == "fail").collect();
    assert!(failed.is_empty(), "{failed:?}");
    let unchecked = rows(&found, "policies").len()
        + rows(&found, "migrate").iter().filter(|row| row["verdict"] == "inconclusive").count();
    let expected = if unchecked == 0 { (Some(0), "pass") } else { (Some(4), "inconclusive") };
    assert_eq!((code, found["verdict"].as_str().unwrap()), expected);
    // What can be checked was: every page has an account.
    for check in ["bind", "interleave", "local", "stress", "per-writer"] {
        for row in rows(&found, check) {
            let pages: u64 =
                row["pages"].as_object().unwrap().values().map(|pages| pages.as_u64().unwrap()).sum();
            assert!(pages > 0, "{row}");
        }
        assert!(!rows(&found, check).is_empty(), "{check}");
    }
}

#[test]
fn mistakes_made_on_purpose_are_found_on_any_machine() {
    let (code, found) = record("numa --ops 2000 --plant unbound");
    if found["reasons"].to_string().contains("the kernel does not say") {
        return;
    }
    assert_eq!(code, Some(1), "{}", found["reasons"]);
    // The policy betrays it where every page is on the only node anyway.
    for row in rows(&found, "bind").into_iter().chain(rows(&found, "interleave")) {
        assert_eq!(row["verdict"], "fail", "{row}");
    }
    let (_, found) = record("numa --ops 2000 --plant unpinned");
    if found["environment"]["processors"].as_u64() > Some(1) {
        assert_eq!(rows(&found, "pin")[0]["verdict"], "fail");
    }
}

#[test]
fn values_of_a_lane_lie_where_their_writer_runs() {
    let (code, found) = record(
        "run --per-writer --writers 2 --readers 1 --keys 64 --value-len 3000 --ops 3000 --scrub hybrid",
    );
    assert_eq!(code, Some(0), "{}", found["reasons"]);
    let memory = &found["placement"]["memory"];
    assert_eq!((&memory["requested"], &memory["resident_share"]), (&"per-writer".into(), &1.0.into()));
    let writers = memory["writers"].as_array().unwrap();
    assert_eq!(writers.len(), 2);
    for writer in writers {
        let own = writer["nodes"][writer["node"].to_string()].as_u64().unwrap_or(0);
        // Some pages of the 96 KiB are shared with the neighbour.
        assert!(own + writer["shared"].as_u64().unwrap() >= 24, "{writer}");
        assert_eq!(writer["unknown"], 0);
    }
    for worker in found["placement"]["workers"].as_array().unwrap() {
        assert!(worker["observed_node"].is_u64(), "{worker}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    refuses("numa", &[("--ops 0", "--ops"), ("--expect 0", "--expect"), ("--nodes many", "--nodes")]);
    refuses(
        "run",
        &[
            ("--per-writer --mix set,unset", "--per-writer"),
            ("--per-writer --pin none", "--pin"),
            ("--per-writer --node 0", "--per-writer"),
            ("--pin node:999 --ops 100", "--pin"),
        ],
    );
}
