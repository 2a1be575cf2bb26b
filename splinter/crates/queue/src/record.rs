//! What lies in the store: the names of a queue's keys, the record under its own name, and the numbers in its entries.

use crate::error::QueueError;
use splinter::Key;

/// The first eight bytes of a queue's record, which no text has by chance.
const MAGIC: u64 = u64::from_le_bytes(*b"\0qsplint");
/// The version of all that is described here, in `group.rs` and in `docs/queue.md`.
const VERSION: u64 = 1;
/// The words of a record before the names of its groups.
const WORDS: usize = 8;
/// The bytes in front of an entry's message.
pub(crate) const HEADER: usize = 16;

/// How far the creation or the removal of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Building = 1,
    Ready = 2,
    Removing = 3,
}

/// The value of the key that has the queue's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: State,
    /// How many entries the ring has: a power of two.
    pub(crate) capacity: u64,
    pub(crate) max_message_len: u64,
    /// How long a delivery is a consumer's alone, in nanoseconds; `u64::MAX` for ever.
    pub(crate) timeout_ns: u64,
    /// A random number, which all keys of the queue have.
    pub(crate) identity: u64,
    /// All groups have acknowledged the positions below it.
    pub(crate) floor: u64,
    pub(crate) groups: Vec<String>,
}

impl Record {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let words = [
            MAGIC,
            VERSION,
            self.state as u64,
            self.capacity,
            self.max_message_len,
            self.timeout_ns,
            self.identity,
            self.floor,
        ];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        for group in &self.groups {
            bytes.push(group.len() as u8);
            bytes.extend_from_slice(group.as_bytes());
        }
        bytes
    }

    /// Reads a record. `max_capacity` and `max_value_len` are the store's: what exceeds them was not made by this library.
    pub(crate) fn from_bytes(
        bytes: &[u8],
        max_capacity: u64,
        max_value_len: u64,
    ) -> Result<Self, QueueError> {
        if word(bytes, 0) != Some(MAGIC) {
            return Err(QueueError::NotAQueue);
        }
        match word(bytes, 1) {
            Some(VERSION) => {}
            Some(found) => return Err(QueueError::Version { found }),
            None => return Err(QueueError::NotAQueue),
        }
        let read = || {
            let state = match word(bytes, 2)? {
                1 => State::Building,
                2 => State::Ready,
                3 => State::Removing,
                _ => return None,
            };
            let [capacity, max_message_len] = [word(bytes, 3)?, word(bytes, 4)?];
            let [timeout_ns, identity, floor] = [word(bytes, 5)?, word(bytes, 6)?, word(bytes, 7)?];
            let mut rest = &bytes[WORDS * 8..];
            let mut groups = vec![];
            while let Some((len, tail)) = rest.split_first() {
                let (group, tail) = tail.split_at_checked(usize::from(*len))?;
                groups.push(str::from_utf8(group).ok()?.to_owned());
                rest = tail;
            }
            let fits = capacity.is_power_of_two()
                && capacity <= max_capacity
                && max_message_len.checked_add(HEADER as u64)? <= max_value_len
                && floor < 1 << 63;
            let record = Self { state, capacity, max_message_len, timeout_ns, identity, floor, groups };
            fits.then_some(record)
        };
        read().ok_or(QueueError::NotAQueue)
    }
}

/// Returns the `index`-th word of `bytes`.
pub(crate) fn word(bytes: &[u8], index: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(index * 8..)?.first_chunk()?))
}

/// Names an entry of a queue's ring.
pub(crate) fn entry_key(queue: &str, entry: u64) -> Result<Key, QueueError> {
    Ok(Key::new(format!("{queue}/{entry}").as_bytes())?)
}

/// Names the key of a group.
pub(crate) fn group_key(queue: &str, group: &str) -> Result<Key, QueueError> {
    if group.is_empty() {
        return Err(QueueError::BadName("a group's name has at least one byte"));
    }
    let bad = |_| {
        QueueError::BadName(
            "the queue's name, a colon and the group's have at most 63 bytes, none of them NUL",
        )
    };
    Key::new(format!("{queue}:{group}").as_bytes()).map_err(bad)
}

/// What an entry has to say on a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The message of that position was not sent yet.
    Free,
    /// It has the message.
    Message,
    /// It has a later one.
    Later,
}

impl Seen {
    /// Judges the stored number of the entry in which `position` lies. None if no queue stores it there.
    pub(crate) fn judge(number: u64, position: u64, capacity: u64) -> Option<Self> {
        match number.checked_sub(position)? {
            0 => Some(Self::Free),
            ahead if ahead == capacity => Some(Self::Message),
            ahead => (ahead % capacity == 0).then_some(Self::Later),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            state: State::Ready,
            capacity: 8,
            max_message_len: 40,
            timeout_ns: u64::MAX,
            identity: 77,
            floor: 5,
            groups: vec!["a".into(), "group".into()],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is() {
        let bytes = record().to_bytes();
        assert_eq!(Record::from_bytes(&bytes, 8, 56).unwrap(), record());
        for (max_capacity, max_value_len) in [(7, 56), (8, 55)] {
            let refused = Record::from_bytes(&bytes, max_capacity, max_value_len);
            assert!(matches!(refused, Err(QueueError::NotAQueue)));
        }
        for len in 0..bytes.len() {
            let whole_groups = [64, 66].contains(&len);
            assert_eq!(Record::from_bytes(&bytes[..len], 8, 56).is_ok(), whole_groups, "{len} bytes");
        }
        let mut other = bytes.clone();
        other[8] = 2;
        assert!(matches!(Record::from_bytes(&other, 8, 56), Err(QueueError::Version { found: 2 })));
    }

    #[test]
    fn an_entry_tells_whether_it_has_a_position() {
        let judge = |number| Seen::judge(number, 11, 8);
        assert_eq!(judge(11), Some(Seen::Free));
        assert_eq!(judge(19), Some(Seen::Message));
        assert_eq!(judge(27), Some(Seen::Later));
        assert_eq!([judge(3), judge(12), judge(20), judge(0)], [None; 4]);
    }
}
