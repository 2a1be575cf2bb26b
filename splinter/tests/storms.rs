//! A signal every 50 microseconds, whose handler has no call begun anew: every call of the API gives the right answer all
//! the same, and none says that it was interrupted.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use splinter::{
    Advice, BidTerms, Config, Error, HugePages, IntegerOp, Location, Notifier, OpenOptions, Patience,
    PollableWatcher, Reserve, Scrub, Store, Type, Writer,
};
use splinter_testkit::faults::Account;
use splinter_testkit::process::alone;
use splinter_testkit::{Named, assert_sound, config, geometry, wait_until};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// Has a signal come every 50 microseconds until what is returned is dropped.
#[allow(unsafe_code, reason = "signal handlers have no safe interface")]
fn storm() -> Timer {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler touches nothing but an atomic.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let notify = SigevNotify::SigevSignal { signal: Signal::SIGUSR1, si_value: 0 };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify)).unwrap();
    let every = Expiration::Interval(TimeSpec::from_duration(Duration::from_micros(50)));
    timer.set(every, TimerSetTimeFlags::empty()).unwrap();
    timer
}

fn configuration() -> Config {
    config(geometry(16, 5_000, 4, 4), Scrub::Full)
}

#[test]
fn creating_opening_and_registering_ends_well_in_a_storm_of_signals() {
    alone("creating_opening_and_registering_ends_well_in_a_storm_of_signals", || {
        let before = Account::take();
        let storm = storm();
        for round in 0..200_u64 {
            let name = Named::new();
            // Taking memory is undone by every signal that comes meanwhile.
            let reserve = if round % 4 == 0 { Reserve::All } else { Reserve::Nothing };
            let huge_pages = if round % 16 == 5 { HugePages::Advise } else { HugePages::Off };
            let config = Config { reserve, huge_pages, ..configuration() };
            let store = Store::create(&name.0, &config).unwrap();
            assert!(Store::create(&name.0, &config).is_err());
            let mut writer = store.writer().unwrap();
            writer.set("round", &round.to_le_bytes()).unwrap();
            let other = Store::open(&name.0).unwrap();
            assert_eq!(other.get_vec("round").unwrap(), round.to_le_bytes());
            let by_descriptor = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
            let reader =
                Store::open_with(&name.0, &OpenOptions { read_only: true, ..OpenOptions::default() });
            assert_eq!(reader.unwrap().len(), 1);
            let mut second = by_descriptor.writer().unwrap();
            assert_eq!(second.append("round", b"!"), Ok(9));
            assert_eq!((writer.id(), second.id()), (0, 1));
            store.flush().unwrap();
            store.residency().unwrap();
            store.bids().claim(7, BidTerms::default()).unwrap();
            let range = 0..store.arena_len();
            store.bids().advise(7, range, Advice::WillNeed, Patience::Defer).unwrap();
            assert_eq!(other.bids().list().unwrap().len(), 1);
            drop((writer, second));
            assert_sound(&other, 1);
            name.0.unlink().unwrap();
        }
        drop(storm);
        assert!(SIGNALS.load(Relaxed) > 100, "there was no storm");
        assert_eq!(Account::take(), before);
    });
}

#[test]
fn a_large_store_is_reserved_in_a_storm_of_signals() {
    alone("a_large_store_is_reserved_in_a_storm_of_signals", || {
        let storm = storm();
        // Far more than is taken between two signals.
        let large = Config { reserve: Reserve::All, ..config(geometry(1000, 16_000, 0, 4), Scrub::None) };
        let store = Store::anonymous(&large).unwrap();
        drop(storm);
        let path = format!("/proc/self/fd/{}", store.fd().as_raw_fd());
        let taken = std::fs::metadata(path).unwrap().blocks() * 512;
        assert!(taken >= store.arena_len(), "{taken} of {}", store.arena_len());
        store.writer().unwrap().set("key", &[1; 16_000]).unwrap();
        assert_sound(&store, 1);
    });
}

/// How often a key is changed in every way there is, and how many of those changes concern its group.
const ROUNDS: u64 = 100;
const CHANGES: u64 = 6;

/// Changes a key in every way there is.
fn change(writer: &mut Writer, round: u64) {
    let value = vec![round as u8; round as usize % 5_000];
    writer.set("key", &value).unwrap();
    assert_eq!(writer.get_vec("key").unwrap(), value);
    assert_eq!(writer.append("key", b"").unwrap(), value.len());
    writer.set_vector("key", &[round as f32; 4]).unwrap();
    writer.label("key", 1 << (round % 64)).unwrap();
    writer.set_type("key", Type::Audio).unwrap();
    writer.set_u64("number", round).unwrap();
    assert_eq!(writer.integer("number", IntegerOp::Inc(2)), Ok(round + 2));
    writer.set_tandem("tandem", &[&value, b"second"]).unwrap();
    assert_eq!(writer.unset_tandem("tandem", 2), Ok(2));
    writer.bump("key").unwrap();
    writer.purge().unwrap();
}

#[test]
fn waits_end_with_a_change_or_at_their_deadline_in_a_storm_of_signals() {
    alone("waits_end_with_a_change_or_at_their_deadline_in_a_storm_of_signals", || {
        let store = Store::create(&Location::Anonymous, &configuration()).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("key", b"0").unwrap();
        writer.set("quiet", b"0").unwrap();
        writer.register("key", 3).unwrap();
        let storm = storm();
        // Nothing happens: a signal is no change, and no reason to give up early.
        let mut watcher = store.watch(&[3]).unwrap();
        watcher.set_spin(Duration::ZERO);
        for _ in 0..20 {
            let deadline = Instant::now() + Duration::from_millis(3);
            assert_eq!(watcher.wait(Some(deadline)), Ok(None));
            assert!(Instant::now() >= deadline, "given up before the deadline");
            let deadline = Instant::now() + Duration::from_millis(3);
            assert_eq!(store.poll("quiet", Some(deadline)), Err(Error::TimedOut));
            assert!(Instant::now() >= deadline, "given up before the deadline");
        }
        // Before the first change: a watcher gets no signal of changes before its watch began.
        let pollable = store.watch(&[3]).unwrap().pollable_by(Notifier::HelperThread).unwrap();
        let late = Some(Instant::now() + Duration::from_secs(60));
        let heard = [AtomicU64::new(0), AtomicU64::new(0)];
        std::thread::scope(|scope| {
            let (store, heard) = (&store, &heard);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    change(&mut writer, round);
                    // No watcher may lag: this tests that nothing is lost.
                    let all = (round + 1) * CHANGES;
                    wait_until("all hear", || heard.iter().all(|count| count.load(Relaxed) >= all));
                }
                writer.set("key", b"the last").unwrap();
            });
            scope.spawn(move || {
                let mut epoch = store.epoch("key").unwrap();
                while store.get_vec("key").unwrap() != b"the last" {
                    let now = store.poll_after("key", epoch, late).unwrap();
                    assert!(now > epoch, "woken without a change");
                    epoch = now;
                }
            });
            scope.spawn(move || hear_by_descriptor(pollable, &heard[1]));
            while heard[0].load(Relaxed) < ROUNDS * CHANGES + 1 {
                let change = watcher.wait(late).unwrap().expect("a change within a minute");
                assert_eq!(change.group, Some(3));
                heard[0].fetch_add(1, Relaxed);
            }
        });
        drop(storm);
        assert_eq!(watcher.try_next(), Ok(None));
        assert_sound(&store, 3);
        assert!(SIGNALS.load(Relaxed) > 100, "there was no storm");
    });
}

/// Hears of all changes by a descriptor.
fn hear_by_descriptor(mut watcher: PollableWatcher, heard: &AtomicU64) {
    while heard.load(Relaxed) < ROUNDS * CHANGES + 1 {
        let mut ready = [PollFd::new(watcher.as_fd(), PollFlags::POLLIN)];
        // This call is the test's own, and does end with a signal.
        let _ = poll(&mut ready, PollTimeout::from(100_u8));
        while watcher.try_next().unwrap().is_some() {
            heard.fetch_add(1, Relaxed);
        }
    }
}
