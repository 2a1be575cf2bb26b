//! Caches that threads share: the store, and `moka`. Each client copies what it gets into its own buffer.

use moka::sync::Cache;
use rapidhash::quality::SeedableState;
use splinter::{Config, Error, Eviction, Geometry, OptionalExt, Reserve, Store, StoreError, Writer, retry};
use splinter_harness::error::RunError;
use std::sync::Arc;
use std::time::Duration;

/// How long a call tries again while another thread holds the key.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cache that threads share.
pub(super) trait Shared: Sync {
    /// What a thread uses it by.
    type Client<'a>: Client + Send
    where
        Self: 'a;

    /// Creates a client for one thread.
    ///
    /// # Errors
    /// One line if the cache takes no more.
    fn client(&self) -> Result<Self::Client<'_>, String>;

    /// Returns how many keys it holds, once nobody uses it.
    fn resident(&self) -> u64;

    /// Returns how many keys it says that it has evicted, if it counts them.
    fn evicted(&self) -> Option<u64>;
}

/// One thread's access to a cache.
pub(super) trait Client {
    /// Copies a key's value into the buffer and returns its length, or `None` if the key is not there.
    ///
    /// # Errors
    /// One line for any other answer.
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<Option<usize>, String>;

    /// Gives a key a value.
    ///
    /// # Errors
    /// One line if the cache refuses.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String>;
}

/// A store in cache mode.
#[derive(Debug)]
pub(super) struct StoreCache(Store);

impl StoreCache {
    /// Creates a store of `slots` values of up to `len` bytes for so many threads.
    ///
    /// # Errors
    /// [`RunError`]: why there can be no such store.
    pub(super) fn new(
        eviction: Eviction,
        slots: u64,
        len: u64,
        writers: u32,
        seed: u64,
    ) -> Result<Self, RunError> {
        let config = Config {
            geometry: Geometry { slots, max_value_len: len, vector_dim: 0, max_writers: writers },
            // As in a run: its memory is taken when it is touched.
            reserve: Reserve::Nothing,
            hash_seed: Some(seed),
            eviction,
            ..Config::default()
        };
        Store::anonymous(&config).map(Self).map_err(|error| match error {
            StoreError::BadGeometry(why) => {
                RunError::Usage(format!("no such store can be built: {why}; change --slots or --len"))
            }
            other => RunError::Failed(format!("the store cannot be created: {other}")),
        })
    }
}

impl Shared for StoreCache {
    type Client<'a> = StoreClient<'a>;

    fn client(&self) -> Result<StoreClient<'_>, String> {
        let writer = self.0.writer().map_err(|error| format!("no writer can be registered: {error}"))?;
        Ok(StoreClient { store: &self.0, writer })
    }

    fn resident(&self) -> u64 {
        self.0.len()
    }

    fn evicted(&self) -> Option<u64> {
        Some(self.0.header().evicted)
    }
}

/// A thread's writer, and the store that it reads.
pub(super) struct StoreClient<'a> {
    store: &'a Store,
    writer: Writer,
}

impl Client for StoreClient<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<Option<usize>, String> {
        retry(PATIENCE, || self.store.get(key, buf)).optional().map_err(|error| refused("get", error))
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        retry(PATIENCE, || self.writer.set(key, value)).map_err(|error| refused("set", error))
    }
}

#[cold]
fn refused(call: &str, error: Error) -> String {
    format!("{call}: {error}")
}

/// `moka`'s cache for threads, with its own policy (W-TinyLFU) and the store's hash.
#[derive(Debug)]
pub(super) struct Moka(Cache<Box<[u8]>, Arc<[u8]>, SeedableState<'static>>);

impl Moka {
    /// Creates a cache of up to `slots` keys.
    pub(super) fn new(slots: u64, seed: u64) -> Self {
        Self(Cache::builder().max_capacity(slots).build_with_hasher(SeedableState::new(seed)))
    }
}

impl Shared for Moka {
    type Client<'a> = &'a Self;

    fn client(&self) -> Result<&Self, String> {
        Ok(self)
    }

    fn resident(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }

    fn evicted(&self) -> Option<u64> {
        None
    }
}

impl Client for &Moka {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<Option<usize>, String> {
        Ok(self.0.get(key).map(|value| {
            buf[..value.len()].copy_from_slice(&value);
            value.len()
        }))
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.0.insert(key.into(), value.into());
        Ok(())
    }
}
