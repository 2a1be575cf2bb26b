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

/// Checks and hashes the names for the protocol.
pub(crate) fn keys<'k>(arena: &Arena<'_>, names: &'k [Key]) -> Result<Vec<KeyRef<'k>>, Error> {
    names.iter().map(|name| arena.key(name.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
