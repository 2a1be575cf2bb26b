//! The checks at a pause point: before the second operation, after it, and after both. A fault is a text with the number of
//! the invariant that it breaks (docs/protocol.md).

use super::answer::Answer;
use super::ops::{Arguments, Op};
use super::scenario::{Interruption, KEY_GROUP, KeyLayout, LABEL_GROUP, Scenario};
use super::snapshot::ArenaSnapshot;
use splinter::{Error, Scrub, Store, Watcher, Writer, hash_key};
use splinter_testkit::{Model, Seen};
use std::collections::BTreeMap;

/// The most times that a dead writer's claim may be met before a writer asks whether the owner lives.
const MAX_ATTEMPTS: usize = 130;

/// The states that the store may be in: whether the first operation is in effect, and what the store holds then.
pub(super) type PossibleStates = Vec<(bool, Model)>;

/// All keys as they are read, without the missing ones.
pub(super) type Contents = BTreeMap<Vec<u8>, Seen>;

/// The checks of one scenario.
pub(super) struct Checker {
    pub(super) scenario: Scenario,
    pub(super) arguments: [Arguments; 2],
    /// What the store holds at first.
    pub(super) before: Model,
    keys: Vec<String>,
}

/// The watchers that are open while a point is tried.
pub(super) struct Watchers {
    all: Watcher,
    group: Watcher,
    label: Watcher,
}

/// What the watchers were notified of: changes by slot, and signals of the keys' group and of the label's.
#[derive(Default)]
struct Notifications {
    slots: BTreeMap<u32, u32>,
    group: u32,
    label: u32,
    lagged: bool,
}

impl Watchers {
    pub(super) fn open(store: &Store) -> Option<Self> {
        Some(Self {
            all: store.watch_all().ok()?,
            group: store.watch(&[KEY_GROUP]).ok()?,
            label: store.watch(&[LABEL_GROUP]).ok()?,
        })
    }

    /// Takes all notifications.
    fn take_all(&mut self) -> Notifications {
        let mut notified = Notifications::default();
        let mut take = |watcher: &mut Watcher, each: &mut dyn FnMut(u32)| {
            for _ in 0..64 {
                match watcher.try_next() {
                    Ok(Some(change)) => each(change.slot),
                    Ok(None) => break,
                    Err(_) => notified.lagged = true,
                }
            }
        };
        let slots = &mut notified.slots;
        take(&mut self.all, &mut |slot| {
            *slots.entry(slot).or_default() += 1;
        });
        take(&mut self.group, &mut |_| notified.group += 1);
        take(&mut self.label, &mut |_| notified.label += 1);
        notified
    }
}

impl Checker {
    pub(super) fn new(scenario: Scenario, before: Model) -> Self {
        let keys = scenario.keys(&before);
        Self { scenario, arguments: scenario.arguments(), before, keys }
    }

    /// Reads all keys.
    pub(super) fn read_all(&self, store: &Store) -> Result<Contents, String> {
        let mut contents = Contents::new();
        for key in &self.keys {
            match Seen::read(store, key.as_bytes()) {
                Ok(seen) => {
                    contents.insert(key.clone().into_bytes(), seen);
                }
                Err(Error::NotFound) => {}
                Err(error) => return Err(format!("{key} cannot be read: {error:?} (1, 7, 8)")),
            }
        }
        Ok(contents)
    }

    /// Returns the possible states while the first process is held up: nothing of its operation is in effect, or all.
    pub(super) fn at_pause(&self, contents: &Contents) -> Result<PossibleStates, String> {
        let mut states = vec![(false, self.before.clone())];
        states.extend(self.after_eviction());
        let outcomes = self.outcomes(0, &self.before, None);
        states.extend(outcomes.into_iter().map(|(after, _)| (true, after)));
        let fit = matching(states, contents);
        fail_if!(
            fit.is_empty(),
            "in the middle of {}, what is read is neither the state before nor that after: {} (1, 7, 11)",
            self.scenario.first,
            difference(&contents_of(&self.before), contents)
        );
        Ok(fit)
    }

    /// Returns the possible states after the second operation's answer.
    pub(super) fn after_second(
        &self,
        states: PossibleStates,
        answer: &Answer,
        contents: &Contents,
        is_claimed: impl FnOnce() -> bool,
    ) -> Result<PossibleStates, String> {
        let op = self.scenario.second;
        if let Answer::Failed(failure) = answer {
            return Err(format!("{op} failed: {failure:?} (7)"));
        }
        if answer.is_again() && !self.second_may_meet_a_claim() {
            return Err(format!(
                "{op} was answered Again, though {} (7, 8)",
                if self.scenario.how == Interruption::Kill {
                    "no process lives that holds the key"
                } else {
                    "the first is busy with something else"
                }
            ));
        }
        fail_if!(
            answer.is_again() && !is_claimed(),
            "{op} was answered Again, though nothing is held (5, 8)"
        );
        let mut answers = Vec::new();
        let mut explained = Vec::new();
        for (first, model) in states {
            if answer.is_again() {
                explained.push((first, model));
                continue;
            }
            for (model, wanted) in self.outcomes(1, &model, None) {
                answers.push(wanted.to_string());
                explained.extend((wanted == *answer).then_some((first, model)));
            }
        }
        let after = format!("{op} ({answer})");
        explaining(explained, (op, answer, &answers), contents, &after)
    }

    /// Returns the possible states after the first process continued and answered. A cache keeps `kept` meanwhile.
    pub(super) fn after_first(
        &self,
        states: PossibleStates,
        answer: &Answer,
        contents: &Contents,
        kept: Option<&str>,
    ) -> Result<PossibleStates, String> {
        let op = self.scenario.first;
        // It may have found other keys there than there are now.
        let may_give_up = op.is_of_several() && self.scenario.second.changes();
        fail_if!(
            answer.is_again() && !may_give_up,
            "{op} was answered Again, though no process holds anything (5, 8)"
        );
        let mut answers = Vec::new();
        let mut explained = Vec::new();
        let alone = self.outcomes(0, &self.before, None);
        for (in_effect, model) in states {
            if answer.is_again() {
                explained.extend((!in_effect).then_some((false, model)));
                continue;
            }
            let outcomes = match in_effect {
                true => alone.iter().map(|(_, wanted)| (model.clone(), wanted.clone())).collect(),
                false => self.outcomes(0, &model, kept),
            };
            for (model, wanted) in outcomes {
                // The first operation may have read before the second or after it.
                let early = op == Op::Get && alone[0].1 == *answer;
                answers.push(wanted.to_string());
                explained.extend((early || wanted == *answer).then_some((true, model)));
            }
        }
        explaining(explained, (op, answer, &answers), contents, "both")
    }

    /// Returns the right outcomes of the first operation (0) or the second (1).
    fn outcomes(&self, whose: usize, model: &Model, kept: Option<&str>) -> Vec<(Model, Answer)> {
        let op = [self.scenario.first, self.scenario.second][whose];
        op.outcomes(model, &self.arguments[whose], self.scenario.is_cache(), kept)
    }

    /// Tells whether the second operation may meet a claim of the first process, which lives.
    fn second_may_meet_a_claim(&self) -> bool {
        let Scenario { first, second, how, layout, .. } = self.scenario;
        let inserts = second.creates() || second == Op::Tandem;
        // The home buckets of a tandem's orders follow from their names.
        let apart = layout == KeyLayout::Apart && !first.is_of_several() && !second.is_of_several();
        if first.waits() || first == Op::Get {
            return false;
        }
        if self.scenario.is_cache() {
            // An insertion passes over the victims that others hold.
            return how != Interruption::Kill && self.first_may_hold_the_index();
        }
        let meets = layout.is_same()
            || second == Op::Purge
            || first == Op::Purge
            || inserts && !apart && self.first_may_hold_the_index();
        how != Interruption::Kill && meets
    }

    /// Tells whether the first operation may claim buckets, or slots that hold no key.
    fn first_may_hold_the_index(&self) -> bool {
        let first = self.scenario.first;
        first.creates()
            || first.is_of_several()
            || first.finds_expired()
            || matches!(first, Op::Unset | Op::Purge)
    }

    /// Checks the answer of a poller or a watcher after a change. `slot` is the key's slot and epoch before, and `gone` tells
    /// whether the key may be missing now.
    pub(super) fn check_waiter(
        op: Op,
        answer: &Answer,
        slot: Option<(usize, u64)>,
        gone: bool,
    ) -> Result<(), String> {
        let right = match (op, answer) {
            (Op::Watch, Answer::Done(changed)) => slot.is_none_or(|(slot, _)| *changed == slot as u64),
            (Op::Poll, Answer::Done(epoch)) => slot.is_none_or(|(_, old)| *epoch > old),
            (Op::Poll, Answer::Refused(Error::NotFound)) => gone,
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("after a change, {op} answered {answer} (6, 14)")) }
    }

    /// Checks that a stopped first process hinders writes only to its own keys, or to the key that its purge holds
    /// (invariant 8).
    pub(super) fn beside_the_stopped(
        &self,
        third: &mut Writer,
        snapshot: &ArenaSnapshot<'_>,
        at_first: &ArenaSnapshot<'_>,
    ) -> Result<(), String> {
        let first = &self.arguments[0];
        let own = first.keys(self.scenario.first);
        let is_own = |key: &String| match self.scenario.first {
            Op::Purge => snapshot.holds(key),
            // It may hold the slot of any key, which it may have removed already.
            Op::Evict | Op::EvictLru => {
                let slot = at_first.slot_of(key);
                own.contains(key) || slot.is_some_and(|number| snapshot.slot(number).is_claimed())
            }
            _ => own.contains(key),
        };
        for key in self.keys.iter().filter(|key| !is_own(key)) {
            match third.bump(key) {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => {
                    return Err(format!(
                        "beside the stopped process, {key} cannot be written: {error:?} (8)"
                    ));
                }
            }
        }
        let apart = self.scenario.layout == KeyLayout::Apart && !self.scenario.first.is_of_several();
        let blocks = self.first_may_hold_the_index() && !apart;
        let room = self.before.entries.len() + 2 < self.scenario.slots() as usize;
        if !blocks && room && self.scenario.first != Op::Purge {
            let key = unused_key(self.scenario.layout);
            let answers = (third.set(&key, b"x"), third.unset(&key));
            fail_if!(
                answers != (Ok(()), Ok(1)),
                "beside the stopped process, a new key cannot come and go: {answers:?} (8)"
            );
        }
        Ok(())
    }

    /// Checks what is read after others worked beside the stopped process.
    pub(super) fn after_stop(&self, states: &PossibleStates, contents: &Contents) -> Result<(), String> {
        fail_if!(
            matching(states.clone(), contents).is_empty(),
            "others' work beside the stopped process changed what is read: {} (1, 8)",
            difference(&contents_of(&states[0].1), contents)
        );
        Ok(())
    }

    /// Checks that every key can be written after the first process is dead or done.
    pub(super) fn check_recovered(&self, third: &mut Writer, states: &PossibleStates) -> Result<(), String> {
        for key in &self.keys {
            let answer = retry(|| third.bump(key));
            let here = |(_, model): &(bool, Model)| model.entries.contains_key(key.as_bytes());
            let wanted = match answer {
                Ok(()) => states.iter().any(here),
                Err(Error::NotFound) => !states.iter().all(here),
                Err(_) => false,
            };
            fail_if!(!wanted, "{key} cannot be bumped: {answer:?} (2, 7)");
        }
        self.check_unchanged(third, states)
    }

    /// Checks that the store still holds what it did.
    pub(super) fn check_unchanged(&self, store: &Store, states: &PossibleStates) -> Result<(), String> {
        let contents = self.read_all(store)?;
        if matching(states.clone(), &contents).is_empty() {
            let expected = contents_of(&states[0].1);
            return Err(format!("recovery changed what is read: {} (7)", difference(&expected, &contents)));
        }
        Ok(())
    }

    /// Removes the keys that had expired at first, if none is new since: they keep their slots until then.
    pub(super) fn sweep_expired(&self, third: &mut Writer) -> Result<(), String> {
        let swept = match self.before.expired.is_empty() {
            true => Ok(0),
            false => third.sweep_expired(u32::MAX),
        };
        swept.map(drop).map_err(|error| format!("a sweep failed: {error:?} (7)"))
    }

    /// Checks the index, the claims and the slot map of a store at rest.
    pub(super) fn check_sound(&self, store: &Store, keys: usize) -> Result<(), String> {
        let found = store.inspect().map_err(|error| error.to_string())?;
        let faults = [
            (found.duplicate_keys, "keys in two slots (3)"),
            (found.unreachable_keys, "keys that the index does not lead to (2, 9)"),
            (found.stuck_claims + found.live_claims, "claims left over (7)"),
            (found.leaked_slots, "slots that are marked wrongly (9)"),
            (found.dangling_entries, "index entries that lead nowhere (9)"),
            (found.wrong_notify_flags, "slots whose notify flags are another key's (14)"),
            (found.wrong_sketches, "sketches that are not those of their vectors (23)"),
            (found.stale_bytes, "stale bytes (12)"),
            (found.keys.abs_diff(keys as u64), "keys too many or too few (2, 3)"),
        ];
        match faults.iter().find(|(count, _)| *count > 0) {
            Some((count, what)) => Err(format!("the store is not sound: {count} {what}")),
            None => Ok(()),
        }
    }

    /// Checks that new keys can use every slot, not one more and not one less (invariants 9 and 13).
    pub(super) fn check_usable(&self, third: &mut Writer, keys: usize) -> Result<(), String> {
        let room = self.scenario.slots() as usize - keys;
        for number in 0..=room {
            let wanted = if number < room { Ok(()) } else { Err(Error::Full) };
            let answer = retry(|| third.set(format!("x{number}"), b"y"));
            fail_if!(answer != wanted, "new key {number} of {room} is answered {answer:?} (9, 13)");
        }
        for number in 0..room {
            let answer = retry(|| third.unset(format!("x{number}")));
            fail_if!(answer != Ok(1), "a new key cannot be removed: {answer:?} (9)");
        }
        Ok(())
    }

    /// Checks that a successful purge left no stale bytes.
    pub(super) fn check_purged(&self, snapshot: &ArenaSnapshot<'_>) -> Result<(), String> {
        let slots = (0..snapshot.slots()).filter(|number| !snapshot.slot(*number).is_claimed());
        match slots.into_iter().find_map(|number| snapshot.stale(number, Scrub::Full)) {
            Some(fault) => Err(format!("after a purge, {fault} (12)")),
            None => Ok(()),
        }
    }

    /// Tells whether an answer says that the operation changed its key.
    pub(super) fn is_change(&self, whose: usize, answer: &Answer) -> bool {
        let op = [self.scenario.first, self.scenario.second][whose];
        match answer {
            // If one order was gone already, it may have been the base.
            Answer::Done(count) => op.changes() && (op != Op::Untandem || *count == 2),
            Answer::Read(_) => op.changes(),
            _ => false,
        }
    }

    /// Tells whether an answer says that the operation ends the other one's wait. A label or a deadline is no change of the
    /// content, for which a poll waits.
    pub(super) fn ends_wait(&self, whose: usize, answer: &Answer) -> bool {
        self.is_change(whose, answer) && self.is_waited_for(whose)
    }

    /// Tells whether a process waits for changes such as the operation makes.
    pub(super) fn is_waited_for(&self, whose: usize) -> bool {
        let ops = [self.scenario.first, self.scenario.second];
        !(matches!(ops[whose], Op::Label | Op::Expire) && ops[1 - whose] == Op::Poll)
    }

    /// Checks that the watchers were notified of every change that is in effect (invariant 14). `done` tells whether the first
    /// and the second change are.
    pub(super) fn check_notified(
        &self,
        watchers: &mut Watchers,
        slots: impl Fn(&str) -> [Option<usize>; 2],
        done: [bool; 2],
    ) -> Result<(), String> {
        let notified = watchers.take_all();
        fail_if!(notified.lagged, "a watcher lagged behind a few changes (14)");
        let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
        let mut grouped = 0;
        for (arguments, done) in self.arguments.iter().zip(done) {
            if done {
                *wanted.entry(arguments.key.as_str()).or_default() += 1;
                grouped += u32::from(self.before.entries.contains_key(arguments.key.as_bytes()));
            }
        }
        for (key, count) in wanted {
            let places = slots(key);
            let mut places: Vec<usize> = places.into_iter().flatten().collect();
            places.dedup();
            let times: u32 = places.iter().filter_map(|slot| notified.slots.get(&(*slot as u32))).sum();
            fail_if!(
                !places.is_empty() && times < count,
                "{count} changes of {key} notified the watcher of the store {times} times (14)"
            );
        }
        fail_if!(grouped > 0 && notified.group == 0, "a change did not notify its group (14)");
        fail_if!(
            matches!(self.scenario.first, Op::Label | Op::Transaction) && done[0] && notified.label == 0,
            "a change did not notify its label's group (14)"
        );
        Ok(())
    }
}

/// Returns what a reader of all keys sees.
pub(super) fn contents_of(model: &Model) -> Contents {
    model.entries.iter().map(|(key, entry)| (key.clone(), entry.seen.clone())).collect()
}

/// Returns a key that is new to the store, whose home bucket is not that of the first key, if there are two.
fn unused_key(layout: KeyLayout) -> String {
    let far = |key: &String| super::scenario::home(key) == u64::from(layout == KeyLayout::Apart);
    let keys = (0..).map(|number| format!("p{number}"));
    keys.into_iter().find(far).unwrap_or_default()
}

/// Repeats an attempt while a dead owner still counts as living.
pub(super) fn retry<R: PartialEq>(mut attempt: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    for _ in 0..MAX_ATTEMPTS {
        let answer = attempt();
        if answer != Err(Error::Again) {
            return answer;
        }
    }
    Err(Error::Again)
}

fn matching(states: PossibleStates, contents: &Contents) -> PossibleStates {
    let fits = |(_, model): &(bool, Model)| contents_of(model) == *contents;
    states.into_iter().filter(fits).collect()
}

/// Returns those of the states that explain what is read. `states` are those in which the answer is right, and `answers` are
/// the right answers in words.
fn explaining(
    states: PossibleStates,
    (op, answer, answers): (Op, &Answer, &[String]),
    contents: &Contents,
    after: &str,
) -> Result<PossibleStates, String> {
    let Some((_, first)) = states.first() else {
        let right = answers.join(" or ");
        return Err(format!("{op} answered {answer}, where {right} is right (1 to 5, 10, 13)"));
    };
    let difference = difference(&contents_of(first), contents);
    let fit = matching(states, contents);
    fail_if!(
        fit.is_empty(),
        "after {after}, what is read is explained by no order: {difference} (1 to 5, 10, 11)"
    );
    Ok(fit)
}

/// Describes the first difference between two contents.
fn difference(expected: &Contents, found: &Contents) -> String {
    let keys = expected.keys().chain(found.keys());
    let differing = keys.into_iter().find(|key| expected.get(*key) != found.get(*key));
    let Some(key) = differing else {
        return "as expected".to_owned();
    };
    let say = |seen: Option<&Seen>| seen.map_or("missing".to_owned(), describe);
    let name = key.escape_ascii();
    format!("{name} is {}, where {} is expected", say(found.get(key)), say(expected.get(key)))
}

/// Describes all that was read of a key: how many bytes each writer wrote, a hash of all bytes, and the key's type, flags,
/// labels, groups, times and vector.
fn describe(seen: &Seen) -> String {
    let mut runs: Vec<(u8, usize)> = Vec::new();
    for byte in &seen.value {
        // The upper half of a byte is the tag of its writer.
        match runs.last_mut() {
            Some((tag, count)) if *tag == byte >> 4 => *count += 1,
            _ => runs.push((byte >> 4, 1)),
        }
    }
    let runs: Vec<String> = runs.iter().map(|(tag, count)| format!("{count} of {tag}")).collect();
    let text = format!(
        "{} bytes [{}] hash {:x} type {} flags {:#x} labels {:#x} groups {:#x} ctime {} atime {} deadline {}{}",
        seen.value.len(),
        runs.join(", "),
        hash_key(&seen.value),
        seen.kind,
        seen.flags,
        seen.labels,
        seen.registered,
        seen.ctime,
        seen.atime,
        if seen.expires { "set" } else { "none" },
        if seen.pinned { " pinned" } else { "" }
    );
    match seen.vector.as_deref() {
        // Every operation writes equal parts.
        Some(vector) if vector.iter().any(|part| *part != vector[0]) => format!("{text} vector {vector:?}"),
        Some(vector) => format!("{text} vector {}", vector[0]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::Type;

    #[test]
    fn a_difference_in_anything_that_can_be_read_is_described() {
        let seen = Seen {
            value: vec![0x10, 0x11, 0x20],
            kind: Type::Void,
            flags: 0,
            labels: 0,
            registered: 0,
            ctime: 0,
            atime: 0,
            vector: None,
            expires: false,
            pinned: false,
        };
        let contents = |seen: &Seen| Contents::from([(b"k".to_vec(), seen.clone())]);
        assert_eq!(difference(&contents(&seen), &contents(&seen)), "as expected");
        let torn = |parts: [f32; 2]| Seen { vector: Some(parts.to_vec()), ..seen.clone() };
        for (one, other) in [([1.0, 2.0], [1.0, 3.0]), ([1.0, 2.0], [2.0, 1.0]), ([1.0, 2.0], [1.0, 1.0])] {
            assert_ne!(describe(&torn(one)), describe(&torn(other)));
        }
        for other in [
            Seen { value: vec![0x10, 0x21, 0x20], ..seen.clone() },
            Seen { value: vec![0x10, 0x12, 0x20], ..seen.clone() },
            Seen { value: vec![0x11, 0x10, 0x20], ..seen.clone() },
            Seen { kind: Type::Json, ..seen.clone() },
            Seen { flags: 1, ..seen.clone() },
            Seen { labels: 1, ..seen.clone() },
            Seen { registered: 1, ..seen.clone() },
            Seen { ctime: 1, ..seen.clone() },
            Seen { atime: 1, ..seen.clone() },
            Seen { vector: Some(vec![1.0]), ..seen.clone() },
            Seen { expires: true, ..seen.clone() },
            Seen { pinned: true, ..seen.clone() },
        ] {
            assert_ne!(describe(&seen), describe(&other));
            let text = difference(&contents(&seen), &contents(&other));
            assert!(text.contains(&describe(&seen)) && text.contains(&describe(&other)), "{text}");
        }
    }
}
