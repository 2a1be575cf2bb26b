//! Prints what the `publisher` example publishes, asleep in between.
//!
//!     cargo run --example subscriber -- NAME [SECONDS]
//!
//! It waits a while for the store, then hears of every change to the keys of one signal group. Any number of
//! subscribers may run, come and go; none takes anything from the others.

mod common;

use common::read;
use splinter::{Change, Location, Store, Watcher};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str =
    "subscriber NAME [SECONDS]   (NAME of a store in shared memory; 60 seconds at most if not said)";
/// The signal group that the publisher's topics are registered with.
const NEWS: u8 = 1;

fn main() -> ExitCode {
    common::run(USAGE, 60, run)
}

fn run(location: &Location, seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let store = common::open_when_made(location, end, Store::open)?;
    let mut watcher = store.watch(&[NEWS])?;
    let mut is_over = false;
    // What there was before the watch began; whatever changes from here on is heard of.
    look_at_all(&mut watcher, &store, &mut is_over);
    while !is_over {
        match watcher.wait(Some(end)) {
            Ok(Some(change)) => is_over = show(&store, &change),
            Ok(None) => return Err(format!("{location} had no end after {seconds} s").into()),
            Err(lagged) => {
                println!("{lagged}");
                look_at_all(&mut watcher, &store, &mut is_over);
            }
        }
    }
    println!("done");
    Ok(())
}

fn look_at_all(watcher: &mut Watcher, store: &Store, is_over: &mut bool) {
    watcher.resync(|change| *is_over |= show(store, &change));
}

/// Prints a change. Returns whether it is the last one.
fn show(store: &Store, change: &Change) -> bool {
    let Some(key) = &change.key else { return false };
    // The value may be newer than the change, never older; then there is word of that, too.
    let Ok(Some(value)) = read(|| store.get_vec(key)) else { return false };
    println!("{key} at epoch {}: {}", change.epoch, String::from_utf8_lossy(&value));
    key.as_ref() == b"end" && value == b"that is all"
}
