//! Runs the suite's own workers where the nodes are: under each pinning policy, on each node with memory of
//! that node, and with each writer's values on the writer's node.

use super::judge;
use super::positions;
use super::record::{NumaPlan, NumaRow, Plant};
use crate::options::{Memory, Pin, Span};
use crate::record::Record;
use crate::run::run;
use crate::workload::Workload;
use splinter::Scrub;
use splinter_harness::cpulist;
use splinter_harness::machine::{Machine, MachineCache};
use splinter_harness::progress::{Progress, Silent};
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;

/// Workers under a pinning policy at most.
const MOST_WORKERS: usize = 32;
/// Operations of each of them: enough to be seen.
const PINNED_OPS: u64 = 40;

/// Checks where workers run under each policy.
pub(super) fn pins(plan: &NumaPlan, machine: &Machine, progress: &mut dyn Progress) -> Vec<NumaRow> {
    let usable = usable(machine);
    let mut policies = vec![Pin::Compact, Pin::Scatter, Pin::PerCore, Pin::PerNode];
    if !machine.caches.is_empty() {
        policies.push(Pin::PerLlc);
    }
    let nodes = machine.with_processors();
    policies.extend(nodes.map(|node| Pin::Node(node.id as usize)));
    let used = |cache: &&MachineCache| {
        let mut all = machine.usable();
        all.any(|cpu| cpu.cache == Some(cache.id))
    };
    let caches = machine.caches.iter().filter(used);
    policies.extend(caches.map(|cache| Pin::Llc(cache.id)));
    // Backwards, so that no other policy gives the same.
    policies.push(Pin::List(usable.iter().rev().copied().collect()));
    let count = usable.len().clamp(2, MOST_WORKERS) as u32;
    let row = |policy: Pin| {
        let writers = count / 2;
        let workload = Workload {
            writers,
            readers: count - writers,
            keys: u64::from(count) * 4,
            span: Span::Ops(u64::from(count) * PINNED_OPS),
            pin: match plan.plant {
                Some(Plant::Unpinned) => Pin::List(usable[..1].to_vec()),
                _ => policy.clone(),
            },
            histogram: false,
            seed: plan.seed,
            ..Workload::default()
        };
        let asked = match &policy {
            Pin::List(list) => format!("list of {} processors, the last first", list.len()),
            named => named.to_string(),
        };
        progress.step(&format!("pin {asked}"));
        match run(&workload, &mut Silent) {
            Ok(record) => {
                let workers = &record.placement.workers;
                let mut faults = positions::pinned(&policy, machine, workers);
                faults.extend(faults_of(&record));
                let mut seen: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
                for worker in workers {
                    let node = worker.affinity.observed_node.unwrap_or(u32::MAX);
                    seen.entry(node).or_default().extend(&worker.affinity.observed);
                }
                let words = seen.iter_mut().map(|(node, cpus)| {
                    cpus.sort_unstable();
                    cpus.dedup();
                    format!("node {node}: {}", cpulist::print(cpus))
                });
                let found = format!("{} workers on {}", workers.len(), words.collect::<Vec<_>>().join(", "));
                NumaRow::new("pin", asked, found, faults)
            }
            Err(error) => NumaRow::failed("pin", asked, error.to_string()),
        }
    };
    policies.into_iter().map(row).collect()
}

/// Runs a workload of everything on each node, and one with values on their writers' nodes.
pub(super) fn stress(plan: &NumaPlan, machine: &Machine, progress: &mut dyn Progress) -> Vec<NumaRow> {
    let mut rows = Vec::new();
    for (node, scrub) in machine.nodes.iter().zip(Scrub::ALL.into_iter().cycle()) {
        let (pin, workers) = match node.usable.len() {
            0 => (Pin::Scatter, 4),
            count => (Pin::Node(node.id as usize), count.clamp(2, 6) as u32),
        };
        let memory = if node.memory { Memory::Node(node.id) } else { Memory::Local };
        let mix = "set=4,get=2,append,int,tandem,vector,label,unset";
        let workload = Workload {
            writers: workers.div_ceil(2),
            readers: workers / 2,
            keys: 256,
            value_len: "64..600".parse().expect("a span of lengths"),
            mix: mix.parse().expect("a mix"),
            dim: Some(64),
            scrub,
            span: Span::Ops(plan.ops),
            pin,
            memory,
            histogram: false,
            seed: plan.seed,
            ..Workload::default()
        };
        let asked = format!("memory {memory}, workers {}, scrub {scrub}", workload.pin);
        rows.push(stress_row(&workload, asked, progress));
    }
    rows.push(per_writer(plan, machine, progress));
    rows
}

fn stress_row(workload: &Workload, asked: String, progress: &mut dyn Progress) -> NumaRow {
    progress.step(&format!("stress {asked}"));
    match run(workload, &mut Silent) {
        Ok(record) => {
            let mut row = row_of("stress", &asked, &record);
            // The engine grants a few pages of many; here all are to be there.
            if let Memory::Node(node) = workload.memory {
                let wanted = judge::Wanted::On(node);
                for pages in [&record.placement.memory.before, &record.placement.memory.after] {
                    let fault = judge::misplaced(&pages.nodes, &wanted);
                    let unknown = (pages.unknown > 0).then(|| "pages are nowhere".to_owned());
                    row.reasons.extend(fault.or(unknown));
                }
                if !row.reasons.is_empty() {
                    row.verdict = Verdict::Fail;
                }
            }
            row
        }
        Err(error) => NumaRow::failed("stress", asked, error.to_string()),
    }
}

fn per_writer(plan: &NumaPlan, machine: &Machine, progress: &mut dyn Progress) -> NumaRow {
    // Two writers on each node that memory can be local to, nodes in turn.
    let nodes = || machine.with_processors().filter(|node| node.memory);
    let second = nodes().filter_map(|node| node.usable.get(1));
    let firsts = nodes().filter_map(|node| node.usable.first());
    let cpus: Vec<usize> = firsts.chain(second).copied().collect();
    let workload = Workload {
        writers: cpus.len() as u32,
        readers: 0,
        keys: cpus.len() as u64 * 32,
        value_len: "1000..4096".parse().expect("a span of lengths"),
        span: Span::Ops(plan.ops),
        pin: match plan.plant {
            // A store that is filled from one node lies there.
            Some(Plant::Unpinned) => Pin::List(cpus[..1.min(cpus.len())].to_vec()),
            _ => Pin::List(cpus),
        },
        memory: Memory::PerWriter,
        histogram: false,
        seed: plan.seed,
        ..Workload::default()
    };
    let asked = "values of each writer on its node";
    progress.step(asked);
    let record = match run(&workload, &mut Silent) {
        Ok(record) => record,
        Err(error) => return NumaRow::failed("per-writer", asked, error.to_string()),
    };
    let writers = &record.placement.memory.writers;
    let mut pages: BTreeMap<u32, u64> = BTreeMap::new();
    for (&node, &count) in writers.iter().flat_map(|writer| &writer.nodes) {
        *pages.entry(node).or_default() += count;
    }
    let mut row = row_of("per-writer", asked, &record).with_pages(pages);
    let shared: u64 = writers.iter().map(|writer| writer.shared).sum();
    let own = writers.iter().filter(|writer| writer.nodes.keys().eq([&writer.node]));
    row.found = format!(
        "{} of {} writers have all theirs, {shared} pages between nodes; {}",
        own.count(),
        writers.len(),
        row.found
    );
    row
}

/// Makes a row of a run: what it did, what it broke, where its pages are.
pub(super) fn row_of(check: &str, asked: &str, record: &Record) -> NumaRow {
    let broken = record.invariants.broken();
    let done = record.totals.counts.successes;
    let found = format!("{done} operations, {broken} violations");
    let row = NumaRow::new(check, asked, found, faults_of(record));
    row.with_pages(record.placement.memory.after.nodes.clone())
}

fn faults_of(record: &Record) -> Vec<String> {
    match record.verdict {
        Verdict::Pass => Vec::new(),
        _ => {
            let misplaced = record.placement.misplaced.iter();
            record.reasons.iter().chain(misplaced).take(3).cloned().collect()
        }
    }
}

fn usable(machine: &Machine) -> Vec<usize> {
    let nodes = machine.nodes.iter();
    nodes.flat_map(|node| node.usable.iter().copied()).collect()
}
