//! Runs `splinter-stress hostile` as its users do: a short attack, its output, its exit code and its record. Invariant 16.

mod common;

use common::refuses;

#[test]
fn damage_to_every_part_leads_to_no_crash_hang_panic_or_answer_out_of_bounds() {
    let (mut code, mut record) = common::record("hostile --duration 3s");
    // On a busy machine that is too short for every call.
    if code == Some(4) {
        (code, record) = common::record("hostile --duration 30s");
    }
    assert_eq!(code, Some(0), "{}", record["reasons"]);
    assert_eq!((&record["kind"], &record["verdict"]), (&"hostile".into(), &"pass".into()));
    assert_eq!(record["schema_version"], 1);
    for name in ["crashes", "hangs", "panics", "out_of_bounds"] {
        assert_eq!(record[name], 0, "{name}");
    }
    let counts = |of: &str| record[of].as_object().unwrap().clone();
    assert!(counts("operations").values().all(|count| count.as_u64() > Some(0)));
    assert!(counts("damage").values().all(|count| count.as_u64() > Some(0)));
    assert!(counts("errors").values().any(|count| count.as_u64() > Some(0)));
    // Both mappings of each of the stores, on both sides.
    assert!(record["guards"].as_u64() >= Some(6), "{}", record["guards"]);
}

#[test]
fn only_the_parts_that_are_named_are_damaged() {
    let (_, record) = common::record("hostile --duration 1s --target slots,index --workers 1");
    let damage = record["damage"].as_object().unwrap();
    for (part, count) in damage {
        let named = ["slots", "index"].contains(&part.as_str());
        assert_eq!(count.as_u64() > Some(0), named, "{part}");
    }
    assert_ne!(record["verdict"], "fail", "{}", record["reasons"]);
}

#[test]
fn an_attack_that_cannot_run_is_refused_with_one_line() {
    refuses(
        "hostile",
        &[
            ("--target nothing", "header"),
            ("--duration 0s", "--duration"),
            ("--workers 0", "--workers"),
            ("--patience 1ms", "--patience"),
            ("--bogus", "--bogus"),
        ],
    );
}
