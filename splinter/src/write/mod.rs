//! Changing keys.

mod writer;

pub use self::writer::Writer;
