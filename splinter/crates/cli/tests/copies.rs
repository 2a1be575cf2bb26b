//! Tests of copies: save and restore under load, export and import.

mod common;
mod store_sandbox;

use common::terminal::Terminal;
use splinter::{Config, Eviction, Geometry, Location, Scrub, Store, Type};
use splinter_testkit::committed;
use splinter_testkit::confined::with_tmpfs;
use splinter_testkit::wait::wait_until;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use store_sandbox::{Bounded, Running, StoreSandbox, bad, denied, good, open_file, small};

/// The flag that a C program armed the event bus. Nobody has armed that of a copy.
const ARMED: u32 = 1 << 3;

/// Fills a store with a key for every feature.
fn fill(store: &Store) {
    let mut writer = store.writer().unwrap();
    writer.set("text", b"hello, \"world\"\n").unwrap();
    writer.set_type("text", Type::VarText).unwrap();
    writer.set(b"bytes\xff", b"\xff\0\xfe").unwrap();
    writer.set_u64("number", u64::MAX).unwrap();
    writer.set("vector", b"").unwrap();
    writer.set_vector("vector", &[0.1, f32::MIN, 3.0]).unwrap();
    writer.expire("vector", Duration::from_secs(1_050)).unwrap();
    writer.set("labelled", b"l").unwrap();
    writer.pin("labelled").unwrap();
    writer.label("labelled", 1 << 63 | 1).unwrap();
    writer.register("labelled", 17).unwrap();
    writer.set_slot_flags("labelled", 0x8001).unwrap();
    writer.set_ctime("labelled", 5, 1).unwrap();
    writer.set_atime("labelled", 9, 0).unwrap();
    store.register_labels(1, 3).unwrap();
    store.flags().set_user(0x55).unwrap();
    store.flags().set(ARMED | 1 << 10).unwrap();
    store.set_scrub(Scrub::Full).unwrap();
}

/// Returns all keys with all their fields, except those that depend on the slot or the store.
fn picture(store: &Store) -> Vec<String> {
    let mut keys: Vec<_> = store.keys().collect();
    keys.sort();
    let content = |key| store.content(key).unwrap();
    let contents = keys.iter().map(content).map(|mut content| {
        (content.slot.epoch, content.slot.value_offset) = (0, 0);
        // Each store has its own seed.
        content.slot.hash = 0;
        content.slot.ttl = content.slot.ttl.map(|ttl| Duration::from_secs(ttl.as_secs() / 100 * 100));
        // The groups of its labels belong to the store.
        content.slot.groups = 0;
        format!("{content:?}")
    });
    contents.collect()
}

fn settings(store: &Store) -> impl PartialEq + std::fmt::Debug {
    let routes: Vec<_> = (0..64).map(|label| store.label_groups(label)).collect();
    (store.geometry(), store.eviction(), store.has_sketches(), store.flags().bits() & !ARMED, routes)
}

#[test]
fn a_saved_store_has_all_that_the_store_has_and_is_restored_to_it() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    fill(&store);
    assert_eq!(sandbox.good(&["save", "copy"]), "saved 5 keys to \"copy\"\n");
    let saved = open_file(&sandbox.path("copy"));
    assert_eq!(picture(&saved), picture(&store));
    assert!(settings(&saved) == settings(&store) && saved.flags().bits() & ARMED == 0);
    let again = format!("{}-again", sandbox.name);
    let answer = sandbox.good(&["--json", "restore", "copy", &again]);
    assert_eq!(answer, format!("{{\"keys\":5,\"restored\":\"{again}\",\"vanished\":0}}\n"));
    let restored = Store::open(&Location::shared(&again).unwrap()).unwrap();
    assert_eq!(picture(&restored), picture(&store));
    assert!(settings(&restored) == settings(&store));
    assert!(restored.inspect().unwrap().is_sound() && saved.inspect().unwrap().is_sound());
    // Only the copy is left.
    let left = std::fs::read_dir(sandbox.path("")).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.file_type().unwrap().is_file()).count(), 1);
}

#[test]
fn a_full_cache_is_saved_and_restored_without_an_eviction() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let sandbox = StoreSandbox::new();
        let config = Config { geometry: small(), eviction, ..Config::default() };
        let store = Store::create(&Location::shared(&*sandbox.name).unwrap(), &config).unwrap();
        fill(&store);
        let mut writer = store.writer().unwrap();
        for number in 0..200 {
            writer.set(format!("key{number}"), b"v").unwrap();
        }
        assert!(store.len() == 64 && store.header().evicted >= 136);
        let again = format!("{}-again", sandbox.name);
        let before = picture(&store);
        assert_eq!(sandbox.good(&["save", "copy"]), "saved 64 keys to \"copy\"\n");
        sandbox.good(&["restore", "copy", &again]);
        let restored = Store::open(&Location::shared(&again).unwrap()).unwrap();
        for copy in [open_file(&sandbox.path("copy")), restored] {
            assert!(picture(&copy) == before && settings(&copy) == settings(&store));
            assert!(copy.header().evicted == 0 && copy.inspect().unwrap().is_sound());
            // It is a cache that works: it evicts, and keeps what is pinned.
            let mut writer = copy.writer().unwrap();
            (0..200).for_each(|number| writer.set(format!("new{number}"), b"w").unwrap());
            assert_eq!((copy.header().evicted, copy.len()), (200, 64));
            assert!(copy.snapshot("labelled").unwrap().pinned && copy.get_vec("labelled").unwrap() == b"l");
        }
        assert_eq!(picture(&store), before, "a save changes nothing");
    }
}

#[test]
fn a_number_that_was_set_to_no_number_is_saved_and_restored_as_it_is() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    writer.set_u64("odd", 5).unwrap();
    writer.set("odd", b"five").unwrap();
    assert_eq!(sandbox.good(&["type", "odd"]), "BIGUINT\n");
    sandbox.good(&["save", "copy"]);
    assert_eq!(picture(&open_file(&sandbox.path("copy"))), picture(&store));
    // A store where the key is a BIGUINT already can import it, too.
    let exported = sandbox.good(&["export", "--format", "ndjson"]);
    assert_eq!(good(sandbox.fed(&["import", "-"], exported.as_bytes())), "imported 1 key\n");
}

#[test]
fn copies_made_by_cp_are_restored_too() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    fill(&store);
    std::fs::copy(format!("/dev/shm/{}", sandbox.name), sandbox.path("cp")).unwrap();
    let mut command = sandbox.program("splinterpctl");
    let answer = good(command.args(["restore", "cp", "restored"]).ended());
    assert_eq!(answer, "restored 5 keys as \"restored\"\n");
    assert_eq!(picture(&open_file(&sandbox.path("restored"))), picture(&store));
}

#[test]
fn stores_of_older_formats_are_restored() {
    let sandbox = StoreSandbox::new();
    let run = |words: &[&str]| sandbox.program("splinterpctl").args(words).ended();
    for version in [2, 3] {
        let bytes = committed(version);
        std::fs::write(sandbox.path("old"), &bytes).unwrap();
        let how = "splinterctl restore OLD NEW makes a new store of it";
        let why = format!("it has format version {version}, and this library reads version 4; {how}");
        let refused = format!("splinterpctl: list: old is not a store: {why}");
        assert_eq!(bad(1, run(&["--use", "old", "list"])), refused);
        let new = format!("new{version}");
        assert_eq!(good(run(&["restore", "old", &new])), format!("restored 15 keys as \"{new}\"\n"));
        assert_eq!(good(run(&["--use", &new, "--raw", "get", "count"])), "18446744073709551613");
        let store = open_file(&sandbox.path(&new));
        assert!(store.inspect().unwrap().is_sound() && store.scrub() == Scrub::Hybrid);
        assert_eq!(store.eviction(), Eviction::Expired);
        // Nothing is written over, unless asked.
        let exists = format!("splinterpctl: restore: \"{new}\" exists already; --force replaces it");
        assert_eq!(bad(1, run(&["restore", "old", &new])), exists);
        assert_eq!(good(run(&["restore", "old", &new, "--force", "--raw"])), "");
        let itself = "splinterpctl: restore: \"old\" is the store itself; give another name";
        assert_eq!(bad(1, run(&["restore", "old", "old", "--force"])), itself);
        assert_eq!(std::fs::read(sandbox.path("old")).unwrap(), bytes);
        // A failure leaves nothing.
        std::fs::write(sandbox.path("old"), &bytes[..bytes.len() - 1]).unwrap();
        let why = "it is truncated: 1 bytes are missing; copy it anew, to its end";
        let truncated = format!("splinterpctl: restore: old is not a store: {why}");
        assert_eq!(bad(1, run(&["restore", "old", "newer"])), truncated);
        assert!(!sandbox.path("newer").exists());
    }
    // Into shared memory, too.
    std::fs::write(sandbox.path("old"), committed(2)).unwrap();
    let answer =
        good(sandbox.program("splinterctl").args(["--json", "restore", "old", &sandbox.name]).ended());
    assert_eq!(answer, format!("{{\"keys\":15,\"restored\":\"{}\",\"vanished\":0}}\n", sandbox.name));
    assert_eq!(sandbox.good(&["--raw", "get", "pair.1"]), "of them");
}

#[test]
fn a_copy_under_load_has_every_key_whole() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let value = |n: u64| [n; 32].map(u64::to_le_bytes).concat();
    let key = |n: u64| format!("key{}", n % 20);
    let mut writer = store.writer().unwrap();
    (0..20).for_each(|n| writer.set(key(n), &value(n)).unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 20;
            while !done.load(Relaxed) {
                writer.set(key(n), &value(n)).unwrap();
                n += 1;
                if n % 16 == 0 {
                    writer.set("fleeting", &value(n)).unwrap();
                    writer.unset("fleeting").unwrap();
                }
            }
        });
        let saved: Vec<_> =
            (0..5).map(|round| sandbox.ctl(&["save", &format!("copy{round}")]).ended()).collect();
        let export = sandbox.ctl(&["export", "--format", "ndjson"]).ended();
        done.store(true, Relaxed);
        saved.into_iter().for_each(|output| drop(good(output)));
        let rows = good(export);
        assert!(rows.lines().count() >= 21);
    });
    for round in 0..5 {
        let copy = open_file(&sandbox.path(&format!("copy{round}")));
        assert!(copy.inspect().unwrap().is_sound());
        for n in 0..20 {
            let found = copy.get_vec(key(n)).unwrap();
            let written = u64::from_le_bytes(found[..8].try_into().unwrap());
            assert_eq!((found, written % 20), (value(written), n));
        }
    }
}

#[test]
fn import_restores_all_that_export_wrote() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    fill(&store);
    let other = format!("{}-other", sandbox.name);
    for (words, file) in [
        (&["export", "--format", "ndjson", "-o", "lines"][..], "lines"),
        (&["export", "--values", "--output", "document"][..], "document"),
        (&["--json", "export", "--values", "--output", "line"][..], "line"),
    ] {
        assert_eq!(sandbox.good(words), "");
        assert!(sandbox.bad(1, words).contains("cannot make"), "the file exists already");
        sandbox.good(&["init", &other, "--slots", "64", "--max-value", "256", "--dim", "3"]);
        let words = ["--use", &other, "import", file];
        assert_eq!(sandbox.good(&words), "imported 5 keys\n");
        let imported = Store::open(&Location::shared(&other).unwrap()).unwrap();
        assert_eq!(picture(&imported), picture(&store), "{file}");
        assert_eq!(
            sandbox.good(&["--json", "--use", &other, "import", file, "--keep"]).trim(),
            "{\"elsewhere\":0,\"imported\":0,\"kept\":5}"
        );
        Location::shared(&other).unwrap().unlink().unwrap();
    }
}

#[test]
fn a_default_export_can_be_imported_and_is_short_at_a_terminal() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    fill(&store);
    let before = picture(&store);
    for words in [&["export"][..], &["--json", "export"], &["export", "--format", "ndjson"]] {
        let exported = sandbox.good(words);
        sandbox.good(&["unset", "--regex", "."]);
        assert_eq!(good(sandbox.fed(&["import", "-"], exported.as_bytes())), "imported 5 keys\n");
        assert_eq!(picture(&store), before, "{words:?}");
        sandbox.good(&[words, &["-o", "dump"]].concat());
        assert_eq!(sandbox.good(&["import", "dump"]), "imported 5 keys\n");
        std::fs::remove_file(sandbox.path("dump")).unwrap();
    }
    let screen = |words: &[&str]| {
        let terminal = Terminal::start(&mut sandbox.ctl(words), "dumb");
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(0), "{seen}");
        seen
    };
    assert!(!screen(&["export"]).contains("\"value\""));
    assert!(screen(&["export", "--values"]).contains("\"value\""));
}

#[test]
fn a_dump_that_was_cut_short_is_not_taken_for_a_whole_one() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    let mut writer = store.writer().unwrap();
    (0..4).for_each(|n| writer.set(format!("key{n}"), b"v").unwrap());
    let import = |dump: &str| bad(1, sandbox.fed(&["import", "-"], dump.as_bytes()));
    let lines = sandbox.good(&["export", "--format", "ndjson"]);
    let document = sandbox.good(&["export"]);
    // Cut the dump everywhere: within a line, between two, at the very beginning.
    for dump in [&lines, &document] {
        let ends = dump.match_indices('\n').map(|(at, _)| at + 1);
        let places = (0..dump.len()).step_by(29).chain(ends);
        for at in places.filter(|at| *at < dump.trim_end().len()) {
            let error = import(&dump[..at]);
            assert!(error.starts_with("splinterctl: import: standard input "), "{at}: {error}");
            assert!(error.contains("imported"), "{error}");
        }
    }
    let cut = lines.rsplit_once("{\"keys\"").unwrap().0;
    let why = "was cut short: the line at its end is missing; export again; 4 keys imported";
    assert_eq!(import(cut), format!("splinterctl: import: standard input {why}"));
    assert_eq!(import(""), "splinterctl: import: standard input is empty; 0 keys imported");
    // A line that is missing in the middle is noticed as well.
    let third = lines.lines().nth(2).unwrap();
    let error = import(&lines.replace(&format!("{third}\n"), ""));
    assert!(error.contains("is not whole: it has 3 of 4 keys"), "{error}");
    // Two dumps in one file are both imported. Lines without a header are not counted.
    let both = format!("{lines}{lines}");
    assert_eq!(good(sandbox.fed(&["import", "-"], both.as_bytes())), "imported 8 keys\n");
    let error = import(&format!("{cut}{lines}"));
    assert!(error.contains("was cut short"), "{error}");
    let some = lines.lines().skip(1).take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(good(sandbox.fed(&["import", "-"], some.as_bytes())), "imported 2 keys\n");
    // Dumps of version 1 had no end line.
    let old = "{\"lanes\":4,\"max_value_length\":256,\"slots\":64,\"splinter\":\"export\",\"vector_dim\":3}";
    let old = format!("{old}\n{some}");
    assert_eq!(good(sandbox.fed(&["import", "-"], old.as_bytes())), "imported 2 keys\n");
}

#[test]
fn a_copy_that_is_killed_leaves_nothing_behind() {
    // In shared memory, where unlinked files work.
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(Geometry { slots: 4096, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..4000).for_each(|n| writer.set(format!("key{n}"), &[1; 4096]).unwrap());
    let name = format!("{}-copy", sandbox.name);
    let path = format!("/dev/shm/{name}");
    for force in [false, true] {
        let prepare = || {
            if force {
                std::fs::write(&path, "precious").unwrap();
            }
        };
        prepare();
        wait_until("a copy to be killed before it is complete", || {
            let words: &[&str] = if force { &["save", &path, "--force"] } else { &["save", &path] };
            let mut save = Running::start(&mut sandbox.ctl(words));
            let id = save.child().id();
            // It is copying once it has a file open in /dev/shm other than the store.
            let is_ours =
                |file: std::path::PathBuf| file.starts_with("/dev/shm") && !file.ends_with(&sandbox.name);
            wait_until("the copy to begin, or to end", || {
                let files = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
                let mut files = files.flatten().flat_map(|file| std::fs::read_link(file.path()));
                files.any(is_ours) || save.child().try_wait().unwrap().is_some()
            });
            save.child().kill().unwrap();
            save.end();
            let there = std::fs::read_dir("/dev/shm").unwrap().flatten();
            let mut left = there.filter(|entry| {
                let left = entry.file_name().into_string().unwrap_or_default();
                left.starts_with(&format!(".{name}."))
            });
            let left = left.next().map(|entry| entry.path());
            if let Some(left) = &left {
                std::fs::remove_file(left).unwrap();
            }
            // With --force it has a temporary name for a moment.
            assert!(left.is_none() || force, "{left:?}");
            let is_whole = std::fs::metadata(&path).is_ok_and(|file| file.len() > 8);
            if is_whole {
                assert_eq!(open_file(path.as_ref()).len(), 4000);
                std::fs::remove_file(&path).unwrap();
                prepare();
            }
            !is_whole && left.is_none()
        });
    }
}

#[test]
fn where_files_need_a_name_a_copy_has_a_hidden_one_until_it_is_complete() {
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(small());
    fill(&store);
    for words in [&["save", "copy"][..], &["save", "copy", "--force"]] {
        let answer = good(denied::unnamed_files(&mut sandbox.ctl(words)).ended());
        assert_eq!(answer, "saved 5 keys to \"copy\"\n");
        assert_eq!(picture(&open_file(&sandbox.path("copy"))), picture(&store));
        let left = std::fs::read_dir(sandbox.path("")).unwrap().flatten();
        assert_eq!(left.filter(|entry| entry.file_type().unwrap().is_file()).count(), 1);
    }
}

#[test]
fn a_copy_that_finds_no_room_leaves_nothing_behind() {
    // In a mount namespace: a folder with room for the beginning of a copy only.
    let sandbox = StoreSandbox::new();
    let store = sandbox.store(Geometry { slots: 256, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..100).for_each(|n| writer.set(format!("key{n}"), &[1; 4096]).unwrap());
    std::fs::create_dir(sandbox.path("small")).unwrap();
    let small = sandbox.path("small");
    let save = format!("splinterctl -u {} save small/copy; echo $?; ls -A small", sandbox.name);
    for has_unnamed_files in [true, false] {
        let mounted = with_tmpfs("a folder without room", small.to_str().unwrap(), "size=256k", &save);
        let Some(mut command) = mounted else { return };
        sandbox.prepare(&mut command);
        if !has_unnamed_files {
            denied::unnamed_files(&mut command);
        }
        let output = command.ended();
        let (out, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
        assert_eq!(String::from_utf8_lossy(&out), "1\n", "{error}");
        assert!(error.starts_with("splinterctl: the store's memory is missing: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
