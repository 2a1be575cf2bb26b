//! Repeats an attempt while a key is busy.

use crate::failure::Failure;
use splinter::Error;
use std::thread;
use std::time::{Duration, Instant};

/// How long to retry if a key is busy, or if all writer ids of a store are taken.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to sleep before the next try.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_micros(100);

/// Retries `attempt` while the key is busy, for [`BUSY_TIMEOUT`] at most.
///
/// # Errors
/// The errors of `attempt`; [`Error::Again`] after the timeout.
pub(crate) fn retry_busy<T>(attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    retry_while(attempt, |error| *error == Error::Again)
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
pub(crate) fn retry_forever<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match attempt() {
            Err(Error::Again) => thread::sleep(BUSY_PAUSE),
            done => return done,
        }
    }
}

/// Retries `attempt` while `is_busy` holds for its error, for [`BUSY_TIMEOUT`] at most.
pub(crate) fn retry_while<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_busy: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut begun = None;
    loop {
        match attempt() {
            Err(error) if is_busy(&error) => {
                if begun.get_or_insert_with(Instant::now).elapsed() >= BUSY_TIMEOUT {
                    return Err(error);
                }
                thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
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
