//! Bounded queues in a [`splinter`] store: many producers, many consumers, and groups that each get every message.
//!
//! A message is sent whole or not at all, whenever its producer dies. Each group gets it at least once, and once only
//! unless a consumer dies, returns it or exceeds the queue's timeout before it acknowledged the message. A full queue
//! refuses ([`QueueError::Full`]) or lets [`Producer::send`] wait. `splinter/docs/queue.md` says how this works.
//!
//! ```
//! use splinter::{Config, Store};
//! use splinter_queue::{Queue, QueueConfig, QueueError};
//!
//! let store = Store::anonymous(&Config::default())?;
//! let queue = Queue::create(&store, "jobs", &QueueConfig::default())?;
//! let mut producer = queue.producer()?;
//! producer.try_send(b"resize 17")?;
//! producer.try_send(b"resize 18")?;
//!
//! // In this or any other process:
//! let mut consumer = Queue::open(&store, "jobs")?.consumer(Queue::DEFAULT_GROUP)?;
//! let message = consumer.recv(None)?;
//! assert_eq!((message.position, message.bytes), (0, &b"resize 17"[..]));
//! // The next call acknowledges the last message. Consumers may do so at once, too.
//! assert_eq!(consumer.recv(None)?.bytes, b"resize 18");
//! consumer.ack()?;
//! assert!(matches!(consumer.try_recv(), Err(QueueError::Empty)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod consumer;
mod error;
mod group;
mod liveness;
mod producer;
mod queue;
mod record;
mod room;

pub use self::{
    consumer::{Consumer, Message},
    error::QueueError,
    producer::Producer,
    queue::{Queue, QueueConfig, Start},
};
