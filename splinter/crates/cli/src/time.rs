//! Spans of time as people write them. Pure.

use crate::failure::Failure;
use crate::output::shown;
use std::time::{Duration, Instant};

/// Reads a span of time: a number, with or without a fraction, and `us`, `ms`, `s`, `m` or `h` right behind it.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(splinter_cli::time::span("--timeout", b"1.5s"), Ok(Duration::from_millis(1500)));
/// assert_eq!(splinter_cli::time::span("--timeout", b"5").unwrap_err().exit, 2);
/// ```
///
/// # Errors
/// Anything else: exit code 2; the message begins with `what`.
pub fn span(what: &str, word: &[u8]) -> Result<Duration, Failure> {
    let wrong = || {
        let word = shown(word);
        Failure::usage(format!("{what}: {word} is no span of time, as in 500ms, 2s or 1m"))
    };
    let text = std::str::from_utf8(word).map_err(|_| wrong())?;
    let digits = text.find(|char: char| !char.is_ascii_digit() && char != '.');
    let (number, unit) = text.split_at(digits.ok_or_else(wrong)?);
    let unit_us: f64 = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3600e6,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit_us / 1e6).map_err(|_| wrong())
}

/// Returns when a span from now on ends; never, if there is none or it is too long for the clock.
pub fn deadline(span: Option<Duration>) -> Option<Instant> {
    span.and_then(|span| Instant::now().checked_add(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (word, us) in [
            ("7us", 7),
            ("500ms", 500_000),
            ("0s", 0),
            (".5s", 500_000),
            ("2m", 120_000_000),
            ("1h", 3_600_000_000),
        ] {
            assert_eq!(span("x", word.as_bytes()), Ok(Duration::from_micros(us)), "{word}");
        }
        for word in [
            "",
            "s",
            "5",
            "5 s",
            "-1s",
            "1e3s",
            "1.2.3s",
            "5d",
            "inf",
            "99999999999999999999h",
            "\u{ff}s",
        ] {
            assert_eq!(
                span("x", word.as_bytes()).map_err(|failure| failure.exit),
                Err(2),
                "{word}"
            );
        }
    }

    #[test]
    fn what_is_too_long_for_the_clock_never_ends() {
        assert_eq!(deadline(None), None);
        assert_eq!(deadline(Some(Duration::MAX)), None);
        assert!(deadline(Some(Duration::ZERO)).is_some());
    }
}
