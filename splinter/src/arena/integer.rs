//! Integers as values: the integer operations, and parsing of bytes as a number.

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
    pub(crate) fn apply(self, number: u64) -> u64 {
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

/// A parser of a value's bytes as a number.
pub(crate) type Parse = fn(&[u8]) -> Option<u64>;

/// Reads the bytes that a `BIGUINT` slot was set to as a number. Eight bytes are the number itself, as a program's
/// integer lies in memory. Any other length is decimal text, or a shorter integer.
pub(crate) fn integer_in_slot(bytes: &[u8]) -> Option<u64> {
    if bytes.len() == 8 { integer(bytes) } else { integer_from_text(bytes) }
}

/// Reads a value that becomes a number: decimal text, or up to eight bytes that are no text, an integer as it lies in
/// memory.
pub(crate) fn integer_from_text(bytes: &[u8]) -> Option<u64> {
    parse_decimal(bytes).or_else(|| integer(bytes).filter(|_| !is_text(bytes)))
}

/// Reads one to eight bytes as an integer, the lowest first.
fn integer(bytes: &[u8]) -> Option<u64> {
    let mut whole = [0; 8];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    (!bytes.is_empty()).then_some(u64::from_le_bytes(whole))
}

/// Whether the bytes are readable text: UTF-8 without control characters, and not only white space.
fn is_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let is_shown = |char: char| char.is_whitespace() || !char.is_control();
    text.chars().all(is_shown) && !text.trim().is_empty()
}

/// Reads decimal digits, and nothing else, as a number below 2^64.
fn parse_decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_read_as_numbers_and_nothing_else_does() {
        assert_eq!(parse_decimal(b"0"), Some(0));
        assert_eq!(parse_decimal(b"18446744073709551615"), Some(u64::MAX));
        for text in [&b""[..], b"18446744073709551616", b"-1", b" 1", b"1 ", b"0x1", b"1.5"] {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn eight_bytes_are_a_number_in_a_slot_and_digits_when_they_become_one() {
        assert_eq!(integer_in_slot(b"12345678"), Some(u64::from_le_bytes(*b"12345678")));
        assert_eq!(integer_in_slot(b"abcdefgh"), Some(u64::from_le_bytes(*b"abcdefgh")));
        assert_eq!(integer_from_text(b"12345678"), Some(12_345_678));
        assert_eq!(integer_from_text(b"abcdefgh"), None);
        assert_eq!(integer_from_text(&5_u64.to_le_bytes()), Some(5));
        assert_eq!(integer_in_slot(b"42"), Some(42));
    }

    #[test]
    fn shorter_integers_are_numbers_and_text_is_none() {
        for parse in [integer_in_slot, integer_from_text] {
            assert_eq!(parse(&[7]), Some(7));
            assert_eq!(parse(&[0]), Some(0));
            assert_eq!(parse(b"\n"), Some(10));
            assert_eq!(parse(&0x1234_u16.to_le_bytes()), Some(0x1234));
            assert_eq!(parse(&65_u32.to_le_bytes()), Some(65));
            assert_eq!(parse(&[0xff; 7]), Some((1 << 56) - 1));
            assert_eq!(parse(b"7"), Some(7));
            for none in [&b""[..], b"A", b"words", b"-1", b"42\n", b"1.5", "äöü".as_bytes(), &[1; 9]] {
                assert_eq!(parse(none), None, "{none:?}");
            }
        }
    }
}
