//! Where results go and inputs come from: a standard output that is closed or full, files that are there already, byte-order
//! marks, and inputs that are too long to be repeated. And Ctrl-C before there are any results.

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use splinter_testkit::{Folder, refused};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_splinter-perf");

/// Runs the program in a folder.
fn perf(folder: &Folder, line: &str) -> Output {
    Command::new(PROGRAM).current_dir(folder).args(line.split(' ')).output().unwrap()
}

/// Returns the text of a record that can be read.
fn record(seed: u64) -> String {
    json!({"schema_version": 1, "kind": "run", "verdict": "pass", "operations": {}, "config": {"seed": seed}})
        .to_string()
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure() {
    let lines = [
        "limits --quick --rounds 1 --only xadd --json",
        "micro --quick --rounds 1 --only create",
        "completions bash",
        "--help",
        "peers --help",
        "--version",
    ];
    let redirected = |to: &str, line: &str| {
        let script = format!(r#"exec "$0" "$@" {to}"#);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, PROGRAM]).args(line.split(' '));
        shell.output().unwrap()
    };
    for line in lines {
        refused(&redirected(">&-", line), line, &["standard output is closed"]);
        for to in [">/dev/full", "1</dev/null"] {
            refused(&redirected(to, line), line, &["cannot write the result"]);
        }
    }
}

#[test]
fn results_are_written_over_no_input_and_no_other_result() {
    let folder = Folder::new();
    fs::create_dir(folder.join("all")).unwrap();
    for name in ["a.json", "b.json", "all/c.json", "all/same.json"] {
        folder.put(name, record(7));
    }
    folder.put("load.toml", "keys = 4096\n");
    folder.put("program", "#!/bin/sh\n");
    let reads = "this command reads it";
    for (line, why) in [
        ("report a.json --out a.json", reads),
        ("report all --out all/same.json", reads),
        ("report all --out page.html --markdown all/c.json", reads),
        ("report a.json --out page --markdown page", "another result"),
        ("compare a.json b.json --markdown b.json", reads),
        ("tune --workload load.toml --scrub none --out load.toml", reads),
        ("tune --scrub none --record both --out both", "another result"),
        ("gate --tier invariants --head . --markdown both --junit both", "another result"),
        ("reproduce --record all", "give a path"),
    ] {
        let output = perf(&folder, line);
        refused(&output, line, &["cannot write", why]);
        assert!(output.stdout.is_empty(), "{line}");
    }
    for name in ["a.json", "b.json", "all/c.json", "all/same.json"] {
        assert_eq!(folder.get(name), record(7));
    }
    assert_eq!(folder.get("load.toml"), "keys = 4096\n");
    assert_eq!(folder.names().len(), 5, "nothing is left");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_record() {
    let folder = Folder::new();
    folder.put("a.json", format!("\u{feff}{}", record(1)));
    let output = perf(&folder, "report a.json");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let wide = format!("\u{feff}{}", record(1));
    let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_be_bytes).collect();
    folder.put("wide.json", wide);
    refused(&perf(&folder, "report wide.json"), "UTF-16", &["save it as UTF-8"]);
    refused(&perf(&folder, "gate --base wide.json"), "UTF-16", &["save it as UTF-8"]);
}

#[test]
fn an_input_is_not_repeated_at_length() {
    let folder = Folder::new();
    let long = "A".repeat(1 << 20);
    folder.put("kind.json", json!({"schema_version": 1, "kind": long}).to_string());
    folder.put("baseline.json", json!({"kind": long}).to_string());
    let fields = json!({"schema_version": 1, "kind": "run", "operations": {}, long.as_str(): 1});
    folder.put("field.json", fields.to_string());
    for line in ["report kind.json", "report field.json", "gate --base baseline.json"] {
        let output = perf(&folder, line);
        assert!(!output.stderr.is_empty(), "{line}");
        assert!(output.stderr.len() < 5_000, "{line}: {} bytes", output.stderr.len());
        assert!(output.stdout.len() < 5_000, "{line}: {} bytes", output.stdout.len());
    }
}

#[test]
fn the_flags_of_peers_are_listed_without_building_them() {
    // A path on which there is no cargo.
    let output = Command::new(PROGRAM).args(["peers", "--help"]).env("PATH", "/nowhere").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{help}");
    for flag in ["--rounds", "--peer-library", "--record"] {
        assert!(help.contains(flag), "{help}");
    }
    let output =
        Command::new(PROGRAM).args(["peers", "--rounds", "none"]).env("PATH", "/nowhere").output().unwrap();
    refused(&output, "peers", &["--rounds"]);
}

#[test]
fn without_a_command_the_commands_are_listed() {
    let output = Command::new(PROGRAM).output().unwrap();
    let help = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{help}");
    for verb in ["limits", "reproduce", "gate"] {
        assert!(help.contains(verb), "{help}");
    }
}

/// What is prepared takes long where caches and memory are large: it is told of on a terminal, and Ctrl-C ends it.
#[test]
fn preparing_is_told_of_and_is_ended_by_ctrl_c() {
    for line in ["limits --quick --rounds 1000000", "reproduce --quick", "micro --quick --rounds 1000000"] {
        let terminal = openpty(None, None).unwrap();
        let mut measured = Command::new(PROGRAM)
            .args(line.split(' '))
            .stdout(Stdio::null())
            .stderr(terminal.slave)
            .spawn()
            .unwrap();
        let mut shown = File::from(terminal.master);
        let mut text = Vec::new();
        let mut part = [0; 256];
        let found = |text: &[u8], word: &[u8]| text.windows(word.len()).any(|it| it == word);
        // Ends when the program does.
        while let Ok(len @ 1..) = shown.read(&mut part) {
            text.extend(&part[..len]);
            if found(&text, b"preparing ") || found(&text, b"round ") {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("preparing "), "{line}: {text}");
        kill(Pid::from_raw(measured.id() as i32), Signal::SIGINT).unwrap();
        let status = measured.wait().unwrap();
        // Of the signal itself, which waits for nothing.
        assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{line}: {status}");
    }
}
