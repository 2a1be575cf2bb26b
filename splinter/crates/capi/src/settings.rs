//! Functions for a store as a whole: scrub level, flags, header.
//!
//! A store has one word of 32 flags. The functions `splinter_flag_*` access that word. The functions
//! `splinter_config_*` access eight of its bits, the config bits, as one byte:
//!
//! | config bits | flags | meaning |
//! |---|---|---|
//! | 0, 1 | 0, 1, 4 | the scrub level: 0 none, 1 full, 2 and 3 hybrid; flag 4 tells 2 from 3 |
//! | 2, 3 | 10, 11 | nothing yet: `SPL_SYS_RESERVED_2` and 3 |
//! | 4–7 | 16–19 | the program's: `SPL_SUSR1` to 4, which are `SPL_FLAG_USR1` to 4 |
//!
//! Flag 0 says that the level is full, flag 1 that it is hybrid. Flag 2 belongs to the store, and flag 3 says that the
//! event bus is armed.

use crate::args::{HeaderPtr, Out};
use crate::errno::Failure;
use crate::handles::{self, Entry};
use crate::shapes::{HeaderSnapshot, SPL_SYS_AUTO_SCRUB, SPL_SYS_HYBRID_SCRUB};
use libc::{c_int, c_uint};
use splinter::Scrub;

pub(crate) fn set_mop(store: &Entry, mode: c_uint) -> Result<c_int, Failure> {
    let level = Scrub::ALL.get(mode as usize).ok_or(Failure::ARGUMENT)?;
    set_level(store, *level, false)?;
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
    set_level(store, if on { Scrub::Full } else { Scrub::None }, false)?;
    Ok(0)
}

pub(crate) fn get_av(store: &Entry) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.scrub() == Scrub::Full))
}

pub(crate) fn purge(store: &Entry) -> Result<(), Failure> {
    store.write(|writer| writer.purge().map(drop))
}

/// The config bits of the scrub level.
const SCRUB: u8 = SPL_SYS_AUTO_SCRUB | SPL_SYS_HYBRID_SCRUB;
/// The flag that says that the second config bit alone set the hybrid level, without the first.
const HYBRID_ALONE: u32 = 1 << 4;

/// Returns the flags of config bits, except those of the scrub level.
fn flags_of(config: u8) -> u32 {
    let config = u32::from(config);
    (config & 0x0c) << 8 | (config & 0xf0) << 12
}

/// Returns the config bits of a scrub level and flags.
fn config_of(level: Scrub, flags: u32) -> u8 {
    let scrub = match level {
        Scrub::None => 0,
        Scrub::Hybrid if flags & HYBRID_ALONE != 0 => SPL_SYS_HYBRID_SCRUB,
        Scrub::Hybrid => SCRUB,
        Scrub::Full => SPL_SYS_AUTO_SCRUB,
    };
    scrub | (flags >> 8 & 0x0c | flags >> 12 & 0xf0) as u8
}

/// Sets the scrub level, and the flag [`HYBRID_ALONE`].
fn set_level(store: &Entry, level: Scrub, hybrid_alone: bool) -> Result<(), Failure> {
    match hybrid_alone {
        true => store.store.flags().set(HYBRID_ALONE)?,
        false => store.store.flags().clear(HYBRID_ALONE)?,
    }
    Ok(store.store.set_scrub(level)?)
}

/// Sets the scrub level that config bits mean, if `mask` has one of its bits.
fn set_level_of(store: &Entry, mask: u8, config: u8) -> Result<(), Failure> {
    if mask & SCRUB == 0 {
        return Ok(());
    }
    let level = match config & SCRUB {
        0 => Scrub::None,
        SPL_SYS_AUTO_SCRUB => Scrub::Full,
        _ => Scrub::Hybrid,
    };
    set_level(store, level, config & SCRUB == SPL_SYS_HYBRID_SCRUB)
}

/// Calls `act` with the open store whose header is at an address.
pub(crate) fn with_header<R>(
    header: HeaderPtr,
    act: impl FnOnce(&Entry) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let entry = handles::find_where(|entry| entry.store.as_ptr() == header.address());
    act(&*entry.ok_or(Failure::CALLER)?)
}

pub(crate) fn config_set(store: &Entry, mask: u8) -> Result<(), Failure> {
    store.store.flags().set(flags_of(mask))?;
    set_level_of(store, mask, config_snapshot(store)? | mask)
}

pub(crate) fn config_clear(store: &Entry, mask: u8) -> Result<(), Failure> {
    store.store.flags().clear(flags_of(mask))?;
    set_level_of(store, mask, config_snapshot(store)? & !mask)
}

pub(crate) fn config_snapshot(store: &Entry) -> Result<u8, Failure> {
    Ok(config_of(store.store.scrub(), store.store.flags().bits()))
}

pub(crate) fn config_test(store: &Entry, mask: u8) -> Result<c_int, Failure> {
    Ok(c_int::from(config_snapshot(store)? & mask != 0))
}

pub(crate) fn flag_set(store: &Entry, mask: u32) -> Result<(), Failure> {
    Ok(store.store.flags().set(mask)?)
}

pub(crate) fn flag_clear(store: &Entry, mask: u32) -> Result<(), Failure> {
    Ok(store.store.flags().clear(mask)?)
}

pub(crate) fn flag_snapshot(store: &Entry) -> Result<u32, Failure> {
    Ok(store.store.flags().bits())
}

pub(crate) fn flag_test(store: &Entry, mask: u32) -> Result<c_int, Failure> {
    Ok(c_int::from(store.store.flags().bits() & mask != 0))
}

/// Returns a store's epoch as C programs know it: a new store has 1.
fn c_epoch(epoch: u64) -> u64 {
    epoch.wrapping_add(1)
}

pub(crate) fn header_snapshot(store: &Entry, out: Out<'_, HeaderSnapshot>) -> Result<c_int, Failure> {
    let (out, seen, flags) = (out.required()?, store.store.header(), store.store.flags().bits());
    out.put(HeaderSnapshot {
        magic: seen.magic,
        version: seen.version,
        // A store has fewer than 2^32 slots, and shorter values than 2^32 bytes.
        slots: seen.geometry.slots as u32,
        max_val_sz: seen.geometry.max_value_len as u32,
        epoch: c_epoch(seen.epoch),
        core_flags: config_of(seen.scrub, flags),
        reserved: 0,
        user_flags: (flags >> 16) as u16,
        parse_failures: seen.parse_failures,
        last_failure_epoch: match seen.parse_failures {
            0 => 0,
            _ => c_epoch(seen.last_failure_epoch),
        },
    });
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_bits_are_flags_of_their_own() {
        for config in 0..=u8::MAX {
            assert_eq!(config_of(Scrub::None, flags_of(config)), config & !SCRUB);
            assert_eq!(flags_of(config).count_ones(), (config & !SCRUB).count_ones());
        }
        // Flags 0 to 4 are the scrub level, watched, the event bus, and hybrid by the second bit alone.
        assert_eq!(flags_of(u8::MAX) & 0x1f, 0);
    }
}
