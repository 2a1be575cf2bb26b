//! Changing keys.

mod conditional;
mod writer;

pub use self::writer::Writer;
