//! Huge pages: asks for them in each way that the kernel has, and tells what a mapping obtained. Nothing here is an
//! error: a store on small pages works as well, only more slowly.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::fd::BorrowedFd;

use super::extents::Extents;
use super::map::{Advice, HUGE_PAGE_BYTES, Mapping};
use super::sys;

/// The way in which a store asks for huge pages. `huge_page_bytes` tells what it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HugePages {
    /// Does not ask.
    #[default]
    Off,
    /// Advises the kernel to use huge pages for what is touched from now on, where its settings allow.
    Advise,
    /// Gathers the store into huge pages now, whatever the kernel's settings. This allocates the whole store if the
    /// memory suffices. Otherwise it gathers only what holds data.
    Collapse,
    /// Takes pages from the kernel's reserved pool; for new anonymous stores only.
    Hugetlb,
}

impl fmt::Display for HugePages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Advise => "advise",
            Self::Collapse => "collapse",
            Self::Hugetlb => "hugetlb",
        })
    }
}

/// Asks for huge pages. Returns in words why the mapping got fewer than it asked for.
pub(crate) fn apply(mapping: &Mapping, fd: BorrowedFd<'_>, how: HugePages) -> Option<String> {
    match how {
        HugePages::Off => None,
        HugePages::Hugetlb if mapping.page_bytes() >= HUGE_PAGE_BYTES => None,
        HugePages::Hugetlb => Some("the store is not of reserved huge pages".into()),
        _ if mapping.page_bytes() >= HUGE_PAGE_BYTES => None,
        _ if mapping.len() < HUGE_PAGE_BYTES => {
            Some(format!("no huge pages: the store has {} bytes, less than one", mapping.len()))
        }
        HugePages::Advise => advise(mapping, fd),
        HugePages::Collapse => collapse(mapping, fd),
    }
}

/// Returns how many bytes of a mapping this process reaches through huge pages, as the kernel tells in /proc; 0 without
/// /proc.
pub(crate) fn obtained(mapping: &Mapping) -> u64 {
    match File::open("/proc/self/smaps") {
        Ok(file) => {
            let start = mapping.base().as_ptr().addr();
            huge_bytes(BufReader::new(file), start..start + mapping.mapped()).unwrap_or(0)
        }
        Err(_) => 0,
    }
}

fn advise(mapping: &Mapping, fd: BorrowedFd<'_>) -> Option<String> {
    if let Err(e) = mapping.advise(0, mapping.mapped(), Advice::HugePages) {
        return Some(format!("no huge pages: the kernel takes no advice ({e})"));
    }
    if !sys::is_shared_memory(fd).unwrap_or(false) {
        return None;
    }
    let settings = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").ok()?;
    let chosen = settings.split('[').nth(1)?.split(']').next()?;
    matches!(chosen, "never" | "deny").then(|| {
        format!("huge pages are advised, but the kernel's shmem_enabled is \"{chosen}\": expect none")
    })
}

fn collapse(mapping: &Mapping, fd: BorrowedFd<'_>) -> Option<String> {
    let blocks = mapping.len() / HUGE_PAGE_BYTES;
    let whole = available_bytes().is_some_and(|bytes| bytes / 2 > mapping.len() as u64);
    let wanted: Vec<usize> = if whole {
        (0..blocks).collect()
    } else {
        match blocks_with_data(mapping, fd) {
            Ok(wanted) => wanted,
            Err(e) => return Some(format!("no huge pages: {e}")),
        }
    };
    let mut done = 0;
    let mut refusal = None;
    for &block in &wanted {
        match collapse_block(mapping, block) {
            Ok(()) => done += 1,
            Err(e) => {
                let hopeless = matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOMEM | libc::ENOSPC));
                refusal = Some(e);
                if hopeless {
                    break;
                }
            }
        }
    }
    match refusal {
        Some(e) => Some(format!("{done} of {blocks} huge pages: the kernel does not collapse ({e})")),
        None if !whole => Some(format!(
            "{done} of {blocks} huge pages: the store is too large for the memory there is, so only \
             parts that hold data were collapsed"
        )),
        None => None,
    }
}

fn collapse_block(mapping: &Mapping, block: usize) -> io::Result<()> {
    let offset = block * HUGE_PAGE_BYTES;
    let once = || mapping.advise(offset, HUGE_PAGE_BYTES, Advice::Collapse);
    // Pages that another thread uses now can refuse once.
    once().or_else(|e| match e.raw_os_error() {
        Some(libc::EAGAIN | libc::EBUSY) => once(),
        _ => Err(e),
    })?;
    // The huge page exists now. This enters it into the page table as one page.
    let _ = mapping.advise(offset, HUGE_PAGE_BYTES, Advice::PopulateRead);
    Ok(())
}

/// Lists the whole blocks of 2 MiB that hold data, by number.
fn blocks_with_data(mapping: &Mapping, fd: BorrowedFd<'_>) -> io::Result<Vec<usize>> {
    let whole = mapping.len() / HUGE_PAGE_BYTES;
    let mut blocks: Vec<usize> = Vec::new();
    for extent in Extents::new(fd, whole * HUGE_PAGE_BYTES, mapping.page_bytes())? {
        let extent = extent?;
        let first = extent.start / HUGE_PAGE_BYTES;
        let first = blocks.last().map_or(first, |last| first.max(last + 1));
        blocks.extend(first..extent.end.div_ceil(HUGE_PAGE_BYTES));
    }
    Ok(blocks)
}

/// Returns how much memory is available without swapping, in bytes.
fn available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    kibibytes(line)
}

fn kibibytes(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Sums the huge pages between two addresses, in bytes, from the text of `smaps`.
fn huge_bytes(smaps: impl BufRead, within: std::ops::Range<usize>) -> io::Result<u64> {
    const HUGE: [&str; 5] =
        ["AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb"];
    let mut inside = false;
    let mut sum = 0;
    for line in smaps.lines() {
        let line = line?;
        if let Some(range) = address_range(&line) {
            inside = range.start < within.end && within.start < range.end;
        } else if let Some((field, value)) = line.split_once(':')
            && inside
            && HUGE.contains(&field)
        {
            sum += kibibytes(value).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Parses the first line of an entry: `7f0000000000-7f0000200000 rw-s …`.
fn address_range(line: &str) -> Option<std::ops::Range<usize>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;
    use crate::kernel::testing::mapped;

    #[test]
    fn collapsing_obtains_huge_pages_or_says_why_not() {
        let (file, mapping) = mapped(3 * HUGE_PAGE_BYTES + 4096);
        file.write_at(b"kept", HUGE_PAGE_BYTES as u64 + 5).unwrap();
        let note = apply(&mapping, file.as_fd(), HugePages::Collapse);
        let obtained = obtained(&mapping);
        assert!(note.is_some() || obtained == 3 * HUGE_PAGE_BYTES as u64, "{obtained}");
        let mut text = [0; 4];
        file.read_at(&mut text, HUGE_PAGE_BYTES as u64 + 5).unwrap();
        assert_eq!(&text, b"kept");
    }

    #[test]
    fn a_store_beyond_the_memory_is_collapsed_only_where_it_holds_data() {
        let (file, mapping) = mapped(1 << 40);
        for offset in [0, 1 << 21, (1 << 30) + 77, (1 << 40) - 1] {
            file.write_at(b"x", offset).unwrap();
        }
        let mib = 1 << (30 - 21);
        assert_eq!(blocks_with_data(&mapping, file.as_fd()).unwrap(), [0, 1, mib, (1 << 19) - 1]);
        let note = apply(&mapping, file.as_fd(), HugePages::Collapse);
        assert!(note.is_some(), "a tebibyte was collapsed");
        assert!(obtained(&mapping) <= 4 * HUGE_PAGE_BYTES as u64);
        assert!(file.metadata().unwrap().blocks() * 512 <= 4 * HUGE_PAGE_BYTES as u64);
    }

    #[test]
    fn huge_pages_that_cannot_be_had_are_reported() {
        let (file, mapping) = mapped(HUGE_PAGE_BYTES - 4096);
        for how in [HugePages::Advise, HugePages::Collapse, HugePages::Hugetlb] {
            assert!(apply(&mapping, file.as_fd(), how).is_some(), "{how}");
        }
        assert_eq!(apply(&mapping, file.as_fd(), HugePages::Off), None);
        assert_eq!(obtained(&mapping), 0);
    }

    #[test]
    fn advice_that_the_kernel_will_not_follow_is_reported() {
        let (file, mapping) = mapped(2 * HUGE_PAGE_BYTES);
        let note = apply(&mapping, file.as_fd(), HugePages::Advise);
        file.write_at(b"x", 0).unwrap();
        assert!(note.is_none() || obtained(&mapping) == 0);
    }

    #[test]
    fn sums_include_only_the_entries_in_the_range() {
        let entry = |range: &str, field: &str, kib: u32| {
            format!("{range} rw-s 00000000 00:01 7 /memfd:x (deleted)\nSize: 4096 kB\n{field}: {kib} kB\n")
        };
        let smaps = [
            entry("7f0000000000-7f0000400000", "ShmemPmdMapped", 2048),
            entry("7f0000400000-7f0000800000", "FilePmdMapped", 4096),
            entry("7f0000800000-7f0000c00000", "Private_Hugetlb", 1),
        ]
        .concat();
        let sum = |range| huge_bytes(smaps.as_bytes(), range).unwrap();
        assert_eq!(sum(0x7f00_0000_0000..0x7f00_0080_0000), 6144 * 1024);
        assert_eq!(sum(0x7f00_0000_0000..0x7f00_0040_0000), 2048 * 1024);
        assert_eq!(sum(0x7f00_0080_0000..0x7f00_0080_0001), 1024);
        assert_eq!(sum(0x1000..0x2000), 0);
    }
}
