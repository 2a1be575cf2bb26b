//! An open queue: creating, opening and removing one, and its groups. Every change of the queue's record expects the
//! record's epoch, and what it does to other keys is in the same transaction. So a process that dies leaves a state that
//! the next one finishes.

use crate::error::QueueError;
use crate::group::{DELIVERY_BYTES, GROUP_BYTES, Group, NEVER};
use crate::liveness::random;
use crate::record::{HEADER, Record, Seen, State, entry_key, group_key, word};
use splinter::{Error, Eviction, Expect, Handle, Key, Store, Transaction, Writer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long a call tries again while another process holds a key: far longer than any process does that runs, also on a
/// busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// How many keys a transaction of creation or removal changes.
const CHUNK: usize = 64;

/// The sizes and the terms of a queue, fixed when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// How many messages it holds: a power of two, at most 2^31. It takes as many slots of the store, and one more for
    /// itself and each group.
    pub capacity: u64,
    /// The longest message, in bytes: at most [`Queue::ENTRY_HEADER`] fewer than the store's longest value.
    pub max_message_len: usize,
    /// After which time without an acknowledgement messages are delivered again, though their consumer lives. It counts
    /// from when their batch was taken, so consumers with much work for each message want a small batch. `None` waits
    /// for ever.
    pub timeout: Option<Duration>,
    /// The groups that it has from the beginning: at least one, or nothing is kept until there is one.
    pub groups: Vec<String>,
}

impl Default for QueueConfig {
    /// 256 messages of up to 1,024 bytes, no timeout, and the group [`Queue::DEFAULT_GROUP`].
    fn default() -> Self {
        let groups = vec![Queue::DEFAULT_GROUP.to_owned()];
        Self { capacity: 256, max_message_len: 1024, timeout: None, groups }
    }
}

/// Where a new group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message that is certainly still there.
    Oldest,
    /// With the next message that is sent.
    Newest,
}

/// A queue that is open in this process. Cloning it is cheap.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) name: Key,
    /// The record as it was when the queue was opened: its floor and its groups may have changed since.
    pub(crate) record: Record,
    pub(crate) entries: Vec<Handle>,
}

impl Queue {
    /// The group that a queue has from its creation, unless its configuration names others.
    pub const DEFAULT_GROUP: &str = "default";

    /// The bytes before a message in its entry: the stored number and the queue's identity. So the longest message is
    /// this much shorter than the store's longest value.
    pub const ENTRY_HEADER: usize = HEADER;

    /// Creates a queue, whose keys are `name`, `name/0`, `name/1` and so on, and `name:group` for each group.
    ///
    /// # Errors
    /// [`QueueError::Exists`], [`QueueError::NotAQueue`], [`QueueError::KeyInUse`], [`QueueError::DoesNotFit`],
    /// [`QueueError::BadConfig`], [`QueueError::BadName`], [`QueueError::TooManyGroups`], [`QueueError::Writer`],
    /// [`QueueError::Store`].
    pub fn create(store: &Store, name: &str, config: &QueueConfig) -> Result<Self, QueueError> {
        check_store(store)?;
        let record = Record {
            state: State::Building,
            capacity: config.capacity,
            max_message_len: config.max_message_len as u64,
            timeout_ns: config.timeout.map_or(NEVER, |time| u64::try_from(time.as_nanos()).unwrap_or(NEVER)),
            identity: random(store),
            floor: 0,
            groups: config.groups.clone(),
        };
        check(store, name, &record)?;
        let mut writer = store.writer()?;
        let keys = record.keys(name)?;
        loop {
            let found = keys.iter().find_map(|(key, _)| Some((*key, store.epoch(key).ok()?)));
            if settled(&mut writer, name)?.is_some() {
                return Err(QueueError::Exists);
            }
            match found {
                None => break,
                // It was there when there was no queue.
                Some((key, epoch)) if store.epoch(key) == Ok(epoch) => return Err(QueueError::KeyInUse(key)),
                Some(_) => {}
            }
        }
        let value = record.to_bytes();
        match splinter::retry(PATIENCE, || writer.set_if(name, &value, Expect::Absent)) {
            Ok(_) => drop(settled(&mut writer, name)?),
            Err(Error::Changed { .. }) => return Err(QueueError::Exists),
            Err(Error::Full) => return Err(QueueError::DoesNotFit { slots: record.slots() }),
            Err(error) => return Err(error.into()),
        }
        note_time(&mut writer)?;
        Self::open(store, name)
    }

    /// Opens a queue.
    ///
    /// # Errors
    /// [`QueueError::NoQueue`], [`QueueError::NotAQueue`], [`QueueError::Version`], [`QueueError::Damaged`] if an entry
    /// is missing, [`QueueError::Writer`], [`QueueError::Store`].
    pub fn open(store: &Store, name: &str) -> Result<Self, QueueError> {
        check_store(store)?;
        let resolve = |entry| {
            let key = entry_key(name, entry)?;
            splinter::retry(PATIENCE, || store.resolve(key))
                .map_err(|error| missing(error, QueueError::Damaged(key)))
        };
        loop {
            let (mut record, _) = read(store, name)?;
            if record.state != State::Ready {
                (record, _) = settled(&mut store.writer()?, name)?.ok_or(QueueError::NoQueue)?;
            }
            match (0..record.capacity).map(resolve).collect() {
                Ok(entries) => {
                    let (store, name) = (store.clone(), Key::new(name.as_bytes())?);
                    return Ok(Self { inner: Arc::new(Inner { store, name, record, entries }) });
                }
                Err(error) => {
                    let (now, _) = read(store, name)?;
                    if (now.identity, now.state) == (record.identity, State::Ready) {
                        return Err(error);
                    }
                    // That queue was removed meanwhile.
                }
            }
        }
    }

    /// Opens the queue, or creates it if there is none: then `config` applies.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(store: &Store, name: &str, config: &QueueConfig) -> Result<Self, QueueError> {
        loop {
            match Self::open(store, name) {
                Err(QueueError::NoQueue) => {}
                result => return result,
            }
            match Self::create(store, name, config) {
                // Another process created one, or removed this one.
                Err(QueueError::Exists | QueueError::NoQueue) => {}
                result => return result,
            }
        }
    }

    /// Removes a queue with all its messages and groups. Its producers and consumers get [`QueueError::Removed`].
    ///
    /// # Errors
    /// [`QueueError::NoQueue`], [`QueueError::NotAQueue`], [`QueueError::Version`], [`QueueError::Writer`],
    /// [`QueueError::Store`].
    pub fn remove(store: &Store, name: &str) -> Result<(), QueueError> {
        let mut writer = store.writer()?;
        loop {
            let (mut record, epoch) = settled(&mut writer, name)?.ok_or(QueueError::NoQueue)?;
            record.state = State::Removing;
            let value = record.to_bytes();
            match splinter::retry(PATIENCE, || writer.set_if(name, &value, Expect::Epoch(epoch))) {
                Ok(_) => return settled(&mut writer, name).map(drop),
                // A floor or a group changed, or another process removes the queue.
                Err(Error::Changed { .. } | Error::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Creates a group, which gets every message from its start on.
    ///
    /// # Errors
    /// [`QueueError::GroupExists`], [`QueueError::TooManyGroups`], [`QueueError::KeyInUse`], [`QueueError::BadName`],
    /// [`QueueError::DoesNotFit`], [`QueueError::Writer`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn create_group(&self, group: &str, start: Start) -> Result<(), QueueError> {
        let (mut writer, key) = (self.inner.store.writer()?, group_key(self.name(), group)?);
        self.change(&mut writer, |record| {
            if record.groups.iter().any(|known| known == group) {
                return Err(QueueError::GroupExists);
            }
            // Later than the record was read, and no floor is above the tail.
            let next = if start == Start::Oldest { record.floor } else { self.tail()? };
            record.groups.push(group.to_owned());
            let mut value = vec![];
            Group { next, deliveries: vec![] }.write(record.identity, &mut value);
            Ok((key, Some(value)))
        })
    }

    /// Drops a group: what only it has not acknowledged is not kept any longer.
    ///
    /// # Errors
    /// [`QueueError::NoGroup`], [`QueueError::Writer`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn drop_group(&self, group: &str) -> Result<(), QueueError> {
        let (mut writer, key) = (self.inner.store.writer()?, group_key(self.name(), group)?);
        self.change(&mut writer, |record| {
            let at = record.groups.iter().position(|known| known == group).ok_or(QueueError::NoGroup)?;
            record.groups.remove(at);
            Ok((key, None))
        })
    }

    /// Lists the groups.
    ///
    /// # Errors
    /// [`QueueError::Removed`], [`QueueError::Store`].
    pub fn groups(&self) -> Result<Vec<String>, QueueError> {
        self.record().map(|(record, _)| record.groups)
    }

    /// Counts the messages that a group has not acknowledged, among them those that are being delivered.
    ///
    /// # Errors
    /// [`QueueError::NoGroup`], [`QueueError::Damaged`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn backlog(&self, group: &str) -> Result<u64, QueueError> {
        let (mut state, key) = (Group::default(), group_key(self.name(), group)?);
        let bytes = splinter::retry(PATIENCE, || self.inner.store.get_vec(key));
        let bytes = bytes.map_err(|error| self.group_error(error.into()))?;
        let read = state.read(&bytes, self.inner.record.identity);
        read.ok_or_else(|| self.group_error(QueueError::Damaged(key)))?;
        let in_flight: u64 = state.deliveries.iter().map(|delivery| u64::from(delivery.len)).sum();
        Ok(self.tail()?.saturating_sub(state.next) + in_flight)
    }

    /// Counts the messages that were ever sent: the next position, if nobody sends meanwhile.
    ///
    /// # Errors
    /// [`QueueError::Damaged`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn sent(&self) -> Result<u64, QueueError> {
        self.tail()
    }

    /// Returns how many messages the queue has room for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.inner.record.capacity
    }

    /// Returns the length of the longest message, in bytes.
    #[must_use]
    pub fn max_message_len(&self) -> usize {
        self.inner.record.max_message_len as usize
    }

    /// Returns after which time messages without an acknowledgement are delivered again; `None` if never.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let timeout = self.inner.record.timeout_ns;
        (timeout != NEVER).then(|| Duration::from_nanos(timeout))
    }

    /// Returns the queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        // It was made of a str.
        str::from_utf8(self.inner.name.as_ref()).unwrap_or_default()
    }

    /// Changes the record and the key of a group at once: sets a new key, or removes one.
    fn change(
        &self,
        writer: &mut Writer,
        mut change: impl FnMut(&mut Record) -> Result<(Key, Option<Vec<u8>>), QueueError>,
    ) -> Result<(), QueueError> {
        loop {
            let (mut record, epoch) = self.record()?;
            let (key, value) = change(&mut record)?;
            let record = record.to_bytes();
            let mut both = Transaction::new();
            both.key(&self.inner.name).expect(Expect::Epoch(epoch)).set(&record);
            match &value {
                Some(value) => both.key(&key).expect(Expect::Absent).set(value),
                None => both.key(&key).unset(),
            };
            return match commit(writer, &both) {
                Ok(()) => Ok(()),
                Err((0, Error::Changed { .. })) => continue,
                Err((0, Error::ValueTooLong)) => Err(QueueError::TooManyGroups),
                Err((0, Error::NotFound)) => Err(QueueError::Removed),
                Err((1, Error::Changed { .. })) => Err(QueueError::KeyInUse(key)),
                Err((_, Error::Full)) => Err(QueueError::DoesNotFit { slots: 1 }),
                Err((_, error)) => Err(error.into()),
            };
        }
    }

    /// Reads the record as it is now, and its epoch.
    pub(crate) fn record(&self) -> Result<(Record, u64), QueueError> {
        let (record, epoch) = read(&self.inner.store, self.inner.name).map_err(|error| match error {
            QueueError::NoQueue => QueueError::Removed,
            error => error,
        })?;
        let is_ours = record.state == State::Ready && record.identity == self.inner.record.identity;
        if is_ours { Ok((record, epoch)) } else { Err(QueueError::Removed) }
    }

    /// Returns the handle of the entry in which a position lies.
    pub(crate) fn entry(&self, position: u64) -> &Handle {
        &self.inner.entries[self.index(position)]
    }

    /// Returns the number of the entry in which a position lies.
    pub(crate) fn index(&self, position: u64) -> usize {
        (position & (self.inner.record.capacity - 1)) as usize
    }

    /// Reads what the entry of a position has to say on it, and the entry's epoch.
    pub(crate) fn look(&self, position: u64) -> Result<(Seen, u64), QueueError> {
        let entry = self.entry(position);
        let ([number, identity], epoch) = splinter::retry(PATIENCE, || {
            let view = self.inner.store.view(entry)?;
            let read = ([view.word(0), view.word(1)], view.epoch());
            if view.validate() { Ok(read) } else { Err(Error::Again) }
        })
        .map_err(|error| missing(error, QueueError::Removed))?;
        self.judge(position, number, identity).map(|seen| (seen, epoch))
    }

    /// Judges the header of the entry in which a position lies.
    pub(crate) fn judge(&self, position: u64, number: u64, identity: u64) -> Result<Seen, QueueError> {
        let ours = identity == self.inner.record.identity;
        let seen = if ours { Seen::judge(number, position, self.capacity()) } else { None };
        seen.ok_or_else(|| self.damaged(position))
    }

    /// Tells that the entry of a position is not as the queue left it, or that this is because the queue was removed.
    #[cold]
    pub(crate) fn damaged(&self, position: u64) -> QueueError {
        self.record().err().unwrap_or_else(|| QueueError::Damaged(self.entry(position).key()))
    }

    /// Tells what an error on a group's key means: the queue was removed, the group dropped, or the key damaged.
    #[cold]
    pub(crate) fn group_error(&self, error: QueueError) -> QueueError {
        let is_missing = matches!(error, QueueError::Store(Error::NotFound));
        if !is_missing && !matches!(error, QueueError::Damaged(_)) {
            return error;
        }
        let found = if is_missing { QueueError::NoGroup } else { error };
        self.record().err().unwrap_or(found)
    }

    /// Finds a position below which all are written, and which is the tail if nobody sends meanwhile: entries of the
    /// lap in which the first entry is come before those of the lap before.
    pub(crate) fn tail(&self) -> Result<u64, QueueError> {
        let stored = |entry: u64| {
            let view = splinter::retry(PATIENCE, || {
                self.inner.store.get_with(self.entry(entry), |view| [view.word(0), view.word(1)])
            });
            let [number, identity] = view.map_err(|error| missing(error, QueueError::Removed))?;
            let is_sound = identity == self.inner.record.identity
                && self.index(number) as u64 == entry
                && number < 1 << 63;
            if is_sound { Ok(number) } else { Err(self.damaged(entry)) }
        };
        let lap = stored(0)?;
        let (mut low, mut high) = (0, self.capacity());
        while low < high {
            let middle = low + (high - low) / 2;
            if stored(middle)? >= lap + middle {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok((lap + low).saturating_sub(self.capacity()))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Counts the slots that the queue needs.
    fn slots(&self) -> u64 {
        self.capacity + self.groups.len() as u64 + 1
    }

    /// Lists the keys besides the record's own, with the values that they begin with.
    fn keys(&self, name: &str) -> Result<Vec<(Key, Vec<u8>)>, QueueError> {
        let entry = |number: u64| {
            let header: [u8; HEADER] =
                std::array::from_fn(|at| [number, self.identity][at / 8].to_le_bytes()[at % 8]);
            Ok((entry_key(name, number)?, header.to_vec()))
        };
        let group = |group: &String| {
            let mut value = vec![];
            Group::default().write(self.identity, &mut value);
            Ok((group_key(name, group)?, value))
        };
        (0..self.capacity).map(entry).chain(self.groups.iter().map(group)).collect()
    }
}

/// Refuses what no queue can be.
/// Refuses a cache.
fn check_store(store: &Store) -> Result<(), QueueError> {
    if store.eviction() == Eviction::Expired {
        return Ok(());
    }
    Err(QueueError::BadConfig("a cache would evict a queue's messages; create the store without eviction"))
}

fn check(store: &Store, name: &str, record: &Record) -> Result<(), QueueError> {
    let geometry = store.geometry();
    if !record.capacity.is_power_of_two() || record.capacity > 1 << 31 {
        return Err(QueueError::BadConfig("the capacity is a power of two, at most 2^31"));
    }
    let max = geometry.max_value_len;
    if record.max_message_len.saturating_add(HEADER as u64) > max {
        return Err(QueueError::BadConfig(
            "messages are at least 16 bytes shorter than the store's longest value",
        ));
    }
    if max < (GROUP_BYTES + DELIVERY_BYTES) as u64 {
        return Err(QueueError::BadConfig("a store with queues has values of at least 56 bytes"));
    }
    if record.timeout_ns == 0 {
        return Err(QueueError::BadConfig("a timeout of nothing gives each message to all consumers"));
    }
    Key::new(name.as_bytes())
        .and_then(|_| Key::new(format!("{name}/{}", record.capacity - 1).as_bytes()))
        .map_err(|_| {
            QueueError::BadName(
                "the queue's name, a slash and the entry's number have 2 to 63 bytes, none of them NUL",
            )
        })?;
    for (at, group) in record.groups.iter().enumerate() {
        group_key(name, group)?;
        if record.groups[..at].contains(group) {
            return Err(QueueError::GroupExists);
        }
    }
    if record.to_bytes().len() as u64 > max {
        return Err(QueueError::TooManyGroups);
    }
    if record.slots() > geometry.slots {
        return Err(QueueError::DoesNotFit { slots: record.slots() });
    }
    Ok(())
}

/// Reads a queue's record and its epoch.
fn read(store: &Store, name: impl AsRef<[u8]>) -> Result<(Record, u64), QueueError> {
    let geometry = store.geometry();
    let mut bytes = vec![0; geometry.max_value_len as usize];
    let entry = splinter::retry(PATIENCE, || store.get_entry(name.as_ref(), &mut bytes));
    let entry = entry.map_err(|error| missing(error, QueueError::NoQueue))?;
    let record = Record::from_bytes(&bytes[..entry.len], geometry.slots, geometry.max_value_len)?;
    Ok((record, entry.version.epoch))
}

/// Finishes the creation or removal of a queue that a process left half-way, or is at. Returns the record of a queue
/// that is ready, with its epoch, or `None` if there is no queue. A queue that cannot be created is removed.
fn settled(writer: &mut Writer, name: &str) -> Result<Option<(Record, u64)>, QueueError> {
    let mut refusal = None;
    loop {
        let (mut record, epoch) = match read(writer, name) {
            Ok(found) => found,
            Err(QueueError::NoQueue) => return refusal.map_or(Ok(None), Err),
            Err(error) => return Err(error),
        };
        if record.state == State::Ready {
            return Ok(Some((record, epoch)));
        }
        match finish(writer, name, &record, epoch) {
            Ok(()) => {}
            Err(error @ (QueueError::DoesNotFit { .. } | QueueError::KeyInUse(_))) => {
                record.state = State::Removing;
                let value = record.to_bytes();
                match splinter::retry(PATIENCE, || writer.set_if(name, &value, Expect::Epoch(epoch))) {
                    Ok(_) => refusal = Some(error),
                    // Another process was first.
                    Err(Error::Changed { .. } | Error::NotFound) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sets or removes all keys of a queue that is being built or removed, and then the record. Keys of others are neither
/// overwritten nor removed. Nothing happens once the record has another epoch.
fn finish(writer: &mut Writer, name: &str, record: &Record, epoch: u64) -> Result<(), QueueError> {
    let is_removal = record.state == State::Removing;
    let keys = record.keys(name)?;
    let mut parts = keys.chunks(CHUNK);
    let mut part = parts.next();
    while let Some(keys) = part {
        let mut transaction = Transaction::new();
        transaction.key(name).expect(Expect::Epoch(epoch));
        for (key, value) in keys {
            match owner(writer, key, record.identity)? {
                Some((true, epoch)) if is_removal => {
                    transaction.key(key).expect(Expect::Epoch(epoch)).unset();
                }
                None if !is_removal => {
                    transaction.key(key).expect(Expect::Absent).set(value);
                }
                Some((false, _)) if !is_removal => return Err(QueueError::KeyInUse(*key)),
                _ => {}
            }
        }
        match commit(writer, &transaction) {
            Ok(()) => part = parts.next(),
            Err((0, Error::Changed { .. } | Error::NotFound)) => return Ok(()),
            // One of the keys changed since it was read.
            Err((_, Error::Changed { .. } | Error::NotFound)) => {}
            Err((_, Error::Full)) => return Err(QueueError::DoesNotFit { slots: record.slots() }),
            Err((_, error)) => return Err(error.into()),
        }
    }
    let ready = Record { state: State::Ready, ..record.clone() }.to_bytes();
    let mut transaction = Transaction::new();
    let own = transaction.key(name).expect(Expect::Epoch(epoch));
    if is_removal {
        own.unset()
    } else {
        own.set(&ready)
    };
    match commit(writer, &transaction) {
        Ok(()) | Err((_, Error::Changed { .. } | Error::NotFound)) => Ok(()),
        Err((_, error)) => Err(error.into()),
    }
}

/// Tells whether a key is the queue's of that identity, with the key's epoch. `None` if it is missing.
fn owner(store: &Store, key: &Key, identity: u64) -> Result<Option<(bool, u64)>, Error> {
    let read = splinter::retry(PATIENCE, || {
        let view = store.view(key)?;
        // Groups have the identity in the first word, entries in the second.
        let read = ([view.word(0), view.word(1)].contains(&identity), view.epoch());
        if view.validate() { Ok(read) } else { Err(Error::Again) }
    });
    match read {
        Err(Error::NotFound) => Ok(None),
        read => read.map(Some),
    }
}

/// Commits a transaction, waiting for keys that others hold. An error comes with the place of its key.
fn commit(writer: &mut Writer, transaction: &Transaction<'_>) -> Result<(), (usize, Error)> {
    let mut place = 0;
    let attempt = || {
        writer.commit(transaction).map(drop).map_err(|refusal| {
            place = refusal.place;
            refusal.error
        })
    };
    splinter::retry(PATIENCE, attempt).map_err(|error| (place, error))
}

/// Notes the store time, from which it goes on after a reboot: without that, a time in a group's key would come due only
/// after as long again as the store was in use.
pub(crate) fn note_time(writer: &mut Writer) -> Result<(), Error> {
    writer.sweep_expired(0).map(drop)
}

/// Takes a missing key for `meaning`.
pub(crate) fn missing(error: Error, meaning: QueueError) -> QueueError {
    if error == Error::NotFound { meaning } else { error.into() }
}

/// Returns the two words of an entry's header.
pub(crate) fn header(bytes: &[u8]) -> Option<[u64; 2]> {
    Some([word(bytes, 0)?, word(bytes, 1)?])
}
