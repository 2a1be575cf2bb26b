//! Parses durations with a unit, such as `500ms`, and computes deadlines.

use crate::failure::Failure;
use crate::output::shown;
use splinter::units;
use std::time::{Duration, Instant};

/// Parses a duration: a number, with or without a fraction, directly followed by `ns`, `us`, `ms`, `s`, `m`, `h` or
/// `d`. Other words have exit code 2, and a message that begins with `what`.
pub(crate) fn span(what: &str, word: &[u8]) -> Result<Duration, Failure> {
    let span = std::str::from_utf8(word).ok().and_then(units::span);
    span.ok_or_else(|| {
        let word = shown(word);
        Failure::usage(format!("{what}: {word} is not a span of time, as in 500ms, 2s or 1m"))
    })
}

/// Returns the instant after a duration from now; none if there is no duration, or if it is too long for the clock.
pub(crate) fn deadline(span: Option<Duration>) -> Option<Instant> {
    span.and_then(|span| Instant::now().checked_add(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(span("--timeout", b"1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("--timeout", b"5").unwrap_err().exit, 2);
    }

    #[test]
    fn a_time_that_is_too_long_for_the_clock_never_ends() {
        assert_eq!(deadline(None), None);
        assert_eq!(deadline(Some(Duration::MAX)), None);
        assert!(deadline(Some(Duration::ZERO)).is_some());
    }
}
