//! The verdict on a history: its part of a record, and its readable form.

use super::check::{Contradiction, check, extent, shrink};
use super::objects::UNKNOWN;
use super::{AFTER, BEFORE, Event, History, ObjectKind, OpKind};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::{Deserialize, Serialize};
use splinter_harness::table::{align, grouped, rate};
use splinter_harness::verdict::Verdict;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

/// The verdict on a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct HistoryRecord {
    /// Recorded numbers; a vector counts as a key.
    pub operations: u64,
    pub keys: u64,
    /// Linearizable or not; `"inconclusive"`: a worker was lost, or a final state unreadable.
    pub verdict: Verdict,
    /// Keys that are not linearizable.
    pub violations: u64,
    /// In words: the part of the run; the contradiction.
    pub recorded: String,
    /// Time and rate of the check, on all processors.
    pub check_s: f64,
    pub checked_per_s: f64,
    /// In words: the part of the run; the contradiction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Shown>,
}

/// One of the operations that contradict each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Shown {
    /// Fewest contradicting operations of a key; of all keys, the shortest in time. `worker`: also `before`, `after`;
    /// `kind`: the `object` of [history files](#history-history-files).
    pub worker: String,
    pub key: String,
    pub kind: ObjectKind,
    pub operation: OpKind,
    /// The write it comes from, as writer:number; of an integer, the number.
    pub value: Option<String>,
    /// The version and its length.
    pub slot: Option<u32>,
    pub epoch: Option<u64>,
    pub len: Option<u32>,
    /// Since the first call.
    pub invoked_ns: Option<f64>,
    pub returned_ns: Option<f64>,
}

impl HistoryRecord {
    /// Checks a history; `recorded` describes in words what it covers.
    #[must_use]
    pub(crate) fn of(history: &History, recorded: String) -> Self {
        let start = Instant::now();
        let values = history.values_of_vectors();
        let check_object = |object: usize| {
            let (events, kind) = (history.checked_events(object, &values), history.objects[object].0);
            let found = check(kind, &events)?;
            let size = extent(&events, &found.operations);
            Some((size, object, found))
        };
        let wrong: Vec<((usize, u64), usize, Contradiction)> =
            (0..history.objects.len()).into_par_iter().filter_map(check_object).collect();
        let check_s = start.elapsed().as_secs_f64();
        let worst = wrong.iter().min_by_key(|(size, object, _)| (*size, *object));
        let (mut why, mut window) = (None, Vec::new());
        if let Some((_, object, found)) = worst {
            let events = history.checked_events(*object, &values);
            let least = shrink(history.objects[*object].0, &events, found.clone());
            why = Some(least.why.to_owned());
            window = history.show(*object, &events, &least.operations);
        }
        let operations = history.events.len() as u64;
        let keys = (0..history.objects.len()).filter(|&object| !history.of(object).is_empty()).count();
        let mut record = Self {
            operations,
            keys: keys as u64,
            verdict: if wrong.is_empty() { Verdict::Pass } else { Verdict::Fail },
            violations: wrong.len() as u64,
            recorded,
            check_s,
            checked_per_s: operations as f64 / check_s.max(1e-9),
            why,
            window,
        };
        for unread in &history.unread {
            record.doubt(unread.clone());
        }
        record
    }

    /// Makes the verdict inconclusive at best, for a reason.
    pub(crate) fn doubt(&mut self, why: String) {
        self.verdict = self.verdict.max(Verdict::Inconclusive);
        self.why.get_or_insert(why);
    }

    /// Returns it in one line.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        let found = match self.violations {
            0 => "linearizable".to_owned(),
            1 => "1 key is not linearizable".to_owned(),
            more => format!("{more} keys are not linearizable"),
        };
        format!(
            "{found}: {} operations on {} keys, {}; checked {} a second",
            grouped(self.operations),
            grouped(self.keys),
            self.recorded,
            rate(self.checked_per_s)
        )
    }

    /// Returns the operations that contradict each other as a table, and why they do.
    #[must_use]
    pub(crate) fn window_text(&self) -> Option<String> {
        let first = self.window.first()?;
        let mut text = format!("  shortest contradiction, on {} {}:\n", first.kind, first.key.escape_debug());
        let mut rows = vec![
            ["worker", "operation", "value", "len", "slot", "epoch", "invoked ns", "returned ns"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        for shown in &self.window {
            rows.push(vec![
                shown.worker.clone(),
                shown.operation.to_string(),
                or_dash(shown.value.clone()),
                or_dash(shown.len.map(|len| len.to_string())),
                or_dash(shown.slot.map(|slot| slot.to_string())),
                or_dash(shown.epoch.map(|epoch| epoch.to_string())),
                or_dash(shown.invoked_ns.map(|ns| format!("{ns:.1}"))),
                or_dash(shown.returned_ns.map(|ns| format!("{ns:.1}"))),
            ]);
        }
        align(&mut text, &rows);
        let _ = write!(text, "  why        {}", self.why.as_deref().unwrap_or_default());
        Some(text)
    }
}

impl History {
    /// Finds the value object of each vector, by name.
    fn values_of_vectors(&self) -> HashMap<usize, usize> {
        let of = |wanted: ObjectKind| {
            self.objects
                .iter()
                .enumerate()
                .filter(move |(object, (kind, _))| *kind == wanted && !self.of(*object).is_empty())
                .map(|(object, (_, name))| (name.as_str(), object))
        };
        if of(ObjectKind::Vector).next().is_none() {
            return HashMap::new();
        }
        let values: HashMap<&str, usize> = of(ObjectKind::Value).collect();
        of(ObjectKind::Vector).filter_map(|(name, object)| Some((object, *values.get(name)?))).collect()
    }

    /// Returns the events by which an object is checked: its own, and for a vector the changes of its value, too.
    fn checked_events(&self, object: usize, values: &HashMap<usize, usize>) -> std::borrow::Cow<'_, [Event]> {
        let own = self.of(object);
        let Some(&value) = values.get(&object) else {
            return own.into();
        };
        let changes = self.of(value).iter().filter(|event| event.op.makes_version());
        own.iter().chain(changes).copied().collect()
    }

    /// Prepares operations for people: times since the first of them, and the version of each read.
    fn show(&self, object: usize, events: &[Event], operations: &[u32]) -> Vec<Shown> {
        let (kind, name) = &self.objects[object];
        let shown = || operations.iter().map(|&at| &events[at as usize]);
        let start = shown().filter(|event| event.worker != BEFORE).map(|event| event.invoked).min();
        let ns = |event: &Event, cycles: u64| {
            let since = cycles.saturating_sub(start?);
            (event.worker != BEFORE).then(|| (since as f64 * self.cycle_ns * 10.0).round() / 10.0)
        };
        let version_of = |event: &Event| match (kind, event.op) {
            (ObjectKind::Value, OpKind::Get) => events
                .iter()
                .find(|write| write.id == event.id && matches!(write.op, OpKind::Set | OpKind::Append))
                .map(|write| (write.slot, write.epoch)),
            (_, op) if op.makes_version() && *kind != ObjectKind::Counter => Some((event.slot, event.epoch)),
            _ => None,
        };
        shown()
            .map(|event| Shown {
                worker: worker_text(event.worker),
                key: name.clone(),
                kind: *kind,
                operation: event.op,
                value: value_text(*kind, event),
                slot: version_of(event).map(|(slot, _)| slot),
                epoch: version_of(event).map(|(_, epoch)| epoch),
                len: (*kind == ObjectKind::Value && event.op != OpKind::NotFound).then_some(event.len),
                invoked_ns: ns(event, event.invoked),
                returned_ns: ns(event, event.returned),
            })
            .collect()
    }
}

/// Returns the worker of an operation in words.
fn worker_text(worker: u32) -> String {
    match worker {
        BEFORE => "before".to_owned(),
        AFTER => "after".to_owned(),
        worker => worker.to_string(),
    }
}

/// Returns what was written or read: a number, or writer and sequence.
fn value_text(kind: ObjectKind, event: &Event) -> Option<String> {
    match (kind, event.op) {
        (_, OpKind::NotFound | OpKind::Unset) => None,
        (ObjectKind::Counter, _) => Some(event.id.to_string()),
        _ if event.id == UNKNOWN => Some("no write's".to_owned()),
        _ => Some(format!("{}:{}", worker_text((event.id >> 48) as u32), event.id & ((1 << 48) - 1))),
    }
}
