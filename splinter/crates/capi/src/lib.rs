//! The C library: it exports the public API of the crates `splinter` and `splinter-queue` to C programs, new ones and those written for
//! libsplinter 1.2. `interface` is the table of all functions: a macro makes the exported symbols from it, and tests
//! generate `include/splinter.h` and the manual pages from it. The other modules implement the functions, by subject.
//! No module knows the protocol or the layout of a store.
//!
//! A module uses only modules of earlier layers, or ones before it in its own:
//!
//! 1. `declarations`, `errno`, `fork`, `thread_cache`
//! 2. `shapes`, `args`, `boundary`, `names`, `pool`, `descriptors`
//! 3. `handles`, `objects`
//! 4. `opening`, `values`, `slots`, `vectors`, `settings`, `signals`, `bus`, `bids`; `conditional`, `lifetimes`,
//!    `transactions`, `queues`, `search`; `export`, the macro
//! 5. `interface`, then `header` and `manual`
//!
//! One source gives two libraries. A plain name means a store in `/dev/shm` in `libsplinter`, and a path in
//! `libsplinter_p` (`splinter_persistent`, set by `build.rs`).
//!
//! *Guarantees.* No panic leaves an exported function (`boundary`). The library checks each pointer from C for NULL
//! before it uses the pointer, and reads nothing beyond the length that the caller gives (`args`). A handle is a serial
//! number, not an address, so a closed or invented handle is an error (`handles`).

#[macro_use]
mod export;
#[macro_use]
mod shapes;

mod args;
mod bids;
mod boundary;
mod bus;
mod caches;
mod conditional;
#[cfg(test)]
mod declarations;
mod descriptors;
mod errno;
mod fork;
mod handles;
#[cfg(test)]
mod header;
mod interface;
mod lifetimes;
#[cfg(test)]
mod manual;
mod names;
mod objects;
mod opening;
mod pool;
mod queues;
mod search;
mod settings;
mod signals;
mod slots;
mod thread_cache;
mod transactions;
mod values;
mod vectors;
