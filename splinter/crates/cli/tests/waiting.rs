//! Tests of commands that wait in one process for changes that another makes.

mod common;
mod store_sandbox;

use common::{wait_until_asleep, wait_until_reading};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdout, Stdio};
use store_sandbox::{Bounded, Running, StoreSandbox, bad, good, small};

/// Starts `splinterctl` with words, and waits until it waits.
fn start(sandbox: &StoreSandbox, words: &str) -> Running {
    let mut running = Running::start(&mut sandbox.ctl(&words.split(' ').collect::<Vec<_>>()));
    wait_until_asleep(running.child().id());
    running
}

/// Takes the lines that a command prints, to wait for each.
fn lines_of(running: &mut Running) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(running.child().stdout.take().unwrap()).lines()
}

#[test]
fn watchers_in_another_process_report_changes_of_keys_and_groups() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("k", b"0").unwrap();
    writer.register("k", 7).unwrap();
    let waiting = [
        ("watch k --oneshot", "4:news\n"),
        ("poll k 60000", "4:news\n"),
        ("watch --group 7 --oneshot --json", "{\"epoch\":4,\"key\":\"k\",\"value\":\"news\"}\n"),
        ("watch --all --oneshot", "k 4:news\n"),
    ];
    let waiting = waiting.map(|(words, answer)| (start(&sandbox, words), answer));
    let mut on_and_on = start(&sandbox, "watch k");
    writer.set("k", b"news").unwrap();
    for (running, answer) in waiting {
        assert_eq!(good(running.end()), answer);
    }
    wait_until_asleep(on_and_on.child().id());
    let of_all = start(&sandbox, "watch --all --oneshot");
    writer.unset("k").unwrap();
    assert_eq!(good(of_all.end()), "k was removed\n");
    // The watch of a key ends when the key is removed.
    let ended = on_and_on.end();
    assert_eq!(ended.stdout, b"4:news\n");
    assert_eq!(bad(1, ended), "splinterctl: watch: \"k\" was removed");
}

#[test]
fn a_watch_of_all_keys_reports_those_under_its_prefix_without_control_characters() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    let watch = start(&sandbox, "-p mine: watch --all --oneshot");
    writer.set("yours", b"1").unwrap();
    writer.unset("yours").unwrap();
    writer.set("mine:a\x1b[2J\nb", b"2").unwrap();
    assert_eq!(good(watch.end()), "mine:a\\x1b[2J\\nb 1:2\n");
}

#[test]
fn poll_and_watch_wait_for_a_key_that_is_missing_if_asked_to() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    assert_eq!(sandbox.bad(1, &["watch", "k"]), "splinterctl: watch: there is no key \"k\"");
    let late = "poll: \"k\" did not change within 50ms";
    assert_eq!(sandbox.bad(1, &["poll", "k", "50ms", "--missing"]), format!("splinterctl: {late}"));
    let mut watch = start(&sandbox, "watch k --missing --count 2");
    let mut lines = lines_of(&mut watch);
    let poll = start(&sandbox, "poll k --missing");
    writer.set("other", b"1").unwrap();
    writer.set("k", b"one").unwrap();
    assert_eq!(good(poll.end()), "3:one\n");
    assert_eq!(lines.next().unwrap().unwrap(), "3:one");
    writer.unset("k").unwrap();
    writer.set("k", b"two").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "3:two");
    assert_eq!(good(watch.end()), "");
}

#[test]
fn a_watch_of_a_prefix_reports_its_keys_and_their_removal_alone() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("user:1", b"1").unwrap();
    let mut watch = start(&sandbox, "watch --prefix user: --count 2");
    let mut lines = lines_of(&mut watch);
    writer.set("other", b"1").unwrap();
    writer.unset("user:1").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "user:1 was removed");
    writer.set("user:2", b"2").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "user:2 1:2");
    assert_eq!(good(watch.end()), "");
    let after = sandbox.bad(2, &["watch", "--prefix", "user:", "--after", "2"]);
    assert_eq!(after, "splinterctl: watch: --after needs a KEY");
    let long = "x".repeat(64);
    assert!(
        sandbox
            .bad(2, &["watch", "--prefix", &long])
            .ends_with("the key is too long; a key has 1 to 63 bytes")
    );
}

#[test]
fn a_lasting_binding_is_made_before_its_key_and_outlives_it() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    assert_eq!(sandbox.good(&["bind", "k", "7", "--lasting"]), "");
    let watch = start(&sandbox, "watch --group 7 --count 1");
    writer.set("k", b"one").unwrap();
    assert_eq!(good(watch.end()), "k 3:one\n");
    writer.unset("k").unwrap();
    writer.set("k", b"two").unwrap();
    assert_eq!(store.signal_count(7), Some(3));
    assert_eq!(sandbox.good(&["bind", "k", "7", "--lasting", "--remove"]), "");
    sandbox.good(&["bind", "k", "8", "--lasting"]);
    sandbox.good(&["bind", "none", "8", "--lasting"]);
    let cleared = sandbox.good(&["bind", "--lasting", "--remove", "8"]);
    assert_eq!(cleared, "2 lasting bindings to group 8 ended\n");
    assert_eq!([7, 8].map(|group| store.clear_lasting(group).unwrap()), [0, 0]);
    for words in [&["bind", "8", "--lasting"][..], &["bind", "--lasting", "--label", "1", "8"]] {
        sandbox.bad(2, words);
    }
    for number in 0..splinter::LASTING {
        writer.register_lasting(format!("key {number}"), 1).unwrap();
    }
    let full = sandbox.bad(1, &["bind", "k", "7", "--lasting"]);
    assert!(full.contains("all 56 lasting subscriptions of the store are taken"), "{full}");
}

#[test]
fn a_watch_ends_after_so_many_changes() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("k", b"v").unwrap();
    writer.register("k", 7).unwrap();
    for what in ["k", "--group 7", "--all"] {
        let mut watch = start(&sandbox, &format!("watch --raw --count 2 --timeout 60s {what}"));
        let mut lines = BufReader::new(watch.child().stdout.take().unwrap());
        for value in ["one\n", "two\n"] {
            writer.set("k", value.trim_end().as_bytes()).unwrap();
            // Wait until the first change is printed before making the second.
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, value);
        }
        assert_eq!(good(watch.end()), "");
    }
}

#[test]
fn changes_in_json_have_their_epochs() {
    let sandbox = StoreSandbox::new();
    let mut writer = sandbox.store(small()).writer().unwrap();
    writer.set("k", b"v").unwrap();
    let mut epoch = 2;
    for (value, answer) in
        [(Some("w"), json!({ "key": "k", "value": "w" })), (None, json!({ "key": "k", "removed": true }))]
    {
        let watch = start(&sandbox, "watch --all --oneshot --json");
        match value {
            Some(value) => writer.set("k", value.as_bytes()).unwrap(),
            None => drop(writer.unset("k").unwrap()),
        }
        let mut line: Value = serde_json::from_str(&good(watch.end())).unwrap();
        let now = line.as_object_mut().unwrap().remove("epoch").unwrap().as_u64().unwrap();
        assert!(now > epoch, "{now}");
        epoch = now;
        assert_eq!(line, answer);
    }
}

#[test]
fn a_script_that_waits_holds_no_writer_id() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(splinter::Geometry { max_writers: 1, ..small() });
    let set = |key: &str, value: &str| store.writer().unwrap().set(key, value.as_bytes()).unwrap();
    let mut command = sandbox.program("splinter_cli");
    command.args(["-u", &sandbox.name]).stdin(Stdio::piped());
    let mut script = Running::start(&mut command);
    let mut lines = script.child().stdin.take().unwrap();
    // While it runs a program, while it waits for a key to change, and for the next line.
    let run = format!("set k v\nbids claim 7 -- splinterctl -u {} set other w\nget other\n", sandbox.name);
    lines.write_all(run.as_bytes()).unwrap();
    lines.write_all(b"set k w\nwatch k --oneshot\nset l w\n").unwrap();
    wait_until_asleep(script.child().id());
    set("k", "x");
    wait_until_reading(script.child().id());
    set("l", "x");
    drop(lines);
    assert_eq!(good(script.end()), "1:w\n1:x\n");
    assert_eq!(store.get_vec("l").unwrap(), b"x");
}

#[test]
fn the_script_of_the_original_works_on_a_file_and_in_memory() {
    for name in ["splinterctl", "splinterpctl"] {
        let sandbox = StoreSandbox::new();
        let program = |words: &[&str]| {
            let mut command = sandbox.program(name);
            command.args(words);
            command
        };
        good(program(&["init", &sandbox.name]).ended());
        let set = |value| program(&["--use", &sandbox.name, "set", "foo_key", value]).ended();
        good(set("Come hear Uncle John's band"));
        let mut watch = program(&["--use", &sandbox.name, "watch", "foo_key", "--oneshot"]);
        let mut watch = Running::start(&mut watch);
        wait_until_asleep(watch.child().id());
        good(set("playing to the tide"));
        assert_eq!(watch.end().stdout, b"19:playing to the tide\n");
        assert_eq!(sandbox.path(&sandbox.name).exists(), name == "splinterpctl");
    }
}
