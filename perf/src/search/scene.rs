//! A store that is filled with one set of vectors, the searches that are timed on it, and the check of every answer.

use super::npy::Matrix;
use super::pass;
use super::truth::{self, NEAREST, TOLERANCE, cosine, recall};
use crate::micro::fixture::{Key, say};
use crate::pinning;
use splinter::{Config, Error, Geometry, Hit, Search, Store, Writer};
use splinter_harness::rng::Rng;
use splinter_harness::stats::{quantile, sorted};
use std::collections::HashSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Every so manieth key has the label that a filter asks for.
pub const LABELLED: usize = 100;

/// That label.
pub const LABEL: u64 = 1;

/// The value of every key.
pub(super) const VALUE: &[u8] = b"vector";

/// How many answers were checked, and what was found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Searches.
    pub searches: AtomicU64,
    /// Their hits.
    pub hits: AtomicU64,
    /// Hits of a vector while it was published, with the epoch before.
    pub while_published: AtomicU64,
    /// Searches that were repeated as the store said.
    pub again: AtomicU64,
}

impl Tally {
    pub(super) fn add(&self, searches: usize, hits: usize) {
        // Relaxed: nothing is read by them.
        self.searches.fetch_add(searches as u64, Ordering::Relaxed);
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
    }
}

/// A filled store, what is asked of it, and what it must answer.
pub struct Scene {
    /// The store.
    pub store: Store,
    /// The vectors, by the number of their key.
    pub members: Matrix,
    /// The queries.
    pub queries: Matrix,
    /// The keys, by number.
    pub keys: Vec<Key>,
    /// The same in another order than they were written.
    pub shuffled: Vec<Key>,
    /// The scores of the nearest to each query, the highest first.
    pub truth: Vec<Vec<f64>>,
    /// Seconds that it took to fill the store, and to find out the truth.
    pub took_s: [f64; 2],
    /// What was checked.
    pub tally: Arc<Tally>,
    pub(super) state: Mutex<State>,
    next: AtomicUsize,
}

/// What changes while a writer is at work.
pub(super) struct State {
    pub(super) writer: Writer,
    /// The epoch of each key.
    pub(super) epochs: Vec<u64>,
    pub(super) rng: Rng,
}

/// Creates an anonymous store for as many vectors.
///
/// # Errors
/// The store's error, in one line.
pub(super) fn store(keys: usize, dim: usize, sketches: bool) -> Result<Store, String> {
    let vector_dim = u32::try_from(dim).map_err(say)?;
    let geometry = Geometry { slots: keys as u64 + 8, max_value_len: 64, vector_dim, ..Geometry::default() };
    Store::anonymous(&Config { geometry, sketches, hash_seed: Some(0), ..Config::default() }).map_err(say)
}

/// Returns about how many bytes it takes to measure as many vectors: two buffers in the store, and a copy. Vectors that were
/// read from a file are in memory already, beside the copy.
#[must_use]
pub fn bytes(keys: usize, dim: usize) -> u64 {
    keys as u64 * (dim as u64 * 12 + dim as u64 / 8 + 512)
}

impl Scene {
    /// Fills a store, and finds out the truth.
    ///
    /// # Errors
    /// The store's error, or that no thread can be started, in one line.
    pub fn new(members: Matrix, queries: Matrix, seed: u64, tally: Arc<Tally>) -> Result<Self, String> {
        let count = members.rows();
        let start = Instant::now();
        let store = store(count, members.dim, true)?;
        let mut writer = store.writer().map_err(say)?;
        let keys: Vec<Key> = (0..count).map(|number| Key::new('v', number)).collect();
        let mut epochs = Vec::with_capacity(count);
        for (number, key) in keys.iter().enumerate() {
            put(&mut writer, key, number, members.row(number)).map_err(say)?;
            epochs.push(store.epoch(key).map_err(say)?);
        }
        let fill_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let (all, found) = (Arc::new((members, queries)), pinning::processors().len());
        let shared = Arc::clone(&all);
        let truth = pinning::unpinned(move || truth::nearest(&shared.0, &shared.1, found))??;
        let (members, queries) = Arc::try_unwrap(all).map_err(|_| "the computation of the truth goes on")?;
        Ok(Self {
            store,
            members,
            queries,
            shuffled: Key::shuffled('v', count, seed),
            keys,
            truth,
            took_s: [fill_s, start.elapsed().as_secs_f64()],
            tally,
            state: Mutex::new(State { writer, epochs, rng: Rng::new(seed, 99) }),
            next: AtomicUsize::new(0),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the query that comes next.
    pub(super) fn next_query(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.queries.rows()
    }

    pub(super) fn search(&self, query: usize) -> Result<Search<'_>, String> {
        self.store.search(self.queries.row(query)).map_err(say)
    }

    /// Returns the number of a hit's key.
    pub(super) fn number(&self, hit: &Hit) -> Result<usize, String> {
        let digits = hit.key.as_ref().get(1..).and_then(|rest| std::str::from_utf8(rest).ok());
        let number = digits.and_then(|digits| digits.parse().ok()).filter(|&number| number < self.keys.len());
        number.ok_or_else(|| format!("a wrong hit: there never was a key {}", hit.key))
    }

    /// Checks an answer while nothing changes: how many hits there are, their keys, epochs and scores.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(super) fn check(&self, query: usize, hits: &[Hit], want: usize, label: u64) -> Result<(), String> {
        let state = self.state();
        let mut seen = HashSet::with_capacity(hits.len());
        for (at, hit) in hits.iter().enumerate() {
            let number = self.number(hit)?;
            let score = cosine(self.members.row(number), self.queries.row(query));
            let wrong = |what: String| Err(format!("a wrong hit, {} for query {query}: {what}", hit.key));
            if (hit.score - score).abs() > TOLERANCE {
                return wrong(format!("its score is {}, not {score}", hit.score));
            }
            if hit.epoch != state.epochs[number] {
                return wrong(format!("its epoch is {}, not {}", hit.epoch, state.epochs[number]));
            }
            if label != 0 && !number.is_multiple_of(LABELLED) {
                return wrong("it has not the label".to_owned());
            }
            if !seen.insert(number) || at > 0 && hits[at - 1].score < hit.score {
                return wrong("it is there twice, or out of order".to_owned());
            }
        }
        self.tally.add(1, hits.len());
        let matching = if label == 0 { self.keys.len() } else { self.keys.len().div_ceil(LABELLED) };
        if hits.len() == want.min(matching) {
            return Ok(());
        }
        Err(format!("query {query} has {} hits of {}", hits.len(), want.min(matching)))
    }

    /// Searches `count` times for ten and returns the median and the 99th percentile of the times in nanoseconds.
    ///
    /// # Errors
    /// The store's error, or what is wrong of an answer.
    pub fn latencies(&self, count: usize, label: u64) -> Result<[f64; 2], String> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let query = self.next_query();
            let start = Instant::now();
            let hits = self.search(query)?.k(10).labels_all(label).run().map_err(say)?;
            times.push(start.elapsed().as_nanos() as f64);
            self.check(query, &hits, 10, label)?;
        }
        Ok(percentiles(times))
    }

    /// Searches all queries for their `k` nearest and returns the recall.
    ///
    /// # Errors
    /// As [`Self::latencies`].
    pub fn recall(&self, k: usize) -> Result<f64, String> {
        let mut sum = 0.0;
        for (query, truth) in self.truth.iter().enumerate() {
            let hits = self.search(query)?.k(k).run().map_err(say)?;
            self.check(query, &hits, k, 0)?;
            sum += recall(&scores(&hits), truth, k);
        }
        Ok(sum / self.truth.len() as f64)
    }

    /// Searches exactly, at least once and until the time has passed; returns nanoseconds a search.
    ///
    /// # Errors
    /// As [`Self::latencies`], or that a nearer vector was missed.
    pub fn exact(&self, budget: Duration) -> Result<f64, String> {
        self.repeat(budget, |query| {
            let start = Instant::now();
            let hits = self.search(query)?.k(10).exact(true).run().map_err(say)?;
            let took = start.elapsed();
            self.check(query, &hits, 10, 0)?;
            let found = scores(&hits);
            let is_best = found.iter().zip(&self.truth[query]).all(|(found, best)| best - found <= TOLERANCE);
            if is_best {
                Ok(took)
            } else {
                Err(format!("an exact search missed a nearer vector of query {query}"))
            }
        })
    }

    /// Goes through the vectors as [`pass::bare`] does; returns nanoseconds a query.
    ///
    /// # Errors
    /// None.
    pub fn bare_pass(&self, budget: Duration) -> Result<f64, String> {
        self.repeat(budget, |query| {
            let start = Instant::now();
            black_box(pass::bare(&self.members, self.queries.row(query)));
            Ok(start.elapsed())
        })
    }

    /// Goes through the vectors as [`pass::original`] does; returns nanoseconds a query.
    ///
    /// # Errors
    /// As [`Self::latencies`], or that it found another nearest.
    pub fn original(&self, budget: Duration) -> Result<f64, String> {
        self.repeat(budget, |query| {
            let start = Instant::now();
            let best = pass::original(&self.store, &self.shuffled, self.queries.row(query)).map_err(say)?;
            let took = start.elapsed();
            // Its sums are of 32-bit floats.
            if (f64::from(best) - self.truth[query][0]).abs() > 1e-3 {
                return Err(format!("the original's loop found {best}, not {}", self.truth[query][0]));
            }
            Ok(took)
        })
    }

    fn repeat(
        &self,
        budget: Duration,
        once: impl Fn(usize) -> Result<Duration, String>,
    ) -> Result<f64, String> {
        let (mut took, mut count) = (Duration::ZERO, 0_u32);
        while count == 0 || took < budget {
            took += once(self.next_query())?;
            count += 1;
        }
        Ok(took.as_nanos() as f64 / f64::from(count))
    }

    /// Searches with so many threads until the time has passed, twenty times at least; returns searches per second. The
    /// calling thread must not be pinned: the threads run where it may.
    ///
    /// # Errors
    /// As [`Self::latencies`].
    pub fn rate(&self, threads: usize, budget: Duration) -> Result<f64, String> {
        let (mut took, mut count) = (Duration::ZERO, 0_u32);
        while count < 20 || took < budget {
            let query = self.next_query();
            let start = Instant::now();
            let hits = self.search(query)?.k(10).threads(threads).run().map_err(say)?;
            took += start.elapsed();
            count += 1;
            self.check(query, &hits, 10, 0)?;
        }
        Ok(f64::from(count) / took.as_secs_f64())
    }
}

/// Sets a key with its vector, and its label if it has one.
pub(super) fn put(writer: &mut Writer, key: &Key, number: usize, vector: &[f32]) -> Result<(), Error> {
    writer.set(key, VALUE)?;
    if number.is_multiple_of(LABELLED) {
        writer.label(key, LABEL)?;
    }
    writer.set_vector(key, vector)
}

/// Returns the median and the 99th percentile.
pub(super) fn percentiles(times: Vec<f64>) -> [f64; 2] {
    let sorted = sorted(times);
    [0.5, 0.99].map(|share| quantile(&sorted, share))
}

fn scores(hits: &[Hit]) -> Vec<f64> {
    let known = hits.iter().take(NEAREST);
    known.map(|hit| hit.score).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::search::family::Family;

    /// Makes a small scene.
    pub(in super::super) fn scene() -> Scene {
        let [members, queries] = Family::Clustered.draw(600, 5, 48, 1);
        Scene::new(members, queries, 1, Arc::default()).unwrap()
    }

    #[test]
    fn every_sample_is_taken_and_its_answers_are_right() {
        let scene = scene();
        let short = Duration::from_millis(1);
        for label in [0, LABEL] {
            let [p50, p99] = scene.latencies(7, label).unwrap();
            assert!(p50 > 0.0 && p99 >= p50);
        }
        assert!(scene.recall(10).unwrap() > 0.9);
        assert_eq!(scene.recall(600).unwrap(), 1.0, "all are scored");
        for ns in [scene.exact(short), scene.bare_pass(short), scene.original(short)] {
            assert!(ns.unwrap() > 0.0);
        }
        assert!(scene.rate(2, short).unwrap() > 0.0);
        assert!(scene.tally.searches.load(Ordering::Relaxed) >= 14 + 10 + 1 + 20);
    }

    #[test]
    fn a_wrong_answer_is_found() {
        let scene = scene();
        let hits = scene.search(0).unwrap().k(10).run().unwrap();
        scene.check(0, &hits, 10, 0).unwrap();
        let refused = |change: fn(&mut Vec<Hit>)| {
            let mut wrong = hits.clone();
            change(&mut wrong);
            scene.check(0, &wrong, 10, 0).unwrap_err()
        };
        assert!(refused(|hits| hits[3].score += 1e-6).contains("score"));
        assert!(refused(|hits| hits[3].epoch += 2).contains("epoch"));
        assert!(refused(|hits| hits.swap(0, 9)).contains("out of order"));
        assert!(refused(|hits| hits[1] = hits[0]).contains("twice"));
        assert!(refused(|hits| hits.truncate(9)).contains("9 hits of 10"));
        assert!(
            refused(|hits| hits[0].key = splinter::Key::new(b"v00000999").unwrap()).contains("never was")
        );
        assert!(scene.check(1, &hits, 10, 0).is_err(), "of another query");
    }
}
