//! Stores of other makes under the same load: the workers, their loops and their oracle are those of a run, and what
//! they drive implements [`Link`]. A drive proves nothing of a store beyond what its reads show; it is
//! there for its goodput to be held against that of another.

use crate::aggregate::{add_up, operations, totals};
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::open_loop::Tsc;
use crate::options::Role;
use crate::options::{Span, Warmup, Workers};
use crate::placement::plan::Plan;
use crate::record::{Operation, Totals};
use crate::setup::fill_part;
use crate::shared_state::{Phase, SharedState, State};
use crate::target::{Reads, Transfer, Version, Writes};
use crate::threads::start_in;
use crate::worker::{Assignment, Report};
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use splinter::Expect;
use splinter_harness::cycles::cycle_ns;
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::machine::source;
use splinter_harness::text::refusal;
use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

pub use crate::target::Miss;

/// A store of some make.
pub trait Peer: Sync {
    /// One worker's way to it.
    type Link: Link;

    /// Connects a worker, which `writes` or only reads; called on the worker's own thread.
    ///
    /// # Errors
    /// One line that says why not.
    fn link(&self, writes: bool) -> Result<Self::Link, String>;
}

/// One worker's way to a store.
pub trait Link {
    /// Reads a value into the front of `buf`; returns its length.
    ///
    /// # Errors
    /// Why it was not read.
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss>;
    /// Writes a value.
    ///
    /// # Errors
    /// Why it was not written.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss>;
    /// Completes all calls before this one. Stores that complete each call before they answer have nothing to do.
    ///
    /// # Errors
    /// What kept it from being done.
    fn finish(&mut self) -> Result<(), Miss> {
        Ok(())
    }
}

/// Returns the number of a key that a drive asks for, from 0 up to the workload's keys: for stores that are asked by
/// handle.
///
/// # Errors
/// [`Miss::NotFound`] for what no drive asks for.
#[inline]
pub fn key_number(key: &[u8]) -> Result<usize, Miss> {
    let key = key.try_into().map_err(|_| Miss::NotFound)?;
    usize::try_from(keys::index(key)).map_err(|_| Miss::NotFound)
}

/// Returns the key of a number.
#[must_use]
pub fn key_of(number: u64) -> [u8; 8] {
    keys::name(Family::Value, number)
}

/// What came of one drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // As in a run's record.
pub struct Drive {
    pub measured_s: f64,
    pub totals: Totals,
    pub operations: BTreeMap<String, Operation>,
    /// Values read that no single write made, keys that were missing, and errors; where the workload has the oracle.
    pub torn_reads: u64,
    pub spurious_misses: u64,
    pub unexpected_errors: u64,
    /// The first of them, in words.
    pub notes: Vec<String>,
    pub interrupted: bool,
}

/// Gives every key of a workload its first value.
///
/// # Errors
/// One line if the store does not take it.
pub fn fill<P: Peer>(workload: &Workload, peer: &P) -> Result<(), RunError> {
    let failed = |why: String| RunError::Failed(format!("it cannot be filled: {why}"));
    let mut linked = Linked(peer.link(true).map_err(failed)?.into());
    let filled = fill_part(workload, &workload.key_sets(), &mut linked, 0);
    let finished = filled.and_then(|()| linked.0.get_mut().finish());
    finished.map_err(|miss| failed(format!("{miss:?}")))
}

/// Drives a store that is filled, for the workload's time, with its writers and readers in threads.
///
/// # Errors
/// [`RunError`]: what kept it from being driven.
pub fn drive<P: Peer>(workload: &Workload, peer: &P) -> Result<Drive, RunError> {
    let spans = spans(workload)?;
    workload.validate().map_err(RunError::Usage)?;
    let clock = (splinter::cycles(), Instant::now());
    let plan = Plan::new(workload, &source::this_machine()).map_err(RunError::Usage)?;
    let shared = SharedState::create(workload)
        .map_err(|error| RunError::Failed(format!("no shared state: {}", refusal(error))))?;
    shared.set_clock(Tsc { cycle_ns: cycle_ns(clock), sleeps: plan.oversubscribed });
    let ran: Result<_, String> = std::thread::scope(|scope| {
        let start = |(worker, &cpu)| {
            let assignment = Assignment { workload, shared: &shared, worker, cpu };
            start_in(scope, move || work(&assignment, peer))
        };
        let handles: Result<Vec<_>, String> = (0..).zip(&plan.cpus).map(start).collect();
        if handles.is_err() {
            // Those that have started wait for the others.
            shared.enter(Phase::Leave);
        }
        let handles = handles?;
        let measured = warm_up_and_measure(&shared, &handles, spans);
        let reports: Vec<Result<Report, String>> = handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|_| Err("panicked".to_owned())))
            .collect();
        Ok((measured, reports))
    });
    let (measured, reports) = ran.map_err(RunError::Failed)?;
    let measured = measured.ok_or_else(|| RunError::Failed("a worker ended too soon".to_owned()));
    let reports: Result<Vec<Report>, String> = reports.into_iter().collect();
    let reports = reports.map_err(|why| RunError::Failed(format!("a worker {why}")))?;
    Ok(sum_up(&reports, measured?, cycle_ns(clock)))
}

/// Returns for how long it is to be driven, untimed and timed.
fn spans(workload: &Workload) -> Result<[Duration; 2], RunError> {
    let refuse = |why: &str| Err(RunError::Usage(why.to_owned()));
    let (Span::DurationMs(millis), Warmup::For(warmup)) = (workload.span, workload.warmup) else {
        return refuse("other stores are driven for a time, after a warm-up of a fixed one");
    };
    if workload.workers != Workers::Threads || workload.watchers > 0 || workload.rate.is_some() {
        return refuse("other stores are driven by threads that read and write, in a closed loop");
    }
    let offered = |op: Op| matches!(op, Op::Get | Op::Set);
    if !workload.mix.for_writer().ops().all(offered) {
        return refuse("other stores are only asked to get and set: change --mix");
    }
    Ok([warmup, Duration::from_millis(millis)])
}

/// Lets the workers run; returns for how long they were measured, if all of them came.
fn warm_up_and_measure<T>(
    shared: &SharedState,
    handles: &[ScopedJoinHandle<'_, T>],
    [warmup, span]: [Duration; 2],
) -> Option<Duration> {
    let gone = |worker: u32| handles[worker as usize].is_finished();
    let came = shared.gather(gone, interrupt::requested);
    let mut measured = None;
    if came {
        if !warmup.is_zero() {
            shared.enter(Phase::Warm);
            sleep(warmup);
        }
        let start = shared.enter(Phase::Measure);
        sleep(span);
        measured = Some(shared.enter(Phase::Stop) - start);
    }
    shared.enter(Phase::Leave);
    measured
}

/// Sleeps; a request to stop ends it.
fn sleep(span: Duration) {
    const LOOK: Duration = Duration::from_millis(50);
    let end = Instant::now() + span;
    while !interrupt::requested() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// Runs one worker to its end.
fn work<P: Peer>(assignment: &Assignment<'_>, peer: &P) -> Result<Report, String> {
    let writes = assignment.role() == Role::Writer;
    let mut linked = Linked(peer.link(writes)?.into());
    let report = if writes { assignment.write(&mut linked) } else { assignment.read(&linked) };
    let finished = linked.0.get_mut().finish();
    finished.map_err(|miss| format!("could not finish: {miss:?}"))?;
    assignment.shared.cell(assignment.worker).set_state(State::Done);
    Ok(report)
}

fn sum_up(reports: &[Report], measured: Duration, cycle_ns: f64) -> Drive {
    let window_s = measured.as_secs_f64();
    let (counts, merged) = add_up(reports, cycle_ns);
    let faults = reports.iter().map(|report| &report.faults);
    let sum = |count: fn(&crate::oracle::checks::Faults) -> u64| faults.clone().map(count).sum();
    Drive {
        measured_s: window_s,
        totals: totals(&counts, window_s),
        operations: operations(&counts, &merged, window_s),
        torn_reads: sum(|faults| faults.torn_reads),
        spurious_misses: sum(|faults| faults.spurious_misses),
        unexpected_errors: sum(|faults| faults.unexpected_errors),
        notes: faults.flat_map(|faults| faults.notes.clone()).take(5).collect(),
        interrupted: interrupt::requested(),
    }
}

/// A link as the workers want it. They read by shared reference, as of a store; of a link there is one user.
struct Linked<L>(std::cell::RefCell<L>);

const NOT_ASKED: &str = "other stores are not asked for that";

/// Refuses the operations that no peer offers, and no drive asks for.
macro_rules! refuse {
    ($(fn $name:ident($self:ty, $($argument:ty),+) -> $done:ty;)+) => {$(
        fn $name(self: $self, $(_: $argument),+) -> Result<$done, Miss> {
            Err(Miss::Other(NOT_ASKED.into()))
        }
    )+};
}

impl<L: Link> Reads for Linked<L> {
    #[inline]
    fn get(&self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        self.0.borrow_mut().get(key, buf)
    }

    refuse! {
        fn view(&Self, &[u8], &mut [u8]) -> (usize, u64);
        fn read_int(&Self, &[u8]) -> u64;
        fn read_tandem(&Self, &[u8], &mut [Vec<u8>]) -> ();
        fn read_vector(&Self, &[u8], &mut [f32]) -> ();
        fn labels(&Self, &[u8]) -> u64;
        fn time_left(&Self, &[u8]) -> Option<u64>;
    }

    fn time(&self) -> u64 {
        0
    }
}

impl<L: Link> Writes for Linked<L> {
    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        self.0.get_mut().set(key, value)
    }

    fn sweep(&mut self, _: u32) {}

    fn update(
        &mut self,
        _: &[u8],
        _: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<u64, Miss>,
    ) -> Result<u64, Miss> {
        Err(Miss::Other(NOT_ASKED.into()))
    }

    refuse! {
        fn set_if(&mut Self, &[u8], &[u8], Expect) -> Version;
        fn append(&mut Self, &[u8], &[u8]) -> (usize, Version);
        fn set_int(&mut Self, &[u8], u64) -> ();
        fn add(&mut Self, &[u8], u64) -> u64;
        fn set_tandem(&mut Self, &[u8], &[&[u8]]) -> ();
        fn set_vector(&mut Self, &[u8], &[f32]) -> ();
        fn label(&mut Self, &[u8], u64) -> ();
        fn register(&mut Self, &[u8], u8) -> ();
        fn set_until(&mut Self, &[u8], &[u8], u64) -> ();
        fn set_deadline(&mut Self, &[u8], u64) -> ();
        fn transfer(&mut Self, &Transfer) -> [u64; 3];
        fn unset_if(&mut Self, &[u8], Expect) -> (usize, Version);
    }
}

#[cfg(test)]
mod tests {
    use super::{Drive, Link, Miss, Peer, drive, fill};
    use crate::options::{Pin, Span, Warmup, Workers};
    use crate::workload::Workload;
    use splinter_harness::error::RunError;
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Duration;

    /// A map behind a lock, sound or with every hundredth read torn.
    #[derive(Default)]
    struct Map {
        values: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
        tears: bool,
    }

    struct MapLink<'a>(&'a Map, u64);

    // A peer's links live as long as the drive, which ends before the map does.
    impl Peer for &'static Map {
        type Link = MapLink<'static>;

        fn link(&self, _: bool) -> Result<Self::Link, String> {
            Ok(MapLink(self, 0))
        }
    }

    impl Link for MapLink<'_> {
        fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
            let values = self.0.values.lock().unwrap();
            let value = values.get(key).ok_or(Miss::NotFound)?;
            buf[..value.len()].copy_from_slice(value);
            self.1 += 1;
            if self.0.tears && self.1.is_multiple_of(100) {
                buf[value.len() - 1] ^= 1;
            }
            Ok(value.len())
        }

        fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
            self.0.values.lock().unwrap().insert(key.to_vec(), value.to_vec());
            Ok(())
        }
    }

    fn workload() -> Workload {
        Workload {
            writers: 2,
            readers: 2,
            keys: 64,
            mix: "set=1,get=1".parse().unwrap(),
            span: Span::DurationMs(50),
            warmup: Warmup::For(Duration::from_millis(5)),
            pin: Pin::None,
            ..Workload::default()
        }
    }

    fn driven(map: Map) -> Drive {
        let map: &'static Map = Box::leak(Box::new(map));
        fill(&workload(), &map).unwrap();
        assert_eq!(map.values.lock().unwrap().len(), 64);
        drive(&workload(), &map).unwrap()
    }

    #[test]
    fn a_store_of_another_make_is_driven_and_its_operations_add_up() {
        let done = driven(Map::default());
        let (get, set) = (done.operations["get"].counts, done.operations["set"].counts);
        assert!(get.successes > 0 && set.successes > 0, "{done:?}");
        let all = get.successes + set.successes;
        assert_eq!(done.totals.counts.successes, all);
        let rate = all as f64 / done.measured_s;
        assert!((done.totals.goodput_per_s / rate - 1.0).abs() < 1e-9);
        let faults = [done.torn_reads, done.spurious_misses, done.unexpected_errors];
        assert_eq!(faults, [0; 3], "{:?}", done.notes);
    }

    #[test]
    fn what_another_store_gets_wrong_is_seen() {
        let torn = driven(Map { tears: true, ..Map::default() });
        assert!(torn.torn_reads > 0 && !torn.notes.is_empty(), "{torn:?}");
        let empty: &'static Map = Box::leak(Box::default());
        let missing = drive(&workload(), &empty).unwrap();
        assert!(missing.spurious_misses > 0, "{missing:?}");
    }

    #[test]
    fn what_other_stores_do_not_offer_is_refused() {
        let map: &'static Map = Box::leak(Box::default());
        let refused = [
            Workload { mix: "set,append".parse().unwrap(), ..workload() },
            Workload { workers: Workers::Processes, ..workload() },
            Workload { span: Span::Ops(100), ..workload() },
            Workload { warmup: Warmup::Auto, ..workload() },
            Workload { watchers: 1, ..workload() },
        ];
        for workload in refused {
            assert!(matches!(drive(&workload, &map), Err(RunError::Usage(_))), "{workload:?}");
        }
    }
}
