//! Bids for advice on memory. Processes that share a store may disagree about what the kernel should do with
//! it. Each writes its intent into a table of 32 entries, and the owner of the elected bid advises the kernel.
//!
//! `table` has the records and says which bidder may change which word, over atomics alone, so that loom's models run
//! that code. `election` decides between bids and touches no memory. `terms` and `error` are plain data, `claims` and
//! `advise` the public API. The protocol of keys and values does not use this module, nor this module it.

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
    claims::Bids,
    error::BidError,
};
