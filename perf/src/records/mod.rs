//! Reads the records of the whole suite, whatever kind they are of. Each part is read by a type, many of them those that
//! wrote it; a record with more or fewer fields is read as well, and only one of a newer schema is refused. It draws nothing
//! and judges nothing: `report`, `compare` and `index` do.

pub mod command;
pub mod config;
pub mod disturbed;
pub mod figures;
pub mod file;
pub mod group;
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
