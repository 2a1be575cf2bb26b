//! Measures how many messages a second pass from processes to processes: `cargo bench -p splinter-queue`.
//!
//! Each row is a number of producers and consumers, each in a process of its own, and a length. A round lasts from the
//! first send to the last acknowledgement. The result is the median of the rounds.

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use splinter::{Config, Geometry, Scrub, Store};
use splinter_queue::{Queue, QueueConfig, QueueError};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const MESSAGES: u64 = 1 << 20;
const CAPACITY: u64 = 4096;
const LENGTHS: [usize; 3] = [8, 64, 1024];
const PROCESSES: [(u64, u64); 3] = [(1, 1), (4, 1), (4, 4)];

fn main() {
    println!(
        "{:>9} {:>9} {:>7} {:>12} {:>12}",
        "producers", "consumers", "bytes", "messages/s", "ns/message"
    );
    for len in LENGTHS {
        for (producers, consumers) in PROCESSES {
            let mut times: Vec<_> = (0..ROUNDS).map(|_| round(producers, consumers, len)).collect();
            times.sort_unstable();
            let ns = times[ROUNDS / 2].as_secs_f64() * 1e9 / MESSAGES as f64;
            println!("{producers:>9} {consumers:>9} {len:>7} {:>12.0} {ns:>12.1}", 1e9 / ns);
        }
    }
}

/// Passes all messages through a new queue.
fn round(producers: u64, consumers: u64, len: usize) -> Duration {
    let geometry = Geometry { slots: CAPACITY + 2, max_value_len: 2048, vector_dim: 0, max_writers: 16 };
    let config = Config { geometry, scrub: Scrub::None, ..Config::default() };
    let store = Store::anonymous(&config).expect("a store");
    let config = QueueConfig { capacity: CAPACITY, max_message_len: len, ..QueueConfig::default() };
    let queue = Queue::create(&store, "bench", &config).expect("a queue");
    let start = Instant::now();
    let mut children = vec![];
    for _ in 0..producers {
        children.push(child(|| {
            let mut producer = queue.producer()?;
            let message = vec![7; len];
            (0..MESSAGES / producers).try_for_each(|_| producer.send(&message, None).map(drop))
        }));
    }
    for _ in 0..consumers {
        children.push(child(|| {
            let mut consumer = queue.consumer(Queue::DEFAULT_GROUP)?;
            loop {
                let received = match consumer.try_recv() {
                    Err(QueueError::Empty) => consumer.recv(Some(Instant::now() + Duration::from_millis(1))),
                    received => received,
                };
                match received {
                    Ok(message) => assert_eq!(message.bytes.len(), len),
                    // The last positions may be another consumer's.
                    Err(QueueError::TimedOut) => {
                        if queue.backlog(Queue::DEFAULT_GROUP)? == 0 && queue.sent()? == MESSAGES {
                            return Ok(());
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }));
    }
    for child in children {
        let status = waitpid(child, None).expect("a child's end");
        assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
    }
    start.elapsed()
}

/// Runs `body` in a process of its own.
#[allow(unsafe_code, reason = "fork has no safe interface")]
fn child(body: impl FnOnce() -> Result<(), QueueError>) -> nix::unistd::Pid {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let result = body();
            if let Err(error) = &result {
                eprintln!("{error}");
            }
            std::process::exit(i32::from(result.is_err()))
        }
    }
}
