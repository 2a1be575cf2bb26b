//! What forks mean here. A child has a copy of all memory, and of all threads only the one that forked: what another
//! held at that moment is held for ever. So locks here know in which process they were taken, and no handler of
//! `pthread_atfork` is needed, which `_Fork` and a raw `clone` would not call. Knows nothing of stores.

// Opts in for cells that a lock guards.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use splinter::process as generation;

/// Waits a while for another thread, longer in later rounds. It sleeps in the end: the other may have a lower priority
/// on the same processor, where yielding would not let it run.
pub(crate) fn pause(round: u32) {
    match round {
        0..64 => std::thread::yield_now(),
        _ => std::thread::sleep(Duration::from_micros(50)),
    }
}

/// Who holds something: the process's number, or 0.
#[derive(Default)]
struct Lock(AtomicU64);

impl Lock {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes it, unless another thread of this process holds it. Tells whether a thread of a parent process held it, in
    /// the middle of something.
    #[inline]
    fn try_take(&self) -> Option<bool> {
        let now = generation();
        // Acquire pairs with the release when it is given back.
        match self.0.compare_exchange(0, now, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(false),
            Err(then) if then != now => self.inherit(then, now),
            Err(_) => None,
        }
    }

    #[cold]
    fn inherit(&self, then: u64, now: u64) -> Option<bool> {
        self.0.compare_exchange(then, now, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| true)
    }

    /// Takes it, once no other thread holds it.
    fn take(&self) -> bool {
        let mut round = 0;
        loop {
            if let Some(inherited) = self.try_take() {
                return inherited;
            }
            pause(round);
            round = round.saturating_add(1);
        }
    }

    #[inline]
    fn give_back(&self) {
        // Release pairs with the acquire of whoever takes it next.
        self.0.store(0, Ordering::Release);
    }
}

/// Something that changes as a whole, by one store of its address, so that a child finds it as it was before a change or
/// after it.
pub(crate) struct Whole<T> {
    lock: Lock,
    /// None yet: NULL.
    value: AtomicPtr<T>,
}

// SAFETY: whoever uses the value holds the lock.
unsafe impl<T: Send> Sync for Whole<T> {}

impl<T: Clone + Default> Whole<T> {
    pub(crate) const fn new() -> Self {
        Self { lock: Lock::new(), value: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Looks at the value. `act` must be short, and call nothing that uses it.
    pub(crate) fn read<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        let _held = self.hold();
        // SAFETY: it is replaced under the lock only, which this thread holds.
        match unsafe { self.value.load(Ordering::Acquire).as_ref() } {
            Some(value) => act(value),
            None => act(&T::default()),
        }
    }

    /// Changes a copy of the value, and puts it in place of the value. `act` must be short, and call nothing that uses it.
    pub(crate) fn change<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let held = self.hold();
        let old = self.value.load(Ordering::Acquire);
        // SAFETY: as in `read`.
        let mut value = unsafe { old.as_ref() }.cloned().unwrap_or_default();
        let answer = act(&mut value);
        self.value.store(Box::into_raw(Box::new(value)), Ordering::Release);
        drop(held);
        if !old.is_null() {
            // SAFETY: it was made by `Box`, and nobody can reach it any more.
            drop(unsafe { Box::from_raw(old) });
        }
        answer
    }

    fn hold(&self) -> impl Drop {
        struct Held<'l>(&'l Lock);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }
        self.lock.take();
        Held(&self.lock)
    }
}

/// Something that one thread at a time uses, and of which a child begins anew if it was in use during the fork.
pub(crate) struct Fresh<T> {
    lock: Lock,
    value: UnsafeCell<T>,
}

// SAFETY: whoever uses the value has taken it.
unsafe impl<T: Send> Sync for Fresh<T> {}

impl<T: Default> Default for Fresh<T> {
    fn default() -> Self {
        Self { lock: Lock::default(), value: UnsafeCell::default() }
    }
}

impl<T: Default> Fresh<T> {
    /// Takes the value unless another thread has it.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<Taken<'_, T>> {
        let inherited = self.lock.try_take()?;
        Some(self.taken(inherited))
    }

    /// Takes the value, once nobody else has it.
    pub(crate) fn take(&self) -> Taken<'_, T> {
        let inherited = self.lock.take();
        self.taken(inherited)
    }

    /// A thread that was left behind by a fork had it in a state that nobody knows, if it is `inherited`.
    #[inline]
    fn taken(&self, inherited: bool) -> Taken<'_, T> {
        let taken = Taken(self);
        if inherited {
            // SAFETY: this thread holds the lock; what was there is not looked at, dropping it included.
            unsafe { self.value.get().write(T::default()) };
        }
        taken
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
        self.0.lock.give_back();
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
        fresh.lock.0.store(generation() + 1, Ordering::Relaxed);
        assert!(fresh.take().is_empty());
        std::mem::forget(held);
    }

    #[test]
    fn what_changes_as_a_whole_is_whole_in_a_child_whoever_held_it() {
        let whole = Whole::<Vec<u8>>::new();
        whole.change(|value| value.push(1));
        whole.lock.0.store(generation() + 1, Ordering::Relaxed);
        assert_eq!(whole.read(Vec::clone), [1]);
        whole.change(|value| value.push(2));
        assert_eq!(whole.read(Vec::clone), [1, 2]);
    }

    /// Yielding alone would have the thread of the higher priority wait until the kernel throttles it, for most of a second.
    #[test]
    fn a_thread_of_a_higher_priority_lets_the_one_that_it_waits_for_run() {
        let fresh = Fresh::<u32>::default();
        let processor = current_processor();
        let held = fresh.take();
        std::thread::scope(|scope| {
            let urgent = scope.spawn(|| {
                if !stay_on(processor) || !become_urgent() {
                    return None;
                }
                let since = std::time::Instant::now();
                drop(fresh.take());
                Some(since.elapsed())
            });
            assert!(stay_on(processor));
            // By now the other one waits, or cannot be urgent here.
            std::thread::sleep(Duration::from_millis(20));
            drop(held);
            if let Some(waited) = urgent.join().unwrap() {
                assert!(waited < Duration::from_millis(500), "{waited:?}");
            }
        });
    }

    fn current_processor() -> usize {
        // SAFETY: the call takes nothing.
        usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
    }

    fn stay_on(processor: usize) -> bool {
        // SAFETY: all zeroes is an empty set.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is whole, and has room for the processors of the machines that this is tested on.
        unsafe { libc::CPU_SET(processor, &mut set) };
        // SAFETY: the set is whole, and lives through the call.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) == 0 }
    }

    /// Only a privileged process may.
    fn become_urgent() -> bool {
        let first = libc::sched_param { sched_priority: 1 };
        // SAFETY: the parameter is whole, and lives through the call.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) == 0 }
    }
}
