//! The quick check against the exhaustive one, on small random histories of which about half are wrong; and that a
//! contradiction that it shows cannot be made shorter.

use super::check::{check, shrink};
use super::search::is_linearizable;
use super::{Event, ObjectKind, OpKind};
use splinter_harness::rng::Rng;

/// An object that performs one operation at a time, and remembers its versions.
struct Simulation {
    kind: ObjectKind,
    /// Slot, identity and length.
    holds: Option<(u32, u64, u32)>,
    epochs: [u64; 2],
    written: u64,
}

impl Simulation {
    fn new(kind: ObjectKind) -> Self {
        Self { kind, holds: None, epochs: [0; 2], written: 0 }
    }

    /// Performs a random operation that is possible, and returns it.
    fn step(&mut self, rng: &mut Rng) -> Event {
        let mut event = Event { op: OpKind::NotFound, ..Event::default() };
        let choice = rng.below(10);
        match (self.kind, self.holds) {
            (ObjectKind::Value, holds) => {
                let slot = holds.map_or(rng.below(2) as u32, |(slot, ..)| slot);
                event.slot = slot;
                match (choice, holds) {
                    (0..3, _) => {
                        event.op = OpKind::Set;
                        event.len = 8 + rng.below(2) as u32;
                        event.size = event.len;
                    }
                    (3..5, Some((_, _, len))) => {
                        event.op = OpKind::Append;
                        event.size = 1 + rng.below(2) as u32;
                        event.len = len + event.size;
                    }
                    (5..7, Some((_, _, len))) => {
                        event.op = OpKind::Unset;
                        event.len = len;
                    }
                    (_, Some((_, id, len))) => {
                        event.op = OpKind::Get;
                        (event.id, event.len, event.slot) = (id, len, 0);
                    }
                    (_, None) => event.slot = 0,
                }
                if event.op.makes_version() {
                    self.written += 1;
                    self.epochs[slot as usize] += 2 + 2 * rng.below(2);
                    event.epoch = self.epochs[slot as usize];
                    event.id = if event.op == OpKind::Unset { 0 } else { self.written };
                    self.holds = (event.op != OpKind::Unset).then_some((slot, event.id, event.len));
                }
            }
            (ObjectKind::Counter, None) => {
                event.op = OpKind::Set;
                self.holds = Some((0, 0, 0));
            }
            (ObjectKind::Counter, Some((_, number, _))) if choice < 6 => {
                event.op = OpKind::Add;
                event.size = 1 + rng.below(2) as u32;
                event.id = number + u64::from(event.size);
                self.holds = Some((0, event.id, 0));
            }
            (ObjectKind::Counter, Some((_, number, _))) => {
                event.op = OpKind::GetNumber;
                event.id = number;
            }
            (ObjectKind::Vector, _) if choice < 2 => {
                event.op = [OpKind::Set, OpKind::Append, OpKind::Unset][rng.below(3) as usize];
                self.holds = None;
            }
            (ObjectKind::Group, None) if choice < 4 => {}
            (_, Some((_, id, _))) if choice < 6 => {
                event.op = OpKind::Read;
                event.id = id;
            }
            (_, _) => {
                self.written += 1;
                event.op = OpKind::Write;
                event.id = self.written;
                self.holds = Some((0, event.id, 0));
            }
        }
        event
    }
}

/// Makes a linearizable history: every operation has a moment, and takes some time before and after it. No worker performs
/// two operations at once.
fn valid(kind: ObjectKind, rng: &mut Rng) -> Vec<Event> {
    let mut simulation = Simulation::new(kind);
    let workers = 2 + rng.below(3);
    let operations = 2 + rng.below(8);
    let slack = 1 + rng.below(60);
    let mut free = [0; 4];
    let mut events = Vec::new();
    for at in 0..operations {
        let mut event = simulation.step(rng);
        let moment = 100 + at * 10;
        let worker = rng.below(workers);
        let before = free[worker as usize];
        event.worker = worker as u32;
        // A worker that is not done by now begins its next operation later.
        event.invoked = moment.saturating_sub(rng.below(slack)).max(before.min(moment));
        event.returned = moment + rng.below(slack);
        free[worker as usize] = event.returned + 1;
        events.push(event);
    }
    events
}

/// Spoils most histories.
fn spoil(events: &mut [Event], rng: &mut Rng) {
    let any = |rng: &mut Rng| rng.index(events.len());
    let (one, other) = (any(rng), any(rng));
    match rng.below(7) {
        0 if is_read(&events[one]) || events[one].op == OpKind::Add => {
            let (id, len) = (events[other].id, events[other].len);
            (events[one].id, events[one].len) = (id, len);
        }
        1 => {
            let times = (events[one].invoked, events[one].returned);
            (events[one].invoked, events[one].returned) = (events[other].invoked, events[other].returned);
            (events[other].invoked, events[other].returned) = times;
        }
        2 => {
            let by = rng.below(80);
            events[one].invoked += by;
            events[one].returned += by;
        }
        3 => {
            let by = rng.below(80).min(events[one].invoked);
            events[one].invoked -= by;
            events[one].returned -= by;
        }
        4 => {
            let epoch = events[other].epoch;
            events[other].epoch = events[one].epoch;
            events[one].epoch = epoch;
        }
        5 => events[one].slot ^= 1,
        _ => {
            events[one].op = [OpKind::Get, OpKind::NotFound, OpKind::Unset, OpKind::GetNumber, OpKind::Read]
                [rng.below(5) as usize];
        }
    }
}

/// Tells whether it only reads.
fn is_read(event: &Event) -> bool {
    matches!(event.op, OpKind::Get | OpKind::GetNumber | OpKind::Read)
}

/// Tells whether objects of a kind have an operation: others are neither right nor wrong.
fn is_known(kind: ObjectKind, event: &Event) -> bool {
    match kind {
        ObjectKind::Value => {
            !matches!(event.op, OpKind::Add | OpKind::GetNumber | OpKind::Write | OpKind::Read)
        }
        ObjectKind::Counter => {
            matches!(event.op, OpKind::Set | OpKind::Add | OpKind::GetNumber | OpKind::NotFound)
        }
        ObjectKind::Group => matches!(event.op, OpKind::Write | OpKind::Read | OpKind::NotFound),
        ObjectKind::Vector => {
            !matches!(event.op, OpKind::Get | OpKind::Add | OpKind::GetNumber | OpKind::NotFound)
        }
    }
}

#[test]
fn the_quick_check_agrees_with_the_exhaustive_one() {
    let rounds = 20_000;
    for (number, kind) in
        (0..).zip([ObjectKind::Value, ObjectKind::Counter, ObjectKind::Group, ObjectKind::Vector])
    {
        let mut rng = Rng::new(5, number);
        let (mut right, mut wrong) = (0, 0);
        for round in 0..rounds {
            let mut events = valid(kind, &mut rng);
            for _ in 0..round % 4 {
                spoil(&mut events, &mut rng);
            }
            // Reads have no epoch here.
            for event in events.iter_mut().filter(|event| is_read(event)) {
                event.epoch = 0;
            }
            if !events.iter().all(|event| is_known(kind, event)) {
                continue;
            }
            let plain = is_linearizable(kind, &events);
            let quick = check(kind, &events);
            assert_eq!(quick.is_none(), plain, "{kind:?}, round {round}: {quick:?}\n{events:#?}");
            assert!(plain || round % 4 != 0, "what happened is linearizable: {events:#?}");
            if plain {
                right += 1;
            } else {
                wrong += 1;
            }
        }
        assert!(right > rounds / 8 && wrong > rounds / 8, "{kind:?}: {right} and {wrong}");
    }
}

#[test]
fn a_contradiction_that_is_shown_cannot_be_shorter() {
    let mut shown = [0; 6];
    for (number, kind) in
        (0..).zip([ObjectKind::Value, ObjectKind::Counter, ObjectKind::Group, ObjectKind::Vector])
    {
        let mut rng = Rng::new(6, number);
        for _ in 0..4_000 {
            let mut events = valid(kind, &mut rng);
            // Times only, so that any order of them all would be one without them.
            for _ in 0..3 {
                let (one, by) = (rng.index(events.len()), rng.below(80));
                events[one].invoked += by;
                events[one].returned += by;
            }
            let Some(found) = check(kind, &events) else {
                continue;
            };
            let least = shrink(kind, &events, found);
            // An operation that is not shown may have been at any time.
            let explained = |kept: &[u32]| {
                let mut events = events.clone();
                for (at, event) in (0..).zip(&mut events) {
                    if !kept.contains(&at) {
                        (event.invoked, event.returned) = (0, u64::MAX);
                    }
                }
                is_linearizable(kind, &events)
            };
            assert!(!explained(&least.operations), "{kind:?} {least:?}\n{events:#?}");
            for at in 0..least.operations.len() {
                let mut fewer = least.operations.clone();
                fewer.remove(at);
                assert!(explained(&fewer), "{kind:?} {least:?}, without {at}\n{events:#?}");
            }
            shown[least.operations.len()] += 1;
        }
    }
    assert!(shown[2] > 100 && shown[3] > 100 && shown[5] == 0, "{shown:?}");
}
