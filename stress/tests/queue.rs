//! Runs `splinter-stress queue` as its users do: short runs without and with kills, planted mistakes, the output, the exit
//! code and the record.

mod common;

use common::{passes, record, refuses, stress};
use serde_json::Value;

fn number(record: &Value, path: &str) -> u64 {
    record.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {record}"))
}

/// Asserts that every invariant held, and that the record has what scripts rely on.
fn sound(record: &Value) {
    assert_eq!((&record["kind"], &record["schema_version"]), (&"queue".into(), &1.into()));
    let invariants = record["invariants"].as_object().unwrap();
    assert_eq!(invariants.len(), 8);
    assert!(invariants.values().all(|count| count == 0), "{invariants:?}");
    for way in ["queue_ns", "futex_ns"] {
        assert!(number(record, &format!("/wake/{way}/p50")) > 0);
        assert_eq!(number(record, &format!("/wake/{way}/samples")), 400);
    }
    assert!(record["messages_per_s"].as_f64() > Some(0.0));
}

#[test]
fn without_kills_every_message_is_received_exactly_once() {
    for flags in [
        "--messages 5003",
        "--messages 3k --producers 1 --consumers 1 --capacity 2 --batch 1 --len 32",
        "--messages 3k --producers 5 --consumers 2 --capacity 16 --batch 16 --len 32..1000",
        "--messages 2k --producers 2 --consumers 5 --capacity 4 --batch 3 --len 100,40,5000",
    ] {
        let record = passes(&format!("queue {flags}"));
        sound(&record);
        let asked = number(&record, "/config/messages");
        assert_eq!((number(&record, "/received"), number(&record, "/redelivered")), (asked, 0), "{flags}");
        let kills = &record["kills"];
        assert!(kills.as_object().unwrap().values().all(|count| count == 0), "{kills}");
    }
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let record = passes("queue --duration 300ms --producers 2 --consumers 2");
    sound(&record);
    assert!(number(&record, "/received") > 0);
    assert!(record["took_s"].as_f64() >= Some(0.3), "{}", record["took_s"]);
}

#[test]
fn while_producers_and_consumers_are_killed_nothing_is_lost_and_only_a_dead_consumers_messages_come_again() {
    let (mut cut_off, mut redelivered) = (0, 0);
    for (seed, flags) in
        ["--capacity 8 --batch 8", "--capacity 1024 --batch 64 --len 32..2000", "--capacity 64"]
            .into_iter()
            .enumerate()
    {
        let record = passes(&format!(
            "queue --duration 1500ms --kill 5ms --producers 3 --consumers 3 --batch 4 {flags} --seed {seed}"
        ));
        sound(&record);
        let [producers, consumers] =
            ["producers", "consumers"].map(|of| number(&record, &format!("/kills/{of}")));
        assert!(producers > 0 && consumers > 0, "{}", record["kills"]);
        let batch = number(&record, "/config/batch");
        assert!(number(&record, "/redelivered") <= consumers * batch);
        assert!(number(&record, "/kills/cut_off") <= producers);
        cut_off += number(&record, "/kills/cut_off");
        redelivered += number(&record, "/redelivered");
    }
    assert!(cut_off > 0, "no producer died within a send");
    assert!(redelivered > 0, "no consumer died between a message and its acknowledgement");
}

#[test]
fn every_planted_mistake_is_found_under_its_own_name_also_among_deaths() {
    for (plant, invariants, words) in [
        ("lose", &["lost"][..], "message 10 of producer 0 was never received"),
        ("repeat", &["duplicates"], "message 10 of producer 0 received 2 times"),
        ("swap", &["out_of_order", "duplicates"], "message 10 of producer 0, behind position"),
        ("tear", &["torn", "lost"], "no producer wrote these"),
    ] {
        let flags = "--messages 4k --producers 2 --consumers 1 --capacity 64";
        let (code, found) = record(&format!("queue {flags} --plant {plant}"));
        assert_eq!((code, &found["verdict"]), (Some(1), &"fail".into()), "{plant}: {}", found["reasons"]);
        assert!(found["reasons"].to_string().contains(words), "{plant}: {}", found["reasons"]);
        for (name, count) in found["invariants"].as_object().unwrap() {
            let is_broken = invariants.contains(&name.as_str());
            assert_eq!(count.as_u64() > Some(0), is_broken, "{plant}: {name}: {}", found["reasons"]);
        }
    }
    // A death explains a message that comes again, but none that was sent twice or not at all.
    for (plant, invariant) in [("lose", "lost"), ("repeat", "duplicates")] {
        let (code, found) = record(&format!("queue --duration 500ms --kill 5ms --plant {plant}"));
        assert_eq!(code, Some(1), "{plant}: {}", found["reasons"]);
        assert!(found["invariants"][invariant].as_u64() > Some(0), "{plant}: {}", found["reasons"]);
    }
}

#[test]
fn the_summary_says_what_was_sent_and_lost_and_how_soon_a_message_woke() {
    let output = stress("queue --messages 1000 --kill 1h");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "  1,000 messages, ",
        "0 messages redelivered",
        "bare futex",
        "  lost               0",
        "no producer was killed",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("\ninconclusive\n"), "{text}");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn a_run_that_cannot_be_is_refused_with_one_line() {
    refuses(
        "queue",
        &[
            ("--producers 0", "--producers"),
            ("--consumers 65", "--consumers"),
            ("--len 31", "--len"),
            ("--len 0", "--len"),
            ("--capacity 1000", "power of two"),
            ("--capacity 16 --batch 17", "--batch"),
            ("--messages 0", "--messages"),
            ("--duration 0s", "--duration"),
            ("--kill 0s", "--kill"),
            ("--plant nothing", "lose"),
            ("--bogus", "--bogus"),
        ],
    );
}
