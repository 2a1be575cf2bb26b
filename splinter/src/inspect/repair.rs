//! Repair: mends what an inspection finds, as far as that needs no guess. It finishes what dead writers left while
//! others write. It rebuilds index, map and marks from the slots only while it holds every writer id, so that no other
//! writer exists. It knows the records and which writer may change them, and reads values no more than a writer does.

use crate::arena::Arena;
use crate::arena::key::Key;
use crate::arena::os::Os;
use crate::arena::records::Slot;
use crate::arena::sketches::SketchBuffer;
use crate::arena::state::{Control, Descriptor, Entry, State};
use crate::error::StoreError;
use crate::inspect::Inspection;
use crate::open::Store;
use crate::protocol::Claimant;
use crate::sync::{Relaxed, Release};
use std::collections::HashMap;
use std::ops::Range;

/// What a repair found, did and left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// The damage before the repair.
    pub before: Inspection,
    /// The damage after the repair.
    pub after: Inspection,
    /// How many other live writers are registered, also those that the caller itself holds. If there are any, the
    /// repair mended only what dead writers left.
    pub others: u32,
    /// The keys of the slots whose content the repair gave up: further slots of a key, whose first one stays, and slots
    /// whose bytes cannot be a key. The keys are as they were before the repair.
    pub given_up: Vec<Key>,
}

impl Inspection {
    /// Tells whether there is no damage. A claim of a live writer is no damage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let (keys, live_claims) = (self.keys, self.live_claims);
        *self == Self { keys, live_claims, ..Self::default() }
    }
}

impl Store {
    /// Repairs the damage that [`Store::inspect`] finds. Readers may go on meanwhile.
    ///
    /// It recovers the claims of dead writers, as the next writer would. It takes every free writer id. If that was all
    /// of them, no other writer exists, and it repairs the rest too:
    ///
    /// - Of several slots with one key, the one that readers find stays.
    /// - Slots whose bytes cannot be a key are freed.
    /// - The index, the map of used slots, the notify flags and the sketches are rebuilt.
    /// - Stale bytes are zeroed. Values stay as they are.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.writer()?.set("k", b"v")?;
    /// let repair = store.repair()?;
    /// assert!(repair.after.is_sound());
    /// assert_eq!((repair.others, repair.given_up.len(), repair.after.keys), (0, 0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Store::inspect`] and [`Store::writer`].
    pub fn repair(&self) -> Result<Repair, StoreError> {
        let before = self.inspect()?;
        let (max_writers, mut writers) = (self.geometry().max_writers, vec![self.writer()?]);
        // A store that other programs damage meanwhile may hand out the same writer id again.
        while writers.len() < max_writers as usize {
            match self.writer() {
                Ok(writer) => writers.push(writer),
                Err(StoreError::TooManyWriters { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let others = max_writers - writers.len() as u32;
        // Writer ids that this does not need would keep others from writing.
        writers.truncate(if others == 0 { writers.len() } else { 1 });
        let claimant = &mut writers[0].claimant;
        let mut rebuild = Rebuild { arena: claimant.arena, claimant };
        let given_up = if others == 0 {
            let used = self.inner.os.used(0..self.arena_len() as usize);
            rebuild.mark_touched(used.iter().flat_map(|bytes| self.inner.layout.slots_in(bytes)));
            rebuild.rebuild_all(&used)
        } else {
            rebuild.recover_claims(|this, slot, state| this.is_own(slot, state) || this.is_dead(slot, state));
            Vec::new()
        };
        Ok(Repair { before, after: self.inspect()?, others, given_up })
    }
}

/// Loads a slot's words for the repair.
fn open<'a>(arena: &Arena<'a>, number: u32) -> Option<(&'a Slot, State, Descriptor)> {
    let slot = arena.slot(number)?;
    Some((slot, State(slot.state_integer.first_acquire()), Descriptor(slot.descriptor.load(Relaxed))))
}

/// A repair by a caller that holds every writer id, and no claim.
struct Rebuild<'a, 'c> {
    arena: Arena<'a>,
    claimant: &'c mut Claimant<'a>,
}

impl Rebuild<'_, '_> {
    fn touched(&self) -> impl Iterator<Item = u32> + use<> {
        let numbers: Vec<u32> = self.arena.marked(|word| word.touched.load(Relaxed)).collect();
        numbers.into_iter()
    }

    /// Recovers every claim on a slot whose writer id `is_dead`.
    fn recover_claims(&mut self, is_dead: impl Fn(&Claimant<'_>, &Slot, State) -> bool) {
        for number in self.touched() {
            self.claimant.recover_claim_if(number, &is_dead);
        }
    }

    /// Repairs all touched slots and the index. The caller holds every writer id and no claim. Returns the keys of the
    /// slots that it gave up.
    ///
    /// After each step the store is no worse than before, in case it is the last one. So this first adds what leads to
    /// keys, and then removes what leads nowhere.
    fn rebuild_all(&mut self, used: &[Range<usize>]) -> Vec<Key> {
        // No owner of a writer id is in the middle of an operation, so every claim was abandoned.
        self.recover_claims(|_, _, _| true);
        for number in self.touched() {
            if open(&self.arena, number).is_some_and(|(_, state, _)| state.has_leftover_claim()) {
                self.claim_and_recover(number, |descriptor| descriptor);
            }
        }
        let lost: Vec<Key> = self.touched().filter_map(|number| self.lost_key(number)).collect();
        let mut given_up = self.keep_one_slot_a_key();
        self.rebuild_index();
        let mut buffer = SketchBuffer::new(&self.arena);
        for number in self.touched() {
            self.rebuild_marks(number, used);
            self.rebuild_sketch(number, used, &mut buffer);
        }
        self.clear_unused_sketches(used);
        // Another slot may hold the key.
        let arena = self.arena;
        let is_gone = |key: &Key| arena.key(key.as_ref()).is_ok_and(|key| arena.locate(&key).is_none());
        given_up.extend(lost.into_iter().filter(is_gone));
        given_up
    }

    /// Marks candidates that hold anything as touched, because all other code looks only at touched slots. The caller
    /// leaves out slots for which the kernel holds no page: they were not touched, and reading them would allocate
    /// memory.
    fn mark_touched(&self, candidates: impl Iterator<Item = u32>) {
        for number in candidates {
            let Some((slot, state, descriptor)) = open(&self.arena, number) else { continue };
            let subscriptions = self.arena.metadata[number as usize].subscriptions.load(Relaxed);
            let used = state.0 | descriptor.0 | slot.notify_flags.load(Relaxed) | subscriptions != 0;
            let (word, bit) = self.arena.bit(number);
            if used || word.used.load(Relaxed) & bit != 0 {
                word.touched.fetch_or(bit, Relaxed);
            }
        }
    }

    /// Returns the key of a slot whose descriptor says that it holds none, although the index leads to it from that
    /// key. A removed key has no entry left, so this one was lost.
    fn lost_key(&self, number: u32) -> Option<Key> {
        let (slot, ..) = open(&self.arena, number).filter(|(.., descriptor)| !descriptor.is_present())?;
        let key = Key::read_from(slot);
        let leads = |found, _, _| (found == number).then_some(());
        self.arena.probe(&self.arena.key(key.as_ref()).ok()?, leads).map(|()| key)
    }

    /// Frees the slots whose bytes cannot be a key, and those whose key another slot holds too: the one that readers
    /// find stays. Returns their keys.
    fn keep_one_slot_a_key(&mut self) -> Vec<Key> {
        let arena = self.arena;
        let (mut slot_of, mut surplus) = (HashMap::new(), Vec::new());
        for number in self.touched() {
            let Some((slot, _, descriptor)) = open(&arena, number) else { continue };
            if !descriptor.is_present() {
                continue;
            }
            let found = Key::read_from(slot);
            let Some(key) = arena.key(found.as_ref()).ok().filter(|key| key.is_in(slot)) else {
                surplus.push((number, found));
                continue;
            };
            let other = *slot_of.entry(Key::from(key)).or_insert(number);
            if other != number {
                let validate = |number, _, _| {
                    let (slot, _, descriptor) = open(&arena, number)?;
                    (descriptor.is_present() && key.is_in(slot)).then_some(number)
                };
                let is_found = arena.probe(&key, validate) == Some(number);
                surplus.push((if is_found { other } else { number }, found));
                if is_found {
                    slot_of.insert(key.into(), number);
                }
            }
        }
        let give_up = |(number, key)| {
            self.claim_and_recover(number, Descriptor::vacant);
            key
        };
        surplus.into_iter().map(give_up).collect()
    }

    /// Claims a slot, changes its descriptor, and recovers the claim as if its owner had died there. The recovery makes
    /// everything that depends on the descriptor match it, and wipes what the scrub level requires.
    fn claim_and_recover(&mut self, number: u32, change: impl Fn(Descriptor) -> Descriptor) {
        let Some((slot, mut state, descriptor)) = open(&self.arena, number) else { return };
        self.arena.writer_table[self.claimant.writer_id as usize]
            .slot_intent
            .store(u64::from(number) + 1, Relaxed);
        let claim = |state: State| state.without_claim().claimed(self.claimant.writer_id, false);
        // Another thread may prepare to sleep on the slot between the two. No other thread claims it.
        for _ in 0..64 {
            if state.is_claimed() || slot.state_integer.exchange_first(state.0, claim(state).0) {
                break;
            }
            state = State(slot.state_integer.first_acquire());
        }
        slot.descriptor.store(change(descriptor).0, Release);
        self.claimant.recover_claim_if(number, |_, _, _| true);
    }

    /// Frees the entries that lead to no key or have a wrong tag, adds entries for keys without one, and sets every
    /// home bucket's maximum distance.
    fn rebuild_index(&mut self) {
        let arena = self.arena;
        let buckets = arena.buckets.len();
        let home_of = |number: u32| {
            let (slot, ..) = open(&arena, number).filter(|(_, _, descriptor)| descriptor.is_present())?;
            let key = Key::read_from(slot);
            let hash = arena.key(key.as_ref()).ok()?.hash;
            Some((arena.home(hash), hash))
        };
        let mut max_distance = vec![0_u64; buckets];
        let mut has_entry = vec![0_u64; arena.bitmap.len()];
        for (place, bucket) in arena.buckets.iter().enumerate() {
            for word in &bucket.entries {
                let entry = Entry(word.load(Relaxed));
                let (number, distance) = (entry.slot(), entry.distance());
                let leads = home_of(number).filter(|(home, hash)| {
                    entry == Entry::new(number, Entry::tag(*hash, distance))
                        && distance < buckets as u64
                        && (home + distance as usize) & (buckets - 1) == place
                        && has_entry[number as usize / 64] >> (number % 64) & 1 == 0
                });
                if let Some((home, _)) = leads {
                    has_entry[number as usize / 64] |= 1 << (number % 64);
                    max_distance[home] = max_distance[home].max(distance);
                } else if entry != Entry::FREE {
                    word.store(Entry::FREE.0, Release);
                }
            }
        }
        // First raise the distances, so that readers find every key. A distance that is too long only costs them time.
        self.set_max_distance(|home, old| old.max(max_distance[home]));
        for number in self.touched() {
            let Some((home, hash)) = home_of(number) else { continue };
            if has_entry[number as usize / 64] >> (number % 64) & 1 == 0 {
                self.add_entry(number, home, hash, &mut max_distance);
            }
        }
        self.set_max_distance(|home, _| max_distance[home]);
    }

    /// Adds an entry for a slot, in the nearest free place to its home bucket.
    fn add_entry(&self, number: u32, home: usize, hash: u64, max_distance: &mut [u64]) {
        let arena = self.arena;
        for distance in 0..=(arena.buckets.len() as u64 - 1).min(0xffff) {
            for word in &arena.bucket(home, distance).entries {
                if word.load(Relaxed) == Entry::FREE.0 {
                    max_distance[home] = max_distance[home].max(distance);
                    let control = &arena.buckets[home].control;
                    let seen = Control(control.load(Relaxed));
                    control.store(seen.with_max_distance(seen.max_distance().max(distance)).0, Release);
                    let entry = Entry::new(number, Entry::tag(hash, distance));
                    return word.store(entry.0, Release);
                }
            }
        }
    }

    /// Releases every claim on a bucket, and changes the maximum distances.
    fn set_max_distance(&self, change: impl Fn(usize, u64) -> u64) {
        for (home, bucket) in self.arena.buckets.iter().enumerate() {
            let seen = Control(bucket.control.load(Relaxed));
            let max_distance = change(home, seen.max_distance());
            if seen.is_claimed() || max_distance != seen.max_distance() {
                let control =
                    seen.claimed(self.claimant.writer_id).with_max_distance(max_distance).released();
                bucket.control.store(control.0, Release);
            }
        }
    }

    /// Makes the sketch of a slot that of its vector.
    fn rebuild_sketch(&self, number: u32, used: &[Range<usize>], buffer: &mut SketchBuffer) {
        let Some((_, _, descriptor)) = open(&self.arena, number) else { return };
        if self.arena.has_wrong_sketch(number, descriptor, buffer, used) {
            self.arena.write_sketch(number, descriptor, buffer);
        }
    }

    /// Zeroes the sketches of slots that were never used: no writer does when it comes to use them.
    fn clear_unused_sketches(&self, used: &[Range<usize>]) {
        let Some(sketches) = &self.arena.sketches else { return };
        for part in self.arena.parts_of(sketches.records, 0, used) {
            for at in part.start / 8..part.end / 8 {
                let ((word, bit), sketch) =
                    (self.arena.bit((at / sketches.record_len) as u32), &sketches.records[at]);
                if word.touched.load(Relaxed) & bit == 0 && sketch.load(Relaxed) != 0 {
                    sketch.store(0, Relaxed);
                }
            }
        }
    }

    /// Makes the map, the notify flags and the subscription of a slot match its descriptor, and wipes its stale bytes
    /// in the `used` parts of the arena.
    fn rebuild_marks(&mut self, number: u32, used: &[Range<usize>]) {
        let arena = self.arena;
        let Some((slot, _, descriptor)) = open(&arena, number) else { return };
        let (word, bit) = arena.bit(number);
        if arena.stale_bytes(number, descriptor, used) > 0 {
            self.claim_and_recover(number, |descriptor| arena.wipe_used(number, slot, descriptor, used));
        }
        for which in 0..2 {
            arena.raise_extent(slot, which, arena.live(descriptor, which));
        }
        if descriptor.is_present() {
            word.used.fetch_or(bit, Relaxed);
        } else {
            word.used.fetch_and(!bit, Relaxed);
            arena.metadata[number as usize].subscriptions.store(0, Relaxed);
        }
        arena.note_presence(number, descriptor.is_present());
        // Sweeps clear a bit too many.
        if descriptor.expires() != 0 {
            word.expiring.fetch_or(bit, Relaxed);
        }
        arena.update_notify_flags(number, slot, descriptor.is_present());
    }
}
