//! Consistent reads: several keys as they were at one moment.
//!
//! A read looks each key up, copies, then looks each up again. What was found twice without a change in between was
//! there all the while between the last first look and the first second one: that is the moment.

use super::OptimisticRead;
use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::error::Error;
use crate::sync::{Acquire, Relaxed, fence, load_acquire, spin_loop};

/// Up to so many keys are looked up without memory for them.
const FEW: usize = 8;

/// What a look at a few keys found: each in its likeliest slot, and none with a deadline.
struct Few<'a> {
    reads: [Option<OptimisticRead<'a>>; FEW],
    count: usize,
}

impl<'a> Few<'a> {
    /// Iterates over the keys' slots.
    #[inline(always)]
    fn reads(&self) -> impl Iterator<Item = &OptimisticRead<'a>> {
        self.reads[..self.count].iter().flatten()
    }
}

/// A key of a consistent read, and what was found of it.
pub(super) struct Part<'k, 'a> {
    key: KeyRef<'k>,
    look: Look<'a>,
}

/// What a look found.
struct Look<'a> {
    /// The slot that holds the key; none if the key is missing.
    read: Option<OptimisticRead<'a>>,
    /// What else has to stay, of a key that is missing or has a deadline: the home's control word; and the state, the
    /// descriptor and the count of changes of the slot that has the key's words, or that its handle names.
    words: [u64; 4],
}

impl<'a> Arena<'a> {
    /// Reads all `keys` by `body` as [`Self::read_consistent`] does, but first in straight line what nearly every read of a
    /// few keys finds: each in its likeliest slot, and nobody writes them meanwhile.
    ///
    /// # Errors
    /// Those of [`Self::read_consistent`], and of a key that cannot be one.
    #[inline(always)]
    pub(crate) fn read_all<'k>(
        &self,
        keys: impl ExactSizeIterator<Item = Result<KeyRef<'k>, Error>> + Clone,
        mut body: impl FnMut(usize, Option<&OptimisticRead<'a>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut few = Few { reads: [None; FEW], count: keys.len() };
        if self.look_at_few(keys.clone(), &mut few).is_some() {
            let copied = few.reads().enumerate().try_for_each(|(place, read)| body(place, Some(read)));
            if self.is_still(&few) {
                few.reads().for_each(|read| self.note_visit(read.number));
                return copied;
            }
        }
        self.read_consistent(&keys.collect::<Result<Vec<_>, _>>()?, body)
    }

    /// Looks for a few keys. Returns none if anything is in the way, or there are more.
    #[inline(always)]
    fn look_at_few<'k>(
        &self,
        keys: impl ExactSizeIterator<Item = Result<KeyRef<'k>, Error>>,
        few: &mut Few<'a>,
    ) -> Option<()> {
        for (place, key) in keys.enumerate() {
            *few.reads.get_mut(place)? = Some(self.look_fast(&key.ok()?)?);
        }
        Some(())
    }

    /// Whether a second look finds what the first one did, and everything copied since is of that moment.
    #[inline(always)]
    fn is_still(&self, few: &Few<'a>) -> bool {
        mutant!("few-unchecked", return true);
        // A copied byte of a later change makes the second look see that change.
        fence(Acquire);
        few.reads().all(|read| self.is_same(read))
    }

    /// Reads all `keys` by `body`, as they were at one moment. A key that is missing then is read as none.
    ///
    /// # Errors
    /// Those of `body`; [`Error::Again`] when the keys kept changing.
    #[cold]
    pub(crate) fn read_consistent(
        &self,
        keys: &[KeyRef<'_>],
        mut body: impl FnMut(usize, Option<&OptimisticRead<'a>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for _ in 0..Self::READ_ROUNDS {
            let parts: Vec<_> = keys.iter().map(|key| self.look_at(*key)).collect();
            let copied =
                parts.iter().enumerate().try_for_each(|(place, part)| body(place, part.look.read.as_ref()));
            fence(Acquire);
            if parts.iter().all(|part| self.is_unchanged(part)) {
                parts.iter().filter_map(|part| part.look.read).for_each(|read| self.note_visit(read.number));
                return copied;
            }
            spin_loop();
        }
        Err(Error::Again)
    }

    /// Looks for the key in its likeliest slot. Returns none if that does not hold it, or the key has a deadline.
    #[inline(always)]
    fn look_fast(&self, key: &KeyRef<'_>) -> Option<OptimisticRead<'a>> {
        let number = self.find_fast(key)?;
        self.prefetch_value(number);
        let read = self.begin_read(number, key)?;
        read.descriptor.is_lasting().then_some(read)
    }

    /// Looks for the key in the likeliest slot, then everywhere.
    pub(super) fn look_at<'k>(&self, key: KeyRef<'k>) -> Part<'k, 'a> {
        let look = match self.look_fast(&key) {
            None => self.look_everywhere(&key),
            read => Look { read, words: [0; 4] },
        };
        Part { key, look }
    }

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
    pub(super) fn is_unchanged(&self, Part { key, look }: &Part<'_, 'a>) -> bool {
        let Some(read) = look.read else { return self.is_missing_still(key, look) };
        self.is_same(&read) && (read.descriptor.expires() == 0 || self.is_there_still(&read, look))
    }

    /// Whether a slot has the state and the descriptor that it had.
    #[inline(always)]
    fn is_same(&self, read: &OptimisticRead<'a>) -> bool {
        mutant!("tandem-unchecked", return read.validate());
        let now = self.open(read.number, read.slot);
        (now.state, now.descriptor) == (read.state, read.descriptor)
    }

    /// Whether the deadline of the key that is read has not passed, nor been moved, since the look.
    fn is_there_still(&self, read: &OptimisticRead<'_>, look: &Look<'_>) -> bool {
        mutant!("tandem-outlived", return true);
        let is_expired = self.is_expired(read.number, read.descriptor);
        fence(Acquire);
        self.metadata[read.number as usize].changes.load(Relaxed) == look.words[3] && !is_expired
    }

    fn is_missing_still(&self, key: &KeyRef<'_>, look: &Look<'_>) -> bool {
        mutant!("missing-unchecked", return true);
        let now = self.look_everywhere(key);
        now.read.is_none() && now.words == look.words
    }
}
