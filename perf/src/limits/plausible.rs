//! Which measured limits cannot be what their names say: a cache that is slower than what lies behind it. Virtual machines
//! report caches that they do not have, or have a small share of. A limit that is refused keeps its samples, gets an error,
//! and bounds nothing. Pure.

use super::Limit;
use crate::unit::Unit;
use splinter_harness::sampler::Series;

/// A cache, something farther away, and the greatest share of the time of that which the cache may take.
///
/// A sibling thread of one core gets a line sooner than the last-level cache has it, hence 2.
const CLOSER: [(Limit, Limit, f64); 8] = [
    (Limit::L1Chase, Limit::L2Chase, 1.1),
    (Limit::L2Chase, Limit::L3Chase, 1.1),
    (Limit::L2Chase, Limit::LineTransfer, 1.0),
    (Limit::L2Chase, Limit::MemoryChaseHuge, 0.9),
    (Limit::L2Chase, Limit::MemoryChase, 0.9),
    (Limit::L3Chase, Limit::MemoryChaseHuge, 0.9),
    (Limit::L3Chase, Limit::MemoryChase, 0.9),
    (Limit::L3Chase, Limit::LineTransfer, 2.0),
];

/// The longest load from a last-level cache, in nanoseconds: large meshes under load take 70 to 100.
const SLOWEST_L3_NS: f64 = 150.0;

impl Limit {
    /// Returns the limits that show whether this one is plausible and are cheap to prepare.
    #[must_use]
    pub fn checked_by(self) -> &'static [Self] {
        match self {
            Self::L2Chase => &[Self::L3Chase, Self::LineTransfer],
            Self::L3Chase => &[Self::LineTransfer],
            _ => &[],
        }
    }
}

/// Gives each implausible limit an error that says why it is.
pub fn refuse(series: &mut [Series]) {
    let median = |limit: Limit| {
        let found = series.iter().find(|it| it.name == limit.name())?;
        Some(found.summary()?.median)
    };
    let refused: Vec<(Limit, String)> = CLOSER
        .iter()
        .filter_map(|&(cache, farther, share)| {
            let (near, far) = (median(cache)?, median(farther)?);
            let why = format!(
                "{} a load, {} takes {}",
                Unit::Nanoseconds.show(near),
                farther.name(),
                Unit::Nanoseconds.show(far)
            );
            (near > share * far).then_some((cache, why))
        })
        .chain(median(Limit::L3Chase).filter(|&ns| ns > SLOWEST_L3_NS).map(|ns| {
            let ns = Unit::Nanoseconds.show(ns);
            (Limit::L3Chase, format!("{ns} a load, no such cache is that slow"))
        }))
        .collect();
    for (limit, why) in refused {
        for found in series.iter_mut().filter(|it| it.name == limit.name()) {
            found.error.get_or_insert_with(|| format!("implausible: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, Series, refuse};

    /// Returns the limits that are refused among medians in nanoseconds.
    fn refused(medians: &[(Limit, f64)]) -> Vec<String> {
        let mut series: Vec<Series> =
            medians.iter().map(|(limit, ns)| Series::of(limit.name(), [*ns])).collect();
        refuse(&mut series);
        let refused = series.iter().filter(|it| it.error.is_some());
        refused.map(|it| it.name.clone()).collect()
    }

    #[test]
    fn the_caches_of_an_honest_machine_are_plausible() {
        let honest = [
            (Limit::L1Chase, 1.2),
            (Limit::L2Chase, 4.0),
            (Limit::L3Chase, 26.0),
            (Limit::MemoryChaseHuge, 90.0),
            (Limit::MemoryChase, 120.0),
            (Limit::LineTransfer, 60.0),
        ];
        assert!(refused(&honest).is_empty());
        // Two threads of one core hand a line over in its first-level cache.
        assert!(refused(&[(Limit::L3Chase, 26.0), (Limit::LineTransfer, 14.0)]).is_empty());
    }

    #[test]
    fn a_last_level_cache_slower_than_memory_or_another_cores_line_is_refused() {
        for farther in
            [(Limit::MemoryChaseHuge, 95.0), (Limit::MemoryChase, 120.0), (Limit::LineTransfer, 60.0)]
        {
            assert_eq!(refused(&[(Limit::L3Chase, 141.0), farther]), ["L3 chase"]);
        }
        assert_eq!(refused(&[(Limit::L3Chase, 600.0)]), ["L3 chase"]);
    }

    #[test]
    fn a_cache_slower_than_the_next_level_is_refused() {
        let second = [(Limit::L2Chase, 40.0), (Limit::L3Chase, 30.0)];
        assert_eq!(refused(&second), ["L2 chase"]);
        let first = [(Limit::L1Chase, 9.0), (Limit::L2Chase, 4.0)];
        assert_eq!(refused(&first), ["L1 chase"]);
    }
}
