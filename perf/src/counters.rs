//! Hardware and software counters of the calling thread, by perf_event_open, where the kernel allows it: what an operation
//! takes beside time. [`clock::ns_per_op`](crate::clock::ns_per_op) brackets its timed laps with [`start`] and [`end`]; on a
//! thread that [`open`] was not called on, both do nothing.

use perf_event::events::{Cache, CacheId, CacheOp, CacheResult, Event, Hardware, Software};
use perf_event::{Builder, Counter};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Counts per operation, by name; only those that could be read.
pub type PerOperation = BTreeMap<&'static str, f64>;

/// What was counted, by name, in some operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    counts: BTreeMap<&'static str, u64>,
    operations: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.operations += other.operations;
    }

    /// Returns the counts of one operation, the mean; none without any.
    #[must_use]
    pub fn per_operation(&self) -> PerOperation {
        let each = |count: u64| (count as f64 / self.operations as f64 * 1e4).round() / 1e4;
        let counts = self.counts.iter().filter(|_| self.operations > 0);
        counts.map(|(name, count)| (*name, each(*count))).collect()
    }
}

/// The counters of a thread, and what they counted since they were asked last.
#[derive(Default)]
struct Session {
    counters: Vec<(&'static str, Counter)>,
    before: Vec<u64>,
    counts: Counts,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
}

/// Opens a counter of the calling thread; of the kernel too, if that is asked for and allowed.
fn counter(event: impl Event, with_kernel: bool) -> std::io::Result<Counter> {
    let mut builder = Builder::new(event);
    if with_kernel {
        builder.include_kernel();
    }
    let mut counter = builder.build()?;
    counter.enable()?;
    Ok(counter)
}

/// Opens the counters of the calling thread, as many as there are.
pub fn open() {
    let miss = |which| Cache { which, operation: CacheOp::READ, result: CacheResult::MISS };
    let counters = [
        ("instructions", counter(Hardware::INSTRUCTIONS, false)),
        ("cycles", counter(Hardware::CPU_CYCLES, false)),
        ("llc_misses", counter(miss(CacheId::LL), false)),
        ("dtlb_misses", counter(miss(CacheId::DTLB), false)),
        ("context_switches", counter(Software::CONTEXT_SWITCHES, true)),
        ("migrations", counter(Software::CPU_MIGRATIONS, true)),
        ("page_faults", counter(Software::PAGE_FAULTS, true)),
    ];
    let counters = counters.into_iter();
    SESSION.with_borrow_mut(|session| {
        session.counters = counters.filter_map(|(name, counter)| Some((name, counter.ok()?))).collect();
    });
}

/// Tells whether hardware counters can be read here.
///
/// # Errors
/// What the kernel said when it refused them.
pub fn hardware() -> Result<(), String> {
    let opened = counter(Hardware::INSTRUCTIONS, false);
    opened.map(drop).map_err(|error| error.to_string())
}

/// Tells whether software counters can be read here.
///
/// # Errors
/// What the kernel said when it refused them.
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
        let counts = names.zip(both.map(|(before, now)| now.saturating_sub(*before)));
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
    fn read(&mut self) -> Vec<u64> {
        let counters = self.counters.iter_mut();
        counters.map(|(_, counter)| counter.read().unwrap_or(0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_means_over_all_operations() {
        let of = |instructions, operations| Counts {
            counts: BTreeMap::from([("instructions", instructions)]),
            operations,
        };
        let mut counts = of(100, 10);
        counts.add(&of(500, 20));
        assert_eq!(counts.per_operation(), BTreeMap::from([("instructions", 20.0)]));
        assert!(of(5, 0).per_operation().is_empty());
        assert!(Counts::default().per_operation().is_empty());
    }

    #[test]
    fn a_thread_counts_its_own_page_faults_where_it_may() {
        std::thread::spawn(|| {
            start();
            end(1);
            assert!(take().counts.is_empty(), "nothing was opened");
            open();
            start();
            // 64 pages or more, each touched first here.
            let len = 64 * 4096;
            std::hint::black_box(vec![1_u8; len]);
            let pages = crate::limits::pages::Pages::new(len, crate::limits::pages::PageKind::Base);
            drop(pages);
            end(1);
            let counts = take();
            if software().is_ok() {
                assert!(counts.counts["page_faults"] >= 64, "{counts:?}");
            }
            if hardware().is_ok() {
                assert!(counts.counts["instructions"] > 0, "{counts:?}");
            }
            assert_eq!(take(), Counts::default());
        })
        .join()
        .unwrap();
    }
}
