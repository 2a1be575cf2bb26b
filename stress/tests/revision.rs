//! What a build says of its sources, and what makes it build again: the build script, in a small tree of its own under git.

use splinter_testkit::{Folder, skipped};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// All other files that the programs are built from, each of another folder.
const SOURCES: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "perf/Cargo.toml",
    "perf/peers/Cargo.toml",
    "perf/peers/src/main.rs",
    "perf/src/lib.rs",
    "splinter/Cargo.toml",
    "splinter/crates/testkit/Cargo.toml",
    "splinter/crates/testkit/src/lib.rs",
    "splinter/src/lib.rs",
    "stress/Cargo.toml",
    "stress/src/lib.rs",
];

/// A tree with a program that prints its revision.
struct Tree(Folder);

impl Tree {
    fn new() -> Self {
        let root = Folder::new();
        let sources = SOURCES.map(|name| (name, ""));
        let own = [
            ("notes", "text\n"),
            (".gitignore", "target\nstress/harness/Cargo.lock\n"),
            (
                "stress/harness/Cargo.toml",
                "[package]\nname = \"revision\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
            ),
            (
                "stress/harness/src/main.rs",
                "fn main() { println!(\"{}\", env!(\"SPLINTER_BUILD_REVISION\")); }\n",
            ),
            (
                "stress/harness/build.rs",
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/harness/build.rs")),
            ),
        ];
        for (name, text) in sources.into_iter().chain(own) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    /// Runs git. Returns what it prints.
    fn git(&self, line: &str) -> String {
        let output = git()
            .current_dir(&self.0)
            .args(["-c", "user.name=T", "-c", "user.email=t@localhost"])
            .args(line.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Builds and runs the program. Returns what it prints, and whether anything was built.
    fn run(&self) -> (String, bool) {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
            .current_dir(self.0.join("stress/harness"))
            .args(["run", "--offline", "--verbose", "--target-dir"])
            .arg(self.0.join("target"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let revision = String::from_utf8(output.stdout).unwrap();
        (revision.trim().to_owned(), !errors.contains("Fresh revision"))
    }
}

fn git() -> Command {
    let mut git = Command::new("git");
    // As they are where a hook runs the tests.
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        git.env_remove(name);
    }
    git
}

/// Has a file look as if it had been written now.
fn touch(path: &Path) {
    let later = SystemTime::now() + Duration::from_secs(2);
    File::options().append(true).open(path).unwrap().set_modified(later).unwrap();
}

#[test]
fn a_build_is_of_its_commit_and_git_status_has_nothing_built_again() {
    if git().arg("--version").output().is_err() {
        return skipped("git is missing; run 'apt-get install git' as root");
    }
    let tree = Tree::new();
    tree.git("init --quiet");
    tree.git("add .");
    tree.git("commit --quiet --message one");
    let first = tree.git("rev-parse HEAD");
    assert_eq!(tree.run(), (first.clone(), true));
    // What a clone's first `git status` does: files look new, and the index is written.
    touch(&tree.0.join("notes"));
    tree.git("status");
    touch(&tree.0.join(".git/index"));
    assert_eq!(tree.run(), (first.clone(), false));

    fs::write(tree.0.join("notes"), "more\n").unwrap();
    tree.git("commit --quiet --all --message two");
    let second = tree.git("rev-parse HEAD");
    assert_ne!(first, second);
    assert_eq!(tree.run(), (second.clone(), true));

    for (name, comment) in SOURCES.map(|name| (name, "# Changed.\n")).into_iter().chain([
        ("stress/harness/Cargo.toml", "# Changed.\n"),
        ("stress/harness/build.rs", "// Changed.\n"),
        ("stress/harness/src/main.rs", "// Changed.\n"),
    ]) {
        assert!(!tree.run().1, "before {name} is changed");
        let mut file = File::options().append(true).open(tree.0.join(name)).unwrap();
        file.write_all(comment.as_bytes()).unwrap();
        assert_eq!(tree.run(), (format!("{second}-dirty"), true), "{name}");
    }
}
