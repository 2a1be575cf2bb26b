//! The search space: which settings of a workload can be varied, and candidates, which differ from the default in some of them.
//! A setting that the workload does not use is left out. Where workers would run is asked of the caller, which knows the
//! machine. Runs nothing.

use serde::Serialize;
use splinter::{Scrub, Tuning};
use splinter_harness::rng::Rng;
use splinter_stress::{Backing, Huge, KeyChoice, Memory, Op, Workload};
use std::fmt;

/// How often a combination is drawn anew that was there already, before it is taken that there are no more.
const TRIES: usize = 200;

/// Something that can be chosen, in the words of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Where workers run.
    Pin,
    /// Where readers and watchers run.
    PinReaders,
    /// Where the store's memory is.
    Memory,
    /// Huge pages.
    HugePages,
    /// The scrub level.
    Scrub,
    /// How many times as many slots the store has.
    SlotFactor,
    /// Looks at another's claim.
    ClaimPatience,
    /// Most pauses of an integer operation.
    BackOffPauses,
    /// How long a watcher spins.
    SpinNs,
    /// Keys of a batch that are fetched together.
    PrefetchDepth,
}

impl Axis {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Pin,
        Self::PinReaders,
        Self::Memory,
        Self::HugePages,
        Self::Scrub,
        Self::SlotFactor,
        Self::ClaimPatience,
        Self::BackOffPauses,
        Self::SpinNs,
        Self::PrefetchDepth,
    ];

    /// Returns its name, as flags and records have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::PinReaders => "pin_readers",
            Self::Memory => "memory",
            Self::HugePages => "huge_pages",
            Self::Scrub => "scrub",
            Self::SlotFactor => "slot_factor",
            Self::ClaimPatience => "claim_patience",
            Self::BackOffPauses => "back_off_pauses",
            Self::SpinNs => "spin_ns",
            Self::PrefetchDepth => "prefetch_depth",
        }
    }

    /// Returns what a workload has chosen.
    #[must_use]
    pub fn of(self, workload: &Workload) -> String {
        let tuning = workload.tuning(Tuning::default());
        match self {
            Self::SlotFactor => "1".to_owned(),
            Self::ClaimPatience => tuning.claim_patience.to_string(),
            Self::BackOffPauses => tuning.back_off_pauses.to_string(),
            Self::SpinNs => tuning.spin.as_nanos().to_string(),
            Self::PrefetchDepth => tuning.prefetch_depth.to_string(),
            _ => {
                let behind = || "behind the writers".to_owned();
                workload.field(self.name()).unwrap_or_else(behind)
            }
        }
    }

    /// Returns a workload with something else chosen; `None` for a text that means nothing here.
    fn set(self, workload: Workload, text: &str) -> Option<Workload> {
        match self {
            Self::SlotFactor => Some(workload.roomier(text.parse().ok()?)),
            _ => workload.with_field(self.name(), text).ok(),
        }
    }
}

/// Choices that are made otherwise than by default, by axis; none of them for the default itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate(Vec<(Axis, String)>);

impl Candidate {
    /// Makes a candidate of choices, at most one of each axis.
    #[must_use]
    pub fn new(mut choices: Vec<(Axis, String)>) -> Self {
        choices.sort();
        choices.dedup_by_key(|(axis, _)| *axis);
        Self(choices)
    }

    /// Returns the choices.
    #[must_use]
    pub fn choices(&self) -> &[(Axis, String)] {
        &self.0
    }

    /// Returns the workload with these choices; `None` if one of them means nothing.
    #[must_use]
    pub fn over(&self, base: &Workload) -> Option<Workload> {
        let set = |workload, (axis, text): &(Axis, String)| axis.set(workload, text);
        self.0.iter().try_fold(base.clone(), set)
    }

    /// Returns how many times as many slots its store has.
    #[must_use]
    pub fn slot_factor(&self) -> u64 {
        let choice = self.0.iter().find(|(axis, _)| *axis == Axis::SlotFactor);
        choice.and_then(|(_, text)| text.parse().ok()).unwrap_or(1)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("default");
        }
        for (at, (axis, text)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{}={text}", axis.name())?;
        }
        Ok(())
    }
}

/// The facts of a machine that choices depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Nodes with processors, and whether they have memory.
    pub nodes: Vec<(u32, bool)>,
    /// Its last-level caches.
    pub caches: usize,
}

/// One axis with what can be chosen on it besides the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Choices {
    /// The axis.
    pub axis: Axis,
    /// What it is by default.
    pub default: String,
    /// The other choices.
    pub others: Vec<String>,
}

/// All choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// By axis; axes without a choice are left out.
    pub axes: Vec<Choices>,
}

impl Space {
    /// Lists what can be chosen for a workload. Scrub levels that promise less than `least_scrub` are no choice. `seats` says
    /// on which processors the workers of a workload would be; a policy that puts them where another does is no choice
    /// either, nor is one that cannot be had.
    #[must_use]
    pub fn of(
        base: &Workload,
        least_scrub: Scrub,
        site: &Site,
        seats: impl Fn(&Workload) -> Option<Vec<Option<usize>>>,
    ) -> Self {
        let mut axes = Vec::new();
        for axis in Axis::ALL {
            let default = axis.of(base);
            let mut known = vec![seats(base)];
            let mut others = alternatives(axis, base, least_scrub, site);
            others.retain(|text| {
                let candidate = Candidate::new(vec![(axis, text.clone())]);
                let Some(workload) = candidate.over(base).filter(|it| it.validate().is_ok()) else {
                    return false;
                };
                if !matches!(axis, Axis::Pin | Axis::PinReaders) {
                    return *text != default;
                }
                let seats = seats(&workload);
                let new = seats.is_some() && !known.contains(&seats);
                known.push(seats);
                new
            });
            if !others.is_empty() {
                axes.push(Choices { axis, default, others });
            }
        }
        Self { axes }
    }

    /// Draws different candidates, at most so many: first those that differ from the default in one choice, which say what
    /// each is worth, then combinations. Equal seeds give equal candidates.
    #[must_use]
    pub fn draw(&self, count: usize, base: &Workload, seed: u64) -> Vec<Candidate> {
        let mut rng = Rng::new(seed, 0);
        let mut found: Vec<Candidate> = self
            .axes
            .iter()
            .flat_map(|choices| choices.others.iter().map(|text| (choices.axis, text)))
            .map(|(axis, text)| Candidate::new(vec![(axis, text.clone())]))
            .collect();
        // Which of them are left out where there are too many is as good as any.
        rng.shuffle(&mut found);
        found.truncate(count);
        let mut tries = 0;
        while found.len() < count && tries < TRIES {
            let mut choices = Vec::new();
            for Choices { axis, others, .. } in &self.axes {
                if rng.below(2) == 0 {
                    choices.push((*axis, others[rng.index(others.len())].clone()));
                }
            }
            let candidate = Candidate::new(choices);
            let sound = |candidate: &Candidate| {
                let workload = candidate.over(base);
                workload.is_some_and(|workload| workload.validate().is_ok())
            };
            if candidate.choices().len() > 1 && !found.contains(&candidate) && sound(&candidate) {
                found.push(candidate);
                tries = 0;
            } else {
                tries += 1;
            }
        }
        found
    }
}

/// Lists what an axis could be where the workload makes use of it.
fn alternatives(axis: Axis, base: &Workload, least_scrub: Scrub, site: &Site) -> Vec<String> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let several = site.nodes.len() > 1;
    let shared = base.writers > 1 && base.key_choice != KeyChoice::Own;
    match axis {
        Axis::PinReaders if base.writers == 0 || base.readers + base.watchers == 0 => Vec::new(),
        Axis::Pin | Axis::PinReaders => {
            let mut all: Vec<String> =
                texts(&["none", "compact", "scatter", "per-core", "per-llc", "per-node"]);
            if several {
                all.extend(site.nodes.iter().map(|(node, _)| format!("node:{node}")));
            }
            if site.caches > 1 {
                all.extend((0..site.caches.min(4)).map(|cache| format!("llc:{cache}")));
            }
            all
        }
        Axis::Memory if several => {
            let with_memory = site.nodes.iter().filter(|(_, memory)| *memory);
            let mut all = vec![Memory::Local, Memory::Interleave, Memory::PerWriter];
            all.extend(with_memory.map(|(node, _)| Memory::Node(*node)));
            all.iter().map(ToString::to_string).collect()
        }
        Axis::Memory => Vec::new(),
        Axis::HugePages => {
            let mut all = vec![Huge::Off, Huge::Advise, Huge::Collapse];
            // The pool is for anonymous stores only.
            if base.backing == Backing::Anonymous {
                all.push(Huge::Hugetlb);
            }
            all.iter().map(ToString::to_string).collect()
        }
        Axis::Scrub => {
            let kept = |level: &Scrub| rank(*level) >= rank(least_scrub);
            let kept = Scrub::ALL.into_iter().filter(kept);
            kept.map(|level| level.to_string()).collect()
        }
        // In a cache, slots are room for keys: more of them are another workload, not a faster one.
        Axis::SlotFactor if base.evicts() => Vec::new(),
        Axis::SlotFactor => texts(&["2", "4"]),
        // Writers wait for each other where they share keys, or places for new ones.
        Axis::ClaimPatience if shared || (base.writers > 1 && base.may_miss()) => {
            texts(&["0", "8", "128", "512"])
        }
        Axis::BackOffPauses if shared && base.mix.has(Op::Int) => texts(&["0", "64", "256", "4096"]),
        Axis::SpinNs if base.watchers > 0 => texts(&["0", "2000", "50000", "200000"]),
        Axis::PrefetchDepth if base.batch > 1 && base.readers > 0 => texts(&["4", "8", "16", "32"]),
        Axis::ClaimPatience | Axis::BackOffPauses | Axis::SpinNs | Axis::PrefetchDepth => Vec::new(),
    }
}

/// Returns how much a level promises.
fn rank(level: Scrub) -> usize {
    let all = Scrub::ALL.into_iter();
    all.take_while(|other| *other != level).count()
}

#[cfg(test)]
mod tests {
    use super::{Axis, Candidate, Site, Space};
    use splinter::{Eviction, Scrub};
    use splinter_stress::{KeyChoice, Workload};

    const FLAT: Site = Site { nodes: Vec::new(), caches: 1 };

    /// Two processors: policies put everybody on them in turn, or nowhere.
    fn seats(workload: &Workload) -> Option<Vec<Option<usize>>> {
        let processor = |worker: u32| match workload.pin.to_string().as_str() {
            "none" => Some(None),
            "compact" | "scatter" => Some(Some(worker as usize % 2)),
            _ => None,
        };
        (0..workload.worker_count()).map(processor).collect()
    }

    fn others(space: &Space, axis: Axis) -> Vec<&str> {
        let choices = space.axes.iter().find(|choices| choices.axis == axis);
        choices.map_or(Vec::new(), |it| it.others.iter().map(String::as_str).collect())
    }

    #[test]
    fn policies_that_put_workers_where_another_does_are_no_choice() {
        let space = Space::of(&Workload::default(), Scrub::Hybrid, &FLAT, seats);
        assert_eq!(others(&space, Axis::Pin), ["none"]);
        assert!(others(&space, Axis::Memory).is_empty());
        let nodes = Site { nodes: vec![(0, true), (2, false)], caches: 2 };
        let space = Space::of(&Workload::default(), Scrub::Hybrid, &nodes, |workload| {
            let seat = workload.pin.to_string().len() + workload.memory.to_string().len();
            Some(vec![Some(seat)])
        });
        assert_eq!(others(&space, Axis::Memory), ["interleave", "per-writer", "node:0"]);
    }

    #[test]
    fn a_knob_that_the_workload_never_turns_is_no_choice() {
        let of = |base: &Workload| Space::of(base, base.scrub, &FLAT, seats);
        let plain = of(&Workload::default());
        for axis in [Axis::ClaimPatience, Axis::BackOffPauses, Axis::SpinNs, Axis::PrefetchDepth] {
            assert!(others(&plain, axis).is_empty(), "{axis:?}");
        }
        let busy = of(&Workload {
            key_choice: KeyChoice::Uniform,
            mix: "set,int".parse().unwrap(),
            watchers: 1,
            batch: 16,
            prefetch_depth: Some(8),
            ..Workload::default()
        });
        assert_eq!(others(&busy, Axis::ClaimPatience), ["0", "8", "128", "512"]);
        assert_eq!(others(&busy, Axis::BackOffPauses), ["0", "64", "256", "4096"]);
        assert_eq!(others(&busy, Axis::SpinNs).len(), 4);
        assert_eq!(others(&busy, Axis::PrefetchDepth), ["4", "16", "32"]);
    }

    #[test]
    fn a_cache_keeps_its_slots_and_its_writers_wait_for_each_other() {
        let of = |base: &Workload| {
            base.validate().unwrap();
            Space::of(base, base.scrub, &FLAT, seats)
        };
        let plain = Workload { writers: 2, ..Workload::default() };
        assert_eq!(others(&of(&plain), Axis::SlotFactor), ["2", "4"]);
        assert!(others(&of(&plain), Axis::ClaimPatience).is_empty());
        let cache = Workload { evict: Eviction::Sieve, slots: Some(32), ..plain };
        assert!(others(&of(&cache), Axis::SlotFactor).is_empty());
        assert_eq!(others(&of(&cache), Axis::ClaimPatience), ["0", "8", "128", "512"]);
        let alone = Workload { writers: 1, ..cache };
        assert!(others(&of(&alone), Axis::ClaimPatience).is_empty());
    }

    #[test]
    fn no_level_is_a_choice_that_promises_less() {
        let levels = |level: Scrub, least: Scrub| {
            let base = Workload { scrub: level, ..Workload::default() };
            let space = Space::of(&base, least, &FLAT, seats);
            others(&space, Axis::Scrub).join(" ")
        };
        assert_eq!(levels(Scrub::Hybrid, Scrub::Hybrid), "full");
        assert_eq!(levels(Scrub::Full, Scrub::Full), "");
        assert_eq!(levels(Scrub::Full, Scrub::None), "none hybrid");
    }

    #[test]
    fn candidates_are_different_and_single_choices_come_first() {
        let base = Workload {
            key_choice: KeyChoice::Uniform,
            mix: "set,int".parse().unwrap(),
            ..Workload::default()
        };
        let space = Space::of(&base, base.scrub, &FLAT, seats);
        let singles: usize = space.axes.iter().map(|choices| choices.others.len()).sum();
        let drawn = space.draw(40, &base, 7);
        assert_eq!(drawn, space.draw(40, &base, 7));
        assert_ne!(drawn, space.draw(40, &base, 8));
        assert_eq!(drawn.len(), 40);
        for (at, candidate) in drawn.iter().enumerate() {
            assert_eq!(candidate.choices().len() == 1, at < singles, "{candidate}");
            assert!(!drawn[..at].contains(candidate));
            assert_ne!(candidate.over(&base), Some(base.clone()), "{candidate}");
        }
        assert_eq!(space.draw(3, &base, 7).len(), 3);
        let few = Space { axes: space.axes[..1].to_vec() };
        assert_eq!(few.draw(40, &base, 7).len(), few.axes[0].others.len());
    }

    #[test]
    fn a_candidate_is_told_in_the_words_of_the_flags() {
        let choices = [(Axis::SpinNs, "0"), (Axis::Pin, "none"), (Axis::SlotFactor, "4")];
        let choices = choices.map(|(axis, text)| (axis, text.to_owned()));
        let candidate = Candidate::new(choices.to_vec());
        assert_eq!(candidate.to_string(), "pin=none, slot_factor=4, spin_ns=0");
        assert_eq!(Candidate::default().to_string(), "default");
        let base = Workload::default();
        let workload = candidate.over(&base).unwrap();
        assert_eq!(workload.spin_ns, Some(0));
        assert_eq!(workload.geometry().slots, 4 * base.geometry().slots);
        assert_eq!((candidate.slot_factor(), Candidate::default().slot_factor()), (4, 1));
        let nonsense = Candidate::new(vec![(Axis::Pin, "tight".to_owned())]);
        assert_eq!(nonsense.over(&base), None);
    }
}
