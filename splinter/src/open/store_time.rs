//! Store time: the clock of this boot, and how far the store's time is ahead of it.

use crate::arena::deadline::{Base, Clock};
use crate::arena::records::Header;
use crate::kernel;
use crate::sync::{Acquire, Pair, Word};

/// How often a process tries again to be the first of this boot.
const ATTEMPTS: usize = 64;
/// What stands for the boot id where all processes are of one boot.
const THIS_BOOT: u64 = 1;

/// Returns the clock of a store. The first process of a boot makes store time go on from the latest that was noted.
///
/// A process that may only read cannot record that: it has a time of its own until another process does. Memory that
/// `is_lost_at_power_off` was first used in this boot, whatever boot id a container shows.
pub(super) fn clock(header: &Header, is_writable: bool, is_lost_at_power_off: bool) -> Clock<'_> {
    let boot = if is_lost_at_power_off { THIS_BOOT } else { kernel::boot() };
    clock_of(&header.time_base, &header.time_seen, is_writable, boot, kernel::since_boot)
}

fn clock_of<'a>(
    base: &'a Pair,
    time_seen: &Word,
    is_writable: bool,
    boot: u64,
    since_boot: fn() -> u64,
) -> Clock<'a> {
    let clock = |distance, seen| Clock { since_boot, distance, base: Some(Base { recorded: base, seen }) };
    for _ in 0..ATTEMPTS {
        let (recorded, distance) = (base.first_acquire(), base.second());
        // In this order: no later time was noted in this boot.
        let seen = time_seen.load(Acquire);
        let now = since_boot();
        // Where the kernel does not tell which boot this is, a clock that is behind shows that it is another.
        let is_this = if boot == 0 || recorded == 0 {
            (recorded, distance) != (0, 0) && now.wrapping_add(distance) >= seen
        } else {
            recorded == boot
        };
        if is_this && base.first_acquire() == recorded {
            return clock(distance, (recorded, distance));
        }
        let renewed = seen.wrapping_sub(now);
        if !is_writable {
            return clock(renewed, (recorded, distance));
        }
        if base.exchange((recorded, distance), (boot, renewed), recorded) {
            return clock(renewed, (boot, renewed));
        }
    }
    // All follow the record.
    clock(0, (0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Error, Expect, Lifetime, Store};
    use std::process::Command;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    /// Returns what store time is ahead of `since_boot` in a header that was last used in `boot`.
    fn reopen(recorded: (u64, u64), seen: u64, boot: u64, since_boot: fn() -> u64) -> (u64, (u64, u64)) {
        let (base, seen) = (Pair::default(), Word::new(seen));
        base.exchange((0, 0), recorded, 0);
        let clock = clock_of(&base, &seen, true, boot, since_boot);
        (clock.now(), (base.first_acquire(), base.second()))
    }

    #[test]
    fn store_time_goes_on_in_the_same_boot_and_from_the_time_noted_in_another() {
        assert_eq!(reopen((7, 100), 1_000, 7, || 5_000), (5_100, (7, 100)));
        let renewed = 1_000_u64.wrapping_sub(50);
        assert_eq!(reopen((7, 100), 1_000, 8, || 50), (1_000, (8, renewed)));
        // Also where the new boot has lasted longer than the old one.
        assert_eq!(reopen((7, 100), 1_000, 8, || 9_000).0, 1_000);
    }

    #[test]
    fn processes_that_see_different_boot_ids_have_the_same_time() {
        // As in a container that shows one of its own.
        let (base, seen) = (Pair::default(), Word::new(1_000));
        let host = clock_of(&base, &seen, true, 7, || 50);
        let guest = clock_of(&base, &seen, true, 8, || 90);
        let reader = clock_of(&base, &seen, false, 8, || 90);
        assert_eq!([host.now(), guest.now(), reader.now()], [960, 1_000, 1_000]);
        let again = clock_of(&base, &seen, true, 7, || 200);
        assert_eq!([host.now(), guest.now(), reader.now(), again.now()], [850, 890, 890, 1_000]);
    }

    #[test]
    fn without_a_boot_id_a_clock_that_is_behind_is_one_of_another_boot() {
        assert_eq!(reopen((7, 100), 1_000, 0, || 5_000), (5_100, (7, 100)));
        assert_eq!(reopen((0, 100), 1_000, 8, || 5_000), (5_100, (0, 100)));
        assert_eq!(reopen((7, 100), 1_000, 0, || 50).0, 1_000);
        assert_eq!(reopen((0, 0), 0, 0, || 50).0, 0);
    }

    #[test]
    fn a_reader_has_a_time_of_its_own_until_a_writer_records_one() {
        // With a boot id or without, as the reader and the writer know it.
        for [reader_boot, writer_boot] in [[8, 8], [0, 0], [8, 0], [0, 8]] {
            let (base, seen) = (Pair::default(), Word::new(1_000));
            let reader = clock_of(&base, &seen, false, reader_boot, || 50);
            assert_eq!((reader.now(), base.first_acquire(), base.second()), (1_000, 0, 0));
            let writer = clock_of(&base, &seen, true, writer_boot, || 40);
            assert_eq!((writer.now(), reader.now()), (1_000, 1_010), "{reader_boot} {writer_boot}");
        }
    }

    /// Suspends the machine until its battery-backed clock has gone on by so many seconds.
    fn suspend(seconds: u64) {
        let alarm = "/sys/class/rtc/rtc0/wakealarm";
        let now = std::fs::read_to_string("/sys/class/rtc/rtc0/since_epoch")
            .expect("a clock that wakes the machine");
        let now: u64 = now.trim().parse().expect("seconds");
        std::fs::write(alarm, (now + seconds).to_string()).expect("an alarm");
        std::fs::write("/sys/power/state", "mem").expect("a machine that can be suspended");
    }

    #[test]
    #[ignore = "suspends the machine and sets its clock; ci/numa runs it in a guest"]
    fn deadlines_pass_while_the_machine_is_suspended_whatever_its_wall_clock_says() {
        const SHORT: Duration = Duration::from_secs(10);
        const LONG: Duration = Duration::from_secs(3600);
        let store = Store::anonymous(&Config::default()).unwrap();
        let mut writer = store.writer().unwrap();
        let (awake, begun) = (Instant::now(), store.time());
        writer.set_with("short", b"1", Expect::Any, Lifetime::For(SHORT)).unwrap();
        writer.set_with("long", b"1", Expect::Any, Lifetime::For(LONG)).unwrap();
        // Forward by a day, then back by ten years.
        for date in [86_400, -315_000_000] {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
            let set = Command::new("date").args(["-s", &format!("@{}", wall + date)]).status();
            assert!(set.unwrap().success());
            let left = LONG - store.ttl("long").unwrap().unwrap();
            assert!(store.contains("short").unwrap() && left < SHORT, "{left:?}");
        }
        suspend(15);
        let awake = awake.elapsed();
        assert_eq!(store.ttl("short"), Err(Error::NotFound));
        let left = store.ttl("long").unwrap().unwrap();
        let passed = Duration::from_nanos(store.time() - begun);
        assert!(left <= LONG - SHORT && LONG - left <= passed, "{left:?} after {passed:?}");
        let slept = passed.saturating_sub(awake);
        assert!(
            awake < SHORT,
            "the guest was so slow that the deadline passed while it was awake: {awake:?}"
        );
        println!("awake for {awake:?}, suspended for {slept:?}");
        assert!(slept >= Duration::from_secs(3), "it was not suspended: {slept:?}");
    }
}
