//! Goodput by scrub level and value size: a heat map for each set of records that differ in nothing else.

use super::super::document::Section;
use super::super::svg::{Chart, Heat};
use super::{Input, runs, spread};
use crate::records::Record;
use crate::records::group::{Group, labels};
use crate::unit::Unit;

/// The most maps that are drawn.
const MOST: usize = 8;

/// Records that differ in scrub level and value size only.
struct Family<'a> {
    sample: Group<'a>,
    /// Scrub level, value size, goodput.
    cells: Vec<(String, String, f64)>,
    is_hatched: bool,
}

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let mut families: Vec<Family<'_>> = Vec::new();
    for group in runs(input.found) {
        let (Some(scrub), Some(len)) = (group.config.get("scrub"), group.config.get("value_len")) else {
            continue;
        };
        let Some(goodput) = spread(&group, Record::goodput_per_s) else {
            continue;
        };
        let is_hatched = group.disturbed_by().is_some();
        let cell = (scrub.clone(), len.clone(), goodput.median);
        let mut sample = group.clone();
        // The store's own sizes follow those of the values.
        for name in ["scrub", "value_len", "slots", "max_value_len"] {
            sample.config.remove(name);
        }
        let same = families.iter_mut().find(|family| {
            family.sample.config == sample.config && family.sample.environment == sample.environment
        });
        match same {
            Some(family) => {
                family.cells.push(cell);
                family.is_hatched |= is_hatched;
            }
            None => families.push(Family { sample, cells: vec![cell], is_hatched }),
        }
    }
    families.retain(|family| family.scrubs().len() > 1 && family.lengths().len() > 1);
    families.sort_by_key(|family| std::cmp::Reverse(family.cells.len()));
    if families.len() > MOST {
        section.say(format!("{MOST} of {} sets of records are drawn, the largest.", families.len()));
        families.truncate(MOST);
    }
    let samples: Vec<Group<'_>> = families.iter().map(|it| it.sample.clone()).collect();
    for (family, name) in families.iter().zip(labels(&samples)) {
        let (scrubs, lengths) = (family.scrubs(), family.lengths());
        let find = |scrub: &String, len: &String| {
            let mut cells = family.cells.iter();
            cells.find(|it| it.0 == *scrub && it.1 == *len).map(|it| it.2)
        };
        let row = |scrub: &String| lengths.iter().map(|len| find(scrub, len)).collect();
        let title =
            if samples.len() == 1 { "Goodput by scrub level and value size".to_owned() } else { name };
        let heat = Heat {
            row_title: "scrub".to_owned(),
            column_title: "bytes of a value".to_owned(),
            cells: scrubs.iter().map(row).collect(),
            rows: scrubs,
            columns: lengths,
            unit: Unit::PerSecond,
            is_hatched: family.is_hatched,
        };
        section.chart(title, "", Chart::Heat(heat));
    }
}

impl Family<'_> {
    /// Returns the scrub levels, from the one that does least.
    fn scrubs(&self) -> Vec<String> {
        let mut all: Vec<String> = self.cells.iter().map(|it| it.0.clone()).collect();
        let order = |scrub: &str| ["none", "hybrid", "full"].iter().position(|it| *it == scrub);
        all.sort_by_key(|scrub| (order(scrub).unwrap_or(usize::MAX), scrub.clone()));
        all.dedup();
        all
    }

    /// Returns the value sizes, from the least.
    fn lengths(&self) -> Vec<String> {
        let mut all: Vec<String> = self.cells.iter().map(|it| it.1.clone()).collect();
        let number = |len: &str| {
            let digits = len.split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(u64::MAX)
        };
        all.sort_by_key(|len| (number(len), len.clone()));
        all.dedup();
        all
    }
}
