//! Messages to and fro between two processors: what one line, one futex or one eventfd costs when it has to reach
//! another processor. Two threads play, and do nothing else.

use crate::clock;
use crate::pinning;
use nix::sys::eventfd::{EfdFlags, EventFd};
use splinter_harness::ping_pong::{Eventfd, FIRST, Futex, Line, Link, RoundTrips, Side, answer};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::Duration;

/// Turns of a spinning ping-pong between two looks at the clock, and of one that sleeps.
const SPINNING_LAP: u64 = 256;
const SLEEPING_LAP: u64 = 1;

/// Why a ping-pong has no time.
const LOST: &str = "a message never came";

/// By what the two sides reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// One cache line, which both watch without pause.
    Line,
    /// A futex on which the waiting side sleeps.
    Futex,
    /// An eventfd that the waiting side reads, asleep.
    Eventfd,
}

/// A word alone on its lines.
#[repr(align(128))]
#[derive(Default)]
struct Word(AtomicU64);

/// Takes one sample: nanoseconds one way, half of a turn to and fro, between two of this process's processors, counted
/// from 0.
///
/// # Errors
/// In one line, why it cannot be played here.
pub fn sample(channel: Channel, processors: [usize; 2], budget: Duration) -> Result<f64, String> {
    let words = <[Word; 2]>::default();
    let [ping, pong] = words.each_ref().map(|word| &word.0);
    // The other side may have to run on this very processor.
    let given_up = || {
        thread::yield_now();
        false
    };
    match channel {
        Channel::Line => play(processors, budget, SPINNING_LAP, |side| Line { word: ping, side, given_up }),
        Channel::Futex => play(processors, budget, SLEEPING_LAP, |side| {
            let [out, into] = side.out_and_into([ping, pong]);
            Futex { out, into, patience: None, given_up: || false }
        }),
        Channel::Eventfd => {
            let eventfd = || EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC);
            let eventfds = eventfd().and_then(|ping| Ok([ping, eventfd()?]));
            let eventfds = eventfds.map_err(|error| format!("no eventfd: {error}"))?;
            play(processors, budget, SLEEPING_LAP, |side| {
                let [out, into] = side.out_and_into(eventfds.each_ref());
                Eventfd { out, into, wait: || true }
            })
        }
    }
}

fn play<L: Link>(
    processors: [usize; 2],
    budget: Duration,
    lap: u64,
    link: impl Fn(Side) -> L + Sync,
) -> Result<f64, String> {
    let placed = |index| {
        pinning::pin(index)
            .map(drop)
            .ok_or_else(|| format!("processor {index} of this process cannot be had"))
    };
    let over = AtomicBool::new(false);
    // The caller stays where it is.
    let both = || {
        thread::scope(|scope| {
            let answering = pinning::spawn(scope, || {
                let placed = placed(processors[1]);
                let answered = answer(&mut link(Side::Pong), FIRST, |_| over.load(Acquire));
                placed.map(|()| answered)
            })?;
            let placed = placed(processors[0]);
            let mut trips = RoundTrips::new(link(Side::Ping), FIRST);
            let mut hop = || if trips.hop() { Ok(()) } else { Err(LOST) };
            let turns = clock::ns_per_op(budget, lap, || (0..lap).try_for_each(|_| hop()));
            over.store(true, Release);
            let last = hop();
            let answered = answering.join().map_err(|_| "a side panicked".to_owned())??;
            placed?;
            last.and(if answered { Ok(turns? / 2.0) } else { Err(LOST) }).map_err(str::to_owned)
        })
    };
    pinning::apart(both)?
}

#[cfg(test)]
mod tests {
    use super::{Channel, Link, SLEEPING_LAP, Side, play, sample};
    use std::time::Duration;

    /// Delivers every message, except to one side.
    struct Deaf(bool);

    impl Link for Deaf {
        fn send(&mut self, _: u64) {}

        fn receive(&mut self, _: u64) -> bool {
            !self.0
        }
    }

    #[test]
    fn a_message_that_never_came_is_an_error_and_no_limit() {
        for deaf in [Side::Ping, Side::Pong] {
            let played = play([0, 1], Duration::ZERO, SLEEPING_LAP, |side| Deaf(side == deaf));
            assert_eq!(played, Err("a message never came".to_owned()), "{deaf:?}");
        }
    }

    #[test]
    fn every_channel_can_be_sampled() {
        for channel in [Channel::Line, Channel::Futex, Channel::Eventfd] {
            let one_way = sample(channel, [0, 1], Duration::ZERO).unwrap();
            assert!(one_way > 0.0, "{channel:?}");
        }
    }
}
