//! Tuning of this process: how long to spin, back off and prefetch. It changes speed, never results. Only contended or
//! waiting operations read it, and batches.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
#[cfg(not(loom))]
use std::time::Duration;

/// The maximum of reloads and pauses: some milliseconds.
#[cfg(not(loom))]
const MOST_PAUSES: u32 = 1 << 20;
/// The maximum number of keys in flight.
#[cfg(not(loom))]
pub(crate) const MOST_PREFETCHED: usize = 32;
/// Pauses after the first failure; each further one doubles them.
#[cfg(not(loom))]
const FIRST_PAUSES: u32 = 64;

/// Spin, back-off and prefetch settings of this process, for all stores. A bad setting is slow, not wrong.
///
/// The defaults were best on the machines that the store was measured on. `splinter-perf tune` searches for the best
/// settings of another machine.
///
/// ```
/// use splinter::Tuning;
///
/// Tuning { claim_patience: 64, ..Tuning::current() }.apply()?;
/// assert_eq!(Tuning::current().claim_patience, 64);
/// assert!(Tuning { prefetch_depth: 0, ..Tuning::default() }.apply().is_err());
/// # Ok::<(), splinter::StoreError>(())
/// ```
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuning {
    /// How often a writer reloads another writer's claim on its key before it loads whether the owner lives. If so, it
    /// answers [`Error::Again`](crate::Error::Again). Each time takes a pause instruction. The default is 32, about a
    /// microsecond; at most 2^20.
    pub claim_patience: u32,
    /// The most pauses of an integer operation between two tries, after other writers came first. It begins with 64, or
    /// fewer if this is less, and doubles. The default is 1,024, about ten microseconds; at most 2^20. With 0 it tries
    /// again at once.
    pub back_off_pauses: u32,
    /// How long [`Store::poll`](crate::Store::poll), and each [`Watcher`](crate::Watcher) made from now on, spin
    /// before they sleep. The default is 10 microseconds, about what sleeping and waking cost.
    pub spin: Duration,
    /// How many keys [`Store::get_many`](crate::Store::get_many) and [`Writer::set_many`](crate::Writer::set_many)
    /// fetch from memory at once. The default is 32, about as many misses as a core keeps in flight; 1 to 32.
    pub prefetch_depth: u32,
}

#[cfg(not(loom))]
impl Tuning {
    /// The built-in settings.
    const DEFAULT: Self = Self {
        claim_patience: 32,
        back_off_pauses: 1024,
        spin: Duration::from_micros(10),
        prefetch_depth: MOST_PREFETCHED as u32,
    };

    /// Says which setting is out of bounds, if one is.
    pub(crate) fn out_of_bounds(&self) -> Option<String> {
        let bounds = [
            ("claim_patience", self.claim_patience, 0, MOST_PAUSES),
            ("back_off_pauses", self.back_off_pauses, 0, MOST_PAUSES),
            ("prefetch_depth", self.prefetch_depth, 1, MOST_PREFETCHED as u32),
        ];
        let wrong = bounds.iter().find(|(_, value, low, high)| !(low..=high).contains(&value));
        wrong.map(|(name, value, low, high)| format!("{name} is {value}, and must be {low} to {high}"))
    }

    /// Stores the settings. A concurrent reader may see some new and some old.
    pub(crate) fn store(&self) {
        CLAIM_PATIENCE.store(self.claim_patience, Relaxed);
        BACK_OFF_PAUSES.store(self.back_off_pauses, Relaxed);
        SPIN_NS.store(self.spin.as_nanos().try_into().unwrap_or(u64::MAX), Relaxed);
        PREFETCH_DEPTH.store(self.prefetch_depth, Relaxed);
    }

    /// Returns the current settings.
    pub(crate) fn load() -> Self {
        Self {
            claim_patience: claim_patience(),
            back_off_pauses: BACK_OFF_PAUSES.load(Relaxed),
            spin: spin(),
            prefetch_depth: PREFETCH_DEPTH.load(Relaxed),
        }
    }
}

#[cfg(not(loom))]
impl Default for Tuning {
    /// The built-in settings.
    fn default() -> Self {
        Self::DEFAULT
    }
}

// Nothing is ordered by these: a thread that reads an older value waits as long as before.
#[cfg(not(loom))]
static CLAIM_PATIENCE: AtomicU32 = AtomicU32::new(Tuning::DEFAULT.claim_patience);
#[cfg(not(loom))]
static BACK_OFF_PAUSES: AtomicU32 = AtomicU32::new(Tuning::DEFAULT.back_off_pauses);
#[cfg(not(loom))]
static SPIN_NS: AtomicU64 = AtomicU64::new(Tuning::DEFAULT.spin.as_nanos() as u64);
#[cfg(not(loom))]
static PREFETCH_DEPTH: AtomicU32 = AtomicU32::new(Tuning::DEFAULT.prefetch_depth);

/// Returns how often a writer reloads a claim before it checks the owner.
#[cfg(not(loom))]
pub(crate) fn claim_patience() -> u32 {
    CLAIM_PATIENCE.load(Relaxed)
}

/// Pauses after a failed exchange, longer each time (0.5 to 10 µs), so that other processors keep the line for many
/// operations.
pub(crate) fn back_off(failures: u32) {
    for _ in 0..back_off_pauses(failures) {
        crate::sync::spin_loop();
    }
}

/// Returns how many pauses an integer operation makes after so many failures.
#[cfg(not(loom))]
pub(crate) fn back_off_pauses(failures: u32) -> u32 {
    let most = BACK_OFF_PAUSES.load(Relaxed);
    // More doublings than lead from the first to the most that can be asked for change nothing.
    (FIRST_PAUSES << failures.min(16)).min(most)
}

/// How long a wait spins before it sleeps; the longest that can be said is for ever.
#[cfg(not(loom))]
pub(crate) fn spin() -> Duration {
    match SPIN_NS.load(Relaxed) {
        u64::MAX => Duration::MAX,
        nanos => Duration::from_nanos(nanos),
    }
}

/// How many keys of a batch are under way together.
#[cfg(not(loom))]
pub(crate) fn prefetch_depth() -> usize {
    (PREFETCH_DEPTH.load(Relaxed) as usize).clamp(1, MOST_PREFETCHED)
}

// The models explore every order of what happens, however long anything waits: they do not wait.
#[cfg(loom)]
pub(crate) fn claim_patience() -> u32 {
    0
}

#[cfg(loom)]
pub(crate) fn back_off_pauses(_failures: u32) -> u32 {
    1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{FIRST_PAUSES, MOST_PAUSES, Tuning, back_off_pauses};

    #[test]
    fn back_off_doubles_up_to_what_is_compiled_in() {
        // No test of this program sets another.
        let pauses: Vec<u32> = (0..7).map(back_off_pauses).collect();
        assert_eq!(pauses, [64, 128, 256, 512, 1024, 1024, 1024]);
        assert_eq!(back_off_pauses(u32::MAX), Tuning::DEFAULT.back_off_pauses);
        const { assert!(FIRST_PAUSES << 16 >= MOST_PAUSES) };
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let good = Tuning::default();
        assert_eq!(good.out_of_bounds(), None);
        for (wrong, name) in [
            (Tuning { claim_patience: MOST_PAUSES + 1, ..good }, "claim_patience"),
            (Tuning { back_off_pauses: u32::MAX, ..good }, "back_off_pauses"),
            (Tuning { prefetch_depth: 0, ..good }, "prefetch_depth"),
            (Tuning { prefetch_depth: 33, ..good }, "prefetch_depth"),
        ] {
            let why = wrong.out_of_bounds().unwrap();
            assert!(why.starts_with(name), "{why}");
        }
    }
}
