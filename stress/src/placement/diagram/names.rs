//! The names of workers in a picture: a letter for what a worker is and its number among those, runs of them
//! shortened, as in `W0-3 R0`.

use crate::options::Role;
use crate::placement::topology::{PlannedPlacement, PlannedWorker};
use splinter_harness::cpulist;
use std::collections::BTreeMap;

/// Workers by the processor that they are on.
pub(super) type WorkerNames = BTreeMap<usize, Vec<String>>;

/// Names the workers on each processor.
pub(super) fn by_processor(placement: &PlannedPlacement) -> WorkerNames {
    let mut on: BTreeMap<usize, Vec<&PlannedWorker>> = BTreeMap::new();
    for worker in &placement.workers {
        if let Some(cpu) = worker.processor {
            on.entry(cpu).or_default().push(worker);
        }
    }
    let firsts = firsts(placement.workers.iter());
    on.into_iter().map(|(cpu, workers)| (cpu, name(workers.into_iter(), &firsts))).collect()
}

/// Names workers of a run, in which each role begins at 0.
pub(super) fn names<'a>(workers: impl Iterator<Item = &'a PlannedWorker> + Clone) -> Vec<String> {
    let firsts = firsts(workers.clone());
    name(workers, &firsts)
}

fn firsts<'a>(workers: impl Iterator<Item = &'a PlannedWorker>) -> BTreeMap<char, u32> {
    let mut firsts = BTreeMap::new();
    for worker in workers {
        firsts.entry(letter(worker.role)).or_insert(worker.worker);
    }
    firsts
}

fn name<'a>(workers: impl Iterator<Item = &'a PlannedWorker>, firsts: &BTreeMap<char, u32>) -> Vec<String> {
    let mut numbers: Vec<(char, Vec<usize>)> = Vec::new();
    for worker in workers {
        let letter = letter(worker.role);
        let number = (worker.worker - firsts.get(&letter).copied().unwrap_or(0)) as usize;
        match numbers.last_mut() {
            Some((last, numbers)) if *last == letter => numbers.push(number),
            _ => numbers.push((letter, vec![number])),
        }
    }
    let runs = numbers.into_iter().flat_map(|(letter, numbers)| {
        let list = cpulist::print(&numbers);
        let runs: Vec<String> = list.split(',').map(|run| format!("{letter}{run}")).collect();
        runs
    });
    runs.collect()
}

fn letter(role: Role) -> char {
    match role {
        Role::Writer => 'W',
        Role::Reader => 'R',
        Role::Watcher => 'H',
    }
}
