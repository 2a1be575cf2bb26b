//! Writes to a named store that other processes read meanwhile: run it in one terminal, and the `reader` example in
//! another.
//!
//!     cargo run --example writer -- NAME [CHANGES]
//!
//! It makes the store, changes it ten times a second, says so when it is done, and removes the name. Any number of
//! writers may run at once.

mod common;

use common::PATIENCE;
use splinter::{Config, Error, Geometry, IntegerOp, Location, Store, StoreError, Writer, retry};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "writer NAME [CHANGES]   (NAME of a store in shared memory; 100 changes if not said)";
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    common::run(USAGE, 100, run)
}

fn run(location: &Location, changes: u64) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config {
        geometry: Geometry { slots: 128, max_value_len: 256, vector_dim: 0, ..Geometry::default() },
        ..Config::default()
    };
    let (store, made) = match Store::create(location, &config) {
        Err(StoreError::Exists(_)) => (Store::open(location)?, false),
        result => (result?, true),
    };
    let mut writer = store.writer()?;
    println!("{location}: {} as writer {}", if made { "made" } else { "opened" }, writer.id());

    // The process that made the store removes its name. Processes that have it open keep it.
    let written = write(&mut writer, changes);
    if made {
        location.unlink()?;
    }
    written?;
    println!("{changes} changes made");
    Ok(())
}

fn write(writer: &mut Writer, changes: u64) -> Result<(), Error> {
    retry(PATIENCE, || writer.set("state", b"running"))?;
    if !writer.contains("changes")? {
        retry(PATIENCE, || writer.set_u64("changes", 0))?;
    }
    for number in 0..changes {
        let text = format!("change {number} of process {}", std::process::id());
        retry(PATIENCE, || writer.set("message", text.as_bytes()))?;
        // Both or neither: a reader never sees the position of one change and the speed of another.
        let (position, speed) = (format!("x={number}"), format!("v={}", number * 2));
        retry(PATIENCE, || writer.set_tandem("body", &[position.as_bytes(), speed.as_bytes()]))?;
        // Counted together with all other writers; no update is lost.
        retry(PATIENCE, || writer.integer("changes", IntegerOp::Inc(1)))?;
        std::thread::sleep(PAUSE);
    }
    retry(PATIENCE, || writer.set("state", b"done"))
}
