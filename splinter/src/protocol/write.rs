//! Every change to one key except integers and tandems: claim the slot, write the buffer that is not current, publish
//! the descriptor, release.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::payload::Payload;
use crate::arena::records::Slot;
use crate::arena::state::Descriptor;
use crate::arena::version::{Expect, Lifetime, Version, Versioned};
use crate::error::Error;
use crate::sync::Relaxed;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

impl<'a> Claimant<'a> {
    /// Sets the value of `key`. Inserts a missing key, unless it is a handle's. What is called in the rare cases takes the
    /// key by value, so that it stays in registers otherwise.
    #[inline(always)]
    pub(crate) fn set(&mut self, key: &KeyRef<'_>, value: &[u8], expect: Expect) -> Result<Version, Error> {
        self.check_len(value.len())?;
        let Some(claim) = self.claim_fast(key, expect) else { return self.set_slow(*key, value, expect) };
        if !self.arena.is_covered(claim.slot, 1 - claim.descriptor.current(), value.len()) {
            return Ok(self.set_claimed(claim, value));
        }
        let descriptor = self.write_value::<true>(&claim, value);
        Ok(self.publish(claim, descriptor))
    }

    #[cold]
    #[inline(never)]
    fn set_slow(&mut self, key: KeyRef<'_>, value: &[u8], expect: Expect) -> Result<Version, Error> {
        let version = self.search_or_insert(&key, expect).map(|claim| self.set_claimed(claim, value));
        self.compact_for(&key);
        version
    }

    #[cold]
    #[inline(never)]
    fn set_claimed(&mut self, claim: Claim<'a>, value: &[u8]) -> Version {
        let descriptor = self.write_value::<false>(&claim, value);
        let descriptor = self.with_lifetime(&claim, descriptor, Lifetime::Endless);
        self.publish(claim, descriptor)
    }

    #[inline(always)]
    pub(crate) fn check_len(&self, len: usize) -> Result<(), Error> {
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
    pub(crate) fn append(&mut self, key: &KeyRef<'_>, tail: &[u8], expect: Expect) -> Versioned<usize> {
        let max = self.arena.shape.max_value_len as usize;
        let claim = self.claim_checked(key, |arena, read| {
            expect.check(read.stable_epoch())?;
            match read.payload(arena) {
                _ if read.descriptor.is_number() => Err(Error::WrongType),
                Payload::Integer(_) => Err(Error::WrongType),
                Payload::Bytes(_, len) if tail.len() + len > max => Err(Error::ValueTooLong),
                Payload::Bytes(..) => Ok(()),
            }
        })?;
        let old = self.arena.len_of(claim.descriptor);
        let len = old + tail.len();
        mutant!("append-unwritten", let tail = &tail[..0]);
        self.arena.append(claim.number, claim.slot, claim.descriptor.current(), old, tail);
        let descriptor = claim.descriptor.with_len(len as u64).with_has_vector(0);
        let version = self.publish(claim, descriptor);
        self.compact_for(key);
        Ok((len, version))
    }

    /// Removes `key`. Returns the length its value had.
    pub(crate) fn unset(&mut self, key: &KeyRef<'_>, expect: Expect) -> Versioned<usize> {
        let claim = self.claim(key, expect)?;
        let len = self.arena.len_of(claim.descriptor);
        let version = self.remove(claim, key.hash_by(self.arena.hash));
        self.compact_deferred();
        Ok((len, version))
    }

    /// Publishes `key` with the descriptor that `change` makes of the current one.
    pub(crate) fn change_content(
        &mut self,
        key: &KeyRef<'_>,
        expect: Expect,
        change: impl FnOnce(Descriptor) -> Descriptor,
    ) -> Result<Version, Error> {
        let claim = self.claim(key, expect)?;
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
        let mut claim = self.claim(key, Expect::Any)?;
        // The groups of labels that are dropped learn of it, even if this writer dies.
        claim.groups = self.arena.groups_of(claim.number, claim.slot);
        claim.slot.prepared.store(claim.groups, Relaxed);
        let descriptor = change(claim.slot, claim.descriptor);
        self.arena.update_notify_flags(claim.number, claim.slot, true);
        self.publish_unchanged(claim, descriptor);
        self.compact_for(key);
        Ok(descriptor)
    }

    /// Sets the vector of `key`. The value stays.
    pub(crate) fn set_vector(
        &mut self,
        key: &KeyRef<'_>,
        vector: &[f32],
        expect: Expect,
    ) -> Result<Version, Error> {
        let dim = self.arena.shape.vector_dim as usize;
        if dim == 0 || vector.len() != dim {
            return Err(Error::WrongDimension);
        }
        let claim = self.claim(key, expect)?;
        let descriptor = self.arena.write_vector(claim.number, claim.slot, claim.descriptor, vector);
        let version = self.publish(claim, descriptor);
        self.compact_for(key);
        Ok(version)
    }

    /// Sets the value of `key` to what `change` makes of the old one, which is `None` if the key is missing; that
    /// inserts it, unless it is a handle's. Others find the key busy while `change` runs. If `change` fails or panics,
    /// the key stays as it was.
    ///
    /// Both values are copied into the buffers given: `change` sees no memory that another process may write. If
    /// `is_owner` denies afterwards that the writer id is still the caller's, nothing is changed.
    pub(crate) fn update<R, E: From<Error>>(
        &mut self,
        key: &KeyRef<'_>,
        [old, new]: &mut [Vec<u8>; 2],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<R, E>,
        lifetime: Lifetime,
        is_owner: impl Fn() -> bool,
    ) -> Result<(R, Version), E> {
        // No slot has the number u32::MAX.
        let number = self.arena.find_fast(key).unwrap_or(u32::MAX);
        self.arena.prefetch_value(number);
        let claim = match self.claim_at(number, key, Expect::Any) {
            Some(claim) => claim,
            None => self.search_or_insert(key, Expect::Any).inspect_err(|_| self.compact_for(key))?,
        };
        let payload = self.arena.payload(claim.number, claim.slot, claim.descriptor);
        old.resize(payload.len(), 0);
        let is_present = claim.descriptor.is_present() && payload.copy_to(old).is_ok();
        new.clear();
        let change = AssertUnwindSafe(|| {
            let made = change(is_present.then_some(&**old), new)?;
            self.check_len(new.len())?;
            Ok(made)
        });
        let made = catch_unwind(change);
        if !is_owner() {
            // `change` forked, and this is the child. The claim is the parent's, and stays.
            std::mem::forget(claim);
            return match made {
                Ok(Ok(_)) => Err(Error::Forked.into()),
                Ok(Err(refusal)) => Err(refusal),
                Err(panic) => resume_unwind(panic),
            };
        }
        let made = match made {
            Ok(Ok(made)) => made,
            Ok(Err(refusal)) => {
                self.undo(claim, key);
                return Err(refusal);
            }
            Err(panic) => {
                self.undo(claim, key);
                resume_unwind(panic)
            }
        };
        let descriptor = self.write_value::<false>(&claim, new);
        let descriptor = self.with_lifetime(&claim, descriptor, lifetime);
        let version = self.publish(claim, descriptor);
        self.compact_for(key);
        Ok((made, version))
    }

    /// Ends a claim that comes to nothing. The slot of a new key becomes free again.
    fn undo(&mut self, claim: Claim<'a>, key: &KeyRef<'_>) {
        self.release_unused(claim, key);
        self.compact_for(key);
    }
}
