//! The flags that make up a workload, of `run` and of `matrix`, and the workloads that those of `run` stand for. A flag
//! that is not given leaves what the workload file says, or what is so by default.

use crate::choice::KeyChoice;
use crate::length::ValueLen;
use crate::matrix::axis::{Axis, Setting};
use crate::mix::Mix;
use crate::options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
use crate::pace::Arrivals;
use crate::text::{parse_count, parse_duration};
use crate::workload::Workload;
use crate::workload::file::{self, Loaded};
use clap::Args;
use splinter::{Profile, Scrub, StoreError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Operations that a history has room for where nobody says.
const HISTORY_LIMIT: u64 = 4_000_000;

/// What to run, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) flags: WorkloadFlags,

    /// Prints the workload as a file for --workload, and runs nothing
    #[arg(long, conflicts_with_all = ["json", "record", "hdr"], help_heading = "Results")]
    pub(super) print_workload: bool,
    /// Has figures count, not only invariants: runs again, at most N times, while others disturb the run; if they still do,
    /// it is inconclusive
    #[arg(long, value_name = "N", help_heading = "Results")]
    pub(super) again: Option<u32>,
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

/// What to run, and where.
#[derive(Args, Clone, Debug)]
pub struct WorkloadFlags {
    /// Workers that write [default: 32]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    writers: Option<u32>,
    /// Workers that only read [default: 32]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    readers: Option<u32>,
    /// How keys are chosen: lanes (each writer its own), uniform, zipf:THETA, hot:K or single [default: lanes]
    #[arg(long, value_name = "CHOICE", help_heading = "Workload")]
    key_choice: Option<KeyChoice>,
    /// Bytes of a value: 64, 16..256 (any of these) or 64,256,4096 (one of these) [default: 64]
    #[arg(long, value_name = "LEN", help_heading = "Workload")]
    value_len: Option<ValueLen>,
    /// Scrub level: none, hybrid, full or all, one after the other [default: all]
    #[arg(long, value_name = "LEVEL", value_parser = parse_scrub, help_heading = "Workload")]
    scrub: Option<Scrubs>,
    /// Where workers run: none, compact, scatter, node:N, llc:N (a last-level cache), per-node,
    /// per-llc, per-core or processors as in 0-3,8 [default: scatter]
    #[arg(long, value_name = "WHERE", help_heading = "Placement")]
    pin: Option<Pin>,

    #[command(flatten)]
    rest: WorkloadArguments,
}

/// What is the same in all cells of a matrix.
#[derive(Args, Clone, Debug)]
pub(super) struct WorkloadArguments {
    /// Reads the workload from a TOML file, as 'run --print-workload' prints it; flags beside it win. For
    /// 'matrix' its axes may be lists
    #[arg(long, value_name = "FILE", help_heading = "Workload")]
    workload: Option<PathBuf>,
    /// Workers that hear of every change and read what changed; they come behind the readers [default: 0]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    watchers: Option<u32>,
    /// Signal groups that the keys are dealt over; every watcher watches all of them [default: 1]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    watch_groups: Option<u8>,
    /// Watches the whole store instead of groups
    #[arg(long, conflicts_with = "watch_groups", help_heading = "Workload")]
    watch_all: bool,
    /// What a worker is: threads or processes [default: threads]
    #[arg(long, value_name = "KIND", help_heading = "Workload")]
    workers: Option<Workers>,
    /// Keys that hold values, as in 20000, 20k or 1M [default: 4096]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Workload")]
    keys: Option<u64>,
    /// What writers do, with weights: get, set, append, int, tandem, vector, label, unset, as in
    /// set=90,get=10 [default: set=1]
    #[arg(long, value_name = "MIX", help_heading = "Workload")]
    mix: Option<Mix>,
    /// Orders of a tandem group [default: 3]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    orders: Option<u32>,
    /// Values that a reader gets in one call [default: 1]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    batch: Option<u32>,
    /// Seed of all random choices [default: 1]
    #[arg(long, value_name = "N", help_heading = "Workload")]
    seed: Option<u64>,

    /// Starts so many operations per second, all workers together, however long they take: an open
    /// loop, as in 50k or 1M [default: each worker starts the next when the last has returned]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Rate")]
    rate: Option<u64>,
    /// How the starts at a rate follow each other: uniform or poisson [default: uniform]
    #[arg(long, value_name = "KIND", help_heading = "Rate")]
    arrivals: Option<Arrivals>,

    /// How long each run is measured, as in 500ms, 5s or 2m [default: 5s]
    #[arg(long, value_name = "SPAN", value_parser = parse_duration, help_heading = "Length")]
    duration: Option<Duration>,
    /// Completed operations instead of a duration, all workers together
    #[arg(long, value_name = "N", value_parser = parse_count, conflicts_with = "duration", help_heading = "Length")]
    ops: Option<u64>,
    /// What is run before: auto (until goodput is steady; nothing with --ops) or a span [default: auto]
    #[arg(long, value_name = "SPAN", help_heading = "Length")]
    warmup: Option<Warmup>,

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
    /// Asks for huge pages: advise, collapse, hugetlb or off [default: off; collapse where none is said]
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "collapse",
        help_heading = "Placement"
    )]
    huge_pages: Option<Huge>,
    /// Counts a run that was not placed as asked
    #[arg(long, help_heading = "Placement")]
    allow_misplacement: bool,

    /// Reads where workers and memory are, the store's scrub level, huge pages and tuning from a profile, as 'splinter-perf tune'
    /// writes it; flags beside it win
    #[arg(long, value_name = "FILE", help_heading = "Tuning")]
    profile: Option<PathBuf>,
    /// Looks at another writer's claim before it is asked whether that one lives [default: as is in force, 32]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    claim_patience: Option<u32>,
    /// Most pauses between two tries of an integer operation [default: as is in force, 1024]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    back_off_pauses: Option<u32>,
    /// How long a watcher spins before it sleeps [default: as is in force, 10000]
    #[arg(long, value_name = "NANOSECONDS", value_parser = parse_count, help_heading = "Tuning")]
    spin_ns: Option<u64>,
    /// Keys of a batch that are fetched from memory together [default: as is in force, 32]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    prefetch_depth: Option<u32>,

    /// Slots of the store [default: as many as the keys need]
    #[arg(long, value_name = "N", value_parser = parse_count, help_heading = "Store")]
    slots: Option<u64>,
    /// Longest value of the store [default: as long as the workload needs]
    #[arg(long, value_name = "BYTES", value_parser = parse_count, help_heading = "Store")]
    max_value_len: Option<u64>,
    /// Vector dimension [default: 768 where the mix has vectors, else 0]
    #[arg(long, value_name = "N", help_heading = "Store")]
    dim: Option<u32>,
    /// Where the store lives: anonymous, shared:NAME or file:PATH; it is removed afterwards [default: anonymous]
    #[arg(long, value_name = "WHERE", help_heading = "Store")]
    backing: Option<Backing>,

    /// Keeps a history of all operations and checks that it is linearizable; writes it to a file, if one is given
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        help_heading = "Observer"
    )]
    history: Option<Option<PathBuf>>,
    /// Operations that a history has room for, all workers together; the run ends when it is full [default: 4M]
    #[arg(long, value_name = "N", value_parser = parse_count, requires = "history", help_heading = "Observer")]
    history_limit: Option<u64>,
    /// Times one attempt of N [default: 1]
    #[arg(long, value_name = "N", help_heading = "Observer")]
    sample: Option<u32>,
    /// Leaves latencies unrecorded
    #[arg(long, help_heading = "Observer")]
    no_histogram: bool,
    /// Records latencies, though the file of --workload says not to
    #[arg(long, overrides_with = "no_histogram", help_heading = "Observer")]
    histogram: bool,
    /// Leaves values unchecked
    #[arg(long, help_heading = "Observer")]
    no_oracle: bool,
    /// Checks values, though the file of --workload says not to
    #[arg(long, overrides_with = "no_oracle", help_heading = "Observer")]
    oracle: bool,
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

impl WorkloadArguments {
    /// Reads the workload file, if there is one; some fields of it may have lists.
    ///
    /// # Errors
    /// One line that says what is wrong with it, and where.
    pub(super) fn load(&self, listable: &[&str]) -> Result<Option<Loaded>, String> {
        let path = self.workload.as_deref();
        path.map(|path| file::load(path, listable)).transpose()
    }

    /// Returns the name of the workload file, for messages about what is in it.
    pub(super) fn file(&self) -> &Path {
        self.workload.as_deref().unwrap_or(Path::new(""))
    }

    /// Returns where the history is to be written.
    pub(super) fn history_file(&self) -> Option<&Path> {
        self.history.as_ref()?.as_deref()
    }

    /// Returns the files that are read, and the one that is the store for a while.
    pub(super) fn inputs<'a>(&'a self, workload: &'a Workload) -> [Option<&'a Path>; 3] {
        let store = match &workload.backing {
            Backing::File(path) => Some(path.as_path()),
            Backing::Anonymous | Backing::Shared(_) => None,
        };
        [self.workload.as_deref(), self.profile.as_deref(), store]
    }

    /// Tells whether file or profile have a scrub level.
    fn says_scrub(&self) -> Result<bool, String> {
        let listed = self.load(&[Axis::Scrub.field()])?;
        let profile = self.read_profile()?;
        Ok(listed.is_some_and(|loaded| !loaded.lists.is_empty())
            || profile.is_some_and(|profile| profile.scrub.is_some()))
    }

    /// Reads the profile, if one is given.
    ///
    /// # Errors
    /// One line that says what is wrong with it, and where.
    fn read_profile(&self) -> Result<Option<Profile>, String> {
        let load = |path| Profile::load(path).map_err(|error: StoreError| error.to_string());
        self.profile.as_deref().map(load).transpose()
    }

    /// Returns a workload with what the profile says in place of what it had, and what the flags say in place of both.
    ///
    /// # Errors
    /// What is wrong with the profile.
    pub(super) fn over_profile(
        &self,
        base: Workload,
        axes: impl FnOnce(Workload) -> Workload,
    ) -> Result<Workload, String> {
        let Some(profile) = self.read_profile()? else {
            return Ok(self.over(axes(base)));
        };
        let base = base.under(&profile)?;
        let workload = self.over(axes(base));
        // What is asked for in so many words is had.
        let factor = self.slots.map_or(profile.slot_factor, |_| 1);
        Ok(workload.roomier(factor))
    }

    /// Returns a workload with what the flags say in place of what it had.
    pub(super) fn over(&self, base: Workload) -> Workload {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let span = self.duration.map(|span| Span::DurationMs(millis(span)));
        let memory = match self.node {
            Some(node) => Some(Memory::Node(node)),
            None if self.interleave => Some(Memory::Interleave),
            None if self.per_lane => Some(Memory::PerLane),
            None => None,
        };
        let history_limit = self.history_limit.or(base.history);
        Workload {
            watchers: self.watchers.unwrap_or(base.watchers),
            watch_groups: self.watch_groups.unwrap_or(base.watch_groups),
            watch_all: self.watch_all || (base.watch_all && self.watch_groups.is_none()),
            workers: self.workers.unwrap_or(base.workers),
            keys: self.keys.unwrap_or(base.keys),
            mix: self.mix.unwrap_or(base.mix),
            orders: self.orders.unwrap_or(base.orders),
            batch: self.batch.unwrap_or(base.batch),
            rate: self.rate.or(base.rate),
            arrivals: self.arrivals.unwrap_or(base.arrivals),
            span: self.ops.map(Span::Ops).or(span).unwrap_or(base.span),
            warmup: self.warmup.unwrap_or(base.warmup),
            pin_readers: self.pin_readers.clone().or(base.pin_readers),
            memory: memory.unwrap_or(base.memory),
            huge_pages: self.huge_pages.unwrap_or(base.huge_pages),
            claim_patience: self.claim_patience.or(base.claim_patience),
            back_off_pauses: self.back_off_pauses.or(base.back_off_pauses),
            spin_ns: self.spin_ns.or(base.spin_ns),
            prefetch_depth: self.prefetch_depth.or(base.prefetch_depth),
            slots: self.slots.or(base.slots),
            max_value_len: self.max_value_len.or(base.max_value_len),
            dim: self.dim.or(base.dim),
            backing: self.backing.clone().unwrap_or(base.backing),
            seed: self.seed.unwrap_or(base.seed),
            oracle: self.oracle || base.oracle && !self.no_oracle,
            histogram: self.histogram || base.histogram && !self.no_histogram,
            sample: self.sample.unwrap_or(base.sample),
            allow_misplacement: base.allow_misplacement || self.allow_misplacement,
            history: match self.history {
                Some(_) => history_limit.or(Some(HISTORY_LIMIT)),
                None => base.history,
            },
            // The axes of a matrix.
            writers: base.writers,
            readers: base.readers,
            key_choice: base.key_choice,
            value_len: base.value_len,
            scrub: base.scrub,
            pin: base.pin,
        }
    }
}

impl WorkloadFlags {
    /// Returns the one workload that these flags stand for, sound; its scrub level is that by default where none is said.
    ///
    /// # Errors
    /// One line that says what is wrong, or that there are several.
    pub fn workload(&self) -> Result<Workload, String> {
        let mut flags = self.clone();
        let asked = self.rest.says_scrub()?;
        if flags.scrub.is_none() && !asked {
            flags.scrub = Some(Scrubs(vec![Workload::default().scrub]));
        }
        let mut all = flags.workloads()?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err("this is of one scrub level: choose one with --scrub".to_owned()),
        }
    }

    /// Returns how long a run is to be measured, if flags or file say so.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub fn duration(&self) -> Result<Option<Duration>, String> {
        if self.rest.duration.is_some() {
            return Ok(self.rest.duration);
        }
        let loaded = self.rest.load(&[Axis::Scrub.field()])?;
        let span = loaded.map(|loaded| loaded.workload.span);
        Ok(match span {
            Some(Span::DurationMs(millis)) if span != Some(Workload::default().span) => {
                Some(Duration::from_millis(millis))
            }
            _ => None,
        })
    }

    /// Returns where the history is to be written.
    pub(super) fn history_file(&self) -> Option<&Path> {
        self.rest.history_file()
    }

    /// Returns the files that a command with these flags reads, and the one that the store of their workload is in: no
    /// results go there.
    #[must_use]
    pub fn inputs<'a>(&'a self, workload: &'a Workload) -> [Option<&'a Path>; 3] {
        self.rest.inputs(workload)
    }

    /// Returns the workloads that these flags stand for: one per scrub level, sound.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn workloads(&self) -> Result<Vec<Workload>, String> {
        let mut levels = Scrub::ALL.to_vec();
        let mut base = Workload::default();
        if let Some(Loaded { workload, lists }) = self.rest.load(&[Axis::Scrub.field()])? {
            if let Some(list) = lists.first() {
                let settings = Axis::Scrub.read(list);
                let settings = settings.map_err(|mistake| mistake.of(self.rest.file()))?;
                let level = |setting: &Setting| setting.over(&workload).scrub;
                levels = settings.iter().map(level).collect();
            }
            base = workload;
        }
        if let Some(Scrubs(given)) = &self.scrub {
            levels.clone_from(given);
        }
        let scrub = self.rest.read_profile()?.and_then(|profile| profile.scrub);
        if let (Some(scrub), None) = (scrub, &self.scrub) {
            levels = vec![scrub];
        }
        let workload = self.rest.over_profile(base, |base| Workload {
            writers: self.writers.unwrap_or(base.writers),
            readers: self.readers.unwrap_or(base.readers),
            key_choice: self.key_choice.unwrap_or(base.key_choice),
            value_len: self.value_len.clone().unwrap_or(base.value_len.clone()),
            pin: self.pin.clone().unwrap_or(base.pin.clone()),
            ..base
        })?;
        workload.validate()?;
        if self.history_file().is_some() && levels.len() > 1 {
            return Err("a history file is of one run: choose one level with --scrub".to_owned());
        }
        Ok(levels
            .into_iter()
            .map(|scrub| Workload {
                scrub,
                ..workload.clone()
            })
            .collect())
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
