//! The links: how one numbered message at a time goes to and fro by each mechanism. The two loops of
//! [`super::exchange`] use them all, and know none of them.

use super::mechanism::Mechanism;
use super::shared_state::{PATIENCE, SharedState, Word};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{Error, Store, WatchError, Watcher, Writer};
use splinter_harness::ping_pong::{Eventfd, Futex, Line, Link, Side};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Length of a message's value: what the default workload writes, too.
pub(crate) const MESSAGE_LEN: usize = 64;
/// What one process needs to use any mechanism.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// What both share.
    pub shared: SharedState,
    /// The store.
    pub store: Store,
    /// The process's writer of it.
    pub writer: Writer,
    /// Eventfds: the one that ping writes, the one that pong writes.
    pub eventfds: [OwnedFd; 2],
    /// The side.
    pub side: Side,
}

/// What is done with a link.
pub(crate) trait Exchange {
    /// Its result.
    type Output;
    /// Does it.
    fn run(self, shared: &SharedState, link: impl Link) -> Self::Output;
}

/// The keys of the messages: written by ping and by pong, for watchers and for pollers, and the
/// key that the waiters watch. The first two are in the groups 0 and 1, the last in group 2.
pub(crate) const KEYS: [&str; 5] = ["ping", "pong", "poll-ping", "poll-pong", "waiters"];
/// The group that the waiters watch.
pub(crate) const WAITERS_GROUP: u8 = 2;

/// Writes all keys.
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
        let side = self.side;
        let given_up = || shared.is_abandoned();
        let [_, group] = side.out_and_into([0, 1]);
        let watcher = |spin| -> Result<Watcher, String> {
            let mut watcher = self.store.watch(&[group]).map_err(|e| failed(&e))?;
            watcher.set_spin(spin);
            Ok(watcher)
        };
        let [watched, polled] = [[KEYS[0], KEYS[1]], [KEYS[2], KEYS[3]]].map(|keys| side.out_and_into(keys));
        let (store, writer) = (&self.store, &mut self.writer);
        let deadline = Some(Instant::now() + PATIENCE);
        Ok(match mechanism {
            Mechanism::Futex | Mechanism::FutexPaused | Mechanism::FutexDeadline => {
                let [out, into] = side.out_and_into([Word::Ping, Word::Pong].map(|word| shared.word(word)));
                let patience = (mechanism == Mechanism::FutexDeadline).then_some(Duration::from_secs(1));
                exchange.run(shared, Futex { out, into, patience, given_up })
            }
            Mechanism::Eventfd => {
                let [out, into] = side.out_and_into(self.eventfds.each_ref());
                let epoll = epoll_of(into).map_err(|error| failed(&error))?;
                let wait = || loop {
                    let ready = wait_on(&epoll, EpollTimeout::NONE);
                    if given_up() || ready == Ok(1) {
                        return !given_up();
                    }
                };
                exchange.run(shared, Eventfd { out, into, wait })
            }
            Mechanism::Line => exchange.run(shared, Line { word: shared.word(Word::Line), side, given_up }),
            Mechanism::Watcher | Mechanism::SpinWatcher | Mechanism::SpinUnread => {
                let mut watcher = watcher(match mechanism {
                    Mechanism::Watcher => Duration::ZERO,
                    // For as long as there is any sense in it: a spin without end would outlast a deadline.
                    _ => PATIENCE,
                })?;
                let wait = move || match watcher.wait(deadline) {
                    Ok(None) => Waited::Never,
                    Ok(Some(_)) if mechanism == Mechanism::SpinUnread => Waited::Arrived,
                    _ => Waited::Read,
                };
                exchange.run(shared, StoreLink { store, writer, keys: watched, wait })
            }
            Mechanism::Ring | Mechanism::Helper => {
                let notifier = mechanism.notifier().expect("a mechanism with a descriptor");
                let watcher = watcher(Duration::ZERO)?.pollable_by(notifier);
                let mut watcher = watcher.map_err(|error| failed(&error))?;
                let epoll = epoll_of(&watcher).map_err(|error| failed(&error))?;
                let patience = EpollTimeout::try_from(PATIENCE).unwrap_or(EpollTimeout::NONE);
                let wait = move || loop {
                    // As an event loop does: take what there is, and wait when that was all.
                    match watcher.try_next() {
                        Ok(None) => {
                            if wait_on(&epoll, patience) == Ok(0) || given_up() {
                                return Waited::Never;
                            }
                        }
                        Err(WatchError::Descriptor(_)) => return Waited::Never,
                        _ => return Waited::Read,
                    }
                };
                exchange.run(shared, StoreLink { store, writer, keys: watched, wait })
            }
            Mechanism::PollPaused | Mechanism::SpinPoll => {
                let [_, into] = polled;
                let mut epoch = store.epoch(into).map_err(|e| failed(&e))?;
                let wait = move || match store.poll_after(into, epoch, deadline) {
                    Ok(next) => {
                        epoch = next;
                        Waited::Read
                    }
                    Err(_) => Waited::Never,
                };
                exchange.run(shared, StoreLink { store, writer, keys: polled, wait })
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

/// Waits for an epoll's descriptor. Returns how many are ready: 0 when the time is over.
fn wait_on(epoll: &Epoll, patience: EpollTimeout) -> nix::Result<usize> {
    epoll.wait(&mut [EpollEvent::empty()], patience)
}

/// The result of a wait.
enum Waited {
    /// There may be a message: its value must be read.
    Read,
    /// There is one, and its value is not read.
    Arrived,
    /// There will be none.
    Never,
}

/// Messages as values of the store, and a way to wait for them.
struct StoreLink<'a, W> {
    store: &'a Store,
    writer: &'a mut Writer,
    /// The key that this side writes, and the one that it reads.
    keys: [&'static str; 2],
    wait: W,
}

impl<W: FnMut() -> Waited> Link for StoreLink<'_, W> {
    #[inline]
    fn send(&mut self, number: u64) {
        send(self.writer, self.keys[0], number);
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        loop {
            match (self.wait)() {
                Waited::Read if is_there(self.store, self.keys[1], number) => return true,
                Waited::Read => {}
                Waited::Arrived => return true,
                Waited::Never => return false,
            }
        }
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
