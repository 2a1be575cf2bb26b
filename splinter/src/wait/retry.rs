//! What nearly every caller does with two of the errors: tries again on [`Error::Again`], and takes a missing key for an answer.

use crate::error::Error;
use std::time::{Duration, Instant};

/// How often an operation is tried again at once, before its thread lets others run.
const SPINS: u32 = 64;

/// Calls `operation` until it returns something other than [`Error::Again`], for at most `patience`, and at least once.
///
/// A key answers `Again` while a living writer holds it, mostly for less than a microsecond. So this spins for a moment,
/// then lets other threads run, and then sleeps for up to a millisecond at a time.
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
    let mut end = None;
    for round in 0_u32.. {
        match operation() {
            Err(Error::Again) => {}
            result => return result,
        }
        if round < SPINS {
            std::hint::spin_loop();
            continue;
        }
        let now = Instant::now();
        // A patience that is too long for the clock never ends.
        let end = *end.get_or_insert_with(|| now.checked_add(patience));
        if end.is_some_and(|end| now >= end) {
            break;
        }
        match round - SPINS {
            0..64 => std::thread::yield_now(),
            sleeps => std::thread::sleep(Duration::from_micros(u64::from(sleeps).min(1000))),
        }
    }
    Err(Error::Again)
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
        assert!(none == Err(Error::Again) && tries > 0);
    }

    #[test]
    fn only_a_missing_key_is_none() {
        assert_eq!(Ok::<_, Error>(1).optional(), Ok(Some(1)));
        assert_eq!(Err::<u8, _>(Error::NotFound).optional(), Ok(None));
        assert_eq!(Err::<u8, _>(Error::Again).optional(), Err(Error::Again));
    }
}
