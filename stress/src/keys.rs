//! What keys are called. A key's name is made from its family and number on the fly, in a few
//! instructions: a table of names would cost the measured loop a cache line per operation.

/// Number of keys that a family can have: seven hexadecimal digits.
pub(crate) const MAX_KEYS: u64 = 1 << 28;

/// What a key holds. Families have names of their own, so that each can be checked exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// A value, possibly with a vector and labels.
    Value,
    /// An integer.
    Counter,
    /// The base of a tandem group.
    Group,
    /// The journal of a group of accounts.
    Account,
    /// A value that holds a tally.
    Tally,
    /// A value that is written only over the one that was read.
    Chain,
    /// A value that is written only where there is none.
    Lock,
    /// A value that is set for a time.
    Lease,
}

impl Family {
    /// All families, each at the place that is its number.
    pub(crate) const ALL: [Self; 8] = [
        Self::Value,
        Self::Counter,
        Self::Group,
        Self::Account,
        Self::Tally,
        Self::Chain,
        Self::Lock,
        Self::Lease,
    ];

    /// Returns the letter that its keys begin with.
    #[inline]
    #[must_use]
    pub(crate) const fn letter(self) -> u8 {
        b"vcgathle"[self as usize]
    }
}

/// Returns the name of a key: the family's letter and seven hexadecimal digits, most significant
/// first.
#[inline]
#[must_use]
pub(crate) fn name(family: Family, index: u64) -> [u8; 8] {
    debug_assert!(index < MAX_KEYS);
    // Spread the nibbles to bytes, then add '0', or 'a' - 10 where a nibble is above 9.
    let mut spread = index & 0x0fff_ffff;
    spread = (spread | (spread << 16)) & 0x0000_ffff_0000_ffff;
    spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | (spread << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    let above_nine = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let mut digits = (spread + 0x3030_3030_3030_3030 + above_nine * 0x27).to_be_bytes();
    digits[0] = family.letter();
    digits
}

/// Returns the index of a key with a value; none for a key of another family.
#[inline]
#[must_use]
pub(crate) fn value_index(key: &[u8]) -> Option<u64> {
    let digits = key.strip_prefix(&[Family::Value.letter()])?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the index in a key that [`name`] made; in any other, some number.
#[inline]
#[must_use]
pub(crate) fn index(key: [u8; 8]) -> u64 {
    // What is above a digit's low half says that it is a letter, whose low half counts from 10 on.
    let word = u64::from_be_bytes(key) & 0x00ff_ffff_ffff_ffff;
    let letter = (word >> 6) & 0x0101_0101_0101_0101;
    let mut packed = (word & 0x0f0f_0f0f_0f0f_0f0f) + letter * 9;
    packed = (packed | (packed >> 4)) & 0x00ff_00ff_00ff_00ff;
    packed = (packed | (packed >> 8)) & 0x0000_ffff_0000_ffff;
    (packed | (packed >> 16)) & 0xffff_ffff
}

/// Tells whether a key is that of a further order of a tandem group, or of an account.
#[inline]
#[must_use]
pub(crate) fn is_order(key: &[u8]) -> bool {
    let families = [Family::Group, Family::Account];
    families.iter().any(|family| key.first() == Some(&family.letter())) && key.contains(&b'.')
}

/// The name of one order of a tandem group, without an allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderName {
    bytes: [u8; 12],
    len: usize,
}

impl AsRef<[u8]> for OrderName {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Returns the name of one order of a tandem group: the base's own for order 0, `base.n` for order
/// n, up to 999.
#[must_use]
pub(crate) fn order_name(base: [u8; 8], order: usize) -> OrderName {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&base);
    let mut len = 8;
    if order > 0 {
        bytes[len] = b'.';
        len += 1;
        for scale in [100, 10, 1].into_iter().filter(|&scale| order >= scale) {
            let digit = (order / scale % 10) as u8;
            bytes[len] = b'0' + digit;
            len += 1;
        }
    }
    OrderName { bytes, len }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hexadecimal() {
        for index in [0, 1, 9, 10, 15, 16, 0x00ab_cdef, MAX_KEYS - 1] {
            assert_eq!(name(Family::Value, index), *format!("v{index:07x}").as_bytes());
            assert_eq!(super::index(name(Family::Group, index)), index);
        }
        assert_eq!(name(Family::Group, 10), *b"g000000a");
        assert_eq!(value_index(b"v000000a"), Some(10));
        assert_eq!(value_index(b"g000000a"), None);
        assert!(is_order(b"g000000a.1") && !is_order(b"g000000a"));
    }

    #[test]
    fn orders_follow_their_base() {
        for (order, name) in [(0, "g0000001"), (7, "g0000001.7"), (12, "g0000001.12"), (205, "g0000001.205")]
        {
            assert_eq!(order_name(*b"g0000001", order).as_ref(), name.as_bytes());
        }
    }
}
