//! A writer's update: it adds to the tally that a value holds, by a function that the store calls with the old value.
//!
//! Of sixteen functions one fails and one panics, both after they have made a value. A tally that they left behind would
//! be far from the sum.

use super::pacing::Pace;
use super::recorder::Recorder;
use super::writer::{Task, WriterLoop};
use crate::history::OpKind;
use crate::keys::Family;
use crate::mix::Op;
use crate::proof::value;
use crate::target::{Miss, Writes};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How many forms of an update there are: one fails, one panics.
const FORMS: u32 = 16;
const FAILS: u32 = 0;
const PANICS: u32 = 1;

/// What a function panics with.
struct Planned;

impl WriterLoop<'_> {
    /// Tries an update once.
    pub(super) fn update<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let (hash, form, buf) = (splinter::hash_key(&task.key), task.form % FORMS, &mut self.buf);
        let mut found = None;
        let change = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            let old = old.ok_or(Miss::NotFound)?;
            buf[..old.len()].copy_from_slice(old);
            found = Some(old.len());
            let tally = value::check(old, hash).map_or(0, |stamp| stamp.seq) + task.amount;
            let gives_up = [FAILS, PANICS].contains(&form);
            new.resize(task.len, 0);
            value::fill(new, hash, self.id, if gives_up { value::MAX_SEQ - task.amount } else { tally });
            match form {
                FAILS => Err(Miss::GivenUp),
                PANICS => resume_unwind(Box::new(Planned)),
                _ => Ok(tally),
            }
        };
        let made = recorder.attempt(Op::Update, || {
            catch_unwind(AssertUnwindSafe(|| target.update(&task.key, change))).unwrap_or_else(|panic| {
                if panic.is::<Planned>() { Err(Miss::GivenUp) } else { resume_unwind(panic) }
            })
        });
        if let Some(len) = found.filter(|_| self.oracle) {
            self.checks.numbered(Family::Tally, task.index, &task.key, &self.buf[..len]);
        }
        let tally = made?;
        if form <= PANICS {
            self.checks.faults.unexpected(Op::Update, &task.key, "its function gave up, and it was done");
        }
        let size = u32::try_from(task.amount).unwrap_or(u32::MAX);
        recorder.record(|| self.objects.event(Family::Tally, task.index, OpKind::Add, tally).sized(0, size));
        Ok(())
    }
}
