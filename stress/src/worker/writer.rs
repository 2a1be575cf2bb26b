//! The writer's loop: draw an operation and a key, make the value, try until it is no longer
//! `Again`, note what was acknowledged. An operation that finds its key gone, or an append that
//! finds it full, is followed by a set of that key. The loop is compiled once for each pace; what it consists of is inlined
//! always, since the compiler does so by itself only for functions with one caller.

use super::Assignment;
use super::pacing::Pace;
use super::reader::Samplers;
use super::recorder::Recorder;
use crate::choice::KeyChoice;
use crate::history::{self, Event, OpKind, objects::Objects};
use crate::keys::{self, Family};
use crate::length::ValueLen;
use crate::mix::{Draw, Op};
use crate::oracle::acks::{AckTable, KeyAcks};
use crate::oracle::checks::{Checks, Faults};
use crate::proof::value::{self, PREFILL, SHORTEST_ORDER, Stamp};
use crate::proof::vector;
use crate::target::{Miss, Version, Writes};
use splinter::Expect;
use splinter_harness::rng::Rng;

/// Orders of a tandem group that need no list on the heap.
const FEW_ORDERS: usize = 8;

/// A writer's state.
#[derive(Debug)]
pub(crate) struct WriterLoop<'a> {
    pub(super) id: u16,
    rng: Rng,
    draw: Draw,
    samplers: Samplers,
    pub(super) objects: Objects,
    value_len: ValueLen,
    pub(super) ledger: Option<AckTable<'a>>,
    pub(super) checks: Checks,
    /// Nobody else writes this writer's keys: what it reads must be what it last wrote.
    pub(super) alone: bool,
    may_miss: bool,
    evicts: bool,
    pub(super) oracle: bool,
    stamps_time: bool,
    pub(super) value: Vec<u8>,
    pub(super) buf: Vec<u8>,
    vector: Vec<f32>,
    orders: Vec<Vec<u8>>,
    /// A key that wants a set next.
    wants_set: Option<u64>,
    pub(super) held: Option<Held>,
}

/// A lock that a writer holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) index: u64,
    pub(super) version: Version,
    pub(super) len: usize,
}

/// An operation on its way.
pub(super) struct Task {
    pub(super) op: Op,
    pub(super) index: u64,
    pub(super) key: [u8; 8],
    /// Sequence it will have, length of its value, or the amount or labels it adds.
    pub(super) seq: u64,
    pub(super) len: usize,
    pub(super) amount: u64,
    /// Which form of the operation it is, a random number, where it has several.
    pub(super) form: u32,
}

impl<'a> WriterLoop<'a> {
    /// Prepares a writer; touches its memory.
    #[must_use]
    pub(crate) fn new(assignment: &Assignment<'a>) -> Self {
        let workload = assignment.workload;
        let len = workload.buffer_len();
        Self {
            id: u16::try_from(assignment.worker).unwrap_or(PREFILL - 1),
            rng: Rng::new(workload.seed, u64::from(assignment.worker)),
            draw: workload.mix.for_writer(),
            samplers: Samplers::new(assignment),
            objects: Objects::new(workload),
            value_len: workload.value_len.clone(),
            ledger: assignment.shared.ledger(assignment.worker),
            checks: Checks::new(workload),
            alone: workload.key_choice == KeyChoice::Own || workload.writers == 1,
            may_miss: workload.may_miss(),
            evicts: workload.evicts(),
            oracle: workload.oracle,
            stamps_time: workload.stamps_time(),
            value: vec![0x5a; len],
            // Room for an integer, too.
            buf: vec![0; len.max(8)],
            vector: vec![0.0; workload.geometry().vector_dim as usize],
            orders: vec![vec![0x5a; len]; workload.orders as usize],
            wants_set: None,
            held: None,
        }
    }

    /// Works until the run stops.
    pub(super) fn run<P: Pace>(&mut self, recorder: &mut Recorder<'_, P>, target: &mut impl Writes) {
        loop {
            let task = self.next();
            self.prepare(&task);
            if !recorder.turn() {
                return;
            }
            let outcome = loop {
                if !recorder.go_on() {
                    return;
                }
                match self.attempt(recorder, target, &task) {
                    Err(Miss::Again) => std::hint::spin_loop(),
                    outcome => break outcome,
                }
            };
            match outcome {
                Ok(()) => self.note(&task),
                Err(miss) => {
                    if miss == Miss::NotFound && task.op.family() == Family::Value {
                        let objects = &self.objects;
                        recorder.record(|| objects.event(Family::Value, task.index, OpKind::NotFound, 0));
                    }
                    self.missed(&task, &miss);
                }
            }
            if !recorder.completed() {
                return;
            }
        }
    }

    /// Ends the writer.
    pub(super) fn into_faults(self) -> Faults {
        self.checks.faults
    }

    /// Draws the next operation.
    #[inline(always)]
    fn next(&mut self) -> Task {
        let (op, index) = match self.wants_set.take() {
            Some(index) => (Op::Set, index),
            None => {
                let op = self.draw.draw(&mut self.rng);
                (op, self.samplers.draw(op, &mut self.rng))
            }
        };
        let key = keys::name(op.family(), index);
        let mut task = Task { op, index, key, seq: 0, len: 0, amount: 0, form: 0 };
        match op {
            Op::Set | Op::Append => task.len = self.value_len.draw(&mut self.rng),
            Op::Tandem => task.len = self.value_len.draw(&mut self.rng).max(SHORTEST_ORDER),
            Op::Int => task.amount = 1 + self.rng.below(8),
            Op::Label => task.amount = 1 << self.rng.below(64),
            Op::Update | Op::SetIf => {
                task.len = self.value_len.draw(&mut self.rng).max(SHORTEST_ORDER);
                (task.amount, task.form) = (1 + self.rng.below(8), self.rng.next_u64() as u32);
            }
            Op::Expire => {
                task.len = self.value_len.draw(&mut self.rng).max(value::SHORTEST_TIMED);
                task.form = self.rng.next_u64() as u32;
            }
            Op::Transaction => (task.amount, task.form) = (1 + self.rng.below(8), self.rng.next_u64() as u32),
            _ => {}
        }
        if let Some(entry) = self.entry(op, index) {
            task.seq = 1 + if op == Op::Vector { entry.vector().0 } else { entry.last() };
        }
        task
    }

    /// Makes the value that the operation will write.
    #[inline(always)]
    fn prepare(&mut self, task: &Task) {
        if !self.oracle {
            return;
        }
        match task.op {
            Op::Set | Op::Append => {
                let value = &mut self.value[..task.len];
                let hash = splinter::hash_key(&task.key);
                if self.stamps_time && task.op == Op::Set {
                    value::fill_timed(value, hash, self.id, task.seq, splinter::cycles());
                } else {
                    value::fill(value, hash, self.id, task.seq);
                }
            }
            Op::Vector => vector::fill(&mut self.vector, splinter::hash_key(&task.key), self.id, task.seq),
            Op::Tandem => {
                for (order, value) in self.orders.iter_mut().enumerate() {
                    let hash = splinter::hash_key(keys::order_name(task.key, order).as_ref());
                    value::fill(&mut value[..task.len], hash, self.id, task.seq);
                }
            }
            _ => {}
        }
    }

    /// Tries it once.
    #[inline(always)]
    fn attempt<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &mut impl Writes,
        task: &Task,
    ) -> Result<(), Miss> {
        let (key, value) = (&task.key, &self.value[..task.len.min(self.value.len())]);
        match task.op {
            Op::Set if recorder.records() => {
                let version = recorder.attempt(Op::Set, || target.set_if(key, value, Expect::Any))?;
                self.record(recorder, task, OpKind::Set, task.len, version);
                Ok(())
            }
            Op::Set => recorder.attempt(Op::Set, || target.set(key, value)),
            Op::Append => {
                let (len, version) = recorder.attempt(Op::Append, || target.append(key, value))?;
                self.record(recorder, task, OpKind::Append, len, version);
                Ok(())
            }
            Op::Int => {
                let sum = recorder.attempt(Op::Int, || target.add(key, task.amount))?;
                let size = u32::try_from(task.amount).unwrap_or(u32::MAX);
                recorder.record(|| {
                    self.objects.event(Family::Counter, task.index, OpKind::Add, sum).sized(0, size)
                });
                Ok(())
            }
            Op::Label => recorder.attempt(Op::Label, || target.label(key, task.amount)),
            Op::Unset => {
                let (len, version) = recorder.attempt(Op::Unset, || target.unset_if(key, Expect::Any))?;
                self.record(recorder, task, OpKind::Unset, len, version);
                Ok(())
            }
            Op::Vector => {
                recorder.attempt(Op::Vector, || target.set_vector(key, &self.vector))?;
                let id = history::id(self.id, task.seq);
                recorder.record(|| self.objects.vector_event(task.index, OpKind::Write, id));
                Ok(())
            }
            Op::Tandem if self.orders.len() <= FEW_ORDERS => {
                let mut few: [&[u8]; FEW_ORDERS] = [&[]; FEW_ORDERS];
                for (place, order) in few.iter_mut().zip(&self.orders) {
                    *place = &order[..task.len];
                }
                recorder.attempt(Op::Tandem, || target.set_tandem(key, &few[..self.orders.len()]))?;
                self.record_group(recorder, task);
                Ok(())
            }
            Op::Tandem => {
                let many: Vec<&[u8]> = self.orders.iter().map(|order| &order[..task.len]).collect();
                recorder.attempt(Op::Tandem, || target.set_tandem(key, &many))?;
                self.record_group(recorder, task);
                Ok(())
            }
            Op::Transaction => self.transfer(recorder, target, task),
            Op::Update => self.update(recorder, target, task),
            Op::SetIf => self.set_if(recorder, target, task),
            Op::Expire => self.lease(recorder, target, task),
            // Others are what readers do.
            _ => {
                let len = recorder.attempt(Op::Get, || target.get(key, &mut self.buf))?;
                if self.oracle {
                    let last = self.check_own(task, len);
                    recorder.record(|| self.objects.get_event(Family::Value, task.index, last, len, 0));
                }
                Ok(())
            }
        }
    }

    /// Checks a value that this writer read; where it is the only one to write the key, against its
    /// ledger too.
    #[inline(always)]
    fn check_own(&mut self, task: &Task, len: usize) -> Option<Stamp> {
        let (_, last) = self.checks.value(task.index, &task.key, &self.buf[..len])?;
        let Some(entry) = self.entry(Op::Get, task.index).filter(|_| self.alone) else {
            return Some(last);
        };
        let (writer, seq) = if entry.last() == 0 { (PREFILL, 1) } else { (self.id, entry.last()) };
        if entry.was_unset() || !last.is(writer, seq) {
            self.stale(&task.key, last, writer, seq);
        }
        Some(last)
    }

    /// Records a change of a value.
    #[inline]
    fn record<P>(
        &self,
        recorder: &mut Recorder<'_, P>,
        task: &Task,
        act: OpKind,
        len: usize,
        version: Version,
    ) where
        P: Pace,
    {
        recorder.record(|| {
            let id = history::id(self.id, task.seq);
            let event = self.objects.event(Family::Value, task.index, act, id);
            let size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            Event { slot: version.slot, epoch: version.epoch, ..event.sized(size(len), size(task.len)) }
        });
    }

    /// Records that a group was written.
    fn record_group<P: Pace>(&self, recorder: &mut Recorder<'_, P>, task: &Task) {
        let id = history::id(self.id, task.seq);
        recorder.record(|| self.objects.event(Family::Group, task.index, OpKind::Write, id));
    }

    #[cold]
    pub(super) fn stale(&mut self, key: &[u8], found: Stamp, writer: u16, seq: u64) {
        self.checks.faults.lost_update(key, || {
            format!(
                "read writer {} sequence {}, expected writer {writer} sequence {seq}",
                found.writer, found.seq
            )
        });
    }

    /// Notes what the store acknowledged.
    #[inline(always)]
    fn note(&mut self, task: &Task) {
        let Some(entry) = self.entry(task.op, task.index) else {
            return;
        };
        match task.op {
            Op::Set | Op::Tandem => entry.note_set(task.seq),
            Op::Append => entry.note_append(task.seq),
            Op::Unset => entry.note_unset(task.seq),
            Op::Vector => entry.note_vector(task.seq),
            Op::Label => entry.note_labels(task.amount),
            Op::Int | Op::Update => entry.note_addition(task.amount),
            Op::Transaction => entry.note_transfer(task.accounts(), task.amount),
            _ => {}
        }
    }

    /// Judges an operation that did not do its work, and repairs what the next one needs.
    #[cold]
    fn missed(&mut self, task: &Task, miss: &Miss) {
        let key = &task.key;
        match miss {
            // A refusal is judged where it is met.
            Miss::Again | Miss::Changed { .. } | Miss::GivenUp => {}
            Miss::NotFound if self.may_miss && task.op.family() == Family::Value => {
                let there = self.alone
                    && !self.evicts
                    && self.entry(task.op, task.index).is_some_and(|entry| !entry.was_unset());
                if there || task.op == Op::Set {
                    self.checks.faults.spurious_miss(task.op, key);
                }
                self.wants_set = Some(task.index);
            }
            Miss::NotFound => self.checks.faults.spurious_miss(task.op, key),
            Miss::TooLong if task.op == Op::Append => self.wants_set = Some(task.index),
            Miss::TooLong => self.checks.faults.unexpected(task.op, key, "value too long"),
            Miss::Other(error) => self.checks.faults.unexpected(task.op, key, error),
        }
    }

    #[inline(always)]
    fn entry(&self, op: Op, index: u64) -> Option<KeyAcks<'a>> {
        self.ledger.as_ref().map(|ledger| ledger.entry(op.family(), index))
    }
}
