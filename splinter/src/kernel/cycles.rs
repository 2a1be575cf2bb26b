//! Reads the processor's cycle counter.

/// Returns the processor's cycle counter: on x86-64 the time-stamp counter, which ticks at a constant rate and costs a
/// few nanoseconds. Elsewhere it returns the nanoseconds of the monotonic clock.
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

/// Reads the cycle counter between two fences: after all earlier loads of the program, and before anything later
/// starts, where LFENCE waits for all instructions.
///
/// Measurements of a few nanoseconds need this at both ends. The processor may execute [`cycles`] early, while it still
/// waits for earlier loads (Intel SDM, RDTSC; AMD APM, volume 3, RDTSC).
///
/// LFENCE waits so on Intel processors, and on those of AMD if the kernel has told them to, which `/proc/cpuinfo` shows as
/// `lfence_rdtsc`. In a guest without that flag it may order loads alone: the counter may then be read before earlier
/// loads end, or after later instructions start. On all processors stores may become visible after the counter is read.
///
/// ```
/// let before = splinter::cycles_fenced();
/// assert!(splinter::cycles_fenced() >= before);
/// ```
#[must_use]
#[inline]
pub fn cycles_fenced() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        fence_loads();
        let now = cycles();
        fence_loads();
        now
    }
    #[cfg(not(target_arch = "x86_64"))]
    cycles()
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code, reason = "the instruction has no safe name")]
fn fence_loads() {
    // SAFETY: `lfence` is in every x86-64 processor, and only waits.
    unsafe { std::arch::x86_64::_mm_lfence() };
}
