//! What the stress suite and the measuring tools share: facts of the machine and what disturbs it, processes and shared memory,
//! random numbers, statistics, tables and files. Nothing here knows a workload or a record of one.
//!
//! - The machine: [`machine`], [`affinity`], [`cpulist`], [`cpu_quota`], [`environment`], [`disturbance`], [`valgrind`].
//! - Time and events: [`cycles`], [`clock_cost`], [`counters`], [`interrupt`], [`progress`].
//! - Processes: [`forked`], [`task`], [`shared`], [`futex`], [`ping_pong`].
//! - Figures and text: [`rng`], [`sampler`], [`stats`], [`table`], [`text`], [`named_enum!`], [`verdict`], [`error`].
//! - Files and the terminal: [`files`], [`input`], [`console`], [`program`], [`documentation`].

pub mod affinity;
pub mod clock_cost;
pub mod console;
mod control_group;
pub mod counters;
pub mod cpu_quota;
pub mod cpulist;
pub mod cycles;
pub mod disturbance;
pub mod documentation;
pub mod environment;
pub mod error;
pub mod files;
pub mod forked;
pub mod futex;
pub mod input;
pub mod interrupt;
pub mod machine;
mod memory;
mod named;
pub mod ping_pong;
pub mod program;
pub mod progress;
pub mod rng;
pub mod sampler;
pub mod shared;
pub mod stats;
pub mod table;
pub mod task;
#[cfg(test)]
mod test_tree;
pub mod text;
pub mod valgrind;
pub mod verdict;

#[doc(hidden)]
pub use schemars;
