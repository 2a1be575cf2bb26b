//! Every change to one key except integers and tandems: claim the slot, write the buffer that is not current, publish
//! the descriptor, release.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::payload::Payload;
use crate::arena::records::Slot;
use crate::arena::state::Descriptor;
use crate::arena::version::{Version, Versioned};
use crate::error::Error;
use crate::sync::Relaxed;

impl<'a> Claimant<'a> {
    /// Sets the value of `key`. Inserts a missing key, unless it is a handle's.
    #[inline(always)]
    pub(crate) fn set(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<Version, Error> {
        self.check_len(value.len())?;
        let Some(claim) = self.claim_fast(key) else { return self.set_slow(key, value) };
        if !self.arena.is_covered(claim.slot, 1 - claim.descriptor.current(), value.len()) {
            return Ok(self.set_claimed(claim, value));
        }
        let descriptor = self.write_value::<true>(&claim, value);
        Ok(self.publish(claim, descriptor))
    }

    #[cold]
    #[inline(never)]
    fn set_slow(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<Version, Error> {
        let version = self.claim_or_insert(key).map(|claim| self.set_claimed(claim, value));
        self.compact_for(key);
        version
    }

    #[cold]
    #[inline(never)]
    fn set_claimed(&mut self, claim: Claim<'a>, value: &[u8]) -> Version {
        let descriptor = self.write_value::<false>(&claim, value);
        self.publish(claim, descriptor)
    }

    #[inline(always)]
    pub(super) fn check_len(&self, len: usize) -> Result<(), Error> {
        mutant!("value-truncated", return Ok(()));
        let max = self.arena.shape.max_value_len as usize;
        if len > max { Err(Error::ValueTooLong) } else { Ok(()) }
    }

    /// Writes `value` to the buffer that is not current, whose extent covers it if `COVERED`. Returns the descriptor
    /// that makes it current.
    #[inline(always)]
    pub(super) fn write_value<const COVERED: bool>(&self, claim: &Claim<'a>, value: &[u8]) -> Descriptor {
        let old = claim.descriptor;
        let which = 1 - old.current();
        mutant!("buffer-current", let which = old.current());
        mutant!("value-truncated", let value = &value[..value.len().min(self.arena.shape.value_words * 8)]);
        mutant!("publish-early", claim.slot.descriptor.store(old.with_current(which).0, Relaxed));
        self.arena.write_value::<COVERED>(claim.number, claim.slot, which, value);
        mutant!("vector-kept", return old.holding_bytes(which, value.len()));
        old.holding_bytes(which, value.len()).with_has_vector(0)
    }

    /// Appends `tail` to the value of `key`. Returns the new length.
    ///
    /// Writes only the new bytes, behind the current ones. No reader copies them before the new length is published.
    pub(crate) fn append(&mut self, key: &KeyRef<'_>, tail: &[u8]) -> Versioned<usize> {
        let (arena, max) = (self.arena, self.arena.shape.max_value_len as usize);
        let claim = self.claim_checked(key, |read| match read.payload(&arena) {
            Payload::Integer(_) => Err(Error::WrongType),
            Payload::Bytes(_, len) if tail.len() + len > max => Err(Error::ValueTooLong),
            Payload::Bytes(..) => Ok(()),
        })?;
        let old = arena.len_of(claim.descriptor);
        let len = old + tail.len();
        mutant!("append-unwritten", let tail = &tail[..0]);
        arena.append(claim.number, claim.slot, claim.descriptor.current(), old, tail);
        let descriptor = claim.descriptor.with_len(len as u64).with_has_vector(0);
        let version = self.publish(claim, descriptor);
        self.compact_for(key);
        Ok((len, version))
    }

    /// Removes `key`. Returns the length its value had.
    pub(crate) fn unset(&mut self, key: &KeyRef<'_>) -> Versioned<usize> {
        let claim = self.claim(key)?;
        let len = self.arena.len_of(claim.descriptor);
        let version = self.remove(claim, key.hash_by(self.arena.hash));
        self.compact_deferred();
        Ok((len, version))
    }

    /// Publishes `key` with the descriptor that `change` makes of the current one.
    pub(crate) fn change_content(
        &mut self,
        key: &KeyRef<'_>,
        change: impl FnOnce(Descriptor) -> Descriptor,
    ) -> Result<Version, Error> {
        let claim = self.claim(key)?;
        let descriptor = change(claim.descriptor);
        let version = self.publish(claim, descriptor);
        self.compact_for(key);
        Ok(version)
    }

    /// Changes what is about the content of `key`: publishes the descriptor that `change` makes of the current one;
    /// `change` may also write the record's other words. The epoch stays.
    pub(crate) fn change_metadata(
        &mut self,
        key: &KeyRef<'_>,
        change: impl FnOnce(&Slot, Descriptor) -> Descriptor,
    ) -> Result<Descriptor, Error> {
        let (arena, mut claim) = (self.arena, self.claim(key)?);
        // The groups of labels that are dropped learn of it, even if this writer dies.
        claim.groups = arena.groups_of(claim.number, claim.slot);
        claim.slot.prepared.store(claim.groups, Relaxed);
        let descriptor = change(claim.slot, claim.descriptor);
        arena.update_notify_flags(claim.number, claim.slot, true);
        self.publish_unchanged(claim, descriptor);
        self.compact_for(key);
        Ok(descriptor)
    }

    /// Sets the vector of `key`. The value stays.
    pub(crate) fn set_vector(&mut self, key: &KeyRef<'_>, vector: &[f32]) -> Result<(), Error> {
        let dim = self.arena.shape.vector_dim as usize;
        if dim == 0 || vector.len() != dim {
            return Err(Error::WrongDimension);
        }
        let claim = self.claim(key)?;
        let descriptor = self.arena.write_vector(claim.number, claim.slot, claim.descriptor, vector);
        self.publish(claim, descriptor);
        self.compact_for(key);
        Ok(())
    }
}
