//! What creation refuses, and what becomes of queues whose keys hold something strange.

mod common;

use self::common::{GROUP, message, small, space};
use splinter::{Config, Error, Eviction, Geometry, Scrub, Store, Writer};
use splinter_queue::{Queue, QueueConfig, QueueError, Start};
use splinter_testkit::{Rng, config, geometry};
use std::time::{Duration, Instant};

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
fn a_receive_that_fails_finishes_nothing_that_it_did_not_acknowledge() {
    let store = space();
    let mut writer = store.writer().unwrap();
    let queue = Queue::create(&store, "q", &small(4)).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
    producer.try_send(&message(0)).unwrap();
    let sound = store.get_vec("q/1").unwrap();
    assert_eq!(consumer.try_recv().unwrap().position, 0);
    writer.set("q/1", b"junk").unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Damaged(_))));
    consumer.nack(Duration::ZERO).unwrap();
    let again = consumer.try_recv();
    assert!(matches!(again, Err(QueueError::Damaged(_))), "that entry is looked at first");
    writer.set("q/1", &sound).unwrap();
    assert_eq!(consumer.try_recv().unwrap().position, 0);
    writer.set("q/1", b"junk").unwrap();
    assert!(matches!(consumer.try_recv(), Err(QueueError::Damaged(_))));
    drop(consumer);
    writer.set("q/1", &sound).unwrap();
    let mut other = queue.consumer(GROUP).unwrap();
    let message = other.try_recv().unwrap();
    assert_eq!((message.position, message.deliveries), (0, 3));
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
fn a_cache_is_refused_since_it_would_evict_messages() {
    let config = Config { eviction: Eviction::Sieve, ..config(geometry(100, 200, 0, 4), Scrub::None) };
    let store = Store::anonymous(&config).unwrap();
    let refusals = [
        Queue::create(&store, "q", &small(4)).map(drop),
        Queue::open(&store, "q").map(drop),
        Queue::open_or_create(&store, "q", &small(4)).map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(QueueError::BadConfig(why)) if why.contains("evict")));
    }
    assert!(store.is_empty());
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
