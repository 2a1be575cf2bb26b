//! The reader's loop.

use super::Assignment;
use super::batch::Batch;
use super::pacing::Pace;
use super::recorder::Recorder;
use crate::choice::Sampler;
use crate::history::{self, OpKind, objects::Objects};
use crate::keys::{self, Family};
use crate::mix::{Draw, Op};
use crate::oracle::checks::{Checks, Faults};
use crate::proof::accounts;
use crate::proof::value;
use crate::target::{Miss, Reads};
use splinter_harness::rng::Rng;

/// Reads by copying between two reads by a view.
const VIEWS: u32 = 3;

/// Of how many reads of what is written conditionally one is of a lock.
const LOCKS: u64 = 4;

/// A reader's state.
#[derive(Debug)]
pub(crate) struct ReaderLoop {
    rng: Rng,
    draw: Draw,
    samplers: Samplers,
    objects: Objects,
    /// Reads until the next that goes by a view, while there is a history.
    until_view: u32,
    checks: Checks,
    oracle: bool,
    may_miss: bool,
    batch: Option<Batch>,
    buf: Vec<u8>,
    vector: Vec<f32>,
    orders: Vec<Vec<u8>>,
    accounts: [Vec<u8>; accounts::KEYS],
}

/// Samplers of one worker, by family.
#[derive(Clone, Debug)]
pub(super) struct Samplers([Sampler; Family::ALL.len()]);

impl Samplers {
    /// Makes those of a worker.
    pub(super) fn new(assignment: &Assignment<'_>) -> Self {
        let choice = assignment.workload.key_choice;
        let own = choice == crate::choice::KeyChoice::Own && assignment.role() == super::Role::Writer;
        let keys = if own {
            assignment.workload.writer_keys(assignment.worker)
        } else {
            assignment.workload.key_sets()
        };
        Self(Family::ALL.map(|family| match keys.of(family) {
            keys if own => Sampler::Range(keys),
            keys => Sampler::shared(choice, keys.end),
        }))
    }

    /// Draws a key for an operation.
    #[inline(always)]
    pub(super) fn draw(&self, op: Op, rng: &mut Rng) -> u64 {
        self.0[op.family() as usize].draw(rng)
    }
}

impl ReaderLoop {
    /// Prepares a reader; touches its memory.
    #[must_use]
    pub(crate) fn new(assignment: &Assignment<'_>) -> Self {
        let workload = assignment.workload;
        Self {
            rng: Rng::new(workload.seed, u64::from(assignment.worker)),
            draw: workload.mix.for_reader(),
            samplers: Samplers::new(assignment),
            objects: Objects::new(workload),
            until_view: 0,
            checks: Checks::new(workload),
            oracle: workload.oracle,
            may_miss: workload.may_miss(),
            batch: Batch::new(assignment),
            buf: vec![0; workload.buffer_len()],
            vector: vec![0.0; workload.geometry().vector_dim as usize],
            orders: vec![Vec::with_capacity(workload.buffer_len()); workload.orders as usize],
            accounts: std::array::from_fn(|_| Vec::with_capacity(8)),
        }
    }

    /// Reads until the run stops.
    pub(super) fn run<P: Pace>(&mut self, recorder: &mut Recorder<'_, P>, target: &impl Reads) {
        while recorder.turn() && recorder.go_on() {
            let op = self.draw.draw(&mut self.rng);
            if op == Op::Get
                && let Some(batch) = self.batch.take()
            {
                if !self.get_many(recorder, target, batch) {
                    break;
                }
                continue;
            }
            let index = self.samplers.draw(op, &mut self.rng);
            let key = keys::name(op.family(), index);
            let outcome = self.read(recorder, target, op, index, &key);
            if let Err(miss) = &outcome {
                self.missed(op, &key, miss);
            }
            if outcome != Err(Miss::Again) && !recorder.completed() {
                break;
            }
        }
    }

    /// Ends the reader.
    pub(super) fn into_faults(self) -> Faults {
        self.checks.faults
    }

    /// Reads a key, checks the answer, and records it if there is to be a history.
    #[inline(always)]
    fn read<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &impl Reads,
        op: Op,
        index: u64,
        key: &[u8; 8],
    ) -> Result<(), Miss> {
        match op {
            Op::ReadInt => {
                let value = recorder.attempt(op, || target.read_int(key))?;
                if self.oracle {
                    self.checks.integer(index, key, value);
                    recorder.record(|| self.objects.event(Family::Counter, index, OpKind::GetNumber, value));
                }
            }
            Op::ReadTandem => {
                recorder.attempt(op, || target.read_tandem(key, &mut self.orders))?;
                if self.oracle {
                    let id = history::objects::name(self.checks.group(index, *key, &self.orders));
                    recorder.record(|| self.objects.event(Family::Group, index, OpKind::Read, id));
                }
            }
            Op::ReadTransaction => {
                recorder.attempt(op, || target.read_tandem(key, &mut self.accounts))?;
                if self.oracle {
                    let number = self.checks.accounts(index, key, &self.accounts);
                    let number = number.unwrap_or(history::objects::UNKNOWN);
                    recorder.record(|| self.objects.event(Family::Account, index, OpKind::GetNumber, number));
                }
            }
            Op::ReadUpdate => {
                let len = recorder.attempt(op, || target.get(key, &mut self.buf))?;
                if self.oracle {
                    let tally = self.checks.numbered(Family::Tally, index, key, &self.buf[..len]);
                    let tally = tally.unwrap_or(history::objects::UNKNOWN);
                    recorder.record(|| self.objects.event(Family::Tally, index, OpKind::GetNumber, tally));
                }
            }
            Op::ReadSetIf if self.rng.below(LOCKS) == 0 => {
                let key = keys::name(Family::Lock, index);
                let got = recorder.attempt(op, || target.view(&key, &mut self.buf));
                if got == Err(Miss::NotFound) {
                    // Nobody holds it.
                    recorder.record(|| self.objects.event(Family::Lock, index, OpKind::NotFound, 0));
                    return Ok(());
                }
                let (len, epoch) = got?;
                if self.oracle {
                    let stamp = self.checks.stamped(Family::Lock, index, &key, &self.buf[..len]);
                    recorder.record(|| self.objects.get_event(Family::Lock, index, stamp, len, epoch));
                }
            }
            Op::ReadSetIf => {
                let (len, epoch) = recorder.attempt(op, || target.view(key, &mut self.buf))?;
                if self.oracle {
                    let value = &self.buf[..len];
                    let last = self.checks.numbered(Family::Chain, index, key, value);
                    let stamp = last.and_then(|_| value::check(value, splinter::hash_key(key)).ok());
                    recorder.record(|| self.objects.get_event(Family::Chain, index, stamp, len, epoch));
                }
            }
            Op::ReadExpire => {
                let before = if self.oracle { target.time() } else { 0 };
                let got = recorder.attempt(op, || target.get(key, &mut self.buf));
                if got == Err(Miss::NotFound) {
                    return Ok(());
                }
                let len = got?;
                if self.oracle {
                    let stamp = self.checks.lease(index, key, &self.buf[..len], before);
                    let id = history::objects::name(stamp);
                    recorder.record(|| self.objects.event(Family::Lease, index, OpKind::Read, id));
                }
            }
            Op::ReadVector => {
                recorder.attempt(op, || target.read_vector(key, &mut self.vector))?;
                if self.oracle {
                    let id = history::objects::name(self.checks.vector(key, &self.vector));
                    recorder.record(|| self.objects.vector_event(index, OpKind::Read, id));
                }
            }
            _ => {
                let got = if recorder.records() && self.wants_view() {
                    recorder.attempt(op, || target.view(key, &mut self.buf))
                } else {
                    recorder.attempt(op, || target.get(key, &mut self.buf).map(|len| (len, 0)))
                };
                if got == Err(Miss::NotFound) {
                    recorder.record(|| self.objects.event(Family::Value, index, OpKind::NotFound, 0));
                }
                let (len, epoch) = got?;
                if self.oracle {
                    let stamps = self.checks.value(index, key, &self.buf[..len]);
                    let last = stamps.map(|(_, last)| last);
                    recorder.record(|| self.objects.get_event(Family::Value, index, last, len, epoch));
                }
            }
        }
        Ok(())
    }

    /// Gets many values in one call. Tells whether to go on.
    fn get_many<P: Pace>(
        &mut self,
        recorder: &mut Recorder<'_, P>,
        target: &impl Reads,
        mut batch: Batch,
    ) -> bool {
        let (samplers, rng) = (&self.samplers, &mut self.rng);
        let count = batch.get(recorder, target, || samplers.draw(Op::Get, rng));
        let mut go_on = true;
        for place in 0..count {
            let (index, key, value) = batch.answer(place);
            match value {
                Ok(value) if self.oracle => drop(self.checks.value(index, key, value)),
                Ok(_) => {}
                Err(miss) => self.missed(Op::Get, key, miss),
            }
            if value != Err(&Miss::Again) {
                go_on &= recorder.completed();
            }
        }
        self.batch = Some(batch);
        go_on
    }

    /// Tells whether the next read is to go by a view: one of a few, so that both ways of reading have a part in
    /// the history.
    #[inline(always)]
    fn wants_view(&mut self) -> bool {
        self.until_view = self.until_view.checked_sub(1).unwrap_or(VIEWS);
        self.until_view == 0
    }

    #[cold]
    fn missed(&mut self, op: Op, key: &[u8], miss: &Miss) {
        match miss {
            Miss::Again => {}
            // A set drops the vector, so it may well not be there.
            Miss::NotFound if op == Op::ReadVector || op == Op::Get && self.may_miss => {}
            Miss::NotFound => self.checks.faults.spurious_miss(op, key),
            Miss::TooLong | Miss::Changed { .. } | Miss::GivenUp => {
                self.checks.faults.unexpected(op, key, &format!("{miss:?}"));
            }
            Miss::Other(error) => self.checks.faults.unexpected(op, key, error),
        }
    }
}
