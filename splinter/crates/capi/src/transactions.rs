//! Transactions: functions that describe changes of several keys, and the one that makes all of them at once. A
//! transaction belongs to the program, not to a store. It holds copies of all bytes that it was given.

use crate::args::{Handle, In, Out, Text};
use crate::conditional::{expected, not_expected};
use crate::errno::Failure;
use crate::fork::ForkMutex;
use crate::handles::Entry;
use crate::lifetimes::lifetime;
use crate::objects::Objects;
use crate::shapes::{EMBED_DIM, Outcome};
use crate::slots::operation;
use crate::vectors::check_dimension;
use libc::{c_int, c_void};
use splinter::{Error, Expect, IntegerOp, Lifetime, MAX_ORDERS, Transaction};
use std::sync::Arc;

/// What a transaction does with the value of a key.
#[derive(Default)]
enum Content {
    #[default]
    Keep,
    Bytes(Vec<u8>),
    Number(u64),
    Integer(IntegerOp),
    IntegerOr(IntegerOp, u64),
    Remove,
}

/// What a transaction expects of a key and does with it.
#[derive(Default)]
struct Change {
    key: Vec<u8>,
    expect: Expect,
    content: Content,
    vector: Option<Vec<f32>>,
    /// Labels to add, and labels to take away.
    labels: [u64; 2],
    lifetime: Option<Lifetime>,
}

/// A transaction: none in the child of a fork, if another thread of the parent was using it.
type Changes = ForkMutex<Option<Vec<Change>>>;

static TRANSACTIONS: Objects<Changes> = Objects::new();

/// The failure for a transaction that the fork interrupted.
const INTERRUPTED: Failure = Failure::of(libc::EOPNOTSUPP);

pub(crate) fn create() -> Result<Handle, Failure> {
    let changes = Changes::default();
    *changes.lock() = Some(Vec::new());
    Ok(TRANSACTIONS.add(Arc::new(changes)))
}

pub(crate) fn free(transaction: Handle) -> Result<(), Failure> {
    TRANSACTIONS.remove(transaction).map(drop)
}

pub(crate) fn clear(transaction: Handle) -> Result<c_int, Failure> {
    *TRANSACTIONS.find(transaction)?.lock() = Some(Vec::new());
    Ok(0)
}

/// Calls `act` with the change of a key, which is added if the transaction has none.
fn change(transaction: Handle, key: Text<'_>, act: impl FnOnce(&mut Change)) -> Result<c_int, Failure> {
    let key = key.key()?;
    if key.is_empty() {
        return Err(Error::KeyEmpty.into());
    }
    let open = TRANSACTIONS.find(transaction)?;
    let mut changes = open.lock();
    let changes = changes.as_mut().ok_or(INTERRUPTED)?;
    let place = match changes.iter().position(|change| change.key == key) {
        Some(place) => place,
        None if changes.len() == MAX_ORDERS => return Err(Error::TooManyKeys.into()),
        None => {
            changes.push(Change { key: key.to_vec(), ..Change::default() });
            changes.len() - 1
        }
    };
    act(&mut changes[place]);
    Ok(0)
}

/// Copies elements from C, if there is memory for them.
fn copied<T: Copy>(from: &[T]) -> Result<Vec<T>, Failure> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(from.len()).map_err(|_| Failure::of(libc::ENOSPC))?;
    copy.extend_from_slice(from);
    Ok(copy)
}

pub(crate) fn expect(
    transaction: Handle,
    key: Text<'_>,
    expect: c_int,
    epoch: u64,
) -> Result<c_int, Failure> {
    let expect = expected(expect, epoch)?;
    change(transaction, key, |change| change.expect = expect)
}

pub(crate) fn set(
    transaction: Handle,
    key: Text<'_>,
    bytes: In<'_, c_void>,
    len: usize,
) -> Result<c_int, Failure> {
    // No store takes as many bytes, and no slice is made of bytes that cannot be there.
    if u32::try_from(len).is_err() {
        bytes.bytes(0)?;
        return Err(Error::ValueTooLong.into());
    }
    let value = copied(bytes.bytes(len)?)?;
    change(transaction, key, |change| change.content = Content::Bytes(value))
}

pub(crate) fn set_integer(transaction: Handle, key: Text<'_>, number: u64) -> Result<c_int, Failure> {
    change(transaction, key, |change| change.content = Content::Number(number))
}

pub(crate) fn integer_op(
    transaction: Handle,
    key: Text<'_>,
    op: c_int,
    mask: In<'_, c_void>,
) -> Result<c_int, Failure> {
    let operation = operation(op, mask)?;
    change(transaction, key, |change| change.content = Content::Integer(operation))
}

pub(crate) fn integer_op_or(
    transaction: Handle,
    key: Text<'_>,
    op: c_int,
    mask: In<'_, c_void>,
    initial: u64,
) -> Result<c_int, Failure> {
    let operation = operation(op, mask)?;
    change(transaction, key, |change| change.content = Content::IntegerOr(operation, initial))
}

pub(crate) fn unset(transaction: Handle, key: Text<'_>) -> Result<c_int, Failure> {
    change(transaction, key, |change| change.content = Content::Remove)
}

pub(crate) fn set_embedding(
    transaction: Handle,
    key: Text<'_>,
    vector: In<'_, f32>,
) -> Result<c_int, Failure> {
    let vector = copied(vector.slice(EMBED_DIM)?)?;
    change(transaction, key, |change| change.vector = Some(vector))
}

pub(crate) fn set_label(transaction: Handle, key: Text<'_>, mask: u64) -> Result<c_int, Failure> {
    change(transaction, key, |change| {
        change.labels = [change.labels[0] | mask, change.labels[1] & !mask];
    })
}

pub(crate) fn unset_label(transaction: Handle, key: Text<'_>, mask: u64) -> Result<c_int, Failure> {
    change(transaction, key, |change| {
        change.labels = [change.labels[0] & !mask, change.labels[1] | mask];
    })
}

pub(crate) fn expire(transaction: Handle, key: Text<'_>, ttl_ms: u64) -> Result<c_int, Failure> {
    change(transaction, key, |change| change.lifetime = Some(lifetime(ttl_ms)))
}

pub(crate) fn keep_ttl(transaction: Handle, key: Text<'_>) -> Result<c_int, Failure> {
    change(transaction, key, |change| change.lifetime = Some(Lifetime::Unchanged))
}

/// Returns the transaction that the store makes of the changes.
fn described(changes: &[Change]) -> Transaction<'_> {
    let mut transaction = Transaction::new();
    for change in changes {
        let part = transaction.key(&change.key);
        part.expect(change.expect).label(change.labels[0]).unlabel(change.labels[1]);
        match &change.content {
            Content::Keep => &mut *part,
            Content::Bytes(value) => part.set(value),
            Content::Number(number) => part.set_u64(*number),
            Content::Integer(operation) => part.integer(*operation),
            Content::IntegerOr(operation, initial) => part.integer_or(*operation, *initial),
            Content::Remove => part.unset(),
        };
        change.vector.as_ref().map(|vector| part.set_vector(vector));
        change.lifetime.map(|lifetime| part.lifetime(lifetime));
    }
    transaction
}

pub(crate) fn commit(
    store: &Entry,
    transaction: Handle,
    outcomes: Out<'_, Outcome>,
    max: usize,
    place: Out<'_, usize>,
    epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let open = TRANSACTIONS.find(transaction)?;
    let changes = open.lock();
    // If no key stands in the way, none is named.
    let no_key = |failure: Failure| {
        place.put(usize::MAX);
        epoch.put(0);
        failure
    };
    let changes = changes.as_ref().ok_or(INTERRUPTED).map_err(no_key)?;
    let transaction = described(changes);
    let made = store.write(|writer| match writer.commit(&transaction) {
        // The pool registers another writer.
        Err(refusal) if refusal.error == Error::Forked => Err(refusal.error),
        made => Ok(made),
    });
    match made.map_err(no_key)? {
        Ok(made) if !outcomes.is_null() => {
            outcomes.put_all(made.into_iter().take(max).map(outcome))?;
            Ok(0)
        }
        Ok(_) => Ok(0),
        Err(refusal) => {
            place.put(refusal.place);
            epoch.put(if let Error::Changed { epoch } = refusal.error { epoch } else { 0 });
            Err(match refusal.error {
                Error::Changed { .. } => not_expected(changes[refusal.place].expect),
                Error::WrongDimension => check_dimension(store).err().unwrap_or(Failure::ARGUMENT),
                error => error.into(),
            })
        }
    }
}

/// Returns an outcome as C has it.
fn outcome(made: splinter::Outcome) -> Outcome {
    Outcome {
        epoch: made.version.map_or(0, |version| version.epoch),
        number: made.number.unwrap_or(0),
        slot: made.version.map_or(0, |version| version.slot),
        has_number: made.number.is_some().into(),
    }
}
