//! Tells the compiler which commit is being built, for the banner. Where git or its folder is missing, it is "unknown".

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SPLINTER_BUILD");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("SPLINTER_BUILD").ok().filter(|build| !build.is_empty());
    // The log of HEAD grows with every commit and checkout; a clone without one has HEAD itself.
    for file in ["logs/HEAD", "HEAD"] {
        if let Some(path) = git(&["rev-parse", "--path-format=absolute", "--git-path", file])
            .filter(|path| std::path::Path::new(path).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let build = given.or_else(|| git(&["rev-parse", "--short=7", "HEAD"]));
    println!("cargo::rustc-env=SPLINTER_BUILD={}", build.as_deref().unwrap_or("unknown"));
}

/// Asks git, which may not be there.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
