//! Where results go and inputs come from: a standard output that is closed or full, files that are there already, limits on
//! their size, byte-order marks, and inputs that are too long to be repeated.

mod common;

use common::{program, stress};
use splinter_testkit::{Folder, refused};
use std::fs;
use std::process::{Command, Output};

const SMALL: &str = "run --writers 1 --readers 1 --keys 16 --ops 500 --scrub none --pin none";

/// Runs the program by a shell that does something before, or redirects its output.
fn in_shell(script: &str, line: &str) -> Output {
    Command::new("sh")
        .args(["-c", script])
        .arg(program().get_program())
        .args(line.split_whitespace())
        .output()
        .expect("there is a shell")
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure() {
    let lines = [
        &format!("{SMALL} --json"),
        SMALL,
        // A summary of each scrub level, and one of all: why they cannot be printed is said once.
        "run --writers 1 --readers 1 --keys 64 --ops 100 --warmup 0s",
        "run --print-workload",
        "topology --json",
        "completions bash",
        "--help",
        "run --help",
        "--version",
    ];
    for line in lines {
        let closed = in_shell(r#"exec "$0" "$@" >&-"#, line);
        refused(&closed, line, &["standard output is closed"]);
        // Full, and open for reading only.
        for to in [r#"exec "$0" "$@" >/dev/full"#, r#"exec "$0" "$@" 1</dev/null"#] {
            let output = in_shell(to, line);
            refused(&output, line, &["cannot write the result"]);
        }
        // The reader of a pipe may end early.
        let code = in_shell(r#""$0" "$@" | true"#, line).status.code();
        assert_eq!(code, Some(0), "{line}");
    }
    let unheard = in_shell(r#"exec "$0" "$@" 2>/dev/full"#, "run --writers many");
    assert_eq!(unheard.status.code(), Some(2), "it has nowhere to say why");
}

#[test]
fn the_limit_on_the_size_of_files_is_an_error_and_leaves_the_old_file() {
    let folder = Folder::new();
    let old = folder.put("old", "what was there");
    let limited = |line: &str, to: &str| in_shell(&format!(r#"ulimit -f 1; exec "$0" "$@" {to}"#), line);
    let large = "topology --writers 300";
    let output = limited(&format!("{large} --record {old}"), "");
    refused(&output, large, &["ulimit -f", &old]);
    assert_eq!(fs::read(&old).unwrap(), b"what was there");
    assert_eq!(folder.names(), ["old"], "no part of it is left");

    let printed = folder.join("printed");
    let output = limited(&format!("{large} --json"), &format!("> {}", printed.display()));
    refused(&output, large, &["cannot write the result", "ulimit -f"]);

    // The store itself is a file, too.
    for more in ["", "--workers processes"] {
        let output = limited(&format!("{SMALL} {more}"), "");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{error}");
        assert!(error.contains("ulimit -f"), "{error}");
    }
}

#[test]
fn results_are_written_over_no_input_and_no_other_result() {
    let folder = Folder::new();
    let workload = folder.put("workload.toml", "keys = 16\n");
    let profile = folder.put("profile.toml", "[process]\nspin_ns = 5000\n");
    let machine = folder.put("machine.xml", "<topology/>");
    let new = folder.join("new").display().to_string();
    let reads = "this command reads it";
    for (line, why) in [
        (format!("{SMALL} --workload {workload} --record {workload}"), reads),
        (format!("{SMALL} --workload {workload} --history={workload}"), reads),
        (format!("{SMALL} --profile {profile} --hdr {profile}"), reads),
        (format!("{SMALL} --backing file:{new} --record {new}"), reads),
        (format!("{SMALL} --record {new} --hdr {new}"), "another result"),
        (format!("{SMALL} --record {new} --history={new}"), "another result"),
        (format!("matrix --workload {workload} --record {workload}"), reads),
        (format!("topology --topology {machine} --record {machine}"), reads),
        (format!("kill --kills 1 --record {new} --hdr {new}"), "another result"),
        (format!("{SMALL} --history=/nowhere/at/all"), "give a path"),
    ] {
        let output = stress(&line);
        refused(&output, &line, &["cannot write", why]);
        assert!(output.stdout.is_empty(), "{line}");
    }
    assert_eq!(folder.names(), ["machine.xml", "profile.toml", "workload.toml"]);
    assert_eq!(fs::read(&workload).unwrap(), b"keys = 16\n");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_file() {
    let folder = Folder::new();
    let marked = |name: &str, text: &str| folder.put(name, format!("\u{feff}{text}"));
    let workload = marked("workload.toml", "keys = 16\n");
    let profile = marked("profile.toml", "[process]\nspin_ns = 5000\n");
    let history = folder.join("history").display().to_string();
    for line in [
        format!("{SMALL} --workload {workload}"),
        format!("{SMALL} --profile {profile}"),
        format!("{SMALL} --history={history}"),
    ] {
        let output = stress(&line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {error}");
    }
    let history = marked("history", &fs::read_to_string(&history).unwrap());
    assert_eq!(stress(&format!("history {history}")).status.code(), Some(0));

    let utf16: Vec<u8> = "\u{feff}keys = 16\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = folder.put("wide", utf16);
    for line in [format!("{SMALL} --workload {wide}"), format!("history {wide}")] {
        refused(&stress(&line), &line, &["UTF-16", "save it as UTF-8"]);
    }
}

#[test]
fn an_input_is_not_repeated_at_length() {
    let folder = Folder::new();
    let long = "A".repeat(1 << 20);
    let workload = folder.put("workload.toml", format!("keys = 16\nmix = \"{long}\"\n"));
    let field = folder.put("field.toml", format!("{long} = 1\n"));
    let header = format!(r#"{{"schema_version":1,"kind":"{long}","cycle_ns":0.5}}"#);
    let history = folder.put("history", header);
    let argument = &long[..100_000];
    for (line, words) in [
        (format!("{SMALL} --workload {workload}"), &["line 2", "set, append"][..]),
        (format!("{SMALL} --workload {field}"), &["line 1", "--print-workload"]),
        (format!("history {history}"), &["of version 1"]),
        (format!("{SMALL} --mix {argument}"), &["--mix"]),
        (argument.to_owned(), &["--help"]),
    ] {
        let error = refused(&stress(&line), &line[..80.min(line.len())], words);
        assert!(error.len() < 3_000, "{} bytes", error.len());
    }
}
