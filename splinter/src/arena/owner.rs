//! Who owns a lane, and how that changes: by exchanges of one word, in which the kernel marks a thread's end.

use super::layout::Owners;
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word};

/// Who owns a lane: a thread's id where the kernel's robust futexes have it, and how often the lane changed hands.
///
/// | bits | meaning |
/// |---|---|
/// | 0–29 | the id of the owning thread in its own namespace; 0 if nobody owns the lane |
/// | 30 | set by the kernel, which clears the id, when that thread ended |
/// | 31 | the kernel's, unused |
/// | 32–63 | the turn: every owner raises it, so that no exchange takes a later owner for an earlier one |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) u64);

impl Owner {
    const THREAD: u64 = (1 << 30) - 1;
    const DIED: u64 = 1 << 30;
    const TURN: u32 = 32;

    /// Whether a thread that lives owns the lane.
    pub(crate) const fn is_alive(self) -> bool {
        self.0 & Self::THREAD != 0 && self.0 & Self::DIED == 0
    }

    /// The word of the next owner.
    const fn taken(self, thread: u32) -> Self {
        let turn = (self.0 >> Self::TURN).wrapping_add(1) << Self::TURN;
        Self(turn | thread as u64 & Self::THREAD)
    }

    /// The word once nobody owns the lane.
    const fn released(self) -> Self {
        Self(self.0 >> Self::TURN << Self::TURN)
    }

    /// Whether nobody took the lane between the two.
    const fn is_turn_of(self, other: Self) -> bool {
        self.0 >> Self::TURN == other.0 >> Self::TURN
    }

    /// Takes a lane for a thread, unless a thread that lives owns it. Returns the word then.
    pub(crate) fn take(word: &Word, thread: u32) -> Option<Self> {
        let seen = Self(word.load(Acquire));
        if seen.is_alive() {
            return None;
        }
        seen.exchange(word, seen.taken(thread))
    }

    /// Takes a lane whose owner word was `self` last for another thread of the same process. Its first thread may have
    /// ended, which the kernel marked; but nobody must have taken the lane since.
    pub(crate) fn pass_on(self, word: &Word, thread: u32) -> Option<Self> {
        // Twice: the kernel may mark the word in between, once.
        for _ in 0..2 {
            let seen = Self(word.load(Acquire));
            if !seen.is_turn_of(self) {
                break;
            }
            if let Some(taken) = seen.exchange(word, seen.taken(thread)) {
                return Some(taken);
            }
        }
        None
    }

    /// Gives a lane back whose owner word was `self` last; does nothing if the kernel has marked it, or somebody took it.
    pub(crate) fn give_back(self, word: &Word) {
        self.exchange(word, self.released());
    }

    /// Acquire and release: who takes a lane sees all that its last owner did.
    fn exchange(self, word: &Word, to: Self) -> Option<Self> {
        word.compare_exchange(self.0, to.0, AcqRel, Relaxed).is_ok().then_some(to)
    }
}

/// Has nobody own any lane: for the first who opens a store that nobody else has open.
pub(crate) fn clear(owners: &[Owners]) {
    for word in owners.iter().flat_map(|page| &page.owners) {
        let seen = Owner(word.load(Acquire));
        if seen.is_alive() {
            word.store(seen.released().0, Release);
        }
    }
}
