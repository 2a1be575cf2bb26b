//! The clock that goes on while the machine sleeps, and the boot that it belongs to.

/// Returns the nanoseconds since the machine was switched on, sleeps included.
#[allow(unsafe_code, reason = "the system call fills a structure")]
pub(crate) fn since_boot() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes the structure, which is valid for it.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Returns a number that differs from boot to boot; 0 if the kernel does not tell which boot this is.
pub(crate) fn boot() -> u64 {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
    let id = u128::from_str_radix(&digits, 16).unwrap_or(0);
    id as u64 ^ (id >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_on_and_the_boot_stays() {
        let before = since_boot();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(since_boot() >= before + 2_000_000);
        assert_eq!(boot(), boot());
    }
}
