//! Compares the bytes of the store's file with the promises of the scrub levels.

use splinter::{Scrub, Store};
use splinter_testkit::Entry;
use splinter_testkit::model::rank;
use splinter_testkit::raw::Raw;

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Compares the bytes of a key's slot with its entry, and with the level whose promise they keep.
pub(crate) fn check_present(raw: &Raw, store: &Store, key: &[u8], entry: &Entry) {
    let slot = raw.slot(store, key);
    let mut name = raw.key(slot);
    assert!(is_zero(&name.split_off(key.len())) && name == key, "the key as it lies");
    let both = raw.both(slot);
    if entry.is_number && raw.holds_number(slot) {
        assert_eq!(raw.number(slot), entry.seen.value, "the number as it lies");
        assert!(entry.kept != Scrub::Full || both.iter().all(|buffer| is_zero(buffer)));
    } else {
        let [current, other] = raw.buffers(store, key);
        let len = entry.seen.value.len();
        assert_eq!(current[..len], entry.seen.value, "the value as it lies");
        match entry.kept {
            Scrub::None => {}
            Scrub::Hybrid => {
                assert!(is_zero(&current[len..len.next_multiple_of(64)]), "hybrid after {len}");
            }
            Scrub::Full => {
                assert!(is_zero(&current[len..]), "full after {len}");
                assert!(is_zero(&other), "the retired copy");
                assert!(is_zero(&raw.number(slot)), "the retired number");
            }
        }
    }
    let live = raw.vectors(slot).iter().filter(|buffer| !is_zero(buffer)).count();
    assert!(entry.kept != Scrub::Full || live <= usize::from(entry.seen.vector.is_some()), "vectors");
}

/// Compares the bytes of a vacant slot with the promise of the level at which it became vacant.
pub(crate) fn check_vacant(raw: &Raw, slot: u32, level: Scrub) {
    let slot = slot.into();
    if rank(level) >= rank(Scrub::Hybrid) {
        assert!(raw.both(slot).iter().all(|buffer| is_zero(buffer)), "values after a removal");
        assert!(is_zero(&raw.number(slot)), "the number after a removal");
    }
    if level == Scrub::Full {
        assert!(raw.vectors(slot).iter().all(|buffer| is_zero(buffer)), "vectors after a removal");
        assert!(is_zero(&raw.key(slot)), "the key after a removal");
        assert!(is_zero(&raw.times_and_labels(slot)), "labels and times after a removal");
    }
}
