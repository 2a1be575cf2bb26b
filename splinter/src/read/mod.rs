//! Reading keys: copies of values, views without a copy, many keys at once.

mod batch;
mod consistent;
mod entry;
mod get;
mod handle;
mod lifetime;
mod scan;
mod vectors;
mod view;

pub(crate) use self::batch::{Batch, fetch_for_sets};
pub(crate) use self::handle::sealed::Plain;
pub use self::{
    entry::Entry,
    handle::{AsKey, Handle},
    scan::{Page, Scanned},
    vectors::VectorView,
    view::View,
};
