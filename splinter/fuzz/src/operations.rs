//! Runs a case: each step is done to a store and to the map, and every answer, every value that can be read, every
//! byte that a scrub level promises zero, and every signal has to agree.

mod evicted;
mod expired;
mod look;

use crate::bids::Bids;
use crate::case::{Action, Case, Step};
use crate::listeners::Listener;
use expired::Expired;
use splinter::{Config, Error, Eviction, Handle, Location, OpenOptions, Scrub, Store, StoreError, Writer};
use splinter_testkit::model::names;
use splinter_testkit::op::{agree, is_done, perform_without_writer};
use splinter_testkit::raw::Raw;
use splinter_testkit::{Guess, Model, Named, Op, Reply, perform};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// Runs a case to its end.
///
/// # Panics
/// When the store and the map disagree.
pub fn run(case: &Case) {
    let mut run = Run::new(case);
    for (number, step) in case.steps.0.iter().enumerate() {
        run.step(step);
        if number % 16 == 15 {
            run.look_around();
        }
    }
    run.look_around();
}

struct Run {
    model: Model,
    store: Store,
    /// The same store, opened for reading only.
    reader: Store,
    raw: Raw,
    name: Option<Named>,
    writers: Vec<Writer>,
    listeners: Vec<Listener>,
    handles: Vec<Handle>,
    bids: Bids,
    /// The slot of each key.
    slots: BTreeMap<Vec<u8>, u32>,
    /// The last epoch that was seen of each slot.
    epochs: BTreeMap<u32, u64>,
    /// The epoch that each key had before its first change: two for each change make its epoch now.
    bases: BTreeMap<Vec<u8>, u64>,
    /// The level at which each slot lost its key.
    vacated: BTreeMap<u32, Scrub>,
    /// Keys whose deadline has passed, and that still have their slots.
    expired: BTreeMap<Vec<u8>, Expired>,
    store_epoch: u64,
}

/// The keys that a step concerns, each with the groups that subscribe to it before the step.
type Concerned = Vec<(u64, Vec<u8>)>;

impl Run {
    fn new(case: &Case) -> Self {
        let (geometry, scrub) = (case.shape.geometry(), case.shape.scrub());
        let eviction = case.shape.eviction();
        let config = Config { geometry, scrub, eviction, hash_seed: Some(0), ..Config::default() };
        let name = case.shape.is_named().then(Named::new);
        let location = name.as_ref().map_or(&Location::Anonymous, |name| &name.0);
        let store = Store::create(location, &config).expect("a new store");
        let reader = read_only(&store);
        let writers = vec![store.writer().expect("a writer id")];
        Self {
            raw: Raw::new(&store),
            name,
            reader,
            writers,
            store,
            model: Model::new(geometry, scrub),
            listeners: Vec::new(),
            handles: Vec::new(),
            bids: Bids::default(),
            slots: BTreeMap::new(),
            epochs: BTreeMap::new(),
            bases: BTreeMap::new(),
            vacated: BTreeMap::new(),
            expired: BTreeMap::new(),
            store_epoch: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        let key = step.key.bytes();
        let count = self.writers.len();
        let writer = usize::from(step.writer) % count.max(1);
        match (step.action.op(&key, &self.model.geometry), &step.action) {
            (None, action) if !matches!(action, Action::SetAt(_) | Action::IntegerAt(_)) => {
                self.look(action, &key)
            }
            (Some(op), _) if count == 0 => self.change_without_writer(&op),
            (None, _) if count == 0 => {}
            (Some(Op::SetMany(pairs)), _) => self.set_many(writer, &pairs),
            (Some(op), _) => self.change(writer, &key, &op),
            (None, action) => self.change_by_handle(writer, action),
        }
    }

    /// Performs an operation, and compares its answer and its changes with the model.
    fn change(&mut self, writer: usize, key: &[u8], op: &Op) {
        let (writer, model) = (&mut self.writers[writer], &self.model);
        let keys = match op {
            Op::SetTandem(base, values) => names(base, values.len()).unwrap_or_default(),
            Op::UnsetTandem(base, orders) => names(base, *orders).unwrap_or_default(),
            Op::Commit(parts) => parts.iter().map(|part| part.key.clone()).collect(),
            Op::Sweep => Vec::new(),
            _ => vec![key.to_vec()],
        };
        let present = model.entries.len() as u64;
        let is_short = present + (self.expired.len() + keys.len()) as u64 > model.geometry.slots;
        let groups = |key: &Vec<u8>| (model.groups(key), key.clone());
        let mut concerned: Concerned = keys.iter().map(groups).collect();
        if matches!(op, Op::UnsetTandem(..)) {
            concerned.retain(|(_, name)| model.entries.contains_key(name));
        }
        let answer = match op {
            Op::Purge => writer.purge().map(|wiped| {
                // Every slot that was ever used; how many these are depends on which were taken.
                assert!(wiped >= present && wiped <= model.geometry.slots);
                Reply::Done
            }),
            Op::Sweep => writer.sweep_expired(u32::MAX).map(|removed| {
                assert_eq!(removed as usize, self.expired.len());
                Reply::Done
            }),
            op => perform(op, writer),
        };
        let evicted = self.note_evictions(op, &answer);
        let right = self.model.apply(op);
        assert!(agree(&answer, &right), "{op:?}: the store answers {answer:?}, and the model {right:?}");
        let done = is_done(&answer);
        let removed = evicted + self.note_removals(&keys, is_short || *op == Op::Sweep);
        match op {
            Op::Register(..) | Op::Unregister(..) | Op::Pin(..) => {
                self.check_epochs();
                self.compare(key);
                assert_eq!(self.store.header().epoch, self.store_epoch, "no change of the key");
            }
            Op::Pulse(_) => {
                if done {
                    let (slot, groups) = (self.slots[key], self.model.groups(key));
                    self.listeners.iter_mut().for_each(|one| one.expect(slot, groups, false));
                }
            }
            Op::Purge => {
                self.vacated.values_mut().for_each(|level| *level = Scrub::Full);
                self.check_epochs();
            }
            Op::ReportParseFailure => self.check_failure_epoch(),
            Op::Sweep => assert!(self.expired.is_empty()),
            Op::RegisterLabels(..)
            | Op::UnregisterLabels(..)
            | Op::SetScrub(_)
            | Op::SetUserFlags(_)
            | Op::ClearUserFlags(_) => {}
            _ => {
                let is_tandem = matches!(op, Op::SetTandem(..) | Op::UnsetTandem(..) | Op::Commit(_));
                let gives_back = match op {
                    Op::Commit(parts) => !done || parts.iter().any(|part| part.guess == Guess::Absent),
                    Op::SetTandem(..) | Op::Update(..) => !done,
                    _ => !done && evicted > 0,
                };
                if gives_back || is_tandem && removed > 0 {
                    // Slots that it took and gave back may hold bytes that no level promised to wipe.
                    self.vacated.clear();
                }
                if let (Op::Commit(parts), Ok(Reply::Committed(outcomes))) = (op, &answer) {
                    let changes = parts
                        .iter()
                        .zip(outcomes)
                        .map(|(part, (changed, _))| *changed || !part.is_of_content() && !part.is_check());
                    let mut changes = changes.collect::<Vec<_>>().into_iter();
                    concerned.retain(|_| changes.next() == Some(true));
                    if concerned.is_empty() {
                        // One that only checks counts as one write.
                        let epoch = self.store.header().epoch;
                        assert!(epoch - self.store_epoch <= 1);
                        self.store_epoch = epoch;
                    }
                }
                self.settle(&concerned, done, is_tandem);
            }
        }
    }

    /// Performs an operation on the whole store while there is no writer. The others have no effect.
    fn change_without_writer(&mut self, op: &Op) {
        let Some(answer) = perform_without_writer(op, &self.store) else { return };
        assert_eq!(answer, self.model.apply(op), "the store's answer to {op:?}, and the model's");
        if *op == Op::ReportParseFailure {
            self.check_failure_epoch();
        }
    }

    fn check_failure_epoch(&self) {
        assert_eq!(self.store.header().last_failure_epoch, self.store_epoch);
    }

    /// Changes the key of the last handle, which may have been removed, and be there again in another slot.
    fn change_by_handle(&mut self, writer: usize, action: &Action) {
        let Some(handle) = self.handles.last() else { return };
        let (writer, max) = (&mut self.writers[writer], self.model.geometry.max_value_len);
        let held = handle.key().as_ref().to_vec();
        let concerned = vec![(self.model.groups(&held), held.clone())];
        let lives = self.slots.get(&held) == Some(&handle.slot());
        let (theirs, op) = match action {
            Action::SetAt(body) => {
                let body = body.bytes(max);
                (writer.set(handle, &body).map(Reply::from), Op::Set(held, body))
            }
            Action::IntegerAt(number) => {
                (writer.integer(handle, number.op()).map(Reply::from), Op::Integer(held, number.op()))
            }
            _ => unreachable!("done without a handle"),
        };
        let ours = match &op {
            Op::Set(_, body) if body.len() as u64 > max => Err(Error::ValueTooLong),
            _ if !lives => Err(Error::NotFound),
            op => self.model.apply(op),
        };
        assert_eq!(theirs, ours, "the store's answer to {op:?} by a handle, and the model's");
        self.note_removals(&[concerned[0].1.clone()], false);
        self.settle(&concerned, theirs.is_ok(), false);
    }

    /// Performs a step that needs no writer: looks, listens, opens, closes.
    fn look(&mut self, action: &Action, key: &[u8]) {
        let (store, model) = (&self.store, &self.model);
        match action {
            Action::Keep => match store.resolve(key) {
                Ok(handle) => {
                    assert_eq!(Some(&handle.slot()), self.slots.get(key));
                    self.handles.push(handle);
                }
                Err(error) => assert_eq!(model.get(key).err(), Some(error)),
            },
            Action::Watch(first, second) => {
                let groups = [first % 64, second % 64];
                self.listeners.push(Listener::to_groups(store, &groups));
                assert!(store.watch(&[64]).is_err());
            }
            Action::WatchAll => self.listeners.push(Listener::to_all(store)),
            Action::Listen => self.listeners.iter_mut().for_each(Listener::listen),
            Action::Resync => self.listeners.iter_mut().for_each(|one| one.resync(model)),
            Action::Poll { back } => {
                let now = Some(Instant::now());
                let epoch = store.epoch(key);
                let old = epoch.map(|epoch| epoch.saturating_sub(u64::from(back % 3) * 2));
                let expected = epoch.and_then(|epoch| match old {
                    Ok(old) if old != epoch => Ok(epoch),
                    _ => Err(Error::TimedOut),
                });
                assert_eq!(store.poll_after(key, old.unwrap_or(0), now), expected);
                assert_eq!(store.poll(key, now).err(), epoch.err().or(Some(Error::TimedOut)));
            }
            Action::Read(orders, keys) => {
                self.read_several(key, orders.count(), &keys.map(|key| key.bytes()))
            }
            Action::Writers(count) => self.register_writers(usize::from(*count) % 5),
            Action::Reopen => self.reopen(),
            Action::Bid(step) => self.bids.step(store, *step),
            Action::Inspect => self.look_around(),
            _ => unreachable!("an operation of a writer's"),
        }
    }

    fn set_many(&mut self, writer: usize, pairs: &[(Vec<u8>, Vec<u8>)]) {
        let names: BTreeSet<_> = pairs.iter().map(|(key, _)| key).collect();
        let is_cache = self.store.eviction() != Eviction::Expired;
        let at_once = (names.len() == pairs.len() && !is_cache).then_some(pairs);
        // One by one, so that every change has its own epoch and its own signals to agree with. And at once, over what is there
        // then, if it is as many keys, and none of them evicts another.
        for pairs in pairs.chunks(1).chain(at_once) {
            let groups = |(key, _): &(Vec<u8>, _)| (self.model.groups(key), key.clone());
            let concerned: Concerned = pairs.iter().map(groups).collect();
            let keys: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
            let taken = self.model.entries.len() + self.expired.len() + keys.len();
            let op = Op::SetMany(pairs.to_vec());
            let answer = perform(&op, &mut self.writers[writer]);
            self.note_evictions(&op, &answer);
            assert_eq!(answer, self.model.apply(&op), "the store's answer to {op:?}, and the model's");
            self.note_removals(&keys, taken as u64 > self.model.geometry.slots);
            let Ok(Reply::Each(results)) = answer else { unreachable!("each key has a result") };
            let changed = concerned.iter().zip(&results).filter(|(_, result)| result.is_ok());
            let changed: Concerned = changed.map(|(one, _)| one.clone()).collect();
            let done = !changed.is_empty();
            self.settle(if done { &changed } else { &concerned }, done, false);
        }
    }

    /// Notes the changes of the keys that a step concerns, and compares them.
    fn settle(&mut self, concerned: &Concerned, done: bool, is_tandem: bool) {
        let mut signalled = 0;
        for (before, key) in concerned {
            if done {
                let mut groups = before | self.model.groups(key);
                if let (None, Some(entry)) = (self.expired.get(key), self.model.expired.get(key)) {
                    // Its deadline has passed with this very change.
                    groups |= self.model.groups_of(entry);
                }
                if is_tandem {
                    groups &= !signalled;
                    signalled |= groups;
                }
                let slot = self.note_change(key);
                self.listeners.iter_mut().for_each(|one| one.expect(slot, groups, true));
            }
        }
        let epoch = self.store.header().epoch;
        assert!(if done && !concerned.is_empty() {
            epoch > self.store_epoch
        } else {
            epoch == self.store_epoch
        });
        self.store_epoch = epoch;
        if concerned.iter().any(|(_, key)| !self.model.entries.contains_key(key)) {
            // Entries of other keys may have come nearer to their homes, for which their slots are claimed.
            self.check_epochs();
        }
        for (_, key) in concerned {
            self.compare(key);
        }
        assert_eq!(self.store.len(), self.model.entries.len() as u64);
    }

    /// Notes in which slot a key is now, or was, and that its epoch grew by two for each change (invariant 6).
    fn note_change(&mut self, key: &[u8]) -> u32 {
        let level = self.model.level;
        if let Some(entry) = self.model.expired.get(key) {
            return self.note_expired(key, entry.clone());
        }
        let Some(entry) = self.model.entries.get_mut(key) else {
            let slot = self.slots.remove(key).expect("a key that was there");
            self.bases.remove(key);
            self.vacated.insert(slot, level);
            return slot;
        };
        let slot = self.store.resolve(key).expect("a present key").slot();
        let known = self.slots.insert(key.to_vec(), slot);
        assert!(known.is_none_or(|known| known == slot), "a key moved while it was present");
        self.vacated.remove(&slot);
        let (epoch, raised) = (self.store.epoch(key).expect("a present key"), 2 * entry.changes);
        let last = self.epochs.insert(slot, epoch).unwrap_or(0);
        // A change beside the content wipes nothing.
        if level == Scrub::Full && epoch != last {
            entry.kept = level;
        }
        let base = *self.bases.entry(key.to_vec()).or_insert(epoch - raised);
        assert!(base.is_multiple_of(2) && (known.is_some() || base >= last), "{base} after {last}");
        assert_eq!(epoch, base + raised, "two epochs for each change");
        slot
    }

    /// Checks that no epoch changed but by changes of the key's content.
    fn check_epochs(&self) {
        for key in self.slots.keys() {
            let epoch = self.store.epoch(key).expect("a present key");
            assert_eq!(epoch, self.bases[key] + 2 * self.model.entries[key].changes);
        }
    }

    fn register_writers(&mut self, count: usize) {
        self.writers.truncate(count);
        let max_writers = self.model.geometry.max_writers as usize;
        while self.writers.len() < count {
            match self.store.writer() {
                Ok(writer) => self.writers.push(writer),
                Err(StoreError::TooManyWriters { max_writers: all }) => {
                    assert_eq!((all as usize, self.writers.len()), (max_writers, max_writers));
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(self.writers.len() <= max_writers, "more writers than writer ids");
    }

    /// Closes the store, and opens it as another process would.
    fn reopen(&mut self) {
        let count = self.writers.len();
        self.writers.clear();
        self.listeners.clear();
        let fd = self.store.fd().try_clone_to_owned().expect("a descriptor");
        let reader = self.reader.clone();
        self.store = match &self.name {
            Some(name) => Store::open(&name.0),
            None => Store::from_fd(fd),
        }
        .expect("a store that was left in order");
        drop(reader);
        self.reader = read_only(&self.store);
        self.bids = Bids::default();
        for _ in 0..count {
            self.writers.push(self.store.writer().expect("a writer id that was given back"));
        }
    }
}

/// Opens a store for reading only, by a descriptor that cannot write.
fn read_only(store: &Store) -> Store {
    if let Location::Anonymous = store.location() {
        let path = format!("/proc/self/fd/{}", store.fd().as_raw_fd());
        let file = std::fs::File::open(path).expect("a descriptor for reading");
        return Store::from_fd(file.into()).expect("the store for reading");
    }
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    Store::open_with(store.location(), &options).expect("the store for reading")
}
