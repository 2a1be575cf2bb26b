//! The scan of all slots: by their sketches, or by their vectors.

use super::best::Best;
use super::builder::Hit;
use super::filter::Filter;
use super::look::{Look, look};
use super::score::{Scorer, SlotScorer};
use crate::arena::key::Key;
use crate::arena::records::BitmapWord;
use crate::arena::sketches::Sketches;
use crate::arena::{Arena, orders, prefetch};
use crate::error::Error;
use crate::sketch::Query;
use crate::sync::{Relaxed, Word};
use std::cmp::Ordering;
use std::ops::Range;
use std::thread;

/// The most threads of a search.
const MOST_THREADS: usize = 256;
/// Bytes of a cache line, in words.
const LINE_WORDS: usize = 8;

/// A hit in the order of hits: the higher score first, then the lower slot.
#[derive(Clone, Copy)]
pub(super) struct Ranked(pub(super) Hit);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.score.total_cmp(&self.0.score).then(self.0.slot.cmp(&other.0.slot))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl Ranked {
    /// Keeps the best hit of each key, for [`Best`]: a key that is moved during a scan may be found twice.
    fn keep_best_of_keys(hits: &mut Vec<Self>) {
        Self::keep_best(hits, |hit| hit.0.key.as_ref());
    }

    /// Keeps the best order of each tandem.
    fn keep_best_orders(hits: &mut Vec<Self>) {
        Self::keep_best(hits, |hit| orders::base(hit.0.key.as_ref()));
    }

    fn keep_best(hits: &mut Vec<Self>, name: fn(&Self) -> &[u8]) {
        hits.sort_unstable_by(|one, other| name(one).cmp(name(other)).then_with(|| one.cmp(other)));
        hits.dedup_by(|one, before| name(one) == name(before));
    }
}

/// A slot and its rank: the better, the lower. Of the same rank the lower slot is the better.
pub(super) trait InSlot: Ord + Copy {
    fn slot(self) -> u32;
}

/// By an estimate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Estimated(u64);

impl Estimated {
    pub(super) fn new(estimate: f32, slot: u32) -> Self {
        // Zero is added to make -0 the same as 0.
        let bits = (estimate + 0.0).to_bits();
        // Set for positive numbers, the sign bit orders them behind the negative ones, whose bits count down.
        let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
        Self(u64::from(!ascending) << 32 | u64::from(slot))
    }

    fn estimate(self) -> f32 {
        let ascending = !((self.0 >> 32) as u32);
        f32::from_bits(if ascending >> 31 == 0 { !ascending } else { ascending & !(1 << 31) })
    }
}

impl InSlot for Estimated {
    fn slot(self) -> u32 {
        self.0 as u32
    }
}

/// By its vector's score.
impl InSlot for Ranked {
    fn slot(self) -> u32 {
        self.0.slot
    }
}

/// A scan of all slots.
pub(super) struct Scan<'r, 'a> {
    pub(super) arena: &'r Arena<'a>,
    pub(super) filter: &'r Filter,
    /// The store time when the search began.
    pub(super) now: u64,
    pub(super) threads: usize,
    /// How many slots were ever used.
    pub(super) used: usize,
}

impl<'r, 'a> Scan<'r, 'a> {
    pub(super) fn new(arena: &'r Arena<'a>, filter: &'r Filter, threads: usize) -> Self {
        let touched = arena.bitmap.iter().map(|word| word.touched.load(Relaxed).count_ones() as usize);
        Self { arena, filter, now: arena.clock.now(), threads, used: touched.sum() }
    }

    /// Returns the `keep` slots with the best estimates.
    pub(super) fn by_sketches(&self, query: &Query, sketches: &Sketches<'_>, keep: usize) -> Best<Estimated> {
        let parts = self.in_parts(|words| self.estimate(query, sketches, keep, words));
        let mut best = Best::new(keep, self.used, |_| ());
        parts.into_iter().for_each(|part| best.merge(part));
        best
    }

    fn estimate(
        &self,
        query: &Query,
        sketches: &Sketches<'_>,
        keep: usize,
        words: Range<usize>,
    ) -> Best<Estimated> {
        let mut best = Best::new(keep, self.used, |_| ());
        let mut estimates = [f32::NEG_INFINITY; 64];
        let mut bound = f32::NEG_INFINITY;
        let blocks = sketches.records.chunks(sketches.record_len * 64);
        for (word, records) in words.clone().zip(blocks.skip(words.start)) {
            let wanted = self.wanted(word, |word| &word.sketched);
            if wanted == 0 {
                continue;
            }
            query.estimate(records, wanted, &mut estimates);
            let above = |bound| {
                let bit = |(lane, estimate): (usize, &f32)| u64::from(*estimate > bound) << lane;
                estimates.iter().enumerate().map(bit).fold(0, |bits, bit| bits | bit)
            };
            let mut rest = above(bound);
            while rest != 0 {
                let lane = rest.trailing_zeros();
                rest &= rest - 1;
                let found = Estimated::new(estimates[lane as usize], word as u32 * 64 + lane);
                if best.push(found) {
                    bound = best.bound().map_or(f32::INFINITY, Estimated::estimate);
                    rest &= above(bound);
                }
            }
        }
        best
    }

    /// Returns the `keep` best hits by the scores of all vectors. Of the orders of a tandem, the best counts if
    /// `groups_orders`.
    ///
    /// # Errors
    /// [`Error::Again`]
    pub(super) fn by_vectors(
        &self,
        scorer: &Scorer<'_>,
        keep: usize,
        min_score: Option<f64>,
        groups_orders: bool,
    ) -> Result<Best<Ranked>, Error> {
        let thin = if groups_orders { Ranked::keep_best_orders } else { Ranked::keep_best_of_keys };
        let parts: Vec<Result<_, Error>> = self.in_parts(|words| {
            let mut best = Best::new(keep, self.used, thin);
            let mut scorer = SlotScorer::new(self.arena, self.filter, scorer);
            let mut slots = words
                .flat_map(|word| bits(word as u32 * 64, self.wanted(word, |word| &word.touched)))
                .peekable();
            while let Some(slot) = slots.next() {
                let next = slots.peek().and_then(|slot| vector_now(self.arena, *slot));
                let last = best.bound().map(|bound| bound.0.score);
                // The higher of both, if there are any.
                let bound = min_score.into_iter().chain(last).reduce(f64::max);
                let hit = look(self.arena, slot, self.filter.has_labels(), |look| {
                    hit(look, scorer.score(look, bound, next), |score| {
                        // Slots come in order: of the same score, those that were before are the better.
                        bound.is_none_or(|bound| score >= bound) && last.is_none_or(|last| score > last)
                    })
                })?;
                if let Some(hit) = hit {
                    best.push(Ranked(hit));
                }
            }
            Ok(best)
        });
        let mut best = Best::new(keep, self.used, thin);
        for part in parts {
            best.merge(part?);
        }
        Ok(best)
    }

    /// Returns which of a word's 64 slots a scan looks at, of those whose bits `among` has.
    fn wanted(&self, word: usize, among: impl Fn(&BitmapWord) -> &Word) -> u64 {
        let slots = self.arena.slots.len() - word * 64;
        let bits = among(&self.arena.bitmap[word]).load(Relaxed);
        let bits = if slots < 64 { bits & ((1 << slots) - 1) } else { bits };
        if bits != 0 && self.filter.is_selective() {
            self.filter.hints(self.arena, self.now, word as u32 * 64, bits)
        } else {
            bits
        }
    }

    /// Calls `part` with parts of the map's words, each in a thread of its own, the first in this one. Returns what it
    /// returned, in the order of the slots.
    fn in_parts<T: Send>(&self, part: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        let words = self.arena.slots.len().div_ceil(64);
        let threads = self.threads.clamp(1, words.clamp(1, MOST_THREADS));
        let range = |index| words * index / threads..words * (index + 1) / threads;
        if threads == 1 {
            return vec![part(0..words)];
        }
        let part = &part;
        thread::scope(|scope| {
            let spawn = |index| {
                let run = move || part(range(index));
                (index, thread::Builder::new().spawn_scoped(scope, run).ok())
            };
            let others: Vec<_> = (1..threads).map(spawn).collect();
            let first = part(range(0));
            let rest = others.into_iter().map(|(index, thread)| match thread {
                Some(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // The kernel had no thread left.
                None => part(range(index)),
            });
            std::iter::once(first).chain(rest).collect()
        })
    }
}

/// Makes a hit of a look at a key with this score, if that is `wanted`: the key is not read yet then.
#[inline]
fn hit(look: &Look<'_>, score: Option<f64>, wanted: impl FnOnce(f64) -> bool) -> Option<Option<Hit>> {
    if !look.holds() {
        return None;
    }
    let Some(score) = score.filter(|score| wanted(*score)) else { return Some(None) };
    let read = &look.read;
    let hit = Hit { key: Key::read_from(read.slot), slot: read.number, epoch: read.stable_epoch(), score };
    look.holds().then_some(Some(hit))
}

/// Returns the words of the vector that slot `number` has now.
#[inline]
pub(super) fn vector_now<'a>(arena: &Arena<'a>, number: u32) -> Option<&'a [Word]> {
    let descriptor = arena.open(number, arena.slot(number)?).descriptor;
    descriptor.vector().map(|which| arena.vector(number, which))
}

/// Has a vector fetched.
#[inline]
pub(super) fn fetch_vector(words: &[Word]) {
    words.iter().step_by(LINE_WORDS).for_each(prefetch::<false, _>);
}

/// Iterates over the numbers of the bits, from `first` on.
fn bits(first: u32, mut rest: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = rest.trailing_zeros();
        rest &= rest.wrapping_sub(1);
        (bit < 64).then_some(first + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_order_as_numbers_the_highest_first_then_the_lowest_slot() {
        let ascending =
            [-f32::MAX, -1.0, -f32::from_bits(1), 0.0, f32::from_bits(1), 0.5, 1.0, f32::MAX, f32::INFINITY];
        for (at, one) in ascending.iter().enumerate() {
            assert_eq!(Estimated::new(*one, 9).estimate().to_bits(), one.to_bits());
            assert_eq!(Estimated::new(*one, u32::MAX).slot(), u32::MAX);
            assert!(Estimated::new(*one, 3) < Estimated::new(*one, 4));
            for other in &ascending[..at] {
                assert!(Estimated::new(*one, 9) < Estimated::new(*other, 0), "{one} is better than {other}");
            }
        }
        assert!(Estimated::new(-0.0, 7) == Estimated::new(0.0, 7));
    }
}
