//! The writers of an open store. A writer holds one of the store's lanes and serves one thread at a time; C programs
//! know neither. Each thread that writes gets a writer of its own, which goes when the thread ends; where a process has
//! more threads than its share of the lanes, threads take turns.

use crate::boundary::uncancelled;
use crate::errno::Failure;
use crate::fork::{Fresh, Taken, pause};
use splinter::{Error, Store, StoreError, Writer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A place for a writer, on lines of its own: its thread takes it for every call.
#[derive(Default)]
#[repr(align(128))]
struct Desk(Fresh<Option<Box<Writer>>>);

/// A place that a thread has taken.
type Held<'d> = Taken<'d, Option<Box<Writer>>>;

/// What part of a store's lanes one process takes at most by one open store: threads that wrote once and then sleep keep
/// their writers, and must not keep all other processes from writing.
const SHARE: u32 = 4;

/// The writers of one open store.
pub(crate) struct Writers {
    /// As many as the process may have lanes. The threads of the process have numbers, and each begins to look at its own.
    desks: Box<[Desk]>,
    closed: AtomicBool,
}

impl Writers {
    /// Makes room for the writers of a store with `lanes` lanes.
    pub(crate) fn new(lanes: u32) -> Self {
        Self {
            desks: (0..(lanes / SHARE).max(1)).map(|_| Desk::default()).collect(),
            closed: AtomicBool::new(false),
        }
    }

    /// Calls `act` with a writer.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        store: &Store,
        thread: usize,
        mut act: impl FnMut(&mut Writer) -> Result<R, Error>,
    ) -> Result<R, Failure> {
        loop {
            let mut desk = self.desk(store, thread)?;
            let Some(writer) = desk.as_mut() else { continue };
            match act(writer) {
                // The parent's; nothing was done. This process registers its own.
                Err(Error::Forked) => *desk = None,
                answer => return Ok(answer?),
            }
        }
    }

    /// Takes a desk with a writer.
    #[inline]
    fn desk(&self, store: &Store, thread: usize) -> Result<Held<'_>, Failure> {
        if let Some(desk) = self.desks[thread % self.desks.len()].0.try_take()
            && desk.is_some()
        {
            return Ok(desk);
        }
        self.find_desk(thread, || uncancelled(|| store.writer()))
    }

    /// Registers a writer at the first desk that is free and has none, from the thread's own on. Where that fails
    /// for want of a lane, a descriptor or whatever else the process or the kernel has no more of, waits for a turn
    /// with a writer that is there.
    #[cold]
    fn find_desk(
        &self,
        thread: usize,
        register: impl Fn() -> Result<Writer, StoreError>,
    ) -> Result<Held<'_>, Failure> {
        let mut refused: Option<StoreError> = None;
        let mut round = 0_u32;
        loop {
            let mut somebody_writes = false;
            for step in 0..self.desks.len() {
                let desk = &self.desks[(thread + step) % self.desks.len()].0;
                let Some(mut desk) = desk.try_take() else {
                    somebody_writes = true;
                    continue;
                };
                // Acquire: whoever finds a desk cleared by `close` finds this set.
                if self.closed.load(Ordering::Acquire) {
                    return Err(Failure::CALLER);
                }
                if desk.is_none() && refused.is_none() {
                    match register() {
                        Ok(writer) => *desk = Some(Box::new(writer)),
                        Err(error @ (StoreError::NoLane { .. } | StoreError::Os { .. })) => {
                            refused = Some(error);
                        }
                        // No other writer could write then.
                        Err(error) => return Err(error.into()),
                    }
                }
                if desk.is_some() {
                    return Ok(desk);
                }
            }
            match refused.take() {
                // This process has no writer at all.
                Some(error) if !somebody_writes => return Err(error.into()),
                _ => pause(round),
            }
            round = round.saturating_add(1);
        }
    }

    /// Gives back the lane of a thread that ends.
    pub(crate) fn leave(&self, thread: usize) {
        if let Some(desk) = self.desks.get(thread)
            && let Some(mut desk) = desk.0.try_take()
        {
            *desk = None;
        }
    }

    /// Gives back all lanes, each once whoever writes by it is done; no writer is registered any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for desk in &self.desks {
            *desk.0.take() = None;
        }
    }
}

/// Numbers for threads, of which each has the lowest that is free: so few desks are used, whatever comes and goes.
pub(crate) struct Numbers([AtomicU64; 16]);

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 16])
    }

    /// Takes a number; none if more threads write than there are.
    pub(crate) fn take(&self) -> Option<usize> {
        for (place, word) in self.0.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != u64::MAX {
                let free = bits.trailing_ones();
                // Relaxed: a number leads to a desk, and that is what orders.
                let (next, relaxed) = (bits | 1 << free, Ordering::Relaxed);
                match word.compare_exchange_weak(bits, next, relaxed, relaxed) {
                    Ok(_) => return Some(place * 64 + free as usize),
                    Err(now) => bits = now,
                }
            }
        }
        None
    }

    /// Gives a number back.
    pub(crate) fn give_back(&self, number: usize) {
        self.0[number / 64].fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry};

    #[test]
    fn threads_have_the_lowest_numbers_that_are_free() {
        let numbers = Numbers::new();
        assert!((0..1024).all(|number| numbers.take() == Some(number)));
        assert_eq!(numbers.take(), None);
        numbers.give_back(700);
        numbers.give_back(65);
        assert_eq!((numbers.take(), numbers.take(), numbers.take()), (Some(65), Some(700), None));
    }

    #[test]
    fn a_thread_for_which_the_process_has_nothing_left_takes_turns() {
        let geometry = Geometry { slots: 8, lanes: 16, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let writers = Writers::new(16);
        let refuse = |errno| {
            let source = std::io::Error::from_raw_os_error(errno);
            Err(StoreError::Os { operation: "lock", subject: "test".into(), source })
        };
        // Nobody writes yet.
        let alone = writers.find_desk(0, || refuse(libc::EMFILE)).map(drop);
        assert_eq!(alone, Err(Failure::of(libc::EMFILE)));
        drop(writers.find_desk(0, || store.writer()).unwrap());
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOLCK] {
            assert!(writers.find_desk(1, || refuse(errno)).unwrap().is_some());
        }
        // The one writer is in use: its turn comes.
        let busy = writers.find_desk(0, || store.writer()).unwrap();
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| writers.find_desk(1, || refuse(libc::EMFILE)).map(drop));
            std::thread::yield_now();
            drop(busy);
            assert_eq!(turn.join().unwrap(), Ok(()));
        });
        // What no turn would mend is told at once.
        let read_only = writers.find_desk(1, || Err(StoreError::ReadOnly)).map(drop);
        assert_eq!(read_only, Err(Failure::of(libc::EROFS)));
    }

    #[test]
    fn more_threads_than_a_share_of_the_lanes_take_turns_and_a_store_without_a_lane_refuses() {
        let geometry = Geometry { slots: 8, lanes: 8, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let writers = Writers::new(8);
        let set = |thread| writers.with(&store, thread, |writer| writer.set("key", b"value"));
        assert!((0..6).all(|thread| set(thread).is_ok()));
        // Two lanes are ours: other processes find all others, and we find ours again.
        let mut others: Vec<_> = (0..6).map(|_| store.writer().unwrap()).collect();
        assert!(matches!(store.writer(), Err(StoreError::NoLane { .. })));
        assert!(set(5).is_ok());
        writers.leave(0);
        writers.leave(1);
        others.extend([store.writer().unwrap(), store.writer().unwrap()]);
        assert_eq!(set(3), Err(Failure::of(libc::ENOSPC)));
        drop(others);
        assert_eq!(set(3), Ok(()));
        writers.close();
        assert_eq!(set(3), Err(Failure::CALLER));
        assert!(store.writer().is_ok());
    }
}
