//! Waits for changes: of one key, of signal groups, or in an event loop.

mod filter;
mod missing;
mod poll;
mod pollable;
mod retry;
mod spin;
mod watcher;

pub use self::{
    pollable::{PollableWatcher, WatchError},
    retry::{OptionalExt, retry},
    watcher::{Change, Lagged, Watcher},
};
