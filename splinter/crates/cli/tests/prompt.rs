//! Tests of the prompt at a terminal with line editing: completion, hints, history, Ctrl-C and Ctrl-D. Also tests of
//! scripts from a pipe or a file.

mod common;

use common::terminal::Terminal;
use common::{Bench, file, run, wait_until_asleep, wait_until_reading};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use splinter_testkit::wait_until;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Ends a program that shows its prompt, by Ctrl-D.
fn leave(mut terminal: Terminal) {
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn commands_keys_and_options_are_completed_and_the_rest_is_hinted_at() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "p:only", "found"]);
    let mut command = bench.command("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-u", &store, "-p", "p:"]), "xterm");
    terminal.find(" # ");
    terminal.type_in("ge\t");
    // The hint is dimmed.
    terminal.find("get \x1b[2mKEY\x1b[m");
    terminal.type_in("on\t\n");
    terminal.find("5:found\n");
    terminal.type_in("un\t--re\tnothing\n");
    terminal.find("unset: removed 0 keys\n");
    terminal.type_in("set \x1b[D");
    terminal.type_in("\x15nonsense\n");
    terminal.find("there is no command \"nonsense\"; help lists them\n");
    terminal.find(" # ");
    leave(terminal);
}

#[test]
fn what_was_entered_comes_back_in_the_next_session() {
    let bench = Bench::new();
    for (arguments, variable, path) in [
        (&[][..], None, ".splinter_history"),
        (&["--history-file", "mine"], None, "mine"),
        (&[], Some("its"), "its"),
    ] {
        let start = || {
            let mut command = bench.command("splinter_cli");
            command.args(arguments).envs(variable.map(|file| ("SPLINTER_HISTORY_FILE", file)));
            let mut terminal = Terminal::start(&mut command, "xterm");
            terminal.find("no-conn # ");
            terminal
        };
        let mut first = start();
        first.type_in("uuid --help\n");
        first.find("usage: uuid");
        first.type_in(" help secret\n");
        first.find("there is no command \"secret\"");
        first.find("no-conn # ");
        leave(first);
        let mut second = start();
        second.type_in("\x1b[A\n");
        second.find("usage: uuid");
        second.type_in("hist\n");
        // The second line of the history. A line that is entered twice in a row is kept once.
        second.find("    1  uuid --help\n    2  hist\n");
        second.find("no-conn # ");
        leave(second);
        assert!(bench.folder.join(path).exists(), "{path}");
        // The one-shot form shows it, too.
        let mut command = bench.command("splinterctl");
        command.args(arguments).envs(variable.map(|file| ("SPLINTER_HISTORY_FILE", file)));
        assert_eq!(run(command.args(["hist", "--raw"]), b"").good(), "uuid --help\nhist\n");
    }
}

#[test]
fn ctrl_c_ends_a_command_that_waits_and_at_the_prompt_the_program() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let name = format!("{store} # ");
    // If the editor reads keys, it also reads the last Ctrl-C. Otherwise that one is a signal.
    for (kind, end) in [("dumb", None), ("xterm", Some(0)), ("xterm-256color", Some(0))] {
        let mut terminal = Terminal::start(bench.command("splinter_cli").args(["-u", &store]), kind);
        terminal.find(&name);
        for command in ["watch k", "watch --all", "poll k", "recv k", "recv nobody", "logtee log"] {
            terminal.type_in(format!("{command}\n"));
            wait_until_asleep(terminal.process());
            terminal.type_in("\x03");
            terminal.find("^C");
            terminal.find(&name);
        }
        terminal.type_in("bids claim 7 --hold 1h\n");
        terminal.find("claimed 7\n");
        terminal.type_in("\x03");
        terminal.find(&name);
        if kind != "dumb" {
            // Of several pasted lines, those after the interrupted one are not run.
            terminal.type_in("\x1b[200~watch k\rset late 1\x1b[201~\r");
            wait_until_asleep(terminal.process());
            terminal.type_in("\x03");
            terminal.find("^C");
            terminal.find(&name);
            terminal.type_in("get late\n");
            terminal.find("there is no key \"late\"\n");
            terminal.find(&name);
        }
        // No signal is pending for the editor, which checks when another signal comes.
        wait_until_reading(terminal.process());
        let id = Pid::from_raw(i32::try_from(terminal.process()).unwrap());
        kill(id, Signal::SIGWINCH).unwrap();
        wait_until("the signal to be taken", || {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            status.contains("\nShdPnd:\t0000000000000000\n")
        });
        terminal.type_in("get k --json\n");
        terminal.find(":\"v\"}\n");
        terminal.find(&name);
        terminal.type_in("\x03");
        assert_eq!(terminal.end().0, end, "{kind}");
    }
}

#[test]
fn an_interrupt_from_elsewhere_is_ctrl_c_and_leaves_the_terminal_as_it_was() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let name = format!("{store} # ");
    let by_int = [("dumb", Signal::SIGINT, None), ("xterm", Signal::SIGINT, Some(0))];
    let by_term = [("dumb", Signal::SIGTERM, None), ("xterm", Signal::SIGTERM, None)];
    for (kind, last, end) in by_int.into_iter().chain(by_term) {
        let mut terminal = Terminal::start(bench.command("splinter_cli").args(["-u", &store]), kind);
        let id = Pid::from_raw(i32::try_from(terminal.process()).unwrap());
        terminal.find(&name);
        assert_eq!(terminal.is_cooked(), kind == "dumb");
        terminal.type_in("watch k\n");
        wait_until_asleep(terminal.process());
        assert!(terminal.is_cooked());
        kill(id, Signal::SIGINT).unwrap();
        terminal.find(&name);
        // The same in the middle of a line.
        terminal.type_in("get");
        terminal.find("get");
        wait_until("the editor to read keys", || terminal.is_cooked() == (kind == "dumb"));
        kill(id, last).unwrap();
        let (code, seen) = terminal.end_with(|terminal| assert!(terminal.is_cooked(), "{kind}"));
        assert_eq!(code, end, "{kind} {last}");
        // Bracketed paste is off, and the shell's prompt begins a new line.
        assert!(kind == "dumb" || seen.ends_with("\x1b[?2004l\n"), "{seen:?}");
    }
}

#[test]
fn what_was_ignored_when_the_prompt_began_stays_ignored() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let name = format!("{store} # ");
    let (int, term) = (Signal::SIGINT, Signal::SIGTERM);
    for (kind, ignored, other, end) in [
        ("dumb", int, term, None),
        ("xterm", int, term, None),
        ("dumb", term, int, None),
        ("xterm", term, int, Some(0)),
    ] {
        let mut command = Command::new("sh");
        bench.prepare(&mut command);
        command.args(["-c", "trap '' \"$1\"; exec splinter_cli -u \"$2\"", "sh"]);
        command.args([ignored.as_str().trim_start_matches("SIG"), &store]);
        let mut terminal = Terminal::start(&mut command, kind);
        let id = Pid::from_raw(i32::try_from(terminal.process()).unwrap());
        terminal.find(&name);
        for news in ["one", "two"] {
            // The waiting command continues, and so does the prompt.
            terminal.type_in("watch k --oneshot\n");
            wait_until_asleep(terminal.process());
            kill(id, ignored).unwrap();
            bench.good(&store, &["set", "k", news]);
            terminal.find(&format!("3:{news}\n"));
            terminal.find(&name);
            wait_until("the editor to read keys", || terminal.is_cooked() == (kind == "dumb"));
            wait_until_reading(terminal.process());
            kill(id, ignored).unwrap();
        }
        terminal.type_in("get k --json\n");
        terminal.find(":\"two\"}\n");
        terminal.find(&name);
        wait_until("the editor to read keys", || terminal.is_cooked() == (kind == "dumb"));
        kill(id, other).unwrap();
        assert_eq!(terminal.end().0, end, "{kind} {ignored}");
    }
}

#[test]
fn lines_typed_ahead_or_pasted_are_commands_each() {
    let bench = Bench::new();
    let store = bench.init("s");
    for kind in ["dumb", "xterm-256color"] {
        let mut terminal = Terminal::start(bench.command("splinter_cli").args(["-u", &store]), kind);
        terminal.find(" # ");
        terminal.type_in("set f 4\rset g 5\rset h 6\runset f g h\ruuid --help\r");
        terminal.find("usage: uuid");
        if kind != "dumb" {
            terminal.type_in("\x1b[200~set f 7\rset g 8\x1b[201~\rget g --json\r");
            terminal.find(":\"8\"}\n");
            terminal.type_in("get f --json\r");
            terminal.find(":\"7\"}\n");
        }
        // If one of them had been lost, unset would have reported it.
        assert!(!terminal.seen.contains("there is no key"), "{}", terminal.seen);
        // Before that, the terminal would handle the key, not the editor.
        terminal.find(&format!("{store} # "));
        leave(terminal);
    }
}

#[test]
fn quit_and_exit_end_the_prompt() {
    let bench = Bench::new();
    for word in ["quit", "exit"] {
        let mut terminal = Terminal::start(&mut bench.command("splinter_cli"), "xterm");
        terminal.find(" # ");
        terminal.type_in(format!("{word}\r"));
        assert_eq!(terminal.end().0, Some(0));
    }
}

#[test]
fn a_prompt_needs_no_home_and_no_place_for_its_history() {
    let bench = Bench::new();
    let locked = bench.folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o500)).unwrap();
    let nowhere = bench.folder.join("no/such/folder");
    for home in [None, Some(&locked), Some(&nowhere)] {
        let mut command = bench.command("splinter_cli");
        match home {
            Some(home) => command.env("HOME", home),
            None => command.env_remove("HOME"),
        };
        let mut terminal = Terminal::start(&mut command, "dumb");
        terminal.find("no-conn # ");
        terminal.type_in("hist\n");
        terminal.wait_for("no-conn # ");
        // Only the line itself.
        assert_eq!(terminal.seen, "hist\n    1  hist\nno-conn # ");
        leave(terminal);
    }
    // A user who asks for a file that cannot be written is warned once.
    let mut command = bench.command("splinter_cli");
    command.arg("--history-file").arg(nowhere.join("history"));
    let mut terminal = Terminal::start(&mut command, "dumb");
    terminal.find("no-conn # ");
    terminal.type_in("hist\n");
    terminal.wait_for("no-conn # ");
    let said = terminal.seen.lines().nth(1).unwrap_or_default();
    assert!(said.starts_with("the history is not kept: "), "{}", terminal.seen);
    terminal.seen.clear();
    terminal.type_in("hist\n");
    terminal.wait_for("no-conn # ");
    assert!(!terminal.seen.contains("not kept"), "{}", terminal.seen);
    leave(terminal);
}

#[test]
fn a_prompt_tells_of_a_store_that_cannot_be_opened_and_goes_on() {
    let bench = Bench::new();
    let none = bench.store("none");
    let mut command = bench.command("splinter_cli");
    let mut terminal = Terminal::start(command.env("SPLINTER_DEFAULT_STORE", &none), "dumb");
    terminal.find(&format!("there is no store \"{none}\" (/dev/shm/{none}); init makes one\nno-conn # "));
    terminal.type_in(format!("init {none}\n"));
    terminal.find("with default geometry.\nno-conn # ");
    terminal.type_in("get \"open\n");
    terminal.find("a \" is not closed; write \\\" to mean one\nno-conn # ");
    terminal.type_in(b"get \xff\n");
    terminal.find("the line is not UTF-8; write \\xHH for a byte that is not text\nno-conn # ");
    terminal.type_in("get \\xff\n");
    terminal.find("get: no store is in use; ");
    terminal.find("no-conn # ");
    leave(terminal);
}

#[test]
fn a_script_stops_at_the_line_that_fails_and_says_which() {
    let bench = Bench::new();
    let store = bench.store("s");
    let script = format!(
        "# makes a store\ninit {store}\nuse {store}\n\nset greeting \"Hello, world!\"\nget greeting\nget nobody\nset late 1\n"
    );
    let expected = format!(
        "Creating '{store}' with default geometry.\nuse: now connected to {store}\n13:Hello, world!\n"
    );
    let told = run(&mut bench.command("splinter_cli"), script.as_bytes());
    assert_eq!(String::from_utf8_lossy(&told.out), expected);
    told.failed(1, "splinter_cli: line 7: get: there is no key \"nobody\"");
    bench.ctl(&store, &["get", "late"]).failed(1, "splinterctl: get: there is no key \"late\"");
    for (script, code, line) in [
        ("frob", 2, "line 1: there is no command \"frob\"; help lists them"),
        ("\nset a \"b\n", 2, "line 2: a \" is not closed; write \\\" to mean one"),
        (
            "set k -\nv",
            2,
            "line 1: set: - is standard input, from which the commands come; give the value, or a file",
        ),
        (
            "set k --file -\nv",
            2,
            "line 1: set: - is standard input, from which the commands come; give the value, or a file",
        ),
    ] {
        let mut command = bench.command("splinter_cli");
        let told = run(command.args(["--use", &store]), script.as_bytes());
        told.failed(code, &format!("splinter_cli: {line}"));
    }
    assert_eq!(run(&mut bench.command("splinter_cli"), b"").good(), "");
}

#[test]
fn a_start_up_file_runs_first_in_every_form() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    let rc = file(&bench.folder, "rc", format!("use {store} --raw\n"));
    let once = run(bench.command("splinterctl").arg("--rcfile").arg(&rc).args(["get", "k"]), b"");
    assert_eq!(once.good(), "1:v\n");
    let script = run(bench.command("splinter_cli").arg("--rcfile").arg(&rc), b"get k\n");
    assert_eq!(script.good(), "1:v\n");
    let mut terminal = Terminal::start(bench.command("splinter_cli").arg("--rcfile").arg(&rc), "dumb");
    terminal.find(&format!("\n{store} # "));
    leave(terminal);
    let wrong = file(&bench.folder, "wrong", "\nfrob\n");
    let told = run(bench.command("splinterctl").arg("--rcfile").arg(&wrong).args(["uuid"]), b"");
    let line =
        format!("{:?}: line 2: there is no command \"frob\"; help lists them", wrong.display().to_string());
    told.failed(2, &format!("splinterctl: {line}"));
}
