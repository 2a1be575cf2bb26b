//! The cache of a kill test: a second, small store. Writers insert into it all the while, and are killed in the middle of
//! that as of anything else. Each key's value is whole, pinned keys stay, and there are never more keys than slots.

use super::final_check;
use super::ops::fill;
use super::shared_state::{Fault, WriterState};
use super::verifier::Verifier;
use crate::proof::value;
use splinter::{Config, Error, Eviction, Geometry, Scrub, Store, Writer, hash_key, retry};
use splinter_harness::rng::Rng;
use std::ops::Range;
use std::time::Duration;

const SLOTS: u64 = 24;
/// How many keys there are to insert, beside the pinned ones.
const KEYS: u64 = 3 * SLOTS;
const PINNED: u64 = 3;
const LONGEST: u64 = 512;
const SHORTEST: u64 = value::HEADER as u64;
/// How long an insertion may be busy when no writer lives.
const PATIENCE: Duration = Duration::from_millis(10);

/// Makes the cache of a round, with the keys that stay. Every other one evicts by LRU.
pub(super) fn create(writers: u32, scrub: Scrub, seed: u64, round: u64) -> Result<Store, String> {
    let geometry = Geometry { slots: SLOTS, max_value_len: LONGEST, vector_dim: 0, max_writers: writers + 2 };
    let eviction = if round.is_multiple_of(2) { Eviction::Sieve } else { Eviction::Lru };
    let config = Config { geometry, scrub, eviction, hash_seed: Some(seed), ..Config::default() };
    let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
    let mut writer = store.writer().map_err(|error| error.to_string())?;
    for key in (0..PINNED).map(pinned) {
        let prefill = usize::from(value::PREFILL);
        let set = writer.set(&key, fill(&mut Vec::new(), LONGEST, &key, prefill, 0));
        set.and_then(|()| writer.pin(&key)).map_err(|error| format!("{key}: {error}"))?;
    }
    drop(writer);
    Ok(store)
}

fn pinned(number: u64) -> String {
    format!("pinned{number}")
}

fn passing(number: u64) -> String {
    format!("passing{number}")
}

/// Sets a key of the cache, mostly one that is not there.
pub(super) fn insert(writer: &mut Writer, state: WriterState<'_>, rng: &mut Rng) -> Result<(), Error> {
    let key = if rng.below(16) == 0 { pinned(rng.below(PINNED)) } else { passing(rng.below(KEYS)) };
    let stamp = state.next_stamp();
    let len = SHORTEST + rng.below(LONGEST - SHORTEST + 1);
    match writer.set(&key, fill(&mut Vec::new(), len, &key, state.number, stamp)) {
        // Keys are there that may go.
        Err(Error::Full) => Err(Error::TimedOut),
        answer => answer,
    }
}

impl Verifier<'_> {
    /// Reads all keys of the cache.
    pub(super) fn check_cache(&mut self, cache: &Store) {
        let mut bytes = [0; LONGEST as usize];
        for key in (0..PINNED).map(pinned).chain((0..KEYS).map(passing)) {
            let hash = hash_key(key.as_bytes());
            match cache.get(&key, &mut bytes).map(|len| value::check(&bytes[..len], hash)) {
                Ok(Ok(stamp)) => self.check_order(&key, stamp),
                Ok(Err(flaw)) => self.report(Fault::Torn, format!("{key} of the cache: {flaw:?}")),
                Err(Error::NotFound) if key.starts_with("passing") => {}
                Err(Error::NotFound) => self.report(Fault::Missing, format!("{key} of the cache: missing")),
                Err(Error::Again) => {}
                Err(error) => self.report(Fault::Unexpected, format!("{key} of the cache: {error}")),
            }
        }
        let count = cache.len();
        if count > SLOTS {
            self.report(Fault::Astray, format!("{count} keys of {SLOTS} slots of the cache"));
        }
    }

    /// Inserts keys into the cache, which must all come.
    fn insert_fresh(&self, cache: &Store, writer: &mut Writer, numbers: Range<u64>) {
        for key in numbers.map(|number| format!("fresh{number}")) {
            let answer = retry(PATIENCE, || writer.set(&key, b"x"));
            if answer.is_err() || cache.contains(&key) != Ok(true) {
                self.report(Fault::Stuck, format!("{key} cannot come into the cache: {answer:?}"));
            }
        }
    }

    /// Checks the cache after all writers are dead: insertions go on, and it is sound.
    pub(super) fn check_cache_at_rest(&mut self, cache: &Store) {
        let mut writer = match cache.writer() {
            Ok(writer) => writer,
            Err(error) => return self.report(Fault::Stuck, format!("no writer id of the cache: {error}")),
        };
        self.insert_fresh(cache, &mut writer, 0..SLOTS);
        drop(writer);
        // Every writer id gets a new owner once, which finishes what the last one left.
        let owners: Vec<_> = (0..cache.geometry().max_writers).map(|_| cache.writer()).collect();
        let Some(Ok(mut writer)) = owners.into_iter().last() else {
            return self.report(Fault::Stuck, "a dead writer's id of the cache cannot be had");
        };
        self.insert_fresh(cache, &mut writer, SLOTS..3 * SLOTS);
        drop(writer);
        self.check_cache(cache);
        final_check::inspect(cache, false, &|fault, text| self.report(fault, format!("the cache: {text}")));
        if cache.len() != SLOTS {
            self.report(Fault::Astray, format!("{} keys of {SLOTS} slots of the cache", cache.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::shared_state::KillState;
    use crate::raw::Raw;

    #[test]
    fn what_a_cache_must_not_lose_or_hold_is_found() {
        let cache = create(1, Scrub::Full, 1, 0).unwrap();
        let (raw, state) = (Raw::new(&cache).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&cache, &raw, &state, 0);
        let mut writer = cache.writer().unwrap();
        let (mut rng, own) = (Rng::new(1, 1), state.writer(0));
        for _ in 0..200 {
            insert(&mut writer, own, &mut rng).unwrap();
        }
        verifier.check_cache(&cache);
        assert_eq!(state.faults().iter().sum::<u64>(), 0, "{:?}", state.fault_texts());
        writer.set(passing(0), b"of no writer").unwrap();
        writer.unset(pinned(0)).unwrap();
        verifier.check_cache(&cache);
        assert_eq!([Fault::Torn, Fault::Missing].map(|fault| state.faults()[fault as usize]), [1, 1]);
        writer.unset(passing(0)).unwrap();
        drop(writer);
        verifier.check_cache_at_rest(&cache);
        assert_eq!(state.faults()[Fault::Missing as usize], 2);
        assert_eq!(state.faults()[Fault::Stuck as usize], 0, "{:?}", state.fault_texts());
        assert_eq!(state.faults()[Fault::Astray as usize], 0, "{:?}", state.fault_texts());
    }
}
