//! Everything that asks the kernel: memory files and named shared memory, mappings, locks, sleeping
//! and waking, NUMA placement, huge pages. The only place that maps memory. It knows files, bytes
//! and offsets, and nothing of what a store keeps in them: no header, no slot, no key.

mod backing;
mod extents;
mod fork;
pub(crate) mod futex;
mod helper;
mod hiding;
pub(crate) mod huge;
mod lanes;
mod location;
mod map;
pub(crate) mod numa;
mod pollable;
mod staged;
mod sys;
#[cfg(test)]
mod testing;
mod uring;

pub(crate) use backing::{Backing, Seals, adopt, open};
pub(crate) use extents::Used;
pub(crate) use fork::forks;
pub(crate) use hiding::{Hiding, IfTaken};
pub use huge::HugePages;
pub(crate) use lanes::{LaneBytes, LaneLocks};
pub use location::Location;
pub(crate) use map::{Advice, HUGE_PAGE_BYTES, Mapping};
pub use numa::{Placement, Residency, nodes};
pub use pollable::Notifier;
pub(crate) use pollable::{Bell, Idle, Pollable};
pub(crate) use staged::Staged;
