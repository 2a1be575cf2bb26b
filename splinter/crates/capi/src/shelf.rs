//! The open stores of the process: the one that functions without a handle mean, and those that have one. Knows what
//! is open, not what is done with it.
//!
//! A store is called by its serial number, which is never given twice. Each thread keeps hold of the stores it
//! has used, and the last of them at hand, so that a call needs neither a lock nor a count: what is at hand stays mapped
//! until this very thread lets go of it, which it does when it next looks for a store that is not at hand, when it
//! closes one, or when it ends. Another thread's close therefore ends no call, and takes back at once all that others
//! could miss: lanes, bids and descriptors.

// Opts in for what a thread has at hand, which it finds by its address.
#![allow(unsafe_code)]

use crate::at_hand;
use crate::bus::Bus;
use crate::errno::{Failure, keep};
use crate::fork::{Fresh, Whole};
use crate::names::Names;
use crate::writers::{Numbers, Writers};
use libc::c_void;
use splinter::{Error, Store, Writer};
use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An open store with all that a C program has of it.
pub(crate) struct Entry {
    pub(crate) serial: u64,
    pub(crate) store: Store,
    pub(crate) writers: Writers,
    pub(crate) bus: Fresh<Bus>,
    pub(crate) names: Fresh<Names>,
    closed: AtomicBool,
}

/// Who is open. In a child it is what it was in the parent.
static SHELF: Whole<Vec<Arc<Entry>>> = Whole::new();
/// The serial number that was given last.
static LAST: AtomicU64 = AtomicU64::new(0);
/// The store that functions without a handle mean; 0: none.
static OWN: AtomicU64 = AtomicU64::new(0);
/// The numbers of the threads that write.
static THREADS: Numbers = Numbers::new();

/// What a thread keeps until it ends.
#[derive(Default)]
struct Kept {
    entries: Vec<Arc<Entry>>,
    thread: Option<usize>,
}

thread_local! {
    /// Without a destructor of its own, so that it is there even for a thread's last destructors; what it holds
    /// goes by [`end_of_thread`].
    static KEPT: ManuallyDrop<RefCell<Kept>> =
        const { ManuallyDrop::new(RefCell::new(Kept { entries: Vec::new(), thread: None })) };
}

/// Uses what the thread keeps, which goes when the thread ends.
fn with_kept<R>(act: impl FnOnce(&mut Kept) -> R) -> Option<R> {
    if let Some(key) = end_key() {
        // SAFETY: the key is there. Any address but NULL has the function called; called it is with destructors of
        // the program's which may use a store still, and once more if they have.
        let _ = unsafe { libc::pthread_setspecific(key, ptr::dangling()) };
    }
    KEPT.with(|kept| kept.try_borrow_mut().ok().map(|mut kept| act(&mut kept)))
}

/// Returns the key whose destructor is [`end_of_thread`]; none where no key is left, and what a thread keeps stays when it
/// ends. Without a lock, which a child could find held.
fn end_key() -> Option<libc::pthread_key_t> {
    /// The key plus one.
    static KEY: AtomicU64 = AtomicU64::new(0);
    let known = KEY.load(Ordering::Relaxed);
    if known != 0 {
        return libc::pthread_key_t::try_from(known - 1).ok();
    }
    let mut key = 0;
    // SAFETY: there is room for the key, and the function is there for good: the library is never unloaded, as its build
    // says.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_thread)) } != 0 {
        return None;
    }
    match KEY.compare_exchange(0, u64::from(key) + 1, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Some(key),
        Err(first) => {
            // SAFETY: nobody has used this one.
            unsafe { libc::pthread_key_delete(key) };
            libc::pthread_key_t::try_from(first - 1).ok()
        }
    }
}

extern "C" fn end_of_thread(_: *mut c_void) {
    drop(KEPT.with(|kept| kept.try_borrow_mut().map(|mut kept| mem::take(&mut *kept))));
}

impl Drop for Kept {
    fn drop(&mut self) {
        at_hand::forget();
        let Some(thread) = self.thread else { return };
        at_hand::number(None);
        for entry in &self.entries {
            entry.writers.leave(thread);
        }
        THREADS.give_back(thread);
    }
}

impl Entry {
    /// Calls `act` with a writer of the store.
    #[inline]
    pub(crate) fn write<R>(
        &self,
        act: impl FnMut(&mut Writer) -> Result<R, Error>,
    ) -> Result<R, Failure> {
        // The kernel is asked whether others live, and wakes those who wait.
        keep(|| self.writers.with(&self.store, thread(), act))
    }

    /// Calls `act` with a writer of the store whose changes no signal group hears of: those that the original's
    /// functions pulse none for.
    pub(crate) fn write_quietly<R>(
        &self,
        mut act: impl FnMut(&mut Writer) -> Result<R, Error>,
    ) -> Result<R, Failure> {
        self.write(|writer| writer.quietly(&mut act))
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: whoever finds the store open may use what `close` takes back only later.
        self.closed.load(Ordering::Acquire)
    }

    /// Takes back what the store has been given.
    fn end(&self) {
        self.closed.store(true, Ordering::Release);
        self.writers.close();
        self.bus.take().close();
        for bid in self.store.bids().unwrap_or_default() {
            // Those of others are not ours to release, and answer so.
            let _ = self.store.release_bid(bid.id);
        }
    }
}

/// Returns the calling thread's number; threads beyond all numbers share the desks of others.
#[inline]
fn thread() -> usize {
    at_hand::thread().unwrap_or_else(number_thread)
}

#[cold]
fn number_thread() -> usize {
    let number = with_kept(|kept| {
        if kept.thread.is_none() {
            kept.thread = THREADS.take();
        }
        kept.thread
    });
    match number.flatten() {
        Some(number) => {
            at_hand::number(Some(number));
            number
        }
        // None is left.
        None => 0,
    }
}

/// Puts a store on the shelf. Returns its serial number.
pub(crate) fn add(store: Store) -> u64 {
    let serial = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let writers = Writers::new(store.geometry().lanes);
    let entry = Arc::new(Entry {
        serial,
        store,
        writers,
        bus: Fresh::default(),
        names: Fresh::default(),
        closed: AtomicBool::new(false),
    });
    SHELF.change(|shelf| shelf.push(entry));
    serial
}

/// Makes a store the one that functions without a handle mean, and closes the one before it. Tells whether there
/// was one.
pub(crate) fn own(serial: u64) -> bool {
    close(OWN.swap(serial, Ordering::AcqRel))
}

/// Closes the store that functions without a handle mean. Tells whether there was one.
pub(crate) fn close_own() -> bool {
    own(0)
}

/// Closes a store, if there is one of that number.
pub(crate) fn close(serial: u64) -> bool {
    let entry = SHELF.change(|shelf| {
        let place = shelf.iter().position(|entry| entry.serial == serial)?;
        Some(shelf.swap_remove(place))
    });
    let Some(entry) = entry else { return false };
    let _ = OWN.compare_exchange(serial, 0, Ordering::AcqRel, Ordering::Relaxed);
    entry.end();
    with_kept(Kept::let_go);
    true
}

impl Kept {
    /// Lets go of what is closed.
    fn let_go(&mut self) {
        at_hand::forget();
        self.entries.retain(|entry| !entry.is_closed());
        self.entries.shrink_to_fit();
    }
}

/// Returns the number of the store that functions without a handle mean.
#[inline(always)]
pub(crate) fn own_serial() -> u64 {
    // Acquire: the store of this number is on the shelf.
    OWN.load(Ordering::Acquire)
}

/// Calls `act` with a store. `act` calls nothing of the program's, which could close what is at hand.
pub(crate) fn with<R>(
    serial: u64,
    act: impl FnOnce(&Entry) -> Result<R, Failure>,
) -> Result<R, Failure> {
    // SAFETY: `act` calls nothing of the program's.
    match unsafe { held(serial) } {
        Some(entry) => act(entry),
        None => act(&*find(serial)?),
    }
}

/// Returns the store that is at hand, if it is the one of this number and open.
///
/// # Safety
/// It is for one call, which calls nothing of the program's: that could close what is at hand.
#[inline(always)]
pub(crate) unsafe fn held<'call>(serial: u64) -> Option<&'call Entry> {
    let (last, entry) = at_hand::store();
    if last != serial || serial == 0 {
        return None;
    }
    // SAFETY: `Kept` of this thread keeps the entry until the thread forgets what is at hand, and during the call that
    // asks for it here it does not.
    let entry = unsafe { &*entry };
    (!entry.is_closed()).then_some(entry)
}

/// Looks a store up, and has it at hand from then on.
#[cold]
#[inline(never)]
pub(crate) fn find(serial: u64) -> Result<Arc<Entry>, Failure> {
    let found = find_where(|entry| entry.serial == serial);
    // What the thread still keeps of others' closed stores goes now.
    with_kept(|kept| {
        kept.let_go();
        let Some(entry) = &found else { return };
        if !kept.entries.iter().any(|kept| Arc::ptr_eq(kept, entry)) {
            kept.entries.push(Arc::clone(entry));
        }
        at_hand::take(serial, Arc::as_ptr(entry));
    });
    found.filter(|entry| !entry.is_closed()).ok_or(Failure::CALLER)
}

/// Finds the first open store of which something is true.
pub(crate) fn find_where(is_it: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
    SHELF.read(|shelf| shelf.iter().find(|entry| is_it(entry)).cloned())
}
