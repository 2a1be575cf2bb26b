//! A group's ring: a lossy lock-free queue of the slots that changed last, in order.
//!
//! A writer puts an entry first and counts it afterwards. Any writer counts an entry for one that has not done so. So a
//! writer that stops or dies leaves no gap, and none waits for another. If the count is moved on by more than a ring,
//! all readers lag.

use crate::arena::Arena;
use crate::arena::records::Group;
use crate::arena::state::Signal;
use crate::sync::{AcqRel, Acquire, Relaxed, Word, load_acquire};

/// A borrowed ring.
pub(super) struct Ring<'a>(&'a [Word]);

/// The result of a look at a ring.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    /// No signal that was not seen before.
    Nothing,
    /// The next slot that changed.
    Changed(u32),
    /// So many signals were overwritten before they were seen. The next look begins behind them.
    Lagged(u64),
}

/// How far a reader has read in a group's ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) group: usize,
    pub(crate) position: u64,
}

impl Ring<'_> {
    /// How often a writer tries to put a signal before it makes the watchers look for themselves. It fails only if
    /// another writer succeeds, so this limit is for damaged memory only.
    const ROUNDS: usize = if cfg!(loom) { 8 } else { 1 << 20 };

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn place(&self, position: u64) -> &Word {
        &self.0[(position & (self.len() - 1)) as usize]
    }

    /// Puts `slot` at the position that `count` says, and counts it.
    pub(super) fn push(&self, count: &Word, slot: u32) {
        for _ in 0..Self::ROUNDS {
            let position = count.load(Acquire);
            let place = self.place(position);
            let old = place.load(Acquire);
            // The exchange of `old` is right only if `old` is from the last lap. It is if the position is still not
            // counted: a writer that counts it has seen this place filled.
            if count.load(Acquire) != position {
                continue;
            }
            mutant!("ring-overwritten", let old = place.load(Acquire));
            let mine = Signal::new(slot, position, self.len());
            let put = !Signal(old).is_at(position, self.len())
                && place.compare_exchange(old, mine.0, AcqRel, Relaxed).is_ok();
            // Counts this signal, or that of a writer that was stopped or killed before it did.
            let _ = count.compare_exchange(position, position.wrapping_add(1), AcqRel, Relaxed);
            if put {
                return;
            }
        }
        // All readers lag from here on, and rightly: they will not see this signal.
        count.fetch_add(self.len() + 1, AcqRel);
    }
}

impl<'a> Arena<'a> {
    pub(super) fn ring(&self, group: usize) -> Ring<'a> {
        let len = self.shape.ring_len as usize;
        Ring(&self.rings[group * len..][..len])
    }

    /// Returns a cursor behind all signals of `group` so far.
    pub(crate) fn cursor(&self, group: usize) -> Cursor {
        Cursor { group, position: load_acquire(&self.group(group).count) }
    }

    /// Looks at the next signal without taking it.
    #[inline]
    pub(crate) fn peek(&self, cursor: Cursor) -> Peek {
        let ring = self.ring(cursor.group);
        let look = || Signal(load_acquire(ring.place(cursor.position)));
        let signal = look();
        if signal.is_at(cursor.position, ring.len()) {
            return Peek::Changed(signal.slot());
        }
        let count = load_acquire(&self.group(cursor.group).count);
        let ahead = count.wrapping_sub(cursor.position);
        if ahead as i64 <= 0 {
            return Peek::Nothing;
        }
        // It was counted. So it came just now, or was overwritten since, or was never put: then all readers lag.
        let signal = look();
        if signal.is_at(cursor.position, ring.len()) {
            Peek::Changed(signal.slot())
        } else {
            Peek::Lagged(ahead)
        }
    }

    /// Whether the place of the next signal has been written. A spinning watcher looks only at this, so that writers
    /// keep the cache line that they count on.
    #[inline]
    pub(crate) fn may_have_signal(&self, cursor: Cursor) -> bool {
        let ring = self.ring(cursor.group);
        let signal = Signal(load_acquire(ring.place(cursor.position)));
        signal.reaches(cursor.position, ring.len())
    }

    /// Takes the next signal.
    pub(crate) fn take(&self, cursor: &mut Cursor) -> Peek {
        let peek = self.peek(*cursor);
        cursor.position = match peek {
            Peek::Nothing => cursor.position,
            Peek::Changed(_) => cursor.position.wrapping_add(1),
            Peek::Lagged(missed) => cursor.position.wrapping_add(missed),
        };
        peek
    }

    fn group(&self, group: usize) -> &'a Group {
        &self.header.groups[group]
    }
}
