//! Tests of queues between processes: back-pressure, consumers that are killed or lose their reader, a store that goes.

mod common;

use common::{Sandbox, outcome, run, wait_until_asleep, wait_until_writing};
use serde_json::Value;
use splinter_testkit::Running;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

fn ctl(sandbox: &Sandbox, store: &str, words: &str) -> Command {
    let mut command = sandbox.command("splinterctl");
    command.args(["--use", store]).args(words.split(' '));
    command
}

fn start(sandbox: &Sandbox, store: &str, words: &str) -> Running {
    Running::start(ctl(sandbox, store, words).stdin(Stdio::null()))
}

fn good(sandbox: &Sandbox, store: &str, words: &str) -> String {
    run(&mut ctl(sandbox, store, words), b"").good()
}

/// Returns the positions of messages that were printed as JSON, each with its deliveries. Their texts are checked.
fn positions(lines: &str) -> Vec<(u64, u64)> {
    let position = |line: &str| {
        let message: Value = serde_json::from_str(line).unwrap();
        let position = message["position"].as_u64().unwrap();
        assert!(message["message"].as_str().unwrap().starts_with(&format!("{position} ")), "{line}");
        (position, message["deliveries"].as_u64().unwrap())
    };
    lines.lines().map(position).collect()
}

/// Sends numbered messages, padded to `len` bytes.
fn send(sandbox: &Sandbox, store: &str, count: u64, len: usize, options: &str) {
    let lines: String = (0..count).map(|number| format!("{:<len$}\n", format!("{number} "))).collect();
    let mut command = ctl(sandbox, store, &format!("queue send jobs --lines{options}"));
    run(&mut command, lines.as_bytes()).good();
}

#[test]
fn two_consumers_share_the_messages_of_a_producer_that_waits_for_room() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs --capacity 4");
    let consumers = ["150", "250"].map(|count| {
        let words = format!("queue recv jobs --json --wait 60s --count {count}");
        start(&sandbox, &store, &words)
    });
    send(&sandbox, &store, 400, 100, " --wait 60s");
    let mut got = Vec::new();
    for consumer in consumers {
        let own = positions(&outcome(consumer.end()).good());
        assert!(own.is_sorted(), "each consumer gets them in the order of sending");
        got.extend(own);
    }
    got.sort_unstable();
    assert!(got.into_iter().eq((0..400).map(|position| (position, 1))), "each once");
}

#[test]
fn a_waiting_sender_and_a_waiting_receiver_wake_each_other() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs --capacity 1");
    let mut receiver = start(&sandbox, &store, "queue recv jobs --wait 60s");
    wait_until_asleep(receiver.child().id());
    good(&sandbox, &store, "queue send jobs one");
    assert_eq!(outcome(receiver.end()).good(), "3:one\n");
    good(&sandbox, &store, "queue send jobs two");
    let mut sender = start(&sandbox, &store, "queue send jobs three --wait 60s");
    wait_until_asleep(sender.child().id());
    assert_eq!(good(&sandbox, &store, "queue recv jobs"), "3:two\n");
    assert_eq!(outcome(sender.end()).good(), "");
    assert_eq!(good(&sandbox, &store, "queue recv jobs"), "5:three\n");
}

#[test]
fn a_consumer_that_is_killed_loses_no_message_and_repeats_one_at_most() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs");
    send(&sandbox, &store, 200, 1000, "");
    let mut consumer = start(&sandbox, &store, "queue recv jobs --follow --json");
    // The pipe is full: a message is in flight.
    wait_until_writing(consumer.child().id());
    let others = good(&sandbox, &store, "queue recv jobs --json --all");
    consumer.child().kill().unwrap();
    consumer.child().wait().unwrap();
    let mut printed = String::new();
    consumer.child().stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let whole = printed.rfind('\n').map_or(0, |end| end + 1);
    let rest = good(&sandbox, &store, "queue recv jobs --json --wait 60s");
    let (mine, others, rest) = (positions(&printed[..whole]), positions(&others), positions(&rest));
    assert!(mine.len() > 10 && others.len() > 10, "{mine:?} {others:?}");
    let stuck = mine.len() as u64;
    assert_eq!(rest, [(stuck, 2)], "what was written is acknowledged");
    let mut all: BTreeMap<u64, u64> = mine.into_iter().chain(others).collect();
    all.extend(rest);
    assert!(all.into_keys().eq(0..200));
    assert_eq!(good(&sandbox, &store, "queue recv jobs --all"), "");
}

#[test]
fn a_message_for_which_the_reader_is_gone_goes_to_another_consumer() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs");
    let mut consumer = start(&sandbox, &store, "queue recv jobs --follow --raw");
    let mut reader = BufReader::new(consumer.child().stdout.take().unwrap());
    good(&sandbox, &store, "queue send jobs one");
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    drop(reader);
    good(&sandbox, &store, "queue send jobs two");
    // It ends quietly, as with any closed pipe.
    assert_eq!(outcome(consumer.end()).good(), "");
    let two = r#"{"deliveries":2,"message":"two","position":1,"queue":"jobs"}"#;
    assert_eq!(good(&sandbox, &store, "queue recv jobs --json --wait 60s"), format!("{two}\n"));
}

#[test]
fn messages_after_their_timeout_come_again_while_a_consumer_holds_them() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs --timeout 500ms");
    send(&sandbox, &store, 200, 1000, "");
    let mut consumer = start(&sandbox, &store, "queue recv jobs --follow --raw");
    wait_until_writing(consumer.child().id());
    let last = positions(&good(&sandbox, &store, "queue recv jobs --json --all --wait 3s"));
    assert_eq!(last.iter().filter(|(_, deliveries)| *deliveries == 2).count(), 1, "{last:?}");
    assert_eq!(last.iter().map(|(position, _)| *position).max(), Some(199));
    assert!(good(&sandbox, &store, "queue show jobs").ends_with("group default: 0 messages\n"));
}

#[test]
fn a_wait_ends_when_its_store_or_queue_is_removed() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs --capacity 1");
    let mut receiver = start(&sandbox, &store, "queue recv jobs --follow");
    wait_until_asleep(receiver.child().id());
    good(&sandbox, &store, "queue remove jobs");
    outcome(receiver.end()).failed(1, "splinterctl: queue: \"jobs\": the queue was removed");
    good(&sandbox, &store, "queue create jobs --capacity 1");
    let mut receiver = start(&sandbox, &store, "queue recv jobs --wait 60s");
    wait_until_asleep(receiver.child().id());
    run(sandbox.command("splinterctl").args(["drop", "--force", &store]), b"").good();
    let line = format!("splinterctl: queue: the store /dev/shm/{store} was removed");
    outcome(receiver.end()).failed(1, &line);
}

#[test]
fn messages_of_any_bytes_pass_through() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let all: Vec<u8> = (0..=255).collect();
    good(&sandbox, &store, "queue create jobs");
    run(&mut ctl(&sandbox, &store, "queue send jobs -"), &all).good();
    let mut consumer = start(&sandbox, &store, "queue recv jobs --raw");
    let mut output = consumer.child().stdout.take().unwrap();
    let reading = thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).unwrap();
        bytes
    });
    outcome(consumer.end()).good();
    assert_eq!(reading.join().unwrap(), [&all[..], b"\n"].concat());
}

#[test]
fn a_producer_sends_each_line_as_it_comes() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    good(&sandbox, &store, "queue create jobs");
    let mut producer = Running::start(ctl(&sandbox, &store, "queue send jobs --lines").stdin(Stdio::piped()));
    let mut lines = producer.child().stdin.take().unwrap();
    for number in 0..3 {
        writeln!(lines, "{number}").unwrap();
        let got = good(&sandbox, &store, "queue recv jobs --wait 60s --raw");
        assert_eq!(got, format!("{number}\n"));
    }
    drop(lines);
    assert_eq!(outcome(producer.end()).good(), "");
}
