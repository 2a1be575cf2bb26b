//! Transactions: changes of several keys that happen together or not at all.

use super::Writer;
use crate::arena::change::{Content, KeyChange};
use crate::arena::integer::IntegerOp;
use crate::arena::orders::MAX_ORDERS;
use crate::arena::version::{Expect, Lifetime, Outcome};
use crate::error::Error;
use crate::protocol::{Part, Parts};
use smallvec::SmallVec;
use std::fmt;

/// Changes of up to 255 keys that happen together, or not at all.
///
/// Every reader finds all keys as before or all as after, also if the writer dies half-way. Nothing happens unless each
/// key is as expected at that one instant.
///
/// ```
/// use splinter::{Error, Expect, IntegerOp, Transaction};
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// # let mut writer = store.writer()?;
/// writer.set_u64("stock", 3)?;
/// let seen = store.epoch("stock")?;
/// let mut order = Transaction::new();
/// order.key("stock").expect(Expect::Epoch(seen)).integer(IntegerOp::Dec(1));
/// order.key("order:17").expect(Expect::Absent).set(b"one of them").label(0b1);
/// assert_eq!(writer.commit(&order)?[0].number, Some(2));
///
/// // The stock has changed since, and order 17 is there.
/// let refused = writer.commit(&order).unwrap_err();
/// assert_eq!((refused.place, store.get_u64("stock")?), (0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transaction<'d> {
    /// The keys, each with some of its bytes, by which it is found again.
    keys: SmallVec<[(u64, &'d [u8]); FEW]>,
    /// One for each key.
    changes: SmallVec<[KeyChange<'d>; FEW]>,
}

/// Transactions of up to so many keys need no memory of their own.
const FEW: usize = 4;
/// For so many more keys it takes memory at once.
const MORE: usize = 28;

/// A transaction was refused for one of its keys, and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionError {
    /// The place of that key in the transaction, from 0 on.
    pub place: usize,
    /// What is wrong with it. A key that is missing and needed is [`Error::NotFound`], one that is not as expected
    /// [`Error::Changed`].
    pub error: Error,
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} of the transaction: {}", self.place + 1, self.error)
    }
}

impl std::error::Error for TransactionError {}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        error.error
    }
}

/// Returns the first and the last bytes of a key, mixed, and its length.
#[inline]
fn some_bytes(key: &[u8]) -> u64 {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let ends = match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => word(first) ^ word(last).rotate_left(29),
        _ => key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    ends ^ (key.len() as u64) << 58
}

impl<'d> Transaction<'d> {
    /// Returns a transaction without keys.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self { keys: SmallVec::new(), changes: SmallVec::new() }
    }

    /// Returns the part for `key`, which is added if the transaction has none.
    pub fn key(&mut self, key: &'d (impl AsRef<[u8]> + ?Sized)) -> &mut KeyChange<'d> {
        let key = key.as_ref();
        let some = some_bytes(key);
        let is_same = |named: &(u64, &[u8])| named.0 == some && named.1 == key;
        let place = self.keys.iter().position(is_same).unwrap_or_else(|| {
            if self.keys.len() == FEW {
                self.keys.reserve(MORE);
                self.changes.reserve(MORE);
            }
            self.keys.push((some, key));
            self.changes.push(KeyChange::default());
            self.keys.len() - 1
        });
        &mut self.changes[place]
    }

    /// Returns how many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether it has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl<'d> KeyChange<'d> {
    /// Has the transaction happen only if the key is as expected.
    pub fn expect(&mut self, expect: Expect) -> &mut Self {
        self.expect = expect;
        self
    }

    /// Sets the value, as [`Writer::set`] does: a missing key is inserted, and the vector goes.
    pub fn set(&mut self, value: &'d [u8]) -> &mut Self {
        self.content(Content::Bytes(value))
    }

    /// Sets the number, as [`Writer::set_u64`] does.
    pub fn set_u64(&mut self, value: u64) -> &mut Self {
        self.content(Content::Number(value))
    }

    /// Applies `op` to the number, as [`Writer::integer`] does.
    pub fn integer(&mut self, op: IntegerOp) -> &mut Self {
        self.content(Content::Integer(op, None))
    }

    /// Applies `op` to the number, or to `initial` if the key is missing, as [`Writer::integer_or`] does.
    pub fn integer_or(&mut self, op: IntegerOp, initial: u64) -> &mut Self {
        self.content(Content::Integer(op, Some(initial)))
    }

    /// Removes the key. That it is missing is no error, unless it is expected to be there.
    #[doc(alias("delete", "remove"))]
    pub fn unset(&mut self) -> &mut Self {
        self.content(Content::Remove)
    }

    /// Sets the vector, as [`Writer::set_vector`] does. With a value it is the vector of that value.
    pub fn set_vector(&mut self, vector: &'d [f32]) -> &mut Self {
        self.vector = Some(vector);
        self
    }

    /// Adds labels, as [`Writer::label`] does.
    pub fn label(&mut self, mask: u64) -> &mut Self {
        self.labels[0] |= mask;
        self.labels[1] &= !mask;
        self
    }

    /// Takes labels away, as [`Writer::unlabel`] does.
    pub fn unlabel(&mut self, mask: u64) -> &mut Self {
        self.labels[1] |= mask;
        self.labels[0] &= !mask;
        self
    }

    /// Sets how long the key stays. Without it, a key whose value is set stays until it is removed, and any other as long
    /// as before.
    pub fn lifetime(&mut self, lifetime: Lifetime) -> &mut Self {
        self.lifetime = Some(lifetime);
        self
    }

    fn content(&mut self, content: Content<'d>) -> &mut Self {
        self.content = content;
        self
    }
}

impl Writer {
    /// Makes all changes of a transaction at once, or none. Returns what became of each key, in the transaction's order.
    ///
    /// # Errors
    /// The first key that is not as its change needs it: [`Error::Changed`], [`Error::NotFound`],
    /// [`Error::WrongType`], [`Error::ValueTooLong`], [`Error::WrongDimension`], those of a key that cannot be one,
    /// [`Error::Full`], and [`Error::Again`] if another writer holds it. [`Error::TooManyKeys`] for more than 255.
    #[doc(alias("exec", "multi", "atomic"))]
    pub fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Outcome>, TransactionError> {
        let refused = |place, error| TransactionError { place, error };
        if transaction.len() > MAX_ORDERS {
            return Err(refused(MAX_ORDERS, Error::TooManyKeys));
        }
        let claimant = self.claimant().map_err(|error| refused(0, error))?;
        let mut parts = Parts::new();
        parts.reserve(transaction.len());
        for (place, (_, key)) in transaction.keys.iter().enumerate() {
            parts.push(Part::of(claimant.arena.key(key).map_err(|error| refused(place, error))?));
        }
        let made = claimant.commit(&mut parts, &transaction.changes);
        made.map_err(|refusal| refused(refusal.place, refusal.error))
    }
}
