//! Changing keys.

mod conditional;
mod expiry;
mod lasting;
mod pins;
mod transaction;
mod writer;

pub use self::transaction::{Transaction, TransactionError};
pub use self::writer::Writer;
pub use crate::arena::change::KeyChange;
