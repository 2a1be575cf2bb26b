//! Tests with closed standard input and output: lost output is an error, and commands that need neither work.

mod common;

use common::{Bench, Outcome, run};
use std::process::Command;

/// Runs a line in a shell, which can close the program's standard streams.
fn shell(bench: &Bench, line: &str) -> Outcome {
    let mut command = Command::new("sh");
    bench.prepare(command.args(["-c", line]));
    run(&mut command, b"")
}

#[test]
fn who_has_something_to_print_and_nowhere_to_print_it_fails_and_says_so() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let closed = "cannot write the output: Bad file descriptor (os error 9)";
    for words in ["get k", "list", "export", "--json set k v", "logtee - --once", "get --help"] {
        let told = shell(&bench, &format!("splinterctl -u {store} {words} >&-"));
        match words.strip_prefix("--json ") {
            Some(_) => {
                told.failed(1, &format!("{{\"error\":\"set: {closed}\",\"exit_code\":1}}"));
            }
            None => {
                let verb = words.split(' ').next().unwrap();
                told.failed(1, &format!("splinterctl: {verb}: {closed}"));
            }
        }
    }
    for words in ["--help", "--version", "--completions bash"] {
        shell(&bench, &format!("splinterctl {words} >&-")).failed(1, &format!("splinterctl: {closed}"));
    }
    shell(&bench, &format!("echo get k | splinter_cli -u {store} >&-"))
        .failed(1, &format!("splinter_cli: line 1: get: {closed}"));
    // Without an error line there is still the exit code.
    assert_eq!(shell(&bench, &format!("splinterctl -u {store} get k >&- 2>&-")).code, Some(1));
}

#[test]
fn who_prints_nothing_needs_no_standard_output() {
    let bench = Bench::new();
    let store = bench.init("s");
    shell(&bench, &format!("splinterctl -u {store} set k v <&- >&-")).good();
    shell(&bench, &format!("splinterctl -u {store} unset k >&-")).good();
    shell(&bench, &format!("echo set k w | splinter_cli -u {store} >&-")).good();
    assert_eq!(bench.good(&store, &["get", "k"]), "1:w\n");
    // Output that goes to /dev/null is not closed.
    for null in [">/dev/null", "<>/dev/null 1>&0"] {
        shell(&bench, &format!("splinterctl -u {store} get k {null}")).good();
    }
}

#[test]
fn a_closed_standard_input_is_not_taken_for_an_empty_one() {
    let bench = Bench::new();
    let store = bench.init("s");
    let closed = "Bad file descriptor (os error 9)";
    for words in ["set k -", "send k -", "send k --lines", "import -"] {
        let verb = words.split(' ').next().unwrap();
        let line = format!("splinterctl: {verb}: cannot read standard input: {closed}");
        let said = if verb == "import" { format!("{line}; 0 keys imported") } else { line };
        shell(&bench, &format!("splinterctl -u {store} {words} <&-")).failed(1, &said);
    }
    shell(&bench, "splinter_cli <&-").failed(1, &format!("splinter_cli: cannot read the commands: {closed}"));
    assert_eq!(bench.good(&store, &["list", "--raw"]), "");
}
