//! Tells whether Valgrind runs this program, by its client request, and cuts a run down then: few workers on few keys, and
//! void times. It does not depend on Valgrind's tool.
#![allow(unsafe_code)] // The request is a sequence of instructions.

use crate::choice::KeyChoice;
use crate::open_loop::Arrivals;
use crate::options::{Span, Warmup};
use crate::workload::Workload;
use std::time::Duration;

/// Upper limits under Valgrind, which runs one thread at a time, about thirty times slower.
const WRITERS: u32 = 4;
const READERS: u32 = 2;
const WATCHERS: u32 = 2;
const KEYS: u64 = 96;
const MILLIS: u64 = 1_500;
const OPS: u64 = 6_000;
/// The note in the record of a run under Valgrind.
pub(crate) const VOID: &str = "under Valgrind: timing is void";

/// The factor of all waits for other processes.
const SLOWER: u32 = 10;

/// Tells whether Valgrind runs this program.
///
/// `RUNNING_ON_VALGRIND` of `valgrind.h`, whose preamble changes nothing on a processor: four rotations of
/// one register that come to two full turns, and an exchange of a register with itself. Valgrind takes it
/// for a request, the words of which are at `rax`, and answers in `rdx`.
#[must_use]
pub(crate) fn is_running() -> bool {
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
pub(crate) fn patience(ordinary: Duration) -> Duration {
    if is_running() { ordinary * SLOWER } else { ordinary }
}

/// Cuts a workload down to a few seconds under Valgrind. Returns, in words, what was cut.
pub(crate) fn cut(workload: &mut Workload) -> Option<String> {
    let mut cuts = Vec::new();
    let mut number = |what: &str, value: &mut u32, most: u32| {
        if *value > most {
            cuts.push(format!("{what} {value} to {most}"));
            *value = most;
        }
    };
    number("writers", &mut workload.writers, WRITERS);
    number("readers", &mut workload.readers, READERS);
    number("watchers", &mut workload.watchers, WATCHERS);
    let keys = match workload.key_choice {
        KeyChoice::Hot(hot) => KEYS.max(hot),
        _ => KEYS,
    };
    if workload.keys > keys {
        cuts.push(format!("keys {} to {keys}", workload.keys));
        workload.keys = keys;
    }
    match &mut workload.span {
        Span::DurationMs(millis) if *millis > MILLIS => {
            cuts.push(format!("duration {millis} ms to {MILLIS} ms"));
            *millis = MILLIS;
        }
        Span::Ops(ops) if *ops > OPS => {
            cuts.push(format!("operations {ops} to {OPS}"));
            *ops = OPS;
        }
        _ => {}
    }
    if let Some(rate) = workload.rate.take() {
        // Spinning until a start would keep all others from running.
        cuts.push(format!("rate {rate} to a closed loop"));
        workload.arrivals = Arrivals::Uniform;
    }
    if workload.warmup != Warmup::For(Duration::ZERO) {
        cuts.push("no warm-up".to_owned());
        workload.warmup = Warmup::For(Duration::ZERO);
    }
    (!cuts.is_empty()).then(|| cuts.join(", "))
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

    #[test]
    fn a_workload_is_cut_down_and_stays_sound() {
        let mut workload = Workload::default();
        let cuts = cut(&mut workload).unwrap();
        assert_eq!(workload.validate(), Ok(()));
        assert!(cuts.starts_with("writers 32 to 4, readers 32 to 2"), "{cuts}");
        assert!(workload.keys <= KEYS && workload.warmup == Warmup::For(Duration::ZERO));
        assert_eq!(cut(&mut workload), None);
    }
}
