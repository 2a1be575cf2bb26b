//! Changing keys.

mod conditional;
mod expiry;
mod transaction;
mod writer;

pub use self::transaction::{KeyChange, Transaction, TransactionError};
pub use self::writer::Writer;
