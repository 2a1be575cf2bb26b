//! Reads a named store while other processes write it: run the `writer` example in one terminal, and this one in
//! another.
//!
//!     cargo run --example reader -- NAME [SECONDS]
//!
//! It waits a while for the store, prints the message whenever that changes, and ends when the writer says that it is
//! done. It maps the store for reading only, so it cannot disturb anybody.

mod common;

use common::read;
use splinter::{Location, Store};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "reader NAME [SECONDS]   (NAME of a store in shared memory; 60 seconds at most if not said)";
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    common::run(USAGE, 60, run)
}

fn run(location: &Location, seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let store = common::open_when_made(location, end, Store::open_read_only)?;
    let mut seen = 0;
    let mut body = vec![Vec::new(); 2];
    while Instant::now() < end {
        // The epoch grows with every change: looking at it costs a few nanoseconds and no system call.
        let epoch = read(|| store.epoch("message"))?.unwrap_or(seen);
        if epoch != seen {
            seen = epoch;
            let message = read(|| store.get_vec("message"))?.unwrap_or_default();
            // The two orders of the tandem are always of one change.
            let of_one_change = match read(|| store.tandem("body", &mut body))? {
                Some(()) => {
                    body.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join(" ")
                }
                None => "nothing yet".to_owned(),
            };
            println!("epoch {epoch}: {} [{of_one_change}]", String::from_utf8_lossy(&message));
        }
        if read(|| store.get_vec("state"))?.is_some_and(|state| state == b"done") {
            println!("done after {} changes", read(|| store.get_u64("changes"))?.unwrap_or(0));
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("{location} was not done after {seconds} s").into())
}
