//! How often calls met another writer's claim: EAGAIN in the words of the C library, "again" in the suite's.

use super::super::document::{Section, Table};
use super::super::svg::{Axis, Bar, Bars, Chart};
use super::{Input, runs};
use crate::records::Record;
use crate::records::group::labels;
use crate::records::record::Operation;
use crate::unit::Unit;
use std::collections::BTreeMap;

/// Bars of one chart.
const MOST_BARS: usize = 12;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let groups = runs(input.found);
    let kills: Vec<&Record> = input.found.records.iter().filter(|it| it.kind == "kill").collect();
    if groups.is_empty() && kills.is_empty() {
        return;
    }
    let mut table = Table::new(
        "Attempts that met a claim",
        &["configuration", "operation", ">attempts", ">again", ">share", "then", ">failures"],
    );
    let mut bars: Vec<(f64, Bar)> = Vec::new();
    for (group, label) in groups.iter().zip(labels(&groups)) {
        for first in group.records[0].operations() {
            let all: Vec<Operation> = group
                .records
                .iter()
                .flat_map(|record| record.operations())
                .filter(|operation| operation.name == first.name)
                .collect();
            let sum = |count: fn(&Operation) -> u64| all.iter().map(count).sum::<u64>();
            let (attempts, again) = (sum(|it| it.counts.attempts), sum(|it| it.counts.again));
            let share = again as f64 / attempts.max(1) as f64;
            let then = if first.reads() { "goes on" } else { "retries" };
            let failures = sum(|it| it.counts.failures);
            table.row([
                label.clone().into(),
                first.name.clone().into(),
                attempts.to_string().into(),
                again.to_string().into(),
                Unit::Share.show(share).into(),
                then.into(),
                failures.to_string().into(),
            ]);
            if again > 0 {
                let name = format!("{}, {label}", first.name);
                bars.push((
                    share,
                    Bar {
                        hint: format!("{name}: {again} of {attempts} attempts"),
                        name,
                        parts: vec![(usize::from(first.reads()), share * 100.0)],
                        text: Unit::Share.show(share),
                        is_hatched: group.disturbed_by().is_some(),
                        ..Bar::default()
                    },
                ));
            }
        }
    }
    for record in kills {
        of_kills(&mut table, record);
    }
    if bars.is_empty() {
        section.say("No attempt met a claim in these runs.");
    } else {
        bars.sort_by(|a, b| b.0.total_cmp(&a.0));
        let count = bars.len();
        bars.truncate(MOST_BARS);
        let caption = if bars.len() < count {
            format!("The {MOST_BARS} greatest of {count} shares; all are in the table.")
        } else {
            String::new()
        };
        let bars = Bars::new(
            Axis::linear("again, % of attempts", None),
            &["writers, which retry", "readers, which go on"],
            bars.into_iter().map(|(_, bar)| bar).collect(),
        );
        section.chart("Share of attempts that met a claim", caption, Chart::Bars(bars));
    }
    section.table(table);
}

/// Adds what the writers and readers of a kill test met: counts of calls done, and of calls that met a claim.
fn of_kills(table: &mut Table, record: &Record) {
    type Counts = (u64, u64);
    let operations: BTreeMap<String, Counts> = record.part(&["operations"]).unwrap_or_default();
    let writes = operations.into_iter().map(|(name, counts)| (name, counts, "retries"));
    let reads: Option<Counts> = record.part(&["reads"]);
    let reads = reads.map(|counts| ("read".to_owned(), counts, "gives up"));
    for (name, (done, again), then) in writes.chain(reads) {
        table.row([
            record.name().into(),
            name.into(),
            (done + again).to_string().into(),
            again.to_string().into(),
            Unit::Share.show(again as f64 / (done + again).max(1) as f64).into(),
            then.into(),
            "-".into(),
        ]);
    }
}
