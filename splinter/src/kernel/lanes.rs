//! One lock a lane, on one byte of the backing file, held for as long as the lane's process lives:
//! the kernel's answer to whether a writer is still there. No heartbeat, no process ids. Knows where
//! the bytes are, and nothing of what a lane does.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fork::Unshared;
use super::sys::{self, ByteLock};
use crate::error::StoreError;

/// Which bytes stand for the lanes: lane `n`'s is at `base + n * stride`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneBytes {
    /// The offset of lane 0's byte.
    pub(crate) base: u64,
    /// The distance from one lane's byte to the next.
    pub(crate) stride: u64,
    /// How many lanes there are.
    pub(crate) lanes: u32,
}

impl LaneBytes {
    fn offset(&self, lane: u32) -> Option<i64> {
        if lane >= self.lanes {
            return None;
        }
        let distance = self.stride.checked_mul(lane.into())?;
        i64::try_from(self.base.checked_add(distance)?).ok()
    }
}

/// The lane locks of one open store.
///
/// The locks belong to an open file description of their own: no other store, process or descriptor
/// shares it, so dropping this gives all of them back. A forked child holds none of them, whatever
/// it inherited, and may take lanes of its own.
pub(crate) struct LaneLocks {
    locks: Unshared,
    bytes: LaneBytes,
    /// A bit for every lane held here: the kernel does not tell a description of its own locks.
    held: Box<[AtomicU64]>,
    /// What a child opens its own description from. No lock is taken through it.
    backing: OwnedFd,
    subject: String,
}

/// The accesses to try: reading alone cannot take a lane, but can tell who is alive.
const ACCESS: [libc::c_int; 2] = [libc::O_RDWR, libc::O_RDONLY];

impl LaneLocks {
    /// Prepares the locks of the lanes that lie at `bytes` in the file of `fd`. Takes none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Os`] when the file cannot be opened once more, for which /proc is needed.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        bytes: LaneBytes,
        subject: &str,
    ) -> Result<Self, StoreError> {
        let failed = |e| StoreError::os("open the locks of", subject, e);
        let backing = fd.try_clone_to_owned().map_err(failed)?;
        let locks = Unshared::open(&sys::descriptor_path(fd), &ACCESS).map_err(failed)?;
        let held = (0..bytes.lanes.div_ceil(u64::BITS)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { locks, bytes, held, backing, subject: subject.to_owned() })
    }

    /// Takes a lane, and tells whether it was free: free of a holder in any process, this one
    /// included. A lane whose process died is free.
    ///
    /// # Errors
    ///
    /// [`StoreError::ReadOnly`] when the file may not be written, [`StoreError::Os`] when the kernel
    /// cannot lock.
    pub(crate) fn try_acquire(&self, lane: u32) -> Result<bool, StoreError> {
        let Some(offset) = self.bytes.offset(lane) else {
            return Ok(false);
        };
        let failed = |e| StoreError::os("lock a byte of", self.subject.as_str(), e);
        let fd = self.descriptor().map_err(failed)?;
        let (word, bit) = self.bit(lane);
        // Acquire pairs with the release in `release`: the kernel's lock is gone before the bit is.
        if word.fetch_or(bit, Ordering::Acquire) & bit != 0 {
            return Ok(false);
        }
        let Err(e) = sys::lock_byte(fd, offset, ByteLock::Take) else {
            return Ok(true);
        };
        word.fetch_and(!bit, Ordering::Release);
        match e.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            Some(libc::EBADF) => Err(StoreError::ReadOnly),
            _ => Err(failed(e)),
        }
    }

    /// Gives a lane back. Does nothing for one that is not held here.
    ///
    /// A child must not call this for a lane its parent took, which [`forks`](super::forks) tells: it
    /// may hold one of that number itself by then.
    pub(crate) fn release(&self, lane: u32) {
        let Some(offset) = self.bytes.offset(lane) else {
            return;
        };
        // In a child that opened nothing yet there is nothing to give back.
        let Some(fd) = self.locks.get() else { return };
        let (word, bit) = self.bit(lane);
        if word.load(Ordering::Relaxed) & bit == 0 {
            return;
        }
        // First the lock, then the bit: the other way round, a thread could take the lane between
        // the two and lose its lock to us. Unlocking fails for no reason that keeping the bit mends.
        let _ = sys::lock_byte(fd, offset, ByteLock::Release);
        word.fetch_and(!bit, Ordering::Release);
    }

    /// Tells whether a lane is held here; not so in a child for what its parent took.
    pub(crate) fn holds(&self, lane: u32) -> bool {
        // In this order: whoever opened a child's description cleared the bits before.
        if lane >= self.bytes.lanes || self.locks.get().is_none() {
            return false;
        }
        let (word, bit) = self.bit(lane);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Tells whether a lane is held by anybody who lives. When the kernel cannot answer it says yes:
    /// nothing is ever taken over from the living.
    pub(crate) fn is_alive(&self, lane: u32) -> bool {
        let Some(offset) = self.bytes.offset(lane) else {
            return false;
        };
        let Ok(fd) = self.descriptor() else {
            return true;
        };
        let (word, bit) = self.bit(lane);
        word.load(Ordering::Acquire) & bit != 0 || sys::byte_is_locked(fd, offset).unwrap_or(true)
    }

    /// Lends the description, opening it anew in a forked child, where no lane is held yet.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(fd) = self.locks.get() {
            return Ok(fd);
        }
        let path: CString = sys::descriptor_path(self.backing.as_fd());
        self.locks.reopen(&path, &ACCESS, || {
            for word in &self.held {
                word.store(0, Ordering::Relaxed);
            }
        })
    }

    fn bit(&self, lane: u32) -> (&AtomicU64, u64) {
        (&self.held[(lane / u64::BITS) as usize], 1 << (lane % u64::BITS))
    }
}

impl Drop for LaneLocks {
    fn drop(&mut self) {
        // Closing the description would free the lanes as well, but only once a child that was
        // forked just now has closed its copy. In a child that opened nothing this does nothing.
        for lane in 0..self.bytes.lanes {
            self.release(lane);
        }
    }
}

impl std::fmt::Debug for LaneLocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneLocks").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::kernel::backing;
    use crate::kernel::forks;
    use crate::kernel::location::Location;
    use crate::kernel::staged::Staged;
    use crate::kernel::testing::{self, Forked, Named, Sleepers};

    const BYTES: LaneBytes = LaneBytes { base: 4096, stride: 64, lanes: 70 };

    fn locks(fd: BorrowedFd<'_>) -> LaneLocks {
        LaneLocks::new(fd, BYTES, "test").unwrap()
    }

    fn store() -> File {
        File::from(sys::memory_file(c"test", 0).unwrap())
    }

    #[test]
    fn a_lane_has_one_holder_among_threads_and_stores() {
        let file = store();
        let stores = [locks(file.as_fd()), locks(file.as_fd())];
        let winners = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for index in 0..8 {
                let (stores, winners) = (&stores, &winners);
                scope.spawn(move || {
                    for lane in 0..BYTES.lanes {
                        if stores[index % 2].try_acquire(lane).unwrap() {
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(winners.load(Ordering::Relaxed), BYTES.lanes);
        for lane in 0..BYTES.lanes {
            assert!(stores[0].is_alive(lane) && stores[1].is_alive(lane));
        }
    }

    #[test]
    fn a_lane_that_many_threads_take_and_release_is_locked_while_held() {
        let file = store();
        let stores = [locks(file.as_fd()), locks(file.as_fd())];
        let witness = locks(file.as_fd());
        std::thread::scope(|scope| {
            for index in 0..4 {
                let (stores, witness) = (&stores, &witness);
                scope.spawn(move || {
                    for _ in 0..5_000 {
                        let store = &stores[index % 2];
                        if store.try_acquire(69).unwrap() {
                            // Whoever has the lane has the kernel's lock, all the time.
                            assert!((0..3).all(|_| witness.is_alive(69)));
                            store.release(69);
                        }
                    }
                });
            }
        });
        assert!(!witness.is_alive(69));
    }

    #[test]
    fn releasing_or_dropping_frees_lanes() {
        let file = store();
        let (first, second) = (locks(file.as_fd()), locks(file.as_fd()));
        assert!(first.try_acquire(1).unwrap() && first.try_acquire(2).unwrap());
        second.release(1);
        assert!(first.is_alive(1) && second.is_alive(1), "only the holder releases");
        first.release(1);
        first.release(1);
        assert!(!second.is_alive(1) && second.is_alive(2));
        assert!(second.try_acquire(1).unwrap());
        drop(first);
        assert!(!second.is_alive(2) && second.try_acquire(2).unwrap());
    }

    #[test]
    fn lanes_out_of_range_are_never_had() {
        let file = store();
        let locks = locks(file.as_fd());
        assert!(!locks.try_acquire(BYTES.lanes).unwrap() && !locks.is_alive(u32::MAX));
        locks.release(u32::MAX);
        let absurd = LaneBytes { base: u64::MAX, stride: u64::MAX, lanes: 2 };
        let locks = LaneLocks::new(file.as_fd(), absurd, "test").unwrap();
        assert!(!locks.try_acquire(1).unwrap() && !locks.is_alive(1));
    }

    #[test]
    fn a_shared_description_does_not_share_locks() {
        let file = store();
        let passed = file.try_clone().unwrap();
        let (first, second) = (locks(file.as_fd()), locks(passed.as_fd()));
        assert!(first.try_acquire(7).unwrap());
        assert!(!second.try_acquire(7).unwrap());
    }

    #[test]
    fn read_only_stores_see_the_living_and_take_no_lane() {
        let named = Named::new();
        let published = Staged::create(&named.0, 8192, None, false).unwrap().publish().unwrap();
        let writer = locks(published.fd.as_fd());
        // What a user without the right to write gets; root gets it by asking for it.
        let path = sys::descriptor_path(published.fd.as_fd());
        let mut reader = locks(published.fd.as_fd());
        reader.locks = Unshared::open(&path, &[libc::O_RDONLY]).unwrap();
        assert!(writer.try_acquire(4).unwrap());
        assert!(reader.is_alive(4) && !reader.is_alive(5));
        assert!(matches!(reader.try_acquire(5), Err(StoreError::ReadOnly)));
        assert!(writer.try_acquire(5).unwrap());
    }

    #[test]
    fn a_killed_process_holds_no_lane() {
        // Section 8, 7.
        let file = store();
        let locks = locks(file.as_fd());
        let (mut ready, tell) = std::io::pipe().unwrap();
        let child = Forked::new(|| {
            let taken = locks.try_acquire(9).unwrap_or(false);
            let _ = io::Write::write_all(&mut &tell, &[u8::from(taken)]);
            testing::sleep_for_ever()
        });
        let mut taken = [0];
        io::Read::read_exact(&mut ready, &mut taken).unwrap();
        assert_eq!(taken, [1]);
        assert!(locks.is_alive(9) && !locks.try_acquire(9).unwrap());
        child.kill();
        assert!(!locks.is_alive(9));
        assert!(locks.try_acquire(9).unwrap());
    }

    #[test]
    fn dropping_frees_lanes_although_a_child_was_just_forked() {
        let file = store();
        let (parent, other) = (locks(file.as_fd()), locks(file.as_fd()));
        assert!(parent.try_acquire(3).unwrap());
        let mut children = Sleepers::new();
        children.add();
        assert!(other.is_alive(3));
        // At once, though the child may not have run its first instruction yet.
        drop(parent);
        assert!(!other.is_alive(3));
    }

    #[test]
    fn a_child_counts_as_another_process_and_takes_lanes_of_its_own() {
        let file = store();
        let locks = locks(file.as_fd());
        assert!(locks.try_acquire(0).unwrap());
        let before = forks();
        let child = Forked::new(|| {
            let steps = [
                forks() != before,
                // Held by the parent, and seen as such, though the child inherited the bit.
                locks.is_alive(0),
                !locks.try_acquire(0).unwrap_or(true),
                locks.try_acquire(1).unwrap_or(false),
                locks.is_alive(1),
                !locks.is_alive(2),
            ];
            // Inherited with the parent's bit set, this must not free the parent's lane.
            locks.release(0);
            steps.iter().position(|good| !good).map_or(0, |bad| bad as i32 + 1)
        });
        assert_eq!(child.wait().code(), Some(0));
        assert_eq!(forks(), before);
        assert!(locks.is_alive(0) && !locks.is_alive(1));
        let other = super::tests::locks(file.as_fd());
        assert!(other.is_alive(0));
    }

    #[test]
    fn a_child_takes_over_a_lane_that_its_parent_gave_up() {
        // The parent's holding, which the child inherited as bits, is not the child's.
        let file = store();
        let locks = locks(file.as_fd());
        assert!(locks.try_acquire(0).unwrap());
        let (mut released, tell) = std::io::pipe().unwrap();
        let child = Forked::new(|| {
            let told = io::Read::read_exact(&mut released, &mut [0]).is_ok();
            let steps = [told, !locks.is_alive(0), locks.try_acquire(0).unwrap_or(false)];
            steps.iter().position(|good| !good).map_or(0, |bad| bad as i32 + 1)
        });
        locks.release(0);
        io::Write::write_all(&mut &tell, &[1]).unwrap();
        assert_eq!(child.wait().code(), Some(0));
    }

    #[test]
    fn dropping_inherited_locks_closes_nobody_elses_descriptor() {
        let file = store();
        let (kept, dropped) = (locks(file.as_fd()), locks(file.as_fd()));
        assert!(kept.try_acquire(0).unwrap() && dropped.try_acquire(1).unwrap());
        let number = dropped.locks.get().unwrap().as_raw_fd();
        let other = file.try_clone().unwrap();
        let child = Forked::new(move || {
            // Descriptors take the lowest free number, so one of these takes the closed one's.
            let taken: Vec<i32> =
                (0..64).map(|_| other.try_clone().unwrap().into_raw_fd()).collect();
            if !taken.contains(&number) {
                return 1;
            }
            drop(dropped);
            i32::from(std::fs::metadata(format!("/proc/self/fd/{number}")).is_err()) * 2
        });
        assert_eq!(child.wait().code(), Some(0));
        assert!(kept.is_alive(0));
    }

    /// Not a test of its own: the process that
    /// `a_killed_parent_leaves_no_lane_alive_through_its_children` kills.
    #[test]
    fn parent_to_be_killed() {
        let Some(name) = testing::role() else { return };
        testing::set_watchdog();
        let opened = backing::open(&Location::shared(name).unwrap(), true).unwrap();
        let locks = locks(opened.fd.as_fd());
        assert!(locks.try_acquire(5).unwrap());
        let (mut ready, tell) = std::io::pipe().unwrap();
        let _child = Forked::new(|| {
            // By now the child runs its own code, so its copy of the lock is gone.
            let pid = std::process::id();
            let _ = io::Write::write_all(&mut &tell, &pid.to_ne_bytes());
            testing::sleep_for_ever()
        });
        let mut pid = [0; 4];
        io::Read::read_exact(&mut ready, &mut pid).unwrap();
        println!("\nchild={}", u32::from_ne_bytes(pid));
        testing::sleep_for_ever()
    }

    #[test]
    fn a_killed_parent_leaves_no_lane_alive_through_its_children() {
        let named = Named::new();
        let published = Staged::create(&named.0, 8192, None, false).unwrap().publish().unwrap();
        let Location::Shared(name) = &named.0 else { unreachable!() };
        let locks = locks(published.fd.as_fd());
        let mut parent = testing::rerun(module_path!(), "parent_to_be_killed", name);
        let output = BufReader::new(parent.stdout.take().unwrap());
        let told = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("child=").and_then(|pid| pid.parse::<i32>().ok()));
        let alive_before = locks.is_alive(5);
        parent.kill().unwrap();
        parent.wait().unwrap();
        let alive_after = locks.is_alive(5);
        let grandchild = told.expect("the second process started");
        let grandchild_ran = testing::runs(grandchild);
        testing::kill(grandchild);
        assert!(grandchild_ran, "the child outlives its parent");
        assert!(alive_before && !alive_after);
    }
}
