//! The limits of the machine that a store's operations are held against: what a cache, an atomic instruction, a
//! copy costs when nothing else is done. Each limit becomes a probe of the interleaved rounds, so that it is
//! measured under the same clock speed and beside the same neighbours as what is compared with it.

pub mod atomics;
pub mod chase;
pub mod memcpy;
pub mod nodes;
pub mod pages;
pub mod pairs;
pub mod ping_pong;
pub mod plausible;

use crate::caches::Caches;
use crate::clock::{self, infallible, ns_per_op};
use crate::pinning;
use crate::unit::Unit;
use atomics::Line;
use chase::Chase;
use memcpy::{Copies, Stream};
use nix::unistd::getppid;
use pages::PageKind;
use ping_pong::Channel;
use splinter_harness::environment::available_memory;
use splinter_harness::futex::wake_sleepers;
use splinter_harness::named_enum;
use splinter_harness::sampler::{Probe, Subject};
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Size of the second-level cache where the machine does not tell.
const DEFAULT_L2_BYTES: u64 = 1 << 20;

/// How many times the second-level cache the chase through the last-level cache takes at most.
const LAST_LEVEL_BY_SECOND: u64 = 8;

/// The least that counts as "memory": more than any cache holds a useful share of.
const MEMORY_BYTES: u64 = 512 << 20;

/// Threads that fight over one line.
pub const CROWD: usize = 32;

/// Calls of the kernel between two looks at the clock.
const CALLS: u64 = 256;

named_enum! {
    /// A limit that can be measured.
    pub enum Limit: "limit" {
        /// One dependent load from half of the first-level cache.
        L1Chase = "L1 chase",
        /// One dependent load from half of the second-level cache.
        L2Chase = "L2 chase",
        /// One dependent load from half of the last-level cache, or 8 times the second-level cache where that is less.
        L3Chase = "L3 chase",
        /// One dependent load from memory on small pages: it pays for the page walk too.
        MemoryChase = "memory chase",
        /// One dependent load from memory on huge pages.
        MemoryChaseHuge = "memory chase (huge pages)",
        /// One copy of 64 bytes out of 4,096 such blocks.
        Memcpy64 = "memcpy 64 B",
        /// One copy of 1 KiB out of 4,096 such blocks.
        Memcpy1Kib = "memcpy 1 KiB",
        /// Bytes copied per second out of memory and into it, by one thread.
        MemoryCopy = "memory copy",
        /// One uncontended `lock cmpxchg`.
        Cmpxchg = "cmpxchg",
        /// One uncontended `lock xadd`.
        Xadd = "xadd",
        /// `lock xadd` per second of [`CROWD`] threads on one line, together.
        XaddCrowd = "xadd, 32 threads on one line",
        /// One reading of the time-stamp counter.
        Tsc = "rdtsc",
        /// One reading of the monotonic clock.
        MonotonicClock = "monotonic clock",
        /// One system call that does next to nothing: `getppid`.
        SystemCall = "system call",
        /// One futex wake where nobody sleeps.
        FutexUnheard = "futex wake, nobody asleep",
        /// From a line's store on one processor to its sight on another, both looking without pause.
        LineTransfer = "line to another processor",
        /// From a futex wake on one processor to the sleeper's return on another.
        FutexWake = "futex wake",
        /// From the write of an eventfd on one processor to the reader's return on another.
        EventfdWake = "eventfd wake",
    }
}

/// What the probes of limits need to know.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The machine's caches: they size the chases.
    pub caches: Caches,
    /// Length of one sample.
    pub budget: Duration,
    /// Seed of every random order.
    pub seed: u64,
}

impl Limit {
    /// Returns what its value counts.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::XaddCrowd => Unit::PerSecond,
            Self::MemoryCopy => Unit::BytesPerSecond,
            _ => Unit::Nanoseconds,
        }
    }

    /// Prepares the limit's memory or threads, once, and returns the probe that samples it in every round.
    ///
    /// # Errors
    /// In one line, why this machine cannot give the limit.
    pub fn probe(self, setup: &Setup) -> Result<Probe<'static>, String> {
        let (name, budget, seed) = (self.name(), setup.budget, setup.seed);
        let chase = |bytes, kind| chase(name, bytes, kind, setup);
        let copies = |block_len| {
            let mut copies = Copies::new(block_len, seed).map_err(|error| format!("no memory: {error}"))?;
            Ok(Probe::new(name, move || Ok(copies.sample(budget))))
        };
        let line = Line::default();
        match self {
            Self::L1Chase => {
                chase(setup.half_cache(1).ok_or("the size of the cache is unknown")?, PageKind::Base)
            }
            Self::L2Chase => chase(setup.half_cache(2).unwrap_or(DEFAULT_L2_BYTES / 2), PageKind::Base),
            Self::L3Chase => {
                chase(setup.last_level_bytes().ok_or("there is no such cache")?, PageKind::HugeWhereHad)
            }
            Self::MemoryChase => chase(setup.memory_bytes()?, PageKind::Base),
            Self::MemoryChaseHuge => chase(setup.memory_bytes()?, PageKind::Huge),
            Self::Memcpy64 => copies(64),
            Self::Memcpy1Kib => copies(1024),
            Self::Cmpxchg => Ok(Probe::new(name, move || Ok(atomics::cmpxchg(&line, budget)))),
            Self::Xadd => Ok(Probe::new(name, move || Ok(atomics::xadd(&line, budget)))),
            Self::XaddCrowd => {
                let mut workers = atomics::xadd_workers(CROWD)?;
                Ok(Probe::new(name, move || Ok(workers.goodput_per_s(crowd_window(budget)))))
            }
            Self::MemoryCopy => {
                let bytes = usize::try_from(setup.memory_bytes()?).unwrap_or(usize::MAX);
                let mut stream = Stream::new(bytes).map_err(|error| format!("no memory: {error}"))?;
                Ok(Probe::new(name, move || Ok(stream.sample(budget))))
            }
            Self::SystemCall => Ok(Probe::new(name, move || {
                Ok(call_ns(budget, || {
                    black_box(getppid());
                }))
            })),
            Self::FutexUnheard => {
                let word = AtomicU64::new(0);
                Ok(Probe::new(name, move || Ok(call_ns(budget, || wake_sleepers(&word, 1)))))
            }
            Self::LineTransfer => ping_pong(name, Channel::Line, budget),
            Self::FutexWake => ping_pong(name, Channel::Futex, budget),
            Self::EventfdWake => ping_pong(name, Channel::Eventfd, budget),
            Self::Tsc => Ok(Probe::new(name, move || Ok(clock::cost_of_cycles(budget)))),
            Self::MonotonicClock => Ok(Probe::new(name, move || Ok(clock::cost_of_now(budget)))),
        }
    }
}

/// Times a call of the kernel, in nanoseconds.
fn call_ns(budget: Duration, mut call: impl FnMut()) -> f64 {
    infallible(ns_per_op(budget, CALLS, || {
        (0..CALLS).for_each(|_| call());
        Ok::<(), Infallible>(())
    }))
}

/// Returns the probe of a ping-pong between the first and the last of this process's processors.
fn ping_pong(name: &'static str, channel: Channel, budget: Duration) -> Result<Probe<'static>, String> {
    let last = pinning::processors().len().saturating_sub(1);
    if last == 0 {
        return Err("needs two processors, this process may use one".to_owned());
    }
    Ok(Probe::new(name, move || ping_pong::sample(channel, [0, last], budget)))
}

/// Returns the window of workers for a sample length: longer, as threads that share a processor take turns of
/// milliseconds each.
#[must_use]
pub fn crowd_window(budget: Duration) -> Duration {
    budget * 2
}

impl Setup {
    fn half_cache(&self, level: u32) -> Option<u64> {
        self.caches.data_bytes(level).map(|bytes| bytes / 2)
    }

    /// Returns how much of the last-level cache to go through: more than the second-level cache holds a useful share of,
    /// and no more. The reported size of a virtual machine is often that of a whole package, of which it has a share.
    fn last_level_bytes(&self) -> Option<u64> {
        let second = self.caches.data_bytes(2).unwrap_or(DEFAULT_L2_BYTES);
        Some(self.half_cache(3)?.min(LAST_LEVEL_BY_SECOND * second))
    }

    /// Returns how large "memory" has to be: 8 times the last-level cache, and at least [`MEMORY_BYTES`].
    fn memory_bytes(&self) -> Result<u64, String> {
        let needed = MEMORY_BYTES.max(self.caches.largest_bytes().unwrap_or(0).saturating_mul(8));
        let available = available_memory().unwrap_or(u64::MAX);
        if needed > available / 2 {
            return Err(format!("needs {} MiB of memory, {} MiB are free", needed >> 20, available >> 20));
        }
        Ok(needed)
    }
}

fn chase(name: &'static str, bytes: u64, kind: PageKind, setup: &Setup) -> Result<Probe<'static>, String> {
    let bytes = usize::try_from(bytes).map_err(|_| "larger than the address space")?;
    let mut chase = Chase::new(bytes, kind, setup.seed).map_err(|error| format!("no memory: {error}"))?;
    let huge = chase.pages().huge_bytes();
    if kind == PageKind::Huge && huge < chase.pages().len() as u64 / 10 * 9 {
        return Err(format!(
            "the kernel gave {} MiB of huge pages of {} MiB",
            huge >> 20,
            chase.pages().len() >> 20
        ));
    }
    let (budget, note) = (setup.budget, chase.pages().told());
    Ok(Probe::new(Subject::new(name).note(note), move || Ok(chase.sample(budget))))
}

#[cfg(test)]
mod tests {
    use super::{Limit, Probe, Setup};
    use crate::caches::Caches;
    use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
    use splinter_harness::progress::Silent;
    use splinter_harness::sampler::{Schedule, Series, run};
    use std::collections::HashSet;
    use std::time::Duration;

    fn sampled(probes: &mut [Probe<'_>], rounds: u32) -> Vec<Series> {
        let schedule = Schedule { rounds, seed: 1, warm_up: rounds > 1 };
        run(probes, &schedule, &mut RoundWatch::start(0, &ProcessorUse::ALL), &mut Silent)
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<&str> = Limit::ALL.into_iter().map(Limit::name).collect();
        assert_eq!(names.len(), Limit::ALL.len());
    }

    #[test]
    fn the_cheap_limits_can_be_sampled_in_rounds() {
        let setup = Setup { caches: Caches::default(), budget: Duration::from_micros(10), seed: 1 };
        let cheap =
            [Limit::L2Chase, Limit::Memcpy64, Limit::Memcpy1Kib, Limit::Cmpxchg, Limit::Xadd, Limit::Tsc];
        let mut probes: Vec<_> = cheap.map(|limit| limit.probe(&setup).unwrap()).into();
        for series in sampled(&mut probes, 2) {
            assert!(series.summary().unwrap().min > 0.0, "{}", series.name);
        }
    }

    #[test]
    fn the_last_level_chase_is_bounded_by_what_is_plausible() {
        let bytes = |second, third| {
            let caches = Caches::of(&[(2, "Unified", second), (3, "Unified", third)]);
            let setup = Setup { caches, budget: Duration::ZERO, seed: 1 };
            setup.last_level_bytes()
        };
        assert_eq!(bytes("2M", "260M"), Some(16 << 20), "a virtual machine's");
        assert_eq!(bytes("1M", "8M"), Some(4 << 20));
        assert_eq!(bytes("1M", "none"), None);
    }

    #[test]
    fn a_chase_says_which_pages_it_had() {
        let setup = Setup {
            caches: Caches::of(&[(2, "Unified", "256K"), (3, "Unified", "4M")]),
            budget: Duration::ZERO,
            seed: 1,
        };
        let mut probes = [Limit::L2Chase, Limit::L3Chase].map(|it| it.probe(&setup).unwrap());
        let found = sampled(&mut probes, 1);
        assert_eq!(found[0].note.as_deref(), Some("128.0 KiB on pages of 4 KiB"));
        let note = found[1].note.as_deref().unwrap();
        assert!(note == "2.00 MiB on huge pages" || note == "2.00 MiB on pages of 4 KiB", "{note}");
    }

    #[test]
    fn a_limit_the_machine_cannot_give_says_why() {
        let setup = Setup { caches: Caches::default(), budget: Duration::ZERO, seed: 1 };
        assert!(Limit::L3Chase.probe(&setup).err().unwrap().contains("no such cache"));
    }
}
