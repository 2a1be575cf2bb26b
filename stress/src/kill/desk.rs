//! What a writer does until it is killed. Keys of its own it changes in numbered steps, of which it notes
//! the beginning and the acknowledgement outside itself; what such a key must hold after step `n` follows
//! from `n` alone, so a key tells by itself how far its dead writer came. Keys of all writers it changes
//! as they come.

use super::board::Seat;
use crate::oracle::{body, vector};
use crate::rng::{Rng, splitmix64};
use splinter::{Error, IntegerOp, Type, Writer, hash_key};
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Keys of all writers: those that stay, and those that come and go.
pub(crate) const HOT: u64 = 4;
pub(crate) const CHURN: u64 = 6;
/// The integer that all add to, the tandem that all write, and a key that is set in every way.
pub(crate) const SUM: &str = "sum";
pub(crate) const PAIR: &str = "pair";
pub(crate) const MIXED: &str = "mixed";
/// Orders of every tandem.
pub(crate) const ORDERS: usize = 3;
/// Components of every vector.
pub(crate) const DIM: u32 = 9;
/// Keys that all writers share, at most, and keys that each may have beside them.
pub(crate) const SHARED_KEYS: u64 = HOT + CHURN + 2 + ORDERS as u64;
pub(crate) const KEYS_A_SEAT: u64 = OWN as u64 + ORDERS as u64 - 1 + 1;
/// The shortest value.
const SHORTEST: u64 = body::HEADER as u64;

/// A key that only one seat changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Own {
    /// Set, at every length.
    Value,
    /// Appended to, and set anew when it is full.
    Log,
    /// Added 1 to.
    Count,
    /// A tandem, removed at every eighth step.
    Group,
    /// Given a vector.
    Vector,
    /// Given a label, and rid of it.
    Mark,
    /// Set and removed.
    Comes,
}

/// How many keys a seat has of its own.
pub(crate) const OWN: usize = 7;

impl Own {
    pub(crate) const ALL: [Self; OWN] = [
        Self::Value,
        Self::Log,
        Self::Count,
        Self::Group,
        Self::Vector,
        Self::Mark,
        Self::Comes,
    ];

    /// Tells whether the key is missing after step `step`.
    pub(crate) fn is_gone(self, step: u64) -> bool {
        match self {
            Self::Group => step % 8 == 7,
            Self::Comes => step.is_multiple_of(2),
            _ => false,
        }
    }

    /// Returns the name of a seat's key.
    pub(crate) fn key(self, seat: usize) -> String {
        let name = ["value", "log", "count", "group", "vector", "mark", "comes"];
        format!("s{seat}.{}", name[self as usize])
    }
}

/// What the key that is set in every way is set to as text.
const TEXT: &str = "12345";

/// Makes the number that a draw stands for, to be told from any other: its halves are equal, and neither it nor what
/// is left when all its bits are turned round is text.
pub(crate) fn number_of(draw: u64) -> u64 {
    let half = draw & 0xffff_0000 | 0x80;
    half << 32 | half
}

/// Tells whether the key that is set in every way can hold this: a number that was set, as it was or turned round, in its
/// eight bytes or in digits.
pub(crate) fn is_mixed(value: &[u8]) -> bool {
    let digits = || {
        let text = std::str::from_utf8(value).ok()?;
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    };
    let number = value
        .try_into()
        .map(u64::from_le_bytes)
        .ok()
        .or_else(digits);
    let set =
        |number: u64| number == 0 || number.to_string() == TEXT || number == number_of(number);
    number.is_some_and(|number| set(number) || set(!number))
}

/// Returns the labels of a seat's marked key after a step.
pub(crate) fn labels_after(step: u64) -> u64 {
    if step.is_multiple_of(2) {
        0
    } else {
        1 << (step / 2 % 64)
    }
}

/// What a writer can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Deed {
    /// The next step on the key of its own with this number: the first seven deeds.
    Value,
    Log,
    Count,
    Group,
    Vector,
    Mark,
    Comes,
    /// Sets a key that all writers set.
    Hot,
    /// Sets or removes a key that all writers set and remove.
    Churn,
    /// Sets a key that nobody used before, and removes the last one.
    Once,
    /// Adds to the sum of all.
    Sum,
    /// Sets or removes the tandem of all.
    Pair,
    /// Sets a number in one of the ways there are.
    Mixed,
    /// Changes what is about a key and not its value: bump, type, times, flags.
    About,
    /// Purges the whole store.
    Purge,
}

impl Deed {
    pub(crate) const ALL: [Self; 15] = [
        Self::Value,
        Self::Log,
        Self::Count,
        Self::Group,
        Self::Vector,
        Self::Mark,
        Self::Comes,
        Self::Hot,
        Self::Churn,
        Self::Once,
        Self::Sum,
        Self::Pair,
        Self::Mixed,
        Self::About,
        Self::Purge,
    ];

    /// How often, of [`Deed::TOTAL`] times, a deed is chosen.
    const WEIGHTS: [u64; 15] = [12, 8, 4, 8, 6, 4, 10, 10, 12, 6, 4, 6, 4, 5, 1];
    const TOTAL: u64 = 100;

    pub(crate) fn name(self) -> &'static str {
        [
            "set",
            "append",
            "integer",
            "tandem",
            "vector",
            "label",
            "unset",
            "hot_set",
            "churn",
            "first_set",
            "sum",
            "hot_tandem",
            "promote",
            "about",
            "purge",
        ][self as usize]
    }

    fn draw(rng: &mut Rng) -> Self {
        let mut choice = rng.below(Self::TOTAL);
        for (deed, weight) in Self::ALL.into_iter().zip(Self::WEIGHTS) {
            if choice < weight {
                return deed;
            }
            choice -= weight;
        }
        Self::Value
    }
}

/// A writer at its seat.
pub(crate) struct Desk<'b> {
    seat: Seat<'b>,
    rng: Rng,
    names: [String; OWN],
    longest: u64,
    bytes: [Vec<u8>; ORDERS],
    vector: [f32; DIM as usize],
}

impl<'b> Desk<'b> {
    /// Sits down. No two who do so with the same `seed` and `stream` do anything different.
    pub(crate) fn new(seat: Seat<'b>, longest: u64, seed: u64, stream: u64) -> Self {
        Self {
            seat,
            rng: Rng::new(seed, stream),
            names: Own::ALL.map(|own| own.key(seat.number)),
            longest,
            bytes: [const { Vec::new() }; ORDERS],
            vector: [0.0; DIM as usize],
        }
    }

    /// Writes until it is killed, or an answer has no place here, which is returned in words.
    pub(crate) fn live(&mut self, writer: &mut Writer) -> String {
        let _ = self.forget_last(writer);
        loop {
            let deed = Deed::draw(&mut self.rng);
            let [done, again] = self.seat.count(deed);
            match self.act(writer, deed) {
                Ok(()) => done.fetch_add(1, Relaxed),
                // Room that another holds for a moment, or a dead one until somebody asks.
                Err(Error::Again | Error::Full) => again.fetch_add(1, Relaxed),
                Err(error) => {
                    return format!("seat {}: {}: {error}", self.seat.number, deed.name());
                }
            };
        }
    }

    /// Does one thing.
    ///
    /// # Errors
    /// Why it was not done. Of a key of its own, nothing was changed then.
    pub(crate) fn act(&mut self, writer: &mut Writer, deed: Deed) -> Result<(), Error> {
        if let Some(own) = Own::ALL.get(deed as usize) {
            return self.step(writer, *own);
        }
        match deed {
            Deed::Hot => {
                let key = hot(self.rng.below(HOT));
                self.set_shared(writer, &key)
            }
            Deed::Churn => {
                let key = churn(self.rng.below(CHURN));
                if self.rng.below(2) == 0 {
                    missing_is_fine(writer.unset(&key))
                } else {
                    self.set_shared(writer, &key)
                }
            }
            Deed::Once => {
                self.forget_last(writer)?;
                let number = self.seat.once().fetch_add(1, Relaxed) + 1;
                self.set_shared(writer, &once(self.seat.number, number))
            }
            Deed::Sum => {
                // Begun stays ahead if this writer is killed: nobody knows then.
                let [begun, done] = self.seat.sum();
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
            Deed::Pair if self.rng.below(4) == 0 => {
                missing_is_fine(writer.unset_tandem(PAIR, ORDERS))
            }
            Deed::Pair => {
                let stamp = self.seat.next_stamp();
                self.set_orders(writer, PAIR, stamp)
            }
            Deed::Mixed => self.set_mixed(writer),
            Deed::About => self.change_about(writer),
            _ => writer.purge().map(drop),
        }
    }

    /// Sets a key that is not its own alone.
    pub(crate) fn set_shared(&mut self, writer: &mut Writer, key: &str) -> Result<(), Error> {
        let stamp = self.seat.next_stamp();
        let len = self.len(stamp);
        writer.set(
            key,
            fill(&mut self.bytes[0], len, key, self.seat.number, stamp),
        )
    }

    /// Takes the next step on a key of its own.
    fn step(&mut self, writer: &mut Writer, own: Own) -> Result<(), Error> {
        let [begun, done] = self.seat.own(own);
        let step = done.load(Relaxed) + 1;
        begun.store(step, Release);
        let answer = self.attempt(writer, own, step);
        match answer {
            Ok(()) => done.store(step, Release),
            Err(_) => begun.store(step - 1, Release),
        }
        answer
    }

    fn attempt(&mut self, writer: &mut Writer, own: Own, step: u64) -> Result<(), Error> {
        let name = std::mem::take(&mut self.names[own as usize]);
        let answer = self.attempt_named(writer, own, &name, step);
        self.names[own as usize] = name;
        answer
    }

    fn attempt_named(
        &mut self,
        writer: &mut Writer,
        own: Own,
        key: &str,
        step: u64,
    ) -> Result<(), Error> {
        let (seat, len) = (self.seat.number, self.len(step));
        match own {
            _ if own.is_gone(step) && own == Own::Group => match writer.unset_tandem(key, ORDERS) {
                Ok(ORDERS) => Ok(()),
                Ok(_) => Err(Error::NotFound),
                Err(error) => Err(error),
            },
            _ if own.is_gone(step) => writer.unset(key).map(drop),
            Own::Value | Own::Comes => {
                writer.set(key, fill(&mut self.bytes[0], len, key, seat, step))
            }
            Own::Log => {
                let piece = fill(&mut self.bytes[0], SHORTEST + step % 200, key, seat, step);
                match writer.append(key, piece) {
                    Err(Error::ValueTooLong) => writer.set(key, piece),
                    answer => answer.map(drop),
                }
            }
            Own::Count => writer.integer(key, IntegerOp::Inc(1)).map(drop),
            Own::Group => self.set_orders(writer, key, step),
            Own::Vector => {
                vector::fill(
                    &mut self.vector,
                    hash_key(key.as_bytes()),
                    seat as u16,
                    step,
                );
                writer.set_vector(key, &self.vector)
            }
            Own::Mark if labels_after(step) != 0 => writer.label(key, labels_after(step)),
            Own::Mark => writer.unlabel(key, labels_after(step - 1)),
        }
    }

    fn set_orders(&mut self, writer: &mut Writer, base: &str, stamp: u64) -> Result<(), Error> {
        let seat = self.seat.number;
        for order in 0..ORDERS {
            let len = self.len(stamp + order as u64);
            fill(
                &mut self.bytes[order],
                len,
                &order_name(base, order),
                seat,
                stamp,
            );
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

    fn change_about(&mut self, writer: &mut Writer) -> Result<(), Error> {
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
    fn forget_last(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let number = self.seat.once().load(Relaxed);
        missing_is_fine(writer.unset(once(self.seat.number, number)))
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

/// Fills `bytes` with the value that a seat gives a key as its write with this number.
pub(crate) fn fill<'a>(
    bytes: &'a mut Vec<u8>,
    len: u64,
    key: &str,
    seat: usize,
    stamp: u64,
) -> &'a [u8] {
    bytes.resize(len as usize, 0);
    body::fill(bytes, hash_key(key.as_bytes()), seat as u16, stamp);
    bytes
}

pub(crate) fn hot(number: u64) -> String {
    format!("hot{number}")
}

pub(crate) fn churn(number: u64) -> String {
    format!("churn{number}")
}

fn once(seat: usize, number: u64) -> String {
    format!("once{seat}.{number}")
}

/// Returns the key of one order of a tandem.
pub(crate) fn order_name(base: &str, order: usize) -> String {
    match order {
        0 => base.to_owned(),
        _ => format!("{base}.{order}"),
    }
}

fn missing_is_fine(answer: Result<usize, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) | Err(Error::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deed_is_drawn_as_often_as_its_weight_says() {
        assert_eq!(Deed::WEIGHTS.iter().sum::<u64>(), Deed::TOTAL);
        let mut rng = Rng::new(1, 1);
        let mut drawn = [0_u64; Deed::ALL.len()];
        for _ in 0..100_000 {
            drawn[Deed::draw(&mut rng) as usize] += 1;
        }
        for (count, weight) in drawn.into_iter().zip(Deed::WEIGHTS) {
            assert!(
                count.abs_diff(weight * 1000) < weight * 300 + 200,
                "{drawn:?}"
            );
        }
    }

    #[test]
    fn only_what_some_writer_sets_can_be_in_the_key_that_is_set_in_every_way() {
        let number = number_of(0x1234_5678_9abc_def0);
        for number in [0, 12345, number] {
            for number in [number, !number] {
                assert!(is_mixed(&number.to_le_bytes()), "{number:x}");
                assert!(is_mixed(number.to_string().as_bytes()), "{number:x}");
            }
        }
        let other = number_of(0xfeed_beef);
        let [mut torn, other] = [number, other].map(u64::to_le_bytes);
        torn[..4].copy_from_slice(&other[..4]);
        let cut = &number.to_string()[..12];
        for wrong in [
            &b""[..],
            b"1234",
            b"12345\0\0\x01",
            &torn,
            &other[..5],
            cut.as_bytes(),
        ] {
            assert!(!is_mixed(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn neighbouring_steps_can_be_told_apart() {
        for step in 1..300 {
            assert_ne!(labels_after(step), labels_after(step - 1));
            assert_ne!(Own::Comes.is_gone(step), Own::Comes.is_gone(step - 1));
            assert!(!(Own::Group.is_gone(step) && Own::Group.is_gone(step - 1)));
        }
    }
}
