//! Values that prove themselves: a reader can tell which write one came from, and whether it is whole.

pub(crate) mod accounts;
pub(crate) mod value;
pub(crate) mod vector;
