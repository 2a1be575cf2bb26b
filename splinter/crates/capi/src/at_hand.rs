//! The store that a thread used last: three words for each thread, which every call looks at first.
//!
//! The compiler finds the thread-local variables of a shared library by calling `__tls_get_addr`, which costs a keyed get
//! a tenth of its time. On x86-64 these words are found by a TLS descriptor instead, as C compilers find theirs with
//! `-mtls-dialect=gnu2` ("Thread-Local Storage Descriptors for IA32 and AMD64/EM64T", A. Oliva): a call that spoils no
//! register and is two instructions long, and none at all in a program that is linked statically.

// Opts in for that: assembly, and a thread's own variable, known by its address.
#![allow(unsafe_code)]

use crate::shelf::Entry;
use std::cell::Cell;
use std::ptr;

/// All zero at a thread's beginning.
#[repr(C)]
pub(crate) struct AtHand {
    serial: Cell<u64>,
    /// Of the store of that number.
    entry: Cell<*const Entry>,
    /// One more than the thread's number; 0: it has none.
    thread: Cell<usize>,
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .tbss.splinter_c_at_hand,\"awT\",@nobits",
    ".globl splinter_c_at_hand",
    ".hidden splinter_c_at_hand",
    ".type splinter_c_at_hand, @object",
    ".size splinter_c_at_hand, 24",
    ".balign 8",
    "splinter_c_at_hand:",
    ".zero 24",
    ".popsection",
);

#[cfg(target_arch = "x86_64")]
const _: () = assert!(size_of::<AtHand>() == 24);

/// Uses the calling thread's.
#[inline(always)]
fn with<R>(act: impl FnOnce(&AtHand) -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        let at_hand: *const AtHand;
        // SAFETY: the first two instructions are in the form that linkers know; they change nothing but what is said
        // here, and leave in `rax` how far the words are from the thread's pointer, which is at `fs:0`.
        unsafe {
            std::arch::asm!(
                "lea rax, [rip + splinter_c_at_hand@TLSDESC]",
                "call qword ptr [rax + splinter_c_at_hand@TLSCALL]",
                "add rax, qword ptr fs:[0]",
                out("rax") at_hand,
                // Older C libraries spoil these where they make room for the words of a thread (glibc bug 31372).
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            );
        }
        // SAFETY: the words are the thread's own, aligned, made of zeroes, which is a value of theirs, and there for as
        // long as the thread is.
        act(unsafe { &*at_hand })
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        thread_local! {
            static AT_HAND: AtHand = const {
                AtHand { serial: Cell::new(0), entry: Cell::new(ptr::null()), thread: Cell::new(0) }
            };
        }
        AT_HAND.with(act)
    }
}

/// Returns the store that is at hand: its serial number, 0 for none, and its address.
#[inline(always)]
pub(crate) fn store() -> (u64, *const Entry) {
    with(|at_hand| (at_hand.serial.get(), at_hand.entry.get()))
}

/// Has a store at hand.
pub(crate) fn take(serial: u64, entry: *const Entry) {
    with(|at_hand| {
        at_hand.entry.set(entry);
        at_hand.serial.set(serial);
    });
}

/// Has no store at hand.
pub(crate) fn forget() {
    take(0, ptr::null());
}

/// Returns the thread's number.
#[inline(always)]
pub(crate) fn thread() -> Option<usize> {
    with(|at_hand| at_hand.thread.get()).checked_sub(1)
}

/// Gives the thread a number, or takes it away.
pub(crate) fn number(thread: Option<usize>) {
    with(|at_hand| at_hand.thread.set(thread.map_or(0, |number| number + 1)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own() {
        number(Some(7));
        take(3, ptr::dangling());
        std::thread::spawn(|| {
            assert_eq!((thread(), store()), (None, (0, ptr::null())));
            number(Some(8));
        })
        .join()
        .unwrap();
        assert_eq!((thread(), store()), (Some(7), (3, ptr::dangling())));
        forget();
        number(None);
        assert_eq!((thread(), store()), (None, (0, ptr::null())));
    }
}
