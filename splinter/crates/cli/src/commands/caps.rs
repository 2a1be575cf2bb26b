//! The command `caps`: shows what this build, this machine and the store in use support.

use super::prelude::*;
use crate::invocation::BUILD;
use crate::output::write_json;
use serde_json::{Map, Value};
use splinter::{GROUPS, KEY_MAX, LABELS, MAX_ORDERS, numa_nodes};

pub(super) static COMMAND: Command = Command {
    name: "caps",
    usage: &[""],
    summary: "Shows what this build, this machine and the store in use can do",
    details: "\
It prints the number of NUMA nodes, and their numbers. If a store is in use, it
also prints the store's limits, whether this process may write to it, whether
its length is fixed for good, and how much of it is in huge pages. config prints
the rest.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    let nodes = numa_nodes();
    let mut rows = vec![
        ("version", json!(BUILD)),
        ("key_bytes", json!(KEY_MAX)),
        ("labels", json!(LABELS)),
        ("groups", json!(GROUPS)),
        ("tandem_orders", json!(MAX_ORDERS)),
        ("numa_nodes", json!(nodes)),
    ];
    if session.has_store() {
        let store = session.store()?;
        let geometry = store.geometry();
        rows.extend([
            ("vector_dim", json!(geometry.vector_dim)),
            ("value_bytes", json!(geometry.max_value_len)),
            ("writable", json!(!store.is_read_only())),
            ("sealed", json!(store.is_sealed())),
            ("huge_page_bytes", json!(store.huge_page_bytes())),
        ]);
    }
    if session.format == Format::Json {
        let caps: Map<_, _> = rows.into_iter().map(|(name, value)| (name.into(), value)).collect();
        return Ok(write_json(&mut session.out, &Value::Object(caps))?);
    }
    for (name, value) in rows {
        match value {
            Value::Bool(can) => {
                writeln!(session.out, "{name}: {}", if can { "yes" } else { "no" })?;
            }
            Value::String(text) => writeln!(session.out, "{name}: {text}")?,
            Value::Array(items) if items.is_empty() => writeln!(session.out, "{name}: none")?,
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                writeln!(session.out, "{name}: {} ({})", items.len(), items.join(" "))?;
            }
            value => writeln!(session.out, "{name}: {value}")?,
        }
    }
    Ok(())
}
