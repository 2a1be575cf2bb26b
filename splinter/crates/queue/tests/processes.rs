//! Queues across processes, some of which are killed at any instruction: acknowledged sends are received, nothing else
//! is, and what a dead consumer had goes to another.

use nix::sys::prctl::set_pdeathsig;
use splinter::{Error, Location, Scrub, Store};
use splinter_queue::{Queue, QueueConfig, QueueError, Start};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::wait::LIMIT;
use splinter_testkit::{Named, Rng, config, geometry, sequence, value, wait_until};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const GROUP: &str = Queue::DEFAULT_GROUP;

fn named(slots: u64, max_writers: u32, scrub: Scrub) -> (Named, Store) {
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(slots, 2048, 0, max_writers), scrub)).unwrap();
    (name, store)
}

fn small(capacity: u64) -> QueueConfig {
    QueueConfig { capacity, max_message_len: 200, ..QueueConfig::default() }
}

/// Opens the queue as an unrelated program does.
fn open(name: &Location) -> Queue {
    Queue::open(&Store::open(name).unwrap(), "q").unwrap()
}

fn limit() -> Option<Instant> {
    Some(Instant::now() + LIMIT)
}

fn message(number: u64) -> Vec<u8> {
    value("m", number, 8 + (number % 190) as usize)
}

#[test]
fn messages_of_a_killed_consumer_are_delivered_again() {
    alone("messages_of_a_killed_consumer_are_delivered_again", || {
        for scrub in Scrub::ALL {
            let (name, store) = named(40, 8, scrub);
            let queue = Queue::create(&store, "q", &small(16)).unwrap();
            let mut producer = queue.producer().unwrap();
            assert_eq!(producer.send_many((0..10).map(message)).unwrap(), 10);
            let held = shared_words(1);
            let child = Forked::new(|| {
                let mut consumer = open(&name.0).consumer(GROUP).unwrap();
                for position in 0..5 {
                    assert_eq!(consumer.recv(limit()).unwrap().position, position);
                    if position == 2 {
                        consumer.ack().unwrap();
                    }
                }
                held[0].store(1, Relaxed);
                loop {
                    spin(1000);
                }
            });
            wait_until("the child to hold messages", || held[0].load(Relaxed) == 1);
            let mut consumer = queue.consumer(GROUP).unwrap();
            let first = consumer.recv(limit()).unwrap();
            assert!(first.position > 4 && first.deliveries == 1, "the child lives: {first:?}");
            child.kill();
            let mut got = vec![(first.position, first.deliveries)];
            while got.len() < 7 {
                let message = consumer.recv(limit()).unwrap();
                assert_eq!(sequence("m", message.bytes), message.position);
                got.push((message.position, message.deliveries));
            }
            got.sort_unstable();
            assert_eq!(got.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [3, 4, 5, 6, 7, 8, 9]);
            assert_eq!([got[0].1, got[1].1], [2, 2]);
            consumer.ack().unwrap();
            assert_eq!(queue.backlog(GROUP).unwrap(), 0);
        }
    });
}

#[test]
fn a_forked_child_may_not_use_its_parents_consumer_and_does_not_keep_it_alive() {
    alone("a_forked_child_may_not_use_its_parents_consumer_and_does_not_keep_it_alive", || {
        let (name, store) = named(40, 8, Scrub::None);
        let queue = Queue::create(&store, "q", &small(16)).unwrap();
        let mut producer = queue.producer().unwrap();
        let words = shared_words(2);
        assert_eq!(producer.send_many((0..4).map(message)).unwrap(), 4);
        let mut full = Queue::create(&store, "full", &small(1)).unwrap().producer().unwrap();
        full.try_send(b"x").unwrap();
        let mut parent = Forked::new(|| {
            let mut both = Some((open(&name.0).producer().unwrap(), open(&name.0).consumer(GROUP).unwrap()));
            let (_, consumer) = both.as_mut().unwrap();
            consumer.set_batch(4);
            assert!(consumer.is_death_noticed());
            (0..2).for_each(|position| assert_eq!(consumer.recv(limit()).unwrap().position, position));
            let child = Forked::new(|| {
                // The parent keeps its own copy.
                let (mut producer, mut consumer) = both.take().unwrap();
                assert!(matches!(consumer.try_recv(), Err(QueueError::Store(Error::Forked))));
                assert!(matches!(consumer.ack(), Err(QueueError::Store(Error::Forked))));
                assert!(matches!(producer.try_send(b"x"), Err(QueueError::Store(Error::Forked))));
                let sent = full.send(b"x", limit());
                assert!(matches!(sent, Err(QueueError::Store(Error::Forked))), "it does not wait for room");
                drop(consumer);
                drop(producer);
                set_pdeathsig(None).unwrap();
                words[0].store(1, Relaxed);
                wait_until("the test to end", || words[1].load(Relaxed) == 1);
            });
            wait_until("the child to run", || words[0].load(Relaxed) == 1);
            let (_, consumer) = both.as_mut().unwrap();
            assert_eq!(consumer.recv(limit()).unwrap().position, 2, "the child gave nothing back");
            // It dies with the consumer, and its child lives on for a moment.
            std::mem::forget((both, child));
        });
        assert!(parent.end().success());
        let mut consumer = queue.consumer(GROUP).unwrap();
        let mut got = vec![];
        while !got.contains(&2) || !got.contains(&3) {
            got.push(consumer.recv(limit()).unwrap().position);
        }
        words[1].store(1, Relaxed);
        assert!(got.len() <= 4, "{got:?}");
    });
}

/// How many processes of each kind run together, and for how many rounds.
const PROCESSES: u64 = 8;
const ROUNDS: u64 = 6;
/// How many messages the words have room for, each with how often it was received.
const MESSAGES: usize = 1 << 17;

/// What the processes of a test tell the verifier, in memory outside of them.
#[derive(Clone, Copy)]
struct Told {
    /// For each producer: how many sends it began, and how many were acknowledged.
    sends: &'static [AtomicU64],
    /// For each message: how often a consumer got it.
    received: &'static [AtomicU64],
}

/// Numbers the messages of all producers of all rounds.
fn number(producer: u64, count: u64) -> u64 {
    count * PROCESSES * ROUNDS + producer
}

/// Sends until it is killed.
fn produce(name: &Location, producer: u64, told: Told) -> ! {
    let mut sender = open(name).producer().expect("a producer");
    let most = MESSAGES as u64 / (PROCESSES * ROUNDS);
    for count in 0..most {
        told.sends[2 * producer as usize].store(count + 1, Relaxed);
        sender.send(&message(number(producer, count)), None).expect("a send");
        told.sends[2 * producer as usize + 1].store(count + 1, Relaxed);
    }
    loop {
        spin(1000);
    }
}

/// Receives until it is killed.
fn consume(name: &Location, seed: u64, told: Told) -> ! {
    let mut consumer = open(name).consumer(GROUP).expect("a consumer");
    let mut rng = Rng(seed);
    consumer.set_batch(1 + rng.below(16) as usize);
    loop {
        let message = consumer.recv(None).expect("a message");
        told.received[sequence("m", message.bytes) as usize].fetch_add(1, Relaxed);
        match rng.below(40) {
            0 => consumer.nack(Duration::from_micros(rng.below(2) * 500)).expect("a return"),
            1..4 => consumer.ack().expect("an acknowledgement"),
            _ => {}
        }
    }
}

#[test]
fn nothing_is_lost_or_invented_while_producers_and_consumers_are_killed() {
    alone("nothing_is_lost_or_invented_while_producers_and_consumers_are_killed", || {
        let (name, store) = named(100, 40, Scrub::Hybrid);
        let queue = Queue::create(&store, "q", &small(64)).unwrap();
        // A second group, whose consumer is not killed, keeps the order of each producer.
        queue.create_group("whole", Start::Oldest).unwrap();
        let producers = PROCESSES * ROUNDS;
        let told = Told { sends: shared_words(2 * producers as usize), received: shared_words(MESSAGES) };
        let (mut rng, mut whole) = (Rng(1), queue.consumer("whole").unwrap());
        let (mut last, mut count) = (vec![None; producers as usize], 0_u64);
        let mut receive = |deadline| loop {
            match whole.recv(Some(deadline)) {
                Ok(message) => {
                    let (of, at) =
                        (sequence("m", message.bytes) % producers, sequence("m", message.bytes) / producers);
                    assert_eq!(message.deliveries, 1);
                    assert_eq!(
                        last[of as usize].map_or(0, |last| last + 1),
                        at,
                        "producer {of} in its order"
                    );
                    last[of as usize] = Some(at);
                    count += 1;
                }
                Err(QueueError::TimedOut) => return (last.clone(), count),
                Err(error) => panic!("{error}"),
            }
        };
        for round in 0..ROUNDS {
            let make = |at: u64| {
                let at = round * PROCESSES + at;
                [Forked::new(|| produce(&name.0, at, told)), Forked::new(|| consume(&name.0, at, told))]
            };
            let mut children: Vec<_> = (0..PROCESSES).flat_map(make).collect();
            while !children.is_empty() {
                receive(Instant::now() + Duration::from_millis(5 + rng.below(20)));
                children.swap_remove(rng.below(children.len() as u64) as usize).kill();
            }
        }
        let (last, count) = receive(Instant::now() + Duration::from_millis(200));
        let mut rest = queue.consumer(GROUP).unwrap();
        while queue.backlog(GROUP).unwrap() > 0 {
            if let Ok(message) = rest.recv(Some(Instant::now() + Duration::from_millis(200))) {
                told.received[sequence("m", message.bytes) as usize].fetch_add(1, Relaxed);
            }
        }
        let mut total = 0;
        for producer in 0..producers {
            let [begun, done] = [0, 1].map(|which| told.sends[2 * producer as usize + which].load(Relaxed));
            let sent = last[producer as usize].map_or(0, |last: u64| last + 1);
            assert!((done..=begun).contains(&sent), "producer {producer}: {sent} of {done} to {begun}");
            total += sent;
            for at in 0..MESSAGES as u64 / producers {
                let received = told.received[number(producer, at) as usize].load(Relaxed);
                assert_eq!(received > 0, at < sent, "message {at} of producer {producer}, which sent {sent}");
            }
        }
        assert!(total > 0 && total == count, "{total} messages, {count} in the whole group");
        splinter_testkit::assert_sound(&store, 67);
    });
}

#[test]
fn queues_whose_creator_or_remover_is_killed_are_finished_by_the_next_process() {
    alone("queues_whose_creator_or_remover_is_killed_are_finished_by_the_next_process", || {
        let (name, store) = named(80, 8, Scrub::Full);
        let (mut rng, mut found) = (Rng(2), [0; 3]);
        for _ in 0..60 {
            let child = Forked::new(|| {
                let store = Store::open(&name.0).unwrap();
                loop {
                    let _ = Queue::create(&store, "q", &small(64));
                    let _ = Queue::remove(&store, "q");
                }
            });
            spin(500 + rng.below(4_000));
            child.kill();
            let state = store.get_vec("q").ok().map(|record| record[16]);
            found[match state {
                Some(1) => 0,
                Some(3) => 1,
                _ => 2,
            }] += 1;
            let queue = Queue::open_or_create(&store, "q", &small(64)).unwrap();
            assert_eq!(queue.producer().unwrap().try_send(&message(7)).unwrap(), 0);
            assert_eq!(sequence("m", queue.consumer(GROUP).unwrap().try_recv().unwrap().bytes), 7);
            splinter_testkit::assert_sound(&store, 66);
            Queue::remove(&store, "q").unwrap();
            splinter_testkit::assert_sound(&store, 0);
        }
        assert!(found[0] > 0 && found[1] > 0, "deaths while building, removing, else: {found:?}");
    });
}

#[test]
fn of_processes_that_create_a_queue_at_once_all_get_the_same_one() {
    alone("of_processes_that_create_a_queue_at_once_all_get_the_same_one", || {
        let (name, store) = named(80, 12, Scrub::None);
        for _ in 0..150 {
            let start = shared_words(1);
            let work = |process: u64| {
                let store = Store::open(&name.0).unwrap();
                start[0].fetch_add(1, Relaxed);
                wait_until("all to start", || start[0].load(Relaxed) == 4);
                let queue = Queue::open_or_create(&store, "q", &small(64)).unwrap();
                queue.producer().unwrap().send(&message(process), limit()).unwrap();
            };
            let children: Vec<_> = (0..4).map(|process| Forked::new(|| work(process))).collect();
            children.into_iter().for_each(Forked::join);
            let mut consumer = Queue::open(&store, "q").unwrap().consumer(GROUP).unwrap();
            let mut got: Vec<_> = (0..4).map(|_| sequence("m", consumer.try_recv().unwrap().bytes)).collect();
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2, 3]);
            drop(consumer);
            Queue::remove(&store, "q").unwrap();
        }
    });
}
