//! Splinter: a key-value, vector and signal store in shared memory.
//!
//! Processes map one region and read and write it directly: no daemon, no socket, no lock. A [`Store`]
//! is such a region, opened; any thread may read from it, and each thread that writes registers a
//! [`Writer`]. Keys are 1 to 63 bytes; a value is any bytes up to the store's maximum; a key also has a
//! type, labels, an epoch that grows with every change, times, flags, and a vector of floats.
//!
//! ```
//! use splinter::{Config, IntegerOp, Store};
//!
//! let store = Store::anonymous(&Config::default())?;
//! let mut writer = store.writer()?;
//! writer.set("user:prompt", b"Tell me a joke about computers.")?;
//! writer.set_u64("jokes", 0)?;
//! writer.integer("jokes", IntegerOp::Inc(1))?;
//!
//! let mut buf = [0; 64];
//! let len = store.get("user:prompt", &mut buf)?;
//! assert_eq!(&buf[..len], b"Tell me a joke about computers.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which function does what
//!
//! | task | function |
//! |---|---|
//! | create, open or remove a store | [`Store::create`], [`Store::open`], [`Store::open_or_create`], [`Location::unlink`] |
//! | fill a store before anybody sees it | [`Draft`] |
//! | read a value | [`Store::get`], [`Store::get_vec`], without a copy [`Store::view`], many at once [`Store::get_many`] |
//! | write, append or remove a value | [`Writer::set`], [`Writer::append`], [`Writer::unset`], many at once [`Writer::set_many`] |
//! | skip the search for a key that is used often | [`Store::resolve`], [`Store::get_at`], [`Writer::set_at`] |
//! | count with an atomic integer | [`Writer::integer`], [`Store::get_u64`] |
//! | change several keys as one | [`Writer::set_tandem`], [`Store::tandem`] |
//! | store and read a vector | [`Writer::set_vector`], [`Store::vector`] |
//! | list keys | [`Store::keys`], [`Store::for_each_label`], [`Store::snapshot`] |
//! | wait for one key | [`Store::poll`], [`Store::poll_after`] |
//! | subscribe to many keys | [`Writer::register`], [`Store::watch`], [`Store::watch_all`], [`Watcher::wait`] |
//! | wait in an event loop | [`Watcher::pollable`] |
//! | find and mend damage | [`Store::inspect`], [`Store::repair`] |
//!
//! The protocol, byte by byte and with the argument why it holds, is in `docs/design.md`; how the code
//! is laid out in `docs/architecture.md`.

#[macro_use]
mod mutants;

// The models use the protocol, but not everything beneath it that a store does.
#[cfg_attr(loom, allow(dead_code))]
mod arena;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod bids;
mod error;
mod host;
#[cfg_attr(loom, allow(dead_code))]
mod integer;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod protocol;
mod quiet;
#[cfg_attr(loom, allow(dead_code))]
mod signals;
mod sync;
mod tuning;
#[doc(hidden)]
pub mod units;
#[cfg_attr(loom, allow(dead_code))]
mod version;

pub use error::{Error, StoreError};

// The models run the protocol alone: loom's atomics cannot live in mapped memory.
#[cfg(loom)]
pub use crate::{
    arena::{
        Scrub,
        key::{KEY_MAX, Key, hash_key, hash_key_seeded},
        layout::{GROUPS, LABELS},
    },
    integer::IntegerOp,
};
#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod cycles;
#[cfg(not(loom))]
mod draft;
#[cfg(not(loom))]
mod inspect;
#[cfg(not(loom))]
mod kernel;
#[cfg(not(loom))]
mod plan;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod pollable;
#[cfg(not(loom))]
mod profile;
#[cfg(not(loom))]
mod reader;
#[cfg(not(loom))]
mod registration;
#[cfg(not(loom))]
mod repair;
#[cfg(not(loom))]
mod snapshot;
#[cfg(not(loom))]
mod store;
#[cfg(not(loom))]
mod tandem;
#[cfg(not(loom))]
mod view;
#[cfg(not(loom))]
mod waiting;
#[cfg(not(loom))]
mod watcher;
#[cfg(not(loom))]
mod writer;

/// Returns a number that no forked child shares with its parent, for libraries that build on this one.
#[cfg(not(loom))]
#[doc(hidden)]
#[must_use]
#[inline]
pub fn process() -> u64 {
    kernel::process()
}

#[cfg(not(loom))]
pub use crate::{
    arena::{
        Scrub,
        key::{KEY_MAX, Key, hash_key, hash_key_seeded},
        layout::{GROUPS, LABELS},
    },
    bids::{Advice, Bid, BidError, BidTerms, Intent, Patience},
    config::{Config, Geometry, OpenOptions, Reserve, Type, UnknownName},
    cycles::{cycles, cycles_fenced},
    draft::Draft,
    inspect::Inspection,
    integer::IntegerOp,
    kernel::{HugePages, Location, Notifier, Placement, Residency, nodes as numa_nodes},
    pollable::{PollableWatcher, WatchError},
    profile::Profile,
    repair::Repair,
    snapshot::{Content, HeaderSnapshot, SlotSnapshot},
    store::Store,
    tandem::MAX_ORDERS,
    tuning::Tuning,
    version::Version,
    view::{Handle, View},
    watcher::{Change, Lagged, Watcher},
    writer::Writer,
};
