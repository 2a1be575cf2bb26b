//! What nearly every caller does with two of the errors: tries again on [`Error::Again`], and takes a missing key for an answer.

use crate::error::Error;
use std::time::{Duration, Instant};

/// Rounds that spin, and rounds after those that let other threads run; later ones sleep.
const SPINS: u32 = 64;
const YIELDS: u32 = 64;

/// The longest sleep, in microseconds.
const LONGEST_SLEEP: u32 = 1_000;

/// Calls `operation` until it returns something other than [`Error::Again`], for about `patience`, and at least once.
///
/// A key answers `Again` while a living writer holds it, mostly for less than a microsecond. So this spins for a moment,
/// then lets other threads run, and then sleeps for up to a millisecond at a time. The clock is not read if the first call
/// succeeds.
///
/// ```
/// use std::time::Duration;
///
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// splinter::retry(Duration::from_secs(1), || writer.set("key", b"value"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of `operation`; [`Error::Again`] if that is what it returned until the patience ended, as it does while a writer
/// that holds the key is stopped.
#[doc(alias("backoff", "spin"))]
pub fn retry<T>(patience: Duration, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut result = operation();
    let mut start = None;
    let mut round = 0_u32;
    while let Err(Error::Again) = result {
        if start.get_or_insert_with(Instant::now).elapsed() >= patience {
            break;
        }
        match round {
            0..SPINS => std::hint::spin_loop(),
            _ if round < SPINS + YIELDS => std::thread::yield_now(),
            _ => {
                let micros = (round - SPINS - YIELDS + 1).min(LONGEST_SLEEP);
                std::thread::sleep(Duration::from_micros(micros.into()));
            }
        }
        round = round.saturating_add(1);
        result = operation();
    }
    result
}

/// Takes a missing key for an answer: [`Error::NotFound`] becomes `None`.
///
/// ```
/// use splinter::OptionalExt;
///
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// assert_eq!(store.get_vec("missing").optional()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait OptionalExt<T> {
    /// Returns `None` if the key is missing.
    ///
    /// # Errors
    /// All others than [`Error::NotFound`].
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExt<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_tried_until_it_is_done_fails_or_the_patience_ends() {
        let mut tries = 0;
        let third = retry(Duration::from_secs(60), || {
            tries += 1;
            if tries < 300 { Err(Error::Again) } else { Ok(tries) }
        });
        assert_eq!(third, Ok(300));
        assert_eq!(retry(Duration::MAX, || Err::<(), _>(Error::Full)), Err(Error::Full));
        let begun = Instant::now();
        assert_eq!(retry(Duration::from_millis(20), || Err::<(), _>(Error::Again)), Err(Error::Again));
        assert!(begun.elapsed() >= Duration::from_millis(20));
        let mut tries = 0;
        let none = retry(Duration::ZERO, || {
            tries += 1;
            Err::<(), _>(Error::Again)
        });
        assert_eq!((none, tries), (Err(Error::Again), 1));
    }

    #[test]
    fn only_a_missing_key_is_none() {
        assert_eq!(Ok::<_, Error>(1).optional(), Ok(Some(1)));
        assert_eq!(Err::<u8, _>(Error::NotFound).optional(), Ok(None));
        assert_eq!(Err::<u8, _>(Error::Again).optional(), Err(Error::Again));
    }
}
