//! Looks at one slot: what a search may believe of it.

use crate::arena::Arena;
use crate::arena::state::State;
use crate::error::Error;
use crate::protocol::OptimisticRead;
use crate::sync::{Acquire, Relaxed, fence, load_acquire, spin_loop};

/// How often a look starts over when writers change its slot. A vector takes longer to copy than most values.
const ROUNDS: usize = 1 << 10;
/// How often it does so only because a writer holds the slot. From then on the epoch may be that from before the writer's
/// change.
const PATIENCE: usize = 64;

/// A look at the key in a slot, whichever it is.
pub(super) struct Look<'a> {
    pub(super) read: OptimisticRead<'a>,
    /// The state when the look began.
    state: State,
    /// The count of changes then, and where it is; none if the look depends on nothing that it counts.
    changes: Option<(u64, &'a crate::sync::Word)>,
    /// The slot may be claimed.
    is_lenient: bool,
}

impl Look<'_> {
    /// Whether all that was read since the look began was so at one moment.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        mutant!("hit-unvalidated", return true);
        let is_same = |(before, word): (u64, &crate::sync::Word)| {
            // Last: a writer counts a change before it leaves the slot, perhaps in the state in which it found it.
            fence(Acquire);
            word.load(Relaxed) == before
        };
        self.read.validate() && (self.is_lenient || self.is_unclaimed()) && self.changes.is_none_or(is_same)
    }

    /// Whether no writer held the slot in between, so that the epoch is that of the content.
    fn is_unclaimed(&self) -> bool {
        fence(Acquire);
        !self.state.is_claimed() && State(self.read.slot.state_integer.first_relaxed()) == self.state
    }
}

/// Looks at slot `number` by `body`, again and again until it returns something. `body` returns none if the look did not
/// hold. Returns none if the slot holds no key, or one whose deadline has passed.
///
/// # Errors
/// [`Error::Again`] when writers changed the slot all the while.
#[inline]
pub(super) fn look<'a, T>(
    arena: &Arena<'a>,
    number: u32,
    with_labels: bool,
    mut body: impl FnMut(&Look<'a>) -> Option<Option<T>>,
) -> Result<Option<T>, Error> {
    let Some(slot) = arena.slot(number) else { return Ok(None) };
    for round in 0..ROUNDS {
        let is_lenient = round >= PATIENCE;
        let state = State(slot.state_integer.first_acquire());
        if is_lenient || !state.is_claimed() {
            let changes = with_labels.then(|| &arena.metadata[number as usize].changes);
            let changes = changes.map(|word| (load_acquire(word), word));
            let Some(read) = arena.begin_any_read(number) else { return Ok(None) };
            if let Some(found) = body(&Look { read, state, changes, is_lenient }) {
                return Ok(found);
            }
        }
        spin_loop();
    }
    Err(Error::Again)
}
