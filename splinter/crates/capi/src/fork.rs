//! What forks mean here. A child has a copy of all memory, and of all threads only the one that forked: what another
//! held at that moment is held for ever. Locks here know in which process they were taken. Knows nothing of stores.

// Opts in for `pthread_atfork`, and for cells that a lock guards.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The number of this process among its forks, from 1 on.
static GENERATION: AtomicU32 = AtomicU32::new(1);
/// Held while something changes that every child has to find whole.
static HELD: AtomicBool = AtomicBool::new(false);

/// Returns a number that differs between a process and its forked children. They differ once [`watch`] was called.
///
/// Relaxed suffices: it changes in a child, before any of its code runs.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Has forks be noticed from now on. Without memory for that they are not, and then nothing else works either.
pub(crate) fn watch() {
    static WATCHED: OnceLock<()> = OnceLock::new();
    WATCHED.get_or_init(|| {
        // SAFETY: the three functions take nothing, do not unwind, and are there for as long as this library is, which
        // takes them back when it is unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    });
}

extern "C" fn before_fork() {
    hold();
}

extern "C" fn in_parent() {
    let_go();
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    let_go();
}

fn hold() {
    // Acquire pairs with the release in `let_go`.
    while HELD.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
}

fn let_go() {
    HELD.store(false, Ordering::Release);
}

/// Something that one thread at a time uses, for a moment, and that no fork comes between: every child finds it whole.
pub(crate) struct Whole<T>(UnsafeCell<T>);

// SAFETY: whoever uses the value holds `HELD`.
unsafe impl<T: Send> Sync for Whole<T> {}

impl<T> Whole<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Uses the value. `act` must be short, call nothing that uses another, and drop nothing of consequence.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        struct Held;
        impl Drop for Held {
            fn drop(&mut self) {
                let_go();
            }
        }
        hold();
        let _held = Held;
        // SAFETY: whoever holds `HELD` is alone, and `act` uses no other of these.
        act(unsafe { &mut *self.0.get() })
    }
}

/// Something that one thread at a time uses, and of which a child begins anew if it was in use during the fork.
pub(crate) struct Fresh<T> {
    /// 0: free; otherwise the generation in which it was taken.
    taken: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: whoever uses the value has taken it.
unsafe impl<T: Send> Sync for Fresh<T> {}

impl<T: Default> Default for Fresh<T> {
    fn default() -> Self {
        Self { taken: AtomicU32::new(0), value: UnsafeCell::default() }
    }
}

impl<T: Default> Fresh<T> {
    /// Takes the value unless another thread has it.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<Taken<'_, T>> {
        let now = generation();
        // Acquire pairs with the release when it is given back.
        match self.taken.compare_exchange(0, now, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(Taken(self)),
            Err(then) if then != now => self.take_over(then, now),
            Err(_) => None,
        }
    }

    /// Takes the value, once nobody else has it.
    pub(crate) fn take(&self) -> Taken<'_, T> {
        loop {
            if let Some(taken) = self.try_take() {
                return taken;
            }
            std::thread::yield_now();
        }
    }

    /// Takes the value from a thread that was left behind by a fork, which had it in a state that nobody knows.
    #[cold]
    fn take_over(&self, then: u32, now: u32) -> Option<Taken<'_, T>> {
        self.taken.compare_exchange(then, now, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let taken = Taken(self);
        // SAFETY: the exchange made it this thread's; what was there is not looked at, dropping it included.
        unsafe { self.value.get().write(T::default()) };
        Some(taken)
    }
}

/// What was taken, until it is given back.
pub(crate) struct Taken<'f, T>(&'f Fresh<T>);

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread has taken it.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread has taken it.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Taken<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Release pairs with the acquire of whoever takes it next.
        self.0.taken.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_use_during_a_fork_begins_anew_in_the_child() {
        let fresh = Fresh::<Vec<u8>>::default();
        fresh.take().push(1);
        assert_eq!(*fresh.take(), [1]);
        let held = fresh.take();
        assert!(fresh.try_take().is_none());
        // What a child finds that another thread's fork made.
        fresh.taken.store(generation() + 1, Ordering::Relaxed);
        assert!(fresh.take().is_empty());
        std::mem::forget(held);
    }
}
