//! Functions for what a key has beside its value: type, times, labels, flags. Also integer operations, and snapshots.

use crate::args::{In, Out, SlotPtr, Text};
use crate::errno::Failure;
use crate::handles::{self, Entry};
use crate::names::key_buffer;
use crate::shapes::{
    OPERATIONS, SPL_SLOT_SYSTEM, SPL_TIME_ATIME, SPL_TIME_CTIME, Slot, SlotSnapshot, bit_of_type, type_of_bit,
};
use libc::{c_char, c_int, c_ushort, c_void};
use splinter::{Error, IntegerOp, Type, Writer};
use std::sync::atomic::{AtomicU16, Ordering};

/// Changes a key by `act`, and pulses its signal groups.
pub(crate) fn change_and_pulse(
    store: &Entry,
    key: Text<'_>,
    mut act: impl FnMut(&mut Writer, &[u8]) -> Result<(), Error>,
) -> Result<c_int, Failure> {
    let key = key.key()?;
    store.write(|writer| act(writer, key))?;
    Ok(0)
}

/// Changes a key by `act`, and pulses no signal group.
fn change(
    store: &Entry,
    key: Text<'_>,
    mut act: impl FnMut(&mut Writer, &[u8]) -> Result<(), Error>,
) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.quietly(|writer| act(writer, key)))
}

pub(crate) fn bump(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.bump(key))
}

pub(crate) fn retrain(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.clear_vector(key))
}

pub(crate) fn set_named_type(store: &Entry, key: Text<'_>, bit: u16) -> Result<c_int, Failure> {
    key.key()?;
    let kind = type_of_bit(bit).ok_or(Failure::ARGUMENT)?;
    change(store, key, |writer, key| writer.set_type_of_integer(key, kind))
}

pub(crate) fn set_slot_time(
    store: &Entry,
    key: Text<'_>,
    which: c_ushort,
    epoch: u64,
    offset: usize,
) -> Result<c_int, Failure> {
    key.key()?;
    let processing = offset as u64;
    match which {
        SPL_TIME_CTIME => change(store, key, |writer, key| writer.set_ctime(key, epoch, processing)),
        SPL_TIME_ATIME => change(store, key, |writer, key| writer.set_atime(key, epoch, processing)),
        _ => Err(Failure::ARGUMENT),
    }
}

/// How often [`set_as_system`] tries to lengthen a value that others change meanwhile.
const MAX_ATTEMPTS: usize = 64;

pub(crate) fn set_as_system(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    let longest = store.store.geometry().max_value_len as usize;
    change(store, key, |writer, key| {
        // From now on no cache evicts it. Each step can be repeated: a caller that gets EAGAIN calls again.
        writer.pin(key)?;
        // An integer becomes its bytes.
        if writer.snapshot(key)?.kind != Type::Binary {
            writer.set_type(key, Type::Binary)?;
        }
        writer.set_slot_flags(key, SPL_SLOT_SYSTEM)?;
        for _ in 0..MAX_ATTEMPTS {
            match longest - writer.value_len(key)?.min(longest) {
                0 => return Ok(()),
                missing => match writer.append(key, &vec![0; missing]) {
                    Ok(_) => return Ok(()),
                    // Another writer lengthened the value first.
                    Err(Error::ValueTooLong) => {}
                    Err(error) => return Err(error),
                },
            }
        }
        Err(Error::Again)
    })
}

pub(crate) fn integer_op(
    store: &Entry,
    key: Text<'_>,
    op: c_int,
    mask: In<'_, c_void>,
) -> Result<c_int, Failure> {
    change_integer(store, key, op, mask)?;
    Ok(0)
}

pub(crate) fn integer_op_fetch(
    store: &Entry,
    key: Text<'_>,
    op: c_int,
    mask: In<'_, c_void>,
    new: Out<'_, u64>,
) -> Result<c_int, Failure> {
    // Check the pointer first: without a place for the result, nothing is changed.
    let new = new.required()?;
    new.put(change_integer(store, key, op, mask)?);
    Ok(0)
}

fn change_integer(store: &Entry, key: Text<'_>, op: c_int, mask: In<'_, c_void>) -> Result<u64, Failure> {
    let (key, operation) = (key.key()?, operation(op, mask)?);
    store.write_quietly(|writer| writer.integer(key, operation))
}

/// Returns the operation of this number, with its operand.
pub(crate) fn operation(op: c_int, mask: In<'_, c_void>) -> Result<IntegerOp, Failure> {
    let operation = usize::try_from(op).ok().and_then(|op| OPERATIONS.get(op));
    let (_, operation) = operation.ok_or(Failure::ARGUMENT)?;
    let operand = if operation(0) == IntegerOp::Not { 0 } else { mask.integer()? };
    Ok(operation(operand))
}

pub(crate) fn set_label(store: &Entry, key: Text<'_>, mask: u64) -> Result<c_int, Failure> {
    change(store, key, |writer, key| writer.label(key, mask))
}

pub(crate) fn unset_label(store: &Entry, key: Text<'_>, mask: u64) -> Result<c_int, Failure> {
    change(store, key, |writer, key| writer.unlabel(key, mask))
}

/// A callback of the program, called for each matching key with its name, its epoch and the program's data.
pub(crate) type Visit = Option<extern "C" fn(*const c_char, u64, *mut c_void)>;

/// Calls the program's callback for each key that carries all labels of `mask`. Collects the keys first, and holds a
/// reference to the store. So the callback may call any function, even close the store.
pub(crate) fn visit(serial: u64, mask: u64, visit: Visit, data: *mut c_void) -> Result<(), Failure> {
    let (store, visit) = (handles::find(serial)?, visit.ok_or(Failure::CALLER)?);
    let mut found = Vec::new();
    let mut names = store.names.lock();
    names.reclaim(&store.store);
    store.store.for_each_label(mask, |key, epoch| found.push((names.get(key), epoch)));
    drop(names);
    for (name, epoch) in found {
        visit(name.cast(), epoch, data);
    }
    Ok(())
}

/// Takes a snapshot of a key's slot.
pub(crate) fn slot_snapshot(store: &Entry, key: &[u8]) -> Result<SlotSnapshot, Failure> {
    let seen = store.store.snapshot(key)?;
    Ok(SlotSnapshot {
        hash: seen.hash,
        epoch: seen.epoch,
        val_off: seen.value_offset,
        val_len: seen.value_len as u32,
        type_flag: bit_of_type(seen.kind),
        user_flag: seen.user_flags,
        ctime: seen.ctime,
        atime: seen.atime,
        bloom: seen.labels,
        key: key_buffer(seen.key.as_ref()),
    })
}

pub(crate) fn snapshot(store: &Entry, key: Text<'_>, out: Out<'_, SlotSnapshot>) -> Result<c_int, Failure> {
    let (key, out) = (key.key()?, out.required()?);
    out.put(slot_snapshot(store, key)?);
    Ok(0)
}

pub(crate) fn slot(store: &Entry, key: Text<'_>, out: SlotPtr<'_>) -> Result<c_int, Failure> {
    let seen = slot_snapshot(store, key.key()?)?;
    out.fill(Slot {
        store: store.serial,
        hash: seen.hash,
        epoch: seen.epoch,
        bloom: seen.bloom,
        ctime: seen.ctime,
        atime: seen.atime,
        val_len: seen.val_len,
        type_flag: seen.type_flag,
        user_flag: seen.user_flag,
        reserved: 0,
        key: seen.key,
    })?;
    Ok(0)
}

/// Calls `act` with the open store and the key that a slot names. Returns nothing if the slot names none: then only the
/// program uses it.
pub(crate) fn with_slot<R>(
    slot: SlotPtr<'_>,
    act: impl FnOnce(&Entry, &[u8]) -> Result<R, Failure>,
) -> Result<Option<R>, Failure> {
    let Slot { store, key, .. } = slot.copy()?;
    let len = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    if store == 0 || len == 0 {
        return Ok(None);
    }
    handles::with(store, |store| act(store, &key[..len])).map(Some)
}

/// Changes the flags of a slot, and before that those of its key by `act`, which returns the new ones.
fn change_flags(
    slot: SlotPtr<'_>,
    mut act: impl FnMut(&mut Writer, &[u8]) -> Result<u16, Error>,
    alone: impl FnOnce(&AtomicU16) -> u16,
) -> Result<(), Failure> {
    let flags = slot.flags()?;
    match with_slot(slot, |store, key| store.write_quietly(|writer| act(writer, key)))? {
        Some(now) => flags.store(now, Ordering::Relaxed),
        None => {
            alone(flags);
        }
    }
    Ok(())
}

pub(crate) fn usr_set(slot: SlotPtr<'_>, mask: u16) -> Result<(), Failure> {
    let act = |writer: &mut Writer, key: &[u8]| writer.set_slot_flags(key, mask);
    change_flags(slot, act, |flags| flags.fetch_or(mask, Ordering::Relaxed))
}

pub(crate) fn usr_clear(slot: SlotPtr<'_>, mask: u16) -> Result<(), Failure> {
    let act = |writer: &mut Writer, key: &[u8]| writer.clear_slot_flags(key, mask);
    change_flags(slot, act, |flags| flags.fetch_and(!mask, Ordering::Relaxed))
}

pub(crate) fn usr_snapshot(slot: SlotPtr<'_>) -> Result<u16, Failure> {
    let flags = slot.flags()?;
    let now = with_slot(slot, |store, key| Ok(store.store.snapshot(key)?.user_flags))?;
    Ok(now.unwrap_or_else(|| flags.load(Ordering::Relaxed)))
}

pub(crate) fn usr_test(slot: SlotPtr<'_>, mask: u16) -> Result<c_int, Failure> {
    Ok(c_int::from(usr_snapshot(slot)? & mask != 0))
}
