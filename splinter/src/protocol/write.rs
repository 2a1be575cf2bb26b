//! Every change to one key, but for integers and tandems: claim, write what is not in force, publish,
//! give back.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::layout::Slot;
use crate::arena::payload::Payload;
use crate::arena::state::Meta;
use crate::arena::version::{Version, Versioned};
use crate::error::Error;
use crate::sync::Relaxed;

impl<'a> Claimant<'a> {
    /// Sets the value of `key`, which is created if missing, unless it was resolved.
    #[inline(always)]
    pub(crate) fn set(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<Version, Error> {
        self.check_len(value.len())?;
        let Some(claim) = self.claim_at_once(key) else { return self.set_patiently(key, value) };
        if !self.arena.is_covered(claim.slot, 1 - claim.meta.current(), value.len()) {
            return Ok(self.set_claimed(claim, value));
        }
        let meta = self.write_value::<true>(&claim, value);
        Ok(self.publish(claim, meta))
    }

    #[cold]
    #[inline(never)]
    fn set_patiently(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<Version, Error> {
        let version = self.claim_or_insert(key).map(|claim| self.set_claimed(claim, value));
        self.settle_for(key);
        version
    }

    #[cold]
    #[inline(never)]
    fn set_claimed(&mut self, claim: Claim<'a>, value: &[u8]) -> Version {
        let meta = self.write_value::<false>(&claim, value);
        self.publish(claim, meta)
    }

    #[inline(always)]
    pub(super) fn check_len(&self, len: usize) -> Result<(), Error> {
        mutant!("value-truncated", return Ok(()));
        let max = self.arena.shape.max_value_len as usize;
        if len > max { Err(Error::ValueTooLong) } else { Ok(()) }
    }

    /// Writes `value` to the buffer that is not in force, whose extent covers it if it is `COVERED`. Returns the meta
    /// word that puts it in force.
    #[inline(always)]
    pub(super) fn write_value<const COVERED: bool>(&self, claim: &Claim<'a>, value: &[u8]) -> Meta {
        let which = 1 - claim.meta.current();
        mutant!("buffer-in-force", let which = claim.meta.current());
        mutant!("value-truncated", let value = &value[..value.len().min(self.arena.shape.value_words * 8)]);
        mutant!("publish-early", claim.slot.meta.store(claim.meta.with_current(which).0, Relaxed));
        self.arena.write_value::<COVERED>(claim.number, claim.slot, which, value);
        mutant!("vector-kept", return claim.meta.holding_bytes(which, value.len()));
        claim.meta.holding_bytes(which, value.len()).with_has_vector(0)
    }

    /// Appends `tail` to the value of `key`. Returns the new length.
    ///
    /// Only the new bytes are written, behind those in force: no reader copies them before the new
    /// length is published.
    pub(crate) fn append(&mut self, key: &KeyRef<'_>, tail: &[u8]) -> Versioned<usize> {
        let (arena, max) = (self.arena, self.arena.shape.max_value_len as usize);
        let claim = self.claim_checked(key, |window| match window.payload(&arena) {
            Payload::Number(_) => Err(Error::WrongType),
            Payload::Bytes(_, len) if tail.len() + len > max => Err(Error::ValueTooLong),
            Payload::Bytes(..) => Ok(()),
        })?;
        let old = arena.len_of(claim.meta);
        let len = old + tail.len();
        mutant!("append-unwritten", let tail = &tail[..0]);
        arena.append(claim.number, claim.slot, claim.meta.current(), old, tail);
        let meta = claim.meta.with_len(len as u64).with_has_vector(0);
        let version = self.publish(claim, meta);
        self.settle_for(key);
        Ok((len, version))
    }

    /// Removes `key`. Returns the length its value had.
    pub(crate) fn unset(&mut self, key: &KeyRef<'_>) -> Versioned<usize> {
        let claim = self.claim(key)?;
        let len = self.arena.len_of(claim.meta);
        let version = self.vacate(claim, key.hash);
        self.settle();
        Ok((len, version))
    }

    /// Publishes `key` with the meta word that `change` makes of the one in force; `change` may also
    /// write the record's other words.
    pub(crate) fn amend(
        &mut self,
        key: &KeyRef<'_>,
        change: impl FnOnce(&Slot, Meta) -> Meta,
    ) -> Result<Meta, Error> {
        let (arena, mut claim) = (self.arena, self.claim(key)?);
        // Who heard of the labels that go hears of it, even if this writer dies.
        claim.groups = arena.groups_of(claim.number, claim.slot);
        claim.slot.pending.store(claim.groups, Relaxed);
        let meta = change(claim.slot, claim.meta);
        arena.attend(claim.number, claim.slot, true);
        self.publish(claim, meta);
        self.settle_for(key);
        Ok(meta)
    }

    /// Sets the vector of `key`. The value stays.
    pub(crate) fn set_vector(&mut self, key: &KeyRef<'_>, vector: &[f32]) -> Result<(), Error> {
        let dim = self.arena.shape.vector_dim as usize;
        if dim == 0 || vector.len() != dim {
            return Err(Error::WrongDimension);
        }
        let claim = self.claim(key)?;
        let meta = self.arena.write_vector(claim.number, claim.slot, claim.meta, vector);
        self.publish(claim, meta);
        self.settle_for(key);
        Ok(())
    }
}
