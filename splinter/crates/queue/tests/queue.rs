//! Queues in one process: order, groups, back-pressure and repeated deliveries.

mod common;

use self::common::{GROUP, drain, limit, message, small, space};
use splinter::{Scrub, Store};
use splinter_queue::{Queue, QueueConfig, QueueError, Start};
use splinter_testkit::{config, geometry, sequence, store};
use std::time::{Duration, Instant};

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
    assert_eq!(queue.backlog(GROUP).unwrap(), 1, "all behind 2 is acknowledged");
    producer.try_send(&message(6)).unwrap();
    assert_eq!(one.try_recv().unwrap().deliveries, 1);
    drop(one);
    let again = two.try_recv().unwrap();
    assert_eq!((again.position, again.deliveries), (6, 2), "a consumer that is dropped gives back");
}

#[test]
fn a_dropped_consumer_counts_only_what_it_handed_out() {
    let queue = Queue::create(&space(), "q", &small(16)).unwrap();
    let (mut producer, mut one) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    producer.send_many((0..7).map(message)).unwrap();
    one.set_batch(8);
    // It takes 0, then 1 and 2, then 3 to 6.
    (0..5).for_each(|position| assert_eq!(one.try_recv().unwrap().position, position));
    drop(one);
    let mut two = queue.consumer(GROUP).unwrap();
    let mut got = vec![];
    while let Ok(message) = two.try_recv() {
        got.push((message.position, message.deliveries));
    }
    assert_eq!(got, [(4, 2), (5, 1), (6, 1)]);
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
