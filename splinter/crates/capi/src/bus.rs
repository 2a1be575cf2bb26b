//! The event bus: a descriptor that is readable when anything in the store changed, and a mask of the slots that did.
//! Underneath are watchers of the whole store; that the bus is armed is a flag of the store, for all processes. They hear
//! of all since then: by the mark that arming leaves in the store, or since this process armed the bus itself.

// Opts in for duplicating, closing and polling descriptors.
#![allow(unsafe_code)]

use crate::args::Out;
use crate::errno::Failure;
use crate::fork::{self, Fresh, Taken};
use crate::shapes::SPLINTER_EVENT_BUS_MASK_WORDS;
use crate::shelf::Entry;
use crate::values::deadline;
use libc::c_int;
use splinter::{PollableWatcher, WatchError, Watcher};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The flag that says that the bus is armed.
const ARMED: u32 = 1 << 3;
/// How long a wait sleeps at most before it looks again: a change whose writer died before it told anybody is found
/// so, and so is the end of the descriptor.
const SLICE: Duration = Duration::from_millis(200);
/// How many changes are taken at one go. Who leaves some is called again.
const BATCH: usize = 1 << 16;

/// What a process has of a store's bus.
#[derive(Default)]
pub(crate) struct Bus {
    /// In which process all this was made; others' descriptors and watchers are of no use.
    generation: u64,
    /// Where this process armed the bus: a watcher that takes nothing.
    start: Option<Watcher>,
    /// Hears for [`get_dirty`].
    dirty: Option<Watcher>,
    ears: Vec<Arc<Ear>>,
}

/// An open descriptor.
struct Ear {
    /// The program's: a duplicate of the watcher's own.
    fd: RawFd,
    /// Of what `fd` was when it was opened.
    identity: Option<Identity>,
    watcher: Fresh<Option<PollableWatcher>>,
    closed: AtomicBool,
}

impl Bus {
    /// Closes all that is open.
    pub(crate) fn close(&mut self) {
        if self.generation == fork::generation() {
            (self.start, self.dirty) = (None, None);
            self.ears.drain(..).for_each(|ear| ear.close());
        }
    }

    /// Returns a watcher that hears of all since the bus was armed.
    fn listener(&self, store: &Entry) -> Watcher {
        self.start.clone().unwrap_or_else(|| store.store.watch_all_from_mark())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a number leads to: a device and a file there. All descriptors of the kernel's own making have the same.
type Identity = (libc::dev_t, libc::ino_t);

fn identity(fd: RawFd) -> Option<Identity> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for one record, which outlives the call.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call filled the record.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

impl Ear {
    /// Closes the descriptor, unless the program did so behind the library's back: then the number may be another's.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if identity(self.fd) == self.identity {
            // SAFETY: the number is a duplicate that the program was given, and that it gives back with this.
            unsafe { libc::close(self.fd) };
        }
    }

    /// Takes what there is to hear, so that the descriptor is unreadable until something changes.
    fn drain(&self) -> Result<(), Failure> {
        let mut watcher = self.watcher.take();
        // Closed meanwhile: then there is nothing to take it from.
        let Some(watcher) = watcher.as_mut() else { return Ok(()) };
        for _ in 0..BATCH {
            match watcher.try_next() {
                Ok(Some(_)) | Err(WatchError::Lagged(_)) => {}
                Ok(None) => break,
                Err(_) => return Err(Failure::of(libc::EOPNOTSUPP)),
            }
        }
        Ok(())
    }
}

/// Borrows what this process has of an open store's bus. What a child inherited is left as it is, and never used.
fn bus_of(store: &Entry) -> Result<Taken<'_, Bus>, Failure> {
    let mut bus = store.bus.take();
    // Only now: who closes a store says so before it takes the bus, so that nothing is opened after it.
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
    if store.store.flags() & ARMED == 0 { Err(Failure::of(libc::ENODEV)) } else { Ok(()) }
}

pub(crate) fn init(store: &Entry) -> Result<c_int, Failure> {
    let mut bus = bus_of(store)?;
    if bus.start.is_none() {
        let start = store.store.watch_all()?;
        bus.dirty.get_or_insert(start.clone());
        bus.start = Some(start);
    }
    store.store.mark_watch()?;
    store.store.set_flags(ARMED)?;
    Ok(0)
}

pub(crate) fn open(store: &Entry) -> Result<c_int, Failure> {
    check_armed(store)?;
    let mut bus = bus_of(store)?;
    let watcher = bus.listener(store).pollable()?;
    // SAFETY: the descriptor is the watcher's, which lives; the call takes no address.
    let fd = unsafe { libc::fcntl(watcher.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(Failure::of(
            std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO),
        ));
    }
    let ear = Ear {
        fd,
        identity: identity(fd),
        watcher: Fresh::default(),
        closed: AtomicBool::new(false),
    };
    *ear.watcher.take() = Some(watcher);
    // A number that is here already was closed by the program without a word.
    bus.ears.retain(|ear| ear.fd != fd);
    bus.ears.push(Arc::new(ear));
    Ok(fd)
}

pub(crate) fn wait(store: &Entry, fd: c_int, timeout_ms: u64) -> Result<c_int, Failure> {
    check_armed(store)?;
    let ear = bus_of(store)?.ears.iter().find(|ear| ear.fd == fd).cloned();
    let ear = ear.ok_or(Failure::ARGUMENT)?;
    // A watcher of this call's own: whatever another thread takes from the descriptor meanwhile, both hear of it.
    let mut watcher = ear.watcher.take().as_ref().ok_or(Failure::CALLER)?.watcher().clone();
    let end = deadline(timeout_ms);
    loop {
        let slice = Instant::now() + SLICE;
        let until = end.map_or(slice, |end| end.min(slice));
        match watcher.wait(Some(until)) {
            Ok(None) => {}
            // Something changed, whether or not it is known what.
            Ok(Some(_)) | Err(_) => return ear.drain().map(|()| 0),
        }
        if ear.closed.load(Ordering::Relaxed) || store.is_closed() {
            return Err(Failure::CALLER);
        }
        if end.is_some_and(|end| end <= until) {
            return Err(Failure::of(libc::ETIMEDOUT));
        }
    }
}

pub(crate) fn close(store: &Entry, fd: c_int) -> Result<(), Failure> {
    let mut bus = bus_of(store)?;
    let place = bus.ears.iter().position(|ear| ear.fd == fd).ok_or(Failure::ARGUMENT)?;
    bus.ears.swap_remove(place).close();
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
        bus.dirty = Some(bus.listener(store));
    }
    let watcher = bus.dirty.as_mut().ok_or(Failure::PANIC)?;
    for _ in 0..BATCH {
        match watcher.try_next() {
            Ok(Some(change)) => {
                let bit = change.slot as usize % (words * 64);
                bits[bit / 64] |= 1 << (bit % 64);
            }
            Ok(None) => break,
            // Nobody knows which: any may have changed. What is behind that is told the next time.
            Err(_) => {
                bits = [u64::MAX; SPLINTER_EVENT_BUS_MASK_WORDS];
                break;
            }
        }
    }
    mask.put_all(bits.into_iter().take(words))
}
