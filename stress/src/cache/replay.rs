//! Replays a trace against a cache that threads share, and times it: a get for each request, and on a miss a set.

use super::references::Hits;
use super::shared::{Client, Shared};
use super::trace::Trace;
use crate::threads::start_in;
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Instant;

/// Requests between two looks at whether the user wants an end.
const LOOK: usize = 1 << 14;

/// What threads wait for before they begin.
const WAIT: u8 = 0;
const BEGIN: u8 = 1;
const GIVE_UP: u8 = 2;

/// What one replay found.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay {
    /// From the first thread's begin to the last one's end, in nanoseconds.
    pub elapsed_ns: f64,
    pub counts: Counts,
    /// For each request whether it was a hit, where one thread made all of them.
    pub hits: Option<Hits>,
    /// Keys that it held at the end.
    pub resident: u64,
    /// Evictions that the cache itself counted.
    pub evicted: Option<u64>,
    /// Whether the user ended it.
    pub interrupted: bool,
}

/// What came of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub hits: u64,
    pub misses: u64,
    /// Requests that the cache refused, and why it refused the first.
    pub refused: u64,
    pub refusal: Option<String>,
    /// Hits whose value was another one than the key's.
    pub wrong: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.refusal = self.refusal.take().or(other.refusal);
    }

    /// Returns the requests that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.hits + self.misses
    }
}

/// Replays a trace: `writers` threads take its requests in turn. Values have `len` bytes.
///
/// # Errors
/// [`RunError::Failed`] if a thread cannot be had, or no client for it.
pub(super) fn replay<C: Shared>(
    cache: &C,
    trace: &Trace,
    len: usize,
    writers: usize,
) -> Result<Replay, RunError> {
    let clients = (0..writers).map(|_| cache.client()).collect::<Result<Vec<_>, _>>();
    let clients = clients.map_err(RunError::Failed)?;
    let gate = &AtomicU8::new(WAIT);
    let shares = std::thread::scope(|scope| {
        let threads = clients.into_iter().enumerate().map(|(first, client)| {
            let share = Share { client, trace, len, first, step: writers };
            start_in(scope, move || wait(gate).then(|| share.run()))
        });
        // All, or none of them.
        let threads = threads.collect::<Result<Vec<_>, _>>();
        gate.store(if threads.is_ok() { BEGIN } else { GIVE_UP }, Release);
        let join = |thread: std::thread::ScopedJoinHandle<'_, Option<Done>>| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.map(|threads| threads.into_iter().filter_map(join).collect::<Vec<_>>())
    });
    let shares = shares.map_err(RunError::Failed)?;
    let mut replay = Replay { resident: cache.resident(), evicted: cache.evicted(), ..Replay::default() };
    let began = shares.iter().map(|done| done.began).min();
    let ended = shares.iter().map(|done| done.ended).max();
    replay.elapsed_ns = began.zip(ended).map_or(0.0, |(began, ended)| (ended - began).as_nanos() as f64);
    for done in shares {
        replay.counts.add(done.counts);
        replay.interrupted |= done.interrupted;
        replay.hits = replay.hits.or(done.hits);
    }
    Ok(replay)
}

/// Waits until all threads are there; tells whether to begin.
fn wait(gate: &AtomicU8) -> bool {
    loop {
        match gate.load(Acquire) {
            WAIT => std::thread::yield_now(),
            state => return state == BEGIN,
        }
    }
}

/// A thread's requests: every `step`-th from the `first` on.
struct Share<'a, C> {
    client: C,
    trace: &'a Trace,
    len: usize,
    first: usize,
    step: usize,
}

/// What came of a thread's requests.
struct Done {
    began: Instant,
    ended: Instant,
    counts: Counts,
    hits: Option<Hits>,
    interrupted: bool,
}

impl<C: Client> Share<'_, C> {
    fn run(mut self) -> Done {
        let requests = &self.trace.requests[self.first.min(self.trace.requests.len())..];
        let mut hits = (self.step == 1).then(|| Hits::new(requests.len()));
        let mut value = vec![b'.'; self.len];
        let mut buf = vec![0; self.len];
        let mut counts = Counts::default();
        let mut interrupted = false;
        let began = Instant::now();
        for (at, key) in requests.iter().step_by(self.step).enumerate() {
            if at % LOOK == 0 && interrupt::requested() {
                interrupted = true;
                break;
            }
            match self.request(*key, &mut value, &mut buf, &mut counts) {
                Ok(true) => {
                    counts.hits += 1;
                    if let Some(hits) = &mut hits {
                        hits.add(at);
                    }
                }
                Ok(false) => counts.misses += 1,
                Err(why) => {
                    counts.refused += 1;
                    counts.refusal.get_or_insert(why);
                }
            }
        }
        Done { began, ended: Instant::now(), counts, hits, interrupted }
    }

    /// Asks for a key; tells whether it was there. If not, it is given its value.
    #[inline]
    fn request(
        &mut self,
        key: u32,
        value: &mut [u8],
        buf: &mut [u8],
        counts: &mut Counts,
    ) -> Result<bool, String> {
        let name = self.trace.name(key);
        if let Some(len) = self.client.get(name, buf)? {
            let number = key.to_le_bytes();
            let proof = &number[..number.len().min(self.len)];
            counts.wrong += u64::from(len != self.len || !buf.starts_with(proof));
            return Ok(true);
        }
        value.iter_mut().zip(key.to_le_bytes()).for_each(|(byte, proof)| *byte = proof);
        self.client.set(name, value)?;
        Ok(false)
    }
}
