//! Consistent reads: several keys as they were at one moment.
//!
//! A read looks each key up, copies, then looks each up again. What was found twice without a change in between was
//! there all the while between the last first look and the first second one: that is the moment.

use super::OptimisticRead;
use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::error::Error;
use crate::sync::{Acquire, Relaxed, fence, load_acquire, spin_loop};

/// A key of a consistent read, and what was found of it.
#[derive(Clone, Copy)]
pub(crate) struct Part<'k, 'a> {
    key: KeyRef<'k>,
    look: Look<'a>,
}

impl<'k> Part<'k, '_> {
    pub(crate) fn of(key: KeyRef<'k>) -> Self {
        Self { key, look: Look { read: None, words: [0; 4] } }
    }
}

/// What a look found.
#[derive(Clone, Copy)]
struct Look<'a> {
    /// The slot that holds the key; none if the key is missing.
    read: Option<OptimisticRead<'a>>,
    /// What else has to stay, of a key that is missing or has a deadline: the home's control word; and the state, the
    /// descriptor and the count of changes of the slot that has the key's words, or that its handle names.
    words: [u64; 4],
}

impl<'a> Arena<'a> {
    /// Reads all keys of `parts` by `body`, as they were at one moment. A key that is missing then is read as none.
    ///
    /// # Errors
    /// Those of `body`; [`Error::Again`] when the keys kept changing.
    #[inline]
    pub(crate) fn read_consistent(
        &self,
        parts: &mut [Part<'_, 'a>],
        mut body: impl FnMut(usize, Option<&OptimisticRead<'a>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for _ in 0..Self::READ_ROUNDS {
            for part in &mut *parts {
                *part = self.look_at(part.key);
            }
            let copied =
                parts.iter().enumerate().try_for_each(|(place, part)| body(place, part.look.read.as_ref()));
            // A copied byte of a later change makes the second look see that change.
            fence(Acquire);
            if parts.iter().all(|part| self.is_unchanged(part)) {
                return copied;
            }
            spin_loop();
        }
        Err(Error::Again)
    }

    /// Looks for the key in the likeliest slot, then everywhere.
    #[inline]
    pub(super) fn look_at<'k>(&self, key: KeyRef<'k>) -> Part<'k, 'a> {
        let likeliest = self.find_fast(&key).and_then(|number| self.begin_read(number, &key));
        let look = match likeliest.filter(|read| read.descriptor.is_lasting()) {
            None => self.look_everywhere(&key),
            read => Look { read, words: [0; 4] },
        };
        Part { key, look }
    }

    #[cold]
    fn look_everywhere(&self, key: &KeyRef<'_>) -> Look<'a> {
        let mut words = [0; 4];
        if key.slot.is_none() {
            // Before the search. No key is inserted without a claim on its home, which raises the word's version.
            words[0] = self.control(self.home(key.hash)).0;
        }
        mutant!("home-unchecked", words[0] = 0);
        let read = self.probe(key, |number, _, _| {
            let slot = self.slot(number)?;
            let changes = load_acquire(&self.metadata[number as usize].changes);
            let read = self.open(number, slot);
            let is_in = key.is_in(slot);
            if is_in || key.slot.is_some() {
                words[1..].copy_from_slice(&[read.state.0, read.descriptor.0, changes]);
            }
            let is_there = is_in && read.descriptor.is_present() && !self.is_expired(number, read.descriptor);
            is_there.then_some(read)
        });
        Look { read, words }
    }

    /// Whether a second look finds what the first one did, and nothing changed in between.
    #[inline]
    pub(super) fn is_unchanged(&self, Part { key, look }: &Part<'_, 'a>) -> bool {
        let Some(read) = look.read else { return self.is_missing_still(key, look) };
        mutant!("tandem-unchecked", return read.validate());
        let now = self.open(read.number, read.slot);
        let is_same = (now.state, now.descriptor) == (read.state, read.descriptor);
        is_same && (now.descriptor.expires() == 0 || self.is_there_still(&read, look))
    }

    /// Whether the deadline of the key that is read has not passed, nor been moved, since the look.
    #[cold]
    fn is_there_still(&self, read: &OptimisticRead<'_>, look: &Look<'_>) -> bool {
        mutant!("tandem-outlived", return true);
        let is_expired = self.is_expired(read.number, read.descriptor);
        fence(Acquire);
        self.metadata[read.number as usize].changes.load(Relaxed) == look.words[3] && !is_expired
    }

    #[cold]
    fn is_missing_still(&self, key: &KeyRef<'_>, look: &Look<'_>) -> bool {
        mutant!("missing-unchecked", return true);
        let now = self.look_everywhere(key);
        now.read.is_none() && now.words == look.words
    }
}
