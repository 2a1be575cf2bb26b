//! The proof table: what was asked, what the kernel says, pages by node, and whether that is it.

use super::record::NumaRecord;
use crate::record::Verdict;
use crate::report::align;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Prints the proof table of a record.
#[must_use]
pub fn numa_summary(record: &NumaRecord) -> String {
    let seen = record.rows.iter().flat_map(|row| row.pages.keys().copied());
    let there = record.machine.nodes.iter().filter(|node| node.memory);
    let nodes: BTreeSet<u32> = there.map(|node| node.id).chain(seen).collect();
    let heads = ["check", "asked", "the kernel says"];
    let columns = nodes.iter().map(|node| format!("node {node}"));
    let mut head: Vec<String> = heads.map(str::to_owned).to_vec();
    head.extend(columns.chain(["verdict".to_owned()]));
    let mut rows = vec![head];
    for row in &record.rows {
        let mut cells = vec![row.check.clone(), row.asked.clone(), row.found.clone()];
        cells.extend(nodes.iter().map(|node| {
            let pages = row.pages.get(node);
            pages.map_or_else(String::new, u64::to_string)
        }));
        cells.push(match row.verdict {
            Verdict::Pass => "ok".to_owned(),
            Verdict::Fail => "FAIL".to_owned(),
            Verdict::Inconclusive => "not checked".to_owned(),
        });
        rows.push(cells);
    }
    let mut text = "NUMA proof: pages by node, asked of the kernel one by one\n".to_owned();
    align(&mut text, &rows);
    let _ = writeln!(
        text,
        "  pages by three accounts that must agree: the store's own, move_pages, numa_maps (for runs the first)\n  \
         the kernel's own balancing between nodes is {}; seed {}",
        record.machine.balancing, record.config.seed
    );
    for reason in &record.reasons {
        let _ = writeln!(text, "    - {reason}");
    }
    let bad = |verdict| {
        let rows = record.rows.iter();
        rows.filter(|row| row.verdict == verdict).count()
    };
    let _ = write!(
        text,
        "  verdict {}: {} rows, {} failed, {} not checked",
        record.verdict.word().to_uppercase(),
        record.rows.len(),
        bad(Verdict::Fail),
        bad(Verdict::Inconclusive)
    );
    text
}
