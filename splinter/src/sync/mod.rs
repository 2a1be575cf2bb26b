//! The only source of atomics, so that the models can replace them all: `std`'s in a build, loom's under `--cfg loom`.
//! Nothing here knows the meaning of the words.
//!
//! `--cfg splinter_sanitize` chooses code that sanitizers can follow: no assembly here or in `arena`, as on every
//! machine but x86-64, and ordering loads instead of fences. `--cfg splinter_drd` beside it reports every access to
//! Valgrind's DRD.

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{Ordering, fence},
};

pub(crate) use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

#[cfg(splinter_drd)]
mod drd;
#[cfg(splinter_drd)]
pub(crate) use self::drd::Word;

/// A 64-bit word of the arena.
#[cfg(not(any(loom, splinter_drd)))]
pub(crate) type Word = std::sync::atomic::AtomicU64;

/// A byte of the arena. It orders nothing: hints alone are bytes.
#[cfg(not(loom))]
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Byte(std::sync::atomic::AtomicU8);

#[cfg(not(loom))]
impl Byte {
    #[inline(always)]
    pub(crate) fn load(&self) -> u8 {
        self.access(|byte| byte.load(Relaxed))
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: u8) {
        self.access(|byte| byte.store(value, Relaxed));
    }

    /// Accesses the byte, without DRD's notice: to it, any two accesses would be a race.
    #[inline(always)]
    fn access<T>(&self, access: impl FnOnce(&std::sync::atomic::AtomicU8) -> T) -> T {
        #[cfg(splinter_drd)]
        let _ignored = drd::ignore();
        access(&self.0)
    }
}

/// The models' byte.
#[cfg(loom)]
#[derive(Debug, Default)]
pub(crate) struct Byte(Word);

#[cfg(loom)]
impl Byte {
    pub(crate) fn load(&self) -> u8 {
        self.0.load(Relaxed) as u8
    }

    pub(crate) fn store(&self, value: u8) {
        self.0.store(value.into(), Relaxed);
    }
}

/// The models' word: loom's, except that a thread run by [`crash`] dies at one of its stores.
///
/// Loom remembers only the last access to a word. If one thread loads it, and another loads it and then stores to it,
/// loom does not always try the order in which the store comes first. With `SPLINTER_MODELS_THOROUGH` set, every access
/// is accompanied by one that changes nothing but depends on all others of the word. Then no order is missed, and
/// models take some twenty times as long.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct Word(loom::sync::atomic::AtomicU64, Option<loom::sync::atomic::AtomicU64>);

#[cfg(loom)]
impl Default for Word {
    fn default() -> Self {
        Self::new(0)
    }
}

#[cfg(loom)]
impl Word {
    pub(crate) fn new(value: u64) -> Self {
        static THOROUGH: std::sync::LazyLock<bool> =
            std::sync::LazyLock::new(|| std::env::var_os("SPLINTER_MODELS_THOROUGH").is_some());
        let word = loom::sync::atomic::AtomicU64::new;
        Self(word(value), THOROUGH.then(|| word(0)))
    }

    /// Borrows the word for the access that follows.
    fn next(&self) -> &loom::sync::atomic::AtomicU64 {
        if let Some(order) = &self.1 {
            // It fails, so that it synchronises with nothing.
            let _ = order.compare_exchange(1, 2, Relaxed, Relaxed);
        }
        &self.0
    }

    /// Reads the word after all threads that wrote it have ended. Loom explores nothing here.
    #[allow(unsafe_code, reason = "loom itself checks that nobody writes meanwhile")]
    pub(crate) fn at_rest(&self) -> u64 {
        // SAFETY: it is loom's word, which is read in the process that made it.
        unsafe { self.0.unsync_load() }
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        if crash::is_dead() {
            return 0;
        }
        self.next().load(order)
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        if crash::may_store() {
            self.next().store(value, order);
        }
    }

    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        if crash::may_store() { self.next().fetch_max(value, order) } else { 0 }
    }

    pub(crate) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        if crash::may_store() { self.next().fetch_or(bits, order) } else { 0 }
    }

    pub(crate) fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        if crash::may_store() { self.next().fetch_and(bits, order) } else { 0 }
    }

    pub(crate) fn fetch_add(&self, by: u64, order: Ordering) -> u64 {
        if crash::may_store() { self.next().fetch_add(by, order) } else { 0 }
    }

    pub(crate) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if crash::may_store() { self.next().compare_exchange(old, new, success, failure) } else { Err(!old) }
    }
}

/// Simulated crashes in a model: a thread may make a given number of stores, and dies before the next one. What it does
/// while it unwinds, above all dropping its claims, no longer reaches the arena. So the words are left as by a process
/// that is killed at that instruction.
#[cfg(loom)]
pub(crate) mod crash {
    use loom::thread::{ThreadId, current};
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    /// The panic payload of a dying thread.
    struct Death;

    thread_local! {
        /// The threads that are to die, of the model that runs on this thread of the process, with the stores that they
        /// have left; none once dead.
        static MORTALS: RefCell<Vec<(ThreadId, Option<u32>)>> = const { RefCell::new(Vec::new()) };
    }

    /// Runs `life`, which dies before its store number `stores`, counted from 0. Returns its result if it ended by
    /// itself.
    pub(crate) fn run<R>(stores: u32, life: impl FnOnce() -> R) -> Option<R> {
        let me = current().id();
        MORTALS.with_borrow_mut(|mortals| mortals.push((me, Some(stores))));
        let end = catch_unwind(AssertUnwindSafe(life));
        MORTALS.with_borrow_mut(|mortals| mortals.retain(|(id, _)| *id != me));
        match end {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Death>() => None,
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Calls `with` on the stores that this thread has left, if it is one that may die.
    fn mine<R>(with: impl FnOnce(&mut Option<u32>) -> R) -> Option<R> {
        MORTALS.with_borrow_mut(|mortals| {
            if mortals.is_empty() {
                return None;
            }
            let me = current().id();
            let left = mortals.iter_mut().find(|(id, _)| *id == me);
            left.map(|(_, left)| with(left))
        })
    }

    /// Whether this thread has died and is unwinding.
    pub(super) fn is_dead() -> bool {
        mine(|left| left.is_none()).unwrap_or(false)
    }

    /// Counts a store. Does not return if the thread dies at this store; returns false once it is dead.
    pub(crate) fn may_store() -> bool {
        let dies = mine(|left| {
            let dies = *left == Some(0);
            *left = left.and_then(|left| left.checked_sub(1));
            (dies, left.is_some())
        });
        match dies {
            None => true,
            Some((true, _)) => resume_unwind(Box::new(Death)),
            Some((false, alive)) => alive,
        }
    }
}

/// The ordering of a load that an acquire fence follows before its value is used. Sanitizers do not follow fences: for
/// them the load itself acquires.
pub(crate) const FENCED: Ordering = if cfg!(splinter_sanitize) { Acquire } else { Relaxed };

/// Loads a word with acquire ordering, by a relaxed load and a fence. An acquire load would not do: the mapping may be
/// read-only, where Rust defines only relaxed loads (`std::sync::atomic`, "Atomic accesses to read-only memory"). On
/// x86-64 both are one `mov`.
#[inline(always)]
pub(crate) fn load_acquire(word: &Word) -> u64 {
    let value = word.load(FENCED);
    fence(Acquire);
    value
}

/// Orders an exchange, or any other read-modify-write, before the loads that follow: for a thread that sets one word
/// and then looks at another. On x86-64 the instruction itself has done so.
#[inline(always)]
pub(crate) fn fence_after_exchange() {
    if cfg!(all(target_arch = "x86_64", not(loom))) {
        fence(Release);
        // Sequentially consistent, as elsewhere: the processor does its part at the exchange, so this binds the
        // compiler.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// Two adjacent words, which one 16-byte exchange can change together.
#[cfg(not(loom))]
#[derive(Default)]
#[repr(C, align(16))]
pub(crate) struct Pair {
    first: Word,
    second: Word,
}

#[cfg(not(loom))]
impl Pair {
    /// Whether [`Self::exchange`] is one step.
    pub(crate) const IS_EXCHANGED_AT_ONCE: bool = cfg!(all(target_arch = "x86_64", not(splinter_sanitize)));

    /// Loads the first word as [`load_acquire`] does.
    #[inline(always)]
    pub(crate) fn first_acquire(&self) -> u64 {
        load_acquire(&self.first)
    }

    /// Loads the first word without ordering.
    #[inline(always)]
    pub(crate) fn first_relaxed(&self) -> u64 {
        self.first.load(Relaxed)
    }

    /// Borrows the first word, to sleep on or to wake its sleepers.
    pub(crate) fn first_word(&self) -> &Word {
        &self.first
    }

    /// Changes the first word from `old` to `new`, or does nothing and returns false.
    #[inline(always)]
    pub(crate) fn exchange_first(&self, old: u64, new: u64) -> bool {
        self.first.compare_exchange(old, new, AcqRel, Relaxed).is_ok()
    }

    /// Stores the first word with release ordering. Only the pair's owner may call this.
    #[inline(always)]
    pub(crate) fn store_first(&self, value: u64) {
        self.first.store(value, Release);
    }

    /// Loads the second word without ordering. A caller that uses it looks at the first word again, behind a fence.
    #[inline(always)]
    pub(crate) fn second(&self) -> u64 {
        self.second.load(FENCED)
    }

    /// Returns the address of the second word.
    #[inline(always)]
    pub(crate) fn second_address(&self) -> *const u8 {
        (&raw const self.second).cast()
    }

    /// Stores the second word without ordering. Only the pair's owner may call this.
    #[inline(always)]
    pub(crate) fn store_second(&self, value: u64) {
        self.second.store(value, Relaxed);
    }

    /// Changes both words in one step from `old` to `new` (a double-width compare-and-swap), or does nothing and
    /// returns false.
    ///
    /// A machine without a 16-byte exchange does it in three steps. The first word reads `owned` meanwhile, which names
    /// the caller as the owner, so that a crash between the steps is found.
    #[inline(always)]
    #[cfg_attr(all(target_arch = "x86_64", not(splinter_sanitize)), allow(unsafe_code, unused_variables))]
    pub(crate) fn exchange(&self, old: (u64, u64), new: (u64, u64), owned: u64) -> bool {
        #[cfg(all(target_arch = "x86_64", not(splinter_sanitize)))]
        {
            let swapped: u8;
            // SAFETY: `self` is 16 bytes, 16-byte aligned and shared memory that is only ever
            // accessed atomically; `lock cmpxchg16b` (in every x86-64 processor since 2006) acts on
            // those bytes alone. `rbx`, which the compiler keeps for itself, is restored.
            unsafe {
                std::arch::asm!(
                    "xchg rsi, rbx",
                    "lock cmpxchg16b [rdi]",
                    "sete r8b",
                    "mov rbx, rsi",
                    in("rdi") self,
                    inout("rsi") new.0 => _,
                    out("r8b") swapped,
                    in("rcx") new.1,
                    inout("rax") old.0 => _,
                    inout("rdx") old.1 => _,
                    options(nostack)
                );
            }
            swapped != 0
        }
        #[cfg(not(all(target_arch = "x86_64", not(splinter_sanitize))))]
        {
            if !self.exchange_first(old.0, owned) {
                return false;
            }
            // Only an owner stores the second word, and the first has not changed since `old` was read. So the second
            // word is still `old.1`.
            fence(Release);
            // Sanitizers do not follow fences: for them the store itself releases.
            self.second.store(new.1, if cfg!(splinter_sanitize) { Release } else { Relaxed });
            self.store_first(new.0);
            true
        }
    }
}

/// The models' pair: both words, cut to 32 bits, in one loom atomic. That makes the exchange of both exactly as atomic
/// as the instruction is. An owner that stores one half writes back the other half as it read it; nobody else may
/// change that meanwhile.
#[cfg(loom)]
pub(crate) struct Pair(Word);

#[cfg(loom)]
impl Pair {
    pub(crate) const IS_EXCHANGED_AT_ONCE: bool = true;

    pub(crate) fn new(first: u64, second: u64) -> Self {
        Self(Word::new(Self::pack(first, second)))
    }

    fn pack(first: u64, second: u64) -> u64 {
        assert!(first < 1 << 32 && second < 1 << 32, "a model's words fit in 32 bits");
        first << 32 | second
    }

    pub(crate) fn at_rest(&self) -> u64 {
        self.0.at_rest()
    }

    pub(crate) fn first_acquire(&self) -> u64 {
        load_acquire(&self.0) >> 32
    }

    pub(crate) fn first_relaxed(&self) -> u64 {
        self.0.load(Relaxed) >> 32
    }

    /// Fails only if the first word differs. Tries again if the second word changed meanwhile.
    pub(crate) fn exchange_first(&self, old: u64, new: u64) -> bool {
        let mut second = self.second();
        loop {
            let (seen, wanted) = (Self::pack(old, second), Self::pack(new, second));
            match self.0.compare_exchange(seen, wanted, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) if now >> 32 != old => return false,
                Err(now) => second = now & u64::from(u32::MAX),
            }
        }
    }

    pub(crate) fn store_first(&self, value: u64) {
        self.0.store(Self::pack(value, self.second()), Release);
    }

    pub(crate) fn second(&self) -> u64 {
        self.0.load(Relaxed) & u64::from(u32::MAX)
    }

    pub(crate) fn store_second(&self, value: u64) {
        self.0.store(Self::pack(self.first_relaxed(), value), Relaxed);
    }

    pub(crate) fn exchange(&self, old: (u64, u64), new: (u64, u64), _owned: u64) -> bool {
        let (old, new) = (Self::pack(old.0, old.1), Self::pack(new.0, new.1));
        self.0.compare_exchange(old, new, AcqRel, Relaxed).is_ok()
    }
}
