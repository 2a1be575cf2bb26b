//! A thread-local cache of the store that the thread used last. Every call looks here first.
//!
//! The compiler finds the thread-local variables of a shared library by calling `__tls_get_addr`, which costs a keyed
//! get a tenth of its time. On x86-64 this module uses a TLS descriptor instead, as C compilers do with
//! `-mtls-dialect=gnu2` ("Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", A. Oliva). That is a call of two
//! instructions that clobbers no register, and no call at all in a program that is linked statically.

// Opts in for the assembly, and for a thread-local variable that is found by its address.
#![allow(unsafe_code)]

use libc::c_void;
use std::cell::Cell;
use std::ptr;

/// The cache of one thread. All words are zero when a thread begins.
#[repr(C)]
pub(crate) struct ThreadCache {
    /// The serial number of the cached store; 0: none.
    serial: Cell<u64>,
    /// The store with that serial number.
    entry: Cell<*const c_void>,
    /// The thread's number plus one; 0: it has none.
    thread: Cell<usize>,
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .tbss.splinter_c_thread_cache,\"awT\",@nobits",
    ".globl splinter_c_thread_cache",
    ".hidden splinter_c_thread_cache",
    ".type splinter_c_thread_cache, @object",
    ".size splinter_c_thread_cache, 24",
    ".balign 8",
    "splinter_c_thread_cache:",
    ".zero 24",
    ".popsection",
);

#[cfg(target_arch = "x86_64")]
const _: () = assert!(size_of::<ThreadCache>() == 24);

/// Calls `act` with the calling thread's cache.
#[inline(always)]
fn with<R>(act: impl FnOnce(&ThreadCache) -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        let cache: *const ThreadCache;
        // SAFETY: the first two instructions have the form that linkers know, and change only the registers listed
        // here. They leave in `rax` the offset of the words from the thread pointer, which is at `fs:0`.
        unsafe {
            std::arch::asm!(
                "lea rax, [rip + splinter_c_thread_cache@TLSDESC]",
                "call qword ptr [rax + splinter_c_thread_cache@TLSCALL]",
                "add rax, qword ptr fs:[0]",
                out("rax") cache,
                // Older C libraries clobber these when they allocate a thread's words (glibc bug 31372).
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            );
        }
        // SAFETY: the words are aligned, belong to this thread, and live as long as it does. They begin as zeroes,
        // which is a valid value.
        act(unsafe { &*cache })
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        thread_local! {
            static CACHE: ThreadCache = const {
                ThreadCache { serial: Cell::new(0), entry: Cell::new(ptr::null()), thread: Cell::new(0) }
            };
        }
        CACHE.with(act)
    }
}

/// Returns the cached store: its serial number, 0 for none, and its address.
#[inline(always)]
pub(crate) fn store() -> (u64, *const c_void) {
    with(|cache| (cache.serial.get(), cache.entry.get()))
}

/// Caches a store.
pub(crate) fn set(serial: u64, entry: *const c_void) {
    with(|cache| {
        cache.entry.set(entry);
        cache.serial.set(serial);
    });
}

/// Empties the cache.
pub(crate) fn clear() {
    set(0, ptr::null());
}

/// Returns the thread's number.
#[inline(always)]
pub(crate) fn thread() -> Option<usize> {
    with(|cache| cache.thread.get()).checked_sub(1)
}

/// Sets the thread's number, or removes it.
pub(crate) fn set_thread(thread: Option<usize>) {
    with(|cache| cache.thread.set(thread.map_or(0, |number| number + 1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own() {
        set_thread(Some(7));
        set(3, ptr::dangling());
        std::thread::spawn(|| {
            assert_eq!((thread(), store()), (None, (0, ptr::null())));
            set_thread(Some(8));
        })
        .join()
        .unwrap();
        assert_eq!((thread(), store()), (Some(7), (3, ptr::dangling())));
        clear();
        set_thread(None);
        assert_eq!((thread(), store()), (None, (0, ptr::null())));
    }
}
