//! What the examples share: their command line, waiting for a busy key, and for a store.

#![allow(dead_code, reason = "each example uses a part of this")]

use splinter::{Error, Location, OptionalExt, Store, StoreError};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs an example whose arguments are the name of a store and a number. `usage` begins with the example's
/// name.
pub(crate) fn run(
    usage: &str,
    default: u64,
    example: impl FnOnce(&Location, u64) -> Result<(), Box<dyn std::error::Error>>,
) -> ExitCode {
    let me = usage.split(' ').next().unwrap_or_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, number) = match &arguments[..] {
        [name] => (name, Ok(default)),
        [name, number] => (name, number.parse()),
        _ => {
            eprintln!("usage: {usage}");
            return ExitCode::from(2);
        }
    };
    let Ok(number) = number else {
        eprintln!("{me}: '{}' is not a number; usage: {usage}", arguments[1]);
        return ExitCode::from(2);
    };
    let result = Location::shared(name).map_err(Into::into);
    match result.and_then(|location| example(&location, number)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{me}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens a store by `open`, waiting for it to be made.
pub(crate) fn open_when_made(
    location: &Location,
    end: Instant,
    open: impl Fn(&Location) -> Result<Store, StoreError>,
) -> Result<Store, StoreError> {
    loop {
        match open(location) {
            Err(StoreError::Missing(_)) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// How long to wait for a busy key. A writer holds it for less than a microsecond, unless it is stopped.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// Reads a key, and waits while it is busy. A missing key is `None`.
pub(crate) fn read<T>(read: impl FnMut() -> Result<T, Error>) -> Result<Option<T>, Error> {
    splinter::retry(PATIENCE, read).optional()
}
