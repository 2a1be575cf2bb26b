//! The program `splinter-peers`: everything is in the modules beside it.

mod board;
mod cli;
mod contender;
mod library;
mod lmdb;
mod maps;
mod scratch;
mod server;
mod servers;
mod splinters;
mod table;
mod trial;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
