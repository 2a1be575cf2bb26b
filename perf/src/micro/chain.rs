//! Gets that wait for one another: each value names the key to get next, in one random cycle through all keys. What a
//! lap takes is latency; gets whose keys are known beforehand overlap, and a lap of those is throughput.

use super::fixture::{self, Buffer, KEY_LEN, KEYS, Key, SLOTS};
use splinter::{Error, Store};
use splinter_harness::rng::Rng;

/// A filled store, and the key that is got next.
pub struct Chain {
    store: Store,
    at: [u8; KEY_LEN],
    buffer: Box<Buffer>,
    value_len: usize,
}

impl Chain {
    /// Gets of one lap.
    pub const OPS: u64 = KEYS as u64;

    /// Fills a store with [`KEYS`] values of `value_len` bytes, at least as many as a key has.
    ///
    /// # Errors
    /// The store's error, in one line.
    ///
    /// # Panics
    /// When a key does not fit a value.
    pub fn new(value_len: usize, seed: u64) -> Result<Self, String> {
        assert!(value_len >= KEY_LEN, "a value names a key");
        let store = fixture::store(SLOTS, value_len)?;
        let mut writer = fixture::writer(&store)?;
        let key = |number: usize| Key::new('k', number);
        let mut value = fixture::value(value_len);
        for (number, next) in Rng::new(seed, 0).single_cycle(KEYS).into_iter().enumerate() {
            value[..KEY_LEN].copy_from_slice(key(next as usize).as_ref());
            writer.set(key(number), &value).map_err(fixture::say)?;
        }
        let mut at = [0; KEY_LEN];
        at.copy_from_slice(key(0).as_ref());
        Ok(Self { store, at, buffer: Buffer::new(), value_len })
    }

    /// Gets every value once, and ends where it began.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn walk(&mut self) -> Result<(), Error> {
        for _ in 0..Self::OPS {
            self.step()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn step(&mut self) -> Result<(), Error> {
        let buffer = self.buffer.first(self.value_len);
        self.store.get(self.at, buffer)?;
        self.at.copy_from_slice(&buffer[..KEY_LEN]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;

    #[test]
    fn a_walk_comes_back_after_every_key_and_not_before() {
        let mut chain = Chain::new(64, 3).unwrap();
        let start = chain.at;
        for step in 1..=Chain::OPS {
            chain.step().unwrap();
            assert_eq!(chain.at == start, step == Chain::OPS);
        }
        chain.walk().unwrap();
        assert_eq!(chain.at, start);
    }
}
