//! Moves a store from node to node while worker processes use it: pages must follow, and the oracle must find
//! every value whole and none lost.

use super::expected::may_move_all;
use super::judge::{Wanted, misplaced};
use super::memory::accounts;
use super::record::{NumaPlan, NumaRow, Plant};
use super::verdict;
use crate::options::{Backing, Pin, Span, Workers};
use crate::record::Record;
use crate::run::run;
use crate::threads::start_in;
use crate::workload::Workload;
use splinter::{Location, OpenOptions, Placement, Store};
use splinter_harness::error::RunError;
use splinter_harness::files::unique_name;
use splinter_harness::interrupt;
use splinter_harness::machine::Machine;
use splinter_harness::progress::{Progress, Silent};
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the workers work, and so how long there is to move; again, and longer, where that was not
/// enough for every move to be made once.
const DURATIONS_MS: [u64; 3] = [4_000, 16_000, 60_000];
/// How often a move is made, with a pause between that grows: the kernel leaves a page that a process is just
/// faulting in where it is, and an emulated processor may be stopped in the middle of that, for long where the
/// machine that emulates it is busy.
const ATTEMPTS: u32 = 20;
/// Few, so that there is processor time to move by where processors are emulated.
const WRITERS: u32 = 2;
const READERS: u32 = 1;
/// A few hundred pages: each costs every processor a message where its users run.
const KEYS: u64 = 64;
/// Between two moves.
const PAUSE: Duration = Duration::from_millis(20);

/// One move.
#[derive(Debug)]
struct Move {
    from: u32,
    to: u32,
    attempts: u32,
    /// The store's epoch when it was over.
    epoch: u64,
    pages: BTreeMap<u32, u64>,
    fault: Option<String>,
}

/// Checks that a store can be moved while it is used.
pub(super) fn rows(plan: &NumaPlan, machine: &Machine, progress: &mut dyn Progress) -> Vec<NumaRow> {
    let asked = "a store that processes use";
    let nodes: Vec<u32> = machine.with_memory().map(|node| node.id).collect();
    if nodes.len() < 2 {
        let why = "one node has memory: there is nowhere to move to";
        return vec![NumaRow::not_checked("migrate", asked, why)];
    }
    if !may_move_all() {
        let why = "pages that others have mapped are moved for CAP_SYS_NICE only: run it as root";
        return vec![NumaRow::not_checked("migrate", asked, why)];
    }
    let mut rows = Vec::new();
    for duration_ms in DURATIONS_MS {
        progress.step(&format!("migrate, for {} s", duration_ms / 1000));
        let name = unique_name("splinter-numa-moved");
        let workload = workload(plan, &name, duration_ms);
        let ran: Result<_, String> = std::thread::scope(|scope| {
            let running = start_in(scope, || run(&workload, &mut Silent))?;
            let moves = keep_moving(plan, &name, &nodes, || running.is_finished());
            let record = running.join();
            let died = |_| Err(RunError::Failed("the run died".to_owned()));
            Ok((record.unwrap_or_else(died), moves))
        });
        let (record, moves) = match ran {
            Ok(ran) => ran,
            Err(why) => return vec![NumaRow::not_checked("migrate", asked, &why)],
        };
        rows = by_pair(&moves, &nodes);
        rows.push(contents(&record, &moves));
        if verdict(&rows) != Verdict::Inconclusive || interrupt::requested() {
            break;
        }
    }
    rows
}

fn workload(plan: &NumaPlan, name: &str, duration_ms: u64) -> Workload {
    let mix = "set=4,get,append,int,tandem,vector,label";
    Workload {
        writers: WRITERS,
        readers: READERS,
        workers: Workers::Processes,
        keys: KEYS,
        value_len: "64..400".parse().expect("a span of lengths"),
        mix: mix.parse().expect("a mix"),
        dim: Some(64),
        span: Span::DurationMs(duration_ms),
        pin: Pin::Scatter,
        backing: Backing::Shared(name.to_owned()),
        seed: plan.seed,
        histogram: false,
        // Placement is not tested here, and impossible on a machine with fewer processors.
        allow_misplacement: true,
        ..Workload::default()
    }
}

/// Moves the store around until the run is over.
fn keep_moving(plan: &NumaPlan, name: &str, nodes: &[u32], over: impl Fn() -> bool) -> Vec<Move> {
    let Ok(location) = Location::shared(name) else {
        return Vec::new();
    };
    let pairs = nodes.iter().zip(nodes.iter().cycle().skip(1)).cycle();
    let mut moves = Vec::new();
    for (&from, &to) in pairs {
        // Until the first worker has written nothing is in use.
        std::thread::sleep(PAUSE);
        while !over() && Store::open(&location).map_or(0, |store| store.len()) == 0 {
            std::thread::sleep(PAUSE);
        }
        if over() || interrupt::requested() {
            break;
        }
        let made = move_to(plan, &location, from, to);
        // What went wrong when the store was gone already is no fault of the move.
        if !over() {
            moves.push(made);
        }
    }
    moves
}

fn move_to(plan: &NumaPlan, location: &Location, from: u32, to: u32) -> Move {
    let mut made = Move { from, to, attempts: 0, epoch: 0, pages: BTreeMap::new(), fault: None };
    let options = OpenOptions {
        placement: (plan.plant != Some(Plant::Unmoved)).then_some(Placement::Bind(to)),
        ..OpenOptions::default()
    };
    while made.attempts < ATTEMPTS {
        if made.attempts > 0 {
            std::thread::sleep(PAUSE * made.attempts);
        }
        made.attempts += 1;
        let looked = Store::open_with(location, &options)
            .map_err(|error| error.to_string())
            .and_then(|store| Ok((store.header().epoch, accounts(&store)?)));
        made.fault = match looked {
            Ok((epoch, accounts)) => {
                let on = Wanted::On(to);
                let fault = misplaced(&accounts.store, &on).or(misplaced(&accounts.asked, &on));
                (made.epoch, made.pages) = (epoch, accounts.asked);
                fault
            }
            Err(error) => Some(error),
        };
        if made.fault.is_none() {
            break;
        }
    }
    made
}

/// Makes a row for each pair of nodes.
fn by_pair(moves: &[Move], nodes: &[u32]) -> Vec<NumaRow> {
    let pairs = nodes.iter().zip(nodes.iter().cycle().skip(1));
    let row = |(&from, &to): (&u32, &u32)| {
        let asked = format!("from node {from} to node {to}, in use by {} processes", WRITERS + READERS);
        let made: Vec<&Move> = moves.iter().filter(|made| (made.from, made.to) == (from, to)).collect();
        let Some(last) = made.last() else {
            return NumaRow::not_checked("migrate", &asked, "the run was over before");
        };
        let again: u32 = made.iter().map(|made| made.attempts - 1).sum();
        let faults = made.iter().filter_map(|made| made.fault.clone()).take(1);
        let found = format!("moved {} x, {again} x tried again", made.len());
        NumaRow::new("migrate", asked, found, faults).with_pages(last.pages.clone())
    };
    pairs.map(row).collect()
}

/// Makes the row of what was in the store.
fn contents(record: &Result<Record, RunError>, moves: &[Move]) -> NumaRow {
    let (check, asked) = ("migrate", "contents whole, nothing lost");
    let written = match (moves.first(), moves.last()) {
        (Some(first), Some(last)) => last.epoch.saturating_sub(first.epoch),
        _ => 0,
    };
    match record {
        Err(error) => NumaRow::failed(check, asked, error.to_string()),
        Ok(_) if written == 0 => NumaRow::not_checked(check, asked, "nothing was written between the moves"),
        // Where its pages are in the end is that of a move that may not have been over.
        Ok(record) => super::runs::row_of(check, asked, record).with_pages(BTreeMap::new()),
    }
}
