//! One epoll loop that serves a store and a timer: it prints what the `publisher` example publishes, and once a second
//! how much that was.
//!
//!     cargo run --example epoll -- NAME [SECONDS]
//!
//! The watcher's descriptor is readable when there may be a change; taking changes until there is none makes it
//! unreadable again. Nothing else is needed to fit a store into an event loop.

mod common;

use common::read;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use splinter::{Change, Location, PollableWatcher, Store, WatchError};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "epoll NAME [SECONDS]   (NAME of a store in shared memory; 60 seconds at most if not said)";
/// The signal group that the publisher's topics are registered with.
const NEWS: u8 = 1;
const TIMER: u64 = 0;
const STORE: u64 = 1;

fn main() -> ExitCode {
    common::run(USAGE, 60, run)
}

fn run(location: &Location, seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let store = common::open_when_made(location, end, Store::open)?;
    let mut watcher = store.watch(&[NEWS])?.pollable()?;
    println!("woken by {:?}", watcher.notifier());
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    let each_second = Expiration::Interval(TimeSpec::from_duration(Duration::from_secs(1)));
    timer.set(each_second, TimerSetTimeFlags::empty())?;

    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
    epoll.add(&watcher, EpollEvent::new(EpollFlags::EPOLLIN, STORE))?;
    let (mut changes, mut is_over) = (0_u64, false);
    // What there was before the watch began; whatever changes from here on is heard of.
    watcher.resync(|change| is_over |= show(&store, &change, &mut changes));
    while !is_over && Instant::now() < end {
        let mut events = [EpollEvent::empty(); 2];
        let ready = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => 0,
            ready => ready?,
        };
        for event in &events[..ready] {
            match event.data() {
                TIMER => {
                    timer.wait()?;
                    println!("{changes} changes so far");
                }
                _ => is_over |= take(&store, &mut watcher, &mut changes)?,
            }
        }
    }
    println!("{}", if is_over { "done" } else { "the time is up" });
    Ok(())
}

/// Takes what changes there are. Returns whether the last one was among them.
fn take(store: &Store, watcher: &mut PollableWatcher, changes: &mut u64) -> Result<bool, WatchError> {
    let mut is_over = false;
    loop {
        match watcher.try_next() {
            Ok(None) => return Ok(is_over),
            Ok(Some(change)) => is_over |= show(store, &change, changes),
            Err(WatchError::Lagged(lagged)) => {
                println!("{lagged}");
                watcher.resync(|change| is_over |= show(store, &change, changes));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Prints a change. Returns whether it is the last one.
fn show(store: &Store, change: &Change, changes: &mut u64) -> bool {
    *changes += 1;
    let Some(key) = &change.key else { return false };
    let Ok(Some(value)) = read(|| store.get_vec(key)) else { return false };
    println!("{key}: {}", String::from_utf8_lossy(&value));
    key.as_ref() == b"end" && value == b"that is all"
}
