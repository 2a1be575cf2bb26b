//! Numbers, sizes and times as people write them. Every program of the project reads them by these two functions, so that a
//! word means the same to all of them. Pure.

use std::time::Duration;

/// Reads a count or a size in bytes: decimal digits, `_` between them if it helps, and a unit right behind them if it helps.
/// `k`, `M`, `G` and `T` are powers of 1,000; `Ki`, `Mi`, `Gi` and `Ti` are powers of 1,024; a `B` may follow, and small and
/// capital letters mean the same. Returns nothing for anything else, and for what 64 bits cannot hold.
///
/// ```
/// use splinter::units::count;
/// assert_eq!((count("1k"), count("1MiB"), count("1_000B")), (Some(1_000), Some(1 << 20), Some(1_000)));
/// assert_eq!((count("1.5k"), count("-1"), count("20E")), (None, None, None));
/// ```
#[must_use]
pub fn count(text: &str) -> Option<u64> {
    let (digits, unit) =
        text.split_at(text.find(|char: char| char.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = unit.to_ascii_lowercase();
    let (base, letter) = match unit.strip_suffix('b').unwrap_or(&unit) {
        binary if binary.ends_with('i') => (1024_u64, &binary[..binary.len() - 1]),
        decimal => (1000, decimal),
    };
    let power = match (letter, base) {
        ("", 1000) => 0,
        ("k", _) => 1,
        ("m", _) => 2,
        ("g", _) => 3,
        ("t", _) => 4,
        _ => return None,
    };
    if !digits.starts_with(|char: char| char.is_ascii_digit()) || digits.ends_with('_') {
        return None;
    }
    digits.replace('_', "").parse::<u64>().ok()?.checked_mul(base.pow(power))
}

/// Reads a span of time: a number, with or without a fraction, and `ns`, `us`, `ms`, `s`, `m` or `min`, `h` or `d` right
/// behind it. Returns nothing for anything else, a number without a unit included.
///
/// ```
/// use splinter::units::span;
/// use std::time::Duration;
/// assert_eq!(span("100ms"), Some(Duration::from_millis(100)));
/// assert_eq!((span("1.5s"), span("5")), (Some(Duration::from_millis(1500)), None));
/// ```
#[must_use]
pub fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit() && char != '.')?;
    let (number, unit) = text.split_at(digits);
    let unit_ns: f64 = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        "d" => 86_400e9,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * unit_ns / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_digits_and_a_unit() {
        for (text, number) in [
            ("0", 0),
            ("18446744073709551615", u64::MAX),
            ("20_000", 20_000),
            ("64B", 64),
            ("1k", 1_000),
            ("1K", 1_000),
            ("1kB", 1_000),
            ("1KiB", 1_024),
            ("3ki", 3 << 10),
            ("2M", 2_000_000),
            ("2MiB", 2 << 20),
            ("2mib", 2 << 20),
            ("1GB", 1_000_000_000),
            ("1G", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("1TiB", 1 << 40),
            ("1T", 1_000_000_000_000),
        ] {
            assert_eq!(count(text), Some(number), "{text}");
        }
        for text in [
            "",
            "k",
            "KiB",
            "-1",
            "+1",
            "1.5k",
            " 1",
            "1 k",
            "1i",
            "1iB",
            "1kk",
            "1E",
            "1BB",
            "_1",
            "1_",
            "0x10",
            "1k5",
            "99999999999999G",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, ns) in [
            ("7ns", 7),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("500ms", 500_000_000),
            ("0s", 0),
            (".5s", 500_000_000),
            ("2m", 120_000_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1d", 86_400_000_000_000),
        ] {
            assert_eq!(span(text), Some(Duration::from_nanos(ns)), "{text}");
        }
        for text in [
            "",
            "s",
            "5",
            "5 s",
            "-1s",
            "1e3s",
            "1.2.3s",
            "5w",
            "inf",
            "nan",
            "5S",
            "5parsecs",
            "99999999999999999999h",
            "\u{ff}s",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}
