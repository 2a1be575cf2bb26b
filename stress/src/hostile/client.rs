//! A worker's client of the store under attack: its random arguments, the handles and watchers that it keeps between calls,
//! and its buffers, in which a call may change only what it was asked for.

use super::shared_state::HostileState;
use crate::raw::Raw;
use splinter::{
    BidTerms, Error, Handle, IntegerOp, Intent, PollableWatcher, Store, Version, Watcher, Writer,
};
use splinter_harness::rng::Rng;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Whether a call succeeded; `None` if the client lacked what the call needs, so that it was not made.
pub(super) type Answered = Option<bool>;

/// Bytes on both sides of every buffer that is handed out, which must not change.
pub(super) const MARGIN: usize = 64;
pub(super) const MARK: u8 = 0xc3;
/// The longest wait, in microseconds.
const WAIT_US: u64 = 300;
/// At most this many slots are filled at first, three in four of them.
pub(super) const FILLED: u64 = 40;
/// Orders of a tandem.
pub(super) const ORDERS: usize = 3;

/// The client.
pub(super) struct Client<'a> {
    pub(super) store: &'a Store,
    pub(super) raw: &'a Raw,
    pub(super) state: &'a HostileState,
    pub(super) number: usize,
    pub(super) scratch: &'a Path,
    pub(super) rng: Rng,
    pub(super) call: usize,
    pub(super) max: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) vector: Vec<f32>,
    pub(super) writer: Option<Writer>,
    pub(super) watchers: Vec<Watcher>,
    pub(super) pollable: Option<PollableWatcher>,
    pub(super) handles: Vec<Handle>,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        store: &'a Store,
        raw: &'a Raw,
        state: &'a HostileState,
        number: usize,
        scratch: &'a Path,
        rng: Rng,
    ) -> Self {
        let geometry = store.geometry();
        let max = geometry.max_value_len as usize;
        Self {
            store,
            raw,
            state,
            number,
            scratch,
            rng,
            call: 0,
            max,
            bytes: vec![MARK; max + 2 * MARGIN],
            vector: vec![0.0; geometry.vector_dim as usize],
            writer: None,
            watchers: Vec::new(),
            pollable: None,
            handles: Vec::new(),
        }
    }

    /// Draws a key: mostly one that was there at first, or an order of a tandem.
    pub(super) fn key(&mut self) -> String {
        let filled = self.raw.slots().min(FILLED as usize) as u64 * 3 / 4;
        let number = self.rng.below(filled + 2);
        match self.rng.below(8) {
            0 => format!("key{number}.1"),
            1 => format!("{number:063}"),
            _ => format!("key{number}"),
        }
    }

    pub(super) fn handle(&mut self) -> Option<Handle> {
        let at = self.rng.index(self.handles.len());
        self.handles.get(at).copied()
    }

    pub(super) fn group(&mut self) -> u8 {
        self.rng.below(64) as u8
    }

    pub(super) fn bid_id(&mut self) -> u32 {
        1 + self.rng.below(8) as u32
    }

    pub(super) fn terms(&mut self) -> BidTerms {
        BidTerms {
            intent: Intent::ALL[self.rng.index(Intent::ALL.len())],
            priority: self.rng.next_u64() as u8,
            duration: [0, 100_000, u64::MAX][self.rng.below(3) as usize],
        }
    }

    pub(super) fn deadline(&mut self) -> Option<Instant> {
        Some(Instant::now() + Duration::from_micros(self.rng.below(WAIT_US)))
    }

    /// Reads into a buffer that just holds the longest value.
    pub(super) fn read(&mut self, body: impl FnOnce(&mut [u8]) -> Result<usize, Error>) -> Answered {
        Some(self.read_into(self.max, body).is_ok())
    }

    /// Reads into a buffer of `len` bytes; the bytes on both sides of it may not change.
    pub(super) fn read_into(
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
        self.check(untouched && answer.is_ok_and(|got| got <= len) | answer.is_err());
        self.bytes.fill(MARK);
        answer
    }

    /// Checks that a length is not above the longest there can be.
    pub(super) fn bound(&mut self, len: usize) -> bool {
        self.check(len <= self.max)
    }

    pub(super) fn at_most_slots(&mut self, count: u64) -> bool {
        self.check(count <= self.raw.slots() as u64)
    }

    /// Counts an answer out of bounds if a condition does not hold.
    pub(super) fn check(&mut self, holds: bool) -> bool {
        if !holds {
            self.state.out_of_bounds(self.number, self.call);
        }
        holds
    }

    /// Calls a writer, if the store has one left.
    pub(super) fn write(&mut self, body: impl FnOnce(&mut Writer, &str, &[u8], u64) -> bool) -> Answered {
        let (key, word) = (self.key(), self.rng.next_u64());
        let len = word as usize % (self.max + 2);
        let len = if self.rng.below(2) == 0 { len % 40 } else { len };
        let bytes = vec![word as u8; len];
        if self.writer.is_none() {
            self.writer = self.store.writer().ok();
        }
        let writer = self.writer.as_mut()?;
        Some(body(writer, &key, &bytes, word >> 8))
    }

    /// Makes a change that returns its version, whose slot must be one of the store's.
    pub(super) fn change(
        &mut self,
        body: impl FnOnce(&mut Writer, &str, &[u8]) -> Result<Version, Error>,
    ) -> Answered {
        let (mut made, slots) = (None, self.raw.slots());
        let good = self.write(|writer, key, bytes, _| {
            made = body(writer, key, bytes).ok();
            made.is_some()
        });
        self.check(made.is_none_or(|version| (version.slot as usize) < slots));
        good
    }

    /// Calls every watcher, if there is any.
    pub(super) fn each_watcher(
        &mut self,
        mut body: impl FnMut(&mut Watcher, Option<Instant>) -> bool,
    ) -> Answered {
        let deadline = self.deadline();
        if self.rng.below(2) == 0 {
            for watcher in &mut self.watchers {
                watcher.set_spin(Duration::from_micros(self.rng.below(20)));
            }
        }
        let answers = self.watchers.iter_mut().map(|watcher| body(watcher, deadline));
        answers.reduce(|all, one| all & one)
    }

    /// Uses a store that was just opened, if it was.
    pub(super) fn use_opened(&mut self, store: Option<Store>) -> bool {
        let Some(store) = store else { return false };
        let mut bytes = vec![0; store.geometry().max_value_len.min(1 << 20) as usize];
        let keys: Vec<_> = store.keys().take(50).collect();
        for key in &keys {
            let _ = (store.get(key, &mut bytes), store.snapshot(key));
            let _ = store.tandem(key, &mut [const { Vec::new() }; ORDERS]);
        }
        let _ = (store.len(), store.inspect(), store.header(), store.bids().list());
        if let Ok(mut writer) = store.writer() {
            for key in &keys {
                let _ = (writer.append(key, b"x"), writer.bump(key));
                let _ = (writer.integer(key, IntegerOp::Inc(1)), writer.unset(key));
            }
            let _ = (writer.set("opened", b"x"), writer.purge());
        }
        true
    }

    /// Makes the bytes of a file: noise, or a copy of the store as it is, whole or cut short.
    pub(super) fn forge_file(&mut self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self.rng.below(4) {
            0 => (0..self.rng.below(20_000)).map(|_| self.rng.next_u64() as u8).collect(),
            _ => {
                let words = self.raw.words().iter().take(1 << 16);
                words.flat_map(|word| word.load(Relaxed).to_le_bytes()).collect()
            }
        };
        if self.rng.below(3) == 0 {
            bytes.truncate(self.rng.below(bytes.len() as u64 + 1) as usize);
        }
        bytes
    }
}
