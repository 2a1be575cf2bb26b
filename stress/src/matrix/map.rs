//! A matrix as text: a table of its cells, and a heat map of goodput by two axes. Pure.

use super::axis::Axis;
use super::record::{AxisSettings, MatrixRecord};
use crate::record::Record;
use crate::report::{caller_latency, main_operation};
use splinter_harness::stats;
use splinter_harness::table::{align, grouped, percent, rate};
use splinter_harness::verdict::Verdict;
use std::fmt::Write as _;

/// Shades from little to much.
const SHADES: [&str; 5] = ["··", "░░", "▒▒", "▓▓", "██"];

/// Summarises a matrix; the map has these axes, or those with the most settings.
#[must_use]
pub fn matrix_summary(record: &MatrixRecord, rows: Option<Axis>, columns: Option<Axis>) -> String {
    let ran = record.cells.len();
    let mut text = format!(
        "matrix of {} cells: {} measured, {} kept from before, {} refused, {} failed, {} to go; order by seed {}\n",
        ran + record.refused.len() + record.failed.len() + record.missing.len(),
        record.measured,
        record.kept,
        record.refused.len(),
        record.failed.len(),
        record.missing.len(),
        record.order_seed
    );
    let dirty = |cell: &Record| cell.environment.build.git_revision.ends_with("-dirty");
    if record.kept > 0 && record.cells.iter().any(dirty) {
        text.push_str(
            "  kept       by a build from changed sources: whether they have changed since is unknown\n",
        );
    }
    if ran > 0 {
        text.push_str(&table(record));
        if let Some((rows, columns)) = chosen(&record.axes, rows, columns) {
            text.push_str(&heat_map(record, rows, columns));
        }
    }
    for refused in &record.refused {
        let _ = writeln!(text, "  refused    {}: {}", refused.cell, refused.reason);
    }
    let _ = write!(text, "  verdict    {}", record.verdict.word().to_uppercase());
    for reason in &record.reasons {
        let _ = write!(text, "\n    - {reason}");
    }
    text
}

/// Returns the axes that have more than one setting.
fn varied(axes: &[AxisSettings]) -> impl Iterator<Item = &AxisSettings> {
    axes.iter().filter(|axis| axis.settings.len() > 1)
}

fn table(record: &MatrixRecord) -> String {
    let axes: Vec<Axis> = varied(&record.axes).map(|axis| axis.axis).collect();
    let names = axes.iter().map(|axis| axis.field().to_owned());
    let figures = ["writes/s", "reads/s", "goodput/s", "again %", "p50", "p99.9", "verdict", ""];
    let mut rows: Vec<Vec<String>> = vec![names.chain(figures.map(str::to_owned)).collect()];
    let common = common_labels(&record.cells);
    for cell in &record.cells {
        let totals = &cell.totals;
        let mut row: Vec<String> = axes.iter().map(|axis| axis.of(&cell.config).to_string()).collect();
        row.extend([totals.writes_per_s, totals.reads_per_s, totals.goodput_per_s].map(rate));
        row.push(percent(totals.counts.again, totals.counts.attempts));
        row.extend(match main_operation(cell) {
            Some(main) => [caller_latency(cell, main, |at| at.p50), caller_latency(cell, main, |at| at.p999)],
            None => ["-", "-"].map(str::to_owned),
        });
        row.push(cell.verdict.word().to_owned());
        let own = cell.labels.iter().find(|label| !common.contains(label));
        row.push(own.cloned().unwrap_or_default());
        rows.push(row);
    }
    let mut text = String::new();
    align(&mut text, &rows);
    if !common.is_empty() {
        let labels: Vec<&str> = common.iter().map(|label| label.as_str()).collect();
        let _ = writeln!(text, "  all cells  {}", labels.join("; "));
    }
    text
}

/// Returns the labels that all cells have.
fn common_labels(cells: &[Record]) -> Vec<&String> {
    let Some((first, others)) = cells.split_first() else {
        return Vec::new();
    };
    let labels = first.labels.iter();
    labels.filter(|label| others.iter().all(|cell| cell.labels.contains(label))).collect()
}

/// Chooses the axes of the map; none where nothing varies.
fn chosen(axes: &[AxisSettings], rows: Option<Axis>, columns: Option<Axis>) -> Option<(Axis, Option<Axis>)> {
    let mut by_size: Vec<&AxisSettings> = varied(axes).collect();
    // Stable: of two that are equal, the first given comes first.
    by_size.sort_by_key(|axis| std::cmp::Reverse(axis.settings.len()));
    let mut free =
        by_size.iter().map(|axis| axis.axis).filter(|axis| Some(*axis) != rows && Some(*axis) != columns);
    let down = rows.or_else(|| free.next())?;
    Some((down, columns.or_else(|| free.next())))
}

/// Draws goodput by one axis down and one across.
fn heat_map(record: &MatrixRecord, rows: Axis, columns: Option<Axis>) -> String {
    let settings = |wanted: Axis| -> Vec<String> {
        let axis = record.axes.iter().find(|axis| axis.axis == wanted);
        match axis {
            Some(axis) => axis.settings.clone(),
            // As in the base: one setting, that of any cell.
            None => vec![wanted.of(&record.cells[0].config).to_string()],
        }
    };
    let across = columns.map_or_else(|| vec![String::new()], settings);
    let down = settings(rows);
    let cells_at = |row: &str, column: &str| -> Vec<&Record> {
        let is = |cell: &&Record| {
            rows.of(&cell.config).to_string() == row
                && columns.is_none_or(|axis| axis.of(&cell.config).to_string() == column)
        };
        record.cells.iter().filter(is).collect()
    };
    let medians: Vec<Vec<Option<f64>>> =
        down.iter().map(|row| across.iter().map(|column| median(&cells_at(row, column))).collect()).collect();
    let most = medians.iter().flatten().flatten().fold(0.0, |most: f64, &value| most.max(value));

    let mut pooled = 1;
    let corner = columns.map_or_else(|| rows.to_string(), |columns| format!("{rows} \\ {columns}"));
    let mut table = vec![std::iter::once(corner).chain(across.iter().cloned()).collect::<Vec<_>>()];
    for (row, medians) in down.iter().zip(&medians) {
        let mut line = vec![row.clone()];
        for (column, value) in across.iter().zip(medians) {
            let cells = cells_at(row, column);
            pooled = pooled.max(cells.len());
            let doubt = cells.iter().any(|cell| cell.verdict != Verdict::Pass);
            line.push(value.map_or_else(
                || "-   ".to_owned(),
                |value| {
                    let mark = if doubt { "!" } else { " " };
                    format!("{}{mark}{}", rate(value), shade(value, most))
                },
            ));
        }
        table.push(line);
    }
    let mut text = format!(
        "goodput/s, {} at most{}{}\n",
        rate(most),
        if pooled > 1 {
            format!("; each the median of up to {} cells", grouped(pooled as u64))
        } else {
            String::new()
        },
        if record.cells.iter().any(|cell| cell.verdict != Verdict::Pass) {
            "; !: a cell that did not pass"
        } else {
            ""
        }
    );
    align(&mut text, &table);
    text
}

/// Returns the shade of a value, by its share of the most.
fn shade(value: f64, most: f64) -> &'static str {
    let share = if most > 0.0 { value / most } else { 0.0 };
    SHADES[((share * SHADES.len() as f64) as usize).min(SHADES.len() - 1)]
}

/// Returns the median goodput of some cells, if there are any.
fn median(cells: &[&Record]) -> Option<f64> {
    let mut values: Vec<f64> = cells.iter().map(|cell| cell.totals.goodput_per_s).collect();
    (!values.is_empty()).then(|| stats::median(&mut values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_are_shares_of_the_most() {
        let shades = [0.0, 0.19, 0.2, 0.5, 0.79, 0.8, 1.0].map(|value| shade(value, 1.0));
        assert_eq!(shades, ["··", "··", "░░", "▒▒", "▓▓", "██", "██"]);
        assert_eq!(shade(0.0, 0.0), "··");
    }

    #[test]
    fn the_map_has_the_axes_that_are_asked_for_or_those_with_most_settings() {
        let axis = |axis: &str, count: usize| AxisSettings {
            axis: Axis::named(axis),
            settings: vec![String::new(); count],
        };
        let axes = [axis("scrub", 1), axis("writers", 3), axis("value_len", 5), axis("pin", 2)];
        let some = |axis| Some(Axis::named(axis));
        assert_eq!(chosen(&axes, None, None), Some((Axis::named("value_len"), some("writers"))));
        assert_eq!(chosen(&axes, some("pin"), None), Some((Axis::named("pin"), some("value_len"))));
        assert_eq!(chosen(&axes, None, some("value_len")), Some((Axis::named("writers"), some("value_len"))));
        assert_eq!(chosen(&axes[..2], None, None), Some((Axis::named("writers"), None)));
        assert_eq!(chosen(&axes[..1], None, None), None);
    }
}
