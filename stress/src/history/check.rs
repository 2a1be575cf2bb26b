//! Tells whether the history of one object is linearizable, and if not, which few operations contradict each other. The
//! argument is in the module above.

use super::zones::{Bound, Zone, conflicts};
use super::{Event, ObjectKind, OpKind};

/// Operations that have no linearization together, as positions in the history of their object, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    /// In the order of their invocations.
    pub operations: Vec<u32>,
    /// In words.
    pub why: &'static str,
}

/// The slot of the writes of a register, which have no order.
const REGISTER: u32 = u32::MAX;

/// A version, and the bounds of its moment.
#[derive(Clone, Copy, Debug)]
struct Version {
    event: u32,
    slot: u32,
    epoch: u64,
    /// The latest moment, by its own operation and its readers.
    upper: Bound,
    /// The earliest moment, by its own operation.
    lower: Bound,
    /// The earliest moment of the next version, by this one's readers.
    read: Bound,
}

/// Tells whether the operations on one object are linearizable, and which few are not.
pub(crate) fn check(kind: ObjectKind, events: &[Event]) -> Option<Contradiction> {
    check_kept(kind, events, None)
}

/// Removes operations that a contradiction does not need: without its times, an operation adds nothing to it.
pub(crate) fn shrink(kind: ObjectKind, events: &[Event], found: Contradiction) -> Contradiction {
    let mut least = found;
    let mut at = 0;
    while at < least.operations.len() && least.operations.len() > 1 {
        let mut fewer = least.operations.clone();
        fewer.remove(at);
        match check_kept(kind, events, Some(&fewer)) {
            Some(other) if other.operations.iter().all(|op| fewer.contains(op)) => least = other,
            _ => at += 1,
        }
    }
    least
}

/// Checks as if only the `kept` operations' times were known.
fn check_kept(kind: ObjectKind, events: &[Event], kept: Option<&[u32]>) -> Option<Contradiction> {
    let mut checker = Checker { kind, events, kept, best: None };
    checker.run();
    checker.best
}

struct Checker<'a> {
    kind: ObjectKind,
    events: &'a [Event],
    kept: Option<&'a [u32]>,
    best: Option<Contradiction>,
}

impl Checker<'_> {
    fn run(&mut self) {
        let mut versions = self.versions();
        self.check_steps(&versions);
        self.attach_reads(&mut versions);
        if self.best.is_some() && self.kept.is_none() {
            return;
        }
        self.propagate(&mut versions);
        let mut zones = self.lives(&versions);
        self.check_order(&versions);
        for (at, event) in (0..).zip(self.events) {
            if event.op == OpKind::NotFound && self.kind == ObjectKind::Group {
                self.check_missing(at, &versions);
            }
            // A change of the value removes the vector.
            let removed = self.kind == ObjectKind::Vector && event.op.makes_version();
            if event.op == OpKind::NotFound || removed {
                zones.push(Zone { begin: self.returned(at), end: self.invoked(at) });
            }
        }
        let why = "one answer needs a moment at which the key held what the others say it did not";
        conflicts(&zones, |one, other| {
            self.contradict(
                [one.begin, one.end, other.begin, other.end].into_iter().filter_map(|(_, event)| event),
                why,
            );
        });
    }

    /// Returns when an operation was invoked, if its times are known.
    fn invoked(&self, at: u32) -> Bound {
        if self.kept.is_some_and(|kept| !kept.contains(&at)) {
            return (0, None);
        }
        (self.events[at as usize].invoked, Some(at))
    }

    fn returned(&self, at: u32) -> Bound {
        if self.kept.is_some_and(|kept| !kept.contains(&at)) {
            return (u64::MAX, None);
        }
        (self.events[at as usize].returned, Some(at))
    }

    /// Returns the versions in their order, slot by slot.
    fn versions(&self) -> Vec<Version> {
        let mut versions: Vec<Version> = (0..)
            .zip(self.events)
            .filter_map(|(at, event)| {
                let (slot, epoch) = match (event.op, self.kind) {
                    (_, ObjectKind::Value) if event.op.makes_version() => (event.slot, event.epoch),
                    (OpKind::Add | OpKind::Set, ObjectKind::Counter) => (0, event.id),
                    (OpKind::Write, ObjectKind::Group | ObjectKind::Vector) => (REGISTER, event.id),
                    _ => return None,
                };
                Some(Version {
                    event: at,
                    slot,
                    epoch,
                    upper: self.returned(at),
                    lower: self.invoked(at),
                    read: (0, None),
                })
            })
            .collect();
        versions.sort_unstable_by_key(|version| (version.slot, version.epoch));
        versions
    }

    fn event(&self, version: &Version) -> &Event {
        &self.events[version.event as usize]
    }

    /// Tells whether two neighbouring versions belong to one sequence.
    fn follows(one: &Version, next: &Version) -> bool {
        one.slot == next.slot && next.slot != REGISTER
    }

    /// Checks that each version can follow the one before it.
    fn check_steps(&mut self, versions: &[Version]) {
        let mut before: Option<&Version> = None;
        for version in versions {
            let twin = before.filter(|one| (one.slot, one.epoch) == (version.slot, version.epoch));
            let last = before.filter(|one| Self::follows(one, version));
            let event = *self.event(version);
            let there = last.map(|last| self.event(last)).filter(|last| last.op != OpKind::Unset);
            let found = match (event.op, there, self.kind) {
                (OpKind::Add, Some(last), _) => last.id.wrapping_add(event.size.into()) == event.id,
                (OpKind::Append, Some(last), _) => {
                    u64::from(last.len) + u64::from(event.size) == u64::from(event.len)
                }
                (OpKind::Unset, Some(last), _) => last.len == event.len,
                (OpKind::Set | OpKind::Write, _, _) => true,
                _ => false,
            };
            let why = match (twin, found, there) {
                (Some(_), _, _) => "both say that they made the same version",
                (None, true, _) => "",
                (None, false, None) => "there was nothing to change",
                (None, false, Some(_)) => "the later one did not find what the earlier one left",
            };
            if !why.is_empty() {
                let pair = [last.or(twin).map(|one| one.event), Some(version.event)];
                self.contradict(pair.into_iter().flatten(), why);
            }
            before = Some(version);
        }
    }

    /// Finds the version of each read, and bounds that version's moment by the read.
    fn attach_reads(&mut self, versions: &mut [Version]) {
        let mut names: Vec<(u64, u32)> = (0..)
            .zip(&*versions)
            .filter(|(_, version)| self.event(version).op != OpKind::Unset)
            .map(|(at, version)| (self.event(version).id, at))
            .collect();
        names.sort_unstable();
        for (at, event) in (0..).zip(self.events) {
            if !matches!(event.op, OpKind::Get | OpKind::GetNumber | OpKind::Read) {
                continue;
            }
            let Ok(found) = names.binary_search_by_key(&event.id, |&(name, _)| name) else {
                self.contradict([at], "no write wrote what it read");
                continue;
            };
            let place = names[found].1 as usize;
            let (invoked, returned) = (self.invoked(at), self.returned(at));
            let written = *self.event(&versions[place]);
            if event.op == OpKind::Get && event.len != written.len {
                let pair = [versions[place].event, at];
                self.contradict(pair, "what it read is longer or shorter than what was written");
            }
            if event.op == OpKind::Get && event.epoch != 0 && !self.covers(versions, place, event.epoch) {
                let pair = [versions[place].event, at];
                self.contradict(pair, "its epoch is one at which another version was current");
            }
            let version = &mut versions[place];
            version.upper = version.upper.min(returned);
            version.read = version.read.max(invoked);
        }
    }

    /// Tells whether an optimistic read at `epoch` may return a version: the version before it must have been released by then,
    /// and the claim of the version behind it not yet won.
    fn covers(&self, versions: &[Version], place: usize, epoch: u64) -> bool {
        let near = |at: Option<usize>| {
            at.and_then(|at| versions.get(at)).filter(|one| one.slot == versions[place].slot)
        };
        near(place.checked_sub(1)).is_none_or(|before| before.epoch <= epoch)
            && near(Some(place + 1)).is_none_or(|next| epoch + 2 <= next.epoch)
    }

    /// Raises lower bounds to those of all versions before, and lowers upper bounds to those of all versions behind.
    fn propagate(&self, versions: &mut [Version]) {
        for at in 1..versions.len() {
            let last = versions[at - 1];
            if Self::follows(&last, &versions[at]) {
                let version = &mut versions[at];
                version.lower = version.lower.max(last.lower).max(last.read);
            }
        }
        for at in (1..versions.len()).rev() {
            let next = versions[at];
            if Self::follows(&versions[at - 1], &next) {
                let version = &mut versions[at - 1];
                version.upper = version.upper.min(next.upper);
            }
        }
    }

    /// Checks that every version has a moment.
    fn check_order(&mut self, versions: &[Version]) {
        for version in versions {
            if version.lower.0 > version.upper.0 {
                let pair = [version.upper.1, version.lower.1];
                let why = "what the first did or saw comes after what the second did or saw, yet it \
                           had returned before the second was invoked";
                self.contradict(pair.into_iter().flatten(), why);
            }
        }
    }

    /// Checks that an answer "not found" can lie before all versions: no operation removes a group.
    fn check_missing(&mut self, at: u32, versions: &[Version]) {
        let first = versions.iter().map(|version| version.upper).min();
        let invoked = self.invoked(at);
        if let Some(first) = first.filter(|first| first.0 < invoked.0) {
            let pair = [first.1, invoked.1];
            let why =
                "what no operation removes was there when the first returned, and not found by the second";
            self.contradict(pair.into_iter().flatten(), why);
        }
    }

    /// Returns the zone of each life.
    fn lives(&self, versions: &[Version]) -> Vec<Zone> {
        let mut zones = Vec::new();
        let mut begin = None;
        for (at, version) in versions.iter().enumerate() {
            let begin_here = *begin.get_or_insert(version.upper);
            let next = versions.get(at + 1).filter(|next| Self::follows(version, next));
            let end = match (self.event(version).op, next) {
                (OpKind::Unset, _) => version.lower,
                // A register's versions have no order: others may follow.
                (_, None) if version.slot == REGISTER => version.lower.max(version.read),
                (_, None) => (u64::MAX, None),
                (_, Some(_)) => continue,
            };
            begin = None;
            zones.push(Zone { begin: begin_here, end });
        }
        zones
    }

    /// Keeps a contradiction if it has fewer operations than the best one, or takes less time.
    fn contradict(&mut self, operations: impl IntoIterator<Item = u32>, why: &'static str) {
        let mut operations: Vec<u32> = operations.into_iter().collect();
        operations.sort_unstable_by_key(|&at| (self.events[at as usize].invoked, at));
        operations.dedup();
        let better =
            self.best.as_ref().is_none_or(|best| self.extent(&operations) < self.extent(&best.operations));
        if better {
            self.best = Some(Contradiction { operations, why });
        }
    }

    /// Returns how many operations these are, and how long they took together.
    fn extent(&self, operations: &[u32]) -> (usize, u64) {
        extent(self.events, operations)
    }
}

/// Returns how many operations these are, and how long they took together.
pub(crate) fn extent(events: &[Event], operations: &[u32]) -> (usize, u64) {
    let of = |at: &u32| &events[*at as usize];
    let first = operations.iter().map(|at| of(at).invoked).min();
    let last = operations.iter().map(|at| of(at).returned).max();
    let span = last.unwrap_or(0).saturating_sub(first.unwrap_or(0));
    (operations.len(), span)
}
