//! Gets and sets over the working set, by key and by handle. Each lap goes once over all keys in random order.

use super::fixture::{self, Buffer, KEYS, Key, SLOTS, consume};
use splinter::{Error, Expect, Handle, Store, Transaction, Writer};
use std::hint::black_box;

/// A filled store and what is needed to go over it.
pub struct Keyed {
    store: Store,
    writer: Writer,
    keys: Vec<Key>,
    handles: Vec<Handle>,
    value: Vec<u8>,
    buffer: Box<Buffer>,
}

impl Keyed {
    /// Operations of one lap.
    pub const OPS: u64 = KEYS as u64;

    /// Fills a store with [`KEYS`] values of `value_len` bytes. They are written in one random order and visited in
    /// another, so that the order in the arena is no help.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new(value_len: usize, seed: u64) -> Result<Self, String> {
        Self::in_store(fixture::store(SLOTS, value_len)?, value_len, seed)
    }

    /// Fills a cache with values of `value_len` bytes as [`Self::new`] does a store. It stays half full.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn in_cache(value_len: usize, seed: u64) -> Result<Self, String> {
        Self::in_store(fixture::cache(SLOTS, value_len)?, value_len, seed)
    }

    fn in_store(store: Store, value_len: usize, seed: u64) -> Result<Self, String> {
        let mut writer = fixture::writer(&store)?;
        let value = fixture::value(value_len);
        fixture::fill(&mut writer, &Key::shuffled('k', KEYS, !seed), &value)?;
        let keys = Key::shuffled('k', KEYS, seed);
        let handles: Result<_, _> = keys.iter().map(|key| store.resolve(key)).collect();
        let handles = handles.map_err(fixture::say)?;
        Ok(Self { store, writer, keys, handles, value, buffer: Buffer::new() })
    }

    /// Gets every value by its key and reads all of it.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn get(&mut self) -> Result<(), Error> {
        let buffer = self.buffer.first(self.value.len());
        let mut sum = 0_u64;
        for key in &self.keys {
            let len = self.store.get(key, buffer)?;
            sum = sum.wrapping_add(consume(&buffer[..len]));
        }
        black_box(sum);
        Ok(())
    }

    /// Gets every value by its handle and reads all of it.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn get_by_handle(&mut self) -> Result<(), Error> {
        let buffer = self.buffer.first(self.value.len());
        let mut sum = 0_u64;
        for handle in &self.handles {
            let len = self.store.get(handle, buffer)?;
            sum = sum.wrapping_add(consume(&buffer[..len]));
        }
        black_box(sum);
        Ok(())
    }

    /// Overwrites every value by its key.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn set(&mut self) -> Result<(), Error> {
        self.keys.iter().try_for_each(|key| self.writer.set(key, &self.value))
    }

    /// Overwrites every value if its key is there, as it is.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn set_if(&mut self) -> Result<(), Error> {
        let mut set = |key: &Key| self.writer.set_if(key, &self.value, Expect::Present);
        self.keys.iter().try_for_each(|key| set(key).map(drop))
    }

    /// Changes one byte of every value by a function.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn update(&mut self) -> Result<(), Error> {
        let change = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            new.extend_from_slice(old.unwrap_or_default());
            new[0] = new[0].wrapping_add(1);
            Ok(())
        };
        self.keys.iter().try_for_each(|key| self.writer.update(key, change))
    }

    /// Overwrites every value, `COUNT` of them in a transaction.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn transact<const COUNT: usize>(&mut self) -> Result<(), Error> {
        self.keys.chunks(COUNT).try_for_each(|keys| {
            let mut transaction = Transaction::new();
            for key in keys {
                transaction.key(key).set(&self.value);
            }
            black_box(self.writer.commit(&transaction)?);
            Ok(())
        })
    }

    /// Gets every value, two at a time as of one moment, and reads all of it.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn get_pairs(&mut self) -> Result<(), Error> {
        let stride = self.value.len();
        let buffer = self.buffer.first(2 * stride);
        let (mut sum, mut lens) = (0_u64, [Ok(0); 2]);
        for keys in self.keys.chunks(2) {
            self.store.read_consistent(keys, buffer, stride, &mut lens)?;
            sum = sum.wrapping_add(consume(&buffer[..keys.len() * stride]));
            for len in &lens[..keys.len()] {
                black_box((*len)?);
            }
        }
        black_box(sum);
        Ok(())
    }

    /// Overwrites every value by its handle.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn set_by_handle(&mut self) -> Result<(), Error> {
        self.handles.iter().try_for_each(|handle| self.writer.set(handle, &self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::Keyed;

    #[test]
    fn every_lap_succeeds_on_every_key() {
        let filled = [Keyed::new(64, 1), Keyed::new(1024, 1), Keyed::in_cache(64, 1)];
        for mut keyed in filled.map(Result::unwrap) {
            keyed.get().unwrap();
            keyed.set().unwrap();
            keyed.get().unwrap();
            keyed.set().unwrap();
            keyed.set_if().unwrap();
            keyed.update().unwrap();
            keyed.transact::<2>().unwrap();
            keyed.transact::<16>().unwrap();
            keyed.get_pairs().unwrap();
            assert_eq!(keyed.store.len(), Keyed::OPS);
        }
    }
}
