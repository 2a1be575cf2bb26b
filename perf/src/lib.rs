//! Measures a splinter store against the limits of the machine it runs on.
//!
//! A figure in nanoseconds says little: the next machine has another. What this crate reports is how many times the
//! cost of the machine's own primitive an operation takes: a pointer chase, an atomic instruction, a copy. Both
//! are sampled in the same [interleaved rounds](splinter_harness::sampler), so that the ratio holds on a machine that is shared,
//! throttled or virtual.
//!
//! - [`limits`]: what the machine can do.
//! - [`micro`]: what the store does, row by row, and whether it reaches its targets.
//! - [`doctor`]: whether the machine is fit for measuring.
//! - [`gate`]: whether one build of the store is worse than another.
//! - [`reproduce`]: the published figures, tried here.
//! - [`search`]: what a vector search finds, and what it costs.
//! - [`tune`]: the settings that suit a machine and a load best.

pub mod caches;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod doctor;
pub mod environment;
pub mod gate;
pub mod limits;
pub mod micro;
pub mod only;
pub mod pinning;
pub mod records;
mod report;
pub mod reproduce;
pub mod search;
pub mod tune;
pub mod unit;
pub mod workers;
