//! Tests of habits from other tools: one notation for sizes and times, other tools' names of commands, and
//! libsplinter's own command line.

mod common;

use common::terminal::Terminal;
use common::{Bench, file, finish, run, told, wait_until_asleep, wait_until_reading};
use splinter::{Geometry, Location, Store};
use splinter_testkit::wait_until;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn open(store: &str) -> Store {
    Store::open(&Location::shared(store).unwrap()).unwrap()
}

#[test]
fn sizes_and_times_are_written_alike_everywhere() {
    let bench = Bench::new();
    let store = bench.store("s");
    let words = ["init", &store, "--slots", "1k", "--max-value", "1KiB", "--dim", "0"];
    run(bench.command("splinterctl").args(words), b"").good();
    let Geometry { slots, max_value_len, .. } = open(&store).geometry();
    assert_eq!((slots, max_value_len), (1_000, 1_024));
    bench.good(&store, &["set", "n", "0"]);
    bench.good(&store, &["type", "n", "BIGUINT"]);
    assert_eq!(bench.good(&store, &["math", "n", "inc", "1MiB"]), "1048576\n");
    // poll takes a bare number as milliseconds, as it always did.
    for (timeout, said) in [("1ms", "1ms"), ("1", "1 ms"), ("0.001s", "0.001s")] {
        bench
            .ctl(&store, &["poll", "n", timeout])
            .failed(1, &format!("splinterctl: poll: \"n\" did not change within {said}"));
    }
    bench
        .ctl(&store, &["poll", "n", "soon"])
        .failed(2, "splinterctl: poll: TIMEOUT: \"soon\" is not a span of time, as in 500ms, 2s or 1m");
    bench
        .ctl(&store, &["init", "x", "--slots", "1e3"])
        .failed(2, "splinterctl: init: --slots: \"1e3\" is not a number from 0 to 2^64 - 1");
    for program in ["splinterctl", "splinter_cli"] {
        let help = run(bench.command(program).arg("--help"), b"").good();
        assert!(help.contains("\nsizes and times: "), "{help}");
    }
}

#[test]
fn a_watch_ends_after_so_many_changes_or_so_much_time() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    bench.good(&store, &["bind", "k", "7"]);
    let line = |what: &str| format!("splinterctl: watch: {what}");
    for words in [&["k"][..], &["--group", "7"], &["--all"]] {
        let watch = |more: &[&str]| {
            let words = [&["watch"], words, more].concat();
            bench.ctl(&store, &words)
        };
        // Without a number of changes, the time is how long the watch runs.
        assert_eq!(watch(&["--timeout", "20ms"]).good(), "");
        let late = line("nothing changed in time");
        watch(&["--oneshot", "--timeout", "20ms"]).failed(1, &late);
        watch(&["--count", "2", "--timeout", "20ms"]).failed(1, &late);
        watch(&["--count", "0"]).failed(2, &line("--count: 0 changes are none; give 1 or more"));
        watch(&["--count", "2", "--oneshot"]).failed(2, &line("give --oneshot or --count, not both"));
        let mut command = bench.command("splinterctl");
        command.args(["-u", &store, "watch", "--raw", "--count", "2", "--timeout", "60s"]);
        let watch = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut watch = watch.expect("start the watch");
        wait_until_asleep(watch.id());
        let mut lines = BufReader::new(watch.stdout.take().unwrap());
        for value in ["one\n", "two\n"] {
            bench.good(&store, &["set", "k", value.trim_end()]);
            // Wait until the first change is printed before making the second.
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, value);
        }
        assert_eq!(told(finish(watch)).good(), "");
    }
}

#[test]
fn other_tools_names_are_answered_with_ours() {
    let bench = Bench::new();
    for (name, ours) in [
        ("del", "unset"),
        ("delete", "unset"),
        ("rm", "unset"),
        ("ls", "list"),
        ("keys", "list"),
        ("incr", "math KEY inc"),
        ("decr", "math KEY dec"),
        ("info", "config"),
        ("put", "set"),
        ("create", "init"),
        ("subscribe", "watch"),
        ("publish", "send"),
    ] {
        for words in [&[name, "x"][..], &["help", name]] {
            let told = run(bench.command("splinterctl").args(words), b"");
            let line = format!("there is no command \"{name}\"; did you mean {ours}?\n");
            assert_eq!(told.code, Some(2));
            assert!(told.err.ends_with(&line), "{told:?}");
        }
    }
}

#[test]
fn ctrl_c_clears_a_line_that_is_half_typed() {
    let bench = Bench::new();
    let store = bench.init("s");
    let name = format!("{store} # ");
    let mut terminal = Terminal::start(bench.command("splinter_cli").args(["-u", &store]), "xterm");
    let next_line = |terminal: &mut Terminal| {
        terminal.find(&name);
        wait_until("the editor to read keys", || !terminal.is_cooked());
        wait_until_reading(terminal.process());
    };
    next_line(&mut terminal);
    for keys in ["unset everything", "x", "ab\x1b[D", "  "] {
        terminal.type_in(keys);
        terminal.type_in("\x03");
        // The editor has turned off bracketed paste, and left the line.
        terminal.find("\x1b[?2004l\n");
        next_line(&mut terminal);
    }
    terminal.type_in("set k v\rget k\r");
    terminal.find("1:v\n");
    next_line(&mut terminal);
    // A line whose text was deleted counts as empty.
    terminal.type_in("x\x7f");
    terminal.type_in("\x03");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn quit_and_exit_end_a_script_and_are_commands_like_others() {
    let bench = Bench::new();
    for word in ["quit", "exit", " quit # enough"] {
        let script = format!("uuid --help\n{word}\nfrob\n");
        let told = run(&mut bench.command("splinter_cli"), script.as_bytes());
        assert!(told.good().starts_with("usage: uuid"), "{word}");
        // `exit` in a start-up file does not end what follows the file.
        let rc = file(&bench.folder, "rc", format!("{word}\nfrob\n"));
        let mut command = bench.command("splinterctl");
        let told = run(command.arg("--rcfile").arg(&rc).args(["help", "uuid"]), b"");
        assert!(told.good().starts_with("usage: uuid"), "{word}");
    }
    assert_eq!(run(bench.command("splinterctl").arg("quit"), b"").good(), "");
    assert!(run(bench.command("splinterctl").args(["help", "quit"]), b"").good().contains("exit"));
}

#[test]
fn columns_of_a_list_are_aligned() {
    let bench = Bench::new();
    let store = bench.init("s");
    for (key, value) in [("a", "1"), ("a_longer_key", "12345678901"), ("b", "22")] {
        bench.good(&store, &["set", key, value]);
    }
    bench.good(&store, &["set", "a", "1"]);
    for _ in 0..5 {
        bench.good(&store, &["bump", "b"]);
    }
    let lines = bench.good(&store, &["list"]);
    let expected = format!(
        "Key Name     | Epoch | Value Length\n{}\nb            | 12    | 2\na_longer_key | 2     | 11\na            | 4     | 1\n",
        "-".repeat(66)
    );
    assert_eq!(lines, expected);
    // Rows of equal widths are printed as the documentation shows them.
    let lines = bench.good(&store, &["list", "longer"]);
    assert!(lines.ends_with("\na_longer_key | 2 | 11\n"), "{lines}");
}

#[test]
fn options_of_the_original_program_are_taken() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let cli = |words: &[&str], input: &str| run(bench.command("splinter_cli").args(words), input.as_bytes());
    assert_eq!(cli(&["-n", "-u", &store, "get", "k"], "").good(), "1:v\n");
    assert_eq!(cli(&["--no-repl", "-u", &store, "get", "k"], "").good(), "1:v\n");
    cli(&["-n"], "uuid\n").failed(2, "splinter_cli: no command is given; --help lists them");
    let version = cli(&["--version"], "").good();
    assert_eq!(cli(&["-v"], "").good(), version);
    assert_eq!(cli(&["-V"], "").good(), version);
    let list = cli(&["-L"], "").good();
    assert_eq!(cli(&["--list-modules"], "").good(), list);
    assert_eq!(cli(&["help"], "").good(), list);
    // The history's file and length.
    file(&bench.folder, "lines", "#V2\none\ntwo\nthree\n");
    assert_eq!(cli(&["-H", "lines", "hist", "--raw"], "").good(), "one\ntwo\nthree\n");
    assert_eq!(cli(&["-H", "lines", "-l", "2", "hist", "--raw"], "").good(), "two\nthree\n");
    let mut command = bench.command("splinter_cli");
    command.env("SPLINTER_HISTORY_LEN", "1").args(["-H", "lines", "hist", "--raw"]);
    assert_eq!(run(&mut command, b"").good(), "three\n");
    cli(&["-l", "many", "hist"], "").failed(
        2,
        &format!("splinter_cli: --history-len: \"many\" is not a number from 0 to {}", "2^64 - 1"),
    );
    // The prompt keeps no more lines than that.
    let mut command = bench.command("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-H", "lines", "-l", "2"]), "xterm");
    terminal.find(" # ");
    terminal.type_in("hist --raw\r");
    terminal.find("three\nhist --raw\n");
    terminal.find(" # ");
    terminal.type_in("quit\r");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(cli(&["-H", "lines", "hist", "--raw"], "").good(), "hist --raw\nquit\n");
}

#[test]
fn commands_of_the_original_are_taken() {
    let bench = Bench::new();
    let store = bench.init("s");
    assert_eq!(run(bench.command("splinterctl").arg("cls"), b"").good(), "");
    let help = run(bench.command("splinterctl").args(["help", "cls"]), b"").good();
    assert!(help.starts_with("usage: clear\n"), "{help}");
    let made = bench.store("made");
    for words in [["-s", "8", "-l", "128"], ["--slots", "8", "--length", "128"]] {
        run(bench.command("splinterctl").args(["init", &made]).args(words), b"").good();
        let geometry = open(&made).geometry();
        assert_eq!((geometry.slots, geometry.max_value_len), (8, 128));
        run(bench.command("splinterctl").args(["drop", &made]), b"").good();
    }
    // shard is bids, with the original's order of words.
    let script = "shard claim 0x5F1A willneed 10 1000000000000\nshard who\nshard rebid 0x5F1A random 3 1000000000000\n\
                  shard table --raw\nshard advise 0x5F1A sequential nowait\nshard release 0x5F1A\nshard table --raw\n";
    let told = run(bench.command("splinter_cli").args(["-u", &store]), script.as_bytes()).good();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(
        (lines[0], lines[2], lines[3], lines[4]),
        ("claimed 24346", "renewed 24346", "24346", "released 24346")
    );
    assert!(lines[1].starts_with("24346 of process ") && lines.len() == 5, "{told}");
    for (words, line) in [
        (
            &["shard"][..],
            "shard: say what to do: table, who, claim, rebid, release, advise; help shard explains them",
        ),
        (
            &["shard", "claim", "7"],
            "shard: INTENT is missing; use: shard claim ID INTENT PRIORITY TICKS [--hold SPAN]",
        ),
        (
            &["shard", "claim", "7", "sell", "1", "1"],
            "shard: INTENT: \"sell\" is not one of none, willneed, sequential, random, dontneed",
        ),
        (
            &["shard", "advise", "7", "random", "later"],
            "shard: \"later\" is not nowait; use: shard advise ID INTENT [nowait]",
        ),
    ] {
        bench.ctl(&store, words).failed(2, &format!("splinterctl: {line}"));
    }
    // orders set KEY N creates orders up to N. It leaves existing ones alone, and removes none.
    bench.good(&store, &["set", "car", "fast"]);
    let before = bench.good(&store, &["--json", "get", "car"]);
    assert_eq!(bench.good(&store, &["orders", "set", "car", "3"]), "car has 3 orders\n");
    assert_eq!(bench.good(&store, &["orders", "get", "car"]), "4:fast\n0:\n0:\n");
    assert_eq!(bench.good(&store, &["--json", "get", "car"]), before);
    assert_eq!(bench.good(&store, &["orders", "set", "car", "2"]), "car has 3 orders\n");
    for value in ["64B", "0x3", "+3", "256", "1"] {
        bench.good(&store, &["orders", "set", "value", value]);
        let held = bench.good(&store, &["orders", "get", "value", "--raw"]);
        assert_eq!(held, format!("{value}\n"));
    }
    bench.good(&store, &["unset", "value"]);
    assert_eq!(bench.good(&store, &["unset", "-r", "car"]), "");
    assert!(open(&store).is_empty());
    bench.ctl(&store, &["unset", "-r", "car"]).failed(1, "splinterctl: unset: there is no key \"car\"");
    bench
        .ctl(&store, &["unset", "-r", "--regex", "car"])
        .failed(2, "splinterctl: unset: give --tandem or --regex, not both");
}

#[test]
fn labels_have_the_names_that_the_users_file_gives_them() {
    let bench = Bench::new();
    let store = bench.init("s");
    let rc = "# labels\nWAITING 0x1\n\nurgent-label   0x10\nboth 17\n";
    file(&bench.folder, ".splinterrc", rc);
    for key in ["a", "b"] {
        bench.good(&store, &["set", key, "v"]);
    }
    bench.good(&store, &["label", "a", "WAITING"]);
    bench.good(&store, &["label", "b", "both"]);
    assert_eq!(bench.good(&store, &["label", "b"]), "0x11\n");
    assert_eq!(bench.good(&store, &["list", "--label", "urgent-label", "--raw"]), "b\n");
    bench.good(&store, &["label", "b", "WAITING", "--remove"]);
    assert_eq!(bench.good(&store, &["label", "b"]), "0x10\n");
    // bind takes a label as well as a key.
    assert_eq!(bench.good(&store, &["bind", "WAITING", "5"]), "labels 0x1 are bound to group 5\n");
    assert_eq!(bench.good(&store, &["bind", "0x10", "6"]), "labels 0x10 are bound to group 6\n");
    bench.good(&store, &["bind", "--bloom", "both", "7"]);
    let groups = |key: &str| {
        let head = bench.good(&store, &["head", key]);
        head.lines().find(|line| line.starts_with("groups")).unwrap().to_owned()
    };
    assert_eq!((groups("a"), groups("b")), ("groups: 5 7".to_owned(), "groups: 6 7".to_owned()));
    assert_eq!(bench.good(&store, &["bind", "a", "8"]), "");
    assert_eq!(groups("a"), "groups: 5 7 8");
    bench.ctl(&store, &["bind", "no", "8"]).failed(1, "splinterctl: bind: there is no key \"no\"");
    // A key of that name has precedence over the label.
    bench.good(&store, &["set", "WAITING", "v"]);
    assert_eq!(bench.good(&store, &["bind", "WAITING", "9"]), "");
    assert_eq!(groups("WAITING"), "groups: 9");
    bench.good(&store, &["set", "n", "0"]);
    bench.good(&store, &["type", "n", "BIGUINT"]);
    assert_eq!(bench.good(&store, &["math", "n", "or", "both"]), "17\n");
    bench.ctl(&store, &["label", "a", "SLEEPING"]).failed(
        2,
        "splinterctl: label: MASK: \"SLEEPING\" is not a label in ~/.splinterrc, and not a number from 0 to 2^64 - 1",
    );
    // Another file, and one that cannot be parsed.
    let other = file(&bench.folder, "other", "LATE 0x8000\n");
    for option in ["-r", "--rc-file"] {
        let mut command = bench.command("splinterctl");
        command.arg(option).arg(&other).args(["-u", &store, "label", "a", "LATE"]);
        run(&mut command, b"").good();
    }
    assert_eq!(bench.good(&store, &["label", "a"]), "0x8001\n");
    file(&bench.folder, ".splinterrc", "WAITING 0x1\nLATE soon\n");
    bench.good(&store, &["label", "a", "0x2"]);
    bench.ctl(&store, &["label", "a", "LATE"]).failed(
        1,
        "splinterctl: label: ~/.splinterrc, line 2: \"soon\" is not a mask: a line is a name and a number, as in WAITING 0x1",
    );
}
