//! Reads the keys of a kill test and compares what they hold with what their writers have begun and been acknowledged.
//! Readers do it all the while, and the coordinator does it after each death.

use super::ops::{
    ACCOUNT_COUNT, ACCOUNTS, CHURN, CYCLE, DIM, HOT, MIXED, ORDERS, OwnKey, PAIR, SUM, TALLY, TOTAL,
    alternate, churn, hot, is_mixed, labels_after, order_name,
};
use super::shared_state::{Fault, KillState, WriterState};
use crate::proof::value::{self, Stamp};
use crate::proof::vector;
use crate::raw::Raw;
use splinter::{Error, Store, hash_key};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
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
    /// The last sum and the last tally that were read.
    sums: [u64; 2],
    /// Reads of the present round that were answered, and those that were not.
    counts: [u64; 2],
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(store: &'a Store, raw: &'a Raw, state: &'a KillState, process: usize) -> Self {
        Self {
            store,
            raw,
            state,
            process,
            bytes: vec![0; store.geometry().max_value_len as usize],
            orders: vec![Vec::new(); ORDERS],
            epochs: vec![0; raw.slots()],
            stamps: HashMap::new(),
            sums: [0; 2],
            counts: [0; 2],
        }
    }

    /// Reads everything once. Returns how many reads were answered, and how many were not.
    pub(crate) fn check_all(&mut self) -> [u64; 2] {
        self.counts = [0, 0];
        let state = self.state;
        for writer in state.writers() {
            for own in OwnKey::ALL {
                let [begun, done] = writer.steps(own);
                let low = done.load(Acquire);
                let observed = self.observed(writer.number, own);
                self.counts[usize::from(observed == Ok(Observed::Busy))] += 1;
                self.compare(writer, own, observed, low, || begun.load(Acquire));
            }
        }
        for number in 0..HOT {
            self.check_shared(&hot(number), false);
        }
        for number in 0..CHURN {
            self.check_shared(&churn(number), true);
        }
        self.check_sum();
        self.check_tally();
        self.check_accounts();
        self.check_pair();
        self.check_mixed();
        self.check_epochs();
        self.counts
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
            let key = own.key(writer.number);
            self.report(Fault::Stuck, format!("{key}: busy for ever"));
        }
        self.compare(writer, own, observed.clone(), done, || begun);
        let came = (done..=begun).rev().find(|step| fits(own, &observed, *step));
        if let Some(step) = came {
            self.check_beside(&own.key(writer.number), own, step);
        }
        for word in writer.steps(own) {
            word.store(came.unwrap_or(begun), Relaxed);
        }
    }

    pub(crate) fn report(&self, fault: Fault, text: impl AsRef<str>) {
        self.state.fault(self.process, fault, text.as_ref());
    }

    /// Compares a read with the steps from `low` to those that were begun after it.
    fn compare(
        &mut self,
        writer: WriterState<'_>,
        own: OwnKey,
        observed: Result<Observed, Wrong>,
        low: u64,
        high: impl Fn() -> u64,
    ) {
        let key = own.key(writer.number);
        let observed = match observed {
            Ok(Observed::Busy) => return,
            Ok(observed) => observed,
            Err((fault, text)) => {
                return self.report(fault, text);
            }
        };
        let high = high();
        let found = match observed {
            Observed::Step(step) => (low..=high).contains(&step) && !own.is_gone(step),
            _ => (low..=high).take(CYCLE).any(|step| fits(own, &Ok(observed), step)),
        };
        if !found {
            let fault = match observed {
                Observed::Gone if !own.is_gone(low) => Fault::Missing,
                _ => Fault::Lost,
            };
            let text = format!("{key}: {observed:?}, of steps {low} (acknowledged) to {high} (begun)");
            self.report(fault, text);
        }
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
            OwnKey::Count => sort(&key, self.store.get_u64(&key), |count| Ok(Observed::Step(count))),
            OwnKey::Mark => sort(&key, self.store.snapshot(&key), |slot| Ok(Observed::Labels(slot.labels))),
            OwnKey::Vector => {
                let mut vector = [0.0; DIM as usize];
                sort(&key, self.store.vector(&key, &mut vector), |()| match vector::check(&vector, hash) {
                    Ok(stamp) => mine(stamp),
                    Err(_) => torn(format!("vector {vector:?}")),
                })
            }
            OwnKey::Several => {
                let answer = self.store.tandem(&key, &mut self.orders);
                let orders = &self.orders;
                sort(&key, answer, |()| mine(committed(&key, orders)?))
            }
            OwnKey::Group => {
                let answer = self.store.tandem(&key, &mut self.orders);
                let orders = &self.orders;
                sort(&key, answer, |()| mine(generation(&key, orders)?))
            }
            OwnKey::Value | OwnKey::Comes | OwnKey::Lasts => {
                let answer = self.store.get(&key, &mut self.bytes);
                let bytes = &self.bytes;
                sort(&key, answer, |len| match value::check(&bytes[..len], hash) {
                    Ok(stamp) => mine(stamp),
                    Err(flaw) => torn(format!("{flaw:?}: {}", value::describe(&bytes[..len], hash))),
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
                        (Ok(_), _, gap) => {
                            Err((Fault::Lost, format!("{key}: a step is missing before {gap:?}")))
                        }
                        (Err(flaw), last, _) => torn(format!("{flaw:?} behind {last:?}")),
                    }
                })
            }
        }
    }

    /// Counts the answer to a read of a key that all writers share, and reports errors. Returns what was read, if anything.
    fn expect<T>(&mut self, key: &str, answer: Result<T, Error>, may_be_gone: bool) -> Option<T> {
        self.counts[usize::from(matches!(answer, Err(Error::Again)))] += 1;
        match answer {
            Ok(value) => return Some(value),
            Err(Error::Again) => {}
            Err(Error::NotFound) if may_be_gone => {}
            Err(Error::NotFound) => self.report(Fault::Missing, format!("{key}: missing")),
            Err(error) => self.report(Fault::Unexpected, format!("{key}: {error}")),
        }
        None
    }

    fn check_shared(&mut self, key: &str, may_be_gone: bool) {
        let answer = self.store.get(key, &mut self.bytes);
        let hash = hash_key(key.as_bytes());
        let Some(len) = self.expect(key, answer, may_be_gone) else {
            return;
        };
        match value::check(&self.bytes[..len], hash) {
            Ok(stamp) => self.check_order(key, stamp),
            Err(flaw) => {
                let description = value::describe(&self.bytes[..len], hash);
                self.report(Fault::Torn, format!("{key}: {flaw:?}: {description}"));
            }
        }
    }

    /// Checks that what one writer wrote to a key is no older than what was read of it before.
    pub(super) fn check_order(&mut self, key: &str, stamp: Stamp) {
        let last = self.stamps.entry((key.to_owned(), stamp.writer));
        let last = last.or_insert(0);
        if stamp.seq < *last {
            let text = format!("{key}: writer {} at {}, after {last}", stamp.writer, stamp.seq);
            self.report(Fault::Backwards, text);
        } else {
            *last = stamp.seq;
        }
    }

    /// Checks what a step of a dead writer did beside what readers compare: no other step is under way.
    fn check_beside(&mut self, key: &str, own: OwnKey, step: u64) {
        let (found, right) = match own {
            OwnKey::Several => {
                let labels = self.store.snapshot(key).map(|slot| slot.labels);
                let found = (self.store.contains(alternate(key)), labels);
                (
                    format!("{found:?}"),
                    format!("(Ok({}), Ok({}))", step.is_multiple_of(2), labels_after(step)),
                )
            }
            OwnKey::Lasts if !own.is_gone(step) => {
                let found = self.store.ttl(key).map(|left| left.is_some());
                (format!("{found:?}"), format!("Ok({})", step % 4 == 1))
            }
            _ => return,
        };
        if found != right {
            self.report(Fault::Torn, format!("{key}: after step {step}, {found} in place of {right}"));
        }
    }

    fn check_sum(&mut self) {
        self.check_counted(SUM, 0, WriterState::sum, |store| store.get_u64(SUM));
    }

    fn check_tally(&mut self) {
        self.check_counted(TALLY, 1, WriterState::tally, |store| {
            let mut bytes = [0; 8];
            let len = store.get(TALLY, &mut bytes)?;
            bytes[..len].try_into().map(u64::from_le_bytes).map_err(|_| Error::WrongType)
        });
    }

    /// Checks a number to which all writers add one.
    fn check_counted(
        &mut self,
        key: &str,
        place: usize,
        counters: fn(WriterState<'a>) -> [&'a AtomicU64; 2],
        read: impl Fn(&Store) -> Result<u64, Error>,
    ) {
        let state = self.state;
        let sum = |which: usize| -> u64 {
            state.writers().map(|writer| counters(writer)[which].load(Acquire)).sum()
        };
        let done = sum(1);
        let answer = read(self.store);
        let begun = sum(0);
        let Some(now) = self.expect(key, answer, false) else {
            return;
        };
        let last = std::mem::replace(&mut self.sums[place], now);
        if !(done..=begun).contains(&now) || now < last {
            let range = format!("{done} acknowledged and {begun} begun");
            self.report(Fault::Lost, format!("{key}: {now} after {last}, of {range}"));
        }
    }

    fn check_accounts(&mut self) {
        let mut accounts = [const { Vec::new() }; ACCOUNT_COUNT];
        let answer = self.store.tandem(ACCOUNTS, &mut accounts);
        if self.expect(ACCOUNTS, answer, false).is_none() {
            return;
        }
        let number = |bytes: &Vec<u8>| bytes.as_slice().try_into().map(u64::from_le_bytes);
        let sum =
            accounts.iter().try_fold(0_u64, |sum, account| Some(sum.wrapping_add(number(account).ok()?)));
        if sum != Some(TOTAL) {
            self.report(Fault::Torn, format!("{ACCOUNTS}: {accounts:?}, whose sum is {sum:?}"));
        }
    }

    fn check_pair(&mut self) {
        let answer = self.store.tandem(PAIR, &mut self.orders);
        if self.expect(PAIR, answer, true).is_some() {
            match generation(PAIR, &self.orders) {
                Ok(stamp) => self.check_order(PAIR, stamp),
                Err((fault, text)) => self.report(fault, text),
            }
        }
    }

    fn check_mixed(&mut self) {
        let answer = self.store.get(MIXED, &mut self.bytes);
        let Some(len) = self.expect(MIXED, answer, false) else {
            return;
        };
        let bytes = &self.bytes[..len];
        if !is_mixed(bytes) {
            self.report(Fault::Torn, format!("{MIXED}: {bytes:?}, which no writer sets"));
        }
    }

    fn check_epochs(&mut self) {
        for slot in 0..self.epochs.len() {
            // The epoch of the content: a claim that changes nothing ends at the epoch before it.
            let (last, now) = (self.epochs[slot], self.raw.epoch(slot) & !1);
            if now < last {
                let text = format!("slot {slot}: epoch {now}, after {last}");
                self.report(Fault::Backwards, text);
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

/// Checks the keys of a transaction: two values and a number, all of one step.
fn committed(base: &str, orders: &[Vec<u8>]) -> Result<Stamp, Wrong> {
    let [first, number, last] = orders else { return Err((Fault::Torn, format!("{base}: no orders"))) };
    let stamp = |order: usize, value: &[u8]| {
        let name = order_name(base, order);
        let hash = hash_key(name.as_bytes());
        value::check(value, hash).map_err(|flaw| (Fault::Torn, format!("{name}: {flaw:?}")))
    };
    let (first, last) = (stamp(0, first)?, stamp(2, last)?);
    if first != last || *number != first.seq.to_le_bytes() {
        let text = format!("{base}: {first:?}, number {number:?} and {last:?} in one transaction");
        return Err((Fault::Torn, text));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill::ops::number_of;
    use splinter::{Config, Expect, Geometry, Lifetime};
    use std::time::Duration;

    #[test]
    fn bytes_of_no_write_are_torn_in_every_key_that_holds_proofs() {
        let geometry = Geometry { vector_dim: DIM, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let (raw, state) = (Raw::new(&store).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&store, &raw, &state, 0);
        let mut writer = store.writer().unwrap();
        let proof = |key: &str, seq: u64| {
            let mut bytes = [0; 48];
            value::fill(&mut bytes, hash_key(key.as_bytes()), 0, seq);
            bytes
        };
        for step in 1..3 {
            for own in [OwnKey::Value, OwnKey::Comes, OwnKey::Log, OwnKey::Group, OwnKey::Vector] {
                let key = own.key(0);
                let orders = [0, 1, 2].map(|order| proof(&order_name(&key, order), step));
                let mut vector = [0.0; DIM as usize];
                vector::fill(&mut vector, hash_key(key.as_bytes()), 0, step);
                let mut write =
                    |bytes: [u8; 48], orders: [[u8; 48]; ORDERS], vector: [f32; DIM as usize]| match own {
                        OwnKey::Group => {
                            writer.set_tandem(&key, &orders.each_ref().map(|order| &order[..])).unwrap();
                        }
                        OwnKey::Vector => {
                            writer.set(&key, &bytes).unwrap();
                            writer.set_vector(&key, &vector).unwrap();
                        }
                        _ => writer.set(&key, &bytes).unwrap(),
                    };
                write(proof(&key, step), orders, vector);
                assert_eq!(verifier.observed(0, own), Ok(Observed::Step(step)), "{own}");
                let mut older = orders;
                older[2] = proof(&order_name(&key, 2), step - 1);
                vector[1] += 1.0;
                write(proof("another", step), older, vector);
                assert!(matches!(verifier.observed(0, own), Err((Fault::Torn, _))), "{own}");
            }
        }
        let torn = || state.faults()[Fault::Torn as usize];
        for (reported, key) in (1..).zip([hot(0), churn(0)]) {
            writer.set(&key, &proof("another", 1)).unwrap();
            verifier.check_shared(&key, false);
            assert_eq!(torn(), reported, "{key}");
        }
        writer.set_tandem(PAIR, &[&proof(PAIR, 1)[..]; ORDERS]).unwrap();
        verifier.check_pair();
        assert_eq!(torn(), 3);
    }

    #[test]
    fn a_reader_that_was_long_delayed_accepts_only_what_a_step_leaves() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let (raw, state) = (Raw::new(&store).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&store, &raw, &state, 0);
        let writer = state.writers().next().unwrap();
        let mut accepts = |own: OwnKey, observed: Observed, low: u64, high: u64| {
            let faults = |state: &KillState| state.faults().iter().sum::<u64>();
            let before = faults(&state);
            verifier.compare(writer, own, Ok(observed), low, || high);
            faults(&state) == before
        };
        for (low, high) in [(1, 202), (3, 1_000_000)] {
            for own in OwnKey::ALL {
                let may_be_gone = matches!(own, OwnKey::Group | OwnKey::Comes | OwnKey::Lasts);
                assert_eq!(accepts(own, Observed::Gone, low, high), may_be_gone, "{own}: {low} to {high}");
            }
            for (labels, is_left) in [(0, true), (1, true), (1 << 63, true), (3, false), (u64::MAX, false)] {
                let accepted = accepts(OwnKey::Mark, Observed::Labels(labels), low, high);
                assert_eq!(accepted, is_left, "{labels:x}: {low} to {high}");
            }
        }
        assert!(!accepts(OwnKey::Mark, Observed::Labels(1), 3, 100), "the step before is over");
    }

    #[test]
    fn keys_that_no_transaction_leaves_together_are_faults() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let (raw, state) = (Raw::new(&store).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&store, &raw, &state, 0);
        let mut writer = store.writer().unwrap();
        let base = OwnKey::Several.key(0);
        let mut set = |steps: [u64; ORDERS], has_further: bool, labels: u64| {
            for (order, step) in steps.into_iter().enumerate() {
                let (name, mut bytes) = (order_name(&base, order), [0; 48]);
                value::fill(&mut bytes, hash_key(name.as_bytes()), 0, step);
                if order == 1 { writer.set_u64(&name, step) } else { writer.set(&name, &bytes) }.unwrap();
            }
            writer.unlabel(&base, !labels).unwrap();
            writer.label(&base, labels).unwrap();
            match has_further {
                true => writer.set(alternate(&base), b"even").unwrap(),
                false => drop(writer.unset(alternate(&base))),
            }
        };
        let found = || state.faults().iter().sum::<u64>();
        let steps = state.writers().next().unwrap().steps(OwnKey::Several);
        for (values, has_further, labels, faults) in [
            ([2, 2, 2], true, labels_after(2), 0),
            ([2, 3, 2], true, labels_after(2), 1),
            ([2, 2, 3], true, labels_after(2), 1),
            ([1, 1, 1], true, labels_after(1), 1),
            ([2, 2, 2], true, labels_after(1), 1),
            ([1, 1, 1], false, labels_after(1), 0),
        ] {
            set(values, has_further, labels);
            steps[0].store(3, Relaxed);
            steps[1].store(1, Relaxed);
            let before = found();
            verifier.settle_one(state.writers().next().unwrap(), OwnKey::Several);
            assert_eq!(found() - before, faults, "{values:?} {has_further} {labels}");
        }
        let mut writer = store.writer().unwrap();
        let lasts = OwnKey::Lasts.key(0);
        let steps = state.writers().next().unwrap().steps(OwnKey::Lasts);
        for (lifetime, faults) in [(Lifetime::For(Duration::MAX), 0), (Lifetime::Endless, 1)] {
            let mut bytes = [0; 48];
            value::fill(&mut bytes, hash_key(lasts.as_bytes()), 0, 1);
            writer.set_with(&lasts, &bytes, Expect::Any, lifetime).unwrap();
            steps.iter().for_each(|word| word.store(1, Relaxed));
            let before = found();
            verifier.settle_one(state.writers().next().unwrap(), OwnKey::Lasts);
            assert_eq!(found() - before, faults, "{lifetime:?}");
        }
        for (amount, faults) in [(TOTAL, 0), (TOTAL - 1, 1)] {
            for account in 0..ACCOUNT_COUNT {
                writer.set_u64(order_name(ACCOUNTS, account), if account == 0 { amount } else { 0 }).unwrap();
            }
            let before = found();
            verifier.check_accounts();
            assert_eq!(found() - before, faults, "{amount}");
        }
        for (tally, faults) in [(2_u64, 0), (3, 1), (1, 1)] {
            let counters = state.writers().next().unwrap().tally();
            counters.iter().for_each(|word| word.store(2, Relaxed));
            writer.set(TALLY, &tally.to_le_bytes()).unwrap();
            let before = found();
            verifier.check_tally();
            assert_eq!(found() - before, faults, "{tally}");
        }
    }

    #[test]
    fn a_value_that_no_writer_sets_is_a_fault() {
        let store = Store::anonymous(&Config::default()).unwrap();
        let (raw, state) = (Raw::new(&store).unwrap(), KillState::new(1, 1).unwrap());
        let mut verifier = Verifier::new(&store, &raw, &state, 0);
        let mut writer = store.writer().unwrap();
        for (value, torn) in [(number_of(7), 0), (7, 1)] {
            writer.set_u64(MIXED, value).unwrap();
            verifier.check_mixed();
            assert_eq!(verifier.counts[1], 0);
            assert_eq!(state.faults()[Fault::Torn as usize], torn);
        }
    }
}
