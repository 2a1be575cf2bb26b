//! The processor's own clock.

/// Reads the processor's cycle counter: the time-stamp counter on x86-64, which ticks at a constant rate
/// and costs a few nanoseconds; elsewhere the nanoseconds of the monotonic clock.
///
/// ```
/// let before = splinter::cycles();
/// assert!(splinter::cycles() >= before);
/// ```
#[must_use]
#[inline]
pub fn cycles() -> u64 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the instruction has no safe name")]
    // SAFETY: `rdtsc` is in every x86-64 processor and reads nothing but a counter.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use std::sync::LazyLock;
        use std::time::Instant;
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed().as_nanos() as u64
    }
}
