//! The command that would make a record again, as far as the record holds what that takes. Pure.

use super::config::text;
use super::record::Record;
use serde_json::{Value, json};
use splinter_stress::Workload;

impl Record {
    /// Returns the command line that measures the same again; `None` where the record does not hold all of it.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        if let Some(command) = self.text(&["command"]) {
            return Some(command.to_owned());
        }
        let config = self.at(&["config"])?.as_object()?;
        let get = |name: &str| config.get(name).filter(|value| !value.is_null());
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: &Value| {
            flags.push(format!(
                "--{} {}",
                name.replace('_', "-"),
                quoted(&text(value))
            ));
        };
        let program = match self.kind.as_str() {
            "run" => {
                let workload: Workload =
                    serde_json::from_value(self.at(&["config"])?.clone()).ok()?;
                let words: Vec<String> = workload.flags().iter().map(|it| quoted(it)).collect();
                return Some(format!("splinter-stress run {}", words.join(" ")));
            }
            "kill" => {
                for (name, value) in config {
                    flag(name, value);
                }
                "splinter-stress kill"
            }
            "hostile" => {
                flag("workers", get("workers")?);
                flag("duration", &json!(format!("{}ms", get("duration_ms")?)));
                flag("patience", &json!(format!("{}ms", get("patience_ms")?)));
                let targets = get("targets")?.as_array()?;
                let targets: Vec<&str> = targets.iter().filter_map(Value::as_str).collect();
                flag("target", &json!(targets.join(",")));
                flag("seed", get("seed")?);
                "splinter-stress hostile"
            }
            "wake" => {
                for name in ["cpu_a", "cpu_b", "seed"] {
                    if let Some(value) = get(name) {
                        flag(name, value);
                    }
                }
                if get("quick") == Some(&json!(true)) {
                    flags.push("--quick".to_owned());
                } else {
                    flag("rounds", get("rounds")?);
                }
                "splinter-stress wake"
            }
            "micro" | "limits" => {
                flag("rounds", get("rounds")?);
                flag("seed", get("seed")?);
                if get("sample_ms").and_then(Value::as_f64) == Some(4.0) {
                    flags.push("--quick".to_owned());
                }
                if self.kind == "micro" {
                    "splinter-perf micro"
                } else {
                    "splinter-perf limits"
                }
            }
            _ => return None,
        };
        Some(format!("{program} {}", flags.join(" ")))
    }
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

    fn command(workload: &Workload) -> String {
        let config = serde_json::to_value(workload).unwrap();
        record(json!({"schema_version": 1, "kind": "run", "config": config}))
            .command()
            .unwrap()
    }

    #[test]
    fn a_run_is_told_by_what_is_not_the_default() {
        assert_eq!(
            command(&Workload::default()),
            "splinter-stress run --scrub hybrid"
        );
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
        assert_eq!(
            of("wake", wake).unwrap(),
            "splinter-stress wake --cpu-b 1 --seed 7 --rounds 30"
        );
        let hostile = json!({"workers": 3, "duration_ms": 500, "patience_ms": 100, "targets": ["header", "index"], "seed": 1});
        assert_eq!(
            of("hostile", hostile).unwrap(),
            "splinter-stress hostile --workers 3 --duration 500ms --patience 100ms --target header,index --seed 1"
        );
        assert_eq!(of("hostile", json!({"workers": 3})), None);
        assert_eq!(of("novel", json!({"seed": 1})), None);
        let told = json!({"schema_version": 1, "kind": "novel", "command": "splinter-perf novel"});
        assert_eq!(record(told).command().unwrap(), "splinter-perf novel");
    }

    #[test]
    fn quotes_are_quoted() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("set=90,get=10"), "set=90,get=10");
    }
}
