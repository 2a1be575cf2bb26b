//! Tests of the one-shot form: the answers of each command in each format, the exit codes, and the error lines.

mod common;

use common::{Bench, file, finish, run, told, wait_until_asleep};
use nix::sys::signal::Signal;
use splinter::{Error, Location, Store};
use splinter_testkit::confined::with_tmpfs;
use splinter_testkit::wait_until;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

fn open(store: &str) -> Store {
    Store::open(&Location::shared(store).unwrap()).unwrap()
}

#[test]
fn what_the_store_cannot_do_is_one_line_and_exit_code_1() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "text", "abc"]);
    bench.good(&store, &["set", "n", "5"]);
    bench.good(&store, &["type", "n", "biguint"]);
    let long = "x".repeat(4097);
    let cases: [(&[&str], &str); 12] = [
        (&["get", "no"], "get: there is no key \"no\""),
        (&["head", "no"], "head: there is no key \"no\""),
        (&["append", "no", "x"], "append: there is no key \"no\""),
        (&["unset", "text", "no"], "unset: there is no key \"no\""),
        (&["bump", "no"], "bump: there is no key \"no\""),
        (&["watch", "no"], "watch: there is no key \"no\""),
        (&["math", "no", "inc"], "math: there is no key \"no\""),
        (&["poll", "n", "1"], "poll: \"n\" did not change within 1 ms"),
        (&["append", "n", "1"], "append: \"n\" is a number; math changes it, type makes it text"),
        (&["set", "k", &long], "set: the value has 4097 bytes; this store takes 4096 at most"),
        (
            &["set", "k", "--file", "/nonexistent"],
            "set: cannot read \"/nonexistent\": No such file or directory (os error 2)",
        ),
        (&["init", &store], &format!("init: \"{store}\" exists already (/dev/shm/{store}); use opens it")),
    ];
    for (words, line) in cases {
        bench.ctl(&store, words).failed(1, &format!("splinterctl: {line}"));
    }
    // The first of the two keys existed, and was removed.
    bench.ctl(&store, &["get", "text"]).failed(1, "splinterctl: get: there is no key \"text\"");
    bench.good(&store, &["set", "text", "abc"]);
    bench
        .ctl(&store, &["math", "text", "inc"])
        .failed(1, "splinterctl: math: \"text\" is not a BIGUINT; type makes one of decimal digits");
    run(bench.command("splinterctl").arg("list"), b"").failed(
        1,
        "splinterctl: list: no store is in use; say which by --use, SPLINTER_DEFAULT_STORE or the command use",
    );
    let none = bench.store("none");
    bench.ctl(&none, &["list"]).failed(
        1,
        &format!("splinterctl: list: there is no store \"{none}\" (/dev/shm/{none}); init makes one"),
    );
}

#[test]
fn a_key_held_by_a_stopped_writer_is_said_to_be_busy_and_a_watch_goes_on() {
    let bench = Bench::new();
    let store = bench.store("s");
    let most = (8 << 20).to_string();
    let words = ["init", &store, "--slots", "4", "--max-value", &most];
    run(bench.command("splinterctl").args(words), b"").good();
    bench.good(&store, &["set", "k", "1"]);
    // A process that spends nearly all its time copying values into the store, and is stopped meanwhile.
    file(&bench.folder, "long", vec![b'x'; 8 << 20]);
    let script = file(&bench.folder, "script", "set k --file long\n".repeat(5000));
    let mut holder = bench.command("splinter_cli");
    holder.args(["--use", &store]).stdin(std::fs::File::open(script).unwrap());
    let mut holder = holder.spawn().unwrap();
    let signal = |signal| {
        let id = nix::unistd::Pid::from_raw(i32::try_from(holder.id()).unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
    };
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
        bench.ctl(&store, words).failed(1, &format!("splinterctl: {verb}: {busy}"));
    }
    // Readers are not blocked.
    assert!(bench.good(&store, &["head", "k"]).starts_with("key: k\n"));
    let mut watch = bench.command("splinterctl");
    watch.args(["-u", &store, "watch", "k", "--oneshot", "--raw"]).stdout(Stdio::piped());
    let watch = watch.spawn().unwrap();
    signal(Signal::SIGCONT);
    assert_eq!(finish(watch).stdout.len(), (8 << 20) + 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    bench.good(&store, &["set", "k", "v"]);
    assert_eq!(bench.good(&store, &["get", "k"]), "1:v\n");
}

#[test]
fn values_are_bytes_from_the_line_from_standard_input_or_from_a_file() {
    let bench = Bench::new();
    let store = bench.init("s");
    let all: Vec<u8> = (0..=255).collect();
    let set = |words: &[&OsStr], input: &[u8]| {
        run(bench.command("splinterctl").args(["--use", &store, "set"]).args(words), input).good()
    };
    let get = |key: &[u8]| open(&store).get_vec(key).unwrap();
    set(&[OsStr::new("piped"), OsStr::new("-")], &all);
    assert_eq!(get(b"piped"), all);
    let path = file(&bench.folder, "value", &all);
    set(&[OsStr::new("filed"), OsStr::new("--file"), path.as_os_str()], b"");
    assert_eq!(get(b"filed"), all);
    set(&[OsStr::new("dashed"), OsStr::new("--file"), OsStr::new("-")], &all);
    assert_eq!(get(b"dashed"), all);
    let odd = OsStr::from_bytes(b"\xff key\x01");
    set(&[odd, OsStr::from_bytes(b"\xfe")], b"");
    assert_eq!(get(odd.as_bytes()), b"\xfe");
    set(&[OsStr::new("--"), OsStr::new("-x"), OsStr::new("--file")], b"");
    assert_eq!(get(b"-x"), b"--file");
    // They come out unchanged.
    let raw = run(bench.command("splinterctl").args(["--raw", "-u", &store, "get", "piped"]), b"");
    assert_eq!((raw.code, raw.out), (Some(0), all.clone()));
    let plain = bench.ctl(&store, &["get", "piped"]);
    assert_eq!(plain.out, [b"256:", &all[..], b"\n"].concat());
    let listed = bench.ctl(&store, &["list"]);
    let mut rows = listed.out.split(|byte| *byte == b'\n');
    let row = rows.find(|row| row.starts_with(b"\xff key\\x01 ")).expect("the row of the key");
    let cells: Vec<_> = row.split(|byte| *byte == b'|').skip(1).map(<[u8]>::trim_ascii).collect();
    assert_eq!(cells, [b"2", b"1"]);
    let json = bench.good(&store, &["list", "--json"]);
    assert!(json.contains(r#"{"base64":"/yBrZXkB"}"#), "{json}");
    let missing =
        run(bench.command("splinterctl").args(["-u", &store, "get"]).arg(OsStr::from_bytes(b"\xff")), b"");
    missing.failed(1, r#"splinterctl: get: there is no key "\xff""#);
    // The program reads no more than the store's maximum from an endless pipe.
    let mut endless = bench.command("splinterctl");
    let endless = run(endless.args(["-u", &store, "set", "k", "--file", "/dev/zero"]), b"");
    endless.failed(1, "splinterctl: set: the value has more than the 4096 bytes that this store takes");
}

#[test]
fn numbers_are_digits_at_both_ends() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "n", "41"]);
    bench.good(&store, &["type", "n", "BIGUINT"]);
    assert_eq!(bench.good(&store, &["math", "n", "inc"]), "42\n");
    assert_eq!(bench.good(&store, &["get", "n"]), "2:42\n");
    let told = bench.good(&store, &["get", "n", "--json"]);
    assert_eq!(told, "{\"epoch\":6,\"key\":\"n\",\"value\":42}\n");
    for (words, now) in [
        (&["inc", "58"][..], "100"),
        (&["dec"], "99"),
        (&["and", "0x0f"], "3"),
        (&["or", "12"], "15"),
        (&["xor", "1"], "14"),
        (&["not"], "18446744073709551601"),
        (&["inc", "15"], "0"),
    ] {
        assert_eq!(bench.good(&store, &[&["math", "n"], words].concat()), format!("{now}\n"));
    }
    // Eight digits are digits, not the bytes of a number.
    bench.good(&store, &["set", "n", "12345678"]);
    assert_eq!(bench.good(&store, &["get", "n", "--raw"]), "12345678");
    assert_eq!(open(&store).get_u64("n"), Ok(12_345_678));
    let changed = bench.good(&store, &["math", "n", "inc", "--json"]);
    assert_eq!(changed, "{\"epoch\":24,\"key\":\"n\",\"number\":12345679}\n");
}

#[test]
fn patterns_list_and_remove_what_is_under_the_prefix_and_nothing_else() {
    let bench = Bench::new();
    let store = bench.init("s");
    for key in ["a::one", "a::two", "b::one", "one"] {
        bench.good(&store, &["set", key, "v"]);
    }
    let under = |words: &[&str]| {
        run(bench.command("splinterctl").args(["-u", &store, "-p", "a::"]).args(words), b"").good()
    };
    assert_eq!(bench.good(&store, &["list", "one$", "--raw"]), "one\nb::one\na::one\n");
    assert_eq!(under(&["list", "^one", "--raw"]), "a::one\n");
    assert_eq!(under(&["list", "--raw"]), "a::two\na::one\n");
    assert_eq!(under(&["unset", "--regex", "^none"]), "unset: removed 0 keys\n");
    assert_eq!(under(&["unset", "--regex", "o"]), "unset: removed 2 keys\n");
    assert_eq!(bench.good(&store, &["list", "--raw"]), "one\nb::one\n");
    assert_eq!(under(&["set", "new", "v"]), "");
    let removed = under(&["unset", "new", "--json"]);
    let removed: serde_json::Value = serde_json::from_str(&removed).unwrap();
    assert_eq!((&removed[0]["key"], &removed[0]["deleted_length"]), (&"a::new".into(), &1.into()));
    assert!(removed[0]["epoch"].as_u64() > Some(2), "{removed}");
}

#[test]
fn who_gives_unset_a_pattern_for_a_name_hears_how_to_give_one() {
    let bench = Bench::new();
    let store = bench.init("s");
    for (key, hint) in [
        ("z.*", "; --regex takes a pattern"),
        ("^z", "; --regex takes a pattern"),
        ("z[0-9]", "; --regex takes a pattern"),
        ("z.1", ""),
        ("z-1", ""),
    ] {
        let line = format!("splinterctl: unset: there is no key \"{key}\"{hint}");
        bench.ctl(&store, &["unset", key]).failed(1, &line);
    }
    // A prefix is not taken for a pattern, and a key may have the name of one.
    let mut command = bench.command("splinterctl");
    command.args(["-u", &store, "-p", "p*", "unset", "z"]);
    run(&mut command, b"").failed(1, "splinterctl: unset: there is no key \"p*z\"");
    bench.good(&store, &["set", "z.*", "v"]);
    assert_eq!(bench.good(&store, &["unset", "z.*"]), "");
}

#[test]
fn every_command_on_a_key_heeds_the_prefix() {
    let bench = Bench::new();
    let store = bench.init("s");
    let run =
        |words: &[&str]| run(bench.command("splinterctl").args(["-u", &store, "-p", "p:"]).args(words), b"");
    run(&["set", "k", "1"]).good();
    run(&["set", "n", "1"]).good();
    run(&["uuid", "u"]).good();
    run(&["type", "n", "BIGUINT"]).good();
    for words in [
        &["append", "k", "2"][..],
        &["get", "k"],
        &["head", "k"],
        &["type", "k"],
        &["math", "n", "inc"],
        &["label", "k", "1"],
        &["bind", "k", "1"],
        &["bump", "k"],
        &["retrain", "k"],
        &["watch", "k", "--oneshot", "--after", "0"],
        &["poll", "k", "--after", "0"],
    ] {
        run(words).good();
        let key = words[1];
        let bare = bench.ctl(&store, words);
        bare.failed(1, &format!("splinterctl: {}: there is no key {key:?}", words[0]));
    }
    run(&["unset", "k", "n", "u"]).good();
    assert!(open(&store).is_empty());
}

#[test]
fn labels_groups_and_flags_are_kept_and_shown() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    bench.good(&store, &["set", "other", "v"]);
    bench.good(&store, &["label", "k", "0x5"]);
    assert_eq!(bench.good(&store, &["label", "k"]), "0x5\n");
    bench.good(&store, &["label", "k", "1", "--remove"]);
    let labels = bench.good(&store, &["label", "k", "--json"]);
    assert_eq!(labels, "{\"epoch\":6,\"key\":\"k\",\"labels\":\"0x4\",\"numbers\":[2]}\n");
    assert_eq!(bench.good(&store, &["list", "--label", "4", "--raw"]), "k\n");
    bench.good(&store, &["bind", "k", "3"]);
    bench.good(&store, &["bind", "--label", "4", "9"]);
    assert!(bench.good(&store, &["head", "k"]).contains("\ngroups: 3 9\n"));
    bench.good(&store, &["bind", "k", "3", "--remove"]);
    bench.good(&store, &["bind", "--label", "4", "9", "--remove"]);
    assert!(bench.good(&store, &["head", "k"]).contains("\ngroups: none\n"));
    assert_eq!(bench.good(&store, &["config", "av"]), "1 (hybrid)\n");
    bench.good(&store, &["config", "av", "2"]);
    assert_eq!(bench.good(&store, &["config", "av"]), "2 (full)\n");
    assert!(open(&store).scrub() == splinter::Scrub::Full);
    bench.good(&store, &["config", "flags", "0x11"]);
    bench.good(&store, &["config", "flags", "-1"]);
    assert_eq!(bench.good(&store, &["config", "flags"]), "0x10\n");
    let config = bench.good(&store, &["config"]);
    assert!(config.contains("slots: 1024\nkeys: 2\n") && config.contains("scrub: full\n"));
}

#[test]
fn stores_are_made_as_asked_for() {
    let bench = Bench::new();
    let store = bench.store("made");
    let words = ["--slots", "100", "--max-value=300", "--dim", "8", "--writers", "3"];
    let more = ["--scrub", "full", "--mode", "640", "--huge-pages", "off", "--reserve"];
    let made = run(bench.command("splinterctl").args(["init", &store]).args(words).args(more), b"");
    let said = "with 100 slots of 300 bytes, vectors of 8, 3 writers.";
    assert_eq!(made.good(), format!("Creating '{store}' {said}\n"));
    let geometry = open(&store).geometry();
    assert_eq!((geometry.slots, geometry.max_value_len), (100, 300));
    assert_eq!((geometry.vector_dim, geometry.max_writers), (8, 3));
    assert_eq!(open(&store).scrub(), splinter::Scrub::Full);
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&format!("/dev/shm/{store}")), 0o640);
    // By the environment, and by default.
    for (umask, expected) in [(Some("007"), 0o660), (None, 0o600)] {
        let store = bench.store(&format!("umask{}", umask.unwrap_or("")));
        let mut command = bench.command("splinterctl");
        command.args(["init", &store]).envs(umask.map(|umask| ("SPLINTER_DEFAULT_UMASK", umask)));
        run(&mut command, b"").good();
        assert_eq!(mode(&format!("/dev/shm/{store}")), expected);
    }
    // In a file, by the program's name or by an option.
    run(bench.command("splinterpctl").args(["init", "here.store"]), b"").good();
    run(bench.command("splinterctl").args(["init", "there.store", "--backing", "file"]), b"").good();
    let there = run(bench.command("splinterpctl").args(["-u", "there.store", "list", "--json"]), b"");
    assert_eq!(there.good(), "[]\n");
    run(bench.command("splinterctl").args(["init", "x", "--slots", "0"]), b"").failed(2, "splinterctl: init: the geometry cannot be built: the number of slots is 0, and must be 1 to 4294967294");
}

#[test]
fn watchers_in_another_process_hear_of_keys_and_groups() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "0"]);
    bench.good(&store, &["bind", "k", "7"]);
    let start = |words: &[&str]| {
        let mut command = bench.command("splinterctl");
        command.args(["-u", &store]).args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_until_asleep(child.id());
        child
    };
    let by_key = start(&["watch", "k", "--oneshot"]);
    let by_poll = start(&["poll", "k", "60000"]);
    let by_group = start(&["watch", "--group", "7", "--oneshot", "--json"]);
    let of_all = start(&["watch", "--all", "--oneshot"]);
    let on_and_on = start(&["watch", "k"]);
    bench.good(&store, &["set", "k", "news"]);
    assert_eq!(told(finish(by_key)).good(), "4:news\n");
    assert_eq!(told(finish(by_poll)).good(), "4:news\n");
    assert_eq!(told(finish(by_group)).good(), "{\"epoch\":6,\"key\":\"k\",\"value\":\"news\"}\n");
    assert_eq!(told(finish(of_all)).good(), "k 4:news\n");
    wait_until_asleep(on_and_on.id());
    // The watch ends when the key is removed.
    let of_all = start(&["watch", "--all", "--oneshot"]);
    bench.good(&store, &["unset", "k"]);
    let ended = told(finish(on_and_on));
    assert_eq!(ended.out, b"4:news\n");
    ended.failed(1, "splinterctl: watch: \"k\" was removed");
    assert_eq!(told(finish(of_all)).good(), "k was removed\n");
}

#[test]
fn a_watch_of_many_keys_waits_for_one_under_its_prefix() {
    let bench = Bench::new();
    let store = bench.init("s");
    let mut watch = bench.command("splinterctl");
    watch.args(["-u", &store, "-p", "mine:", "watch", "--all", "--oneshot"]).stdout(Stdio::piped());
    let watch = watch.spawn().unwrap();
    wait_until_asleep(watch.id());
    bench.good(&store, &["set", "yours", "1"]);
    bench.good(&store, &["unset", "yours"]);
    bench.good(&store, &["set", "mine:too", "2"]);
    assert_eq!(finish(watch).stdout, b"mine:too 1:2\n");
}

#[test]
fn nothing_that_changed_before_the_wait_is_missed_with_an_epoch() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "first"]);
    let epoch = open(&store).epoch("k").unwrap().to_string();
    bench.good(&store, &["set", "k", "second"]);
    for verb in ["watch", "poll"] {
        let once: &[&str] = if verb == "watch" { &["--oneshot"] } else { &[] };
        let words = [&[verb, "k", "--after", &epoch], once].concat();
        assert_eq!(bench.good(&store, &words), "6:second\n");
    }
}

#[test]
fn output_to_a_closed_pipe_is_quiet() {
    let bench = Bench::new();
    let store = bench.init("s");
    let mut writer = open(&store).writer().unwrap();
    for key in 0..1000 {
        writer.set(format!("key-{key}"), b"v").unwrap();
    }
    let (reader, pipe) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = bench.command("splinterctl");
    command.args(["-u", &store, "list"]).stdout(pipe).stderr(Stdio::piped());
    let told = told(finish(command.spawn().unwrap()));
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
}

#[test]
fn a_store_that_may_only_be_read_is_read() {
    let bench = Bench::new();
    run(bench.command("splinterpctl").args(["init", "s"]), b"").good();
    run(bench.command("splinterpctl").args(["-u", "s", "set", "k", "v"]), b"").good();
    let path = bench.folder.join("s");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    // Root may write it anyway.
    let is_root = nix::unistd::geteuid().is_root();
    let read = run(bench.command("splinterpctl").args(["-u", "s", "get", "k"]), b"").good();
    assert_eq!(read, "1:v\n");
    let write = run(bench.command("splinterpctl").args(["-u", "s", "set", "k", "w"]), b"");
    match is_root {
        true => assert_eq!(write.good(), ""),
        false => write.failed(1, "splinterpctl: set: the store was opened for reading only"),
    }
}

#[test]
fn help_and_versions_go_to_standard_output() {
    let bench = Bench::new();
    let told = |words: &[&str]| run(bench.command("splinterctl").args(words), b"").good();
    assert_eq!(told(&["--version"]), format!("splinterctl version {}\n", splinter_cli::BUILD));
    let help = told(&["--help"]);
    for command in splinter_cli::TABLE.commands {
        assert!(help.contains(&format!("\n  {:<10} {}\n", command.name, command.summary)));
        let one = told(&["help", command.name]);
        assert!(one.starts_with(&format!("usage: {}", command.name)), "{one}");
        assert!(one.contains(command.summary) && one.contains(command.details));
        assert_eq!(told(&[command.name, "--help"]), one);
    }
    run(bench.command("splinterctl").args(["help", "gt"]), b"")
        .failed(2, "splinterctl: help: there is no command \"gt\"; did you mean get?");
}

#[test]
fn identifiers_differ_and_are_stored_on_request() {
    let bench = Bench::new();
    let store = bench.init("s");
    let [first, second] = [(); 2].map(|()| run(bench.command("splinterctl").arg("uuid"), b"").good());
    assert_ne!(first, second);
    let stored = bench.good(&store, &["uuid", "id"]);
    assert_eq!(bench.good(&store, &["get", "id", "--raw"]), stored.trim_end());
    let caps = bench.good(&store, &["caps"]);
    assert!(caps.contains("\nkey_bytes: 63\n"));
    assert!(caps.contains("\nwritable: yes\nsealed: no\n"), "{caps}");
    let nodes = caps.lines().find_map(|line| line.strip_prefix("numa_nodes: ")).unwrap();
    let count = |list: &str| list.trim_end_matches(')').split(' ').count().to_string();
    assert!(nodes.split_once(" (").map_or(nodes == "none", |(n, list)| n == count(list)), "{nodes}");
}

#[test]
fn purging_leaves_nothing_of_what_was_overwritten() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["config", "av", "none"]);
    bench.good(&store, &["set", "k", "a secret that is long enough to be seen"]);
    bench.good(&store, &["set", "k", "x"]);
    let holds = || {
        let bytes = std::fs::read(format!("/dev/shm/{store}")).unwrap();
        bytes.windows(8).any(|part| part == b"a secret")
    };
    assert!(holds());
    assert_eq!(bench.good(&store, &["purge", "--json"]), "{\"slots\":1}\n");
    wait_until("the secret to be gone", || !holds());
    assert_eq!(bench.good(&store, &["get", "k"]), "1:x\n");
}

#[test]
fn a_key_with_control_characters_is_listed_and_watched_without_them() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "a\x1b[2J\nb", "v"]);
    assert!(bench.good(&store, &["list"]).ends_with("\na\\x1b[2J\\nb | 2 | 1\n"));
    assert_eq!(bench.good(&store, &["list", "--raw"]), "a\x1b[2J\nb\n");
    let mut watch = bench.command("splinterctl");
    watch.args(["-u", &store, "watch", "--all", "--oneshot"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let watch = watch.spawn().unwrap();
    wait_until_asleep(watch.id());
    bench.good(&store, &["set", "a\x1b[2J\nb", "w"]);
    assert_eq!(told(finish(watch)).good(), "a\\x1b[2J\\nb 1:w\n");
}

#[test]
fn what_changes_something_answers_in_json_when_asked() {
    let bench = Bench::new();
    let store = bench.init("s");
    bench.good(&store, &["set", "k", "v"]);
    for (words, answer) in [
        ("label k 0x3", r#"{"added":"0x3","epoch":4,"key":"k"}"#),
        ("label k 0x1 --remove", r#"{"epoch":6,"key":"k","removed":"0x1"}"#),
        ("label k 0x8000000000000000", r#"{"added":"0x8000000000000000","epoch":8,"key":"k"}"#),
        ("bind k 7", r#"{"bound":true,"epoch":10,"group":7,"key":"k"}"#),
        ("bind --label 2 7 --remove", r#"{"bound":false,"group":7,"labels":"0x2"}"#),
        ("type k JSON", r#"{"epoch":12,"key":"k","type":"JSON"}"#),
        ("type k", r#"{"epoch":12,"key":"k","type":"JSON"}"#),
        ("get k", r#"{"epoch":12,"key":"k","value":"v"}"#),
        ("poll k --after 2", r#"{"epoch":12,"key":"k","value":"v"}"#),
        ("watch k --oneshot --after 2", r#"{"epoch":12,"key":"k","value":"v"}"#),
        ("orders set t a b", r#"{"base":"t","epoch":2,"orders":2}"#),
        ("send m hello", r#"{"epoch":2,"key":"m","value_length":5}"#),
        ("set m x", r#"{"epoch":4,"key":"m","value_length":1}"#),
        ("append m y", r#"{"epoch":6,"key":"m","value_length":2}"#),
        ("bump k", r#"{"bumped":true,"epoch":14,"key":"k"}"#),
        ("retrain k", r#"{"epoch":16,"key":"k","retrained":true}"#),
        ("config av full", r#"{"scrub":"full"}"#),
        ("config flags 5", r#"{"flags":5}"#),
    ] {
        let words: Vec<&str> = ["--json"].into_iter().chain(words.split(' ')).collect();
        assert_eq!(bench.good(&store, &words), format!("{answer}\n"));
    }
}

#[test]
fn a_key_that_cannot_be_one_in_an_import_is_a_failure_and_no_mistake() {
    let bench = Bench::new();
    let store = bench.init("s");
    for key in [String::new(), "k".repeat(100)] {
        file(&bench.folder, "keys", format!("{{\"key\":\"{key}\",\"value\":\"v\"}}\n"));
        assert_eq!(bench.ctl(&store, &["import", "keys"]).code, Some(1));
    }
}

#[test]
fn memory_that_cannot_be_had_is_one_line_and_no_crash() {
    // As on a full disk: the page that is touched does not exist.
    let bench = Bench::new();
    run(bench.command("splinterpctl").args(["init", "s"]), b"").good();
    run(bench.command("splinterpctl").args(["-u", "s", "set", "k", "v"]), b"").good();
    let mut script = bench.command("splinterp_cli");
    script.args(["-u", "s"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let mut stdin = script.stdin.take().unwrap();
    let mut first = [0; 4];
    stdin.write_all(b"get k\n").unwrap();
    script.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"1:v\n");
    let path = bench.folder.join("s");
    std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    stdin.write_all(b"get k\n").unwrap();
    let told = told(finish(script));
    let said = "splinterp_cli: the store's memory is missing: ";
    assert!(told.code == Some(1) && told.err.starts_with(said), "{told:?}");
}

#[test]
fn without_room_in_shared_memory_every_command_says_so_in_one_line() {
    // In a mount namespace, as a container has: 64 KiB of /dev/shm, of which each store takes a part at once.
    let bench = Bench::new();
    let full = |script: &str| {
        let mut command = with_tmpfs("a full /dev/shm", "/dev/shm", "size=64k", script)?;
        bench.prepare(&mut command);
        Some(run(&mut command, b""))
    };
    // A store of default size is not created, since it could never be filled.
    let Some(told) = full("splinterctl init a; ls /dev/shm") else { return };
    assert!(told.err.starts_with("splinterctl: init: cannot reserve the memory of"), "{told:?}");
    assert!(told.err.lines().count() == 1 && told.out.is_empty(), "{told:?}");
    let told = full("splinterctl init a --writers 1000").unwrap();
    let line = "splinterctl: init: cannot reserve the memory of /dev/shm/a: No space left on device (os error 28); \
                free some room there, or make the store smaller\n";
    assert_eq!((told.code, told.err.as_str()), (Some(1), line));
    // A large one fits at first, and later does not.
    let fill = "splinterctl init a --slots 64 --max-value 1048576 --dim 0 --lanes 2 && i=0; \
                while splinterctl -u a set key$i --file value; do i=$((i + 1)); done; \
                splinterctl -u a get key0 --raw | wc -c";
    file(&bench.folder, "value", [b'x'; 4096]);
    let told = full(fill).unwrap();
    let (warned, said) = told.err.split_once('\n').expect("two lines");
    assert!(warned.starts_with("init: /dev/shm/a can grow to 134.3 MB, and "), "{told:?}");
    let why = "splinterctl: the store's memory is missing: /dev/shm or the disk is full";
    assert!(said.starts_with(why) && said.lines().count() == 1, "{told:?}");
    // Earlier values can be read.
    assert!(told.out.ends_with(b"4096\n"), "{told:?}");
}
