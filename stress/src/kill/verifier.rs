//! Reads the keys of a kill test and compares what they hold with what their writers have begun and been acknowledged.
//! Readers do it all the while, and the coordinator does it after each death.

use super::ops::{
    CHURN, DIM, HOT, MIXED, ORDERS, OwnKey, PAIR, SUM, churn, hot, is_mixed, labels_after,
    order_name,
};
use super::shared_state::{Fault, KillState, WriterState};
use crate::oracle::value::{self, Stamp};
use crate::oracle::vector;
use crate::raw::Raw;
use splinter::{Error, Store, hash_key};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// What a read of a key shows of its writer's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    /// The number of the step.
    Step(u64),
    /// Its labels.
    Labels(u64),
    /// The key is missing.
    Gone,
    /// It was being rewritten during all attempts.
    Busy,
}

/// What is wrong, in kind and in words.
type Wrong = (Fault, String);

/// Reads keys, and remembers what it has read, so that nothing may go back.
pub(crate) struct Verifier<'a> {
    store: &'a Store,
    raw: &'a Raw,
    state: &'a KillState,
    /// The process in whose name faults are reported.
    process: usize,
    bytes: Vec<u8>,
    orders: Vec<Vec<u8>>,
    epochs: Vec<u64>,
    /// The last stamp that was read, by key and writer.
    stamps: HashMap<(String, u16), u64>,
    sum: u64,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(
        store: &'a Store,
        raw: &'a Raw,
        state: &'a KillState,
        process: usize,
    ) -> Self {
        Self {
            store,
            raw,
            state,
            process,
            bytes: vec![0; store.geometry().max_value_len as usize],
            orders: vec![Vec::new(); ORDERS],
            epochs: vec![0; raw.slots()],
            stamps: HashMap::new(),
            sum: 0,
        }
    }

    /// Reads everything once. Returns how many reads were answered, and how many were not.
    pub(crate) fn check_all(&mut self) -> [u64; 2] {
        let mut counts = [0, 0];
        let mut note = |answered: bool| counts[usize::from(!answered)] += 1;
        let state = self.state;
        for writer in state.writers() {
            for own in OwnKey::ALL {
                let [begun, done] = writer.steps(own);
                let low = done.load(Acquire);
                let observed = self.observed(writer.number, own);
                note(self.compare(writer, own, observed, low, || begun.load(Acquire)));
            }
        }
        for number in 0..HOT {
            note(self.check_shared(&hot(number), false));
        }
        for number in 0..CHURN {
            note(self.check_shared(&churn(number), true));
        }
        note(self.check_sum());
        note(self.check_pair());
        note(self.check_mixed());
        self.check_epochs();
        counts
    }

    /// Checks all own keys of a dead writer, and notes how far it came: an unacknowledged step was taken or was not, and
    /// stays so.
    pub(crate) fn settle(&mut self, writer: WriterState<'_>) {
        for own in OwnKey::ALL {
            self.settle_one(writer, own);
        }
    }

    /// Does so with one key.
    pub(crate) fn settle_one(&mut self, writer: WriterState<'_>, own: OwnKey) {
        let [begun, done] = writer.steps(own).map(|word| word.load(Acquire));
        let observed = self.observed(writer.number, own);
        if observed == Ok(Observed::Busy) {
            // Only the dead writer writes it.
            self.report(
                Fault::Stuck,
                &format!("{}: busy for ever", own.key(writer.number)),
            );
        }
        self.compare(writer, own, observed.clone(), done, || begun);
        let came = (done..=begun)
            .rev()
            .find(|step| fits(own, &observed, *step));
        for word in writer.steps(own) {
            word.store(came.unwrap_or(begun), Relaxed);
        }
    }

    pub(crate) fn report(&self, fault: Fault, text: &str) {
        self.state.fault(self.process, fault, text);
    }

    /// Compares a read with the steps from `low` to those that were begun after it. Returns whether the read was answered.
    fn compare(
        &mut self,
        writer: WriterState<'_>,
        own: OwnKey,
        observed: Result<Observed, Wrong>,
        low: u64,
        high: impl Fn() -> u64,
    ) -> bool {
        let key = own.key(writer.number);
        let observed = match observed {
            Ok(Observed::Busy) => return false,
            Ok(observed) => observed,
            Err((fault, text)) => {
                self.report(fault, &text);
                return true;
            }
        };
        let high = high();
        // A reader that did not run for long may see any of many steps; after a turn of the labels, all of them fit.
        let found = match observed {
            Observed::Step(step) => (low..=high).contains(&step) && !own.is_gone(step),
            _ => high - low > 200 || (low..=high).any(|step| fits(own, &Ok(observed), step)),
        };
        if !found {
            let fault = match observed {
                Observed::Gone if !own.is_gone(low) => Fault::Missing,
                _ => Fault::Lost,
            };
            let text =
                format!("{key}: {observed:?}, of steps {low} (acknowledged) to {high} (begun)");
            self.report(fault, &text);
        }
        true
    }

    /// Reads a key that one writer writes.
    fn observed(&mut self, writer: usize, own: OwnKey) -> Result<Observed, Wrong> {
        let key = own.key(writer);
        let hash = hash_key(key.as_bytes());
        let torn = |what: String| Err((Fault::Torn, format!("{key}: {what}")));
        let mine = |stamp: Stamp| {
            if usize::from(stamp.writer) == writer {
                Ok(Observed::Step(stamp.seq))
            } else {
                torn(format!("of writer {}", stamp.writer))
            }
        };
        match own {
            OwnKey::Count => sort(&key, self.store.get_u64(&key), |count| {
                Ok(Observed::Step(count))
            }),
            OwnKey::Mark => sort(&key, self.store.snapshot(&key), |slot| {
                Ok(Observed::Labels(slot.labels))
            }),
            OwnKey::Vector => {
                let mut vector = [0.0; DIM as usize];
                sort(
                    &key,
                    self.store.vector(&key, &mut vector),
                    |()| match vector::check(&vector, hash) {
                        Ok(stamp) => mine(stamp),
                        Err(_) => torn(format!("vector {vector:?}")),
                    },
                )
            }
            OwnKey::Group => {
                let answer = self.store.tandem(&key, &mut self.orders);
                let orders = &self.orders;
                sort(&key, answer, |()| mine(generation(&key, orders)?))
            }
            OwnKey::Value | OwnKey::Comes => {
                let answer = self.store.get(&key, &mut self.bytes);
                let bytes = &self.bytes;
                sort(&key, answer, |len| {
                    match value::check(&bytes[..len], hash) {
                        Ok(stamp) => mine(stamp),
                        Err(flaw) => torn(format!(
                            "{flaw:?}: {}",
                            value::describe(&bytes[..len], hash)
                        )),
                    }
                })
            }
            OwnKey::Log => {
                let answer = self.store.get(&key, &mut self.bytes);
                let bytes = &self.bytes;
                sort(&key, answer, |len| {
                    let (mut last, mut gap) = (None::<Stamp>, None);
                    let whole = value::check_pieces(&bytes[..len], hash, |stamp| {
                        if last.is_some_and(|last| last.seq + 1 != stamp.seq) {
                            gap = Some(stamp.seq);
                        }
                        last = Some(stamp);
                    });
                    match (whole, last, gap) {
                        (Ok(_), Some(last), None) => mine(last),
                        (Ok(_), _, gap) => Err((
                            Fault::Lost,
                            format!("{key}: a step is missing before {gap:?}"),
                        )),
                        (Err(flaw), last, _) => torn(format!("{flaw:?} behind {last:?}")),
                    }
                })
            }
        }
    }

    fn check_shared(&mut self, key: &str, may_be_gone: bool) -> bool {
        let answer = self.store.get(key, &mut self.bytes);
        let hash = hash_key(key.as_bytes());
        match answer {
            Ok(len) => match value::check(&self.bytes[..len], hash) {
                Ok(stamp) => self.check_order(key, stamp),
                Err(flaw) => {
                    let description = value::describe(&self.bytes[..len], hash);
                    self.report(Fault::Torn, &format!("{key}: {flaw:?}: {description}"));
                }
            },
            Err(Error::Again) => return false,
            Err(Error::NotFound) if may_be_gone => {}
            Err(Error::NotFound) => self.report(Fault::Missing, &format!("{key}: missing")),
            Err(error) => self.report(Fault::Unexpected, &format!("{key}: {error}")),
        }
        true
    }

    /// Checks that what one writer wrote to a key is no older than what was read of it before.
    fn check_order(&mut self, key: &str, stamp: Stamp) {
        let last = self.stamps.entry((key.to_owned(), stamp.writer));
        let last = last.or_insert(0);
        if stamp.seq < *last {
            let text = format!(
                "{key}: writer {} at {}, after {last}",
                stamp.writer, stamp.seq
            );
            self.report(Fault::Backwards, &text);
        } else {
            *last = stamp.seq;
        }
    }

    fn check_sum(&mut self) -> bool {
        let sum = |which: usize| -> u64 {
            let of = |writer: WriterState<'_>| writer.sum()[which].load(Acquire);
            self.state.writers().map(of).sum()
        };
        let done = sum(1);
        let now = match self.store.get_u64(SUM) {
            Ok(now) => now,
            Err(Error::Again) => return false,
            Err(Error::NotFound) => {
                self.report(Fault::Missing, "sum: missing");
                return true;
            }
            Err(error) => {
                self.report(Fault::Unexpected, &format!("sum: {error}"));
                return true;
            }
        };
        let begun = sum(0);
        if !(done..=begun).contains(&now) || now < self.sum {
            let text = format!(
                "sum: {now} after {}, of {done} acknowledged and {begun} begun",
                self.sum
            );
            self.report(Fault::Lost, &text);
        }
        self.sum = now;
        true
    }

    fn check_pair(&mut self) -> bool {
        match self.store.tandem(PAIR, &mut self.orders) {
            Ok(()) => match generation(PAIR, &self.orders) {
                Ok(stamp) => self.check_order(PAIR, stamp),
                Err((fault, text)) => self.report(fault, &text),
            },
            Err(Error::NotFound) => {}
            Err(Error::Again) => return false,
            Err(error) => self.report(Fault::Unexpected, &format!("{PAIR}: {error}")),
        }
        true
    }

    fn check_mixed(&mut self) -> bool {
        match self.store.get(MIXED, &mut self.bytes) {
            Ok(len) if is_mixed(&self.bytes[..len]) => {}
            Ok(len) => {
                let text = format!("{MIXED}: {:?}, which no writer sets", &self.bytes[..len]);
                self.report(Fault::Torn, &text);
            }
            Err(Error::Again) => return false,
            Err(Error::NotFound) => self.report(Fault::Missing, &format!("{MIXED}: missing")),
            Err(error) => self.report(Fault::Unexpected, &format!("{MIXED}: {error}")),
        }
        true
    }

    fn check_epochs(&mut self) {
        for slot in 0..self.epochs.len() {
            let (last, now) = (self.epochs[slot], self.raw.epoch(slot));
            if now < last {
                let text = format!("slot {slot}: epoch {now}, after {last}");
                self.report(Fault::Backwards, &text);
            }
            self.epochs[slot] = now;
        }
    }
}

/// Tells whether a key reads so after a step.
fn fits(own: OwnKey, observed: &Result<Observed, Wrong>, step: u64) -> bool {
    match observed {
        Ok(Observed::Step(seen)) => *seen == step && !own.is_gone(step),
        Ok(Observed::Labels(labels)) => *labels == labels_after(step),
        Ok(Observed::Gone) => own.is_gone(step),
        _ => false,
    }
}

/// Sorts an answer into what was read and what is wrong.
fn sort<T>(
    key: &str,
    answer: Result<T, Error>,
    good: impl FnOnce(T) -> Result<Observed, Wrong>,
) -> Result<Observed, Wrong> {
    match answer {
        Ok(value) => good(value),
        Err(Error::NotFound) => Ok(Observed::Gone),
        Err(Error::Again) => Ok(Observed::Busy),
        Err(error) => Err((Fault::Unexpected, format!("{key}: {error}"))),
    }
}

/// Checks a tandem: every order whole, all of one write.
fn generation(base: &str, orders: &[Vec<u8>]) -> Result<Stamp, Wrong> {
    let mut first = None;
    for (order, value) in orders.iter().enumerate() {
        let name = order_name(base, order);
        let stamp = value::check(value, hash_key(name.as_bytes()))
            .map_err(|flaw| (Fault::Torn, format!("{name}: {flaw:?}")))?;
        if *first.get_or_insert(stamp) != stamp {
            let text = format!("{name}: {stamp:?} beside {first:?} of its tandem");
            return Err((Fault::Torn, text));
        }
    }
    first.ok_or((Fault::Torn, format!("{base}: no orders")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::ops::number_of;
    use splinter::Config;

    #[test]
    fn a_value_that_no_writer_sets_is_a_fault() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let (raw, state) = (Raw::new(&store).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&store, &raw, &state, 0);
        let mut writer = store.writer().unwrap();
        for (value, torn) in [(number_of(7), 0), (7, 1)] {
            writer.set_u64(MIXED, value).unwrap();
            assert!(verifier.check_mixed());
            assert_eq!(state.faults()[Fault::Torn as usize], torn);
        }
    }
}
