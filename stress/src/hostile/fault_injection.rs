//! Fault injection by the store's format: flipped bits, random words, and words that look right and are not, in one part of
//! the store after another. Now and then the first content is put back, so that later faults meet a store that works.

use super::shared_state::HostileState;
use super::target::Target;
use crate::raw::{Field, Raw};
use splinter_harness::rng::Rng;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Fixed ranges of the header, in bytes.
const LABEL_ROUTES: Range<usize> = 1024..1536;
const BIDS: Range<usize> = 1536..3584;
const GROUPS: Range<usize> = 4096..8256;
const LANES_AT: usize = 8320;
const HANDS: Range<usize> = 4032..4096;

/// Damages a store.
pub(super) struct FaultInjector<'a> {
    raw: &'a Raw,
    /// The targets, and the word ranges of each.
    parts: Vec<(Target, Vec<Range<usize>>)>,
    /// The words at first.
    good: Vec<u64>,
    rng: Rng,
}

impl<'a> FaultInjector<'a> {
    /// Notes the content of a store that is sound.
    pub(super) fn new(raw: &'a Raw, targets: &[Target], rng: Rng) -> Self {
        let parts = targets.iter().map(|target| (*target, ranges(raw, *target)));
        Self {
            raw,
            parts: parts.collect(),
            good: raw.words().iter().map(|word| word.load(Relaxed)).collect(),
            rng,
        }
    }

    /// Does damage until the run is stopped.
    pub(super) fn run(&mut self, state: &HostileState) {
        while !state.0.is_stopped() {
            if self.rng.below(6) == 0 {
                self.restore();
            }
            let part = self.rng.index(self.parts.len());
            let (target, places) = self.parts[part].clone();
            // Mostly few words at once: the rest must stay plausible.
            let doublings = if self.rng.below(4) == 0 { 9 } else { 4 };
            let burst = 1 << self.rng.below(doublings);
            for _ in 0..burst {
                let place = &places[self.rng.index(places.len())];
                self.damage(target, place);
                state.damage(target).fetch_add(1, Relaxed);
            }
            match self.rng.below(4) {
                0 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(self.rng.below(400))),
            }
        }
    }

    /// Puts back the first content: all of it, or of one part.
    fn restore(&mut self) {
        let part = self.rng.index(2 * self.parts.len());
        let places = match self.parts.get(part) {
            Some((_, places)) => places.clone(),
            None => one(0..self.good.len()),
        };
        for at in places.into_iter().flatten() {
            let word = &self.raw.words()[at];
            // Pages that no process touched stay untouched.
            if word.load(Relaxed) != self.good[at] {
                word.store(self.good[at], Relaxed);
            }
        }
    }

    fn damage(&mut self, target: Target, place: &Range<usize>) {
        let words = self.raw.words();
        let at = self.pick(place);
        let word = &words[at];
        let old = word.load(Relaxed);
        let random = self.rng.next_u64();
        let record = target.record();
        match self.rng.below(9) {
            0 => word.store(old ^ 1 << (random % 64), Relaxed),
            1 => word.store(random, Relaxed),
            2 => word.store(self.extreme(), Relaxed),
            3 => word.store(old.wrapping_add(random % 5).wrapping_sub(2), Relaxed),
            // Half a word: lengths and numbers of slots.
            4 => word.store(old & !0xffff_ffff | self.extreme() & 0xffff_ffff, Relaxed),
            // Another word or record in the place of this one.
            5 => word.store(words[self.pick(place)].load(Relaxed), Relaxed),
            6 => self.copy_record(place, record),
            7 => (0..record.max(random as usize % 64))
                .filter_map(|step| words[..place.end].get(at + step))
                .for_each(|word| word.store(0, Relaxed)),
            _ => self.write_plausible(target, place),
        }
    }

    fn copy_record(&mut self, place: &Range<usize>, record: usize) {
        let [from, to] = [(); 2].map(|()| self.start_of_record(place, record));
        for word in 0..record {
            let [from, to] = [from + word, to + word].map(|at| self.raw.words().get(at));
            if let (Some(from), Some(to)) = (from, to) {
                to.store(from.load(Relaxed), Relaxed);
            }
        }
    }

    /// Writes a word that the format permits and that is wrong.
    fn write_plausible(&mut self, target: Target, place: &Range<usize>) {
        let random = self.rng.next_u64();
        let at = self.start_of_record(place, target.record());
        let slots = self.raw.slots() as u64;
        let writer = random % 8;
        let set = |offset: usize, value: u64| {
            if let Some(word) = self.raw.words()[..place.end].get(at + offset) {
                word.store(value, Relaxed);
            }
        };
        let old = |offset: usize| self.raw.words()[at + offset].load(Relaxed);
        match target {
            // A claim of some writer, of a tandem or committed; a value of any length; another type.
            Target::Slots => match random >> 8 & 7 {
                0 => set(0, old(0) & !0x3fff | 1 << 13 | random >> 16 & 0xc00 | writer),
                1 => set(0, old(0) | [1 << 12, 1 << 63][random as usize >> 16 & 1]),
                2 => set(2, old(2) & !0xffff_ffff | 1 << 49 | random >> 32),
                3 => set(2, old(2) ^ 0xf << 48),
                4 => set(2, old(2) ^ 0x3f << 54),
                5 => set(12, random),
                6 => set(3, random & 3),
                _ => set(4 + (random as usize >> 16) % 8, random),
            },
            // A bucket that is claimed, or reaches farther; an entry that leads anywhere.
            Target::Index => match random >> 8 & 3 {
                0 => set(0, old(0) | 1 << 26 | writer << 16),
                1 => set(0, old(0) | random >> 16 & 0xffff),
                _ => {
                    let entry = 1 + (random as usize >> 16) % 7;
                    set(entry, old(entry) & !0xffff_ffff | ((random >> 32) % (slots + 3)));
                }
            },
            // A count that is far ahead or behind; sleepers that are not there.
            Target::Groups => match random >> 8 & 3 {
                0 => set(0, old(0).wrapping_add(random >> 16 & 0xffff)),
                1 => set(0, old(0).wrapping_sub(random >> 16 & 0xffff)),
                2 => set(1, old(1).wrapping_add(1)),
                _ => set(3, u64::MAX - (random >> 16 & 0xff)),
            },
            Target::Rings => set(0, ((random >> 32 & 3) << 32) | (random % (slots + 2))),
            // Intents of a writer that died everywhere at once, and a commit that never ends.
            Target::Writers => match random >> 8 & 3 {
                0 => set(1, u64::MAX),
                1 => set(2, (random >> 16) % (slots + 2)),
                2 => set(3, (random >> 16) % (slots + 2)),
                _ => set(8, random >> 16 & 1),
            },
            Target::Bids => match random >> 8 & 3 {
                0 => set(0, old(0) | 1),
                1 => set(1, (1 + writer) | ((1 + (random >> 16) % 3) << 32) | ((random >> 32) << 34)),
                2 => set(2, random & 0xffff),
                _ => set(4, u64::MAX),
            },
            // Hints, places of hints, and hands that stand far apart, or behind each other.
            Target::Cache => match random >> 8 & 3 {
                0 => set(0, random % (slots + 2)),
                1 => set(0, 2 + (random >> 16) % (8 * slots)),
                2 => set(0, old(0).wrapping_add(random >> 16 & 0xffff)),
                _ => set(0, old(0).wrapping_sub(random >> 16 & 0xff)),
            },
            // The level, the watch, and counters; the sizes are left to the other ways.
            Target::Header => self.raw.words()[32].store(random & 0xffff_0007, Relaxed),
            _ => set(0, random & random >> 32),
        }
    }

    /// Draws a number at the edge of a range: the last that is in it, or the first that is not.
    fn extreme(&mut self) -> u64 {
        let slots = self.raw.slots() as u64;
        let numbers = [
            0,
            1,
            slots - 1,
            slots,
            slots + 1,
            0xfff,
            0xffff,
            1 << 31,
            u64::from(u32::MAX),
            u64::from(u32::MAX) - 1,
            1 << 32,
            u64::from(u32::MAX) << 32,
            i64::MAX as u64,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ];
        numbers[self.rng.index(numbers.len())]
    }

    fn pick(&mut self, place: &Range<usize>) -> usize {
        place.start + self.rng.index(place.len())
    }

    fn start_of_record(&mut self, place: &Range<usize>, record: usize) -> usize {
        let records = (place.len() / record).max(1);
        place.start + self.rng.index(records) * record
    }
}

/// Returns the word ranges of a part.
fn ranges(raw: &Raw, target: Target) -> Vec<Range<usize>> {
    let words = |bytes: Range<usize>| bytes.start / 8..bytes.end / 8;
    let between = |from: Field, to: Field| raw.at(from)..raw.at(to);
    let end = raw.words().len();
    let places = match target {
        Target::Header => vec![words(0..LABEL_ROUTES.start)],
        Target::Subscriptions => vec![words(LABEL_ROUTES), between(Field::RoutesAt, Field::RingsAt)],
        Target::Bids => vec![words(BIDS)],
        Target::Groups => vec![words(GROUPS)],
        Target::Writers => one(LANES_AT / 8..raw.at(Field::MapAt)),
        Target::Map => vec![between(Field::MapAt, Field::RoutesAt)],
        Target::Rings => vec![between(Field::RingsAt, Field::BucketsAt)],
        Target::Index => vec![between(Field::BucketsAt, Field::SlotsAt)],
        Target::Slots => {
            let from = raw.at(Field::SlotsAt);
            one(from..from + raw.slots() * 16)
        }
        Target::Values => vec![between(Field::ValuesAt, Field::VectorsAt)],
        Target::Vectors => one(raw.at(Field::VectorsAt)..behind_vectors(raw)),
        Target::Cache => vec![words(HANDS), behind_vectors(raw)..end],
    };
    let places: Vec<_> = places.into_iter().filter(|place| !place.is_empty()).collect();
    // A store without vectors has none to damage; its values are damaged instead.
    if places.is_empty() { vec![between(Field::ValuesAt, Field::VectorsAt)] } else { places }
}

/// Returns the first word behind the vectors, where a cache has its visits, places and queues.
fn behind_vectors(raw: &Raw) -> usize {
    const PAGE_WORDS: usize = 512;
    let vectors = raw.slots() * raw.at(Field::VectorStride);
    (raw.at(Field::VectorsAt) + vectors).next_multiple_of(PAGE_WORDS)
}

fn one(place: Range<usize>) -> Vec<Range<usize>> {
    vec![place]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::{geometry, store};
    use splinter::{Config, Eviction, Store};

    #[test]
    fn the_parts_are_where_the_format_says_and_cover_the_store() {
        let store = store(geometry(100, 200, 3, 4));
        let mut writer = store.writer().unwrap();
        writer.set("key", &[0xa5; 150]).unwrap();
        writer.set_vector("key", &[1.0; 3]).unwrap();
        let raw = Raw::new(&store).unwrap();
        let holds = |target: Target, wanted: u64| {
            let mut words = ranges(&raw, target).into_iter().flatten();
            words.any(|at| raw.words()[at].load(Relaxed) == wanted)
        };
        assert!(holds(Target::Slots, u64::from_le_bytes(*b"key\0\0\0\0\0")));
        assert!(holds(Target::Values, 0xa5a5_a5a5_a5a5_a5a5));
        assert!(holds(Target::Vectors, 0x3f80_0000_3f80_0000));
        assert!(holds(Target::Header, 200) && holds(Target::Map, 1));
        assert!(!holds(Target::Index, 0xa5a5_a5a5_a5a5_a5a5));
        let mut covered = vec![0; raw.words().len()];
        for at in Target::ALL.into_iter().flat_map(|target| ranges(&raw, target)).flatten() {
            covered[at] += 1;
        }
        assert!(covered.iter().all(|times| *times < 2), "parts overlap");
        let bare = covered.iter().filter(|times| **times == 0).count();
        assert!(bare < 600, "{bare} words belong to no part: more than what fills the pages up");
    }

    #[test]
    fn the_words_of_a_cache_are_a_part_of_it() {
        for (eviction, slots) in [(Eviction::Sieve, 1000), (Eviction::Lru, 10_000)] {
            let config = Config { geometry: geometry(slots, 100, 3, 4), eviction, ..Config::default() };
            let store = Store::anonymous(&config).unwrap();
            let raw = Raw::new(&store).unwrap();
            let sum = |target: Target| -> u64 {
                let words = ranges(&raw, target).into_iter().flatten();
                words.map(|at| raw.words()[at].load(Relaxed)).fold(0, u64::wrapping_add)
            };
            let before = [sum(Target::Vectors), sum(Target::Cache)];
            store.writer().unwrap().set("key", b"value").unwrap();
            let after = [sum(Target::Vectors), sum(Target::Cache)];
            assert_eq!(before[0], after[0], "{eviction}");
            assert_ne!(before[1], after[1], "{eviction}");
            let end = ranges(&raw, Target::Cache)[1].end;
            assert_eq!(end, raw.words().len(), "{eviction}");
        }
    }

    #[test]
    fn damage_stays_in_its_part_and_can_be_undone() {
        let store = store(geometry(1000, 100, 3, 4));
        let raw = Raw::new(&store).unwrap();
        for target in Target::ALL.into_iter().filter(|target| *target != Target::Header) {
            let mut injector = FaultInjector::new(&raw, &[target], Rng::new(7, target as u64));
            let parts = ranges(&raw, target);
            for _ in 0..2000 {
                for place in &parts {
                    injector.damage(target, place);
                }
            }
            let now = || raw.words().iter().map(|word| word.load(Relaxed));
            let changed: Vec<usize> = now()
                .zip(&injector.good)
                .enumerate()
                .filter_map(|(at, (now, good))| (now != *good).then_some(at))
                .collect();
            assert!(!changed.is_empty(), "{target}");
            let inside = |at: &usize| parts.iter().any(|place| place.contains(at));
            assert!(changed.iter().all(inside), "{target}");
            while now().ne(injector.good.iter().copied()) {
                injector.restore();
            }
        }
    }
}
