//! Whether a store is sound, and all of its slots can be used.

use crate::wait::LIMIT;
use splinter::{Error, Store};

/// Retries `attempt` while it returns [`Error::Again`].
///
/// # Panics
/// If it still does after [`LIMIT`].
pub fn retry<T>(attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let result = splinter::retry(LIMIT, attempt);
    assert!(!matches!(result, Err(Error::Again)), "the key stayed busy");
    result
}

/// Asserts that the store is sound, at rest, and holds `keys` keys. Its scrub level was never raised over what lay
/// there already.
#[track_caller]
pub fn assert_sound(store: &Store, keys: u64) {
    assert_sound_but_for_stale_bytes(store, keys);
    let found = store.inspect().expect("an inspection");
    assert_eq!((found.stale_bytes, found.stale_slots), (0, 0), "{found:?}");
}

/// Asserts that of a store whose scrub level was raised: bytes that a lower level left stay until a write replaces them.
#[track_caller]
pub fn assert_sound_but_for_stale_bytes(store: &Store, keys: u64) {
    assert_in_order(store, keys, 0);
}

/// Asserts that of a store in which up to `expired` more keys have expired.
#[track_caller]
pub(crate) fn assert_in_order(store: &Store, keys: u64, expired: u64) {
    let found = store.inspect().expect("an inspection");
    let wrong = [
        found.duplicate_keys,
        found.unreachable_keys,
        found.stuck_claims,
        found.live_claims,
        found.leaked_slots,
        found.dangling_entries,
        found.wrong_notify_flags,
        found.wrong_sketches,
    ];
    assert_eq!(wrong, [0; 8], "{found:?}");
    assert!((keys..=keys + expired).contains(&found.keys), "{found:?}, and {keys} keys, {expired} expired");
    assert_eq!((store.len(), store.keys().count() as u64), (keys, keys));
}

/// Asserts that exactly as many keys fit as the store has slots, that one slot more is refused, and
/// that a removed key makes room for exactly one. Leaves the store empty.
pub fn assert_every_slot_usable(store: &Store, prefix: &str) {
    let mut writer = store.writer().expect("a writer id");
    let present: Vec<_> = store.keys().collect();
    for key in present {
        retry(|| writer.unset(key)).expect("a key that was listed");
    }
    let slots = store.geometry().slots;
    for number in 0..slots {
        let key = format!("{prefix}{number}");
        assert_eq!(retry(|| writer.set(&key, b"x")), Ok(()), "key {number} of {slots}");
    }
    assert_eq!(retry(|| writer.set(format!("{prefix}over"), b"x")), Err(Error::Full));
    retry(|| writer.unset(format!("{prefix}0"))).expect("a present key");
    assert_eq!(retry(|| writer.set(format!("{prefix}over"), b"x")), Ok(()));
    assert_eq!(retry(|| writer.set(format!("{prefix}0"), b"x")), Err(Error::Full));
    let present: Vec<_> = store.keys().collect();
    assert_eq!(present.len() as u64, slots);
    for key in present {
        retry(|| writer.unset(key)).expect("a key that was listed");
    }
}
