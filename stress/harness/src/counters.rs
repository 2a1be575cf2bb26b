//! Hardware and software counters of the calling thread, by perf_event_open, where the kernel allows it: what an operation
//! takes beside time. A measured stretch lies between [`start`] and [`end`]; on a thread that [`open`] was not called on, both
//! do nothing.

use nix::sys::resource::{Resource, getrlimit};
use perf_event::events::{Cache, CacheId, CacheOp, CacheResult, Event, Hardware, Software};
use perf_event::{Builder, CountAndTime, Counter};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The names of all events.
pub const NAMES: [&str; 8] = [
    "instructions",
    "cycles",
    "llc_misses",
    "dtlb_misses",
    "context_switches",
    "migrations",
    "page_faults",
    "task_clock_ns",
];

/// Counts per operation, by name; only those that are known.
pub type PerOperation = BTreeMap<&'static str, f64>;

/// What one counter says. The kernel lets counters take turns where the processor has too few: then it ran for less time than
/// it was to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    count: u64,
    enabled_ns: u64,
    running_ns: u64,
}

impl Reading {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            enabled_ns: self.enabled_ns + other.enabled_ns,
            running_ns: self.running_ns + other.running_ns,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            enabled_ns: self.enabled_ns.saturating_sub(before.enabled_ns),
            running_ns: self.running_ns.saturating_sub(before.running_ns),
        }
    }

    /// Returns the count that all of the time would have had; unknown where the counter never ran.
    fn scaled(self) -> Option<u64> {
        let share = self.enabled_ns as f64 / self.running_ns as f64;
        (self.running_ns > 0).then(|| (self.count as f64 * share).round() as u64)
    }
}

/// What was counted, by name, in some operations. What could not be read once is unknown in all sums with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    counts: BTreeMap<&'static str, Option<Reading>>,
    operations: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            let sum = self.counts.entry(name).or_insert(Some(Reading::default()));
            *sum = sum.zip(*count).map(|(sum, count)| sum.plus(count));
        }
        self.operations += other.operations;
    }

    /// Returns the counts of one operation, the mean; none without any.
    #[must_use]
    pub fn per_operation(&self) -> PerOperation {
        let counts = self.events().filter(|_| self.operations > 0);
        counts.map(|(name, count)| (name, mean(count, self.operations))).collect()
    }

    /// Returns the known counts, by name.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().filter_map(|(name, count)| Some((*name, count.as_ref()?.scaled()?)))
    }
}

/// Returns the mean of a count over some operations, with four decimals.
#[must_use]
pub fn mean(count: u64, operations: u64) -> f64 {
    (count as f64 / operations as f64 * 1e4).round() / 1e4
}

/// The counters of a thread, and what they counted since they were asked last.
#[derive(Default)]
struct Session {
    counters: Vec<(&'static str, Counter)>,
    before: Vec<Option<Reading>>,
    counts: Counts,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// Opens a counter of the calling thread; of the kernel too, if that is asked for and allowed. Where the environment has
/// `SPLINTER_COUNTERS=off`, none is opened: some kernels, as those of emulated machines, take minutes to switch counters on.
fn counter(event: impl Event, with_kernel: bool) -> std::io::Result<Counter> {
    if std::env::var_os("SPLINTER_COUNTERS").is_some_and(|value| value == "off") {
        return Err(std::io::Error::other("SPLINTER_COUNTERS=off"));
    }
    let mut builder = Builder::new(event);
    if with_kernel {
        builder.include_kernel();
    }
    let mut counter = builder.build()?;
    counter.enable()?;
    Ok(counter)
}

/// Opens the counters of the calling thread, as many as there are; none with `SPLINTER_COUNTERS=off` in the environment.
pub fn open() {
    let miss = |which| Cache { which, operation: CacheOp::READ, result: CacheResult::MISS };
    let counters = [
        counter(Hardware::INSTRUCTIONS, false),
        counter(Hardware::CPU_CYCLES, false),
        counter(miss(CacheId::LL), false),
        counter(miss(CacheId::DTLB), false),
        counter(Software::CONTEXT_SWITCHES, true),
        counter(Software::CPU_MIGRATIONS, true),
        counter(Software::PAGE_FAULTS, true),
        counter(Software::TASK_CLOCK, true),
    ];
    let counters = NAMES.into_iter().zip(counters);
    SESSION.with_borrow_mut(|session| {
        session.counters = counters.filter_map(|(name, counter)| Some((name, counter.ok()?))).collect();
    });
}

/// Opens the counters of the calling thread, one of `threads` of this process that do so; none where all of them together
/// would take more than half of the files that the process may open.
pub fn open_one_of(threads: u32) {
    let files = u64::from(threads) * NAMES.len() as u64;
    if getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(limit, _)| files <= limit / 2) {
        open();
    }
}

/// Tells whether hardware counters can be read here.
///
/// # Errors
/// Why not: what the kernel said, or that the environment turns them off.
pub fn hardware() -> Result<(), String> {
    let opened = counter(Hardware::INSTRUCTIONS, false);
    opened.map(drop).map_err(|error| error.to_string())
}

/// Tells whether software counters can be read here.
///
/// # Errors
/// Why not: what the kernel said, or that the environment turns them off.
pub fn software() -> Result<(), String> {
    let opened = counter(Software::CONTEXT_SWITCHES, true);
    opened.map(drop).map_err(|error| error.to_string())
}

/// Begins to count.
pub fn start() {
    SESSION.with_borrow_mut(|session| session.before = session.read());
}

/// Ends counting: since [`start`] there were so many operations.
pub fn end(operations: u64) {
    SESSION.with_borrow_mut(|session| {
        let now = session.read();
        let names = session.counters.iter().map(|(name, _)| *name);
        let both = session.before.iter().zip(&now);
        let counts = names.zip(both.map(|(before, now)| Some(now.as_ref()?.since((*before)?))));
        let counts = Counts { counts: counts.collect(), operations };
        session.counts.add(&counts);
    });
}

/// Returns what was counted on this thread since it was asked last.
#[must_use]
pub fn take() -> Counts {
    SESSION.with_borrow_mut(|session| std::mem::take(&mut session.counts))
}

impl Session {
    fn read(&mut self) -> Vec<Option<Reading>> {
        let read = |(_, counter): &mut (_, Counter)| {
            let CountAndTime { count, time_enabled, time_running } = counter.read_count_and_time().ok()?;
            Some(Reading { count, enabled_ns: time_enabled, running_ns: time_running })
        };
        self.counters.iter_mut().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::skipped;

    /// Some instructions as count, time to run and time that it ran.
    fn of(instructions: Option<[u64; 3]>, operations: u64) -> Counts {
        let reading = |[count, enabled_ns, running_ns]: [u64; 3]| Reading { count, enabled_ns, running_ns };
        Counts { counts: BTreeMap::from([("instructions", instructions.map(reading))]), operations }
    }

    #[test]
    fn counts_are_means_over_all_operations() {
        let mut counts = of(Some([100, 7, 7]), 10);
        counts.add(&of(Some([500, 9, 9]), 20));
        assert_eq!(counts.per_operation(), BTreeMap::from([("instructions", 20.0)]));
        assert!(of(Some([5, 1, 1]), 0).per_operation().is_empty());
        assert!(Counts::default().per_operation().is_empty());
    }

    #[test]
    fn a_counter_that_took_turns_is_scaled_to_all_of_the_time() {
        let mut counts = of(Some([100, 50, 50]), 10);
        // For the whole of one sample others had its turn.
        counts.add(&of(Some([0, 50, 0]), 10));
        assert_eq!(counts.per_operation(), BTreeMap::from([("instructions", 10.0)]));
        assert!(of(Some([0, 50, 0]), 10).per_operation().is_empty(), "it never ran");
    }

    #[test]
    fn a_count_that_could_not_be_read_once_is_unknown() {
        for (first, second) in [(None, Some([5, 1, 1])), (Some([5, 1, 1]), None)] {
            let mut counts = Counts::default();
            counts.add(&of(first, 1));
            counts.add(&of(second, 1));
            assert!(counts.per_operation().is_empty());
        }
    }

    #[test]
    fn a_thread_counts_its_own_page_faults_where_it_may() {
        std::thread::spawn(|| {
            start();
            end(1);
            assert!(take().counts.is_empty(), "nothing was opened");
            open();
            start();
            // 64 pages, each touched first here.
            memmap2::MmapMut::map_anon(64 * 4096).unwrap().fill(1);
            std::thread::sleep(std::time::Duration::from_millis(1));
            end(1);
            let counts = take().per_operation();
            match software() {
                // A huge page is one fault.
                Ok(()) => ["page_faults", "context_switches", "task_clock_ns"].into_iter().for_each(|name| {
                    assert!(counts[name] >= 1.0, "{name}: {counts:?}");
                }),
                Err(why) => skipped(&format!("software counters: {why}")),
            }
            match hardware() {
                Ok(()) => assert!(counts["instructions"] > 0.0, "{counts:?}"),
                Err(why) => skipped(&format!("hardware counters: {why}")),
            }
            assert_eq!(take(), Counts::default());
        })
        .join()
        .unwrap();
    }
}
