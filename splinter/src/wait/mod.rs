//! Waits for changes: of one key, of signal groups, or in an event loop.

// The models run these, which sleep nowhere.
pub(crate) mod changes;
pub(crate) mod filter;
#[cfg(not(loom))]
mod missing;
#[cfg(not(loom))]
mod poll;
#[cfg(not(loom))]
mod pollable;
pub(crate) mod presence;
#[cfg(not(loom))]
mod retry;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
mod watcher;

#[cfg(not(loom))]
pub use self::{
    changes::Change,
    pollable::{PollableWatcher, WatchError},
    retry::{OptionalExt, retry},
    watcher::{Lagged, Watcher},
};
