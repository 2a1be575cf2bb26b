//! Integers: slots whose value is one 64-bit word beside the state word. An operation exchanges state
//! and number in one 16-byte step, so it is either done or not whenever its process dies, no operation
//! waits for another, and a state that moved for any other reason makes it start over.

use super::Claimant;
use super::key::KeyRef;
use super::layout::Slot;
use super::state::{Meta, State};
use crate::error::Error;
use crate::sync::{Relaxed, spin_loop};

/// An operation on a `BIGUINT` slot. Arithmetic wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerOp {
    /// Keeps the bits that are set in both.
    And(u64),
    /// Sets the bits that are set in either.
    Or(u64),
    /// Flips the bits that are set in the operand.
    Xor(u64),
    /// Flips every bit.
    Not,
    /// Adds the operand.
    Inc(u64),
    /// Subtracts the operand.
    Dec(u64),
}

impl IntegerOp {
    #[inline(always)]
    fn apply(self, number: u64) -> u64 {
        match self {
            Self::And(mask) => number & mask,
            Self::Or(mask) => number | mask,
            Self::Xor(mask) => number ^ mask,
            Self::Not => !number,
            Self::Inc(by) => number.wrapping_add(by),
            Self::Dec(by) => number.wrapping_sub(by),
        }
    }
}

/// The type name's number of `BIGUINT` slots.
pub(crate) const KIND_BIGUINT: u64 = 2;

impl<'a> Claimant<'a> {
    /// Applies `op` to the number of `key`. Returns the new number.
    #[inline(always)]
    pub(crate) fn integer(&mut self, key: &KeyRef<'_>, op: IntegerOp) -> Result<u64, Error> {
        let guess = self.arena.guess(key.hash);
        match guess.and_then(|number| self.integer_at_once(number, key, op)) {
            Some(new) => Ok(new),
            None => self.change_number(key, |old| op.apply(old)),
        }
    }

    /// Applies `op` to the number of `key`, which was last found in slot `number`.
    #[inline(always)]
    pub(crate) fn integer_in(
        &mut self,
        number: u32,
        key: &KeyRef<'_>,
        op: IntegerOp,
    ) -> Result<u64, Error> {
        match self.integer_at_once(number, key, op) {
            Some(new) => Ok(new),
            None => self
                .integer_at(number, key, |old| op.apply(old))
                .unwrap_or(Err(Error::NotFound)),
        }
    }

    /// Applies `op` if slot `number` holds `key` and its number, and nobody is in the way. This is the
    /// whole of nearly every operation.
    ///
    /// The exchange succeeds only while the state is the one that key and meta word were read under.
    #[inline(always)]
    fn integer_at_once(&self, number: u32, key: &KeyRef<'_>, op: IntegerOp) -> Option<u64> {
        let slot = self.arena.slot(number)?;
        let state = State(slot.state_number.first_acquire());
        let meta = Meta(slot.meta.load(Relaxed));
        if state.is_claimed() || !meta.is_present() || !meta.is_number() || !key.is_in(slot) {
            return None;
        }
        self.exchange(slot, state, |old| op.apply(old))
    }

    /// Exchanges state and number if the slot is still in `state`.
    #[inline(always)]
    fn exchange(&self, slot: &Slot, state: State, change: impl Fn(u64) -> u64) -> Option<u64> {
        let old = slot.state_number.second();
        let new = change(old);
        let owned = state.claimed(self.lane, false).0;
        let done = slot
            .state_number
            .exchange((state.0, old), (state.stepped().0, new), owned);
        if done {
            self.count_write();
        }
        done.then_some(new)
    }

    /// Exchanges the number of `key` for what `change` makes of it.
    #[cold]
    #[inline(never)]
    fn change_number(
        &mut self,
        key: &KeyRef<'_>,
        change: impl Fn(u64) -> u64 + Copy,
    ) -> Result<u64, Error> {
        let arena = self.arena;
        arena
            .probe(key.hash, |number, _| self.integer_at(number, key, change))
            .unwrap_or(Err(Error::NotFound))
    }

    /// Sets the number of `key`, which becomes a `BIGUINT` slot and is created if missing.
    pub(crate) fn set_number(&mut self, key: &KeyRef<'_>, value: u64) -> Result<(), Error> {
        match self.change_number(key, |_| value) {
            Err(Error::NotFound | Error::WrongType) => {}
            result => return result.map(drop),
        }
        let claim = self.claim_or_insert(key)?;
        claim.slot.state_number.store_second(value);
        let meta = as_number(claim.meta).with_has_vector(0);
        self.publish(claim, meta);
        Ok(())
    }

    /// Exchanges the number in slot `number` for what `change` makes of it, if the slot holds `key`.
    fn integer_at(
        &mut self,
        number: u32,
        key: &KeyRef<'_>,
        change: impl Fn(u64) -> u64,
    ) -> Option<Result<u64, Error>> {
        let slot = self.arena.slot(number)?;
        let mut failures = 0;
        loop {
            let state = State(slot.state_number.first_acquire());
            if !key.is_in(slot) {
                return None;
            }
            if state.is_claimed() {
                if self.is_held(number, slot, state) {
                    return Some(Err(Error::Again));
                }
                continue;
            }
            let meta = Meta(slot.meta.load(Relaxed));
            if !meta.is_present() {
                return None;
            }
            if !meta.is_number() {
                match self.promote(number, key)? {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            }
            if let Some(new) = self.exchange(slot, state, &change) {
                return Some(Ok(new));
            }
            failures += 1;
            back_off(failures);
        }
    }

    /// Moves the value of a `BIGUINT` slot that was set as bytes into its number word.
    #[cold]
    fn promote(&mut self, number: u32, key: &KeyRef<'_>) -> Option<Result<(), Error>> {
        let claim = match self.claim_if(number, key)? {
            Ok(claim) => claim,
            Err(error) => return Some(Err(error)),
        };
        if claim.meta.is_number() {
            return Some(Ok(()));
        }
        if claim.meta.kind() != KIND_BIGUINT {
            return Some(Err(Error::WrongType));
        }
        let number = self
            .short_value::<20>(&claim)
            .and_then(|(bytes, len)| number_in_slot(&bytes[..len]));
        let Some(value) = number else {
            return Some(Err(Error::WrongType));
        };
        claim.slot.state_number.store_second(value);
        let meta = as_number(claim.meta);
        self.publish(claim, meta);
        Some(Ok(()))
    }

    /// Gives `key` the type numbered `kind`. The value of a slot that becomes `BIGUINT` must be a
    /// number; that of one that was and becomes text turns into decimal digits, otherwise 8 bytes.
    pub(crate) fn set_kind(
        &mut self,
        key: &KeyRef<'_>,
        kind: u64,
        text: bool,
    ) -> Result<(), Error> {
        let claim = self.claim(key)?;
        let meta = claim.meta;
        let changed = if kind == KIND_BIGUINT && !meta.is_number() {
            let value = self
                .short_value::<20>(&claim)
                .and_then(|(bytes, len)| parse_number(&bytes[..len]));
            claim
                .slot
                .state_number
                .store_second(value.ok_or(Error::WrongType)?);
            as_number(meta)
        } else if kind != KIND_BIGUINT && meta.is_number() {
            let value = claim.slot.state_number.second();
            let bytes = if text {
                value.to_string().into_bytes()
            } else {
                value.to_le_bytes().to_vec()
            };
            self.check_len(bytes.len())?;
            self.write_value(&claim, &bytes)
                .with_has_vector(meta.has_vector())
        } else {
            meta
        };
        self.publish(claim, changed.with_kind(kind));
        Ok(())
    }
}

/// Returns the meta word of a slot whose value is its number word.
fn as_number(meta: Meta) -> Meta {
    meta.with_present(1)
        .with_number(1)
        .with_len(8)
        .with_kind(KIND_BIGUINT)
}

/// Reads decimal digits, nothing else, as a number below 2^64.
fn parse_decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads what a `BIGUINT` slot was set to as a number: eight bytes are the number itself, as a program's
/// integer lies in memory, any other length is decimal text.
pub(crate) fn number_in_slot(bytes: &[u8]) -> Option<u64> {
    match bytes.try_into() {
        Ok(bytes) => Some(u64::from_le_bytes(bytes)),
        Err(_) => parse_decimal(bytes),
    }
}

/// Reads a value that becomes a number: decimal text, or eight bytes that are not printable text.
fn parse_number(bytes: &[u8]) -> Option<u64> {
    parse_decimal(bytes).or_else(|| {
        let number = u64::from_le_bytes(bytes.try_into().ok()?);
        let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        (!bytes.iter().all(printable)).then_some(number)
    })
}

/// Leaves the line to the others for a while that grows with every failure, up to about a microsecond:
/// each of them then gets several operations done while it has the line.
#[cold]
fn back_off(failures: u32) {
    for _ in 0..1 << failures.min(6) {
        spin_loop();
    }
}
