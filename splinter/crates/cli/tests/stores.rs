//! Tests of whole stores: `stores` lists them, `drop` removes one, and `init` warns of one larger than its memory.
//! Commands notice that their store was removed, or removed and made again.

mod common;
mod rig;

use common::terminal::Terminal;
use common::{Bench, run, wait_until_asleep};
use rig::{Bounded, Rig, bad, good, small};
use serde_json::Value;
use splinter::{Location, Store};
use splinter_testkit::{Running, wait_until};

/// Removes the rig's store, and creates another of its name if asked.
fn replace(rig: &Rig, is_made_again: bool) {
    Location::shared(&*rig.name).unwrap().unlink().unwrap();
    if is_made_again {
        let store = rig.store(small());
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
        let rig = Rig::new();
        let store = rig.store(small());
        store.writer().unwrap().set("k", b"old").unwrap();
        let mut waiting = Vec::new();
        for words in waits {
            let mut running = Running::start(&mut rig.ctl(words));
            wait_until_asleep(running.child().id());
            waiting.push((words, running));
        }
        replace(&rig, is_made_again);
        // Changes in the old store must not hide that it is the old one.
        let mut writer = store.writer().unwrap();
        for (words, mut running) in waiting {
            wait_until(&format!("{words:?} notices"), || {
                writer.set("another", b"change").unwrap();
                running.child().try_wait().unwrap().is_some()
            });
            let error = bad(1, running.end());
            let line = format!("splinterctl: {}: the store /dev/shm/{} {what}", words[0], rig.name);
            assert_eq!(error, line, "{words:?}");
        }
    }
}

#[test]
fn send_lines_notices_that_the_store_was_made_again() {
    let rig = Rig::new();
    rig.store(small());
    let mut command = rig.ctl(&["send", "k", "--lines"]);
    command.stdin(std::process::Stdio::piped());
    let mut sender = Running::start(&mut command);
    let mut pipe = sender.child().stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, b"one\n").unwrap();
    let store = Store::open(&Location::shared(&*rig.name).unwrap()).unwrap();
    wait_until("it sends", || store.get_vec("k").is_ok_and(|value| value == b"one"));
    replace(&rig, true);
    wait_until("it notices", || {
        let _ = std::io::Write::write_all(&mut pipe, b"two\n");
        sender.child().try_wait().unwrap().is_some()
    });
    let error = bad(1, sender.end());
    assert!(error.contains(" was removed and made again: "), "{error}");
}

#[test]
fn the_prompt_says_once_that_its_store_is_not_the_one_of_that_name_any_more() {
    let rig = Rig::new();
    let store = rig.store(small());
    store.writer().unwrap().set("k", b"old").unwrap();
    let mut terminal = Terminal::start(rig.program("splinter_cli").args(["-u", &rig.name]), "dumb");
    let prompt = format!("{} # ", rig.name);
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    terminal.find("3:old\n");
    replace(&rig, true);
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    let place = format!("/dev/shm/{}", rig.name);
    terminal.find(&format!(
        "the store {place} was removed and made again: this is the old one; use opens the new one\n"
    ));
    // The old store can still be read, and saved.
    terminal.find("3:old\n");
    terminal.find(&prompt);
    terminal.type_in("get k\n");
    terminal.wait_for(&format!("3:old\n{prompt}"));
    assert!(!terminal.seen.contains("made again"), "{}", terminal.seen);
    terminal.type_in(format!("use {}\nget k\n", rig.name));
    terminal.find("16:of another store\n");
    terminal.find(&prompt);
    terminal.type_in("\x04");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn stores_lists_what_is_at_hand_and_nothing_else() {
    let bench = Bench::new();
    let store = bench.init("mine");
    bench.good(&store, &["set", "k", "v"]);
    let other = bench.store("no-store");
    std::fs::write(format!("/dev/shm/{other}"), "no store").unwrap();
    let ctl = |words: &[&str]| run(bench.command("splinterctl").args(words), b"").good();
    let names = ctl(&["stores", "--raw"]);
    assert!(names.lines().any(|name| name == store), "{names}");
    assert!(!names.contains(&other), "{names}");
    let told: Value = serde_json::from_str(&ctl(&["stores", "--json"])).unwrap();
    let told = told.as_array().unwrap().iter().find(|one| one["store"] == *store).unwrap();
    assert_eq!((&told["keys"], &told["slots"]), (&1.into(), &1024.into()));
    assert!(told["bytes"].as_u64() > Some(4 << 20) && told["memory_bytes"].as_u64() > Some(0));
    assert!(ctl(&["stores"]).starts_with("Store"));
    // Files, in a folder or the current one. Other files are left out, and a pipe without a writer does not block it.
    let file = |words: &[&str]| run(bench.command("splinterpctl").args(words), b"").good();
    nix::unistd::mkfifo(&bench.folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(bench.folder.join("sub")).unwrap();
    file(&["init", "kept", "--slots", "4"]);
    file(&["init", "sub/other", "--slots", "4"]);
    assert_eq!(file(&["stores", "--raw"]), "kept\n");
    assert_eq!(file(&["stores", "sub", "--raw"]), "sub/other\n");
    run(bench.command("splinterpctl").args(["stores", "none"]), b"").failed(
        1,
        "splinterpctl: stores: cannot read the folder \"none\": No such file or directory (os error 2)",
    );
}

#[test]
fn drop_removes_a_store_and_nothing_else() {
    let bench = Bench::new();
    let store = bench.init("mine");
    bench.good(&store, &["set", "k", "v"]);
    let ctl = |words: &[&str]| run(bench.command("splinterctl").args(words), b"");
    assert_eq!(ctl(&["drop", &store]).good(), format!("dropped \"{store}\" with 1 key\n"));
    assert!(!std::path::Path::new("/dev/shm").join(&store).exists());
    ctl(&["drop", &store]).failed(
        1,
        &format!("splinterctl: drop: there is no store \"{store}\" (/dev/shm/{store}); stores lists them"),
    );
    // A file that is no store stays, even with --force.
    for words in [&["drop", "notes"][..], &["drop", "notes", "--force"]] {
        std::fs::write(bench.folder.join("notes"), "not to be lost").unwrap();
        let told = run(bench.command("splinterpctl").args(words), b"");
        assert_eq!(told.code, Some(1));
        assert!(
            told.err.contains("is not a store: ") && told.err.contains("drop removes nothing but stores"),
            "{told:?}"
        );
        assert!(bench.folder.join("notes").exists());
    }
    let told = ctl(&["drop"]);
    assert_eq!(told.code, Some(2), "{told:?}");
}

#[test]
fn drop_leaves_a_store_alone_that_others_have_open_unless_it_is_forced() {
    let rig = Rig::new();
    rig.store(small()).writer().unwrap().set("k", b"v").unwrap();
    let mut watcher = Running::start(&mut rig.ctl(&["watch", "k"]));
    wait_until_asleep(watcher.child().id());
    let pid = watcher.child().id();
    let error = bad(1, rig.program("splinterctl").args(["drop", &rig.name]).ended());
    let name = &rig.name;
    assert_eq!(
        error,
        format!("splinterctl: drop: process {pid} has \"{name}\" open; end it first, or give --force")
    );
    assert!(Location::shared(&**name).is_ok_and(|place| Store::open(&place).is_ok()));
    let told = good(rig.program("splinterctl").args(["drop", name, "--force", "--json"]).ended());
    assert_eq!(told, format!("{{\"dropped\":\"{name}\",\"keys\":1}}\n"));
    assert!(bad(1, watcher.end()).ends_with(" was removed"));
}

#[test]
fn a_session_that_drops_its_own_store_has_none_any_more() {
    let bench = Bench::new();
    let store = bench.init("mine");
    let script = format!("use {store}\nset k v\ndrop {store}\nget k\n");
    let told = run(&mut bench.command("splinter_cli"), script.as_bytes());
    told.failed(
        1,
        "splinter_cli: line 4: get: no store is in use; say which by --use, SPLINTER_DEFAULT_STORE or the command use",
    );
}

#[test]
fn a_store_larger_than_its_memory_is_made_and_told_of() {
    let bench = Bench::new();
    let store = bench.store("huge");
    // 1.3 TB: each value has two buffers.
    let words = ["init", &store, "--slots", "1k", "--max-value", "650MB", "--dim", "0"];
    let told = run(bench.command("splinterctl").args(words), b"");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.err.lines().count(), 1, "{told:?}");
    let place = format!("init: /dev/shm/{store} can grow to 1.3 TB, and /dev/shm has ");
    assert!(told.err.starts_with(&place), "{told:?}");
    assert!(
        told.err.contains(" free: once that is used up, a write that needs more ends its program by SIGBUS"),
        "{told:?}"
    );
    assert!(std::path::Path::new("/dev/shm").join(&store).exists());
    // There is no warning for a store that fits.
    assert_eq!(run(bench.command("splinterctl").args(["init", &bench.store("s")]), b"").err, "");
}

#[test]
fn a_receiver_says_how_many_messages_it_missed() {
    let rig = Rig::new();
    let store = rig.store(small());
    let mut writer = store.writer().unwrap();
    writer.set("news", b"0").unwrap();
    for words in [&["recv", "news", "--raw"][..], &["recv", "news", "--raw", "--count", "1"]] {
        let mut receiver = Running::start(&mut rig.ctl(words));
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
    let mut receiver = Running::start(&mut rig.ctl(&["recv", "news"]));
    wait_until_asleep(receiver.child().id());
    writer.set("news", b"only").unwrap();
    assert_eq!(good(receiver.end()), "4:only\n");
}
