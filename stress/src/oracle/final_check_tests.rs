//! Gives the final check contents that do not agree with what was acknowledged, and contents that do.

use super::*;
use crate::proof::vector;
use crate::shared_state::SharedState;
use crate::target::Writes;
use crate::testing::{Broken, Fake};
use splinter::Eviction;

const KEY: u64 = 3;

/// Writes `pieces` (writer and sequence) to one key and compares it with what `acknowledge` notes for two writers.
fn final_check(pieces: &[(u16, u64)], dead: [bool; 2], acknowledge: impl Fn(&[AckTable<'_>])) -> Faults {
    final_check_of(Eviction::Expired, 0, pieces, dead, acknowledge, |_, _| ())
}

/// The same for a cache that says to have evicted so many keys. `change` changes the key further.
fn cache_check(
    evicted: u64,
    pieces: &[(u16, u64)],
    acknowledge: impl Fn(&[AckTable<'_>]),
    change: impl Fn(&mut &Fake, &Workload),
) -> Faults {
    final_check_of(Eviction::Sieve, evicted, pieces, [false; 2], acknowledge, change)
}

fn final_check_of(
    evict: Eviction,
    evicted: u64,
    pieces: &[(u16, u64)],
    dead: [bool; 2],
    acknowledge: impl Fn(&[AckTable<'_>]),
    change: impl Fn(&mut &Fake, &Workload),
) -> Faults {
    let mix = if evict == Eviction::Expired { "set,append,unset" } else { "set,append,unset,vector,label" };
    let workload = Workload {
        evict,
        writers: 2,
        readers: 0,
        keys: 8,
        key_choice: crate::choice::KeyChoice::Uniform,
        mix: mix.parse().unwrap(),
        ..Workload::default()
    };
    let fake = Fake::new(Broken::Sound, 1024);
    crate::setup::fill_for_tests(&workload, &mut &fake);
    let key = keys::name(Family::Value, KEY);
    let hash = splinter::hash_key(&key);
    let value: Vec<u8> = pieces
        .iter()
        .flat_map(|&(writer, seq)| {
            let mut piece = vec![0; 40];
            value::fill(&mut piece, hash, writer, seq);
            piece
        })
        .collect();
    (&mut &fake).unset_if(&key, splinter::Expect::Any).unwrap();
    while !value.is_empty() && (&mut &fake).set(&key, &value).is_err() {}
    change(&mut &fake, &workload);
    let shared = SharedState::create(&workload).unwrap();
    let acks: Vec<_> = (0..2).map_while(|writer| shared.ledger(writer)).collect();
    acknowledge(&acks);
    FinalCheck::new(&workload, &acks, &dead, &[], evicted).run(&&fake)
}

fn entry<'a>(acks: &[AckTable<'a>], writer: usize) -> KeyAcks<'a> {
    acks[writer].entry(Family::Value, KEY)
}

#[test]
fn the_last_set_of_either_writer_may_stand() {
    for standing in [(0, 5), (1, 9)] {
        let faults = final_check(&[standing], [false; 2], |acks| {
            entry(acks, 0).note_set(5);
            entry(acks, 1).note_set(9);
        });
        assert_eq!(faults, Faults::default(), "{standing:?}");
    }
}

#[test]
fn an_older_or_a_later_set_may_not_stand() {
    for standing in [(0, 4), (0, 6), (1, 8), (PREFILL, 1)] {
        let faults = final_check(&[standing], [false; 2], |acks| {
            entry(acks, 0).note_set(5);
            entry(acks, 1).note_set(9);
        });
        assert_eq!(faults.lost_updates, 1, "{standing:?}");
    }
}

#[test]
fn the_first_value_stands_only_where_no_writer_set_one() {
    assert_eq!(final_check(&[(PREFILL, 1)], [false; 2], |_| ()), Faults::default());
    let faults = final_check(&[(PREFILL, 1)], [false; 2], |acks| {
        entry(acks, 0).note_unset(1);
    });
    assert_eq!(faults.lost_updates, 1);
}

#[test]
fn appends_follow_each_other_without_a_gap_to_the_last_one() {
    let acknowledge = |acks: &[AckTable<'_>]| {
        entry(acks, 0).note_set(1);
        entry(acks, 0).note_append(2);
        entry(acks, 0).note_append(3);
        entry(acks, 1).note_append(1);
    };
    assert_eq!(final_check(&[(0, 1), (0, 2), (1, 1), (0, 3)], [false; 2], acknowledge), Faults::default());
    // Before the set: writer 1's append is gone with what it was appended to.
    assert_eq!(final_check(&[(0, 1), (0, 2), (0, 3)], [false; 2], acknowledge), Faults::default());
    assert_eq!(final_check(&[(0, 1), (0, 3)], [false; 2], acknowledge).lost_updates, 1);
    assert_eq!(final_check(&[(0, 1), (0, 2)], [false; 2], acknowledge).lost_updates, 1);
    // No writer set the key: every append must be there.
    let append = |acks: &[AckTable<'_>]| entry(acks, 1).note_append(1);
    assert_eq!(final_check(&[(PREFILL, 1), (1, 1)], [false; 2], append), Faults::default());
    assert_eq!(final_check(&[(PREFILL, 1)], [false; 2], append).lost_updates, 1);
}

#[test]
fn a_key_is_missing_only_after_an_unset() {
    let unset = |acks: &[AckTable<'_>]| {
        entry(acks, 0).note_set(1);
        entry(acks, 1).note_unset(1);
    };
    assert_eq!(final_check(&[], [false; 2], unset), Faults::default());
    assert_eq!(final_check(&[], [false; 2], |acks| entry(acks, 0).note_set(1)).spurious_misses, 1);
}

#[test]
fn a_dead_writer_may_have_written_once_more() {
    let set = |acks: &[AckTable<'_>]| entry(acks, 0).note_set(5);
    assert_eq!(final_check(&[(0, 6)], [true, false], set), Faults::default());
    assert_eq!(final_check(&[(0, 6)], [false, true], set).lost_updates, 1);
    assert_eq!(final_check(&[(0, 7)], [true, false], set).lost_updates, 1);
}

#[test]
fn a_cache_may_lose_any_key_and_no_update_of_one_that_it_has() {
    let set = |acks: &[AckTable<'_>]| entry(acks, 0).note_set(5);
    let check = |pieces: &[_]| cache_check(1, pieces, set, |_, _| ());
    assert_eq!(check(&[]), Faults::default());
    assert_eq!(check(&[(0, 5)]), Faults::default());
    assert_eq!(check(&[(0, 4)]).lost_updates, 1);
    assert_eq!(check(&[(PREFILL, 1)]).lost_updates, 1);
}

#[test]
fn a_cache_loses_no_more_keys_than_it_evicted() {
    let set = |acks: &[AckTable<'_>]| entry(acks, 0).note_set(5);
    assert_eq!(cache_check(1, &[], set, |_, _| ()), Faults::default());
    assert_eq!(cache_check(0, &[], set, |_, _| ()).spurious_misses, 1);
    let unset = |acks: &[AckTable<'_>]| entry(acks, 0).note_unset(5);
    assert_eq!(cache_check(0, &[], unset, |_, _| ()), Faults::default());
}

#[test]
fn a_cache_may_lose_labels_and_invents_none() {
    let labelled = |acks: &[AckTable<'_>]| {
        entry(acks, 0).note_set(5);
        entry(acks, 0).note_labels(0b11);
    };
    let check = |mask: u64| {
        cache_check(1, &[(0, 5)], labelled, |fake, _| {
            fake.label(&keys::name(Family::Value, KEY), mask).unwrap();
        })
    };
    assert_eq!(check(0b11), Faults::default());
    assert_eq!(check(0b01), Faults::default());
    assert_eq!(check(0b101).lost_updates, 1);
}

#[test]
fn a_cache_may_lose_a_vector_and_keeps_no_older_one() {
    let acknowledge = |acks: &[AckTable<'_>]| {
        entry(acks, 0).note_set(5);
        entry(acks, 0).note_vector(6);
    };
    let check = |seq: Option<u64>| {
        cache_check(1, &[(0, 5)], acknowledge, |fake, workload| {
            let key = keys::name(Family::Value, KEY);
            if let Some(seq) = seq {
                let mut vector = vec![0.0; workload.geometry().vector_dim as usize];
                vector::fill(&mut vector, splinter::hash_key(&key), 0, seq);
                fake.set_vector(&key, &vector).unwrap();
            }
        })
    };
    assert_eq!(check(None), Faults::default());
    assert_eq!(check(Some(6)), Faults::default());
    assert_eq!(check(Some(5)).lost_updates, 1);
}
