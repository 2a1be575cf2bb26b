//! Producers and consumers that are killed behind any instruction of a call, one at a time. `ci/sweep` does so with every
//! instruction of the store's own operations; here the instructions are drawn.

use splinter::{Scrub, Store};
use splinter_queue::{Queue, QueueConfig};
use splinter_testkit::process::{alone, shared_words};
use splinter_testkit::trace::Traced;
use splinter_testkit::{Rng, assert_sound, config, geometry, sequence, value};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const GROUP: &str = Queue::DEFAULT_GROUP;
/// How many children are killed: the most, and the fewest if they take long.
const DEATHS: u64 = 40;
const MIN_DEATHS: u64 = 3;
const SPAN: Duration = Duration::from_secs(10);

/// Runs children that `prepare` and then do `body`, and kills each behind an instruction of `body`. Calls `check` after
/// each death. `is_done` tells whether a child has got through.
fn kill_anywhere<T>(
    seed: u64,
    prepare: impl Fn() -> T,
    body: impl Fn(T),
    is_done: impl Fn() -> bool,
    mut check: impl FnMut(),
) {
    let child = || {
        let mut child = Traced::new(|| {
            let prepared = prepare();
            Traced::mark();
            body(prepared);
        });
        child.run_to_mark();
        child
    };
    let (start, mut whole, mut steps) = (Instant::now(), child(), 0);
    while !is_done() {
        assert!(whole.step(), "the child ended");
        steps += 1;
    }
    whole.kill();
    check();
    let mut rng = Rng(seed);
    for death in 1..DEATHS {
        let mut child = child();
        // The first one dies before it begins.
        for _ in 0..rng.below(if death == 1 { 1 } else { steps }) {
            assert!(child.step(), "the child ended");
        }
        child.kill();
        check();
        if death >= MIN_DEATHS && start.elapsed() > SPAN {
            return;
        }
    }
}

fn queue(scrub: Scrub) -> (Store, Queue) {
    let store = Store::anonymous(&config(geometry(20, 600, 0, 6), scrub)).unwrap();
    let config = QueueConfig { capacity: 8, max_message_len: 64, ..QueueConfig::default() };
    let queue = Queue::create(&store, "q", &config).unwrap();
    (store, queue)
}

fn message(number: u64) -> Vec<u8> {
    value("m", number, 64)
}

#[test]
fn a_producer_that_dies_anywhere_has_sent_its_message_whole_or_not_at_all() {
    alone("a_producer_that_dies_anywhere_has_sent_its_message_whole_or_not_at_all", || {
        let (store, queue) = queue(Scrub::Hybrid);
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        let done = shared_words(1);
        let (mut whole, mut none, mut position) = (0, 0, 0);
        kill_anywhere(
            3,
            || queue.producer().unwrap(),
            |mut producer| {
                producer.try_send(&message(1)).unwrap();
                done[0].store(1, Relaxed);
            },
            || done[0].load(Relaxed) > 0,
            || {
                let is_acknowledged = done[0].swap(0, Relaxed) > 0;
                producer.try_send(&message(2)).unwrap();
                let mut got = vec![];
                while let Ok(message) = consumer.try_recv() {
                    assert_eq!(message.position, position);
                    got.push(sequence("m", message.bytes));
                    position += 1;
                }
                assert!(got == [1, 2] || got == [2] && !is_acknowledged, "{got:?}");
                *(if got.len() == 2 { &mut whole } else { &mut none }) += 1;
            },
        );
        assert!(whole > 0 && none > 0, "{whole} were sent, {none} not");
        assert_sound(&store, 10);
    });
}

#[test]
fn messages_of_a_consumer_that_dies_anywhere_come_again_unless_acknowledged() {
    alone("messages_of_a_consumer_that_dies_anywhere_come_again_unless_acknowledged", || {
        let (store, queue) = queue(Scrub::Full);
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(GROUP).unwrap());
        let told = shared_words(2);
        let (mut again, mut acknowledged, mut first) = (0, 0, 0);
        producer.send_many((0..4).map(message)).unwrap();
        kill_anywhere(
            4,
            || queue.consumer(GROUP).unwrap(),
            |mut consumer| {
                consumer.set_batch(3);
                consumer.try_recv().unwrap();
                consumer.try_recv().unwrap();
                consumer.ack().unwrap();
                told[0].store(1, Relaxed);
                consumer.try_recv().unwrap();
                consumer.nack(Duration::ZERO).unwrap();
                told[1].store(1, Relaxed);
            },
            || told[1].load(Relaxed) > 0,
            || {
                let is_acknowledged = told[0].swap(0, Relaxed) > 0;
                told[1].store(0, Relaxed);
                let mut got = vec![];
                while queue.backlog(GROUP).unwrap() > 0 {
                    let soon = Some(Instant::now() + Duration::from_millis(50));
                    if let Ok(message) = consumer.recv(soon) {
                        assert_eq!(sequence("m", message.bytes), message.position);
                        got.push(message.position - first);
                    }
                }
                got.sort_unstable();
                assert!(got.is_sorted_by(|one, next| one < next), "twice to one consumer: {got:?}");
                assert!(got.ends_with(&[2, 3]), "{got:?}");
                assert!(!is_acknowledged || got.len() == 2, "{got:?}");
                *(if is_acknowledged { &mut acknowledged } else { &mut again }) += 1;
                first += 4;
                assert_eq!(producer.send_many((first..first + 4).map(message)).unwrap(), 4);
            },
        );
        assert!(again > 0 && acknowledged > 0, "{again} came again, {acknowledged} not");
        assert_sound(&store, 10);
    });
}
