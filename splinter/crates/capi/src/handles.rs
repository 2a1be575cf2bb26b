//! The handle table: the stores that the process has open. These are the default store, which functions without a
//! handle use, and the stores that have a handle. The table knows which stores are open, and nothing of what is done
//! with them.
//!
//! A handle stands for a serial number, and no number is given twice. Each thread keeps a reference to the stores it
//! has used, and caches the last one, so that a call takes neither a lock nor a reference count. The cached store stays
//! mapped until this thread drops it: when it next looks up a store that is not cached, when it closes a store, or when
//! it ends. So a close by another thread interrupts no call. A close gives back at once what other processes could
//! miss: writers, bids and descriptors.

// Opts in for the cached store, which is found by its address.
#![allow(unsafe_code)]

use crate::descriptors::Bus;
use crate::errno::{Failure, preserving_errno};
use crate::fork::{CopyOnWrite, ForkMutex};
use crate::names::Names;
use crate::pool::{ThreadNumbers, WriterPool};
use crate::thread_cache;
use libc::c_void;
use splinter::{Error, Store, Writer};
use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// An open store, and what the C program has of it.
pub(crate) struct Entry {
    pub(crate) serial: u64,
    pub(crate) store: Store,
    pub(crate) writers: WriterPool,
    pub(crate) bus: ForkMutex<Bus>,
    pub(crate) names: ForkMutex<Names>,
    /// What ends with the store.
    dependents: ForkMutex<Vec<Weak<dyn Dependent>>>,
    closed: AtomicBool,
}

/// Something that the program has of a store, besides the store's handle, and that ends with the store.
pub(crate) trait Dependent: Send + Sync {
    /// Gives back what the process holds for it, once no call uses that. Later calls fail.
    fn release(&self);
}

/// The open stores. A child of a fork begins with its parent's.
static OPEN: CopyOnWrite<Vec<Arc<Entry>>> = CopyOnWrite::new();
/// The last serial number given.
static LAST_SERIAL: AtomicU64 = AtomicU64::new(0);
/// The serial number of the default store, which functions without a handle use; 0: none.
static DEFAULT: AtomicU64 = AtomicU64::new(0);
/// Numbers for the threads that write.
static THREADS: ThreadNumbers = ThreadNumbers::new();

/// A thread holds this until it ends: the stores it has used, and its number if it has written.
#[derive(Default)]
struct ThreadState {
    entries: Vec<Arc<Entry>>,
    thread: Option<usize>,
}

thread_local! {
    /// The thread's state. It has no destructor, so that even a thread's last destructors can use it; [`end_of_thread`]
    /// drops what it holds.
    static STATE: ManuallyDrop<RefCell<ThreadState>> =
        const {
            ManuallyDrop::new(RefCell::new(ThreadState { entries: Vec::new(), thread: None }))
        };
}

/// Calls `act` with the thread's state. Returns nothing if the state is in use.
fn with_state<R>(act: impl FnOnce(&mut ThreadState) -> R) -> Option<R> {
    if let Some(key) = end_key() {
        // SAFETY: the key exists. Any value but NULL makes the C library call `end_of_thread` when the thread ends. The
        // program's own destructors may use a store after that call; the C library then calls it once more.
        let _ = unsafe { libc::pthread_setspecific(key, ptr::dangling()) };
    }
    STATE.with(|state| state.try_borrow_mut().ok().map(|mut state| act(&mut state)))
}

/// Returns the key whose destructor is [`end_of_thread`]. Returns nothing if the process has no key left: then a
/// thread's state outlives the thread. Takes no lock, which a child of a fork could find held.
fn end_key() -> Option<libc::pthread_key_t> {
    /// The key plus one.
    static KEY: AtomicU64 = AtomicU64::new(0);
    let known = KEY.load(Ordering::Relaxed);
    if known != 0 {
        return libc::pthread_key_t::try_from(known - 1).ok();
    }
    let mut key = 0;
    // SAFETY: there is room for the key. The function is there for good: the library is never unloaded, since it is
    // linked with `-z nodelete` (`build.rs`).
    if unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_thread)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(0, u64::from(key) + 1, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Some(key),
        Err(first) => {
            // SAFETY: no thread has used this key.
            unsafe { libc::pthread_key_delete(key) };
            libc::pthread_key_t::try_from(first - 1).ok()
        }
    }
}

/// Drops the state of a thread that ends.
extern "C" fn end_of_thread(_: *mut c_void) {
    drop(STATE.with(|state| state.try_borrow_mut().map(|mut state| mem::take(&mut *state))));
}

impl Drop for ThreadState {
    fn drop(&mut self) {
        thread_cache::clear();
        let Some(thread) = self.thread else { return };
        thread_cache::set_thread(None);
        for entry in &self.entries {
            entry.writers.drop_writer(thread);
        }
        THREADS.free(thread);
    }
}

impl Entry {
    /// Calls `act` with a writer of the store.
    #[inline]
    pub(crate) fn write<R>(&self, act: impl FnMut(&mut Writer) -> Result<R, Error>) -> Result<R, Failure> {
        // A write may call the kernel: to learn whether another writer lives, or to wake waiters.
        preserving_errno(|| self.writers.with(&self.store, thread(), act))
    }

    /// Calls `act` with a writer whose changes pulse no signal group. It is for functions that pulse none in
    /// libsplinter 1.2.
    pub(crate) fn write_quietly<R>(
        &self,
        mut act: impl FnMut(&mut Writer) -> Result<R, Error>,
    ) -> Result<R, Failure> {
        self.write(|writer| writer.quietly(&mut act))
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: a caller that finds the store open may use what `close` gives back later.
        self.closed.load(Ordering::Acquire)
    }

    /// Makes something end with the store. If the store was closed, releases it at once, and fails.
    pub(crate) fn attach<T: Dependent + 'static>(&self, dependent: &Arc<T>) -> Result<(), Failure> {
        let weak: Weak<T> = Arc::downgrade(dependent);
        let mut dependents = self.dependents.lock();
        dependents.retain(|known| known.strong_count() > 0);
        dependents.push(weak);
        drop(dependents);
        // A close that does not find it above has closed the store before.
        if self.is_closed() {
            dependent.release();
            return Err(Failure::CALLER);
        }
        Ok(())
    }

    /// Gives back what the process holds of the store: queues, consumers, writers, descriptors and bids.
    fn release(&self) {
        self.closed.store(true, Ordering::Release);
        let dependents = mem::take(&mut *self.dependents.lock());
        dependents.iter().filter_map(Weak::upgrade).for_each(|dependent| dependent.release());
        self.writers.close();
        self.bus.lock().close();
        for bid in self.store.bids().list().unwrap_or_default() {
            // The store refuses to release the bids of other processes.
            let _ = self.store.bids().release(bid.id);
        }
    }
}

/// Returns the calling thread's number; threads without one share the writers of others.
#[inline]
fn thread() -> usize {
    thread_cache::thread().unwrap_or_else(number_thread)
}

#[cold]
fn number_thread() -> usize {
    let number = with_state(|state| {
        if state.thread.is_none() {
            state.thread = THREADS.allocate();
        }
        state.thread
    });
    match number.flatten() {
        Some(number) => {
            thread_cache::set_thread(Some(number));
            number
        }
        // All numbers are taken.
        None => 0,
    }
}

/// Adds a store to the table. Returns its serial number.
pub(crate) fn add(store: Store) -> u64 {
    let serial = LAST_SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
    let writers = WriterPool::new(store.geometry().max_writers);
    let entry = Arc::new(Entry {
        serial,
        store,
        writers,
        bus: ForkMutex::default(),
        names: ForkMutex::default(),
        dependents: ForkMutex::default(),
        closed: AtomicBool::new(false),
    });
    OPEN.change(|open| open.push(entry));
    serial
}

/// Makes a store the default store, and closes the previous one. Returns whether there was one.
pub(crate) fn set_default(serial: u64) -> bool {
    close(DEFAULT.swap(serial, Ordering::AcqRel))
}

/// Closes the default store. Returns whether there was one.
pub(crate) fn close_default() -> bool {
    set_default(0)
}

/// Closes the store with this serial number. Returns whether there was one.
pub(crate) fn close(serial: u64) -> bool {
    let entry = OPEN.change(|open| {
        let index = open.iter().position(|entry| entry.serial == serial)?;
        Some(open.swap_remove(index))
    });
    let Some(entry) = entry else { return false };
    let _ = DEFAULT.compare_exchange(serial, 0, Ordering::AcqRel, Ordering::Relaxed);
    entry.release();
    with_state(ThreadState::drop_closed);
    true
}

impl ThreadState {
    /// Empties the thread's cache, and drops the references to closed stores.
    fn drop_closed(&mut self) {
        thread_cache::clear();
        self.entries.retain(|entry| !entry.is_closed());
        self.entries.shrink_to_fit();
    }
}

/// Returns the serial number of the default store, or 0.
#[inline(always)]
pub(crate) fn default_serial() -> u64 {
    // Acquire: the store with this number is in the table.
    DEFAULT.load(Ordering::Acquire)
}

/// Calls `act` with a store. `act` must not call into the program, which could close the cached store.
pub(crate) fn with<R>(serial: u64, act: impl FnOnce(&Entry) -> Result<R, Failure>) -> Result<R, Failure> {
    // SAFETY: `act` does not call into the program.
    match unsafe { cached(serial) } {
        Some(entry) => act(entry),
        None => act(&*find(serial)?),
    }
}

/// Returns the cached store, if it has this serial number and is open.
///
/// # Safety
/// The reference is for one call, which must not call into the program: that could close the cached store.
#[inline(always)]
pub(crate) unsafe fn cached<'call>(serial: u64) -> Option<&'call Entry> {
    let (last, entry) = thread_cache::store();
    if last != serial || serial == 0 {
        return None;
    }
    // SAFETY: this thread's `ThreadState` holds the entry until the thread clears its cache. The thread does not clear
    // it during the call that borrows the entry here.
    let entry = unsafe { &*entry.cast::<Entry>() };
    (!entry.is_closed()).then_some(entry)
}

/// Looks up an open store, and caches it.
#[cold]
#[inline(never)]
pub(crate) fn find(serial: u64) -> Result<Arc<Entry>, Failure> {
    let found = find_where(|entry| entry.serial == serial);
    with_state(|state| {
        // Other threads may have closed stores that this thread still references.
        state.drop_closed();
        let Some(entry) = &found else { return };
        if !state.entries.iter().any(|known| Arc::ptr_eq(known, entry)) {
            state.entries.push(Arc::clone(entry));
        }
        thread_cache::set(serial, Arc::as_ptr(entry).cast());
    });
    found.filter(|entry| !entry.is_closed()).ok_or(Failure::CALLER)
}

/// Finds the first open store for which `matches` is true.
pub(crate) fn find_where(matches: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
    OPEN.read(|open| open.iter().find(|entry| matches(entry)).cloned())
}
