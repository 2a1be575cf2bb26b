//! The oracle: what a store holds after operations that came one after the other. What was observed
//! must be what some order of them leaves.

use super::act::{Act, Answer};
use super::ground::{Cast, MAX_LEN};
use splinter::{Error, Scrub};
use std::collections::BTreeMap;
use std::fmt;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Bytes(Vec<u8>),
    Number(u64),
}

impl Body {
    /// The bytes that a reader gets.
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

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) body: Body,
    /// Whether its type is BIGUINT.
    pub(super) numeric: bool,
    pub(super) labels: u64,
    /// What all components of its vector are.
    pub(super) vector: Option<f32>,
}

impl Cell {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body,
            numeric: false,
            labels: 0,
            vector: None,
        }
    }

    pub(super) fn number(number: u64) -> Self {
        Self {
            numeric: true,
            ..Self::of(Body::Number(number))
        }
    }

    /// What a reader can tell of it: a number in its slot and its eight bytes are the same.
    pub(super) fn seen(&self) -> Seen {
        Seen {
            bytes: self.body.bytes(),
            numeric: self.numeric,
            labels: self.labels,
            vector: self.vector,
        }
    }
}

/// A key as it was read.
#[derive(Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    pub(super) numeric: bool,
    pub(super) labels: u64,
    pub(super) vector: Option<f32>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())?;
        let mut runs: Vec<(u8, usize)> = Vec::new();
        for byte in &self.bytes {
            // The upper half of a byte is the tag of who wrote it.
            match runs.last_mut() {
                Some((tag, count)) if *tag == byte >> 4 => *count += 1,
                _ => runs.push((byte >> 4, 1)),
            }
        }
        let runs: Vec<String> = runs
            .iter()
            .map(|(tag, count)| format!("{count} of {tag}"))
            .collect();
        write!(f, " [{}]", runs.join(", "))?;
        write!(f, " labels {:#x}", self.labels)?;
        match self.vector {
            Some(part) => write!(f, " vector {part}"),
            None => Ok(()),
        }
    }
}

/// All keys, as they were read; those that are missing are not in it.
pub(super) type View = BTreeMap<String, Seen>;

/// A store, one operation at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) cells: BTreeMap<String, Cell>,
    slots: usize,
    pub(super) scrub: Scrub,
}

impl Model {
    pub(super) fn new(slots: u64, scrub: Scrub) -> Self {
        Self {
            cells: BTreeMap::new(),
            slots: slots as usize,
            scrub,
        }
    }

    /// What a reader of all keys sees.
    pub(super) fn view(&self) -> View {
        let seen = self
            .cells
            .iter()
            .map(|(key, cell)| (key.clone(), cell.seen()));
        seen.collect()
    }

    /// Does the operation. Returns its answer.
    pub(super) fn apply(&mut self, act: Act, cast: &Cast) -> Answer {
        let result = match act {
            Act::FirstSet | Act::Update | Act::Rewrite => {
                self.set_all(std::slice::from_ref(&cast.key), &cast.value)
            }
            Act::Tandem | Act::FirstTandem => {
                self.set_all(&[cast.key.clone(), cast.order()], &cast.value)
            }
            Act::Untandem => {
                let keys = [cast.key.clone(), cast.order()];
                let removed = keys.iter().filter_map(|key| self.cells.remove(key));
                Ok(removed.count() as u64)
            }
            Act::Unset => match self.cells.remove(&cast.key) {
                Some(cell) => Ok(cell.body.len() as u64),
                None => Err(Error::NotFound),
            },
            Act::Append => self.change(cast, |cell| match &mut cell.body {
                Body::Number(_) => Err(Error::WrongType),
                Body::Bytes(bytes) if bytes.len() + cast.tail.len() > MAX_LEN => {
                    Err(Error::ValueTooLong)
                }
                Body::Bytes(bytes) => {
                    bytes.extend(&cast.tail);
                    cell.vector = None;
                    Ok(bytes.len() as u64)
                }
            }),
            Act::Integer => self.change(cast, |cell| {
                let number = number(cell).ok_or(Error::WrongType)?;
                let number = number.wrapping_add(cast.step);
                cell.body = Body::Number(number);
                cell.vector = None;
                Ok(number)
            }),
            Act::Vector => self.change(cast, |cell| {
                cell.vector = Some(cast.part);
                Ok(0)
            }),
            Act::Label => self.change(cast, |cell| {
                cell.labels |= cast.label;
                Ok(0)
            }),
            Act::Bump => self.change(cast, |_| Ok(0)),
            Act::Get => {
                let cell = self.cells.get(&cast.key).ok_or(Error::NotFound);
                return match cell {
                    Ok(cell) => Answer::Read(cell.body.bytes()),
                    Err(error) => Answer::Refused(error),
                };
            }
            Act::Purge | Act::Open | Act::Create | Act::Poll | Act::Watch => Ok(0),
        };
        Answer::of(result)
    }

    fn change(
        &mut self,
        cast: &Cast,
        change: impl FnOnce(&mut Cell) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        change(self.cells.get_mut(&cast.key).ok_or(Error::NotFound)?)
    }

    fn set_all(&mut self, keys: &[String], value: &[u8]) -> Result<u64, Error> {
        let new = keys
            .iter()
            .filter(|key| !self.cells.contains_key(*key))
            .count();
        if self.cells.len() + new > self.slots {
            return Err(Error::Full);
        }
        for key in keys {
            let cell = self
                .cells
                .entry(key.clone())
                .or_insert_with(|| Cell::of(Body::Bytes(vec![])));
            cell.body = Body::Bytes(value.to_vec());
            cell.vector = None;
        }
        Ok(0)
    }
}

/// Reads a value as the number that it stands for.
fn number(cell: &Cell) -> Option<u64> {
    match &cell.body {
        _ if !cell.numeric => None,
        Body::Number(number) => Some(*number),
        Body::Bytes(bytes) => match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(bytes) => Some(u64::from_le_bytes(bytes)),
            Err(_) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        },
    }
}

/// Whether an operation that answered `found` may have been one that answers `wanted`.
pub(super) fn agrees(act: Act, wanted: &Answer, found: &Answer) -> bool {
    // How many slots a purge looked at is its own business.
    let counts = act == Act::Purge && matches!(found, Answer::Done(_));
    counts || wanted == found
}
