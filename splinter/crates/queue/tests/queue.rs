//! Queues in one process: order, groups, back-pressure, repeated deliveries, and what creation refuses.

use splinter::{Config, Error, Geometry, Scrub, Store, Writer};
use splinter_queue::{Consumer, Queue, QueueConfig, QueueError, Start};
use splinter_testkit::process::{is_asleep, thread_id};
use splinter_testkit::wait::LIMIT;
use splinter_testkit::{Rng, config, geometry, sequence, store, value, wait_until};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const GROUP: &str = Queue::DEFAULT_GROUP;

fn small(capacity: u64) -> QueueConfig {
    QueueConfig { capacity, max_message_len: 100, ..QueueConfig::default() }
}

fn space() -> Store {
    store(geometry(600, 2048, 0, 40))
}

/// A deadline that only a test that hangs reaches.
fn limit() -> Option<Instant> {
    Some(Instant::now() + LIMIT)
}

/// Receives until there is nothing left. Returns the sequence numbers of the messages.
fn drain(consumer: &mut Consumer) -> Vec<u64> {
    let mut got = vec![];
    loop {
        match consumer.try_recv() {
            Ok(message) => got.push(sequence("m", message.bytes)),
            Err(QueueError::Empty) => return got,
            Err(error) => panic!("{error}"),
        }
    }
}

fn message(number: u64) -> Vec<u8> {
    value("m", number, 8 + number as usize % 93)
}

#[test]
fn messages_come_whole_and_in_order_over_many_laps() {
    for scrub in Scrub::ALL {
        let store = Store::anonymous(&config(geometry(20, 2048, 0, 4), scrub)).unwrap();
        let queue = Queue::create(&store, "q", &small(8)).unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        let mut expected = 0;
        for number in 0..100 {
            assert_eq!(producer.try_send(&message(number)).unwrap(), number);
            if number % 5 == 4 {
                let got = drain(&mut consumer);
                assert_eq!(got, (expected..=number).collect::<Vec<_>>());
                expected = number + 1;
            }
        }
        assert_eq!(queue.backlog(GROUP).unwrap(), 0);
        assert_eq!(store.inspect().unwrap().stale_bytes, 0, "{scrub}");
    }
}

#[test]
fn empty_messages_and_the_longest_ones_are_sent_and_longer_ones_refused() {
    let store = store(geometry(20, 116, 0, 4));
    let queue = Queue::create(&store, "q", &small(4)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    for len in [0, 1, 99, 100] {
        producer.try_send(&vec![7; len]).unwrap();
        assert_eq!(consumer.try_recv().unwrap().bytes, vec![7; len]);
    }
    assert!(matches!(producer.try_send(&[7; 101]), Err(QueueError::MessageTooLong { max: 100 })));
    assert_eq!(drain(&mut consumer), []);
}

#[test]
fn a_full_queue_refuses_until_every_group_has_acknowledged() {
    let queue = Queue::create(&space(), "q", &small(4)).unwrap();
    queue.create_group("slow", Start::Oldest).unwrap();
    let (mut producer, mut fast) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    let mut slow = queue.consumer("slow").unwrap();
    assert_eq!(producer.send_many((0..9).map(message)).unwrap(), 4);
    assert!(matches!(producer.send_many([message(4)]), Err(QueueError::Full)));
    assert_eq!(drain(&mut fast), [0, 1, 2, 3]);
    assert!(matches!(producer.try_send(&message(4)), Err(QueueError::Full)));
    let soon = Some(Instant::now() + Duration::from_millis(20));
    assert!(matches!(producer.send(&message(4), soon), Err(QueueError::TimedOut)));
    assert_eq!(slow.try_recv().unwrap().position, 0);
    assert!(matches!(producer.try_send(&message(4)), Err(QueueError::Full)), "0 is not acknowledged");
    slow.ack().unwrap();
    assert_eq!(producer.try_send(&message(4)).unwrap(), 4);
    assert!(matches!(producer.try_send(&message(5)), Err(QueueError::Full)));
    assert_eq!((queue.backlog(GROUP).unwrap(), queue.backlog("slow").unwrap()), (1, 4));
    queue.drop_group("slow").unwrap();
    assert_eq!(producer.try_send(&message(5)).unwrap(), 5);
    assert_eq!(drain(&mut fast), [4, 5]);
}

#[test]
fn groups_get_all_messages_from_their_start_on() {
    let queue = Queue::create(&space(), "q", &small(8)).unwrap();
    let (mut producer, mut first) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    producer.send_many((0..6).map(message)).unwrap();
    queue.create_group("new", Start::Newest).unwrap();
    queue.create_group("old", Start::Oldest).unwrap();
    assert!(matches!(queue.create_group("old", Start::Oldest), Err(QueueError::GroupExists)));
    producer.send_many((6..8).map(message)).unwrap();
    let (mut new, mut old) = (queue.consumer("new").unwrap(), queue.consumer("old").unwrap());
    assert_eq!(drain(&mut first), (0..8).collect::<Vec<_>>());
    assert_eq!(drain(&mut new), [6, 7]);
    assert_eq!(drain(&mut old), (0..8).collect::<Vec<_>>());
    assert_eq!(queue.groups().unwrap(), [GROUP, "new", "old"]);
    queue.drop_group("new").unwrap();
    assert!(matches!(queue.drop_group("new"), Err(QueueError::NoGroup)));
    assert!(matches!(queue.consumer("new"), Err(QueueError::NoGroup)));
    producer.try_send(&message(8)).unwrap();
    assert!(matches!(new.try_recv(), Err(QueueError::NoGroup)));
    // A group of the same name begins anew, and its old consumers go on with it.
    queue.create_group("new", Start::Oldest).unwrap();
    assert!(drain(&mut queue.consumer("new").unwrap()).ends_with(&[8]));
}

#[test]
fn without_groups_nothing_is_kept() {
    let queue = Queue::create(&space(), "q", &QueueConfig { groups: vec![], ..small(4) }).unwrap();
    let mut producer = queue.producer().unwrap();
    assert_eq!(producer.send_many((0..11).map(message)).unwrap(), 11);
    queue.create_group("late", Start::Oldest).unwrap();
    assert_eq!(producer.send_many((11..20).map(message)).unwrap() as u64, 4 - (11 - queue_floor(&queue)));
    let got = drain(&mut queue.consumer("late").unwrap());
    assert_eq!(got, (queue_floor(&queue)..got.len() as u64 + queue_floor(&queue)).collect::<Vec<_>>());
}

/// The first position that a new group gets.
fn queue_floor(queue: &Queue) -> u64 {
    queue.create_group("probe", Start::Oldest).unwrap();
    let mut consumer = queue.consumer("probe").unwrap();
    let first = consumer.try_recv().unwrap().position;
    drop(consumer);
    queue.drop_group("probe").unwrap();
    first
}

#[test]
fn what_is_given_back_comes_again_and_is_counted() {
    let queue = Queue::create(&space(), "q", &small(8)).unwrap();
    let (mut producer, mut one) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    let mut two = queue.consumer(GROUP).unwrap();
    one.set_batch(4);
    producer.send_many((0..6).map(message)).unwrap();
    assert_eq!(one.try_recv().unwrap().position, 0);
    // The first read looked for one message only, and the next for two.
    for position in 1..3 {
        assert_eq!(one.try_recv().unwrap().position, position);
    }
    one.nack(Duration::ZERO).unwrap();
    let again = two.try_recv().unwrap();
    assert_eq!((again.position, again.deliveries, sequence("m", again.bytes)), (2, 2, 2));
    two.nack(Duration::from_secs(3600)).unwrap();
    let mut rest = drain(&mut two);
    rest.extend(drain(&mut one));
    assert_eq!(rest, [3, 4, 5]);
    assert_eq!(queue.backlog(GROUP).unwrap(), 4, "2 is the oldest that is not acknowledged");
    producer.try_send(&message(6)).unwrap();
    assert_eq!(one.try_recv().unwrap().deliveries, 1);
    drop(one);
    let again = two.try_recv().unwrap();
    assert_eq!((again.position, again.deliveries), (6, 2), "a consumer that is dropped gives back");
}

#[test]
fn many_messages_at_once_are_finished_or_given_back_together() {
    let queue = Queue::create(&space(), "q", &small(32)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    producer.send_many((0..20).map(message)).unwrap();
    let mut got = vec![];
    assert_eq!(consumer.recv_many(0, limit(), |_| ()).unwrap(), 0);
    while got.len() < 10 {
        let most = 10 - got.len();
        let before = got.len();
        let count = consumer.recv_many(most, limit(), |message| got.push(message.position)).unwrap();
        assert_eq!(got.len() - before, count);
    }
    assert_eq!(got, (0..10).collect::<Vec<_>>());
    let mut last = vec![];
    let count = consumer.recv_many(8, limit(), |message| last.push(message.position)).unwrap();
    consumer.nack(Duration::ZERO).unwrap();
    assert_eq!(queue.backlog(GROUP).unwrap(), 10, "all before them is acknowledged");
    let mut again = vec![];
    while again.len() < 10 {
        let message = consumer.try_recv().unwrap();
        again.push((message.position, message.deliveries));
    }
    let expected: Vec<_> =
        (10..20).map(|position| (position, if position < 10 + count as u64 { 2 } else { 1 })).collect();
    assert_eq!(again, expected);
}

#[test]
fn after_the_timeout_another_consumer_gets_the_message() {
    let config = QueueConfig { timeout: Some(Duration::from_millis(30)), ..small(8) };
    let queue = Queue::create(&space(), "q", &config).unwrap();
    let (mut producer, mut late) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    let mut other = queue.consumer(GROUP).unwrap();
    producer.try_send(&message(0)).unwrap();
    assert_eq!(late.recv(limit()).unwrap().position, 0);
    let again = other.recv(limit()).unwrap();
    assert_eq!((again.position, again.deliveries), (0, 2));
    late.ack().unwrap();
    assert_eq!(queue.backlog(GROUP).unwrap(), 1, "the late acknowledgement does not count");
    other.ack().unwrap();
    assert_eq!(queue.backlog(GROUP).unwrap(), 0);
}

#[test]
fn a_group_with_too_many_deliveries_in_flight_gets_no_more() {
    // 120 bytes have room for three deliveries.
    let queue = Queue::create(&store(geometry(20, 120, 0, 9)), "q", &small(8)).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_many((0..8).map(message)).unwrap();
    let mut consumers: Vec<_> = (0..4).map(|_| queue.consumer(GROUP).unwrap()).collect();
    for consumer in &mut consumers {
        consumer.set_batch(1);
    }
    let (fourth, three) = consumers.split_last_mut().unwrap();
    for (position, consumer) in (0..).zip(&mut *three) {
        assert_eq!(consumer.try_recv().unwrap().position, position);
    }
    assert!(matches!(fourth.try_recv(), Err(QueueError::TooManyDeliveries)));
    three[1].ack().unwrap();
    assert_eq!(fourth.try_recv().unwrap().position, 3);
}

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

#[test]
fn a_queue_that_is_opened_again_goes_on_where_it_was() {
    let store = space();
    let queue = Queue::create(&store, "q", &small(8)).unwrap();
    let mut expected = vec![];
    for number in 0..30 {
        // Each message has a producer of its own, which has to find the tail.
        let queue = Queue::open_or_create(&store, "q", &small(2)).unwrap();
        assert_eq!(queue.capacity(), 8, "the configuration is the first creator's");
        assert_eq!(queue.producer().unwrap().try_send(&message(number)).unwrap(), number);
        expected.push(number);
        if number % 4 == 3 {
            assert_eq!(drain(&mut queue.consumer(GROUP).unwrap()), expected);
            expected.clear();
        }
    }
    assert!(matches!(Queue::create(&store, "q", &small(8)), Err(QueueError::Exists)));
    let mut old = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    Queue::remove(&store, "q").unwrap();
    assert!(store.is_empty());
    assert!(matches!(Queue::remove(&store, "q"), Err(QueueError::NoQueue)));
    assert!(matches!(Queue::open(&store, "q"), Err(QueueError::NoQueue)));
    assert!(matches!(old.0.try_send(b"x"), Err(QueueError::Removed)));
    assert!(matches!(old.1.try_recv(), Err(QueueError::Removed)));
    // Producers and consumers of the old queue do not meddle with a new one in the same slots.
    let queue = Queue::create(&store, "q", &small(8)).unwrap();
    assert!(matches!(old.0.try_send(b"x"), Err(QueueError::Removed)));
    assert!(matches!(old.1.try_recv(), Err(QueueError::Removed)));
    queue.producer().unwrap().try_send(&message(0)).unwrap();
    assert_eq!(drain(&mut queue.consumer(GROUP).unwrap()), [0]);
}

#[test]
fn creation_refuses_what_cannot_be_and_leaves_nothing_behind() {
    let store = Store::anonymous(&Config {
        geometry: Geometry { slots: 12, max_value_len: 200, vector_dim: 0, max_writers: 4 },
        ..Config::default()
    })
    .unwrap();
    let create = |name: &str, config| Queue::create(&store, name, &config).map(drop);
    assert!(matches!(create("q", small(3)), Err(QueueError::BadConfig(_))));
    assert!(matches!(create("q", small(0)), Err(QueueError::BadConfig(_))));
    let long = QueueConfig { max_message_len: 185, ..small(4) };
    assert!(matches!(create("q", long), Err(QueueError::BadConfig(_))));
    let never = QueueConfig { timeout: Some(Duration::ZERO), ..small(4) };
    assert!(matches!(create("q", never), Err(QueueError::BadConfig(_))));
    for name in ["", "a\0b", &"x".repeat(62), &"x".repeat(64)] {
        assert!(matches!(create(name, small(4)), Err(QueueError::BadName(_))), "{name}");
    }
    let groups = |groups: &[&str]| QueueConfig {
        groups: groups.iter().map(ToString::to_string).collect(),
        ..small(4)
    };
    assert!(matches!(create("q", groups(&[""])), Err(QueueError::BadName(_))));
    assert!(matches!(create("q", groups(&["a", "a"])), Err(QueueError::GroupExists)));
    let long = ["a", "b", "c"].map(|name| name.repeat(60));
    assert!(matches!(
        create("q", groups(&long.each_ref().map(String::as_str))),
        Err(QueueError::TooManyGroups)
    ));
    assert!(matches!(create("q", small(16)), Err(QueueError::DoesNotFit { slots: 18 })));
    assert!(store.is_empty());
    let mut writer = store.writer().unwrap();
    (0..3).for_each(|key| writer.set(format!("other{key}"), b"").unwrap());
    assert!(matches!(create("q", small(8)), Err(QueueError::DoesNotFit { slots: 10 })));
    assert_eq!(store.len(), 3, "no part of the queue stays");
    writer.set("q/2", b"mine").unwrap();
    assert!(matches!(create("q", small(4)), Err(QueueError::KeyInUse(key)) if key.as_ref() == b"q/2"));
    assert!(matches!(create("other1", small(2)), Err(QueueError::NotAQueue)));
    assert!(matches!(Queue::open(&store, "other1"), Err(QueueError::NotAQueue)));
    assert_eq!((store.len(), store.get_vec("q/2").unwrap()), (4, b"mine".to_vec()));
}

#[test]
fn strange_bytes_under_the_queues_keys_are_errors() {
    let junk: [&[u8]; 4] = [b"junk", b"", &[0xff; 40], &[0; 24]];
    for bytes in junk {
        let store = space();
        let mut writer = store.writer().unwrap();
        let queue = Queue::create(&store, "q", &small(4)).unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        producer.try_send(&message(0)).unwrap();
        writer.set("q/1", bytes).unwrap();
        assert_eq!(consumer.try_recv().unwrap().position, 0);
        let is_entry = |result| matches!(result, Err(QueueError::Damaged(key)) if key.as_ref() == b"q/1");
        assert!(is_entry(consumer.try_recv().map(drop)));
        assert!(is_entry(producer.try_send(b"x").map(drop)));
        assert!(is_entry(queue.producer().map(drop)));
        writer.set("q:default", bytes).unwrap();
        let is_group =
            |result| matches!(result, Err(QueueError::Damaged(key)) if key.as_ref() == b"q:default");
        assert!(is_group(consumer.ack()));
        assert!(is_group(queue.backlog(GROUP).map(drop)));
        writer.set("q", bytes).unwrap();
        assert!(matches!(Queue::open(&store, "q"), Err(QueueError::NotAQueue)));
        assert!(matches!(queue.producer(), Err(QueueError::NotAQueue | QueueError::Damaged(_))));
    }
}

#[test]
fn a_number_or_a_later_number_in_an_entry_is_an_error() {
    let store = space();
    let mut writer = store.writer().unwrap();
    let queue = Queue::create(&store, "q", &small(4)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    // The entry seems to be some laps ahead.
    let mut bytes = store.get_vec("q/0").unwrap();
    bytes[..8].copy_from_slice(&40_u64.to_le_bytes());
    writer.set("q/0", &bytes).unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Damaged(_))));
    assert!(matches!(producer.try_send(b"x"), Err(QueueError::Damaged(_)) | Err(QueueError::Full)));
    bytes[..8].copy_from_slice(&[0xff; 8]);
    writer.set("q/0", &bytes).unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Damaged(_))));
    assert!(matches!(queue.producer(), Err(QueueError::Damaged(_))));
    writer.set_u64("q/0", 7).unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Damaged(_))));
    writer.unset("q/0").unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Removed | QueueError::Damaged(_))));
}

/// Overwrites a random key of the store with something like its value, or removes it.
fn damage(writer: &mut Writer, rng: &mut Rng) {
    let keys: Vec<_> = writer.keys().collect();
    let key = *rng.pick(&keys);
    let mut bytes = writer.get_vec(key).unwrap();
    let at = 8 * rng.below(bytes.len() as u64 / 8 + 1) as usize;
    let extremes = [0, 1, 7, 1 << 31, 1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX - 3, u64::MAX];
    let near = |word: u64, rng: &mut Rng| word.wrapping_add(rng.below(20)).wrapping_sub(10);
    if let Some(word) = bytes[at..].first_chunk_mut() {
        let old = u64::from_le_bytes(*word);
        let new = if rng.below(2) == 0 { *rng.pick(&extremes) } else { near(old, rng) };
        *word = new.to_le_bytes();
    }
    match rng.below(8) {
        0 => bytes.truncate(at),
        1 => bytes.extend_from_slice(&rng.bytes(33)),
        _ => {}
    }
    bytes.truncate(2048);
    match rng.below(8) {
        0 => writer.set_u64(key, rng.next()).unwrap(),
        1 => assert!(writer.unset(key).is_ok()),
        _ => writer.set(key, &bytes).unwrap(),
    }
}

#[test]
fn whatever_lies_under_the_keys_no_call_panics_or_hangs() {
    for seed in 0..300 {
        let (store, mut rng) = (space(), Rng(seed));
        let mut writer = store.writer().unwrap();
        let config =
            QueueConfig { timeout: [None, Some(Duration::from_micros(50))][seed as usize % 2], ..small(4) };
        let queue = Queue::create(&store, "q", &config).unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        for step in 0..60 {
            if step > 10 && rng.below(6) == 0 && !store.is_empty() {
                damage(&mut writer, &mut rng);
            }
            // Few of them sleep, for a busy machine wakes them late.
            let soon = Some(Instant::now() + Duration::from_micros(if rng.below(50) == 0 { 100 } else { 0 }));
            match rng.below(12) {
                0..3 => drop(producer.try_send(&message(step))),
                3 => drop(producer.send(&message(step), soon)),
                4 | 5 => drop(consumer.try_recv()),
                6 => drop(consumer.recv_many(3, soon, |_| ())),
                7 => drop(consumer.ack()),
                8 => drop(consumer.nack(Duration::ZERO)),
                9 => drop((queue.backlog(GROUP), queue.sent(), queue.groups())),
                10 => drop((queue.create_group("g", Start::Oldest), queue.drop_group("g"))),
                _ => {
                    if let Ok(queue) = Queue::open(&store, "q") {
                        producer = queue.producer().unwrap_or(producer);
                        consumer = queue.consumer(GROUP).unwrap_or(consumer);
                    }
                }
            }
        }
        drop(consumer);
        let _ = Queue::remove(&store, "q");
    }
}

#[test]
fn a_store_for_reading_only_refuses() {
    let name = splinter_testkit::Named::new();
    let store = Store::create(&name.0, &config(geometry(30, 200, 0, 4), Scrub::None)).unwrap();
    Queue::create(&store, "q", &small(4)).unwrap();
    let readable = Store::open_read_only(&name.0).unwrap();
    let queue = Queue::open(&readable, "q").unwrap();
    assert!(matches!(queue.producer(), Err(QueueError::Writer(_))));
    assert!(matches!(queue.consumer(GROUP), Err(QueueError::Writer(_))));
    assert_eq!(queue.backlog(GROUP).unwrap(), 0);
}

#[test]
fn errors_that_pass_are_told_from_those_that_stay() {
    let temporary = [QueueError::Full, QueueError::Empty, QueueError::Store(Error::Again)];
    assert!(temporary.iter().all(QueueError::is_temporary));
    assert!(!QueueError::Removed.is_temporary() && !QueueError::Store(Error::Full).is_temporary());
}
