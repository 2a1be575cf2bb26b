//! The numbers of a workload's keys in its history, and the events of its operations.

use super::{Event, ObjectKind, OpKind, id};
use crate::keys::{self, Family};
use crate::mix::Op;
use crate::proof::value::Stamp;
use crate::workload::{KeySets, Workload};

/// The identity of a value that no write wrote.
pub(crate) const UNKNOWN: u64 = u64::MAX;

/// The objects of a workload: values, counters, groups, and vectors if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    sets: KeySets,
    /// Objects before those of each family.
    before: [u64; Family::ALL.len()],
    vectors: u64,
}

impl Objects {
    /// Numbers those of a workload.
    #[must_use]
    pub(crate) fn new(workload: &Workload) -> Self {
        let sets = workload.key_sets();
        let vectors = if workload.mix.has(Op::Vector) { sets.of(Family::Value).end } else { 0 };
        Self { before: sets.before(), sets, vectors }
    }

    /// Returns the kind, family and index of each object.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ObjectKind, Family, u64)> + '_ {
        let kind = |family: Family| match family {
            Family::Value | Family::Chain | Family::Lock => ObjectKind::Value,
            // The journal of a group counts its transactions.
            Family::Counter | Family::Account | Family::Tally => ObjectKind::Counter,
            Family::Group => ObjectKind::Group,
            // A register of whose absence nothing is recorded.
            Family::Lease => ObjectKind::Vector,
        };
        let keys =
            Family::ALL.into_iter().map(move |family| (kind(family), family, self.sets.of(family).end));
        keys.chain([(ObjectKind::Vector, Family::Value, self.vectors)])
            .flat_map(|(kind, family, count)| (0..count).map(move |index| (kind, family, index)))
    }

    /// Returns the number of a key.
    #[inline]
    pub(crate) fn number(&self, family: Family, index: u64) -> u32 {
        (self.before[family as usize] + index) as u32
    }

    /// Returns the number of a key's vector.
    #[inline]
    pub(crate) fn vector(&self, index: u64) -> u32 {
        (self.sets.count() + index) as u32
    }

    /// Makes the event of an operation on a key.
    #[inline]
    pub(crate) fn event(&self, family: Family, index: u64, op: OpKind, id: u64) -> Event {
        Event { op, id, key: self.number(family, index), ..Event::default() }
    }

    /// Makes the event of an operation on a key's vector.
    #[inline]
    pub(crate) fn vector_event(&self, index: u64, op: OpKind, id: u64) -> Event {
        Event { op, id, key: self.vector(index), ..Event::default() }
    }

    /// Makes the event of a read of a value, by the stamp of its last piece.
    #[inline]
    pub(crate) fn get_event(
        &self,
        family: Family,
        index: u64,
        last: Option<Stamp>,
        len: usize,
        epoch: u64,
    ) -> Event {
        let event = self.event(family, index, OpKind::Get, name(last));
        Event { epoch, ..event.sized(u32::try_from(len).unwrap_or(u32::MAX), 0) }
    }
}

impl Event {
    /// Adds the length after the operation, and how much was added.
    #[inline]
    #[must_use]
    pub(crate) fn sized(self, len: u32, size: u32) -> Self {
        Self { len, size, ..self }
    }
}

/// Returns the identity of the write with a stamp, or [`UNKNOWN`].
#[inline]
pub(crate) fn name(stamp: Option<Stamp>) -> u64 {
    stamp.map_or(UNKNOWN, |stamp| id(stamp.writer, stamp.seq))
}

/// Returns the name of an object.
pub(crate) fn text(family: Family, index: u64) -> String {
    String::from_utf8_lossy(&keys::name(family, index)).into_owned()
}
