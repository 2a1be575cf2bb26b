//! A gate's record for people: as text for a terminal, and as Markdown for a pull request. Both are made of the same rows.

use super::record::{Effect, InstructionRow, InvariantRow, Measure, Record, Subject, TimeRow};
use crate::report::document::Table;
use crate::report::markdown::{plain as escaped, write_table};
use crate::report::plain;
use crate::unit::Unit;
use splinter_harness::table::or_dash;
use splinter_harness::verdict::Verdict;
use std::fmt::Write;

/// Lays a record out as text.
#[must_use]
pub fn text(record: &Record) -> String {
    let mut text = title(record) + "\n";
    for ((name, verdict, reasons), table) in tables(record) {
        let _ = write!(text, "\n{name}: {}\n", verdict.word());
        if !table.rows.is_empty() {
            text.push_str(&plain::rows(&table));
        }
        for reason in reasons {
            let _ = writeln!(text, "  {reason}");
        }
    }
    let _ = writeln!(text, "\nverdict: {}", verdict(record));
    text
}

/// Lays a record out as Markdown.
#[must_use]
pub fn markdown(record: &Record) -> String {
    let mut text = format!("## {}: {}\n", escaped(&title(record)), verdict(record));
    for ((name, verdict, reasons), table) in tables(record) {
        let _ = write!(text, "\n### {name}: {}\n\n", verdict.word());
        for reason in reasons {
            let _ = writeln!(text, "- {}", escaped(reason));
        }
        if !reasons.is_empty() {
            text.push('\n');
        }
        if !table.rows.is_empty() {
            write_table(&mut text, &table);
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn title(record: &Record) -> String {
    let subject = |subject: &Subject| match subject.revision.as_str() {
        "" => subject.name.clone(),
        revision if revision == subject.name => subject.name.clone(),
        revision => format!("{} ({revision})", subject.name),
    };
    let head = subject(&record.head);
    match &record.base {
        Some(base) => format!("gate of {head} against {}", subject(base)),
        None => format!("gate of {head}"),
    }
}

fn verdict(record: &Record) -> String {
    let word = record.verdict.word().to_uppercase();
    match record.interrupted {
        true => word + ", interrupted",
        false => word,
    }
}

/// A tier that was asked for: its name, its verdict and the reasons.
type Tier<'a> = (&'static str, Verdict, &'a [String]);

/// Returns the tiers, each with its rows.
fn tables(record: &Record) -> impl Iterator<Item = (Tier<'_>, Table)> {
    let tiers = &record.tiers;
    let instructions = ["operation", ">base", ">head", ">change", ">limit", ""];
    let invariants = ["run", ">operations", ">broken", ""];
    #[rustfmt::skip]
    let time = ["benchmark", ">base", ">head", ">change", ">95 % interval", ">p (Holm)", ">detectable", ">A/A", ">threshold", ""];
    let tables = [
        tiers.instructions.as_ref().map(|it| Table::of(&instructions, it.rows.iter().map(instruction_cells))),
        tiers.invariants.as_ref().map(|it| Table::of(&invariants, it.rows.iter().map(invariant_cells))),
        tiers.time.as_ref().map(|it| Table::of(&time, it.rows.iter().map(time_cells))),
    ];
    tiers.named().into_iter().zip(tables.into_iter().flatten())
}

fn judgement(verdict: Verdict) -> String {
    match verdict {
        Verdict::Fail => "FAIL".to_owned(),
        other => other.word().to_owned(),
    }
}

fn instruction_cells(row: &InstructionRow) -> Vec<String> {
    let show = |value: Option<f64>| or_dash(value.map(|value| format!("{value:.2}")));
    vec![
        row.name.clone(),
        show(row.base),
        show(row.head),
        or_dash(row.change_percent.map(signed)),
        format!("{:.2} %", row.limit_percent),
        judgement(row.verdict),
    ]
}

/// Writes a change with its sign, where there is one to be seen.
fn signed(percent: f64) -> String {
    match percent.abs() < 0.0005 {
        true => "0.000 %".to_owned(),
        false => format!("{percent:+.3} %"),
    }
}

fn invariant_cells(row: &InvariantRow) -> Vec<String> {
    vec![
        row.name.clone(),
        row.successes.to_string(),
        row.invariants.values().sum::<u64>().to_string(),
        judgement(row.verdict),
    ]
}

fn time_cells(row: &TimeRow) -> Vec<String> {
    let unit = match row.measure {
        Measure::GoodputPerS => Unit::PerSecond,
        Measure::P99Ns => Unit::Nanoseconds,
    };
    let Effect { median_percent, low_percent, high_percent, p_holm, .. } = row.change;
    let worse = match row.measure {
        Measure::GoodputPerS => "-",
        Measure::P99Ns => "+",
    };
    let reason = row.reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
    vec![
        format!("{}, {}", row.name, row.measure.word()),
        unit.show(row.base),
        unit.show(row.head),
        format!("{median_percent:+.2} %"),
        format!("{low_percent:+.2} to {high_percent:+.2} %"),
        format!("{p_holm:.4}"),
        or_dash(row.detectable_percent.map(|percent| format!("{:.1} %", percent.abs()))),
        format!("{:+.2} %", row.control.median_percent),
        format!("{worse}{:.0} %", row.threshold_percent),
        judgement(row.verdict) + &reason,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::record::samples;
    use super::{markdown, text};

    #[test]
    fn the_text_has_every_tier_with_its_rows_and_ends_with_the_verdict() {
        let text = text(&samples::record());
        assert!(
            text.starts_with("gate of working tree (89abcde and changes) against main (0123456)\n"),
            "{text}"
        );
        assert!(text.contains("get <64 B>  200.00  206.00  +3.000 %  0.20 %  FAIL\n"), "{text}");
        assert!(text.contains("invariants: pass\n") && text.contains("1000000"), "{text}");
        assert!(text.contains("set, goodput") && text.contains("-11.00 to -9.00 %"), "{text}");
        assert!(text.contains("inconclusive: the interval reaches the threshold"), "{text}");
        assert!(text.ends_with("verdict: FAIL\n"), "{text}");
    }

    #[test]
    fn markdown_has_a_table_for_each_tier_and_no_html_of_others() {
        let text = markdown(&samples::record());
        assert_eq!(text.matches("\n### ").count(), 3);
        assert!(text.contains("| get &lt;64 B> | 200.00 | 206.00 | +3.000 % | 0.20 % | FAIL |\n"), "{text}");
        for line in text.lines().filter(|line| line.starts_with("| set")) {
            assert_eq!(line.matches(" | ").count(), 9, "{line}");
        }
    }
}
