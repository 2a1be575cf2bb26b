//! The result of trying the claims, as text for people.

use super::record::{Cell, Figures, Reproduction};
use super::scaling::Point;
use crate::unit::Unit;
use splinter_harness::table::{headed, or_dash};
use std::fmt::Write as _;

/// Lays out all of it.
#[must_use]
pub fn text(found: &Reproduction) -> String {
    let heads = ["claim", ">published", ">measured", ">ratio", "finding"];
    let mut text = headed(&heads, found.cells.iter().map(row));
    for cell in &found.cells {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}: {}\n", cell.claim, cell.published);
        for line in details(cell) {
            let _ = writeln!(text, "  {line}");
        }
    }
    for reason in &found.reasons {
        let _ = write!(text, "\n{reason}");
    }
    let _ = write!(text, "\nverdict: {}\n", found.verdict.word());
    text
}

fn row(cell: &Cell) -> Vec<String> {
    let Figures { figure_per_s, measured_per_s, measured_ns, limit_ns, ratio, ways, .. } = &cell.figures;
    let rate = |value: &Option<f64>| value.map(|value| Unit::PerSecond.show(value));
    let ns = |value: &Option<f64>| value.map(|value| Unit::Nanoseconds.show(value));
    let way = ways.first();
    vec![
        cell.claim.to_owned(),
        or_dash(rate(figure_per_s).or_else(|| ns(limit_ns)).or_else(|| ns(&way?.limit_ns))),
        or_dash(rate(measured_per_s).or_else(|| ns(measured_ns)).or_else(|| ns(&way?.ns))),
        or_dash(ratio.or_else(|| way?.ratio).map(|ratio| format!("{ratio:.2}"))),
        cell.verdict.words().to_owned(),
    ]
}

fn details(cell: &Cell) -> Vec<String> {
    let figures = &cell.figures;
    let mut lines = vec![
        format!("claimed for {}", cell.hardware),
        format!("tried with {}", cell.configuration),
        format!("counted as {}", figures.definition),
    ];
    lines.extend(cell.reasons.iter().cloned());
    let rate = |value| Unit::PerSecond.show(value);
    if let (Some(attempts), Some(ratio)) = (figures.attempts_per_s, figures.ratio_by_attempts) {
        lines.push(format!("by attempts, as some tools count: {}, {ratio:.2} of it", rate(attempts)));
    }
    if let (Some(bound), Some(share)) = (&figures.bound, figures.share_of_bound) {
        lines.push(format!(
            "{:.0} % of what these processors could do at most, {} ({})",
            share * 100.0,
            rate(bound.per_s),
            bound.by
        ));
    }
    if let Some(each) = figures.per_processor_per_s {
        lines.push(format!("{} a processor", rate(each)));
    }
    if !figures.scaling.is_empty() {
        let point = |point: &Point| {
            let Point { processors, goodput_per_s, efficiency } = point;
            let efficiency = efficiency.map_or("-".to_owned(), |share| format!("{share:.2}"));
            format!("{processors}: {} ({efficiency})", rate(*goodput_per_s))
        };
        let points: Vec<String> = figures.scaling.iter().map(point).collect();
        lines.push(format!("by processors, with efficiency: {}", points.join(", ")));
    }
    let proof = cell.proof.iter().map(|proof| {
        format!(
            "proved once more with every value checked: {}, {} broken invariants",
            rate(proof.goodput_per_s),
            proof.broken
        )
    });
    lines.extend(proof);
    lines
}
