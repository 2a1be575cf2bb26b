//! Functions for caches: the keys that they keep, and what they evicted.

use crate::args::Text;
use crate::errno::Failure;
use crate::handles::Entry;
use crate::shapes::EVICTIONS;
use libc::c_int;
use splinter::Eviction;

/// Returns the way of eviction with this number in C.
pub(crate) fn eviction_of(number: c_int) -> Result<Eviction, Failure> {
    let number = usize::try_from(number).map_err(|_| Failure::ARGUMENT)?;
    EVICTIONS.get(number).map(|(_, eviction)| *eviction).ok_or(Failure::ARGUMENT)
}

pub(crate) fn pin(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    let key = key.key()?;
    store.write_quietly(|writer| writer.pin(key))?;
    Ok(0)
}

pub(crate) fn unpin(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    let key = key.key()?;
    store.write_quietly(|writer| writer.unpin(key))?;
    Ok(0)
}

pub(crate) fn is_pinned(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.snapshot(key.key()?)?.pinned))
}

pub(crate) fn eviction(store: &Entry) -> Result<c_int, Failure> {
    let eviction = store.store.eviction();
    Ok(EVICTIONS.iter().position(|(_, one)| *one == eviction).map_or(-1, |number| number as c_int))
}

pub(crate) fn evicted_count(store: &Entry) -> Result<u64, Failure> {
    Ok(store.store.header().evicted)
}

pub(crate) fn expired_count(store: &Entry) -> Result<u64, Failure> {
    Ok(store.store.header().expired)
}
