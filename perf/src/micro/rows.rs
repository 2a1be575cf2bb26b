//! The list of rows: which operations are measured, what each is held against, and how its probe is made. This is
//! the one place that states a target.

use super::big::{self, Big};
use super::cache::{self, Full};
use super::create::{self, create};
use super::crowd::Crowd;
use super::fixture::say;
use super::goal::{Claim, Goal};
use super::integer::{Counter, CounterCrowd};
use super::keyed::Keyed;
use super::miss::{Miss, Past};
use super::paired::Paired;
use crate::clock::ns_per_op;
use crate::limits::{CROWD, Limit, crowd_window};
use crate::unit::Unit;
use splinter_harness::environment::available_memory;
use splinter_harness::stats::paired::Bound;
use std::cell::{OnceCell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

/// Whether to measure ten million keys, which takes gigabytes of memory and seconds to prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TenMillion {
    /// Where there is memory enough.
    Auto,
    /// In any case.
    On,
    /// Not at all: the rows are left out.
    Off,
}

/// The settings that the rows depend on.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Length of one sample.
    pub budget: Duration,
    /// Seed of every random order.
    pub seed: u64,
    /// Processors that the crowds spread over.
    pub processors: usize,
    /// Load average over the minute before, where it is known.
    pub load: Option<f64>,
    /// Whether to measure ten million keys.
    pub ten_million: TenMillion,
}

/// Takes one sample of a row.
pub type Sample = Box<dyn FnMut() -> Result<f64, String>>;

/// Why a row has no probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unable {
    /// This machine cannot tell: the row is shown and not judged.
    Skipped(String),
    /// The store did not do what the row needs: its goal is missed.
    Failed(String),
}

impl From<String> for Unable {
    fn from(error: String) -> Self {
        Self::Failed(error)
    }
}

type Prepare = Box<dyn FnOnce(&mut Claim) -> Result<Sample, Unable>>;

/// A row that is not prepared yet.
pub struct Entry {
    /// What it claims.
    pub claim: Claim,
    /// How often it is sampled: every so many rounds.
    pub every: u32,
    /// Prepares it; may change the claim where only the prepared store tells what to compare with.
    pub prepare: Prepare,
}

impl Entry {
    fn new<S>(claim: Claim, prepare: impl FnOnce() -> Result<S, Unable> + 'static) -> Self
    where
        S: FnMut() -> Result<f64, String> + 'static,
    {
        let prepare = Box::new(move |_: &mut Claim| prepare().map(|sample| Box::new(sample) as Sample));
        Self { claim, every: 1, prepare }
    }

    fn every(mut self, rounds: u32) -> Self {
        self.every = rounds;
        self
    }
}

/// Returns every row, in the order they are listed.
#[must_use]
pub fn all(scope: Scope) -> Vec<Entry> {
    let mut rows = keyed(scope);
    rows.extend(combined(scope));
    rows.push(cached(scope));
    rows.extend(misses(scope));
    rows.extend(integers(scope));
    rows.extend(crowds(scope));
    if scope.ten_million != TenMillion::Off {
        rows.extend(ten_million(scope));
        rows.push(eviction(scope));
    }
    rows.extend(creation());
    rows
}

fn ns(name: &str, goal: Goal) -> Claim {
    Claim::new(name, Unit::Nanoseconds, goal)
}

/// Turns a lap over prepared state into samples of nanoseconds per operation.
fn timed<T: 'static, E: Display + 'static>(
    scope: Scope,
    mut state: T,
    ops: u64,
    lap: impl Fn(&mut T) -> Result<(), E> + 'static,
) -> impl FnMut() -> Result<f64, String> + 'static {
    move || ns_per_op(scope.budget, ops, || lap(&mut state)).map_err(|error| error.to_string())
}

fn keyed(scope: Scope) -> Vec<Entry> {
    type Lap = fn(&mut Keyed) -> Result<(), splinter::Error>;
    let row = |name, value_len, goal, lap: Lap| {
        Entry::new(ns(name, goal), move || {
            Ok(timed(scope, Keyed::new(value_len, scope.seed)?, Keyed::OPS, lap))
        })
    };
    let within =
        |factors: [f64; 2], limit| Goal::within(&[(factors[0], limit), (factors[1], Limit::Memcpy1Kib)]);
    vec![
        row("get 64 B", 64, Goal::at_most(3.0, Limit::L2Chase), Keyed::get),
        row("get 64 B, by handle", 64, Goal::at_most(1.8, Limit::L2Chase), Keyed::get_by_handle),
        row("set 64 B", 64, Goal::at_most(3.0, Limit::Cmpxchg), Keyed::set),
        row("set 64 B, by handle", 64, Goal::at_most(2.2, Limit::Cmpxchg), Keyed::set_by_handle),
        row("get 1 KiB", 1024, within([3.0, 3.0], Limit::L2Chase), Keyed::get),
        row("set 1 KiB", 1024, within([3.0, 4.0], Limit::Cmpxchg), Keyed::set),
    ]
}

/// What costs more than one plain operation, against that one.
fn combined(scope: Scope) -> Vec<Entry> {
    type Lap = fn(&mut Keyed) -> Result<(), splinter::Error>;
    let row = |name, ops, factor, plain: &str, lap: Lap| {
        let goal = Goal::of_series(Bound::AtMost, factor, plain);
        Entry::new(ns(name, goal), move || Ok(timed(scope, Keyed::new(64, scope.seed)?, ops, lap)))
    };
    let (get, set) = ("get 64 B", "set 64 B");
    vec![
        row("set_if 64 B", Keyed::OPS, 1.1, set, Keyed::set_if),
        row("update 64 B", Keyed::OPS, 1.3, set, Keyed::update),
        row("transaction of 2", Keyed::OPS / 2, 3.0, set, Keyed::transact::<2>),
        row("transaction of 16, a key", Keyed::OPS, 1.6, set, Keyed::transact::<16>),
        row("read_consistent of 2", Keyed::OPS / 2, 2.5, get, Keyed::get_pairs),
    ]
}

/// What it adds to a get that the store is a cache.
fn cached(scope: Scope) -> Entry {
    let goal = Goal::figure(Bound::AtMost, 2.0);
    Entry::new(ns("get 64 B of a cache, added", goal), move || {
        let mut stores = [Keyed::in_cache(64, scope.seed)?, Keyed::new(64, scope.seed)?];
        Ok(move || {
            let time = |keyed: &mut Keyed| ns_per_op(scope.budget / 2, Keyed::OPS, || keyed.get());
            let [of_cache, of_store] = stores.each_mut().map(time);
            Ok(of_cache.map_err(say)? - of_store.map_err(say)?)
        })
    })
}

fn misses(scope: Scope) -> Vec<Entry> {
    let row = |name, past| {
        Entry::new(ns(name, Goal::at_most(2.0, Limit::L2Chase)), move || {
            Ok(timed(scope, Miss::new(past, scope.seed)?, Miss::OPS, Miss::get))
        })
    };
    vec![
        row("miss, new store", Past::New),
        row("miss, 90 % full", Past::NinetyPercentFull),
        row("miss, after a million set/unset", Past::Churned),
    ]
}

fn integers(scope: Scope) -> Vec<Entry> {
    let alone = Entry::new(ns("inc", Goal::at_most(2.0, Limit::Xadd)), move || {
        Ok(timed(scope, Counter::new()?, Counter::OPS, Counter::add))
    });
    let goal = Goal::at_least(0.5, Limit::XaddCrowd);
    let crowd = Entry::new(Claim::new("inc, 32 threads on one counter", Unit::PerSecond, goal), move || {
        let mut crowd = CounterCrowd::new(CROWD)?;
        Ok(move || crowd.goodput_per_s(crowd_window(scope.budget)))
    });
    vec![alone, crowd]
}

/// The targets of the crowds are for two processors; on more of them, so many times higher.
fn crowds(scope: Scope) -> Vec<Entry> {
    let pairs = scope.processors.min(CROWD) as f64 / 2.0;
    let claim = |name, unit, goal| {
        let claim = Claim::new(name, unit, goal);
        let claim = match scope.load {
            Some(load) if load > 1.0 => claim.note(format!(
                "the load average was {load} before: whatever else runs takes its share of this figure"
            )),
            _ => claim,
        };
        match scope.processors {
            0 | 1 => claim.not_comparable("the target is for two processors, this process may use one"),
            2 => claim,
            more => {
                let more = more.min(CROWD);
                claim.note(format!("the target is for two processors, scaled to {more}"))
            }
        }
    };
    let rate = |name, per_s| claim(name, Unit::PerSecond, Goal::figure(Bound::AtLeast, per_s * pairs));
    let window = scope.budget * 20;
    let writers = Crowd::new(CROWD, window, scope.seed);
    let sets = Entry::new(rate("32 writers, 64 B", 25e6), move || Ok(move || writers.sets_per_s()));
    let readers = Crowd::new(1, window, scope.seed);
    let [reads, again] = Paired::halves(move || readers.gets());
    let gets = Entry::new(rate("1 writer + 31 readers", 40e6), move || Ok(reads));
    let share = claim("1 writer + 31 readers, again", Unit::Share, Goal::figure(Bound::AtMost, 0.001));
    vec![sets.every(6), gets.every(6), Entry::new(share, move || Ok(again)).every(6)]
}

fn ten_million(scope: Scope) -> Vec<Entry> {
    const GET: &str = "get 64 B, 10 M keys";
    let shared: Rc<OnceCell<Result<Rc<RefCell<Big>>, Unable>>> = Rc::default();
    let row = |claim, lap: fn(&mut Big) -> Result<(), splinter::Error>| {
        let shared = Rc::clone(&shared);
        let prepare = Box::new(move |claim: &mut Claim| {
            let big = shared.get_or_init(|| prepare_ten_million(scope)).clone()?;
            if claim.name == GET && big.borrow().is_on_huge_pages() {
                claim.goal = Goal::at_most(4.0, Limit::MemoryChaseHuge);
            }
            let sample = timed(scope, big, Big::OPS, move |big| lap(&mut big.borrow_mut()));
            Ok(Box::new(sample) as Sample)
        });
        Entry { claim, every: 1, prepare }
    };
    let many = Goal::of_series(Bound::AtMost, 1.0 / 3.0, GET);
    vec![
        row(ns(GET, Goal::at_most(4.0, Limit::MemoryChase)), Big::get),
        row(ns("get_many of 32, 10 M keys", many).note("per key"), Big::get_many),
    ]
}

fn prepare_ten_million(scope: Scope) -> Result<Rc<RefCell<Big>>, Unable> {
    check_memory(scope, Big::bytes(big::KEYS)?)?;
    Ok(Rc::new(RefCell::new(Big::new(big::KEYS, scope.seed)?)))
}

fn eviction(scope: Scope) -> Entry {
    let goal = Goal::figure(Bound::AtMost, 200.0);
    Entry::new(ns("eviction, 10 M slots", goal), move || {
        check_memory(scope, Full::bytes(cache::SLOTS)?)?;
        let mut full = Full::new(cache::SLOTS, scope.seed)?;
        Ok(move || full.eviction_ns(scope.budget))
    })
}

/// Skips a row that needs most of the memory that is free, unless it is asked for.
fn check_memory(scope: Scope, needed: u64) -> Result<(), Unable> {
    let available = available_memory().unwrap_or(0);
    if scope.ten_million == TenMillion::Auto && needed > available / 3 * 2 {
        let (needed, available) = (needed >> 20, available >> 20);
        return Err(Unable::Skipped(format!("needs {needed} MiB of memory, {available} MiB are free")));
    }
    Ok(())
}

fn creation() -> Vec<Entry> {
    let [time, resident] =
        Paired::halves(|| create(create::ARENA_BYTES).map(|made| [made.ns, made.resident_bytes]));
    let size =
        Claim::new("create 64 GiB, resident", Unit::Bytes, Goal::figure(Bound::AtMost, 20.0 * 1_048_576.0));
    vec![
        Entry::new(ns("create 64 GiB", Goal::figure(Bound::AtMost, 50e6)), || Ok(time)).every(4),
        Entry::new(size, || Ok(resident)).every(4),
    ]
}
