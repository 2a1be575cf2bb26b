//! Tests of `send`, `recv` and `logtee`: processes exchange messages, with and without envelopes.

mod common;
mod store_sandbox;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use splinter_cli::envelope::{Envelope, Type, now_ms};
use splinter_testkit::wait::wait_until;
use store_sandbox::{Bounded, Running, StoreSandbox, good, small, start_into};

fn envelopes(text: &str) -> Vec<Envelope> {
    text.lines().map(|line| Envelope::parse(line.as_bytes()).unwrap()).collect()
}

#[test]
fn one_process_receives_the_messages_of_another() {
    let sandbox = StoreSandbox::new();
    sandbox.store(small());
    // The first time the key is missing, the second time it exists.
    for message in ["hello", "again"] {
        let mut receiver = Running::start(&mut sandbox.ctl(&["recv", "news", "--timeout", "60s"]));
        // Send repeatedly: a receiver does not get what was sent before it started.
        wait_until("the receiver has it", || {
            sandbox.good(&["send", "news", message]);
            receiver.child().try_wait().unwrap().is_some()
        });
        assert_eq!(good(receiver.end()), format!("5:{message}\n"));
    }
    assert_eq!(sandbox.good(&["recv", "news", "--last", "--raw"]), "again\n");
    let answer: Value = serde_json::from_str(&sandbox.good(&["recv", "news", "--last", "--json"])).unwrap();
    assert_eq!((&answer["key"], &answer["value"]), (&"news".into(), &"again".into()));
    assert!(answer["epoch"].as_u64() > Some(0));
    assert_eq!(sandbox.good(&["get", "news"]), "5:again\n", "recv must not remove the message");
    let error = sandbox.bad(1, &["recv", "news", "--timeout", "10ms"]);
    assert_eq!(error, "splinterctl: recv: nothing came in time");
    let error = sandbox.bad(1, &["recv", "nothing", "--timeout", "10ms"]);
    assert_eq!(error, "splinterctl: recv: nothing came in time");
}

#[test]
fn a_receiver_goes_on_while_the_key_goes_and_comes() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    writer.set("k", b"old").unwrap();
    let words = ["recv", "k", "--count", "5", "--timeout", "60s"];
    let mut receiver = Running::start(&mut sandbox.ctl(&words));
    wait_until("the receiver has them", || {
        writer.unset("k").unwrap();
        writer.set("other", b"").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3));
        writer.set("k", b"new").unwrap();
        receiver.child().try_wait().unwrap().is_some()
    });
    // On a busy machine it may miss some, and warns.
    let output = receiver.end();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3:new\n".repeat(5));
}

#[test]
fn envelopes_name_sender_time_and_content() {
    let sandbox = StoreSandbox::new();
    sandbox.store(small());
    let before = now_ms();
    let mut words = vec!["send", "bus", "{\"q\":[1]}", "--envelope", "--parse", "--type", "query"];
    words.extend(["--from", "me", "--to", "you", "--ttl", "1h", "--trace", "t", "--seq", "3"]);
    assert_eq!(sandbox.good(&words), "");
    let answer = sandbox.good(&["recv", "bus", "--last", "--envelope"]);
    let [envelope] = &envelopes(&answer)[..] else { panic!("{answer}") };
    assert_eq!((envelope.kind, &*envelope.from, envelope.seq), (Type::Query, "me", Some(3)));
    assert_eq!((envelope.to.as_deref(), envelope.trace.as_deref()), (Some("you"), Some("t")));
    assert_eq!((envelope.ttl_ms, envelope.eof), (Some(3_600_000), false));
    assert!((before..=now_ms()).contains(&envelope.ts));
    assert_eq!(envelope.payload, serde_json::json!({ "q": [1] }));
    assert_eq!(sandbox.good(&["--raw", "recv", "bus", "--last", "-e", "--as", "you"]), "{\"q\":[1]}\n");
    // A message for another receiver, or an expired one, does not count.
    let words = ["recv", "bus", "--last", "-e", "--as", "them", "--timeout", "10ms"];
    assert!(sandbox.bad(1, &words).ends_with("nothing came in time"));
    sandbox.good(&["send", "bus", "stale", "-e", "--ttl", "0s"]);
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(sandbox.bad(1, &["recv", "bus", "--last", "-e", "--timeout", "10ms"]).ends_with("in time"));
    // Bytes that are not text.
    good(sandbox.fed(&["send", "bus", "-", "-e"], b"\xff\0"));
    let output = sandbox.ctl(&["--raw", "recv", "bus", "--last", "-e"]).ended();
    assert_eq!(output.stdout, b"\xff\0\n");
}

#[test]
fn malformed_envelopes_are_reported_counted_and_skipped() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    sandbox.good(&["send", "bus", "naked"]);
    let mut words = vec!["recv", "bus", "--last", "--envelope", "--timeout", "60s"];
    words.push("--raw");
    let receiver = Running::start(&mut sandbox.ctl(&words));
    wait_until("the failure is counted", || store.header().parse_failures == 1);
    sandbox.good(&["send", "bus", "clothed", "--envelope"]);
    let output = receiver.end();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"clothed\n");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("recv: no envelope: ") && error.lines().count() == 1, "{error}");
}

#[test]
fn lines_are_numbered_and_the_last_ends_the_receiver() {
    let sandbox = StoreSandbox::new();
    sandbox.store(small());
    let mut receiver = sandbox.ctl(&["recv", "log", "--follow", "--envelope", "--timeout", "60s"]);
    let received = std::fs::File::create(sandbox.path("received")).unwrap();
    let receiver = start_into(&mut receiver, received);
    wait_until("it receives", || {
        sandbox.good(&["send", "log", "are you there?", "--envelope", "--from", "caller"]);
        sandbox.path("received").metadata().unwrap().len() > 0
    });
    let words = ["send", "log", "--lines", "--envelope", "--eof", "--pace", "1ms", "--from", "me"];
    good(sandbox.fed(&words, b"one\ntwo\nthree"));
    assert!(receiver.end().status.success());
    let mut got = envelopes(&std::fs::read_to_string(sandbox.path("received")).unwrap());
    got.retain(|envelope| envelope.from == "me");
    let last = got.last().unwrap();
    assert!(last.eof && last.seq == Some(3) && last.payload == Value::Null);
    let words = ["--json", "send", "log", "--lines", "-e", "--eof"];
    let answer = |output| serde_json::from_str::<Value>(&good(output)).unwrap();
    let some = answer(sandbox.fed(&words, b"one\ntwo\n"));
    assert_eq!((&some["key"], &some["messages"]), (&"log".into(), &3.into()));
    let none = answer(sandbox.fed(&["send", "log", "--lines", "--json"], b""));
    assert_eq!((&none["messages"], &none["epoch"]), (&0.into(), &some["epoch"]));
    // A slow receiver may miss some, and the numbers tell how many.
    let places: Vec<_> = got.iter().map(|envelope| envelope.seq.unwrap()).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    for envelope in &got[..got.len() - 1] {
        let word = ["one", "two", "three"][envelope.seq.unwrap() as usize];
        assert_eq!((envelope.payload.as_str(), &*envelope.from), (Some(word), "me"));
    }
    // Without envelopes the lines are unchanged.
    good(sandbox.fed(&["send", "log", "--lines"], b"bare\n"));
    assert_eq!(sandbox.good(&["get", "log"]), "4:bare\n");
}

#[test]
fn logtee_follows_changes_and_removals() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    writer.set("log.a", b"one").unwrap();
    let words = ["logtee", "file", "^log", "--count", "4", "--timeout", "60s"];
    let tee = Running::start(&mut sandbox.ctl(&words));
    let written = || std::fs::read_to_string(sandbox.path("file")).unwrap_or_default();
    wait_until("what is there is written", || written() == "log.a 3:one\n");
    writer.set("other", b"x").unwrap();
    writer.set("log.a", b"two").unwrap();
    wait_until("the change is written", || written().ends_with("log.a 3:two\n"));
    writer.set_u64("log.n", 42).unwrap();
    wait_until("the number is written", || written().ends_with("log.n 2:42\n"));
    writer.unset("log.a").unwrap();
    assert_eq!(good(tee.end()), "");
    assert_eq!(written(), "log.a 3:one\nlog.a 3:two\nlog.n 2:42\nlog.a was removed\n");
}

#[test]
fn logtee_misses_no_last_value_wherever_it_is_stopped() {
    // While logtee takes changes of other keys, it is stopped, and the ring of 64 entries is lapped.
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    let mut tee = Running::start(&mut sandbox.ctl(&["logtee", "file", "^log", "--timeout", "60s"]));
    let id = tee.child().id();
    let pid = Pid::from_raw(id as i32);
    let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    wait_until("logtee is there", || sandbox.path("file").exists());
    let mut set = |key: String, value: &str| while writer.set(&key, value.as_bytes()).is_err() {};
    for round in 0..50 {
        let value = format!("{round:03}");
        (0..200 + round * 37 % 1000).for_each(|number| set(format!("other.{}", number % 20), &value));
        kill(pid, Signal::SIGSTOP).unwrap();
        wait_until("it is stopped", || state().contains(") T "));
        (0..40).for_each(|number| set(format!("log.{number}"), &value));
        (0..100).for_each(|number| set(format!("other.{}", number % 20), &value));
        kill(pid, Signal::SIGCONT).unwrap();
        wait_until("each key's last value is written", || {
            let written = std::fs::read_to_string(sandbox.path("file")).unwrap();
            (0..40).all(|key| written.contains(&format!("log.{key} 3:{value}\n")))
        });
    }
}
