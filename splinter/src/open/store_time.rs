//! Store time: the clock of this boot, and how far the store's time is ahead of it.

use crate::arena::deadline::Clock;
use crate::arena::records::Header;
use crate::kernel;
use crate::sync::Relaxed;

/// How often a process tries again to be the first of this boot.
const ATTEMPTS: usize = 64;

/// Returns the clock of a store. The first process of a boot makes store time go on from the latest that was seen.
///
/// A process that may only read cannot record that: it has a time of its own until another process does.
pub(super) fn clock(header: &Header, is_writable: bool) -> Clock {
    clock_of(header, is_writable, kernel::boot(), kernel::since_boot())
}

fn clock_of(header: &Header, is_writable: bool, boot: u64, since_boot: u64) -> Clock {
    let base = &header.time_base;
    for _ in 0..ATTEMPTS {
        let (recorded, distance) = (base.first_acquire(), base.second());
        let seen = header.time_seen.load(Relaxed);
        let goes_on = since_boot.wrapping_add(distance) >= seen;
        // Where the kernel does not tell which boot this is, a clock that is behind shows that it is another.
        if recorded == boot && (boot != 0 || goes_on) && base.first_acquire() == recorded {
            return Clock { since_boot: kernel::since_boot, distance };
        }
        let renewed = seen.wrapping_sub(since_boot);
        if !is_writable || base.exchange((recorded, distance), (boot, renewed), recorded) {
            return Clock { since_boot: kernel::since_boot, distance: renewed };
        }
    }
    Clock { since_boot: kernel::since_boot, distance: base.second() }
}
