//! Queues whose producers and consumers are threads that run or sleep at the same time.

mod common;

use self::common::{GROUP, limit, message, small, space};
use splinter_queue::{Queue, QueueError, Start};
use splinter_testkit::process::{is_asleep, thread_id};
use splinter_testkit::{sequence, wait_until};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[test]
fn four_producers_and_four_consumers_pass_each_message_once_to_each_group() {
    const MESSAGES: u64 = 2_000;
    let queue = Queue::create(&space(), "q", &small(64)).unwrap();
    queue.create_group("second", Start::Oldest).unwrap();
    let (groups, sending) = ([GROUP, "second"], AtomicU64::new(4));
    let got = std::thread::scope(|scope| {
        for producer in 0..4_u64 {
            let (queue, sending) = (&queue, &sending);
            scope.spawn(move || {
                let mut sender = queue.producer().unwrap();
                for number in 0..MESSAGES {
                    sender.send(&message(producer << 32 | number), limit()).unwrap();
                }
                sending.fetch_sub(1, Relaxed);
            });
        }
        let receive = |group| {
            let (queue, sending) = (&queue, &sending);
            scope.spawn(move || {
                let (mut consumer, mut got) = (queue.consumer(group).unwrap(), vec![]);
                while sending.load(Relaxed) > 0 || queue.backlog(group).unwrap() > 0 {
                    match consumer.recv(Some(Instant::now() + Duration::from_millis(10))) {
                        Ok(message) => got.push(sequence("m", message.bytes)),
                        Err(QueueError::TimedOut) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                got
            })
        };
        let consumers: Vec<_> =
            groups.iter().flat_map(|group| (0..4).map(|_| receive(group)).collect::<Vec<_>>()).collect();
        consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    for group in got.chunks(4) {
        let all: Vec<u64> = group.iter().flatten().copied().collect();
        assert_eq!(all.len() as u64, 4 * MESSAGES);
        assert_eq!(all.iter().collect::<HashSet<_>>().len() as u64, 4 * MESSAGES);
        for consumer in group {
            for producer in 0..4 {
                let own: Vec<_> = consumer.iter().filter(|number| **number >> 32 == producer).collect();
                assert!(own.is_sorted(), "a producer's messages come in its order");
            }
        }
    }
}

#[test]
fn a_group_that_is_created_while_others_send_misses_nothing() {
    const GROUPS: u64 = 1_000;
    let queue = Queue::create(&space(), "q", &small(2)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut producer = queue.producer().unwrap();
                while !done.load(Relaxed) {
                    let soon = Some(Instant::now() + Duration::from_millis(1));
                    match producer.send(&message(3), soon) {
                        Ok(_) | Err(QueueError::TimedOut) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            let mut consumer = queue.consumer(GROUP).unwrap();
            while !done.load(Relaxed) {
                let _ = consumer.recv(Some(Instant::now() + Duration::from_millis(1)));
            }
        });
        // Ends the threads, also if a check below fails.
        let _done = Done(&done);
        for group in 0..GROUPS {
            let start = if group % 2 == 0 { Start::Oldest } else { Start::Newest };
            let sent = queue.sent().unwrap();
            queue.create_group("new", start).unwrap();
            let mut consumer = queue.consumer("new").unwrap();
            let first = consumer.recv(limit()).unwrap().position;
            assert!(start == Start::Oldest || first >= sent);
            for position in first + 1..first + 5 {
                let message = consumer.recv(limit()).unwrap();
                assert_eq!((message.position, sequence("m", message.bytes)), (position, 3));
            }
            drop(consumer);
            queue.drop_group("new").unwrap();
        }
    });
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// How often a thread has to be woken: without wakes each would take a second, and all of them longer than the limit.
const WAKES: u64 = 100;

#[test]
fn each_send_wakes_a_sleeping_consumer() {
    let queue = Queue::create(&space(), "q", &small(4)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    let (limit, sleeper) = (limit(), thread_id());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..WAKES {
                wait_until("the consumer to sleep", || is_asleep(std::process::id() as i32, sleeper));
                producer.try_send(&message(number)).unwrap();
                // The next look must not find it asleep still.
                wait_until("the message to be taken", || queue.backlog(GROUP).unwrap() == 0);
            }
        });
        for number in 0..WAKES {
            let message = consumer.recv(limit).unwrap();
            assert_eq!(sequence("m", message.bytes), number);
            consumer.ack().unwrap();
        }
    });
    let soon = Some(Instant::now() + Duration::from_millis(10));
    assert!(matches!(consumer.recv(soon), Err(QueueError::TimedOut)));
}

#[test]
fn each_acknowledgement_wakes_a_sleeping_producer() {
    let queue = Queue::create(&space(), "q", &small(1)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    let (limit, sleeper) = (limit(), thread_id());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..WAKES {
                wait_until("the producer to sleep", || is_asleep(std::process::id() as i32, sleeper));
                assert_eq!(consumer.try_recv().unwrap().position, number);
                consumer.ack().unwrap();
                wait_until("the next message", || queue.backlog(GROUP).unwrap() == 1);
            }
        });
        for number in 0..=WAKES {
            producer.send(&message(number), limit).unwrap();
        }
    });
}

#[test]
fn each_message_given_back_wakes_a_sleeping_consumer() {
    let queue = Queue::create(&space(), "q", &small(4)).unwrap();
    let (mut gives, mut takes) = (queue.consumer(GROUP).unwrap(), queue.consumer(GROUP).unwrap());
    let (limit, sleeper) = (limit(), thread_id());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut producer = queue.producer().unwrap();
            for number in 0..10 * WAKES {
                producer.try_send(&message(number)).unwrap();
                while gives.try_recv().is_err() {
                    // The other one got it.
                    if queue.backlog(GROUP).unwrap() == 0 {
                        break;
                    }
                }
                wait_until("the other consumer to sleep", || is_asleep(std::process::id() as i32, sleeper));
                gives.nack(Duration::ZERO).unwrap();
                wait_until("the message to be acknowledged", || queue.backlog(GROUP).unwrap() == 0);
            }
        });
        for number in 0..10 * WAKES {
            let message = takes.recv(limit).unwrap();
            assert_eq!(sequence("m", message.bytes), number);
            takes.ack().unwrap();
        }
    });
}
