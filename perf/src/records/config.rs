//! Configuration and environment as flat lists of named texts, so that any two can be told apart field by field. It
//! knows no file and no figure.

use super::record::Record;
use serde_json::Value;
use splinter_harness::environment::Node;
use splinter_stress::Workload;
use std::collections::BTreeMap;

/// Fields with their values as texts; those of fields within fields are named with a dot between.
pub type Fields = BTreeMap<String, String>;

/// What a field is said to be that has no value.
const UNSET: &str = "unset";

/// Parts of the environment that differ from one run to the next on one and the same machine and build.
pub const TRANSIENT: [&str; 8] = [
    "load_before",
    "steal_ms",
    "tsc_ghz",
    "cpu_quota.group",
    "cpu_quota.throttled_periods",
    "cpu_quota.throttled_ms",
    "disturbances",
    "rounds_again",
];

impl Record {
    /// Returns its configuration.
    #[must_use]
    pub fn config(&self) -> Fields {
        let mut fields = Fields::new();
        if let Some(config) = self.at(&["config"]) {
            // An older record has not every field; what it lacks is what the suite takes it for.
            let whole = serde_json::from_value::<Workload>(config.clone());
            let whole = whole.and_then(serde_json::to_value);
            flatten("", whole.as_ref().unwrap_or(config), &mut fields);
        }
        // A sweep has these beside the rest.
        for name in ["seed", "quick"] {
            if let Some(value) = self.at(&[name]) {
                flatten(name, value, &mut fields);
            }
        }
        fields
    }

    /// Returns its environment.
    #[must_use]
    pub fn environment(&self) -> Fields {
        let mut fields = Fields::new();
        let Some(environment) = self.at(&["environment"]) else {
            return fields;
        };
        flatten("", environment, &mut fields);
        // Older records say nothing of Valgrind, and nothing of the memory of a node.
        fields.entry("valgrind".to_owned()).or_insert_with(|| "false".to_owned());
        if let Some(nodes) = self.part::<Vec<Node>>(&["environment", "nodes"]) {
            let said =
                nodes.iter().map(|node| format!("{}: {} ({})", node.id, node.processors, node.distances));
            fields.insert("nodes".to_owned(), said.collect::<Vec<_>>().join("; "));
        }
        fields
    }

    /// Returns the machine and the build: the environment without what passes.
    #[must_use]
    pub fn machine_and_build(&self) -> Fields {
        let mut fields = self.environment();
        fields.retain(|name, _| !TRANSIENT.contains(&name.as_str()));
        fields
    }

    /// Names the machine: processor, number of processors and nodes, kernel.
    #[must_use]
    pub fn machine(&self) -> Option<String> {
        let environment = self.at(&["environment"])?;
        let word = |name: &str| environment[name].as_str().unwrap_or("unknown");
        let processors = environment["processors"].as_u64().unwrap_or(0);
        let nodes = match environment["nodes"].as_array().map_or(0, Vec::len) {
            0 | 1 => String::new(),
            nodes => format!(", {nodes} nodes"),
        };
        let (model, kernel) = (word("cpu_model"), word("kernel"));
        Some(format!("{model}, {processors} processors{nodes}, Linux {kernel}"))
    }

    /// Says what was run, in a few words.
    #[must_use]
    pub fn what(&self) -> String {
        let config = self.config();
        let known = |name: &str| config.get(name).filter(|value| *value != UNSET);
        let get = |name: &str| known(name).map_or("?", String::as_str);
        let rows = self.rows().len();
        match self.kind.as_str() {
            "run" => {
                let mut parts: Vec<String> = Vec::new();
                parts.extend(known("scrub").map(|scrub| format!("scrub {scrub}")));
                for role in ["writers", "readers", "watchers"] {
                    parts.extend(match known(role).map(String::as_str) {
                        None | Some("0") => None,
                        Some("1") => Some(format!("1 {}", role.trim_end_matches('s'))),
                        Some(count) => Some(format!("{count} {role}")),
                    });
                }
                parts.extend(known("value_len").map(|len| format!("{len} B")));
                parts.extend(["mix", "key_choice"].into_iter().filter_map(known).cloned());
                parts.join(", ")
            }
            "kill" => format!("{} random and {} aimed kills", get("kills"), get("aimed")),
            "sweep" => {
                let pairs = self.list::<Value>("pairs").len();
                let quick = if get("quick") == "true" { ", quick" } else { "" };
                format!("{pairs} pairs of operations{quick}")
            }
            "hostile" => format!("{} processes on damaged stores", get("workers")),
            "queue" => format!(
                "{} producers, {} consumers, {} B, capacity {}",
                get("producers"),
                get("consumers"),
                get("len"),
                get("capacity")
            ),
            "cache" => {
                let trace = known("trace_file").or_else(|| known("trace")).map_or("?", String::as_str);
                format!("{trace}, caches of {} keys, {} rounds", get("slots"), get("rounds"))
            }
            "wake" | "micro" | "limits" | "search" => format!("{rows} rows, {} rounds", get("rounds")),
            "topology" => "a plan of a placement".to_owned(),
            "tune" => format!(
                "{} of {} writers, {} readers, {} B, {}, {}",
                get("objective"),
                get("workload.writers"),
                get("workload.readers"),
                get("workload.value_len"),
                get("workload.mix"),
                get("workload.key_choice")
            ),
            "numa" => format!("{rows} checks"),
            "peers" => {
                let loads = self.loads();
                let stores = loads.iter().map(|load| load.entrants.len()).max();
                format!("{} loads, {} stores", loads.len(), stores.unwrap_or(0))
            }
            _ => self.lists_in_words(),
        }
    }

    fn lists_in_words(&self) -> String {
        let fields = self.value.as_object().into_iter().flatten();
        let lists: Vec<String> = fields
            .filter(|(name, _)| !["reasons", "labels"].contains(&name.as_str()))
            .filter_map(|(name, value)| Some(format!("{} {name}", value.as_array()?.len())))
            .collect();
        lists.join(", ")
    }
}

/// Writes a value as named texts.
fn flatten(name: &str, value: &Value, fields: &mut Fields) {
    if let Value::Object(object) = value {
        for (inner, value) in object {
            let name = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
            flatten(&name, value, fields);
        }
    } else {
        fields.insert(name.to_owned(), text(value));
    }
}

/// Writes a value in one line.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => UNSET.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            object.iter().map(|(name, value)| format!("{name} {}", text(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A field of which two lists do not say the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What the first says.
    pub a: String,
    /// What the second says.
    pub b: String,
}

/// Finds the fields that are not the same. One that only one of them has is compared with "unset".
#[must_use]
pub fn differences(a: &Fields, b: &Fields) -> Vec<Difference> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let get = |fields: &Fields, name: &str| fields.get(name).cloned().unwrap_or_else(|| UNSET.to_owned());
    names
        .into_iter()
        .map(|name| Difference { field: name.clone(), a: get(a, name), b: get(b, name) })
        .filter(|difference| difference.a != difference.b)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use serde_json::json;

    #[test]
    fn fields_within_fields_are_named_and_differences_found() {
        let run = |value: Value| record(json!({"schema_version": 1, "kind": "run", "config": value}));
        let a = run(json!({"writers": 4, "span": {"ops": 5}, "pin": "scatter", "slots": null})).config();
        let b = run(json!({"writers": 4, "span": {"duration_ms": 9}, "pin": "none"})).config();
        assert_eq!(a["span.ops"], "5");
        let found = differences(&a, &b);
        let of = |difference: &Difference| {
            let Difference { field, a, b } = difference;
            format!("{field}: {a} / {b}")
        };
        assert_eq!(
            found.iter().map(of).collect::<Vec<_>>(),
            ["pin: scatter / none", "span.duration_ms: unset / 9", "span.ops: 5 / unset"]
        );
        assert_eq!(differences(&a, &a), []);
    }

    #[test]
    fn load_and_steal_are_no_part_of_the_machine() {
        let value = json!({"schema_version": 1, "kind": "run",
            "environment": {"kernel": "6", "load_before": "1 2 3", "steal_ms": 4, "build": {"rustc": "1"}}});
        let record = record(value);
        assert_eq!(record.environment().len(), 5);
        let names: Vec<String> = record.machine_and_build().into_keys().collect();
        assert_eq!(names, ["build.rustc", "kernel", "valgrind"]);
    }

    #[test]
    fn what_older_records_do_not_say_is_no_difference() {
        let with = |environment: Value| {
            record(json!({"schema_version": 1, "kind": "run", "environment": environment})).environment()
        };
        let old = with(json!({"nodes": [{"id": 0, "processors": "0-1", "distances": "10"}]}));
        let node = json!({"id": 0, "processors": "0-1", "distances": "10", "memory_bytes": 5});
        let new = with(json!({"nodes": [node], "valgrind": false}));
        assert_eq!(differences(&old, &new), []);
        assert_eq!(old["nodes"], "0: 0-1 (10)");
    }

    #[test]
    fn what_was_run_is_said_in_a_few_words() {
        let value = json!({"schema_version": 1, "kind": "run", "config": {"scrub": "full", "writers": 4,
            "readers": 0, "value_len": "64", "mix": "set=1", "key_choice": "lanes"}});
        assert_eq!(record(value).what(), "scrub full, 4 writers, 64 B, set=1, own");
        let value = json!({"schema_version": 1, "kind": "reproduce", "cells": [1, 2]});
        assert_eq!(record(value).what(), "2 cells");
    }
}
