//! The proof table: what was asked, what the kernel says, pages by node, and whether that is it.

use super::record::NumaRecord;
use splinter_harness::table::{Flush, indent};
use splinter_harness::verdict::Verdict;
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
    // Words but for the pages.
    let pages = vec![Flush::Right; nodes.len()];
    let flush = [&heads.map(|_| Flush::Left)[..], &pages, &[Flush::Left]].concat();
    indent(&mut text, &flush, &rows);
    let _ = writeln!(
        text,
        "  pages by three accounts that must agree: the store's own, move_pages, numa_maps (for runs the first)\n  \
         the kernel's own balancing between nodes is {}; seed {}",
        record.balancing, record.config.seed
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

#[cfg(test)]
mod tests {
    use super::super::record::{NumaPlan, NumaRow};
    use super::*;
    use splinter_harness::environment::Environment;
    use splinter_harness::machine::{Machine, MachineNode};

    #[test]
    fn the_table_has_every_row_and_a_column_for_every_node_with_pages() {
        let node = |id| MachineNode { id, memory: true, ..MachineNode::default() };
        let plan = NumaPlan { nodes: Some(2), ops: 1, seed: 7, ..NumaPlan::default() };
        let rows = vec![
            NumaRow::new("bind", "node 1", "bind:1", vec![]).with_pages([(1, 900)].into()),
            NumaRow::new("bind", "node 4", "bind:4", vec!["1 of 800 elsewhere".to_owned()])
                .with_pages([(3, 1), (4, 799)].into()),
            NumaRow::not_checked("migrate", "x", "no"),
        ];
        let machine = Machine { nodes: vec![node(1), node(4)], ..Machine::default() };
        let record = NumaRecord::new(&plan, machine, rows, Environment::read());
        let text = numa_summary(&record);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("node 1  node 3  node 4  verdict"), "{text}");
        assert!(lines[2].ends_with("ok") && lines[3].ends_with("FAIL"), "{text}");
        assert!(lines[4].ends_with("not checked"), "{text}");
        assert!(text.contains("bind, node 4: 1 of 800 elsewhere"), "{text}");
        assert!(text.ends_with("verdict FAIL: 3 rows, 1 failed, 1 not checked"), "{text}");
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<NumaRecord>(&json).unwrap(), record);
    }
}
