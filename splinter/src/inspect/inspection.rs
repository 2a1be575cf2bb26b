//! Inspection: walks through a whole arena and counts damage. It stores nothing, and is exact on a store that no writer
//! changes meanwhile.

use crate::arena::copy::{copy_vector_out, count_non_zero, zero};
use crate::arena::key::Key;
use crate::arena::os::Os;
use crate::arena::records::Slot;
use crate::arena::sketches::SketchBuffer;
use crate::arena::state::{Control, Descriptor, Entry, NotifyFlags, State};
use crate::arena::{Arena, HYBRID_LINE, Scrub};
use crate::error::StoreError;
use crate::open::Store;
use crate::sync::{Relaxed, Release, Word};
use std::collections::HashMap;
use std::ops::Range;

/// The findings of a walk through a store. In a sound store at rest, everything but `keys` is zero. The stale counts
/// are zero only if the scrub level was not lowered and raised again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Slots that hold a key.
    pub keys: u64,
    /// Keys that more than one slot holds, counted for each surplus slot.
    pub duplicate_keys: u64,
    /// Keys to which the index does not lead.
    pub unreachable_keys: u64,
    /// Claims on slots and buckets whose owner is dead, and states that are half a claim.
    pub stuck_claims: u64,
    /// Claims on slots and buckets whose owner lives.
    pub live_claims: u64,
    /// Slots that are marked as used and hold no key, or hold a key and are not marked.
    pub leaked_slots: u64,
    /// Index entries that lead to no key and to no claim.
    pub dangling_entries: u64,
    /// Slots whose notify flags do not match their subscriptions and labels, or that have subscriptions and no key.
    pub wrong_notify_flags: u64,
    /// Slots whose sketch is not that of their vector, so that searches may miss it.
    pub wrong_sketches: u64,
    /// Non-zero bytes where the current scrub level promises zeroes.
    pub stale_bytes: u64,
    /// Slots that have such bytes.
    pub stale_slots: u64,
}

impl Store {
    /// Walks through the whole store and looks for damage.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// store.writer()?.set("k", b"v")?;
    /// let found = store.inspect()?;
    /// assert_eq!((found.keys, found.duplicate_keys, found.stale_bytes), (1, 0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Os`] when the kernel does not tell which owners live, [`StoreError::NotAStore`] when the file was
    /// truncated.
    pub fn inspect(&self) -> Result<Inspection, StoreError> {
        self.check_whole()?;
        let arena = self.arena();
        // Memory that was never used is zero, and reading it would allocate it.
        let used = self.inner.os.used(0..self.arena_len() as usize);
        let mut found = Inspection::default();
        let mut slots_of = HashMap::new();
        let mut buffer = SketchBuffer::new(arena);
        let claim = |found: &mut Inspection, writer_id| {
            let alive = self.inner.os.death_of(writer_id).is_none();
            *if alive { &mut found.live_claims } else { &mut found.stuck_claims } += 1;
        };
        for number in arena.marked(|word| word.touched.load(Relaxed)) {
            let Some(slot) = arena.slot(number) else {
                continue;
            };
            let state = State(slot.state_integer.first_acquire());
            let descriptor = Descriptor(slot.descriptor.load(Relaxed));
            if state.is_claimed() {
                claim(&mut found, state.writer_id());
            } else {
                found.stuck_claims += u64::from(state.has_leftover_claim());
                let word = arena.bitmap[number as usize / 64].used.load(Relaxed);
                found.leaked_slots += u64::from((word >> (number % 64) & 1 != 0) != descriptor.is_present());
                found.wrong_notify_flags += u64::from(arena.has_wrong_notify_flags(number, slot, descriptor));
                let stale = arena.stale_bytes(number, descriptor, &used);
                found.stale_bytes += stale;
                found.stale_slots += u64::from(stale > 0);
                found.wrong_sketches +=
                    u64::from(arena.has_wrong_sketch(number, descriptor, &mut buffer, &used));
            }
            if descriptor.is_present() {
                let key = Key::read_from(slot);
                found.keys += 1;
                *slots_of.entry(key).or_insert(0_u64) += 1;
                let leads = |number_found, _, _| (number_found == number).then_some(());
                // Bytes behind the key's end hide it from every reader.
                let reachable = arena
                    .key(key.as_ref())
                    .is_ok_and(|key| key.is_in(slot) && arena.probe(&key, leads).is_some());
                found.unreachable_keys += u64::from(!reachable);
            }
        }
        found.duplicate_keys = slots_of.values().map(|slots| slots - 1).sum();
        for bucket in arena.buckets {
            let at = arena.offset_of(std::slice::from_ref(bucket));
            if parts(&used, at..at + size_of_val(bucket)).next().is_none() {
                continue;
            }
            let control = Control(bucket.control.load(Relaxed));
            if control.is_claimed() {
                claim(&mut found, control.writer_id());
            }
            let entries = bucket.entries.iter().map(|word| Entry(word.load(Relaxed)));
            let dangles = |entry: &Entry| {
                // A slot that a writer holds may get its key, or lose its entry.
                let is_fit = |slot: &Slot| {
                    State(slot.state_integer.first_acquire()).is_claimed()
                        || Descriptor(slot.descriptor.load(Relaxed)).is_present()
                };
                !arena.slot(entry.slot()).is_some_and(is_fit)
            };
            let dangling = entries.filter(|entry| !entry.is_free()).filter(dangles).count();
            found.dangling_entries += dangling as u64;
        }
        Ok(found)
    }
}

impl Arena<'_> {
    /// Tells whether the slot's notify flags are wrong: a writer would notify the wrong groups, or leave bytes of the
    /// value when it wipes.
    fn has_wrong_notify_flags(&self, number: u32, slot: &Slot, descriptor: Descriptor) -> bool {
        let subscriptions = self.metadata[number as usize].subscriptions.load(Relaxed);
        let labels = if descriptor.is_present() { slot.labels.load(Relaxed) } else { 0 };
        let notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        let is_covered = (0..2).all(|which| self.live(descriptor, which) <= notify_flags.extent(which));
        let expected = notify_flags.with_groups(subscriptions, labels);
        let is_pinned = descriptor.is_present() && notify_flags.is_pinned();
        notify_flags != expected.with_pinned(is_pinned)
            || subscriptions != 0 && !descriptor.is_present()
            || !is_covered
    }

    /// Tells whether the slot's sketch is not that of its vector, or not zero although it has none. Reads only the `used`
    /// parts of the arena.
    pub(crate) fn has_wrong_sketch(
        &self,
        number: u32,
        descriptor: Descriptor,
        buffer: &mut SketchBuffer,
        used: &[Range<usize>],
    ) -> bool {
        let Some(sketches) = &self.sketches else { return false };
        let copy = |words: &[Word], vector: &mut [f32]| {
            for part in self.parts_of(words, 0, used) {
                let (from, to) = (part.start / 4, (part.end / 4).min(vector.len()));
                copy_vector_out(&words[part.start / 8..], vector.get_mut(from..to).unwrap_or_default());
            }
        };
        let made = self.make_sketch(sketches, number, descriptor, buffer, copy);
        let (record, mut seen) = (sketches.of(number), 0);
        let (word, bit) = self.bit(number);
        if made[0] != 0 && word.sketched.load(Relaxed) & bit == 0 {
            return true;
        }
        let is_zero = |words: &[u64]| words.iter().all(|word| *word == 0);
        for part in self.parts_of(record, 0, used) {
            let (from, to) = (part.start / 8, part.end / 8);
            let is_same =
                record[from..to].iter().zip(&made[from..to]).all(|(word, made)| word.load(Relaxed) == *made);
            if !is_same || !is_zero(&made[seen..from]) {
                return true;
            }
            seen = to;
        }
        !is_zero(&made[seen..])
    }

    /// Counts the slot's non-zero bytes where the current scrub level promises zeroes, in the `used` parts of the
    /// arena. It does not trust the slot's record of how far it was written.
    pub(crate) fn stale_bytes(&self, number: u32, descriptor: Descriptor, used: &[Range<usize>]) -> u64 {
        let size = self.shape.value_words * 8;
        let len =
            if descriptor.is_present() && !descriptor.is_integer() { self.len_of(descriptor) } else { 0 };
        let in_buffer = |buffer: &[Word], from, to| -> u64 {
            let parts = self.parts_of(buffer, from, used);
            parts.map(|part| count_non_zero(buffer, part.start, part.end.min(to))).sum()
        };
        let in_value = |which, from, to| in_buffer(self.value(number, which), from, to);
        match (self.scrub(), descriptor.is_present()) {
            (Scrub::None, _) => 0,
            (Scrub::Hybrid, true) if descriptor.is_integer() => 0,
            (Scrub::Hybrid, true) => in_value(descriptor.current(), len, len.next_multiple_of(HYBRID_LINE)),
            (Scrub::Hybrid, false) => in_value(0, 0, size) + in_value(1, 0, size),
            (Scrub::Full, present) => {
                let values = (0..2).map(|which| in_value(which, self.live(descriptor, which), size));
                let vectors = (0..2)
                    .filter(|which| !descriptor.is_vector_in(*which))
                    .map(|which| self.vector(number, which))
                    .map(|words| in_buffer(words, 0, words.len() * 8));
                let key = self
                    .slot(number)
                    .filter(|_| !present)
                    .map_or(0, |slot| count_non_zero(&slot.key, 0, size_of_val(&slot.key)));
                values.chain(vectors).sum::<u64>() + key
            }
        }
    }

    /// Zeroes everything that the slot does not need, in the `used` parts of the arena. It does not trust the slot's
    /// record of how far it was written. Returns the descriptor after that.
    pub(crate) fn wipe_used(
        &self,
        number: u32,
        slot: &Slot,
        descriptor: Descriptor,
        used: &[Range<usize>],
    ) -> Descriptor {
        let mut notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        for which in 0..2 {
            let (buffer, live) = (self.value(number, which), self.live(descriptor, which));
            self.parts_of(buffer, live, used).for_each(|part| zero(buffer, part.start, part.end));
            notify_flags = notify_flags.with_extent(which, live);
            if !descriptor.is_vector_in(which) {
                let buffer = self.vector(number, which);
                self.parts_of(buffer, 0, used).for_each(|part| zero(buffer, part.start, part.end));
            }
        }
        slot.notify_flags.store(notify_flags.0, Release);
        descriptor.with_vectors_wiped()
    }

    /// Lists the `used` parts of a buffer from byte `from` on, in bytes of the buffer.
    pub(super) fn parts_of(
        &self,
        buffer: &[Word],
        from: usize,
        used: &[Range<usize>],
    ) -> impl Iterator<Item = Range<usize>> {
        let at = self.offset_of(buffer);
        let wanted = at + from..at + size_of_val(buffer);
        parts(used, wanted).map(move |part| part.start - at..part.end - at)
    }
}

/// Lists the `used` parts within a range. Both are in ascending order.
fn parts(used: &[Range<usize>], wanted: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = used.partition_point(|part| part.end <= wanted.start);
    used[first..]
        .iter()
        .take_while(move |part| part.start < wanted.end)
        .map(move |part| part.start.max(wanted.start)..part.end.min(wanted.end))
}
