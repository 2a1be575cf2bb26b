//! What the examples share: their command line, patience with busy keys, and waiting for a store.

#![allow(dead_code, reason = "each example uses a part of this")]

use splinter::{Error, Location, Store, StoreError};
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
        eprintln!("{me}: '{}' is no number; usage: {usage}", arguments[1]);
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

/// Tries again while another writer holds the key: for a moment, mostly.
pub(crate) fn retry<T>(mut change: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..100_000 {
        match change() {
            Err(Error::Again) => std::thread::yield_now(),
            result => return result,
        }
    }
    Err(Error::Again)
}

/// Turns a key that is not there, or is being rewritten just now, into nothing.
pub(crate) fn present<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound | Error::Again) => Ok(None),
        Err(error) => Err(error),
    }
}
