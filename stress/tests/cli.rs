//! Runs the program as its users do: every kind of load in small, what it prints, what it exits
//! with, and what it leaves behind.

mod common;

use common::{children, count, held, is_gone, passes, program, refuses, signal, stress};
use nix::sys::signal::Signal;
use serde_json::Value;
use splinter_testkit::{Folder, refused, skipped, unique, wait_for, wait_until};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const SMALL: &str = "run --writers 3 --readers 2 --keys 64 --ops 4000 --scrub hybrid";

#[test]
fn every_key_choice_holds() {
    for choice in ["own", "uniform", "zipf:0.99", "hot:4", "single"] {
        let record = passes(&format!("{SMALL} --key-choice {choice}"));
        assert_eq!(record["config"]["key_choice"], choice);
        assert_eq!(count(&record, "set", "successes"), 2400);
        assert_eq!(count(&record, "get", "successes"), 1600 - count(&record, "get", "failures"));
    }
}

#[test]
fn every_operation_holds_at_every_scrub_level() {
    for op in ["get", "set", "append", "int", "tandem", "vector", "label", "unset"] {
        for choice in ["own", "lanes", "hot:4"] {
            let cells =
                passes(&format!("{SMALL} --scrub all --dim 16 --mix set=1,{op}=4 --key-choice {choice}"));
            for cell in cells["cells"].as_array().unwrap() {
                assert!(count(cell, op, "successes") > 0, "{op} by {choice}");
            }
        }
    }
}

#[test]
fn every_operation_together_holds_in_threads_and_processes() {
    let mix = "get=1,set=2,append=2,int=1,tandem=1,vector=1,label=1,unset=1";
    for workers in ["threads", "processes"] {
        let record = passes(&format!(
            "{SMALL} --ops 20k --dim 16 --mix {mix} --key-choice uniform --workers {workers}"
        ));
        for op in ["read_int", "read_tandem", "read_vector"] {
            assert!(count(&record, op, "attempts") > 0, "{op}");
        }
        assert_eq!(record["placement"]["workers"].as_array().unwrap().len(), 5);
    }
}

#[test]
fn caches_hold_in_threads_and_processes() {
    let mix = "get=2,set=3,append=2,vector=1,label=1,unset=1";
    for (evict, workers) in [("sieve", "threads"), ("lru", "processes")] {
        let more = format!(
            "--evict {evict} --workers {workers} --mix {mix} --dim 16 --ops 20k --key-choice uniform"
        );
        for watch in ["", "--watchers 2 --watch-all"] {
            let record = passes(&format!("{SMALL} {more} {watch}"));
            assert_eq!((&record["config"]["evict"], &record["store"]["slots"]), (&evict.into(), &32.into()));
            assert!(record["store"]["evicted"].as_u64().unwrap() > 500, "{}", record["store"]);
            assert!(count(&record, "get", "failures") > 500);
        }
        let text = String::from_utf8(stress(&format!("{SMALL} {more} --batch 4")).stdout).unwrap();
        assert!(text.contains(&format!(" evicted ({evict})")), "{text}");
    }
}

#[test]
fn values_of_every_kind_of_length_hold() {
    for len in ["1", "7", "20", "1..100", "16,64,3000"] {
        passes(&format!("{SMALL} --value-len {len} --mix set=3,get=1,unset=1 --key-choice hot:8"));
    }
}

#[test]
fn named_and_file_stores_are_removed_afterwards() {
    let name = unique();
    let folder = Folder::new();
    let path = folder.join("store");
    for workers in ["threads", "processes"] {
        passes(&format!("{SMALL} --workers {workers} --backing shared:{name}"));
        assert!(!PathBuf::from("/dev/shm").join(&name).exists());
        passes(&format!("{SMALL} --workers {workers} --backing file:{}", path.display()));
        assert!(!path.exists());
    }
}

#[test]
fn a_profile_of_the_environment_that_cannot_be_read_is_reported() {
    let line = "run --ops 5 --writers 1 --readers 1 --no-histogram --json";
    let output = program().args(line.split(' ')).env("SPLINTER_PROFILE", "/nowhere/at/all").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.lines().count()), (Some(0), 1), "{errors}");
    assert!(errors.contains("SPLINTER_PROFILE") && errors.contains("/nowhere/at/all"), "{errors}");
}

#[test]
fn values_that_no_flag_takes_are_refused_in_words_of_the_flag() {
    refuses(
        SMALL,
        &[
            ("--history=", "--history"),
            ("--again 1e9", "'1e9' is no count"),
            ("--again 99G", "too much"),
            ("--backing file:/nonexist/x", "give --backing a file in a folder"),
            ("--backing shared:stress-in --record /dev/shm/stress-in", "this command reads it"),
        ],
    );
    refuses("matrix", &[("--backing shared:stress-in --record /dev/shm/stress-in", "this command reads it")]);
}

#[test]
fn a_store_that_exists_already_is_left_alone() {
    let folder = Folder::new();
    let path = folder.put("taken", "mine");
    let output = stress(&format!("{SMALL} --backing file:{path}"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(folder.get("taken"), "mine");
}

#[test]
fn a_record_has_every_field_that_scripts_rely_on() {
    let record = passes(&format!("{SMALL} --seed 7"));
    assert_eq!(record["schema_version"], 1);
    assert_eq!(record["kind"], "run");
    assert_eq!(record["config"]["seed"], 7);
    for section in
        ["config", "environment", "placement", "operations", "invariants", "observer", "window", "store"]
    {
        assert!(record[section].is_object(), "{section}");
    }
    for op in ["get", "set"] {
        for field in ["attempts", "successes", "again", "failures"] {
            assert!(record["operations"][op][field].is_u64(), "{op}.{field}");
        }
        assert!(record["operations"][op]["goodput_per_s"].as_f64().unwrap() > 0.0);
        for field in ["p50", "p90", "p99", "p999", "p9999", "max"] {
            assert!(record["operations"][op]["latency_ns"][field].is_u64(), "{op}.{field}");
        }
        let sum = ["successes", "again", "failures"].map(|what| count(&record, op, what)).iter().sum::<u64>();
        assert_eq!(count(&record, op, "attempts"), sum);
        assert_eq!(
            count(&record, op, "attempts"),
            record["operations"][op]["latency_ns"]["samples"].as_u64().unwrap()
        );
    }
    for invariant in [
        "torn_reads",
        "stale_leaks",
        "lost_updates",
        "duplicate_keys",
        "spurious_misses",
        "epoch_regressions",
        "stuck_claims",
    ] {
        assert_eq!(record["invariants"][invariant], 0, "{invariant}");
    }
    for field in [
        "cpu_model",
        "caches",
        "nodes",
        "kernel",
        "huge_pages",
        "governor",
        "hypervisor",
        "load_before",
        "build",
    ] {
        assert!(!record["environment"][field].is_null(), "{field}");
    }
    assert!(record["hdr_log"].as_str().unwrap().contains("Tag=set,"));
}

#[test]
fn several_scrub_levels_are_cells_of_one_output() {
    let output = passes(&format!("{SMALL} --scrub all"));
    assert_eq!((&output["schema_version"], &output["kind"]), (&Value::from(1), &Value::from("run")));
    let levels: Vec<&Value> =
        output["cells"].as_array().unwrap().iter().map(|cell| &cell["config"]["scrub"]).collect();
    assert_eq!(levels, ["none", "hybrid", "full"]);
}

#[test]
fn the_record_and_the_histograms_go_where_they_are_wanted() {
    let folder = Folder::new();
    let (record, hdr) = (folder.join("record.json"), folder.join("latency.hdr"));
    let output = stress(&format!("{SMALL} --record {} --hdr {}", record.display(), hdr.display()));
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["goodput/s", "again %", "p99.9", "invariants", "placement", "PASS"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(output.stderr.is_empty(), "nothing is drawn where stderr is no terminal");
    let written: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert_eq!(written["verdict"], "pass");
    assert_eq!(written["hdr_log"].as_str().unwrap(), std::fs::read_to_string(&hdr).unwrap());
}

#[test]
fn a_command_line_that_asks_for_nonsense_is_refused_in_one_line_that_says_what_to_do() {
    // The last flag of a kind counts, so a case may give one again.
    refuses(
        "run --scrub none --duration 100ms --warmup 0s",
        &[
            ("--writers 0 --readers 0", "--writers"),
            ("--keys 5 --writers 32", "--keys"),
            ("--key-choice pareto", "zipf:THETA"),
            ("--mix put=1", "get, set, append"),
            ("--mix append=1 --value-len 16", "--value-len"),
            ("--value-len 9..3", "3..9"),
            ("--scrub some", "none, hybrid, full or all"),
            ("--pin 3-", "0-3,8"),
            ("--node 0 --interleave", "--help"),
            ("--node 4000", "--node"),
            ("--duration soon", "500ms"),
            ("--ops 0", "--ops"),
            ("--backing tape", "shared:NAME"),
            ("--backing shared:a/b", "--backing"),
            ("--dim 2 --mix vector", "--dim"),
            ("--slots 10 --keys 64", "--slots"),
            ("--frobnicate", "--help"),
        ],
    );
}

#[test]
fn pinned_workers_are_where_they_were_asked_to_be() {
    let cpu = this_processor();
    let record = passes(&format!("{SMALL} --pin {cpu}"));
    assert_eq!(record["placement"]["oversubscribed"], true);
    assert_eq!(record["labels"][0], "oversubscribed");
    for worker in record["placement"]["workers"].as_array().unwrap() {
        assert_eq!(worker["requested"], cpu);
        assert_eq!(worker["observed"], Value::from(vec![cpu]));
        assert_eq!(worker["migrations"], 0);
    }
}

#[test]
fn a_run_that_cannot_be_placed_as_asked_is_refused_unless_that_is_allowed() {
    refuses(SMALL, &[("--pin 1500", "no processor 1500")]);
    let lenient = passes(&format!("{SMALL} --pin 1500 --allow-misplacement"));
    assert!(count(&lenient, "set", "successes") > 0);
    let misplaced = &lenient["placement"]["misplaced"][0];
    assert!(misplaced.as_str().unwrap().contains("1500"));
}

#[test]
fn memory_is_bound_and_the_proof_is_in_the_record() {
    let node = 0;
    let record = passes(&format!("{SMALL} --node {node}"));
    assert_eq!(record["placement"]["memory"]["resident_share"], 1.0);
    let record = passes(&format!("{SMALL} --interleave"));
    assert_eq!(record["placement"]["memory"]["requested"], "interleave");
}

#[test]
fn what_is_switched_off_costs_nothing_and_is_labelled() {
    let record = passes(&format!("{SMALL} --no-oracle --no-histogram"));
    assert_eq!(record["observer"]["per_write_ns"], 0.0);
    assert_eq!(record["operations"]["set"]["latency_ns"]["samples"], 0);
    let labels = record["labels"].to_string();
    assert!(labels.contains("without oracle"), "{labels}");
    let sampled = passes(&format!("{SMALL} --sample 10"));
    let samples = sampled["operations"]["set"]["latency_ns"]["samples"].as_u64().unwrap();
    assert!(samples.abs_diff(count(&sampled, "set", "attempts") / 10) <= 3, "{samples}");
}

#[test]
fn a_run_counts_the_events_of_its_workers_where_the_kernel_lets_it() {
    for workers in ["threads", "processes"] {
        let record = passes(&format!("{SMALL} --workers {workers}"));
        let events = &record["per_operation"];
        if let Err(why) = splinter_harness::counters::software() {
            assert!(events["page_faults"].is_null(), "{events}");
            skipped(&format!("software counters of {workers}: {why}"));
            continue;
        }
        for event in ["page_faults", "context_switches", "task_clock_ns"] {
            assert!(events[event].is_f64(), "{event} of {workers}: {events}");
        }
        assert!(events["task_clock_ns"].as_f64().unwrap() > 0.0, "{events}");
    }
    let text = String::from_utf8(stress(SMALL).stdout).unwrap();
    let events = text.lines().find(|line| line.starts_with("  events     ")).unwrap();
    assert!(events.contains("instructions") && events.contains("task clock ns"), "{events}");
}

#[test]
fn the_environment_turns_the_counters_of_a_run_off() {
    let line = format!("{SMALL} --json");
    let output = program().args(line.split(' ')).env("SPLINTER_COUNTERS", "off").output().unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(record["per_operation"].is_null(), "{record}");
    assert_eq!(record["environment"]["hardware_counters"], "unavailable: SPLINTER_COUNTERS=off");
}

#[test]
fn a_fixed_time_is_measured_after_a_warm_up() {
    let flags = "run --writers 2 --readers 1 --keys 64 --scrub none --duration 200ms --warmup 100ms";
    let record = passes(flags);
    assert_eq!(record["window"]["warmup_ended"], "fixed");
    assert!(record["window"]["measured_s"].as_f64().unwrap() >= 0.2);
}

#[test]
fn a_killed_worker_is_reported_and_nothing_waits_for_it() {
    let child = program()
        .args("run --workers processes --writers 4 --readers 0 --keys 64 --scrub none --duration 2s --warmup 0s --json".split(' '))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let worker = wait_for("the workers", || children(child.id()).into_iter().nth(2));
    signal(worker, Signal::SIGKILL);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["invariants"]["lost_workers"], 1);
    for invariant in ["torn_reads", "lost_updates", "duplicate_keys", "spurious_misses", "epoch_regressions"]
    {
        assert_eq!(record["invariants"][invariant], 0, "{invariant}");
    }
    assert!(record["reasons"].to_string().contains("killed by signal 9"));
}

#[test]
fn watchers_lose_nothing() {
    let loads = [
        "--watch-groups 5 --mix set=4,append=1,int=1,tandem=1,vector=1,label=1 --dim 16",
        "--watch-all --mix set=3,unset=1",
        "--no-oracle --workers processes",
        "--workers processes --watch-groups 2 --key-choice single",
    ];
    for load in loads {
        // Long enough for a watcher to get its turn on a busy machine.
        let run = "run --writers 3 --readers 2 --keys 64 --duration 400ms --warmup 0s --scrub hybrid";
        let record = passes(&format!("{run} --watchers 3 {load}"));
        let taken = &record["notifications"];
        let number = |name: &str| taken[name].as_u64().unwrap();
        // On a busy machine all of a short run may have been overwritten before a watcher came to look.
        assert!(number("taken") + number("missed") > 0, "{load}: {taken}");
        if !load.contains("--watch-all") {
            assert_eq!(number("taken") + number("missed"), number("signalled"), "{load}");
        }
        let workers = record["placement"]["workers"].as_array().unwrap();
        assert_eq!(workers.iter().filter(|worker| worker["role"] == "watcher").count(), 3);
    }
    assert!(passes(SMALL)["notifications"].is_null());
}

#[test]
fn watchers_time_changes_where_values_hold_the_time() {
    // Long enough for a watcher to get its turn; how much it takes in it does not matter.
    let load = "run --writers 1 --watchers 1 --readers 0 --keys 64 --scrub none --warmup 0s";
    for (more, timed) in [("", true), ("--value-len 39", false), ("--no-oracle", false)] {
        let taken = &passes(&format!("{load} --duration 500ms {more}"))["notifications"];
        assert_eq!(number_of(taken, "latency_ns", "samples") > 0, timed, "{more}: {taken}");
        assert!(taken["goodput_per_s"].as_f64().unwrap() > 0.0, "{taken}");
    }
}

fn number_of(value: &Value, field: &str, name: &str) -> u64 {
    value[field][name].as_u64().unwrap()
}

#[test]
fn a_write_wakes_another_process_in_every_way_there_is() {
    let folder = Folder::new();
    let path = folder.join("wake");
    let output = program()
        .args(["wake", "--quick", "--json"])
        .arg(format!("--record={}", path.display()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let record: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert!(held(output.status.code(), &record), "{}", record["reasons"]);
    assert_eq!(record["kind"], "wake");
    assert_eq!(record["invariants"]["lost_wakes"], 0);
    let rows = record["rows"].as_array().unwrap();
    for row in rows {
        let measured = number_of(row, "one_way_ns", "samples") > 0;
        assert_eq!(measured, row["not_measured"].is_null(), "{row}");
    }
    // On one processor there is that situation, on two there are all.
    let same = |row: &&Value| row["situation"] == "same" && row["name"] == "watcher, asleep";
    let row = rows.iter().find(same).unwrap();
    assert!(row["ratio"].as_f64().unwrap() > 0.0, "{row}");
    for way in record["fan_out"].as_array().unwrap() {
        assert_eq!(way["woken"].as_u64().unwrap(), 31 * way["calls"].as_u64().unwrap());
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept, record);
}

#[test]
fn a_wake_that_cannot_be_measured_is_refused_in_one_line() {
    let here = this_processor();
    let twice = format!("--cpu-a {here} --cpu-b {here}");
    refuses(
        "wake",
        &[
            ("--rounds 0", "--rounds"),
            ("--cpu-a 1000000", "--cpu-a"),
            (&twice, "--cpu-b"),
            ("--quick --rounds 3", "--quick"),
        ],
    );
}

#[test]
fn latencies_of_a_comparison_are_those_of_a_write() {
    let output = stress("run --scrub all --writers 1 --readers 3 --mix int=1 --ops 3k");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cell = |line: &str, name: &str| {
        let mut words = line.split_whitespace();
        words.position(|word| word == name).map(|_| {
            // Behind the name: two rates with their units, a share, and the median with its unit.
            line.split("  ").map(str::trim).filter(|it| !it.is_empty()).nth(4).map(str::to_owned)
        })
    };
    let medians: Vec<_> = text.lines().filter_map(|line| cell(line, "int").flatten()).collect();
    let table = text.split_once("scrub levels compared").expect("a comparison").1;
    assert_eq!(medians.len(), 3, "{text}");
    for median in medians {
        assert!(table.contains(&median), "{median} is not in {table}");
    }
}

#[test]
fn an_interrupted_run_keeps_what_it_has_and_leaves_nothing_behind() {
    for (workers, ended_by) in [("threads", Signal::SIGINT), ("processes", Signal::SIGHUP)] {
        let name = unique();
        let path = PathBuf::from("/dev/shm").join(&name);
        let child = program()
            .args([
                "run",
                "--workers",
                workers,
                "--writers=2",
                "--readers=1",
                "--keys=64",
                "--duration=10m",
                "--json",
            ])
            .args(["--warmup=0s", &format!("--backing=shared:{name}")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until("the store", || path.exists());
        let workers = if workers == "processes" {
            wait_for("the workers", || Some(children(child.id())).filter(|all| all.len() == 3))
        } else {
            vec![]
        };
        // Long enough for the clock to have started; nothing depends on how long.
        std::thread::sleep(Duration::from_millis(500));
        signal(child.id(), ended_by);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(record["window"]["interrupted"], true);
        assert_eq!(record["verdict"], "inconclusive");
        assert!(!path.exists());
        for worker in workers {
            assert!(!PathBuf::from(format!("/proc/{worker}")).exists());
        }
    }
}

#[test]
fn a_killed_run_takes_its_worker_processes_with_it() {
    let mut child = program()
        .args("run --workers processes --writers 2 --readers 1 --keys 64 --duration 10m".split(' '))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let workers = wait_for("the workers", || Some(children(child.id())).filter(|all| all.len() == 3));
    child.kill().unwrap();
    child.wait().unwrap();
    for worker in workers {
        wait_until("its end", || is_gone(worker));
    }
}

/// Returns a processor that this process may use.
fn this_processor() -> u64 {
    splinter_harness::affinity::allowed()[0] as u64
}

#[test]
fn completions_and_pages_have_every_command_and_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let output = stress(&format!("completions {shell}"));
        let text = String::from_utf8(output.stdout).unwrap();
        for word in ["key-choice", "hostile", "completions"] {
            assert!(text.contains(word), "{word} for {shell}");
        }
        assert!(!text.contains("wake-responder"), "what is hidden stays so");
    }
    let temporary = Folder::new();
    let folder = temporary.join("manual");
    let output = stress(&format!("manual {}", folder.display()));
    let pages = String::from_utf8(output.stdout).unwrap();
    for verb in ["run", "kill", "sweep"] {
        let page = folder.join(format!("splinter-stress-{verb}.1"));
        assert!(pages.lines().any(|line| line == page.to_string_lossy()), "{pages}");
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.contains(".SH OPTIONS"), "{verb}");
    }
    // Pages that do not fit leave those that are there as they were.
    let page = folder.join("splinter-stress-run.1");
    let before = std::fs::read(&page).unwrap();
    let script = format!("ulimit -f 1; exec $0 manual {}", folder.display());
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &script, env!("CARGO_BIN_EXE_splinter-stress")]).output().unwrap();
    refused(&output, "manual", &["cannot write", "ulimit -f"]);
    assert_eq!(std::fs::read(&page).unwrap(), before);
    let output = program().args(["manual", ""]).output().unwrap();
    refused(&output, "manual ''", &["<FOLDER>"]);
}
