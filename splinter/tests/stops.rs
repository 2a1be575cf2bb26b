//! Writers stopped at any instruction: no other process notices, but for the one key they hold.

use splinter::{Error, IntegerOp, Scrub, Store, Writer};
use splinter_testkit::kills::{holds_a_claim, stop_when};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::trace::Traced;
use splinter_testkit::{assert_sound, config, geometry, retry, sequence, store, value, wait_until};
use std::sync::atomic::Ordering::Relaxed;

const LEN: usize = 1 << 18;

/// Runs `life` in a child until it is caught with a claim, and leaves it stopped there.
fn caught<'s>(
    store: &'s Store,
    wanted: impl Fn(&Store) -> bool,
    life: impl Fn(&mut Writer, u64) + 's,
) -> Forked {
    let mut child = Forked::new(|| {
        let mut writer = store.writer().unwrap();
        for round in 0.. {
            life(&mut writer, round);
        }
    });
    stop_when(&mut child, || wanted(store));
    child
}

/// Reads, sets, appends, counts, removes and inserts keys that the stopped writer does not hold.
fn others_go_on(store: &Store, writer: &mut Writer, round: u64) {
    for key in ["other0", "other1"] {
        sequence(key, &store.get_vec(key).unwrap());
        writer.set(key, &value(key, round, 100)).unwrap();
        writer.append(key, b"").unwrap();
        assert_eq!(sequence(key, &store.get_vec(key).unwrap()), round);
    }
    writer.integer("count", IntegerOp::Inc(1)).unwrap();
    writer.set_tandem("group", &[b"1", b"2"]).unwrap();
    writer.tandem("group", &mut [vec![], vec![]]).unwrap();
}

fn populate(writer: &mut Writer) {
    for key in ["other0", "other1", "held"] {
        writer.set(key, &value(key, 0, 100)).unwrap();
    }
    writer.set_u64("count", 0).unwrap();
    writer.set_tandem("group", &[b"1", b"2"]).unwrap();
}

#[test]
fn readers_and_other_keys_are_not_blocked_by_a_stopped_writer() {
    // Invariants 5 and 8.
    alone("readers_and_other_keys_are_not_blocked_by_a_stopped_writer", || {
        let store = store(geometry(16, LEN as u64, 0, 4));
        let mut writer = store.writer().unwrap();
        populate(&mut writer);
        for round in 1..20 {
            // Made beforehand, so that the writer spends its time under claims.
            let make = |n| value("held", round << 8 | n as u64, LEN - n);
            let bodies: Vec<_> = (0..3).map(make).collect();
            let child = caught(&store, holds_a_claim, |writer, step| {
                let _ = retry(|| writer.set("held", &bodies[step as usize % 3]));
            });
            let stopped_at = store.epoch("held").unwrap();
            let held = store.get_vec("held").unwrap();
            assert!(sequence("held", &held) >> 8 <= round);
            for _ in 0..3 {
                assert!(store.get_vec("held").unwrap() == held);
                assert_eq!(writer.set("held", b"mine"), Err(Error::Again));
                assert_eq!(writer.append("held", b"mine"), Err(Error::Again));
                assert_eq!(writer.unset("held"), Err(Error::Again));
                assert_eq!(writer.bump("held"), Err(Error::Again));
                assert_eq!(writer.set_u64("held", 1), Err(Error::Again));
                assert_eq!(writer.set_tandem("held", &[b"mine", b"mine"]), Err(Error::Again));
                assert_eq!(store.contains("held.1"), Ok(false));
                others_go_on(&store, &mut writer, round);
                // Keys come and go as well: an update holds no part of the index.
                writer.set("new", b"x").unwrap();
                writer.unset("new").unwrap();
            }
            assert_eq!(store.inspect().unwrap().live_claims, 1);
            assert_eq!(store.epoch("held"), Ok(stopped_at));
            if round % 2 == 0 {
                child.go_on();
                wait_until("the writer goes on", || retry(|| store.epoch("held")).unwrap() > stopped_at);
            }
            child.kill();
            assert!((0..100).any(|_| writer.bump("held").is_ok()), "the key stayed busy");
            sequence("held", &store.get_vec("held").unwrap());
        }
        drop(writer);
        assert_sound(&store, 6);
    });
}

#[test]
fn present_keys_are_not_blocked_by_a_stopped_insertion_or_removal() {
    // Invariant 8, with every key at home in one bucket, which insertions and removals claim.
    alone("present_keys_are_not_blocked_by_a_stopped_insertion_or_removal", || {
        let store = store(geometry(7, 128, 0, 4));
        let mut writer = store.writer().unwrap();
        populate(&mut writer);
        for round in 1..20 {
            let child = caught(&store, holds_a_claim, |writer, _| {
                let _ = retry(|| writer.set("comes", b"x"));
                let _ = retry(|| writer.unset("comes"));
            });
            for _ in 0..3 {
                others_go_on(&store, &mut writer, round);
                assert!(
                    store.get_vec("comes").is_ok_and(|value| value == b"x")
                        || store.contains("comes") == Ok(false)
                );
            }
            if round % 2 == 0 {
                child.go_on();
                spin(200);
            }
            child.kill();
            let _ = retry(|| writer.unset("comes"));
            assert_eq!(retry(|| writer.set("comes", b"x")), Ok(()));
            assert_eq!(retry(|| writer.unset("comes")), Ok(1));
        }
        drop(writer);
        assert_sound(&store, 6);
    });
}

#[test]
fn insertions_of_other_keys_are_not_blocked_by_a_stopped_one() {
    // Invariant 8. Keys whose home the stopped writer holds are not "other" to it, so
    // the store has more homes than one writer can hold, and most insertions must go through.
    alone("insertions_of_other_keys_are_not_blocked_by_a_stopped_one", || {
        let store = store(geometry(256, 128, 0, 4));
        let mut writer = store.writer().unwrap();
        for _ in 0..20 {
            let child = caught(&store, holds_a_claim, |writer, round| {
                let key = format!("comes{}", round % 50);
                let _ = retry(|| writer.set(&key, b"x"));
                let _ = retry(|| writer.unset(&key));
            });
            let busy = (0..128).filter(|n| match writer.set(format!("new{n}"), b"x") {
                Err(error) => {
                    assert_eq!(error, Error::Again);
                    true
                }
                Ok(()) => false,
            });
            let busy = busy.count();
            assert!(busy <= 16, "{busy} of 128 insertions were blocked");
            child.go_on();
            child.kill();
            for n in 0..128 {
                assert!(matches!(retry(|| writer.unset(format!("new{n}"))), Ok(1) | Err(Error::NotFound)));
            }
        }
    });
}

#[test]
fn a_stopped_tandem_writer_leaves_one_generation_readable() {
    // Invariants 8 and 11.
    alone("a_stopped_tandem_writer_leaves_one_generation_readable", || {
        let store = store(geometry(9, 1 << 15, 0, 4));
        let mut writer = store.writer().unwrap();
        populate(&mut writer);
        let mut values = vec![Vec::new(); 3];
        for round in 1..20 {
            let child = caught(&store, holds_a_claim, |writer, step| {
                let body = value("base", round << 32 | step, 1 << 15);
                let _ = retry(|| writer.set_tandem("base", &[&body[..]; 3]));
            });
            match store.tandem("base", &mut values) {
                Ok(()) => assert!(values.iter().all(|value| *value == values[0])),
                // Stopped before the first generation was published.
                Err(error) => assert_eq!((error, round), (Error::NotFound, 1)),
            }
            others_go_on(&store, &mut writer, round);
            child.kill();
            if round > 1 {
                store.tandem("base", &mut values).unwrap();
                sequence("base", &values[2]);
            }
            assert_eq!(retry(|| writer.set_tandem("base", &[&value("base", 0, 9)[..]; 3])), Ok(()));
        }
        drop(writer);
        assert_sound(&store, 9);
    });
}

#[test]
fn room_that_a_dead_writer_held_is_never_reported_as_full() {
    // Invariants 7 and 13: a writer that met the claim while its owner lived must not go on to believe
    // that the store is full once the owner is dead.
    alone("room_that_a_dead_writer_held_is_never_reported_as_full", || {
        let store = store(geometry(2, LEN as u64, 0, 4));
        let mut writer = store.writer().unwrap();
        writer.set("kept", b"x").unwrap();
        let body = vec![1; LEN];
        for _ in 0..10 {
            let inserting = |store: &Store| holds_a_claim(store) && store.contains("comes") == Ok(false);
            let child = caught(&store, inserting, |writer, _| {
                let _ = retry(|| writer.set("comes", &body));
                let _ = retry(|| writer.unset("comes"));
            });
            // While its owner lives the slot may count as used, or as busy.
            let met = writer.set("new", b"x");
            assert!(matches!(met, Err(Error::Full | Error::Again)), "{met:?}");
            child.kill();
            let answer = (0..100).map(|_| writer.set("new", b"x"));
            let answer = answer.into_iter().find(|answer| *answer != Err(Error::Again));
            assert_eq!(answer, Some(Ok(())));
            writer.unset("new").unwrap();
        }
    });
}

#[test]
fn all_claims_of_a_dead_tandem_writer_are_taken_over_when_they_are_first_met() {
    // Invariant 7. The orders' slots have the same epoch and the same dead owner, so their claims read
    // alike; what was found out about one must not be taken for an earlier meeting with the next.
    alone("all_claims_of_a_dead_tandem_writer_are_taken_over_when_they_are_first_met", || {
        let store = store(geometry(3, LEN as u64, 0, 4));
        let mut writer = store.writer().unwrap();
        let body = vec![1; LEN];
        let holds_all = |store: &Store| store.inspect().unwrap().live_claims == 3;
        for round in 0..5 {
            let child = caught(&store, holds_all, |writer, _| {
                let _ = retry(|| writer.set_tandem("base", &[&body[..]; 3]));
            });
            child.kill();
            if round % 2 == 0 {
                assert_eq!(writer.set_tandem("base", &[b"mine".as_slice(); 3]), Ok(()));
            } else {
                assert!(matches!(writer.unset_tandem("base", 3), Ok(0 | 3)));
            }
        }
    });
}

#[test]
fn a_store_that_a_dead_writer_filled_is_full_when_that_is_first_asked() {
    // Invariants 7 and 13. The keys are committed, and their slots are not yet marked as used: claims of the
    // dead are no reason to try again later.
    alone("a_store_that_a_dead_writer_filled_is_full_when_that_is_first_asked", || {
        let store = store(geometry(4, LEN as u64, 0, 4));
        store.set_scrub(Scrub::Full).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("kept", b"x").unwrap();
        let body = vec![1; LEN];
        for _ in 0..20 {
            let is_committed = |store: &Store| {
                let claims = store.inspect().unwrap().live_claims;
                claims > 0 && store.tandem("base", &mut [vec![], vec![], vec![]]).is_ok()
            };
            // Level full wipes the bytes that the removal leaves at level none once the tandem is committed: time enough.
            let child = caught(&store, is_committed, |writer, _| {
                writer.set_scrub(Scrub::Full).unwrap();
                let _ = retry(|| writer.set_tandem("base", &[&body[..]; 3]));
                writer.set_scrub(Scrub::None).unwrap();
                let _ = retry(|| writer.unset_tandem("base", 3));
            });
            child.kill();
            // It stood still between the look at it and its death.
            assert_eq!(store.contains("base.2"), Ok(true));
            assert_eq!(writer.set("new", b"x"), Err(Error::Full));
            assert!(matches!(retry(|| writer.unset_tandem("base", 3)), Ok(0 | 3)));
        }
    });
}

#[test]
fn a_view_from_before_a_dead_writers_change_is_right_or_said_to_be_no_good() {
    // Invariants 1 and 12. The writer dies right behind the store that publishes: the recovery at level full wipes
    // the bytes that the view shows, and has to raise the epoch by two before. So it is held up at each of its instructions.
    alone("a_view_from_before_a_dead_writers_change_is_right_or_said_to_be_no_good", || {
        let store = store(geometry(4, 64, 0, 4));
        store.set_scrub(Scrub::Full).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("k", b"old").unwrap();
        let view = store.view("k").unwrap();
        let mut child = Traced::new(|| {
            let mut writer = store.writer().unwrap();
            Traced::mark();
            writer.set("k", b"new").unwrap();
        });
        child.run_to_mark();
        // It has a writer id of its own before the other's is free.
        let mut taker = Traced::new(|| {
            let mut writer = store.writer().unwrap();
            Traced::mark();
            assert_eq!(writer.append("k", b""), Ok(3));
        });
        taker.run_to_mark();
        while store.get_vec("k").unwrap() != b"new" {
            assert!(child.step(), "it has published before it ends");
        }
        assert!(view.validate() && holds_a_claim(&store));
        child.kill();
        while store.header().recoveries == 0 {
            assert!(taker.step(), "it takes over before it ends");
            let shown: Vec<u8> = view.bytes().collect();
            assert!(!view.validate() || shown == b"old", "a view shows {shown:?}");
        }
        assert!(!view.validate());
    });
}

#[test]
fn a_child_that_dies_while_it_gives_its_writer_id_back_costs_nobody_the_id() {
    // A child shares its parent's lock, so only the kernel's mark tells that it died. The kernel marks no id between its
    // removal from the list and that of its owner, which is to be short.
    const DEATHS: u64 = 40;
    alone("a_child_that_dies_while_it_gives_its_writer_id_back_costs_nobody_the_id", || {
        let done = &shared_words(1)[0];
        let run = |most: u64| {
            done.store(0, Relaxed);
            let store = Store::anonymous(&config(geometry(4, 8, 0, 1), Scrub::None)).unwrap();
            let mut child = Traced::new(|| {
                let writer = store.writer().unwrap();
                Traced::mark();
                drop(writer);
                done.store(1, Relaxed);
            });
            child.run_to_mark();
            let steps = (0..most).take_while(|_| done.load(Relaxed) == 0 && child.step()).count() as u64;
            child.kill();
            (steps, store.writer().is_err())
        };
        let (steps, _) = run(u64::MAX);
        let lost = (0..DEATHS).filter(|death| run(steps * death / DEATHS).1).count();
        assert!(lost <= DEATHS as usize / 8, "{lost} of {DEATHS} deaths in {steps} instructions");
    });
}
