//! How soon a message wakes a consumer that sleeps: ping-pong of single messages between two processes over two queues, and
//! over two bare futexes, in turn. Each message is held back until the other side has long been asleep.

use crate::latency::{Percentiles, histogram, to_ns};
use crate::placement::policy;
use crate::wake::{PAUSE_NS, hold_back};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use splinter::{Config, Geometry, Store};
use splinter_harness::affinity;
use splinter_harness::cycles::cycle_ns;
use splinter_harness::forked::{End, Forked};
use splinter_harness::interrupt;
use splinter_harness::machine::sysfs;
use splinter_harness::ping_pong::{FIRST, Futex, Link, RoundTrips, Side, answer};
use splinter_harness::rng::Rng;
use splinter_harness::shared::SharedWords;
use splinter_queue::{Consumer, Producer, Queue, QueueConfig};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Rounds; each has a sample of either way, in an order drawn anew.
const ROUNDS: usize = 20;
/// Messages to and fro before those of a sample that are timed, and these.
const UNCOUNTED: u64 = 4;
const COUNT: u64 = 20;
const SAMPLE: u64 = UNCOUNTED + COUNT;
/// How long a message is waited for, and all of them together.
const PATIENCE: Duration = Duration::from_secs(10);
const ALL_PATIENCE: Duration = Duration::from_secs(60);
/// Exit code of a process that waited for a message in vain.
const LOST: i32 = 3;
/// Messages that are there at once, at most two.
const CAPACITY: u64 = 4;
/// Words before the times: ping's and pong's futex, two cache lines apart.
const FUTEXES: [usize; 2] = [0, 16];
const TIMES: usize = 32;
/// The random stream of the order.
const ORDER: u64 = u64::MAX - 1;

/// How soon a message wakes a consumer that sleeps, one message at a time: half of a round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Waking {
    /// ● Send to receive, by two queues.
    pub queue_ns: Percentiles,
    /// ● The same by two bare futexes, in turn with the queues.
    pub futex_ns: Percentiles,
    /// Median of the queue over that of the futex; null without samples.
    pub ratio: Option<f64>,
    /// Processors of the two processes.
    pub cpus: [usize; 2],
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Queue,
    Futex,
}

/// What was measured.
#[derive(Debug)]
pub(super) struct Wakes {
    queue: Histogram<u64>,
    futex: Histogram<u64>,
    cpus: [usize; 2],
}

impl Default for Wakes {
    fn default() -> Self {
        Self { queue: histogram(), futex: histogram(), cpus: [0; 2] }
    }
}

impl Wakes {
    /// Sums up.
    pub(super) fn summary(&self) -> Waking {
        let [queue_ns, futex_ns] = [&self.queue, &self.futex].map(Percentiles::of);
        let is_measured = queue_ns.samples > 0 && futex_ns.samples > 0;
        let ratio = is_measured.then(|| queue_ns.p50 as f64 / futex_ns.p50.max(1) as f64);
        Waking { queue_ns, futex_ns, ratio, cpus: self.cpus }
    }
}

/// Why nothing was measured.
#[derive(Debug)]
pub(super) enum Unmeasured {
    /// The machine refused something.
    Refused(String),
    /// A message woke nobody.
    Lost(String),
    /// The user ended it.
    Interrupted,
}

/// What both processes use.
struct Game {
    queues: [Queue; 2],
    words: SharedWords,
    order: Vec<Way>,
    cpus: [usize; 2],
    /// How long a message is held back, in cycles.
    pause: u64,
}

/// Measures. The calling process must have one thread.
///
/// # Errors
/// Why there is nothing.
pub(super) fn measure(seed: u64) -> Result<Wakes, Unmeasured> {
    let clock = (splinter::cycles(), Instant::now());
    let cycle_ns = cycle_ns(clock);
    let game = Game::new(seed, (PAUSE_NS / cycle_ns) as u64).map_err(Unmeasured::Refused)?;
    let sides = [Side::Ping, Side::Pong].map(|side| Forked::new(|| game.play(side)));
    let [ping, pong] = sides;
    let processes = [ping.map_err(Unmeasured::Refused)?, pong.map_err(Unmeasured::Refused)?];
    let begun = Instant::now();
    for (process, name) in processes.iter().zip(["sends", "answers"]) {
        while process.ended().is_none() {
            if interrupt::requested() {
                return Err(Unmeasured::Interrupted);
            }
            if begun.elapsed() > ALL_PATIENCE {
                return Err(Unmeasured::Lost(
                    "single messages did not get to and fro in a minute".to_owned(),
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        match process.wait() {
            End::Code(0) => {}
            End::Code(LOST) => {
                return Err(Unmeasured::Lost(format!(
                    "a single message did not wake the process that {name}"
                )));
            }
            end => return Err(Unmeasured::Refused(format!("the process that {name} ended: {end:?}"))),
        }
    }
    Ok(game.wakes(cycle_ns))
}

impl Game {
    fn new(seed: u64, pause: u64) -> Result<Self, String> {
        let geometry =
            Geometry { slots: 2 * (CAPACITY + 2), max_value_len: 512, vector_dim: 0, max_writers: 8 };
        let config = Config { geometry, ..Config::default() };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        let config = QueueConfig { capacity: CAPACITY, max_message_len: 64, ..QueueConfig::default() };
        let make = |name| Queue::create(&store, name, &config).map_err(|error| error.to_string());
        let mut order = Vec::with_capacity(2 * ROUNDS);
        let mut rng = Rng::new(seed, ORDER);
        for _ in 0..ROUNDS {
            let mut round = [Way::Queue, Way::Futex];
            rng.shuffle(&mut round);
            order.extend(round);
        }
        let words = SharedWords::create(TIMES + order.len() * COUNT as usize);
        let words = words.map_err(|error| format!("shared memory cannot be had: {error}"))?;
        let usable: Vec<_> = sysfs::this_machine().usable().copied().collect();
        let available = policy::scatter(&usable);
        let first = *available.first().ok_or("there is no processor to measure on")?;
        let cpus = [first, available.get(1).copied().unwrap_or(first)];
        Ok(Self { queues: [make("ping")?, make("pong")?], words, order, cpus, pause })
    }

    /// Plays one side of all samples, and returns the process's exit code.
    fn play(&self, side: Side) -> i32 {
        let [cpu, _] = side.out_and_into(self.cpus);
        let [out, into] = side.out_and_into(self.queues.each_ref());
        let (Ok(mut producer), Ok(mut consumer)) = (out.producer(), into.consumer(Queue::DEFAULT_GROUP))
        else {
            return 1;
        };
        if !affinity::pin(cpu) {
            return 1;
        }
        let [out, into] = side.out_and_into(FUTEXES.map(|at| &self.words.words()[at]));
        let mut first = FIRST;
        for (at, way) in self.order.iter().enumerate() {
            let arrived = match way {
                Way::Queue => {
                    let link = QueueLink { producer: &mut producer, consumer: &mut consumer };
                    self.sample(side, link, at, first)
                }
                Way::Futex => {
                    let link = Futex { out, into, patience: None, given_up: || false };
                    self.sample(side, link, at, first)
                }
            };
            if !arrived {
                return LOST;
            }
            first += SAMPLE;
        }
        0
    }

    /// Plays one side of a sample. Returns false if a message never came.
    fn sample(&self, side: Side, mut link: impl Link, at: usize, first: u64) -> bool {
        if side == Side::Pong {
            return answer(&mut link, first, |number| {
                if number >= first + UNCOUNTED {
                    hold_back(self.pause);
                }
                number + 1 == first + SAMPLE
            });
        }
        let mut trips = RoundTrips::new(link, first);
        if !(0..UNCOUNTED).all(|_| trips.hop()) {
            return false;
        }
        let times = &self.words.words()[TIMES + at * COUNT as usize..][..COUNT as usize];
        times.iter().all(|time| {
            hold_back(self.pause);
            let start = splinter::cycles_fenced();
            let arrived = trips.hop();
            // The other side held back its answer as well.
            let took = splinter::cycles_fenced().saturating_sub(start).saturating_sub(self.pause);
            time.store(took / 2, Relaxed);
            arrived
        })
    }

    /// Sorts the times by way.
    fn wakes(&self, cycle_ns: f64) -> Wakes {
        let mut wakes = Wakes { cpus: self.cpus, ..Wakes::default() };
        let times = self.words.words()[TIMES..].chunks(COUNT as usize);
        for (way, times) in self.order.iter().zip(times) {
            let histogram = match way {
                Way::Queue => &mut wakes.queue,
                Way::Futex => &mut wakes.futex,
            };
            for time in times {
                histogram.saturating_record(to_ns(time.load(Relaxed), cycle_ns).max(1));
            }
        }
        wakes
    }
}

/// Messages over a queue for each direction.
struct QueueLink<'g> {
    producer: &'g mut Producer,
    consumer: &'g mut Consumer,
}

impl Link for QueueLink<'_> {
    #[inline]
    fn send(&mut self, number: u64) {
        // If it cannot be sent, the other side waits in vain and says so.
        let _ = self.producer.send(&number.to_le_bytes(), Some(Instant::now() + PATIENCE));
    }

    #[inline]
    fn receive(&mut self, number: u64) -> bool {
        let message = self.consumer.recv(Some(Instant::now() + PATIENCE));
        message.is_ok_and(|message| message.bytes == number.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_sampled_equally_often() {
        let game = Game::new(1, 0).unwrap();
        let futexes = game.order.iter().filter(|way| **way == Way::Futex).count();
        assert_eq!((game.order.len(), futexes), (2 * ROUNDS, ROUNDS));
        for round in game.order.chunks(2) {
            assert_ne!(round[0], round[1]);
        }
        for (at, word) in game.words.words()[TIMES..].iter().enumerate() {
            let of_futex = game.order[at / COUNT as usize] == Way::Futex;
            word.store(if of_futex { 1000 } else { 3000 }, Relaxed);
        }
        let waking = game.wakes(0.5).summary();
        let samples = ROUNDS as u64 * COUNT;
        assert_eq!((waking.queue_ns.samples, waking.futex_ns.samples), (samples, samples));
        assert!(waking.ratio.is_some_and(|ratio| (ratio - 3.0).abs() < 0.01), "{waking:?}");
        assert_eq!(Wakes::default().summary().ratio, None);
    }
}
