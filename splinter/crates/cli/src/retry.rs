//! Repeats an attempt while a key is busy.

use crate::failure::Failure;
use splinter::Error;
use std::time::Duration;

/// How long to retry if a key is busy, or if all writer ids of a store are taken.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to sleep before the next try.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_micros(100);

/// Retries `attempt` while the key is busy, for [`BUSY_TIMEOUT`] at most.
///
/// # Errors
/// The errors of `attempt`; [`Error::Again`] after the timeout.
pub(crate) fn retry_busy<T>(attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    splinter::retry(BUSY_TIMEOUT, attempt)
}

/// As [`retry_busy`], with the error as a failure about `key`.
///
/// # Errors
/// As [`Failure::key`].
pub(crate) fn retry_key<T>(key: &[u8], attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Failure> {
    retry_busy(attempt).map_err(|error| Failure::key(key, error))
}

/// Retries `attempt` for as long as the key is busy.
///
/// # Errors
/// The errors of `attempt`, except [`Error::Again`].
pub(crate) fn retry_forever<T>(attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    splinter::retry(Duration::MAX, attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_key_is_tried_again_and_not_for_ever() {
        let mut left = 3;
        let done = retry_busy(|| {
            left -= 1;
            if left > 0 { Err(Error::Again) } else { Ok(()) }
        });
        assert_eq!((done, left), (Ok(()), 0));
        assert_eq!(retry_busy(|| Err::<(), _>(Error::Again)), Err(Error::Again));
        assert_eq!(retry_busy(|| Err::<(), _>(Error::Full)), Err(Error::Full));
    }
}
