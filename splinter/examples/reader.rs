//! Reads a named store while other processes write it: run the `writer` example in one terminal, and this one in
//! another.
//!
//!     cargo run --example reader -- NAME [SECONDS]
//!
//! It waits a while for the store, prints the message whenever that changes, and ends when the writer says that it is
//! done. It maps the store for reading only, so it cannot disturb anybody.

use splinter::{Error, Location, Store, StoreError};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: reader NAME [SECONDS]   (NAME of a store in shared memory; 60 seconds at most if not said)";
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, seconds) = match &arguments[..] {
        [name] => (name, Ok(60)),
        [name, seconds] => (name, seconds.parse()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Ok(seconds) = seconds else {
        eprintln!("reader: '{}' is no number of seconds; {USAGE}", arguments[1]);
        return ExitCode::from(2);
    };
    match run(name, Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, patience: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let end = Instant::now() + patience;
    let location = Location::shared(name)?;
    let store = loop {
        match Store::open_read_only(&location) {
            Err(StoreError::Missing(_)) if Instant::now() < end => std::thread::sleep(PAUSE),
            result => break result?,
        }
    };
    let mut seen = 0;
    let mut body = vec![Vec::new(); 2];
    while Instant::now() < end {
        // The epoch grows with every change: looking at it costs a few nanoseconds and no system call.
        let epoch = present(store.epoch("message"))?.unwrap_or(seen);
        if epoch != seen {
            seen = epoch;
            let message = present(store.get_vec("message"))?.unwrap_or_default();
            // The two orders of the tandem are always of one change.
            let of_one_change = match present(store.tandem("body", &mut body))? {
                Some(()) => body
                    .iter()
                    .map(|part| String::from_utf8_lossy(part))
                    .collect::<Vec<_>>()
                    .join(" "),
                None => "nothing yet".to_owned(),
            };
            println!("epoch {epoch}: {} [{of_one_change}]", String::from_utf8_lossy(&message));
        }
        if present(store.get_vec("state"))?.is_some_and(|state| state == b"done") {
            println!("done after {} changes", present(store.get_u64("changes"))?.unwrap_or(0));
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(format!("{location} was not done after {} s", patience.as_secs()).into())
}

/// Turns a key that is not there, or is being rewritten just now, into nothing.
fn present<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound | Error::Again) => Ok(None),
        Err(error) => Err(error),
    }
}
