//! The quick check against the plain search, on small random histories of which about half are wrong; and that what
//! it shows of a wrong history cannot be made shorter.

use super::check::{check, shrink};
use super::search::is_linearizable;
use super::{Act, Event, Kind};
use crate::rng::Rng;

/// An object that is driven one step at a time, and remembers its versions.
struct Simulation {
    kind: Kind,
    /// Slot, name and length.
    holds: Option<(u32, u64, u32)>,
    epochs: [u64; 2],
    written: u64,
}

impl Simulation {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            holds: None,
            epochs: [0; 2],
            written: 0,
        }
    }

    /// Does something that is possible, and says what.
    fn step(&mut self, rng: &mut Rng) -> Event {
        let mut event = Event {
            invoked: 0,
            returned: 0,
            worker: 0,
            key: 0,
            act: Act::NotFound,
            id: 0,
            slot: 0,
            epoch: 0,
            len: 0,
            size: 0,
        };
        let choice = rng.below(10);
        match (self.kind, self.holds) {
            (Kind::Value, holds) => {
                let slot = holds.map_or(rng.below(2) as u32, |(slot, ..)| slot);
                event.slot = slot;
                match (choice, holds) {
                    (0..3, _) => {
                        event.act = Act::Set;
                        event.len = 8 + rng.below(2) as u32;
                        event.size = event.len;
                    }
                    (3..5, Some((_, _, len))) => {
                        event.act = Act::Append;
                        event.size = 1 + rng.below(2) as u32;
                        event.len = len + event.size;
                    }
                    (5..7, Some((_, _, len))) => {
                        event.act = Act::Unset;
                        event.len = len;
                    }
                    (_, Some((_, id, len))) => {
                        event.act = Act::Get;
                        (event.id, event.len, event.slot) = (id, len, 0);
                    }
                    (_, None) => event.slot = 0,
                }
                if event.act.makes_version() {
                    self.written += 1;
                    self.epochs[slot as usize] += 2 + 2 * rng.below(2);
                    event.epoch = self.epochs[slot as usize];
                    event.id = if event.act == Act::Unset {
                        0
                    } else {
                        self.written
                    };
                    self.holds = (event.act != Act::Unset).then_some((slot, event.id, event.len));
                }
            }
            (Kind::Counter, None) => {
                event.act = Act::Set;
                self.holds = Some((0, 0, 0));
            }
            (Kind::Counter, Some((_, number, _))) if choice < 6 => {
                event.act = Act::Add;
                event.size = 1 + rng.below(2) as u32;
                event.id = number + u64::from(event.size);
                self.holds = Some((0, event.id, 0));
            }
            (Kind::Counter, Some((_, number, _))) => {
                event.act = Act::GetNumber;
                event.id = number;
            }
            (Kind::Vector, _) if choice < 2 => {
                event.act = [Act::Set, Act::Append, Act::Unset][rng.below(3) as usize];
                self.holds = None;
            }
            (Kind::Group, None) if choice < 4 => {}
            (_, Some((_, id, _))) if choice < 6 => {
                event.act = Act::Read;
                event.id = id;
            }
            (_, _) => {
                self.written += 1;
                event.act = Act::Write;
                event.id = self.written;
                self.holds = Some((0, event.id, 0));
            }
        }
        event
    }
}

/// Makes a history that happened: every operation has a moment, and takes some time before and after it. No worker
/// does two things at once.
fn valid(kind: Kind, rng: &mut Rng) -> Vec<Event> {
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
        // A worker that was not done by now takes part again later: this one is somebody else's, then.
        event.invoked = moment
            .saturating_sub(rng.below(slack))
            .max(before.min(moment));
        event.returned = moment + rng.below(slack);
        free[worker as usize] = event.returned + 1;
        events.push(event);
    }
    events
}

/// Spoils a history, mostly.
fn spoil(events: &mut [Event], rng: &mut Rng) {
    let any = |rng: &mut Rng| rng.index(events.len());
    let (one, other) = (any(rng), any(rng));
    match rng.below(7) {
        0 if is_read(&events[one]) || events[one].act == Act::Add => {
            let (id, len) = (events[other].id, events[other].len);
            (events[one].id, events[one].len) = (id, len);
        }
        1 => {
            let times = (events[one].invoked, events[one].returned);
            (events[one].invoked, events[one].returned) =
                (events[other].invoked, events[other].returned);
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
            events[one].act = [
                Act::Get,
                Act::NotFound,
                Act::Unset,
                Act::GetNumber,
                Act::Read,
            ][rng.below(5) as usize];
        }
    }
}

/// Tells whether it only reads.
fn is_read(event: &Event) -> bool {
    matches!(event.act, Act::Get | Act::GetNumber | Act::Read)
}

/// Tells whether the plain search can judge these at all: an operation that no object of the kind has is neither
/// right nor wrong.
fn is_known(kind: Kind, event: &Event) -> bool {
    match kind {
        Kind::Value => !matches!(
            event.act,
            Act::Add | Act::GetNumber | Act::Write | Act::Read
        ),
        Kind::Counter => matches!(
            event.act,
            Act::Set | Act::Add | Act::GetNumber | Act::NotFound
        ),
        Kind::Group => matches!(event.act, Act::Write | Act::Read | Act::NotFound),
        Kind::Vector => !matches!(
            event.act,
            Act::Get | Act::Add | Act::GetNumber | Act::NotFound
        ),
    }
}

#[test]
fn the_quick_check_agrees_with_the_plain_search() {
    let rounds = 20_000;
    for (number, kind) in (0..).zip([Kind::Value, Kind::Counter, Kind::Group, Kind::Vector]) {
        let mut rng = Rng::new(5, number);
        let (mut right, mut wrong) = (0, 0);
        for round in 0..rounds {
            let mut events = valid(kind, &mut rng);
            for _ in 0..round % 4 {
                spoil(&mut events, &mut rng);
            }
            // Reads were not told an epoch here.
            for event in events.iter_mut().filter(|event| is_read(event)) {
                event.epoch = 0;
            }
            if !events.iter().all(|event| is_known(kind, event)) {
                continue;
            }
            let plain = is_linearizable(kind, &events);
            let quick = check(kind, &events);
            assert_eq!(
                quick.is_none(),
                plain,
                "{kind:?}, round {round}: {quick:?}\n{events:#?}"
            );
            assert!(
                plain || round % 4 != 0,
                "what happened is linearizable: {events:#?}"
            );
            if plain {
                right += 1;
            } else {
                wrong += 1;
            }
        }
        assert!(
            right > rounds / 8 && wrong > rounds / 8,
            "{kind:?}: {right} and {wrong}"
        );
    }
}

#[test]
fn what_is_shown_of_a_wrong_history_contradicts_itself_and_cannot_be_less() {
    let mut shown = [0; 6];
    for (number, kind) in (0..).zip([Kind::Value, Kind::Counter, Kind::Group, Kind::Vector]) {
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
            // Whoever is not shown may have been at any time.
            let explained = |kept: &[u32]| {
                let mut events = events.clone();
                for (at, event) in (0..).zip(&mut events) {
                    if !kept.contains(&at) {
                        (event.invoked, event.returned) = (0, u64::MAX);
                    }
                }
                is_linearizable(kind, &events)
            };
            assert!(
                !explained(&least.operations),
                "{kind:?} {least:?}\n{events:#?}"
            );
            for at in 0..least.operations.len() {
                let mut fewer = least.operations.clone();
                fewer.remove(at);
                assert!(
                    explained(&fewer),
                    "{kind:?} {least:?}, without {at}\n{events:#?}"
                );
            }
            shown[least.operations.len()] += 1;
        }
    }
    assert!(
        shown[2] > 100 && shown[3] > 100 && shown[5] == 0,
        "{shown:?}"
    );
}
