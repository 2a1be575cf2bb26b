//! Ping-pong: one numbered message at a time goes to and fro between two threads or processes. Here are the two loops, and the
//! links that the processor and the kernel offer at best; what is timed, and other links, are their callers'.

use crate::futex::{sleep_on, wake_sleepers};
use nix::errno::Errno;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

/// Number of the first message at the least: words begin with 0.
pub const FIRST: u64 = 1;

/// Looks at a word between two questions whether to give up.
const LOOKS: u32 = 1 << 12;

/// Which side of the ping-pong a thread or process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that begins.
    Ping,
    /// The one that answers.
    Pong,
}

impl Side {
    /// Puts what ping and pong write into the order of this side: what it writes, what it reads.
    pub fn out_and_into<T>(self, [ping, pong]: [T; 2]) -> [T; 2] {
        match self {
            Self::Ping => [ping, pong],
            Self::Pong => [pong, ping],
        }
    }
}

/// Sends and receives messages.
pub trait Link {
    /// Sends message number `number`.
    fn send(&mut self, number: u64);
    /// Waits until message number `number` is there. Returns false if it never came.
    fn receive(&mut self, number: u64) -> bool;
}

/// The loop of the side that begins, one round trip a call.
#[derive(Debug)]
pub struct RoundTrips<L> {
    link: L,
    next: u64,
}

impl<L: Link> RoundTrips<L> {
    /// Begins with message number `first`, [`FIRST`] or more.
    pub fn new(link: L, first: u64) -> Self {
        Self { link, next: first }
    }

    /// Returns the number of the next message.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Sends one message and waits for the answer. Returns false if it never came.
    #[inline]
    pub fn hop(&mut self) -> bool {
        self.next += 1;
        self.link.send(self.next - 1);
        self.link.receive(self.next - 1)
    }
}

/// The loop of the side that answers. `is_last` hears of each message before its answer is sent, and tells whether it is the
/// last. Returns false if a message never came.
#[inline]
pub fn answer(link: &mut impl Link, first: u64, mut is_last: impl FnMut(u64) -> bool) -> bool {
    let mut number = first;
    loop {
        if !link.receive(number) {
            return false;
        }
        let last = is_last(number);
        link.send(number);
        if last {
            return true;
        }
        number += 1;
    }
}

/// A cache line that both sides watch without pause. Even numbers are ping's, odd ones pong's.
#[derive(Debug)]
pub struct Line<'a, G> {
    /// The word that both write.
    pub word: &'a AtomicU64,
    /// Which of them this is.
    pub side: Side,
    /// Asked now and then whether there is still any sense in waiting; may lend the processor to others.
    pub given_up: G,
}

impl<G: FnMut() -> bool> Link for Line<'_, G> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.word.store(number * 2 + u64::from(self.side == Side::Pong), Release);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        let theirs = number * 2 + u64::from(self.side == Side::Ping);
        loop {
            for _ in 0..LOOKS {
                // No pause between the looks: this is the limit, and takes what it can get.
                if self.word.load(Acquire) == theirs {
                    return true;
                }
            }
            if (self.given_up)() {
                return false;
            }
        }
    }
}

/// A word for each direction, and a futex on it on which the waiting side sleeps.
#[derive(Debug)]
pub struct Futex<'a, G> {
    /// The word that this side writes.
    pub out: &'a AtomicU64,
    /// The word that it waits on.
    pub into: &'a AtomicU64,
    /// The longest sleep at a time.
    pub patience: Option<Duration>,
    /// Asked before each sleep.
    pub given_up: G,
}

impl<G: FnMut() -> bool> Link for Futex<'_, G> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.out.store(number, Release);
        wake_sleepers(self.out, 1);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        loop {
            let seen = self.into.load(Acquire);
            if seen >= number {
                return true;
            }
            if (self.given_up)() {
                return false;
            }
            sleep_on(self.into, seen, self.patience);
        }
    }
}

/// An eventfd for each direction, which the waiting side reads.
#[derive(Debug)]
pub struct Eventfd<D, W> {
    /// The eventfd that this side writes.
    pub out: D,
    /// The one that it reads, asleep until there is a message.
    pub into: D,
    /// Waits before each read; false gives up.
    pub wait: W,
}

impl<D: AsFd, W: FnMut() -> bool> Link for Eventfd<D, W> {
    #[inline]
    fn send(&mut self, _: u64) {
        // It can only fail when 2^64 messages are unread; the other side would not get this one.
        let _ = nix::unistd::write(&self.out, &1u64.to_ne_bytes());
    }

    #[inline]
    fn receive(&mut self, _: u64) -> bool {
        while (self.wait)() {
            match nix::unistd::read(&self.into, &mut [0; 8]) {
                // A signal handler ended it early.
                Err(Errno::EINTR) => {}
                read => return read == Ok(8),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::eventfd::{EfdFlags, EventFd};

    fn never() -> bool {
        std::thread::yield_now();
        false
    }

    /// Plays three round trips, and returns the numbers that the answering side saw.
    fn play<L: Link>(link: impl Fn(Side) -> L + Sync) -> Vec<u64> {
        std::thread::scope(|scope| {
            let answering = scope.spawn(|| {
                let mut seen = Vec::new();
                let answered = answer(&mut link(Side::Pong), FIRST, |number| {
                    seen.push(number);
                    seen.len() == 3
                });
                assert!(answered);
                seen
            });
            let mut trips = RoundTrips::new(link(Side::Ping), FIRST);
            assert!((0..3).all(|_| trips.hop()));
            assert_eq!(trips.next(), FIRST + 3);
            answering.join().unwrap()
        })
    }

    #[test]
    fn every_message_arrives_and_is_answered_by_every_link() {
        let words = <[AtomicU64; 2]>::default();
        assert_eq!(play(|side| Line { word: &words[0], side, given_up: never }), [1, 2, 3]);
        let words = <[AtomicU64; 2]>::default();
        let futex = |side: Side| {
            let [out, into] = side.out_and_into(words.each_ref());
            Futex { out, into, patience: None, given_up: never }
        };
        assert_eq!(play(futex), [1, 2, 3]);
        let eventfds = [(); 2].map(|()| EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap());
        let eventfd = |side: Side| {
            let [out, into] = side.out_and_into(eventfds.each_ref());
            Eventfd { out, into, wait: || true }
        };
        assert_eq!(play(eventfd), [1, 2, 3]);
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let words = <[AtomicU64; 2]>::default();
        let [out, into] = words.each_ref();
        assert!(!Line { word: out, side: Side::Ping, given_up: || true }.receive(FIRST));
        assert!(!Futex { out, into, patience: None, given_up: || true }.receive(FIRST));
        let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).unwrap();
        let mut link = Eventfd { out: &eventfd, into: &eventfd, wait: || false };
        assert!(!link.receive(FIRST));
        assert!(!answer(&mut link, FIRST, |_| panic!("there is nothing to answer")));
        assert!(!RoundTrips::new(link, FIRST).hop());
    }
}
