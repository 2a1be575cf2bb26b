//! Stores of any geometry.

use splinter::{Config, Geometry, Reserve, Scrub, Store};

/// Builds a geometry.
pub fn geometry(slots: u64, max_value_len: u64, vector_dim: u32, max_writers: u32) -> Geometry {
    Geometry { slots, max_value_len, vector_dim, max_writers }
}

/// Builds a configuration. The seed is given, so that each run has its keys in the same places.
pub fn config(geometry: Geometry, scrub: Scrub) -> Config {
    Config { geometry, scrub, hash_seed: Some(0), reserve: Reserve::Nothing, ..Config::default() }
}

/// Creates an anonymous store at the default scrub level.
pub fn store(geometry: Geometry) -> Store {
    Store::anonymous(&config(geometry, Scrub::default())).expect("an anonymous store")
}
