//! Reading the records of the whole suite, whatever kind they are of: the one place that knows how a record lies on
//! disk. It looks fields up by their names and takes what is there, so that a record with more or with less is read
//! as well; only one of a newer schema is refused. It draws nothing and judges nothing: `report`, `compare` and
//! `index` do, on what is here.

pub mod command;
pub mod config;
pub mod disturbed;
pub mod figures;
pub mod file;
pub mod group;
pub mod index;
pub mod latency;
pub mod paths;
pub mod peers;
pub mod place;
pub mod record;
pub mod rows;
pub mod schema;
pub mod spread;

pub use file::{Collection, File, read, read_without};
pub use record::{Operation, Record, Source};
