//! Runs the program with workloads from files and at set rates: what goes in comes out, and no rate that was not kept is
//! called kept. What a machine keeps up with depends on what else it does, so only rates that none can keep are judged.

mod common;

use common::{count, passes, record, refuses, stress};
use serde_json::Value;
use splinter_testkit::Folder;

const SMALL: &str = "run --writers 3 --readers 2 --keys 64 --scrub hybrid --warmup 0s";

#[test]
fn a_workload_is_printed_read_back_and_run() {
    let flags = format!("{SMALL} --ops 4000 --mix set=3,get=1 --value-len 16..256 --key-choice hot:4");
    let printed = stress(&format!("{flags} --print-workload"));
    assert_eq!(printed.status.code(), Some(0));
    let folder = Folder::new();
    let path = folder.put("workload.toml", &printed.stdout);
    let again = stress(&format!("run --workload {path} --print-workload"));
    assert_eq!(printed.stdout, again.stdout);

    let by_flags = passes(&flags);
    let by_file = passes(&format!("run --workload {path}"));
    assert_eq!(by_flags["config"], by_file["config"]);
    // And flags win.
    let fewer = passes(&format!("run --workload {path} --ops 2000 --seed 9"));
    assert_eq!(fewer["config"]["span"]["ops"], 2000);
    assert_eq!(fewer["config"]["seed"], 9);
    assert_eq!(fewer["config"]["value_len"], "16..256");
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line() {
    let folder = Folder::new();
    let flag = format!("--workload {}", folder.put("wrong.toml", "writers = 2\nkeys = \"many\"\n"));
    refuses("run", &[(&flag, "line 2"), ("--workload /nowhere.toml", "/nowhere.toml")]);
}

#[test]
fn a_rate_that_makes_no_sense_is_refused() {
    refuses(
        "run",
        &[
            ("--rate 0", "--rate"),
            ("--rate fast", "20k"),
            ("--arrivals poisson", "--rate"),
            ("--rate 5 --arrivals bursts", "uniform or poisson"),
        ],
    );
}

/// Checks what must be so of every open loop, kept or not; returns its part of the record.
fn open_loop(line: &str) -> (Option<i32>, Value) {
    let (code, run) = record(line);
    let open = &run["open_loop"];
    let number = |name: &str| open[name].as_f64().unwrap_or_else(|| panic!("{name} in {open}"));
    assert!(run["invariants"].as_object().unwrap().values().all(|count| count == 0), "{line}");
    assert!(number("started") <= number("planned"), "{open}");
    assert!(number("late_at_end_ms") <= number("longest_lateness_ms"), "{open}");
    let saturated = open["saturated"].as_bool().unwrap();
    assert_eq!(saturated, !open["why"].is_null(), "{open}");
    let expected =
        if saturated { (Some(4), Value::from("inconclusive")) } else { (Some(0), Value::from("pass")) };
    assert_eq!((code, run["verdict"].clone()), expected);
    let labels = run["labels"].to_string();
    assert_eq!(labels.contains("\"saturated\""), saturated, "{labels}");
    assert_eq!(labels.contains("not to be trusted"), saturated, "{labels}");
    for (name, operation) in run["operations"].as_object().unwrap() {
        let (from_start, from_plan) = (&operation["latency_ns"], &operation["latency_from_planned_ns"]);
        if from_start["samples"] != 0 {
            assert_eq!(from_start["samples"], from_plan["samples"], "{name}");
            assert!(from_plan["max"].as_u64() >= from_start["max"].as_u64(), "{name}");
            assert!(run["hdr_log"].as_str().unwrap().contains(&format!("Tag={name}-planned,")));
        }
    }
    assert!(run["observer"]["pacer_ns"].as_f64().unwrap() > 0.0);
    (code, run)
}

#[test]
fn an_open_loop_starts_what_was_planned() {
    for (arrivals, workers) in [("uniform", "threads"), ("poisson", "processes")] {
        let (_, run) = open_loop(&format!(
            "{SMALL} --rate 2000 --arrivals {arrivals} --workers {workers} --duration 500ms"
        ));
        let planned = run["open_loop"]["planned"].as_f64().unwrap();
        // On a busy machine the window may end later than asked.
        let measured_s = run["window"]["measured_s"].as_f64().unwrap();
        let share = planned / (2000.0 * measured_s);
        let least = if arrivals == "poisson" { 0.85 } else { 0.99 };
        assert!((least..1.2).contains(&share), "{arrivals}: {planned} in {measured_s} s");
        let done = count(&run, "set", "successes") + count(&run, "get", "successes");
        assert!(done <= run["open_loop"]["started"].as_u64().unwrap());
        assert_eq!(run["config"]["arrivals"], arrivals);
    }
}

#[test]
fn a_rate_that_nobody_can_keep_is_called_saturated() {
    let (code, run) = open_loop(&format!("{SMALL} --rate 10G --duration 300ms"));
    assert_eq!(code, Some(4));
    assert!(run["reasons"][0].as_str().unwrap().starts_with("saturated: only"));
    let output = stress(&format!("{SMALL} --rate 10G --ops 5000"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("from the plan") && text.contains("SATURATED"), "{text}");
}

#[test]
fn a_closed_loop_has_no_plan() {
    let run = passes(&format!("{SMALL} --ops 2000"));
    assert!(run["open_loop"].is_null() && run["config"]["rate"].is_null());
    assert_eq!(run["observer"]["pacer_ns"], 0.0);
    assert!(run["operations"]["set"]["latency_from_planned_ns"].is_null());
}

#[test]
fn how_steady_goodput_was_is_in_the_record() {
    let (_, run) = record("run --writers 1 --readers 1 --keys 64 --scrub none --duration 600ms");
    let window = &run["window"];
    let ended = window["warmup_ended"].as_str().unwrap();
    assert!(["steady", "not steady in time"].contains(&ended), "{ended}");
    // On a machine that gives it no time there may be too few looks.
    if !window["steadiness"].is_null() {
        let steady = window["steadiness"]["steady"].as_bool().unwrap();
        assert_eq!(steady, ended == "steady", "{window}");
    } else {
        assert_eq!(ended, "not steady in time");
    }
}

#[test]
fn a_profile_is_in_force_for_threads_and_processes_and_in_the_record() {
    let folder = Folder::new();
    let text =
        "[process]\nspin_ns = 0\nprefetch_depth = 8\n[store]\nscrub = \"full\"\n[workers]\npin = \"none\"\n";
    let path = folder.put("profile.toml", text);
    for workers in ["threads", "processes"] {
        let (code, run) = record(&format!(
            "run --writers 2 --readers 2 --watchers 1 --keys 64 --duration 400ms --warmup 0s --batch 16 --workers {workers} --profile {path} --claim-patience 0"
        ));
        assert_eq!((code, &run["verdict"]), (Some(0), &"pass".into()), "{run}");
        assert_eq!(run["config"]["scrub"], "full");
        assert_eq!(run["config"]["pin"], "none");
        assert_eq!(run["config"]["batch"], 16);
        let tuning = &run["store"]["tuning"];
        assert_eq!(tuning["spin_ns"], 0);
        assert_eq!(tuning["claim_patience"], 0);
        assert_eq!(tuning["prefetch_depth"], 8);
        assert_eq!(tuning["back_off_pauses"], 1024);
    }
    std::fs::write(&path, "[process]\nspin = 0\n").unwrap();
    let output = stress(&format!("run --profile {path}"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("line 2") && error.contains("'spin'"), "{error}");
}

/// Returns how many operations were completed, well or not: what met a claim was tried again.
fn completed(record: &Value) -> u64 {
    let totals = &record["totals"];
    totals["attempts"].as_u64().unwrap() - totals["again"].as_u64().unwrap()
}

#[test]
fn exactly_as_many_operations_are_done_as_were_asked_for() {
    let workers = "run --scrub hybrid --writers 8 --readers 8 --keys 64";
    for flags in [
        "--key-choice single",
        "--batch 16",
        "--rate 100k",
        "--warmup 20ms",
        "--workers processes",
        "--mix get=1,set=1,unset=1",
    ] {
        for ops in [2, 10, 16, 17, 1003] {
            let record = common::record(&format!("{workers} {flags} --ops {ops}")).1;
            assert_eq!(completed(&record), ops, "{flags}");
            assert_ne!(record["verdict"], "fail", "{flags}: {}", record["reasons"]);
        }
    }
}

#[test]
fn refusals_and_updates_that_give_up_are_counted_apart() {
    let operations = "transaction=1,update=2,set_if=2,expire=1";
    let flags = "--writers 3 --readers 2 --keys 12 --key-choice single --ops 6000 --scrub full";
    for workers in ["threads", "processes"] {
        let record = passes(&format!("run {flags} --workers {workers} --mix {operations}"));
        for op in ["transaction", "update", "set_if", "expire"] {
            assert!(count(&record, op, "successes") > 0, "{record}");
            // The keys of the last may have expired whenever they are read.
            let read = if op == "expire" { "attempts" } else { "successes" };
            assert!(count(&record, &format!("read_{op}"), read) > 0, "{record}");
            assert!(record["operations"][op]["latency_ns"]["samples"].as_u64() > Some(0), "{record}");
        }
        // One function of eight gives up.
        let given_up = count(&record, "update", "given_up");
        assert!((30..600).contains(&given_up), "{given_up}");
        assert_eq!(record["invariants"]["expired_reads"], 0);
        let again = record["totals"]["again"].as_u64().unwrap();
        let others = ["successes", "failures", "changed", "given_up"];
        let sum: u64 = others.iter().filter_map(|name| record["totals"][*name].as_u64()).sum();
        assert_eq!(record["totals"]["attempts"].as_u64(), Some(sum + again));
        assert_eq!(sum, 6_000, "what was refused is completed, too");
    }
}

#[test]
fn a_run_in_which_the_workers_of_a_role_did_nothing_is_not_passed() {
    let inconclusive = |flags: &str, role: &str| {
        let (code, record) = common::record(&format!("run --scrub hybrid --keys 64 {flags}"));
        let reasons = record["reasons"].to_string();
        assert_eq!(code, Some(4), "{flags}: {reasons}");
        assert!(reasons.contains(role) && reasons.contains("--ops"), "{reasons}");
    };
    inconclusive("--writers 1 --readers 3 --ops 1", "the readers did nothing");
    // Its writers only read.
    inconclusive("--writers 1 --readers 1 --watchers 1 --mix get=1 --ops 100", "the watchers did nothing");
    passes("run --scrub hybrid --keys 64 --writers 1 --readers 0 --ops 1");
    passes("run --scrub hybrid --keys 64 --writers 0 --readers 1 --ops 1");
}
