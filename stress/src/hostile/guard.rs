//! Guards: addresses around a mapping that nobody may touch, so that an access beyond it ends in a fault
//! instead of in whatever happens to lie there.
#![allow(unsafe_code)] // Reserves addresses and gives them back.

use std::fs;
use std::ptr;

/// The longest and the shortest guard, in bytes.
const LONGEST: usize = 1 << 30;
const SHORTEST: usize = 4096;

/// Guards on both sides of some mappings, gone when dropped.
#[derive(Debug, Default)]
pub(super) struct Guards(Vec<(usize, usize)>);

impl Guards {
    /// Guards every mapping of a memory file that is `len` bytes long. A side on which something else
    /// lies is left without.
    pub(super) fn around(len: u64) -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut guards = Self::default();
        for (from, to) in maps.lines().filter_map(|line| mapping(line, len)) {
            guards.reserve(|len| from.checked_sub(len));
            guards.reserve(|_| Some(to));
        }
        guards
    }

    /// Returns how many sides are guarded.
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Reserves as much as there is room for where `at` says that so many bytes would begin.
    fn reserve(&mut self, at: impl Fn(usize) -> Option<usize>) {
        let mut len = LONGEST;
        while len >= SHORTEST {
            let flags = libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_NORESERVE
                | libc::MAP_FIXED_NOREPLACE;
            let Some(at) = at(len).filter(|at| *at > 0) else {
                len /= 2;
                continue;
            };
            let wanted = ptr::without_provenance_mut(at);
            // SAFETY: without MAP_FIXED nothing that is mapped is replaced.
            let got = unsafe { libc::mmap(wanted, len, libc::PROT_NONE, flags, -1, 0) };
            if got == wanted {
                return self.0.push((at, len));
            }
            // A kernel that does not know the flag puts it elsewhere.
            if got != libc::MAP_FAILED {
                // SAFETY: mapped just now, and nobody else knows of it.
                unsafe { libc::munmap(got, len) };
            }
            len /= 2;
        }
    }
}

impl Drop for Guards {
    fn drop(&mut self) {
        for (at, len) in self.0.drain(..) {
            // SAFETY: reserved by this value, and never handed out.
            unsafe { libc::munmap(ptr::without_provenance_mut(at), len) };
        }
    }
}

/// Returns the addresses in a line of `/proc/self/maps`, if it is a memory file of this length.
fn mapping(line: &str, len: u64) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let [from, to] = [from, to].map(|at| usize::from_str_radix(at, 16).ok());
    let (from, to) = (from?, to?);
    (rest.contains("memfd:") && (to - from) as u64 == len).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry, Store};

    #[test]
    fn a_store_is_guarded_on_both_sides() {
        let geometry = Geometry {
            slots: 3,
            max_value_len: 5000,
            vector_dim: 7,
            lanes: 2,
        };
        let config = Config {
            geometry,
            ..Config::default()
        };
        let store = Store::anonymous(&config).unwrap();
        let guards = Guards::around(store.arena_len());
        assert!(guards.count() >= 2, "{guards:?}");
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let [at, len] = [guards.0[0].0, guards.0[0].1];
        let line = format!("{at:x}-{:x} ---p", at + len);
        assert!(maps.contains(&line), "{line} in {maps}");
    }
}
