//! The kernel layer: memory files and named shared memory, mappings, locks, futexes, NUMA placement, huge pages. Only
//! this folder maps memory. It knows files, bytes and offsets, but nothing of a store: no header, no slot, no key.

mod backing;
mod byte_locks;
mod clock;
mod cycles;
mod description;
mod descriptor;
mod extents;
pub(crate) mod futex;
pub(crate) mod huge;
mod location;
mod map;
mod new_file;
pub(crate) mod numa;
mod pollable;
mod presence;
mod process;
pub(crate) mod robust;
mod sys;
#[cfg(test)]
mod testing;
mod unlinked;
mod word_pages;

pub(crate) use backing::{Backing, Seals, adopt, open};
pub(crate) use byte_locks::ByteLocks;
pub(crate) use clock::{boot, since_boot};
pub use cycles::{cycles, cycles_fenced};
pub(crate) use extents::AllocatedRanges;
pub use huge::HugePages;
pub use location::Location;
pub(crate) use map::{Advice, HUGE_PAGE_BYTES, Mapping};
pub(crate) use new_file::NewFile;
pub use numa::{Placement, Residency, nodes};
pub use pollable::Notifier;
pub(crate) use pollable::{IdleCall, Pollable, WakeWord};
pub(crate) use presence::{Presence, Present};
pub(crate) use process::{PerProcess, SetOnce, process};
pub(crate) use sys::{is_volatile, secret};
pub(crate) use unlinked::{IfTaken, UnlinkedFile};
pub(crate) use word_pages::WordPages;
