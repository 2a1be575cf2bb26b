//! Reading keys: copies of values, views without a copy, many keys at once.

mod batch;
mod get;
mod handle;
mod view;

pub(crate) use self::{batch::Batch, handle::sealed::Plain};
pub use self::{
    handle::{AsKey, Handle},
    view::View,
};
