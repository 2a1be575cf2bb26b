//! Tests of the files that the program writes: each is complete or absent, also on a full disk and at the limit on
//! file sizes.

mod common;
mod store_sandbox;

use splinter::{Geometry, Store};
use splinter_testkit::confined::with_tmpfs;
use std::process::Command;
use store_sandbox::{Bounded, StoreSandbox, bad, denied, good, small};

/// Creates a store whose keys need more room than the tests provide.
fn large(sandbox: &StoreSandbox) -> Store {
    let store = sandbox.store(Geometry { slots: 256, max_value_len: 4096, ..small() });
    let mut writer = store.writer().unwrap();
    (0..100).for_each(|n| writer.set(format!("key{n}"), &[b'x'; 4096]).unwrap());
    drop(writer);
    store
}

/// Returns a command that runs a script in a shell, in the folder.
fn shell(sandbox: &StoreSandbox, script: &str) -> Command {
    let mut command = Command::new("sh");
    sandbox.prepare(command.args(["-c", script]));
    command
}

/// Lists the files in the folder, without the program.
fn names(sandbox: &StoreSandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path("")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "bin").collect();
    names.sort();
    names
}

#[test]
fn beyond_the_limit_on_file_sizes_a_command_says_so_and_leaves_nothing() {
    let sandbox = StoreSandbox::new();
    large(&sandbox);
    let ctl = format!("splinterctl -u {}", sandbox.name);
    for (words, doing) in [
        ("export -o dump", "export: cannot make \"dump\""),
        ("export --format ndjson -o dump", "export: cannot make \"dump\""),
        ("save copy", "save: cannot size copy"),
        ("export >/dev/shm/$0", "export: cannot write the output"),
        ("logtee log --once", "logtee: cannot write \"log\""),
    ] {
        let script = format!("ulimit -f 8; {ctl} {words}");
        let mut command = shell(&sandbox, &script);
        command.arg(format!("{}-out", sandbox.name));
        let mut denied = shell(&sandbox, &script);
        denied.arg(format!("{}-out", sandbox.name));
        for command in [&mut command, denied::unnamed_files(&mut denied)] {
            let error = bad(1, command.ended());
            let said = error.starts_with(&format!("splinterctl: {doing}: File too large"));
            assert!(said && error.contains("(ulimit -f)"), "{error}");
        }
        if words.starts_with("logtee") {
            std::fs::remove_file(sandbox.path("log")).unwrap();
        }
        assert_eq!(names(&sandbox), Vec::<String>::new(), "{words}");
    }
    let made = shell(&sandbox, "ulimit -f 8; splinterpctl init new").ended();
    assert!(bad(1, made).contains("(ulimit -f)"));
    assert_eq!(names(&sandbox), Vec::<String>::new());
    // Programs that the command starts get the signal's default action.
    let script = format!("{ctl} bids claim 7 -- sh -c 'kill -XFSZ $$'; echo $?");
    assert_eq!(good(shell(&sandbox, &script).ended()), "153\n");
}

#[test]
fn on_a_full_disk_no_part_of_a_file_is_left_and_old_files_stay() {
    let sandbox = StoreSandbox::new();
    large(&sandbox);
    std::fs::create_dir(sandbox.path("small")).unwrap();
    let small = sandbox.path("small");
    let export = format!("splinterctl -u {} export -o small/dump; echo $?; ls -A small", sandbox.name);
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
        for has_unnamed_files in [true, false] {
            let mounted = with_tmpfs("a full disk", small.to_str().unwrap(), "size=64k", &script);
            let Some(mut command) = mounted else { return };
            sandbox.prepare(&mut command);
            if !has_unnamed_files {
                denied::unnamed_files(&mut command);
            }
            let output = command.ended();
            let (answer, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
            assert_eq!(String::from_utf8_lossy(&answer), out, "{error}");
            assert!(error.starts_with(&format!("splinterctl: {doing}")), "{error}");
            assert!(error.lines().count() == 1 && error.contains("No space left"), "{error}");
        }
    }
}
