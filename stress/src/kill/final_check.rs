//! Checks a store after every writer is dead: nothing lost, nothing stuck, every key writable, every slot usable. First as
//! the dead left it, then after every writer id has had a new owner.

use super::ops::{
    ACCOUNT_COUNT, ACCOUNTS, HOT, KEYS_PER_WRITER, MIXED, ORDERS, OwnKey, SHARED_KEYS, SUM, TALLY, hot,
    order_name,
};
use super::record::KillPlan;
use super::shared_state::{Fault, KillState};
use super::verifier::Verifier;
use crate::raw::Raw;
use splinter::{Error, Scrub, Store, Writer, retry};
use std::time::Duration;

/// How long a key may be busy when no writer lives that could hold it.
const PATIENCE: Duration = Duration::from_millis(10);

/// Checks a store, and empties it.
pub(super) fn run(store: &Store, raw: &Raw, state: &KillState, plan: &KillPlan) {
    let report = |fault, text: String| state.fault(state.coordinator(), fault, &text);
    let stuck = |text: String| report(Fault::Stuck, text);
    // What readers see before any writer recovered anything.
    let mut verifier = Verifier::new(store, raw, state, state.coordinator());
    let [_, busy] = verifier.check_all();
    if busy > 0 {
        stuck(format!("{busy} keys are busy though no writer lives"));
    }
    match store.writer() {
        Ok(mut writer) => write_everything(&mut writer, state, &stuck),
        Err(error) => {
            return stuck(format!("no writer id though no writer lives: {error}"));
        }
    }
    // Every writer id gets a new owner once, which finishes what the last one left.
    let owners: Vec<_> = (0..store.geometry().max_writers).map(|_| store.writer()).collect();
    if let Some(Err(error)) = owners.iter().find(|owner| owner.is_err()) {
        stuck(format!("a dead writer's id cannot be had: {error}"));
    }
    drop(owners);
    verifier.check_all();
    inspect(store, false, &report);
    empty_and_fill(store, plan, &report);
}

/// Writes every key that stays, without a change of its content.
fn write_everything(writer: &mut Writer, state: &KillState, stuck: &impl Fn(String)) {
    let kept = [OwnKey::Value, OwnKey::Log, OwnKey::Count, OwnKey::Vector, OwnKey::Mark];
    let own = state.writers().flat_map(|writer| kept.map(|own| own.key(writer.number)));
    let shared = (0..HOT).map(hot).chain([SUM, MIXED, TALLY].map(str::to_owned));
    let orders = |base: String, count| (0..count).map(move |order| order_name(&base, order));
    let several = state.writers().flat_map(|writer| orders(OwnKey::Several.key(writer.number), ORDERS));
    let accounts = orders(ACCOUNTS.to_owned(), ACCOUNT_COUNT);
    for key in own.chain(shared).chain(several).chain(accounts) {
        let answer = retry(PATIENCE, || writer.bump(&key));
        if answer.is_err() {
            stuck(format!("{key}: takes no write though no writer lives: {answer:?}"));
        }
    }
    if let Err(error) = writer.sweep_expired(u32::MAX) {
        stuck(format!("a sweep of expired keys: {error}"));
    }
}

/// Reports what an inspection finds that must not be there.
pub(super) fn inspect(store: &Store, empty: bool, report: &impl Fn(Fault, String)) {
    let found = match store.inspect() {
        Ok(found) => found,
        Err(error) => return report(Fault::Unexpected, format!("inspection: {error}")),
    };
    let misplaced = [
        found.duplicate_keys,
        found.unreachable_keys,
        found.leaked_slots,
        found.wrong_notify_flags,
        // A key that is being inserted has an entry before it is there, but no key is being inserted now.
        found.dangling_entries,
        found.wrong_sketches,
    ];
    if misplaced != [0; 6] {
        report(Fault::Astray, format!("{found:?}"));
    }
    if found.stuck_claims + found.live_claims > 0 {
        report(Fault::Stuck, format!("{found:?}"));
    }
    if found.stale_bytes > 0 && store.scrub() != Scrub::None {
        report(Fault::Stale, format!("{found:?}"));
    }
    let keys = [found.keys, store.len(), store.keys().count() as u64];
    if keys != [found.keys; 3] || empty && found.keys > 0 {
        report(Fault::Astray, format!("{keys:?} keys: inspected, counted, listed"));
    }
}

/// Removes every key, fills every slot, and removes every key again.
fn empty_and_fill(store: &Store, plan: &KillPlan, report: &impl Fn(Fault, String)) {
    let stuck = |text: String| report(Fault::Stuck, text);
    let Ok(mut writer) = store.writer() else {
        return stuck("no writer id for the final check".to_owned());
    };
    let known = |key: &str| {
        let prefixes = ["hot", "churn", "once", "sum", "pair", "mixed", "s", TALLY, ACCOUNTS];
        prefixes.iter().any(|prefix| key.starts_with(prefix))
    };
    let keys: Vec<String> = store.keys().map(|key| key.to_string()).collect();
    if keys.len() as u64 > SHARED_KEYS + KEYS_PER_WRITER * u64::from(plan.writers) {
        report(Fault::Astray, format!("too many keys: {keys:?}"));
    }
    for key in &keys {
        if !known(key) {
            report(Fault::Astray, format!("{key}: no writer's key"));
        }
        if let Err(error) = retry(PATIENCE, || writer.unset(key)) {
            stuck(format!("{key}: cannot be removed: {error}"));
        }
    }
    let slots = store.geometry().slots;
    let fresh = |number| format!("fresh{number}");
    for number in 0..slots {
        if let Err(error) = retry(PATIENCE, || writer.set(fresh(number), b"x")) {
            return report(Fault::Astray, format!("slot {number} of {slots}: {error}"));
        }
    }
    let over = retry(PATIENCE, || writer.set(fresh(slots), b"x"));
    if over != Err(Error::Full) {
        report(Fault::Astray, format!("a key more than slots: {over:?}"));
    }
    for number in 0..slots {
        if let Err(error) = retry(PATIENCE, || writer.unset(fresh(number))) {
            stuck(format!("fresh{number}: cannot be removed: {error}"));
        }
    }
    drop(writer);
    inspect(store, true, report);
}
