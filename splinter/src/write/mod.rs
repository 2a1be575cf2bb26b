//! Changing keys.

mod conditional;
mod expiry;
mod writer;

pub use self::writer::Writer;
