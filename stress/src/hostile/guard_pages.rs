//! Guard pages: inaccessible addresses on both sides of a mapping, so that an access beyond it faults, whatever else would
//! lie there.
#![allow(unsafe_code)] // Reserves addresses and gives them back.

use std::fs;
use std::ptr;

/// The longest and the shortest guard, in bytes.
const LONGEST: usize = 1 << 30;
const SHORTEST: usize = 4096;

/// Guard pages on both sides of some mappings, unmapped when dropped.
#[derive(Debug, Default)]
pub(super) struct GuardPages(Vec<(usize, usize)>);

impl GuardPages {
    /// Guards every present mapping of a memory file that is `len` bytes long. Before the fork, these are the mappings that
    /// workers inherit; a store that a worker opens itself has no guards. A side beside which something else lies is left
    /// without.
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

    /// Reserves as much as there is room for. `at` returns the address at which so many bytes would begin.
    fn reserve(&mut self, at: impl Fn(usize) -> Option<usize>) {
        let mut len = LONGEST;
        while len >= SHORTEST {
            let flags =
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
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
                // SAFETY: mapped just now, and not handed out.
                unsafe { libc::munmap(got, len) };
            }
            len /= 2;
        }
    }
}

impl Drop for GuardPages {
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
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::fs::File;
    use std::os::fd::AsRawFd;

    /// A length that no store of another test has.
    const LEN: usize = 77 * 4096;

    /// More room than the other tests take while this one runs.
    const ROOM: usize = 256 << 20;

    /// Maps so much of nothing, or of a file at an address that was reserved before.
    fn map(at: usize, len: usize, file: Option<&File>) -> usize {
        let (flags, fd) = match file {
            Some(file) => (libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd()),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1),
        };
        let wanted = ptr::without_provenance_mut(at);
        // SAFETY: what is replaced is what this test reserved.
        let got = unsafe { libc::mmap(wanted, len, libc::PROT_NONE, flags, fd, 0) };
        assert_ne!(got, libc::MAP_FAILED);
        got.addr()
    }

    fn unmap(at: usize, len: usize) {
        // SAFETY: mapped by this test, and no longer used.
        let code = unsafe { libc::munmap(ptr::without_provenance_mut(at), len) };
        assert_eq!(code, 0);
    }

    /// Maps a memory file with room on both sides. New mappings of other threads go to the far end of the
    /// upper side, so they do not come to lie beside it.
    fn roomy_mapping() -> usize {
        let file = File::from(memfd_create(c"guarded", MFdFlags::empty()).unwrap());
        file.set_len(LEN as u64).unwrap();
        let start = map(0, 2 * ROOM + LEN, None);
        let at = map(start + ROOM, LEN, Some(&file));
        unmap(start, ROOM);
        unmap(at + LEN, ROOM);
        at
    }

    #[test]
    fn a_mapping_is_guarded_on_both_sides() {
        let from = roomy_mapping();
        let guards = GuardPages::around(LEN as u64);
        assert_eq!(guards.count(), 2, "{guards:?}");
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        for (at, len) in &guards.0 {
            assert!(at + len == from || *at == from + LEN, "{guards:?} {from:x}");
            // The kernel may have joined it to what is reserved beside it.
            let guarded = maps.lines().filter(|line| line.contains(" ---p ")).any(|line| {
                let (low, high) = line.split(' ').next().unwrap().split_once('-').unwrap();
                let [low, high] = [low, high].map(|at| usize::from_str_radix(at, 16).unwrap());
                low <= *at && at + len <= high
            });
            assert!(guarded, "{guards:?} in {maps}");
        }
        unmap(from, LEN);
    }
}
