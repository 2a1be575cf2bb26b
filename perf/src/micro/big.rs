//! Ten million keys: gets that miss every cache, one at a time and many at once.

use super::fixture::{self, Buffer, Key, consume};
use splinter::{Error, Store};
use splinter_harness::rng::Rng;
use std::hint::black_box;

/// Keys of the large store.
pub const KEYS: usize = 10_000_000;

/// Bytes of its values.
pub const VALUE_LEN: usize = 64;

/// Keys of one `get_many`.
pub const MANY: usize = 32;

/// Keys that are visited before the first one comes again: far more than any cache remembers.
const VISITED: usize = 1 << 22;

/// Gets of one lap.
const LAP: usize = 512;

/// A large store and a random walk over its keys. The walk goes on where it stopped: no key is met warm.
pub struct Big {
    store: Store,
    keys: Vec<Key>,
    at: usize,
    buffer: Box<Buffer>,
    lens: Vec<Result<usize, Error>>,
}

impl Big {
    /// Operations of one lap.
    pub const OPS: u64 = LAP as u64;

    /// Fills a store with `keys` keys, five slots for every four. Takes seconds for [`KEYS`] of them.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new(keys: usize, seed: u64) -> Result<Self, String> {
        let store = fixture::store(slots(keys), VALUE_LEN)?;
        let mut writer = fixture::writer(&store)?;
        let value = fixture::value(VALUE_LEN);
        for number in 0..keys {
            writer.set(Key::new('k', number), &value).map_err(fixture::say)?;
        }
        let mut rng = Rng::new(seed, 0);
        let visited = (0..VISITED.min(keys).next_multiple_of(LAP)).map(|_| Key::new('k', rng.index(keys)));
        Ok(Self { keys: visited.collect(), store, at: 0, buffer: Buffer::new(), lens: vec![Ok(0); MANY] })
    }

    /// Returns the memory that a store of `keys` keys takes, in bytes, from what the arena's geometry asks for.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn bytes(keys: usize) -> Result<u64, String> {
        Ok(fixture::store(slots(keys), VALUE_LEN)?.arena_len())
    }

    /// Says whether more than half of the store lies on huge pages: what a system does that gives them unasked.
    #[must_use]
    pub fn is_on_huge_pages(&self) -> bool {
        self.store.huge_page_bytes() > self.store.arena_len() / 2
    }

    /// Gets the next keys one by one and reads their values.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn get(&mut self) -> Result<(), Error> {
        let at = self.advance();
        let buffer = self.buffer.first(VALUE_LEN);
        let mut sum = 0_u64;
        for key in &self.keys[at..at + LAP] {
            let len = self.store.get(key, buffer)?;
            sum = sum.wrapping_add(consume(&buffer[..len]));
        }
        black_box(sum);
        Ok(())
    }

    /// Gets the next keys, [`MANY`] at a time, and reads their values.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn get_many(&mut self) -> Result<(), Error> {
        let at = self.advance();
        let buffers = self.buffer.first(MANY * VALUE_LEN);
        let mut sum = 0_u64;
        for keys in self.keys[at..at + LAP].chunks_exact(MANY) {
            self.store.get_many(keys, buffers, VALUE_LEN, &mut self.lens);
            for (len, buffer) in self.lens.iter().zip(buffers.chunks_exact(VALUE_LEN)) {
                sum = sum.wrapping_add(consume(&buffer[..(*len)?]));
            }
        }
        black_box(sum);
        Ok(())
    }

    fn advance(&mut self) -> usize {
        let at = self.at;
        self.at = (at + LAP) % self.keys.len();
        at
    }
}

fn slots(keys: usize) -> u64 {
    keys as u64 / 4 * 5
}

#[cfg(test)]
mod tests {
    use super::{Big, LAP};

    #[test]
    fn a_walk_reads_every_value_and_begins_anew_at_its_end() {
        let mut big = Big::new(3 * LAP, 1).unwrap();
        for _ in 0..4 {
            big.get().unwrap();
            big.get_many().unwrap();
        }
        assert_eq!(big.at, 2 * LAP);
        assert_eq!(big.store.len(), 3 * LAP as u64);
    }
}
