//! The list of rows: what is measured on each set of vectors, what it is held against, and where it has a target. This is
//! the one place that states a target.

use super::scene::{LABEL, Scene};
use crate::limits::Limit;
use crate::micro::goal::{Against, Claim, Goal};
use crate::micro::paired::Paired;
use crate::pinning;
use crate::unit::Unit;
use splinter_harness::stats::paired::Bound;
use std::sync::Arc;
use std::time::Duration;

/// Keys and components of the vectors that the targets in milliseconds are for.
const OF_TARGET: [usize; 2] = [100_000, 768];

/// From how many keys on two threads must be worth it.
const KEYS_OF_THREADS: usize = 1_000_000;

/// Names that other rows refer to.
pub(super) const SEARCH: &str = "search, p50";
const SEARCH_P99: &str = "search, p99";
const EXACT: &str = "exact search";
const BARE: &str = "bare pass";
const ONE_THREAD: &str = "1 thread";

/// What a row measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The recall of so many, once.
    Recall(usize),
    /// The median of the times of a search, or the 99th percentile.
    Search(usize),
    /// The time of an exact search.
    Exact,
    /// The time of the least that an exact search could do.
    Bare,
    /// The time of the original's loop.
    Original,
    /// The median of the times of a search with a filter.
    Filter,
    /// Searches per second by so many threads.
    Rate(usize),
    /// The median of the times while a writer is at work, or the 99th percentile.
    UnderWrites(usize),
    /// The time to set a vector without a sketch, or what the sketch adds.
    Set(usize),
}

/// One row, before it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it measures.
    pub what: What,
    /// What it claims.
    pub claim: Claim,
    /// Whether it must reach its goal; else the goal has what it is compared with, if that was measured.
    pub has_target: bool,
}

/// What the targets depend on.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Keys.
    pub keys: usize,
    /// Components of a vector.
    pub dim: usize,
    /// The least recall of the ten nearest, where there is a target.
    pub recall: Option<f64>,
    /// Processors that this process may use.
    pub processors: usize,
    /// Length of one sample.
    pub budget: Duration,
    /// Searches of which one sample has the percentiles.
    pub batch: usize,
    /// The same while a writer is at work.
    pub batch_under_writes: usize,
    /// The first processor that is not the one of the searches, as an index.
    pub writer_processor: usize,
}

/// Takes one sample of a row.
pub type Sample<'a> = Box<dyn FnMut() -> Result<f64, String> + 'a>;

/// Returns the time that a search may take on this processor, if that is known.
fn most_ns() -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq") {
            return Some(1.0e6);
        }
        if is_x86_feature_detected!("avx2") {
            return Some(1.6e6);
        }
    }
    None
}

/// Returns the rows of a set of vectors, in the order they are listed.
#[must_use]
pub fn of_vectors(scope: &Scope) -> Vec<Entry> {
    let entry = |what, name: &str, unit, goal: Option<Goal>, has_target| {
        let goal = goal.unwrap_or_else(|| Goal::figure(Bound::AtMost, 1.0));
        Entry { what, claim: Claim::new(name, unit, goal), has_target }
    };
    let ns = |what, name: &str, goal: Option<Goal>, has_target| {
        entry(what, name, Unit::Nanoseconds, goal, has_target)
    };
    let recall = |k, target: Option<f64>| {
        let target_or_all = target.unwrap_or(1.0);
        let goal = Goal { bound: Bound::AtLeast, target: target_or_all, against: Against::Figure(1.0) };
        entry(What::Recall(k), &format!("recall@{k}"), Unit::Share, Some(goal), target.is_some())
    };
    let most = most_ns().filter(|_| [scope.keys, scope.dim] == OF_TARGET);
    let figure = most.map(|ns| Goal::figure(Bound::AtMost, ns));
    let against = |bound, factor, series| Some(Goal::of_series(bound, factor, series));
    let rate = |threads: usize| {
        let name = if threads == 1 { ONE_THREAD.to_owned() } else { format!("{threads} threads") };
        let target = if threads == 2 { 1.8 } else { 1.0 };
        let goal = if threads == 1 { None } else { against(Bound::AtLeast, target, ONE_THREAD) };
        let has_target = threads == 2 && scope.keys >= KEYS_OF_THREADS;
        let mut row = entry(What::Rate(threads), &name, Unit::PerSecond, goal, has_target);
        if threads > scope.processors {
            row.claim = row.claim.not_comparable("this process may use one processor");
        }
        row
    };
    let mut rows = vec![
        recall(1, None),
        recall(10, scope.recall),
        recall(100, None),
        ns(What::Search(0), SEARCH, figure, most.is_some()),
        ns(What::Search(1), SEARCH_P99, None, false),
        ns(What::Filter, "filter of 1 %, p50", against(Bound::AtMost, 0.4, SEARCH), true),
        ns(What::Exact, EXACT, against(Bound::AtMost, 1.1, BARE), true),
        ns(What::Bare, BARE, None, false),
        ns(What::Original, "the original's loop", against(Bound::AtLeast, 4.0, EXACT), true),
        rate(1),
        rate(2),
    ];
    if scope.processors > 2 {
        rows.push(rate(scope.processors));
    }
    let writes = [("under writes, p50", SEARCH, 2.0, false), ("under writes, p99", SEARCH_P99, 2.0, true)];
    for (part, (name, idle, factor, has_target)) in writes.into_iter().enumerate() {
        let mut row = ns(What::UnderWrites(part), name, against(Bound::AtMost, factor, idle), has_target);
        if scope.processors < 2 {
            row.claim = row.claim.not_comparable("the writer has no processor of its own");
        }
        rows.push(row);
    }
    rows
}

/// Returns the rows of setting vectors.
#[must_use]
pub fn of_sets() -> Vec<Entry> {
    let row = |part, name: &str, goal, has_target| Entry {
        what: What::Set(part),
        claim: Claim::new(name, Unit::Nanoseconds, goal),
        has_target,
    };
    vec![
        row(0, "set_vector without sketches", Goal::figure(Bound::AtMost, 1.0), false),
        row(1, "set_vector, added by its sketch", Goal::figure(Bound::AtMost, 2000.0), true),
    ]
}

/// Tells whether the ratio of a row without a target says something: it is held against another row.
#[must_use]
pub fn is_compared(claim: &Claim) -> bool {
    matches!(claim.goal.against, Against::Measured(_))
}

/// Makes what takes the samples of each row; none for what is found out once.
pub fn samples<'a>(rows: &[Entry], scene: &'a Arc<Scene>, scope: Scope) -> Vec<Option<Sample<'a>>> {
    let mut idle = Paired::halves(move || scene.latencies(scope.batch, 0)).map(Some);
    let under_writes =
        Paired::halves(move || scene.under_writes(scope.batch_under_writes, scope.writer_processor));
    let mut under_writes = under_writes.map(Some);
    let sample = |row: &Entry| -> Option<Sample<'a>> {
        Some(match row.what {
            What::Recall(_) | What::Set(_) => return None,
            What::Search(part) => idle[part].take()?,
            What::UnderWrites(part) => under_writes[part].take()?,
            What::Filter => Box::new(move || Ok(scene.latencies(scope.batch, LABEL)?[0])),
            What::Exact => Box::new(move || scene.exact(scope.budget)),
            What::Bare => Box::new(move || scene.bare_pass(scope.budget)),
            What::Original => Box::new(move || scene.original(scope.budget)),
            What::Rate(threads) => Box::new(move || {
                let scene = Arc::clone(scene);
                pinning::unpinned(move || scene.rate(threads, scope.budget))?
            }),
        })
    };
    rows.iter().map(sample).collect()
}

/// Tells whether a name is a limit's of the machine: no row may have it, or it would be judged as if it were one.
#[must_use]
pub fn is_limit(name: &str) -> bool {
    Limit::ALL.iter().any(|limit| limit.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn scope(keys: usize, processors: usize) -> Scope {
        Scope {
            keys,
            dim: 768,
            recall: Some(0.98),
            processors,
            budget: Duration::from_millis(1),
            batch: 10,
            batch_under_writes: 10,
            writer_processor: 0,
        }
    }

    fn row(rows: &[Entry], name: &str) -> Entry {
        rows.iter().find(|row| row.claim.name == name).expect("there is such a row").clone()
    }

    #[test]
    fn rows_are_held_against_rows_of_the_list_and_no_name_is_there_twice() {
        let mut rows = of_vectors(&scope(1_000, 8));
        rows.extend(of_sets());
        for (at, it) in rows.iter().enumerate() {
            assert!(rows[..at].iter().all(|other| other.claim.name != it.claim.name));
            assert!(!is_limit(&it.claim.name));
            let found = rows.iter().filter(|other| it.claim.goal.against.takes(&other.claim.name)).count();
            assert_eq!(found, usize::from(is_compared(&it.claim)), "{}", it.claim.name);
        }
    }

    #[test]
    fn times_have_targets_at_one_size_and_threads_from_a_million_on() {
        for (keys, of_time, of_threads) in
            [(10_000, false, false), (100_000, most_ns().is_some(), false), (1_000_000, false, true)]
        {
            let rows = of_vectors(&scope(keys, 2));
            assert_eq!(row(&rows, SEARCH).has_target, of_time);
            assert_eq!(row(&rows, "2 threads").has_target, of_threads);
        }
        let alone = of_vectors(&scope(10_000, 1));
        assert!(row(&alone, "under writes, p99").claim.not_comparable.is_some());
        let open = Scope { recall: None, ..scope(10_000, 2) };
        assert!(!row(&of_vectors(&open), "recall@10").has_target);
    }
}
