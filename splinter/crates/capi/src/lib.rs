//! The C library: a thin layer that turns what C programs call into calls of `splinter`, for programs written for
//! libsplinter 1.2 and for new ones. `interface` is the table of all functions, from which both the symbols and
//! `include/splinter.h` are made; the modules beside it are what stands behind the functions, by subject. Nothing
//! here knows the protocol or the layout of a store: all of it goes through the store's public API.
//!
//! One source gives two libraries. They differ in what a bare name means: a store in `/dev/shm` in one, a path in the
//! other (`splinter_persistent`, set by `build.rs`).
//!
//! *What cannot happen.* No panic leaves a function (`boundary`). No pointer that C hands over is used without a look
//! at whether it is NULL, and nothing is read beyond what the caller says is there (`args`). Handles are serial numbers,
//! not addresses, so one that was closed, or never was one, is an error (`shelf`).

#[macro_use]
mod boundary;
#[macro_use]
mod shapes;

mod args;
mod at_hand;
mod bids;
mod bus;
mod errno;
mod fork;
#[cfg(test)]
mod header;
mod interface;
#[cfg(test)]
mod manual;
mod names;
mod opening;
mod settings;
mod shelf;
mod signals;
mod slots;
mod values;
mod vectors;
mod writers;
