//! A copy of a store's bytes at one moment: its epochs, its claims, and byte for byte what each scrub level promises. Like
//! [`crate::raw`], which has the format's numbers, it shares no code with the store.

use crate::raw::{
    ABOUT, BUCKET_WORDS, CONTROL_CLAIMED, CURRENT, Field, HAS_VECTOR, NUMBER, PRESENT, SLOT_BYTES,
    VECTOR_CURRENT, epoch,
};
use splinter::Scrub;

/// A copy of an arena's bytes.
pub(super) struct ArenaSnapshot<'a>(pub(super) &'a [u8]);

/// One slot.
pub(super) struct Slot<'a> {
    state: u64,
    descriptor: u64,
    record: &'a [u8],
    values: [&'a [u8]; 2],
    vectors: [&'a [u8]; 2],
}

impl<'a> ArenaSnapshot<'a> {
    fn word(&self, at: usize) -> u64 {
        let bytes = self.0[at..at + 8].try_into();
        u64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn header(&self, field: Field) -> usize {
        self.word(field as usize * 8) as usize
    }

    pub(super) fn slots(&self) -> usize {
        self.header(Field::Slots)
    }

    fn pair(&self, at: usize, len: usize) -> [&'a [u8]; 2] {
        [0, 1].map(|which| &self.0[at + which * len..][..len])
    }

    pub(super) fn slot(&self, number: usize) -> Slot<'a> {
        let at = self.header(Field::SlotsAt) + number * SLOT_BYTES;
        let value_len = self.header(Field::MaxValueLen).next_multiple_of(64);
        let vector_len = (self.header(Field::VectorDim) * 4).next_multiple_of(64);
        Slot {
            state: self.word(at),
            descriptor: self.word(at + 16),
            record: &self.0[at..at + SLOT_BYTES],
            values: self
                .pair(self.header(Field::ValuesAt) + number * self.header(Field::ValueStride), value_len),
            vectors: self
                .pair(self.header(Field::VectorsAt) + number * self.header(Field::VectorStride), vector_len),
        }
    }

    /// Finds the slot that holds a key.
    pub(super) fn slot_of(&self, key: &str) -> Option<usize> {
        (0..self.slots()).find(|number| self.slot(*number).key() == Some(key.as_bytes()))
    }

    /// Tells whether any slot or bucket of the index is claimed.
    pub(super) fn is_claimed(&self) -> bool {
        let at = self.header(Field::BucketsAt);
        let controls = (0..self.header(Field::Buckets)).map(|n| self.word(at + n * BUCKET_WORDS * 8));
        let slots = (0..self.slots()).map(|number| self.slot(number));
        controls.into_iter().any(|word| word & CONTROL_CLAIMED != 0)
            || slots.into_iter().any(|slot| slot.is_claimed())
    }

    /// Tells whether the slot of a key is claimed.
    pub(super) fn holds(&self, key: &str) -> bool {
        let slot = self.slot_of(key);
        slot.is_some_and(|number| self.slot(number).is_claimed())
    }

    /// Returns what is wrong with the slots of a store at rest: claims, epochs that went back since `before` or stayed though
    /// the slot changed, and bytes that the level wants zero.
    pub(super) fn fault(&self, before: &ArenaSnapshot<'_>, level: Scrub) -> Option<String> {
        (0..self.slots()).find_map(|number| {
            let (slot, old) = (self.slot(number), before.slot(number));
            if slot.epoch() < old.epoch() {
                return Some(format!(
                    "the epoch of slot {number} went back from {} to {}",
                    old.epoch(),
                    slot.epoch()
                ));
            }
            let is_same =
                slot.record[8..16] == old.record[8..16] && (slot.descriptor ^ old.descriptor) & !ABOUT == 0;
            if slot.epoch() == old.epoch() && !is_same {
                return Some(format!("slot {number} changed and its epoch did not"));
            }
            if slot.is_claimed() {
                return Some(format!("slot {number} is still claimed"));
            }
            self.stale(number, level)
        })
    }

    /// Returns which bytes of a slot are not zero though the level wants it.
    pub(super) fn stale(&self, number: usize, level: Scrub) -> Option<String> {
        let slot = self.slot(number);
        let what = slot.stale(level)?;
        Some(format!(
            "slot {number} ({}) has stale bytes at level {level}: {what}",
            match slot.key() {
                Some(key) => String::from_utf8_lossy(key).into_owned(),
                None => "vacant".to_owned(),
            }
        ))
    }
}

impl Slot<'_> {
    pub(super) fn epoch(&self) -> u64 {
        epoch(self.state)
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.epoch() & 1 != 0
    }

    fn key(&self) -> Option<&[u8]> {
        let key = &self.record[32..96];
        let len = key.iter().position(|byte| *byte == 0).unwrap_or(64);
        (self.descriptor & PRESENT != 0).then_some(&key[..len])
    }

    /// Returns the first byte that is not zero though the level wants it.
    fn stale(&self, level: Scrub) -> Option<String> {
        let present = self.descriptor & PRESENT != 0;
        let current = usize::from(self.descriptor & CURRENT != 0);
        let live = match present && self.descriptor & NUMBER == 0 {
            true => (self.descriptor as u32 as usize).min(self.values[0].len()),
            false => 0,
        };
        let dirt = |name: &str, bytes: &[u8], from: usize| {
            let at = bytes[from..].iter().position(|byte| *byte != 0)?;
            Some(format!("byte {} of {name}", from + at))
        };
        match (level, present) {
            (Scrub::None, _) => None,
            (Scrub::Hybrid, true) if self.descriptor & NUMBER != 0 => None,
            (Scrub::Hybrid, true) => {
                let end = live.next_multiple_of(64).min(self.values[0].len());
                dirt("the value", &self.values[current][..end], live)
            }
            (Scrub::Hybrid, false) => self.values.iter().find_map(|value| dirt("a value buffer", value, 0)),
            (Scrub::Full, _) => {
                let vector = (present && self.descriptor & HAS_VECTOR != 0)
                    .then_some(usize::from(self.descriptor & VECTOR_CURRENT != 0));
                dirt("the value", self.values[current], live)
                    .or_else(|| dirt("the retired value", self.values[1 - current], 0))
                    .or_else(|| {
                        let stale = (0..2).filter(|which| Some(*which) != vector);
                        stale.into_iter().find_map(|which| dirt("a retired vector", self.vectors[which], 0))
                    })
                    .or_else(|| {
                        let vacant = !present;
                        vacant.then(|| dirt("the key", &self.record[32..96], 0))?
                    })
                    .or_else(|| {
                        let vacant = !present;
                        vacant.then(|| dirt("labels and times", &self.record[104..], 0))?
                    })
            }
        }
    }
}
