//! Makes the record and its verdict from the reports of the workers and from the checks after the run. Pure.

use crate::history::record::HistoryRecord;
use crate::latency::{Merged, PLANNED};
use crate::mix::Op;
use crate::observer::Observer;
use crate::open_loop::Paced;
use crate::open_loop::judge::{OpenLoop, Requested, judge};
use crate::options::Role;
use crate::options::Span;
use crate::oracle::checks::Faults;
use crate::placement::plan::Plan;
use crate::record::{
    Invariants, MemoryPlacement, Notifications, Operation, Placement, Record, StoreFacts, Totals, Window,
    WorkerPlacement,
};
use crate::setup::judge_memory;
use crate::shared_state::{Counts, SharedState};
use crate::steady::Steadiness;
use crate::worker::Report;
use crate::worker::watcher::{self, Notices};
use crate::workload::Workload;
use splinter::Inspection;
use splinter_harness::counters;
use splinter_harness::environment::Environment;
use splinter_harness::valgrind::VOID;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Descriptions of faults and misplaced workers that a record takes.
const MOST_NOTES: usize = 20;

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long the warm-up took, what ended it, and how steady goodput was then.
    pub warmup: (Duration, &'static str, Option<Steadiness>),
    /// When counting began.
    pub started: SystemTime,
    /// How long it went on.
    pub measured: Duration,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// Length of a cycle of the time-stamp counter.
    pub cycle_ns: f64,
    /// Whether the workers of an open loop slept until shortly before their starts.
    pub sleeps: bool,
}

/// Everything that a run has found.
#[derive(Debug)]
#[allow(missing_docs)] // Each is documented where it comes from.
pub(crate) struct Evidence<'a> {
    pub workload: &'a Workload,
    /// What of the workload was cut away, in words.
    pub cut: Option<String>,
    pub plan: Plan,
    pub timing: Timing,
    pub environment: Environment,
    pub observer: Observer,
    pub memory: MemoryPlacement,
    pub facts: StoreFacts,
    pub reports: Vec<Result<Report, String>>,
    pub faults: Faults,
    pub inspection: Inspection,
    pub shared: &'a SharedState,
    pub history: Option<HistoryRecord>,
}

impl Evidence<'_> {
    /// Makes the record.
    #[must_use]
    pub(crate) fn into_record(mut self) -> Record {
        let mut reasons: Vec<String> =
            self.reports.iter().filter_map(|report| report.as_ref().err().cloned()).collect();
        let window_s = self.window_s();
        let (counts, miscounted) = self.counts();
        let (merged, undecodable) = self.latencies();
        let invariants = self.invariants(miscounted);
        let placement = self.placement();
        reasons.extend(undecodable);
        reasons.extend(
            invariants
                .named()
                .into_iter()
                .filter(|&(_, count)| count > 0)
                .map(|(name, count)| format!("{name}: {count}")),
        );
        reasons.extend(self.faults.notes.iter().take(MOST_NOTES).cloned());
        let mut verdict = if invariants.held() { Verdict::Pass } else { Verdict::Fail };
        if let Some(history) = &self.history {
            verdict = verdict.max(history.verdict);
            reasons.extend(history.why.iter().map(|why| format!("history: {why}")));
        }
        if !placement.misplaced.is_empty() && !self.workload.allow_misplacement {
            verdict = Verdict::Fail;
            reasons
                .push("not placed as asked: change the placement, or pass --allow-misplacement".to_owned());
        }
        let totals = totals(&counts, window_s);
        let open_loop = self.open_loop(totals.goodput_per_s, window_s);
        let why_saturated = open_loop.as_ref().and_then(|found| found.why.as_ref());
        if verdict == Verdict::Pass {
            let idle = self.idle_roles().join(" and the ");
            let doubts = [
                (self.timing.interrupted, "interrupted before its end".to_owned()),
                (
                    totals.counts.successes == 0,
                    "nothing succeeded while it was measured: raise --duration or --ops".to_owned(),
                ),
                (
                    !idle.is_empty(),
                    format!(
                        "the {idle} did nothing while it was measured: raise --duration or --ops, or change --mix"
                    ),
                ),
            ];
            let doubt = doubts.into_iter().find(|&(holds, _)| holds);
            if doubt.is_some() || why_saturated.is_some() {
                verdict = Verdict::Inconclusive;
            }
            reasons.extend(doubt.map(|(_, why)| why));
        }
        reasons.extend(why_saturated.map(|why| format!("saturated: {why}")));
        let (warmup, warmup_ended, steadiness) = self.timing.warmup;
        let since_epoch = self.timing.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Record {
            schema_version: SCHEMA_VERSION,
            kind: "run".to_owned(),
            verdict,
            reasons,
            labels: self.labels(why_saturated.is_some()),
            config: self.workload.clone(),
            collision_rate: self.workload.key_choice.collision_rate(self.workload.keys),
            window: Window {
                started_unix_s: since_epoch.as_secs_f64(),
                warmup_s: warmup.as_secs_f64(),
                warmup_ended: warmup_ended.to_owned(),
                steadiness,
                measured_s: window_s,
                processor_share: self.processor_share(window_s),
                interrupted: self.timing.interrupted,
            },
            operations: operations(&counts, &merged, window_s),
            per_operation: per_operation(self.reports.iter().flatten()),
            totals,
            open_loop,
            notifications: self.notifications(&merged, window_s),
            invariants,
            history: self.history,
            placement,
            store: StoreFacts {
                keys_at_end: self.inspection.keys,
                live_claims_at_end: self.inspection.live_claims,
                ..self.facts
            },
            observer: self.observer,
            environment: self.environment,
            hdr_log: merged.log(self.timing.started, Duration::from_secs_f64(window_s)),
        }
    }

    /// Returns the length of the measured window. For a fixed time it is the parent's; for fixed
    /// work it goes from the first worker's start to the last one's end.
    fn window_s(&self) -> f64 {
        let windows = || {
            self.reports
                .iter()
                .flatten()
                // Watchers only follow: they are not part of the work.
                .filter(|report| report.role != Role::Watcher)
                .map(|report| report.window)
                .filter(|(start, end)| end > start)
        };
        let first = windows().map(|(start, _)| start).min();
        let last = windows().map(|(_, end)| end).max();
        match (self.workload.span, first, last) {
            (Span::Ops(_), Some(first), Some(last)) => (last - first) as f64 * self.timing.cycle_ns * 1e-9,
            _ => self.timing.measured.as_secs_f64(),
        }
    }

    /// Returns the share of the processors' time that the workers got, of what they could have got
    /// on an otherwise idle machine. Writers and readers are never idle and always want all of it, unless
    /// they sleep between planned starts; watchers take of it what they need, which may be nothing.
    fn processor_share(&self, window_s: f64) -> Option<f64> {
        if self.workload.rate.is_some() && self.timing.sleeps {
            return None;
        }
        let busy = self.plan.kept_busy(self.workload);
        let worked: Option<u64> = self.reports.iter().flatten().map(|report| report.worked_ns).sum();
        let share = worked? as f64 * 1e-9 / (window_s * busy as f64);
        share.is_finite().then(|| (share.min(1.0) * 1e3).round() / 1e3)
    }

    /// Adds up all workers' counts; of one that was lost, what it last showed. Also returns how
    /// often they do not add up.
    fn counts(&self) -> (BTreeMap<Op, Counts>, u64) {
        let mut sums = BTreeMap::<Op, Counts>::new();
        let mut miscounted = 0;
        let draws = [
            (self.workload.writers > 0).then(|| self.workload.mix.for_writer()),
            (self.workload.readers > 0).then(|| self.workload.mix.for_reader()),
        ];
        for op in draws.iter().flatten().flat_map(super::mix::Draw::ops) {
            sums.insert(op, Counts::default());
        }
        for (worker, report) in (0..).zip(&self.reports) {
            for op in Op::ALL {
                let counts = self.counted(worker, op);
                let Counts { attempts, successes, again, failures, changed, given_up } = counts;
                let ended = successes + again + failures + changed + given_up;
                miscounted += u64::from(report.is_ok() && attempts != ended);
                if attempts > 0 {
                    sums.entry(op).or_default().add(&counts);
                }
            }
        }
        (sums, miscounted)
    }

    /// Returns what one worker counted of an operation; if it was lost, what it last showed.
    fn counted(&self, worker: u32, op: Op) -> Counts {
        match &self.reports[worker as usize] {
            Ok(report) => report.counts.get(op.name()).copied().unwrap_or_default(),
            Err(_) => self.shared.cell(worker).counts(op),
        }
    }

    /// Names the roles that there are workers for, and of which none did anything that counts.
    fn idle_roles(&self) -> Vec<&'static str> {
        let (writers, operators) = (self.workload.writers, self.workload.operators());
        let succeeded = |worker: u32| {
            let mut counts = Op::ALL.into_iter().map(|op| self.counted(worker, op));
            counts.any(|counts| counts.successes > 0)
        };
        let took = |worker: u32| {
            let report = self.reports[worker as usize].as_ref().ok();
            let notices = report.and_then(|report| report.notices);
            notices.is_some_and(|notices| notices.taken > 0)
        };
        let idle = [
            ("writers", writers > 0 && !(0..writers).any(succeeded)),
            ("readers", operators > writers && !(writers..operators).any(succeeded)),
            ("watchers", self.workload.watchers > 0 && !(operators..self.workload.worker_count()).any(took)),
        ];
        let idle = idle.into_iter().filter(|&(_, idle)| idle);
        idle.map(|(role, _)| role).collect()
    }

    fn latencies(&self) -> (Merged, Vec<String>) {
        let mut merged = Merged::default();
        let reports = self.reports.iter().flatten();
        let errors =
            reports.filter_map(|report| merged.add(&report.histograms, self.timing.cycle_ns).err()).collect();
        (merged, errors)
    }

    /// Adds up what the watchers took, if there were any.
    fn notifications(&self, merged: &Merged, window_s: f64) -> Option<Notifications> {
        let reports = self.reports.iter().flatten();
        let notices = reports.filter_map(|report| report.notices).reduce(Notices::plus)?;
        Some(Notifications {
            notices,
            goodput_per_s: per_second(notices.measured, window_s),
            latency_ns: merged.percentiles(watcher::NOTIFICATION),
            wake_latency_ns: merged.percentiles(watcher::WAKE),
        })
    }

    fn invariants(&self, miscounted_operations: u64) -> Invariants {
        let (faults, inspection) = (&self.faults, &self.inspection);
        Invariants {
            torn_reads: faults.torn_reads,
            stale_leaks: inspection.stale_bytes,
            lost_updates: faults.lost_updates,
            expired_reads: faults.expired_reads,
            lost_notifications: faults.lost_notifications,
            duplicate_keys: inspection.duplicate_keys,
            spurious_misses: faults.spurious_misses,
            epoch_regressions: faults.epoch_regressions,
            // All writers have ended: a claim that is left is never released.
            stuck_claims: inspection.stuck_claims + inspection.live_claims,
            unreachable_keys: inspection.unreachable_keys,
            leaked_slots: inspection.leaked_slots + inspection.dangling_entries,
            wrong_sketches: inspection.wrong_sketches,
            unexpected_errors: faults.unexpected_errors,
            lost_workers: self.reports.iter().filter(|report| report.is_err()).count() as u64,
            miscounted_operations,
            linearizability_violations: self.history.as_ref().map_or(0, |history| history.violations),
        }
    }

    fn placement(&mut self) -> Placement {
        let workers: Vec<WorkerPlacement> = self
            .reports
            .iter()
            .flatten()
            .map(|report| WorkerPlacement {
                worker: report.worker,
                role: report.role,
                affinity: report.affinity.clone(),
            })
            .collect();
        let mut misplaced: Vec<String> = workers
            .iter()
            .filter_map(|worker| Some(format!("worker {} {}", worker.worker, worker.affinity.fault()?)))
            .take(MOST_NOTES)
            .collect();
        let mut memory = std::mem::take(&mut self.memory);
        misplaced.extend(judge_memory(self.workload.memory, self.nodes_with_memory(), &mut memory));
        Placement {
            topology: self.plan.topology.clone(),
            processors: self.plan.processors,
            oversubscribed: self.plan.oversubscribed,
            misplaced,
            workers,
            memory,
        }
    }

    fn nodes_with_memory(&self) -> usize {
        let nodes = self.environment.nodes.iter();
        nodes.filter(|node| node.memory_bytes > 0).count()
    }

    /// Judges how an open loop kept its rate.
    fn open_loop(&self, done_per_s: f64, window_s: f64) -> Option<OpenLoop> {
        let requested = Requested {
            rate: self.workload.rate?,
            arrivals: self.workload.arrivals,
            sleeps: self.timing.sleeps,
        };
        let cycle_ns = self.timing.cycle_ns;
        // Of a worker that was lost, or never saw the window, everything is missing.
        let planned_s = window_s / f64::from(self.workload.operators().max(1));
        let window = (window_s * 1e9 / cycle_ns) as u64;
        let nothing = Paced {
            planned: (requested.rate as f64 * planned_s) as u64,
            started: 0,
            late_at_end: window,
            longest: window,
            span: window,
        };
        let paced = |report: &Result<Report, String>| {
            let paced = report.as_ref().ok().and_then(|report| report.paced);
            paced.unwrap_or(nothing)
        };
        let operators = self.workload.operators() as usize;
        let workers = self.reports.iter().take(operators).map(paced);
        let workers: Vec<(u32, Paced)> = (0..).zip(workers).collect();
        Some(judge(requested, &workers, done_per_s, cycle_ns))
    }

    fn labels(&self, saturated: bool) -> Vec<String> {
        let throttled = self.environment.cpu_quota.as_ref().is_some_and(|quota| quota.throttled_ms > 0);
        let disturbed = self.environment.disturbances.iter().any(|it| it.cause.is_other_work());
        let labels = [
            (self.plan.oversubscribed, "oversubscribed"),
            (throttled, "throttled: the quota of a control group stopped the workers"),
            (
                (self.plan.oversubscribed || throttled) && self.workload.histogram,
                "tail latencies are the scheduler's",
            ),
            (disturbed, "disturbed: others used the processors"),
            (saturated, "saturated"),
            (saturated, "latencies of a saturated run are not to be trusted"),
            (self.timing.interrupted, "interrupted"),
            (self.environment.build.debug_assertions, "debug build: figures mean nothing"),
            (self.environment.valgrind, VOID),
            (!self.workload.oracle, "without oracle: values are not checked"),
        ];
        labels
            .into_iter()
            .filter(|&(holds, _)| holds)
            .map(|(_, label)| label.to_owned())
            .chain(self.cut.iter().map(|cut| format!("cut down: {cut}")))
            .collect()
    }
}

/// Adds up what workers counted and timed, by operation.
pub(crate) fn add_up(reports: &[Report], cycle_ns: f64) -> (BTreeMap<Op, Counts>, Merged) {
    let (mut sums, mut merged) = (BTreeMap::<Op, Counts>::new(), Merged::default());
    for report in reports {
        for op in Op::ALL {
            if let Some(counts) = report.counts.get(op.name()) {
                sums.entry(op).or_default().add(counts);
            }
        }
        // What a worker of this very process encoded can be decoded.
        merged.add(&report.histograms, cycle_ns).expect("histograms are whole");
    }
    (sums, merged)
}

pub(crate) fn operations(
    counts: &BTreeMap<Op, Counts>,
    merged: &Merged,
    window_s: f64,
) -> BTreeMap<String, Operation> {
    counts
        .iter()
        .map(|(&op, &counts)| {
            let operation = Operation {
                counts,
                goodput_per_s: per_second(counts.successes, window_s),
                attempts_per_s: per_second(counts.attempts, window_s),
                latency_ns: merged.percentiles(op.name()),
                latency_from_planned_ns: merged.known(&format!("{}{PLANNED}", op.name())),
            };
            (op.name().to_owned(), operation)
        })
        .collect()
}

pub(crate) fn totals(counts: &BTreeMap<Op, Counts>, window_s: f64) -> Totals {
    let mut totals = Totals::default();
    for (op, counts) in counts {
        totals.counts.add(counts);
        let goodput = per_second(counts.successes, window_s);
        let side = if op.is_read() { &mut totals.reads_per_s } else { &mut totals.writes_per_s };
        *side += goodput;
    }
    totals.goodput_per_s = per_second(totals.counts.successes, window_s);
    totals.attempts_per_s = per_second(totals.counts.attempts, window_s);
    totals
}

/// Returns the means, over the successes of the workers that reported, of those events that each of them counted. Watchers do
/// no operations: what they take is in none.
fn per_operation<'a>(reports: impl Iterator<Item = &'a Report>) -> BTreeMap<String, f64> {
    let mut sums: Option<BTreeMap<&str, u64>> = None;
    let mut successes = 0;
    for report in reports.filter(|it| it.role != Role::Watcher && it.window.1 > it.window.0) {
        successes += report.counts.values().map(|counts| counts.successes).sum::<u64>();
        let mut events: BTreeMap<&str, u64> = report.events.iter().map(|(name, &it)| (&**name, it)).collect();
        if let Some(sums) = &sums {
            events.retain(|name, count| sums.get(name).map(|sum| *count += sum).is_some());
        }
        sums = Some(events);
    }
    let sums = sums.filter(|_| successes > 0).unwrap_or_default();
    sums.into_iter().map(|(name, sum)| (name.to_owned(), counters::mean(sum, successes))).collect()
}

fn per_second(count: u64, window_s: f64) -> f64 {
    if window_s > 0.0 { count as f64 / window_s } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Affinity;

    fn report(role: Role, successes: u64, events: &[(&str, u64)]) -> Report {
        let counts = Counts { attempts: successes, successes, ..Counts::default() };
        Report {
            worker: 0,
            role,
            affinity: Affinity::default(),
            counts: BTreeMap::from([("set".to_owned(), counts)]),
            histograms: Vec::new(),
            faults: Faults::default(),
            window: (1, 2),
            worked_ns: None,
            events: events.iter().map(|&(name, count)| (name.to_owned(), count)).collect(),
            notices: None,
            paced: None,
        }
    }

    #[test]
    fn events_are_means_of_what_every_worker_counted() {
        let known = [("cycles", 9), ("page_faults", 2)];
        let workers = [report(Role::Writer, 4, &known), report(Role::Reader, 6, &[("page_faults", 3)])];
        assert_eq!(per_operation(workers.iter()), BTreeMap::from([("page_faults".to_owned(), 0.5)]));
        assert!(per_operation([report(Role::Writer, 0, &known)].iter()).is_empty());
        assert!(per_operation(std::iter::empty()).is_empty());
    }

    #[test]
    fn events_of_watchers_and_of_workers_without_a_window_are_in_no_operation() {
        let writer = report(Role::Writer, 10, &[("page_faults", 5)]);
        let watcher = report(Role::Watcher, 0, &[("page_faults", 100)]);
        let late = Report { window: (2, 2), ..report(Role::Writer, 0, &[]) };
        let expected = BTreeMap::from([("page_faults".to_owned(), 0.5)]);
        assert_eq!(per_operation([writer, watcher, late].iter()), expected);
    }
}
