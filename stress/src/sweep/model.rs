//! The sequential model: what a store holds after operations that run one after the other. What is observed must be what
//! some order of them leaves.

use super::answer::{Answer, MAX_LEN};
use super::ops::{Arguments, Op};
use splinter::{Error, Scrub};
use std::collections::BTreeMap;
use std::fmt;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Bytes(Vec<u8>),
    Number(u64),
}

impl Value {
    /// Returns the bytes that a reader gets.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Number(number) => number.to_le_bytes().to_vec(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(_) => 8,
        }
    }
}

/// The state of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyState {
    pub(super) value: Value,
    /// Whether its type is BIGUINT.
    pub(super) numeric: bool,
    pub(super) labels: u64,
    /// The value of all components of its vector.
    pub(super) vector: Option<f32>,
}

impl KeyState {
    pub(super) fn of(value: Value) -> Self {
        Self { value, numeric: false, labels: 0, vector: None }
    }

    pub(super) fn number(number: u64) -> Self {
        Self { numeric: true, ..Self::of(Value::Number(number)) }
    }

    /// Returns what a reader can tell: a number in its slot reads like its eight bytes.
    pub(super) fn observed(&self) -> Observed {
        Observed {
            bytes: self.value.bytes(),
            numeric: self.numeric,
            labels: self.labels,
            vector: self.vector,
        }
    }
}

/// A key as it was read.
#[derive(Clone, PartialEq)]
pub(super) struct Observed {
    pub(super) bytes: Vec<u8>,
    pub(super) numeric: bool,
    pub(super) labels: u64,
    pub(super) vector: Option<f32>,
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())?;
        let mut runs: Vec<(u8, usize)> = Vec::new();
        for byte in &self.bytes {
            // The upper half of a byte is the tag of its writer.
            match runs.last_mut() {
                Some((tag, count)) if *tag == byte >> 4 => *count += 1,
                _ => runs.push((byte >> 4, 1)),
            }
        }
        let runs: Vec<String> = runs.iter().map(|(tag, count)| format!("{count} of {tag}")).collect();
        write!(f, " [{}]", runs.join(", "))?;
        write!(f, " labels {:#x}", self.labels)?;
        match self.vector {
            Some(part) => write!(f, " vector {part}"),
            None => Ok(()),
        }
    }
}

/// All keys as they were read, without the missing ones.
pub(super) type Contents = BTreeMap<String, Observed>;

/// A store that performs one operation at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) keys: BTreeMap<String, KeyState>,
    slots: usize,
    pub(super) scrub: Scrub,
}

impl Model {
    pub(super) fn new(slots: u64, scrub: Scrub) -> Self {
        Self { keys: BTreeMap::new(), slots: slots as usize, scrub }
    }

    /// Returns what a reader of all keys sees.
    pub(super) fn contents(&self) -> Contents {
        let observed = self.keys.iter().map(|(key, state)| (key.clone(), state.observed()));
        observed.collect()
    }

    /// Performs the operation, and returns its answer.
    pub(super) fn apply(&mut self, op: Op, arguments: &Arguments) -> Answer {
        let result = match op {
            Op::FirstSet | Op::Update | Op::Rewrite => {
                self.set_all(std::slice::from_ref(&arguments.key), &arguments.value)
            }
            Op::Tandem | Op::FirstTandem => {
                self.set_all(&[arguments.key.clone(), arguments.order()], &arguments.value)
            }
            Op::Untandem => {
                let keys = [arguments.key.clone(), arguments.order()];
                let removed = keys.iter().filter_map(|key| self.keys.remove(key));
                Ok(removed.count() as u64)
            }
            Op::Unset => match self.keys.remove(&arguments.key) {
                Some(state) => Ok(state.value.len() as u64),
                None => Err(Error::NotFound),
            },
            Op::Append => self.change(arguments, |state| match &mut state.value {
                Value::Number(_) => Err(Error::WrongType),
                Value::Bytes(bytes) if bytes.len() + arguments.tail.len() > MAX_LEN => {
                    Err(Error::ValueTooLong)
                }
                Value::Bytes(bytes) => {
                    bytes.extend(&arguments.tail);
                    state.vector = None;
                    Ok(bytes.len() as u64)
                }
            }),
            Op::Integer => self.change(arguments, |state| {
                let number = number(state).ok_or(Error::WrongType)?;
                let number = number.wrapping_add(arguments.step);
                state.value = Value::Number(number);
                state.vector = None;
                Ok(number)
            }),
            Op::Vector => self.change(arguments, |state| {
                state.vector = Some(arguments.part);
                Ok(0)
            }),
            Op::Label => self.change(arguments, |state| {
                state.labels |= arguments.label;
                Ok(0)
            }),
            Op::Bump => self.change(arguments, |_| Ok(0)),
            Op::Get => {
                let state = self.keys.get(&arguments.key).ok_or(Error::NotFound);
                return match state {
                    Ok(state) => Answer::Read(state.value.bytes()),
                    Err(error) => Answer::Refused(error),
                };
            }
            Op::Purge | Op::Open | Op::Create | Op::Poll | Op::Watch => Ok(0),
        };
        Answer::of(result)
    }

    fn change(
        &mut self,
        arguments: &Arguments,
        change: impl FnOnce(&mut KeyState) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        change(self.keys.get_mut(&arguments.key).ok_or(Error::NotFound)?)
    }

    fn set_all(&mut self, keys: &[String], value: &[u8]) -> Result<u64, Error> {
        let new = keys.iter().filter(|key| !self.keys.contains_key(*key)).count();
        if self.keys.len() + new > self.slots {
            return Err(Error::Full);
        }
        for key in keys {
            let state = self.keys.entry(key.clone()).or_insert_with(|| KeyState::of(Value::Bytes(vec![])));
            state.value = Value::Bytes(value.to_vec());
            state.vector = None;
        }
        Ok(0)
    }
}

/// Returns the number that a value stands for.
fn number(state: &KeyState) -> Option<u64> {
    match &state.value {
        _ if !state.numeric => None,
        Value::Number(number) => Some(*number),
        Value::Bytes(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Some(u64::from_le_bytes(bytes)),
            Err(_) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        },
    }
}

/// Tells whether an operation whose answer should be `wanted` may answer `found`.
pub(super) fn agrees(op: Op, wanted: &Answer, found: &Answer) -> bool {
    // A purge may count slots as it likes.
    let counts = op == Op::Purge && matches!(found, Answer::Done(_));
    counts || wanted == found
}
