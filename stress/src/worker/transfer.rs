//! A writer's transaction: it moves an amount from one account of a group to another, and counts itself in the journal.
//!
//! Of four, three name what is added and taken away. The fourth reads each key for itself, and wants all of them to be as
//! they were read: when it is accepted, what it read was there at one moment, and so is what it made.

use super::pacing::Pace;
use super::recorder::Recorder;
use super::writer::{Task, WriterLoop};
use crate::history::OpKind;
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::proof::accounts::{ACCOUNTS, KEYS, number};
use crate::target::{Miss, Transfer, Writes};

/// Of how many transactions one is of keys that were read before.
const CHECKED: u32 = 4;

impl Task {
    /// Returns the accounts that a transaction takes from and gives to.
    pub(super) fn accounts(&self) -> (usize, usize) {
        let (from, further) = (self.form as usize % ACCOUNTS, self.form as usize / ACCOUNTS % (ACCOUNTS - 1));
        (1 + from, 1 + (from + 1 + further) % ACCOUNTS)
    }
}

impl WriterLoop<'_> {
    /// Tries a transaction once.
    pub(super) fn transfer<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let (from, to) = task.accounts();
        let mut transfer = Transfer { base: task.key, from, to, amount: task.amount, epochs: None };
        let mut before = None;
        if task.form.is_multiple_of(CHECKED) {
            let (mut epochs, mut balances) = ([0; KEYS], [0; KEYS]);
            for place in 0..KEYS {
                let (len, epoch) = target.view(keys::order_name(task.key, place).as_ref(), &mut self.buf)?;
                epochs[place] = epoch;
                balances[place] = number(&self.buf[..len]).unwrap_or(u64::MAX);
            }
            (transfer.epochs, before) = (Some(epochs), Some(balances));
        }
        let made = match recorder.attempt(Op::Transaction, || target.transfer(&transfer)) {
            Err(Miss::Changed { place, epoch }) => {
                self.checks.faults.refused(
                    Op::Transaction,
                    &task.key,
                    transfer.epochs.map(|it| it[place]),
                    epoch,
                );
                return Err(Miss::Changed { place, epoch });
            }
            made => made?,
        };
        if let Some(before) = before.filter(|_| self.oracle) {
            self.checks.balances(&task.key, &before[1..]);
            let expected = [
                before[0].wrapping_add(1),
                before[from].wrapping_sub(task.amount),
                before[to].wrapping_add(task.amount),
            ];
            if made != expected {
                self.checks.faults.lost_update(&task.key, || {
                    format!("a transaction of keys as they were read made {made:?}, not {expected:?}")
                });
            }
        }
        recorder.record(|| self.objects.event(Family::Account, task.index, OpKind::Add, made[0]).sized(0, 1));
        Ok(())
    }
}
