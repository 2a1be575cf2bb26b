//! Looking at the keys of a storm and judging what they hold: each time against what their writers have
//! begun and been acknowledged. Readers do it all the while, and who kills does it after each death.

use super::board::{Board, Fault, Seat};
use super::desk::{
    CHURN, DIM, HOT, MIXED, ORDERS, Own, PAIR, SUM, churn, hot, is_mixed, labels_after, order_name,
};
use crate::oracle::body::{self, Stamp};
use crate::oracle::vector;
use crate::raw::Raw;
use splinter::{Error, Store, hash_key};
use std::collections::HashMap;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// What a key shows of its writer's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// The number of the step.
    Step(u64),
    /// Its labels.
    Labels(u64),
    /// The key is missing.
    Gone,
    /// It was rewritten all the while.
    Busy,
}

/// What is wrong, in kind and in words.
type Wrong = (Fault, String);

/// One who looks, and remembers what it saw.
pub(crate) struct Eyes<'a> {
    store: &'a Store,
    raw: &'a Raw,
    board: &'a Board,
    /// Where faults are told of.
    place: usize,
    bytes: Vec<u8>,
    orders: Vec<Vec<u8>>,
    epochs: Vec<u64>,
    /// By key and seat, the last stamp that was seen.
    stamps: HashMap<(String, u16), u64>,
    sum: u64,
}

impl<'a> Eyes<'a> {
    pub(crate) fn new(store: &'a Store, raw: &'a Raw, board: &'a Board, place: usize) -> Self {
        Self {
            store,
            raw,
            board,
            place,
            bytes: vec![0; store.geometry().max_value_len as usize],
            orders: vec![Vec::new(); ORDERS],
            epochs: vec![0; raw.slots()],
            stamps: HashMap::new(),
            sum: 0,
        }
    }

    /// Looks at everything once. Returns how many looks were answered, and how many were not.
    pub(crate) fn look_around(&mut self) -> [u64; 2] {
        let mut counts = [0, 0];
        let mut note = |answered: bool| counts[usize::from(!answered)] += 1;
        let board = self.board;
        for seat in board.seats() {
            for own in Own::ALL {
                let [begun, done] = seat.own(own);
                let low = done.load(Acquire);
                let sight = self.sight(seat.number, own);
                note(self.judge(seat, own, sight, low, || begun.load(Acquire)));
            }
        }
        for number in 0..HOT {
            note(self.look_at_shared(&hot(number), false));
        }
        for number in 0..CHURN {
            note(self.look_at_shared(&churn(number), true));
        }
        note(self.look_at_sum());
        note(self.look_at_pair());
        note(self.look_at_mixed());
        self.look_at_epochs();
        counts
    }

    /// Judges all keys of a seat whose writer is dead, and notes how far it came: an unacknowledged step
    /// was taken or was not, and stays so.
    pub(crate) fn settle(&mut self, seat: Seat<'_>) {
        for own in Own::ALL {
            self.settle_one(seat, own);
        }
    }

    /// Does so with one key.
    pub(crate) fn settle_one(&mut self, seat: Seat<'_>, own: Own) {
        let [begun, done] = seat.own(own).map(|word| word.load(Acquire));
        let sight = self.sight(seat.number, own);
        if sight == Ok(Sight::Busy) {
            // Nobody writes it but the dead.
            self.tell(
                Fault::Stuck,
                &format!("{}: busy for ever", own.key(seat.number)),
            );
        }
        self.judge(seat, own, sight.clone(), done, || begun);
        let came = (done..=begun).rev().find(|step| fits(own, &sight, *step));
        for word in seat.own(own) {
            word.store(came.unwrap_or(begun), Relaxed);
        }
    }

    pub(crate) fn tell(&self, fault: Fault, text: &str) {
        self.board.fault(self.place, fault, text);
    }

    /// Judges what was seen, by steps from `low` on and those that were begun by then. Returns whether
    /// anything was seen.
    fn judge(
        &mut self,
        seat: Seat<'_>,
        own: Own,
        sight: Result<Sight, Wrong>,
        low: u64,
        high: impl Fn() -> u64,
    ) -> bool {
        let key = own.key(seat.number);
        let sight = match sight {
            Ok(Sight::Busy) => return false,
            Ok(sight) => sight,
            Err((fault, text)) => {
                self.tell(fault, &text);
                return true;
            }
        };
        let high = high();
        // Who was away for long saw one of many; more than a turn of the labels ago tells nothing.
        let found = match sight {
            Sight::Step(step) => (low..=high).contains(&step) && !own.is_gone(step),
            _ => high - low > 200 || (low..=high).any(|step| fits(own, &Ok(sight), step)),
        };
        if !found {
            let fault = match sight {
                Sight::Gone if !own.is_gone(low) => Fault::Missing,
                _ => Fault::Lost,
            };
            let text = format!("{key}: {sight:?}, of steps {low} (acknowledged) to {high} (begun)");
            self.tell(fault, &text);
        }
        true
    }

    /// Looks at a key that one seat writes.
    fn sight(&mut self, seat: usize, own: Own) -> Result<Sight, Wrong> {
        let key = own.key(seat);
        let hash = hash_key(key.as_bytes());
        let torn = |what: String| Err((Fault::Torn, format!("{key}: {what}")));
        let mine = |stamp: Stamp| {
            if usize::from(stamp.writer) == seat {
                Ok(Sight::Step(stamp.seq))
            } else {
                torn(format!("of writer {}", stamp.writer))
            }
        };
        match own {
            Own::Count => seen(&key, self.store.get_u64(&key), |count| {
                Ok(Sight::Step(count))
            }),
            Own::Mark => seen(&key, self.store.snapshot(&key), |slot| {
                Ok(Sight::Labels(slot.labels))
            }),
            Own::Vector => {
                let mut vector = [0.0; DIM as usize];
                seen(
                    &key,
                    self.store.vector(&key, &mut vector),
                    |()| match vector::check(&vector, hash) {
                        Ok(stamp) => mine(stamp),
                        Err(_) => torn(format!("vector {vector:?}")),
                    },
                )
            }
            Own::Group => {
                let answer = self.store.tandem(&key, &mut self.orders);
                let orders = &self.orders;
                seen(&key, answer, |()| mine(generation(&key, orders)?))
            }
            Own::Value | Own::Comes => {
                let answer = self.store.get(&key, &mut self.bytes);
                let bytes = &self.bytes;
                seen(&key, answer, |len| match body::check(&bytes[..len], hash) {
                    Ok(stamp) => mine(stamp),
                    Err(flaw) => torn(format!("{flaw:?}: {}", body::describe(&bytes[..len], hash))),
                })
            }
            Own::Log => {
                let answer = self.store.get(&key, &mut self.bytes);
                let bytes = &self.bytes;
                seen(&key, answer, |len| {
                    let (mut last, mut gap) = (None::<Stamp>, None);
                    let whole = body::check_pieces(&bytes[..len], hash, |stamp| {
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

    fn look_at_shared(&mut self, key: &str, may_be_gone: bool) -> bool {
        let answer = self.store.get(key, &mut self.bytes);
        let hash = hash_key(key.as_bytes());
        match answer {
            Ok(len) => match body::check(&self.bytes[..len], hash) {
                Ok(stamp) => self.keep_order(key, stamp),
                Err(flaw) => {
                    let story = body::describe(&self.bytes[..len], hash);
                    self.tell(Fault::Torn, &format!("{key}: {flaw:?}: {story}"));
                }
            },
            Err(Error::Again) => return false,
            Err(Error::NotFound) if may_be_gone => {}
            Err(Error::NotFound) => self.tell(Fault::Missing, &format!("{key}: missing")),
            Err(error) => self.tell(Fault::Unexpected, &format!("{key}: {error}")),
        }
        true
    }

    /// Holds what one seat wrote to a key against what was seen of it before.
    fn keep_order(&mut self, key: &str, stamp: Stamp) {
        let last = self.stamps.entry((key.to_owned(), stamp.writer));
        let last = last.or_insert(0);
        if stamp.seq < *last {
            let text = format!(
                "{key}: writer {} at {}, after {last}",
                stamp.writer, stamp.seq
            );
            self.tell(Fault::Backwards, &text);
        } else {
            *last = stamp.seq;
        }
    }

    fn look_at_sum(&mut self) -> bool {
        let sum = |which: usize| -> u64 {
            let of = |seat: Seat<'_>| seat.sum()[which].load(Acquire);
            self.board.seats().map(of).sum()
        };
        let done = sum(1);
        let now = match self.store.get_u64(SUM) {
            Ok(now) => now,
            Err(Error::Again) => return false,
            Err(Error::NotFound) => {
                self.tell(Fault::Missing, "sum: missing");
                return true;
            }
            Err(error) => {
                self.tell(Fault::Unexpected, &format!("sum: {error}"));
                return true;
            }
        };
        let begun = sum(0);
        if !(done..=begun).contains(&now) || now < self.sum {
            let text = format!(
                "sum: {now} after {}, of {done} acknowledged and {begun} begun",
                self.sum
            );
            self.tell(Fault::Lost, &text);
        }
        self.sum = now;
        true
    }

    fn look_at_pair(&mut self) -> bool {
        match self.store.tandem(PAIR, &mut self.orders) {
            Ok(()) => match generation(PAIR, &self.orders) {
                Ok(stamp) => self.keep_order(PAIR, stamp),
                Err((fault, text)) => self.tell(fault, &text),
            },
            Err(Error::NotFound) => {}
            Err(Error::Again) => return false,
            Err(error) => self.tell(Fault::Unexpected, &format!("{PAIR}: {error}")),
        }
        true
    }

    fn look_at_mixed(&mut self) -> bool {
        match self.store.get(MIXED, &mut self.bytes) {
            Ok(len) if is_mixed(&self.bytes[..len]) => {}
            Ok(len) => {
                let text = format!("{MIXED}: {:?}, which nobody sets", &self.bytes[..len]);
                self.tell(Fault::Torn, &text);
            }
            Err(Error::Again) => return false,
            Err(Error::NotFound) => self.tell(Fault::Missing, &format!("{MIXED}: missing")),
            Err(error) => self.tell(Fault::Unexpected, &format!("{MIXED}: {error}")),
        }
        true
    }

    fn look_at_epochs(&mut self) {
        for slot in 0..self.epochs.len() {
            let (last, now) = (self.epochs[slot], self.raw.epoch(slot));
            if now < last {
                let text = format!("slot {slot}: epoch {now}, after {last}");
                self.tell(Fault::Backwards, &text);
            }
            self.epochs[slot] = now;
        }
    }
}

/// Tells whether a key's step shows so.
fn fits(own: Own, sight: &Result<Sight, Wrong>, step: u64) -> bool {
    match sight {
        Ok(Sight::Step(seen)) => *seen == step && !own.is_gone(step),
        Ok(Sight::Labels(labels)) => *labels == labels_after(step),
        Ok(Sight::Gone) => own.is_gone(step),
        _ => false,
    }
}

/// Sorts an answer.
fn seen<T>(
    key: &str,
    answer: Result<T, Error>,
    good: impl FnOnce(T) -> Result<Sight, Wrong>,
) -> Result<Sight, Wrong> {
    match answer {
        Ok(value) => good(value),
        Err(Error::NotFound) => Ok(Sight::Gone),
        Err(Error::Again) => Ok(Sight::Busy),
        Err(error) => Err((Fault::Unexpected, format!("{key}: {error}"))),
    }
}

/// Checks a tandem: every order whole, all of one write.
fn generation(base: &str, orders: &[Vec<u8>]) -> Result<Stamp, Wrong> {
    let mut first = None;
    for (order, value) in orders.iter().enumerate() {
        let name = order_name(base, order);
        let stamp = body::check(value, hash_key(name.as_bytes()))
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
    use crate::kill::desk::number_of;
    use splinter::Config;

    #[test]
    fn what_nobody_sets_in_every_way_is_a_fault() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let (raw, board) = (Raw::new(&store).unwrap(), Board::new(1, 1).unwrap());
        let mut eyes = Eyes::new(&store, &raw, &board, 0);
        let mut writer = store.writer().unwrap();
        for (value, torn) in [(number_of(7), 0), (7, 1)] {
            writer.set_u64(MIXED, value).unwrap();
            assert!(eyes.look_at_mixed());
            assert_eq!(board.faults()[Fault::Torn as usize], torn);
        }
    }
}
