//! Tests of terminal output: stored bytes cannot control the terminal, and the prompt does not overwrite output.

mod common;

use common::terminal::Terminal;
use common::{Outcome, Sandbox, run, wait_until_asleep};
use splinter::{Location, Store};

/// Bytes that would clear the screen, set the window's title, return the cursor, and show text from right to left.
const EVIL: &[u8] = b"a\x1b[2J\x1b]0;name\x07\x9b31m\r\xc2\x9b31m\xe2\x80\xae\nb\tc";
/// The same bytes, as they are shown.
const SAFE: &str = "a\\x1b[2J\\x1b]0;name\\x07\\x9b31m\\x0d\\xc2\\x9b31m\\xe2\\x80\\xae\nb\tc";

/// Runs a command at a terminal, which shows tabs as they are. Returns the output, with plain newlines.
fn screen(sandbox: &Sandbox, store: &str, words: &[&str]) -> String {
    let mut command = sandbox.command("splinterctl");
    let terminal = Terminal::start(command.args(["-u", store]).args(words), "dumb");
    let (code, seen) = terminal.end();
    assert_eq!(code, Some(0), "{words:?}: {seen}");
    seen.replace("        ", "\t")
}

#[test]
fn stored_bytes_give_a_terminal_no_orders() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let mut writer = Store::open(&Location::shared(&*store).unwrap()).unwrap().writer().unwrap();
    writer.set(b"k\x1b[2J\x9b", EVIL).unwrap();
    writer.set("k", EVIL).unwrap();
    let len = EVIL.len();
    for words in [
        &["get", "k"][..],
        &["poll", "k", "--after", "0"],
        &["watch", "k", "--oneshot", "--after", "0"],
        &["recv", "k", "--last"],
        &["orders", "get", "k"],
    ] {
        assert_eq!(screen(&sandbox, &store, words), format!("{len}:{SAFE}\n"), "{words:?}");
    }
    let odd = "k\\x1b[2J\\x9b";
    assert!(screen(&sandbox, &store, &["list"]).contains(&format!("\n{odd} ")));
    let log = screen(&sandbox, &store, &["logtee", "-", "--once"]);
    assert!(log.contains(&format!("{odd} {len}:{SAFE}\n")), "{log}");
    let exported = screen(&sandbox, &store, &["export", "--values"]);
    let text = screen(&sandbox, &store, &["export", "--format", "text"]);
    for printed in [&log, &exported, &text] {
        assert!(!printed.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']), "{printed:?}");
    }
    let mut command = sandbox.command("splinterctl");
    let odd_key = std::os::unix::ffi::OsStrExt::from_bytes(b"k\x1b[2J\x9b");
    let words: [&std::ffi::OsStr; 4] = ["-u".as_ref(), store.as_ref(), "head".as_ref(), odd_key];
    let (_, head) = Terminal::start(command.args(words), "dumb").end();
    assert!(head.starts_with(&format!("key: {odd}\n")), "{head:?}");
    // Unchanged with --raw, or if the output is not a terminal.
    assert!(screen(&sandbox, &store, &["get", "k", "--raw"]).contains("\x1b[2J"));
    let plain = run(sandbox.command("splinterctl").args(["-u", &store, "get", "k"]), b"");
    assert_eq!(plain.out, [format!("{len}:").as_bytes(), EVIL, b"\n"].concat());
}

#[test]
fn a_watch_of_many_keys_gives_a_terminal_no_orders() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let mut command = sandbox.command("splinterctl");
    let mut terminal = Terminal::start(command.args(["-u", &store, "watch", "--all", "--oneshot"]), "dumb");
    wait_until_asleep(terminal.process());
    let Outcome { code, .. } =
        run(sandbox.command("splinterctl").args(["-u", &store, "set", "k", "-"]), EVIL);
    assert_eq!(code, Some(0));
    terminal.find(&format!("k {}:a\\x1b[2J", EVIL.len()));
    assert!(!terminal.end().1.contains('\x1b'));
}

#[test]
fn the_prompt_does_not_overwrite_output_without_a_newline() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    sandbox.good(&store, &["set", "k", "value"]);
    sandbox.good(&store, &["set", "line", "value\n"]);
    for kind in ["dumb", "xterm"] {
        let mut command = sandbox.command("splinter_cli");
        let mut terminal = Terminal::start(command.args(["-u", &store]), kind);
        terminal.find(" # ");
        // On the same line, the prompt would be drawn over it.
        terminal.type_in("get k --raw\n");
        terminal.find("value\n");
        terminal.find(" # ");
        // A value that ends in a newline gets no other.
        terminal.type_in("get line --raw\n");
        terminal.find("value\n");
        terminal.find(" # ");
        assert!(!terminal.seen.contains("\n\n"), "{:?}", terminal.seen);
        terminal.type_in("\x04");
        assert_eq!(terminal.end().0, Some(0));
    }
}
