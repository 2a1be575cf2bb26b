//! Records of a machine that does not exist, with something for every section of a report: what is looked at is how
//! they are drawn. No figure in them was measured, and none is checked.

use serde_json::{Map, Value, json};

/// A reason that would be markup if it were let.
pub(crate) const REASON: &str = "key <b>\"k&1\"</b> read torn";

const NODES: u64 = 4;
const PROCESSORS: u64 = 32;

/// Returns records with the names of their files.
pub(crate) fn records() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (scrub, slower) in [("none", 1.0), ("hybrid", 1.07), ("full", 1.31)] {
        for len in [64_u64, 1024, 16_384] {
            for writers in [1_u64, 4, 16] {
                for seed in 1..=3_u64 {
                    let speed = 9e6 / slower / (1.0 + len as f64 / 900.0) * (writers as f64).powf(0.8);
                    let record = run(scrub, len, writers, seed, speed * (1.0 + seed as f64 / 40.0));
                    all.push((format!("run-{scrub}-{len}-{writers}-{seed}.json"), record));
                }
            }
        }
    }
    let mut broken = run("none", 64, 32, 1, 3e6);
    broken["verdict"] = json!("fail");
    broken["invariants"]["torn_reads"] = json!(7);
    broken["reasons"] = json!([REASON]);
    all.push(("run-broken.json".to_owned(), broken));
    let mut doubtful = run("none", 64, 31, 1, 3e6);
    doubtful["verdict"] = json!("inconclusive");
    doubtful["reasons"] = json!(["interrupted"]);
    all.push(("run-interrupted.json".to_owned(), doubtful));
    all.push(("limits.json".to_owned(), limits()));
    all.push(("micro.json".to_owned(), micro()));
    all.push(("peers.json".to_owned(), peers()));
    all.push(("novel.json".to_owned(), novel()));
    all
}

/// The machine of all records but that of `micro`, and the latter's.
pub(crate) const MACHINE: &str = "A Processor That Does Not Exist";
pub(crate) const ANOTHER_MACHINE: &str =
    "Another Processor With Quite a Long Name, 96-Core, of No Vendor At All";

/// Returns the environment of a record that was made on another machine, by another build.
fn elsewhere() -> Value {
    let mut environment = environment();
    environment["cpu_model"] = json!(ANOTHER_MACHINE);
    environment["processors"] = json!(192);
    environment["kernel"] = json!("6.99.44-made-up-v657-with-a-long-suffix");
    environment["governor"] = Value::Null;
    environment["build"]["git_revision"] = json!("fedcba9876543210fedcba9876543210fedcba98");
    environment
}

fn environment() -> Value {
    let node = |node: u64| {
        let first = node * PROCESSORS / NODES;
        let last = first + PROCESSORS / NODES - 1;
        json!({"id": node, "processors": format!("{first}-{last}"), "distances": "10 21 21 21"})
    };
    json!({
        "cpu_model": MACHINE, "processors": PROCESSORS,
        "nodes": (0..NODES).map(node).collect::<Vec<_>>(),
        "kernel": "6.99.0", "governor": "performance", "load_before": "0.10 0.20 0.30", "steal_ms": 0, "tsc_ghz": 2.5,
        "build": {"git_revision": "0123456789abcdef0123456789abcdef01234567", "profile": "release"},
    })
}

fn run(scrub: &str, len: u64, writers: u64, seed: u64, goodput: f64) -> Value {
    let readers = 8_u64;
    let operation = |share: f64, again: u64, p50: u64| {
        json!({"attempts": 1_000_000, "successes": 1_000_000 - again, "again": again, "failures": 0,
            "goodput_per_s": goodput * share, "attempts_per_s": goodput * share * 1.02,
            "latency_ns": {"p50": p50, "p90": p50 * 2, "p99": p50 * 5, "p999": p50 * 40, "p9999": p50 * 900,
                "max": p50 * 20_000, "samples": 1_000_000}})
    };
    let worker = |number: u64| {
        let processor = number % PROCESSORS;
        // One of them is not where it was asked to be.
        let seen = if number == 5 { processor + 1 } else { processor };
        let role = if number < writers { "writer" } else { "reader" };
        json!({"worker": number, "role": role, "requested": processor, "pinned": true, "observed_end": seen,
            "migrations": u64::from(number == 5)})
    };
    json!({
        "schema_version": 1, "kind": "run", "verdict": "pass", "reasons": [], "labels": [],
        "config": {"writers": writers, "readers": readers, "scrub": scrub, "value_len": len.to_string(),
            "mix": "set=8,append=1,get=1", "key_choice": "uniform", "pin": "scatter", "seed": seed},
        "window": {"started_unix_s": 1_795_248_000.0 + seed as f64, "processor_share": 0.99},
        "operations": {"get": operation(0.6, 300, 60), "set": operation(0.3, 4_000 * writers, 110 + len / 9),
            "append": operation(0.1, 900, 190)},
        "invariants": {"torn_reads": 0, "stale_leaks": 0, "lost_updates": 0},
        "placement": {"misplaced": [], "memory": {"requested": "interleave", "after": {"nodes": {"0": 90, "1": 91}}},
            "workers": (0..writers + readers).map(worker).collect::<Vec<_>>()},
        "environment": environment(),
    })
}

fn limits() -> Value {
    let far = |a: u64, b: u64| {
        let node = |processor: u64| processor * NODES / PROCESSORS;
        match (a == b, node(a) == node(b)) {
            (true, _) => Value::Null,
            (false, true) => json!(38.0 + (a + b) as f64 / 10.0),
            (false, false) => json!(112.0 + (a * 3 + b) as f64 / 9.0),
        }
    };
    let row = |a: u64| (0..PROCESSORS).map(|b| far(a, b)).collect::<Vec<_>>();
    let value = |name: &str, ns: f64| json!({"name": name, "value_ns": ns, "min": ns * 0.97, "quartiles": [ns * 0.99, ns * 1.02], "samples": 31});
    json!({
        "schema_version": 1, "kind": "limits", "verdict": "pass", "config": {"rounds": 31, "seed": 1, "sample_ms": 15.0},
        "rows": [value("L1 chase", 1.2), value("L2 chase", 4.0), value("memory chase", 96.0)],
        "core_to_core": {"processors": (0..PROCESSORS).collect::<Vec<_>>(), "ns": (0..PROCESSORS).map(row).collect::<Vec<_>>()},
        "node_to_node": {"from": [0, 1], "to": [0, 1, 2], "load_ns": [[88.0, 141.0, 230.0], [143.0, 87.0, null]],
            "read_bytes_per_s": [[13.1e9, 8.2e9, 5.5e9], [8.1e9, 13.3e9, null]]},
        "environment": environment(),
    })
}

fn micro() -> Value {
    let row = |name: &str, ns: f64, ratio: f64, target: f64| {
        json!({"name": name, "value_ns": ns, "limit_name": "L2 chase", "limit": 4.0, "ratio": ratio, "target": target,
            "bound": "<=", "met": ratio <= target, "ratio_quartiles": [ratio * 0.98, ratio * 1.03]})
    };
    json!({
        "schema_version": 1, "kind": "micro", "verdict": "pass", "config": {"rounds": 31, "seed": 1, "sample_ms": 15.0},
        "rows": [row("get 64 B", 9.0, 2.25, 3.0), row("set 64 B", 14.0, 3.5, 3.0),
            row("an operation with quite a long name, to see that it is cut", 8.0, 2.0, 2.0)],
        "limits": [], "environment": elsewhere(),
    })
}

fn peers() -> Value {
    let entrant = |(name, goodput): (&str, f64)| {
        json!({"name": name, "version": "7", "goodput_per_s": goodput, "rounds": [goodput * 0.9, goodput, goodput * 1.2],
            "note": "a note of it", "ratio": {"of": "splinter", "median": 3e7 / goodput, "low": 1.0, "high": 2.0}})
    };
    let stores =
        [("splinter", 3e7), ("a store with quite a long name, over a socket", 2e4), ("DashMap", 2.5e7)];
    let cell = |load: &str| json!({"load": load, "entrants": stores.map(entrant)});
    let cells = ["one gets", "all get and set"].map(cell);
    json!({"schema_version": 1, "kind": "peers", "verdict": "pass", "cells": cells,
        "environment": environment()})
}

/// Returns a record of an unknown kind.
fn novel() -> Value {
    let mut row = Map::new();
    for column in 0..14 {
        row.insert(format!("column_{column:02}"), json!(column));
    }
    row.insert("verdict".to_owned(), json!("not comparable"));
    row.insert("a_long_word".to_owned(), json!("x".repeat(90)));
    json!({"schema_version": 1, "kind": "novel", "verdict": "pass", "cells": [row.clone(), row], "environment": environment()})
}
