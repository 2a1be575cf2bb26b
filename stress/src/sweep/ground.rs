//! What a sweep stands on: the scene (who does what, how the first is interrupted, on which store), the
//! keys and values of both parties, and what the store holds before.

use super::act::Act;
use super::model::{Body, Cell, Model};
use serde::{Deserialize, Serialize};
use splinter::{Error, Geometry, Scrub, Writer, hash_key_seeded};
use std::fmt;
use std::str::FromStr;

/// Components of a vector.
pub(super) const VECTOR_DIM: usize = 8;
/// The longest value.
pub(super) const MAX_LEN: usize = 192;
/// The group that keys are registered with.
pub(super) const KEY_GROUP: u8 = 3;
/// The group that the label of the first leads to.
pub(super) const LABEL_GROUP: u8 = 5;
const LANES: u32 = 6;

/// What befalls the first in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// It is held up while the second works, and goes on.
    Resume,
    /// It is killed.
    Kill,
    /// It stands still for ever.
    Stop,
}

impl How {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Resume, Self::Kill, Self::Stop];
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Resume => "resume",
            Self::Kill => "kill",
            Self::Stop => "stop",
        })
    }
}

impl FromStr for How {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|how| how.to_string() == text);
        found.ok_or_else(|| format!("'{text}' is none of resume, kill, stop"))
    }
}

/// Which key the second takes, and what else is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// The same key; a store with one index chunk.
    Same,
    /// Another key of the same index chunk, the only one there is.
    Other,
    /// Another key, at home in another chunk.
    Apart,
    /// The same key, in an index whose home chunk is full but for it.
    Spill,
    /// Another key of such a chunk.
    Crowd,
}

impl Ground {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Same,
        Self::Other,
        Self::Apart,
        Self::Spill,
        Self::Crowd,
    ];

    /// Whether both take the same key.
    pub(super) fn is_same(self) -> bool {
        matches!(self, Self::Same | Self::Spill)
    }

    /// Whether the home chunk is full.
    pub(super) fn is_full(self) -> bool {
        matches!(self, Self::Spill | Self::Crowd)
    }

    /// Slots of the store.
    pub(super) fn slots(self) -> u64 {
        match self {
            Self::Same | Self::Other => 4,
            Self::Apart | Self::Spill | Self::Crowd => 8,
        }
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::Other => "other",
            Self::Apart => "apart",
            Self::Spill => "spill",
            Self::Crowd => "crowd",
        })
    }
}

impl FromStr for Ground {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|ground| ground.to_string() == text);
        found.ok_or_else(|| format!("'{text}' is none of same, other, apart, spill, crowd"))
    }
}

/// One pair of operations, and all that matters for it. Its text names it on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scene {
    /// What the first does.
    pub first: Act,
    /// What the second does.
    pub second: Act,
    /// What befalls the first.
    pub how: How,
    /// The scrub level.
    pub scrub: Scrubbing,
    /// Bytes of the values that are written.
    pub value_len: usize,
    /// Keys and index.
    pub ground: Ground,
    /// Whether somebody watches and keys are registered with groups.
    pub heard: bool,
}

/// A scrub level, with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scrubbing(u8);

impl Scrubbing {
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

impl From<Scrub> for Scrubbing {
    fn from(level: Scrub) -> Self {
        let at = Scrub::ALL.iter().position(|known| *known == level);
        Self(at.unwrap_or(1) as u8)
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scrub, heard) = (
            self.scrub.level(),
            if self.heard { "heard" } else { "quiet" },
        );
        write!(
            f,
            "{},{},{},{scrub},{},{},{heard}",
            self.first, self.second, self.how, self.value_len, self.ground
        )
    }
}

impl FromStr for Scene {
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
            scrub: parts[3]
                .parse::<Scrub>()
                .map_err(|error| error.to_string())?
                .into(),
            value_len: value_len
                .ok_or_else(|| format!("'{}' is no length from 0 to {MAX_LEN} bytes", parts[4]))?,
            ground: parts.get(5).map_or(Ok(Ground::Same), |text| text.parse())?,
            heard: match parts.get(6).copied() {
                None | Some("quiet") => false,
                Some("heard") => true,
                Some(text) => return Err(format!("'{text}' is neither heard nor quiet")),
            },
        })
    }
}

/// What one party works with.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) step: u64,
    pub(super) part: f32,
    pub(super) label: u64,
}

impl Cast {
    /// The second order of the tandem that the key is the base of.
    pub(super) fn order(&self) -> String {
        format!("{}.1", self.key)
    }
}

impl Scene {
    /// The sizes of the store.
    pub(super) fn geometry(&self) -> Geometry {
        Geometry {
            slots: self.ground.slots(),
            max_value_len: MAX_LEN as u64,
            vector_dim: VECTOR_DIM as u32,
            lanes: LANES,
        }
    }

    /// Whether the first goes a long way of which little touches what others see: through the kernel, mostly.
    pub(super) fn is_long(&self) -> bool {
        matches!(self.first, Act::Open | Act::Create)
    }

    /// Of how many instructions one is tried when all scenes are played: all are for every pair on one key, at
    /// the default level, but for the longest ways and those through the kernel; elsewhere fewer.
    pub(super) fn stride(&self) -> usize {
        let plain = self.scrub == Scrubbing::HYBRID && self.ground == Ground::Same && !self.heard;
        let long = self.first.is_of_tandem() || self.first == Act::Purge;
        match self.first {
            Act::Create => 2,
            Act::Open => 8,
            // Held up by single steps, one that looks at the clock takes milliseconds for a point.
            Act::Poll | Act::Watch if self.second == Act::Update => 1,
            Act::Poll | Act::Watch => 7,
            _ => match (plain && self.value_len == 64, long) {
                (true, false) => 1,
                (true, true) => 4,
                (false, false) => 29,
                (false, true) => 79,
            },
        }
    }

    /// Whether it is about a store's name, not its keys.
    pub(super) fn is_of_names(&self) -> bool {
        self.first == Act::Create || self.second == Act::Create
    }

    /// Whether values are decimal numbers.
    fn is_of_numbers(&self) -> bool {
        self.first == Act::Integer || self.ground.is_same() && self.second == Act::Integer
    }

    /// Returns what the first and the second work with.
    pub(super) fn casts(&self) -> [Cast; 2] {
        let value = |tag: u8, numbers: bool| {
            if numbers {
                format!("{tag}00000{tag}").into_bytes()
            } else {
                bytes(tag, self.value_len)
            }
        };
        let numbers = self.is_of_numbers();
        let cast = |key: String, tag: u8, numbers: bool| Cast {
            key,
            value: value(tag, numbers),
            tail: if numbers {
                b"55".to_vec()
            } else {
                bytes(tag + 4, self.value_len - self.value_len / 2)
            },
            step: u64::from(tag) * 100,
            part: f32::from(tag),
            label: 1 << tag,
        };
        let key = homed("k", 0);
        let first = cast(key.clone(), 1, numbers);
        let second = match (self.ground.is_same(), self.second) {
            (true, _) => cast(key, 2, numbers),
            (false, Act::FirstSet | Act::FirstTandem) => cast(self.other("n"), 2, false),
            (false, _) => cast(self.other("o"), 2, false),
        };
        [first, second]
    }

    /// Names a key that is not the first's.
    fn other(&self, name: &str) -> String {
        homed(name, u64::from(self.ground == Ground::Apart))
    }

    /// Whether a pair makes sense.
    pub(super) fn makes_sense(&self) -> bool {
        let same = self.ground.is_same();
        // A key can be created if it is missing, or the first makes it so.
        let creatable = matches!(
            self.first,
            Act::FirstSet | Act::FirstTandem | Act::Unset | Act::Untandem
        );
        let small = matches!(
            self.first,
            Act::FirstSet | Act::Unset | Act::Update | Act::Get | Act::Append | Act::Purge
        );
        let narrow = matches!(
            self.second,
            Act::Unset | Act::Update | Act::Get | Act::Open | Act::Bump
        );
        (!same || !self.second.creates() || creatable)
            && (!self.ground.is_full() || small && (narrow || same && self.second == Act::FirstSet))
    }

    /// Lays the store out. Returns what it holds.
    pub(super) fn populate(&self, writer: &mut Writer) -> Result<Model, Error> {
        let [first, second] = self.casts();
        let mut model = Model::new(self.ground.slots(), self.scrub.level());
        let orders = |act: Act, cast: &Cast| {
            let mut keys = vec![cast.key.clone()];
            if matches!(act, Act::Tandem | Act::Untandem) {
                keys.push(cast.order());
            }
            keys
        };
        let mut keys = vec![self.other("o")];
        if !self.first.creates() {
            keys.extend(orders(self.first, &first));
        }
        if self.ground.is_same() && !self.first.creates() {
            keys.extend(orders(self.second, &second));
        }
        if !self.ground.is_same()
            && self.second == Act::Untandem
            && self.first != Act::Tandem
            && self.first != Act::Untandem
        {
            keys.push(second.order());
        }
        if self.ground.is_full() {
            // Seven keys fill the home chunk; the key of the first comes last, or will.
            let fillers = (0..).map(|n| format!("f{n}")).filter(|key| home(key) == 0);
            let others = keys.split_off(1);
            keys.extend(fillers.take(6));
            keys.extend(others);
        }
        let mut seen = Vec::new();
        for key in keys {
            if seen.contains(&key) {
                continue;
            }
            let is_number = self.first == Act::Integer && key == first.key
                || self.second == Act::Integer && key == second.key;
            if is_number {
                writer.set_u64(&key, 40)?;
                model.cells.insert(key.clone(), Cell::number(40));
            } else {
                // Longer once than it is now: there are stale bytes, where the level allows them.
                let len = self.initial_len();
                let value = bytes(9, len);
                writer.set(&key, &bytes(8, MAX_LEN))?;
                writer.set(&key, &value)?;
                let mut cell = Cell::of(Body::Bytes(value));
                if self.first == Act::Vector || self.second == Act::Vector {
                    writer.set_vector(&key, &[9.0; VECTOR_DIM])?;
                    cell.vector = Some(9.0);
                }
                model.cells.insert(key.clone(), cell);
            }
            if self.heard {
                writer.register(&key, KEY_GROUP)?;
            }
            seen.push(key);
        }
        if self.heard {
            let lost = |_| Error::WrongType;
            writer
                .register_labels(first.label, LABEL_GROUP)
                .map_err(lost)?;
            writer.watch_all().map_err(lost)?;
        }
        Ok(model)
    }

    /// Bytes of values before: half of them where they are appended to.
    fn initial_len(&self) -> usize {
        if self.first == Act::Append || self.ground.is_same() && self.second == Act::Append {
            self.value_len / 2
        } else {
            100
        }
    }

    /// Names all keys that are there, or may come to be.
    pub(super) fn keys(&self, model: &Model) -> Vec<String> {
        let mut keys: Vec<String> = model.cells.keys().cloned().collect();
        for (act, cast) in [self.first, self.second].into_iter().zip(self.casts()) {
            keys.push(cast.key.clone());
            if act.is_of_tandem() {
                keys.push(cast.order());
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }
}

/// The seed of every store of a sweep, so that keys can be chosen by their homes before there is a store.
pub(super) const HASH_SEED: u64 = 0;

/// The chunk that a key is at home in, where there are two.
pub(super) fn home(key: &str) -> u64 {
    hash_key_seeded(HASH_SEED, key.as_bytes()) & 1
}

/// Finds a key that is at home in a chunk.
fn homed(name: &str, chunk: u64) -> String {
    let mut keys = (0_u32..).map(|n| format!("{name}{n}"));
    keys.find(|key| home(key) == chunk).unwrap_or_default()
}

/// Makes a value: no byte of it is zero, and that of another tag differs in all of them.
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
        let scene: Scene = text.parse().unwrap();
        assert_eq!(scene.to_string(), text);
        assert_eq!(
            "update,append,kill,full,64".parse(),
            Ok(Scene {
                ground: Ground::Same,
                heard: false,
                ..scene
            })
        );
        for text in ["", "update", "update,append,kill,full,193", "a,b,c,d,1"] {
            assert!(text.parse::<Scene>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_of_different_tags_share_no_byte_and_have_no_zero() {
        for tag in 1..10 {
            for other in 1..10 {
                let pairs = bytes(tag, 200).into_iter().zip(bytes(other, 200));
                assert!(
                    pairs
                        .into_iter()
                        .all(|(a, b)| a != 0 && (tag == other || a != b))
                );
            }
        }
    }
}
