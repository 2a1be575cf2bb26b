//! The key names of a tandem's orders: `base`, `base.1`, `base.2` …

use crate::arena::Arena;
use crate::arena::key::{Key, KeyRef};
use crate::error::Error;

/// The most orders a tandem has, `base` itself included.
pub const MAX_ORDERS: usize = 255;

/// Names the first `orders` orders of `base`, or refuses all of them.
pub(crate) fn names(base: &[u8], orders: usize) -> Result<Vec<Key>, Error> {
    if !(1..=MAX_ORDERS).contains(&orders) {
        return Err(Error::BadOrders);
    }
    let order = |number: usize| match number {
        0 => Key::new(base),
        _ => Key::new(&[base, b".", number.to_string().as_bytes()].concat()),
    };
    (0..orders).map(order).collect()
}

/// Returns the base of the tandem of which `key` may be an order: `key` itself, unless it ends as the name of another
/// order does.
pub(crate) fn base(key: &[u8]) -> &[u8] {
    let digits = key.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = key.split_at(key.len() - digits);
    let order = number.iter().take(4).fold(0, |order, digit| order * 10 + usize::from(digit - b'0'));
    let is_order = number.first().is_some_and(|digit| *digit != b'0') && order < MAX_ORDERS;
    match name {
        [base @ .., b'.'] if is_order && !base.is_empty() => base,
        _ => key,
    }
}

/// Checks and hashes the names for the protocol.
pub(crate) fn keys<'k>(arena: &Arena<'_>, names: &'k [Key]) -> Result<Vec<KeyRef<'k>>, Error> {
    names.iter().map(|name| arena.key(name.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_every_order_is_its_tandems_and_other_keys_are_their_own() {
        for name in [&b"x"[..], b"v1.5", b"a.b", b".", &[b'y'; 59]] {
            let orders = names(name, MAX_ORDERS).unwrap();
            assert!(orders[1..].iter().all(|order| base(order.as_ref()) == name));
        }
        for own in
            ["x", "1", ".1", "x.", "x.0", "x.01", "x.255", "x.1000", "x.18446744073709551617", "x1", "x.1a"]
        {
            assert_eq!(base(own.as_bytes()), own.as_bytes());
        }
        assert_eq!(base(b""), b"");
        assert_eq!(base(b"..1"), b".");
    }

    #[test]
    fn a_name_that_would_not_fit_refuses_all() {
        let base = [b'x'; 61];
        assert_eq!(names(&base, 10).map(|names| names.len()), Ok(10));
        assert_eq!(names(&base, 11).map(|names| names.len()), Err(Error::KeyTooLong));
        assert_eq!(names(b"x", 0).map(|names| names.len()), Err(Error::BadOrders));
        assert_eq!(names(b"x", 256).map(|names| names.len()), Err(Error::BadOrders));
        assert_eq!(names(b"", 2).map(|names| names.len()), Err(Error::KeyEmpty));
    }
}
