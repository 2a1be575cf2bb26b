//! Tells whether Valgrind runs this program, by its client request. It does not depend on Valgrind's tool.
#![allow(unsafe_code)] // The request is a sequence of instructions.

use std::time::Duration;

/// The note in the record of a run under Valgrind.
pub const VOID: &str = "under Valgrind: timing is void";

/// The factor of all waits for other processes.
const SLOWER: u32 = 10;

/// Tells whether Valgrind runs this program.
///
/// `RUNNING_ON_VALGRIND` of `valgrind.h`, whose preamble changes nothing on a processor: four rotations of
/// one register that come to two full turns, and an exchange of a register with itself. Valgrind takes it
/// for a request, the words of which are at `rax`, and answers in `rdx`.
#[must_use]
pub fn is_running() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        const RUNNING_ON_VALGRIND: u64 = 0x1001;
        let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
        let mut depth = 0_u64;
        // SAFETY: on a processor the instructions only turn `rdi` back to what it was and set flags;
        // Valgrind reads the six words at `rax`, which live through them, and sets `rdx`.
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

/// Returns how long to wait for another process, if `ordinary` is enough without Valgrind.
#[must_use]
pub fn patience(ordinary: Duration) -> Duration {
    if is_running() { ordinary * SLOWER } else { ordinary }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrind_is_detected_exactly_where_it_runs() {
        // Valgrind preloads its own library into the program that it runs.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert_eq!(is_running(), maps.contains("vgpreload_core"));
    }
}
