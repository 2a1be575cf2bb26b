//! Reading keys: copies of values, views without a copy, many keys at once.

mod batch;
mod get;
mod view;

pub(crate) use self::batch::Batch;
pub use self::view::{Handle, View};
