//! Text forms of configuration values: what a flag takes, a record holds and a summary prints is
//! one and the same string.

use std::time::Duration;

/// Lets a type with `Display` and `FromStr` travel through serde as its text.
#[macro_export]
#[doc(hidden)]
macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

/// Says what the kernel answered, and what to do about it where that is a limit.
pub(crate) fn refusal(error: impl Into<std::io::Error>) -> String {
    let error = error.into();
    match advice(&error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

/// Says what the kernel answered, and what to do about it: as [`refusal`] does, or else as the caller knows.
pub(crate) fn refusal_or(error: impl Into<std::io::Error>, otherwise: &str) -> String {
    let error = error.into();
    let advice = advice(&error).unwrap_or(otherwise);
    format!("{error}; {advice}")
}

/// What to do about limits.
fn advice(error: &std::io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error()? {
        libc::EMFILE => "raise the limit on open files (ulimit -n)",
        libc::ENOMEM => "raise the limit on memory (ulimit -v)",
        libc::EFBIG => "raise the limit on the size of files (ulimit -f)",
        libc::ENOSPC => "make room there",
        libc::EDQUOT => "raise the quota there",
        _ => return None,
    })
}

/// Parses a time span: a number and `ms`, `s`, `m` or `h`; seconds where the unit is missing.
///
/// # Errors
/// One line that says what would do.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    match digits.parse::<f64>().map(|number| number * unit_s) {
        Ok(seconds) if (0.0..=1e7).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!(
            "'{text}' is no time span: give a number and a unit, as in 500ms, 5s or 2m"
        )),
    }
}

/// Prints a time span in the form that [`parse_duration`] reads.
#[must_use]
pub(crate) fn print_duration(span: Duration) -> String {
    let millis = span.as_millis();
    if millis.is_multiple_of(1000) {
        format!("{}s", millis / 1000)
    } else {
        format!("{millis}ms")
    }
}

/// Parses a count: digits, `_` between them, and `k`, `M` or `G` behind them for thousands,
/// millions and milliards.
///
/// # Errors
/// One line that says what would do.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let (digits, scale) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    digits
        .replace('_', "")
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
        .ok_or_else(|| format!("'{text}' is no count: give a whole number, as in 20000, 20k or 1M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_round_trip() {
        for (text, millis) in [
            ("5s", 5_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("3", 3_000),
        ] {
            let span = parse_duration(text).unwrap();
            assert_eq!(span.as_millis(), millis);
            assert_eq!(parse_duration(&print_duration(span)), Ok(span));
        }
        for text in ["", "s", "-1s", "5 parsecs", "1e99s", "nan"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_take_a_scale() {
        assert_eq!(parse_count("20k"), Ok(20_000));
        assert_eq!(parse_count("1_000_000"), Ok(1_000_000));
        assert_eq!(parse_count("3M"), Ok(3_000_000));
        for text in ["", "k", "-1", "1.5k", "99999999999999G"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }
}
