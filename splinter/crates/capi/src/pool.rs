//! A pool of writers for each open store. A writer holds one of the store's writer ids and serves one thread at a time;
//! C programs see neither. Each thread that writes gets a writer of its own, which is dropped when the thread ends. If a
//! process has more threads than its share of the writer ids, threads take turns.

use crate::boundary::uncancelled;
use crate::errno::Failure;
use crate::fork::{ForkMutex, ForkMutexGuard, back_off};
use splinter::{Error, Store, StoreError, Writer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A place for a writer, on cache lines of its own. A thread holds it for the length of a call.
#[derive(Default)]
#[repr(align(128))]
struct Place(ForkMutex<Option<Box<Writer>>>);

/// A place that a thread holds.
type Held<'p> = ForkMutexGuard<'p, Option<Box<Writer>>>;

/// One open store takes at most this part of the writer ids, a quarter: threads that wrote once and then sleep keep
/// their writers, and must not keep all other processes from writing.
const SHARE: u32 = 4;

/// The writers of one open store.
pub(crate) struct WriterPool {
    /// One for each writer id of the share. A thread looks first at the place with its own number.
    places: Box<[Place]>,
    closed: AtomicBool,
}

impl WriterPool {
    /// Makes an empty pool for a store with `max_writers` writer ids.
    pub(crate) fn new(max_writers: u32) -> Self {
        Self {
            places: (0..(max_writers / SHARE).max(1)).map(|_| Place::default()).collect(),
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
            let mut place = self.place(store, thread)?;
            let Some(writer) = place.as_mut() else { continue };
            match act(writer) {
                // The writer is the parent's, and did nothing. This process registers its own.
                Err(Error::Forked) => *place = None,
                result => return Ok(result?),
            }
        }
    }

    /// Takes a place that has a writer.
    #[inline]
    fn place(&self, store: &Store, thread: usize) -> Result<Held<'_>, Failure> {
        if let Some(place) = self.places[thread % self.places.len()].0.try_lock()
            && place.is_some()
        {
            return Ok(place);
        }
        self.find_place(thread, || uncancelled(|| store.writer()))
    }

    /// Takes the first free place, beginning with the thread's own, and registers a writer if it has none. If that
    /// fails because the store, the process or the kernel has no more of something, such as writer ids or memory, waits
    /// for a turn with an existing writer.
    #[cold]
    fn find_place(
        &self,
        thread: usize,
        register: impl Fn() -> Result<Writer, StoreError>,
    ) -> Result<Held<'_>, Failure> {
        let mut refused: Option<StoreError> = None;
        let mut round = 0_u32;
        loop {
            let mut any_in_use = false;
            for step in 0..self.places.len() {
                let place = &self.places[(thread + step) % self.places.len()].0;
                let Some(mut place) = place.try_lock() else {
                    any_in_use = true;
                    continue;
                };
                // Acquire: a thread that finds a place emptied by `close` finds this set.
                if self.closed.load(Ordering::Acquire) {
                    return Err(Failure::CALLER);
                }
                if place.is_none() && refused.is_none() {
                    match register() {
                        Ok(writer) => *place = Some(Box::new(writer)),
                        Err(error @ (StoreError::TooManyWriters { .. } | StoreError::Os { .. })) => {
                            refused = Some(error);
                        }
                        // Another writer would fail, too.
                        Err(error) => return Err(error.into()),
                    }
                }
                if place.is_some() {
                    return Ok(place);
                }
            }
            match refused.take() {
                // This process has no writer at all.
                Some(error) if !any_in_use => return Err(error.into()),
                _ => back_off(round),
            }
            round = round.saturating_add(1);
        }
    }

    /// Drops the writer of a thread that ends, which gives back its writer id.
    pub(crate) fn drop_writer(&self, thread: usize) {
        if let Some(place) = self.places.get(thread)
            && let Some(mut place) = place.0.try_lock()
        {
            *place = None;
        }
    }

    /// Drops all writers, each when the call that uses it has ended, which gives back their writer ids. Registers no
    /// writer any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for place in &self.places {
            *place.0.lock() = None;
        }
    }
}

/// Numbers for threads, in a bitmap. Each thread gets the lowest free number, so that few places are used however many
/// threads come and go.
pub(crate) struct ThreadNumbers([AtomicU64; 16]);

impl ThreadNumbers {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 16])
    }

    /// Allocates a number, or returns nothing if all 1,024 are taken.
    pub(crate) fn allocate(&self) -> Option<usize> {
        for (index, word) in self.0.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != u64::MAX {
                let free = bits.trailing_ones();
                // Relaxed: the number leads to a place, whose lock orders.
                let (next, relaxed) = (bits | 1 << free, Ordering::Relaxed);
                match word.compare_exchange_weak(bits, next, relaxed, relaxed) {
                    Ok(_) => return Some(index * 64 + free as usize),
                    Err(now) => bits = now,
                }
            }
        }
        None
    }

    /// Frees a number.
    pub(crate) fn free(&self, number: usize) {
        self.0[number / 64].fetch_and(!(1 << (number % 64)), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry};

    #[test]
    fn threads_have_the_lowest_numbers_that_are_free() {
        let numbers = ThreadNumbers::new();
        assert!((0..1024).all(|number| numbers.allocate() == Some(number)));
        assert_eq!(numbers.allocate(), None);
        numbers.free(700);
        numbers.free(65);
        assert_eq!([65, 700].map(Some), [numbers.allocate(), numbers.allocate()]);
        assert_eq!(numbers.allocate(), None);
    }

    #[test]
    fn a_thread_for_which_the_process_has_nothing_left_takes_turns() {
        let geometry = Geometry { slots: 8, max_writers: 16, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let writers = WriterPool::new(16);
        let refuse = |errno| {
            let source = std::io::Error::from_raw_os_error(errno);
            Err(StoreError::Os { operation: "lock", subject: "test".into(), source })
        };
        // The process has no writer yet.
        let alone = writers.find_place(0, || refuse(libc::EMFILE)).map(drop);
        assert_eq!(alone, Err(Failure::of(libc::EMFILE)));
        drop(writers.find_place(0, || store.writer()).unwrap());
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOLCK] {
            assert!(writers.find_place(1, || refuse(errno)).unwrap().is_some());
        }
        // The only writer is in use: the call waits for its turn.
        let busy = writers.find_place(0, || store.writer()).unwrap();
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| writers.find_place(1, || refuse(libc::EMFILE)).map(drop));
            std::thread::yield_now();
            drop(busy);
            assert_eq!(turn.join().unwrap(), Ok(()));
        });
        // An error that no turn would cure is returned at once.
        let read_only = writers.find_place(1, || Err(StoreError::ReadOnly)).map(drop);
        assert_eq!(read_only, Err(Failure::of(libc::EROFS)));
    }

    #[test]
    fn more_threads_than_writer_ids_take_turns_and_a_store_without_one_refuses() {
        let geometry = Geometry { slots: 8, max_writers: 8, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let writers = WriterPool::new(8);
        let set = |thread| writers.with(&store, thread, |writer| writer.set("key", b"value"));
        assert!((0..6).all(|thread| set(thread).is_ok()));
        // The pool has two writer ids: other processes get all other writer ids, and the pool keeps its own.
        let mut others: Vec<_> = (0..6).map(|_| store.writer().unwrap()).collect();
        assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { .. })));
        assert!(set(5).is_ok());
        writers.drop_writer(0);
        writers.drop_writer(1);
        others.extend([store.writer().unwrap(), store.writer().unwrap()]);
        assert_eq!(set(3), Err(Failure::of(libc::ENOSPC)));
        drop(others);
        assert_eq!(set(3), Ok(()));
        writers.close();
        assert_eq!(set(3), Err(Failure::CALLER));
        assert!(store.writer().is_ok());
    }
}
