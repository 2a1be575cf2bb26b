//! Searches while a writer changes and deletes vectors, each hit held against what the writer published.

use super::npy::Matrix;
use super::scene::{Scene, State, VALUE, percentiles, put};
use super::truth::{TOLERANCE, cosine};
use crate::micro::fixture::{Key, say};
use crate::pinning;
use splinter::{Error, Hit, Store};
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// The share of the keys that is written in a second.
const SHARE_PER_S: f64 = 0.1;

/// One write in so many deletes its key.
const DELETES: u64 = 4;

/// How long the writer rests between writes that are due.
const REST: Duration = Duration::from_micros(200);

/// What a key was from one write to the next.
#[derive(Clone, Copy, Debug)]
struct Published {
    /// 0 of a key that is gone.
    epoch: u64,
    /// Whose vector it has.
    vector: Option<u32>,
    /// When the write began and ended that made it so; none of what was there before.
    written: Option<[Instant; 2]>,
}

/// What a writer published, by key, in order.
type History = HashMap<usize, Vec<Published>>;

/// A search and its answer.
struct Answer {
    query: usize,
    during: [Instant; 2],
    hits: Vec<Hit>,
}

impl Scene {
    /// Searches `count` times for ten while a writer on another processor changes and deletes, at a tenth of the keys per
    /// second. Checks every hit, puts all back, and returns the median and the 99th percentile of the times.
    ///
    /// # Errors
    /// The store's error, or a hit that was never true.
    pub fn under_writes(&self, count: usize, writer_processor: usize) -> Result<[f64; 2], String> {
        let state = &mut *self.state();
        let (stop, begun) = (AtomicBool::new(false), Barrier::new(2));
        let (answers, history) = scope(|scope| {
            let writing = pinning::spawn(scope, || {
                let _ = pinning::pin(writer_processor);
                begun.wait();
                write(&self.store, &self.keys, &self.members, state, &stop)
            })?;
            begun.wait();
            let answers = self.answers(count);
            stop.store(true, Ordering::Relaxed);
            let history = writing.join().map_err(|_| "the writer panicked")?;
            Ok::<_, String>((answers?, history.map_err(say)?))
        })?;
        for answer in &answers {
            self.check_history(answer, &state.epochs, &history)?;
        }
        for &number in history.keys() {
            let key = &self.keys[number];
            put(&mut state.writer, key, number, self.members.row(number)).map_err(say)?;
            state.epochs[number] = self.store.epoch(key).map_err(say)?;
        }
        let took = |answer: &Answer| (answer.during[1] - answer.during[0]).as_nanos() as f64;
        Ok(percentiles(answers.iter().map(took).collect()))
    }

    fn answers(&self, count: usize) -> Result<Vec<Answer>, String> {
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let query = self.next_query();
            let start = Instant::now();
            let hits = loop {
                match self.search(query)?.k(10).run() {
                    Ok(hits) => break hits,
                    Err(Error::Again) => self.tally.again.fetch_add(1, Ordering::Relaxed),
                    Err(error) => return Err(say(error)),
                };
            };
            answers.push(Answer { query, during: [start, Instant::now()], hits });
        }
        Ok(answers)
    }

    /// Checks that each hit was true at some moment of the search. While a vector is published the epoch may still be the
    /// one before.
    fn check_history(&self, answer: &Answer, epochs: &[u64], history: &History) -> Result<(), String> {
        let Answer { query, during: [begin, end], hits } = answer;
        let mut while_published = 0;
        for hit in hits {
            let number = self.number(hit)?;
            let before = Published { epoch: epochs[number], vector: Some(number as u32), written: None };
            let all = history.get(&number).map_or_else(|| vec![before], Clone::clone);
            let has_score = |of: &Published| {
                of.vector.is_some_and(|vector| {
                    let score = cosine(self.members.row(vector as usize), self.queries.row(*query));
                    (score - hit.score).abs() <= TOLERANCE
                })
            };
            let at = all.iter().position(|it| it.epoch == hit.epoch);
            let overlaps = |at: usize| {
                let was_begun = all[at].written.is_none_or(|[began, _]| began <= *end);
                let next = all.get(at + 1).and_then(|next| next.written);
                was_begun && next.is_none_or(|[_, ended]| ended >= *begin)
            };
            if at.is_some_and(|at| has_score(&all[at]) && overlaps(at)) {
                continue;
            }
            let is_early =
                |at: usize| all.get(at + 1).is_some_and(|next| has_score(next) && overlaps(at + 1));
            if at.is_some_and(is_early) {
                while_published += 1;
                continue;
            }
            let (key, epoch, score) = (&hit.key, hit.epoch, hit.score);
            return Err(format!(
                "a wrong hit, {key} for query {query}: never had epoch {epoch} and score {score}"
            ));
        }
        self.tally.add(1, hits.len());
        self.tally.while_published.fetch_add(while_published, Ordering::Relaxed);
        Ok(())
    }
}

/// Changes and deletes at the set rate until it is stopped, and returns what was published when.
fn write(
    store: &Store,
    keys: &[Key],
    members: &Matrix,
    state: &mut State,
    stop: &AtomicBool,
) -> Result<History, Error> {
    let State { writer, epochs, rng } = state;
    let mut history = History::new();
    let rate = keys.len() as f64 * SHARE_PER_S;
    let (start, mut done) = (Instant::now(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        if done as f64 >= start.elapsed().as_secs_f64() * rate {
            std::thread::sleep(REST);
            continue;
        }
        done += 1;
        let (number, other) = (rng.index(keys.len()), rng.index(keys.len()));
        let key = &keys[number];
        let first = || vec![Published { epoch: epochs[number], vector: Some(number as u32), written: None }];
        let published = history.entry(number).or_insert_with(first);
        let is_gone = published.last().is_some_and(|last| last.epoch == 0);
        let mut publish = |epoch, vector: Option<usize>, begun| {
            let written = Some([begun, Instant::now()]);
            published.push(Published { epoch, vector: vector.map(|number| number as u32), written });
        };
        let begun = Instant::now();
        if is_gone {
            writer.set(key, VALUE)?;
            publish(store.epoch(key)?, None, begun);
        } else if rng.below(DELETES) == 0 {
            writer.unset(key)?;
            publish(0, None, begun);
            continue;
        }
        let begun = Instant::now();
        writer.set_vector(key, members.row(other))?;
        publish(store.epoch(key)?, Some(other), begun);
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::super::scene::tests::scene;
    use super::*;

    #[test]
    fn hits_under_writes_are_right_and_all_is_put_back() {
        let scene = scene();
        let before = scene.recall(10).unwrap();
        for _ in 0..3 {
            let [p50, p99] = scene.under_writes(200, 1).unwrap();
            assert!(p50 > 0.0 && p99 >= p50);
        }
        assert_eq!(scene.store.len(), 600);
        assert_eq!(scene.recall(10).unwrap(), before);
        scene.latencies(20, super::super::scene::LABEL).unwrap();
    }

    #[test]
    fn a_hit_that_was_never_true_is_found() {
        let scene = scene();
        let now = Instant::now;
        let start = now();
        let hits = scene.search(0).unwrap().k(1).run().unwrap();
        let number = scene.number(&hits[0]).unwrap();
        let epochs = scene.state().epochs.clone();
        let answer = |hits: &[Hit], during| Answer { query: 0, during, hits: hits.to_vec() };
        let check = |answer: &Answer, history: &History| scene.check_history(answer, &epochs, history);
        let during = [start, now()];
        check(&answer(&hits, during), &History::new()).unwrap();

        // Another vector's score, and an epoch that never was.
        let mut wrong = hits.clone();
        wrong[0].score -= 1e-6;
        assert!(check(&answer(&wrong, during), &History::new()).unwrap_err().contains("never had"));
        wrong = hits.clone();
        wrong[0].epoch += 2;
        assert!(check(&answer(&wrong, during), &History::new()).is_err());

        // It was replaced before the search began, or while it went on.
        let (vector, epoch) = (Some(number as u32), epochs[number]);
        let other = Some(u32::from(number == 0));
        let replaced = |written| {
            let first = Published { epoch, vector, written: None };
            let next = Published { epoch: epoch + 2, vector: other, written: Some(written) };
            History::from([(number, vec![first, next])])
        };
        let later = [now(), now()];
        check(&answer(&hits, during), &replaced(during)).unwrap();
        assert!(check(&answer(&hits, later), &replaced(during)).is_err());

        // The next vector with the epoch before is one that is being published.
        let second = Published { epoch: epoch + 2, vector, written: Some(during) };
        let first = Published { epoch, vector: other, written: None };
        let history = History::from([(number, vec![first, second])]);
        check(&answer(&hits, during), &history).unwrap();
        assert_eq!(scene.tally.while_published.load(Ordering::Relaxed), 1);
    }
}
