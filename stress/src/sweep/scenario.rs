//! The scenarios of a sweep: which two operations run, how the first is interrupted, on which keys and store; and the setup
//! of that store.

use super::answer::MAX_LEN;
use super::ops::{Arguments, Op, VECTOR_DIM};
use splinter::{Config, Error, Geometry, Lifetime, Scrub, Writer, hash_key_seeded};
use splinter_harness::named_enum;
use splinter_testkit::{self as testkit, Model};
use std::fmt;
use std::str::FromStr;

/// The group that keys are registered with.
pub(super) const KEY_GROUP: u8 = 3;
/// The group that the first operation's label leads to.
pub(super) const LABEL_GROUP: u8 = 5;
const MAX_WRITERS: u32 = 6;

named_enum! {
    /// How the first process is interrupted in the middle of its operation.
    pub enum Interruption: "interruption" {
        /// It is held up while the second process works, and continues.
        Resume = "resume",
        /// It is killed.
        Kill = "kill",
        /// It is stopped for ever.
        Stop = "stop",
    }
}

named_enum! {
    /// Which key the second operation takes, and how the index lies.
    pub enum KeyLayout: "key layout" {
        /// The same key; a store with one index bucket.
        Same = "same",
        /// Another key of the same index bucket, the only one there is.
        Other = "other",
        /// Another key, whose home is another bucket.
        Apart = "apart",
        /// The same key, in an index whose home bucket is full but for it.
        Spill = "spill",
        /// Another key of such a bucket.
        Crowd = "crowd",
    }
}

impl KeyLayout {
    /// Tells whether both operations take the same key.
    pub(super) fn is_same(self) -> bool {
        matches!(self, Self::Same | Self::Spill)
    }

    /// Tells whether the home bucket is full.
    pub(super) fn is_full(self) -> bool {
        matches!(self, Self::Spill | Self::Crowd)
    }

    /// Returns the number of slots of the store.
    pub(super) fn slots(self) -> u64 {
        match self {
            Self::Same | Self::Other => 4,
            Self::Apart | Self::Spill | Self::Crowd => 8,
        }
    }
}

/// One pair of operations, how they meet, and their store. Its text form names it on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scenario {
    /// The first operation.
    pub first: Op,
    /// The second operation.
    pub second: Op,
    /// How the first process is interrupted.
    pub how: Interruption,
    /// The scrub level.
    pub scrub: ScrubLevel,
    /// Bytes of the values that are written.
    pub value_len: usize,
    /// The keys and the index.
    pub layout: KeyLayout,
    /// Whether watchers are open and keys are registered with groups.
    pub heard: bool,
}

/// A scrub level, with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScrubLevel(u8);

impl ScrubLevel {
    /// All levels.
    pub const ALL: [Self; 3] = [Self(0), Self(1), Self(2)];
    /// The default level.
    pub const HYBRID: Self = Self(1);

    /// Returns the level.
    #[must_use]
    pub fn level(self) -> Scrub {
        Scrub::ALL[usize::from(self.0)]
    }
}

impl From<Scrub> for ScrubLevel {
    fn from(level: Scrub) -> Self {
        let at = Scrub::ALL.iter().position(|known| *known == level);
        Self(at.unwrap_or(1) as u8)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scrub, heard) = (self.scrub.level(), if self.heard { "heard" } else { "quiet" });
        write!(
            f,
            "{},{},{},{scrub},{},{},{heard}",
            self.first, self.second, self.how, self.value_len, self.layout
        )
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let (5..=7) = parts.len() else {
            return Err(format!(
                "'{text}' names no pair; give FIRST,SECOND,HOW,SCRUB,LEN[,GROUND[,heard]], as in \
                 update,append,kill,full,64,same"
            ));
        };
        let value_len = parts[4].parse().ok().filter(|len| *len <= MAX_LEN);
        Ok(Self {
            first: parts[0].parse()?,
            second: parts[1].parse()?,
            how: parts[2].parse()?,
            scrub: parts[3].parse::<Scrub>().map_err(|error| error.to_string())?.into(),
            value_len: value_len
                .ok_or_else(|| format!("'{}' is no length from 0 to {MAX_LEN} bytes", parts[4]))?,
            layout: parts.get(5).map_or(Ok(KeyLayout::Same), |text| text.parse())?,
            heard: match parts.get(6).copied() {
                None | Some("quiet") => false,
                Some("heard") => true,
                Some(text) => return Err(format!("'{text}' is neither heard nor quiet")),
            },
        })
    }
}

impl Scenario {
    /// Returns the configuration of the store.
    pub(super) fn config(&self) -> Config {
        let geometry = Geometry {
            slots: self.slots(),
            max_value_len: MAX_LEN as u64,
            vector_dim: VECTOR_DIM as u32,
            max_writers: MAX_WRITERS,
        };
        let (scrub, eviction) = (self.scrub.level(), self.eviction());
        Config { geometry, scrub, eviction, hash_seed: Some(HASH_SEED), ..Config::default() }
    }

    /// Returns the number of slots of the store.
    pub(super) fn slots(&self) -> u64 {
        // A transaction's keys need more.
        let of_transaction = self.first.is_transaction() || self.second.is_transaction();
        if of_transaction { 8 } else { self.layout.slots() }
    }

    /// Tells whether the first operation takes many instructions of which few change shared memory: mostly in the kernel.
    pub(super) fn is_long(&self) -> bool {
        matches!(self.first, Op::Open | Op::Create)
    }

    /// Returns the stride of a full sweep: one of this many instructions is tried. It is 1 for pairs on one key at the default
    /// level, except for the longest operations and those in the kernel.
    pub(super) fn stride(&self) -> usize {
        let plain = self.scrub == ScrubLevel::HYBRID && self.layout == KeyLayout::Same && !self.heard;
        let long = self.first.is_of_several() || self.first == Op::Purge;
        match self.first {
            Op::Create => 2,
            Op::Open => 8,
            // An operation that reads the clock is single-stepped, which takes milliseconds a point.
            Op::Poll | Op::Watch if self.second == Op::Update => 1,
            Op::Poll | Op::Watch => 7,
            // Each point of a cache ends with insertions.
            _ if self.is_cache() => 29,
            Op::Expire
            | Op::Reuse
            | Op::SweepExpired
            | Op::Transaction
            | Op::RefusedTransaction
            | Op::Pin => {
                if plain {
                    29
                } else {
                    149
                }
            }
            _ => match (plain && self.value_len == 64, long) {
                (true, false) => 1,
                (true, true) => 4,
                (false, false) => 29,
                (false, true) => 79,
            },
        }
    }

    /// Tells whether the scenario is about a store's name, not its keys.
    pub(super) fn is_of_names(&self) -> bool {
        self.first == Op::Create || self.second == Op::Create
    }

    /// Tells whether values are decimal numbers.
    fn is_of_numbers(&self) -> bool {
        self.first == Op::Integer || self.layout.is_same() && self.second == Op::Integer
    }

    /// Returns the arguments of the first and the second operation.
    pub(super) fn arguments(&self) -> [Arguments; 2] {
        let value = |tag: u8, numbers: bool| {
            if numbers { format!("{tag}00000{tag}").into_bytes() } else { bytes(tag, self.value_len) }
        };
        let numbers = self.is_of_numbers();
        let arguments = |key: String, tag: u8, numbers: bool| Arguments {
            key,
            value: value(tag, numbers),
            tail: if numbers { b"55".to_vec() } else { bytes(tag + 4, self.value_len - self.value_len / 2) },
            step: u64::from(tag) * 100,
            part: f32::from(tag),
            label: 1 << tag,
        };
        let key = homed("k", 0);
        let new = homed("e", 0);
        let first = arguments(if self.first.evicts() { new.clone() } else { key.clone() }, 1, numbers);
        let second = match (self.layout.is_same(), self.second) {
            (true, op) if op.evicts() => arguments(new, 2, false),
            (true, _) => arguments(key, 2, numbers),
            (false, op) if op.creates() => arguments(self.other("n"), 2, false),
            (false, _) => arguments(self.other("o"), 2, false),
        };
        [first, second]
    }

    /// Returns a key that is not the first operation's.
    fn other(&self, name: &str) -> String {
        homed(name, u64::from(self.layout == KeyLayout::Apart))
    }

    /// Tells whether a pair makes sense.
    pub(super) fn makes_sense(&self) -> bool {
        if self.is_cache() {
            return true;
        }
        let same = self.layout.is_same();
        // A key can be created if it is missing, or if the first operation removes it.
        let creatable = matches!(self.first, Op::FirstSet | Op::FirstTandem | Op::Unset | Op::Untandem);
        let small =
            matches!(self.first, Op::FirstSet | Op::Unset | Op::Update | Op::Get | Op::Append | Op::Purge);
        let narrow = matches!(self.second, Op::Unset | Op::Update | Op::Get | Op::Open | Op::Bump);
        (!same || !self.second.creates() || creatable)
            && (!self.layout.is_full() || small && (narrow || same && self.second == Op::FirstSet))
    }

    /// Fills the store. Returns the model of its content.
    pub(super) fn populate(&self, writer: &mut Writer) -> Result<Model, Error> {
        if self.is_cache() {
            return self.fill_cache(writer);
        }
        let [first, second] = self.arguments();
        let orders = |op: Op, arguments: &Arguments| {
            let mut keys = vec![arguments.key.clone()];
            if matches!(op, Op::Tandem | Op::Untandem) {
                keys.push(arguments.order());
            }
            keys
        };
        let mut keys = vec![self.other("o")];
        if !self.first.creates() {
            keys.extend(orders(self.first, &first));
        }
        if self.layout.is_same() && !self.first.creates() {
            keys.extend(orders(self.second, &second));
        }
        if !self.layout.is_same()
            && self.second == Op::Untandem
            && self.first != Op::Tandem
            && self.first != Op::Untandem
        {
            keys.push(second.order());
        }
        for (op, arguments) in [(self.first, &first), (self.second, &second)] {
            if op.is_transaction() {
                let [number, goes, ..] = arguments.parts();
                keys.extend([number, goes]);
            }
        }
        if self.layout.is_full() {
            // Seven keys fill the home bucket; the key of the first operation comes last.
            let fillers = (0..).map(|n| format!("f{n}")).filter(|key| home(key) == 0);
            let others = keys.split_off(1);
            keys.extend(fillers.take(6));
            keys.extend(others);
        }
        let mut model = Model::new(self.config().geometry, self.scrub.level());
        for key in keys {
            if model.entries.contains_key(key.as_bytes()) {
                continue;
            }
            let is_number = self.first == Op::Integer && key == first.key
                || self.second == Op::Integer && key == second.key
                || [&first, &second].iter().any(|arguments| key == arguments.parts()[0]);
            let name = || key.clone().into_bytes();
            let mut ops = match is_number {
                true => vec![testkit::Op::SetU64(name(), 40)],
                // The value was longer before: so there are stale bytes, where the level allows them.
                false => [MAX_LEN, self.initial_len()]
                    .into_iter()
                    .zip([8, 9])
                    .map(|(len, tag)| testkit::Op::Set(name(), bytes(tag, len)))
                    .collect(),
            };
            if !is_number && (self.first == Op::Vector || self.second == Op::Vector) {
                ops.push(testkit::Op::SetVector(name(), vec![9.0; VECTOR_DIM]));
            }
            if self.heard {
                ops.push(testkit::Op::Register(name(), KEY_GROUP));
            }
            if self.first.finds_expired() && key == first.key {
                // Nothing of it is left when it is set again.
                ops.push(testkit::Op::Label(name(), first.label));
                ops.push(testkit::Op::SetLifetime(name(), Lifetime::Until(0)));
            }
            for op in ops {
                testkit::perform(&op, writer)?;
                model.apply(&op)?;
            }
        }
        if self.heard {
            let lost = |_| Error::WrongType;
            writer.register_labels(first.label, LABEL_GROUP).map_err(lost)?;
            writer.watch_all().map_err(lost)?;
        }
        Ok(model)
    }

    /// Returns the length of the first values: half of `value_len` where they are appended to.
    fn initial_len(&self) -> usize {
        if self.first == Op::Append || self.layout.is_same() && self.second == Op::Append {
            self.value_len / 2
        } else {
            100
        }
    }

    /// Returns all keys that the store holds or may come to hold.
    pub(super) fn keys(&self, model: &Model) -> Vec<String> {
        let text = |key: &Vec<u8>| String::from_utf8_lossy(key).into_owned();
        let mut keys: Vec<String> = model.entries.keys().map(text).collect();
        for (op, arguments) in [self.first, self.second].into_iter().zip(self.arguments()) {
            keys.extend(arguments.keys(op));
        }
        keys.sort();
        keys.dedup();
        keys
    }
}

/// The hash seed of every store of a sweep, so that keys can be chosen by their home buckets before there is a store.
const HASH_SEED: u64 = 0;

/// Returns the home bucket of a key, where there are two buckets.
pub(super) fn home(key: &str) -> u64 {
    hash_key_seeded(HASH_SEED, key.as_bytes()) & 1
}

/// Finds a key with this home bucket.
fn homed(name: &str, bucket: u64) -> String {
    let mut keys = (0_u32..).map(|n| format!("{name}{n}"));
    keys.find(|key| home(key) == bucket).unwrap_or_default()
}

/// Makes a value: no byte of it is zero, and values of different tags differ in every byte.
pub(super) fn bytes(tag: u8, len: usize) -> Vec<u8> {
    let byte = |at: usize| (tag << 4 | 1) ^ (at as u8 & 7) << 1;
    (0..len).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_what_its_text_says() {
        let text = "update,append,kill,full,64,other,heard";
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(scenario.to_string(), text);
        assert_eq!(
            "update,append,kill,full,64".parse(),
            Ok(Scenario { layout: KeyLayout::Same, heard: false, ..scenario })
        );
        for text in ["", "update", "update,append,kill,full,193", "a,b,c,d,1"] {
            assert!(text.parse::<Scenario>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_of_different_tags_share_no_byte_and_have_no_zero() {
        for tag in 1..10 {
            for other in 1..10 {
                let pairs = bytes(tag, 200).into_iter().zip(bytes(other, 200));
                assert!(pairs.into_iter().all(|(a, b)| a != 0 && (tag == other || a != b)));
            }
        }
    }
}
