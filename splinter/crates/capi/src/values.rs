//! Functions for keys and their values: set, get, append, remove, list, and wait for a change.

use crate::args::{In, Out, Text};
use crate::boundary::uncancelled;
use crate::errno::Failure;
use crate::handles::Entry;
use libc::{c_char, c_int, c_void};
use splinter::{Error, Store};
use std::time::{Duration, Instant};

/// Returns `len` bytes for a value, or a failure if a value cannot have as many.
#[inline(always)]
pub(crate) fn value<'c>(store: &Store, bytes: In<'c, c_void>, len: usize) -> Result<&'c [u8], Failure> {
    // Check the length first: no slice is made of bytes that cannot be there.
    if len as u64 > store.geometry().max_value_len {
        bytes.bytes(0)?;
        return Err(Error::ValueTooLong.into());
    }
    bytes.bytes(len)
}

#[inline]
pub(crate) fn set(store: &Entry, key: Text<'_>, bytes: In<'_, c_void>, len: usize) -> Result<c_int, Failure> {
    let (key, value) = (key.key()?, value(&store.store, bytes, len)?);
    store.write(|writer| writer.set(key, value))?;
    Ok(0)
}

#[inline(always)]
pub(crate) fn get(
    store: &Entry,
    key: Text<'_>,
    buf: Out<'_, c_void>,
    cap: usize,
    len: Out<'_, usize>,
) -> Result<c_int, Failure> {
    let key = key.key()?;
    if buf.is_null() {
        return get_len(store, key, len);
    }
    let longest = store.store.geometry().max_value_len;
    match store.store.get(key, buf.bytes(cap.min(longest as usize))?) {
        Ok(got) => {
            len.put(got);
            Ok(0)
        }
        Err(error) => get_failed(error, len),
    }
}

#[cold]
fn get_len(store: &Entry, key: &[u8], len: Out<'_, usize>) -> Result<c_int, Failure> {
    len.put(store.store.value_len(key)?);
    Ok(0)
}

#[cold]
pub(crate) fn get_failed(error: Error, len: Out<'_, usize>) -> Result<c_int, Failure> {
    if let Error::BufferTooSmall { needed } = error {
        len.put(needed);
    }
    Err(error.into())
}

pub(crate) fn get_consistent(
    store: &Entry,
    keys: In<'_, *const c_char>,
    count: usize,
    buf: Out<'_, c_void>,
    stride: usize,
    lens: Out<'_, usize>,
) -> Result<c_int, Failure> {
    let keys = keys.slice(count)?.iter().map(|key| Text::new(*key).key()).collect::<Result<Vec<_>, _>>()?;
    let room = stride.checked_mul(count).ok_or(Failure::ARGUMENT)?;
    let (buf, lens) = (buf.bytes(room)?, lens.required()?);
    let mut results = vec![Err(Error::NotFound); count];
    store.store.read_consistent(&keys, buf, stride, &mut results)?;
    lens.put_all(results.into_iter().map(|result| match result {
        Ok(len) | Err(Error::BufferTooSmall { needed: len }) => len,
        Err(_) => usize::MAX,
    }))?;
    Ok(0)
}

pub(crate) fn unset(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    let key = key.key()?;
    let len = store.write_quietly(|writer| writer.unset(key))?;
    Ok(len.try_into().unwrap_or(c_int::MAX))
}

pub(crate) fn append(
    store: &Entry,
    key: Text<'_>,
    bytes: In<'_, c_void>,
    len: usize,
    new_len: Out<'_, usize>,
) -> Result<c_int, Failure> {
    let (key, tail) = (key.key()?, value(&store.store, bytes, len)?);
    new_len.put(store.write(|writer| writer.append(key, tail))?);
    Ok(0)
}

pub(crate) fn list(
    store: &Entry,
    keys: Out<'_, *mut c_char>,
    max: usize,
    count: Out<'_, usize>,
) -> Result<c_int, Failure> {
    let (keys, count) = (keys.required()?, count.required()?);
    let mut names = store.names.lock();
    names.reclaim(&store.store);
    let listed: Vec<_> = store.store.keys().take(max).map(|key| names.get(&key).cast::<c_char>()).collect();
    count.put(listed.len());
    keys.put_all(listed.into_iter())?;
    Ok(0)
}

/// Returns the end of a wait of `timeout_ms` milliseconds. Returns nothing for a wait without end: `u64::MAX`, or more
/// than the clock can count.
pub(crate) fn deadline(timeout_ms: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(timeout_ms)).filter(|_| timeout_ms != u64::MAX)
}

/// The longest sleep of a wait before it checks whether the store was closed.
const MAX_SLEEP: Duration = Duration::from_millis(100);

pub(crate) fn poll(store: &Entry, key: Text<'_>, timeout_ms: u64) -> Result<c_int, Failure> {
    let (key, end) = (key.key()?, deadline(timeout_ms));
    let epoch = match store.store.epoch(key) {
        // The key is changing right now.
        Err(Error::Again) => return Ok(0),
        result => result?,
    };
    match wait_until(store, end, |until| store.store.poll_after(key, epoch, until)) {
        // The key existed, so its removal is the change.
        Ok(_) => Ok(0),
        Err(failure) if failure == Error::NotFound.into() => Ok(0),
        Err(failure) => Err(failure),
    }
}

pub(crate) fn poll_after(
    store: &Entry,
    key: Text<'_>,
    epoch: u64,
    timeout_ms: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, end) = (key.key()?, deadline(timeout_ms));
    new_epoch.put(wait_until(store, end, |until| store.store.poll_after(key, epoch, until))?);
    Ok(0)
}

pub(crate) fn wait_for(
    store: &Entry,
    key: Text<'_>,
    epoch: u64,
    timeout_ms: u64,
    new_epoch: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let (key, end) = (key.key()?, deadline(timeout_ms));
    new_epoch.put(wait_until(store, end, |until| store.store.wait_for_after(key, epoch, until))?);
    Ok(0)
}

/// Waits by `wait` until `end`, and looks at times whether the store was closed. Returns the new epoch.
fn wait_until(
    store: &Entry,
    end: Option<Instant>,
    wait: impl Fn(Option<Instant>) -> Result<u64, Error>,
) -> Result<u64, Failure> {
    loop {
        let next_check = Instant::now() + MAX_SLEEP;
        let is_last = end.is_some_and(|end| end <= next_check);
        let until = if is_last { end } else { Some(next_check) };
        match uncancelled(|| wait(until)) {
            Err(Error::TimedOut) if store.is_closed() => return Err(Failure::CALLER),
            Err(Error::TimedOut) if !is_last => {}
            result => return Ok(result?),
        }
    }
}

pub(crate) fn raw_ptr(
    store: &Entry,
    key: Text<'_>,
    len: Out<'_, usize>,
    epoch: Out<'_, u64>,
) -> Result<*const c_void, Failure> {
    let view = store.store.view(key.key()?)?;
    len.put(view.len());
    epoch.put(view.epoch());
    Ok(view.as_ptr().cast())
}

pub(crate) fn epoch(store: &Entry, key: Text<'_>) -> Result<u64, Failure> {
    Ok(store.store.epoch(key.key()?)?)
}
