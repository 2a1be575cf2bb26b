//! Scenarios in a cache, which is full: an insertion evicts, and which key goes is the store's choice. So an operation may
//! have several right outcomes there.

use super::answer::Answer;
use super::checker::{Checker, retry};
use super::ops::{Arguments, Op};
use super::scenario::{Scenario, bytes};
use splinter::{Error, Eviction, Writer};
use splinter_testkit::{self as testkit, Model, Seen};

/// A key that no insertion may evict, though the hand meets it first.
const PINNED: &str = "pinned";
/// Bytes of the values that are there at first.
const LEN: usize = 100;

impl Scenario {
    /// Returns how the store makes room.
    pub(super) fn eviction(&self) -> Eviction {
        match [self.first, self.second] {
            ops if ops.contains(&Op::EvictLru) => Eviction::Lru,
            ops if ops.contains(&Op::Evict) => Eviction::Sieve,
            _ => Eviction::Expired,
        }
    }

    /// Tells whether the store is a cache.
    pub(super) fn is_cache(&self) -> bool {
        self.first.evicts() || self.second.evicts()
    }

    /// Fills a cache. The first key that may go is the first operation's, if that is no insertion, and else the second's.
    pub(super) fn fill_cache(&self, writer: &mut Writer) -> Result<Model, Error> {
        let [first, second] = self.arguments();
        let victim = match self.first.evicts() && !self.second.evicts() {
            true => second.key,
            false if self.first.evicts() => "victim".to_owned(),
            false => first.key,
        };
        let mut model = Model::new(self.config().geometry, self.scrub.level());
        let mut perform = |op: testkit::Op| {
            testkit::perform(&op, writer)?;
            model.apply(&op)
        };
        let set = |key: &str, tag| testkit::Op::Set(key.into(), bytes(tag, LEN));
        perform(set(PINNED, 9))?;
        perform(testkit::Op::Pin(PINNED.into(), true))?;
        for key in [&victim, "visited", "last"] {
            perform(set(key, 9))?;
        }
        // A set of a key that is there is a visit.
        perform(set("visited", 8))?;
        Ok(model)
    }
}

impl Op {
    /// Returns the right outcomes of the operation, each with its answer. In a cache, a key that is missing comes into a free
    /// slot, or into that of any key that may go; `kept` may not.
    pub(super) fn outcomes(
        self,
        model: &Model,
        arguments: &Arguments,
        is_cache: bool,
        kept: Option<&str>,
    ) -> Vec<(Model, Answer)> {
        let mut rooms = match is_cache && self.inserts(model, arguments) {
            true => rooms(model, kept),
            false => Vec::new(),
        };
        if rooms.is_empty() || (model.entries.len() as u64) < model.geometry.slots {
            rooms.push(model.clone());
        }
        let outcome = |mut model: Model| {
            let answer = self.apply(&mut model, arguments);
            (model, answer)
        };
        rooms.into_iter().map(outcome).collect()
    }

    /// Tells whether it would insert its key.
    fn inserts(self, model: &Model, arguments: &Arguments) -> bool {
        let sets = self.evicts() || self == Self::Update;
        sets && !model.entries.contains_key(arguments.key.as_bytes())
    }
}

/// Returns the states of a cache after one key has gone.
fn rooms(model: &Model, kept: Option<&str>) -> Vec<Model> {
    let may_go = |key: &[u8], seen: &Seen| !seen.pinned && kept.is_none_or(|kept| kept.as_bytes() != key);
    let victims = model.entries.iter().filter(|(key, entry)| may_go(key, &entry.seen));
    let without = |key: &Vec<u8>| {
        let mut model = model.clone();
        model.entries.remove(key);
        model
    };
    victims.map(|(key, _)| without(key)).collect()
}

impl Checker {
    /// Returns the states of the store in the middle of the first operation: those of a cache after a key went, and before
    /// the new one is there.
    pub(super) fn after_eviction(&self) -> Vec<(bool, Model)> {
        match self.scenario.first.evicts() {
            true => rooms(&self.before, None).into_iter().map(|model| (false, model)).collect(),
            false => Vec::new(),
        }
    }

    /// Returns the key that the second operation has set, if it did. A cache keeps it while it evicts one other key.
    pub(super) fn kept(&self, answer: &Answer) -> Option<&str> {
        let second = self.scenario.second;
        let has_set = (second.evicts() || second == Op::Update) && matches!(answer, Answer::Done(_));
        (self.scenario.is_cache() && has_set).then_some(self.arguments[1].key.as_str())
    }

    /// Checks that every insertion into a cache succeeds, evicts no more than it must, and never a pinned key (22).
    pub(super) fn check_evicting(&self, third: &mut Writer, keys: usize) -> Result<(), String> {
        let slots = self.scenario.slots();
        let pinned = self.before.entries.get(PINNED.as_bytes()).map(|entry| entry.seen.clone());
        let before = third.header().evicted;
        for number in 0..2 * slots {
            let key = format!("x{number}");
            let answer = retry(|| third.set(&key, b"y"));
            let (is_there, count) = (third.contains(&key), third.len());
            fail_if!(
                (answer, is_there) != (Ok(()), Ok(true)) || count > slots,
                "new key {number} of a cache is answered {answer:?}, is there: {is_there:?}, of {count} keys (22)"
            );
            let found = Seen::read(third, PINNED.as_bytes()).ok();
            fail_if!(found != pinned, "the pinned key is {found:?} after insertion {number} (22)");
        }
        let evicted = third.header().evicted - before;
        let wanted = slots + keys as u64;
        fail_if!(evicted != wanted, "{evicted} keys were evicted, where {wanted} had to go (22)");
        self.check_sound(third, slots as usize)
    }
}
