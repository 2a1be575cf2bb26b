//! Runs whole workers and the final sweep on stores that are sound or broken on purpose: each break
//! must be caught, by the right count, and a sound store must never be blamed.

use super::*;
use crate::choice::KeyChoice;
use crate::history::History;
use crate::history::collect::collect_for_tests;
use crate::length::ValueLen;
use crate::open_loop::{Arrivals, Tsc};
use crate::options::Span;
use crate::oracle::checks::Faults;
use crate::oracle::final_check::FinalCheck;
use crate::shared_state::Phase;
use crate::testing::{Broken, Fake};
use splinter_testkit::skipped;

/// Runs a workload on a fake, workers in threads; returns the reports and what was wrong, the final
/// sweep's faults included.
fn drive(workload: &Workload, broken: Broken) -> (Vec<Report>, Faults) {
    let (reports, faults, _) = drive_recording(workload, broken);
    (reports, faults)
}

/// Does as [`drive`], and returns the history too, if there is to be one.
fn drive_recording(workload: &Workload, broken: Broken) -> (Vec<Report>, Faults, History) {
    let fake = Fake::new(broken, workload.buffer_len());
    let sound = Fake::new(Broken::Sound, workload.buffer_len());
    // A broken store is filled soundly: what is tested is the run.
    crate::setup::fill_for_tests(workload, &mut &sound);
    fake.copy_from(sound);
    let first_epochs = crate::oracle::final_check::first_epochs(workload, &&fake).unwrap();
    let shared = SharedState::create(workload).unwrap();
    shared.set_clock(Tsc { cycle_ns: 1.0, sleeps: true });
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..workload.worker_count())
            .map(|worker| {
                let assignment = Assignment { workload, shared: &shared, worker, cpu: None };
                let mut target = &fake;
                scope.spawn(move || match assignment.role() {
                    Role::Writer => assignment.write(&mut target),
                    Role::Reader => assignment.read(&target),
                    Role::Watcher => assignment.watch(&target, &mut target.watcher()),
                })
            })
            .collect();
        assert!(shared.gather(|_| false, || false));
        shared.enter(Phase::Measure);
        let home = |(worker, handle): (u32, std::thread::ScopedJoinHandle<'_, Report>)| {
            if worker == workload.operators() {
                shared.enter(Phase::Leave);
            }
            handle.join().unwrap()
        };
        (0..).zip(handles).map(home).collect()
    });
    let ledgers: Vec<_> = (0..workload.writers).map_while(|writer| shared.ledger(writer)).collect();
    let mut faults = Faults::default();
    if workload.oracle {
        faults.merge(
            FinalCheck::new(workload, &ledgers, &vec![false; ledgers.len()], &first_epochs, 0).run(&&fake),
        );
    }
    for report in &reports {
        faults.merge(report.faults.clone());
    }
    let history = match workload.history {
        Some(_) => collect_for_tests(workload, &shared, &&fake),
        None => History::default(),
    };
    (reports, faults, history)
}

fn workload(mix: &str, key_choice: KeyChoice) -> Workload {
    Workload {
        writers: 3,
        readers: 2,
        keys: 24,
        mix: mix.parse().unwrap(),
        key_choice,
        dim: Some(8),
        span: Span::Ops(6_000),
        ..Workload::default()
    }
}

const EVERYTHING: &str = "get,set,append,int,tandem,vector,label,unset,transaction,update,set_if,expire";

#[test]
fn a_sound_store_is_never_blamed() {
    let mixes = [
        "set",
        "get=1,set=1",
        "set=3,append=5,get=2",
        "set=3,unset=1,get=3",
        "set=4,append=6,unset=1,get=3",
        "int",
        "tandem",
        "transaction",
        "update",
        "set_if",
        "expire",
        "set=1,vector=3,get=1",
        "set=2,label=2",
        "get=5,set=5,append=5,int=5,tandem=5,vector=5,label=5,unset=5",
        EVERYTHING,
    ];
    for mix in mixes {
        for choice in
            [KeyChoice::Own, KeyChoice::Uniform, KeyChoice::Zipf(1.1), KeyChoice::Hot(2), KeyChoice::Single]
        {
            let (_, faults) = drive(&workload(mix, choice), Broken::Sound);
            assert_eq!(faults, Faults::default(), "{mix} by {choice}");
        }
    }
}

#[test]
fn an_open_loop_does_the_same_work_by_its_plan() {
    for arrivals in [Arrivals::Uniform, Arrivals::Poisson] {
        let open = Workload {
            // Many times what can be done: nobody waits.
            rate: Some(1_000_000_000_000),
            arrivals,
            ..workload("get=5,set=5,append=5,int=5,tandem=5,unset=5", KeyChoice::Hot(2))
        };
        let (reports, faults) = drive(&open, Broken::Sound);
        assert_eq!(faults, Faults::default());
        for report in reports {
            let paced = report.paced.unwrap();
            let done: u64 = report.counts.values().map(|counts| counts.successes + counts.failures).sum();
            // A reader that meets a claim goes on to the next start.
            let again = match report.role {
                Role::Reader => report.counts.values().map(|counts| counts.again).sum(),
                _ => 0,
            };
            assert_eq!(paced.started, done + again, "{:?}", report.role);
            assert_eq!(paced.planned, paced.started, "the share is done");
            for (name, _) in report.counts.iter().filter(|(_, counts)| counts.successes > 0) {
                let planned = format!("{name}-planned");
                assert!(report.histograms.iter().any(|(known, _)| *known == planned), "{planned}");
            }
        }
    }
    let (reports, _) = drive(&workload("set", KeyChoice::Own), Broken::Sound);
    assert!(reports.iter().all(|report| report.paced.is_none()));
}

#[test]
fn readers_of_batches_do_their_share_and_check_every_value() {
    for (batch, mix) in [(2, "set"), (7, "get=1,set=1,unset=1"), (256, "set=1,int=1")] {
        let batched = Workload { batch, ..workload(mix, KeyChoice::Uniform) };
        let (reports, faults) = drive(&batched, Broken::Sound);
        assert_eq!(faults, Faults::default(), "{batch}");
        let mut completed = 0;
        for counts in reports.iter().flat_map(|report| report.counts.values()) {
            let sum = counts.successes + counts.again + counts.failures;
            assert_eq!(counts.attempts, sum);
            completed += counts.successes + counts.failures;
        }
        assert_eq!(completed, 6_000, "{batch}");
        let (_, faults) = drive(&batched, Broken::TornReads);
        assert!(faults.torn_reads > 0, "{batch}");
    }
}

#[test]
fn a_sound_store_is_never_blamed_at_any_value_length() {
    for text in ["1", "3", "4..7", "8..15", "16..31", "1..64", "33", "64,100,200"] {
        let value_len: ValueLen = text.parse().unwrap();
        for mix in ["get=1,set=3", "get=1,set=3,unset=1,tandem=1"] {
            let (_, faults) = drive(
                &Workload { value_len: value_len.clone(), ..workload(mix, KeyChoice::Hot(2)) },
                Broken::Sound,
            );
            assert_eq!(faults, Faults::default(), "{text}, {mix}");
        }
    }
}

#[test]
fn every_break_is_caught_by_its_own_count() {
    let torn = |faults: &Faults| faults.torn_reads;
    let lost = |faults: &Faults| faults.lost_updates;
    type Count = fn(&Faults) -> u64;
    // Writers read too: readers may be done before the first of them writes.
    let cases: [(Broken, &str, Count); 32] = [
        (Broken::TornReads, "set=1,get=3", torn),
        (Broken::ForeignValues, "set=1,get=3", torn),
        (Broken::StaleReads, "set=1,get=3", |faults| faults.epoch_regressions),
        (Broken::StaleReads, "set=1,get=3", lost),
        (Broken::LostSets, "set", lost),
        (Broken::LostSets, "set=1,append=3,get=1", lost),
        (Broken::LostAdditions, "int", lost),
        (Broken::Misses, "set=1,get=3", |faults| faults.spurious_misses),
        (Broken::Misses, "set,unset,get", |faults| faults.spurious_misses),
        (Broken::MixedGroups, "tandem", torn),
        (Broken::HalfTransfers, "transaction", torn),
        (Broken::LostTransfers, "transaction", lost),
        (Broken::RefusedTransfers, "transaction", |faults| faults.unexpected_errors),
        (Broken::LostTallies, "update", lost),
        (Broken::StaleUpdates, "update", lost),
        (Broken::KeptFailures, "update", lost),
        (Broken::KeptPanics, "update", lost),
        (Broken::HiddenFailures, "update", |faults| faults.unexpected_errors),
        (Broken::UncheckedExpectations, "set_if", lost),
        (Broken::RefusedExpectations, "set_if", |faults| faults.unexpected_errors),
        (Broken::DoneRefusals, "set_if", lost),
        (Broken::LostConditionals, "set_if", lost),
        (Broken::SharedLocks, "set_if", lost),
        (Broken::LateExpiry, "expire", |faults| faults.expired_reads),
        (Broken::EarlyExpiry, "expire", |faults| faults.spurious_misses),
        (Broken::LostDeadlines, "expire", |faults| faults.expired_reads),
        (Broken::KeptDeadlines, "expire", |faults| faults.spurious_misses),
        (Broken::UnmovedDeadlines, "expire", |faults| faults.expired_reads),
        (Broken::LostSets, "expire", lost),
        (Broken::StaleReads, "expire", |faults| faults.epoch_regressions),
        (Broken::LostLabels, "set=8,label=1", lost),
        (Broken::LostVectors, "vector", lost),
    ];
    for (broken, mix, count) in cases {
        // With one writer per key the end of the run is exact to the last write.
        // A writer has to come back to a key before its deadline.
        let keys = if mix == "expire" { 24 } else { 300 };
        let workload = Workload { keys, ..workload(mix, KeyChoice::Own) };
        let (_, faults) = drive(&workload, broken);
        assert!(count(&faults) > 0, "{broken:?} under {mix}: {faults:?}");
        assert!(!faults.notes.is_empty());
    }
}

#[test]
fn transactions_of_keys_that_have_changed_are_caught_when_they_are_accepted() {
    let accounts = workload("transaction", KeyChoice::Uniform);
    let (_, faults) = drive(&accounts, Broken::UncheckedTransfers);
    let caught = faults.notes.iter().any(|note| note.contains("of keys as they were read"));
    assert!(faults.lost_updates > 0 && caught, "{faults:?}");
    // One that is refused, since a key has changed, has done no harm.
    let (reports, faults) = drive(&accounts, Broken::Sound);
    assert_eq!(faults, Faults::default());
    let counts = reports.iter().filter_map(|report| report.counts.get("transaction"));
    assert!(counts.map(|counts| counts.changed).sum::<u64>() > 0);
}

#[test]
fn lost_sets_of_shared_keys_are_caught_at_the_end() {
    let workload = Workload { keys: 300, ..workload("set", KeyChoice::Uniform) };
    let (_, faults) = drive(&workload, Broken::LostSets);
    assert!(faults.lost_updates > 0);
}

#[test]
fn attempts_are_the_sum_of_what_became_of_them() {
    let workload = workload("get=1,set=2,unset=1", KeyChoice::Uniform);
    let (reports, _) = drive(&workload, Broken::Sound);
    let mut completed = 0;
    for report in &reports {
        for counts in report.counts.values() {
            assert_eq!(counts.attempts, counts.successes + counts.again + counts.failures + counts.changed);
            completed += counts.successes + counts.failures;
        }
    }
    assert_eq!(completed, 6_000, "the share of work was done, no more and no less");
    let sets: u64 =
        reports.iter().filter_map(|report| report.counts.get("set")).map(|counts| counts.again).sum();
    assert!(sets > 0, "the fake meets claims");
}

#[test]
fn every_worker_counts_its_own_events_where_the_kernel_lets_it() {
    let workload = Workload { watchers: 1, ..workload("set", KeyChoice::Own) };
    let (reports, _) = drive(&workload, Broken::Sound);
    if let Err(why) = counters::software() {
        assert!(reports.iter().all(|report| !report.events.contains_key("page_faults")));
        return skipped(&format!("software counters: {why}"));
    }
    for report in &reports {
        let has = |name: &str| report.events.contains_key(name);
        assert!(has("page_faults") && has("context_switches"), "{:?}", report.events);
        assert!(report.events["task_clock_ns"] > 0, "{:?}", report.events);
    }
}

fn watched(oracle: bool, broken: Broken) -> (Vec<Notices>, Faults) {
    let workload = Workload {
        watchers: 2,
        watch_groups: 3,
        oracle,
        // Many keys: a change without a signal is noticed where it was the last of its key.
        keys: 300,
        ..workload("get=1,set=1", KeyChoice::Own)
    };
    let (reports, faults) = drive(&workload, broken);
    let notices = reports.iter().filter_map(|report| report.notices);
    (notices.collect(), faults)
}

#[test]
fn watchers_account_for_every_signal() {
    let (notices, faults) = watched(true, Broken::Sound);
    assert_eq!(faults, Faults::default());
    assert_eq!(notices.len(), 2);
    for notices in notices {
        let known = notices.taken + notices.missed;
        assert_eq!((notices.signalled, notices.lost), (Some(known), 0));
        assert!(notices.taken > 0 && notices.measured <= notices.taken);
        assert!(notices.lagged > 0, "the fake overwrites some");
    }
}

#[test]
fn notifications_that_never_come_are_caught() {
    for (broken, oracle) in [
        (Broken::LostNotifications, true),
        // By the store's counts alone.
        (Broken::LostNotifications, false),
        // By what is there in the end alone: there is no count of it.
        (Broken::Unsignalled, true),
    ] {
        let (_, faults) = watched(oracle, broken);
        assert!(faults.lost_notifications > 0, "{broken:?}, oracle {oracle}");
        assert!(!faults.notes.is_empty());
    }
}

#[test]
fn without_oracle_and_histogram_nothing_is_checked_or_timed() {
    let workload = Workload { oracle: false, histogram: false, ..workload("set", KeyChoice::Uniform) };
    let (reports, faults) = drive(&workload, Broken::TornReads);
    assert_eq!(faults.torn_reads, 0);
    assert!(reports.iter().all(|report| report.histograms.is_empty()));
}

#[test]
fn the_same_seed_does_the_same_work() {
    let workload =
        Workload { writers: 1, readers: 0, ..workload("get=2,set=2,append=1,unset=1", KeyChoice::Zipf(0.9)) };
    let count = |workload: &Workload| drive(workload, Broken::Sound).0[0].counts.clone();
    assert_eq!(count(&workload), count(&workload));
    assert_ne!(count(&workload), count(&Workload { seed: 2, ..workload.clone() }));
}

/// Runs a workload with a history on a fake; returns what the history alone came to.
fn explain(mix: &str, key_choice: KeyChoice, broken: Broken) -> crate::HistoryRecord {
    let workload =
        Workload { history: Some(20_000), value_len: ValueLen::Fixed(64), ..workload(mix, key_choice) };
    let (_, _, history) = drive_recording(&workload, broken);
    crate::HistoryRecord::of(&history, "a fake".to_owned())
}

#[test]
fn the_history_of_a_sound_store_is_linearizable() {
    for mix in [
        "set",
        "set=3,unset=1,get=3",
        "set=4,append=6,unset=1,get=3",
        "transaction",
        "update",
        "set_if",
        "expire",
        EVERYTHING,
    ] {
        for choice in [KeyChoice::Own, KeyChoice::Hot(2), KeyChoice::Single] {
            let record = explain(mix, choice, Broken::Sound);
            assert_eq!(record.violations, 0, "{mix} by {choice}: {record:?}");
            assert!(record.operations > 3_000, "{record:?}");
        }
    }
}

#[test]
fn the_history_alone_gives_away_every_break_of_a_value() {
    for (broken, mix) in [
        (Broken::TornReads, "set=1,get=3"),
        (Broken::ForeignValues, "set=1,get=3"),
        (Broken::StaleReads, "set=1,get=3"),
        (Broken::LostSets, "set=1,get=1"),
        (Broken::LostSets, "set=1,append=3,get=1"),
        (Broken::LostAdditions, "int"),
        (Broken::LostTransfers, "transaction"),
        (Broken::LostTallies, "update"),
        (Broken::StaleUpdates, "update"),
        (Broken::KeptPanics, "update"),
        (Broken::LostConditionals, "set_if"),
        (Broken::Misses, "set=1,get=3"),
        (Broken::Misses, "set=3,unset=1,get=3"),
        (Broken::LostVectors, "vector=3,get=1"),
    ] {
        let record = explain(mix, KeyChoice::Hot(2), broken);
        // A vector that is not there is no answer that a history has.
        let missed = broken == Broken::LostVectors;
        assert_eq!(record.violations == 0, missed, "{broken:?} under {mix}: {record:?}");
        assert!(missed || (1..=4).contains(&record.window.len()), "{record:?}");
    }
}
