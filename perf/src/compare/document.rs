//! A comparison as a document: differences first, figures after them.

use super::{Comparison, Pair, Row};
use crate::records::config::Difference;
use crate::records::spread::Spread;
use crate::report::counted;
use crate::report::document::{Cell, Report, Section, Table, Tone};

impl Comparison {
    /// Returns it as a document, for people.
    #[must_use]
    pub(crate) fn document(&self) -> Report {
        let mut report = Report {
            title: "Two sides compared".to_owned(),
            subtitle: format!(
                "A is {} ({}), B is {} ({}); ratios are B over A",
                self.names[0],
                counted(self.records[0], "record"),
                self.names[1],
                counted(self.records[1], "record")
            ),
            ..Report::default()
        };
        report.sections.push(self.differences());
        for pair in &self.pairs {
            report.sections.push(figures(pair));
        }
        if !self.unmatched.is_empty() {
            let mut section = Section::new("unmatched", "Without a counterpart", "");
            for one in &self.unmatched {
                section.say(one.clone());
            }
            report.sections.push(section);
        }
        report
    }

    fn differences(&self) -> Section {
        let mut section = Section::new("environment", "Environment", "");
        if self.environment.is_empty() {
            section.say("Machine and build are the same.");
        } else {
            let mut table = Table::new("", &["differs", "A", "B", "which means"]);
            for explained in &self.environment {
                let Difference { field, a, b } = &explained.difference;
                let meaning = if explained.meaning.is_empty() { "-" } else { explained.meaning };
                table.row([field, a, b].map(Cell::from).into_iter().chain([meaning.into()]));
            }
            section.table(table);
        }
        for caution in &self.cautions {
            section.say(caution.clone());
        }
        section
    }
}

fn figures(pair: &Pair) -> Section {
    let title = format!("{}: {}", pair.kind, pair.name);
    let mut section = Section::new("figures", &title, "");
    if !pair.config.is_empty() {
        let mut table = Table::new("", &["configuration differs", "A", "B"]);
        for Difference { field, a, b } in &pair.config {
            table.row([field, a, b].map(Cell::from));
        }
        section.table(table);
    }
    for reason in &pair.not_comparable {
        section.say(format!("NOT COMPARABLE: {reason}."));
    }
    if pair.rows.is_empty() {
        return section;
    }
    let [a, b] = pair.records;
    section.say(if a > 1 && b > 1 {
        let coverage = |rows: fn(&Row) -> Spread| rows(&pair.rows[0]).coverage * 100.0;
        format!(
            "{a} records in A, {b} in B: medians, with intervals that hold the median in {:.0} % and {:.0} % of cases.{}",
            coverage(|row| row.a),
            coverage(|row| row.b),
            if pair.rows[0].a.apart(&pair.rows[0].b).is_none() {
                " Nothing is called better or worse by fewer than six records a side."
            } else {
                ""
            }
        )
    } else {
        format!(
            "{} in A, {b} in B: with one record, nothing is known of how much a figure differs by itself.",
            counted(a, "record")
        )
    });
    let heads = ["operation", "figure", ">A", ">B", ">B / A", ">from", ">to", "B is"];
    let mut table = Table::new("", &heads);
    for row in &pair.rows {
        table.row(line(row));
    }
    section.table(table);
    section
}

fn line(row: &Row) -> Vec<Cell> {
    let unit = row.figure.unit;
    let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    let interval = row.ratio_interval();
    let judged = match (row.better(), row.a.apart(&row.b)) {
        (Some(true), _) => Cell::toned("better", Tone::Good),
        (Some(false), _) => Cell::toned("worse", Tone::Bad),
        (None, Some(_)) => "within the spread".into(),
        (None, None) => "-".into(),
    };
    vec![
        row.figure.subject.clone().into(),
        row.figure.measure.clone().into(),
        unit.show(row.a.median).into(),
        unit.show(row.b.median).into(),
        ratio(row.ratio()).into(),
        ratio(interval.map(|(low, _)| low)).into(),
        ratio(interval.map(|(_, high)| high)).into(),
        judged,
    ]
}
