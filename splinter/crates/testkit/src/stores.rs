//! Stores of any geometry.

use splinter::{Config, Geometry, Reserve, Scrub, Store};
use std::fs;
use std::path::Path;

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

/// Reads a store that was made once by the library of a format version, and committed as text: see
/// `splinter/tests/format.rs`. Returns the bytes of its file.
pub fn committed(version: u32) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/format");
    let path = folder.join(format!("v{version}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; the head of tests/format.rs says how it is made", path.display())
    });
    let words = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.split_whitespace();
        let mut part = || u64::from_str_radix(parts.next().expect("two numbers"), 16).expect(line);
        // The bytes are written down in the order they have in the file.
        (part() as usize, part().to_be_bytes())
    });
    let words: Vec<_> = words.collect();
    let (_, len) = words.iter().find(|(at, _)| *at == ARENA_LEN_AT).expect("a length");
    let mut bytes = vec![0; u64::from_le_bytes(*len) as usize];
    words.iter().for_each(|(at, word)| bytes[*at..at + 8].copy_from_slice(word));
    bytes
}

/// Where a header has the length of the file.
const ARENA_LEN_AT: usize = 64;
