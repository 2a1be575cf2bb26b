//! The names of metrics.

use crate::settings::{UnknownName, by_name};
use crate::sketch::Metric;
use std::fmt;
use std::str::FromStr;

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 3] = [Self::Cosine, Self::Dot, Self::L2];
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        })
    }
}

impl FromStr for Metric {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        by_name(&Self::ALL, text, "cosine, dot or l2")
    }
}
