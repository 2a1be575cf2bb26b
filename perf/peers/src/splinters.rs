//! Splinter itself: by key, as most of the others are asked, and by handle.

use crate::contender::Contender;
use splinter::{Config, Error, Handle, Store, Writer};
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer, key_number, key_of};

/// Makes the contender that is asked by key.
pub(crate) fn by_key(name: &str, workload: &Workload) -> Result<Contender, String> {
    Contender::new(name, env!("CARGO_PKG_VERSION"), workload, Keyed(store(workload)?))
}

/// Makes the contender that is asked by handle.
pub(crate) fn by_handle(name: &str, workload: &Workload) -> Result<Contender, String> {
    let by_handle = Handled { store: store(workload)?, keys: workload.keys };
    Contender::new(name, env!("CARGO_PKG_VERSION"), workload, by_handle)
}

fn store(workload: &Workload) -> Result<Store, String> {
    let config = Config {
        geometry: workload.geometry(),
        scrub: workload.scrub,
        hash_seed: Some(workload.seed),
        ..Config::default()
    };
    Store::anonymous(&config).map_err(|error| error.to_string())
}

fn miss(error: Error) -> Miss {
    match error {
        Error::Again => Miss::Again,
        Error::NotFound => Miss::NotFound,
        Error::ValueTooLong => Miss::TooLong,
        other => Miss::Other(other.to_string().into()),
    }
}

struct Keyed(Store);

impl Peer for Keyed {
    type Link = KeyedLink;

    fn link(&self, _: bool) -> Result<KeyedLink, String> {
        self.0.writer().map(KeyedLink).map_err(|error| error.to_string())
    }
}

struct KeyedLink(Writer);

impl Link for KeyedLink {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        self.0.get(key, buf).map_err(miss)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        self.0.set(key, value).map_err(miss)
    }
}

struct Handled {
    store: Store,
    keys: u64,
}

struct HandledLink {
    writer: Writer,
    /// By the number of the key; missing until it was set.
    handles: Vec<Option<Handle>>,
}

impl Peer for Handled {
    type Link = HandledLink;

    fn link(&self, _: bool) -> Result<HandledLink, String> {
        let handle = |number: u64| self.store.resolve(key_of(number)).ok();
        Ok(HandledLink {
            writer: self.store.writer().map_err(|error| error.to_string())?,
            handles: (0..self.keys).map(handle).collect(),
        })
    }
}

impl HandledLink {
    #[inline]
    fn handle(&self, key: &[u8]) -> Result<Option<&Handle>, Miss> {
        Ok(self.handles.get(key_number(key)?).and_then(Option::as_ref))
    }
}

impl Link for HandledLink {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let handle = self.handle(key)?.ok_or(Miss::NotFound)?;
        self.writer.get(handle, buf).map_err(miss)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let number = key_number(key)?;
        let Some(Some(handle)) = self.handles.get(number) else {
            // The first value of a key, by which it gets a slot.
            return self.writer.set(key, value).map_err(miss);
        };
        self.writer.set(handle, value).map_err(miss)
    }
}
