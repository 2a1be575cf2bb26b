//! The judged rows as text for people.

use super::goal::Goal;
use super::judge::Row;
use super::record::Measured;
use splinter_harness::stats::Middle;
use splinter_harness::stats::paired::{Bound, Judgement};
use splinter_harness::table::{headed, or_dash};
use std::collections::BTreeSet;

/// Lays the judged rows out as text.
#[must_use]
pub fn rows_text(rows: &[Row]) -> String {
    let heads = ["operation", ">measured", "limit", ">at", ">ratio", ">middle half", ">target", ""];
    let mut text = headed(&heads, rows.iter().map(row_cells));
    let remarks: String = rows
        .iter()
        .flat_map(|row| row.problem.iter().chain(&row.claim.note).map(|remark| (&row.claim.name, remark)))
        .map(|(name, remark)| format!("  {name}: {remark}\n"))
        .collect();
    if !remarks.is_empty() {
        text.push_str("\nnotes\n");
        text.push_str(&remarks);
    }
    text
}

fn row_cells(row: &Row) -> Vec<String> {
    let Goal { bound, target, against } = &row.claim.goal;
    let show = |value: Option<f64>| or_dash(value.map(|value| row.claim.unit.show(value)));
    let compare = if *bound == Bound::AtMost { "<=" } else { ">=" };
    let spread = |middle: Middle| format!("{} to {}", times(middle.q1), times(middle.q3));
    vec![
        row.claim.name.clone(),
        show(row.value.map(|value| value.median)),
        against.name(),
        show(row.limit),
        or_dash(row.ratio.map(times)),
        row.ratio_quartiles.map_or(String::new(), spread),
        format!("{compare} {}", times(*target)),
        row.judgement().map_or("not judged", Judgement::word).to_owned(),
    ]
}

/// Writes a ratio with the digits that tell it from another.
fn times(ratio: f64) -> String {
    let decimals = if ratio != 0.0 && ratio.abs() < 0.095 { 4 } else { 2 };
    format!("{ratio:.decimals$}")
}

/// Lays out what the kernel's counters say of one operation; nothing where it lets none be read.
#[must_use]
pub fn counters_text(rows: &[Row]) -> String {
    let counted = || rows.iter().filter(|row| !row.per_operation.is_empty());
    let names: BTreeSet<&str> = counted().flat_map(|row| row.per_operation.keys().copied()).collect();
    if names.is_empty() {
        return String::new();
    }
    let mut heads = vec!["per operation".to_owned()];
    heads.extend(names.iter().map(|name| format!(">{}", name.replace('_', " "))));
    let cells = counted().map(|row| {
        let count = |name: &&str| or_dash(row.per_operation.get(name).copied().map(times));
        std::iter::once(row.claim.name.clone()).chain(names.iter().map(count)).collect::<Vec<_>>()
    });
    format!("\n{}", headed(&heads, cells))
}

/// Lays limits out as text.
#[must_use]
pub fn limits_text(limits: &[Measured]) -> String {
    let cells = limits.iter().map(|limit| {
        let name = limit.series.name.clone();
        let show = |value| limit.unit.show(value);
        match (limit.series.summary(), &limit.series.error) {
            (Some(s), error) => vec![
                name,
                show(s.median),
                show(s.min),
                format!("{} to {}", show(s.q1), show(s.q3)),
                error.as_ref().or(limit.series.note.as_ref()).cloned().unwrap_or_default(),
            ],
            (None, Some(why)) => vec![name, or_dash(None), or_dash(None), why.clone()],
            (None, None) => vec![name, or_dash(None)],
        }
    });
    headed(&["limit", ">median", ">least", "middle half", ""], cells)
}

#[cfg(test)]
mod tests {
    use super::super::judge::samples;
    use super::{Measured, counters_text, limits_text, rows_text, times};
    use crate::unit::Unit;
    use splinter_harness::sampler::Series;

    #[test]
    fn the_text_shows_every_row_and_what_is_to_be_said_of_it() {
        let text = rows_text(&samples::rows());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("operation"));
        assert!(lines[1].starts_with("get 64 B") && lines[1].ends_with("<= 3.00  met"), "{}", lines[1]);
        assert!(lines[2].contains("not judged"));
        assert!(lines[3].contains("30.0 M/s") && lines[3].contains("absolute"));
        assert!(text.contains("  set 64 B: not measured\n") && text.contains("  writers: per two\n"));
    }

    #[test]
    fn counters_have_a_table_where_any_could_be_read() {
        let mut rows = samples::rows();
        assert_eq!(counters_text(&rows), "");
        rows[0].per_operation = [("dtlb_misses", 0.0213), ("instructions", 203.5)].into();
        assert_eq!(
            counters_text(&rows),
            "\nper operation  dtlb misses  instructions\nget 64 B            0.0213        203.50\n"
        );
        // What could not be read is no 0.
        rows[1].per_operation = [("instructions", 7.0)].into();
        assert!(counters_text(&rows).ends_with("set 64 B                 -          7.00\n"));
    }

    #[test]
    fn small_ratios_keep_their_digits() {
        assert_eq!([2.8249, 0.3333, 0.0007, 0.0].map(times), ["2.82", "0.33", "0.0007", "0.00"]);
    }

    #[test]
    fn a_limit_that_could_not_be_measured_says_why() {
        let mut absent = Series::of("L3 chase", []);
        absent.error = Some("there is no such cache".to_owned());
        let text = limits_text(&[
            Measured { unit: Unit::Nanoseconds, series: Series::of("xadd", [6.3]) },
            Measured { unit: Unit::Nanoseconds, series: absent },
        ]);
        assert!(text.contains("6.30 ns") && text.contains("there is no such cache"));
    }
}
