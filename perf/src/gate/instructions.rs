//! The instruction tier's judgement: counts of the base and of the head, operation by operation. Pure: it does not know which
//! tool counted.

use super::record::{InstructionRow, Tier, gravest};
use splinter_harness::verdict::Verdict;

/// Growth that is let pass on any machine, in percent.
pub const LEAST_LIMIT_PERCENT: f64 = 0.2;

/// The instructions of one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// The operation.
    pub name: String,
    /// Instructions for one of it: the median of the counts.
    pub instructions: f64,
    /// How far the counts lay apart, in percent of the median.
    pub band_percent: f64,
}

impl Count {
    /// Makes one count of repeated ones, which name the same operations in the same order.
    ///
    /// # Errors
    /// One line if they do not, or there are none.
    pub fn merge(repeats: &[Vec<(String, f64)>]) -> Result<Vec<Self>, String> {
        let first = repeats.first().ok_or("nothing was counted")?;
        let names = |counts: &[(String, f64)]| -> Vec<String> {
            counts.iter().map(|(name, _)| name.clone()).collect()
        };
        if first.is_empty() || repeats.iter().any(|counts| names(counts) != names(first)) {
            return Err("the counts do not name the same operations".to_owned());
        }
        let merged = first.iter().enumerate().map(|(at, (name, _))| {
            let mut values: Vec<f64> = repeats.iter().map(|counts| counts[at].1).collect();
            let instructions = splinter_harness::stats::median(&mut values);
            // The median has put them in order.
            let spread = values[values.len() - 1] - values[0];
            Self { name: name.clone(), instructions, band_percent: 100.0 * spread / instructions }
        });
        Ok(merged.collect())
    }
}

/// Holds the head's counts against the base's. An operation may grow by the larger of 0.2 % and the base's band.
#[must_use]
pub fn judge(base: &[Count], head: &[Count]) -> Tier<InstructionRow> {
    let of = |counts: &[Count], name: &str| counts.iter().find(|count| count.name == name).cloned();
    let mut names: Vec<&str> = base.iter().map(|count| count.name.as_str()).collect();
    names.extend(head.iter().map(|count| count.name.as_str()).filter(|name| of(base, name).is_none()));
    let mut tier = Tier { verdict: Verdict::Pass, reasons: Vec::new(), rows: Vec::new() };
    for name in names {
        let (before, after) = (of(base, name), of(head, name));
        let band_percent = before.as_ref().map_or(0.0, |count| count.band_percent);
        let limit_percent = LEAST_LIMIT_PERCENT.max(band_percent);
        let before = before.map(|count| count.instructions);
        let after = after.map(|count| count.instructions);
        let change_percent = match (before, after) {
            (Some(before), Some(after)) if before > 0.0 => Some(100.0 * (after / before - 1.0)),
            _ => None,
        };
        let verdict = match change_percent {
            Some(change) if change > limit_percent => Verdict::Fail,
            Some(_) => Verdict::Pass,
            None => Verdict::Inconclusive,
        };
        match (verdict, change_percent) {
            (Verdict::Fail, Some(change)) => {
                tier.reasons.push(format!("{name} takes {change:.2} % more instructions"));
            }
            (Verdict::Inconclusive, _) => tier.reasons.push(format!("{name} was counted on one side only")),
            (_, Some(change)) if change < -limit_percent => {
                tier.reasons
                    .push(format!("{name} takes {:.2} % fewer: a new baseline would keep that", -change));
            }
            _ => {}
        }
        tier.rows.push(InstructionRow {
            name: name.to_owned(),
            verdict,
            base: before,
            head: after,
            change_percent,
            limit_percent,
        });
    }
    tier.verdict = match tier.rows.is_empty() {
        true => Verdict::Inconclusive,
        false => gravest(tier.rows.iter().map(|row| row.verdict)),
    };
    tier
}

#[cfg(test)]
mod tests {
    use super::{Count, judge};
    use splinter_harness::verdict::Verdict;

    fn count(name: &str, instructions: f64, band_percent: f64) -> Count {
        Count { name: name.to_owned(), instructions, band_percent }
    }

    #[test]
    fn growth_beyond_the_limit_fails_and_anything_else_passes() {
        let base = [count("get", 200.0, 0.0), count("set", 1000.0, 0.0), count("inc", 100.0, 0.0)];
        let head = [count("get", 206.0, 0.0), count("set", 1001.9, 0.0), count("inc", 90.0, 0.0)];
        let tier = judge(&base, &head);
        let verdicts: Vec<Verdict> = tier.rows.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Pass, Verdict::Pass]);
        assert_eq!(tier.verdict, Verdict::Fail);
        assert!(tier.reasons[0].contains("get takes 3.00 % more"), "{:?}", tier.reasons);
        assert!(tier.reasons[1].contains("inc takes 10.00 % fewer"), "{:?}", tier.reasons);
    }

    #[test]
    fn a_wide_band_of_the_base_widens_the_limit() {
        let grown = [count("get", 101.0, 0.0)];
        assert_eq!(judge(&[count("get", 100.0, 1.5)], &grown).verdict, Verdict::Pass);
        assert_eq!(judge(&[count("get", 100.0, 0.9)], &grown).verdict, Verdict::Fail);
    }

    #[test]
    fn an_operation_counted_on_one_side_only_is_inconclusive() {
        let one = [count("get", 100.0, 0.0)];
        let two = [count("get", 100.0, 0.0), count("new", 5.0, 0.0)];
        assert_eq!(judge(&one, &two).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&two, &one).verdict, Verdict::Inconclusive);
        assert_eq!(judge(&[], &[]).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn repeated_counts_become_a_median_and_a_band() {
        let counts = |value: f64| vec![("get".to_owned(), value)];
        let merged = Count::merge(&[counts(200.0), counts(201.0), counts(200.0)]).unwrap();
        assert_eq!(merged, [count("get", 200.0, 0.5)]);
        assert!(Count::merge(&[counts(1.0), vec![("set".to_owned(), 1.0)]]).is_err());
        assert!(Count::merge(&[]).is_err());
    }
}
