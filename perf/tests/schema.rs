//! `results/schema.md` against what the programs write: the committed records, fresh ones, and the types of records that
//! take long to make.

use serde::de::value::Error as Probed;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value};
use splinter_perf::records::{self, schema};
use std::collections::BTreeMap;
use std::process::Command;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../results");

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

/// Fields that few records have: under a quota, of a history that no order explains, of rows or proofs that take long.
const RARE: [&str; 11] = [
    "clock.",
    "environment.cpu_quota",
    "environment.disturbances",
    "environment.rounds_again",
    "history.why",
    "history.window",
    "implausible",
    "proof.",
    "rows.value_ns",
    "rows.value_per_s",
    "rows.value_share",
];

#[test]
fn the_schema_has_every_field_that_records_have_and_records_have_every_field_of_it() {
    let mut by_kind = BTreeMap::<String, Vec<Value>>::new();
    let found = records::read(&[RESULTS.into()]).expect("they can be read");
    let fresh = [
        full_run(
            r#"{"writers": 1, "readers": 1, "keys": 64, "span": {"duration_ms": 200}, "rate": 2000, "watchers": 1,
            "claim_patience": 8, "back_off_pauses": 8, "spin_ns": 8, "prefetch_depth": 8}"#,
        ),
        full_run(
            r#"{"writers": 1, "readers": 1, "keys": 64, "span": {"ops": 2000}, "history": 10000, "memory": "per-lane"}"#,
        ),
        printed(&["limits", "--quick", "--rounds", "1", "--only", "xadd", "--json"]),
        printed(&["micro", "--quick", "--rounds", "1", "--only", "create", "--json"]),
        printed(&["compare", "run-20261121T081700Z-2cpu.json", "matrix-20261121T212523Z-2cpu", "--json"]),
        serde_json::from_str(include_str!("../../ci/gate.json")).expect("it is JSON"),
    ];
    let old = found.records.into_iter().map(|record| record.value);
    let mut wrong = Vec::new();
    for value in old.chain(fresh) {
        let kind = value["kind"].as_str().expect("it has a kind").to_owned();
        let unknown = schema::undocumented(&kind, &value, usize::MAX);
        wrong.extend(unknown.iter().map(|field| format!("{kind}: {field} is missing in the schema")));
        by_kind.entry(kind).or_default().push(value);
    }
    for (kind, values) in &by_kind {
        let mut unseen = schema::unseen(kind, values);
        unseen.retain(|field| !RARE.iter().any(|rare| field.starts_with(rare)));
        wrong.extend(unseen.iter().map(|field| format!("{kind}: no record has {field}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Asks a type for the names of its fields, in place of giving it values.
struct Probe(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Probe {
    type Error = Probed;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Probed> {
        Err(Probed::custom("only the names of fields are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Probed> {
        self.0 = fields;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Returns a record with all fields of a type, and those of another within it.
fn fields_of<T: DeserializeOwned>() -> Map<String, Value> {
    let mut probe = Probe(&[]);
    assert!(T::deserialize(&mut probe).is_err());
    assert!(!probe.0.is_empty(), "it is a struct with named fields");
    probe.0.iter().map(|&name| (name.to_owned(), Value::Null)).collect()
}

#[test]
fn the_schema_has_every_field_of_the_types_of_records_that_take_long_to_make() {
    use splinter_stress as s;
    let mut kill = fields_of::<s::KillRecord>();
    kill["config"] = fields_of::<s::KillPlan>().into();
    kill["kills"] = fields_of::<s::Kills>().into();
    kill["levels"] = fields_of::<s::KillLevel>().into();
    kill["invariants"] = fields_of::<s::KillInvariants>().into();
    let mut hostile = fields_of::<s::HostileRecord>();
    hostile["config"] = fields_of::<s::HostilePlan>().into();
    let mut numa = fields_of::<s::NumaRecord>();
    numa["config"] = fields_of::<s::NumaPlan>().into();
    numa["rows"] = fields_of::<s::NumaRow>().into();
    let matrix = fields_of::<s::MatrixRecord>();
    let sweep = fields_of::<s::SweepRecord>();
    for (kind, record) in
        [("kill", kill), ("hostile", hostile), ("numa", numa), ("matrix", matrix), ("sweep", sweep)]
    {
        let record = Value::Object(record);
        let unknown = schema::undocumented(kind, &record, usize::MAX);
        assert!(unknown.is_empty(), "{kind}: the schema lacks {unknown:?}");
        let unseen = schema::unseen(kind, std::slice::from_ref(&record));
        // Types within types that are not listed above have no fields here.
        let is_listed = |field: &&String| match field.rsplit_once('.') {
            Some((parent, _)) => record[parent].is_object(),
            None => true,
        };
        let unseen: Vec<&String> = unseen.iter().filter(is_listed).collect();
        assert!(unseen.is_empty(), "{kind}: no record has {unseen:?}");
    }
}
