//! The choice of scenarios: every pair of operations that makes sense, at every scrub level; then value lengths, key layouts
//! and watchers, each for the pairs that depend on them.

use super::ops::Op;
use super::scenario::{Interruption, KeyLayout, Scenario, ScrubLevel};
use splinter::Scrub;
use splinter_harness::rng::Rng;
use std::collections::BTreeSet;

/// What to sweep.
#[derive(Clone, Debug, Default)]
pub struct SweepPlan {
    /// A few points of every scenario.
    pub quick: bool,
    /// The first operations; all where empty.
    pub firsts: Vec<Op>,
    /// The second operations; all where empty.
    pub seconds: Vec<Op>,
    /// How the first process is interrupted; all ways where empty.
    pub hows: Vec<Interruption>,
    /// The scrub levels; all where empty.
    pub scrubs: Vec<ScrubLevel>,
    /// One scenario alone.
    pub only: Option<Scenario>,
    /// One point of it alone.
    pub point: Option<usize>,
    /// One of this many instructions is tried; 0 leaves it to the plan.
    pub stride: usize,
    /// Seed of the choice of points.
    pub seed: u64,
    /// Processes that sweep, each with its own processor; 0: one for each processor.
    pub jobs: usize,
}

/// The ordinary length: a value that ends with its buffer's cache line.
const LEN: usize = 64;
/// Lengths at the boundaries of cache lines and buffers.
const LENS: [usize; 5] = [0, 1, 63, 65, 192];

impl SweepPlan {
    /// Lists the scenarios, those with the same first operation together.
    pub(super) fn scenarios(&self) -> Vec<Scenario> {
        if let Some(scenario) = self.only {
            return vec![scenario];
        }
        let mut scenarios = BTreeSet::new();
        let ops = Op::ALL;
        for first in ops {
            for second in ops {
                for how in Interruption::ALL {
                    self.of_pair(first, second, how, &mut scenarios);
                }
            }
        }
        let wanted = |scenario: &Scenario| {
            (!self.quick || self.is_sample(scenario))
                && within(&self.firsts, &scenario.first)
                && within(&self.seconds, &scenario.second)
                && within(&self.hows, &scenario.how)
                && within(&self.scrubs, &scenario.scrub)
        };
        let mut scenarios: Vec<Scenario> = scenarios.into_iter().filter(wanted).collect();
        // Scenarios with the same first operation and store share a trace.
        scenarios
            .sort_by_key(|scenario| (scenario.first, scenario.layout, scenario.scrub, scenario.value_len));
        scenarios
    }

    /// Tells whether a quick sweep runs the scenario: it takes one scrub level and length of a pair, by pair and seed.
    fn is_sample(&self, scenario: &Scenario) -> bool {
        let pair = (scenario.first as u64 * 100 + scenario.second as u64) * 10 + scenario.how as u64;
        let mut rng = Rng::new(self.seed, pair);
        if scenario.is_cache() {
            return rng.below(3) == 0;
        }
        if matches!(scenario.first, Op::Create | Op::Open)
            || scenario.first.has_few_partners()
            || scenario.second.has_few_partners()
            || scenario.first.waits()
            || scenario.second.waits()
        {
            return true;
        }
        let level = ScrubLevel::ALL[rng.below(3) as usize];
        let len = LENS[rng.index(LENS.len())];
        let every_other = rng.below(2) == 0;
        let special = scenario.heard || !matches!(scenario.layout, KeyLayout::Same | KeyLayout::Other);
        if special {
            return every_other;
        }
        scenario.scrub == level && [LEN, len].contains(&scenario.value_len)
    }

    fn of_pair(&self, first: Op, second: Op, how: Interruption, scenarios: &mut BTreeSet<Scenario>) {
        let is_plain = |op: Op| !op.waits() && op != Op::Create;
        let mut add = |layout, scrub, value_len, heard| {
            let scenario = Scenario { first, second, how, scrub, value_len, layout, heard };
            if scenario.makes_sense() {
                scenarios.insert(scenario);
            }
        };
        if first.evicts() || second.evicts() {
            use Op::{Evict, EvictLru, Get, Pin, Unset, Update};
            let other = if first.evicts() { second } else { first };
            let is_tried = match (first, second) {
                (EvictLru, _) | (_, EvictLru) => first == second || matches!(other, Update | Pin),
                _ => matches!(other, Get | Update | Unset | Pin | Evict),
            };
            if is_tried {
                add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, false);
            }
            if first == second {
                add(KeyLayout::Other, ScrubLevel::HYBRID, LEN, false);
                add(KeyLayout::Same, ScrubLevel::from(Scrub::Full), LEN, false);
            }
            return;
        }
        if first.has_few_partners() || second.has_few_partners() {
            use Op::{Expire, Get, Transaction, Unset, Update};
            let waits = first.waits() || second.waits();
            let other = if first.has_few_partners() { second } else { first };
            let is_tried = match (first, second) {
                (op, waiter) | (waiter, op) if waits => {
                    waiter.waits()
                        && matches!(op, Expire | Transaction)
                        && (!second.waits() || how != Interruption::Stop)
                }
                _ => first == second || matches!(other, Update | Unset) || second == Get,
            };
            // A key that has expired is found so by the first operation.
            if is_tried && (first.finds_expired() || !second.finds_expired()) {
                add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, waits);
            }
            if (first, second) == (Transaction, Update) {
                add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, true);
                add(KeyLayout::Same, ScrubLevel::from(Scrub::None), LEN, false);
                add(KeyLayout::Same, ScrubLevel::from(Scrub::Full), LEN, false);
            }
            return;
        }
        if first.waits() && second.changes() && second != Op::Rewrite && !second.creates()
            || second.waits()
                && first.changes()
                && first != Op::Rewrite
                && !first.creates()
                && how != Interruption::Stop
        {
            // A watcher is notified of keys that are registered with its group.
            add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, true);
        }
        if first == Op::Open && matches!(second, Op::FirstSet | Op::Update | Op::Unset | Op::Open) {
            add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, false);
        }
        if second == Op::Rewrite && matches!(first, Op::Get | Op::Poll | Op::Watch) {
            for scrub in ScrubLevel::ALL {
                for len in [1, LEN, 65, 192] {
                    add(KeyLayout::Same, scrub, len, first.waits());
                }
            }
        }
        if first == Op::Rewrite || second == Op::Rewrite {
            return;
        }
        if first == Op::Create && matches!(second, Op::Open | Op::Create)
            || first == Op::Open && second == Op::Create
        {
            add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, false);
        }
        if !is_plain(first) || !is_plain(second) || first == Op::Open {
            return;
        }
        for scrub in ScrubLevel::ALL {
            add(KeyLayout::Same, scrub, LEN, false);
            add(KeyLayout::Other, scrub, LEN, false);
            let sized = |op| matches!(op, Op::FirstSet | Op::Update | Op::Append);
            if sized(first) && (sized(second) || second == Op::Get) {
                for len in LENS {
                    add(KeyLayout::Same, scrub, len, false);
                }
            }
        }
        add(KeyLayout::Apart, ScrubLevel::HYBRID, LEN, false);
        add(KeyLayout::Spill, ScrubLevel::HYBRID, LEN, false);
        add(KeyLayout::Crowd, ScrubLevel::HYBRID, LEN, false);
        if first.changes() {
            add(KeyLayout::Same, ScrubLevel::HYBRID, LEN, true);
            add(KeyLayout::Other, ScrubLevel::HYBRID, LEN, true);
        }
    }
}

fn within<T: PartialEq>(wanted: &[T], one: &T) -> bool {
    wanted.is_empty() || wanted.contains(one)
}
