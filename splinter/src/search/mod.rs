//! Search: the keys whose vectors are nearest to a query, by a scan of sketches and the scores of the best candidates.
//!
//! A search reads as other reads do: it stores nothing in the arena, not even a visit of a cache. `docs/search.md` has
//! the algorithm and what it promises.

mod best;
mod builder;
mod filter;
mod look;
mod metric;
mod run;
mod scan;
mod score;
mod similar;

pub use self::builder::{Candidate, Hit, Search};
