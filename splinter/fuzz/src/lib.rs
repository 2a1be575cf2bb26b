//! What the fuzz targets share: what a case is made of, and stores to scribble on. It knows the crate by its public API and by
//! the bytes of its file, as a user does, and holds it against the model of `splinter_testkit`.

mod bids;
pub mod case;
pub mod exercise;
pub mod hostile;
mod listeners;
pub mod operations;
mod stored;
