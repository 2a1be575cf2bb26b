//! A value in place: in a slot's number word or in one of its buffers.

use super::Arena;
use super::copy::copy_out;
use super::records::Slot;
use super::state::Descriptor;
use crate::error::Error;
use crate::sync::Word;

/// The place of a value's bytes.
#[derive(Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// The number word's value, already read.
    Integer(u64),
    /// A buffer, and the value's length in it.
    Bytes(&'a [Word], usize),
}

impl Payload<'_> {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Integer(_) => 8,
            Self::Bytes(_, len) => *len,
        }
    }

    /// Copies the whole value to the beginning of `out`.
    #[inline(always)]
    pub(crate) fn copy_to(&self, out: &mut [u8]) -> Result<usize, Error> {
        let needed = self.len();
        let out = out.get_mut(..needed).ok_or(Error::BufferTooSmall { needed })?;
        match self {
            Self::Integer(number) => out.copy_from_slice(&number.to_le_bytes()),
            Self::Bytes(words, _) => copy_out(words, out),
        }
        Ok(needed)
    }

    /// Reads the value as a number: the number word, or what `parse` makes of at most 20 bytes, the digits of the
    /// longest number.
    pub(crate) fn integer(&self, parse: impl Fn(&[u8]) -> Option<u64>) -> Option<u64> {
        if let Self::Integer(number) = self {
            return Some(*number);
        }
        let mut bytes = [0; 20];
        let len = self.copy_to(&mut bytes).ok()?;
        parse(&bytes[..len])
    }
}

impl<'a> Arena<'a> {
    /// Borrows the value that `descriptor` says slot `number` has.
    #[inline(always)]
    pub(crate) fn payload(&self, number: u32, slot: &'a Slot, descriptor: Descriptor) -> Payload<'a> {
        if descriptor.is_integer() {
            Payload::Integer(slot.state_integer.second())
        } else {
            self.buffered(number, descriptor)
        }
    }

    /// Borrows the value that `descriptor` says slot `number` has in a buffer.
    #[inline(always)]
    pub(crate) fn buffered(&self, number: u32, descriptor: Descriptor) -> Payload<'a> {
        self.buffered_from(self.value_at(number), descriptor)
    }

    /// Borrows the value that `descriptor` says a slot has, whose buffers begin at this word.
    #[inline(always)]
    pub(crate) fn buffered_from(&self, first: usize, descriptor: Descriptor) -> Payload<'a> {
        let words = self.value_from(first, descriptor.current());
        // Clamped to the longest value, whatever a hostile process wrote; a buffer may be longer.
        Payload::Bytes(words, (descriptor.len() as usize).min(self.shape.max_value_len as usize))
    }
}
