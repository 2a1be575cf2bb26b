//! A writer's conditional writes, of two forms. On a *chain* each value has the number of the write before it, plus 1, and
//! is written only over that one. A *lock* is a key that is created only where there is none, and removed by the writer that
//! created it; in between, that writer alone writes it.

use super::pacing::Pace;
use super::recorder::Recorder;
use super::writer::{Held, Task, WriterLoop};
use crate::history::{self, Event, OpKind};
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::oracle::acks::KeyAcks;
use crate::proof::value;
use crate::target::{Miss, Version, Writes};
use splinter::Expect;

/// Of how many conditional writes one is of a lock.
const LOCKS: u32 = 4;

impl WriterLoop<'_> {
    /// Tries a conditional write once.
    pub(super) fn set_if<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        match (task.form % LOCKS, self.held) {
            (0, None) => self.lock(recorder, target, task),
            (0, Some(held)) if (task.form / LOCKS).is_multiple_of(2) => {
                self.write_held(recorder, target, task, held)
            }
            (0, Some(held)) => self.unlock(recorder, target, held),
            _ => self.lengthen(recorder, target, task),
        }
    }

    /// Writes the next value of a chain over the one that was read.
    fn lengthen<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let key = &task.key;
        let (len, epoch) = target.view(key, &mut self.buf)?;
        let last = self.checks.numbered(Family::Chain, task.index, key, &self.buf[..len]).unwrap_or(0);
        let (id, value) = (history::id(self.id, last + 1), &mut self.value[..task.len]);
        value::fill(value, splinter::hash_key(key), self.id, last + 1);
        let made = recorder.attempt(Op::SetIf, || target.set_if(key, value, Expect::Epoch(epoch)));
        let version = self.judge(key, Some(epoch), made)?;
        self.record_conditional(recorder, (Family::Chain, task.index), (OpKind::Set, id, task.len), version);
        if let Some(entry) = self.conditional_entry(Family::Chain, task.index) {
            entry.note_addition(1);
        }
        Ok(())
    }

    /// Creates a lock, if there is none.
    fn lock<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let held = Held { index: task.index, version: Version::default(), len: task.len };
        let made = self.fill_lock(&held, |key, value| {
            recorder.attempt(Op::SetIf, || target.set_if(key, value, Expect::Absent))
        });
        if self.alone && matches!(made, Err(Miss::Changed { .. })) {
            let key = keys::name(Family::Lock, task.index);
            self.checks.faults.unexpected(Op::SetIf, &key, "it is there, and was removed by its only writer");
        }
        let version = made?;
        self.note_lock(recorder, Held { version, ..held });
        Ok(())
    }

    /// Writes a lock that this writer holds.
    fn write_held<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
        held: Held,
    ) -> Result<(), Miss> {
        let held = Held { len: task.len, ..held };
        let made = self.fill_lock(&held, |key, value| {
            recorder.attempt(Op::SetIf, || target.set_if(key, value, Expect::Present))
        });
        // Whatever became of it, unless it is tried again.
        self.held = self.held.filter(|_| made == Err(Miss::Again));
        let version = self.judge(&keys::name(Family::Lock, held.index), Some(held.version.epoch), made)?;
        self.note_lock(recorder, Held { version, ..held });
        Ok(())
    }

    /// Removes a lock that this writer holds.
    fn unlock<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        held: Held,
    ) -> Result<(), Miss> {
        let (key, epoch) = (keys::name(Family::Lock, held.index), held.version.epoch);
        let made = recorder.attempt(Op::SetIf, || target.unset_if(&key, Expect::Epoch(epoch)));
        self.held = self.held.filter(|_| made == Err(Miss::Again));
        if let Err(Miss::Changed { epoch: now, .. }) = made {
            self.checks.faults.lost_update(&key, || {
                format!("the writer that created it left it at epoch {epoch}, and found it at {now}")
            });
        }
        let (len, version) = made?;
        self.judge(&key, Some(epoch), Ok(version))?;
        self.record_conditional(recorder, (Family::Lock, held.index), (OpKind::Unset, 0, len), version);
        if let Some(entry) = self.conditional_entry(Family::Lock, held.index) {
            entry.note_unset(entry.last() + 1);
        }
        Ok(())
    }

    /// Makes the next value of a lock, and has it written.
    fn fill_lock<R>(&mut self, held: &Held, write: impl FnOnce(&[u8], &[u8]) -> R) -> R {
        let key = keys::name(Family::Lock, held.index);
        let seq = self.next_of_lock(held.index);
        let value = &mut self.value[..held.len];
        value::fill(value, splinter::hash_key(&key), self.id, seq);
        write(&key, value)
    }

    /// Notes a value of a lock, and that this writer holds it.
    fn note_lock<P: Pace>(&mut self, recorder: &mut Recorder<'_, P>, held: Held) {
        let seq = self.next_of_lock(held.index);
        let what = (OpKind::Set, history::id(self.id, seq), held.len);
        self.record_conditional(recorder, (Family::Lock, held.index), what, held.version);
        if let Some(entry) = self.conditional_entry(Family::Lock, held.index) {
            entry.note_set(seq);
        }
        self.held = Some(held);
    }

    /// Returns the sequence of this writer's next value of a lock.
    fn next_of_lock(&self, index: u64) -> u64 {
        self.conditional_entry(Family::Lock, index).map_or(1, |entry| entry.last() + 1)
    }

    fn conditional_entry(&self, family: Family, index: u64) -> Option<KeyAcks<'_>> {
        self.ledger.as_ref().map(|ledger| ledger.entry(family, index))
    }

    /// Judges what became of a write over the version of an epoch: when it was done, nothing has come between.
    fn judge(&mut self, key: &[u8], over: Option<u64>, made: Result<Version, Miss>) -> Result<Version, Miss> {
        match &made {
            Ok(version) if over.is_some_and(|over| version.epoch != over + 2) => {
                self.checks.faults.lost_update(key, || {
                    format!("epoch {} was made of {over:?}: another write came between", version.epoch)
                });
            }
            Err(Miss::Changed { epoch, .. }) => self.checks.faults.refused(Op::SetIf, key, over, *epoch),
            _ => {}
        }
        made
    }

    fn record_conditional<P: Pace>(
        &self,
        recorder: &mut Recorder<'_, P>,
        (family, index): (Family, u64),
        (op, id, len): (OpKind, u64, usize),
        version: Version,
    ) {
        recorder.record(|| {
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            let event = self.objects.event(family, index, op, id).sized(len, len);
            Event { slot: version.slot, epoch: version.epoch, ..event }
        });
    }
}
