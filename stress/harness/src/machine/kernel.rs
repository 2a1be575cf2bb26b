//! What the kernel says of placement: on which node the calling thread runs, and on which nodes pages
//! are. Asked by system calls of its own, so that the store's account of its pages can be held
//! against another one. Knows addresses and numbers; not what lies there.

// System calls that no wrapper offers.
#![allow(unsafe_code)]

use std::io;

/// Pages of one question.
const BATCH: usize = 4096;

/// Returns the node of the processor on which the calling thread runs.
#[must_use]
pub fn node_here() -> Option<u32> {
    let mut node: libc::c_uint = 0;
    let nowhere = std::ptr::null_mut::<libc::c_uint>();
    let to = &raw mut node;
    // SAFETY: getcpu writes one number to `to`, which lives through the call, and takes null for the
    // other one.
    let answer = unsafe { libc::syscall(libc::SYS_getcpu, nowhere, to, nowhere) };
    (answer == 0).then_some(node)
}

/// Returns the node of each page, by the address of any of its bytes; none for one that this process has
/// not mapped in. Nothing is touched by asking.
///
/// # Errors
/// What the kernel says.
pub fn nodes_of(addresses: &[usize]) -> io::Result<Vec<Option<u32>>> {
    let mut nodes = Vec::with_capacity(addresses.len());
    for batch in addresses.chunks(BATCH) {
        let pages: Vec<*mut libc::c_void> =
            batch.iter().map(|&address| std::ptr::without_provenance_mut(address)).collect();
        let mut status = vec![-libc::ENOENT; pages.len()];
        let (count, asked, found) = (pages.len(), pages.as_ptr(), status.as_mut_ptr());
        let nowhere = std::ptr::null::<libc::c_int>();
        // SAFETY: `asked` and `found` have `count` entries each, which live through the call; without
        // nodes to go to no page moves, and the addresses themselves are only looked up.
        let answer = unsafe { libc::syscall(libc::SYS_move_pages, 0, count, asked, nowhere, found, 0) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        nodes.extend(status.into_iter().map(|node| u32::try_from(node).ok()));
    }
    Ok(nodes)
}

/// Moves one page to a node, if this process alone has mapped it in.
///
/// # Errors
/// What the kernel says.
pub fn send(address: usize, node: u32) -> io::Result<()> {
    /// Linux, uapi/linux/mempolicy.h.
    const MPOL_MF_MOVE: libc::c_int = 1 << 1;
    let page = std::ptr::without_provenance_mut::<libc::c_void>(address);
    let node = libc::c_int::try_from(node).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut status = -libc::ENOENT;
    let (asked, to, found) = (&raw const page, &raw const node, &raw mut status);
    // SAFETY: each pointer is to one entry that lives through the call. Where a page lies changes no
    // byte of it and no address.
    let answer = unsafe { libc::syscall(libc::SYS_move_pages, 0, 1, asked, to, found, MPOL_MF_MOVE) };
    match answer {
        0 if status == node => Ok(()),
        0 => Err(io::Error::from_raw_os_error(-status)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_of_a_page_is_one_that_has_memory_and_none_is_told_of_one_that_is_not_there() {
        let bytes = vec![1_u8; 3 * 4096];
        let here = bytes.as_ptr() as usize;
        match nodes_of(&[here, here + 4096, 4096]) {
            Ok(nodes) => {
                let known = splinter::numa_nodes();
                assert!(nodes[..2].iter().all(|node| known.contains(&node.unwrap())));
                assert_eq!(nodes[2], None);
            }
            // Sandboxes deny the call; nothing else may go wrong with it.
            Err(error) => assert!(matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))),
        }
    }

    #[test]
    fn this_thread_runs_on_a_node() {
        let node = node_here().unwrap();
        let machine = super::super::sysfs::this_machine();
        assert!(machine.nodes.iter().any(|known| known.id == node));
    }
}
