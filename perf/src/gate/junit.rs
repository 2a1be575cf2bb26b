//! A gate's record as JUnit XML, which most continuous integrations show: a suite a tier, a case a row. What could not be told
//! is an error there, which no tool takes for a pass; a regression is a failure.

use super::record::Record;
use crate::report::svg::escape;
use splinter_harness::verdict::Verdict;
use std::fmt::Write;

/// One row of any tier.
struct Case {
    name: String,
    verdict: Verdict,
    said: String,
}

/// Writes a record as JUnit XML.
#[must_use]
pub fn junit(record: &Record) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"splinter-perf gate\">\n".to_owned();
    for (tier, verdict, reasons) in record.tiers.named() {
        let mut cases = cases(record, tier);
        // A tier of which nothing can be told has no row that says so.
        if cases.iter().all(|case| case.verdict < verdict) {
            cases.push(Case { name: tier.to_owned(), verdict, said: reasons.join("; ") });
        }
        let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
        let _ = writeln!(
            text,
            "  <testsuite name=\"{tier}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
            cases.len(),
            count(Verdict::Fail),
            count(Verdict::Inconclusive)
        );
        for case in &cases {
            let _ = write!(text, "    <testcase classname=\"{tier}\" name=\"{}\"", escape(&case.name));
            let _ = match case.verdict {
                Verdict::Pass => writeln!(text, "/>"),
                Verdict::Fail => writeln!(text, "><failure message=\"{}\"/></testcase>", escape(&case.said)),
                Verdict::Inconclusive => {
                    writeln!(text, "><error message=\"inconclusive: {}\"/></testcase>", escape(&case.said))
                }
            };
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn cases(record: &Record, tier: &str) -> Vec<Case> {
    let tiers = &record.tiers;
    let mut cases = Vec::new();
    if let (Some(found), "instructions") = (&tiers.instructions, tier) {
        cases.extend(found.rows.iter().map(|row| Case {
            name: row.name.clone(),
            verdict: row.verdict,
            said: match row.change_percent {
                Some(change) => format!("{change:+.3} % instructions, at most {:.2} %", row.limit_percent),
                None => "counted on one side only".to_owned(),
            },
        }));
    }
    if let (Some(found), "invariants") = (&tiers.invariants, tier) {
        cases.extend(found.rows.iter().map(|row| Case {
            name: row.name.clone(),
            verdict: row.verdict,
            said: row.reasons.join("; "),
        }));
    }
    if let (Some(found), "time") = (&tiers.time, tier) {
        cases.extend(found.rows.iter().map(|row| Case {
            name: format!("{}, {}", row.name, row.measure.word()),
            verdict: row.verdict,
            said: format!(
                "{:+.2} % ({:+.2} to {:+.2} %){}",
                row.change.median_percent,
                row.change.low_percent,
                row.change.high_percent,
                row.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"))
            ),
        }));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::super::record::{Tier, samples};
    use super::junit;

    #[test]
    fn every_row_is_a_case_and_what_could_not_be_told_is_an_error() {
        let text = junit(&samples::record());
        assert!(
            text.contains("<testsuite name=\"instructions\" tests=\"1\" failures=\"1\" errors=\"0\">"),
            "{text}"
        );
        assert!(
            text.contains("<testsuite name=\"invariants\" tests=\"1\" failures=\"0\" errors=\"0\">"),
            "{text}"
        );
        assert!(text.contains("<testsuite name=\"time\" tests=\"1\" failures=\"0\" errors=\"1\">"), "{text}");
        assert!(
            text.contains("name=\"get &lt;64 B&gt;\"><failure message=\"+3.000 % instructions"),
            "{text}"
        );
        assert!(text.contains("<error message=\"inconclusive: -10.00 %"), "{text}");
        assert_eq!(text.matches("<testsuite ").count(), text.matches("</testsuite>").count());
    }

    #[test]
    fn a_tier_without_rows_still_has_a_case_that_says_why() {
        let mut record = samples::record();
        record.tiers.instructions = Some(Tier::inconclusive("valgrind is \"missing\""));
        let text = junit(&record);
        assert!(
            text.contains(
                "name=\"instructions\"><error message=\"inconclusive: valgrind is &quot;missing&quot;\"/>"
            ),
            "{text}"
        );
    }
}
