//! A gate's record for people: as text for a terminal, and as Markdown for a pull request. Both are made of the same rows.

use super::record::{Effect, InstructionRow, InvariantRow, Measure, Record, Subject, TimeRow};
use crate::unit::Unit;
use splinter_harness::table::Flush::{self, Left, Right};
use splinter_harness::table::columns;
use splinter_harness::verdict::Verdict;
use std::fmt::Write;

/// A table: how its columns are flushed, and its rows, the heads first.
struct Table {
    name: &'static str,
    verdict: Verdict,
    reasons: Vec<String>,
    flush: Vec<Flush>,
    rows: Vec<Vec<String>>,
}

/// Lays a record out as text.
#[must_use]
pub fn text(record: &Record) -> String {
    let mut text = title(record);
    text.push('\n');
    for table in tables(record) {
        let _ = write!(text, "\n{}: {}\n", table.name, table.verdict.word());
        if table.rows.len() > 1 {
            text.push_str(&columns(&table.flush, &table.rows));
        }
        for reason in &table.reasons {
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
    for table in tables(record) {
        let _ = write!(text, "\n### {}: {}\n\n", table.name, table.verdict.word());
        for reason in &table.reasons {
            let _ = writeln!(text, "- {}", escaped(reason));
        }
        if table.rows.len() < 2 {
            continue;
        }
        if !table.reasons.is_empty() {
            text.push('\n');
        }
        for (number, row) in table.rows.iter().enumerate() {
            let cells: Vec<String> = (0..table.flush.len())
                .map(|at| row.get(at).map_or(String::new(), |cell| escaped(cell)))
                .collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
            if number == 0 {
                let rule = |flush: &Flush| if *flush == Right { "---:" } else { "---" };
                let rules: Vec<&str> = table.flush.iter().map(rule).collect();
                let _ = writeln!(text, "| {} |", rules.join(" | "));
            }
        }
    }
    text
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

fn tables(record: &Record) -> Vec<Table> {
    let mut tables = Vec::new();
    if let Some(tier) = &record.tiers.instructions {
        let heads = ["operation", "base", "head", "change", "limit", ""];
        tables.push(Table {
            name: "instructions",
            verdict: tier.verdict,
            reasons: tier.reasons.clone(),
            flush: vec![Left, Right, Right, Right, Right, Left],
            rows: with_heads(&heads, tier.rows.iter().map(instruction_cells)),
        });
    }
    if let Some(tier) = &record.tiers.invariants {
        let heads = ["run", "operations", "broken", ""];
        tables.push(Table {
            name: "invariants",
            verdict: tier.verdict,
            reasons: tier.reasons.clone(),
            flush: vec![Left, Right, Right, Left],
            rows: with_heads(&heads, tier.rows.iter().map(invariant_cells)),
        });
    }
    if let Some(tier) = &record.tiers.time {
        let heads = [
            "benchmark",
            "base",
            "head",
            "change",
            "95 % interval",
            "p (Holm)",
            "detectable",
            "A/A",
            "threshold",
            "",
        ];
        tables.push(Table {
            name: "time",
            verdict: tier.verdict,
            reasons: tier.reasons.clone(),
            flush: vec![Left, Right, Right, Right, Right, Right, Right, Right, Right, Left],
            rows: with_heads(&heads, tier.rows.iter().map(time_cells)),
        });
    }
    tables
}

fn with_heads(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    std::iter::once(heads).chain(rows).collect()
}

fn judgement(verdict: Verdict) -> String {
    match verdict {
        Verdict::Fail => "FAIL".to_owned(),
        other => other.word().to_owned(),
    }
}

fn instruction_cells(row: &InstructionRow) -> Vec<String> {
    let show = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    vec![
        row.name.clone(),
        show(row.base),
        show(row.head),
        row.change_percent.map_or("-".to_owned(), signed),
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
        row.detectable_percent.map_or("-".to_owned(), |percent| format!("{:.1} %", percent.abs())),
        format!("{:+.2} %", row.control.median_percent),
        format!("{worse}{:.0} %", row.threshold_percent),
        judgement(row.verdict) + &reason,
    ]
}

/// Keeps text from being read as Markdown or as HTML.
fn escaped(text: &str) -> String {
    replaced(text, |character| match character {
        '|' => Some("\\|"),
        '*' => Some("\\*"),
        '_' => Some("\\_"),
        '`' => Some("\\`"),
        '\\' => Some("\\\\"),
        '<' => Some("&lt;"),
        '\n' => Some(" "),
        _ => None,
    })
}

/// Returns text with some characters replaced.
pub(super) fn replaced(text: &str, by: impl Fn(char) -> Option<&'static str>) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut replaced, character| {
        match by(character) {
            Some(other) => replaced.push_str(other),
            None => replaced.push(character),
        }
        replaced
    })
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
