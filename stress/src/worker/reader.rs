//! The reader's loop.

use super::checks::{Checks, Faults};
use super::desk::Desk;
use super::{Post, buffer_len};
use crate::choice::Sampler;
use crate::keys::{self, Family};
use crate::mix::{Draw, Op};
use crate::rng::Rng;
use crate::target::{Miss, Reads};

/// A reader's state.
#[derive(Debug)]
pub(crate) struct ReaderLoop {
    rng: Rng,
    draw: Draw,
    samplers: Samplers,
    checks: Checks,
    oracle: bool,
    may_miss: bool,
    buf: Vec<u8>,
    vector: Vec<f32>,
    orders: Vec<Vec<u8>>,
}

/// Samplers of one worker, by family.
#[derive(Clone, Debug)]
pub(super) struct Samplers {
    values: Sampler,
    counters: Sampler,
    groups: Sampler,
}

impl Samplers {
    /// Makes those of a worker.
    pub(super) fn new(post: &Post<'_>) -> Self {
        let choice = post.workload.key_choice;
        let lanes = choice == crate::choice::KeyChoice::Lanes && post.role() == super::Role::Writer;
        let keys = if lanes {
            post.workload.writer_keys(post.worker)
        } else {
            post.workload.key_sets()
        };
        let sampler = |keys: std::ops::Range<u64>| {
            if lanes {
                Sampler::Range(keys)
            } else {
                Sampler::shared(choice, keys.end)
            }
        };
        Self {
            values: sampler(keys.values),
            counters: sampler(keys.counters),
            groups: sampler(keys.groups),
        }
    }

    /// Draws a key for an operation.
    #[inline]
    pub(super) fn draw(&self, op: Op, rng: &mut Rng) -> u64 {
        match op {
            Op::Int | Op::ReadInt => self.counters.draw(rng),
            Op::Tandem | Op::ReadTandem => self.groups.draw(rng),
            _ => self.values.draw(rng),
        }
    }
}

impl ReaderLoop {
    /// Prepares a reader; touches its memory.
    #[must_use]
    pub(crate) fn new(post: &Post<'_>) -> Self {
        let workload = post.workload;
        Self {
            rng: Rng::new(workload.seed, u64::from(post.worker)),
            draw: workload.mix.for_reader(),
            samplers: Samplers::new(post),
            checks: Checks::new(workload),
            oracle: workload.oracle,
            may_miss: workload.may_miss(),
            buf: vec![0; buffer_len(workload)],
            vector: vec![0.0; workload.geometry().vector_dim as usize],
            orders: vec![Vec::with_capacity(buffer_len(workload)); workload.orders as usize],
        }
    }

    /// Reads until told to stop.
    pub(super) fn run(&mut self, desk: &mut Desk<'_>, target: &impl Reads) {
        while desk.go_on() {
            let op = self.draw.draw(&mut self.rng);
            let index = self.samplers.draw(op, &mut self.rng);
            let outcome = match op {
                Op::ReadInt => self.read_int(desk, target, index),
                Op::ReadTandem => self.read_tandem(desk, target, index),
                Op::ReadVector => self.read_vector(desk, target, index),
                _ => self.get(desk, target, index),
            };
            if outcome != Err(Miss::Again) && !desk.completed() {
                break;
            }
        }
    }

    /// Ends the reader.
    pub(super) fn into_faults(self) -> Faults {
        self.checks.faults
    }

    #[inline]
    fn get(&mut self, desk: &mut Desk<'_>, target: &impl Reads, index: u64) -> Result<(), Miss> {
        let key = keys::name(Family::Value, index);
        let len = desk
            .attempt(Op::Get, || target.get(&key, &mut self.buf))
            .inspect_err(|miss| self.missed(Op::Get, &key, miss, self.may_miss))?;
        if self.oracle {
            self.checks.value(index, &key, &self.buf[..len]);
        }
        Ok(())
    }

    #[inline]
    fn read_int(
        &mut self,
        desk: &mut Desk<'_>,
        target: &impl Reads,
        index: u64,
    ) -> Result<(), Miss> {
        let key = keys::name(Family::Counter, index);
        let value = desk
            .attempt(Op::ReadInt, || target.read_int(&key))
            .inspect_err(|miss| self.missed(Op::ReadInt, &key, miss, false))?;
        if self.oracle {
            self.checks.integer(index, &key, value);
        }
        Ok(())
    }

    fn read_tandem(
        &mut self,
        desk: &mut Desk<'_>,
        target: &impl Reads,
        index: u64,
    ) -> Result<(), Miss> {
        let key = keys::name(Family::Group, index);
        desk.attempt(Op::ReadTandem, || {
            target.read_tandem(&key, &mut self.orders)
        })
        .inspect_err(|miss| self.missed(Op::ReadTandem, &key, miss, false))?;
        if self.oracle {
            self.checks.group(index, key, &self.orders);
        }
        Ok(())
    }

    fn read_vector(
        &mut self,
        desk: &mut Desk<'_>,
        target: &impl Reads,
        index: u64,
    ) -> Result<(), Miss> {
        let key = keys::name(Family::Value, index);
        // A set drops the vector, so it may well not be there.
        desk.attempt(Op::ReadVector, || {
            target.read_vector(&key, &mut self.vector)
        })
        .inspect_err(|miss| self.missed(Op::ReadVector, &key, miss, true))?;
        if self.oracle {
            self.checks.vector(&key, &self.vector);
        }
        Ok(())
    }

    fn missed(&mut self, op: Op, key: &[u8], miss: &Miss, may_miss: bool) {
        match miss {
            Miss::Again => {}
            Miss::NotFound if may_miss => {}
            Miss::NotFound => self.checks.faults.spurious_miss(op, key),
            Miss::TooLong => self.checks.faults.unexpected(op, key, "value too long"),
            Miss::Other(error) => self.checks.faults.unexpected(op, key, error),
        }
    }
}
