//! Runs `topology`, and `run` under each placement policy, as their users do. Machines that are not this one are
//! read where hwloc is built in; without it they are refused with the build that reads them.

mod common;

use common::{passes, refuses, stress};
use serde_json::Value;
use splinter_harness::affinity;
use splinter_testkit::Folder;

/// A run as short as it can be.
const SHORT: &str = "run --scrub hybrid --writers 2 --readers 2 --keys 64 --ops 400";

fn looked(line: &str) -> Value {
    let (code, record) = common::record(line);
    assert_eq!(code, Some(0), "{line}: {record}");
    record
}

/// Returns the processors of a planned placement, by worker.
fn processors(record: &Value) -> Vec<i64> {
    let workers = record["placement"]["workers"].as_array().expect("workers");
    let processor = |worker: &Value| worker["processor"].as_i64().unwrap_or(-1);
    workers.iter().map(processor).collect()
}

#[test]
fn this_machine_is_drawn_with_all_that_it_has() {
    let record = looked("topology");
    assert_eq!((&record["schema_version"], &record["kind"]), (&1.into(), &"topology".into()));
    assert_eq!(record["placement"], Value::Null);
    let machine = &record["machine"];
    let source = if cfg!(feature = "hwloc") { "hwloc" } else { "/sys" };
    assert_eq!(machine["source"], source);
    let output = stress("topology");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty() && output.status.success());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let nodes = machine["nodes"].as_array().unwrap();
    assert!(!nodes.is_empty());
    for node in nodes {
        let line = format!("\nnode {}", node["id"]);
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains(source), "{text}");
}

#[test]
fn a_plan_is_what_a_run_then_does() {
    for pin in ["compact", "scatter", "per-node", "per-core"] {
        let planned = looked(&format!("topology --writers 2 --readers 2 --pin {pin}"));
        let ran = passes(&format!("{SHORT} --pin {pin}"));
        let workers = ran["placement"]["workers"].as_array().unwrap();
        let requested: Vec<i64> =
            workers.iter().map(|worker| worker["requested"].as_i64().unwrap()).collect();
        assert_eq!(processors(&planned), requested, "{pin}");
        assert_eq!(ran["placement"]["topology"], planned["machine"]["source"]);
        for worker in workers {
            let seen = Value::from(vec![worker["requested"].clone()]);
            assert_eq!(worker["observed"], seen, "{pin}");
            assert_eq!(worker["migrations"], 0, "{pin}");
        }
    }
}

#[test]
fn workers_stay_in_the_last_level_cache_that_was_asked_for() {
    let machine = &looked("topology")["machine"];
    let Some(cache) = machine["caches"].as_array().unwrap().first() else {
        splinter_testkit::skipped("pinning to a last-level cache: this machine tells of none");
        return;
    };
    for pin in ["llc:0", "per-llc"] {
        let ran = passes(&format!("{SHORT} --pin {pin} --pin-readers llc:0"));
        let workers = ran["placement"]["workers"].as_array().unwrap();
        let readers = workers.iter().filter(|worker| worker["role"] == "reader");
        for reader in readers {
            let inside = cache["processors"].as_array().unwrap();
            assert!(inside.contains(&reader["observed"][0]), "{pin}: {reader}");
        }
    }
}

#[test]
fn what_this_machine_cannot_serve_is_refused_with_the_flag() {
    let cases = [
        ("--pin node:900", "--pin"),
        ("--pin llc:900", "--pin"),
        ("--pin none --pin-readers node:900", "--pin-readers"),
        ("--pin none --pin-readers llc:900", "--pin-readers"),
        ("--pin per-socket", "per-core"),
    ];
    refuses("run --scrub none --ops 100", &cases);
    refuses("topology", &cases);
    refuses(
        "topology",
        &[
            ("--pin 1500", "--pin"),
            ("--writers 0 --readers 0", "--writers"),
            ("--topology synthetic:", "synthetic:SPEC"),
            ("--record /nowhere/record.json", "/nowhere"),
        ],
    );
}

#[test]
fn run_and_topology_say_the_same_of_processors_that_are_not_there_or_not_for_this_process() {
    let all = affinity::allowed();
    let refused = |cpu: usize, word: &str| {
        for verb in ["run --ops 100", "topology"] {
            for flags in ["--pin", "--pin none --pin-readers"] {
                let flag = &flags[flags.rfind("--").unwrap()..];
                let line = format!("processor {cpu} {word}: change {flag}");
                refuses(verb, &[(&format!("{flags} {cpu}"), &line)]);
            }
        }
    };
    let absent = all.iter().max().unwrap() + 1000;
    refused(absent, "on this machine");
    let &[first, .., other] = &all[..] else {
        splinter_testkit::skipped("a processor outside the affinity mask: there is only one");
        return;
    };
    // What this thread starts has one processor, as under `taskset`.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(affinity::pin(first));
            refused(other, "may not be used by this process");
            let allowed = passes(&format!("{SHORT} --pin {other} --allow-misplacement"));
            assert_eq!(allowed["placement"]["workers"][0]["requested"], other);
        });
    });
}

#[cfg(not(feature = "hwloc"))]
#[test]
fn another_machine_is_refused_with_the_build_that_reads_it() {
    refuses(
        "topology --topology",
        &[("synthetic:pu:4", "--features hwloc"), ("machine.xml", "--features hwloc")],
    );
}

#[cfg(feature = "hwloc")]
#[test]
fn workers_are_planned_on_a_machine_that_is_not_this_one() {
    let flags = "--writers 4 --readers 2 --pin per-node --pin-readers per-core --json";
    let output = common::program()
        .args(["topology", "--topology", "synthetic:pack:2 numa:2 l3:1 core:4 pu:2"])
        .args(flags.split(' '))
        .output()
        .unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(processors(&record), [0, 8, 16, 24, 0, 2]);
    assert_eq!(record["machine"]["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(record["placement"]["workers"][3]["node"], 3);
    assert_eq!(record["placement"]["workers"][3]["cache"], 3);
}

#[cfg(feature = "hwloc")]
#[test]
fn a_file_that_is_no_machine_is_refused() {
    let folder = Folder::new();
    let name = folder.put("no-machine.xml", "<topology>");
    refuses("topology --topology", &[(&name, "lstopo"), ("synthetic:x", "pack:2")]);
}

#[test]
fn a_record_is_kept_where_it_is_wanted() {
    let folder = Folder::new();
    let file = folder.join("topology.json");
    let output = stress(&format!("topology --writers 1 --readers 0 --record {}", file.display()));
    assert!(output.status.success());
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept["placement"]["workers"].as_array().unwrap().len(), 1);
}

/// Starts `topology` on a machine that takes it long to read, and waits until it reads.
#[cfg(feature = "hwloc")]
fn reading(machine: &str) -> std::process::Child {
    let mut command = common::program();
    command.args(["topology", "--topology", machine]);
    command.stdout(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[cfg(feature = "hwloc")]
#[test]
fn a_look_at_a_machine_is_ended_by_the_signals_that_end_programs() {
    use nix::sys::signal::Signal;
    use std::os::unix::process::ExitStatusExt as _;
    // A pipe that somebody has opened, and never writes to.
    let folder = Folder::new();
    let pipe = folder.join("machine.pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for ending in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = reading(&pipe.display().to_string());
        // Opened as soon as it is opened for reading.
        let writer = std::fs::File::options().write(true).open(&pipe).unwrap();
        common::signal(child.id(), ending);
        let status = splinter_testkit::wait_for("its end", || child.try_wait().unwrap());
        assert_eq!(status.signal(), Some(ending as i32));
        drop(writer);
    }
    let alone = pipe.display().to_string();
    refuses("topology --topology", &[(&alone, "nobody writes to it"), ("synthetic:pu:100000", "8192")]);
}
