//! Which scenes are played: every pair of operations that makes sense, at every scrub level, and then
//! what else may matter, each for the pairs where it does.

use super::act::Act;
use super::ground::{Ground, How, Scene, Scrubbing};
use crate::rng::Rng;
use std::collections::BTreeSet;

/// What to sweep.
#[derive(Clone, Debug, Default)]
pub struct SweepPlan {
    /// A few points of every scene.
    pub quick: bool,
    /// The first operations; all where empty.
    pub firsts: Vec<Act>,
    /// The second operations; all where empty.
    pub seconds: Vec<Act>,
    /// What befalls the first; everything where empty.
    pub hows: Vec<How>,
    /// The scrub levels; all where empty.
    pub scrubs: Vec<Scrubbing>,
    /// One scene alone.
    pub only: Option<Scene>,
    /// One point of it alone.
    pub point: Option<usize>,
    /// Every how manieth instruction; 0 leaves it to the plan.
    pub stride: usize,
    /// Seed of the choice of points.
    pub seed: u64,
    /// Processes that sweep, each with its own processor; 0: one for each processor.
    pub jobs: usize,
}

/// The length where no other matters: a value that ends with its buffer's line.
const LEN: usize = 64;
/// Lengths at the boundaries of lines and buffers.
const LENS: [usize; 5] = [0, 1, 63, 65, 192];

impl SweepPlan {
    /// Lists the scenes, those with the same first together.
    pub(super) fn scenes(&self) -> Vec<Scene> {
        if let Some(scene) = self.only {
            return vec![scene];
        }
        let mut scenes = BTreeSet::new();
        let acts = Act::ALL.map(|(act, _)| act);
        for first in acts {
            for second in acts {
                for how in How::ALL {
                    self.of_pair(first, second, how, &mut scenes);
                }
            }
        }
        let wanted = |scene: &Scene| {
            (!self.quick || self.is_sample(scene))
                && within(&self.firsts, &scene.first)
                && within(&self.seconds, &scene.second)
                && within(&self.hows, &scene.how)
                && within(&self.scrubs, &scene.scrub)
        };
        let mut scenes: Vec<Scene> = scenes.into_iter().filter(wanted).collect();
        // Those with the same first and store go the same way, which is then known already.
        scenes.sort_by_key(|scene| (scene.first, scene.ground, scene.scrub, scene.value_len));
        scenes
    }

    /// Whether a quick sweep plays the scene: of the scrub levels and lengths of a pair it takes one, another
    /// for every pair and seed.
    fn is_sample(&self, scene: &Scene) -> bool {
        if matches!(scene.first, Act::Create | Act::Open)
            || scene.first.waits()
            || scene.second.waits()
        {
            return true;
        }
        let pair = (scene.first as u64 * 100 + scene.second as u64) * 10 + scene.how as u64;
        let mut rng = Rng::new(self.seed, pair);
        let level = Scrubbing::ALL[rng.below(3) as usize];
        let len = LENS[rng.index(LENS.len())];
        let every_other = rng.below(2) == 0;
        let special = scene.heard || !matches!(scene.ground, Ground::Same | Ground::Other);
        if special {
            return every_other;
        }
        scene.scrub == level && [LEN, len].contains(&scene.value_len)
    }

    fn of_pair(&self, first: Act, second: Act, how: How, scenes: &mut BTreeSet<Scene>) {
        let is_plain = |act: Act| !act.waits() && act != Act::Create;
        let mut add = |ground, scrub, value_len, heard| {
            let scene = Scene {
                first,
                second,
                how,
                scrub,
                value_len,
                ground,
                heard,
            };
            if scene.makes_sense() {
                scenes.insert(scene);
            }
        };
        if first.waits() && second.changes() && second != Act::Rewrite && !second.creates()
            || second.waits()
                && first.changes()
                && first != Act::Rewrite
                && !first.creates()
                && how != How::Stop
        {
            // A watcher hears of keys that are registered with its group.
            add(Ground::Same, Scrubbing::HYBRID, LEN, true);
        }
        if first == Act::Open
            && matches!(second, Act::FirstSet | Act::Update | Act::Unset | Act::Open)
        {
            add(Ground::Same, Scrubbing::HYBRID, LEN, false);
        }
        if second == Act::Rewrite && matches!(first, Act::Get | Act::Poll | Act::Watch) {
            for scrub in Scrubbing::ALL {
                for len in [1, LEN, 65, 192] {
                    add(Ground::Same, scrub, len, first.waits());
                }
            }
        }
        if first == Act::Rewrite || second == Act::Rewrite {
            return;
        }
        if first == Act::Create && matches!(second, Act::Open | Act::Create)
            || first == Act::Open && second == Act::Create
        {
            add(Ground::Same, Scrubbing::HYBRID, LEN, false);
        }
        if !is_plain(first) || !is_plain(second) || first == Act::Open {
            return;
        }
        for scrub in Scrubbing::ALL {
            add(Ground::Same, scrub, LEN, false);
            add(Ground::Other, scrub, LEN, false);
            let sized = |act| matches!(act, Act::FirstSet | Act::Update | Act::Append);
            if sized(first) && (sized(second) || second == Act::Get) {
                for len in LENS {
                    add(Ground::Same, scrub, len, false);
                }
            }
        }
        add(Ground::Apart, Scrubbing::HYBRID, LEN, false);
        add(Ground::Spill, Scrubbing::HYBRID, LEN, false);
        add(Ground::Crowd, Scrubbing::HYBRID, LEN, false);
        if first.changes() {
            add(Ground::Same, Scrubbing::HYBRID, LEN, true);
            add(Ground::Other, Scrubbing::HYBRID, LEN, true);
        }
    }
}

fn within<T: PartialEq>(wanted: &[T], one: &T) -> bool {
    wanted.is_empty() || wanted.contains(one)
}
