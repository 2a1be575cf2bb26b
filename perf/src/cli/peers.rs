//! `splinter-perf peers`: hands over to `splinter-peers`, a program of its own, since what the peers need to be built is
//! nobody else's business. It is built when it is not there.

use super::Failure;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The program.
const PROGRAM: &str = "splinter-peers";

/// Compares splinter with maps of one process, LMDB, iceoryx2, Redis and memcached under the same loads.
///
/// They are driven by a program of its own, splinter-peers, which is built first where it is not beside this one: it
/// takes a C compiler and libclang. Its flags are listed by 'splinter-perf peers --help'.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Options {
    /// What splinter-peers is to do
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    flags: Vec<OsString>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let program = beside().filter(|program| program.exists());
    let program = program.map_or_else(build, Ok)?;
    // From here on it is that program.
    let error = Command::new(&program).args(&options.flags).exec();
    let program = program.display();
    Err(Failure::Usage(format!("cannot run {program}: {error}")))
}

/// Returns where the program is if somebody put it beside this one.
fn beside() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name(PROGRAM))
}

/// Builds the program from the sources that this one was built from, and returns where it is.
fn build() -> Result<PathBuf, Failure> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let missing = |what: &str| {
        Failure::Usage(format!(
            "{PROGRAM} is not beside this program, and {what}: build it with 'cargo build --release' in perf/peers of the \
             sources, and put it there"
        ))
    };
    if !manifest.exists() {
        return Err(missing("its sources are not there"));
    }
    let target = std::env::current_exe().ok();
    let target = target
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::parent);
    let target = target
        .ok_or_else(|| missing("there is no place to build it"))?
        .join("peers");
    eprintln!("building {PROGRAM}, once");
    let built = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--manifest-path",
        ])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join("release").join(PROGRAM)),
        Ok(status) => Err(missing(&format!("cargo ended with {status}"))),
        Err(error) => Err(missing(&format!("cargo cannot be run: {error}"))),
    }
}
