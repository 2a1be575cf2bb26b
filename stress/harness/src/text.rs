//! Text forms of configuration values: what a flag takes, a record holds and a summary prints is
//! one and the same string.

use splinter::units;
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

        impl $crate::schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <String as $crate::schemars::JsonSchema>::schema_name()
            }

            fn json_schema(generator: &mut $crate::schemars::SchemaGenerator) -> $crate::schemars::Schema {
                <String as $crate::schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}

/// Lists names of which one can be chosen.
pub fn either(names: &[&str]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        few => few.concat(),
    }
}

/// Says what the kernel answered, and what to do about it where that is a limit.
pub fn refusal(error: impl Into<std::io::Error>) -> String {
    let error = error.into();
    match advice(&error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

/// Says what the kernel answered, and what to do about it: as [`refusal`] does, or else as the caller knows.
pub fn refusal_or(error: impl Into<std::io::Error>, otherwise: &str) -> String {
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

/// Parses a time span, as every program does ([`units::span`]); a number without a unit is seconds.
///
/// # Errors
/// One line that says what would do.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = units::span(text).or_else(|| units::span(&format!("{text}s")));
    span.filter(|span| span.as_secs_f64() <= 1e7)
        .ok_or_else(|| format!("'{text}' is no time span: give a number and a unit, as in 500ms, 5s or 2m"))
}

/// Parses a time span as [`parse_duration`] does; returns whole milliseconds.
///
/// # Errors
/// One line that says what would do.
pub fn parse_millis(text: &str) -> Result<u64, String> {
    parse_duration(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Prints a time span in the form that [`parse_duration`] reads.
#[must_use]
pub fn print_duration(span: Duration) -> String {
    let millis = span.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

/// Parses a count or a size, as every program does ([`units::count`]).
///
/// # Errors
/// One line that says what would do.
pub fn parse_count(text: &str) -> Result<u64, String> {
    units::count(text)
        .ok_or_else(|| format!("'{text}' is no count: give a whole number, as in 20000, 20k, 1M or 64KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_round_trip() {
        for (text, millis) in [("5s", 5_000), ("250ms", 250), ("1.5s", 1_500), ("2m", 120_000), ("3", 3_000)]
        {
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
        assert_eq!(parse_count("64KiB"), Ok(65_536));
        for text in ["", "k", "-1", "1.5k", "99999999999999G"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }
}
