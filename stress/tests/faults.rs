//! Runs the program on machines that refuse: no room in shared memory, no descriptors, no memory, nowhere to write. It says
//! so in one line, exits with 2 or 4, and leaves nothing behind.

mod common;

use common::program;
use splinter_testkit::Folder;
use splinter_testkit::confined::with_tmpfs;
use std::process::{Command, Output, Stdio};

const LOAD: &str = "run --writers 3 --readers 2 --keys 64 --scrub hybrid --warmup 0s --ops 2000";
/// A run that takes too long: it must be refused before it begins.
const LONG: &str = "run --writers 1 --readers 0 --keys 8 --warmup 0s --duration 1h";

/// Runs a script of the shell's, in which `$0` is the program.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_splinter-stress")]).stdin(Stdio::null());
    command
}

/// Runs a script where a small file system is the shared memory. Nothing where there can be none.
fn with_small_memory(script: &str) -> Option<Output> {
    let what = "the program with small file systems";
    let command = with_tmpfs(what, "/dev/shm", "size=256k,mode=1777", script);
    Some(command?.arg(env!("CARGO_BIN_EXE_splinter-stress")).output().expect("it went a moment ago"))
}

/// Asserts that a run was refused with `code` and one line that holds `parts`, and that `left` is all it left.
fn refused(output: &Output, code: i32, parts: &[&str], left: &str) {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!((errors.lines().count(), &*out), (1, left), "{errors}");
    assert!(errors.starts_with("splinter-stress: "), "{errors}");
    assert!(parts.iter().all(|part| errors.contains(part)), "{errors}");
}

#[test]
fn a_store_that_does_not_fit_into_shared_memory_is_refused() {
    for backing in ["shared:stress-full", "file:/dev/shm/stress-full"] {
        // What is left is listed behind.
        let script =
            format!("$0 {LOAD} --slots 8192 --backing {backing}; code=$?; ls -A /dev/shm; exit $code");
        let Some(output) = with_small_memory(&script) else {
            return;
        };
        let parts = ["cannot reserve the memory of /dev/shm/stress-full", "free some room there"];
        refused(&output, 4, &parts, "");
    }
}

#[test]
fn a_run_whose_record_cannot_be_written_does_not_begin() {
    for flag in ["--record", "--hdr"] {
        let read_only = "mount -o remount,ro /dev/shm";
        let script = format!("{read_only} && timeout 60 $0 {LONG} {flag} /dev/shm/results");
        let Some(output) = with_small_memory(&script) else {
            return;
        };
        refused(&output, 2, &["cannot write /dev/shm/results", "Read-only", "give a path"], "");
    }
    let output = shell("timeout 60 $0 wake --record /proc/nowhere/record").output().unwrap();
    refused(&output, 2, &["cannot write /proc/nowhere/record", "give a path"], "");
}

#[test]
fn looking_whether_a_record_can_be_written_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let (old, new) = (folder.join("old"), folder.join("new"));
    std::fs::write(&old, "an older record").unwrap();
    let script =
        format!("$0 {LOAD} --record '{}' --hdr '{}' --backing shared:no/name", old.display(), new.display());
    refused(&shell(&script).output().unwrap(), 2, &["--backing"], "");
    assert_eq!(std::fs::read(&old).unwrap(), b"an older record");
    assert!(!new.exists());
}

#[test]
fn without_descriptors_a_run_says_so() {
    for (workers, limits) in [("threads", 4..6), ("processes", 4..9)] {
        for limit in limits {
            let script = format!("ulimit -n {limit}; exec $0 {LOAD} --workers {workers}");
            let output = shell(&script).output().unwrap();
            refused(&output, 4, &["Too many open files", "ulimit -n"], "");
        }
    }
}

#[test]
fn without_threads_a_verb_says_so() {
    let folder = Folder::new();
    let history = folder.put("history", "{\"schema_version\":1,\"kind\":\"history\",\"cycle_ns\":0.5}\n");
    let history = format!("history {history}");
    let matrix = "matrix --writers 1 --readers 0 --ops 5";
    for verb in [LOAD, &history, "numa", matrix, "sweep --quick", "wake --quick"] {
        // As with a limit on processes: no thread has room for its stack.
        let script = format!("export RUST_MIN_STACK=100000000000000; exec $0 {verb}");
        let output = shell(&script).output().unwrap();
        refused(&output, 4, &["thread could not be started", "ulimit -u"], "");
    }
}

#[test]
fn without_memory_a_run_says_so() {
    // Room for the program, however large it is built, and far from enough for the store.
    let output = shell(&format!("ulimit -v 400000; exec $0 {LOAD} --slots 8M")).output().unwrap();
    refused(&output, 4, &["Cannot allocate memory", "ulimit -v"], "");
}

#[test]
fn without_memory_a_history_is_not_read() {
    let header = "{\"schema_version\":1,\"kind\":\"history\",\"cycle_ns\":1}\n";
    let line = |key: &str| {
        format!(
            "{{\"invoked\":1,\"returned\":1,\"worker\":0,\"object\":\"value\",\"key\":\"{key}\",\"operation\":\"get\"}}\n"
        )
    };
    let folder = Folder::new();
    // Many operations of one key, and many keys, which are long.
    let operations = line("k").repeat(300_000);
    let keys: String = (0..40_000).map(|number| line(&format!("{number:01000}"))).collect();
    for lines in [operations, keys] {
        let history = folder.put("history", header.to_owned() + &lines);
        let output = shell(&format!("ulimit -v 50000; exec $0 history {history}")).output().unwrap();
        refused(&output, 4, &["not enough memory", "ulimit -v"], "");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_reported_and_not_taken_for_a_pass() {
    let full = || std::fs::File::options().write(true).open("/dev/full");
    for line in
        ["run --scrub none --writers 1 --readers 0 --ops 100 --json", "topology --json", "completions bash"]
    {
        let mut command = program();
        command.args(line.split(' '));
        let output = command.stdout(full().unwrap()).stderr(Stdio::piped()).spawn();
        let output = output.unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot write the result"), "{line}: {said}");
    }
}
