//! Runs a search: candidates by a scan, then their scores.

use super::best::Best;
use super::builder::{Candidate, Hit, Rescore, Search};
use super::filter::Filter;
use super::look::look;
use super::scan::{InSlot, Ranked, Scan, fetch_vector, vector_now};
use super::score::{Scorer, SlotScorer};
use crate::arena::key::Key;
use crate::arena::{Arena, orders, prefetch};
use crate::error::Error;
use crate::settings::Type;
use crate::sketch::Query;
use crate::sync::Word;
use std::collections::HashSet;
use std::mem::take;

/// How many candidates are scored at least, and for each hit that is wanted.
const LEAST_DEPTH: usize = 500;
const DEPTH_PER_HIT: usize = 10;
/// After how many candidates in a row that were not near enough a range query ends.
const RANGE_DEPTH: usize = 100;
/// How many more candidates a scan looks for once those that it found were too few.
const GROWTH: usize = 4;
/// How many candidates ahead their records are fetched, and their vectors.
const RECORDS_AHEAD: usize = 8;
const VECTORS_AHEAD: usize = 2;

impl Search<'_> {
    /// Searches, and returns the hits, the best first; of the same score, the lower slot first.
    ///
    /// There are as many as are wanted, or as many as match, if nothing changes meanwhile. Whether they are the very best is
    /// certain of an exact search alone. The search stores nothing, takes no lock, and leaves no visit in a cache.
    ///
    /// # Errors
    /// [`Error::Again`] when writers changed a candidate all the while.
    pub fn run(mut self) -> Result<Vec<Hit>, Error> {
        if self.k == 0 || self.filter.is_impossible() {
            return Ok(Vec::new());
        }
        let (arena, filter, vector) = (self.store.arena(), take(&mut self.filter), take(&mut self.vector));
        let scan = Scan::new(arena, &filter, self.threads);
        let scorer = Scorer::new(&vector, self.metric);
        let is_range = self.k >= scan.used && self.min_score.is_some();
        let depth = self.depth.unwrap_or(match self.k {
            _ if is_range => RANGE_DEPTH,
            k => k.saturating_mul(DEPTH_PER_HIT).saturating_add(LEAST_DEPTH),
        });
        let depth = if is_range { depth.max(1) } else { depth.max(self.k) };
        let sketches = arena.sketches.filter(|_| !self.is_exact && depth < scan.used);
        let query = sketches.and_then(|sketches| Query::new(sketches.rotation(), &vector, self.metric));
        if let (Some(sketches), Some(query)) = (sketches, query) {
            let candidates = |keep| Ok(scan.by_sketches(&query, &sketches, keep).into_sorted());
            return self.scored(&scan, &scorer, depth, is_range, candidates);
        }
        if self.rescore.is_some() {
            let candidates = |keep| scan.by_vectors(&scorer, keep, None, false).map(Best::into_sorted);
            return self.scored(&scan, &scorer, depth, is_range, candidates);
        }
        let best = scan.by_vectors(&scorer, self.k, self.min_score, self.groups_orders)?;
        Ok(self.first_of(best.into_sorted().0))
    }

    /// Scores candidates from the best on, until enough were scored. `candidates` returns so many of the best, and whether
    /// there are more.
    fn scored<C: InSlot>(
        &mut self,
        scan: &Scan<'_, '_>,
        scorer: &Scorer<'_>,
        depth: usize,
        is_range: bool,
        mut candidates: impl FnMut(usize) -> Result<(Vec<C>, bool), Error>,
    ) -> Result<Vec<Hit>, Error> {
        let mut reader = Reader::new(scan, scorer, self.rescore.take());
        let mut tally = Tally { groups_orders: self.groups_orders, ..Tally::default() };
        // Some candidates are gone, or left out, by the time that they are read; a tandem's orders count once.
        let spare = depth / 8 + 16;
        let mut keep = if is_range || self.groups_orders { depth.saturating_mul(GROWTH) } else { depth };
        keep = keep.saturating_add(spare);
        let (mut hits, mut seen) = (Vec::new(), Vec::new());
        loop {
            let (found, is_cut) = candidates(keep)?;
            for place in 0..found.len() {
                let slot = found[place].slot();
                if seen.binary_search(&slot).is_ok() {
                    continue;
                }
                let later = reader.fetch(&found, place);
                let Some(hit) = reader.read(slot, later)? else { continue };
                let is_near = self.min_score.is_none_or(|min| hit.score >= min);
                tally.count(&hit, is_near);
                if is_near {
                    hits.push(Ranked(hit));
                }
                let is_enough = if is_range {
                    tally.misses >= depth
                } else {
                    tally.scored >= depth && (hits.len() >= self.k || tally.misses >= RANGE_DEPTH)
                };
                if is_enough {
                    return Ok(self.first_of(hits));
                }
            }
            let is_full = hits.len() >= self.k && tally.scored >= self.k.max(depth / 2);
            if !is_cut || !is_range && is_full {
                return Ok(self.first_of(hits));
            }
            seen = found.iter().map(|candidate| candidate.slot()).collect::<Vec<u32>>();
            seen.sort_unstable();
            keep = keep.saturating_mul(GROWTH);
        }
    }

    /// Returns the best hits, no two of them of one key or, if those count as one, of one tandem.
    fn first_of(&self, mut hits: Vec<Ranked>) -> Vec<Hit> {
        hits.sort_unstable();
        // A key that was moved during the search may be among them twice.
        let mut names = HashSet::new();
        let is_first = |ranked: &Ranked| names.insert(name_of(&ranked.0.key, self.groups_orders));
        let hits = hits.into_iter().filter(is_first).take(self.k);
        hits.map(|ranked| ranked.0).collect()
    }
}

/// What was scored so far.
#[derive(Default)]
struct Tally {
    groups_orders: bool,
    bases: HashSet<Key>,
    /// How many candidates, or tandems.
    scored: usize,
    /// How many in a row were not near enough.
    misses: usize,
}

impl Tally {
    fn count(&mut self, hit: &Hit, is_near: bool) {
        let is_new = !self.groups_orders || self.bases.insert(name_of(&hit.key, true));
        self.scored += usize::from(is_new);
        self.misses = if is_near { 0 } else { self.misses + 1 };
    }
}

/// Returns the key by which hits are told apart.
fn name_of(key: &Key, groups_orders: bool) -> Key {
    let base = if groups_orders { orders::base(key.as_ref()) } else { key.as_ref() };
    Key::new(base).unwrap_or(*key)
}

/// Reads candidates and scores them.
struct Reader<'r, 'a, 's> {
    arena: &'r Arena<'a>,
    filter: &'r Filter,
    scorer: SlotScorer<'r, 'a>,
    rescore: Option<Rescore<'s>>,
    value: Vec<u8>,
}

impl<'r, 'a, 's> Reader<'r, 'a, 's> {
    fn new(scan: &Scan<'r, 'a>, scorer: &'r Scorer<'r>, rescore: Option<Rescore<'s>>) -> Self {
        let scorer = SlotScorer::new(scan.arena, scan.filter, scorer);
        Self { arena: scan.arena, filter: scan.filter, scorer, rescore, value: Vec::new() }
    }

    /// Has the records of later candidates fetched. Returns the vector that is to be fetched meanwhile.
    fn fetch<C: InSlot>(&self, candidates: &[C], place: usize) -> Option<&'a [Word]> {
        let fetch_record = |candidate: &C| {
            if let Some(slot) = self.arena.slot(candidate.slot()) {
                prefetch::<false, _>(slot);
                prefetch::<false, _>(&slot.labels);
            }
        };
        let vector = |candidate: &C| vector_now(self.arena, candidate.slot());
        if place == 0 {
            candidates.iter().take(RECORDS_AHEAD).for_each(fetch_record);
            candidates.iter().take(VECTORS_AHEAD).filter_map(vector).for_each(fetch_vector);
        }
        candidates.get(place + RECORDS_AHEAD).into_iter().for_each(fetch_record);
        candidates.get(place + VECTORS_AHEAD).and_then(vector)
    }

    /// Reads the key in slot `number`, and returns it if it passes the filter and has a score. The vector that is read some
    /// candidates `later` is fetched meanwhile.
    fn read(&mut self, number: u32, later: Option<&[Word]>) -> Result<Option<Hit>, Error> {
        let Self { arena, filter, scorer, value, rescore } = self;
        let with_labels = filter.has_labels() || rescore.is_some();
        let found = look(arena, number, with_labels, |look| {
            let Some(score) = scorer.score(look, None, later) else { return look.holds().then_some(None) };
            let read = &look.read;
            let (key, epoch, labels) = (Key::read_from(read.slot), read.stable_epoch(), arena.labels(read));
            if filter.has_labels() && !filter.has_right_labels(labels) {
                return None;
            }
            let mut len = 0;
            if rescore.is_some() {
                let payload = read.payload(arena);
                value.resize(value.len().max(payload.len()), 0);
                len = payload.copy_to(value).unwrap_or(0);
            }
            look.holds().then_some(Some((key, epoch, labels, read.descriptor.kind(), len, score)))
        })?;
        let Some((key, epoch, labels, kind, len, mut score)) = found else { return Ok(None) };
        if let Some(rescore) = rescore {
            let (kind, value) = (Type::from_kind(kind), &value[..len]);
            score = rescore(&Candidate { key, slot: number, epoch, score, labels, kind, value }) + 0.0;
        }
        Ok((!score.is_nan()).then_some(Hit { key, slot: number, epoch, score }))
    }
}
