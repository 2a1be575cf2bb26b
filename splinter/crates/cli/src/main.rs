//! The binary `splinter_cli`, for all four names. All code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    splinter_cli::main_with(std::env::args_os())
}
