//! Shared by the fuzz targets: the parts of a case, and stores to damage. It knows the crate by its public API and by the
//! bytes of its file, as a user does, and compares it with the model of `splinter_testkit`.

mod bids;
pub mod case;
pub mod exercise;
pub mod hostile;
mod listeners;
pub mod operations;
mod stored;
