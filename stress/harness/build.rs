//! Tells the program what it was built from and how, so that a record can say it.

use std::process::Command;

fn main() {
    // Which commit it is, and whether the sources are that commit's. Git's index tells neither: `git status` alone
    // writes it.
    let commit = ["HEAD", "logs/HEAD"].map(|file| output("git", &["rev-parse", "--git-path", file]));
    let sources = [
        "build.rs",
        "Cargo.toml",
        "src",
        "../Cargo.toml",
        "../src",
        "../../Cargo.lock",
        "../../Cargo.toml",
        "../../perf/Cargo.toml",
        "../../perf/peers/Cargo.toml",
        "../../perf/peers/src",
        "../../perf/src",
        "../../splinter/Cargo.toml",
        "../../splinter/crates/testkit/Cargo.toml",
        "../../splinter/crates/testkit/src",
        "../../splinter/src",
    ];
    let sources = sources.map(|path| Some(path.to_owned()));
    for path in commit.into_iter().chain(sources).flatten() {
        // One that is not there would have everything built each time.
        if std::path::Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let revision = output("git", &["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]);
    let facts = [
        ("REVISION", revision.unwrap_or_else(|| "unknown".to_owned())),
        ("RUSTC", output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned())),
        ("PROFILE", variable("PROFILE")),
        ("OPT_LEVEL", variable("OPT_LEVEL")),
        ("TARGET", variable("TARGET")),
        ("FLAGS", variable("CARGO_ENCODED_RUSTFLAGS").replace('\u{1f}', " ")),
    ];
    for (name, value) in facts {
        println!("cargo:rustc-env=SPLINTER_BUILD_{name}={value}");
    }
}

/// Returns the first line that a command prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.lines().next()?.trim().to_owned())
}
