//! Runs a case: each step is done to a store and to the map, and every answer, every value that can be read, every
//! byte that a scrub level promises zero, and every change that is heard of has to agree.

mod look;

use crate::bids::Bids;
use crate::case::{Act, Case, Step, kind, level};
use crate::listeners::Listener;
use crate::model::{Entry, Model, names};
use crate::raw::Raw;
use splinter::{Config, Error, Geometry, Handle, Location, OpenOptions, Scrub, Store, StoreError, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
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
    name: Option<Name>,
    writers: Vec<Writer>,
    listeners: Vec<Listener>,
    handles: Vec<Handle>,
    bids: Bids,
    /// The slot of each key.
    slots: BTreeMap<Vec<u8>, u32>,
    /// The last epoch that was seen of each slot.
    epochs: BTreeMap<u32, u64>,
    /// The level at which each slot lost its key.
    vacated: BTreeMap<u32, Scrub>,
    store_epoch: u64,
}

/// A name in shared memory, removed in the end.
struct Name(Location);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("splinter-fuzz-{}-{next}", std::process::id());
        Self(Location::shared(name).expect("a good name"))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = self.0.unlink();
    }
}

/// The keys that a step concerns, each with the groups that hear of its changes as it is before the step.
type Concerned = Vec<(Vec<u8>, u64)>;

impl Run {
    fn new(case: &Case) -> Self {
        let (geometry, scrub) = (case.shape.geometry(), case.shape.scrub());
        let config = Config { geometry, scrub, hash_seed: Some(0), ..Config::default() };
        let name = case.shape.is_named().then(Name::new);
        let location = name.as_ref().map_or(&Location::Anonymous, |name| &name.0);
        let store = Store::create(location, &config).expect("a new store");
        let Geometry { slots, max_value_len, vector_dim, .. } = geometry;
        let model = Model {
            entries: BTreeMap::new(),
            slots,
            max_value_len,
            vector_dim,
            level: scrub,
            user_flags: 0,
            parse_failures: 0,
            label_routes: [0; 64],
        };
        let reader = read_only(&store);
        let writers = vec![store.writer().expect("a lane")];
        Self {
            raw: Raw::new(&store),
            name,
            reader,
            writers,
            store,
            model,
            listeners: Vec::new(),
            handles: Vec::new(),
            bids: Bids::default(),
            slots: BTreeMap::new(),
            epochs: BTreeMap::new(),
            vacated: BTreeMap::new(),
            store_epoch: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        let key = step.key.bytes();
        if self.act_on_store(&step.act, &key) {
            return;
        }
        let count = self.writers.len();
        let Some(writer) = self.writers.get_mut(usize::from(step.writer) % count.max(1)) else {
            return;
        };
        let max = self.model.max_value_len;
        let model = &mut self.model;
        let mut concerned: Concerned = vec![(key.clone(), model.groups(&key))];
        let done = match &step.act {
            Act::Set(body) | Act::SetAgain(body) => {
                let body = body.bytes(max);
                agree(writer.set(&key, &body), model.set(&key, &body))
            }
            Act::SetAt(body) => {
                let Some(handle) = self.handles.last() else { return };
                let (body, held) = (body.bytes(max), handle.key().as_ref().to_vec());
                concerned = vec![(held.clone(), model.groups(&held))];
                let lives = self.slots.get(&held) == Some(&handle.slot());
                let ours = match body.len() as u64 {
                    len if len > max => Err(Error::ValueTooLong),
                    _ if !lives => Err(Error::NotFound),
                    _ => model.set(&held, &body),
                };
                agree(writer.set(handle, &body), ours)
            }
            Act::IntegerAt(number) => {
                let Some(handle) = self.handles.last() else { return };
                let held = handle.key().as_ref().to_vec();
                concerned = vec![(held.clone(), model.groups(&held))];
                let lives = self.slots.get(&held) == Some(&handle.slot());
                let ours = if lives { model.integer(&held, number.op()) } else { Err(Error::NotFound) };
                agree(writer.integer(handle, number.op()), ours)
            }
            Act::SetMany(pairs) => return self.set_many(step.writer, pairs),
            Act::Append(body) => {
                let body = body.bytes(max);
                agree(writer.append(&key, &body), model.append(&key, &body))
            }
            Act::Unset | Act::UnsetAgain => {
                let ours = model.get(&key).map(|entry| entry.value.len());
                model.entries.remove(&key);
                agree(writer.unset(&key), ours)
            }
            Act::Bump => agree(writer.bump(&key), model.get(&key).map(|_| ())),
            Act::SetNumber(number) => agree(writer.set_u64(&key, *number), model.set_u64(&key, *number)),
            Act::Integer(number) => {
                let op = number.op();
                agree(writer.integer(&key, op), model.integer(&key, op))
            }
            Act::SetType(number) => {
                let kind = kind(*number);
                agree(writer.set_type(&key, kind), model.set_type(&key, kind))
            }
            Act::Label(mask) => {
                let ours = model.get_mut(&key).map(|entry| entry.labels |= mask);
                agree(writer.label(&key, *mask), ours)
            }
            Act::Unlabel(mask) => {
                let ours = model.get_mut(&key).map(|entry| entry.labels &= !mask);
                agree(writer.unlabel(&key, *mask), ours)
            }
            Act::SetFlags(mask) => {
                let set = |entry: &mut Entry| {
                    entry.flags |= mask;
                    entry.flags
                };
                agree(writer.set_slot_flags(&key, *mask), model.get_mut(&key).map(set))
            }
            Act::ClearFlags(mask) => {
                let clear = |entry: &mut Entry| {
                    entry.flags &= !mask;
                    entry.flags
                };
                agree(writer.clear_slot_flags(&key, *mask), model.get_mut(&key).map(clear))
            }
            Act::SetCtime(time, processing) => {
                let processing = u64::from(*processing);
                let set = |entry: &mut Entry| entry.ctime = time.saturating_sub(processing);
                agree(writer.set_ctime(&key, *time, processing), model.get_mut(&key).map(set))
            }
            Act::SetAtime(time, processing) => {
                let processing = u64::from(*processing);
                let set = |entry: &mut Entry| entry.atime = time.saturating_sub(processing);
                agree(writer.set_atime(&key, *time, processing), model.get_mut(&key).map(set))
            }
            Act::SetVector { components, salt } => {
                let right = model.vector_dim as usize;
                let len = if *components < 240 { right } else { usize::from(*components) % 5 };
                let vector: Vec<_> = (0..len).map(|at| f32::from(*salt) + at as f32 + 0.5).collect();
                agree(writer.set_vector(&key, &vector), model.set_vector(&key, &vector))
            }
            Act::ClearVector => agree(writer.clear_vector(&key), model.clear_vector(&key)),
            Act::SetTandem(orders, bodies) => {
                let bodies: Vec<_> = bodies.iter().map(|body| body.bytes(max)).collect();
                let values: Vec<_> = (0..orders.count()).map(|order| &bodies[order % 3][..]).collect();
                let names = names(&key, values.len());
                let theirs = writer.set_tandem(&key, &values);
                let of_group = |key: &Vec<u8>| (key.clone(), model.groups(key));
                concerned = names.iter().flatten().map(of_group).collect();
                if theirs == Err(Error::Full) {
                    // Slots that it took and gave back may hold what no level promised anything of.
                    self.vacated.clear();
                }
                agree(theirs, names.and_then(|names| model.set_tandem(&names, &values)))
            }
            Act::UnsetTandem(orders) => {
                let names = names(&key, orders.count());
                let theirs = writer.unset_tandem(&key, orders.count());
                let present = names.as_ref().map_or(&[][..], |names| names);
                let present = present.iter().filter(|name| model.entries.contains_key(*name));
                concerned = present.map(|key| (key.clone(), model.groups(key))).collect();
                let ours = names.map(|_| concerned.len());
                concerned.iter().for_each(|(key, _)| drop(model.entries.remove(key)));
                agree(theirs, ours)
            }
            Act::Register(group) | Act::Unregister(group) => {
                let on = matches!(step.act, Act::Register(_));
                return self.reroute(step.writer, &key, group % 66, on);
            }
            Act::Pulse => {
                let done = agree(writer.pulse(&key), model.get(&key).map(|_| ()));
                if done {
                    let (slot, groups) = (self.slots[&key], model.groups(&key));
                    self.listeners.iter_mut().for_each(|one| one.expect(slot, groups, false));
                }
                return;
            }
            Act::Purge => {
                // Every slot that was ever used; how many these are depends on which were taken.
                let wiped = writer.purge().expect("nobody holds a slot");
                assert!(wiped >= model.entries.len() as u64 && wiped <= model.slots);
                model.entries.values_mut().for_each(|entry| entry.kept = Scrub::Full);
                self.vacated.values_mut().for_each(|level| *level = Scrub::Full);
                return self.refresh_epochs();
            }
            _ => unreachable!("done to the store"),
        };
        if !done && matches!(step.act, Act::SetTandem(..) | Act::SetType(_)) {
            // These find out that they cannot when they hold the key: its epoch may have grown.
            self.refresh_epochs();
        }
        let is_tandem = matches!(step.act, Act::SetTandem(..) | Act::UnsetTandem(..));
        self.settle(&concerned, done, is_tandem);
    }

    /// Does what concerns the store and no key, or only looks. Tells whether that was the step.
    fn act_on_store(&mut self, act: &Act, key: &[u8]) -> bool {
        let (store, model) = (&self.store, &mut self.model);
        match act {
            Act::RouteLabels(mask, group) | Act::UnrouteLabels(mask, group) => {
                let (on, group) = (matches!(act, Act::RouteLabels(..)), group % 66);
                let answer = if on {
                    store.register_labels(*mask, group)
                } else {
                    store.unregister_labels(*mask, group)
                };
                if group >= 64 {
                    assert!(matches!(answer, Err(StoreError::NoSuchGroup(_))));
                    return true;
                }
                answer.expect("a writable store");
                for label in (0..64).filter(|label| mask >> label & 1 != 0) {
                    let route = &mut model.label_routes[label];
                    *route = if on { *route | 1 << group } else { *route & !(1 << group) };
                }
            }
            Act::SetScrub(number) => {
                model.level = level(*number);
                store.set_scrub(model.level).expect("a writable store");
            }
            Act::AutoVacuum(on) => {
                model.level = if *on { Scrub::Full } else { Scrub::None };
                store.set_scrub(model.level).expect("a writable store");
            }
            Act::SetUserFlags(mask) => {
                model.user_flags |= mask;
                assert_eq!(store.flags().set_user(*mask).ok(), Some(model.user_flags));
            }
            Act::ClearUserFlags(mask) => {
                model.user_flags &= !mask;
                assert_eq!(store.flags().clear_user(*mask).ok(), Some(model.user_flags));
            }
            Act::ReportParseFailure => {
                model.parse_failures += 1;
                store.report_parse_failure().expect("a writable store");
                assert_eq!(store.header().last_failure_epoch, self.store_epoch);
            }
            Act::Keep => match store.resolve(key) {
                Ok(handle) => {
                    assert_eq!(Some(&handle.slot()), self.slots.get(key));
                    self.handles.push(handle);
                }
                Err(error) => assert_eq!(model.get(key).err(), Some(error)),
            },
            Act::Watch(first, second) => {
                let groups = [first % 64, second % 64];
                self.listeners.push(Listener::to_groups(store, &groups));
                assert!(store.watch(&[64]).is_err());
            }
            Act::WatchAll => self.listeners.push(Listener::to_all(store)),
            Act::Listen => self.listeners.iter_mut().for_each(Listener::listen),
            Act::Resync => self.listeners.iter_mut().for_each(|one| one.resync(model)),
            Act::Poll { back } => {
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
            Act::Read(orders, keys) => self.read_several(key, orders.count(), &keys.map(|key| key.bytes())),
            Act::Writers(count) => self.register_writers(usize::from(*count) % 5),
            Act::Reopen => self.reopen(),
            Act::Bid(step) => self.bids.step(store, *step),
            Act::Inspect => self.look_around(),
            _ => return false,
        }
        true
    }

    fn set_many(&mut self, writer: u8, pairs: &[(crate::case::KeyName, crate::case::Body)]) {
        let max = self.model.max_value_len;
        let pairs: Vec<_> = pairs.iter().map(|(key, body)| (key.bytes(), body.bytes(max))).collect();
        let mut results = vec![Ok(()); pairs.len()];
        let writer = usize::from(writer) % self.writers.len();
        // The same one by one, so that every change has its own epoch and its own signals to agree with.
        for (pair, result) in pairs.chunks(1).zip(results.chunks_mut(1)) {
            let (key, body) = &pair[0];
            let concerned = vec![(key.clone(), self.model.groups(key))];
            self.writers[writer].set_many(pair, result);
            let done = agree(result[0], self.model.set(key, body));
            self.settle(&concerned, done, false);
        }
        // And at once, over what is there now, if it is as many keys.
        let names: BTreeSet<_> = pairs.iter().map(|(key, _)| key).collect();
        if names.len() == pairs.len() {
            let groups = |(key, _): &(Vec<u8>, _)| (key.clone(), self.model.groups(key));
            let concerned: Concerned = pairs.iter().map(groups).collect();
            self.writers[writer].set_many(&pairs, &mut results);
            let set =
                |((key, body), result): (&(Vec<u8>, Vec<u8>), _)| agree(result, self.model.set(key, body));
            let done: Vec<_> = pairs.iter().zip(results).map(set).collect();
            let changed = concerned.into_iter().zip(done).filter(|(_, done)| *done);
            let changed: Concerned = changed.map(|(one, _)| one).collect();
            self.settle(&changed, !changed.is_empty(), false);
        }
    }

    fn reroute(&mut self, writer: u8, key: &[u8], group: u8, on: bool) {
        let count = self.writers.len();
        let writer = &mut self.writers[usize::from(writer) % count];
        let theirs = if on { writer.register(key, group) } else { writer.unregister(key, group) };
        if group >= 64 {
            return assert_eq!(theirs, Err(Error::NoSuchGroup));
        }
        let ours = self.model.get_mut(key).map(|entry| {
            entry.registered =
                if on { entry.registered | 1 << group } else { entry.registered & !(1 << group) };
        });
        if agree(theirs, ours) {
            let (slot, epoch) = (self.slots[key], self.store.epoch(key).expect("a present key"));
            let last = self.epochs.insert(slot, epoch);
            assert!(last.is_some_and(|last| last < epoch), "the epoch grows");
        }
        assert_eq!(self.store.header().epoch, self.store_epoch, "no change of the key");
    }

    /// Takes note of what a step did to the keys it concerns, and compares them.
    fn settle(&mut self, concerned: &Concerned, done: bool, is_tandem: bool) {
        let mut told = 0;
        for (key, before) in concerned {
            if done {
                let mut groups = before | self.model.groups(key);
                if is_tandem {
                    groups &= !told;
                    told |= groups;
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
        if concerned.iter().any(|(key, _)| !self.model.entries.contains_key(key)) {
            // Entries of other keys may have come nearer to their homes, for which their slots are claimed.
            self.refresh_epochs();
        }
        for (key, _) in concerned {
            self.compare(key);
        }
        assert_eq!(self.store.len(), self.model.entries.len() as u64);
    }

    /// Notes in which slot a key is now, or was, and that its epoch grew (invariant 6).
    fn note_change(&mut self, key: &[u8]) -> u32 {
        let level = self.model.level;
        let Some(entry) = self.model.entries.get_mut(key) else {
            let slot = self.slots.remove(key).expect("a key that was there");
            self.vacated.insert(slot, level);
            return slot;
        };
        if level == Scrub::Full {
            entry.kept = level;
        }
        let slot = self.store.resolve(key).expect("a present key").slot();
        let known = self.slots.insert(key.to_vec(), slot);
        assert!(known.is_none_or(|known| known == slot), "a key moved while it was present");
        self.vacated.remove(&slot);
        let epoch = self.store.epoch(key).expect("a present key");
        let last = self.epochs.insert(slot, epoch).unwrap_or(0);
        assert!(epoch > last && epoch.is_multiple_of(2), "epoch {epoch} after {last}");
        slot
    }

    fn refresh_epochs(&mut self) {
        for (key, slot) in &self.slots {
            let epoch = self.store.epoch(key).expect("a present key");
            let last = self.epochs.insert(*slot, epoch);
            assert!(last.is_some_and(|last| last <= epoch), "no epoch goes back");
        }
    }

    fn register_writers(&mut self, count: usize) {
        self.writers.truncate(count);
        let lanes = self.model_lanes();
        while self.writers.len() < count {
            match self.store.writer() {
                Ok(writer) => self.writers.push(writer),
                Err(StoreError::TooManyWriters { max_writers: all }) => {
                    assert_eq!((all as usize, self.writers.len()), (lanes, lanes));
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(self.writers.len() <= lanes, "more writers than lanes");
    }

    fn model_lanes(&self) -> usize {
        self.store.geometry().max_writers as usize
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
            self.writers.push(self.store.writer().expect("a lane that was given back"));
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

/// Asserts that both answers are the same. Tells whether it was done.
fn agree<T: PartialEq + std::fmt::Debug>(theirs: Result<T, Error>, ours: Result<T, Error>) -> bool {
    assert_eq!(theirs, ours, "the store's answer, and the map's");
    theirs.is_ok()
}
