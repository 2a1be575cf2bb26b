//! Locks that survive a fork. A child has a copy of the parent's memory, but only the thread that forked: a lock that
//! another thread held at that moment would stay locked for ever. So a lock here records which process locked it. No
//! `pthread_atfork` handler is needed, which `_Fork` and a raw `clone` would not call. This module knows nothing of
//! stores.

// Opts in for values behind a lock.
#![allow(unsafe_code)]

use crate::boundary::uncancelled;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

// The number of this process, which no child of a fork shares with its parent.
pub(crate) use splinter::process as generation;

/// Backs off, to let another thread run: yields in early rounds, sleeps in later ones. Yielding alone would not let a
/// thread of lower priority run on the same processor.
pub(crate) fn back_off(round: u32) {
    match round {
        0..64 => std::thread::yield_now(),
        // A sleep is a cancellation point, and a signal that ends it would show in errno.
        _ => uncancelled(|| std::thread::sleep(Duration::from_micros(50))),
    }
}

/// A lock: the number of the process that holds it, or 0 if it is free.
#[derive(Default)]
struct Lock(AtomicU64);

impl Lock {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes the lock, unless another thread of this process holds it. Returns whether the lock was recovered: a thread
    /// of a parent process held it during the fork, and may have been in the middle of a change.
    #[inline]
    fn try_lock(&self) -> Option<bool> {
        let now = generation();
        // Acquire pairs with the release in `unlock`.
        match self.0.compare_exchange(0, now, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(false),
            Err(then) if then != now => self.recover(then, now),
            Err(_) => None,
        }
    }

    /// Takes the lock from a thread of a parent process, unless another thread of this process does so first.
    #[cold]
    fn recover(&self, then: u64, now: u64) -> Option<bool> {
        self.0.compare_exchange(then, now, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| true)
    }

    /// Takes the lock, once no other thread of this process holds it. Returns whether the lock was recovered.
    fn lock(&self) -> bool {
        let mut round = 0;
        loop {
            if let Some(recovered) = self.try_lock() {
                return recovered;
            }
            back_off(round);
            round = round.saturating_add(1);
        }
    }

    #[inline]
    fn unlock(&self) {
        // Release pairs with the acquire in the next `try_lock` or `recover`.
        self.0.store(0, Ordering::Release);
    }
}

/// A copy-on-write value: a change replaces it by one store of its address. So a child finds it as it was before the
/// change or after it, never in between.
pub(crate) struct CopyOnWrite<T> {
    lock: Lock,
    /// NULL until the first change.
    value: AtomicPtr<T>,
}

// SAFETY: a thread uses the value only while it holds the lock.
unsafe impl<T: Send> Sync for CopyOnWrite<T> {}

impl<T: Clone + Default> CopyOnWrite<T> {
    pub(crate) const fn new() -> Self {
        Self { lock: Lock::new(), value: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Calls `act` with the value, under the lock. `act` must be short, and must not take the lock again.
    pub(crate) fn read<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        let _guard = self.guard();
        // SAFETY: the value is replaced only under the lock, which this thread holds.
        match unsafe { self.value.load(Ordering::Acquire).as_ref() } {
            Some(value) => act(value),
            None => act(&T::default()),
        }
    }

    /// Calls `act` with a copy of the value, under the lock, and replaces the value by the copy. `act` must be short,
    /// and must not take the lock again.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let guard = self.guard();
        let old = self.value.load(Ordering::Acquire);
        // SAFETY: as in `read`.
        let mut value = unsafe { old.as_ref() }.cloned().unwrap_or_default();
        let result = act(&mut value);
        self.value.store(Box::into_raw(Box::new(value)), Ordering::Release);
        drop(guard);
        if !old.is_null() {
            // SAFETY: `Box` made the old value, and no thread can reach it any more.
            drop(unsafe { Box::from_raw(old) });
        }
        result
    }

    fn guard(&self) -> impl Drop {
        struct Guard<'l>(&'l Lock);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.unlock();
            }
        }
        self.lock.lock();
        Guard(&self.lock)
    }
}

impl<T> Drop for CopyOnWrite<T> {
    fn drop(&mut self) {
        let value = *self.value.get_mut();
        if !value.is_null() {
            // SAFETY: `Box` made the value, and no thread has the lock or can take it.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

/// A mutex that survives a fork. If another thread held it during the fork, the child finds the default value in it.
pub(crate) struct ForkMutex<T> {
    lock: Lock,
    value: UnsafeCell<T>,
}

// SAFETY: a thread uses the value only while it holds the lock.
unsafe impl<T: Send> Sync for ForkMutex<T> {}

impl<T: Default> Default for ForkMutex<T> {
    fn default() -> Self {
        Self { lock: Lock::default(), value: UnsafeCell::default() }
    }
}

impl<T: Default> ForkMutex<T> {
    /// Locks the mutex, unless another thread holds it.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<ForkMutexGuard<'_, T>> {
        let recovered = self.lock.try_lock()?;
        Some(self.guard(recovered))
    }

    /// Locks the mutex, once no other thread holds it.
    pub(crate) fn lock(&self) -> ForkMutexGuard<'_, T> {
        let recovered = self.lock.lock();
        self.guard(recovered)
    }

    /// Returns the guard. Resets the value first if the lock was `recovered`: a thread of the parent may have left the
    /// value half changed.
    #[inline]
    fn guard(&self, recovered: bool) -> ForkMutexGuard<'_, T> {
        let guard = ForkMutexGuard(self);
        if recovered {
            // SAFETY: this thread holds the lock. The old value is neither read nor dropped.
            unsafe { self.value.get().write(T::default()) };
        }
        guard
    }
}

/// Access to the value of a [`ForkMutex`]; dropping it unlocks the mutex.
pub(crate) struct ForkMutexGuard<'f, T>(&'f ForkMutex<T>);

impl<T> Deref for ForkMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for ForkMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds the lock.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for ForkMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutex_that_was_locked_during_a_fork_is_empty_in_the_child() {
        let mutex = ForkMutex::<Vec<u8>>::default();
        mutex.lock().push(1);
        assert_eq!(*mutex.lock(), [1]);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        // As if a thread of a parent process held the lock during the fork.
        mutex.lock.0.store(generation() + 1, Ordering::Relaxed);
        assert!(mutex.lock().is_empty());
        std::mem::forget(guard);
    }

    #[test]
    fn a_copy_on_write_value_is_whole_in_the_child_of_a_fork() {
        let shared = CopyOnWrite::<Vec<u8>>::new();
        shared.change(|value| value.push(1));
        // As if a thread of a parent process held the lock during the fork.
        shared.lock.0.store(generation() + 1, Ordering::Relaxed);
        assert_eq!(shared.read(Vec::clone), [1]);
        shared.change(|value| value.push(2));
        assert_eq!(shared.read(Vec::clone), [1, 2]);
    }

    /// With yields alone, the thread of the higher priority would spin for most of a second, until the kernel throttles
    /// it.
    #[test]
    fn a_thread_of_a_higher_priority_lets_the_one_that_it_waits_for_run() {
        let mutex = ForkMutex::<u32>::default();
        let processor = current_processor();
        let guard = mutex.lock();
        std::thread::scope(|scope| {
            let urgent = scope.spawn(|| {
                if !pin_to(processor) || !raise_priority() {
                    return None;
                }
                let since = std::time::Instant::now();
                drop(mutex.lock());
                Some(since.elapsed())
            });
            assert!(pin_to(processor));
            // After this, the other thread waits, or it was not allowed to raise its priority.
            std::thread::sleep(Duration::from_millis(20));
            drop(guard);
            if let Some(waited) = urgent.join().unwrap() {
                assert!(waited < Duration::from_millis(500), "{waited:?}");
            }
        });
    }

    fn current_processor() -> usize {
        // SAFETY: the call takes no argument.
        usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
    }

    fn pin_to(processor: usize) -> bool {
        // SAFETY: a set of all zeroes is valid, and empty.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is initialized, and has a bit for each processor of the machines that run this test.
        unsafe { libc::CPU_SET(processor, &mut set) };
        // SAFETY: the set is initialized, and outlives the call.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) == 0 }
    }

    /// Gives the thread a real-time priority. Returns whether the process has the privilege to do so.
    fn raise_priority() -> bool {
        let lowest = libc::sched_param { sched_priority: 1 };
        // SAFETY: the parameter is initialized, and outlives the call.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) == 0 }
    }
}
