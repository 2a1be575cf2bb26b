//! The flags of `run`, and the workloads that they stand for.

use crate::choice::KeyChoice;
use crate::length::ValueLen;
use crate::mix::Mix;
use crate::options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
use crate::text::{parse_count, parse_duration};
use crate::workload::Workload;
use clap::Args;
use splinter::Scrub;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run, where, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArguments {
    /// Workers that write
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        help_heading = "Workload"
    )]
    writers: u32,
    /// Workers that only read
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        help_heading = "Workload"
    )]
    readers: u32,
    /// Workers that hear of every change and read what changed; they come behind the readers
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Workload")]
    watchers: u32,
    /// Signal groups that the keys are dealt over; every watcher watches all of them
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Workload")]
    watch_groups: u8,
    /// Watches the whole store instead of groups
    #[arg(long, conflicts_with = "watch_groups", help_heading = "Workload")]
    watch_all: bool,
    /// What a worker is: threads or processes
    #[arg(
        long,
        value_name = "KIND",
        default_value = "threads",
        help_heading = "Workload"
    )]
    workers: Workers,
    /// Keys that hold values, as in 20000, 20k or 1M
    #[arg(long, value_name = "N", default_value = "4096", value_parser = parse_count, help_heading = "Workload")]
    keys: u64,
    /// How keys are chosen: lanes (each writer its own), uniform, zipf:THETA, hot:K or single
    #[arg(
        long,
        value_name = "CHOICE",
        default_value = "lanes",
        help_heading = "Workload"
    )]
    key_choice: KeyChoice,
    /// Bytes of a value: 64, 16..256 (any of these) or 64,256,4096 (one of these)
    #[arg(
        long,
        value_name = "LEN",
        default_value = "64",
        help_heading = "Workload"
    )]
    value_len: ValueLen,
    /// What writers do, with weights: get, set, append, int, tandem, vector, label, unset, as in
    /// set=90,get=10
    #[arg(
        long,
        value_name = "MIX",
        default_value = "set=1",
        help_heading = "Workload"
    )]
    mix: Mix,
    /// Orders of a tandem group
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Workload")]
    orders: u32,
    /// Scrub level: none, hybrid, full or all, one after the other
    #[arg(long, value_name = "LEVEL", default_value = "all", value_parser = parse_scrub, help_heading = "Workload")]
    scrub: Scrubs,
    /// Seed of all random choices
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Workload")]
    seed: u64,

    /// How long each run is measured, as in 500ms, 5s or 2m
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = parse_duration, help_heading = "Length")]
    duration: Duration,
    /// Completed operations instead of a duration, all workers together
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "duration", help_heading = "Length")]
    ops: Option<u64>,
    /// What is run before: auto (until goodput is steady; nothing with --ops) or a span
    #[arg(
        long,
        value_name = "SPAN",
        default_value = "auto",
        help_heading = "Length"
    )]
    warmup: Warmup,

    /// Where workers run: none, compact, scatter, node:N, llc:N (a last-level cache), per-node, per-llc,
    /// per-core or processors as in 0-3,8
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "scatter",
        help_heading = "Placement"
    )]
    pin: Pin,
    /// Where readers and watchers run, if not behind the writers
    #[arg(long, value_name = "WHERE", help_heading = "Placement")]
    pin_readers: Option<Pin>,
    /// NUMA node of the store's memory
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "interleave",
        help_heading = "Placement"
    )]
    node: Option<u32>,
    /// Spreads the store's memory over all NUMA nodes
    #[arg(long, help_heading = "Placement")]
    interleave: bool,
    /// Has each writer's keys on the node that it runs on
    #[arg(long, conflicts_with_all = ["node", "interleave"], help_heading = "Placement")]
    per_lane: bool,
    /// Asks for huge pages: advise, collapse, hugetlb or off
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_value = "off",
        default_missing_value = "collapse",
        help_heading = "Placement"
    )]
    huge_pages: Huge,
    /// Counts a run that was not placed as asked
    #[arg(long, help_heading = "Placement")]
    allow_misplacement: bool,

    /// Slots of the store [default: as many as the keys need]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Store")]
    slots: Option<u64>,
    /// Longest value of the store [default: as long as the workload needs]
    #[arg(long, value_name = "BYTES", value_parser = parse_count, help_heading = "Store")]
    max_value_len: Option<u64>,
    /// Vector dimension [default: 768 where the mix has vectors, else 0]
    #[arg(long, value_name = "N", help_heading = "Store")]
    dim: Option<u32>,
    /// Where the store lives: anonymous, shared:NAME or file:PATH; it is removed afterwards
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "anonymous",
        help_heading = "Store"
    )]
    backing: Backing,

    /// Keeps a history of all operations and checks that it is linearizable; writes it to a file, if one is given
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        help_heading = "Observer"
    )]
    history: Option<Option<PathBuf>>,
    /// Operations that a history has room for, all workers together; the run ends when it is full
    #[arg(long, value_name = "N", default_value = "4M", value_parser = parse_count, requires = "history", help_heading = "Observer")]
    history_limit: u64,
    /// Times one attempt of N
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Observer")]
    sample: u32,
    /// Leaves latencies unrecorded
    #[arg(long, help_heading = "Observer")]
    no_histogram: bool,
    /// Leaves values unchecked
    #[arg(long, help_heading = "Observer")]
    no_oracle: bool,

    /// Prints the record as JSON instead of a summary
    #[arg(long, help_heading = "Results")]
    pub(super) json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH", help_heading = "Results")]
    pub(super) record: Option<PathBuf>,
    /// Writes the latencies to a file, as an HdrHistogram V2 log
    #[arg(long, value_name = "PATH", help_heading = "Results")]
    pub(super) hdr: Option<PathBuf>,
}

/// Scrub levels to run.
#[derive(Clone, Debug)]
struct Scrubs(Vec<Scrub>);

fn parse_scrub(text: &str) -> Result<Scrubs, String> {
    if text == "all" {
        return Ok(Scrubs(Scrub::ALL.to_vec()));
    }
    let level = text
        .parse()
        .map_err(|_| format!("'{text}' is no scrub level: use none, hybrid, full or all"))?;
    Ok(Scrubs(vec![level]))
}

impl RunArguments {
    /// Returns where the history is to be written.
    pub(super) fn history_file(&self) -> Option<&Path> {
        self.history.as_ref()?.as_deref()
    }

    /// Returns the workloads that these flags stand for: one per scrub level, sound.
    pub(super) fn workloads(&self) -> Result<Vec<Workload>, String> {
        let millis = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let workload = Workload {
            writers: self.writers,
            readers: self.readers,
            watchers: self.watchers,
            watch_groups: self.watch_groups,
            watch_all: self.watch_all,
            workers: self.workers,
            keys: self.keys,
            key_choice: self.key_choice,
            value_len: self.value_len.clone(),
            mix: self.mix,
            orders: self.orders,
            scrub: Scrub::default(),
            span: self.ops.map_or(Span::DurationMs(millis), Span::Ops),
            warmup: self.warmup,
            pin: self.pin.clone(),
            pin_readers: self.pin_readers.clone(),
            memory: match self.node {
                Some(node) => Memory::Node(node),
                None if self.interleave => Memory::Interleave,
                None if self.per_lane => Memory::PerLane,
                None => Memory::Local,
            },
            huge_pages: self.huge_pages,
            slots: self.slots,
            max_value_len: self.max_value_len,
            dim: self.dim,
            backing: self.backing.clone(),
            seed: self.seed,
            oracle: !self.no_oracle,
            histogram: !self.no_histogram,
            sample: self.sample,
            allow_misplacement: self.allow_misplacement,
            history: self.history.as_ref().map(|_| self.history_limit),
        };
        workload.validate()?;
        if self.history_file().is_some() && self.scrub.0.len() > 1 {
            return Err("a history file is of one run: choose one level with --scrub".to_owned());
        }
        Ok(self
            .scrub
            .0
            .iter()
            .map(|&scrub| Workload {
                scrub,
                ..workload.clone()
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        run: RunArguments,
    }

    fn workloads(flags: &str) -> Vec<Workload> {
        Only::try_parse_from(["x"].into_iter().chain(flags.split_whitespace()))
            .unwrap()
            .run
            .workloads()
            .unwrap()
    }

    #[test]
    fn no_flags_are_the_default_workload_at_every_scrub_level() {
        let all = workloads("");
        assert_eq!(all.len(), 3);
        for (workload, scrub) in all.into_iter().zip(Scrub::ALL) {
            assert_eq!(
                workload,
                Workload {
                    scrub,
                    ..Workload::default()
                }
            );
        }
    }

    #[test]
    fn flags_end_up_in_the_workload() {
        let workload = workloads(
            "--scrub none --ops 5k --pin 0-1 --pin-readers none --interleave --huge-pages --backing shared:x --no-oracle --mix int",
        )
        .remove(0);
        let expected = Workload {
            scrub: Scrub::None,
            span: Span::Ops(5_000),
            pin: Pin::List(vec![0, 1]),
            pin_readers: Some(Pin::None),
            memory: Memory::Interleave,
            huge_pages: Huge::Collapse,
            backing: Backing::Shared("x".to_owned()),
            oracle: false,
            mix: "int".parse().unwrap(),
            ..Workload::default()
        };
        assert_eq!(workload, expected);
    }
}
