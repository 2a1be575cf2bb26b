//! The command as its users meet it: what goes to which stream, which exit codes, which fields. No figure is
//! asserted: these runs are far too short to mean anything.

mod common;

use common::{Folder, PROGRAM, spawn, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

fn perf(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the command starts")
}

fn record(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON record")
}

/// Asserts that a command's exit code is that of its verdict. Returns the verdict.
fn agreed(output: &Output) -> String {
    let record = record(output);
    let verdict = record["verdict"].as_str().unwrap_or_default().to_owned();
    let code = match verdict.as_str() {
        "pass" => 0,
        "fail" => 1,
        _ => 4,
    };
    assert_eq!(output.status.code(), Some(code), "{record:#}");
    verdict
}

/// Asserts that a command passed, or would have if others had not disturbed it.
fn held(output: &Output) {
    let reasons = record(output)["reasons"].to_string();
    let verdict = agreed(output);
    assert!(verdict == "pass" || reasons.contains("DISTURBED"), "{reasons}");
}

/// Ends a command as Ctrl-C does.
fn interrupt(child: &Child) {
    let process = Pid::from_raw(child.id() as i32);
    kill(process, Signal::SIGINT).expect("it is there until it is waited for");
}

/// Waits for something that happens soon, but not for ever: what follows fails if it did not.
fn wait_for(holds: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_machine_without_threads_is_said_in_one_line() {
    for line in ["micro --only inc", "limits", "reproduce", "tune", "gate --base HEAD", "doctor"] {
        // A stack of a thread does not fit, all else does.
        let script = format!("RUST_MIN_STACK=1000000000 exec {PROGRAM} {line}");
        let limited = Command::new("sh").args(["-c", &format!("ulimit -v 900000; {script}")]).output();
        let output = limited.expect("a shell starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
        assert!(said.contains("cannot start a thread") && said.contains("ulimit -u"), "{line}: {said}");
    }
}

#[test]
fn a_record_is_all_that_goes_to_standard_output() {
    let output = perf(&["micro", "--json", "--quick", "--rounds", "2", "--only", "64 B"]);
    agreed(&output);
    assert_eq!(text(&output.stderr), "", "no progress where there is no terminal");
    let record = record(&output);
    assert_eq!(record["schema_version"], 1);
    assert_eq!(record["kind"], "micro");
    assert!(record["verdict"].is_string());
    assert!(record["environment"]["processors"].as_u64().is_some_and(|count| count > 0));
    let rows = record["rows"].as_array().expect("rows is a list");
    assert!(rows.len() >= 4);
    for row in rows {
        let name = row["name"].as_str().expect("a row has a name");
        let value = if name.contains("32 writers") { &row["value_per_s"] } else { &row["value_ns"] };
        // What something adds to another row may come out as less than nothing.
        assert!(value.as_f64().is_some_and(|value| value > 0.0 || name.ends_with(", added")), "{row}");
        assert!(row["limit"].as_f64().is_some_and(|limit| limit > 0.0), "{row}");
        assert!(row["ratio"].is_f64() && row["target"].is_f64() && row["limit_name"].is_string(), "{row}");
        assert!(row["met"].is_boolean() || row["problem"].is_string(), "{row}");
    }
}

#[test]
fn only_the_limits_that_rows_need_are_measured() {
    let output = perf(&["micro", "--json", "--quick", "--rounds", "1", "--only", "inc"]);
    let record = record(&output);
    let names = |list: &str| -> Vec<String> {
        let list = record[list].as_array().expect("a list");
        list.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("rows"), ["inc", "inc, 32 threads on one counter"]);
    assert_eq!(names("limits"), ["xadd", "xadd, 32 threads on one line"]);
}

#[test]
fn the_table_is_for_people() {
    let output = perf(&["micro", "--quick", "--rounds", "1", "--only", "create"]);
    let out = text(&output.stdout);
    assert!(out.starts_with("operation"), "{out}");
    assert!(out.contains("create 64 GiB") && out.contains("verdict: "), "{out}");
}

#[test]
fn limits_are_measured_alone_too() {
    let output = perf(&["limits", "--json", "--quick", "--rounds", "1", "--only", "xadd"]);
    held(&output);
    let record = record(&output);
    assert_eq!(record["kind"], "limits");
    assert!(record["rows"][0]["value_ns"].as_f64().is_some_and(|ns| ns > 0.0));
    assert!(record["rows"][1]["value_per_s"].as_f64().is_some_and(|rate| rate > 0.0));
}

#[test]
fn every_two_processors_have_a_place_in_the_matrix() {
    let output = perf(&["limits", "--json", "--quick", "--rounds", "1", "--only", "core to core"]);
    let record = record(&output);
    let count = record["environment"]["processors"].as_u64();
    let rows = record["core_to_core"]["ns"].as_array().expect("a matrix");
    assert_eq!(Some(rows.len() as u64), count);
    for (from, row) in rows.iter().enumerate() {
        for (to, ns) in row.as_array().expect("a row").iter().enumerate() {
            assert_eq!(ns.is_f64(), from != to, "from {from} to {to}: {ns}");
        }
    }
    assert_eq!(record["rows"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_claim_has_its_configuration_its_figures_and_its_finding() {
    let output = perf(&["reproduce", "--quick", "--only", "latency", "--json"]);
    let record = record(&output);
    assert_eq!((&record["schema_version"], &record["kind"]), (&1.into(), &"reproduce".into()));
    assert!(record["environment"].is_object());
    let cells = record["cells"].as_array().expect("cells is a list");
    assert_eq!(cells.len(), 1);
    let cell = &cells[0];
    assert_eq!(cell["claim"], "latency");
    let findings = ["reproduced", "not_reproduced", "not_comparable", "inconclusive"];
    assert!(findings.iter().any(|finding| cell["verdict"] == *finding), "{cell}");
    assert!(cell["measured_ns"].as_f64().is_some_and(|ns| ns > 0.0), "{cell}");
    assert!(cell["configuration"].is_string() && cell["hardware"].is_string());
    agreed(&output);
}

#[test]
fn a_search_ends_with_a_finding_and_a_profile_that_the_suite_runs_under() {
    let scratch = Folder::new("tune");
    let (profile, kept) = (scratch.0.join("profile.toml"), scratch.0.join("tune.json"));
    let arguments = "tune --quick --json --writers 2 --readers 1 --keys 64 --key-choice uniform \
        --candidates 4 --rounds 2 --duration 30ms --warmup 0s";
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.extend(["--out", profile.to_str().expect("a path of text")]);
    arguments.extend(["--record", kept.to_str().expect("a path of text")]);
    let output = perf(&arguments);
    let record = record(&output);
    held(&output);
    assert_eq!(record["kind"], "tune");
    assert_eq!(record["broken"], 0);
    let finding = record["finding"].as_str().expect("a finding");
    // Two rounds can show nothing.
    assert_eq!(finding, "nothing_beats_the_default");
    assert!(record["candidates"].as_array().is_some_and(|all| all.len() >= 4));
    assert_eq!(fs::read_to_string(&kept).expect("it is kept"), text(&output.stdout));
    let written = fs::read_to_string(&profile).expect("a profile");
    assert!(written.starts_with("# Made by"), "{written}");
    let file = profile.to_str().expect("a path of text");
    let output =
        perf(&["micro", "--quick", "--rounds", "1", "--json", "--only", "get 64 B", "--profile", file]);
    assert_eq!(self::record(&output)["config"]["tuning"]["claim_patience"], 32);
}

#[test]
fn interrupted_rounds_are_kept_and_said_to_be_fewer() {
    for verb in ["micro", "limits"] {
        let only = if verb == "micro" { "get 64 B" } else { "L1 chase" };
        let arguments = [verb, "--json", "--quick", "--rounds", "1000000", "--only", only];
        let measured = spawn(Command::new(PROGRAM).args(arguments));
        // Once it takes the signal: bit 2 of those that it catches.
        wait_for(|| {
            let status = fs::read_to_string(format!("/proc/{}/status", measured.id()));
            let status = status.unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            caught.is_some_and(|mask| mask & 0b10 != 0)
        });
        interrupt(&measured);
        let output = measured.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
        let record = record(&output);
        assert_eq!(record["kind"], verb);
        assert_eq!(record["verdict"], "inconclusive");
        let why = record["reasons"][0].as_str().expect("a reason");
        assert!(why.starts_with("interrupted"), "{why}");
    }
}

#[test]
fn an_interrupted_search_keeps_what_it_has_and_leaves_no_store_behind() {
    let name = splinter_testkit::unique();
    let store = Path::new("/dev/shm").join(&name);
    let line =
        format!("tune --json --writers 1 --readers 1 --keys 64 --candidates 100 --backing shared:{name}");
    let search = spawn(Command::new(PROGRAM).args(line.split(' ')));
    // The first run has begun once its store is there.
    wait_for(|| store.exists());
    interrupt(&search);
    let output = search.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let record = record(&output);
    assert_eq!(
        (record["finding"].as_str(), record["verdict"].as_str()),
        (Some("unfinished"), Some("inconclusive"))
    );
    assert_eq!(record["reasons"][0], "interrupted");
    assert_eq!(record["profile"], Value::Null);
    assert!(!store.exists());
}

#[test]
fn an_unknown_name_is_a_usage_error_that_lists_the_known_ones() {
    for (arguments, hint) in [
        (&["micro", "--only", "no such row"][..], "get 64 B"),
        (&["limits", "--only", "no such limit"][..], "L2 chase"),
        (&["micro", "--processor", "99999"][..], "counted from 0"),
        (&["micro", "--rounds", "0"][..], "--rounds"),
        (&["gate"][..], "--base"),
        (&["gate", "--base", "no such revision"][..], "no revision"),
        (&["gate", "--base", "Cargo.toml"][..], "no baseline"),
        (
            &["gate", "--base", "/bin/true", "--head", "/bin/cat", "--tier", "time"][..],
            "/cat is not a splinter-probe",
        ),
        (
            &["gate", "--base", "/bin/cat", "--head", "/bin/true", "--tier", "time"][..],
            "/true is not a splinter-probe",
        ),
        (&["reproduce", "--only", "no such claim"][..], "throttled"),
        (&["reproduce", "--record", "/nowhere/at/all"][..], "give a path"),
        (&["micro", "--profile", "Cargo.toml"][..], "line 1"),
        (&["tune", "--scrub", "all"][..], "--scrub"),
        (&["tune", "--ops", "5k"][..], "--duration"),
        (&["tune", "--p99", "soon"][..], "1.2x"),
        (&["tune", "--objective", "wake"][..], "--watchers"),
        (&["tune", "--rate", "1k"][..], "--objective p99"),
        (&["tune", "--out", "/nowhere/at/all"][..], "give a path"),
        (&["peers", "--only", "no such entrant"][..], "papaya"),
        (&["peers", "--load", "no such load"][..], "one gets"),
        (&["peers", "--peer-library", "/nowhere/at/all"][..], "there is no library"),
        (&["peers", "--record", "/nowhere/at/all"][..], "give a path"),
        (&["limits", "--rounds", "1e9"][..], "is no count: give a whole number"),
        (&["no-such-verb"][..], "splinter-perf"),
    ] {
        let output = perf(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(text(&output.stderr).contains(hint), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn the_doctor_says_of_each_check_whether_it_is_good_and_records_keep_that() {
    let output = perf(&["doctor", "--json"]);
    let verdict = agreed(&output);
    let checks = record(&output)["doctor"].clone();
    let checks = checks.as_array().expect("a list of checks").clone();
    let names: Vec<&str> = checks.iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&"clock cost") && names.contains(&"quota"), "{names:?}");
    let bad = checks.iter().any(|check| check["fitness"] == "bad");
    assert_eq!(verdict == "inconclusive", bad);
    let measured = perf(&["limits", "--json", "--quick", "--rounds", "1", "--only", "rdtsc"]);
    let kept = record(&measured)["doctor"].clone();
    assert_eq!(kept.as_array().map(Vec::len), Some(checks.len()));
}

#[test]
fn a_missed_target_fails() {
    // A debug build misses all of them.
    let output = perf(&["micro", "--json", "--quick", "--rounds", "3", "--only", "set 64 B"]);
    let missed = |row: &Value| row["met"] == false && row["clear"] == true;
    let rows = record(&output)["rows"].clone();
    let any = rows.as_array().expect("rows is a list").iter().any(missed);
    let disturbed = record(&output)["reasons"].to_string().contains("DISTURBED");
    assert_eq!(agreed(&output) == "fail", any && !disturbed);
}

/// Makes a folder, and within it one for the gate's temporary files.
fn scratch(name: &str) -> Folder {
    let folder = Folder::new(name);
    fs::create_dir(folder.0.join("tmp")).expect("a folder can be made");
    folder
}

fn gate(scratch: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("gate").args(arguments).env("TMPDIR", scratch.0.join("tmp"));
    command
}

/// Counts what the gate left in its temporary folder.
fn left(scratch: &Folder) -> usize {
    fs::read_dir(scratch.0.join("tmp")).expect("the folder is there").count()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"];
    let output = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output();
    let output = output.expect("git starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_repository_that_git_does_not_open_is_given_with_gits_own_reason() {
    let scratch = scratch("unopened");
    let mut gate = gate(&scratch, &["--base", "HEAD", "--head", "HEAD"]);
    let output = gate.env("GIT_DIR", scratch.0.join("none")).output().expect("the command starts");
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("'HEAD' is no") && said.contains("not a git repository"), "{said}");
}

#[test]
fn a_revision_that_does_not_build_is_said_so_and_its_work_tree_is_removed() {
    let scratch = scratch("revision");
    let tree = scratch.0.join("tree");
    let files = [
        ("Cargo.toml", "[workspace]\nmembers = [\"splinter\"]\nresolver = \"3\"\n"),
        ("splinter/Cargo.toml", "[package]\nname = \"splinter\"\nversion = \"0.0.0\"\nedition = \"2024\"\n"),
        ("splinter/src/lib.rs", "//! No store.\n"),
    ];
    fs::create_dir_all(tree.join("splinter/src")).expect("a folder can be made");
    for (name, content) in files {
        fs::write(tree.join(name), content).expect("a file can be written");
    }
    git(&tree, &["init", "--quiet"]);
    git(&tree, &["add", "--all"]);
    git(&tree, &["commit", "--quiet", "--message", "Begin"]);
    let mut gate = gate(&scratch, &["--base", "HEAD", "--head", "HEAD", "--tier", "instructions"]);
    let output = gate.current_dir(&tree).output().expect("the command starts");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("building the probe with the store of HEAD") && said.contains("error"), "{said}");
    assert_eq!(left(&scratch), 0);
    assert_eq!(git(&tree, &["worktree", "list"]).lines().count(), 1);
}

#[test]
fn an_interrupted_gate_says_so_and_leaves_nothing_behind() {
    let scratch = scratch("interrupted");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let arguments = ["--json", "--base", root, "--head", root, "--tier", "instructions"];
    let mut gate = gate(&scratch, &arguments);
    let gate = spawn(&mut gate);
    // It compiles by then, or is about to: whenever it is told, it ends.
    wait_for(|| left(&scratch) > 0);
    interrupt(&gate);
    let output = gate.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let record = record(&output);
    assert_eq!((record["kind"].as_str(), record["verdict"].as_str()), (Some("gate"), Some("inconclusive")));
    assert_eq!(record["interrupted"], true);
    assert_eq!(left(&scratch), 0);
}
