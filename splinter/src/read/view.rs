//! A view of a value where it lies, without a copy.

use crate::arena::Arena;
use crate::arena::copy::copy_out;
use crate::arena::payload::Payload;
use crate::protocol::OptimisticRead;
use crate::sync::{Relaxed, Word};
use std::fmt;

/// A value where it lies in shared memory, uncopied.
///
/// Another process may rewrite the bytes at any time. The bytes read are one published value only
/// if [`Self::validate`] says so *afterwards*. Until then it may be used for anything that a wrong
/// byte cannot harm: comparing, hashing, summing, copying aside. It must not index memory, size an
/// allocation or leave the program.
///
/// The buffer stays whole while one more write to the key is in progress or done, so a view outlives a
/// single overwrite; the next one ends it.
///
/// ```
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// # let mut writer = store.writer()?;
/// writer.set("k", b"one")?;
/// let view = store.view("k")?;
/// assert_eq!(view.bytes().next(), Some(b'o'));
/// assert!(view.validate());
/// writer.set("k", b"two")?;
/// writer.set("k", b"three")?;
/// assert!(!view.validate());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A view cannot outlive its store:
///
/// ```compile_fail
/// let view = {
///     let store = splinter::Store::anonymous(&splinter::Config::default()).unwrap();
///     store.view("k").unwrap()
/// };
/// view.validate();
/// ```
#[derive(Clone, Copy)]
pub struct View<'s> {
    read: OptimisticRead<'s>,
    payload: Payload<'s>,
}

impl<'s> View<'s> {
    pub(crate) fn new(arena: &Arena<'s>, read: OptimisticRead<'s>) -> Self {
        Self { read, payload: read.payload(arena) }
    }

    /// Returns whether the bytes read so far are one published value. The key may have a newer one.
    #[must_use]
    pub fn validate(&self) -> bool {
        self.read.validate()
    }

    /// Returns the value's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Tells whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the key's epoch when the read began, never later than the value's.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.read.stable_epoch()
    }

    /// Copies the value to the beginning of `out`, at most `out.len()` bytes. Returns how many.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        let len = self.len().min(out.len());
        match self.payload {
            Payload::Integer(number) => out[..len].copy_from_slice(&number.to_le_bytes()[..len]),
            Payload::Bytes(words, _) => copy_out(words, &mut out[..len]),
        }
        len
    }

    /// Iterates over the value's bytes.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..self.len().div_ceil(8)).flat_map(|index| self.word(index).to_le_bytes()).take(self.len())
    }

    /// Reads the `index`-th eight bytes as a little-endian word; bytes past the value are zero.
    #[must_use]
    pub fn word(&self, index: usize) -> u64 {
        let word = match self.payload {
            Payload::Integer(number) if index == 0 => number,
            Payload::Bytes(words, _) => words.get(index).map_or(0, |word| word.load(Relaxed)),
            Payload::Integer(_) => 0,
        };
        match self.len().saturating_sub(index * 8) {
            0 => 0,
            rest @ 1..8 => word & ((1 << (rest * 8)) - 1),
            _ => word,
        }
    }

    /// Returns the address of the first byte, aligned to 8, for code that can read racing memory. Of an integer it is the
    /// live word, which changes with each operation and which [`Self::validate`] does not cover.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        match self.payload {
            Payload::Integer(_) => self.read.slot.state_integer.second_address(),
            Payload::Bytes(words, _) => words.as_ptr().cast::<Word>().cast(),
        }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("len", &self.len()).field("epoch", &self.epoch()).finish()
    }
}
