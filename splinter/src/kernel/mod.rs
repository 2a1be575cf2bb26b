//! Everything that asks the kernel: memory files and named shared memory, mappings, locks, sleeping
//! and waking, NUMA placement, huge pages. The only place that maps memory. It knows files, bytes
//! and offsets, and nothing of what a store keeps in them: no header, no slot, no key.

mod backing;
mod byte_locks;
mod cycles;
mod description;
mod descriptor;
mod extents;
pub(crate) mod futex;
mod hiding;
pub(crate) mod huge;
mod location;
mod map;
pub(crate) mod numa;
mod pollable;
mod presence;
mod process;
pub(crate) mod robust;
mod staged;
mod sys;
#[cfg(test)]
mod testing;
mod window;

pub(crate) use backing::{Backing, Seals, adopt, open};
pub(crate) use byte_locks::ByteLocks;
pub use cycles::{cycles, cycles_fenced};
pub(crate) use extents::Used;
pub(crate) use hiding::{Hiding, IfTaken};
pub use huge::HugePages;
pub use location::Location;
pub(crate) use map::{Advice, HUGE_PAGE_BYTES, Mapping};
pub use numa::{Placement, Residency, nodes};
pub use pollable::Notifier;
pub(crate) use pollable::{Bell, Idle, Pollable};
pub(crate) use presence::{Presence, Present};
pub(crate) use process::{PerProcess, SetOnce, process};
pub(crate) use staged::Staged;
pub(crate) use sys::secret;
pub(crate) use window::Window;
