//! What workers do: the operations, the weights of a writer's mix, and how a worker draws its next
//! one.

use crate::keys::Family;
use serde::{Deserialize, Serialize};
use splinter_harness::named_enum;
use splinter_harness::rng::Rng;
use std::fmt;
use std::str::FromStr;

named_enum! {
    /// An operation, as it is counted and timed: those of a writer's mix first, in the order of its weights. One call is one
    /// attempt.
    #[repr(u8)]
    pub enum Op: "operation" {
        /// Reads a value.
        Get = "get",
        /// Writes a value.
        Set = "set",
        /// Appends to a value.
        Append = "append",
        /// Adds to an integer.
        Int = "int",
        /// Writes a tandem group.
        Tandem = "tandem",
        /// Writes a vector.
        Vector = "vector",
        /// Sets a label.
        Label = "label",
        /// Removes a key.
        Unset = "unset",
        /// Moves an amount between keys of a group by a transaction.
        Transaction = "transaction",
        /// Adds to a tally by a function of the old value.
        Update = "update",
        /// Writes a value, or removes it, if the key is as expected.
        SetIf = "set_if",
        /// Writes a value for a time, or moves its deadline.
        Expire = "expire",
        /// Reads an integer.
        ReadInt = "read_int",
        /// Reads a tandem group.
        ReadTandem = "read_tandem",
        /// Reads a vector.
        ReadVector = "read_vector",
        /// Reads a group that transactions change.
        ReadTransaction = "read_transaction",
        /// Reads a tally.
        ReadUpdate = "read_update",
        /// Reads a value that is written conditionally.
        ReadSetIf = "read_set_if",
        /// Reads a value that may expire.
        ReadExpire = "read_expire",
    }
}

impl Op {
    /// Number of operations.
    pub const COUNT: usize = Self::ALL.len();

    /// Tells whether it only reads.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.reading() == self
    }

    /// Returns the operation that reads what this one writes.
    #[must_use]
    fn reading(self) -> Self {
        match self {
            Self::Get | Self::Set | Self::Append | Self::Label | Self::Unset => Self::Get,
            Self::Int | Self::ReadInt => Self::ReadInt,
            Self::Tandem | Self::ReadTandem => Self::ReadTandem,
            Self::Vector | Self::ReadVector => Self::ReadVector,
            Self::Transaction | Self::ReadTransaction => Self::ReadTransaction,
            Self::Update | Self::ReadUpdate => Self::ReadUpdate,
            Self::SetIf | Self::ReadSetIf => Self::ReadSetIf,
            Self::Expire | Self::ReadExpire => Self::ReadExpire,
        }
    }

    /// Returns the family of the keys that it works on.
    #[inline]
    #[must_use]
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Int | Self::ReadInt => Family::Counter,
            Self::Tandem | Self::ReadTandem => Family::Group,
            Self::Transaction | Self::ReadTransaction => Family::Account,
            Self::Update | Self::ReadUpdate => Family::Tally,
            Self::Expire | Self::ReadExpire => Family::Lease,
            // And on locks, of which there are as many.
            Self::SetIf | Self::ReadSetIf => Family::Chain,
            _ => Family::Value,
        }
    }
}

/// Number of operations that a mix gives weights to.
const MIXED: usize = 12;

/// Weights of the operations that a writer draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mix {
    weights: [u32; MIXED],
}

impl Mix {
    /// Builds a mix of one operation. Operations that only readers do are taken as their writing
    /// counterpart.
    #[must_use]
    pub fn only(op: Op) -> Self {
        let mut weights = [0; MIXED];
        let writing = Op::ALL.into_iter().find(|it| *it == op || it.reading() == op && op != Op::Get);
        weights[writing.unwrap_or(op) as usize] = 1;
        Self { weights }
    }

    /// Returns the weight of an operation; 0 for those that only readers do.
    #[must_use]
    pub fn weight(&self, op: Op) -> u32 {
        self.weights.get(op as usize).copied().unwrap_or(0)
    }

    /// Tells whether an operation can be drawn.
    #[must_use]
    pub fn has(&self, op: Op) -> bool {
        self.weight(op) > 0
    }

    /// Tells whether keys of a family are read or written at all.
    #[must_use]
    pub(crate) fn uses(&self, family: Family) -> bool {
        let family = if family == Family::Lock { Family::Chain } else { family };
        Op::ALL.into_iter().any(|op| op.family() == family && self.has(op))
    }

    /// Returns what a writer draws.
    #[must_use]
    pub fn for_writer(&self) -> Draw {
        Draw::new(Op::ALL.into_iter().map(|op| (op, self.weight(op))))
    }

    /// Returns what a reader draws: for each operation of the writers the one that reads its
    /// results, in the same proportion.
    #[must_use]
    pub fn for_reader(&self) -> Draw {
        let weight = |read: Op| {
            let read_by_it = Op::ALL.into_iter().filter(|op| op.reading() == read);
            (read, read_by_it.map(|op| self.weight(op)).sum())
        };
        Draw::new(Op::ALL.into_iter().filter(|op| op.is_read()).map(weight))
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self::only(Op::Set)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for op in Op::ALL.into_iter().filter(|&op| self.has(op)) {
            write!(f, "{comma}{}={}", op.name(), self.weight(op))?;
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = [0; MIXED];
        for part in text.split(',') {
            let (name, weight) = part.trim().split_once('=').unwrap_or((part.trim(), "1"));
            let op = name.parse().ok().filter(|&op: &Op| (op as usize) < MIXED).ok_or_else(|| {
                let names = Op::ALL.map(Op::name)[..MIXED].join(", ");
                format!("'{name}' is no operation of a mix: use {names}")
            })?;
            weights[op as usize] =
                weight.parse::<u32>().ok().filter(|&weight| weight <= 1_000_000).ok_or_else(|| {
                    format!(
                        "'{weight}' is no weight: give a whole number up to 1000000, as in \
                         {name}=10"
                    )
                })?;
        }
        if weights.iter().all(|&weight| weight == 0) {
            return Err(
                "the mix is empty: give at least one operation a weight, as in set=90,get=10".to_owned()
            );
        }
        Ok(Self { weights })
    }
}

splinter_harness::as_text!(Mix);

/// Draws operations by weight.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Operations with the sum of weights up to and including theirs.
    steps: Vec<(u32, Op)>,
}

impl Draw {
    fn new(weights: impl IntoIterator<Item = (Op, u32)>) -> Self {
        let mut sum = 0;
        let steps = weights
            .into_iter()
            .filter(|&(_, weight)| weight > 0)
            .map(|(op, weight)| {
                sum += weight;
                (sum, op)
            })
            .collect();
        Self { steps }
    }

    /// Returns the operations that can be drawn.
    pub fn ops(&self) -> impl Iterator<Item = Op> + '_ {
        self.steps.iter().map(|&(_, op)| op)
    }

    /// Draws one; without a random number where there is only one.
    #[inline]
    pub fn draw(&self, rng: &mut Rng) -> Op {
        match self.steps.as_slice() {
            [] => Op::Get,
            [(_, op)] => *op,
            steps => {
                let at = rng.below(u64::from(steps[steps.len() - 1].0));
                steps.iter().find(|&&(sum, _)| at < u64::from(sum)).map_or(Op::Get, |&(_, op)| op)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_mix_round_trip() {
        for text in ["set=1", "get=10,set=80,unset=10", "int=3,tandem=1,vector=2,label=5"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!("set".parse(), Ok(Mix::only(Op::Set)));
        for text in ["", "set=0", "put=1", "set=x", "read_int=1", "set=1,,get=1"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn draws_follow_the_weights() {
        let mix: Mix = "get=1,set=2,int=1".parse().unwrap();
        let draw = mix.for_writer();
        let mut rng = Rng::new(2, 2);
        let mut counts = [0u32; Op::COUNT];
        for _ in 0..40_000 {
            counts[draw.draw(&mut rng) as usize] += 1;
        }
        for (op, share) in [(Op::Get, 0.25), (Op::Set, 0.5), (Op::Int, 0.25)] {
            assert!((f64::from(counts[op as usize]) / 40_000.0 - share).abs() < 0.02, "{op:?}");
        }
        assert_eq!(counts.iter().sum::<u32>(), 40_000);
    }

    #[test]
    fn readers_read_what_writers_write() {
        let reader = |text: &str| text.parse::<Mix>().unwrap().for_reader().ops().collect::<Vec<_>>();
        assert_eq!(reader("set"), [Op::Get]);
        assert_eq!(reader("int"), [Op::ReadInt]);
        assert_eq!(reader("set,tandem,vector"), [Op::Get, Op::ReadTandem, Op::ReadVector]);
    }

    #[test]
    fn every_operation_has_its_own_name() {
        for op in Op::ALL {
            assert_eq!(op.name().parse(), Ok(op));
            assert_eq!((op as usize) < MIXED, !op.is_read() || op == Op::Get, "{op}");
            assert!(Mix::only(op).uses(op.family()) && Mix::only(op).for_reader().ops().eq([op.reading()]));
        }
    }
}
