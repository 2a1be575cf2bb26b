//! The answer of an operation, and its form in shared memory.

use splinter::{Error, StoreError};
use splinter_testkit::{self as testkit, Reply};
use std::fmt;

/// The longest value, in bytes.
pub(super) const MAX_LEN: usize = 192;
/// Words that an answer takes.
pub(super) const ANSWER_WORDS: usize = 3 + MAX_LEN / 8;

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It succeeded, with a number.
    Done(u64),
    /// It read these bytes.
    Read(Vec<u8>),
    /// It returned an error.
    Refused(Error),
    /// It returned an error of the whole store.
    Failed(StoreErrorKind),
}

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreErrorKind {
    Exists,
    Missing,
    NotAStore,
    NoLane,
    Other,
}

impl From<StoreError> for StoreErrorKind {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists(_) => Self::Exists,
            StoreError::Missing(_) => Self::Missing,
            StoreError::NotAStore { .. } => Self::NotAStore,
            StoreError::TooManyWriters { .. } => Self::NoLane,
            _ => Self::Other,
        }
    }
}

const FAILURES: [StoreErrorKind; 5] = [
    StoreErrorKind::Exists,
    StoreErrorKind::Missing,
    StoreErrorKind::NotAStore,
    StoreErrorKind::NoLane,
    StoreErrorKind::Other,
];

/// The errors that an operation of a sweep can meet.
const ERRORS: [Error; 9] = [
    Error::Again,
    Error::NotFound,
    Error::ValueTooLong,
    Error::Full,
    Error::WrongType,
    Error::WrongDimension,
    Error::TimedOut,
    Error::Forked,
    Error::Changed { epoch: 0 },
];

impl From<testkit::Answer> for Answer {
    fn from(answer: testkit::Answer) -> Self {
        match answer {
            Ok(Reply::Number(number)) => Self::Done(number),
            Ok(Reply::Value(bytes)) => Self::Read(bytes),
            Ok(Reply::Done | Reply::Each(_)) => Self::Done(0),
            Ok(Reply::Committed(outcomes)) => {
                Self::Done(outcomes.into_iter().filter_map(|(_, number)| number).sum())
            }
            Ok(Reply::Refused(reasons)) => Self::Refused(reasons[0].1),
            Err(error) => Self::Refused(error),
        }
    }
}

impl Answer {
    pub(super) fn is_again(&self) -> bool {
        *self == Self::Refused(Error::Again)
    }

    /// Encodes the answer as words.
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

    /// Decodes an answer.
    pub(super) fn decode(words: &[u64]) -> Self {
        let at = words[1] as usize;
        match words[0] {
            0 => Self::Done(words[1]),
            1 => Self::Refused(ERRORS.get(at).copied().unwrap_or(Error::KeyEmpty)),
            2 => Self::Failed(FAILURES.get(at).copied().unwrap_or(StoreErrorKind::Other)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_way_through_shared_memory() {
        let read = Answer::Read((0..MAX_LEN).map(|n| n as u8).collect());
        for answer in [
            Answer::Done(7),
            read,
            Answer::Read(vec![]),
            Answer::Refused(Error::Full),
            Answer::Refused(Error::Changed { epoch: 0 }),
            Answer::Failed(StoreErrorKind::NoLane),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), answer);
        }
    }
}
