//! Integers: slots whose value is one 64-bit word beside the state word. An operation exchanges state and number by one
//! 16-byte compare-and-swap. So a crash leaves no half, and no operation waits for another. It starts over if the content
//! changed. Where number and descriptor change together, a claim is needed: see [`Claim::commit_integer`].

use super::{Claimant, claim::Claim};
use crate::arena::integer::{IntegerOp, Parse, integer_in_slot};
use crate::arena::key::KeyRef;
use crate::arena::records::Slot;
use crate::arena::state::{Descriptor, KIND_BIGUINT, State};
use crate::arena::version::{Expect, Lifetime, Version};
use crate::error::Error;
use crate::sync::{Pair, Relaxed, fence_after_exchange};

impl<'a> Claimant<'a> {
    /// Applies `op` to the number of `key`. Returns the new number.
    #[inline(always)]
    pub(crate) fn integer(&mut self, key: &KeyRef<'_>, op: IntegerOp) -> Result<u64, Error> {
        match self.integer_fast(key, op) {
            Some(new) => Ok(new),
            None => self.change_integer(*key, false, |old| op.apply(old)),
        }
    }

    /// Applies `op` if the likeliest slot holds `key` and a number, and nobody is in the way: the fast path of nearly
    /// every operation.
    #[inline(always)]
    fn integer_fast(&mut self, key: &KeyRef<'_>, op: IntegerOp) -> Option<u64> {
        let number = self.arena.find_fast(key)?;
        let slot = self.arena.slot(number)?;
        let state = State(slot.state_integer.first_acquire());
        let descriptor = Descriptor(slot.descriptor.load(Relaxed));
        let ready = state.is_unclaimed_and_unpolled() & descriptor.is_lasting() & descriptor.is_integer();
        if !ready || self.arena.holds_stale(descriptor) || !key.is_in(slot) {
            return None;
        }
        #[cfg(splinter_mutants)]
        let was_signalled = self.arena.is_signalled(slot);
        let new = self.exchange(number, slot, state, |old| op.apply(old))?;
        // After the exchange: a subscription, like a watch, may come before it and leave the state as it was.
        let is_signalled = self.arena.is_signalled(slot);
        mutant!("number-unsignalled", let is_signalled = was_signalled);
        if is_signalled {
            self.notify(number, slot, false);
        }
        Some(new)
    }

    /// Exchanges state and number if the slot is still in `state`, under which key and descriptor were read.
    #[inline(always)]
    fn exchange(&self, number: u32, slot: &Slot, state: State, change: impl Fn(u64) -> u64) -> Option<u64> {
        // If this writer is killed before it signals the change, the writer id's next owner does.
        self.note_intent(number);
        let old = slot.state_integer.second();
        let new = change(old);
        mutant!("number-load-store", let state = State(slot.state_integer.first_acquire()));
        mutant!("number-load-store", let old = slot.state_integer.second());
        let (owned, next) = (state.claimed(self.writer_id, false).0, state.advanced().unpolled());
        let done = slot.state_integer.exchange((state.0, old), (next.0, new), owned);
        if done {
            self.arena.note_visit(number);
            fence_after_exchange();
            self.record.count_write();
        }
        done.then_some(new)
    }

    /// Exchanges the number of `key` for what `change` makes of it. With `lasting` it refuses a key that has a deadline,
    /// or may have been given one, as one of another type.
    #[cold]
    #[inline(never)]
    fn change_integer(
        &mut self,
        key: KeyRef<'_>,
        lasting: bool,
        change: impl Fn(u64) -> u64,
    ) -> Result<u64, Error> {
        let index = self.arena.index();
        let changed =
            index.probe(&key, |number, _, _| self.change_integer_in(number, &key, lasting, &change));
        self.compact_deferred();
        changed.unwrap_or(Err(Error::NotFound))
    }

    /// Exchanges the number in slot `number`, if the slot holds `key`, and tries again while other writers come first.
    fn change_integer_in(
        &mut self,
        number: u32,
        key: &KeyRef<'_>,
        lasting: bool,
        change: impl Fn(u64) -> u64,
    ) -> Option<Result<u64, Error>> {
        let slot = self.arena.slot(number)?;
        // Other writers come first a few times; only damage never comes to an end.
        for failures in 0..1_u32 << 16 {
            let state = State(slot.state_integer.first_acquire());
            if !key.is_in(slot) {
                return None;
            }
            let descriptor = Descriptor(slot.descriptor.load(Relaxed));
            if state.is_claimed() {
                if self.is_held(number, slot, state) {
                    return Some(Err(Error::Again));
                }
            } else if !descriptor.is_present() {
                return None;
            } else if self.arena.is_expired(number, descriptor) {
                // If it is not removed, its deadline was moved.
                if self.remove_expired(number) {
                    return Some(Err(Error::NotFound));
                }
            } else if lasting && !(descriptor.is_lasting() && self.is_settled(state)) {
                return Some(Err(Error::WrongType));
            } else if !descriptor.is_integer() || self.arena.holds_stale(descriptor) {
                // This very slot: damage may have put the key into another as well.
                let lifetime = if lasting { Lifetime::Endless } else { Lifetime::Unchanged };
                return Some(self.change_by_claim(&key.within(number), lifetime, &change));
            } else {
                if let Some(new) = self.exchange(number, slot, state, &change) {
                    self.notify(number, slot, state.is_polled());
                    return Some(Ok(new));
                }
                crate::tuning::back_off(failures);
            }
        }
        Some(Err(Error::Again))
    }

    /// Whether a deadline that the slot was given after it had this state has changed the state, so that an exchange
    /// from it fails. A claim without a change of the content goes back to the epoch before it and adds the wiped bit.
    fn is_settled(&self, state: State) -> bool {
        mutant!("deadline-outdated", return true);
        !state.is_wiped()
    }

    /// Changes a number that no exchange can change: moves a value that was set as bytes into the number word, and drops
    /// a vector. Publishing wipes what is stale.
    fn change_by_claim(
        &mut self,
        key: &KeyRef<'_>,
        lifetime: Lifetime,
        change: impl Fn(u64) -> u64,
    ) -> Result<u64, Error> {
        let claim = self.claim_checked(key, |arena, read| {
            let number = read.payload(arena).integer(integer_in_slot);
            let fits = number.is_some() && read.descriptor.kind() == KIND_BIGUINT;
            if fits { Ok(()) } else { Err(Error::WrongType) }
        })?;
        let payload = self.arena.payload(claim.number, claim.slot, claim.descriptor);
        let new = change(payload.integer(integer_in_slot).unwrap_or_default());
        self.publish_integer(claim, new, lifetime);
        Ok(new)
    }

    /// Publishes `value` as the number of a claimed slot. Where no exchange changes state and number in one step, a number
    /// that replaces one becomes bytes, and the next change by a claim makes a number of them again.
    fn publish_integer(&mut self, mut claim: Claim<'a>, value: u64, lifetime: Lifetime) -> Version {
        let is_word = claim.descriptor.is_integer();
        let descriptor = if is_word && !Pair::IS_EXCHANGED_AT_ONCE && self.check_len(8).is_ok() {
            self.write_value::<false>(&claim, &value.to_le_bytes()).holding_number_bytes()
        } else {
            self.arena.holding_integer(claim.slot, claim.descriptor).with_has_vector(0)
        };
        let descriptor = self.with_lifetime(&claim, descriptor, lifetime);
        if is_word && descriptor.is_integer() {
            claim.commit_integer(descriptor, value);
        } else if descriptor.is_integer() {
            claim.slot.state_integer.store_second(value);
        }
        self.publish(claim, descriptor)
    }

    /// Sets the number of `key`, which becomes a `BIGUINT` slot and is created if missing.
    pub(crate) fn set_integer(&mut self, key: &KeyRef<'_>, value: u64) -> Result<(), Error> {
        match self.change_integer(*key, true, |_| value) {
            Err(Error::NotFound | Error::WrongType) => self.set_integer_if(key, value, Expect::Any).map(drop),
            result => result.map(drop),
        }
    }

    /// Sets the number of `key` under a claim, if the key is as expected.
    pub(crate) fn set_integer_if(
        &mut self,
        key: &KeyRef<'_>,
        value: u64,
        expect: Expect,
    ) -> Result<Version, Error> {
        let version = self
            .claim_or_insert(key, expect)
            .map(|claim| self.publish_integer(claim, value, Lifetime::Endless));
        self.compact_for(key);
        version
    }

    /// Applies `op` to the number of `key`, or to `initial` if the key is missing; that inserts it, unless it is a
    /// handle's. Returns the new number.
    pub(crate) fn integer_or_insert(
        &mut self,
        key: &KeyRef<'_>,
        op: IntegerOp,
        initial: u64,
    ) -> Result<u64, Error> {
        for _ in 0..Self::ROUNDS {
            match self.integer(key, op) {
                Err(Error::NotFound) => {}
                result => return result,
            }
            let new = op.apply(initial);
            match self.set_integer_if(key, new, Expect::Absent) {
                Err(Error::Changed { .. }) => {}
                result => return result.map(|_| new),
            }
        }
        Err(Error::Again)
    }

    /// Gives `key` the type numbered `kind`. If that is `BIGUINT`, `parse` must read the value as a number. The number
    /// of a slot that was one becomes decimal digits if the new type is text, and otherwise 8 bytes.
    pub(crate) fn set_kind(
        &mut self,
        key: &KeyRef<'_>,
        (kind, is_text): (u64, bool),
        parse: Parse,
        expect: Expect,
    ) -> Result<Version, Error> {
        // What is a number already stays that number.
        let parse_of = |descriptor: Descriptor| if descriptor.is_number() { integer_in_slot } else { parse };
        let claim = self.claim_checked(key, |arena, read| {
            expect.check(read.stable_epoch())?;
            let number = read.payload(arena).integer(parse_of(read.descriptor));
            if kind != KIND_BIGUINT || number.is_some() { Ok(()) } else { Err(Error::WrongType) }
        })?;
        let mut descriptor = claim.descriptor;
        if kind == KIND_BIGUINT {
            let payload = self.arena.payload(claim.number, claim.slot, descriptor);
            let number = payload.integer(parse_of(descriptor)).unwrap_or_default();
            claim.slot.state_integer.store_second(number);
            descriptor = self.arena.holding_integer(claim.slot, claim.descriptor);
        } else if descriptor.is_number() {
            let payload = self.arena.payload(claim.number, claim.slot, descriptor);
            let value = payload.integer(integer_in_slot).unwrap_or_default();
            let (digits, bytes) = (value.to_string(), value.to_le_bytes());
            let bytes = if is_text { digits.as_bytes() } else { &bytes };
            self.check_len(bytes.len())?;
            descriptor = self.write_value::<false>(&claim, bytes).with_has_vector(descriptor.has_vector());
        }
        let version = self.publish(claim, descriptor.with_kind(kind));
        self.compact_for(key);
        Ok(version)
    }
}
