//! Judges what a worker is answered: is the value whole, is it this key's, has time gone back?

use crate::keys::{self, Family};
use crate::mix::Op;
use crate::oracle::monotonic::MonotonicReads;
use crate::proof::value::{self, Flaw, PREFILL, Stamp};
use crate::proof::vector;
use crate::workload::Workload;
use serde::{Deserialize, Serialize};

/// Descriptions that one worker keeps; the counts go on.
const MOST_NOTES: usize = 4;

/// What was wrong, by kind; see `results/schema.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faults {
    /// Values, vectors or groups that no single write published for that key.
    pub torn_reads: u64,
    /// Reads that were older than one before.
    pub epoch_regressions: u64,
    /// Keys reported missing that were there.
    pub spurious_misses: u64,
    /// Acknowledged writes that were not there.
    pub lost_updates: u64,
    /// Values that were read from their deadline on.
    #[serde(default)]
    pub expired_reads: u64,
    /// Changes of which a watcher took neither a notification nor a lag.
    pub lost_notifications: u64,
    /// Errors that no sound store answers here.
    pub unexpected_errors: u64,
    /// The first few in words.
    pub notes: Vec<String>,
}

impl Faults {
    /// Adds another worker's.
    pub(crate) fn merge(&mut self, other: Self) {
        self.torn_reads += other.torn_reads;
        self.epoch_regressions += other.epoch_regressions;
        self.spurious_misses += other.spurious_misses;
        self.lost_updates += other.lost_updates;
        self.expired_reads += other.expired_reads;
        self.lost_notifications += other.lost_notifications;
        self.unexpected_errors += other.unexpected_errors;
        self.notes.extend(other.notes);
    }

    /// Keeps a description, if there is room for one more.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text());
        }
    }

    /// Counts an error that no sound store answers here.
    #[cold]
    pub(crate) fn unexpected(&mut self, op: Op, key: &[u8], error: &str) {
        self.unexpected_errors += 1;
        self.note(|| format!("{} of {}: {error}", op.name(), text(key)));
    }

    /// Counts a key reported missing that is there.
    #[cold]
    pub(crate) fn spurious_miss(&mut self, op: Op, key: &[u8]) {
        self.spurious_misses += 1;
        self.note(|| format!("{} of {}: not found, and nobody removed it", op.name(), text(key)));
    }

    /// Counts the keys that are missing from a cache beyond those that it says to have evicted.
    pub(crate) fn lost_by_a_cache(&mut self, missing: u64, evicted: u64) {
        if missing > evicted {
            self.spurious_misses += missing - evicted;
            self.note(|| {
                format!("{missing} keys are missing that nobody removed, and {evicted} were evicted")
            });
        }
    }

    /// Counts an acknowledged write that is not there.
    #[cold]
    pub(crate) fn lost_update(&mut self, key: &[u8], what: impl FnOnce() -> String) {
        self.lost_updates += 1;
        self.note(|| format!("{}: {}", text(key), what()));
    }

    /// Counts changes of which a watcher took nothing.
    #[cold]
    pub(crate) fn lost_notifications(&mut self, count: u64, what: impl FnOnce() -> String) {
        self.lost_notifications += count;
        self.note(what);
    }

    /// Counts a value that was read from its deadline on.
    #[cold]
    pub(crate) fn expired(&mut self, key: &[u8], what: impl FnOnce() -> String) {
        self.expired_reads += 1;
        self.note(|| format!("{}: {}", text(key), what()));
    }

    /// Judges a refusal of a key, which now has an epoch and was expected to have another, if any was expected.
    #[cold]
    pub(crate) fn refused(&mut self, op: Op, key: &[u8], expected: Option<u64>, epoch: u64) {
        // Epochs only grow.
        if expected.is_none_or(|expected| expected >= epoch) {
            self.unexpected(op, key, &format!("refused at epoch {epoch}, expected was {expected:?}"));
        }
    }

    #[cold]
    pub(crate) fn torn(&mut self, key: &[u8], what: impl FnOnce() -> String) {
        self.torn_reads += 1;
        self.note(|| format!("{}: {}", text(key), what()));
    }

    #[cold]
    fn regression(&mut self, key: &[u8], stamp: Stamp) {
        self.epoch_regressions += 1;
        self.note(|| {
            format!("{}: writer {} sequence {} after a newer one", text(key), stamp.writer, stamp.seq)
        });
    }
}

/// Returns a key as text.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

/// Checks answers and remembers what was seen.
#[derive(Debug)]
pub(crate) struct Checks {
    /// What was wrong so far.
    pub faults: Faults,
    seen: MonotonicReads,
    /// Whether values can have more than one piece.
    pieces: bool,
    /// Those of the current value.
    stamps: Vec<Stamp>,
}

impl Checks {
    /// Prepares for a workload; touches its memory.
    #[must_use]
    pub(crate) fn new(workload: &Workload) -> Self {
        let keys = workload.key_sets().count();
        let writers = if workload.key_choice == crate::choice::KeyChoice::Own {
            1
        } else {
            u64::from(workload.writers)
        };
        Self {
            faults: Faults::default(),
            // Twice the pairs: few collisions. Groups and counters share the table.
            seen: MonotonicReads::new(keys.saturating_mul(writers.max(1)).saturating_mul(2)),
            pieces: workload.mix.has(Op::Append),
            stamps: Vec::with_capacity(workload.buffer_len() / value::HEADER),
        }
    }

    /// Checks a value; returns the stamps of its first and its last piece.
    #[inline]
    pub(crate) fn value(&mut self, index: u64, key: &[u8; 8], value: &[u8]) -> Option<(Stamp, Stamp)> {
        let hash = splinter::hash_key(key);
        if self.pieces {
            return self.pieces(index, key, value, hash);
        }
        match value::check(value, hash) {
            Ok(stamp) => {
                self.order(Family::Value, index, key, stamp);
                Some((stamp, stamp))
            }
            Err(flaw) => {
                self.flaw(key, value, hash, flaw);
                None
            }
        }
    }

    /// Checks a value of several pieces. Each writer's follow each other without a gap, and its
    /// last one does not go back.
    fn pieces(&mut self, index: u64, key: &[u8; 8], value: &[u8], hash: u64) -> Option<(Stamp, Stamp)> {
        let mut stamps = std::mem::take(&mut self.stamps);
        stamps.clear();
        let first = match value::check_pieces(value, hash, |stamp| stamps.push(stamp)) {
            Ok(first) => first,
            Err(flaw) => {
                self.flaw(key, value, hash, flaw);
                self.stamps = stamps;
                return None;
            }
        };
        for (at, stamp) in stamps.iter().enumerate() {
            match stamps[at + 1..].iter().find(|later| later.writer == stamp.writer) {
                None => self.order(Family::Value, index, key, *stamp),
                Some(next) if next.seq == stamp.seq + 1 => {}
                Some(next) => self.faults.lost_update(key, || {
                    format!("writer {} sequence {} is followed by {}", stamp.writer, stamp.seq, next.seq)
                }),
            }
        }
        let last = stamps.last().copied().unwrap_or(first);
        self.stamps = stamps;
        Some((first, last))
    }

    /// Checks a tandem group: every order whole, all of one write.
    pub(crate) fn group(&mut self, index: u64, base: [u8; 8], orders: &[Vec<u8>]) -> Option<Stamp> {
        let mut first = None;
        for (order, value) in orders.iter().enumerate() {
            let name = keys::order_name(base, order);
            let hash = splinter::hash_key(name.as_ref());
            match (value::check(value, hash), first) {
                (Err(flaw), _) => {
                    self.flaw(name.as_ref(), value, hash, flaw);
                    return None;
                }
                (Ok(stamp), None) => first = Some(stamp),
                (Ok(stamp), Some(other)) if stamp != other => {
                    self.faults.torn(name.as_ref(), || {
                        format!(
                            "writer {} sequence {} beside writer {} sequence {} of its group",
                            stamp.writer, stamp.seq, other.writer, other.seq
                        )
                    });
                    return None;
                }
                _ => {}
            }
        }
        let stamp = first?;
        self.order(Family::Group, index, &base, stamp);
        Some(stamp)
    }

    /// Checks a vector.
    pub(crate) fn vector(&mut self, key: &[u8; 8], vector: &[f32]) -> Option<Stamp> {
        match vector::check(vector, splinter::hash_key(key)) {
            Ok(stamp) => Some(stamp),
            Err(_) => {
                self.faults.torn(key, || format!("vector starting {:?}", &vector[..vector.len().min(4)]));
                None
            }
        }
    }

    /// Checks an integer: additions only ever raise it.
    #[inline]
    pub(crate) fn integer(&mut self, index: u64, key: &[u8; 8], value: u64) {
        self.forward(Family::Counter, index, key, value);
    }

    /// Checks a value whose sequence is a number that all writers raise, as that of a tally; returns the number.
    pub(crate) fn numbered(
        &mut self,
        family: Family,
        index: u64,
        key: &[u8; 8],
        value: &[u8],
    ) -> Option<u64> {
        let stamp = self.whole(key, value)?;
        self.forward(family, index, key, stamp.seq);
        Some(stamp.seq)
    }

    /// Checks a value of one piece, of any family.
    pub(crate) fn stamped(
        &mut self,
        family: Family,
        index: u64,
        key: &[u8; 8],
        value: &[u8],
    ) -> Option<Stamp> {
        let stamp = self.whole(key, value)?;
        self.order(family, index, key, stamp);
        Some(stamp)
    }

    fn whole(&mut self, key: &[u8; 8], value: &[u8]) -> Option<Stamp> {
        let hash = splinter::hash_key(key);
        value::check(value, hash).map_err(|flaw| self.flaw(key, value, hash, flaw)).ok()
    }

    /// Checks that a number which all writers raise does not go back.
    #[inline]
    pub(crate) fn forward(&mut self, family: Family, index: u64, key: &[u8; 8], number: u64) {
        if !self.seen.observe(family, index, PREFILL, number) {
            self.faults.regression(key, Stamp::new(PREFILL, number));
        }
    }

    #[inline]
    fn order(&mut self, family: Family, index: u64, key: &[u8], stamp: Stamp) {
        // Values too short for the whole sequence cannot tell older from newer.
        if stamp.seq_bits == 48 && !self.seen.observe(family, index, stamp.writer, stamp.seq) {
            self.faults.regression(key, stamp);
        }
    }

    /// Counts a value that does not prove itself.
    pub(crate) fn broken(&mut self, key: &[u8; 8], value: &[u8], flaw: Flaw) {
        self.flaw(key, value, splinter::hash_key(key), flaw);
    }

    #[cold]
    fn flaw(&mut self, key: &[u8], value: &[u8], hash: u64, flaw: Flaw) {
        self.faults.torn(key, || format!("{flaw:?} value: {}", value::describe(value, hash)));
    }
}
