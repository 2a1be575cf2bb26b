//! What Valgrind changes for a program that it runs: times are void, and waits take longer.

pub use splinter_testkit::valgrind::is_running;
use std::time::Duration;

/// The note in the record of a run under Valgrind.
pub const VOID: &str = "under Valgrind: timing is void";

/// The factor of all waits for other processes.
const SLOWER: u32 = 10;

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
