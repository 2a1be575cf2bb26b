//! What is left of a store when every writer is dead: nothing lost, nothing stuck, every key writable,
//! every slot usable. First as the dead left it, then once every lane has had a new owner.

use super::board::{Board, Fault};
use super::desk::{HOT, MIXED, Own, SHARED_KEYS, SUM, hot};
use super::eyes::Eyes;
use super::record::KillPlan;
use crate::raw::Raw;
use splinter::{Error, Scrub, Store, Writer};

/// How often a key may be busy when nobody lives who could hold it.
const PATIENCE: usize = 200;

/// Inspects a store, and empties it.
pub(super) fn inspect(store: &Store, raw: &Raw, board: &Board, plan: &KillPlan) {
    let tell = |fault, text: &str| board.fault(board.own_place(), fault, text);
    // What readers see before any writer came by.
    let mut eyes = Eyes::new(store, raw, board, board.own_place());
    let [_, busy] = eyes.look_around();
    if busy > 0 {
        tell(
            Fault::Stuck,
            &format!("{busy} keys are busy though nobody lives"),
        );
    }
    match store.writer() {
        Ok(mut writer) => write_everything(&mut writer, board, &tell),
        Err(error) => {
            return tell(
                Fault::Stuck,
                &format!("no lane though nobody lives: {error}"),
            );
        }
    }
    // Every lane has a new owner once, who finishes what the last one left.
    let lanes: Vec<_> = (0..store.geometry().lanes)
        .map(|_| store.writer())
        .collect();
    if let Some(Err(error)) = lanes.iter().find(|lane| lane.is_err()) {
        tell(
            Fault::Stuck,
            &format!("a dead writer's lane cannot be had: {error}"),
        );
    }
    drop(lanes);
    eyes.look_around();
    judge(store, false, &tell);
    empty_and_fill(store, plan, &tell);
}

/// Writes every key that stays, in one way that changes no content.
fn write_everything(writer: &mut Writer, board: &Board, tell: &impl Fn(Fault, &str)) {
    let kept = [Own::Value, Own::Log, Own::Count, Own::Vector, Own::Mark];
    let own = board
        .seats()
        .flat_map(|seat| kept.map(|own| own.key(seat.number)));
    let shared = (0..HOT).map(hot).chain([SUM, MIXED].map(str::to_owned));
    for key in own.chain(shared) {
        let answer = patiently(|| writer.bump(&key));
        if answer.is_err() {
            tell(
                Fault::Stuck,
                &format!("{key}: takes no write though nobody lives: {answer:?}"),
            );
        }
    }
}

/// Tells what an inspection finds that must not be there.
fn judge(store: &Store, empty: bool, tell: &impl Fn(Fault, &str)) {
    let found = match store.inspect() {
        Ok(found) => found,
        Err(error) => return tell(Fault::Unexpected, &format!("inspection: {error}")),
    };
    let astray = [
        found.duplicate_keys,
        found.unreachable_keys,
        found.leaked_slots,
        found.misrouted_slots,
        // A key that is being inserted has an entry before it is there: not so once all is quiet.
        found.dangling_entries,
    ];
    if astray != [0; 5] {
        tell(Fault::Astray, &format!("{found:?}"));
    }
    if found.stuck_claims + found.live_claims > 0 {
        tell(Fault::Stuck, &format!("{found:?}"));
    }
    if found.stale_bytes > 0 && store.scrub() != Scrub::None {
        tell(Fault::Stale, &format!("{found:?}"));
    }
    let keys = [found.keys, store.len(), store.keys().count() as u64];
    if keys != [found.keys; 3] || empty && found.keys > 0 {
        tell(
            Fault::Astray,
            &format!("{keys:?} keys: inspected, counted, listed"),
        );
    }
}

/// Removes every key, fills every slot, and removes every key again.
fn empty_and_fill(store: &Store, plan: &KillPlan, tell: &impl Fn(Fault, &str)) {
    let Ok(mut writer) = store.writer() else {
        return tell(Fault::Stuck, "no lane for the last look");
    };
    let known = |key: &str| {
        let prefixes = ["hot", "churn", "once", "sum", "pair", "mixed", "s"];
        prefixes.iter().any(|prefix| key.starts_with(prefix))
    };
    let keys: Vec<String> = store.keys().map(|key| key.to_string()).collect();
    if keys.len() as u64 > SHARED_KEYS + super::KEYS_A_SEAT * u64::from(plan.writers) {
        tell(Fault::Astray, &format!("too many keys: {keys:?}"));
    }
    for key in &keys {
        if !known(key) {
            tell(Fault::Astray, &format!("{key}: nobody's key"));
        }
        if let Err(error) = patiently(|| writer.unset(key)) {
            tell(Fault::Stuck, &format!("{key}: cannot be removed: {error}"));
        }
    }
    let slots = store.geometry().slots;
    let fresh = |number| format!("fresh{number}");
    for number in 0..slots {
        if let Err(error) = patiently(|| writer.set(fresh(number), b"x")) {
            return tell(Fault::Astray, &format!("slot {number} of {slots}: {error}"));
        }
    }
    let over = patiently(|| writer.set(fresh(slots), b"x"));
    if over != Err(Error::Full) {
        tell(Fault::Astray, &format!("a key more than slots: {over:?}"));
    }
    for number in 0..slots {
        if let Err(error) = patiently(|| writer.unset(fresh(number))) {
            tell(
                Fault::Stuck,
                &format!("fresh{number}: cannot be removed: {error}"),
            );
        }
    }
    drop(writer);
    judge(store, true, tell);
}

/// Repeats what is busy, but not for ever.
fn patiently<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut answers = (0..PATIENCE).map(|_| attempt());
    answers
        .find(|answer| !matches!(answer, Err(Error::Again)))
        .unwrap_or(Err(Error::Again))
}
