//! A grid of processors: a column for each core, sibling threads below each other, the workers below each
//! thread. As many columns side by side as fit.

use super::lines::{MARGIN, WIDTH, line, wrap};
use super::names::WorkerNames;
use splinter_harness::machine::Processor;
use std::collections::BTreeMap;

/// Draws processors: a column for each core.
pub(super) fn grid(text: &mut String, cpus: &[&Processor], names: &WorkerNames) {
    let mut cores: BTreeMap<usize, Vec<&Processor>> = BTreeMap::new();
    for cpu in cpus {
        cores.entry(cpu.core).or_default().push(cpu);
    }
    let cores: Vec<Vec<&Processor>> = cores.into_values().collect();
    let none = Vec::new();
    let workers = |cpu: &Processor| names.get(&cpu.id).unwrap_or(&none);
    // Wide enough for what is longest, and for all of it on one line where there is room.
    let room = WIDTH - MARGIN;
    let widest = |of: &dyn Fn(&Processor) -> usize| cpus.iter().map(|cpu| of(cpu)).max().unwrap_or(0) + 2;
    let least = widest(&|cpu| {
        let names = workers(cpu).iter().map(String::len);
        names.max().unwrap_or(0).max(number(cpu).len())
    });
    let whole = widest(&|cpu| workers(cpu).join(" ").len().max(number(cpu).len()));
    let cell = whole.min(least.max(room / cores.len().max(1))).clamp(5, room);
    for side_by_side in cores.chunks((room / cell).max(1)) {
        let threads = side_by_side.iter().map(Vec::len).max().unwrap_or(0);
        for thread in 0..threads {
            let row: Vec<Option<&&Processor>> = side_by_side.iter().map(|core| core.get(thread)).collect();
            let numbers = row.iter().map(|cpu| cpu.map(|cpu| number(cpu)).unwrap_or_default());
            let what = match thread {
                0 => "    processor",
                _ => "      sibling",
            };
            line(text, what, cell, numbers);
            let columns: Vec<Vec<String>> = row
                .iter()
                .map(|cpu| cpu.map_or(Vec::new(), |cpu| wrap(&workers(cpu).join(" "), cell - 2)))
                .collect();
            let height = columns.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..height {
                let cells = columns.iter().map(|lines| lines.get(at).cloned());
                line(text, "", cell, cells.map(Option::unwrap_or_default));
            }
        }
    }
}

fn number(cpu: &Processor) -> String {
    if cpu.usable { cpu.id.to_string() } else { format!("({})", cpu.id) }
}
