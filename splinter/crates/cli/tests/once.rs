//! Tests of single commands that need more than a shell: a stopped writer, pipes, a full disk, very long words.

mod common;

use common::{Sandbox, file, outcome, run, wait_until};
use nix::sys::signal::Signal;
use splinter::{Error, Location, Store};
use splinter_testkit::Running;
use splinter_testkit::confined::with_tmpfs;
use std::process::Stdio;

fn open(store: &str) -> Store {
    Store::open(&Location::shared(store).unwrap()).unwrap()
}

#[test]
fn a_key_held_by_a_stopped_writer_is_busy_and_a_watch_goes_on() {
    let sandbox = Sandbox::new();
    let store = sandbox.store("s");
    let most = (8 << 20).to_string();
    let words = ["init", &store, "--slots", "4", "--max-value", &most];
    run(sandbox.command("splinterctl").args(words), b"").good();
    sandbox.good(&store, &["set", "k", "1"]);
    // A process that spends nearly all its time copying values into the store, and is stopped meanwhile.
    file(&sandbox.folder, "long", vec![b'x'; 8 << 20]);
    let script = file(&sandbox.folder, "script", "set k --file long\n".repeat(5000));
    let mut holder = sandbox.command("splinter_cli");
    holder.args(["--use", &store]).stdin(std::fs::File::open(script).unwrap());
    let mut holder = Running::from(holder.spawn().unwrap());
    let id = nix::unistd::Pid::from_raw(i32::try_from(holder.child().id()).unwrap());
    let signal = |signal| nix::sys::signal::kill(id, signal).unwrap();
    let mut writer = open(&store).writer().unwrap();
    wait_until("the holder to hold the key", || {
        signal(Signal::SIGCONT);
        std::thread::sleep(std::time::Duration::from_millis(3));
        signal(Signal::SIGSTOP);
        writer.bump("k") == Err(Error::Again)
    });
    let busy = "\"k\" is busy: another writer holds it; try again";
    for words in [&["set", "k", "v"][..], &["append", "k", "v"], &["unset", "k"], &["bump", "k"]] {
        let verb = words[0];
        sandbox.ctl(&store, words).failed(1, &format!("splinterctl: {verb}: {busy}"));
    }
    // Readers are not blocked.
    assert!(sandbox.good(&store, &["head", "k"]).starts_with("key: k\n"));
    let mut watch = sandbox.command("splinterctl");
    watch.args(["-u", &store, "watch", "k", "--oneshot", "--raw"]).stdout(Stdio::piped());
    let watch = Running::from(watch.spawn().unwrap());
    signal(Signal::SIGCONT);
    assert_eq!(watch.end().stdout.len(), (8 << 20) + 1);
    drop(holder);
    sandbox.good(&store, &["set", "k", "v"]);
    assert_eq!(sandbox.good(&store, &["get", "k"]), "1:v\n");
}

#[test]
fn output_to_a_closed_pipe_is_quiet() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let mut writer = open(&store).writer().unwrap();
    for key in 0..1000 {
        writer.set(format!("key-{key}"), b"v").unwrap();
    }
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command("splinterctl");
    command.args(["-u", &store, "list"]).stdout(pipe).stderr(Stdio::piped());
    let outcome = outcome(Running::from(command.spawn().unwrap()).end());
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(0), ""));
}

#[test]
fn help_and_versions_go_to_standard_output() {
    let sandbox = Sandbox::new();
    let printed = |words: &[&str]| run(sandbox.command("splinterctl").args(words), b"").good();
    assert_eq!(printed(&["--version"]), format!("splinterctl version {}\n", splinter_cli::BUILD));
    let help = printed(&["--help"]);
    let list = printed(&["--list-modules"]);
    assert!(help.contains(&list));
    for (name, summary) in list.lines().filter_map(|line| line.trim_start().split_once(' ')) {
        let one = printed(&["help", name]);
        let (summary, alias) = (summary.trim_start(), summary.trim_start().strip_prefix("Another name for "));
        assert!(one.starts_with(&format!("usage: {}", alias.unwrap_or(name))), "{one}");
        assert!(alias.is_some() || one.contains(&format!("\n\n{summary}.\n\n")), "{one}");
        assert_eq!(printed(&[name, "--help"]), one);
    }
}

#[test]
fn without_room_in_shared_memory_every_command_says_so_in_one_line() {
    // In a mount namespace, as a container has: 64 KiB of /dev/shm, of which each store takes a part at once.
    let sandbox = Sandbox::new();
    let full = |script: &str| {
        let mut command = with_tmpfs("a full /dev/shm", "/dev/shm", "size=64k", script)?;
        sandbox.prepare(&mut command);
        Some(run(&mut command, b""))
    };
    // A store of default size is not created, since it could never be filled.
    let Some(answer) = full("splinterctl init a; ls /dev/shm") else { return };
    assert!(answer.err.starts_with("splinterctl: init: cannot reserve the memory of"), "{answer:?}");
    assert!(answer.err.lines().count() == 1 && answer.out.is_empty(), "{answer:?}");
    let Some(answer) = full("splinterctl init a --writers 1000") else { return };
    let line = "splinterctl: init: cannot reserve the memory of /dev/shm/a: No space left on device (os error 28); \
                free some room there, or make the store smaller\n";
    assert_eq!((answer.code, answer.err.as_str()), (Some(1), line));
    // A large one fits at first, and later does not.
    let fill = "splinterctl init a --slots 64 --max-value 1048576 --dim 0 --lanes 2 && i=0; \
                while splinterctl -u a set key$i --file value; do i=$((i + 1)); done; \
                splinterctl -u a get key0 --raw | wc -c";
    file(&sandbox.folder, "value", [b'x'; 4096]);
    let Some(answer) = full(fill) else { return };
    let (warned, said) = answer.err.split_once('\n').expect("two lines");
    assert!(warned.starts_with("init: /dev/shm/a can grow to 134.3 MB, and "), "{answer:?}");
    let why = "splinterctl: the store's memory is missing: /dev/shm or the disk is full";
    assert!(said.starts_with(why) && said.lines().count() == 1, "{answer:?}");
    // Earlier values can be read.
    assert!(answer.out.ends_with(b"4096\n"), "{answer:?}");
}

#[test]
fn a_message_about_megabytes_is_a_short_line_with_its_cause_and_its_advice() {
    let sandbox = Sandbox::new();
    let store = sandbox.init("s");
    let long = "x".repeat(1 << 20);
    let script = |line: &str| {
        let mut command = sandbox.command("splinter_cli");
        run(command.args(["-u", &store]), line.replace("LONG", &long).as_bytes())
    };
    let cut = |begin: &str| {
        format!("\"{begin}{}\"... ({} bytes)", &long[begin.len()..256], begin.len() + long.len())
    };
    for (line, why) in [
        ("LONG", "there is no command CUT; help lists them"),
        ("get LONG", "get: CUT: the key is too long; a key has 1 to 63 bytes"),
        ("get k --LONG", "get: there is no option --CUT; put -- before an argument that begins with -"),
        ("get a LONG", "get: CUT is one word too many; use: get KEY"),
        ("math k inc LONG", "math: NUMBER: CUT is not a number from 0 to 2^64 - 1"),
    ] {
        let why = why.replace("--CUT", &cut("--")).replace("CUT", &cut(""));
        script(line).failed(2, &format!("splinter_cli: line 1: {why}"));
    }
    for (line, begin, end) in [
        ("list LONG(", "list: ", "unclosed group"),
        ("type k LONG", "type: \"xxx", "VARTEXT or VIDEO"),
        ("init t --scrub LONG", "init: --scrub: \"xxx", "none, hybrid or full"),
        ("use LONG", "use: ", ""),
        ("set k --file LONG", "set: cannot read \"xxx", "(os error 36)"),
        ("send k LONG --envelope --parse", "send: --parse: \"xxx", "column 1"),
    ] {
        let answer = script(line).err;
        let begin = format!("splinter_cli: line 1: {begin}");
        assert!(answer.starts_with(&begin) && answer.ends_with(&format!("{end}\n")), "{answer}");
        assert!(answer.len() < 2200 && answer.lines().count() == 1, "{begin} {}", answer.len());
    }
    let kind = format!("{{\"key\":\"k\",\"value\":\"v\",\"type\":\"{long}\"}}");
    let answer = run(sandbox.command("splinterctl").args(["-u", &store, "import", "-"]), kind.as_bytes()).err;
    assert!(answer.len() < 2200 && answer.ends_with("; 0 keys imported\n"), "{}", answer.len());
    let envelope = format!("{{\"id\":\"1\",\"ts\":1,\"from\":\"f\",\"type\":\"{}\"}}", &long[..4000]);
    sandbox.good(&store, &["set", "m", &envelope]);
    let answer = sandbox.ctl(&store, &["recv", "m", "--last", "--envelope", "--timeout", "1ms"]).err;
    assert!(answer.len() < 2400 && answer.starts_with("recv: no envelope: type is "), "{answer}");
}

#[test]
fn the_pages_of_a_store_are_counted_by_node() {
    let sandbox = Sandbox::new();
    let name = sandbox.init("s");
    let store = open(&name);
    store.writer().unwrap().set("k", b"v").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&sandbox.good(&name, &["--json", "numa"])).unwrap();
    let pages = |value: &serde_json::Value| value.as_u64().unwrap();
    let on_nodes: u64 = answer["nodes"].as_array().unwrap().iter().map(|node| pages(&node["pages"])).sum();
    let all = on_nodes + pages(&answer["unknown"]) + pages(&answer["untouched"]);
    assert_eq!(all * pages(&answer["page_bytes"]), store.arena_len());
    assert!(on_nodes > 0 && pages(&answer["untouched"]) > 0, "{answer}");
    let text = sandbox.good(&name, &["numa"]);
    assert!(text.starts_with("Node | Pages | Share\n") && text.contains("untouched | "), "{text}");
}
