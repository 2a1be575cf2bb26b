//! Bids for advice on memory. Processes that share a store disagree about what the kernel should do with
//! it; each puts down what it intends in a table of 32 entries, and the one that is elected advises.
//!
//! `table` has the records and who may change which when, over atomics alone, so that the models run that
//! very code. `election` decides between bids and touches no memory at all. `terms` and `error` are the
//! words in which it is asked and answers, `claims` and `advise` the public API. The protocol of keys and
//! values is no part of this, nor this of it.

#[cfg(not(loom))]
mod advise;
#[cfg(not(loom))]
mod claims;
mod election;
#[cfg(not(loom))]
mod error;
#[cfg(all(test, loom))]
mod models;
mod table;
mod terms;

pub use self::terms::{Bid, BidTerms, Intent};
#[cfg(not(loom))]
pub use self::{
    advise::{Advice, Patience},
    error::BidError,
};
