//! What the tests of queues in one process share.

#![allow(dead_code, reason = "not every file of tests needs all of it")]

use splinter::Store;
use splinter_queue::{Consumer, Queue, QueueConfig, QueueError};
use splinter_testkit::wait::LIMIT;
use splinter_testkit::{geometry, sequence, store, value};
use std::time::Instant;

pub(crate) const GROUP: &str = Queue::DEFAULT_GROUP;

pub(crate) fn small(capacity: u64) -> QueueConfig {
    QueueConfig { capacity, max_message_len: 100, ..QueueConfig::default() }
}

pub(crate) fn space() -> Store {
    store(geometry(600, 2048, 0, 40))
}

/// A deadline that only a test that hangs reaches.
pub(crate) fn limit() -> Option<Instant> {
    Some(Instant::now() + LIMIT)
}

/// Receives until there is nothing left. Returns the sequence numbers of the messages.
pub(crate) fn drain(consumer: &mut Consumer) -> Vec<u64> {
    let mut got = vec![];
    loop {
        match consumer.try_recv() {
            Ok(message) => got.push(sequence("m", message.bytes)),
            Err(QueueError::Empty) => return got,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn message(number: u64) -> Vec<u8> {
    value("m", number, 8 + number as usize % 93)
}
