//! Threads that do one operation together as often as they can for a short window, again and again. They sleep between
//! windows, so that they cost the probes beside them nothing.

use crate::pinning;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Time between the start of a window's threads and the start of its clock.
const RAMP: Duration = Duration::from_millis(2);

/// One thread's count of successes, alone on its cache lines (two, as processors fetch lines in pairs).
#[repr(align(128))]
#[derive(Default)]
struct Tally(AtomicU64);

/// What the threads share. Written by the leader between windows; while a window runs, each thread writes its own
/// tally only.
struct Shared {
    /// Whether all threads could be started: else there is nothing to do.
    complete: OnceLock<bool>,
    start: Barrier,
    end: Barrier,
    stop: AtomicBool,
    quit: AtomicBool,
    tallies: Vec<Tally>,
}

/// Threads that repeat one piece of work each; see the head of this file.
pub struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `threads` threads, spread round robin over the processors. Each calls `make` with its own number for
    /// its work: a function that does a batch of operations and returns how many succeeded.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start<W: FnMut() -> u64>(
        threads: usize,
        make: impl Fn(usize) -> W + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let _ = pinning::processors();
        let shared = Arc::new(Shared {
            complete: OnceLock::new(),
            start: Barrier::new(threads + 1),
            end: Barrier::new(threads + 1),
            stop: AtomicBool::new(false),
            quit: AtomicBool::new(false),
            tallies: (0..threads).map(|_| Tally::default()).collect(),
        });
        let make = Arc::new(make);
        let start = |number| {
            let (shared, make) = (Arc::clone(&shared), Arc::clone(&make));
            Builder::new().spawn(move || {
                if *shared.complete.wait() {
                    let _ = pinning::pin(number);
                    follow(&shared, &shared.tallies[number], make(number));
                }
            })
        };
        let threads: Result<_, _> = (0..threads).map(start).collect();
        let _ = shared.complete.set(threads.is_ok());
        Ok(Self { shared, threads: threads.map_err(pinning::no_thread)? })
    }

    /// Lets all threads work for `window` and returns their successes per second together. The clock starts once
    /// they run and is stopped before they are: only what was counted between its two readings is counted.
    pub fn goodput_per_s(&mut self, window: Duration) -> f64 {
        self.shared.start.wait();
        std::thread::sleep(RAMP);
        let (before, start) = (self.total(), Instant::now());
        std::thread::sleep(window);
        let (after, elapsed) = (self.total(), start.elapsed());
        // Relaxed: the flag orders nothing, the barrier behind it does.
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.end.wait();
        self.shared.stop.store(false, Ordering::Relaxed);
        (after - before) as f64 / elapsed.as_secs_f64()
    }

    /// Returns the successes of all threads since they were started.
    #[must_use]
    pub fn total(&self) -> u64 {
        // Relaxed: a count that is a batch behind is as good, and the window is far longer than a batch.
        self.shared.tallies.iter().map(|tally| tally.0.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Relaxed);
        self.shared.start.wait();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}

/// What one thread does.
fn follow(shared: &Shared, tally: &Tally, mut work: impl FnMut() -> u64) {
    let mut done = 0;
    loop {
        // The barrier orders the leader's stores of `quit` and `stop` before the loads below.
        shared.start.wait();
        if shared.quit.load(Ordering::Relaxed) {
            return;
        }
        while !shared.stop.load(Ordering::Relaxed) {
            done += work();
            tally.0.store(done, Ordering::Relaxed);
        }
        shared.end.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Workers;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    #[test]
    fn workers_count_exactly_what_they_did() {
        let counter = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&counter);
        let mut workers = Workers::start(4, move |_| {
            let counter = Arc::clone(&shared);
            move || {
                counter.fetch_add(3, Ordering::Relaxed);
                3
            }
        })
        .unwrap();
        for _ in 0..3 {
            assert!(workers.goodput_per_s(Duration::from_millis(1)) >= 0.0);
            assert_eq!(
                workers.total(),
                counter.load(Ordering::Relaxed),
                "the threads stand still between windows"
            );
        }
        assert!(workers.total() > 0);
    }

    #[test]
    fn workers_that_never_worked_can_be_dropped() {
        drop(Workers::start(3, |number| move || number as u64).unwrap());
    }
}
