//! Models of the protocol: loom runs each once for every order in which its threads' accesses can take effect, weak
//! memory included. It allows two preemptions at most, in some models one, unless `LOOM_MAX_PREEMPTIONS` says
//! otherwise. This file has the store that the models share, as small as possible and on the heap. The files beside it
//! have the claims. Run them by `RUSTFLAGS="--cfg loom" cargo test --release -p splinter --lib models`.
//!
//! A writer dies in a model by [`crash::run`]: from one store on, none of its accesses takes effect. The models of
//! death run once for every store of the interrupted operation.

mod conditional;
mod consistent;
mod deaths;
mod eviction;
mod expiry;
mod extents;
mod index;
mod integers;
mod lasting;
mod missing;
mod owners;
mod pairs;
mod polls;
mod prefixes;
mod reads;
mod recovery;
mod recycling;
mod rings;
mod signals;
mod transactions;
mod unchanged;
mod writes;

use super::transaction::Refusal;
use super::{Claimant, Os, Part};
use crate::arena::cache::{Cache, Eviction, HINTS_A_SLOT};
use crate::arena::change::KeyChange;
use crate::arena::deadline::Clock;
use crate::arena::key::{Key, KeyHash, KeyRef};
use crate::arena::records::{
    BitmapWord, Bucket, Deadlines, FLAG_CACHE, FLAG_FULL, FLAG_HYBRID, GROUPS, Header, Metadata, Slot,
    WriterEntry,
};
use crate::arena::state::{Control, Descriptor, Entry, State};
use crate::arena::version::{Expect, Lifetime, Outcome};
use crate::arena::{Arena, Scrub, Shape};
use crate::error::Error;
use crate::sync::{Acquire, Byte, Relaxed, Release, Word, crash};
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};

/// The keys of the models, one letter each.
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

/// Returns the hash with which the models' stores place their keys.
fn hash() -> KeyHash {
    KeyHash::new(0)
}

/// Entries of a ring: so few that they are soon overwritten.
const RING_LEN: usize = 2;

/// The result of a read.
type Read = Result<Vec<u8>, Error>;

/// The kernel of a model: it knows which writers are dead, and lets threads sleep.
struct Kernel {
    /// For each writer id twice its owner's generation, plus one if that owner is dead. Loom's own words: a thread that
    /// learns of a death from the kernel sees everything that the dead writer did.
    owners: Vec<loom::sync::atomic::AtomicU32>,
    /// Where threads sleep until the state of a slot changes.
    states: Futex,
    /// Where threads sleep on the wake word.
    wake_word: Futex,
}

impl Os for Kernel {
    fn death_of(&self, writer_id: u32) -> Option<u32> {
        let owner = self.owners[writer_id as usize].load(Acquire);
        (owner & 1 != 0).then_some(owner / 2)
    }

    fn used(&self, bytes: Range<usize>) -> Vec<Range<usize>> {
        vec![bytes]
    }

    fn wake_slot(&self, slot: &Slot) {
        self.states.wake(std::ptr::from_ref(slot).addr(), u32::MAX);
    }

    fn wake_groups(&self, wake_word: &Word, bits: u32) {
        self.wake_word.wake(std::ptr::from_ref(wake_word).addr(), bits);
    }
}

/// A futex with the kernel's guarantee: a waker either comes before the sleeper's comparison, which then sees
/// everything stored before, or finds the sleeper. A sleeper that nobody wakes is a deadlock, which loom reports.
#[derive(Default)]
struct Futex {
    /// The address of each sleeper, and the bits that can wake it; none once it was woken.
    sleepers: loom::sync::Mutex<Vec<(usize, u32)>>,
    woken: loom::sync::Condvar,
}

impl Futex {
    /// Sleeps at `place` until woken by one of `bits`, unless `read` returns something other than
    /// `expected`. Returns whether it slept.
    fn wait(&self, place: usize, bits: u32, read: impl FnOnce() -> u64, expected: u64) -> bool {
        let mut sleepers = self.sleepers.lock().unwrap();
        if read() != expected {
            return false;
        }
        let mine = sleepers.len();
        sleepers.push((place, bits));
        while sleepers[mine].1 != 0 {
            sleepers = self.woken.wait(sleepers).unwrap();
        }
        true
    }

    /// Wakes the sleepers at `place` for any of `bits`. A writer may die before it, as before a store.
    fn wake(&self, place: usize, bits: u32) {
        if !crash::may_store() {
            return;
        }
        let mut sleepers = self.sleepers.lock().unwrap();
        for sleeper in sleepers.iter_mut().filter(|sleeper| sleeper.0 == place && sleeper.1 & bits != 0) {
            sleeper.1 = 0;
            self.woken.notify_all();
        }
    }
}

/// Changes without the versions that they return.
impl Claimant<'_> {
    fn put(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<(), Error> {
        self.set(key, value, Expect::Any).map(drop)
    }

    fn extend(&mut self, key: &KeyRef<'_>, tail: &[u8]) -> Result<usize, Error> {
        self.append(key, tail, Expect::Any).map(|(len, _)| len)
    }

    /// Commits a transaction of these changes, one for each key.
    fn transact(&mut self, keys: &[KeyRef<'_>], changes: &[KeyChange<'_>]) -> Result<Vec<Outcome>, Refusal> {
        self.commit(&mut keys.iter().copied().map(Part::of).collect::<Vec<_>>(), changes)
    }

    fn unset_only(&mut self, key: &KeyRef<'_>) -> Result<usize, Error> {
        self.unset(key, Expect::Any).map(|(len, _)| len)
    }
}

/// A store with as little in it as a model needs.
struct Tiny {
    header: Header,
    writer_table: Vec<WriterEntry>,
    bitmap: Vec<BitmapWord>,
    buckets: Vec<Bucket>,
    slots: Vec<Slot>,
    metadata: Vec<Metadata>,
    deadlines: Vec<Deadlines>,
    /// The store time: what the clock shows to those who look from now on.
    time: std::sync::atomic::AtomicU64,
    rings: Vec<Word>,
    words: Vec<Word>,
    /// What insertions evict by; empty in a store that is no cache.
    visits: Vec<Byte>,
    places: Vec<Word>,
    queues: [Vec<Word>; 2],
    shape: Shape,
    hash: KeyHash,
    kernel: Arc<Kernel>,
}

/// The geometry of a [`Tiny`].
#[derive(Clone, Copy)]
struct Size {
    slots: usize,
    buckets: usize,
    max_writers: usize,
    /// Words of a value buffer.
    words: usize,
    dim: usize,
    scrub: Scrub,
    eviction: Eviction,
}

/// One slot, one bucket, three writers, values of two words, no vectors, scrub level none.
const SMALLEST: Size = Size {
    slots: 1,
    buckets: 1,
    max_writers: 3,
    words: 2,
    dim: 0,
    scrub: Scrub::None,
    eviction: Eviction::Expired,
};

impl Default for Size {
    fn default() -> Self {
        SMALLEST
    }
}

impl Size {
    /// Enlarges the value buffers to the 64-byte line to which the levels but `None` zero.
    fn scrubbed(self, scrub: Scrub) -> Self {
        let words = if scrub == Scrub::None { 2 } else { 8 };
        Self { scrub, words, ..self }
    }

    /// Builds the store, empty but for `keys`, which the last writer id sets to [`value`] 1.
    fn build(self, keys: &[KeyRef<'_>]) -> Arc<Tiny> {
        fn some<T: Default>(count: usize) -> Vec<T> {
            (0..count).map(|_| T::default()).collect()
        }
        let vector_words = self.dim.div_ceil(2);
        let values = self.slots * 2 * self.words;
        let hints = if self.eviction == Eviction::Sieve { self.slots } else { 0 };
        let visits = if self.eviction == Eviction::Expired { 0 } else { self.slots };
        let tiny = Tiny {
            header: Header::default(),
            writer_table: some(self.max_writers),
            bitmap: some(1),
            buckets: some(self.buckets),
            slots: some(self.slots),
            metadata: some(self.slots),
            deadlines: some(self.slots),
            time: std::sync::atomic::AtomicU64::new(1),
            rings: some((GROUPS + 1) * RING_LEN),
            words: some(values + self.slots * 2 * vector_words),
            visits: some(visits),
            places: some(hints),
            queues: [some(HINTS_A_SLOT * hints), some(HINTS_A_SLOT * hints)],
            shape: Shape {
                slots: self.slots as u32,
                max_value_len: self.words as u32 * 8,
                vector_dim: self.dim as u32,
                values_at: 0,
                value_stride: 2 * self.words,
                value_words: self.words,
                vectors_at: values,
                vector_stride: 2 * vector_words,
                vector_words,
                ring_len: RING_LEN as u32,
            },
            hash: hash(),
            kernel: Arc::new(Kernel {
                owners: some(self.max_writers),
                states: Futex::default(),
                wake_word: Futex::default(),
            }),
        };
        let flags = match self.scrub {
            Scrub::None => 0,
            Scrub::Hybrid => FLAG_HYBRID,
            Scrub::Full => FLAG_FULL,
        };
        let cache_flag = if self.eviction == Eviction::Expired { 0 } else { FLAG_CACHE };
        tiny.header.flags.store(flags | cache_flag, Relaxed);
        tiny.header.eviction.store(self.eviction as u64, Relaxed);
        tiny.header.visit_mark.store(1, Relaxed);
        let mut claimant = tiny.claimant(self.max_writers as u32 - 1);
        for key in keys {
            claimant.put(key, &value(1)).unwrap();
        }
        Arc::new(tiny)
    }
}

impl Tiny {
    fn arena(&self) -> Arena<'_> {
        Arena {
            header: &self.header,
            writer_table: &self.writer_table,
            // The models' kernel knows which writers live. The model `owners` has the owner words.
            owners: &[],
            bitmap: &self.bitmap,
            buckets: &self.buckets,
            slots: &self.slots,
            metadata: &self.metadata,
            deadlines: &self.deadlines,
            rings: &self.rings,
            words: &self.words,
            shape: self.shape,
            hash: &self.hash,
            clock: Clock {
                since_boot: || 0,
                distance: self.time.load(std::sync::atomic::Ordering::SeqCst),
                base: None,
            },
            visits: &self.visits,
            cache: (!self.visits.is_empty()).then(|| Cache {
                eviction: if self.places.is_empty() { Eviction::Lru } else { Eviction::Sieve },
                hands: &self.header.hands,
                mark: &self.header.visit_mark,
                visits: &self.visits,
                places: &self.places,
                queues: [&self.queues[0], &self.queues[1]],
            }),
            sketches: None,
        }
    }

    /// Registers the next owner of `writer_id`.
    fn claimant(&self, writer_id: u32) -> Claimant<'_> {
        let owner = &self.kernel.owners[writer_id as usize];
        owner.store((owner.load(Relaxed) | 1) + 1, Release);
        Claimant::new(self.arena(), writer_id, Arc::clone(&self.kernel) as _)
    }

    /// Runs `work` on a thread of its own.
    fn spawn<R: 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        let tiny = Arc::clone(self);
        loom::thread::spawn(move || work(&tiny))
    }

    /// Reads `key` on a thread of its own. Call it once all writers run. Loom lets a later thread's loads return every
    /// older value that they may, but does not always run a thread earlier that only loads.
    fn reader(self: &Arc<Self>, key: KeyRef<'static>) -> loom::thread::JoinHandle<Read> {
        self.spawn(move |tiny| tiny.get(&key))
    }

    /// Runs `work` on a thread of its own, by the owner of `writer_id`.
    fn writer<R: 'static>(
        self: &Arc<Self>,
        writer_id: u32,
        work: impl FnOnce(&mut Claimant<'_>) -> R + 'static,
    ) -> loom::thread::JoinHandle<R> {
        self.spawn(move |tiny| work(&mut tiny.claimant(writer_id)))
    }

    /// Makes the owner of `writer_id` do `work` and die before its store number `stores`. Returns the result if it
    /// finished first; the owner is dead either way.
    fn die<R>(&self, writer_id: u32, stores: u32, work: impl FnOnce(&mut Claimant<'_>) -> R) -> Option<R> {
        let mut claimant = self.claimant(writer_id);
        let end = crash::run(stores, || work(&mut claimant));
        self.end(writer_id);
        end
    }

    /// Ends the owner of `writer_id`.
    fn end(&self, writer_id: u32) {
        let owner = &self.kernel.owners[writer_id as usize];
        owner.store(owner.load(Relaxed) | 1, Release);
    }

    /// Returns the `index`-th letter's key whose home is bucket `home`.
    fn key_at_home(&self, home: usize, index: usize) -> KeyRef<'static> {
        let at_home = |key: &KeyRef<'_>| self.arena().home(key.hash) == home;
        (0..LETTERS.len()).map(letter).filter(at_home).nth(index).unwrap()
    }

    fn get(&self, key: &KeyRef<'_>) -> Read {
        let arena = self.arena();
        let mut out = [0; 64];
        let len = arena.read(key, |read| read.payload(&arena).copy_to(&mut out))?;
        Ok(out[..len].to_vec())
    }

    /// Returns the byte that the value of `key` consists of, if the key is present. No thread writes meanwhile.
    fn held(&self, key: &KeyRef<'_>) -> Option<u8> {
        match self.get(key) {
            Ok(bytes) => {
                assert_eq!(bytes, value(bytes[0]));
                Some(bytes[0])
            }
            Err(error) => {
                assert_eq!(error, Error::NotFound);
                None
            }
        }
    }

    /// Whether this is the first call of the check `name` on a store with exactly these words. Nothing else decides the
    /// outcome, and most orders end alike. Call it after all threads have ended: loom relies on a model to repeat
    /// itself as long as it has choices to make.
    fn is_first(&self, name: &'static str) -> bool {
        static CHECKED: LazyLock<Mutex<HashSet<(&str, Vec<u64>)>>> = LazyLock::new(Mutex::default);
        let mut words = vec![&self.header.flags];
        words.extend(self.writer_table.iter().flat_map(WriterEntry::intents));
        words.extend(self.writer_table.iter().map(|entry| &entry.committed));
        words.extend(self.bitmap.iter().flat_map(|word| [&word.used, &word.touched]));
        words.extend(self.buckets.iter().flat_map(|bucket| &bucket.entries));
        words.extend(self.buckets.iter().map(|bucket| &bucket.control));
        words.extend(self.slots.iter().flat_map(|slot| &slot.key));
        words.extend(self.slots.iter().flat_map(|slot| {
            [&slot.descriptor, &slot.notify_flags, &slot.prepared, &slot.labels, &slot.ctime, &slot.atime]
        }));
        let hands = &self.header.hands;
        words.extend(hands.taken.iter().chain(&hands.put).chain([&hands.turns, &hands.is_filled]));
        words.extend(self.places.iter().chain(self.queues.iter().flatten()));
        words.extend(self.metadata.iter().map(|metadata| &metadata.subscriptions).chain(&self.words));
        let mut values: Vec<u64> = words.into_iter().map(Word::at_rest).collect();
        values.extend(self.slots.iter().map(|slot| slot.state_integer.at_rest()));
        values.extend(
            (0..self.writer_table.len())
                .map(|writer_id| u64::from(self.kernel.death_of(writer_id as u32).is_none())),
        );
        values.extend(
            [self.writer_table.len(), self.slots.len(), self.shape.value_words].map(|count| count as u64),
        );
        CHECKED.lock().unwrap().insert((name, values))
    }

    /// Checks that every slot can be used: the last writer id, alone, gives each a key, and then removes all.
    fn check_usable(&self) {
        if !self.is_first("usable") {
            return;
        }
        let mut claimant = self.claimant(self.writer_table.len() as u32 - 1);
        let keys: Vec<_> = (0..self.slots.len()).map(letter).collect();
        let others = (self.slots.len()..LETTERS.len()).map(letter);
        for key in others.filter(|key| self.held(key).is_some()) {
            assert!(claimant.unset_only(&key).is_ok());
        }
        for key in &keys {
            assert_eq!(claimant.put(key, &value(9)), Ok(()), "a slot can be used");
        }
        self.check_at_rest();
        // A cache may have evicted one for another whose slot came free later.
        let is_there = |key: &&KeyRef<'_>| self.visits.is_empty() || self.held(key).is_some();
        for key in keys.iter().filter(is_there) {
            assert_eq!(claimant.unset_only(key), Ok(16));
        }
        self.check_at_rest();
    }

    /// Returns how many entries lead to slot `number`.
    fn entries_to(&self, number: u32) -> usize {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.entries);
        entries.filter(|word| Entry(word.load(Relaxed)).slot() == number).count()
    }

    /// Returns how many bytes the value of `key` has, 0 if it is missing.
    fn held_len(&self, key: &KeyRef<'_>) -> usize {
        let arena = self.arena();
        arena.read(key, |read| Ok(read.payload(&arena).len())).unwrap_or(0)
    }

    /// Checks what must hold whenever and wherever a writer dies: all bytes that neither the extents nor the stale bits
    /// of vectors cover are zero.
    fn check_extents(&self) {
        let arena = self.arena();
        for (number, slot) in (0..).zip(&self.slots) {
            let descriptor = arena.open(number, slot).descriptor;
            for which in 0..2 {
                let (value, vector) = (arena.value(number, which), arena.vector(number, which));
                let extent = arena.extent(slot, which);
                assert!(arena.live(descriptor, which) <= extent, "an extent covers the value");
                let beyond = &value[extent.div_ceil(8)..];
                let vector = if descriptor.vector_stale() >> which & 1 != 0 { &[] } else { vector };
                let zero = beyond.iter().chain(vector).all(|word| word.load(Relaxed) == 0);
                assert!(zero, "slot {number} holds bytes in buffers {which} that no extent covers");
            }
        }
    }

    /// Checks what must hold once no thread writes. Only dead writers have left claims. A key has one slot, and one
    /// entry leads to it. The map agrees, and bytes that were never written are zero.
    fn check_at_rest(&self) {
        if !self.is_first("at rest") {
            return;
        }
        self.check_extents();
        let arena = self.arena();
        let is_dead = |writer_id: u32| self.kernel.death_of(writer_id).is_some();
        let mut keys = HashSet::new();
        for (number, slot) in (0..).zip(&self.slots) {
            let read = arena.open(number, slot);
            let state = State(slot.state_integer.first_acquire());
            assert!(!state.is_claimed() || is_dead(state.writer_id()), "a claim is left");
            let bits = &self.bitmap[0];
            let entries = self.entries_to(number);
            let used = bits.used.load(Relaxed) >> number & 1 != 0;
            if read.descriptor.is_present() {
                let key = Key::read_from(slot);
                assert!(keys.insert(key), "{key} has two slots");
                let found = arena.locate(&arena.key(key.as_ref()).unwrap());
                let is_found = found == Some(number) || arena.is_expired(number, read.descriptor);
                assert!(is_found, "the index leads to {key}");
                assert!(used || state.is_claimed(), "{key} is marked as used");
                assert_eq!(entries, 1, "one entry leads to {key}");
                assert!(bits.touched.load(Relaxed) >> number & 1 != 0);
            } else {
                assert!(!used, "a vacant slot is not marked as used");
                assert!(entries == 0 || state.is_claimed(), "an entry leads to a slot without a key");
            }
        }
        let no_writer_died = !(0..self.writer_table.len() as u32).any(is_dead);
        for (home, bucket) in self.buckets.iter().enumerate() {
            let control = Control(bucket.control.load(Relaxed));
            assert!(!control.is_claimed() || is_dead(control.writer_id()), "a claimed bucket is left");
            if no_writer_died {
                let farthest = arena.last_entry(home, u64::MAX).map_or(0, Entry::distance);
                assert_eq!(control.max_distance(), farthest, "the maximum distance is exact");
                assert!(!arena.visit_displaced(home, |_| true), "an entry lies too far from its home");
            }
        }
    }
}

/// Returns the key of the `index`-th letter.
fn letter(index: usize) -> KeyRef<'static> {
    KeyRef::new(&LETTERS[index..=index], &hash()).unwrap()
}

/// Returns two words of the same byte: a value that is never zero and in which tearing shows.
fn value(byte: u8) -> Vec<u8> {
    vec![byte; 16]
}

/// Runs `model` for every order of its accesses. Returns its different results, so that a test can check that its claim
/// about all of them is not vacuous.
pub(crate) fn explore<O: Eq + Hash + Debug + Send + 'static>(
    model: impl Fn() -> O + Send + Sync + 'static,
) -> HashSet<O> {
    explore_within(2, model)
}

/// Does what [`explore`] does with another bound of preemptions, for long models.
pub(crate) fn explore_within<O: Eq + Hash + Debug + Send + 'static>(
    preemptions: usize,
    model: impl Fn() -> O + Send + Sync + 'static,
) -> HashSet<O> {
    let outcomes = Arc::new(Mutex::new((0, HashSet::new())));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    let seen = Arc::clone(&outcomes);
    builder.check(move || {
        let outcome = model();
        let mut seen = seen.lock().unwrap();
        seen.0 += 1;
        seen.1.insert(outcome);
    });
    let mut outcomes = outcomes.lock().unwrap();
    if std::env::var_os("SPLINTER_MODELS_VERBOSE").is_some() {
        eprintln!("{} executions: {:?}", outcomes.0, outcomes.1);
    }
    std::mem::take(&mut outcomes.1)
}

/// Runs `model` for each number of stores after which its victim may die, up to none. The model first returns whether
/// its victim finished.
pub(crate) fn explore_deaths<O: Eq + Hash + Debug + Send + 'static>(
    model: impl Fn(u32) -> (bool, O) + Send + Sync + Copy + 'static,
) -> HashSet<O> {
    let mut outcomes = HashSet::new();
    for stores in 0..200 {
        let seen = explore_within(1, move || model(stores));
        let lived = seen.iter().all(|(lived, _)| *lived);
        outcomes.extend(seen.into_iter().map(|(_, outcome)| outcome));
        if lived {
            return outcomes;
        }
    }
    panic!("the victim never ends");
}
