//! The scripts: what they are for is said at once, without anything being looked for, installed or built.

use splinter_testkit::Folder;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lists the scripts of a folder of the tree.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let runs = |path: &PathBuf| {
        let about = path.metadata().unwrap();
        about.is_file() && about.permissions().mode() & 0o111 != 0
    };
    paths.filter(runs).collect()
}

#[test]
fn every_script_says_at_once_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let stubs = Folder::new();
    // Each program that builds or installs notes that it was called.
    let called = stubs.join("called");
    for name in ["cargo", "rustc", "rustup", "apt-get", "sudo", "git", "nproc"] {
        let stub = stubs.join(name);
        fs::write(&stub, format!("#!/bin/sh\necho {name} >>{}\nexit 1\n", called.display())).unwrap();
        fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", stubs.join("").display());
    let mut all = scripts(&root.join("scripts"));
    all.extend(scripts(&root.join("ci")));
    all.push(root.join("splinter/fuzz/seed"));
    assert!(all.len() > 20, "{all:?}");
    for script in &all {
        let text = fs::read_to_string(script).unwrap();
        let first = text.lines().nth(1).unwrap().trim_start_matches("# ");
        for flag in ["--help", "-h"] {
            let output = Command::new(script)
                .arg(flag)
                .current_dir("/")
                .env_clear()
                .env("PATH", &path)
                .output()
                .unwrap();
            let help = String::from_utf8(output.stdout).unwrap();
            let script = script.display();
            assert_eq!(output.status.code(), Some(0), "{script} {flag}: {help}");
            assert!(help.starts_with(first), "{script} {flag}: {help}");
            assert!(output.stderr.is_empty(), "{script} {flag}");
            assert!(!called.exists(), "{script}: {:?}", fs::read_to_string(&called));
        }
    }
}
