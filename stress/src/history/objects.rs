//! How the keys of a workload are numbered in its history, and what its operations look like there.

use super::{Act, Event, Kind, id};
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::oracle::value::Stamp;
use crate::workload::{KeySets, Workload};

/// The name of what no write wrote.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// The objects of a workload: values, counters, groups, and vectors if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    sets: KeySets,
    vectors: u64,
}

impl Objects {
    /// Numbers those of a workload.
    #[must_use]
    pub(crate) fn new(workload: &Workload) -> Self {
        let sets = workload.key_sets();
        let vectors = if workload.mix.has(Op::Vector) {
            sets.values.end
        } else {
            0
        };
        Self { sets, vectors }
    }

    /// Returns all of them: what each is, and its name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Kind, Family, u64)> + '_ {
        [
            (Kind::Value, Family::Value, self.sets.values.end),
            (Kind::Counter, Family::Counter, self.sets.counters.end),
            (Kind::Group, Family::Group, self.sets.groups.end),
            (Kind::Vector, Family::Value, self.vectors),
        ]
        .into_iter()
        .flat_map(|(kind, family, count)| (0..count).map(move |index| (kind, family, index)))
    }

    /// Returns the number of a key.
    #[inline]
    pub(crate) fn number(&self, family: Family, index: u64) -> u32 {
        let sets = &self.sets;
        let before = match family {
            Family::Value => 0,
            Family::Counter => sets.values.end,
            Family::Group => sets.values.end + sets.counters.end,
        };
        (before + index) as u32
    }

    /// Returns the number of a key's vector.
    #[inline]
    pub(crate) fn vector(&self, index: u64) -> u32 {
        self.number(Family::Group, self.sets.groups.end + index)
    }

    /// Describes an operation on a key.
    #[inline]
    pub(crate) fn event(&self, family: Family, index: u64, act: Act, id: u64) -> Event {
        Event {
            act,
            id,
            key: self.number(family, index),
            ..Event::default()
        }
    }

    /// Describes an operation on a key's vector.
    #[inline]
    pub(crate) fn vector_event(&self, index: u64, act: Act, id: u64) -> Event {
        Event {
            act,
            id,
            key: self.vector(index),
            ..Event::default()
        }
    }

    /// Describes a read of a value, by the stamp of its last piece.
    #[inline]
    pub(crate) fn get_event(
        &self,
        index: u64,
        last: Option<Stamp>,
        len: usize,
        epoch: u64,
    ) -> Event {
        let event = self.event(Family::Value, index, Act::Get, name(last));
        Event {
            epoch,
            ..event.sized(u32::try_from(len).unwrap_or(u32::MAX), 0)
        }
    }
}

impl Event {
    /// Adds the length that there was afterwards, and what was added.
    #[inline]
    #[must_use]
    pub(crate) fn sized(self, len: u32, size: u32) -> Self {
        Self { len, size, ..self }
    }
}

/// Returns the name of the write that a stamp is of; of what is no write's, one that no write has.
#[inline]
pub(crate) fn name(stamp: Option<Stamp>) -> u64 {
    stamp.map_or(UNKNOWN, |stamp| id(stamp.writer, stamp.seq))
}

/// Returns the text by which an object is known.
pub(crate) fn text(family: Family, index: u64) -> String {
    String::from_utf8_lossy(&keys::name(family, index)).into_owned()
}
