//! The state of a consumer group, the value of one key: what is delivered, and to which consumer. It knows no store and
//! no clock; the caller changes it under the key's claim.

use crate::record::word;

/// The words before the deliveries: the queue's identity, the floor, the next position.
const WORDS: usize = 3;
/// The bytes of a group's value without deliveries, and of each of them.
pub(crate) const GROUP_BYTES: usize = WORDS * 8;
pub(crate) const DELIVERY_BYTES: usize = 32;
/// The word with the floor.
pub(crate) const FLOOR_WORD: usize = 1;

/// The consumer of a delivery that was given back.
pub(crate) const NOBODY: u64 = 0;
/// The end of a delivery that is a consumer's alone for ever, in store time.
pub(crate) const NEVER: u64 = u64::MAX;

/// Messages that a consumer got and has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) first: u64,
    pub(crate) len: u32,
    /// How often consumers took them.
    pub(crate) count: u32,
    pub(crate) consumer: u64,
    /// The store time from which on any consumer may get them, in nanoseconds.
    pub(crate) until: u64,
}

impl Delivery {
    pub(crate) fn end(self) -> u64 {
        self.first + u64::from(self.len)
    }
}

/// What a consumer that takes messages brings along.
pub(crate) struct Taker<'a> {
    pub(crate) consumer: u64,
    /// The store time.
    pub(crate) now: u64,
    /// The store time until which what it takes is its own.
    pub(crate) until: u64,
    /// Consumers that are known to be dead.
    pub(crate) dead: &'a [u64],
    /// How many deliveries the group's key has room for.
    pub(crate) room: usize,
}

/// The state of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// The first position that was never delivered.
    pub(crate) next: u64,
    pub(crate) deliveries: Vec<Delivery>,
}

impl Group {
    /// Returns the position below which everything is acknowledged.
    pub(crate) fn floor(&self) -> u64 {
        self.deliveries.iter().map(|delivery| delivery.first).fold(self.next, u64::min)
    }

    /// Reads the state from a key's value. Returns `None`, with the state cleared, if that is not a group of the queue.
    pub(crate) fn read(&mut self, bytes: &[u8], identity: u64) -> Option<()> {
        self.deliveries.clear();
        let words = (word(bytes, 0)?, word(bytes, FLOOR_WORD)?);
        self.next = word(bytes, 2)?;
        let mut rest = &bytes[GROUP_BYTES..];
        while let Some((delivery, tail)) = rest.split_first_chunk::<DELIVERY_BYTES>() {
            let [first, size, consumer, until] = [0, 1, 2, 3].map(|index| word(delivery, index).unwrap_or(0));
            let (len, count) = (size as u32, (size >> 32) as u32);
            let end = first.checked_add(u64::from(len))?;
            self.deliveries.push(Delivery { first, len, count, consumer, until });
            if len == 0 || end > self.next {
                self.deliveries.clear();
                return None;
            }
            rest = tail;
        }
        (rest.is_empty() && words == (identity, self.floor()) && self.next < 1 << 63).then_some(())
    }

    /// Adds the state's bytes to an empty value.
    pub(crate) fn write(&self, identity: u64, value: &mut Vec<u8>) {
        for word in [identity, self.floor(), self.next] {
            value.extend_from_slice(&word.to_le_bytes());
        }
        for delivery in &self.deliveries {
            let size = u64::from(delivery.count) << 32 | u64::from(delivery.len);
            for word in [delivery.first, size, delivery.consumer, delivery.until] {
                value.extend_from_slice(&word.to_le_bytes());
            }
        }
    }

    /// Acknowledges the first `done` messages of the delivery of `consumer` that begins at `first`, and gives the
    /// `back` messages behind them back, to be delivered from the store time `until` on. Returns whether the delivery was
    /// still that consumer's.
    pub(crate) fn settle(&mut self, consumer: u64, first: u64, done: u32, back: u32, until: u64) -> bool {
        let is_it = |delivery: &Delivery| (delivery.consumer, delivery.first) == (consumer, first);
        let Some(at) = self.deliveries.iter().position(is_it) else { return false };
        let whole = self.deliveries.swap_remove(at);
        let done = done.min(whole.len);
        let back = back.min(whole.len - done);
        let part = |from, len| Delivery { first: first + u64::from(from), len, ..whole };
        let returned = Delivery { consumer: NOBODY, until, ..part(done, back) };
        let rest = part(done + back, whole.len - done - back);
        self.deliveries.extend([returned, rest].into_iter().filter(|delivery| delivery.len > 0));
        true
    }

    /// Acknowledges the first `done` messages of a delivery as [`Self::settle`] does, and gives all others back at once.
    /// Those behind the first `handed` reached no reader: they do not count as delivered, if there is room to tell.
    pub(crate) fn leave(&mut self, consumer: u64, first: u64, done: u32, handed: u32, room: usize) -> bool {
        let is_split = done == handed || self.deliveries.len() < room;
        let back = if is_split { handed - done } else { u32::MAX };
        let is_its = self.settle(consumer, first, done, back, 0);
        let rest = (consumer, first + u64::from(handed));
        let rest = self.deliveries.iter_mut().find(|delivery| (delivery.consumer, delivery.first) == rest);
        if let Some(rest) = rest.filter(|_| is_its) {
            (rest.consumer, rest.until, rest.count) = (NOBODY, 0, rest.count.saturating_sub(1));
        }
        is_its
    }

    /// Returns the place of the first delivery that may be repeated: it was given back, its time is over, or its
    /// consumer is dead.
    pub(crate) fn due(&self, now: u64, dead: &[u64]) -> Option<usize> {
        let is_due = |delivery: &Delivery| delivery.until <= now || dead.contains(&delivery.consumer);
        let due = self.deliveries.iter().enumerate().filter(|(_, delivery)| is_due(delivery));
        due.min_by_key(|(_, delivery)| delivery.first).map(|(at, _)| at)
    }

    /// Repeats a delivery that is due: at most `most` messages of it, unless there is no room for the rest.
    pub(crate) fn take_due(&mut self, taker: &Taker<'_>, most: u32) -> Option<Delivery> {
        let at = self.due(taker.now, taker.dead)?;
        let whole = self.deliveries[at];
        let len = if self.deliveries.len() < taker.room { whole.len.min(most) } else { whole.len };
        if len < whole.len {
            let rest = Delivery { first: whole.first + u64::from(len), len: whole.len - len, ..whole };
            self.deliveries.push(rest);
        }
        let count = whole.count.saturating_add(1);
        let delivery = Delivery { len, count, consumer: taker.consumer, until: taker.until, ..whole };
        self.deliveries[at] = delivery;
        Some(delivery)
    }

    /// Delivers the messages from the next position on up to `end`, of which the taker has seen those from `first` on.
    pub(crate) fn take_new(&mut self, taker: &Taker<'_>, first: u64, end: u64) -> Option<Delivery> {
        if !(first..end).contains(&self.next) || self.deliveries.len() >= taker.room {
            return None;
        }
        let (first, len) = (self.next, (end - self.next) as u32);
        let delivery = Delivery { first, len, count: 1, consumer: taker.consumer, until: taker.until };
        self.deliveries.push(delivery);
        self.next = end;
        Some(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u64 = 99;

    fn taker(consumer: u64, now: u64, dead: &[u64]) -> Taker<'_> {
        Taker { consumer, now, until: now + 10, dead, room: 3 }
    }

    fn delivery(first: u64, len: u32, count: u32, consumer: u64, until: u64) -> Delivery {
        Delivery { first, len, count, consumer, until }
    }

    #[test]
    fn positions_are_delivered_once_and_the_floor_follows_the_acknowledgements() {
        let mut group = Group::default();
        assert_eq!(group.take_new(&taker(1, 0, &[]), 0, 4), Some(delivery(0, 4, 1, 1, 10)));
        assert_eq!(group.take_new(&taker(2, 0, &[]), 0, 4), None);
        assert_eq!(group.take_new(&taker(2, 0, &[]), 2, 6), Some(delivery(4, 2, 1, 2, 10)));
        assert_eq!(group.take_new(&taker(2, 0, &[]), 7, 9), None, "position 6 was not seen");
        assert!(group.settle(2, 4, 2, 0, 0));
        assert_eq!((group.floor(), group.next), (0, 6));
        assert!(group.settle(1, 0, 3, 0, 0));
        assert_eq!(group.floor(), 3);
        assert!(!group.settle(1, 0, 1, 0, 0), "that delivery begins at 3 by now");
        assert!(group.settle(1, 3, 1, 0, 0));
        assert_eq!((group.floor(), group.deliveries.len()), (6, 0));
    }

    #[test]
    fn what_was_given_back_timed_out_or_left_by_the_dead_is_repeated_oldest_first() {
        let mut group = Group::default();
        group.take_new(&taker(1, 0, &[]), 0, 3);
        group.take_new(&taker(2, 0, &[]), 3, 6);
        assert_eq!(group.take_due(&taker(3, 9, &[]), 8), None);
        assert!(group.settle(2, 3, 1, 1, 0), "acknowledges 3, gives 4 back, keeps 5");
        assert_eq!(group.take_due(&taker(3, 5, &[]), 8), Some(delivery(4, 1, 2, 3, 15)));
        assert_eq!(group.take_due(&taker(3, 5, &[]), 8), None);
        assert_eq!(group.take_due(&taker(4, 5, &[2]), 8), Some(delivery(5, 1, 2, 4, 15)));
        assert_eq!(group.take_due(&taker(5, 12, &[]), 2).map(|taken| taken.first), Some(0));
        assert!(!group.settle(1, 0, 3, 0, 0), "consumer 1 was too late");
        assert_eq!(group.floor(), 0);
    }

    #[test]
    fn a_full_group_delivers_no_more_but_repeats_whole_deliveries() {
        let mut group = Group::default();
        for first in [0, 2, 4] {
            assert!(group.take_new(&taker(1, 0, &[]), first, first + 2).is_some());
        }
        assert_eq!(group.take_new(&taker(1, 0, &[]), 6, 8), None);
        assert_eq!(group.take_due(&taker(2, 0, &[1]), 1), Some(delivery(0, 2, 2, 2, 10)));
        assert!(group.settle(2, 0, 2, 0, 0));
        assert_eq!(group.take_due(&taker(2, 0, &[1]), 1), Some(delivery(2, 1, 2, 2, 10)));
        assert_eq!(group.deliveries.len(), 3);
    }

    #[test]
    fn of_what_a_consumer_leaves_only_what_it_handed_out_counts_as_delivered() {
        for (handed, room, expected) in [
            (3, 3, vec![(1, 2, 1), (3, 3, 0)]),
            (3, 1, vec![(1, 5, 1)]),
            (1, 1, vec![(1, 5, 0)]),
            (6, 1, vec![(1, 5, 1)]),
        ] {
            let mut group = Group::default();
            group.take_new(&taker(1, 0, &[]), 0, 6);
            assert!(!group.leave(2, 0, 1, handed, room));
            assert!(group.leave(1, 0, 1, handed, room));
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(first, len, count)| delivery(first, len, count, NOBODY, 0))
                .collect();
            assert_eq!(group.deliveries, expected);
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_damage_is_not() {
        let mut group = Group::default();
        group.take_new(&taker(1, 0, &[]), 0, 3);
        group.take_new(&taker(2, 7, &[]), 3, 5);
        let (mut bytes, mut read) = (vec![], Group::default());
        group.write(ID, &mut bytes);
        assert_eq!(bytes.len(), GROUP_BYTES + 2 * DELIVERY_BYTES);
        assert_eq!(read.read(&bytes, ID), Some(()));
        assert_eq!(read, group);
        assert_eq!(read.read(&bytes, ID + 1), None);
        for at in [0, 8, 16, 24, 32] {
            let mut other = bytes.clone();
            other[at] ^= 4;
            assert_eq!(read.read(&other, ID), None, "byte {at}");
        }
        assert_eq!(read.read(&bytes[..bytes.len() - 1], ID), None);
        assert_eq!(read.read(b"junk", ID), None);
    }
}
