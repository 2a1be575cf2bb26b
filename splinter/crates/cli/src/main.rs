//! The program `splinter_cli`, under each of its four names: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    splinter_cli::main_with(std::env::args_os())
}
