//! The program `splinter-stress`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    splinter_stress::cli::main()
}
