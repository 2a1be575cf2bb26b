//! Messages to and fro between two processors: what one line, one futex or one eventfd costs when it has to reach
//! somebody elsewhere. One thread serves, the other returns, a number at a time; nothing else is done.

use crate::clock;
use crate::pinning;
use nix::sys::eventfd::{EfdFlags, EventFd};
use splinter_harness::futex::{sleep_on, wake_sleepers};
use std::convert::Infallible;
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::Duration;

/// Turns of a spinning ping-pong between two looks at the clock, and of one that sleeps.
const SPINNING_LAP: u64 = 256;
const SLEEPING_LAP: u64 = 1;

/// Looks at a word before the processor is lent to others: the other side may have to run on this very one.
const LOOKS: u32 = 1 << 14;

/// The number that ends a ping-pong.
const OVER: u64 = u64::MAX;

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

/// The word that both sides write in turn, alone on its lines: odd numbers are the server's, even ones the answers.
#[repr(align(128))]
#[derive(Default)]
struct Word(AtomicU64);

/// Takes one sample: nanoseconds one way, half of a turn to and fro, between two of this process's processors, counted
/// from 0.
///
/// # Errors
/// In one line, why it cannot be played here.
pub fn sample(channel: Channel, processors: [usize; 2], budget: Duration) -> Result<f64, String> {
    match channel {
        Channel::Line => play(processors, budget, SPINNING_LAP, &Spinning::default()),
        Channel::Futex => play(processors, budget, SLEEPING_LAP, &Futex::default()),
        Channel::Eventfd => {
            let descriptors = Eventfds::new().map_err(|error| format!("no eventfd: {error}"))?;
            play(processors, budget, SLEEPING_LAP, &descriptors)
        }
    }
}

/// How a number gets to the other side. Sides are 0, which serves, and 1.
trait Link: Sync {
    /// Sends a number from a side.
    fn send(&self, from: usize, number: u64);
    /// Waits until the other side has sent something newer than `last`, and returns it.
    fn receive(&self, at: usize, last: u64) -> u64;
}

fn play(processors: [usize; 2], budget: Duration, lap: u64, link: &impl Link) -> Result<f64, String> {
    let placed = |index| {
        pinning::pin(index)
            .map(drop)
            .ok_or_else(|| format!("processor {index} of this process cannot be had"))
    };
    thread::scope(|scope| {
        let returning = scope.spawn(move || {
            let placed = placed(processors[1]);
            let mut last = 0;
            loop {
                last = link.receive(1, last);
                if last == OVER {
                    return placed;
                }
                last += 1;
                link.send(1, last);
            }
        });
        let serving = scope.spawn(move || {
            let placed = placed(processors[0]);
            let mut number = 0;
            let turns = clock::ns_per_op(budget, lap, || {
                for _ in 0..lap {
                    link.send(0, number + 1);
                    number = link.receive(0, number + 1);
                }
                Ok::<(), Infallible>(())
            });
            link.send(0, OVER);
            placed.map(|()| clock::infallible(turns) / 2.0)
        });
        let ended = |_| "a side panicked".to_owned();
        let one_way = serving.join().map_err(ended)?;
        returning.join().map_err(ended)??;
        one_way
    })
}

#[derive(Default)]
struct Spinning(Word);

impl Link for Spinning {
    fn send(&self, _: usize, number: u64) {
        self.0.0.store(number, Release);
    }

    fn receive(&self, _: usize, last: u64) -> u64 {
        let mut looks = 0;
        loop {
            // Acquire: the other side's store, though nothing but the number is handed over.
            let number = self.0.0.load(Acquire);
            if number != last {
                return number;
            }
            looks += 1;
            if looks % LOOKS == 0 {
                thread::yield_now();
            }
            spin_loop();
        }
    }
}

#[derive(Default)]
struct Futex(Word);

impl Link for Futex {
    fn send(&self, _: usize, number: u64) {
        self.0.0.store(number, Release);
        wake_sleepers(&self.0.0, 1);
    }

    fn receive(&self, _: usize, last: u64) -> u64 {
        loop {
            let number = self.0.0.load(Acquire);
            if number != last {
                return number;
            }
            sleep_on(&self.0.0, last, None);
        }
    }
}

/// The number, and by side the eventfd that wakes it.
struct Eventfds {
    word: Word,
    descriptors: [EventFd; 2],
}

impl Eventfds {
    fn new() -> nix::Result<Self> {
        let descriptor = || EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC);
        Ok(Self { word: Word::default(), descriptors: [descriptor()?, descriptor()?] })
    }
}

impl Link for Eventfds {
    fn send(&self, from: usize, number: u64) {
        self.word.0.store(number, Release);
        // A count that others add to overflows after 2^64 messages.
        let _ = self.descriptors[1 - from].write(1);
    }

    fn receive(&self, at: usize, last: u64) -> u64 {
        loop {
            // Sleeps until the other side has written; a signal handler may end that early.
            let _ = self.descriptors[at].read();
            let number = self.word.0.load(Acquire);
            if number != last {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, Eventfds, Futex, Link, Spinning, sample};
    use std::time::Duration;

    fn arrives(link: &impl Link) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let got = link.receive(1, 0);
                link.send(1, got + 1);
            });
            link.send(0, 7);
            assert_eq!(link.receive(0, 7), 8);
        });
    }

    #[test]
    fn what_one_side_sends_the_other_receives_by_every_ball() {
        arrives(&Spinning::default());
        arrives(&Futex::default());
        arrives(&Eventfds::new().unwrap());
    }

    #[test]
    fn every_ball_can_be_sampled() {
        for channel in [Channel::Line, Channel::Futex, Channel::Eventfd] {
            let one_way = sample(channel, [0, 1], Duration::ZERO).unwrap();
            assert!(one_way > 0.0, "{channel:?}");
        }
    }
}
