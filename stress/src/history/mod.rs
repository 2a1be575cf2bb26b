//! Histories: who called what on which key from when to when, and what was answered; whether some order of
//! single moments explains all of it. What is recorded and how it is stored lies here and in `tape`; `check`
//! judges, and knows neither stores nor runs; `collect` and `file` bring histories in and out.
//!
//! # What is checked
//!
//! An operation is a call, from just before it (*invoked*) to just after it (*returned*). A history of a key is
//! *linearizable* if each operation can be given one moment between the two, such that the operations in the
//! order of their moments are a run of a key that does one thing at a time. Keys are independent of each other,
//! and a history is linearizable if that of each key is (Herlihy and Wing, 1990). A key here is one of three
//! kinds of object:
//!
//! - *value*: `set`, `append`, `unset`, reads, and answers that it was not found. Every change carries the
//!   version that it made, a slot and an epoch, and every value the name of the write it came from. The run must
//!   go through the versions of each slot in the order of their epochs, must leave a slot by `unset` only, and
//!   each append must find the length that it added to.
//! - *counter*: additions, which return the sum, and reads. Sums are versions: the run must go through them in
//!   their order, and each addition must find the sum that it added to.
//! - *register*: writes of a whole that nobody removes, and reads. A tandem group is one, and so is a key's
//!   vector, to which every change of the key's value is a write of nothing. Its versions have no order. An answer
//!   that a group was not found must lie before all of its writes.
//!
//! Calls that answered `Again` did nothing, and are not recorded: were one of them to do something after all, its
//! value would have been read before the call that succeeded was invoked, or found in the place of another.
//! Appends refused for their length and labels are not recorded either.
//!
//! # How, in the time that sorting takes
//!
//! The moments of a slot's versions, *t*₁ ≤ *t*₂ ≤ …, are bound by intervals alone. The change itself wants
//! *invoked* ≤ *t*ᵢ ≤ *returned*; a read of version *i* has a moment in *t*ᵢ ..= *t*ᵢ₊₁, for which *t*ᵢ ≤
//! *returned* and *invoked* ≤ *t*ᵢ₊₁ are necessary and enough. So each *t*ᵢ has a greatest lower bound *L*ᵢ and a least
//! upper bound *U*ᵢ, and, since moments do not go back, the former is raised to that of all versions before, and the latter
//! lowered to that of all after. There are such moments if and only if *L*ᵢ ≤ *U*ᵢ throughout.
//!
//! A slot's versions fall into *lives*, from the first set to the `unset`. Lives of one key must not overlap, in
//! whichever slots they are, and an answer "not found" must lie between them. A life begins at *U* of its first version
//! at the latest, and ends at *L* of its last at the earliest (never, if it was not unset). If that is a
//! stretch of time, the life must cover it; if it is not, the whole life may be at any one moment between the two, as
//! may an answer "not found" between its own. So the history is linearizable if and only if no two stretches overlap,
//! and no choice of moments lies strictly within a stretch: for then every life without a stretch can have the first
//! moment of its choice that no stretch covers, and lives of one slot keep their order by that rule, because their
//! bounds do. (Gibbons and Korach, "Testing shared memories", 1997, have the same for registers of
//! unordered values, to which the objects of the third kind are put.)
//!
//! Sorting versions, finding the write of each read and sorting stretches take O(n log n), all else is linear.
//!
//! # What is assumed
//!
//! The time-stamp counters of all processors agree. A change is taken to have returned once its stores have left the
//! processor (a full fence stands before the second look at the clock): what another processor does not see until
//! then is within the operation.

pub(crate) mod check;
pub(crate) mod collect;
pub(crate) mod file;
pub(crate) mod objects;
pub(crate) mod record;
#[cfg(test)]
mod search;
pub(crate) mod tape;
#[cfg(test)]
mod tests;
mod zones;

use serde::{Deserialize, Serialize};

/// What an operation did, as its caller knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Act {
    /// It set the value.
    Set,
    /// It appended to the value.
    Append,
    /// It removed the key.
    Unset,
    /// It read the value.
    #[default]
    Get,
    /// It was answered that there is no such key.
    NotFound,
    /// It added to the number.
    Add,
    /// It read the number.
    GetNumber,
    /// It wrote a whole: a tandem group or a vector.
    Write,
    /// It read a whole.
    Read,
}

impl Act {
    /// All of them, by number.
    const ALL: [Self; 9] = [
        Self::Set,
        Self::Append,
        Self::Unset,
        Self::Get,
        Self::NotFound,
        Self::Add,
        Self::GetNumber,
        Self::Write,
        Self::Read,
    ];

    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Append => "append",
            Self::Unset => "unset",
            Self::Get => "get",
            Self::NotFound => "not_found",
            Self::Add => "add",
            Self::GetNumber => "get_number",
            Self::Write => "write",
            Self::Read => "read",
        }
    }

    /// Tells whether it made a version of a value.
    fn makes_version(self) -> bool {
        matches!(self, Self::Set | Self::Append | Self::Unset)
    }
}

/// Worker number of what was there before the first operation.
pub(crate) const BEFORE: u32 = u16::MAX as u32;
/// Worker number of what was read after the last.
pub(crate) const AFTER: u32 = BEFORE - 1;

/// An operation that was called and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Clock before the call, in cycles.
    pub invoked: u64,
    /// Clock after it.
    pub returned: u64,
    /// Who called.
    pub worker: u32,
    /// Which object of the history.
    pub key: u32,
    /// What it did.
    pub act: Act,
    /// The name of what was written or read; of a counter, the number.
    pub id: u64,
    /// The slot of the version that it made.
    pub slot: u32,
    /// The epoch of that version. Of a read, the epoch that the store said, if it was asked.
    pub epoch: u64,
    /// The value's length since; of an unset, until then.
    pub len: u32,
    /// What was added: bytes, or to the number.
    pub size: u32,
}

/// What an object is, and how it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A value.
    Value,
    /// A number.
    Counter,
    /// A tandem group.
    Group,
    /// A key's vector.
    Vector,
}

/// A history, grouped by object.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// What each object is, and what it is called.
    pub(crate) objects: Vec<(Kind, String)>,
    /// All operations, those of object `n` from `starts[n]` to `starts[n + 1]`.
    pub(crate) events: Vec<Event>,
    pub(crate) starts: Vec<usize>,
    /// What could not be read after the last operation, in words: nobody knows whether it is as it should be.
    pub(crate) unread: Vec<String>,
    /// Length of a cycle of the clock.
    pub(crate) cycle_ns: f64,
}

impl History {
    /// Groups operations by object.
    #[must_use]
    pub(crate) fn new(
        objects: Vec<(Kind, String)>,
        cycle_ns: f64,
        events: impl Iterator<Item = Event> + Clone,
    ) -> Self {
        let mut starts = vec![0; objects.len() + 1];
        for event in events.clone() {
            starts[event.key as usize + 1] += 1;
        }
        for at in 0..objects.len() {
            starts[at + 1] += starts[at];
        }
        let mut grouped = vec![Event::default(); starts[objects.len()]];
        let mut next = starts.clone();
        for event in events {
            let at = &mut next[event.key as usize];
            grouped[*at] = event;
            *at += 1;
        }
        Self {
            objects,
            events: grouped,
            starts,
            unread: Vec::new(),
            cycle_ns,
        }
    }

    /// Returns the operations on one object.
    pub(crate) fn of(&self, object: usize) -> &[Event] {
        &self.events[self.starts[object]..self.starts[object + 1]]
    }
}

/// Returns the name of a write: who wrote, and as which of its writes.
pub(crate) fn id(writer: u16, seq: u64) -> u64 {
    u64::from(writer) << 48 | seq
}
