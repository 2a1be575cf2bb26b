//! The published figures, each with the exact configuration in which it is tried, what its publication counted, and
//! the hardware that it was claimed for. Where a publication leaves something open, what is chosen here stands in the
//! claim's own words. Pure data; other modules run and judge it.

use splinter::Scrub;
use splinter_stress::{KeyChoice, Memory, Pin, ValueLen, Workload};

/// One published figure.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The name that it is asked for by.
    pub name: &'static str,
    /// The published figure.
    pub published: &'static str,
    /// The hardware that it was claimed for.
    pub hardware: &'static str,
    /// In which configuration it is tried, in words.
    pub configuration: &'static str,
    /// How it is tried.
    pub trial: Trial,
}

/// How a claim is tried.
#[derive(Clone, Copy, Debug)]
pub enum Trial {
    /// A workload is to reach a rate.
    Rate(Rate),
    /// A workload is to return no torn read, at a rate at which torn reads were reported.
    Untorn {
        /// Operations per second at which torn reads were reported, from the slower machine to the faster.
        reported_per_s: [f64; 2],
        /// The workload on some processors, at a scrub level.
        workload: fn(usize, Scrub) -> Workload,
    },
    /// A get is to take no longer than one load from the last-level cache.
    Latency,
    /// Waking another process is to take no longer than the kernel's own ways of doing so.
    Wake,
}

/// A rate, and the workload that is to reach it.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Operations per second.
    pub figure_per_s: f64,
    /// The least that the machine must have for a smaller figure to mean anything.
    pub needs: Needs,
    /// The workload on some processors.
    pub workload: fn(usize) -> Workload,
    /// The same with a number of writers, a processor each and nobody else, for the scaling curve; none where the
    /// claim is not one of scale.
    pub scaled: Option<fn(usize) -> Workload>,
}

/// The properties that make a machine comparable with the one of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Processors.
    pub processors: usize,
    /// NUMA nodes.
    pub nodes: usize,
}

/// Keys of the published configuration, its slots and their longest value.
const KEYS: u64 = 20_000;
const SLOTS: u64 = 50_000;
const SLOT_BYTES: u64 = 4096;

/// Every claim, in the order of the harness's table.
pub const CLAIMS: [Claim; 6] = [
    Claim {
        name: "throttled",
        published: "3.2 M operations/s",
        hardware: "a throttled consumer machine; taken to have 4 processors",
        configuration: "1 writer, 31 readers, 20,000 keys chosen alike, 50,000 slots of 4,096 bytes, values of 1,536 \
                        to 2,560 bytes, hybrid",
        trial: Trial::Rate(Rate {
            figure_per_s: 3.2e6,
            needs: Needs { processors: 4, nodes: 1 },
            workload: throttled,
            scaled: None,
        }),
    },
    Claim {
        name: "writers",
        published: "15.6 M operations/s, 32 writers",
        hardware: "a consumer machine; taken to have 8 processors",
        configuration: "32 writers on keys of their own, 32 readers of all keys, 20,000 keys, 50,000 slots of 4,096 \
                        bytes, values of 1,536 to 2,560 bytes, hybrid",
        trial: Trial::Rate(Rate {
            figure_per_s: 15.6e6,
            needs: Needs { processors: 8, nodes: 1 },
            workload: writers,
            scaled: Some(writers_alone),
        }),
    },
    Claim {
        name: "numa",
        published: "near 500 M operations/s, NUMA-pinned",
        hardware: "a modern machine with several NUMA nodes; taken to have 2 nodes and 64 processors",
        configuration: "a writer on each processor, pinned, each with keys of its own on its own node, 128 keys a writer, values of \
                        16 bytes, no scrubbing",
        trial: Trial::Rate(Rate {
            figure_per_s: 500e6,
            needs: Needs { processors: 64, nodes: 2 },
            workload: pinned,
            scaled: Some(pinned),
        }),
    },
    Claim {
        name: "torn",
        published: "torn reads above 12 M (i3) and 18 to 21 M (i7) operations/s; here: none at any rate",
        hardware: "consumer machines of two generations",
        configuration: "half of the processors write, half read, 1,024 keys chosen alike, values of 16 bytes that \
                        prove themselves, every read checked, at each scrub level",
        trial: Trial::Untorn { reported_per_s: [12e6, 21e6], workload: contended },
    },
    Claim {
        name: "latency",
        published: "latency of the last-level cache",
        hardware: "any machine with one",
        configuration: "get of 64 bytes out of 4,096 keys, each value with the key to get next, so that nothing of a get \
                        begins before the one before it is done, one thread, beside pointer chases through each level \
                        of the caches, in the same rounds",
        trial: Trial::Latency,
    },
    Claim {
        name: "wake",
        published: "waiting in the manner of select() and poll()",
        hardware: "any machine with two processors",
        configuration: "from a set until another process, asleep, has the value, beside a bare futex and an eventfd \
                        with epoll, in the same rounds",
        trial: Trial::Wake,
    },
];

/// The published geometry: two KiB or so in slots of four.
fn geometry() -> Workload {
    Workload {
        keys: KEYS,
        slots: Some(SLOTS),
        max_value_len: Some(SLOT_BYTES),
        value_len: ValueLen::Uniform(1536, 2560),
        scrub: Scrub::Hybrid,
        ..unobserved()
    }
}

/// What is measured is the store: neither is every operation timed nor every value proved. That is done by runs of
/// their own.
fn unobserved() -> Workload {
    Workload { oracle: false, histogram: false, ..Workload::default() }
}

fn throttled(_: usize) -> Workload {
    Workload { writers: 1, readers: 31, key_choice: KeyChoice::Uniform, ..geometry() }
}

fn writers(_: usize) -> Workload {
    Workload { writers: 32, readers: 32, key_choice: KeyChoice::Own, ..geometry() }
}

/// Each with as many keys as a writer of the claim has, however many there are.
fn writers_alone(writers: usize) -> Workload {
    Workload {
        writers: count(writers),
        readers: 0,
        keys: KEYS / 32 * u64::from(count(writers)),
        slots: Some(SLOTS.max(KEYS / 32 * u64::from(count(writers)))),
        key_choice: KeyChoice::Own,
        pin: Pin::Scatter,
        ..geometry()
    }
}

fn pinned(processors: usize) -> Workload {
    Workload {
        writers: count(processors),
        readers: 0,
        keys: 128 * processors.max(1) as u64,
        key_choice: KeyChoice::Own,
        value_len: ValueLen::Fixed(16),
        scrub: Scrub::None,
        pin: Pin::Scatter,
        memory: Memory::PerWriter,
        ..unobserved()
    }
}

fn contended(processors: usize, scrub: Scrub) -> Workload {
    let writers = (processors / 2).max(1);
    Workload {
        writers: count(writers),
        readers: count((processors - processors.min(writers)).max(1)),
        keys: 1024,
        key_choice: KeyChoice::Uniform,
        value_len: ValueLen::Fixed(16),
        scrub,
        oracle: true,
        histogram: false,
        ..Workload::default()
    }
}

/// Returns a number of workers: no machine has so many processors that it does not fit.
fn count(processors: usize) -> u32 {
    u32::try_from(processors).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::{CLAIMS, Trial};
    use splinter::Scrub;
    use std::collections::HashSet;

    #[test]
    fn every_configuration_is_sound_on_small_and_large_machines() {
        let names: HashSet<&str> = CLAIMS.iter().map(|claim| claim.name).collect();
        assert_eq!(names.len(), CLAIMS.len());
        for processors in [1, 2, 3, 64, 1000] {
            for claim in &CLAIMS {
                let workloads = match claim.trial {
                    Trial::Rate(rate) => {
                        let scaled = rate.scaled.map(|scaled| scaled(processors));
                        [(rate.workload)(processors)].into_iter().chain(scaled).collect()
                    }
                    Trial::Untorn { workload, .. } => {
                        Scrub::ALL.map(|scrub| workload(processors, scrub)).to_vec()
                    }
                    Trial::Latency | Trial::Wake => Vec::new(),
                };
                for workload in workloads {
                    assert_eq!(workload.validate(), Ok(()), "{} on {processors}", claim.name);
                }
            }
        }
    }
}
