//! Tests of commands whose store is removed, or removed and created again, and of a receiver that misses messages.

mod common;
mod store_sandbox;

use common::terminal::Terminal;
use common::wait_until_asleep;
use splinter::{Location, Store};
use splinter_testkit::wait::wait_until;
use store_sandbox::{Bounded, Running, StoreSandbox, bad, good, small};

/// Removes the sandbox's store, and creates another of its name if asked.
fn replace(sandbox: &StoreSandbox, is_made_again: bool) {
    Location::shared(&*sandbox.name).unwrap().unlink().unwrap();
    if is_made_again {
        let store = sandbox.store(small());
        store.writer().unwrap().set("k", b"of another store").unwrap();
    }
}

#[test]
fn commands_that_wait_notice_that_the_store_was_removed_or_made_again() {
    for (is_made_again, what) in [
        (false, "was removed"),
        (true, "was removed and made again: this command waited for the old one; run it again"),
    ] {
        let waits: [&[&str]; 7] = [
            &["watch", "k"],
            &["watch", "--group", "7"],
            &["watch", "--all"],
            &["poll", "k"],
            &["recv", "k"],
            &["recv", "not-there-yet"],
            &["logtee", "log"],
        ];
        let sandbox = StoreSandbox::new();
        let store = sandbox.store(small());
        store.writer().unwrap().set("k", b"old").unwrap();
        let mut waiting = Vec::new();
        for words in waits {
            let mut running = Running::start(&mut sandbox.ctl(words));
            wait_until_asleep(running.child().id());
            waiting.push((words, running));
        }
        replace(&sandbox, is_made_again);
        // Changes in the old store must not hide that it is the old one.
        let mut writer = store.writer().unwrap();
        for (words, mut running) in waiting {
            wait_until(&format!("{words:?} notices"), || {
                writer.set("another", b"change").unwrap();
                running.child().try_wait().unwrap().is_some()
            });
            let output = running.end();
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            let error = String::from_utf8(output.stderr).unwrap();
            let (lag, last): (Vec<_>, Vec<_>) =
                error.lines().partition(|line| line.ends_with(" changes came too fast; all keys follow"));
            let line = format!("splinterctl: {}: the store /dev/shm/{} {what}", words[0], sandbox.name);
            assert_eq!(last, [line], "{words:?}");
            // On a busy machine a watcher of all keys may lag behind the changes that this test makes.
            assert!(lag.is_empty() || words == ["watch", "--all"], "{words:?}: {error}");
        }
    }
}

#[test]
fn send_lines_notices_that_the_store_was_made_again() {
    let sandbox = StoreSandbox::new();
    sandbox.store(small());
    let mut command = sandbox.ctl(&["send", "k", "--lines"]);
    command.stdin(std::process::Stdio::piped());
    let mut sender = Running::start(&mut command);
    let mut pipe = sender.child().stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, b"one\n").unwrap();
    let store = Store::open(&Location::shared(&*sandbox.name).unwrap()).unwrap();
    wait_until("it sends", || store.get_vec("k").is_ok_and(|value| value == b"one"));
    replace(&sandbox, true);
    wait_until("it notices", || {
        let _ = std::io::Write::write_all(&mut pipe, b"two\n");
        sender.child().try_wait().unwrap().is_some()
    });
    let error = bad(1, sender.end());
    assert!(error.contains(" was removed and made again: "), "{error}");
}

#[test]
fn the_prompt_says_once_that_its_store_is_not_the_one_of_that_name_any_more() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    store.writer().unwrap().set("k", b"old").unwrap();
    let mut terminal = Terminal::start(sandbox.program("splinter_cli").args(["-u", &sandbox.name]), "dumb");
    let prompt = format!("{} # ", sandbox.name);
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    terminal.find("3:old\n");
    replace(&sandbox, true);
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    let place = format!("/dev/shm/{}", sandbox.name);
    terminal.find(&format!(
        "the store {place} was removed and made again: this is the old one; use opens the new one\n"
    ));
    // The old store can still be read, and saved.
    terminal.find("3:old\n");
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    terminal.wait_for(&format!("3:old\n{prompt}"));
    assert!(!terminal.seen.contains("made again"), "{}", terminal.seen);
    terminal.type_in(format!("use {}\nget k\n", sandbox.name));
    terminal.find("16:of another store\n");
    terminal.find(&prompt);
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn drop_leaves_a_store_alone_that_others_have_open_unless_it_is_forced() {
    let sandbox = StoreSandbox::new();
    sandbox.store(small()).writer().unwrap().set("k", b"v").unwrap();
    let mut watcher = Running::start(&mut sandbox.ctl(&["watch", "k"]));
    wait_until_asleep(watcher.child().id());
    let pid = watcher.child().id();
    let error = bad(1, sandbox.program("splinterctl").args(["drop", &sandbox.name]).ended());
    let name = &sandbox.name;
    assert_eq!(
        error,
        format!("splinterctl: drop: process {pid} has \"{name}\" open; end it first, or give --force")
    );
    assert!(Location::shared(&**name).is_ok_and(|place| Store::open(&place).is_ok()));
    let answer = good(sandbox.program("splinterctl").args(["drop", name, "--force", "--json"]).ended());
    assert_eq!(answer, format!("{{\"dropped\":\"{name}\",\"keys\":1}}\n"));
    assert!(bad(1, watcher.end()).ends_with(" was removed"));
}

#[test]
fn a_receiver_says_how_many_messages_it_missed() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    writer.set("news", b"0").unwrap();
    for words in [&["recv", "news", "--raw"][..], &["recv", "news", "--raw", "--count", "1"]] {
        let mut receiver = Running::start(&mut sandbox.ctl(words));
        let id = nix::unistd::Pid::from_raw(receiver.child().id() as i32);
        wait_until_asleep(receiver.child().id());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGSTOP).unwrap();
        wait_until("it has stopped", || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        });
        for message in ["1", "2", "3", "4"] {
            writer.set("news", message.as_bytes()).unwrap();
        }
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGCONT).unwrap();
        let output = receiver.end();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"4\n");
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "recv: 3 messages came too fast and were missed\n");
    }
    // No warning if no message came in between.
    let mut receiver = Running::start(&mut sandbox.ctl(&["recv", "news"]));
    wait_until_asleep(receiver.child().id());
    writer.set("news", b"only").unwrap();
    assert_eq!(good(receiver.end()), "4:only\n");
}
