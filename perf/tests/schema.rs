//! The types of records against what the programs write: the committed records, and fresh ones. And the committed page
//! of all fields against these types.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use splinter_perf::micro::record::{LimitsRecord, MicroRecord};
use splinter_perf::records::{self, schema};
use std::process::Command;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../results");

/// Fields that older records have by other names, under which their types read them as well.
const OLD_NAMES: [&str; 3] = ["run: placement.memory.lanes[]", "run: store.lanes", "run: store.takeovers"];

/// Reads what a command prints as JSON.
fn printed(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splinter-perf"));
    let output = command.current_dir(RESULTS).args(arguments).output();
    let output = output.expect("the command starts");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// Runs a workload that has something for every field of a record.
fn full_run(workload: &str) -> Value {
    let workload: splinter_stress::Workload = serde_json::from_str(workload).expect("it is a workload");
    let record = splinter_stress::run(&workload, &mut splinter_harness::progress::Silent).expect("it runs");
    serde_json::to_value(record).expect("it is JSON")
}

/// Reads a record as a type, and checks that this type writes the same record.
fn rewritten<T: Serialize + DeserializeOwned>(value: Value) -> Value {
    let record: T = serde_json::from_value(value.clone()).expect("it is such a record");
    assert_eq!(serde_json::to_value(record).expect("it is JSON"), value);
    value
}

#[test]
fn records_have_no_field_that_their_types_lack() {
    let limits = printed(&["limits", "--quick", "--rounds", "1", "--only", "xadd", "--json"]);
    let micro = printed(&["micro", "--quick", "--rounds", "1", "--only", "create", "--json"]);
    let fresh = [
        full_run(
            r#"{"writers": 1, "readers": 1, "keys": 64, "span": {"duration_ms": 200}, "rate": 2000, "watchers": 1,
            "claim_patience": 8, "back_off_pauses": 8, "spin_ns": 8, "prefetch_depth": 8}"#,
        ),
        full_run(
            r#"{"writers": 1, "readers": 1, "keys": 64, "span": {"ops": 2000}, "history": 10000, "memory": "per-writer"}"#,
        ),
        rewritten::<LimitsRecord>(limits),
        rewritten::<MicroRecord>(micro),
        printed(&["compare", "run-20261129T215608Z-2cpu.json", "matrix-20261129T215630Z-2cpu", "--json"]),
        serde_json::from_str(include_str!("../../ci/gate.json")).expect("it is JSON"),
    ];
    let found = records::read(&[RESULTS.into()]).expect("they can be read");
    let old = found.records.into_iter().map(|record| record.value);
    let mut wrong = Vec::new();
    for value in old.chain(fresh) {
        let kind = value["kind"].as_str().expect("it has a kind");
        assert!(schema::is_kind(kind), "{kind}");
        let unknown = schema::undocumented(kind, &value, usize::MAX);
        wrong.extend(unknown.iter().map(|field| format!("{kind}: {field}")));
    }
    wrong.sort();
    wrong.dedup();
    wrong.retain(|field| !OLD_NAMES.contains(&field.as_str()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_committed_page_has_the_fields_of_the_types() {
    let path = format!("{RESULTS}/schema.md");
    let page = std::fs::read_to_string(path).expect("it can be read");
    let differ = page
        .lines()
        .zip(schema::page().lines())
        .find(|(old, new)| old != new)
        .map(|(old, new)| format!("{old}\n{new}"));
    assert_eq!(differ, None, "run 'splinter-perf index results'");
    assert!(page == schema::page(), "run 'splinter-perf index results'");
}
