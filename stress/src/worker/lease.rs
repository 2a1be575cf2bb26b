//! A writer's leases: keys that it sets for a time, or for ever, and whose deadlines it moves. Each value has its deadline
//! in it, and a moved one is earlier, so that every reader knows from when on it must not read the value.

use super::pacing::Pace;
use super::recorder::Recorder;
use super::writer::{Task, WriterLoop};
use crate::history::{self, OpKind};
use crate::keys::Family;
use crate::mix::Op;
use crate::oracle::acks::KeyAcks;
use crate::proof::value;
use crate::proof::value::ENDLESS;
use crate::target::{Miss, Writes};

/// The shortest time that a key is set for; others are this, doubled up to seven times.
const SHORTEST_NS: u64 = 20_000;
/// Keys that a sweep looks at.
const SWEPT: u32 = 16;

/// What is done with a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Sets it, for a time.
    Set,
    /// Sets it as any other key, which is for ever.
    SetForEver,
    /// Gives it an earlier deadline.
    Shorten,
    /// Takes its deadline away.
    Persist,
}

impl WriterLoop<'_> {
    /// Tries an operation on a lease once.
    pub(super) fn lease<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let entry = self.ledger.as_ref().map(|ledger| ledger.entry(Family::Lease, task.index));
        if let Some(entry) = entry.filter(|_| self.alone) {
            self.check_lease(target, task, entry)?;
        }
        let key = &task.key;
        // What the key has now, where nobody else changes it.
        let deadline = entry.filter(|_| self.alone).map(|entry| entry.deadline());
        let until = target.time() + (SHORTEST_NS << (task.form / 8 % 8));
        let form = match (task.form % 8, deadline) {
            (4, _) => Form::SetForEver,
            (5, Some(deadline)) if deadline > until => Form::Shorten,
            // A value that says when it goes is not made to stay.
            (6, Some(_)) if entry.is_some_and(|entry| entry.set_for_ever()) => Form::Persist,
            (7, _) => {
                target.sweep(SWEPT);
                Form::Set
            }
            _ => Form::Set,
        };
        let set_until = if form == Form::SetForEver { ENDLESS } else { until };
        let value = &mut self.value[..task.len];
        value::fill_timed(value, splinter::hash_key(key), self.id, task.seq, set_until);
        let made = recorder.attempt(Op::Expire, || match form {
            Form::Set => target.set_until(key, value, until),
            Form::SetForEver => target.set(key, value),
            Form::Shorten => target.set_deadline(key, until),
            Form::Persist => target.set_deadline(key, ENDLESS),
        });
        let moves = matches!(form, Form::Shorten | Form::Persist);
        if moves && made == Err(Miss::NotFound) && deadline.is_some_and(|deadline| deadline <= target.time())
        {
            // It has expired since the look at the clock.
            return Ok(());
        }
        made?;
        match (entry, form) {
            (Some(entry), Form::Set | Form::SetForEver) => entry.note_lease(task.seq, set_until),
            (Some(entry), Form::Shorten) => entry.note_deadline(until),
            (Some(entry), Form::Persist) => entry.note_deadline(ENDLESS),
            (None, _) => {}
        }
        if !moves {
            let id = history::id(self.id, task.seq);
            recorder.record(|| self.objects.event(Family::Lease, task.index, OpKind::Write, id));
        }
        Ok(())
    }

    /// Reads a lease that only this writer changes: before its deadline it is there as it was set, from then on it is not.
    fn check_lease(&mut self, target: &impl Writes, task: &Task, entry: KeyAcks<'_>) -> Result<(), Miss> {
        let (key, deadline) = (&task.key, entry.deadline());
        let before = target.time();
        let found = match target.get(key, &mut self.buf) {
            Err(Miss::NotFound) => None,
            found => Some(found?),
        };
        let left = match target.time_left(key) {
            Err(Miss::NotFound) => Some(0),
            left => left?,
        };
        let after = target.time();
        let Some(len) = found else {
            if after < deadline {
                self.checks.faults.spurious_miss(Op::Expire, key);
            }
            return Ok(());
        };
        self.checks.leased(key, deadline, before);
        let stamp = self.checks.lease(task.index, key, &self.buf[..len], before);
        let seq = entry.set().max(1);
        let writer = if entry.last() == 0 { value::PREFILL } else { self.id };
        if let Some(stamp) = stamp.filter(|stamp| !stamp.is(writer, seq)) {
            self.stale(key, stamp, writer, seq);
        }
        let right = match left {
            None => deadline == ENDLESS,
            Some(0) => deadline <= after,
            Some(left) => deadline.saturating_sub(after) <= left && left <= deadline.saturating_sub(before),
        };
        if !right {
            let why = format!("{left:?} ns are left of deadline {deadline}, between {before} and {after}");
            self.checks.faults.unexpected(Op::Expire, key, &why);
        }
        Ok(())
    }
}
