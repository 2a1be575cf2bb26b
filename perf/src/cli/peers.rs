//! `splinter-perf peers`: hands over to `splinter-peers`, a program of its own, since no other program needs what the peers
//! need to be built. It is built when it is not there.

use super::{ANY, count};
use crate::only;
use clap::Args;
use splinter_harness::files::try_files;
use splinter_harness::program::{Outcome, complain};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
const PROGRAM: &str = "splinter-peers";

/// The loads, from the simplest on.
pub const LOADS: [&str; 4] = ["one gets", "one sets", "one sets, others get", "all get and set"];

/// The stores that can take part, in the order of the table.
pub const ENTRANTS: [&str; 11] = [
    "splinter",
    "splinter, by handle",
    "libsplinter (C)",
    "Mutex<HashMap>",
    "DashMap",
    "papaya",
    "LMDB on /dev/shm",
    "iceoryx2, by handle",
    "Redis",
    "Redis, pipelined",
    "memcached",
];

/// Compares splinter with what else keeps values for several threads or processes: the C original, maps of one process,
/// LMDB, iceoryx2, Redis and memcached.
///
/// All of them are driven by the same workers, in threads of one process, each with a connection of its own where there
/// is something to connect to. A round takes one short sample of each, in an order drawn anew; goodput is the median of
/// the rounds, and a ratio that of the same round, with a 95 % bootstrap interval. Servers are started for it, on
/// sockets of their own, and ended with it; one whose program is not installed takes no part, and the table says which
/// package has it.
///
/// Before the rounds every one is driven once with all its reads checked. The verdict is "fail" if reads of ours were torn
/// or failed, "inconclusive" if it was interrupted or others disturbed it, else "pass", whichever store was faster.
///
/// They are driven by a program of its own, splinter-peers, which is built first where it is not beside this one: that
/// takes cargo, a C compiler and libclang.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub struct PeersOptions {
    /// Rounds: each takes one sample of each store [default: 15, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=u64::MAX))]
    pub rounds: Option<u32>,
    /// Take shorter samples in fewer rounds, for a first look
    #[arg(long)]
    pub quick: bool,
    /// Only those whose name contains this text, and splinter
    #[arg(long, value_name = "SUBSTRING")]
    pub only: Option<String>,
    /// Only the loads whose name contains this text
    #[arg(long, value_name = "SUBSTRING")]
    pub load: Option<String>,
    /// A shared library that exports the original C interface, to take part as well
    #[arg(long, value_name = "PATH")]
    pub peer_library: Option<PathBuf>,
    /// Take at most N rounds again that others disturbed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u32>(ANY))]
    pub again: u32,
    /// Keys
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = count::<u64>(1..=1_000_000))]
    pub keys: u64,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = count::<u32>(1..=1 << 20))]
    pub value_len: u32,
    /// Seed of every random choice
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = count::<u64>(ANY))]
    pub seed: u64,
    /// Print one JSON record to standard output instead of tables
    #[arg(long)]
    pub json: bool,
    /// Write the record to a file
    #[arg(long, value_name = "PATH")]
    pub record: Option<PathBuf>,
}

impl PeersOptions {
    /// Tells whether a load is asked for.
    #[must_use]
    pub fn wants_load(&self, name: &str) -> bool {
        only::wants(self.load.as_deref(), name)
    }

    /// Tells whether a store is asked for.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        only::wants(self.only.as_deref(), name)
    }

    /// Finds out whether the names match, the library is there and the record can be written.
    ///
    /// # Errors
    /// One line that says what is wrong and what to do.
    pub fn check(&self) -> Result<(), String> {
        if !LOADS.iter().any(|name| self.wants_load(name)) {
            return Err(format!("--load matches none; the loads are: {}", LOADS.join("; ")));
        }
        if !ENTRANTS.iter().any(|name| self.wants(name)) {
            return Err(format!("--only matches no store; the stores are: {}", ENTRANTS.join("; ")));
        }
        let library = self.peer_library.as_deref();
        if let Some(path) = library.filter(|path| !path.exists()) {
            let path = path.display();
            return Err(format!("there is no library {path}: give --peer-library the path of one"));
        }
        try_files(&[self.record.as_deref()], &[library])
    }
}

pub(super) fn run(options: &PeersOptions) -> Outcome {
    options.check()?;
    let program = beside().filter(|program| program.exists());
    let program = program.map_or_else(build, Ok)?;
    // From here on it is that program, with the same flags: those behind the verb.
    let error = Command::new(&program).args(std::env::args_os().skip(2)).exec();
    let program = program.display();
    Err(format!("cannot run {program}: {error}").into())
}

/// Returns where the program is if somebody put it beside this one.
fn beside() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_file_name(PROGRAM))
}

/// Builds the program from the sources that this one was built from, and returns where it is.
fn build() -> Result<PathBuf, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let missing = |what: &str| {
        format!(
            "{PROGRAM} is not beside this program, and {what}: build it with 'cargo build --release' in perf/peers of the \
             sources, and put it there"
        )
    };
    if !manifest.exists() {
        return Err(missing("its sources are not there"));
    }
    let target = std::env::current_exe().ok();
    let target = target.as_deref().and_then(Path::parent).and_then(Path::parent);
    let target = target.ok_or_else(|| missing("there is no place to build it"))?.join("peers");
    complain(&format!("building {PROGRAM}, once"));
    let built = Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
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
