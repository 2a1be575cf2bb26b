//! What a caller may choose: of a store, of an open one, and for a machine.

mod config;
pub(crate) mod profile;
#[doc(hidden)]
pub mod units;

pub(crate) use self::config::by_name;
pub use self::{
    config::{Config, Geometry, OpenOptions, Reserve, Type, UnknownName},
    profile::Profile,
};
