//! Whether Valgrind runs the tests, asked by its client request. It runs one thread at a time, some thirty
//! times slower: tests shrink under it rather than being left out.

#![allow(unsafe_code, reason = "the request is a sequence of instructions")]

/// Returns how many rounds to go: so many, or fewer under Valgrind.
pub fn rounds(count: u64) -> u64 {
    if is_running() { count.div_ceil(25) } else { count }
}

/// Asks Valgrind whether it is there: `RUNNING_ON_VALGRIND` of `valgrind.h`, whose instructions change
/// nothing on a processor.
pub fn is_running() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        const RUNNING_ON_VALGRIND: u64 = 0x1001;
        let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
        let mut depth = 0_u64;
        // SAFETY: on a processor the rotations of `rdi` add up to two full turns and the exchange is of a
        // register with itself; Valgrind reads the six words at `rax`, and answers in `rdx`.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") request.as_ptr(),
                inout("rdx") depth,
                inout("rdi") 0_u64 => _,
                options(nostack)
            );
        }
        depth != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
