//! The loop of a writer process, which ends only when the process is killed. Of each step on a key of its own, the writer
//! notes the beginning and the acknowledgement in the shared state, where its death cannot reach them.

use super::cache;
use super::ops::{
    ACCOUNT_COUNT, ACCOUNTS, CHURN, DIM, HOT, MIXED, ORDERS, OWN_KEYS, Op, OwnKey, PAIR, SUM, TALLY, TEXT,
    alternate, churn, fill, hot, labels_after, number_of, once, order_name,
};
use super::shared_state::WriterState;
use crate::proof::{value, vector};
use splinter::{Error, Expect, IntegerOp, Lifetime, Transaction, Type, Writer, hash_key};
use splinter_harness::rng::{Rng, splitmix64};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

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
    pub(crate) fn run(&mut self, writer: &mut Writer, cache: &mut Writer) -> String {
        let _ = self.remove_last(writer);
        loop {
            let op = Op::draw(&mut self.rng);
            let [done, again] = self.state.count(op);
            let answer = match op {
                Op::Cache => cache::insert(cache, self.state, &mut self.rng),
                op => self.perform(writer, op),
            };
            match answer {
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
            Op::Sum => add(self.state.sum(), || writer.integer(SUM, IntegerOp::Inc(1)).map(drop)),
            Op::Tally => add(self.state.tally(), || add_to_tally(writer, self.rng.below(2) == 0)),
            Op::Transfer => self.transfer(writer),
            Op::SweepExpired => writer.sweep_expired(self.rng.below(8) as u32).map(drop),
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
            _ if own.is_gone(step) && own == OwnKey::Comes => writer.unset(key).map(drop),
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
            OwnKey::Several => self.commit_step(writer, key, step),
            OwnKey::Lasts => {
                let value = fill(&mut self.bytes[0], len, key, number, step);
                let (far, passed) = (Lifetime::For(Duration::MAX), Lifetime::Until(0));
                match step % 4 {
                    1 => writer.set_with(key, value, Expect::Absent, far).map(drop),
                    2 => writer.set_lifetime(key, passed),
                    3 => writer.set_if(key, value, Expect::Absent).map(drop),
                    _ => writer.set_with(key, value, Expect::Present, passed).map(drop),
                }
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

    /// Takes a step with several keys at once.
    fn commit_step(&mut self, writer: &mut Writer, key: &str, step: u64) -> Result<(), Error> {
        let names: [String; ORDERS] = std::array::from_fn(|order| order_name(key, order));
        for (order, name) in names.iter().enumerate() {
            let len = self.len(step + order as u64);
            fill(&mut self.bytes[order], len, name, self.state.number, step);
        }
        let further = alternate(key);
        let mut transaction = Transaction::new();
        let first = transaction.key(&names[0]).expect(Expect::Present).set(&self.bytes[0]);
        first.unlabel(labels_after(step - 1)).label(labels_after(step));
        transaction.key(&names[1]).integer(IntegerOp::Inc(1));
        transaction.key(&names[2]).set(&self.bytes[2]);
        match step.is_multiple_of(2) {
            true => transaction.key(&further).expect(Expect::Absent).set(b"even"),
            false => transaction.key(&further).expect(Expect::Present).unset(),
        };
        writer.commit(&transaction)?;
        Ok(())
    }

    /// Moves an amount from one account to another.
    fn transfer(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let from = self.rng.index(ACCOUNT_COUNT);
        let to = (from + 1 + self.rng.index(ACCOUNT_COUNT - 1)) % ACCOUNT_COUNT;
        let [from, to] = [from, to].map(|account| order_name(ACCOUNTS, account));
        let amount = self.rng.below(1000);
        let mut transaction = Transaction::new();
        transaction.key(&from).integer(IntegerOp::Dec(amount));
        transaction.key(&to).integer(IntegerOp::Inc(amount));
        writer.commit(&transaction)?;
        Ok(())
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

/// Counts an addition. If the writer is killed in it, the first counter stays ahead: it may have happened or not.
fn add([begun, done]: [&AtomicU64; 2], addition: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    begun.fetch_add(1, Release);
    let answer = addition();
    match answer {
        Ok(()) => done.fetch_add(1, Release),
        Err(_) => begun.fetch_sub(1, Release),
    };
    answer
}

/// Adds one to the tally, by a function of it or if nobody has changed it since it was read.
fn add_to_tally(writer: &mut Writer, by_function: bool) -> Result<(), Error> {
    let more = |bytes: &[u8]| -> Result<[u8; 8], Error> {
        let tally = bytes.try_into().map(u64::from_le_bytes).map_err(|_| Error::WrongType)?;
        Ok((tally + 1).to_le_bytes())
    };
    if by_function {
        return writer.update(TALLY, |old, new| {
            new.extend(more(old.ok_or(Error::NotFound)?)?);
            Ok(())
        });
    }
    let mut bytes = [0; 8];
    let read = writer.get_entry(TALLY, &mut bytes)?;
    match writer.set_if(TALLY, &more(&bytes[..read.len])?, Expect::Epoch(read.version.epoch)) {
        Err(Error::Changed { .. }) => Err(Error::Again),
        answer => answer.map(drop),
    }
}

fn missing_is_fine(answer: Result<usize, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
