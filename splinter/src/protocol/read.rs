//! Reading: a window is opened on a slot, its bytes are copied, and only then is it known whether they
//! are one published value. Readers store nothing.

use super::arena::Arena;
use super::copy::copy_out;
use super::key::KeyRef;
use super::layout::Slot;
use super::state::{Meta, State};
use crate::error::Error;
use crate::sync::{Acquire, Word, fence, load_acquire, spin_loop};

/// A slot as it was found for a key: what may be read, and what must still be so afterwards.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) number: u32,
    pub(crate) slot: &'a Slot,
    pub(crate) state: State,
    pub(crate) meta: Meta,
    /// The meta word is one that a group has committed and not yet published: it holds as long as the
    /// claim does.
    pinned: bool,
}

/// Where a value's bytes are.
#[derive(Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// The number word's value, already read.
    Number(u64),
    /// A buffer, and the value's length in it.
    Bytes(&'a [Word], usize),
}

impl Payload<'_> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Number(_) => 8,
            Self::Bytes(_, len) => *len,
        }
    }

    /// Copies the whole value to the beginning of `out`.
    #[inline(always)]
    pub(crate) fn copy_to(&self, out: &mut [u8]) -> Result<usize, Error> {
        let needed = self.len();
        let out = out
            .get_mut(..needed)
            .ok_or(Error::BufferTooSmall { needed })?;
        match self {
            Self::Number(number) => out.copy_from_slice(&number.to_le_bytes()),
            Self::Bytes(words, _) => copy_out(words, out),
        }
        Ok(needed)
    }
}

impl<'a> Window<'a> {
    /// Whether everything read since the window was opened is one published version of the key.
    ///
    /// The fence pairs with the release fence that follows every claim: if a copied byte was written
    /// under a later claim, that claim is seen here.
    #[inline(always)]
    pub(crate) fn holds(&self) -> bool {
        fence(Acquire);
        let later = State(self.slot.state_number.first_relaxed());
        if self.pinned {
            later == self.state
        } else {
            self.state.still_covers(later)
        }
    }

    /// Returns the last even epoch at the time the window was opened.
    pub(crate) fn stable_epoch(&self) -> u64 {
        self.state.epoch() & !1
    }

    /// Whether the slot has not changed at all since the window was opened.
    fn is_unmoved(&self, arena: &Arena<'a>, key: &KeyRef<'_>) -> bool {
        fence(Acquire);
        arena
            .window(self.number, key)
            .is_some_and(|now| now.state == self.state && now.meta == self.meta)
    }
}

impl<'a> Arena<'a> {
    /// How often a read starts over when its slot is being rewritten.
    const READ_ROUNDS: usize = if cfg!(loom) { 2 } else { 128 };

    /// Opens a window on slot `number` if it holds `key`.
    ///
    /// While a key is present its slot's key words do not change, so words that differ prove that the
    /// key is not there; words that agree are trusted only once [`Window::holds`].
    #[inline(always)]
    pub(crate) fn window(&self, number: u32, key: &KeyRef<'_>) -> Option<Window<'a>> {
        let slot = self.slot(number)?;
        let window = self.open(number, slot);
        (window.meta.is_present() && key.is_in(slot)).then_some(window)
    }

    /// Opens a window on a slot whatever it holds.
    #[inline(always)]
    pub(crate) fn open(&self, number: u32, slot: &'a Slot) -> Window<'a> {
        let state = State(slot.state_number.first_acquire());
        // The state is read before the meta word: what is in force may only get newer in between.
        if state.is_grouped() && self.is_committed(state) {
            let meta = Meta(load_acquire(&slot.pending));
            return Window {
                number,
                slot,
                state,
                meta,
                pinned: true,
            };
        }
        let meta = Meta(load_acquire(&slot.meta));
        Window {
            number,
            slot,
            state,
            meta,
            pinned: false,
        }
    }

    /// Borrows the value that a window looks at.
    #[inline(always)]
    pub(crate) fn payload(&self, window: &Window<'a>) -> Payload<'a> {
        let meta = window.meta;
        if meta.is_number() {
            Payload::Number(window.slot.state_number.second())
        } else {
            Payload::Bytes(self.value(window.number, meta.current()), self.len_of(meta))
        }
    }

    /// Reads `key` by `body`, which may see torn bytes: only what it returned from a window that held
    /// is handed on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Again`] when the key was rewritten all the while.
    #[inline(always)]
    pub(crate) fn read<R>(
        &self,
        key: &KeyRef<'_>,
        mut body: impl FnMut(&Window<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut number = self.guess(key.hash).ok_or(Error::NotFound)?;
        for _ in 0..Self::READ_ROUNDS {
            if let Some(window) = self.window(number, key) {
                let result = body(&window);
                if window.holds() {
                    return result;
                }
                spin_loop();
            }
            number = self.locate(key).ok_or(Error::NotFound)?;
        }
        Err(Error::Again)
    }

    /// Finds the slot that holds `key`, wherever it is.
    #[cold]
    #[inline(never)]
    pub(crate) fn locate(&self, key: &KeyRef<'_>) -> Option<u32> {
        self.probe(key.hash, |number, _| {
            self.window(number, key).map(|window| window.number)
        })
    }

    /// Reads `key`, which was last found in slot `number`, without the index.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the slot no longer holds the key; [`Error::Again`] as [`Self::read`].
    #[inline(always)]
    pub(crate) fn read_at<R>(
        &self,
        number: u32,
        key: &KeyRef<'_>,
        mut body: impl FnMut(&Window<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        for _ in 0..Self::READ_ROUNDS {
            let window = self.window(number, key).ok_or(Error::NotFound)?;
            let result = body(&window);
            if window.holds() {
                return result;
            }
            spin_loop();
        }
        Err(Error::Again)
    }

    /// Reads all `keys` as they were at one moment: between the last window's opening and the first
    /// one's check nothing moved, a group's commit included.
    ///
    /// # Errors
    /// [`Error::NotFound`] when any is missing; [`Error::Again`] when they kept changing.
    pub(crate) fn read_group(
        &self,
        keys: &[KeyRef<'_>],
        mut body: impl FnMut(usize, &Window<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut windows = Vec::with_capacity(keys.len());
        for _ in 0..Self::READ_ROUNDS {
            windows.clear();
            for key in keys {
                let number = self.locate(key).ok_or(Error::NotFound)?;
                windows.extend(self.window(number, key));
            }
            let copied = windows
                .iter()
                .enumerate()
                .try_for_each(|(order, w)| body(order, w));
            if windows.len() == keys.len()
                && windows
                    .iter()
                    .zip(keys)
                    .all(|(window, key)| window.is_unmoved(self, key))
            {
                return copied;
            }
            spin_loop();
        }
        Err(Error::Again)
    }
}
