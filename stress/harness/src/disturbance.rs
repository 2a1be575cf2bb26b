//! The one place that decides whether a measurement was disturbed: by the hypervisor, a control group's quota, other
//! processes, or a lack of memory. It reads counters of the kernel before and after, and never fails. Figures of a disturbed
//! measurement support no verdict.
//!
//! The pressure that the kernel reports of processors (PSI) is not judged: workers that outnumber the processors exert it
//! themselves. Time that other processes had is.

use crate::affinity;
use crate::cpu_quota::{CpuQuota, QuotaGroups};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Instant;

/// Milliseconds in a tick of the kernel's counters: USER_HZ is 100 on every Linux that has a stable ABI for it.
const TICK_MS: u64 = 10;

/// Less than this is within what ticks can tell.
const LEAST_MS: u64 = 3 * TICK_MS;

/// What disturbs a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The hypervisor gave the processors to others.
    Steal,
    /// The quota of a control group stopped the processes.
    Quota,
    /// Processes that are no part of the measurement had the processors.
    OtherLoad,
    /// Some thread of the machine waited for memory.
    MemoryPressure,
}

impl Cause {
    /// Returns the greatest share of the time that is tolerated.
    #[must_use]
    pub fn tolerated(self) -> f64 {
        match self {
            Self::Steal | Self::Quota => 0.01,
            Self::OtherLoad => 0.1,
            Self::MemoryPressure => 0.05,
        }
    }

    /// Tells whether others had the processors.
    #[must_use]
    pub fn is_other_work(self) -> bool {
        matches!(self, Self::Steal | Self::OtherLoad)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Steal => "the hypervisor took",
            Self::Quota => "a control group's quota took",
            Self::OtherLoad => "other processes took",
            Self::MemoryPressure => "threads waited for memory for",
        }
    }
}

/// One disturbance, and how much of it there was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Disturbance {
    /// What disturbed.
    pub cause: Cause,
    /// For how long, in milliseconds, all processors together.
    pub ms: u64,
    /// The share that this is of the time of the processors that the measurement can keep busy, or of the time.
    pub share: f64,
}

/// Says why a measurement was disturbed, if it was.
#[must_use]
pub fn disturbed(disturbances: &[Disturbance]) -> Option<String> {
    let words = |it: &Disturbance| {
        format!(
            "{} {:.1} % of the time ({:.0} % at most)",
            it.cause.words(),
            it.share * 100.0,
            it.cause.tolerated() * 100.0
        )
    };
    let words: Vec<String> = disturbances.iter().map(words).collect();
    (!words.is_empty()).then(|| format!("DISTURBED because {}", words.join(", ")))
}

/// The processors that a measurement uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessorUse {
    /// How many its threads can keep busy at once, at most.
    pub busy: usize,
    /// Those that its threads are pinned to; none where the scheduler chooses among all that the process may use.
    pub pinned: Option<Vec<usize>>,
}

impl ProcessorUse {
    /// Every processor that the process may use.
    pub const ALL: Self = Self::up_to(usize::MAX);

    /// At most so many at once, of all that the process may use.
    #[must_use]
    pub const fn up_to(busy: usize) -> Self {
        Self { busy, pinned: None }
    }

    /// These, to which all threads that work are pinned.
    #[must_use]
    pub fn pinned(processors: &[usize]) -> Self {
        Self { busy: processors.len(), pinned: Some(processors.to_vec()) }
    }
}

/// What was spent between two moments, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spent {
    elapsed_ms: f64,
    /// Of the processors that the measurement can keep busy.
    available_ms: f64,
    own_ms: u64,
    steal_ms: u64,
    quota_ms: u64,
    others_ms: u64,
    memory_ms: u64,
}

impl Spent {
    fn judge(&self) -> Vec<Disturbance> {
        // What others had of processors that the measurement left idle took nothing from it.
        let unused_ms = (self.available_ms as u64).saturating_sub(self.own_ms);
        let all = [
            (Cause::Steal, self.steal_ms, self.available_ms),
            (Cause::Quota, self.quota_ms, self.available_ms),
            (Cause::OtherLoad, self.others_ms.min(unused_ms), self.available_ms),
            (Cause::MemoryPressure, self.memory_ms, self.elapsed_ms),
        ];
        let all = all.into_iter().map(|(cause, ms, of)| Disturbance {
            cause,
            ms,
            // Ticks are coarse: a little more than all there is may be counted.
            share: (ms as f64 / of.max(1.0) * 1e4).round().min(1e4) / 1e4,
        });
        all.filter(|it| it.ms >= LEAST_MS && it.share > it.cause.tolerated()).collect()
    }

    fn add(&mut self, other: &Self) {
        self.elapsed_ms += other.elapsed_ms;
        self.available_ms += other.available_ms;
        self.own_ms += other.own_ms;
        self.steal_ms += other.steal_ms;
        self.quota_ms += other.quota_ms;
        self.others_ms += other.others_ms;
        self.memory_ms += other.memory_ms;
    }
}

/// What a processor did and what the hypervisor took of it, in milliseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ProcessorTime {
    busy_ms: u64,
    steal_ms: u64,
}

/// The counters at one moment.
#[derive(Clone, Debug)]
pub struct Usage {
    at: Instant,
    /// Numbers of the processors that the measurement may run on.
    used: Vec<usize>,
    /// How many of them it can keep busy.
    busy: usize,
    /// All processors of the machine, by number.
    processors: BTreeMap<usize, ProcessorTime>,
    own_ms: u64,
    memory_us: u64,
    groups: QuotaGroups,
}

impl Usage {
    /// Reads them for a measurement that uses these processors. Those that the process may use are those of the calling
    /// thread: call this before it is pinned.
    #[must_use]
    pub fn now(processors: &ProcessorUse) -> Self {
        let mut used = processors.pinned.clone().unwrap_or_else(affinity::allowed);
        used.sort_unstable();
        used.dedup();
        let busy = processors.busy.min(used.len());
        Self::of(used, busy)
    }

    fn of(used: Vec<usize>, busy: usize) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        // Its own time first: what passes in between counts for others, and is little.
        let own_ms = processor_ms(std::process::id());
        Self {
            at: Instant::now(),
            processors: processor_times(&text("/proc/stat")),
            own_ms,
            memory_us: stalled_us(&text("/proc/pressure/memory")),
            groups: QuotaGroups::read(),
            used,
            busy,
        }
    }

    fn again(&self) -> Self {
        Self::of(self.used.clone(), self.busy)
    }

    /// Returns what the hypervisor took of all processors since, in milliseconds, what quotas took, and what disturbed
    /// the measurement.
    pub(crate) fn outcome(&self) -> (u64, Option<CpuQuota>, Vec<Disturbance>) {
        let now = self.again();
        let steal_ms = now.processors.keys().map(|&number| now.processor(number, self).steal_ms).sum();
        (steal_ms, now.groups.since(&self.groups), now.spent(self).judge())
    }

    /// Returns what a processor did since.
    fn processor(&self, number: usize, before: &Self) -> ProcessorTime {
        let of = |usage: &Self| usage.processors.get(&number).copied().unwrap_or_default();
        let (now, before) = (of(self), of(before));
        ProcessorTime {
            busy_ms: now.busy_ms.saturating_sub(before.busy_ms),
            steal_ms: now.steal_ms.saturating_sub(before.steal_ms),
        }
    }

    fn spent(&self, before: &Self) -> Spent {
        let elapsed_ms = (self.at - before.at).as_secs_f64() * 1e3;
        let own = self.own_ms.saturating_sub(before.own_ms);
        let used = || self.used.iter().map(|&number| self.processor(number, before));
        // The scheduler may have put its threads on any of these: the worst it can have met.
        let mut steal: Vec<u64> = used().map(|it| it.steal_ms).collect();
        steal.sort_unstable_by_key(|&ms| Reverse(ms));
        let quota = self.groups.since(&before.groups);
        Spent {
            elapsed_ms,
            available_ms: elapsed_ms * self.busy as f64,
            own_ms: own,
            steal_ms: steal.iter().take(self.busy).sum(),
            quota_ms: quota.map_or(0, |quota| quota.throttled_ms),
            others_ms: used().map(|it| it.busy_ms).sum::<u64>().saturating_sub(own),
            memory_ms: self.memory_us.saturating_sub(before.memory_us) / 1000,
        }
    }
}

/// Watches a measurement round by round, and has disturbed rounds taken again.
#[derive(Clone, Debug)]
pub struct RoundWatch {
    last: Usage,
    left: u32,
    repeated: u32,
    kept: Spent,
}

impl RoundWatch {
    /// Begins before the first round, on a thread that is not pinned. At most `again` rounds are taken again.
    #[must_use]
    pub fn start(again: u32, processors: &ProcessorUse) -> Self {
        Self { last: Usage::now(processors), left: again, repeated: 0, kept: Spent::default() }
    }

    /// Says that the rounds from here on use other processors, on a thread that is not pinned.
    pub fn now_using(&mut self, processors: &ProcessorUse) {
        self.last = Usage::now(processors);
    }

    /// Tells whether the round that has just ended counts. Round 0, the warm-up, never does, and is not taken again.
    pub fn keep(&mut self, round: u32) -> bool {
        let now = self.last.again();
        let spent = now.spent(&self.last);
        self.last = now;
        round == 0 || self.take(&spent)
    }

    /// Does work that is a round of its own, again while it is disturbed and tries are left. Work that fails is not taken again.
    ///
    /// # Errors
    /// That of the work.
    pub fn run<T, E>(&mut self, mut work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        loop {
            self.keep(0);
            let done = work()?;
            if self.keep(1) {
                return Ok(done);
            }
        }
    }

    fn take(&mut self, spent: &Spent) -> bool {
        if self.left > 0 && !spent.judge().is_empty() {
            self.left -= 1;
            self.repeated += 1;
            return false;
        }
        self.kept.add(spent);
        true
    }

    /// Returns the disturbances of the rounds that counted, and how many rounds were taken again.
    #[must_use]
    pub fn outcome(&self) -> (Vec<Disturbance>, u32) {
        (self.kept.judge(), self.repeated)
    }
}

/// Reads the times of each processor from `/proc/stat`.
fn processor_times(stat: &str) -> BTreeMap<usize, ProcessorTime> {
    let processor = |line: &str| {
        let mut words = line.split_whitespace();
        let number = words.next()?.strip_prefix("cpu")?.parse().ok()?;
        // user, nice, system, idle, iowait, irq, softirq, steal
        let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let ms = |index: usize| ticks.get(index).map_or(0, |ticks| ticks * TICK_MS);
        Some((number, ProcessorTime { busy_ms: [0, 1, 2, 5, 6].map(ms).iter().sum(), steal_ms: ms(7) }))
    };
    stat.lines().filter_map(processor).collect()
}

/// Returns for how long some thread waited, in microseconds since boot; 0 where the kernel does not report it.
fn stalled_us(pressure: &str) -> u64 {
    let line = pressure.lines().find(|line| line.starts_with("some "));
    let total = line.and_then(|line| line.rsplit_once("total="));
    total.and_then(|(_, total)| total.trim().parse().ok()).unwrap_or(0)
}

/// Returns the processor time of a process, of those it started, of theirs, and of all of them that have ended.
fn processor_ms(process: u32) -> u64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let [parent, ticks] = parse_stat(&stat)?;
        Some([id, parent, ticks])
    });
    ticks_of(process.into(), processes) * TICK_MS
}

/// Adds up the ticks of a process and of its descendants; each of `processes` is id, parent, ticks.
fn ticks_of(root: u64, processes: impl Iterator<Item = [u64; 3]>) -> u64 {
    let mut children: HashMap<u64, Vec<[u64; 2]>> = HashMap::new();
    let mut sum = 0;
    for [id, parent, ticks] in processes {
        sum += if id == root { ticks } else { 0 };
        children.entry(parent).or_default().push([id, ticks]);
    }
    let mut left = vec![root];
    while let Some(id) = left.pop() {
        // Taken out: a process that was replaced while this looked may seem to be its own ancestor.
        for [child, ticks] in children.remove(&id).unwrap_or_default() {
            sum += ticks;
            left.push(child);
        }
    }
    sum
}

/// Reads the parent, and the ticks of a process and of its ended children, from `/proc/PID/stat`.
fn parse_stat(stat: &str) -> Option<[u64; 2]> {
    // The name may have blanks and parentheses in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).map(number).sum::<Option<u64>>()?;
    Some([number(1)?, ticks])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{Environment, settle};
    use crate::verdict::Verdict;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    /// A second on two processors.
    const SECOND: Spent = Spent {
        elapsed_ms: 1000.0,
        available_ms: 2000.0,
        own_ms: 0,
        steal_ms: 0,
        quota_ms: 0,
        others_ms: 0,
        memory_ms: 0,
    };

    fn causes(spent: Spent) -> Vec<Cause> {
        spent.judge().iter().map(|it| it.cause).collect()
    }

    #[test]
    fn each_cause_disturbs_beyond_its_share_and_not_below() {
        assert!(causes(SECOND).is_empty());
        for (cause, below, beyond) in [
            (Cause::Steal, 20, 40),
            (Cause::Quota, 20, 40),
            (Cause::OtherLoad, 200, 210),
            (Cause::MemoryPressure, 50, 60),
        ] {
            let of = |ms| {
                let mut spent = SECOND;
                match cause {
                    Cause::Steal => spent.steal_ms = ms,
                    Cause::Quota => spent.quota_ms = ms,
                    Cause::OtherLoad => spent.others_ms = ms,
                    Cause::MemoryPressure => spent.memory_ms = ms,
                }
                causes(spent)
            };
            assert!(of(below).is_empty(), "{cause:?}");
            assert_eq!(of(beyond), [cause]);
        }
    }

    /// Counters of 64 processors that are all 0.
    fn idle(processors: &ProcessorUse) -> Usage {
        let now = Usage::now(&ProcessorUse { pinned: Some((0..64).collect()), busy: processors.busy });
        Usage {
            used: processors.pinned.clone().unwrap_or(now.used),
            processors: (0..64).map(|number| (number, ProcessorTime::default())).collect(),
            ..now
        }
    }

    /// What disturbs a second in which the measurement had `own_ms` and each processor did what `each` says.
    fn second(before: &Usage, own_ms: u64, each: impl Fn(usize) -> ProcessorTime) -> Vec<Disturbance> {
        let after = Usage {
            at: before.at + Duration::from_secs(1),
            own_ms: before.own_ms + own_ms,
            processors: (0..64).map(|number| (number, each(number))).collect(),
            ..before.clone()
        };
        after.spent(before).judge()
    }

    fn shares(disturbances: &[Disturbance]) -> Vec<(Cause, f64)> {
        disturbances.iter().map(|it| (it.cause, it.share)).collect()
    }

    #[test]
    fn steal_counts_on_as_many_processors_as_are_kept_busy_and_neither_on_more_nor_over_more() {
        let steal = |steal_ms| ProcessorTime { steal_ms, ..ProcessorTime::default() };
        let two = idle(&ProcessorUse::up_to(2));
        assert!(second(&two, 2000, |_| steal(10)).is_empty(), "1 % of each of 64, of which two are used");
        let some = second(&two, 1800, |number| steal(if number >= 62 { 100 } else { 10 }));
        assert_eq!(shares(&some), [(Cause::Steal, 0.1)]);
        let pinned = idle(&ProcessorUse::pinned(&[3, 7]));
        let outside = |number| steal(if [3, 7].contains(&number) { 0 } else { 900 });
        assert!(second(&pinned, 2000, outside).is_empty(), "of processors that it does not use");
        let some = second(&pinned, 1900, |number| steal(if number == 7 { 100 } else { 0 }));
        assert_eq!(shares(&some), [(Cause::Steal, 0.05)]);
        let all = idle(&ProcessorUse::ALL);
        assert!(second(&all, 64_000, |number| steal(if number == 7 { 100 } else { 0 })).is_empty());
    }

    #[test]
    fn others_disturb_by_what_they_have_of_the_processors_used() {
        let busy = |busy_ms| ProcessorTime { busy_ms, ..ProcessorTime::default() };
        let of = |uses: &ProcessorUse, own_ms, used: u64, rest: u64| {
            let each = |number| busy(if [3, 7].contains(&number) { used } else { rest });
            shares(&second(&idle(uses), own_ms, each))
        };
        let half = [(Cause::OtherLoad, 0.5)];
        for uses in [ProcessorUse::up_to(2), ProcessorUse::pinned(&[3, 7])] {
            assert_eq!(of(&uses, 1000, 1000, 0), half, "others have half of both");
            assert!(of(&uses, 2000, 1000, 960).is_empty(), "others have the other processors");
            assert!(of(&uses, 1000, 550, 0).is_empty(), "the workers rest");
        }
        // Not pinned, its threads may have wanted the others.
        assert_eq!(of(&ProcessorUse::up_to(2), 1000, 500, 100), half);
        assert!(of(&ProcessorUse::pinned(&[3, 7]), 1000, 500, 100).is_empty());
    }

    #[test]
    fn no_more_processors_are_kept_busy_than_there_are() {
        let allowed = affinity::allowed();
        let now = Usage::now(&ProcessorUse::ALL);
        assert_eq!((now.busy, &now.used), (allowed.len(), &allowed));
        let pinned = Usage::now(&ProcessorUse { busy: 3, pinned: Some(vec![6, 5, 6]) });
        assert_eq!((pinned.busy, pinned.again().busy, pinned.again().used), (2, 2, vec![5, 6]));
    }

    #[test]
    fn a_few_ticks_of_a_short_run_are_no_disturbance() {
        let short = Spent { elapsed_ms: 10.0, available_ms: 20.0, others_ms: 20, ..SECOND };
        assert!(causes(short).is_empty());
    }

    #[test]
    fn a_disturbed_pass_is_inconclusive_and_a_broken_invariant_stays_broken() {
        let mut environment = Environment::read();
        let settled = |verdict, environment: &Environment| {
            let (mut verdict, mut reasons) = (verdict, Vec::new());
            settle(&mut verdict, &mut reasons, environment);
            (verdict, reasons)
        };
        assert_eq!(settled(Verdict::Pass, &environment).0, Verdict::Pass);
        environment.disturbances = vec![Disturbance { cause: Cause::OtherLoad, ms: 620, share: 0.31 }];
        let (verdict, reasons) = settled(Verdict::Pass, &environment);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(reasons, ["DISTURBED because other processes took 31.0 % of the time (10 % at most)"]);
        assert_eq!(settled(Verdict::Fail, &environment).0, Verdict::Fail);
        let text = serde_json::to_string(&environment).unwrap();
        assert!(text.contains(r#""disturbances":[{"cause":"other_load","ms":620,"share":0.31}]"#));
    }

    #[test]
    fn disturbed_rounds_are_taken_again_as_often_as_was_asked_for() {
        let busy = Spent { others_ms: 900, ..SECOND };
        let mut watch = RoundWatch::start(2, &ProcessorUse::ALL);
        assert!(watch.take(&SECOND));
        assert!(!watch.take(&busy) && !watch.take(&busy));
        assert!(watch.kept.judge().is_empty());
        assert!(watch.take(&busy), "no tries are left");
        let mut environment = Environment::read();
        (environment.disturbances, environment.rounds_again) = watch.outcome();
        assert_eq!(environment.disturbances.len(), 1);
        assert_eq!(environment.rounds_again, 2);
    }

    #[test]
    fn work_is_done_once_where_no_more_tries_are_asked_for_and_its_error_ends_it() {
        let mut watch = RoundWatch::start(0, &ProcessorUse::ALL);
        let mut done = 0;
        let mut work = || {
            done += 1;
            if done < 3 { Ok(done) } else { Err("no") }
        };
        assert_eq!((watch.run(&mut work), watch.run(&mut work)), (Ok(1), Ok(2)));
        assert_eq!(watch.run(&mut work), Err("no"));
        assert_eq!(watch.repeated, 0);
    }

    #[test]
    fn the_kernels_counters_are_read_by_processor() {
        let stat = "cpu  9 9 9 9 9 9 9 9\ncpu0 1 2 3 100 7 4 5 6 0 0\ncpu1 10 0 0 0 0 0 0 1\nintr 5\n";
        let expected = [(0, 150, 60), (1, 100, 10)]
            .map(|(at, busy_ms, steal_ms)| (at, ProcessorTime { busy_ms, steal_ms }));
        assert_eq!(processor_times(stat), BTreeMap::from(expected));
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull total=5\n";
        assert_eq!([stalled_us(pressure), stalled_us("")], [1234, 0]);
        let stat = "7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 10 20 30 40 20 0 1 0";
        assert_eq!(parse_stat(stat), Some([3, 100]));
    }

    #[test]
    fn a_process_and_all_its_descendants_count_and_no_others() {
        let processes = [
            [1, 0, 5],
            [2, 0, 7],
            [10, 1, 100],
            [11, 10, 20],
            [12, 11, 3],
            [13, 1, 9],
            [20, 21, 1],
            [21, 20, 1],
        ];
        let of = |root| ticks_of(root, processes.into_iter());
        assert_eq!([of(10), of(12), of(1), of(20), of(99)], [123, 3, 137, 3, 0]);
    }

    #[test]
    fn a_process_has_no_more_time_than_it_ran_and_its_own_counts_for_the_one_that_started_it() {
        let start = Instant::now();
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let mut ms = 0;
        while ms < 100 && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
            ms = processor_ms(child.id());
        }
        // It has one thread.
        let most = start.elapsed().as_millis() as u64 + 2 * TICK_MS;
        let with_this = processor_ms(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!((100..=most).contains(&ms), "{ms} of {most} ms");
        assert!(with_this >= ms, "{with_this} of {ms} ms");
    }
}
