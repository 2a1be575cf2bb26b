//! NUMA placement: sets which node's memory a mapping takes (`mbind`), and tells on which nodes its pages are
//! (`move_pages`). It calls the kernel directly, without a library, and does not know what the pages hold.

// Opts in to unsafe code for two system calls that take addresses.
#![allow(unsafe_code)]

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::extents::Extents;
use super::map::{Advice, Mapping};
use super::sys;
use crate::error::StoreError;

/// Linux, uapi/linux/mempolicy.h.
const MPOL_BIND: libc::c_long = 2;
const MPOL_INTERLEAVE: libc::c_long = 3;
const MPOL_MF_MOVE: libc::c_long = 1 << 1;
const MPOL_MF_MOVE_ALL: libc::c_long = 1 << 2;
/// The most nodes a kernel is built for (`CONFIG_NODES_SHIFT` is 10 at most).
const NODES_MAX: usize = 1024;
/// How many pages one call asks about.
const BATCH: usize = 4096;
/// Where the kernel describes its nodes.
const NODES_DIR: &str = "/sys/devices/system/node";

/// The NUMA node or nodes from which a store takes memory.
///
/// It governs memory files and named shared memory. For files on disk, the kernel places each page on the node of the
/// thread that reads it first, whatever the placement. [`Residency`] shows the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Takes each page from the node of the thread that touches it first.
    #[default]
    Local,
    /// Takes all memory from one node.
    Bind(u32),
    /// Takes pages from several nodes in turn. An empty list means all nodes that have memory.
    Interleave(Vec<u32>),
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Bind(node) => write!(f, "node {node}"),
            Self::Interleave(nodes) if nodes.is_empty() => f.write_str("interleaved over all nodes"),
            Self::Interleave(nodes) => write!(f, "interleaved over nodes {}", list(nodes)),
        }
    }
}

/// The NUMA nodes on which a store's pages are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residency {
    /// The size of a page, in bytes.
    pub page_bytes: u64,
    /// The nodes that have pages, ascending, each with its number of pages.
    pub nodes: Vec<(u32, u64)>,
    /// The number of pages that hold no data yet, and take no memory.
    pub untouched: u64,
    /// The number of pages that hold data, but for which the kernel named no node. They are swapped out, only on disk,
    /// or are reserved huge pages that this process did not touch.
    pub unknown: u64,
}

impl Residency {
    /// Returns the number of pages that hold data.
    pub fn touched(&self) -> u64 {
        self.nodes.iter().map(|&(_, pages)| pages).sum::<u64>() + self.unknown
    }

    /// Returns the share of pages on `node` among those that hold data, from 0 to 1; 0 if `node` has none.
    pub fn share(&self, node: u32) -> f64 {
        let here = self.nodes.iter().find(|&&(at, _)| at == node).map_or(0, |&(_, pages)| pages);
        if here == 0 { 0.0 } else { here as f64 / self.touched() as f64 }
    }

    fn count(&mut self, node: u32) {
        match self.nodes.binary_search_by_key(&node, |&(at, _)| at) {
            Ok(found) => self.nodes[found].1 += 1,
            Err(place) => self.nodes.insert(place, (node, 1)),
        }
    }
}

impl fmt::Display for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &(node, pages) in &self.nodes {
            write!(f, "node {node}: {pages} pages ({:.1} %), ", self.share(node) * 100.0)?;
        }
        if self.unknown > 0 {
            write!(f, "unknown: {} pages, ", self.unknown)?;
        }
        write!(f, "untouched: {} pages, of {} bytes each", self.untouched, self.page_bytes)
    }
}

/// Lists the NUMA nodes that have memory, ascending. If the kernel does not tell, the answer is node 0.
pub fn nodes() -> Vec<u32> {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("{NODES_DIR}/{name}")).ok()?;
        parse_list(text.trim()).filter(|nodes| !nodes.is_empty())
    };
    read("has_memory").or_else(|| read("online")).unwrap_or_else(|| vec![0])
}

/// Applies a placement to the pages that are not touched yet.
///
/// # Errors
///
/// [`StoreError::Placement`] when a node does not exist, or this process may not use it.
pub(crate) fn apply(mapping: &Mapping, placement: &Placement) -> Result<(), StoreError> {
    place(mapping, placement, &[0])
}

/// Applies a placement to all pages, and moves those that hold data. With `CAP_SYS_NICE` it moves pages that other
/// mappings hold too. Without it, it leaves those where they are. Reserved huge pages stay.
///
/// # Errors
///
/// As [`apply`], and [`StoreError::Os`] when the kernel does not tell which pages hold data.
pub(crate) fn migrate(
    mapping: &Mapping,
    fd: BorrowedFd<'_>,
    placement: &Placement,
) -> Result<(), StoreError> {
    let somewhere = *placement != Placement::Local && nodes().len() > 1;
    if somewhere && mapping.page_bytes() == sys::page_bytes() {
        // The kernel moves only pages in the page table, and a new mapping's is empty.
        let failed = |e| StoreError::os("find the pages of", mapping.subject(), e);
        for batch in batches(mapping, fd).map_err(failed)? {
            batch.and_then(|range| enter(mapping, range)).map_err(failed)?;
        }
    }
    place(mapping, placement, &[MPOL_MF_MOVE_ALL, MPOL_MF_MOVE])
}

/// Applies a placement by the first of these flags that the kernel allows this process.
fn place(mapping: &Mapping, placement: &Placement, flags: &[libc::c_long]) -> Result<(), StoreError> {
    let present = nodes();
    let Some((mode, wanted)) = policy(placement, &present)? else {
        return Ok(());
    };
    let mut answer = Ok(());
    for &flags in flags {
        answer = mbind(mapping, mode, &wanted, flags);
        if !matches!(&answer, Err(e) if e.raw_os_error() == Some(libc::EPERM)) {
            break;
        }
    }
    match answer {
        Ok(()) => Ok(()),
        // With one node all memory is there already, even if this process may not set policies.
        Err(_) if present.len() == 1 => Ok(()),
        Err(e) => {
            let hint = match e.raw_os_error() {
                Some(libc::ENOSYS) => "this kernel has no NUMA policies",
                Some(libc::EPERM) => "the sandbox of this process denies mbind",
                Some(libc::EINVAL) => "the cpuset of this process leaves the node out",
                _ => "mbind failed",
            };
            Err(StoreError::Placement(format!("{placement} for {}: {hint} ({e})", mapping.subject())))
        }
    }
}

/// Asks the kernel, page by page, on which node a mapping's pages are.
///
/// This allocates nothing. It takes as long as there is data, as it looks only at the parts of the file that hold data.
/// The kernel answers only for pages in this process's page table, so this first maps the pages that other processes
/// touched, as reading them would. Pages that are not in memory (swapped out, or only on disk) stay so, and count as
/// unknown.
///
/// # Errors
///
/// [`StoreError::Os`] when the kernel does not tell.
pub(crate) fn residency(mapping: &Mapping, fd: BorrowedFd<'_>) -> Result<Residency, StoreError> {
    let failed = |e| StoreError::os("find the pages of", mapping.subject(), e);
    let page_bytes = mapping.page_bytes();
    let mut found = Residency { page_bytes: page_bytes as u64, ..Residency::default() };
    let mut seen = 0;
    for batch in batches(mapping, fd).map_err(failed)? {
        let range = batch.map_err(failed)?;
        seen += (range.len() / page_bytes) as u64;
        count_batch(mapping, range, &mut found).map_err(failed)?;
    }
    found.untouched = (mapping.mapped() / page_bytes) as u64 - seen;
    Ok(found)
}

/// Cuts the parts of a file that hold data into ranges for one call each.
fn batches<'a>(
    mapping: &'a Mapping,
    fd: BorrowedFd<'a>,
) -> io::Result<impl Iterator<Item = io::Result<Range<usize>>> + use<'a>> {
    let step = BATCH * mapping.page_bytes();
    let extents = Extents::new(fd, mapping.mapped(), mapping.page_bytes())?;
    Ok(extents.flat_map(move |extent| {
        let (ranges, error) = match extent {
            Ok(extent) => (extent, None),
            Err(e) => (0..0, Some(Err(e))),
        };
        let end = ranges.end;
        ranges.step_by(step).map(move |start| Ok(start..end.min(start + step))).chain(error)
    }))
}

/// Enters those pages of a range that are in memory into this process's page table. Returns a byte for each page, whose
/// bit 0 tells whether the page is in memory.
fn enter(mapping: &Mapping, range: Range<usize>) -> io::Result<Vec<u8>> {
    let page_bytes = mapping.page_bytes();
    let mut present = vec![0_u8; range.len() / page_bytes];
    mapping.in_memory(range.start, &mut present)?;
    let mut first = 0;
    for run in present.chunk_by(|a, b| a & 1 == b & 1) {
        if run[0] & 1 == 1 {
            // A kernel before 5.14 refuses. Then pages of other processes stay unknown.
            let start = range.start + first * page_bytes;
            let _ = mapping.advise(start, run.len() * page_bytes, Advice::PopulateRead);
        }
        first += run.len();
    }
    Ok(present)
}

fn count_batch(mapping: &Mapping, range: Range<usize>, found: &mut Residency) -> io::Result<()> {
    let page_bytes = mapping.page_bytes();
    let pages: Vec<usize> = if page_bytes == sys::page_bytes() {
        let present = enter(mapping, range.clone())?;
        let resident = present.iter().enumerate().filter(|(_, byte)| *byte & 1 == 1);
        found.unknown += present.iter().filter(|byte| *byte & 1 == 0).count() as u64;
        resident.map(|(page, _)| range.start + page * page_bytes).collect()
    } else {
        // Reserved huge pages: entering one that is not there would allocate it.
        range.step_by(page_bytes).collect()
    };
    for node in nodes_of(mapping, &pages)? {
        match node {
            Some(node) => found.count(node),
            None => found.unknown += 1,
        }
    }
    Ok(())
}

/// Asks for the nodes of the pages at these offsets, in bytes.
fn nodes_of(mapping: &Mapping, offsets: &[usize]) -> io::Result<Vec<Option<u32>>> {
    let addresses: Vec<*mut u8> =
        offsets.iter().map(|&offset| mapping.inside(offset, 1)).collect::<io::Result<_>>()?;
    let mut status = vec![-1 as libc::c_int; addresses.len()];
    let none = std::ptr::null::<libc::c_int>();
    let (pages, nodes_out) = (addresses.as_ptr(), status.as_mut_ptr());
    let count = addresses.len() as libc::c_ulong;
    // SAFETY: `pages` and `nodes_out` point to `count` entries each that live through the call. Without target nodes,
    // the kernel moves no page.
    let answer = unsafe { libc::syscall(libc::SYS_move_pages, 0, count, pages, none, nodes_out, 0) };
    if answer < 0 {
        let e = io::Error::last_os_error();
        let here = nodes();
        return match e.raw_os_error() {
            // Sandboxes deny the call. With one node there is only one answer.
            Some(libc::EPERM | libc::ENOSYS) if here.len() == 1 => Ok(vec![Some(here[0]); addresses.len()]),
            _ => Err(e),
        };
    }
    Ok(status.into_iter().map(|node| u32::try_from(node).ok()).collect())
}

/// Checks a placement against the existing nodes. Returns `None` if the kernel's default is that placement.
fn policy(placement: &Placement, present: &[u32]) -> Result<Option<(libc::c_long, Vec<u32>)>, StoreError> {
    let (mode, wanted) = match placement {
        Placement::Local => return Ok(None),
        Placement::Bind(node) => (MPOL_BIND, vec![*node]),
        Placement::Interleave(nodes) if nodes.is_empty() => (MPOL_INTERLEAVE, present.to_vec()),
        Placement::Interleave(nodes) => (MPOL_INTERLEAVE, nodes.clone()),
    };
    match wanted.iter().find(|node| !present.contains(node)) {
        Some(missing) => Err(StoreError::Placement(format!(
            "node {missing} has no memory here; the nodes that have are {}",
            list(present)
        ))),
        None => Ok(Some((mode, wanted))),
    }
}

fn mbind(mapping: &Mapping, mode: libc::c_long, nodes: &[u32], flags: libc::c_long) -> io::Result<()> {
    let mut mask = [0_u64; NODES_MAX / 64];
    for &node in nodes {
        let word = mask.get_mut(node as usize / 64).ok_or(io::ErrorKind::InvalidInput)?;
        *word |= 1 << (node % 64);
    }
    let (base, len) = (mapping.base().as_ptr(), mapping.mapped() as libc::c_ulong);
    // The kernel wants one more than the number of bits in the mask.
    let (bits, bits_and_one) = (mask.as_ptr(), NODES_MAX as libc::c_ulong + 1);
    // SAFETY: the range is this mapping, whose bytes mbind does not change. The mask has as many bits as the call
    // reads, and lives through it.
    let answer = unsafe { libc::syscall(libc::SYS_mbind, base, len, mode, bits, bits_and_one, flags) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Parses a list as the kernel writes it: `0-3,8`.
fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut nodes = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last as usize >= NODES_MAX {
            return None;
        }
        nodes.extend(first..=last);
    }
    Some(nodes)
}

fn list(nodes: &[u32]) -> String {
    nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;
    use crate::kernel::testing::mapped;

    #[test]
    fn lists_read_as_the_kernel_writes_them() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-2,8,10-11"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!(parse_list(""), Some(vec![]));
        for bad in ["x", "1-", "-1", "0-4294967295"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn placements_are_checked_against_the_nodes_there_are() {
        let sparse = [0, 2];
        let wanted = |placement| policy(&placement, &sparse).map(|found| found.map(|(_, n)| n)).ok();
        assert_eq!(wanted(Placement::Local), Some(None));
        assert_eq!(wanted(Placement::Bind(2)), Some(Some(vec![2])));
        assert_eq!(wanted(Placement::Bind(1)), None);
        assert_eq!(wanted(Placement::Interleave(vec![])), Some(Some(vec![0, 2])));
        assert_eq!(wanted(Placement::Interleave(vec![2, 1])), None);
        let message = policy(&Placement::Bind(1), &sparse).unwrap_err().to_string();
        assert!(message.contains("node 1") && message.contains("0, 2"), "{message}");
    }

    #[test]
    fn binding_to_a_node_that_is_there_places_every_page_there() {
        let page = sys::page_bytes();
        for &node in &nodes() {
            let (file, mapping) = mapped(64 * page);
            apply(&mapping, &Placement::Bind(node)).unwrap();
            file.write_all_at(&vec![1; 32 * page], 0).unwrap();
            migrate(&mapping, file.as_fd(), &Placement::Bind(node)).unwrap();
            let found = residency(&mapping, file.as_fd()).unwrap();
            assert_eq!((found.touched(), found.untouched, found.unknown), (32, 32, 0));
            assert!((found.share(node) - 1.0).abs() < f64::EPSILON, "{found}");
        }
    }

    /// This proves something only on a machine with several nodes, where `ci/numa` runs it.
    #[test]
    fn pages_are_moved_even_if_another_thread_touched_them() {
        let page = sys::page_bytes();
        let (file, first) = mapped(64 * page);
        file.write_all_at(&vec![1; 16 * page], 0).unwrap();
        first.advise(0, 32 * page, Advice::PopulateRead).unwrap();
        for &node in nodes().iter().rev() {
            let second = Mapping::new(file.as_fd(), 64 * page, true, "test").unwrap();
            migrate(&second, file.as_fd(), &Placement::Bind(node)).unwrap();
            let found = residency(&first, file.as_fd()).unwrap();
            assert_eq!(found.untouched, 32, "moving allocated");
            // Only a privileged process moves pages that another mapping holds too.
            let moved = found.nodes == [(node, 32)];
            assert!(moved || !may_move_all(), "{found}");
        }
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0).unwrap();
        assert_eq!(byte, [1]);
    }

    /// Tells whether this process has `CAP_SYS_NICE`.
    fn may_move_all() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        u64::from_str_radix(set.trim(), 16).unwrap() >> 23 & 1 == 1
    }

    #[test]
    fn every_policy_is_one_the_kernel_takes() {
        let (file, mapping) = mapped(1 << 20);
        let answers = [
            mbind(&mapping, MPOL_BIND, &nodes()[..1], 0),
            mbind(&mapping, MPOL_INTERLEAVE, &nodes(), MPOL_MF_MOVE),
        ];
        for answer in answers {
            // Sandboxes deny the call. It must not fail in another way.
            if let Err(e) = answer {
                assert!(matches!(e.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)), "{e}");
            }
        }
        apply(&mapping, &Placement::Interleave(vec![])).unwrap();
        migrate(&mapping, file.as_fd(), &Placement::Local).unwrap();
    }

    #[test]
    fn binding_to_a_node_that_is_not_there_is_refused() {
        let (_file, mapping) = mapped(1 << 20);
        let missing = (0..).find(|node| !nodes().contains(node)).unwrap();
        for node in [missing, 63, 1023, u32::MAX] {
            if !nodes().contains(&node) {
                let refused = apply(&mapping, &Placement::Bind(node));
                assert!(matches!(refused, Err(StoreError::Placement(_))), "{node}");
            }
        }
    }

    #[test]
    fn residency_sees_pages_that_only_others_touched_and_touches_none() {
        let page = sys::page_bytes() as u64;
        let (file, mapping) = mapped(64 << 30);
        // Written through the descriptor: in the file, and not in this process's page table.
        for offset in [0, 7 * page, (64 << 30) - 1] {
            file.write_at(b"x", offset).unwrap();
        }
        let blocks = file.metadata().unwrap().blocks();
        let found = residency(&mapping, file.as_fd()).unwrap();
        assert_eq!(found.touched(), blocks * 512 / page, "{found}");
        assert!(found.touched() >= 3 && found.unknown == 0, "{found}");
        assert_eq!(found.touched() + found.untouched, (64 << 30) / page);
        assert_eq!(file.metadata().unwrap().blocks(), blocks, "asking allocated");
    }

    #[test]
    fn an_untouched_store_is_nowhere() {
        let (file, mapping) = mapped(1 << 30);
        let found = residency(&mapping, file.as_fd()).unwrap();
        assert_eq!((found.touched(), found.nodes.len()), (0, 0));
        assert_eq!(found.share(0).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn shares_are_of_touched_pages() {
        let mut found = Residency { page_bytes: 4096, untouched: 96, ..Residency::default() };
        for node in [2, 0, 2, 2] {
            found.count(node);
        }
        assert_eq!(found.nodes, [(0, 1), (2, 3)]);
        assert!((found.share(2) - 0.75).abs() < f64::EPSILON);
        assert_eq!(
            found.to_string(),
            "node 0: 1 pages (25.0 %), node 2: 3 pages (75.0 %), untouched: 96 pages, of 4096 bytes \
             each"
        );
    }
}
