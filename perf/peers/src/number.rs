//! The engine's keys as numbers, for stores that are asked by handle: a letter and seven digits.

use splinter_stress::peer::Miss;

/// Returns the number of a key.
#[inline]
pub(crate) fn number(key: &[u8]) -> Result<usize, Miss> {
    let digits = key.get(1..).unwrap_or_default();
    let number = digits.iter().try_fold(0_usize, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + usize::from(digit))
    });
    number.ok_or_else(|| Miss::Other("a key without a number".into()))
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_digits_behind_the_letter_count() {
        assert_eq!(number(b"v0000042"), Ok(42));
        assert_eq!(number(b"v"), Ok(0));
        assert!(number(b"v00x").is_err());
    }
}
