//! Values that prove themselves: whoever reads one can tell which write it came from, and whether it is whole.

pub(crate) mod value;
pub(crate) mod vector;
