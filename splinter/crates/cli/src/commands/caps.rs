//! The command `caps`: shows what this build, this machine and the store in use support.

use super::prelude::*;
use crate::invocation::BUILD;
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
    let numbers = nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let nodes_text = if nodes.is_empty() { "none".into() } else { format!("{} ({numbers})", nodes.len()) };
    let mut fields = vec![
        ("version", json!(BUILD), None),
        ("key_bytes", json!(KEY_MAX), None),
        ("labels", json!(LABELS), None),
        ("groups", json!(GROUPS), None),
        ("tandem_orders", json!(MAX_ORDERS), None),
        ("numa_nodes", json!(nodes), Some(nodes_text)),
    ];
    if session.has_store() {
        let store = session.store()?;
        let geometry = store.geometry();
        fields.extend([
            ("vector_dim", json!(geometry.vector_dim), None),
            ("value_bytes", json!(geometry.max_value_len), None),
            ("writable", json!(!store.is_read_only()), None),
            ("sealed", json!(store.is_sealed()), None),
            ("huge_page_bytes", json!(store.huge_page_bytes()), None),
        ]);
    }
    session.print_fields(None, fields)
}
