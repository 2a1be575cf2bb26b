//! What must hold at a pause point: before the second works, after it, and once all is at rest. A fault is
//! said in words, with the number of the invariant that it breaks (section 7 of the store's design).

use super::act::{Act, Answer};
use super::ground::{Cast, Ground, How, KEY_GROUP, LABEL_GROUP, MAX_LEN, Scene, VECTOR_DIM};
use super::model::{Model, Seen, View, agrees};
use super::picture::Picture;
use splinter::{Error, Scrub, Store, Type, Watcher, Writer};
use std::collections::BTreeMap;

/// The most times that a dead writer's claim may be met before somebody asks whether its owner lives.
const MEETINGS: usize = 130;

/// What may have happened so far: whether the first is in effect, and what the store holds then.
pub(super) type Histories = Vec<(bool, Model)>;

/// One scene's oracle.
pub(super) struct Judge {
    pub(super) scene: Scene,
    pub(super) casts: [Cast; 2],
    /// What the store holds before.
    pub(super) before: Model,
    keys: Vec<String>,
}

/// Those who listen while a point is tried.
pub(super) struct Ears {
    all: Watcher,
    group: Watcher,
    label: Watcher,
}

/// What the ears heard: changes by slot, and signals of the keys' group and of the label's.
#[derive(Default)]
struct Heard {
    slots: BTreeMap<u32, u32>,
    group: u32,
    label: u32,
    lagged: bool,
}

impl Ears {
    pub(super) fn open(store: &Store) -> Option<Self> {
        Some(Self {
            all: store.watch_all().ok()?,
            group: store.watch(&[KEY_GROUP]).ok()?,
            label: store.watch(&[LABEL_GROUP]).ok()?,
        })
    }

    /// Takes all that there is word of.
    fn listen(&mut self) -> Heard {
        let mut heard = Heard::default();
        let mut take = |watcher: &mut Watcher, hear: &mut dyn FnMut(u32)| {
            for _ in 0..64 {
                match watcher.try_next() {
                    Ok(Some(change)) => hear(change.slot),
                    Ok(None) => break,
                    Err(_) => heard.lagged = true,
                }
            }
        };
        let slots = &mut heard.slots;
        take(&mut self.all, &mut |slot| {
            *slots.entry(slot).or_default() += 1;
        });
        take(&mut self.group, &mut |_| heard.group += 1);
        take(&mut self.label, &mut |_| heard.label += 1);
        heard
    }
}

impl Judge {
    pub(super) fn new(scene: Scene, before: Model) -> Self {
        let keys = scene.keys(&before);
        Self {
            scene,
            casts: scene.casts(),
            before,
            keys,
        }
    }

    /// Reads all keys.
    pub(super) fn look(&self, store: &Store) -> Result<View, String> {
        let mut view = View::new();
        for key in &self.keys {
            match read(store, key) {
                Ok(seen) => {
                    view.insert(key.clone(), seen);
                }
                Err(Error::NotFound) => {}
                Err(error) => return Err(format!("{key} cannot be read: {error:?} (1, 7, 8)")),
            }
        }
        Ok(view)
    }

    /// What may be, given what is seen while the first is held up: nothing of it, or all.
    pub(super) fn at_pause(&self, view: &View) -> Result<Histories, String> {
        let mut after = self.before.clone();
        after.apply(self.scene.first, &self.casts[0]);
        let histories = vec![(false, self.before.clone()), (true, after)];
        let fit = matching(histories, view);
        if fit.is_empty() {
            return Err(format!(
                "in the middle of {}, what is read is neither the state before nor that after: {} \
                 (1, 7, 11)",
                self.scene.first,
                difference(&self.before.view(), view)
            ));
        }
        Ok(fit)
    }

    /// What may be after the second answered.
    pub(super) fn after_second(
        &self,
        histories: Histories,
        answer: &Answer,
        view: &View,
        is_claimed: impl FnOnce() -> bool,
    ) -> Result<Histories, String> {
        let (act, cast) = (self.scene.second, &self.casts[1]);
        if let Answer::Failed(failure) = answer {
            return Err(format!("{act} failed: {failure:?} (7)"));
        }
        if answer.is_again() && !self.second_may_be_sent_away() {
            return Err(format!(
                "{act} was answered Again, though {} (7, 8)",
                if self.scene.how == How::Kill {
                    "nobody lives who holds the key"
                } else {
                    "the first is busy with something else"
                }
            ));
        }
        if answer.is_again() && !is_claimed() {
            return Err(format!(
                "{act} was answered Again, though nothing is held (5, 8)"
            ));
        }
        let mut told = Vec::new();
        let histories = histories.into_iter().filter_map(|(first, mut model)| {
            if answer.is_again() {
                return Some((first, model));
            }
            let wanted = model.apply(act, cast);
            told.push(wanted.to_string());
            agrees(act, &wanted, answer).then_some((first, model))
        });
        let histories: Histories = histories.collect();
        answered(&histories, act, answer, &told)?;
        explaining(histories, view, &format!("{act} ({answer})"))
    }

    /// What the store holds after the first went on and answered.
    pub(super) fn after_first(
        &self,
        histories: Histories,
        answer: &Answer,
        view: &View,
    ) -> Result<Histories, String> {
        let (act, cast) = (self.scene.first, &self.casts[0]);
        // A tandem may have found another order missing than there is.
        let may_give_up = act.is_of_tandem() && self.scene.second.changes();
        if answer.is_again() && !may_give_up {
            return Err(format!(
                "{act} was answered Again, though nobody holds anything (5, 8)"
            ));
        }
        let mut told = Vec::new();
        let histories = histories.into_iter().filter_map(|(in_effect, mut model)| {
            if answer.is_again() {
                return (!in_effect).then_some((false, model));
            }
            let mut alone = self.before.clone();
            let wanted = match in_effect {
                true => alone.apply(act, cast),
                false => model.apply(act, cast),
            };
            // What is read by the first may have been read before the second or after it.
            let early = act == Act::Get && agrees(act, &alone.apply(act, cast), answer);
            told.push(wanted.to_string());
            (early || agrees(act, &wanted, answer)).then_some((true, model))
        });
        let histories: Histories = histories.collect();
        answered(&histories, act, answer, &told)?;
        explaining(histories, view, "both")
    }

    /// Whether the second may find what it needs in the hands of the first, which lives.
    fn second_may_be_sent_away(&self) -> bool {
        let Scene {
            first,
            second,
            how,
            ground,
            ..
        } = self.scene;
        let inserts = second.creates() || second == Act::Tandem;
        // The orders of a tandem are at home wherever their names lead.
        let apart = ground == Ground::Apart && !first.is_of_tandem() && !second.is_of_tandem();
        if first.waits() || first == Act::Get {
            return false;
        }
        let meets = ground.is_same()
            || second == Act::Purge
            || first == Act::Purge
            || inserts && !apart && self.first_may_hold_the_index();
        how != How::Kill && meets
    }

    /// Whether the first may claim chunks, or slots that hold no key.
    fn first_may_hold_the_index(&self) -> bool {
        let first = self.scene.first;
        first.creates() || first.is_of_tandem() || matches!(first, Act::Unset | Act::Purge)
    }

    /// Whether somebody who waited for a change was answered rightly after one: the answer of a poller or a
    /// watcher, the slot in which the key was with the epoch that it had, and whether it may be gone by now.
    pub(super) fn noticed(
        act: Act,
        answer: &Answer,
        slot: Option<(usize, u64)>,
        gone: bool,
    ) -> Result<(), String> {
        let right = match (act, answer) {
            (Act::Watch, Answer::Done(heard)) => slot.is_none_or(|(slot, _)| *heard == slot as u64),
            (Act::Poll, Answer::Done(epoch)) => slot.is_none_or(|(_, old)| *epoch > old),
            (Act::Poll, Answer::Refused(Error::NotFound)) => gone,
            _ => false,
        };
        if right {
            Ok(())
        } else {
            Err(format!("after a change, {act} answered {answer} (6, 14)"))
        }
    }

    /// What others find while the first stands still: its own keys aside, or the one that its purge holds,
    /// everything goes on (invariant 8).
    pub(super) fn beside_the_stopped(
        &self,
        third: &mut Writer,
        picture: &Picture<'_>,
    ) -> Result<(), String> {
        let first = &self.casts[0];
        let own = [first.key.clone(), first.order()];
        let is_own = |key: &String| match self.scene.first {
            Act::Purge => picture.holds(key),
            _ => own.contains(key),
        };
        for key in self.keys.iter().filter(|key| !is_own(key)) {
            match third.bump(key) {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => {
                    return Err(format!(
                        "beside the stopped, {key} cannot be written: {error:?} (8)"
                    ));
                }
            }
        }
        let apart = self.scene.ground == Ground::Apart && !self.scene.first.is_of_tandem();
        let blocks = self.first_may_hold_the_index() && !apart;
        let room = self.before.cells.len() + 2 < self.scene.ground.slots() as usize;
        if !blocks && room && self.scene.first != Act::Purge {
            let key = probe(self.scene.ground);
            let answers = (third.set(&key, b"x"), third.unset(&key));
            if answers != (Ok(()), Ok(1)) {
                return Err(format!(
                    "beside the stopped, a new key cannot come and go: {answers:?} (8)"
                ));
            }
        }
        Ok(())
    }

    /// What is read after others worked beside the stopped.
    pub(super) fn after_stop(&self, histories: &Histories, view: &View) -> Result<(), String> {
        if matching(histories.clone(), view).is_empty() {
            return Err(format!(
                "others' work beside the stopped changed what is read: {} (1, 8)",
                difference(&histories[0].1.view(), view)
            ));
        }
        Ok(())
    }

    /// What must hold once the first is dead or done: every key can be written, and nothing is left of
    /// what was in the way.
    pub(super) fn mended(&self, third: &mut Writer, histories: &Histories) -> Result<(), String> {
        for key in &self.keys {
            let answer = persist(|| third.bump(key));
            let here = |(_, model): &(bool, Model)| model.cells.contains_key(key);
            let wanted = match answer {
                Ok(()) => histories.iter().any(here),
                Err(Error::NotFound) => !histories.iter().all(here),
                Err(_) => false,
            };
            if !wanted {
                return Err(format!("{key} cannot be bumped: {answer:?} (2, 7)"));
            }
        }
        self.settled(third, histories)
    }

    /// Whether the store still holds what it did.
    pub(super) fn settled(&self, store: &Store, histories: &Histories) -> Result<(), String> {
        let view = self.look(store)?;
        if matching(histories.clone(), &view).is_empty() {
            let expected = histories[0].1.view();
            return Err(format!(
                "looking after the dead changed what is read: {} (7)",
                difference(&expected, &view)
            ));
        }
        Ok(())
    }

    /// Nothing is amiss in the index, the claims and the map of a store in which nobody works.
    pub(super) fn sound(&self, store: &Store, keys: usize) -> Result<(), String> {
        let found = store.inspect().map_err(|error| error.to_string())?;
        let troubles = [
            (found.duplicate_keys, "keys in two slots (3)"),
            (
                found.unreachable_keys,
                "keys that the index does not lead to (2, 9)",
            ),
            (
                found.stuck_claims + found.live_claims,
                "claims left over (7)",
            ),
            (found.leaked_slots, "slots that are marked wrongly (9)"),
            (
                found.dangling_entries,
                "index entries that lead nowhere (9)",
            ),
            (found.misrouted_slots, "slots with another's routes (14)"),
            (found.stale_bytes, "stale bytes (12)"),
            (
                found.keys.abs_diff(keys as u64),
                "keys too many or too few (2, 3)",
            ),
        ];
        match troubles.iter().find(|(count, _)| *count > 0) {
            Some((count, what)) => Err(format!("the store is not sound: {count} {what}")),
            None => Ok(()),
        }
    }

    /// Every slot can be used by new keys, not one more and not one less (invariants 9 and 13).
    pub(super) fn usable(&self, third: &mut Writer, keys: usize) -> Result<(), String> {
        let room = self.scene.ground.slots() as usize - keys;
        for number in 0..=room {
            let wanted = if number < room {
                Ok(())
            } else {
                Err(Error::Full)
            };
            let answer = persist(|| third.set(format!("x{number}"), b"y"));
            if answer != wanted {
                return Err(format!(
                    "new key {number} of {room} is answered {answer:?} (9, 13)"
                ));
            }
        }
        for number in 0..room {
            let answer = persist(|| third.unset(format!("x{number}")));
            if answer != Ok(1) {
                return Err(format!("a new key cannot be removed: {answer:?} (9)"));
            }
        }
        Ok(())
    }

    /// Whether a purge that was the last to work, and answered well, left stale bytes.
    pub(super) fn purged(&self, picture: &Picture<'_>) -> Result<(), String> {
        let slots = (0..picture.slots()).filter(|number| !picture.slot(*number).is_claimed());
        match slots
            .into_iter()
            .find_map(|number| picture.stale(number, Scrub::Full))
        {
            Some(fault) => Err(format!("after a purge, {fault} (12)")),
            None => Ok(()),
        }
    }

    /// Whether an answer says that the operation changed its key.
    pub(super) fn is_change(&self, whose: usize, answer: &Answer) -> bool {
        let act = [self.scene.first, self.scene.second][whose];
        match answer {
            // With one order gone already, it may have been the base.
            Answer::Done(count) => act.changes() && (act != Act::Untandem || *count == 2),
            _ => false,
        }
    }

    /// Every change that is in effect was heard of (invariant 14). `done` says whether the first and the
    /// second are.
    pub(super) fn heard(
        &self,
        ears: &mut Ears,
        slots: impl Fn(&str) -> [Option<usize>; 2],
        done: [bool; 2],
    ) -> Result<(), String> {
        let heard = ears.listen();
        if heard.lagged {
            return Err("a few changes were too many for who listens (14)".to_owned());
        }
        let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
        let mut grouped = 0;
        for (cast, done) in self.casts.iter().zip(done) {
            if done {
                *wanted.entry(cast.key.as_str()).or_default() += 1;
                grouped += u32::from(self.before.cells.contains_key(&cast.key));
            }
        }
        for (key, count) in wanted {
            let places = slots(key);
            let mut places: Vec<usize> = places.into_iter().flatten().collect();
            places.dedup();
            let times: u32 = places
                .iter()
                .filter_map(|slot| heard.slots.get(&(*slot as u32)))
                .sum();
            if !places.is_empty() && times < count {
                return Err(format!(
                    "{count} changes of {key} were heard of {times} times by who watches the store \
                     (14)"
                ));
            }
        }
        if grouped > 0 && heard.group == 0 {
            return Err("a change was not heard of by its group (14)".to_owned());
        }
        if self.scene.first == Act::Label && done[0] && heard.label == 0 {
            return Err("a change was not heard of by its label's group (14)".to_owned());
        }
        Ok(())
    }
}

/// Reads a key as one who does not know what it holds.
fn read(store: &Store, key: &str) -> Result<Seen, Error> {
    let snapshot = store.snapshot(key)?;
    let mut value = [0; MAX_LEN];
    let len = store.get(key, &mut value)?;
    let mut vector = [0.0; VECTOR_DIM];
    let vector = match snapshot.has_vector {
        // A torn one shows as one that nobody wrote.
        true => store.vector(key, &mut vector).map(|()| {
            let whole = vector.iter().all(|part| *part == vector[0]);
            Some(if whole { vector[0] } else { f32::INFINITY })
        })?,
        false => None,
    };
    Ok(Seen {
        bytes: value[..len].to_vec(),
        numeric: snapshot.kind == Type::BigUint,
        labels: snapshot.labels,
        vector,
    })
}

/// A key that is new to the store, at home where the first is not, if there is such a place.
fn probe(ground: Ground) -> String {
    let far = |key: &String| super::ground::home(key) == u64::from(ground == Ground::Apart);
    let keys = (0..).map(|number| format!("p{number}"));
    keys.into_iter().find(far).unwrap_or_default()
}

/// Tries again while somebody who died is believed to live.
fn persist<R: PartialEq>(mut attempt: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    for _ in 0..MEETINGS {
        let answer = attempt();
        if answer != Err(Error::Again) {
            return answer;
        }
    }
    Err(Error::Again)
}

/// Holds an answer against what the histories would have had answered, of which those are left that agree.
fn answered(left: &Histories, act: Act, answer: &Answer, told: &[String]) -> Result<(), String> {
    if left.is_empty() {
        let right = told.join(" or ");
        return Err(format!(
            "{act} answered {answer}, where {right} is right (1 to 5, 10, 13)"
        ));
    }
    Ok(())
}

fn matching(histories: Histories, view: &View) -> Histories {
    let fits = |(_, model): &(bool, Model)| model.view() == *view;
    histories.into_iter().filter(fits).collect()
}

/// Returns those of the histories, of which there is one, that explain what is read.
fn explaining(histories: Histories, view: &View, after: &str) -> Result<Histories, String> {
    let expected = histories[0].1.view();
    let fit = matching(histories, view);
    if fit.is_empty() {
        let difference = difference(&expected, view);
        return Err(format!(
            "after {after}, what is read is explained by no order: {difference} (1 to 5, 10, 11)"
        ));
    }
    Ok(fit)
}

/// Says where two views differ.
fn difference(expected: &View, found: &View) -> String {
    let keys = expected.keys().chain(found.keys());
    let differing = keys
        .into_iter()
        .find(|key| expected.get(*key) != found.get(*key));
    let Some(key) = differing else {
        return "as expected".to_owned();
    };
    let say = |seen: Option<&Seen>| seen.map_or("missing".to_owned(), |seen| format!("{seen:?}"));
    format!(
        "{key} is {}, where {} is expected",
        say(found.get(key)),
        say(expected.get(key))
    )
}
