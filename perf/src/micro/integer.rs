//! Counting: one thread on one counter, and a crowd on one counter.

use super::fixture::{self, Key};
use crate::workers::Workers;
use splinter::{Error, IntegerOp, Writer};
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Increments of a thread of the crowd between two looks at the stop flag.
const BATCH: u64 = 64;

/// A counter in a store of its own, with one writer.
pub struct Counter {
    writer: Writer,
    key: Key,
}

impl Counter {
    /// Operations of one lap.
    pub const OPS: u64 = 4096;

    /// Prepares a counter that stands at 0.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new() -> Result<Self, String> {
        let store = fixture::store(64, 64)?;
        let mut writer = fixture::writer(&store)?;
        let key = Key::new('c', 0);
        writer.set_u64(key, 0).map_err(fixture::say)?;
        Ok(Self { writer, key })
    }

    /// Adds 1, by its key, and uses the result.
    ///
    /// # Errors
    /// The first error of the store.
    pub fn add(&mut self) -> Result<(), Error> {
        let key = &self.key;
        let mut sum = 0_u64;
        for _ in 0..Self::OPS {
            sum = sum.wrapping_add(self.writer.integer(key, IntegerOp::Inc(1))?);
        }
        black_box(sum);
        Ok(())
    }
}

/// Many threads, each with its writer, on one counter.
pub struct CounterCrowd {
    workers: Workers,
    store: splinter::Store,
    key: Key,
    failure: Arc<Mutex<Option<String>>>,
}

impl CounterCrowd {
    /// Starts the threads.
    ///
    /// # Errors
    /// In one line, the store's error, or why a thread cannot be started.
    pub fn new(threads: usize) -> Result<Self, String> {
        let store = fixture::store(64, 64)?;
        let key = Key::new('c', 0);
        fixture::writer(&store)?.set_u64(key, 0).map_err(fixture::say)?;
        let writers: Result<Vec<_>, _> = (0..threads).map(|_| fixture::writer(&store).map(Some)).collect();
        let writers = Mutex::new(writers?);
        let failure = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&failure);
        let workers = Workers::start(threads, move |number| {
            let mut writer = writers.lock().unwrap_or_else(PoisonError::into_inner)[number].take();
            let noted = Arc::clone(&noted);
            move || {
                let Some(writer) = &mut writer else { return 0 };
                match add_batch(writer, &key) {
                    Ok(done) => done,
                    Err(error) => {
                        noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
                        0
                    }
                }
            }
        })?;
        Ok(Self { workers, store, key, failure })
    }

    /// Takes one sample: increments per second that were acknowledged.
    ///
    /// # Errors
    /// The first error of any thread but "again", in one line; or that the counter is not what was acknowledged.
    pub fn goodput_per_s(&mut self, window: Duration) -> Result<f64, String> {
        let goodput = self.workers.goodput_per_s(window);
        if let Some(error) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let (counted, acknowledged) =
            (self.store.get_u64(self.key).map_err(fixture::say)?, self.workers.total());
        if counted != acknowledged {
            return Err(format!(
                "the counter stands at {counted}, {acknowledged} increments were acknowledged"
            ));
        }
        Ok(goodput)
    }
}

/// Adds 1 a number of times and returns how often that succeeded.
fn add_batch(writer: &mut Writer, key: &Key) -> Result<u64, Error> {
    let mut done = 0;
    for _ in 0..BATCH {
        match writer.integer(key, IntegerOp::Inc(1)) {
            Ok(_) => done += 1,
            Err(Error::Again) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::{Counter, CounterCrowd};
    use std::time::Duration;

    #[test]
    fn a_lap_counts_every_increment() {
        let mut counter = Counter::new().unwrap();
        counter.add().unwrap();
        assert_eq!(counter.writer.get_u64(counter.key).unwrap(), Counter::OPS);
    }

    #[test]
    fn a_crowd_loses_no_increment() {
        let mut crowd = CounterCrowd::new(4).unwrap();
        for _ in 0..3 {
            crowd.goodput_per_s(Duration::from_millis(1)).unwrap();
        }
    }
}
