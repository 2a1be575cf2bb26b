//! The event bus: a descriptor that is readable when anything in the store changed, and a mask of the changed slots.
//! Both use watchers of the whole store. A flag of the store says, for all processes, that the bus is armed.
//!
//! A watcher reports all changes since the bus was armed. In the process that armed it, that is the moment when it did.
//! In any other process, it is the mark that arming leaves in the store.

// Opts in for duplicating descriptors.
#![allow(unsafe_code)]

use crate::args::Out;
use crate::descriptors::{Bus, Descriptor, MAX_CHANGES};
use crate::errno::Failure;
use crate::fork::{self, ForkMutexGuard};
use crate::handles::Entry;
use crate::shapes::SPLINTER_EVENT_BUS_MASK_WORDS;
use crate::values::deadline;
use libc::c_int;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The flag of the store that says that the bus is armed.
const ARMED: u32 = 1 << 3;
/// The longest sleep of a wait before it checks again. A check finds a change whose writer died before it notified any
/// watcher, and a descriptor or store that was closed.
const MAX_SLEEP: Duration = Duration::from_millis(200);
/// Locks this process's part of an open store's bus. A child replaces the bus that it inherited by an empty one: it
/// leaks the inherited descriptors and watchers, and never uses them.
fn bus_of(store: &Entry) -> Result<ForkMutexGuard<'_, Bus>, Failure> {
    let mut bus = store.bus.lock();
    // Check under the lock: closing a store sets the flag before it locks the bus. So nothing is opened after a close.
    if store.is_closed() {
        return Err(Failure::CALLER);
    }
    if bus.generation != fork::generation() {
        std::mem::forget(std::mem::take(&mut *bus));
        bus.generation = fork::generation();
    }
    Ok(bus)
}

fn check_armed(store: &Entry) -> Result<(), Failure> {
    if store.store.flags().bits() & ARMED == 0 { Err(Failure::of(libc::ENODEV)) } else { Ok(()) }
}

pub(crate) fn init(store: &Entry) -> Result<c_int, Failure> {
    let mut bus = bus_of(store)?;
    if bus.start.is_none() {
        let start = store.store.watch_all()?;
        bus.dirty.get_or_insert(start.clone());
        bus.start = Some(start);
    }
    store.store.mark_watch()?;
    store.store.flags().set(ARMED)?;
    Ok(0)
}

pub(crate) fn open(store: &Entry) -> Result<c_int, Failure> {
    check_armed(store)?;
    let mut bus = bus_of(store)?;
    let watcher = bus.watcher(&store.store).pollable()?;
    // SAFETY: the descriptor is the watcher's, which lives; the call takes no address.
    let fd = unsafe { libc::fcntl(watcher.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(Failure::of(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)));
    }
    // If the number is in the list already, the program closed it by close(2).
    bus.descriptors.retain(|known| known.fd != fd);
    bus.descriptors.push(Arc::new(Descriptor::new(fd, watcher)));
    Ok(fd)
}

pub(crate) fn wait(store: &Entry, fd: c_int, timeout_ms: u64) -> Result<c_int, Failure> {
    check_armed(store)?;
    let descriptor = bus_of(store)?.descriptors.iter().find(|known| known.fd == fd).cloned();
    let descriptor = descriptor.ok_or(Failure::ARGUMENT)?;
    // This call waits with a watcher of its own: so it sees a change that another thread takes from the descriptor.
    let mut watcher = descriptor.watcher.lock().as_ref().ok_or(Failure::CALLER)?.watcher().clone();
    let end = deadline(timeout_ms);
    loop {
        let next_check = Instant::now() + MAX_SLEEP;
        let until = end.map_or(next_check, |end| end.min(next_check));
        match watcher.wait(Some(until)) {
            Ok(None) => {}
            // Something changed, even if the watcher does not know what.
            Ok(Some(_)) | Err(_) => return descriptor.drain().map(|()| 0),
        }
        if descriptor.closed.load(Ordering::Relaxed) || store.is_closed() {
            return Err(Failure::CALLER);
        }
        if end.is_some_and(|end| end <= until) {
            return Err(Failure::of(libc::ETIMEDOUT));
        }
    }
}

pub(crate) fn close(store: &Entry, fd: c_int) -> Result<(), Failure> {
    let mut bus = bus_of(store)?;
    let index = bus.descriptors.iter().position(|known| known.fd == fd);
    bus.descriptors.swap_remove(index.ok_or(Failure::ARGUMENT)?).close();
    Ok(())
}

pub(crate) fn get_dirty(store: &Entry, mask: Out<'_, u64>, words: usize) -> Result<(), Failure> {
    let mask = mask.required()?;
    let words = words.min(SPLINTER_EVENT_BUS_MASK_WORDS);
    if words == 0 {
        return Err(Failure::ARGUMENT);
    }
    let mut bits = [0_u64; SPLINTER_EVENT_BUS_MASK_WORDS];
    let mut bus = bus_of(store)?;
    if bus.dirty.is_none() {
        if let Err(failure) = check_armed(store) {
            mask.put_all(bits.into_iter().take(words))?;
            return Err(failure);
        }
        bus.dirty = Some(bus.watcher(&store.store));
    }
    let watcher = bus.dirty.as_mut().ok_or(Failure::PANIC)?;
    for _ in 0..MAX_CHANGES {
        match watcher.try_next() {
            Ok(Some(change)) => {
                let bit = change.slot as usize % (words * 64);
                bits[bit / 64] |= 1 << (bit % 64);
            }
            Ok(None) => break,
            // The watcher lost changes: any slot may have changed. The next call reports the changes after these.
            Err(_) => {
                bits = [u64::MAX; SPLINTER_EVENT_BUS_MASK_WORDS];
                break;
            }
        }
    }
    mask.put_all(bits.into_iter().take(words))
}
