//! Every operation of the public API, as a worker calls it on a store under attack. Any answer is right
//! but one beyond its bounds; what is not right either is a panic, a fault or a call that does not return,
//! and those the parent sees.

use super::board::Board;
use crate::raw::Raw;
use crate::rng::Rng;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{
    Advice, BidTerms, Error, Handle, IntegerOp, Intent, Location, Notifier, Patience,
    PollableWatcher, Scrub, Store, Type, Watcher, Writer,
};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Whether a call gave an answer, and none of those that say that there is none.
type Answered = bool;
/// A call, by its name.
type Call = (&'static str, fn(&mut Caller<'_>) -> Answered);

/// Bytes on both sides of every buffer that is handed out, which must stay as they are.
const MARGIN: usize = 64;
const MARK: u8 = 0xc3;
/// The longest wait, in microseconds.
const WAIT_US: u64 = 300;
/// Of so many slots, at most, three in four hold a key at first.
pub(super) const FILLED: u64 = 40;
/// Orders of a tandem.
const ORDERS: usize = 3;

/// The calls. What is rare, or slow, stands at the end.
pub(super) const CALLS: [Call; 66] = [
    ("get", |c| {
        let (store, key) = (c.store, c.key());
        c.read(|buf| store.get(&key, buf))
    }),
    ("get_short", |c| {
        let (store, key) = (c.store, c.key());
        let short = c.rng.below(16) as usize;
        match c.read_into(short, |buf| store.get(&key, buf)) {
            Err(Error::BufferTooSmall { needed }) => {
                c.bound(needed);
                false
            }
            answer => answer.is_ok(),
        }
    }),
    ("get_vec", |c| match c.store.get_vec(c.key()) {
        Ok(value) => c.bound(value.len()),
        Err(_) => false,
    }),
    ("get_u64", |c| c.store.get_u64(c.key()).is_ok()),
    ("get_with", |c| {
        match c
            .store
            .get_with(c.key(), |value| (value.len(), value.epoch()))
        {
            Ok((len, _)) => c.bound(len),
            Err(_) => false,
        }
    }),
    ("view", |c| {
        let (store, key) = (c.store, c.key());
        let Ok(view) = store.view(&key) else {
            return false;
        };
        let (len, index) = (view.len(), c.rng.below(1 << 20) as usize);
        let bytes = view.bytes().count();
        let _ = (
            view.is_current(),
            view.epoch(),
            view.word(index),
            view.word(0),
        );
        c.bound(len) && c.bound(bytes) && c.read(|buf| Ok(view.copy_to(buf)))
    }),
    ("value_len", |c| match c.store.value_len(c.key()) {
        Ok(len) => c.bound(len),
        Err(_) => false,
    }),
    ("contains", |c| c.store.contains(c.key()).is_ok()),
    ("epoch", |c| c.store.epoch(c.key()).is_ok()),
    ("vector", |c| {
        let (store, key) = (c.store, c.key());
        store.vector(&key, &mut c.vector).is_ok()
    }),
    ("get_many", |c| {
        let (store, max) = (c.store, c.max);
        let keys: Vec<String> = (0..c.rng.below(20)).map(|_| c.key()).collect();
        let mut bytes = vec![MARK; keys.len() * max + MARGIN];
        let mut answers = vec![Ok(0); keys.len()];
        let room = keys.len() * max;
        store.get_many(&keys, &mut bytes[..room], max, &mut answers);
        let whole = bytes[room..].iter().all(|byte| *byte == MARK);
        let longest = answers.iter().flatten().max().copied().unwrap_or(0);
        c.hold(whole) && c.bound(longest)
    }),
    ("resolve", |c| match c.store.resolve(c.key()) {
        Ok(handle) => {
            c.handles.push(handle);
            let excess = c.handles.len().saturating_sub(8);
            c.handles.drain(..excess);
            true
        }
        Err(_) => false,
    }),
    ("get_at", |c| {
        let (store, handle) = (c.store, c.handle());
        handle.is_some_and(|handle| c.read(|buf| store.get_at(&handle, buf)))
    }),
    ("snapshot", |c| match c.store.snapshot(c.key()) {
        Ok(slot) => {
            let arena_len = c.store.arena_len();
            c.hold(slot.value_offset < arena_len) && c.bound(slot.value_len)
        }
        Err(_) => false,
    }),
    ("tandem", |c| {
        let (store, key) = (c.store, c.key());
        let mut values = vec![Vec::new(); 1 + c.rng.below(5) as usize];
        if store.tandem(&key, &mut values).is_err() {
            return false;
        }
        values.iter().all(|value| c.bound(value.len()))
    }),
    ("for_each_label", |c| {
        let (mask, mut met) = (c.rng.next_u64() & c.rng.next_u64(), 0);
        c.store.for_each_label(mask, |_, _| met += 1);
        c.at_most_slots(met)
    }),
    ("keys", |c| {
        let count = c.store.keys().count() as u64;
        c.at_most_slots(count)
    }),
    ("len", |c| {
        let count = c.store.len();
        let _ = c.store.is_empty();
        c.at_most_slots(count)
    }),
    ("header", |c| {
        let header = c.store.header();
        let _ = (c.store.scrub(), c.store.user_flags(), c.store.auto_vacuum());
        let geometry = c.store.geometry();
        c.hold(header.geometry == geometry)
    }),
    ("poll", |c| {
        let (key, deadline) = (c.key(), c.deadline());
        c.store.poll(key, deadline).is_ok()
    }),
    ("poll_after", |c| {
        let (key, deadline, epoch) = (c.key(), c.deadline(), c.rng.next_u64());
        c.store.poll_after(key, epoch, deadline).is_ok()
    }),
    ("try_next", |c| {
        c.hear(|watcher, _| watcher.try_next().is_ok())
    }),
    ("wait", |c| {
        c.hear(|watcher, deadline| watcher.wait(deadline).is_ok())
    }),
    ("resync", |c| {
        let mut most = 0;
        let good = c.hear(|watcher, _| {
            let mut met = 0;
            watcher.resync(|_| met += 1);
            most = met.max(most);
            true
        });
        c.at_most_slots(most) & good
    }),
    ("signal_count", |c| {
        let group = c.group();
        c.store.signal_count(group).is_some()
    }),
    ("pollable_next", |c| {
        let Some(pollable) = &mut c.pollable else {
            return false;
        };
        (0..70)
            .take_while(|_| matches!(pollable.try_next(), Ok(Some(_))))
            .count()
            > 0
    }),
    ("pollable_wait", |c| {
        let Some(pollable) = &c.pollable else {
            return false;
        };
        let event = EpollEvent::new(EpollFlags::EPOLLIN, 0);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let added = epoll.and_then(|epoll| epoll.add(pollable, event).map(|()| epoll));
        let timeout = EpollTimeout::from(c.rng.below(2) as u8);
        added.is_ok_and(|epoll| epoll.wait(&mut [EpollEvent::empty()], timeout) == Ok(1))
    }),
    ("pollable_resync", |c| match &mut c.pollable {
        Some(pollable) => {
            pollable.resync(|_| ());
            true
        }
        None => false,
    }),
    ("set", |c| {
        c.write(|writer, key, body, _| writer.set(key, body).is_ok())
    }),
    ("set_again", |c| {
        c.write(|writer, key, body, _| writer.set(key, body).is_ok())
    }),
    ("set_at", |c| {
        let handle = c.handle();
        c.write(|writer, _, body, _| handle.is_some_and(|at| writer.set_at(&at, body).is_ok()))
    }),
    ("set_many", |c| {
        c.write(|writer, key, body, word| {
            let other = format!("key{}", word % 40);
            let pairs = [(key, body), (&other, &body[..body.len() / 2])];
            let mut answers = [Ok(()), Ok(())];
            writer.set_many(&pairs, &mut answers);
            answers.iter().all(Result::is_ok)
        })
    }),
    ("append", |c| {
        c.write(|writer, key, body, _| writer.append(key, body).is_ok())
    }),
    ("unset", |c| {
        c.write(|writer, key, _, _| writer.unset(key).is_ok())
    }),
    ("bump", |c| {
        c.write(|writer, key, _, _| writer.bump(key).is_ok())
    }),
    ("integer", |c| {
        c.write(|writer, key, _, word| writer.integer(key, operation(word)).is_ok())
    }),
    ("integer_at", |c| {
        let handle = c.handle();
        c.write(|writer, _, _, word| {
            handle.is_some_and(|at| writer.integer_at(&at, operation(word)).is_ok())
        })
    }),
    ("set_u64", |c| {
        c.write(|writer, key, _, word| writer.set_u64(key, word).is_ok())
    }),
    ("set_type", |c| {
        c.write(|writer, key, _, word| {
            writer
                .set_type(key, Type::ALL[word as usize % Type::ALL.len()])
                .is_ok()
        })
    }),
    ("label", |c| {
        c.write(|writer, key, _, word| writer.label(key, word).is_ok())
    }),
    ("unlabel", |c| {
        c.write(|writer, key, _, word| writer.unlabel(key, word).is_ok())
    }),
    ("register", |c| {
        c.write(|writer, key, _, word| writer.register(key, word as u8 & 63).is_ok())
    }),
    ("unregister", |c| {
        c.write(|writer, key, _, word| writer.unregister(key, word as u8 & 63).is_ok())
    }),
    ("pulse", |c| {
        c.write(|writer, key, _, _| writer.pulse(key).is_ok())
    }),
    ("slot_flags", |c| {
        c.write(|writer, key, _, word| {
            writer.set_slot_flags(key, word as u16).is_ok()
                & writer.clear_slot_flags(key, (word >> 16) as u16).is_ok()
        })
    }),
    ("times", |c| {
        c.write(|writer, key, _, word| {
            writer.set_ctime(key, word, 1).is_ok() & writer.set_atime(key, !word, 1).is_ok()
        })
    }),
    ("set_vector", |c| {
        let vector = vec![1.5; c.store.geometry().vector_dim as usize];
        c.write(|writer, key, _, _| writer.set_vector(key, &vector).is_ok())
    }),
    ("clear_vector", |c| {
        c.write(|writer, key, _, _| writer.clear_vector(key).is_ok())
    }),
    ("set_tandem", |c| {
        c.write(|writer, key, body, _| writer.set_tandem(key, &[body; ORDERS]).is_ok())
    }),
    ("unset_tandem", |c| {
        c.write(|writer, key, _, word| writer.unset_tandem(key, 1 + word as usize % 4).is_ok())
    }),
    ("purge", |c| {
        let slots = c.store.geometry().slots;
        c.write(|writer, _, _, _| writer.purge().is_ok_and(|wiped| wiped <= slots))
    }),
    ("writer", |c| {
        c.writer = None;
        c.writer = c.store.writer().ok();
        c.writer.is_some()
    }),
    ("watch", |c| {
        let groups: Vec<u8> = (0..=c.rng.below(4)).map(|_| c.group()).collect();
        let watcher = match c.rng.below(2) {
            0 => c.store.watch_all(),
            _ => c.store.watch(&groups),
        };
        let good = watcher.is_ok();
        c.watchers.extend(watcher);
        let excess = c.watchers.len().saturating_sub(3);
        c.watchers.drain(..excess);
        good
    }),
    ("pollable", |c| {
        c.pollable = None;
        let notifier = [Notifier::IoUring, Notifier::HelperThread][c.rng.below(2) as usize];
        let group = c.group();
        let watcher = c.store.watch(&[group]);
        c.pollable = watcher
            .and_then(|watcher| watcher.pollable_by(notifier))
            .ok();
        c.pollable.is_some()
    }),
    ("route_labels", |c| {
        let (mask, group) = (c.rng.next_u64(), c.group());
        c.store.register_labels(mask, group).is_ok()
            & c.store.unregister_labels(mask >> 1, group).is_ok()
    }),
    ("flags", |c| {
        let (mask, level) = (c.rng.next_u64() as u16, c.rng.below(3) as usize);
        c.store.set_user_flags(mask).is_ok()
            & c.store.clear_user_flags(!mask).is_ok()
            & c.store.set_scrub(Scrub::ALL[level]).is_ok()
            & c.store.report_parse_failure().is_ok()
    }),
    ("claim_bid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        c.store.claim_bid(id, terms).is_ok()
    }),
    ("rebid", |c| {
        let (id, terms) = (c.bid_id(), c.terms());
        c.store.rebid(id, terms).is_ok()
    }),
    ("release_bid", |c| {
        let id = c.bid_id();
        match c.rng.below(2) {
            0 => c.store.release_bid(id).is_ok(),
            _ => c.store.release_bid_as_supervisor(id).is_ok(),
        }
    }),
    ("bids", |c| {
        let id = c.bid_id();
        let bids = c.store.bids().map_or(0, |bids| bids.len());
        let _ = (c.store.election(), c.store.is_sovereign(id));
        c.hold(bids <= 32)
    }),
    ("advise", |c| {
        let (id, len) = (c.bid_id(), c.store.arena_len());
        let patience = match c.deadline() {
            Some(deadline) if c.rng.below(2) == 0 => Patience::Until(deadline),
            _ => Patience::Defer,
        };
        let range = c.rng.below(len)..len;
        c.store.advise(id, range, Advice::Random, patience).is_ok()
    }),
    ("inspect", |c| match c.store.inspect() {
        Ok(found) => c.at_most_slots(found.keys),
        Err(_) => false,
    }),
    ("residency", |c| {
        c.store.residency().is_ok() & c.store.flush().is_ok()
    }),
    ("open_fd", |c| {
        let fd = c.store.fd().try_clone_to_owned();
        let store = fd.ok().and_then(|fd| Store::from_fd(fd).ok());
        c.tour(store)
    }),
    ("open_read_only", |c| {
        let path = format!("/proc/self/fd/{}", c.store.fd().as_raw_fd());
        let store = File::open(path).ok();
        let store = store.and_then(|file| Store::from_fd(OwnedFd::from(file)).ok());
        c.tour(store)
    }),
    ("open_file", |c| {
        let bytes = c.forge();
        if std::fs::write(c.scratch, bytes).is_err() {
            return false;
        }
        let store = Store::open(&Location::file(c.scratch)).ok();
        c.tour(store)
    }),
];

/// Calls that take long, since they walk through all there is, and how often they are passed over.
const SLOW: [&str; 8] = [
    "purge",
    "inspect",
    "residency",
    "open_fd",
    "open_read_only",
    "open_file",
    "pollable",
    "keys",
];
const PASS_OVER: u64 = 15;

/// One who calls.
pub(super) struct Caller<'a> {
    store: &'a Store,
    raw: &'a Raw,
    board: &'a Board,
    number: usize,
    scratch: &'a Path,
    rng: Rng,
    calling: usize,
    max: usize,
    bytes: Vec<u8>,
    vector: Vec<f32>,
    writer: Option<Writer>,
    watchers: Vec<Watcher>,
    pollable: Option<PollableWatcher>,
    handles: Vec<Handle>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(
        store: &'a Store,
        raw: &'a Raw,
        board: &'a Board,
        number: usize,
        scratch: &'a Path,
        rng: Rng,
    ) -> Self {
        let geometry = store.geometry();
        let max = geometry.max_value_len as usize;
        Self {
            store,
            raw,
            board,
            number,
            scratch,
            rng,
            calling: 0,
            max,
            bytes: vec![MARK; max + 2 * MARGIN],
            vector: vec![0.0; geometry.vector_dim as usize],
            writer: None,
            watchers: Vec::new(),
            pollable: None,
            handles: Vec::new(),
        }
    }

    /// Calls everything in any order until told to end.
    pub(super) fn call(&mut self) {
        while !self.board.is_stopped() {
            let call = self.rng.below(CALLS.len() as u64) as usize;
            let (name, body) = CALLS[call];
            if SLOW.contains(&name) && self.rng.below(PASS_OVER) > 0 {
                continue;
            }
            self.calling = call;
            self.board.begin(self.number, call);
            let good = body(self);
            self.board.end(self.number, call, good);
        }
    }

    /// Draws a key: mostly one that was there, or an order of a tandem.
    fn key(&mut self) -> String {
        let filled = self.raw.slots().min(FILLED as usize) as u64 * 3 / 4;
        let number = self.rng.below(filled + 2);
        match self.rng.below(8) {
            0 => format!("key{number}.1"),
            1 => format!("{number:063}"),
            _ => format!("key{number}"),
        }
    }

    fn handle(&mut self) -> Option<Handle> {
        let at = self.rng.below(self.handles.len() as u64) as usize;
        self.handles.get(at).copied()
    }

    fn group(&mut self) -> u8 {
        self.rng.below(64) as u8
    }

    fn bid_id(&mut self) -> u32 {
        1 + self.rng.below(8) as u32
    }

    fn terms(&mut self) -> BidTerms {
        BidTerms {
            intent: Intent::ALL[self.rng.below(Intent::ALL.len() as u64) as usize],
            priority: self.rng.next_u64() as u8,
            duration: [0, 100_000, u64::MAX][self.rng.below(3) as usize],
        }
    }

    fn deadline(&mut self) -> Option<Instant> {
        Some(Instant::now() + Duration::from_micros(self.rng.below(WAIT_US)))
    }

    /// Reads into a buffer that holds the longest value, and nothing more.
    fn read(&mut self, body: impl FnOnce(&mut [u8]) -> Result<usize, Error>) -> Answered {
        self.read_into(self.max, body).is_ok()
    }

    /// Reads into a buffer of `len` bytes, of which neither side may change.
    fn read_into(
        &mut self,
        len: usize,
        body: impl FnOnce(&mut [u8]) -> Result<usize, Error>,
    ) -> Result<usize, Error> {
        let len = len.min(self.max);
        let whole = MARGIN..MARGIN + len;
        let answer = body(&mut self.bytes[whole.clone()]);
        let outside = [0..whole.start, whole.end..whole.end + MARGIN];
        let untouched = |range: Range<usize>| self.bytes[range].iter().all(|byte| *byte == MARK);
        let untouched = outside.into_iter().all(untouched);
        self.hold(untouched && answer.is_ok_and(|got| got <= len) | answer.is_err());
        self.bytes.fill(MARK);
        answer
    }

    /// Holds a length against the longest there can be.
    fn bound(&mut self, len: usize) -> Answered {
        self.hold(len <= self.max)
    }

    fn at_most_slots(&mut self, count: u64) -> Answered {
        self.hold(count <= self.raw.slots() as u64)
    }

    /// Counts what does not hold.
    fn hold(&mut self, holds: bool) -> Answered {
        if !holds {
            self.board.beyond(self.number, self.calling);
        }
        holds
    }

    fn write(&mut self, body: impl FnOnce(&mut Writer, &str, &[u8], u64) -> Answered) -> Answered {
        let (key, word) = (self.key(), self.rng.next_u64());
        let len = word as usize % (self.max + 2);
        let len = if self.rng.below(2) == 0 {
            len % 40
        } else {
            len
        };
        let bytes = vec![word as u8; len];
        if self.writer.is_none() {
            self.writer = self.store.writer().ok();
        }
        let writer = self.writer.as_mut();
        writer.is_some_and(|writer| body(writer, &key, &bytes, word >> 8))
    }

    fn hear(
        &mut self,
        mut body: impl FnMut(&mut Watcher, Option<Instant>) -> Answered,
    ) -> Answered {
        let deadline = self.deadline();
        if self.rng.below(2) == 0 {
            for watcher in &mut self.watchers {
                watcher.set_spin(Duration::from_micros(self.rng.below(20)));
            }
        }
        let answers = self
            .watchers
            .iter_mut()
            .map(|watcher| body(watcher, deadline));
        answers.fold(true, |all, one| all & one)
    }

    /// Looks around in a store that was just opened, if it was.
    fn tour(&mut self, store: Option<Store>) -> Answered {
        let Some(store) = store else { return false };
        let mut bytes = vec![0; store.geometry().max_value_len.min(1 << 20) as usize];
        let keys: Vec<_> = store.keys().take(50).collect();
        for key in &keys {
            let _ = (store.get(key, &mut bytes), store.snapshot(key));
            let _ = store.tandem(key, &mut [const { Vec::new() }; ORDERS]);
        }
        let _ = (store.len(), store.inspect(), store.header(), store.bids());
        if let Ok(mut writer) = store.writer() {
            for key in &keys {
                let _ = (writer.append(key, b"x"), writer.bump(key));
                let _ = (writer.integer(key, IntegerOp::Inc(1)), writer.unset(key));
            }
            let _ = (writer.set("toured", b"x"), writer.purge());
        }
        true
    }

    /// Makes the bytes of a file: noise, or a copy of the store as it is, whole or cut short.
    fn forge(&mut self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self.rng.below(4) {
            0 => (0..self.rng.below(20_000))
                .map(|_| self.rng.next_u64() as u8)
                .collect(),
            _ => {
                let words = self.raw.words().iter().take(1 << 16);
                words
                    .flat_map(|word| word.load(Relaxed).to_le_bytes())
                    .collect()
            }
        };
        if self.rng.below(3) == 0 {
            bytes.truncate(self.rng.below(bytes.len() as u64 + 1) as usize);
        }
        bytes
    }
}

fn operation(word: u64) -> IntegerOp {
    match word % 6 {
        0 => IntegerOp::And(word),
        1 => IntegerOp::Or(word),
        2 => IntegerOp::Xor(word),
        3 => IntegerOp::Not,
        4 => IntegerOp::Inc(word),
        _ => IntegerOp::Dec(word),
    }
}
