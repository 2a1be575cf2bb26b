//! Signal groups and tandems.

use crate::args::{In, SlotPtr, Text};
use crate::errno::Failure;
use crate::handles::Entry;
use crate::slots::{change_and_pulse, with_slot};
use libc::{c_int, c_void};
use splinter::Error;

pub(crate) fn watch_register(store: &Entry, key: Text<'_>, group: u8) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.register(key, group))
}

pub(crate) fn watch_unregister(store: &Entry, key: Text<'_>, group: u8) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.unregister(key, group))
}

pub(crate) fn watch_register_lasting(store: &Entry, key: Text<'_>, group: u8) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.register_lasting(key, group))
}

pub(crate) fn watch_unregister_lasting(store: &Entry, key: Text<'_>, group: u8) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.unregister_lasting(key, group))
}

pub(crate) fn watch_label_register(store: &Entry, mask: u64, group: u8) -> Result<c_int, Failure> {
    store.store.register_labels(mask, group)?;
    Ok(0)
}

pub(crate) fn pulse_keygroup(store: &Entry, key: Text<'_>) -> Result<c_int, Failure> {
    change_and_pulse(store, key, |writer, key| writer.pulse(key))
}

pub(crate) fn pulse_watchers(slot: SlotPtr<'_>) -> Result<(), Failure> {
    let pulsed = with_slot(slot, |store, key| store.write(|writer| writer.pulse(key)))?;
    pulsed.ok_or(Error::NotFound.into())
}

pub(crate) fn signal_count(store: &Entry, group: u8) -> Result<u64, Failure> {
    store.store.signal_count(group).ok_or(Failure::ARGUMENT)
}

pub(crate) fn set_tandem(
    store: &Entry,
    base: Text<'_>,
    values: In<'_, *const c_void>,
    lens: In<'_, usize>,
    orders: u8,
) -> Result<c_int, Failure> {
    let (base, orders) = (base.key()?, usize::from(orders));
    let longest = store.store.geometry().max_value_len;
    let pairs = values.slice(orders)?.iter().zip(lens.slice(orders)?);
    let value = |(value, len): (&*const c_void, &usize)| match *len as u64 <= longest {
        true => In::new(*value).bytes(*len),
        false => Err(Error::ValueTooLong.into()),
    };
    let values = pairs.map(value).collect::<Result<Vec<_>, _>>()?;
    store.write(|writer| writer.set_tandem(base, &values))?;
    Ok(0)
}

pub(crate) fn unset_tandem(store: &Entry, base: Text<'_>, orders: u8) -> Result<(), Failure> {
    let base = base.key()?;
    match store.write_quietly(|writer| writer.unset_tandem(base, usize::from(orders)))? {
        0 => Err(Error::NotFound.into()),
        _ => Ok(()),
    }
}
