//! Tests of the prompt at a terminal with line editing: completion, hints, history, Ctrl-C and Ctrl-D.

mod common;

use common::terminal::{Terminal, play};
use common::{Sandbox, file, run, wait_until, wait_until_asleep, wait_until_polling, wait_until_reading};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Ends a program that shows its prompt, by Ctrl-D.
fn leave(mut terminal: Terminal) {
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

/// Types a session, and compares the output byte for byte. `...` in the session calls `meanwhile`.
fn play_session(command: &mut Command, session: &str, store: &str, meanwhile: impl Fn(&Terminal)) {
    let session = session.replace("$VERSION", splinter_cli::BUILD).replace("$STORE", store);
    play(&mut Terminal::start(command, "dumb"), &session, meanwhile);
}

#[test]
fn the_session_in_the_readme_of_the_original_reads_as_it_did() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("s");
    let session = include_str!("sessions/prompt.txt");
    play_session(&mut sandbox.command("splinter_cli"), session, &store, |terminal| {
        wait_until_asleep(terminal.process());
        sandbox.good(&store, &["set", "test_two", "Fine, thanks!"]);
    });
}

#[test]
fn the_session_with_a_prefix_in_the_readme_of_the_original_reads_as_it_did() {
    for by_variable in [false, true] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.command("splinter_cli");
        match by_variable {
            false => command.args(["--prefix", "demo::namespace::"]),
            true => command.env("SPLINTER_NS_PREFIX", "demo::namespace::"),
        };
        let session = include_str!("sessions/prompt_with_prefix.txt");
        play_session(&mut command, session, &sandbox.store("s"), |_| ());
    }
}

#[test]
fn commands_keys_and_options_are_completed_and_the_rest_is_hinted_at() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "p:only", "found"]);
    let mut command = sandbox.command("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-u", &store, "-p", "p:"]), "xterm");
    terminal.find(" # ");
    terminal.type_in("ge\t");
    // The hint is dimmed.
    terminal.find("get \x1b[2mKEY\x1b[m");
    terminal.type_in("on\t\n");
    terminal.find("5:found\n");
    terminal.type_in("uns\t--re\tnothing\n");
    terminal.find("unset: removed 0 keys\n");
    terminal.type_in("set \x1b[D");
    terminal.type_in("\x15nonsense\n");
    terminal.find("there is no command \"nonsense\"; help lists them\n");
    terminal.find(" # ");
    leave(terminal);
}

#[test]
fn the_next_session_has_the_history() {
    let sandbox = Sandbox::new();
    for (arguments, variable, path) in [
        (&[][..], None, ".splinter_history"),
        (&["--history-file", "mine"], None, "mine"),
        (&[], Some("its"), "its"),
    ] {
        let start = || {
            let mut command = sandbox.command("splinter_cli");
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
        assert!(sandbox.folder.join(path).exists(), "{path}");
        // The one-shot form shows it, too.
        let mut command = sandbox.command("splinterctl");
        command.args(arguments).envs(variable.map(|file| ("SPLINTER_HISTORY_FILE", file)));
        assert_eq!(run(command.args(["hist", "--raw"]), b"").good(), "uuid --help\nhist\n");
    }
}

#[test]
fn ctrl_c_ends_a_command_that_waits_and_at_the_prompt_the_program() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "k", "v"]);
    sandbox.good(&store, &["queue", "create", "q", "--capacity", "1"]);
    let name = format!("{store} # ");
    nix::unistd::mkfifo(&sandbox.folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // If the editor reads keys, it also reads the last Ctrl-C. Otherwise that one is a signal.
    for (kind, end) in [("dumb", None), ("xterm", Some(0)), ("xterm-256color", Some(0))] {
        let mut terminal = Terminal::start(sandbox.command("splinter_cli").args(["-u", &store]), kind);
        terminal.find(&name);
        let of_keys = ["watch k", "watch --all", "poll k", "recv k", "recv nobody", "logtee log"];
        for command in of_keys.into_iter().chain(["queue recv q --follow", "queue recv q --wait 1h"]) {
            terminal.type_in(format!("{command}\n"));
            wait_until_asleep(terminal.process());
            terminal.type_in("\x03");
            terminal.find("^C");
            terminal.find(&name);
        }
        terminal.type_in("set k --file pipe\n");
        wait_until_polling(terminal.process());
        terminal.type_in("\x03");
        terminal.find("cannot read \"pipe\": Interrupted");
        terminal.find(&name);
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
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "k", "v"]);
    let name = format!("{store} # ");
    let by_int = [("dumb", Signal::SIGINT, None), ("xterm", Signal::SIGINT, Some(0))];
    let by_term = [("dumb", Signal::SIGTERM, None), ("xterm", Signal::SIGTERM, None)];
    for (kind, last, end) in by_int.into_iter().chain(by_term) {
        let mut terminal = Terminal::start(sandbox.command("splinter_cli").args(["-u", &store]), kind);
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
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "k", "v"]);
    let name = format!("{store} # ");
    let (int, term) = (Signal::SIGINT, Signal::SIGTERM);
    for (kind, ignored, other, end) in [
        ("dumb", int, term, None),
        ("xterm", int, term, None),
        ("dumb", term, int, None),
        ("xterm", term, int, Some(0)),
    ] {
        let mut command = Command::new("sh");
        sandbox.prepare(&mut command);
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
            sandbox.good(&store, &["set", "k", news]);
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
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    for kind in ["dumb", "xterm-256color"] {
        let mut terminal = Terminal::start(sandbox.command("splinter_cli").args(["-u", &store]), kind);
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
    let sandbox = Sandbox::new();
    for word in ["quit", "exit"] {
        let mut terminal = Terminal::start(&mut sandbox.command("splinter_cli"), "xterm");
        terminal.find(" # ");
        terminal.type_in(format!("{word}\r"));
        assert_eq!(terminal.end().0, Some(0));
    }
}

#[test]
fn a_prompt_needs_no_home_and_no_place_for_its_history() {
    let sandbox = Sandbox::new();
    let locked = sandbox.folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o500)).unwrap();
    let nowhere = sandbox.folder.join("no/such/folder");
    for home in [None, Some(&locked), Some(&nowhere)] {
        let mut command = sandbox.command("splinter_cli");
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
    let mut command = sandbox.command("splinter_cli");
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
    let sandbox = Sandbox::new();
    let none = sandbox.store("none");
    let mut command = sandbox.command("splinter_cli");
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
fn a_start_up_file_runs_before_the_first_prompt() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let rc = file(&sandbox.folder, "rc", format!("use {store} --raw\n"));
    let mut terminal = Terminal::start(sandbox.command("splinter_cli").arg("--rcfile").arg(&rc), "dumb");
    terminal.find(&format!("\n{store} # "));
    leave(terminal);
}

#[test]
fn ctrl_c_clears_a_line_that_is_half_typed() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let name = format!("{store} # ");
    let mut terminal = Terminal::start(sandbox.command("splinter_cli").args(["-u", &store]), "xterm");
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
fn the_prompt_keeps_no_more_lines_of_history_than_asked_for() {
    let sandbox = Sandbox::new();
    file(&sandbox.folder, "lines", "#V2\none\ntwo\nthree\n");
    let mut command = sandbox.command("splinter_cli");
    let mut terminal = Terminal::start(command.args(["-H", "lines", "-l", "2"]), "xterm");
    terminal.find(" # ");
    terminal.type_in("hist --raw\r");
    terminal.find("three\nhist --raw\n");
    terminal.find(" # ");
    terminal.type_in("quit\r");
    assert_eq!(terminal.end().0, Some(0));
    let answer = run(sandbox.command("splinter_cli").args(["-H", "lines", "hist", "--raw"]), b"");
    assert_eq!(answer.good(), "hist --raw\nquit\n");
}
