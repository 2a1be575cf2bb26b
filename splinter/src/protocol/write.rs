//! Every change to one key, but for integers and groups: claim, write what is not in force, publish,
//! give back.

use super::Claimant;
use super::claim::Claim;
use super::copy::{copy_in, copy_in_at, copy_out};
use super::key::KeyRef;
use super::layout::Slot;
use super::state::Meta;
use crate::error::Error;
use crate::sync::{Relaxed, Word};

impl<'a> Claimant<'a> {
    /// Sets the value of `key`, which is created if missing.
    #[inline(always)]
    pub(crate) fn set(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<(), Error> {
        self.check_len(value.len())?;
        let guess = self.arena.guess(key.hash);
        if let Some(claim) = guess.and_then(|number| self.claim_at_once(number, key)) {
            self.put(claim, value);
            return Ok(());
        }
        self.set_patiently(key, value)
    }

    #[cold]
    #[inline(never)]
    fn set_patiently(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<(), Error> {
        let claim = self.claim_or_insert(key)?;
        self.put(claim, value);
        Ok(())
    }

    /// Sets the value of `key`, which was last found in slot `number`, without the index.
    #[inline(always)]
    pub(crate) fn set_at(
        &mut self,
        number: u32,
        key: &KeyRef<'_>,
        value: &[u8],
    ) -> Result<(), Error> {
        self.check_len(value.len())?;
        if let Some(claim) = self.claim_at_once(number, key) {
            self.put(claim, value);
            return Ok(());
        }
        self.set_at_patiently(number, key, value)
    }

    #[cold]
    #[inline(never)]
    fn set_at_patiently(
        &mut self,
        number: u32,
        key: &KeyRef<'_>,
        value: &[u8],
    ) -> Result<(), Error> {
        let claim = self.claim_if(number, key).unwrap_or(Err(Error::NotFound))?;
        self.put(claim, value);
        Ok(())
    }

    /// Writes and publishes the value of a claimed slot.
    #[inline(always)]
    fn put(&mut self, claim: Claim<'a>, value: &[u8]) {
        let meta = self.write_value(&claim, value);
        self.publish(claim, meta);
    }

    #[inline(always)]
    pub(super) fn check_len(&self, len: usize) -> Result<(), Error> {
        if len > self.arena.shape.max_value_len as usize {
            Err(Error::ValueTooLong)
        } else {
            Ok(())
        }
    }

    /// Writes `value` to the buffer that is not in force. Returns the meta word that puts it in force.
    #[inline(always)]
    pub(super) fn write_value(&self, claim: &Claim<'a>, value: &[u8]) -> Meta {
        let which = 1 - claim.meta.current();
        let buffer = self.arena.value(claim.number, which);
        copy_in(buffer, value, self.arena.zero_to(value.len()));
        claim
            .meta
            .covering(value.len())
            .with_len(value.len() as u64)
            .with_current(which)
            .with_present(1)
            .with_number(0)
            .with_has_vector(0)
    }

    /// Appends `tail` to the value of `key`. Returns the new length.
    ///
    /// Only the new bytes are written, behind those in force: no reader copies them before the new
    /// length is published.
    pub(crate) fn append(&mut self, key: &KeyRef<'_>, tail: &[u8]) -> Result<usize, Error> {
        self.check_len(tail.len())?;
        let claim = self.claim(key)?;
        if claim.meta.is_number() {
            return Err(Error::WrongType);
        }
        let old = self.arena.len_of(claim.meta);
        let len = old + tail.len();
        self.check_len(len)?;
        let buffer = self.arena.value(claim.number, claim.meta.current());
        copy_in_at(buffer, old, tail);
        super::copy::zero(buffer, len, self.arena.zero_to(len));
        let meta = claim
            .meta
            .covering(len)
            .with_len(len as u64)
            .with_has_vector(0);
        self.publish(claim, meta);
        Ok(len)
    }

    /// Removes `key`. Returns the length its value had.
    pub(crate) fn unset(&mut self, key: &KeyRef<'_>) -> Result<usize, Error> {
        let claim = self.claim(key)?;
        let len = self.arena.len_of(claim.meta);
        self.vacate(claim, key.hash);
        Ok(len)
    }

    /// Publishes `key` with the meta word that `change` makes of the one in force; `change` may also
    /// write the record's other words.
    pub(crate) fn amend(
        &mut self,
        key: &KeyRef<'_>,
        change: impl FnOnce(&Slot, Meta) -> Meta,
    ) -> Result<Meta, Error> {
        let claim = self.claim(key)?;
        let meta = change(claim.slot, claim.meta);
        self.publish(claim, meta);
        Ok(meta)
    }

    /// Sets the vector of `key`, whose components are given as words of two.
    pub(crate) fn set_vector(&mut self, key: &KeyRef<'_>, vector: &[f32]) -> Result<(), Error> {
        let dim = self.arena.shape.vector_dim as usize;
        if dim == 0 || vector.len() != dim {
            return Err(Error::WrongDimension);
        }
        let claim = self.claim(key)?;
        let which = 1 - claim.meta.vector_current();
        let buffer = self.arena.vector(claim.number, which);
        for (word, pair) in buffer.iter().zip(vector.chunks(2)) {
            word.store(vector_word(pair), Relaxed);
        }
        let meta = claim
            .meta
            .with_has_vector(1)
            .with_vector_current(which)
            .with_vector_stale(1);
        self.publish(claim, meta);
        Ok(())
    }

    /// Copies a claimed slot's value if it has at most `N` bytes.
    pub(super) fn short_value<const N: usize>(
        &self,
        claim: &Claim<'a>,
    ) -> Option<([u8; N], usize)> {
        let len = self.arena.len_of(claim.meta);
        let mut bytes = [0; N];
        let out = bytes.get_mut(..len)?;
        copy_out(self.arena.value(claim.number, claim.meta.current()), out);
        Some((bytes, len))
    }
}

/// Packs one or two components into a word, the first in its lower half.
fn vector_word(pair: &[f32]) -> u64 {
    pair.iter()
        .rev()
        .fold(0, |word, part| word << 32 | u64::from(part.to_bits()))
}

/// Copies a vector out of its words.
pub(crate) fn copy_vector(words: &[Word], out: &mut [f32]) {
    for (pair, word) in out.chunks_mut(2).zip(words) {
        let mut word = word.load(Relaxed);
        for part in pair {
            *part = f32::from_bits(word as u32);
            word >>= 32;
        }
    }
}
