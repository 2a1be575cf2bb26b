//! What the fuzz targets share: what a case is made of, the map that a store has to agree with, and stores to
//! scribble on. It knows the crate by its public API and by the bytes of its file, as a user does.

mod bids;
pub mod case;
pub mod exercise;
pub mod hostile;
mod listeners;
mod model;
pub mod operations;
mod stored;

#[allow(dead_code, unreachable_pub, reason = "shared with the store's own tests, which use all of it")]
#[path = "../../tests/common/raw.rs"]
mod raw;
