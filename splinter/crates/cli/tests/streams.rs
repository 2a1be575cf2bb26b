//! Tests with non-blocking standard input, output and error: the program waits, and loses nothing.

mod common;

use common::{Sandbox, outcome, wait_until, wait_until_polling};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use splinter::{Location, Store};
use splinter_testkit::Running;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;

/// Sets a pipe's end to non-blocking mode.
fn unblocked<F: AsFd>(end: F) -> F {
    fcntl(&end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
    end
}

/// A pipe whose reading end is non-blocking.
fn input() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    (unblocked(reader), writer)
}

/// A pipe whose writing end is non-blocking.
fn output() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    (reader, unblocked(writer))
}

#[test]
fn output_that_is_read_slowly_is_written_to_the_end() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("s");
    let words = ["init", &store, "--slots", "20000", "--max-value", "16", "--dim", "0"];
    common::run(sandbox.command("splinterctl").args(words), b"").good();
    let open = Store::open(&Location::shared(&*store).unwrap()).unwrap();
    let mut writer = open.writer().unwrap();
    (0..20_000).for_each(|n| writer.set(format!("key{n}"), b"value").unwrap());
    for (words, lines) in [(&["export", "--format", "ndjson"][..], 20_002), (&["list", "--raw"], 20_000)] {
        let (mut reader, writer) = output();
        let mut command = sandbox.command("splinterctl");
        command.args(["-u", &store]).args(words).stdout(writer).stderr(Stdio::piped());
        let mut running = Running::from(command.spawn().unwrap());
        // Otherwise this process would keep the pipe's other end open, too.
        drop(command);
        wait_until_polling(running.child().id());
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        outcome(running.end()).good();
        assert_eq!(reading.join().unwrap().lines().count(), lines, "{words:?}");
    }
}

#[test]
fn input_that_is_not_there_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    for (name, words, input_text, key) in [
        ("splinter_cli", &[][..], "set a 1\n", "a"),
        ("splinterctl", &["set", "b", "-"], "1", "b"),
        ("splinterctl", &["import", "-"], "{\"key\":\"c\",\"value\":\"1\"}", "c"),
        ("splinterctl", &["send", "d", "--lines"], "1", "d"),
    ] {
        let (reader, mut writer) = input();
        let mut command = sandbox.command(name);
        command.args(["-u", &store]).args(words).stdin(reader);
        let mut running = Running::start(&mut command);
        wait_until_polling(running.child().id());
        for part in input_text.as_bytes().chunks(3) {
            writer.write_all(part).unwrap();
            wait_until_polling(running.child().id());
        }
        drop(writer);
        assert_eq!(outcome(running.end()).err, "", "{words:?}");
        assert_eq!(sandbox.good(&store, &["get", key]), "1:1\n");
    }
}

#[test]
fn an_error_line_that_finds_no_room_waits_for_it() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let (mut reader, writer) = output();
    // Fill the pipe completely.
    let mut filler = writer.try_clone().unwrap();
    while filler.write(&[b'.'; 4096]).is_ok() || filler.write(b".").is_ok() {}
    drop(filler);
    let mut command = sandbox.command("splinterctl");
    command.args(["-u", &store, "get", "no"]).stdout(Stdio::null()).stderr(writer);
    let mut running = Running::from(command.spawn().unwrap());
    drop(command);
    wait_until_polling(running.child().id());
    let mut text = String::new();
    let reading = thread::spawn(move || reader.read_to_string(&mut text).map(|_| text));
    assert_eq!(running.end().status.code(), Some(1));
    wait_until("the reader to end", || reading.is_finished());
    let text = reading.join().unwrap().unwrap();
    assert!(text.ends_with(".splinterctl: get: there is no key \"no\"\n"), "{}", text.len());
}

#[test]
fn a_full_disk_for_error_lines_is_no_crash() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = sandbox.command("splinterctl");
    command.args(["-u", &store, "get", "no"]).stdout(Stdio::null()).stderr(full);
    assert_eq!(Running::from(command.spawn().unwrap()).end().status.code(), Some(1));
}
