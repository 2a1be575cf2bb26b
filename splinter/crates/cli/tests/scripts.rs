//! Tests of scripts from files: line endings, byte-order marks, and very long lines.

mod common;

use common::{Bench, file, finish, run, told as told_by, wait_until_asleep, wait_until_reading};
use std::io::Write;
use std::process::Stdio;

/// The byte-order mark that some editors put in front of text.
const MARK: &str = "\u{feff}";

#[test]
fn a_line_that_is_not_finished_is_refused_however_it_ends() {
    let bench = Bench::new();
    let store = bench.init("s");
    let escape = "the line ends in \\; write \\\\ to mean one";
    let quote = "a \" is not closed; write \\\" to mean one";
    for end in ["\n", "\r\n", ""] {
        for (line, why) in [("set a foo\\", escape), ("set a \"foo", quote), ("set a \\", escape)] {
            let script = format!("# begins\n{line}{end}");
            let mut command = bench.command("splinter_cli");
            let told = run(command.args(["-u", &store]), script.as_bytes());
            told.failed(2, &format!("splinter_cli: line 2: {why}"));
            let rc = file(&bench.folder, "rc", &script);
            let mut command = bench.command("splinterctl");
            let told = run(command.args(["-u", &store, "--rcfile", "rc", "list"]), b"");
            let rc = rc.file_name().unwrap().to_str().unwrap();
            told.failed(2, &format!("splinterctl: {rc:?}: line 2: {why}"));
        }
    }
    assert_eq!(bench.good(&store, &["list", "--raw"]), "");
    // The value keeps its own bytes, and both line endings work.
    let script = b"set a foo\\\\\r\nset b \"foo\\r\"\r\nget a\r\nset c 'x\\'\n";
    let told = run(bench.command("splinter_cli").args(["-u", &store]), script);
    assert_eq!(told.good(), "4:foo\\\n");
    assert_eq!(bench.good(&store, &["get", "b", "--raw"]), "foo\r");
    assert_eq!(bench.good(&store, &["get", "c", "--raw"]), "x\\");
}

#[test]
fn a_script_that_waits_holds_no_lane() {
    let bench = Bench::new();
    let store = bench.store("s");
    run(bench.command("splinterctl").args(["init", &store, "--lanes", "1"]), b"").good();
    // While it runs a program.
    let script = format!("set k v\nbids claim 7 -- splinterctl -u {store} set other w\nget other\n");
    let told = run(bench.command("splinter_cli").args(["-u", &store]), script.as_bytes());
    assert_eq!(told.good(), "1:w\n");
    // While it waits for a key to change, and for the next line.
    let mut command = bench.command("splinter_cli");
    command.args(["-u", &store]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = child.stdin.take().unwrap();
    lines.write_all(b"set k w\nwatch k --oneshot\nset l w\n").unwrap();
    wait_until_asleep(child.id());
    bench.good(&store, &["set", "k", "x"]);
    wait_until_reading(child.id());
    bench.good(&store, &["set", "l", "x"]);
    drop(lines);
    assert_eq!(told_by(finish(child)).good(), "1:x\n");
    assert_eq!(bench.good(&store, &["get", "l"]), "1:x\n");
}

#[test]
fn a_byte_order_mark_in_front_of_text_is_passed_over() {
    let bench = Bench::new();
    let store = bench.init("s");
    let with = |name: &str, text: &str| file(&bench.folder, name, format!("{MARK}{text}"));
    let told =
        run(bench.command("splinter_cli").args(["-u", &store]), format!("{MARK}set a 1\nget a\n").as_bytes());
    assert_eq!(told.good(), "1:1\n");
    with("rc", "set b 2\n");
    let told =
        run(bench.command("splinterctl").args(["-u", &store, "--rcfile", "rc", "get", "b", "--raw"]), b"");
    assert_eq!(told.good(), "2");
    for (name, text) in [
        ("lines", "{\"key\":\"c\",\"value\":\"3\"}\n"),
        ("document", "{\"keys\":[{\"key\":\"c\",\"value\":\"3\"}]}"),
    ] {
        with(name, text);
        assert_eq!(bench.good(&store, &["import", name]), "imported 1 key\n");
    }
    let mut import = bench.command("splinterctl");
    let told = run(
        import.args(["-u", &store, "import", "-"]),
        &std::fs::read(with("i", "{\"key\":\"d\",\"value\":\"4\"}")).unwrap(),
    );
    assert_eq!(told.good(), "imported 1 key\n");
    with("message", "{\"a\":1}");
    bench.good(&store, &["send", "m", "--file", "message", "--envelope", "--parse", "--from", "me"]);
    assert!(bench.good(&store, &["get", "m", "--raw"]).contains("\"payload\":{\"a\":1}"));
    // An envelope that another program wrote with a mark.
    let line = "{\"id\":\"1\",\"ts\":1,\"from\":\"f\",\"type\":\"event\",\"payload\":7}";
    with("envelope", line);
    bench.good(&store, &["set", "m", "--file", "envelope"]);
    assert_eq!(bench.good(&store, &["recv", "m", "--last", "--envelope", "--raw"]), "7\n");
    // A value is bytes, and keeps its mark.
    assert_eq!(bench.good(&store, &["get", "m", "--raw"]), format!("{MARK}{line}"));
}

#[test]
fn text_in_utf_16_is_called_by_its_name() {
    let bench = Bench::new();
    let store = bench.init("s");
    let text = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let why = "it is UTF-16; save it as UTF-8";
    let told = run(bench.command("splinter_cli").args(["-u", &store]), &text("set a 1\n"));
    told.failed(2, &format!("splinter_cli: line 1: {why}"));
    file(&bench.folder, "keys", text("{\"key\":\"c\",\"value\":\"3\"}"));
    let line = format!("splinterctl: import: cannot read \"keys\": {why}; 0 keys imported");
    bench.ctl(&store, &["import", "keys"]).failed(1, &line);
}

#[test]
fn what_is_wrong_with_megabytes_of_a_line_is_a_short_line() {
    let bench = Bench::new();
    let store = bench.init("s");
    let long = "x".repeat(1 << 20);
    let cut = format!("\"{}\"... ({} bytes)", &long[..256], long.len());
    for (line, code, why) in [
        (long.clone(), 2, format!("there is no command {cut}; help lists them")),
        (format!("get {long}"), 2, format!("get: {cut}: the key is too long; a key has 1 to 63 bytes")),
        (
            format!("get k --{}", &long),
            2,
            format!(
                "get: there is no option \"--{}\"... ({} bytes); put -- before an argument that begins with -",
                &long[..254],
                long.len() + 2
            ),
        ),
        (format!("get a {long}"), 2, format!("get: {cut} is one word too many; use: get KEY")),
        (format!("math k inc {long}"), 2, format!("math: NUMBER: {cut} is not a number from 0 to 2^64 - 1")),
    ] {
        let mut command = bench.command("splinter_cli");
        let told = run(command.args(["-u", &store]), line.as_bytes());
        told.failed(code, &format!("splinter_cli: line 1: {why}"));
    }
    // Every message keeps both ends: the cause and the advice.
    let kind = format!("{{\"key\":\"k\",\"value\":\"v\",\"type\":\"{long}\"}}");
    for (line, begin, end) in [
        (format!("list {long}("), "list: ", "unclosed group"),
        (format!("type k {long}"), "type: \"xxx", "VARTEXT or VIDEO"),
        (format!("init t --scrub {long}"), "init: --scrub: \"xxx", "none, hybrid or full"),
        (format!("use {long}"), "use: ", ""),
        (format!("set k --file {long}"), "set: cannot read \"xxx", "(os error 36)"),
        (format!("send k {long} --envelope --parse"), "send: --parse: \"xxx", "column 1"),
    ] {
        let mut command = bench.command("splinter_cli");
        let told = run(command.args(["-u", &store]), line.as_bytes());
        let begin = format!("splinter_cli: line 1: {begin}");
        assert!(told.err.starts_with(&begin) && told.err.ends_with(&format!("{end}\n")), "{}", told.err);
        assert!(told.err.len() < 2200 && told.err.lines().count() == 1, "{begin} {}", told.err.len());
    }
    let mut import = bench.command("splinterctl");
    let told = run(import.args(["-u", &store, "import", "-"]), kind.as_bytes());
    assert!(told.err.len() < 2200 && told.err.ends_with("; 0 keys imported\n"), "{}", told.err.len());
    let kind = "x".repeat(4000);
    bench.good(
        &store,
        &["set", "m", &format!("{{\"id\":\"1\",\"ts\":1,\"from\":\"f\",\"type\":\"{kind}\"}}")],
    );
    let told = bench.ctl(&store, &["recv", "m", "--last", "--envelope", "--timeout", "1ms"]);
    assert!(told.err.len() < 2400 && told.err.starts_with("recv: no envelope: type is "), "{}", told.err);
}
