//! Numbers for people, with their unit. Knows nothing of what is printed.

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds per operation.
    Nanoseconds,
    /// Operations per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// A share of a whole, from 0 to 1.
    Share,
}

impl Unit {
    /// Returns the name of the record field that holds a value of this unit.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Nanoseconds => "value_ns",
            Self::PerSecond => "value_per_s",
            Self::Bytes => "value_bytes",
            Self::BytesPerSecond => "value_bytes_per_s",
            Self::Share => "value_share",
        }
    }

    /// Writes a value with a fitting multiple of the unit.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let scaled = |scales: &[(f64, &str)]| {
            let fits = scales.iter().find(|(scale, _)| value.abs() >= *scale);
            let &(scale, name) = fits.unwrap_or(&scales[scales.len() - 1]);
            let value = value / scale;
            let decimals = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 1000.0) };
            format!("{value:.decimals$} {name}")
        };
        match self {
            Self::Nanoseconds => scaled(&[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")]),
            Self::PerSecond => scaled(&[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]),
            Self::Bytes => {
                scaled(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")])
            }
            Self::BytesPerSecond => scaled(&[(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")]),
            Self::Share => format!("{:.3} %", value * 100.0),
        }
    }

    /// Rounds a value to the digits that mean something, for records that people read too.
    #[must_use]
    pub fn round(self, value: f64) -> f64 {
        match self {
            Self::Nanoseconds => (value * 1e3).round() / 1e3,
            Self::PerSecond | Self::Bytes | Self::BytesPerSecond => value.round(),
            Self::Share => (value * 1e6).round() / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn values_are_shown_in_a_fitting_multiple() {
        assert_eq!(Unit::Nanoseconds.show(3.456), "3.46 ns");
        assert_eq!(Unit::Nanoseconds.show(120.04), "120.0 ns");
        assert_eq!(Unit::Nanoseconds.show(2_345.0), "2.35 us");
        assert_eq!(Unit::Nanoseconds.show(23_450.0), "23.4 us");
        assert_eq!(Unit::Nanoseconds.show(50e6), "50.0 ms");
        assert_eq!(Unit::Nanoseconds.show(0.5), "0.50 ns");
        assert_eq!(Unit::PerSecond.show(25e6), "25.0 M/s");
        assert_eq!(Unit::PerSecond.show(0.0), "0.00 /s");
        assert_eq!(Unit::Bytes.show(20.0 * 1_048_576.0), "20.0 MiB");
        assert_eq!(Unit::BytesPerSecond.show(12.34e9), "12.3 GB/s");
        assert_eq!(Unit::Share.show(0.001), "0.100 %");
    }

    #[test]
    fn records_hold_the_digits_that_mean_something() {
        assert_eq!(Unit::Nanoseconds.round(3.456_789), 3.457);
        assert_eq!(Unit::PerSecond.round(1e6 + 0.4), 1e6);
        assert_eq!(Unit::Share.round(0.000_123_456), 0.000_123);
    }
}
