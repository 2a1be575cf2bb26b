//! The claim of a row: its name, its unit, and what it is held against. Pure data; nothing is measured here.

use crate::limits::Limit;
use crate::unit::Unit;
use splinter_harness::stats::paired::Bound;

/// A multiple of something that is measured in the same rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// How many times.
    pub factor: f64,
    /// Name of the series: a limit's, or another row's.
    pub series: String,
}

/// The limit that a row's value is divided by.
#[derive(Clone, Debug, PartialEq)]
pub enum Against {
    /// The sum of measured terms. A single term of factor 1 is the bare limit.
    Measured(Vec<Term>),
    /// A figure that no machine changes.
    Figure(f64),
}

impl Against {
    /// Says whether a series is one of its terms.
    #[must_use]
    pub fn takes(&self, series: &str) -> bool {
        match self {
            Self::Measured(terms) => terms.iter().any(|term| term.series == series),
            Self::Figure(_) => false,
        }
    }

    /// Returns its name: "L2 chase", "3 x L2 chase + 3 x memcpy 1 KiB", "absolute".
    #[must_use]
    pub fn name(&self) -> String {
        let Self::Measured(terms) = self else {
            return "absolute".to_owned();
        };
        let names: Vec<String> = terms
            .iter()
            .map(|term| {
                if term.factor == 1.0 {
                    term.series.clone()
                } else {
                    format!("{} x {}", term.factor, term.series)
                }
            })
            .collect();
        names.join(" + ")
    }
}

/// A row's goal: `value / against` compared with `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// The direction of the comparison.
    pub bound: Bound,
    /// The target of the ratio.
    pub target: f64,
    /// The limit that the value is divided by.
    pub against: Against,
}

impl Goal {
    /// Demands at most `factor` times a limit.
    #[must_use]
    pub fn at_most(factor: f64, limit: Limit) -> Self {
        Self::of_series(Bound::AtMost, factor, limit.name())
    }

    /// Demands at least `factor` times a limit.
    #[must_use]
    pub fn at_least(factor: f64, limit: Limit) -> Self {
        Self::of_series(Bound::AtLeast, factor, limit.name())
    }

    /// Demands at most the sum of several limits, each times its factor: the target ratio is 1.
    #[must_use]
    pub fn within(terms: &[(f64, Limit)]) -> Self {
        let term = |&(factor, limit): &(f64, Limit)| Term { factor, series: limit.name().to_owned() };
        Self {
            bound: Bound::AtMost,
            target: 1.0,
            against: Against::Measured(terms.iter().map(term).collect()),
        }
    }

    /// Demands a ratio to any series of the same rounds, another row's for example.
    #[must_use]
    pub fn of_series(bound: Bound, factor: f64, series: &str) -> Self {
        let term = Term { factor: 1.0, series: series.to_owned() };
        Self { bound, target: factor, against: Against::Measured(vec![term]) }
    }

    /// Demands a figure on every machine: the target ratio is 1.
    #[must_use]
    pub fn figure(bound: Bound, figure: f64) -> Self {
        Self { bound, target: 1.0, against: Against::Figure(figure) }
    }
}

/// One row of the table, before it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Name of the row, and of the series that holds its samples.
    pub name: String,
    /// The unit of its value.
    pub unit: Unit,
    /// What it is held against.
    pub goal: Goal,
    /// A note for readers of the figure.
    pub note: Option<String>,
    /// Why this machine cannot tell whether the goal is met, if it cannot: the value is shown, not judged.
    pub not_comparable: Option<String>,
}

impl Claim {
    /// Creates a claim on nanoseconds.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: Unit, goal: Goal) -> Self {
        Self { name: name.into(), unit, goal, note: None, not_comparable: None }
    }

    /// Adds what a reader of the figure should know, behind what was added before.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        self.note = Some(match self.note {
            Some(before) => format!("{before}; {note}"),
            None => note,
        });
        self
    }

    /// Takes the claim out of judgement, saying why.
    #[must_use]
    pub fn not_comparable(mut self, why: impl Into<String>) -> Self {
        self.not_comparable = Some(why.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Against, Bound, Claim, Goal};
    use crate::limits::Limit;
    use crate::unit::Unit;

    #[test]
    fn a_single_limit_is_named_bare_and_its_factor_is_the_target() {
        let goal = Goal::at_most(1.8, Limit::L2Chase);
        assert_eq!(goal.against.name(), "L2 chase");
        assert_eq!((goal.bound, goal.target), (Bound::AtMost, 1.8));
    }

    #[test]
    fn a_sum_of_limits_is_spelt_out_and_its_target_is_one() {
        let goal = Goal::within(&[(3.0, Limit::L2Chase), (1.0, Limit::Memcpy1Kib)]);
        assert_eq!(goal.against.name(), "3 x L2 chase + memcpy 1 KiB");
        assert_eq!(goal.target, 1.0);
    }

    #[test]
    fn notes_add_up() {
        let claim = Claim::new("get", Unit::Nanoseconds, Goal::figure(Bound::AtMost, 1.0));
        assert_eq!(claim.note("one").note("two").note.as_deref(), Some("one; two"));
    }

    #[test]
    fn what_no_machine_changes_is_called_absolute() {
        assert_eq!(Against::Figure(1.0).name(), "absolute");
    }
}
