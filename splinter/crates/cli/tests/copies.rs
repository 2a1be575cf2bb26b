//! Tests of copies: save and restore under load, export and import.

mod common;
mod rig;

use common::terminal::Terminal;
use rig::{Bounded, Rig, bad, denied, good, open_file, small};
use splinter::{Geometry, Location, Scrub, Store, Type};
use splinter_testkit::confined::with_tmpfs;
use splinter_testkit::{Running, wait_until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Fills a store with a key for every feature.
fn fill(store: &Store) {
    let mut writer = store.writer().unwrap();
    writer.set("text", b"hello, \"world\"\n").unwrap();
    writer.set_type("text", Type::VarText).unwrap();
    writer.set(b"bytes\xff", b"\xff\0\xfe").unwrap();
    writer.set_u64("number", u64::MAX).unwrap();
    writer.set("vector", b"").unwrap();
    writer.set_vector("vector", &[0.1, f32::MIN, 3.0]).unwrap();
    writer.set("labelled", b"l").unwrap();
    writer.label("labelled", 1 << 63 | 1).unwrap();
    writer.register("labelled", 17).unwrap();
    writer.set_slot_flags("labelled", 0x8001).unwrap();
    writer.set_ctime("labelled", 5, 1).unwrap();
    writer.set_atime("labelled", 9, 0).unwrap();
    store.register_labels(1, 3).unwrap();
    store.flags().set_user(0x55).unwrap();
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
        // The groups of its labels belong to the store.
        content.slot.groups = 0;
        format!("{content:?}")
    });
    contents.collect()
}

fn settings(store: &Store) -> impl PartialEq + std::fmt::Debug {
    let routes: Vec<_> = (0..64).map(|label| store.label_groups(label)).collect();
    (store.geometry(), store.scrub(), store.flags().user(), routes)
}

#[test]
fn a_saved_store_has_all_that_the_store_has_and_is_restored_to_it() {
    let rig = Rig::new();
    let store = rig.store(small());
    fill(&store);
    assert_eq!(rig.good(&["save", "copy"]), "saved 5 keys to \"copy\"\n");
    let saved = open_file(&rig.path("copy"));
    assert_eq!(picture(&saved), picture(&store));
    assert!(settings(&saved) == settings(&store));
    let again = format!("{}-again", rig.name);
    let told = rig.good(&["--json", "restore", "copy", &again]);
    assert_eq!(told, format!("{{\"keys\":5,\"restored\":\"{again}\",\"vanished\":0}}\n"));
    let restored = Store::open(&Location::shared(&again).unwrap()).unwrap();
    assert_eq!(picture(&restored), picture(&store));
    assert!(settings(&restored) == settings(&store));
    assert!(restored.inspect().unwrap().is_sound() && saved.inspect().unwrap().is_sound());
    // Only the copy is left.
    let left = std::fs::read_dir(rig.path("")).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.file_type().unwrap().is_file()).count(), 1);
}

#[test]
fn a_number_that_was_set_to_no_number_is_saved_and_restored_as_it_is() {
    let rig = Rig::new();
    let store = rig.store(small());
    let mut writer = store.writer().unwrap();
    writer.set_u64("odd", 5).unwrap();
    writer.set("odd", b"five").unwrap();
    assert_eq!(rig.good(&["type", "odd"]), "BIGUINT\n");
    rig.good(&["save", "copy"]);
    assert_eq!(picture(&open_file(&rig.path("copy"))), picture(&store));
    // A store where the key is a BIGUINT already can import it, too.
    let exported = rig.good(&["export", "--format", "ndjson"]);
    assert_eq!(good(rig.fed(&["import", "-"], exported.as_bytes())), "imported 1 key\n");
}

#[test]
fn what_dd_or_cp_copied_is_restored_too() {
    let rig = Rig::new();
    let store = rig.store(small());
    fill(&store);
    std::fs::copy(format!("/dev/shm/{}", rig.name), rig.path("cp")).unwrap();
    let mut command = rig.program("splinterpctl");
    let told = good(command.args(["restore", "cp", "restored"]).ended());
    assert_eq!(told, "restored 5 keys as \"restored\"\n");
    assert_eq!(picture(&open_file(&rig.path("restored"))), picture(&store));
}

#[test]
fn nothing_is_replaced_unless_asked() {
    let rig = Rig::new();
    let store = rig.store(small());
    std::fs::write(rig.path("there"), "precious").unwrap();
    let error = rig.bad(1, &["save", "there"]);
    assert_eq!(error, "splinterctl: save: \"there\" exists already; --force replaces it");
    assert_eq!(std::fs::read(rig.path("there")).unwrap(), b"precious");
    rig.good(&["save", "--force", "there"]);
    assert!(open_file(&rig.path("there")).is_empty());
    store.writer().unwrap().set("k", b"v").unwrap();
    let error = rig.bad(1, &["restore", "there", &rig.name]);
    assert!(error.ends_with("exists already; --force replaces it"), "{error}");
    rig.good(&["restore", "there", &rig.name, "--force"]);
    assert_eq!(rig.good(&["--raw", "list"]), "");
    assert_eq!(store.get_vec("k").unwrap(), b"v", "a process that has the store open keeps it");
}

#[test]
fn a_file_that_is_no_store_is_not_restored_and_leaves_nothing() {
    let rig = Rig::new();
    std::fs::write(rig.path("text"), "no store".repeat(2000)).unwrap();
    let error = rig.bad(1, &["restore", "text", &rig.name]);
    let why = "text is not a store: it does not begin with the magic number of a store; check the name";
    assert_eq!(error, format!("splinterctl: restore: {why}"));
    let error = rig.bad(1, &["restore", "missing", &rig.name]);
    assert!(error.contains("there is no file \"missing\""), "{error}");
    assert!(Store::open(&Location::shared(&*rig.name).unwrap()).is_err());
    rig.store(small());
    let error = rig.bad(1, &["save", "no/such/folder/copy"]);
    assert!(error.starts_with("splinterctl: save: cannot "), "{error}");
}

#[test]
fn a_copy_under_load_has_every_key_whole() {
    let rig = Rig::new();
    let store = rig.store(small());
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
        let saved: Vec<_> = (0..5).map(|round| rig.ctl(&["save", &format!("copy{round}")]).ended()).collect();
        let export = rig.ctl(&["export", "--format", "ndjson"]).ended();
        done.store(true, Relaxed);
        saved.into_iter().for_each(|output| drop(good(output)));
        let rows = good(export);
        assert!(rows.lines().count() >= 21);
    });
    for round in 0..5 {
        let copy = open_file(&rig.path(&format!("copy{round}")));
        assert!(copy.inspect().unwrap().is_sound());
        for n in 0..20 {
            let found = copy.get_vec(key(n)).unwrap();
            let written = u64::from_le_bytes(found[..8].try_into().unwrap());
            assert_eq!((found, written % 20), (value(written), n));
        }
    }
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let rig = Rig::new();
    let store = rig.store(small());
    fill(&store);
    let other = format!("{}-other", rig.name);
    for (words, file) in [
        (&["export", "--format", "ndjson", "-o", "lines"][..], "lines"),
        (&["export", "--values", "--output", "document"][..], "document"),
        (&["--json", "export", "--values", "--output", "line"][..], "line"),
    ] {
        assert_eq!(rig.good(words), "");
        assert!(rig.bad(1, words).contains("cannot make"), "the file exists already");
        rig.good(&["init", &other, "--slots", "64", "--max-value", "256", "--dim", "3"]);
        let words = ["--use", &other, "import", file];
        assert_eq!(rig.good(&words), "imported 5 keys\n");
        let imported = Store::open(&Location::shared(&other).unwrap()).unwrap();
        assert_eq!(picture(&imported), picture(&store), "{file}");
        assert_eq!(
            rig.good(&["--json", "--use", &other, "import", file, "--keep"]).trim(),
            "{\"elsewhere\":0,\"imported\":0,\"kept\":5}"
        );
        Location::shared(&other).unwrap().unlink().unwrap();
    }
}

#[test]
fn what_is_exported_by_default_is_imported_and_at_a_terminal_it_is_short() {
    let rig = Rig::new();
    let store = rig.store(small());
    fill(&store);
    let before = picture(&store);
    for words in [&["export"][..], &["--json", "export"], &["export", "--format", "ndjson"]] {
        let exported = rig.good(words);
        rig.good(&["unset", "--regex", "."]);
        assert_eq!(good(rig.fed(&["import", "-"], exported.as_bytes())), "imported 5 keys\n");
        assert_eq!(picture(&store), before, "{words:?}");
        rig.good(&[words, &["-o", "dump"]].concat());
        assert_eq!(rig.good(&["import", "dump"]), "imported 5 keys\n");
        std::fs::remove_file(rig.path("dump")).unwrap();
    }
    let screen = |words: &[&str]| {
        let terminal = Terminal::start(&mut rig.ctl(words), "dumb");
        let (code, seen) = terminal.end();
        assert_eq!(code, Some(0), "{seen}");
        seen
    };
    assert!(!screen(&["export"]).contains("\"value\""));
    assert!(screen(&["export", "--values"]).contains("\"value\""));
    assert!(!rig.good(&["export", "--no-values"]).contains("\"value\""));
    let error = rig.bad(2, &["export", "--values", "--no-values"]);
    assert_eq!(error, "splinterctl: export: give --values or --no-values, not both");
    // import says that it cannot read these.
    let text = rig.good(&["export", "--format", "text"]);
    let error = bad(1, rig.fed(&["import", "-"], text.as_bytes()));
    assert!(error.contains("import reads what export writes as json or ndjson"), "{error}");
    let short = rig.good(&["export", "--no-values"]);
    let error = bad(1, rig.fed(&["import", "-"], short.as_bytes()));
    assert!(error.contains("it has no value; export --values"), "{error}");
}

#[test]
fn a_dump_that_was_cut_short_is_not_taken_for_a_whole_one() {
    let rig = Rig::new();
    let store = rig.store(small());
    let mut writer = store.writer().unwrap();
    (0..4).for_each(|n| writer.set(format!("key{n}"), b"v").unwrap());
    let import = |dump: &str| bad(1, rig.fed(&["import", "-"], dump.as_bytes()));
    let lines = rig.good(&["export", "--format", "ndjson"]);
    let document = rig.good(&["export"]);
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
    assert_eq!(good(rig.fed(&["import", "-"], both.as_bytes())), "imported 8 keys\n");
    let error = import(&format!("{cut}{lines}"));
    assert!(error.contains("was cut short"), "{error}");
    let some = lines.lines().skip(1).take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(good(rig.fed(&["import", "-"], some.as_bytes())), "imported 2 keys\n");
    // Dumps of version 1 had no end line.
    let old = "{\"lanes\":4,\"max_value_length\":256,\"slots\":64,\"splinter\":\"export\",\"vector_dim\":3}";
    let old = format!("{old}\n{some}");
    assert_eq!(good(rig.fed(&["import", "-"], old.as_bytes())), "imported 2 keys\n");
}

#[test]
fn an_export_is_the_document_of_the_documentation() {
    let rig = Rig::new();
    let store = rig.store(Geometry { slots: 1024, ..small() });
    let empty = "{\n\"store\": {\n\"total_slots\": 1024,\n\"active_keys\": 0\n},\n\"keys\": []\n}\n";
    assert_eq!(rig.good(&["export"]), empty);
    let mut writer = store.writer().unwrap();
    writer.set("test_one", b"Hello, world!").unwrap();
    writer.set("test_two", b"How are you?").unwrap();
    writer.set("test_two", b"Fine, thanks!").unwrap();
    let document = "{
\"store\": {
\"total_slots\": 1024,
\"active_keys\": 2
},
\"keys\": [
{
\"key\": \"test_two\",
\"epoch\": 4,
\"value_length\": 13
},
{
\"key\": \"test_one\",
\"epoch\": 2,
\"value_length\": 13
}
]
}
";
    assert_eq!(rig.good(&["export", "--no-values"]), document);
    let text = "\"test_two\" VOID 13:\"Fine, thanks!\"\n\"test_one\" VOID 13:\"Hello, world!\"\n";
    assert_eq!(rig.good(&["--raw", "export"]), text);
    assert_eq!(rig.good(&["export", "^test_one$", "--format", "text"]).lines().count(), 1);
    let lines = rig.good(&["export", "one", "--format", "ndjson"]);
    let head = "{\"max_value_length\":256,\"max_writers\":4,\"slots\":1024,\"splinter\":\"export\",\"vector_dim\":3,\"version\":2}";
    let row = "{\"epoch\":2,\"key\":\"test_one\",\"value\":\"Hello, world!\",\"value_length\":13}";
    let end = "{\"keys\":1,\"splinter\":\"end\"}";
    assert_eq!(lines, format!("{head}\n{row}\n{end}\n"));
    let document: serde_json::Value = serde_json::from_str(&rig.good(&["--json", "export"])).unwrap();
    assert_eq!(document["keys"][0]["key"], "test_two");
}

#[test]
fn under_a_prefix_only_the_keys_under_it_are_exported_and_imported() {
    let rig = Rig::new();
    let store = rig.store(small());
    let mut writer = store.writer().unwrap();
    for key in ["a::x", "a::y", "b::x"] {
        writer.set(key, key.as_bytes()).unwrap();
    }
    let exported = rig.good(&["-p", "a::", "export", "--format", "ndjson"]);
    assert_eq!(exported.lines().count(), 4);
    let all = rig.good(&["export", "--format", "ndjson"]);
    for key in ["a::x", "a::y", "b::x"] {
        writer.unset(key).unwrap();
    }
    let output = rig.fed(&["-p", "b::", "import", "-"], all.as_bytes());
    assert_eq!(good(output), "imported 1 key\n");
    assert_eq!(rig.good(&["--raw", "list"]), "b::x\n");
}

#[test]
fn what_cannot_be_imported_is_told_with_its_place() {
    let rig = Rig::new();
    rig.store(small());
    let mut cases = vec![
        (
            "{\"key\":\"k\",\"value\":\"v\"}\n{\"key\":\"k\"",
            "standard input is not an export: EOF while parsing",
        ),
        ("{\"key\":\"k\",\"epoch\":2}", "entry 1 of standard input: it has no value; export --values"),
        (
            "{\"key\":\"k\",\"value\":\"v\"} {\"value\":1}",
            "entry 2 of standard input: it has no key; 1 key imported",
        ),
        ("[1]", "it is not a JSON object"),
        (
            "{\"key\":\"k\",\"value\":\"v\",\"vector\":[1]}",
            "\"k\": a vector of 1 component; this store's have 3",
        ),
    ];
    cases.push((
        "{\"key\":\"k\",\"value\":\"word\",\"type\":\"BIGUINT\"}",
        "\"k\": a BIGUINT is decimal digits or up to eight bytes of an integer, and its value is neither",
    ));
    let long = format!("{{\"key\":\"k\",\"value\":\"{}\"}}", "v".repeat(257));
    cases.push((&long, "\"k\": the value is longer than the store's maximum"));
    for (input, why) in cases {
        let error = bad(1, rig.fed(&["import", "-"], input.as_bytes()));
        assert!(error.starts_with("splinterctl: import: ") && error.contains(why), "{error}");
    }
    let error = bad(1, rig.fed(&["import", "-"], b"{\"key\":\"\",\"value\":\"v\"}"));
    assert!(error.contains("the key is empty"), "{error}");
    assert_eq!(rig.good(&["--raw", "list"]), "k\n");
    assert_eq!(rig.good(&["get", "k"]), "1:v\n", "a refused entry must change nothing");
    assert!(rig.bad(1, &["import", "missing"]).contains("cannot read \"missing\""));
    assert!(rig.bad(2, &["import"]).contains("FILE is missing"));
    assert!(rig.bad(2, &["export", "--format", "xml"]).contains("is not one of json, ndjson, text"));
}

#[test]
fn flush_does_what_there_is_to_do_and_says_nothing() {
    let rig = Rig::new();
    rig.store(small());
    assert_eq!(rig.good(&["flush"]), "");
    assert_eq!(rig.good(&["flush", "--json"]), "{\"flushed\":true}\n");
    let mut file = rig.program("splinterpctl");
    good(file.args(["init", "file"]).ended());
    let mut file = rig.program("splinterpctl");
    assert_eq!(good(file.args(["-u", "file", "flush"]).ended()), "");
    let error = bad(1, rig.program("splinterctl").arg("flush").ended());
    assert!(error.contains("no store is in use"), "{error}");
}

#[test]
fn a_copy_that_is_killed_leaves_nothing_behind() {
    // In shared memory, where unlinked files work.
    let rig = Rig::new();
    let store = rig.store(Geometry { slots: 4096, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..4000).for_each(|n| writer.set(format!("key{n}"), &[1; 4096]).unwrap());
    let name = format!("{}-copy", rig.name);
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
            let mut save = Running::start(&mut rig.ctl(words));
            let id = save.child().id();
            // It is copying once it has a file open in /dev/shm other than the store.
            let is_ours =
                |file: std::path::PathBuf| file.starts_with("/dev/shm") && !file.ends_with(&rig.name);
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
    let rig = Rig::new();
    let store = rig.store(small());
    fill(&store);
    for words in [&["save", "copy"][..], &["save", "copy", "--force"]] {
        let told = good(denied::unnamed_files(&mut rig.ctl(words)).ended());
        assert_eq!(told, "saved 5 keys to \"copy\"\n");
        assert_eq!(picture(&open_file(&rig.path("copy"))), picture(&store));
        let left = std::fs::read_dir(rig.path("")).unwrap().flatten();
        assert_eq!(left.filter(|entry| entry.file_type().unwrap().is_file()).count(), 1);
    }
}

#[test]
fn a_copy_that_finds_no_room_leaves_nothing_behind() {
    // In a mount namespace: a folder with room for the beginning of a copy only.
    let rig = Rig::new();
    let store = rig.store(Geometry { slots: 256, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..100).for_each(|n| writer.set(format!("key{n}"), &[1; 4096]).unwrap());
    std::fs::create_dir(rig.path("small")).unwrap();
    let save = format!("bin/splinterctl -u {} save small/copy; echo $?; ls -A small", rig.name);
    let small = rig.path("small").display().to_string();
    let mounted = || with_tmpfs("a folder without room", &small, "size=256k", &save);
    let [Some(mut plain), Some(mut other)] = [mounted(), mounted()] else { return };
    for command in [&mut plain, denied::unnamed_files(&mut other)].map(|one| one.current_dir(rig.path(""))) {
        let output = command.ended();
        let (out, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
        assert_eq!(String::from_utf8_lossy(&out), "1\n", "{error}");
        assert!(error.starts_with("splinterctl: the store's memory is missing: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
