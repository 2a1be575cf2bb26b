//! Whether a consumer lives. Each locks one byte of the store's file, at the offset of its random id. The lock belongs to
//! an open file description that only a mapping keeps: it goes when the process ends, however that comes, and no forked
//! child has it.

use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};
use splinter::Store;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

/// The bytes that are locked begin here. A store locks bytes near the beginning of its file, and from 2^62 on.
const BASE: u64 = 1 << 61;
/// In how many tries a byte is found that nobody has: one nearly always suffices.
const TRIES: usize = 4;

/// An id, and the lock that proves that its owner lives.
pub(crate) struct Life {
    /// Odd if the lock is held. An even id is never taken for a dead consumer's.
    pub(crate) id: u64,
    /// The number of the process that made it.
    process: u64,
    lock: ManuallyDrop<Option<MmapRaw>>,
}

impl Life {
    /// Draws an id and locks its byte, if the file system allows it.
    pub(crate) fn new(store: &Store) -> Self {
        for _ in 0..TRIES {
            let id = random(store) | 1;
            if let Ok(lock) = lock(store, id) {
                return Self { id, process: splinter::process(), lock: ManuallyDrop::new(Some(lock)) };
            }
        }
        Self { id: (random(store) & !1).max(2), process: splinter::process(), lock: ManuallyDrop::new(None) }
    }

    /// Whether others notice when this process dies.
    pub(crate) fn is_known(&self) -> bool {
        self.id & 1 == 1
    }

    /// Whether this process made it, and not a parent.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == splinter::process()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A child has no mapping there, or another one.
        if self.is_ours() {
            drop(self.lock.take());
        }
    }
}

/// Tells whether the consumer of that id is known to be dead.
pub(crate) fn is_dead(store: &Store, id: u64) -> bool {
    id & 1 == 1 && reopen(store).and_then(|file| is_free(&file, id)).unwrap_or(false)
}

/// Draws a number, which no other process draws.
pub(crate) fn random(store: &Store) -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    for word in [splinter::process(), std::process::id().into(), store.time()] {
        hasher.write_u64(word);
    }
    hasher.finish()
}

/// Opens the store's file once more, with an open file description of its own.
fn reopen(store: &Store) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", store.fd().as_raw_fd());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    // The program may have closed the store's descriptor, and the number may be another file's by now.
    let mut magic = [0; 4];
    file.read_exact_at(&mut magic, 0)?;
    let metadata = file.metadata()?;
    let is_store = metadata.len() >= store.arena_len()
        && u32::from_le_bytes(magic) == store.header().magic
        && mapped_inode(store)? == metadata.ino();
    if is_store { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Returns the inode that the kernel shows for the store's mapping. Its device is not compared: some file systems show
/// another one here than for the file.
fn mapped_inode(store: &Store) -> io::Result<u64> {
    let address = store.as_ptr() as u64;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let inode = |line: &str| {
        let (first, end) = line.split(' ').next()?.split_once('-')?;
        let is_it = (hex(first)?..hex(end)?).contains(&address);
        // The range, rights, offset and device come first.
        line.split_ascii_whitespace().nth(4).filter(|_| is_it)?.parse().ok()
    };
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    maps.lines().find_map(inode).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Locks the byte of an id. The lock lasts as long as the mapping that is returned.
fn lock(store: &Store, id: u64) -> io::Result<MmapRaw> {
    let file = reopen(store)?;
    // Checked first: on these a mapping keeps another file's description. If another thread forked now, its child would
    // have the descriptor, and the lock would seem to be kept.
    if [OVERLAYFS_SUPER_MAGIC, FUSE_SUPER_MAGIC].contains(&fstatfs(&file)?.filesystem_type()) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // On hugetlbfs a mapping has whole pages of the file's block size.
    let len = file.metadata()?.blksize() as usize;
    let mapping = MmapOptions::new().len(len).map_raw_read_only(&file)?;
    mapping.advise(Advice::DontFork)?;
    fcntl(&file, FcntlArg::F_OFD_SETLK(&byte(id)))?;
    drop(file);
    // Where no mapping keeps it, the lock is gone.
    if is_free(&reopen(store)?, id)? { Err(io::ErrorKind::Unsupported.into()) } else { Ok(mapping) }
}

fn is_free(file: &File, id: u64) -> io::Result<bool> {
    let mut byte = byte(id);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut byte))?;
    Ok(i32::from(byte.l_type) == libc::F_UNLCK)
}

/// Describes an exclusive lock on the byte of an id.
fn byte(id: u64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: (BASE + id % BASE) as i64,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::Config;

    #[test]
    fn a_consumer_lives_until_it_is_dropped() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let lives = [Life::new(&store), Life::new(&store)];
        let ids = lives.each_ref().map(|life| life.id);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids.map(|id| (id & 1, is_dead(&store, id))), [(1, false); 2]);
        drop(lives);
        assert_eq!(ids.map(|id| is_dead(&store, id)), [true; 2]);
        assert!(!is_dead(&store, ids[0] - 1), "even ids are never known to be dead");
    }

    #[test]
    fn another_stores_file_is_not_taken_for_this_one() {
        let stores = [(); 2].map(|()| Store::anonymous(&Config::default()).unwrap());
        let inodes = stores.each_ref().map(|store| {
            let inode = reopen(store).unwrap().metadata().unwrap().ino();
            assert_eq!(mapped_inode(store).unwrap(), inode);
            inode
        });
        assert_ne!(inodes[0], inodes[1]);
        let id = Life::new(&stores[0]).id;
        assert!(is_dead(&stores[0], id), "it is known, and was dropped");
        // The number of the first store's descriptor is the second's by now, as after a program closed the first.
        let [first, second] = stores.each_ref().map(|store| store.fd().as_raw_fd());
        let own = nix::unistd::dup(stores[0].fd()).unwrap();
        replace(second, first);
        let life = Life::new(&stores[0]);
        assert!(!life.is_known() && !is_dead(&stores[0], id));
        replace(own.as_raw_fd(), first);
        assert!(is_dead(&stores[0], id));
    }

    #[allow(unsafe_code, reason = "the store owns the descriptor, as when a program closes it")]
    fn replace(from: i32, to: i32) {
        // SAFETY: takes numbers alone.
        assert_eq!(unsafe { libc::dup2(from, to) }, to);
    }
}
