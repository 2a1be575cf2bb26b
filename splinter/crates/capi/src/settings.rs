//! What concerns a store as a whole: scrubbing, flags, its header.
//!
//! A store has one word of 32 flags. `splinter_flag_*` is that word; `splinter_config_*` is eight bits of it that
//! programs knew as a byte:
//!
//! | config bits | flags | meaning |
//! |---|---|---|
//! | 0, 1 | 0, 1 | scrub level full; hybrid |
//! | 2, 3 | 10, 11 | nothing yet |
//! | 4–7 | 16–19 | the program's: `SPL_SUSR1` to 4, which are `SPL_FLAG_USR1` to 4 |
//!
//! Flag 2 is the store's own, and flag 3 says that the event bus is armed.

use crate::args::{HeaderAt, Out};
use crate::errno::Failure;
use crate::shapes::HeaderSnapshot;
use crate::shelf::{self, Entry};
use libc::{c_int, c_uint};
use splinter::Scrub;

pub(crate) fn set_mop(store: &Entry, mode: c_uint) -> Result<c_int, Failure> {
    let level = Scrub::ALL.get(mode as usize).ok_or(Failure::ARGUMENT)?;
    store.store.set_scrub(*level)?;
    Ok(0)
}

pub(crate) fn get_mop(store: &Entry) -> Result<c_int, Failure> {
    let level = store.store.scrub();
    Ok(Scrub::ALL.iter().position(|one| *one == level).map_or(-1, |number| number as c_int))
}

pub(crate) fn set_av(store: &Entry, mode: c_uint) -> Result<c_int, Failure> {
    let on = match mode {
        0 => false,
        1 => true,
        _ => return Err(Failure::ARGUMENT),
    };
    store.store.set_auto_vacuum(on)?;
    Ok(0)
}

pub(crate) fn get_av(store: &Entry) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.auto_vacuum()))
}

pub(crate) fn purge(store: &Entry) -> Result<(), Failure> {
    store.write(|writer| writer.purge().map(drop))
}

/// Returns the flags that a byte of config bits stands for.
fn flags_of(config: u8) -> u32 {
    let config = u32::from(config);
    config & 0x03 | (config & 0x0c) << 8 | (config & 0xf0) << 12
}

/// Returns the config bits among flags.
fn config_of(flags: u32) -> u8 {
    (flags & 0x03 | flags >> 8 & 0x0c | flags >> 12 & 0xf0) as u8
}

/// Calls `act` with the open store whose header is at an address.
pub(crate) fn of_header<R>(
    header: HeaderAt,
    act: impl FnOnce(&Entry) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let entry = shelf::find_where(|entry| entry.store.as_ptr() == header.address());
    act(&*entry.ok_or(Failure::CALLER)?)
}

pub(crate) fn config_set(store: &Entry, mask: u8) -> Result<(), Failure> {
    Ok(store.store.set_flags(flags_of(mask))?)
}

pub(crate) fn config_clear(store: &Entry, mask: u8) -> Result<(), Failure> {
    Ok(store.store.clear_flags(flags_of(mask))?)
}

pub(crate) fn config_snapshot(store: &Entry) -> Result<u8, Failure> {
    Ok(config_of(store.store.flags()))
}

pub(crate) fn config_test(store: &Entry, mask: u8) -> Result<c_int, Failure> {
    Ok(c_int::from(config_snapshot(store)? & mask != 0))
}

pub(crate) fn flag_set(store: &Entry, mask: u32) -> Result<(), Failure> {
    Ok(store.store.set_flags(mask)?)
}

pub(crate) fn flag_clear(store: &Entry, mask: u32) -> Result<(), Failure> {
    Ok(store.store.clear_flags(mask)?)
}

pub(crate) fn flag_snapshot(store: &Entry) -> Result<u32, Failure> {
    Ok(store.store.flags())
}

pub(crate) fn flag_test(store: &Entry, mask: u32) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.flags() & mask != 0))
}

pub(crate) fn header_snapshot(
    store: &Entry,
    out: Out<'_, HeaderSnapshot>,
) -> Result<c_int, Failure> {
    let (out, seen, flags) = (out.required()?, store.store.header(), store.store.flags());
    out.put(HeaderSnapshot {
        magic: seen.magic,
        version: seen.version,
        // The store's bounds are below 2^32.
        slots: seen.geometry.slots as u32,
        max_val_sz: seen.geometry.max_value_len as u32,
        epoch: seen.epoch,
        core_flags: config_of(flags),
        reserved: 0,
        user_flags: (flags >> 16) as u16,
        parse_failures: seen.parse_failures,
        last_failure_epoch: seen.last_failure_epoch,
    });
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_bits_are_flags_of_their_own() {
        for config in 0..=u8::MAX {
            assert_eq!(config_of(flags_of(config)), config);
            assert_eq!(flags_of(config).count_ones(), config.count_ones());
        }
        // Watched, and the event bus.
        assert_eq!(flags_of(u8::MAX) & 0x0c, 0);
    }
}
