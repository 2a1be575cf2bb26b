//! Delays and timeouts of queues in files that outlive a boot.

mod common;

use self::common::{GROUP, limit, message, small};
use splinter::{Scrub, Store};
use splinter_queue::{Queue, QueueConfig};
use splinter_testkit::{Named, config, geometry};
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The header's word with the boot that the store was used in.
const BOOT: u64 = 192;
/// Far longer than it takes to open a copy of a store.
const PAUSE: Duration = Duration::from_millis(200);

/// Returns the store time at which a copy of the store goes on, if the machine was switched off now.
fn time_after_reboot(store: &Named) -> u64 {
    let copy = Named::new();
    std::fs::copy(store.path(), copy.path()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(copy.path()).unwrap();
    file.write_all_at(&77_u64.to_le_bytes(), BOOT).unwrap();
    Store::open(&copy.0).unwrap().time()
}

fn named() -> (Named, Store) {
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(20, 2048, 0, 8), Scrub::None)).unwrap();
    (name, store)
}

#[test]
fn after_a_reboot_store_time_goes_on_from_the_last_creation_delay_or_timeout() {
    let (name, store) = named();
    std::thread::sleep(PAUSE);
    let created = store.time();
    let queue = Queue::create(&store, "q", &small(4)).unwrap();
    assert!(time_after_reboot(&name) >= created);

    let mut consumer = queue.consumer(GROUP).unwrap();
    queue.producer().unwrap().try_send(&message(0)).unwrap();
    consumer.recv(limit()).unwrap();
    std::thread::sleep(PAUSE);
    let returned = store.time();
    consumer.nack(Duration::from_secs(1)).unwrap();
    assert!(time_after_reboot(&name) >= returned);

    let timed = QueueConfig { timeout: Some(Duration::from_secs(1)), ..small(4) };
    let timed = Queue::create(&store, "timed", &timed).unwrap();
    std::thread::sleep(PAUSE);
    let opened = store.time();
    let _consumer = timed.consumer(GROUP).unwrap();
    assert!(time_after_reboot(&name) >= opened);
}
