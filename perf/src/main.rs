//! The `splinter-perf` command: all of it is in the library's `cli` module.

use std::process::ExitCode;

fn main() -> ExitCode {
    splinter_perf::cli::main()
}
