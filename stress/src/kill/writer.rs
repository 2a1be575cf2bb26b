//! The loop of a writer process, which ends only when the process is killed. Of each step on a key of its own, the writer
//! notes the beginning and the acknowledgement in the shared state, where its death cannot reach them.

use super::ops::{
    CHURN, DIM, HOT, MIXED, ORDERS, OWN_KEYS, Op, OwnKey, PAIR, SUM, TEXT, churn, fill, hot, labels_after,
    number_of, once, order_name,
};
use super::shared_state::WriterState;
use crate::proof::{value, vector};
use splinter::{Error, IntegerOp, Type, Writer, hash_key};
use splinter_harness::rng::{Rng, splitmix64};
use std::rc::Rc;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// The shortest value.
const SHORTEST: u64 = value::HEADER as u64;

/// What a writer does, and its buffers.
pub(crate) struct WriterLoop<'b> {
    state: WriterState<'b>,
    rng: Rng,
    keys: [Rc<str>; OWN_KEYS],
    longest: u64,
    bytes: [Vec<u8>; ORDERS],
    vector: [f32; DIM as usize],
}

impl<'b> WriterLoop<'b> {
    /// Prepares the loop. The same `seed` and `stream` draw the same operations.
    pub(crate) fn new(state: WriterState<'b>, longest: u64, seed: u64, stream: u64) -> Self {
        Self {
            state,
            rng: Rng::new(seed, stream),
            keys: OwnKey::ALL.map(|own| own.key(state.number).into()),
            longest,
            bytes: [const { Vec::new() }; ORDERS],
            vector: [0.0; DIM as usize],
        }
    }

    /// Writes until it is killed. Returns the first error that no operation may have, in words.
    pub(crate) fn run(&mut self, writer: &mut Writer) -> String {
        let _ = self.remove_last(writer);
        loop {
            let op = Op::draw(&mut self.rng);
            let [done, again] = self.state.count(op);
            match self.perform(writer, op) {
                Ok(()) => done.fetch_add(1, Relaxed),
                // Another writer holds the room for a moment, or a dead one until a writer recovers it.
                Err(Error::Again | Error::Full) => again.fetch_add(1, Relaxed),
                Err(error) => {
                    return format!("writer {}: {}: {error}", self.state.number, op.name());
                }
            };
        }
    }

    /// Does one operation.
    ///
    /// # Errors
    /// Why it was not done; a key of its own is then unchanged.
    pub(crate) fn perform(&mut self, writer: &mut Writer, op: Op) -> Result<(), Error> {
        if let Some(own) = OwnKey::ALL.get(op as usize) {
            return self.step(writer, *own);
        }
        match op {
            Op::Hot => {
                let key = hot(self.rng.below(HOT));
                self.set_shared(writer, &key)
            }
            Op::Churn => {
                let key = churn(self.rng.below(CHURN));
                if self.rng.below(2) == 0 {
                    missing_is_fine(writer.unset(&key))
                } else {
                    self.set_shared(writer, &key)
                }
            }
            Op::Once => {
                self.remove_last(writer)?;
                let number = self.state.once().fetch_add(1, Relaxed) + 1;
                self.set_shared(writer, &once(self.state.number, number))
            }
            Op::Sum => {
                // If this writer is killed here, "begun" stays ahead: the addition may have happened or not.
                let [begun, done] = self.state.sum();
                begun.fetch_add(1, Release);
                match writer.integer(SUM, IntegerOp::Inc(1)) {
                    Ok(_) => done.fetch_add(1, Release),
                    Err(error) => {
                        begun.fetch_sub(1, Release);
                        return Err(error);
                    }
                };
                Ok(())
            }
            Op::Pair if self.rng.below(4) == 0 => missing_is_fine(writer.unset_tandem(PAIR, ORDERS)),
            Op::Pair => {
                let stamp = self.state.next_stamp();
                self.set_orders(writer, PAIR, stamp)
            }
            Op::Mixed => self.set_mixed(writer),
            Op::Metadata => self.change_metadata(writer),
            _ => writer.purge().map(drop),
        }
    }

    /// Sets a key that others set, too.
    pub(crate) fn set_shared(&mut self, writer: &mut Writer, key: &str) -> Result<(), Error> {
        let stamp = self.state.next_stamp();
        let len = self.len(stamp);
        writer.set(key, fill(&mut self.bytes[0], len, key, self.state.number, stamp))
    }

    /// Takes the next step on a key of its own.
    fn step(&mut self, writer: &mut Writer, own: OwnKey) -> Result<(), Error> {
        let [begun, done] = self.state.steps(own);
        let step = done.load(Relaxed) + 1;
        begun.store(step, Release);
        let answer = self.attempt(writer, own, step);
        match answer {
            Ok(()) => done.store(step, Release),
            Err(_) => begun.store(step - 1, Release),
        }
        answer
    }

    fn attempt(&mut self, writer: &mut Writer, own: OwnKey, step: u64) -> Result<(), Error> {
        let key = &*Rc::clone(&self.keys[own as usize]);
        let (number, len) = (self.state.number, self.len(step));
        match own {
            _ if own.is_gone(step) && own == OwnKey::Group => match writer.unset_tandem(key, ORDERS) {
                Ok(ORDERS) => Ok(()),
                Ok(_) => Err(Error::NotFound),
                Err(error) => Err(error),
            },
            _ if own.is_gone(step) => writer.unset(key).map(drop),
            OwnKey::Value | OwnKey::Comes => {
                writer.set(key, fill(&mut self.bytes[0], len, key, number, step))
            }
            OwnKey::Log => {
                let piece = fill(&mut self.bytes[0], SHORTEST + step % 200, key, number, step);
                match writer.append(key, piece) {
                    Err(Error::ValueTooLong) => writer.set(key, piece),
                    answer => answer.map(drop),
                }
            }
            OwnKey::Count => writer.integer(key, IntegerOp::Inc(1)).map(drop),
            OwnKey::Group => self.set_orders(writer, key, step),
            OwnKey::Vector => {
                vector::fill(&mut self.vector, hash_key(key.as_bytes()), number as u16, step);
                writer.set_vector(key, &self.vector)
            }
            OwnKey::Mark if labels_after(step) != 0 => writer.label(key, labels_after(step)),
            OwnKey::Mark => writer.unlabel(key, labels_after(step - 1)),
        }
    }

    fn set_orders(&mut self, writer: &mut Writer, base: &str, stamp: u64) -> Result<(), Error> {
        let number = self.state.number;
        for order in 0..ORDERS {
            let len = self.len(stamp + order as u64);
            fill(&mut self.bytes[order], len, &order_name(base, order), number, stamp);
        }
        writer.set_tandem(base, &self.bytes.each_ref().map(Vec::as_slice))
    }

    fn set_mixed(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let number = number_of(self.rng.next_u64());
        let answer = match self.rng.below(6) {
            0 => writer.set_u64(MIXED, number),
            1 => writer.set(MIXED, TEXT.as_bytes()),
            2 => writer.set(MIXED, &number.to_le_bytes()),
            3 => writer.integer(MIXED, IntegerOp::Not).map(drop),
            4 => writer.set_type(MIXED, Type::VarText),
            _ => writer.set_type(MIXED, Type::BigUint),
        };
        // Text is no integer until it is made one: so it was set.
        if answer == Err(Error::WrongType) {
            return Ok(());
        }
        answer
    }

    fn change_metadata(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let (key, number) = (hot(self.rng.below(HOT)), self.rng.next_u64());
        match self.rng.below(6) {
            0 => writer.bump(&key),
            1 => writer.set_type(&key, [Type::Json, Type::Binary][number as usize % 2]),
            2 => writer.set_ctime(&key, number, 1),
            3 => writer.set_slot_flags(&key, number as u16).map(drop),
            4 => writer.clear_slot_flags(&key, number as u16).map(drop),
            _ => writer.label(&key, 1 << (number % 64)),
        }
    }

    /// Removes the last key that was used once, which a writer before this one may have left.
    fn remove_last(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let number = self.state.once().load(Relaxed);
        missing_is_fine(writer.unset(once(self.state.number, number)))
    }

    /// Returns the length of the value with this number: short ones mostly, and some as long as can be.
    fn len(&self, stamp: u64) -> u64 {
        let mut state = stamp;
        let draw = splitmix64(&mut state);
        let upper = match draw % 8 {
            0..4 => 512,
            4..7 => 4096,
            _ => self.longest,
        };
        SHORTEST + (draw >> 8) % (upper.min(self.longest) - SHORTEST + 1)
    }
}

fn missing_is_fine(answer: Result<usize, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
