//! Vectors of keys. C programs are compiled for one dimension, and pass only an address. So these functions refuse a
//! store of another dimension.

use crate::args::{In, Out, Text};
use crate::errno::Failure;
use crate::handles::Entry;
use crate::shapes::{EMBED_DIM, SlotSnapshot, SlotSnapshotWithVector};
use crate::slots;
use libc::c_int;
use splinter::Error;

pub(crate) fn check_dimension(store: &Entry) -> Result<(), Failure> {
    match store.store.geometry().vector_dim as usize {
        EMBED_DIM => Ok(()),
        0 => Err(Failure::of(libc::EOPNOTSUPP)),
        _ => Err(Error::WrongDimension.into()),
    }
}

pub(crate) fn dimension(store: &Entry) -> Result<c_int, Failure> {
    c_int::try_from(store.store.geometry().vector_dim).map_err(|_| Failure::ARGUMENT)
}

pub(crate) fn set(store: &Entry, key: Text<'_>, vector: In<'_, f32>) -> Result<c_int, Failure> {
    let (key, vector) = (key.key()?, vector.slice(EMBED_DIM)?);
    check_dimension(store)?;
    store.write_quietly(|writer| writer.set_vector(key, vector))?;
    Ok(0)
}

pub(crate) fn get(store: &Entry, key: Text<'_>, out: Out<'_, f32>) -> Result<c_int, Failure> {
    let (key, out) = (key.key()?, out.floats(EMBED_DIM)?);
    check_dimension(store)?;
    store.store.vector(key, out)?;
    Ok(0)
}

/// Takes a snapshot of a key's slot and vector, both of one epoch. Without a vector, it has zeroes.
pub(crate) fn snapshot(
    store: &Entry,
    key: Text<'_>,
    out: Out<'_, SlotSnapshotWithVector>,
) -> Result<c_int, Failure> {
    let (key, out) = (key.key()?, out.required()?);
    let slot: SlotSnapshot = slots::slot_snapshot(store, key)?;
    let mut embedding = [0.0; EMBED_DIM];
    if check_dimension(store).is_ok() {
        match store.store.vector(key, &mut embedding) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        // The key changed between the two reads.
        if store.store.epoch(key)? != slot.epoch {
            return Err(Error::Again.into());
        }
    }
    out.put(SlotSnapshotWithVector { slot, embedding });
    Ok(0)
}
