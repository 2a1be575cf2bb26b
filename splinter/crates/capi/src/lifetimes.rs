//! Functions for keys that expire.

use crate::args::{In, Out, Text};
use crate::errno::Failure;
use crate::handles::Entry;
use crate::values::value;
use libc::{c_int, c_uint, c_void};
use splinter::{Expect, Lifetime};
use std::time::Duration;

/// Returns how long a key stays that is to expire after so many milliseconds.
pub(crate) fn lifetime(ttl_ms: u64) -> Lifetime {
    if ttl_ms == u64::MAX { Lifetime::Endless } else { Lifetime::For(Duration::from_millis(ttl_ms)) }
}

pub(crate) fn set_for(
    store: &Entry,
    key: Text<'_>,
    bytes: In<'_, c_void>,
    len: usize,
    ttl_ms: u64,
) -> Result<c_int, Failure> {
    let (key, value) = (key.key()?, value(&store.store, bytes, len)?);
    store.write(|writer| writer.set_with(key, value, Expect::Any, lifetime(ttl_ms)))?;
    Ok(0)
}

pub(crate) fn expire(store: &Entry, key: Text<'_>, ttl_ms: u64) -> Result<c_int, Failure> {
    let key = key.key()?;
    store.write_quietly(|writer| writer.set_lifetime(key, lifetime(ttl_ms)))?;
    Ok(0)
}

pub(crate) fn get_ttl(store: &Entry, key: Text<'_>, ttl_ms: Out<'_, u64>) -> Result<c_int, Failure> {
    let (key, out) = (key.key()?, ttl_ms.required()?);
    let left = store.store.ttl(key)?;
    out.put(left.map_or(u64::MAX, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX - 1)));
    Ok(0)
}

pub(crate) fn sweep(store: &Entry, budget: c_uint) -> Result<c_int, Failure> {
    let removed = store.write(|writer| writer.sweep_expired(budget))?;
    Ok(removed.try_into().unwrap_or(c_int::MAX))
}
