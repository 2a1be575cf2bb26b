//! The objective of a search and its constraints, as numbers of one run held against those of the default. Pure.

use serde::{Deserialize, Serialize};
use splinter_harness::as_text;
use std::fmt;
use std::str::FromStr;

/// The figures of a run that the search asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trial {
    /// Successes per second.
    pub goodput_per_s: f64,
    /// Those that wrote.
    pub writes_per_s: f64,
    /// Those that read.
    pub reads_per_s: f64,
    /// The 99th percentile of the operation that has the longest; none where no latency was recorded.
    pub p99_ns: Option<f64>,
    /// From a write until a watcher that waited had read it, the median; none where nobody waited.
    pub wake_ns: Option<f64>,
    /// Broken invariants.
    pub broken: u64,
    /// Why it does not count: it was not had as it was asked for, in words.
    pub unfit: Option<String>,
}

/// The figure that a search makes as good as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Objective {
    /// Successes per second.
    Goodput,
    /// Writes per second.
    Writes,
    /// Reads per second.
    Reads,
    /// The 99th percentile of latency.
    P99,
    /// The time until a watcher has the news.
    Wake,
}

impl Objective {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Goodput, Self::Writes, Self::Reads, Self::P99, Self::Wake];

    /// Tells whether it is a time, of which less is better.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Self::P99 | Self::Wake)
    }

    /// Returns what a run has of it, if anything.
    #[must_use]
    pub fn value(self, trial: &Trial) -> Option<f64> {
        let value = match self {
            Self::Goodput => Some(trial.goodput_per_s),
            Self::Writes => Some(trial.writes_per_s),
            Self::Reads => Some(trial.reads_per_s),
            Self::P99 => trial.p99_ns,
            Self::Wake => trial.wake_ns,
        };
        value.filter(|value| *value > 0.0)
    }

    /// Returns the logarithm of how many times as good a run is as another: above 0 where it is better.
    #[must_use]
    pub fn gain(self, trial: &Trial, default: &Trial) -> Option<f64> {
        let ratio = self.value(trial)? / self.value(default)?;
        Some(if self.is_time() { -ratio.ln() } else { ratio.ln() })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Goodput => "goodput",
            Self::Writes => "writes",
            Self::Reads => "reads",
            Self::P99 => "p99",
            Self::Wake => "wake",
        })
    }
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.to_string() == text);
        found.ok_or_else(|| format!("'{text}' is no objective: use goodput, writes, reads, p99 or wake"))
    }
}

/// A bound, absolute or as a multiple of what the default has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Bound {
    /// Whatever it is.
    None,
    /// A time in nanoseconds.
    Nanoseconds(f64),
    /// So many times what the default has in the same round.
    Times(f64),
}

impl Bound {
    /// Tells whether a time is within it.
    #[must_use]
    pub fn holds(self, ns: f64, default_ns: f64) -> bool {
        match self {
            Self::None => true,
            Self::Nanoseconds(most) => ns <= most,
            Self::Times(most) => ns <= most * default_ns,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Nanoseconds(ns) => write!(f, "{ns}ns"),
            Self::Times(times) => write!(f, "{times}x"),
        }
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let value = digits.parse::<f64>().unwrap_or(f64::NAN);
        let bound = match &text[digits.len()..] {
            "none" if digits.is_empty() => return Ok(Self::None),
            "x" => Self::Times(value),
            "ns" => Self::Nanoseconds(value),
            "us" => Self::Nanoseconds(value * 1e3),
            "ms" => Self::Nanoseconds(value * 1e6),
            "s" => Self::Nanoseconds(value * 1e9),
            _ => Self::Times(f64::NAN),
        };
        match bound {
            Self::Times(value) | Self::Nanoseconds(value) if value > 0.0 && value < 1e18 => Ok(bound),
            _ => Err(format!(
                "'{text}' is no bound: give a time, as in 5us, a multiple of what the default has, as in 1.2x, or none"
            )),
        }
    }
}

as_text!(Objective);
as_text!(Bound);

/// The constraints of a run, besides having broken nothing and being where it was asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Constraints {
    /// The longest 99th percentile.
    pub p99: Bound,
    /// The least share of the default's goodput.
    pub goodput_share: f64,
}

/// How many times as far as its bounds a single run may be before it says something.
const SLACK: f64 = 1.5;

impl Constraints {
    /// Returns what a single short run has to keep.
    #[must_use]
    pub fn relaxed(&self) -> Self {
        let p99 = match self.p99 {
            Bound::None => Bound::None,
            Bound::Nanoseconds(ns) => Bound::Nanoseconds(ns * SLACK),
            Bound::Times(times) => Bound::Times(times * SLACK),
        };
        Self { p99, goodput_share: self.goodput_share / SLACK }
    }

    /// Tells what one run did not keep, in words.
    ///
    /// # Errors
    /// The first thing.
    pub fn check(&self, trial: &Trial, default: &Trial) -> Result<(), String> {
        if trial.broken > 0 {
            return Err(format!("{} broken invariants", trial.broken));
        }
        if let Some(why) = &trial.unfit {
            return Err(why.clone());
        }
        if let (Some(ns), Some(default_ns)) = (trial.p99_ns, default.p99_ns)
            && !self.p99.holds(ns, default_ns)
        {
            return Err(format!("its p99 is beyond {}", self.p99));
        }
        if trial.goodput_per_s < self.goodput_share * default.goodput_per_s {
            let percent = self.goodput_share * 100.0;
            return Err(format!("its goodput is below {percent:.0} % of the default's"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Constraints, Objective, Trial};

    fn trial(goodput_per_s: f64, p99_ns: f64) -> Trial {
        Trial { goodput_per_s, p99_ns: Some(p99_ns), ..Trial::default() }
    }

    #[test]
    fn more_operations_and_less_time_are_a_gain() {
        let (one, other) = (trial(2.0, 10.0), trial(1.0, 20.0));
        for objective in [Objective::Goodput, Objective::P99] {
            let gain = objective.gain(&one, &other).unwrap();
            assert!((gain - 2.0_f64.ln()).abs() < 1e-12, "{objective}");
            let loss = objective.gain(&other, &one).unwrap();
            assert!((loss + 2.0_f64.ln()).abs() < 1e-12, "{objective}");
        }
        assert_eq!(Objective::Wake.gain(&one, &other), None);
        assert_eq!(Objective::Goodput.gain(&one, &Trial::default()), None);
    }

    #[test]
    fn a_constraint_that_is_not_kept_is_named() {
        let constraints = |p99: &str| Constraints { p99: p99.parse().unwrap(), goodput_share: 0.95 };
        let default = trial(100.0, 1000.0);
        let check = |p99: &str, trial: &Trial| constraints(p99).check(trial, &default);
        assert_eq!(check("1.2x", &trial(100.0, 1200.0)), Ok(()));
        assert!(check("1.2x", &trial(100.0, 1201.0)).unwrap_err().contains("1.2x"));
        assert!(check("1us", &trial(100.0, 1001.0)).unwrap_err().contains("1000ns"));
        assert_eq!(check("none", &trial(95.0, 1e9)), Ok(()));
        assert!(check("none", &trial(94.0, 1.0)).unwrap_err().contains("95 %"));
        let broken = Trial { broken: 2, ..trial(1e9, 1.0) };
        assert!(check("none", &broken).unwrap_err().starts_with('2'));
        let unfit = Trial { unfit: Some("no huge pages".to_owned()), ..trial(1e9, 1.0) };
        assert_eq!(check("none", &unfit), Err("no huge pages".to_owned()));
    }

    #[test]
    fn bounds_and_objectives_round_trip_through_their_text() {
        for text in ["none", "1.2x", "5000ns"] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
        assert_eq!("2.5ms".parse(), Ok(Bound::Nanoseconds(2.5e6)));
        for text in ["", "x", "5", "-1us", "nan", "0x", "fivex", "1e99s"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
        for objective in Objective::ALL {
            assert_eq!(objective.to_string().parse(), Ok(objective));
        }
        assert!("speed".parse::<Objective>().is_err());
    }
}
