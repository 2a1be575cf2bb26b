//! Histories: which worker called which operation on which key, from when to when, with which answer; and whether they are
//! linearizable. [`event_log`](crate::event_log) defines what is recorded and how it is stored. `check` knows neither stores nor
//! runs. `collect` and `file` bring histories in and out.
//!
//! # What is checked
//!
//! An operation is a call, from just before it (*invoked*) to just after it (*returned*). A history of a key is
//! *linearizable* if each operation can be given one moment between the two, such that the operations in the
//! order of their moments are a run of a key that does one thing at a time. Keys are independent of each other,
//! and a history is linearizable if that of each key is (Herlihy and Wing, 1990). A key here is one of three kinds of
//! object:
//!
//! - *value*: `set`, `append`, `unset`, reads, and answers that it was not found. Every change carries the
//!   version that it made, a slot and an epoch, and every value the name of the write it came from. The run must
//!   go through the versions of each slot in the order of their epochs, must leave a slot by `unset` only, and
//!   each append must find the length that it added to.
//! - *counter*: additions, which return the sum, and reads. Sums are versions: the run must go through them in
//!   their order, and each addition must find the sum that it added to. The journal of a group of accounts and a tally are
//!   counters, too.
//! - *register*: writes of a whole that no operation removes, and reads. A tandem group is one, and so is a key's
//!   vector, to which every change of the key's value is a write of nothing. Its versions have no order. An answer
//!   that a group was not found must lie before all of its writes. A key that is set for a time is a register like a vector:
//!   that it was not found is not recorded.
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
//! at the latest, and ends at *L* of its last at the earliest (never, if it was not unset). This is its *zone* (Gibbons and
//! Korach, "Testing shared memories", 1997, who define it for registers, the objects of the third kind). If *U* is before
//! *L*, the zone is *forward*, and the life must cover it. If not, the zone is *backward*, and the whole life may be at any
//! one moment in it, as may an answer "not found" in its own. So the history is linearizable if and only if no two forward
//! zones overlap, and no backward zone lies strictly within a forward one. For then every life with a backward zone can have
//! the first moment of its zone that no forward zone covers. Lives of one slot keep their order by that rule, because their
//! bounds do.
//!
//! Sorting versions, finding the write of each read and sorting zones take O(n log n), all else is linear.
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
#[cfg(test)]
mod tests;
mod zones;

pub use crate::event_log::OpKind;
pub(crate) use crate::event_log::{AFTER, BEFORE, Event};
use splinter_harness::named_enum;
use std::collections::TryReserveError;

named_enum! {
    /// The kind of an object, which decides how it is checked.
    pub enum ObjectKind: "kind of object" {
        /// A value.
        Value = "value",
        /// A number.
        Counter = "counter",
        /// A tandem group.
        Group = "group",
        /// A key's vector.
        Vector = "vector",
    }
}

/// A history, grouped by object.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The kind and name of each object.
    pub(crate) objects: Vec<(ObjectKind, String)>,
    /// All operations, those of object `n` from `starts[n]` to `starts[n + 1]`.
    pub(crate) events: Vec<Event>,
    pub(crate) starts: Vec<usize>,
    /// What could not be read after the last operation, in words: whether it is right is unknown.
    pub(crate) unread: Vec<String>,
    /// Length of a cycle of the clock.
    pub(crate) cycle_ns: f64,
}

impl History {
    /// Groups operations by object.
    ///
    /// # Panics
    /// Where there is no memory.
    #[must_use]
    pub(crate) fn new(
        objects: Vec<(ObjectKind, String)>,
        cycle_ns: f64,
        events: impl Iterator<Item = Event> + Clone,
    ) -> Self {
        Self::try_new(objects, cycle_ns, events).expect("there is memory for a history")
    }

    /// Groups operations by object, as far as there is memory.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn try_new(
        objects: Vec<(ObjectKind, String)>,
        cycle_ns: f64,
        events: impl Iterator<Item = Event> + Clone,
    ) -> Result<Self, TryReserveError> {
        let mut starts = filled(0, objects.len() + 1)?;
        for event in events.clone() {
            starts[event.key as usize + 1] += 1;
        }
        for at in 0..objects.len() {
            starts[at + 1] += starts[at];
        }
        let mut grouped = filled(Event::default(), starts[objects.len()])?;
        let mut next = filled(0, starts.len())?;
        next.copy_from_slice(&starts);
        for event in events {
            let at = &mut next[event.key as usize];
            grouped[*at] = event;
            *at += 1;
        }
        Ok(Self { objects, events: grouped, starts, unread: Vec::new(), cycle_ns })
    }

    /// Returns the operations on one object.
    pub(crate) fn of(&self, object: usize) -> &[Event] {
        &self.events[self.starts[object]..self.starts[object + 1]]
    }
}

/// Makes a list of equal items, if there is memory for it.
fn filled<T: Clone>(item: T, len: usize) -> Result<Vec<T>, TryReserveError> {
    let mut list = Vec::new();
    list.try_reserve_exact(len)?;
    list.resize(len, item);
    Ok(list)
}

/// Returns the identity of a write: its writer, and the number among that writer's writes.
pub(crate) fn id(writer: u16, seq: u64) -> u64 {
    u64::from(writer) << 48 | seq
}
