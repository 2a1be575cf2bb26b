//! The operations that are swept, and how each of them is done by whoever has a writer. What comes of
//! one is an [`Answer`], plain words that travel through shared memory.

use super::ground::{Cast, VECTOR_DIM};
use serde::{Deserialize, Serialize};
use splinter::{Error, IntegerOp, Store, StoreError, Writer};
use std::fmt;
use std::str::FromStr;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Act {
    /// Sets a key that is not there.
    FirstSet,
    /// Sets a key that is there.
    Update,
    /// Appends to a value.
    Append,
    /// Adds to a number.
    Integer,
    /// Removes a key.
    Unset,
    /// Sets a tandem that is there.
    Tandem,
    /// Sets a tandem that is not there.
    FirstTandem,
    /// Removes a tandem.
    Untandem,
    /// Sets a vector.
    Vector,
    /// Adds a label.
    Label,
    /// Purges the store.
    Purge,
    /// Bumps a key.
    Bump,
    /// Sets a key three times: only so the buffer that somebody reads is written anew.
    Rewrite,
    /// Reads a key.
    Get,
    /// Opens the store, and registers a writer. As the first: opens a store that has a name.
    Open,
    /// Creates a store that has a name.
    Create,
    /// Waits for a change of a key.
    Poll,
    /// Waits for a change of a group.
    Watch,
}

impl Act {
    /// All of them, and what they are called.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::FirstSet, "first-set"),
        (Self::Update, "update"),
        (Self::Append, "append"),
        (Self::Integer, "integer"),
        (Self::Unset, "unset"),
        (Self::Tandem, "tandem"),
        (Self::FirstTandem, "first-tandem"),
        (Self::Untandem, "untandem"),
        (Self::Vector, "vector"),
        (Self::Label, "label"),
        (Self::Purge, "purge"),
        (Self::Bump, "bump"),
        (Self::Rewrite, "rewrite"),
        (Self::Get, "get"),
        (Self::Open, "open"),
        (Self::Create, "create"),
        (Self::Poll, "poll"),
        (Self::Watch, "watch"),
    ];

    /// Whether it acts on the two orders of a tandem.
    pub(super) fn is_of_tandem(self) -> bool {
        matches!(self, Self::Tandem | Self::FirstTandem | Self::Untandem)
    }

    /// Whether its key is missing before.
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::FirstSet | Self::FirstTandem)
    }

    /// Whether it waits for somebody else.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::Poll | Self::Watch)
    }

    /// Whether it changes keys.
    pub(super) fn changes(self) -> bool {
        !self.waits() && !matches!(self, Self::Get | Self::Open | Self::Create | Self::Purge)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(act, _)| act == self);
        f.pad(named.map_or("", |(_, name)| name))
    }
}

impl FromStr for Act {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        named.map(|(act, _)| *act).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            format!("'{text}' is no operation; give one of {}", names.join(", "))
        })
    }
}

crate::as_text!(Act);

/// Longest value that an answer carries.
pub(super) const ANSWER_BYTES: usize = 192;
/// Words that an answer takes.
pub(super) const ANSWER_WORDS: usize = 3 + ANSWER_BYTES / 8;

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It did its work, and answered with a number.
    Done(u64),
    /// It read this.
    Read(Vec<u8>),
    /// It refused.
    Refused(Error),
    /// It failed otherwise.
    Failed(StoreFailure),
}

/// What [`StoreError`] says, as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreFailure {
    Exists,
    Missing,
    NotAStore,
    NoLane,
    Other,
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) => Self::Exists,
            StoreError::Missing(_) => Self::Missing,
            StoreError::NotAStore { .. } => Self::NotAStore,
            StoreError::NoLane { .. } => Self::NoLane,
            _ => Self::Other,
        }
    }
}

const FAILURES: [StoreFailure; 5] = [
    StoreFailure::Exists,
    StoreFailure::Missing,
    StoreFailure::NotAStore,
    StoreFailure::NoLane,
    StoreFailure::Other,
];

/// The errors that an operation of a sweep can meet.
const ERRORS: [Error; 8] = [
    Error::Again,
    Error::NotFound,
    Error::ValueTooLong,
    Error::Full,
    Error::WrongType,
    Error::WrongDimension,
    Error::TimedOut,
    Error::Forked,
];

impl Answer {
    pub(super) fn of(result: Result<u64, Error>) -> Self {
        match result {
            Ok(number) => Self::Done(number),
            Err(Error::BufferTooSmall { needed }) => Self::Done(needed as u64),
            Err(error) => Self::Refused(error),
        }
    }

    pub(super) fn is_again(&self) -> bool {
        *self == Self::Refused(Error::Again)
    }

    /// Puts it into words.
    pub(super) fn encode(&self) -> [u64; ANSWER_WORDS] {
        let mut words = [0; ANSWER_WORDS];
        let place = |at: Option<usize>| at.unwrap_or(99) as u64;
        match self {
            Self::Done(number) => words[1] = *number,
            Self::Refused(error) => {
                words[0] = 1;
                words[1] = place(ERRORS.iter().position(|known| known == error));
            }
            Self::Failed(failure) => {
                words[0] = 2;
                words[1] = place(FAILURES.iter().position(|known| known == failure));
            }
            Self::Read(bytes) => {
                words[0] = 3;
                words[1] = bytes.len() as u64;
                for (word, part) in words[3..].iter_mut().zip(bytes.chunks(8)) {
                    let mut whole = [0; 8];
                    whole[..part.len()].copy_from_slice(part);
                    *word = u64::from_le_bytes(whole);
                }
            }
        }
        words
    }

    /// Takes it out of words.
    pub(super) fn decode(words: &[u64]) -> Self {
        let at = words[1] as usize;
        match words[0] {
            0 => Self::Done(words[1]),
            1 => Self::Refused(ERRORS.get(at).copied().unwrap_or(Error::KeyEmpty)),
            2 => Self::Failed(FAILURES.get(at).copied().unwrap_or(StoreFailure::Other)),
            _ => {
                let bytes = words[3..].iter().flat_map(|word| word.to_le_bytes());
                Self::Read(bytes.take(at).collect())
            }
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(number) => write!(f, "done ({number})"),
            Self::Read(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Refused(error) => write!(f, "{error:?}"),
            Self::Failed(failure) => write!(f, "{failure:?}"),
        }
    }
}

/// Does the operation.
#[inline(never)]
pub(super) fn perform(act: Act, writer: &mut Writer, cast: &Cast) -> Answer {
    let key = cast.key.as_str();
    let value = cast.value.as_slice();
    match act {
        Act::FirstSet | Act::Update => Answer::of(writer.set(key, value).map(|()| 0)),
        Act::Rewrite => {
            let rounds = (0..3).map(|_| writer.set(key, value));
            Answer::of(rounds.last().unwrap_or(Ok(())).map(|()| 0))
        }
        Act::Append => Answer::of(writer.append(key, &cast.tail).map(|len| len as u64)),
        Act::Integer => Answer::of(writer.integer(key, IntegerOp::Inc(cast.step))),
        Act::Unset => Answer::of(writer.unset(key).map(|len| len as u64)),
        Act::Tandem | Act::FirstTandem => {
            Answer::of(writer.set_tandem(key, &[value, value]).map(|()| 0))
        }
        Act::Untandem => Answer::of(writer.unset_tandem(key, 2).map(|count| count as u64)),
        Act::Vector => {
            let vector = [cast.part; VECTOR_DIM];
            Answer::of(writer.set_vector(key, &vector).map(|()| 0))
        }
        Act::Label => Answer::of(writer.label(key, cast.label).map(|()| 0)),
        Act::Purge => Answer::of(writer.purge()),
        Act::Bump => Answer::of(writer.bump(key).map(|()| 0)),
        Act::Get => {
            let mut bytes = [0; ANSWER_BYTES];
            match writer.get(key, &mut bytes) {
                Ok(len) => Answer::Read(bytes[..len].to_vec()),
                Err(error) => Answer::of(Err(error)),
            }
        }
        Act::Open => open_again(writer),
        Act::Create | Act::Poll | Act::Watch => Answer::Failed(StoreFailure::Other),
    }
}

/// Opens the store once more, as another process would, and takes a lane of it.
fn open_again(store: &Store) -> Answer {
    let opened = store
        .fd()
        .try_clone_to_owned()
        .map_err(|_| StoreFailure::Other)
        .and_then(|fd| Store::from_fd(fd).map_err(StoreFailure::from))
        .and_then(|store| store.writer().map_err(StoreFailure::from));
    match opened {
        Ok(_) => Answer::Done(0),
        Err(failure) => Answer::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_way_through_shared_memory() {
        let read = Answer::Read((0..ANSWER_BYTES).map(|n| n as u8).collect());
        for answer in [
            Answer::Done(7),
            read,
            Answer::Read(vec![]),
            Answer::Refused(Error::Full),
            Answer::Failed(StoreFailure::NoLane),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }
}
