//! Tests of the files that the program writes: each is complete or absent, and never the file that it reads. Also on a
//! full disk, and at the limit on file sizes.

mod common;
mod rig;

use rig::{Bounded, Rig, bad, denied, good, small};
use splinter::{Geometry, Store};
use splinter_testkit::confined::with_tmpfs;
use std::process::Command;

/// Creates a store whose keys need more room than the tests provide.
fn large(rig: &Rig) -> Store {
    let store = rig.store(Geometry { slots: 256, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..100).for_each(|n| writer.set(format!("key{n}"), &[b'x'; 4096]).unwrap());
    drop(writer);
    store
}

/// Returns a command that runs a script in a shell, in the folder.
fn shell(rig: &Rig, script: &str) -> Command {
    let mut command = Command::new("sh");
    rig.prepare(command.args(["-c", script]));
    command
}

/// Lists the files in the folder, without the program.
fn names(rig: &Rig) -> Vec<String> {
    let entries = std::fs::read_dir(rig.path("")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "bin").collect();
    names.sort();
    names
}

#[test]
fn beyond_the_limit_on_file_sizes_a_command_says_so_and_leaves_nothing() {
    let rig = Rig::new();
    large(&rig);
    let ctl = format!("splinterctl -u {}", rig.name);
    for (words, doing) in [
        ("export -o dump", "export: cannot make \"dump\""),
        ("export --format ndjson -o dump", "export: cannot make \"dump\""),
        ("save copy", "save: cannot size copy"),
        ("export >/dev/shm/$0", "export: cannot write the output"),
        ("logtee log --once", "logtee: cannot write \"log\""),
    ] {
        let script = format!("ulimit -f 8; {ctl} {words}");
        let mut command = shell(&rig, &script);
        command.arg(format!("{}-out", rig.name));
        let mut denied = shell(&rig, &script);
        denied.arg(format!("{}-out", rig.name));
        for command in [&mut command, denied::unnamed_files(&mut denied)] {
            let error = bad(1, command.ended());
            let said = error.starts_with(&format!("splinterctl: {doing}: File too large"));
            assert!(said && error.contains("(ulimit -f)"), "{error}");
        }
        if words.starts_with("logtee") {
            std::fs::remove_file(rig.path("log")).unwrap();
        }
        assert_eq!(names(&rig), Vec::<String>::new(), "{words}");
    }
    let made = shell(&rig, "ulimit -f 8; splinterpctl init new").ended();
    assert!(bad(1, made).contains("(ulimit -f)"));
    assert_eq!(names(&rig), Vec::<String>::new());
    // Programs that the command starts get the signal's default action.
    let script = format!("{ctl} bids claim 7 -- sh -c 'kill -XFSZ $$'; echo $?");
    assert_eq!(good(shell(&rig, &script).ended()), "153\n");
}

#[test]
fn on_a_full_disk_nothing_half_is_left_and_what_was_there_stays() {
    let rig = Rig::new();
    large(&rig);
    std::fs::create_dir(rig.path("small")).unwrap();
    let small = rig.path("small").display().to_string();
    let mounted = |script: &str| {
        let mut command = with_tmpfs("a full disk", &small, "size=64k", script)?;
        rig.prepare(&mut command);
        Some(command)
    };
    let export = format!("splinterctl -u {} export -o small/dump; echo $?; ls -A small", rig.name);
    // There is no room for the second page, and perhaps not for the first.
    let page = "splinterctl-append.1";
    let manual = format!(
        "echo old >small/{page}; dd if=/dev/zero of=small/filler bs=1k count=60 2>&-; \
         splinterctl --manual small; echo $?; cat small/{page}; ls -A small | grep -v '1$'"
    );
    for (script, doing, out) in [
        (export, "export: cannot make \"small/dump\"", "1\n"),
        (manual, "cannot make \"small/splinter", "1\nold\nfiller\n"),
    ] {
        let [Some(mut plain), Some(mut other)] = [(); 2].map(|()| mounted(&script)) else { return };
        for command in [&mut plain, denied::unnamed_files(&mut other)] {
            let output = command.ended();
            let (told, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
            assert_eq!(String::from_utf8_lossy(&told), out, "{error}");
            assert!(error.starts_with(&format!("splinterctl: {doing}")), "{error}");
            assert!(error.lines().count() == 1 && error.contains("No space left"), "{error}");
        }
    }
}

#[test]
fn a_store_is_not_written_over_by_what_is_read_from_it() {
    let rig = Rig::new();
    for words in ["init s", "-u s set k v"] {
        good(rig.program("splinterpctl").args(words.split(' ')).ended());
    }
    std::os::unix::fs::symlink("s", rig.path("link")).unwrap();
    std::fs::hard_link(rig.path("s"), rig.path("hard")).unwrap();
    let before = std::fs::read(rig.path("s")).unwrap();
    for name in ["s", "./s", "link", "hard"] {
        for (words, why) in [
            (vec!["save", name, "--force"], "is the store itself; give another name"),
            (vec!["restore", "s", name, "--force"], "is the store itself; give another name"),
            (vec!["logtee", name, "--once"], "is the store itself; give another FILE"),
        ] {
            let mut command = rig.program("splinterpctl");
            let error = bad(1, command.args(["-u", "s"]).args(&words).ended());
            assert_eq!(error, format!("splinterpctl: {}: {name:?} {why}", words[0]));
        }
    }
    assert!(before == std::fs::read(rig.path("s")).unwrap());
    // The same in shared memory.
    let store = large(&rig);
    let path = format!("/dev/shm/{}", rig.name);
    assert!(rig.bad(1, &["save", &path, "--force"]).ends_with("give another name"));
    assert!(rig.bad(1, &["logtee", &path, "--once"]).ends_with("give another FILE"));
    assert!(store.get_vec("key1").is_ok() && rig.good(&["get", "key1"]).starts_with("4096:"));
    // Another file is replaced with --force.
    good(rig.program("splinterpctl").args(["-u", "s", "save", "other"]).ended());
    good(rig.program("splinterpctl").args(["-u", "s", "save", "other", "--force"]).ended());
}
