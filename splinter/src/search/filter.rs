//! Which keys a search may find.

use crate::arena::Arena;
use crate::arena::key::Key;
use crate::arena::records::{KEY_WORDS, Slot};
use crate::protocol::OptimisticRead;
use crate::settings::Type;
use crate::sync::Relaxed;

/// What a key has to be like to be found.
#[derive(Clone, Default)]
pub(super) struct Filter {
    /// The labels of which the key carries all, at least one, and none. Those of no labels are no conditions.
    pub(super) all: u64,
    pub(super) any: u64,
    pub(super) none: u64,
    pub(super) kind: Option<Type>,
    pub(super) min_epoch: u64,
    pub(super) prefix: Prefix,
    /// A key that is left out.
    pub(super) except: Option<Key>,
}

/// How a key begins, as the words of its record.
#[derive(Clone, Default)]
pub(super) struct Prefix {
    /// Words and the masks under which a key's words have to equal them.
    words: [(u64, u64); KEY_WORDS],
    len: usize,
    /// No key begins with the bytes: they are too many, or one of them is NUL.
    is_impossible: bool,
}

impl Prefix {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut prefix = Self::default();
        if Key::new(bytes).is_err() {
            prefix.is_impossible = !bytes.is_empty();
            return prefix;
        }
        for (word, part) in prefix.words.iter_mut().zip(bytes.chunks(8)) {
            let padded = |fill: fn(u8) -> u8| {
                let mut padded = [0; 8];
                part.iter().zip(&mut padded).for_each(|(byte, place)| *place = fill(*byte));
                u64::from_le_bytes(padded)
            };
            *word = (padded(|byte| byte), padded(|_| u8::MAX));
            prefix.len += 1;
        }
        prefix
    }

    #[inline]
    fn is_of(&self, slot: &Slot) -> bool {
        let words = self.words[..self.len].iter().zip(&slot.key);
        words.into_iter().all(|((word, mask), key)| key.load(Relaxed) & mask == *word)
    }
}

impl Filter {
    /// Whether no key can pass.
    pub(super) fn is_impossible(&self) -> bool {
        self.prefix.is_impossible
    }

    /// Whether it depends on labels, which change without the state of the slot.
    pub(super) fn has_labels(&self) -> bool {
        self.all | self.any | self.none != 0
    }

    /// Whether it is worth a look at each record before its sketch. The key that is left out is not.
    pub(super) fn is_selective(&self) -> bool {
        self.has_labels() || self.kind.is_some() || self.min_epoch > 0 || self.prefix.len > 0
    }

    /// Whether the key that is read passes: a hint, unless the read is validated afterwards.
    #[inline]
    pub(super) fn passes(&self, arena: &Arena<'_>, read: &OptimisticRead<'_>) -> bool {
        let has_kind = |kind| Type::from_kind(read.descriptor.kind()) == kind;
        self.kind.is_none_or(has_kind)
            && self.prefix.is_of(read.slot)
            && (self.min_epoch == 0 || read.stable_epoch() >= self.min_epoch)
            && (!self.has_labels() || self.has_right_labels(arena.labels(read)))
            && self.except.is_none_or(|key| key != Key::read_from(read.slot))
    }

    pub(super) fn has_right_labels(&self, labels: u64) -> bool {
        labels & self.all == self.all && (self.any == 0 || labels & self.any != 0) && labels & self.none == 0
    }

    /// Returns which of the slots in `among`, of the 64 from `first` on, seem to hold a key that passes and whose deadline
    /// is after `now`. Nothing is validated: a slot that changes meanwhile may be in it or not.
    pub(super) fn hints(&self, arena: &Arena<'_>, now: u64, first: u32, among: u64) -> u64 {
        let (mut rest, mut found) = (among, 0);
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            rest ^= bit;
            let number = first + bit.trailing_zeros();
            let Some(slot) = arena.slot(number) else { break };
            let read = arena.open(number, slot);
            let is_there = read.descriptor.is_present() && read.descriptor.has_vector() != 0;
            // A deadline counts only while the descriptor names it: both words are zero once there is none.
            let is_past = || {
                arena.deadline(number, read.descriptor).is_some_and(|deadline| deadline <= now)
                    && arena.open(number, slot).descriptor == read.descriptor
            };
            if is_there && self.passes(arena, &read) && !is_past() {
                found |= bit;
            }
        }
        found
    }
}
