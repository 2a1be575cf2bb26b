//! Two requests to Callgrind: begin to count, and write down what was counted. Knows nothing of what is counted; without
//! Valgrind they do nothing.
#![allow(unsafe_code)] // A request is a sequence of instructions.

/// `VG_USERREQ_TOOL_BASE('C', 'T')` of `callgrind.h`, and what its enumeration adds to it.
const DUMP_STATS_AT: u64 = 0x4354_0003;
const ZERO_STATS: u64 = 0x4354_0001;

/// Has Callgrind count from 0.
#[inline(always)]
pub(crate) fn zero() {
    request(ZERO_STATS, 0);
}

/// Has Callgrind write what it counted to a file of its own, under a name that ends in a zero byte.
///
/// # Panics
/// When the name does not.
#[inline(always)]
pub(crate) fn dump(name: &str) {
    assert!(name.ends_with('\0'), "C reads to the zero byte");
    request(DUMP_STATS_AT, name.as_ptr() as u64);
}

/// Makes a request, by the preamble of `valgrind.h`: four rotations that come to two full turns, and an exchange of a register
/// with itself.
#[inline(always)]
fn request(code: u64, argument: u64) {
    #[cfg(target_arch = "x86_64")]
    {
        let words = [code, argument, 0, 0, 0, 0];
        // SAFETY: on a processor the instructions only turn `rdi` back to what it was and set flags; Valgrind reads the
        // six words at `rax`, which live through them, and sets `rdx`. A name that is pointed to ends in a zero byte.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") words.as_ptr(),
                inout("rdx") 0_u64 => _,
                inout("rdi") 0_u64 => _,
                options(nostack)
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (code, argument);
}
