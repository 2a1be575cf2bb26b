//! What the caches are held against: exact LRU, SIEVE by its paper, and Belady's optimum. They know keys by number and
//! hold no values. Pure.

use super::list::{List, NONE};
use std::collections::BTreeSet;

/// A cache that holds a limited number of keys. Every key that is missed is added.
pub(super) trait Reference {
    /// Asks for a key; tells whether it was there. If not, it is now.
    fn request(&mut self, key: u32) -> bool;

    /// Asks for all keys of a trace; returns for each request whether it was a hit.
    fn replay(&mut self, requests: &[u32]) -> Hits {
        Hits::of(requests.iter().map(|key| self.request(*key)))
    }
}

/// Evicts the key that was used longest ago.
#[derive(Debug)]
pub(super) struct Lru(List);

impl Lru {
    /// Creates an empty cache of `slots` of the keys below `keys`.
    pub(super) fn new(keys: usize, slots: usize) -> Self {
        Self(List::new(keys, slots))
    }
}

impl Reference for Lru {
    fn request(&mut self, key: u32) -> bool {
        let Self(list) = self;
        if let Some(place) = list.place(key) {
            list.move_to_head(place);
            return true;
        }
        match list.is_full() {
            true => list.replace(list.tail(), key),
            false => {
                list.push(key);
            }
        }
        false
    }
}

/// Evicts by SIEVE: a hand goes from the oldest key to the newest, and spares each that was used since it came by.
///
/// Source: Zhang, Yang, Yue, Vigfusson, Rashmi, "SIEVE is simpler than LRU: an efficient turn-key eviction algorithm for
/// web caches", NSDI 2024, algorithm 1.
#[derive(Debug)]
pub(super) struct Sieve {
    list: List,
    /// By place: whether the key was used since the hand came by.
    visited: Vec<bool>,
    /// Where the hand is; `NONE` stands for the tail.
    hand: u32,
}

impl Sieve {
    /// Creates an empty cache of `slots` of the keys below `keys`.
    pub(super) fn new(keys: usize, slots: usize) -> Self {
        Self { list: List::new(keys, slots), visited: Vec::new(), hand: NONE }
    }

    /// Moves the hand to the key that is to go, then one on; returns the place of that key.
    fn evict(&mut self) -> u32 {
        let from_tail = |list: &List, place| if place == NONE { list.tail() } else { place };
        let mut place = from_tail(&self.list, self.hand);
        while std::mem::take(&mut self.visited[place as usize]) {
            place = from_tail(&self.list, self.list.newer(place));
        }
        self.hand = self.list.newer(place);
        place
    }
}

impl Reference for Sieve {
    fn request(&mut self, key: u32) -> bool {
        if let Some(place) = self.list.place(key) {
            self.visited[place as usize] = true;
            return true;
        }
        if self.list.is_full() {
            let place = self.evict();
            self.list.replace(place, key);
        } else {
            self.list.push(key);
            self.visited.push(false);
        }
        false
    }
}

/// Returns how many hits are possible at all: it keeps the keys that are needed again soonest, and knows the future.
///
/// A key that is missed need not be kept. So this bounds caches that refuse keys, too, and is a little above the hits of
/// Belady's MIN where each key must be taken in. Time grows with the logarithm of `slots`.
///
/// Source: Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5 (1966).
pub(super) fn optimum(requests: &[u32], keys: usize, slots: usize) -> u64 {
    const NEVER: u32 = u32::MAX;
    // By request: when its key is asked for again.
    let mut next = vec![NEVER; requests.len()];
    let mut last = vec![NEVER; keys];
    for (at, key) in requests.iter().enumerate().rev() {
        next[at] = std::mem::replace(&mut last[*key as usize], at as u32);
    }
    // Of each key that is held, when it is asked for again: which also tells the key.
    let mut held = BTreeSet::new();
    let mut hits = 0;
    for (at, again) in next.into_iter().enumerate() {
        hits += u64::from(held.remove(&(at as u32)));
        if again != NEVER {
            held.insert(again);
            if held.len() > slots {
                held.pop_last();
            }
        }
    }
    hits
}

/// For each request whether it was a hit, a bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hits {
    words: Vec<u64>,
}

impl Hits {
    /// Creates a list for so many requests, none of them a hit.
    pub(super) fn new(requests: usize) -> Self {
        Self { words: vec![0; requests.div_ceil(64)] }
    }

    /// Creates a list of these.
    fn of(hits: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut list = Self::new(hits.len());
        hits.enumerate().filter(|(_, hit)| *hit).for_each(|(at, _)| list.add(at));
        list
    }

    /// Notes that a request was a hit.
    pub(super) fn add(&mut self, at: usize) {
        self.words[at / 64] |= 1 << (at % 64);
    }

    /// Tells whether a request was a hit.
    pub(super) fn has(&self, at: usize) -> bool {
        self.words[at / 64] >> (at % 64) & 1 == 1
    }

    /// Counts the hits.
    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns how many requests two caches answered differently, and the first of them.
    pub(super) fn differences(&self, other: &Self) -> (u64, Option<usize>) {
        let words = || self.words.iter().zip(&other.words).map(|(one, other)| one ^ other).enumerate();
        let count = words().map(|(_, word)| u64::from(word.count_ones())).sum();
        let first = words().find(|(_, word)| *word != 0);
        (count, first.map(|(at, word)| at * 64 + word.trailing_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::rng::Rng;

    /// Requests by letters.
    fn trace(letters: &str) -> Vec<u32> {
        letters.bytes().map(|letter| u32::from(letter - b'a')).collect()
    }

    fn letters(keys: &[u32]) -> String {
        keys.iter().map(|key| char::from(b'a' + *key as u8)).collect()
    }

    /// Replays and returns the hits as a text: `+` for a hit.
    fn hits(cache: &mut impl Reference, requests: &str) -> String {
        let hits = cache.replay(&trace(requests));
        (0..requests.len()).map(|at| if hits.has(at) { '+' } else { '.' }).collect()
    }

    #[test]
    fn sieve_evicts_what_its_hand_finds_unvisited_and_keeps_the_order_of_the_rest() {
        let mut sieve = Sieve::new(26, 3);
        assert_eq!(hits(&mut sieve, "abca"), "...+");
        assert_eq!(letters(&sieve.list.keys()), "cba");
        // The hand spares a, which was visited, and takes b; a stays where it is, at the tail.
        assert_eq!(hits(&mut sieve, "d"), ".");
        assert_eq!(letters(&sieve.list.keys()), "dca");
        // It stands at c now, and goes on from there instead of the tail.
        assert_eq!(hits(&mut sieve, "e"), ".");
        assert_eq!(letters(&sieve.list.keys()), "eda");
        assert_eq!(hits(&mut sieve, "dea"), "+++");
        // At d: spares d, e, and round at the tail a; then d is unvisited.
        assert_eq!(hits(&mut sieve, "f"), ".");
        assert_eq!(letters(&sieve.list.keys()), "fea");
        assert_eq!(hits(&mut sieve, "eafd"), "+++.");
        // At e: spares e, f, a; takes e.
        assert_eq!(letters(&sieve.list.keys()), "dfa");
    }

    #[test]
    fn sieve_begins_at_the_tail_again_after_it_took_the_head() {
        let mut sieve = Sieve::new(26, 2);
        // a and b are visited before c comes: the hand goes round and takes a.
        assert_eq!(hits(&mut sieve, "ababc"), "..++.");
        assert_eq!(letters(&sieve.list.keys()), "cb");
        // The hand stands at b, which it has passed and nobody used since; then at c.
        assert_eq!(hits(&mut sieve, "de"), "..");
        assert_eq!(letters(&sieve.list.keys()), "ed");
        // At d, which it spares; then it takes e, the head.
        assert_eq!(hits(&mut sieve, "df"), "+.");
        assert_eq!(letters(&sieve.list.keys()), "fd");
        assert_eq!(hits(&mut sieve, "g"), ".");
        assert_eq!(letters(&sieve.list.keys()), "gf");
    }

    #[test]
    fn one_slot_holds_the_last_key() {
        assert_eq!(hits(&mut Sieve::new(26, 1), "aabba"), ".+.+.");
        assert_eq!(hits(&mut Lru::new(26, 1), "aabba"), ".+.+.");
    }

    #[test]
    fn lru_evicts_what_was_used_longest_ago() {
        let mut lru = Lru::new(26, 3);
        assert_eq!(hits(&mut lru, "abcadbea"), "...+....");
        assert_eq!(letters(&lru.0.keys()), "aeb");
    }

    #[test]
    fn lru_never_hits_on_a_loop_that_is_too_long_and_sieve_does_not_either() {
        let requests = "abcd".repeat(5);
        let none = ".".repeat(20);
        assert_eq!(hits(&mut Lru::new(26, 3), &requests), none);
        // Nothing is visited before its turn to go comes.
        assert_eq!(hits(&mut Sieve::new(26, 3), &requests), none);
        // Three keys stay for good: three hits in each of the four later turns.
        assert_eq!(optimum(&trace(&requests), 26, 3), 12);
    }

    #[test]
    fn the_optimum_is_what_trying_everything_finds() {
        /// Tries to keep each set of held keys and the new one that fits.
        fn best(requests: &[u32], slots: usize, held: &BTreeSet<u32>) -> u64 {
            let Some((key, rest)) = requests.split_first() else {
                return 0;
            };
            let hit = u64::from(held.contains(key));
            let all: BTreeSet<u32> = held.iter().copied().chain([*key]).collect();
            if all.len() <= slots {
                return hit + best(rest, slots, &all);
            }
            let without = |out: &u32| all.iter().copied().filter(|key| key != out).collect();
            hit + all.iter().map(|out| best(rest, slots, &without(out))).max().unwrap_or(0)
        }
        let mut rng = Rng::new(5, 0);
        for _ in 0..60 {
            let requests: Vec<u32> = (0..11).map(|_| rng.below(5) as u32).collect();
            for slots in 1..=3 {
                let found = optimum(&requests, 5, slots);
                assert_eq!(found, best(&requests, slots, &BTreeSet::new()), "{requests:?} {slots}");
            }
        }
    }

    #[test]
    fn nothing_is_above_the_optimum_and_room_for_all_keys_misses_each_once() {
        let mut rng = Rng::new(8, 0);
        let requests: Vec<u32> = (0..5000).map(|_| rng.below(60).min(rng.below(60)) as u32).collect();
        for slots in [1, 2, 7, 30, 59, 60, 90] {
            let best = optimum(&requests, 60, slots);
            let lru = Lru::new(60, slots).replay(&requests).count();
            let sieve = Sieve::new(60, slots).replay(&requests).count();
            assert!(lru <= best && sieve <= best, "{slots}: {lru} {sieve} {best}");
            if slots >= 60 {
                assert_eq!([lru, sieve, best], [4940; 3]);
            }
        }
    }

    #[test]
    fn differences_are_counted_and_the_first_is_told() {
        let list = |hits: &[usize]| {
            let mut list = Hits::new(200);
            hits.iter().for_each(|at| list.add(*at));
            list
        };
        let one = list(&[3, 70, 199]);
        assert_eq!(one.count(), 3);
        assert_eq!(one.differences(&one), (0, None));
        assert_eq!(one.differences(&list(&[3, 130])), (3, Some(70)));
    }
}
