//! The command that would make a record again, as far as the record holds what that takes. Pure.

use super::config::text;
use super::record::Record;
use crate::micro::record::Method;
use serde_json::Value;
use splinter_stress::Workload;

/// Commands by kind of record, with the fields of the configuration that are their flags.
const COMMANDS: [(&str, &str, &[&str]); 11] = [
    ("kill", "splinter-stress kill", &["aimed", "kills", "max_value_len", "readers", "seed", "writers"]),
    ("hostile", "splinter-stress hostile", &["workers", "duration_ms", "patience_ms", "targets", "seed"]),
    (
        "queue",
        "splinter-stress queue",
        &["producers", "consumers", "len", "capacity", "batch", "duration_ms", "messages", "kill_ms", "seed"],
    ),
    ("wake", "splinter-stress wake", &["cpu_a", "cpu_b", "seed", "rounds"]),
    (
        "cache",
        "splinter-stress cache",
        &["trace", "trace_file", "keys", "requests", "slots", "len", "writers", "rounds", "seed"],
    ),
    ("micro", "splinter-perf micro", &["rounds", "seed"]),
    ("limits", "splinter-perf limits", &["rounds", "seed"]),
    ("reproduce", "splinter-perf reproduce", &["seed"]),
    ("peers", "splinter-perf peers", &["rounds", "keys", "value_len", "seed"]),
    (
        "search",
        "splinter-perf search",
        &["keys", "dim", "family", "vectors", "queries", "searches", "rounds", "seed"],
    ),
    ("tune", "splinter-perf tune", &["objective", "p99", "least_scrub", "candidates", "rounds", "seed"]),
];

impl Record {
    /// Returns the command line that measures the same again; `None` where the record does not hold all of it.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let config = self.at(&["config"])?.as_object()?;
        if self.kind == "run" {
            return Some(format!("splinter-stress run{}", run_flags(config)?));
        }
        let (_, program, fields) = COMMANDS.into_iter().find(|(kind, ..)| *kind == self.kind)?;
        let sample = config.get("sample_ms").and_then(Value::as_f64);
        let is_quick =
            config.get("quick") == Some(&Value::Bool(true)) || sample == Some(Method::QUICK_SAMPLE_MS);
        let mut command = program.to_owned();
        if let Some(workload) = config.get("workload").and_then(Value::as_object) {
            command.push_str(&run_flags(workload)?);
        }
        for name in fields {
            let flag = match (*name, config.get(*name)?) {
                (_, Value::Null) => continue,
                // A file stands for both.
                ("trace" | "keys", _) if config.get("trace_file").is_some_and(Value::is_string) => continue,
                ("rounds", _) if is_quick && self.kind == "wake" => continue,
                ("targets", list) => format!("target {}", quoted(&text(list).replace(", ", ","))),
                (name, value) => match name.strip_suffix("_ms") {
                    Some(name) => format!("{name} {value}ms"),
                    None => format!("{} {}", name.replace('_', "-"), quoted(&text(value))),
                },
            };
            command.push_str(" --");
            command.push_str(&flag);
        }
        if is_quick {
            command.push_str(" --quick");
        }
        Some(command)
    }
}

/// Writes a workload as flags; what is the default anyway is left out.
fn run_flags(config: &serde_json::Map<String, Value>) -> Option<String> {
    let workload: Workload = serde_json::from_value(Value::Object(config.clone())).ok()?;
    let flags = workload.flags();
    Some(flags.iter().map(|word| format!(" {}", quoted(word))).collect())
}

/// Quotes a text for a shell, if it needs that.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use serde_json::json;

    fn command(workload: &Workload) -> String {
        let config = serde_json::to_value(workload).unwrap();
        record(json!({"schema_version": 1, "kind": "run", "config": config})).command().unwrap()
    }

    #[test]
    fn a_run_is_told_by_what_is_not_the_default() {
        assert_eq!(command(&Workload::default()), "splinter-stress run --scrub hybrid");
        let workload = Workload {
            writers: 2,
            oracle: false,
            watch_all: true,
            memory: "node:1".parse().unwrap(),
            span: splinter_stress::Span::Ops(500),
            backing: "file:/tmp/a b".parse().unwrap(),
            history: Some(9),
            ..Workload::default()
        };
        let command = command(&workload);
        for flag in [
            "--writers 2",
            "--no-oracle",
            "--watch-all",
            "--node 1",
            "--ops 500",
            "--backing 'file:/tmp/a b'",
            "--history --history-limit 9",
        ] {
            assert!(command.contains(flag), "{flag}: {command}");
        }
        assert!(!command.contains("--readers"), "{command}");
    }

    #[test]
    fn other_kinds_have_commands_where_their_records_hold_enough() {
        let of = |kind: &str, config: Value| {
            record(json!({"schema_version": 1, "kind": kind, "config": config})).command()
        };
        let wake = json!({"rounds": 30, "quick": false, "cpu_a": null, "cpu_b": 1, "seed": 7});
        assert_eq!(of("wake", wake).unwrap(), "splinter-stress wake --cpu-b 1 --seed 7 --rounds 30");
        let mut cache = json!({"trace": "zipf:0.99", "trace_file": null, "keys": 900, "requests": null, "slots": 50, "len": 64,
            "writers": 1, "rounds": 3, "seed": 1});
        let rest = "--slots 50 --len 64 --writers 1 --rounds 3 --seed 1";
        let expected = format!("splinter-stress cache --trace zipf:0.99 --keys 900 {rest}");
        assert_eq!(of("cache", cache.clone()).unwrap(), expected);
        cache["trace_file"] = json!("a b");
        let expected = format!("splinter-stress cache --trace-file 'a b' {rest}");
        assert_eq!(of("cache", cache).unwrap(), expected);
        let hostile = json!({"workers": 3, "duration_ms": 500, "patience_ms": 100, "targets": ["header", "index"], "seed": 1});
        assert_eq!(
            of("hostile", hostile).unwrap(),
            "splinter-stress hostile --workers 3 --duration 500ms --patience 100ms --target header,index --seed 1"
        );
        assert_eq!(of("hostile", json!({"workers": 3})), None);
        let queue = json!({"producers": 4, "consumers": 2, "len": "32..256", "capacity": 64, "batch": 8, "duration_ms": 500,
            "messages": null, "kill_ms": 5, "seed": 1, "plant": null});
        assert_eq!(
            of("queue", queue).unwrap(),
            "splinter-stress queue --producers 4 --consumers 2 --len 32..256 --capacity 64 --batch 8 --duration 500ms \
             --kill 5ms --seed 1"
        );
        assert_eq!(of("novel", json!({"seed": 1})), None);
        let search = json!({"keys": 100_000, "dim": 768, "family": "clustered,uniform", "vectors": null, "queries": 200,
            "searches": 5000, "rounds": 31, "seed": 1, "quick": false});
        assert_eq!(
            of("search", search).unwrap(),
            "splinter-perf search --keys 100000 --dim 768 --family clustered,uniform --queries 200 --searches 5000 --rounds 31 --seed 1"
        );
        let limits = json!({"rounds": 5, "seed": 1, "sample_ms": 4.0});
        assert_eq!(of("limits", limits).unwrap(), "splinter-perf limits --rounds 5 --seed 1 --quick");
        let workload = serde_json::to_value(Workload { writers: 2, ..Workload::default() }).unwrap();
        let tune = json!({"objective": "p99", "p99": "1.2x", "least_scrub": "none", "candidates": 9, "rounds": 15,
            "seed": 1, "quick": false, "workload": workload});
        assert_eq!(
            of("tune", tune).unwrap(),
            "splinter-perf tune --scrub hybrid --writers 2 --objective p99 --p99 1.2x --least-scrub none \
             --candidates 9 --rounds 15 --seed 1"
        );
    }

    #[test]
    fn quotes_are_quoted() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("set=90,get=10"), "set=90,get=10");
    }
}
