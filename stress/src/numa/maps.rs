//! What `/proc/self/numa_maps` says of one mapping: its policy, and its pages by node. Pure parsing, and the
//! one reading.

use std::collections::BTreeMap;

/// One line of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MapsLine {
    /// The current policy, as the kernel words it: `default`, `bind:1`, `interleave:0-3`.
    pub policy: String,
    /// Pages by node; not those that this process has not mapped in.
    pub pages: BTreeMap<u32, u64>,
}

/// Finds the mapping that begins at an address.
///
/// # Errors
/// One line if the kernel does not tell.
pub(super) fn of(address: usize) -> Result<MapsLine, String> {
    let path = "/proc/self/numa_maps";
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    find(&text, address).ok_or_else(|| format!("{path} has no mapping at {address:x}"))
}

fn find(text: &str, address: usize) -> Option<MapsLine> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let at = usize::from_str_radix(words.next()?, 16).ok()?;
        if at != address {
            return None;
        }
        let policy = words.next()?.to_owned();
        let pages = words.filter_map(|word| {
            let (node, pages) = word.strip_prefix('N')?.split_once('=')?;
            Some((node.parse().ok()?, pages.parse().ok()?))
        });
        let pages = pages.collect();
        Some(MapsLine { policy, pages })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
00400000 default file=/bin/x mapped=5 N0=5 kernelpagesize_kB=4
7f0000200000 bind:1 file=/memfd:splinter\\040(deleted) dirty=1040 active=0 N0=1 N1=1039 kernelpagesize_kB=4
7f0000a00000 interleave:0-3 file=/dev/shm/Next dirty=4 N12=4 kernelpagesize_kB=4
7f0000b00000 default file=/N1=9/x";

    #[test]
    fn a_mapping_is_found_by_its_address() {
        let bound = find(TEXT, 0x7f00_0020_0000).unwrap();
        assert_eq!(bound.policy, "bind:1");
        assert_eq!(bound.pages, BTreeMap::from([(0, 1), (1, 1039)]));
        let other = find(TEXT, 0x7f00_00a0_0000).unwrap();
        assert_eq!((other.policy.as_str(), other.pages), ("interleave:0-3", BTreeMap::from([(12, 4)])));
        assert_eq!(find(TEXT, 0x7f00_00b0_0000).unwrap().pages, BTreeMap::new());
        assert_eq!(find(TEXT, 0x7f00_0020_1000), None);
    }

    #[test]
    fn this_process_has_such_a_file() {
        // A kernel without nodes has none.
        if let Err(error) = of(1) {
            assert!(error.contains("numa_maps"), "{error}");
        }
    }
}
