//! Splinter: a key-value, vector and signal store in shared memory.
//!
//! Processes map one region, and read and write it directly, without a daemon or a socket. A [`Store`] is such a
//! region, opened. Any thread may read from it, and each thread that writes registers a [`Writer`]. A key has 1 to 63
//! bytes, a value up to the store's maximum. A key also has a type, a vector of floats, labels, times and flags, and an
//! epoch that grows with every change of its value, vector or type.
//!
//! Readers take no lock and store nothing, except in a cache: there a read stores the byte that marks the key as visited,
//! if it changes. A writer holds a key only while it changes it: others get [`Error::Again`] for that key meanwhile, which
//! [`retry`] handles. If a writer dies, the next one recovers the key.
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
//! | write only if nobody else has | [`Writer::set_if`] and its kin with [`Expect`], [`Store::get_entry`] |
//! | change a value by what it was | [`Writer::update`], [`Writer::swap`] |
//! | skip the search for a key that is used often | [`Store::resolve`], whose [`Handle`] is accepted as a key |
//! | try again while a key is busy; take a missing key for `None` | [`retry`], [`OptionalExt::optional`] |
//! | switch the scrub level; share flags | [`Store::set_scrub`], [`Store::flags`] |
//! | count with an atomic integer | [`Writer::integer`], [`Writer::integer_or`], [`Store::get_u64`] |
//! | change several keys at once | [`Writer::commit`] of a [`Transaction`]; of one family [`Writer::set_tandem`] |
//! | read several keys as of one moment | [`Store::read_consistent`]; of one family [`Store::tandem`] |
//! | store and read a vector | [`Writer::set_vector`], [`Store::vector`], all of them [`Store::vectors`] |
//! | find the keys with the nearest vectors | [`Store::search`], nearest to a key's [`Store::nearest_to`], of two keys [`Store::similarity`] |
//! | list keys | [`Store::keys`], with their values [`Store::scan`], [`Store::for_each_label`], [`Store::snapshot`] |
//! | wait for one key | [`Store::poll`], [`Store::poll_after`] |
//! | wait for a key that is missing, or goes and comes back | [`Store::wait_for`], [`Store::wait_for_after`] |
//! | subscribe to many keys | [`Writer::register`], [`Store::watch`], [`Store::watch_all`], [`Watcher::wait`] |
//! | watch keys by prefix; one key, present or missing | [`Store::watch_prefix`], [`Store::watch_key`] |
//! | subscribe to a key before it is there, and after it was removed | [`Writer::register_lasting`] |
//! | wait in an event loop | [`Watcher::pollable`] |
//! | agree with other processes on advice about memory | [`Store::bids`] |
//! | find and repair damage | [`Store::inspect`], [`Store::repair`] |
//!
//! `docs/protocol.md` explains the protocol and why it holds, `docs/format.md` its bytes, and
//! `docs/architecture.md` where the code is.

#[macro_use]
mod mutants;

// docs/architecture.md says which folder may name which, and ci/layers checks it.
mod error;
mod sync;
mod tuning;
// The models run the protocol alone, since loom's atomics cannot live in mapped memory; they do not use all beneath it.
#[cfg_attr(loom, allow(dead_code))]
mod arena;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod bids;
#[cfg(not(loom))]
mod inspect;
#[cfg(not(loom))]
mod kernel;
#[cfg(not(loom))]
mod open;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod protocol;
#[cfg(not(loom))]
mod read;
#[cfg(not(loom))]
mod search;
#[cfg(not(loom))]
mod settings;
#[cfg_attr(loom, allow(dead_code))]
mod signals;
#[cfg_attr(loom, allow(dead_code, unused_imports))]
mod sketch;
#[cfg_attr(loom, allow(dead_code))]
mod wait;
#[cfg(not(loom))]
mod write;

#[cfg(not(loom))]
#[doc(hidden)]
pub use crate::settings::units;
#[cfg(not(loom))]
pub use crate::{
    arena::orders::MAX_ORDERS,
    arena::version::{Expect, Lifetime, Outcome, Version},
    bids::{Advice, Bid, BidError, BidTerms, Bids, Intent, Patience},
    inspect::{Content, HeaderSnapshot, Inspection, Repair, SlotSnapshot},
    kernel::{
        HugePages, Location, Notifier, Placement, Residency, cycles, cycles_fenced, nodes as numa_nodes,
    },
    open::{Draft, Flags, Store},
    read::{AsKey, Entry, Handle, Page, Scanned, VectorView, View},
    search::{Candidate, Hit, Search},
    settings::{Config, Geometry, OpenOptions, Profile, Reserve, Type, UnknownName},
    tuning::Tuning,
    wait::{Change, Lagged, OptionalExt, PollableWatcher, WatchError, Watcher, retry},
    write::{KeyChange, Transaction, TransactionError, Writer},
};
pub use crate::{
    arena::{
        Scrub,
        cache::Eviction,
        integer::IntegerOp,
        key::{KEY_MAX, Key, hash_key, hash_key_seeded},
        records::{GROUPS, LABELS, LASTING},
    },
    error::{Error, StoreError},
    sketch::Metric,
};

/// Returns a number that no forked child shares with its parent, for libraries that build on this one.
#[cfg(not(loom))]
#[doc(hidden)]
#[must_use]
#[inline]
pub fn process() -> u64 {
    kernel::process()
}
