//! Numbers processes: no child shares its number with its parent, however it was forked. A `pthread_atfork` handler
//! would miss `_Fork` and a raw `clone`. A page that the kernel zeroes in every child (`MADV_WIPEONFORK`) misses none.

// Opts in to unsafe code for mapping that page.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::{io, ptr};

use super::sys;

/// The wiped page, once it is mapped. Its first word is this process's number.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
/// Stands for the page, and stays zero, where the kernel cannot wipe pages or has no memory for one. The process id is
/// the number then, at the cost of a system call each time.
static NO_PAGE: AtomicU64 = AtomicU64::new(0);
/// The next number to draw. A child has a copy, so it draws a number that differs from all that it inherited.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Linux 4.14, `asm-generic/mman-common.h`.
const MADV_WIPEONFORK: libc::c_int = 18;

/// Returns this process's number, which is never 0. If a stored number differs from it, this process is a child.
#[inline]
pub(crate) fn process() -> u64 {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: the page is never unmapped.
        let number = unsafe { &*page }.load(Ordering::Relaxed);
        if number != 0 {
            return number;
        }
    }
    draw_number()
}

/// Draws this process's number, on the first call in the process.
#[cold]
fn draw_number() -> u64 {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let mapped = wiped_page().unwrap_or(&raw const NO_PAGE as *mut AtomicU64);
        let first = PAGE.compare_exchange(page, mapped, Ordering::AcqRel, Ordering::Acquire);
        page = first.map_or_else(|winner| winner, |_| mapped);
        if page != mapped && !std::ptr::eq(mapped, &NO_PAGE) {
            // SAFETY: no other thread has seen this page.
            unsafe { libc::munmap(mapped.cast(), sys::page_bytes()) };
        }
    }
    if std::ptr::eq(page, &NO_PAGE) {
        return u64::from(std::process::id());
    }
    // SAFETY: the page is never unmapped.
    let number = unsafe { &*page };
    let drawn = NEXT.fetch_add(1, Ordering::Relaxed);
    match number.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => drawn,
        Err(other) => other,
    }
}

/// Maps a page of zeroes. The kernel zeroes it again in every child.
///
/// # Errors
/// The kernel's error, when it has no memory or is older than Linux 4.14.
pub(super) fn wiped_page<T>() -> io::Result<*mut T> {
    let (len, flags) = (sys::page_bytes(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: without MAP_FIXED the kernel picks a free range.
    let page = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page was mapped just now, and the advice changes no byte of it.
    let wiped = sys::check(unsafe { libc::madvise(page, len, MADV_WIPEONFORK) });
    if let Err(error) = wiped {
        // SAFETY: no other code has the page's address.
        unsafe { libc::munmap(page, len) };
        return Err(error);
    }
    Ok(page.cast())
}

/// A value that is set once, without a lock, since a child could find a lock held. Children inherit the value.
#[derive(Debug)]
pub(crate) struct SetOnce<T>(AtomicPtr<T>);

// SAFETY: threads share the value once it is set, and only `drop` frees it.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // SAFETY: a value that was put here stays until `self` is dropped.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Sets the value, unless there is one.
    pub(crate) fn set(&self, value: T) {
        let made = Box::into_raw(Box::new(value));
        let none = ptr::null_mut();
        if self.0.compare_exchange(none, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: no other thread has seen it.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}

impl<T> Drop for SetOnce<T> {
    fn drop(&mut self) {
        let value = *self.0.get_mut();
        if !value.is_null() {
            // SAFETY: it came from a box, and no reference to it is left.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

/// A value of which each process has its own. A child begins with a new one, even if another thread of its parent held
/// the old one's lock during the fork.
pub(crate) struct PerProcess<T>(AtomicPtr<Owned<T>>);

struct Owned<T> {
    process: u64,
    value: T,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl<T: Default> PerProcess<T> {
    /// Borrows this process's value.
    pub(crate) fn get(&self) -> &T {
        let process = process();
        loop {
            let found = self.0.load(Ordering::Acquire);
            // SAFETY: a value that was put here stays until `self` is dropped. Only a child replaces one, its
            // parent's, and never frees it.
            if let Some(owned) = unsafe { found.as_ref() }
                && owned.process == process
            {
                return &owned.value;
            }
            let made = Box::into_raw(Box::new(Owned { process, value: T::default() }));
            let put = self.0.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire);
            if put.is_ok() {
                keep_reachable(found.cast());
            } else {
                // SAFETY: no other thread has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let found = *self.0.get_mut();
        // SAFETY: as in `get`.
        if unsafe { found.as_ref() }.is_some_and(|owned| owned.process == process()) {
            // SAFETY: `Box` made it in this process, and no other thread can reach it any more.
            drop(unsafe { Box::from_raw(found) });
        } else {
            keep_reachable(found.cast());
        }
    }
}

/// Keeps a pointer to a value that a child inherited and neither uses nor frees, so that no leak checker reports it.
fn keep_reachable(inherited: *mut c_void) {
    struct Node {
        _inherited: *mut c_void,
        next: *mut Node,
    }
    static LIST: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());
    if inherited.is_null() {
        return;
    }
    let node = Box::leak(Box::new(Node { _inherited: inherited, next: ptr::null_mut() }));
    while let Err(now) = LIST.compare_exchange(node.next, node, Ordering::Release, Ordering::Relaxed) {
        node.next = now;
    }
}

impl<T> std::fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerProcess").finish_non_exhaustive()
    }
}

// SAFETY: it is a pointer to a value, and is shared and moved as the value itself would be.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for PerProcess<T> {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::kernel::testing::{Forked, raw_clone};

    #[test]
    fn of_values_that_are_set_at_the_same_time_one_stays() {
        let once = SetOnce::new();
        assert_eq!(once.get(), None);
        std::thread::scope(|scope| {
            for value in 0..4 {
                let once = &once;
                scope.spawn(move || once.set(vec![value; 100]));
            }
        });
        let stays = once.get().unwrap().clone();
        once.set(vec![9]);
        assert_eq!(once.get(), Some(&stays));
    }

    #[test]
    fn a_child_has_another_number_and_a_parent_keeps_its_own() {
        let before = process();
        assert_ne!(before, 0);
        let child = Forked::new(|| i32::from(process() == before || process() != process()));
        assert!(child.wait().success());
        assert_eq!(process(), before);
        assert_eq!(std::thread::spawn(process).join().unwrap(), before);
    }

    #[test]
    fn a_child_that_the_c_library_knows_nothing_of_has_another_number_too() {
        let before = process();
        assert_eq!(raw_clone(|| i32::from(process() == before)), 0);
    }

    #[test]
    fn a_lock_that_was_held_during_a_fork_is_free_in_the_child() {
        static LOCK: PerProcess<Mutex<u32>> = PerProcess::new();
        let mut held = LOCK.get().lock().unwrap();
        *held = 7;
        let child = Forked::new(|| LOCK.get().lock().map_or(1, |value| i32::from(*value != 0)));
        assert!(child.wait().success());
        assert_eq!(*held, 7);
    }
}
