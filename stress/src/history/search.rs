//! An exhaustive linearizability check of small histories: it tries every order that the intervals allow (Wing and Gong,
//! 1993). It shares only the meaning of the operations with the quick check.

use super::{Event, ObjectKind, OpKind};
use std::collections::HashSet;

/// An object that performs one operation at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Object {
    /// What it holds: slot, identity and length; of a counter, the number as identity.
    holds: Option<(u32, u64, u32)>,
    /// The last epoch of each slot that was used.
    epochs: Vec<(u32, u64)>,
}

impl Object {
    /// Performs the event, if that is possible now.
    fn step(&self, kind: ObjectKind, event: &Event) -> Option<Self> {
        let mut next = self.clone();
        let holds = match (kind, event.op) {
            (ObjectKind::Vector, OpKind::Set | OpKind::Append | OpKind::Unset) => None,
            (ObjectKind::Group | ObjectKind::Vector, OpKind::Write) => Some((0, event.id, 0)),
            (ObjectKind::Counter, OpKind::Set) if self.holds.is_none() => Some((0, event.id, 0)),
            (ObjectKind::Counter, OpKind::Add) => {
                let sum = self.holds?.1 + u64::from(event.size);
                (sum == event.id).then_some(())?;
                Some((0, sum, 0))
            }
            (ObjectKind::Value, OpKind::Set) => {
                let stays = self.holds.is_none_or(|(slot, ..)| slot == event.slot);
                stays.then_some(())?;
                Some((event.slot, event.id, event.len))
            }
            (ObjectKind::Value, OpKind::Append) => {
                let (slot, _, len) = self.holds?;
                (slot == event.slot && len + event.size == event.len).then_some(())?;
                Some((slot, event.id, event.len))
            }
            (ObjectKind::Value, OpKind::Unset) => {
                let (slot, _, len) = self.holds?;
                (slot == event.slot && len == event.len).then_some(())?;
                None
            }
            (ObjectKind::Value, OpKind::Get) => {
                let (_, id, len) = self.holds?;
                (id == event.id && len == event.len).then_some(())?;
                self.holds
            }
            (ObjectKind::Counter, OpKind::GetNumber)
            | (ObjectKind::Group | ObjectKind::Vector, OpKind::Read) => {
                (self.holds?.1 == event.id).then_some(())?;
                self.holds
            }
            (_, OpKind::NotFound) => {
                self.holds.is_none().then_some(())?;
                None
            }
            _ => return None,
        };
        next.holds = holds;
        if kind == ObjectKind::Value && event.op.makes_version() {
            match next.epochs.iter_mut().find(|(slot, _)| *slot == event.slot) {
                Some((_, last)) if *last >= event.epoch => return None,
                Some((_, last)) => *last = event.epoch,
                None => next.epochs.push((event.slot, event.epoch)),
            }
            next.epochs.sort_unstable();
        }
        Some(next)
    }
}

/// Tells whether some order explains a history of at most 32 operations.
pub(super) fn is_linearizable(kind: ObjectKind, events: &[Event]) -> bool {
    assert!(events.len() <= 32, "too many to try");
    search(kind, events, 0, &Object::default(), &mut HashSet::new())
}

fn search(
    kind: ObjectKind,
    events: &[Event],
    done: u32,
    object: &Object,
    tried: &mut HashSet<(u32, Object)>,
) -> bool {
    if done.count_ones() as usize == events.len() {
        return true;
    }
    if !tried.insert((done, object.clone())) {
        return false;
    }
    let left = || (0..).zip(events).filter(|(at, _)| done & 1 << at == 0);
    // The next operation must have been invoked before any other of them had returned.
    let soonest = left().map(|(_, event)| event.returned).min().unwrap_or(u64::MAX);
    left().filter(|(_, event)| event.invoked <= soonest).any(|(at, event): (u32, _)| {
        let next = object.step(kind, event);
        next.is_some_and(|next| search(kind, events, done | 1 << at, &next, tried))
    })
}
