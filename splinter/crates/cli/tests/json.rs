//! Tests of JSON output: errors, warnings and epochs, and masks and hashes that survive readers of floats.

mod common;

use common::{Bench, Outcome, file, finish, run, wait_until_asleep};
use serde_json::{Value, json};

/// Checks that the error line is all output, and parses it.
fn error(told: &Outcome) -> Value {
    assert!(told.out.is_empty() && told.err.lines().count() == 1, "{told:?}");
    let error: Value = serde_json::from_str(&told.err).expect("JSON");
    assert_eq!(error["exit_code"], json!(told.code), "{told:?}");
    error["error"].clone()
}

#[test]
fn errors_are_json_wherever_answers_are() {
    let bench = Bench::new();
    let store = bench.init("s");
    let no_key = "get: there is no key \"no\"";
    for (words, code, line) in [
        (&["--json", "get", "no"][..], 1, no_key),
        (&["get", "no", "--json"], 1, no_key),
        (&["--raw", "get", "no", "--json"], 1, no_key),
        (&["get", "--json"], 2, "get: KEY is missing; use: get KEY"),
        (&["--json", "frobnicate"], 2, "there is no command \"frobnicate\"; help lists them"),
        (&["--json", "--us"], 2, "there is no option \"--us\"; did you mean --use?"),
        (&["--json"], 2, "no command is given; --help lists them"),
        (&["get", "k", "--jason", "--json"], 2, "get: there is no option \"--jason\"; did you mean --json?"),
    ] {
        let mut command = bench.command("splinterctl");
        let told = run(command.args(words).env("SPLINTER_DEFAULT_STORE", &store), b"");
        assert_eq!((told.code, error(&told)), (Some(code), json!(line)), "{words:?}");
    }
    // The last of several options counts. Words after -- are not options.
    bench.ctl(&store, &["get", "no", "--json", "--raw"]).failed(1, &format!("splinterctl: {no_key}"));
    bench
        .ctl(&store, &["get", "no", "--", "--json"])
        .failed(2, "splinterctl: get: \"--json\" is one word too many; use: get KEY");
    for script in ["get no\n", "frob\n", "get \"\n"] {
        let mut command = bench.command("splinter_cli");
        let told = run(command.args(["-u", &store, "--json"]), script.as_bytes());
        assert!(error(&told).as_str().unwrap().starts_with("line 1: "), "{told:?}");
    }
    let told = run(bench.command("splinter_cli").args(["-u", &store]), b"get no --json\n");
    assert_eq!(error(&told), json!(format!("line 1: {no_key}")));
    file(&bench.folder, "rc", "get no\n");
    let told =
        run(bench.command("splinterctl").args(["--json", "--rcfile", "rc", "-u", &store, "list"]), b"");
    assert_eq!(error(&told), json!(format!("\"rc\": line 1: {no_key}")));
}

#[test]
fn memory_that_cannot_be_had_is_told_in_json_too() {
    let bench = Bench::new();
    run(bench.command("splinterpctl").args(["init", "s"]), b"").good();
    run(bench.command("splinterpctl").args(["-u", "s", "set", "k", "v"]), b"").good();
    // The program truncates the file while it has it open.
    let cut = "bids claim 7 --json -- truncate -s 0 s\nget k\n";
    let told = run(bench.command("splinterp_cli").args(["-u", "s", "--json"]), cut.as_bytes());
    assert!(error(&told).as_str().unwrap().starts_with("the store's memory is missing: "), "{told:?}");
}

#[test]
fn what_changes_under_a_watch_is_told_with_its_epoch() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let mut epoch = 2;
    for (words, told) in [
        (&["set", "k", "w"][..], json!({ "key": "k", "value": "w" })),
        (&["unset", "k"], json!({ "key": "k", "removed": true })),
    ] {
        let mut watch = bench.command("splinterctl");
        watch.args(["-u", &store, "watch", "--all", "--oneshot", "--json"]);
        let watch = watch.stdout(std::process::Stdio::piped()).spawn().unwrap();
        wait_until_asleep(watch.id());
        bench.good(&store, words);
        let mut line: Value = serde_json::from_slice(&finish(watch).stdout).unwrap();
        let now = line.as_object_mut().unwrap().remove("epoch").unwrap().as_u64().unwrap();
        assert!(now > epoch, "{now}");
        epoch = now;
        assert_eq!(line, told);
    }
}

#[test]
fn warnings_are_json_as_well() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "m", "no envelope"]);
    let told = bench.ctl(&store, &["--json", "recv", "m", "--last", "--envelope", "--timeout", "1ms"]);
    let mut lines = told.err.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let warning = lines.next().unwrap()["warning"].clone();
    assert!(warning.as_str().unwrap().starts_with("recv: no envelope: "), "{told:?}");
    assert_eq!(lines.next().unwrap()["error"], "recv: nothing came in time");
}

#[test]
fn hashes_and_masks_are_strings_of_hexadecimal_digits() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    bench.good(&store, &["label", "k", "0x8000000000000001"]);
    let head: Value = serde_json::from_str(&bench.good(&store, &["--json", "head", "k"])).unwrap();
    assert_eq!(head["labels"], "0x8000000000000001");
    let plain = bench.good(&store, &["head", "k"]);
    assert!(plain.contains(&format!("\nhash: {}\n", head["hash"].as_str().unwrap())), "{plain}");
    assert_eq!(head["hash"].as_str().unwrap().len(), 18);
    let bound = bench.good(&store, &["--json", "bind", "--label", "0xffffffffffffffff", "1"]);
    assert_eq!(bound, "{\"bound\":true,\"group\":1,\"labels\":\"0xffffffffffffffff\"}\n");
}

#[test]
fn no_control_character_is_in_json_as_it_is() {
    let bench = Bench::new();
    let store = bench.init("s");
    // U+009B begins a control sequence at a terminal, and JSON itself does not require an escape for it.
    bench.good(&store, &["set", "k\u{9b}", "v\u{9b}31m\u{7f}"]);
    for words in [
        &["--json", "get", "k\u{9b}"][..],
        &["--json", "list"],
        &["export", "--format", "ndjson"],
        &["export", "--values"],
        &["--json", "logtee", "-", "--once"],
    ] {
        let told = bench.good(&store, words);
        assert!(told.contains("k\\u009b") && !told.contains(['\u{9b}', '\u{7f}']), "{told:?}");
    }
    let told: Value = serde_json::from_str(&bench.good(&store, &["--json", "get", "k\u{9b}"])).unwrap();
    assert_eq!((&told["key"], &told["value"]), (&"k\u{9b}".into(), &"v\u{9b}31m\u{7f}".into()));
}
