//! Stores the chunks and the index of a text as a tandem, and removes the chunks of an older text.

use crate::retry::{BUSY_PAUSE, BUSY_TIMEOUT, retry_busy};
use crate::stdio::print_stderr;
use crate::wait::POLL_INTERVAL;
use serde_json::Value;
use splinter::{Error, Expect, Lifetime, MAX_ORDERS, SlotSnapshot, Store, Transaction, Type, Writer};
use std::io::{self, IsTerminal};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// The label of an index.
pub(crate) const INDEX_LABEL: u64 = 0x400;
/// How long a new key stays if this process dies before the key has its value.
const RESERVED: Duration = Duration::from_secs(60);
/// The most chunks that a transaction sets or removes besides the index.
const BATCH: usize = MAX_ORDERS - 1;
/// After how many keys to look whether Ctrl-C was pressed.
const CHECK_INTERVAL: usize = 1024;
/// How often to tell how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Returns the key of an order.
pub(crate) fn name(base: &[u8], order: usize) -> Vec<u8> {
    match order {
        0 => base.to_vec(),
        _ => [base, b".", order.to_string().as_bytes()].concat(),
    }
}

/// What a key of the tandem becomes.
pub(crate) struct Part<'t> {
    pub(crate) key: Vec<u8>,
    pub(crate) value: &'t [u8],
    pub(crate) kind: Type,
    pub(crate) label: u64,
}

/// Why a text was not stored.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// The store refused this key.
    Refused(Vec<u8>, Error),
    /// Another process changed the index between two transactions.
    Overtaken,
    /// Ctrl-C was pressed.
    Interrupted,
}

/// A key as it was found or made for the transaction.
#[derive(Clone, Copy)]
struct Found {
    epoch: u64,
    kind: Type,
}

/// A chunk of an older text that the new one does not need, as it was found.
#[derive(Clone, Debug, PartialEq)]
struct Surplus {
    key: Vec<u8>,
    epoch: u64,
}

/// The chunks and the index of a text, while they are stored.
///
/// A transaction sets values and labels, but no types. So new keys are made before it, with their types, without a
/// value, and with a deadline in case that this process dies. Groups hear of nothing before the last transaction, and of
/// each key after it: a transaction signals a group once for all of its keys.
///
/// If there is more than one transaction, all expect the epoch that this process gave the index before the first. So of
/// several processes the one that did so last stores its text. The others find the index changed, wait for that one, and
/// start over.
pub(crate) struct Tandem<'t> {
    /// The chunks, and the index as the last.
    parts: &'t [Part<'t>],
    /// Tells whether Ctrl-C was pressed.
    is_interrupted: &'t dyn Fn() -> bool,
    /// The parts' keys as they are, as far as this process knows.
    found: Vec<Found>,
    /// The epochs of the parts whose keys were made for this.
    made: Vec<Option<u64>>,
    /// Whether there is more than one transaction.
    is_long: bool,
    /// The index's value before.
    before: Vec<u8>,
    /// How many parts have their new values, as far as the index is as before.
    stored: usize,
    /// How many chunks of an older text were removed.
    removed: u64,
    progress: Progress,
}

impl<'t> Tandem<'t> {
    pub(crate) fn new(parts: &'t [Part<'t>], is_interrupted: &'t dyn Fn() -> bool) -> Self {
        let (made, progress) = (vec![None; parts.len()], Progress::new(parts.len()));
        Self {
            parts,
            is_interrupted,
            found: Vec::with_capacity(parts.len()),
            made,
            is_long: false,
            before: Vec::new(),
            stored: 0,
            removed: 0,
            progress,
        }
    }

    /// Stores all parts, and removes the chunks of an older text that remain. Returns how many it removed. After a
    /// failure the keys made for this are removed.
    pub(crate) fn store(&mut self, writer: &mut Writer) -> Result<u64, Stop> {
        let mut patience = BUSY_TIMEOUT;
        let mut stored = self.try_store(writer);
        while stored == Err(Stop::Overtaken) {
            // The other process overwrites what this one stored.
            self.stored = 0;
            stored = self.wait(writer, patience).and_then(|()| self.try_store(writer));
            // Or two long texts could overtake each other for ever.
            patience = patience.saturating_mul(2);
        }
        if let Err(stop) = stored {
            self.clean_up(writer);
            return Err(stop);
        }
        for part in self.parts {
            // A key that was removed since is no news.
            let _ = writer.pulse(&part.key);
        }
        Ok(self.removed)
    }

    /// Returns how many chunks have their new values after a failure, though the index is as before.
    pub(crate) fn stored(&self) -> usize {
        self.stored
    }

    /// Stores all parts. Tries again while others change its keys, or hold them.
    fn try_store(&mut self, writer: &mut Writer) -> Result<(), Stop> {
        retry(|| {
            self.attempt(writer).map_err(|stop| match stop {
                // Another writer was faster, or a cache evicted the key.
                Stop::Refused(key, Error::Changed { .. } | Error::NotFound) => {
                    Stop::Refused(key, Error::Again)
                }
                stop => stop,
            })
        })
    }

    /// Stores all parts once.
    fn attempt(&mut self, writer: &mut Writer) -> Result<(), Stop> {
        let (last, mut gone) = writer.quietly(|writer| self.prepare(writer))?;
        // Groups hear of this one: if this process died behind it, nobody else would tell them.
        self.commit(writer, last, &mut gone)
    }

    /// Does all that comes before the last transaction. Returns the parts of that, and the chunks that it removes.
    fn prepare(&mut self, writer: &mut Writer) -> Result<(Range<usize>, Vec<Surplus>), Stop> {
        self.found.clear();
        for place in 0..self.parts.len() {
            self.check(place)?;
            let found = self.find_or_make(writer, place)?;
            self.found.push(found);
            self.progress.note("prepared", place);
        }
        let mut surplus = self.surplus(writer)?;
        for place in 0..self.parts.len() {
            self.check(place)?;
            if self.found[place].kind != self.parts[place].kind {
                self.set_type(writer, place)?;
            }
        }
        let (index, mut from) = (self.parts.len() - 1, 0);
        self.is_long = self.parts.len() + surplus.len() > MAX_ORDERS;
        if self.is_long {
            self.set_type(writer, index)?;
        }
        while index - from > BATCH {
            self.check(0)?;
            self.commit(writer, from..from + BATCH, &mut Vec::new())?;
            from += BATCH;
        }
        // The highest first: the old index names those that are left, also if this process dies.
        let room = MAX_ORDERS - (self.parts.len() - from);
        while surplus.len() > room {
            self.check(0)?;
            let mut gone = surplus.split_off(room.max(surplus.len().saturating_sub(BATCH)));
            self.commit(writer, 0..0, &mut gone)?;
        }
        self.check(0)?;
        Ok((from..self.parts.len(), surplus))
    }

    /// Fails if Ctrl-C was pressed. Looks once in a while, as `count` says.
    fn check(&self, count: usize) -> Result<(), Stop> {
        let is_due = count.is_multiple_of(CHECK_INTERVAL);
        if is_due && (self.is_interrupted)() { Err(Stop::Interrupted) } else { Ok(()) }
    }

    /// Finds a part's key, or makes it if it is missing.
    fn find_or_make(&mut self, writer: &mut Writer, place: usize) -> Result<Found, Stop> {
        let part = &self.parts[place];
        let refused = |error| Stop::Refused(part.key.clone(), error);
        match writer.snapshot(&part.key) {
            Ok(slot) => return Ok(Found { epoch: slot.epoch, kind: slot.kind }),
            Err(Error::NotFound) => {}
            Err(error) => return Err(refused(error)),
        }
        let made = writer.set_with(&part.key, b"", Expect::Absent, Lifetime::For(RESERVED));
        let epoch = made.map_err(refused)?.epoch;
        self.made[place] = Some(epoch);
        let typed = writer.set_type_if(&part.key, part.kind, Expect::Epoch(epoch)).map_err(refused)?;
        self.made[place] = Some(typed.epoch);
        Ok(Found { epoch: typed.epoch, kind: part.kind })
    }

    /// Gives a part's key its type, and a new epoch, if it is as it was found. Before the transaction, since the epoch
    /// that this returns is what the transaction expects: no other writer can change the type in between.
    fn set_type(&mut self, writer: &mut Writer, place: usize) -> Result<(), Stop> {
        let (part, expect) = (&self.parts[place], Expect::Epoch(self.found[place].epoch));
        let typed = retry_busy(|| writer.set_type_if(&part.key, part.kind, expect));
        let epoch = typed.map_err(|error| Stop::Refused(part.key.clone(), error))?.epoch;
        if self.made[place] == Some(self.found[place].epoch) {
            self.made[place] = Some(epoch);
        }
        self.found[place] = Found { epoch, kind: part.kind };
        Ok(())
    }

    /// Returns the chunks that an older index names and the new text does not need, with their epochs.
    fn surplus(&mut self, store: &Store) -> Result<Vec<Surplus>, Stop> {
        let index = self.parts.len() - 1;
        let base = &self.parts[index].key;
        let refused = |key: &[u8], error| Stop::Refused(key.to_vec(), error);
        let old = store.content(base).map_err(|error| refused(base, error))?;
        if old.slot.epoch != self.found[index].epoch {
            return Err(refused(base, Error::Again));
        }
        let is_index = old.slot.kind == Type::Json && old.slot.labels & INDEX_LABEL != 0;
        let count = if is_index { chunks_named(&old.value, store.geometry().slots) } else { 0 };
        self.before = old.value;
        let mut surplus = Vec::new();
        for order in self.parts.len()..=count {
            self.check(order)?;
            let key = name(base, order);
            match store.snapshot(&key) {
                Ok(slot) if is_chunk(&slot) => surplus.push(Surplus { key, epoch: slot.epoch }),
                Ok(_) | Err(Error::NotFound) => {}
                Err(Error::KeyTooLong) => break,
                Err(error) => return Err(refused(&key, error)),
            }
        }
        Ok(surplus)
    }

    /// Sets the values and labels of some parts, and removes other chunks, all at once. Takes the chunks of a long text as
    /// they are if others changed them meanwhile, but not the index.
    fn commit(
        &mut self,
        writer: &mut Writer,
        places: Range<usize>,
        gone: &mut Vec<Surplus>,
    ) -> Result<(), Stop> {
        retry(|| match self.commit_once(writer, places.clone(), gone) {
            Err(Stop::Refused(key, Error::Changed { .. } | Error::NotFound)) if self.is_long => {
                writer.quietly(|writer| self.renew(writer, places.clone(), gone))?;
                Err(Stop::Refused(key, Error::Again))
            }
            done => done,
        })
    }

    fn commit_once(
        &mut self,
        writer: &mut Writer,
        places: Range<usize>,
        gone: &[Surplus],
    ) -> Result<(), Stop> {
        let (parts, index) = (self.parts, self.parts.len() - 1);
        let mut transaction = Transaction::new();
        for (part, found) in parts[places.clone()].iter().zip(&self.found[places.clone()]) {
            transaction.key(&part.key).expect(Expect::Epoch(found.epoch)).set(part.value).label(part.label);
        }
        for Surplus { key, epoch } in gone {
            transaction.key(key).expect(Expect::Epoch(*epoch)).unset();
        }
        // The same if this transaction has the index already.
        transaction.key(&parts[index].key).expect(Expect::Epoch(self.found[index].epoch));
        let outcomes = writer.commit(&transaction).map_err(|refusal| {
            let keys = parts[places.clone()].iter().map(|part| &part.key);
            let mut keys = keys.chain(gone.iter().map(|chunk| &chunk.key)).chain([&parts[index].key]);
            Stop::Refused(keys.nth(refusal.place).cloned().unwrap_or_default(), refusal.error)
        })?;
        for (place, outcome) in places.clone().zip(&outcomes) {
            let epoch = outcome.version.map_or(self.found[place].epoch, |version| version.epoch);
            self.found[place].epoch = epoch;
            // What was made stays this process's, to be removed if the index does not come.
            self.made[place] = self.made[place].map(|_| epoch);
        }
        self.stored = self.stored.max(places.end);
        self.removed += gone.len() as u64;
        self.progress.note("stored", places.end);
        Ok(())
    }

    /// Finds the chunks of a transaction again that others changed or removed. Fails if the index is another one by now.
    fn renew(
        &mut self,
        writer: &mut Writer,
        places: Range<usize>,
        gone: &mut Vec<Surplus>,
    ) -> Result<(), Stop> {
        let index = self.parts.len() - 1;
        let key = &self.parts[index].key;
        match writer.snapshot(key) {
            Ok(slot) if slot.epoch == self.found[index].epoch => {}
            Ok(_) | Err(Error::NotFound) => return Err(Stop::Overtaken),
            Err(error) => return Err(Stop::Refused(key.clone(), error)),
        }
        for place in places.start..places.end.min(index) {
            self.found[place] = self.find_or_make(writer, place)?;
            if self.found[place].kind != self.parts[place].kind {
                self.set_type(writer, place)?;
            }
        }
        gone.retain_mut(|chunk| match writer.snapshot(&chunk.key) {
            Ok(slot) => {
                chunk.epoch = slot.epoch;
                is_chunk(&slot)
            }
            Err(error) => error != Error::NotFound,
        });
        Ok(())
    }

    /// Waits until the process that overtook this one has stored its index, for as long as `patience` at most.
    fn wait(&self, store: &Store, patience: Duration) -> Result<(), Stop> {
        let (key, deadline) = (&self.parts[self.parts.len() - 1].key, Instant::now() + patience);
        while Instant::now() < deadline {
            self.check(0)?;
            match store.content(key) {
                // Only its epoch changed, by which another process began.
                Ok(index) if index.value == self.before => {
                    let until = deadline.min(Instant::now() + POLL_INTERVAL);
                    let _ = store.poll_after(key, index.slot.epoch, Some(until));
                }
                Err(Error::Again) => thread::sleep(BUSY_PAUSE),
                _ => break,
            }
        }
        Ok(())
    }

    /// Removes the keys that were made for a text that is not stored.
    fn clean_up(&mut self, writer: &mut Writer) {
        let mut left = 0;
        for (place, (part, made)) in self.parts.iter().zip(&mut self.made).enumerate() {
            let is_removed = made.take().is_some_and(|epoch| {
                // A key that has changed since is another's.
                let expect = Expect::Epoch(epoch);
                writer.quietly(|writer| retry_busy(|| writer.unset_if(&part.key, expect))).is_ok()
            });
            left += usize::from(place < self.stored && !is_removed);
        }
        self.stored = left;
    }
}

/// Tries again while a key is busy, for a moment.
fn retry<T>(mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<T, Stop> {
    let mut busy = Vec::new();
    let done = retry_busy(|| match attempt() {
        Err(Stop::Refused(key, Error::Again)) => {
            busy = key;
            Err(Error::Again)
        }
        done => Ok(done),
    });
    done.unwrap_or_else(|error| Err(Stop::Refused(busy, error)))
}

/// Tells whether ingest may have made a key that has the name of a chunk: others may have no type, or no label.
fn is_chunk(slot: &SlotSnapshot) -> bool {
    slot.kind == Type::VarText && slot.labels != 0
}

/// Returns how many chunks an index names; none if it is damaged, or names more than a store of so many slots has.
fn chunks_named(index: &[u8], slots: u64) -> usize {
    let fields: Value = serde_json::from_slice(index).unwrap_or_default();
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let (Some(chunks), Some(bytes)) = (number("chunks"), number("bytes")) else { return 0 };
    // No chunk is empty, and the index takes a slot.
    if chunks <= bytes && chunks < slots { chunks as usize } else { 0 }
}

/// Tells on a terminal how far a long text is.
struct Progress {
    total: usize,
    /// When to tell it next, if there is a terminal and more than one transaction.
    next: Option<Instant>,
}

impl Progress {
    fn new(total: usize) -> Self {
        let is_told = total > MAX_ORDERS && io::stderr().is_terminal();
        Self { total, next: is_told.then(|| Instant::now() + PROGRESS_INTERVAL) }
    }

    fn note(&mut self, done: &str, count: usize) {
        let Some(next) = &mut self.next else { return };
        let now = Instant::now();
        if *next <= now {
            *next = now + PROGRESS_INTERVAL;
            print_stderr(&format!("ingest: {count} of {} keys {done}", self.total));
        }
    }
}

#[cfg(test)]
mod tests;
