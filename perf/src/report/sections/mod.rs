//! The sections of a report, one a file. Each is made of all records and takes those that it can show; where there are
//! none it says why in one sentence.

pub(super) mod contention;
pub(super) mod cores;
pub(super) mod costs;
pub(super) mod environment;
pub(super) mod further;
pub(super) mod latency;
pub(super) mod placement;
pub(super) mod scaling;
pub(super) mod sizes;
pub(super) mod sources;
pub(super) mod throughput;
pub(super) mod verdicts;

use super::Matter;
use super::document::{Section, Tone};
use crate::records::group::{Group, groups};
use crate::records::paths::link;
use crate::records::spread::Spread;
use crate::records::{Collection, Record};
use crate::text::Unit;
use splinter_stress::Verdict;

/// Makes a section, or says why there is none.
pub(super) type Make = fn(&Matter<'_>) -> Result<Section, String>;

/// Returns the records with operations, grouped.
fn runs(found: &Collection) -> Vec<Group<'_>> {
    groups(
        found
            .records
            .iter()
            .filter(|record| !record.operations().is_empty()),
    )
}

/// Returns the spread of a figure over the records of a group.
fn spread(group: &Group<'_>, figure: impl Fn(&Record) -> Option<f64>) -> Option<Spread> {
    Spread::of(group.records.iter().filter_map(|record| figure(record)))
}

/// Writes an interval, or a dash where there was one measurement.
fn interval(unit: Unit, spread: &Spread) -> String {
    if spread.samples < 2 {
        return "-".to_owned();
    }
    format!("{} to {}", unit.show(spread.low), unit.show(spread.high))
}

/// Says of intervals what they hold.
fn about_intervals(groups: &[Group<'_>]) -> String {
    let sizes = || groups.iter().map(|group| group.records.len());
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    if most < 2 {
        return "There is one record of each configuration, so nothing is known of how much the figures would differ if \
                measured again."
            .to_owned();
    }
    let coverage = Spread::of((0..most).map(|it| it as f64)).map_or(0.0, |it| it.coverage);
    let single = if least < 2 {
        " Where there is one record only, there is no interval."
    } else {
        ""
    };
    format!(
        "Values are medians over the records of a configuration, intervals hold the median by order statistics: from \
         the least to the greatest up to seven records ({:.0} % coverage with {most}).{single}",
        coverage * 100.0
    )
}

fn tone(verdict: Option<Verdict>) -> Tone {
    match verdict {
        Some(Verdict::Pass) => Tone::Good,
        Some(Verdict::Fail) => Tone::Bad,
        Some(Verdict::Inconclusive) => Tone::Doubtful,
        None => Tone::Plain,
    }
}

fn word(verdict: Option<Verdict>) -> &'static str {
    verdict.map_or("none", Verdict::word)
}

impl Matter<'_> {
    /// Returns the way to a record's file.
    fn link(&self, record: &Record) -> String {
        link(self.folder, &record.source.path)
    }
}

/// Chooses `most` of a list, evenly from first to last.
fn evenly<T>(list: Vec<T>, most: usize) -> Vec<T> {
    let count = list.len();
    if count <= most {
        return list;
    }
    let chosen: Vec<usize> = (0..most)
        .map(|index| index * (count - 1) / (most - 1))
        .collect();
    list.into_iter()
        .enumerate()
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, one)| one)
        .collect()
}
