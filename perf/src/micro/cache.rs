//! A store as a cache: what an eviction adds to the insertion of a key, where everything misses the processor's caches.

use super::fixture::{self, Key};
use splinter::{Error, Writer};
use splinter_harness::rng::Rng;
use splinter_harness::stats::median;
use std::time::{Duration, Instant};

/// Slots of the large cache.
pub const SLOTS: usize = 10_000_000;

/// Bytes of its values.
pub const VALUE_LEN: usize = 64;

/// Insertions of one lap: a writer remembers so many slots that it has freed.
const LAP: usize = 256;

/// Laps of a sample, at least.
const LAPS: usize = 4;

/// A cache without a free slot, which evicts by SIEVE.
pub struct Full {
    writer: Writer,
    /// The number of the next new key; those of the older keys lie below.
    next: usize,
    slots: usize,
    rng: Rng,
    value: Vec<u8>,
}

impl Full {
    /// Fills a cache of so many slots. Takes seconds for [`SLOTS`] of them.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new(slots: usize, seed: u64) -> Result<Self, String> {
        let store = fixture::cache(slots as u64, VALUE_LEN)?;
        let mut writer = fixture::writer(&store)?;
        let value = fixture::value(VALUE_LEN);
        for number in 0..slots {
            writer.set(Key::new('k', number), &value).map_err(fixture::say)?;
        }
        Ok(Self { writer, next: slots, slots, rng: Rng::new(seed, 0), value })
    }

    /// Returns the memory that a cache of so many slots takes, in bytes.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn bytes(slots: usize) -> Result<u64, String> {
        Ok(fixture::cache(slots as u64, VALUE_LEN)?.arena_len())
    }

    /// Returns by how many nanoseconds an insertion that evicts takes longer than one that finds a freed slot: laps of
    /// both take turns, and their medians are compared.
    ///
    /// # Errors
    /// What the store did wrong, in one line.
    pub fn eviction_ns(&mut self, budget: Duration) -> Result<f64, String> {
        let start = Instant::now();
        let (mut evicting, mut plain) = (Vec::new(), Vec::new());
        while start.elapsed() < budget || evicting.len() < LAPS {
            evicting.push(self.lap(LAP as u64)?);
            self.free(LAP)?;
            plain.push(self.lap(0)?);
        }
        Ok(median(&mut evicting) - median(&mut plain))
    }

    /// Removes some keys, wherever they are.
    fn free(&mut self, mut count: usize) -> Result<(), String> {
        while count > 0 {
            match self.writer.unset(Key::new('k', self.next - 1 - self.rng.index(self.slots / 2))) {
                Ok(_) => count -= 1,
                Err(Error::NotFound) => {}
                Err(error) => return Err(fixture::say(error)),
            }
        }
        Ok(())
    }

    /// Inserts new keys, of which so many have to evict one. Returns nanoseconds per insertion.
    fn lap(&mut self, evictions: u64) -> Result<f64, String> {
        let keys: Vec<Key> = (self.next..self.next + LAP).map(|number| Key::new('k', number)).collect();
        self.next += LAP;
        let before = self.writer.header().evicted;
        let start = Instant::now();
        fixture::fill(&mut self.writer, &keys, &self.value)?;
        let ns = start.elapsed().as_nanos() as f64;
        match self.writer.header().evicted - before {
            evicted if evicted == evictions => Ok(ns / LAP as f64),
            evicted => Err(format!("{LAP} insertions evicted {evicted} keys, and not {evictions}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, LAP};
    use std::time::Duration;

    #[test]
    fn every_lap_evicts_as_many_keys_as_it_says() {
        let mut full = Full::new(8 * LAP, 1).unwrap();
        full.eviction_ns(Duration::ZERO).unwrap();
        assert_eq!(full.writer.len(), 8 * LAP as u64);
        assert!(full.lap(0).unwrap_err().contains("evicted 256 keys"));
    }
}
