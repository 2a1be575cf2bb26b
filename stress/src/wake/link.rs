//! The links: how one numbered message at a time goes to and fro by each mechanism. The two loops of
//! [`super::exchange`] use them all, and know none of them.

use super::mechanism::Mechanism;
use super::shared_state::{PATIENCE, SharedState, Word};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{Error, PollableWatcher, Store, WatchError, Watcher, Writer};
use splinter_harness::futex::{sleep_on, wake_sleepers};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

/// Length of a message's value: what the default workload writes, too.
pub(crate) const MESSAGE_LEN: usize = 64;
/// Looks at a word between two looks whether there is still any sense in it.
const LOOKS: u32 = 1 << 12;

/// Which side of an exchange a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that begins.
    Ping,
    /// The one that answers.
    Pong,
}

/// What one process needs to use any mechanism.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// What both share.
    pub shared: SharedState,
    /// The store.
    pub store: Store,
    /// The process's lane in it.
    pub writer: Writer,
    /// Eventfds: the one that ping writes, the one that pong writes.
    pub eventfds: [OwnedFd; 2],
    /// The side.
    pub side: Side,
}

/// Sends and receives messages.
pub(crate) trait Link {
    /// Sends message number `number`.
    fn send(&mut self, number: u64);
    /// Waits until message number `number` is there. Returns false if it never came.
    fn receive(&mut self, number: u64) -> bool;
}

/// What is done with a link.
pub(crate) trait Exchange {
    /// Its result.
    type Output;
    /// Does it.
    fn run(self, shared: &SharedState, link: impl Link) -> Self::Output;
}

/// The keys of the messages: written by ping and by pong, for watchers and for those who poll, and what
/// the waiters watch. The first two are in the groups 0 and 1, the last in group 2.
pub(crate) const KEYS: [&str; 5] = ["ping", "pong", "poll-ping", "poll-pong", "waiters"];
/// The group that the waiters watch.
pub(crate) const WAITERS_GROUP: u8 = 2;

/// Puts all keys there.
///
/// # Errors
/// What the store says.
pub(crate) fn write_keys(writer: &mut Writer) -> Result<(), Error> {
    for key in KEYS {
        writer.set(key, &message(0))?;
    }
    for (key, group) in [(KEYS[0], 0), (KEYS[1], 1), (KEYS[4], WAITERS_GROUP)] {
        writer.register(key, group)?;
    }
    Ok(())
}

impl Endpoint {
    /// Opens this side of a link, and does something with it.
    ///
    /// # Errors
    /// One line if it cannot be opened.
    pub(crate) fn run<G: Exchange>(
        &mut self,
        mechanism: Mechanism,
        exchange: G,
    ) -> Result<G::Output, String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("{} cannot be set up: {error}", mechanism.spec().name);
        let shared = &self.shared;
        // What one side writes the other reads.
        let (out, into) = match self.side {
            Side::Ping => (0, 1),
            Side::Pong => (1, 0),
        };
        let words = [Word::Ping, Word::Pong].map(|word| shared.word(word));
        let store =
            |keys: [&'static str; 2]| StoreMessages { store: &self.store, out: keys[out], into: keys[into] };
        let watcher = |spin| -> Result<Watcher, String> {
            let mut watcher = self.store.watch(&[into as u8]).map_err(|e| failed(&e))?;
            watcher.set_spin(spin);
            Ok(watcher)
        };
        let deadline = Some(Instant::now() + PATIENCE);
        Ok(match mechanism {
            Mechanism::Futex | Mechanism::FutexPaused | Mechanism::FutexDeadline => {
                let patience = (mechanism == Mechanism::FutexDeadline).then_some(Duration::from_secs(1));
                let link = Futex { shared, out: words[out], into: words[into], patience };
                exchange.run(shared, link)
            }
            Mechanism::Eventfd => {
                let link = Eventfd {
                    shared,
                    epoll: epoll_of(&self.eventfds[into]).map_err(|error| failed(&error))?,
                    out: &self.eventfds[out],
                    into: &self.eventfds[into],
                };
                exchange.run(shared, link)
            }
            Mechanism::Line => {
                let link = Line { shared, word: shared.word(Word::Line), side: self.side };
                exchange.run(shared, link)
            }
            Mechanism::Watcher | Mechanism::SpinWatcher | Mechanism::SpinTold => {
                let spin = match mechanism {
                    Mechanism::Watcher => Duration::ZERO,
                    // For as long as there is any sense in it: a spin without end would outlast a deadline.
                    _ => PATIENCE,
                };
                let link = Watch {
                    watcher: watcher(spin)?,
                    messages: store([KEYS[0], KEYS[1]]),
                    writer: &mut self.writer,
                    reads: mechanism != Mechanism::SpinTold,
                    deadline,
                };
                exchange.run(shared, link)
            }
            Mechanism::Ring | Mechanism::Helper => {
                let notifier = mechanism.notifier().expect("a mechanism with a descriptor");
                let watcher = watcher(Duration::ZERO)?.pollable_by(notifier);
                let watcher = watcher.map_err(|error| failed(&error))?;
                let link = Descriptor {
                    shared,
                    epoll: epoll_of(&watcher).map_err(|error| failed(&error))?,
                    watcher,
                    messages: store([KEYS[0], KEYS[1]]),
                    writer: &mut self.writer,
                };
                exchange.run(shared, link)
            }
            Mechanism::PollPaused | Mechanism::SpinPoll => {
                let messages = store([KEYS[2], KEYS[3]]);
                let link = Poll {
                    epoch: self.store.epoch(messages.into).map_err(|e| failed(&e))?,
                    messages,
                    writer: &mut self.writer,
                    deadline,
                };
                exchange.run(shared, link)
            }
        })
    }
}

/// Makes an epoll that waits for one descriptor to be readable.
fn epoll_of(descriptor: impl AsFd) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    Ok(epoll)
}

struct Futex<'a> {
    shared: &'a SharedState,
    out: &'a AtomicU64,
    into: &'a AtomicU64,
    patience: Option<Duration>,
}

impl Link for Futex<'_> {
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
            if self.shared.is_abandoned() {
                return false;
            }
            sleep_on(self.into, seen, self.patience);
        }
    }
}

struct Eventfd<'a> {
    shared: &'a SharedState,
    epoll: Epoll,
    out: &'a OwnedFd,
    into: &'a OwnedFd,
}

impl Link for Eventfd<'_> {
    #[inline]
    fn send(&mut self, _: u64) {
        // It can only fail when 2^64 messages are unread; the other side would not get this one.
        let _ = nix::unistd::write(self.out, &1u64.to_ne_bytes());
    }

    #[inline]
    fn receive(&mut self, _: u64) -> bool {
        let mut events = [EpollEvent::empty()];
        loop {
            let ready = self.epoll.wait(&mut events, EpollTimeout::NONE);
            if self.shared.is_abandoned() {
                return false;
            }
            if ready == Ok(1) {
                return nix::unistd::read(self.into, &mut [0; 8]) == Ok(8);
            }
        }
    }
}

/// Even numbers are ping's, odd ones pong's.
struct Line<'a> {
    shared: &'a SharedState,
    word: &'a AtomicU64,
    side: Side,
}

impl Link for Line<'_> {
    #[inline]
    fn send(&mut self, number: u64) {
        let mine = number * 2 + u64::from(self.side == Side::Pong);
        self.word.store(mine, Release);
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
            if self.shared.is_abandoned() {
                return false;
            }
        }
    }
}

/// Messages as values of the store.
struct StoreMessages<'a> {
    store: &'a Store,
    out: &'static str,
    into: &'static str,
}

impl StoreMessages<'_> {
    #[inline]
    fn send(&self, writer: &mut Writer, number: u64) {
        send(writer, self.out, number);
    }

    /// Tells whether message `number`, or a later one, can be read.
    #[inline]
    fn is_there(&self, number: u64) -> bool {
        is_there(self.store, self.into, number)
    }
}

/// Writes message `number`.
#[inline]
pub(crate) fn send(writer: &mut Writer, key: &str, number: u64) {
    let message = message(number);
    while writer.set(key, &message) == Err(Error::Again) {
        std::hint::spin_loop();
    }
}

/// Tells whether message `number`, or a later one, can be read.
#[inline]
pub(crate) fn is_there(store: &Store, key: &str, number: u64) -> bool {
    let mut buf = [0; MESSAGE_LEN];
    loop {
        match store.get(key, &mut buf) {
            Ok(_) => {
                let (head, _) = buf.split_at(8);
                return u64::from_le_bytes(head.try_into().expect("eight bytes")) >= number;
            }
            Err(Error::Again) => std::hint::spin_loop(),
            Err(_) => return false,
        }
    }
}

fn message(number: u64) -> [u8; MESSAGE_LEN] {
    let mut message = [0x5a; MESSAGE_LEN];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

struct Watch<'a> {
    messages: StoreMessages<'a>,
    writer: &'a mut Writer,
    watcher: Watcher,
    reads: bool,
    deadline: Option<Instant>,
}

impl Link for Watch<'_> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.messages.send(self.writer, number);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        loop {
            match self.watcher.wait(self.deadline) {
                Ok(None) => return false,
                Ok(Some(_)) if !self.reads => return true,
                _ if self.messages.is_there(number) => return true,
                _ => {}
            }
        }
    }
}

struct Descriptor<'a> {
    shared: &'a SharedState,
    messages: StoreMessages<'a>,
    writer: &'a mut Writer,
    watcher: PollableWatcher,
    epoll: Epoll,
}

impl Link for Descriptor<'_> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.messages.send(self.writer, number);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        let mut events = [EpollEvent::empty()];
        loop {
            // As an event loop does: take what there is, and wait when that was all.
            match self.watcher.try_next() {
                Ok(None) => {
                    let patience = EpollTimeout::try_from(PATIENCE).unwrap_or(EpollTimeout::NONE);
                    let ready = self.epoll.wait(&mut events, patience);
                    if ready == Ok(0) || self.shared.is_abandoned() {
                        return false;
                    }
                }
                Err(WatchError::Descriptor(_)) => return false,
                _ if self.messages.is_there(number) => return true,
                _ => {}
            }
        }
    }
}

struct Poll<'a> {
    messages: StoreMessages<'a>,
    writer: &'a mut Writer,
    epoch: u64,
    deadline: Option<Instant>,
}

impl Link for Poll<'_> {
    #[inline]
    fn send(&mut self, number: u64) {
        self.messages.send(self.writer, number);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        loop {
            let into = self.messages.into;
            match self.messages.store.poll_after(into, self.epoch, self.deadline) {
                Ok(epoch) => self.epoch = epoch,
                Err(_) => return false,
            }
            if self.messages.is_there(number) {
                return true;
            }
        }
    }
}
