//! What a search knows of a vector without reading it: sketches, and the arithmetic of estimates and scores.
//!
//! The method is RaBitQ (Gao and Long, SIGMOD 2024): a vector is rotated at random, and the sketch keeps the sign of
//! each component. A query is rotated alike and rounded to sixteen levels, so that an estimate is a few population
//! counts. `docs/search.md` has the format and the formulas.
//!
//! Nothing here knows a store. Each computation has one body, compiled for each instruction set that the processor may
//! have, in `kernels`. So all processors compute the same bits, of sketches and of scores.

mod head;
mod kernels;
mod metric;
mod products;
mod query;
mod record;
mod rotation;

#[cfg(all(test, not(loom)))]
mod tests;

pub use self::metric::Metric;
pub(crate) use self::{
    products::{InArena, Products, RoughProducts, WideQuery, products, square_distance},
    query::Query,
    record::{encode, record_len},
    rotation::{Rotation, mix},
};
