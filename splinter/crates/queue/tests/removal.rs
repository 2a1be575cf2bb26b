//! Queues and groups that are removed, and perhaps created again, under those that use them.

mod common;

use self::common::{GROUP, drain, message, small, space};
use splinter_queue::{Queue, QueueConfig, QueueError, Start};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// The byte of a record that tells its state.
const STATE: usize = 16;
const BUILDING: u8 = 1;
const REMOVING: u8 = 3;

#[test]
fn users_of_a_removed_queue_hear_of_that_also_if_it_is_created_again() {
    let store = space();
    let queue = Queue::create(&store, "q", &small(4)).unwrap();
    queue.producer().unwrap().send_many((0..3).map(message)).unwrap();
    let mut consumers = [(); 3].map(|()| queue.consumer(GROUP).unwrap());
    for consumer in &mut consumers {
        consumer.set_batch(1);
        consumer.try_recv().unwrap();
    }
    Queue::remove(&store, "q").unwrap();
    let [first, second, third] = &mut consumers;
    assert!(matches!(first.ack(), Err(QueueError::Removed)));
    assert!(matches!(second.nack(Duration::ZERO), Err(QueueError::Removed)));
    assert!(matches!(queue.backlog(GROUP), Err(QueueError::Removed)));
    assert!(matches!(queue.consumer(GROUP), Err(QueueError::Removed)));
    Queue::create(&store, "q", &small(4)).unwrap();
    assert!(matches!(second.ack(), Err(QueueError::Removed)));
    assert!(matches!(third.nack(Duration::ZERO), Err(QueueError::Removed)));
    assert!(matches!(queue.backlog(GROUP), Err(QueueError::Removed)));
    assert!(matches!(queue.consumer(GROUP), Err(QueueError::Removed)));
}

#[test]
fn a_consumer_with_a_batch_of_a_dropped_group_has_none_or_goes_on_with_the_new_group() {
    for is_new in [false, true] {
        let queue = Queue::create(&space(), "q", &small(4)).unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        consumer.set_batch(4);
        producer.send_many((0..3).map(message)).unwrap();
        assert_eq!(consumer.try_recv().unwrap().position, 0);
        assert_eq!(consumer.try_recv().unwrap().position, 1);
        queue.drop_group(GROUP).unwrap();
        producer.send_many((3..11).map(message)).unwrap();
        // It forgets what it has read.
        consumer.set_batch(4);
        if is_new {
            queue.create_group(GROUP, Start::Newest).unwrap();
            assert_eq!(drain(&mut consumer), []);
            producer.try_send(&message(11)).unwrap();
            assert_eq!(drain(&mut consumer), [11]);
        } else {
            assert!(matches!(consumer.try_recv(), Err(QueueError::NoGroup)));
            assert!(matches!(consumer.ack(), Err(QueueError::NoGroup)));
        }
    }
}

#[test]
fn opening_a_queue_while_others_remove_and_create_it_finds_it_or_none() {
    const ROUNDS: u64 = 100;
    let (store, done) = (space(), AtomicBool::new(false));
    let check = |error: QueueError| {
        let is_expected = matches!(error, QueueError::Removed | QueueError::NoQueue | QueueError::Full);
        assert!(is_expected, "{error:?}");
    };
    let use_it = |queue: &Queue| -> Result<(), QueueError> {
        queue.producer()?.try_send(&message(1))?;
        queue.consumer(GROUP)?;
        queue.backlog(GROUP).map(drop)
    };
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            while !done.load(Relaxed) {
                let _ = Queue::remove(&store, "q").map_err(check);
            }
        });
        let users: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let queue = Queue::open_or_create(&store, "q", &small(64)).unwrap();
                        let _ = use_it(&queue).map_err(check);
                        let _ = Queue::open(&store, "q").map_err(check);
                    }
                })
            })
            .collect();
        let users: Vec<_> = users.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Relaxed);
        remover.join().unwrap();
        users.into_iter().for_each(|user| user.unwrap());
    });
}

#[test]
fn a_key_that_a_program_made_meanwhile_is_neither_overwritten_nor_removed() {
    for (state, key) in [(BUILDING, "q/2"), (BUILDING, "q:a"), (REMOVING, "q/2"), (REMOVING, "q:a")] {
        let store = space();
        let mut writer = store.writer().unwrap();
        let config = QueueConfig { groups: vec!["a".into()], ..small(4) };
        Queue::create(&store, "q", &config).unwrap();
        let mut record = store.get_vec("q").unwrap();
        // As if its creator or remover had been killed before it came to this key.
        record[STATE] = state;
        writer.set("q", &record).unwrap();
        writer.set(key, b"mine").unwrap();
        let opened = Queue::open(&store, "q");
        if state == BUILDING {
            assert!(matches!(opened, Err(QueueError::KeyInUse(found)) if found.as_ref() == key.as_bytes()));
        } else {
            assert!(matches!(opened, Err(QueueError::NoQueue)));
        }
        assert_eq!((store.len(), store.get_vec(key).unwrap()), (1, b"mine".to_vec()));
    }
}
