//! Publishes to a named store that subscribers watch: run it in one terminal, and the `subscriber` example in others.
//!
//!     cargo run --example publisher -- NAME [MESSAGES]
//!
//! It makes the store with three topics, all of them registered with one signal group, sets one after the other, and
//! removes the name when it is done. It does not know whether anybody listens, and pays a system call only while
//! somebody sleeps.

mod common;

use common::PATIENCE;
use splinter::{Config, Geometry, Location, Store, retry};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "publisher NAME [MESSAGES]   (NAME of a store in shared memory; 50 messages if not said)";
const PAUSE: Duration = Duration::from_millis(200);
/// The signal group that subscribers watch.
const NEWS: u8 = 1;
const TOPICS: [&str; 3] = ["weather", "traffic", "sport"];

fn main() -> ExitCode {
    common::run(USAGE, 50, run)
}

fn run(location: &Location, messages: u64) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config {
        geometry: Geometry { slots: 64, max_value_len: 256, vector_dim: 0, ..Geometry::default() },
        ..Config::default()
    };
    let store = Store::create(location, &config)?;
    let published = publish(&store, messages);
    location.unlink()?;
    published
}

fn publish(store: &Store, messages: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = store.writer()?;
    for topic in TOPICS.into_iter().chain(["end"]) {
        retry(PATIENCE, || writer.set(topic, b"nothing yet"))?;
        retry(PATIENCE, || writer.register(topic, NEWS))?;
    }
    // Time for subscribers who were started together with this.
    std::thread::sleep(PAUSE);
    for number in 0..messages {
        let topic = TOPICS[number as usize % TOPICS.len()];
        let text = format!("message {number}");
        retry(PATIENCE, || writer.set(topic, text.as_bytes()))?;
        std::thread::sleep(PAUSE);
    }
    retry(PATIENCE, || writer.set("end", b"that is all"))?;
    let signals = store.signal_count(NEWS).unwrap_or_default();
    println!("{messages} messages published, {signals} signals sent");
    Ok(())
}
