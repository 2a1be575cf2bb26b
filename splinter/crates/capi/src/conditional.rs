//! Functions that change a key only if it is as the caller expects it, and reads that tell the epoch to expect.

use crate::args::{In, Out, Text};
use crate::errno::Failure;
use crate::handles::Entry;
use crate::shapes::{EMBED_DIM, EXPECTATIONS};
use crate::slots::operation;
use crate::values::{get_failed, value};
use crate::vectors::check_dimension;
use libc::{c_int, c_void};
use splinter::{Error, Expect, Version, Writer};

/// Returns what a caller expects: one of `SPL_IF_*`, with the epoch for `SPL_IF_EPOCH`.
pub(crate) fn expected(expect: c_int, epoch: u64) -> Result<Expect, Failure> {
    let (_, make) =
        usize::try_from(expect).ok().and_then(|index| EXPECTATIONS.get(index)).ok_or(Failure::ARGUMENT)?;
    Ok(make(epoch))
}

/// Keeps the epoch that is in the way of a change, which a [`Failure`] has no room for.
fn or_epoch(made: Result<Version, Error>) -> Result<Result<Version, u64>, Error> {
    match made {
        Err(Error::Changed { epoch }) => Ok(Err(epoch)),
        made => made.map(Ok),
    }
}

/// Puts the epoch that a change made, or the one in its way, in `new_epoch`.
fn answer(expect: Expect, made: Result<Version, u64>, new_epoch: Out<'_, u64>) -> Result<c_int, Failure> {
    new_epoch.put(made.map_or_else(|found| found, |version| version.epoch));
    match made {
        Ok(_) => Ok(0),
        Err(_) => Err(not_expected(expect)),
    }
}

/// Returns the failure for a key that exists, and is not as expected.
pub(crate) fn not_expected(expect: Expect) -> Failure {
    Failure::of(if expect == Expect::Absent { libc::EEXIST } else { libc::ESTALE })
}

pub(crate) fn set_if(
    store: &Entry,
    key: Text<'_>,
    bytes: In<'_, c_void>,
    len: usize,
    expect: c_int,
    epoch: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, value, expect) = (key.key()?, value(&store.store, bytes, len)?, expected(expect, epoch)?);
    let made = store.write(|writer| or_epoch(writer.set_if(key, value, expect)))?;
    answer(expect, made, new_epoch)
}

pub(crate) fn append_if(
    store: &Entry,
    key: Text<'_>,
    bytes: In<'_, c_void>,
    len: usize,
    expect: c_int,
    epoch: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, tail, expect) = (key.key()?, value(&store.store, bytes, len)?, expected(expect, epoch)?);
    let append = |writer: &mut Writer| writer.append_if(key, tail, expect).map(|(_, version)| version);
    let made = store.write(|writer| or_epoch(append(writer)))?;
    answer(expect, made, new_epoch)
}

pub(crate) fn unset_if(
    store: &Entry,
    key: Text<'_>,
    expect: c_int,
    epoch: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, expect) = (key.key()?, expected(expect, epoch)?);
    let unset = |writer: &mut Writer| writer.unset_if(key, expect).map(|(_, version)| version);
    let made = store.write_quietly(|writer| or_epoch(unset(writer)))?;
    answer(expect, made, new_epoch)
}

pub(crate) fn set_embedding_if(
    store: &Entry,
    key: Text<'_>,
    vector: In<'_, f32>,
    expect: c_int,
    epoch: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, vector, expect) = (key.key()?, vector.slice(EMBED_DIM)?, expected(expect, epoch)?);
    check_dimension(store)?;
    let made = store.write_quietly(|writer| or_epoch(writer.set_vector_if(key, vector, expect)))?;
    answer(expect, made, new_epoch)
}

pub(crate) fn integer_op_or(
    store: &Entry,
    key: Text<'_>,
    op: c_int,
    mask: In<'_, c_void>,
    initial: u64,
    new: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, operation) = (key.key()?, operation(op, mask)?);
    new.put(store.write_quietly(|writer| writer.integer_or(key, operation, initial))?);
    Ok(0)
}

pub(crate) fn get_with_epoch(
    store: &Entry,
    key: Text<'_>,
    buf: Out<'_, c_void>,
    cap: usize,
    len: Out<'_, usize>,
    epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, longest) = (key.key()?, store.store.geometry().max_value_len);
    match store.store.get_entry(key, buf.bytes(cap.min(longest as usize))?) {
        Ok(entry) => {
            len.put(entry.len);
            epoch.put(entry.version.epoch);
            Ok(0)
        }
        Err(error @ Error::BufferTooSmall { .. }) => get_failed(error, len),
        Err(error) => Err(error.into()),
    }
}
