//! The sections of a report, one a file. Each is made of all records and takes those that it can show; where there are none
//! the report says why in one sentence.

mod contention;
mod cores;
mod costs;
mod environment;
mod further;
pub(super) mod headline;
mod latency;
mod placement;
mod rivals;
mod scaling;
mod sizes;
mod sources;
mod throughput;
pub(super) mod verdicts;

use super::Input;
use super::document::{Section, Tone};
use crate::records::group::{Group, groups};
use crate::records::paths::link;
use crate::records::spread::Spread;
use crate::records::{Collection, Record};
use crate::unit::Unit;
use splinter_harness::verdict::Verdict;

/// A section's words, and the function that fills it.
pub(super) struct Chapter {
    /// Its name in links.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// How it is to be read.
    pub(super) lead: &'static str,
    /// Why it is left out where nothing fills it.
    pub(super) absent: &'static str,
    pub(super) fill: fn(&Input<'_>, &mut Section),
}

/// All sections, in the order of a report.
#[rustfmt::skip]
pub(super) const ALL: [Chapter; 13] = [
    Chapter { id: "verdicts", title: "Verdicts", fill: verdicts::fill, absent: "", lead: "" },
    Chapter { id: "rivals", title: "Beside other stores", fill: rivals::fill,
        absent: "none of the records compares with other stores; 'splinter-perf peers' does",
        lead: "The same threads, keys and values drive each store in turn, in several rounds. The axis is \
               logarithmic: each step is ten times the one before. The line at the end of a bar is the interval of \
               its median." },
    Chapter { id: "throughput", title: "Throughput", fill: throughput::fill,
        absent: "none of the records counts operations",
        lead: "Goodput: operations per second that did their work. Attempts, which met a claim or came to nothing \
               as well, stand beside it and never instead of it. In short names, w and r count writers and readers." },
    Chapter { id: "latency", title: "Latency", fill: latency::fill,
        absent: "none of the records has latencies of operations",
        lead: "Latencies of successful attempts, over the share of them that was not slower. Each step to the right \
               is a tenth of what the step before left; the last point is the slowest sample. The dotted line is \
               the clock's floor: what the two readings of the clock cost, which each latency includes." },
    Chapter { id: "scaling", title: "Scaling", fill: scaling::fill,
        absent: "no two records differ in the number of writers, readers or processors alone",
        lead: "Goodput over the number of workers or processors, all else being the same. The dotted line is the \
               ideal: each does as much as each of the first point." },
    Chapter { id: "sizes", title: "Scrub level and value size", fill: sizes::fill,
        absent: "no set of records has several scrub levels and several value sizes, all else being the same",
        lead: "Goodput, all operations together." },
    Chapter { id: "costs", title: "Beside the limits of the machine", fill: costs::fill,
        absent: "none of the records has costs of single operations; 'splinter-perf micro --json' makes one",
        lead: "A ratio tells how many times its limit an operation costs. Both were measured in the same rounds, so \
               another machine should have similar ratios. A line on a bar is the middle half of the rounds." },
    Chapter { id: "cores", title: "Core to core", fill: cores::fill,
        absent: "none of the records has such a matrix; 'splinter-perf limits --json' makes them",
        lead: "How long it takes until a processor sees what another has written: from the processor of the row to \
               that of the column. And what memory of each node costs to load and to read from processors of each." },
    Chapter { id: "placement", title: "Placement", fill: placement::fill,
        absent: "none of the records says where its workers ran",
        lead: "Where workers were asked to be, and where they were seen at the end, by the kernel's word." },
    Chapter { id: "contention", title: "Contention", fill: contention::fill,
        absent: "none of the records counts operations",
        lead: "Of all attempts, those that met another writer's claim and were told to try again (EAGAIN). A writer \
               retries at once, so its share is the share of retries; a reader goes on to another key." },
    Chapter { id: "further", title: "Further results", fill: further::fill, lead: "",
        absent: "the records hold nothing else" },
    Chapter { id: "environment", title: "Environment", fill: environment::fill, lead: "",
        absent: "none of the records says where it was made" },
    Chapter { id: "records", title: "Records", fill: sources::fill, absent: "",
        lead: "Every figure is from one of these records. results/schema.md explains their fields." },
];

/// Returns the records with operations, grouped.
fn runs(found: &Collection) -> Vec<Group<'_>> {
    groups(found.records.iter().filter(|record| !record.operations().is_empty()))
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
    let single = if least < 2 { " Where there is one record only, there is no interval." } else { "" };
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

impl Input<'_> {
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
    let chosen: Vec<usize> = (0..most).map(|index| index * (count - 1) / (most - 1)).collect();
    list.into_iter().enumerate().filter(|(index, _)| chosen.contains(index)).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::{Block, Report};
    use super::*;
    use crate::records::file::tests::records;
    use serde_json::{Value, json};
    use std::path::Path;

    fn run(config: &Value, goodput: f64) -> Value {
        json!({"schema_version": 1, "kind": "run", "verdict": "pass", "config": config,
            "environment": {"processors": 2},
            "operations": {"set": {"attempts": 100, "again": 7, "goodput_per_s": goodput, "attempts_per_s": goodput * 1.1}}})
    }

    fn report(values: &[Value]) -> Report {
        let each = |value: &Value| records("x.json", value);
        let found = Collection { records: values.iter().flat_map(each).collect(), ..Collection::default() };
        super::super::build(&found, "a title", Path::new("."))
    }

    /// Returns the rows of a table as texts.
    fn rows(report: &Report, id: &str, title: &str) -> Vec<Vec<String>> {
        let section = report.sections.iter().find(|section| section.id == id);
        let blocks = section.map_or(&[][..], |section| section.blocks.as_slice());
        let mut tables = blocks.iter().filter_map(|block| match block {
            Block::Table(table) if table.title == title => Some(table),
            _ => None,
        });
        let table = tables.next().unwrap_or_else(|| panic!("no table '{title}'"));
        let texts =
            |row: &Vec<_>| row.iter().map(|cell: &super::super::document::Cell| cell.text.clone()).collect();
        table.rows.iter().map(texts).collect()
    }

    #[test]
    fn repetitions_are_one_bar_with_an_interval() {
        let runs =
            [1.0e6, 3.0e6, 2.0e6].map(|goodput| run(&json!({"scrub": "none", "seed": goodput}), goodput));
        let report = report(&runs);
        let rows = rows(&report, "throughput", "Goodput by configuration");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0][1..4], ["3", "2.00 M/s", "1.00 M/s to 3.00 M/s"]);
        assert_eq!(rows[0][4], "2.20 M/s", "attempts stand beside it");
    }

    #[test]
    fn a_section_without_records_is_left_out_with_a_reason() {
        let report = report(&[run(&json!({"scrub": "none"}), 1e6)]);
        let left_out: Vec<&str> = report.left_out.iter().map(|(title, _)| title.as_str()).collect();
        for title in ["Latency", "Scaling", "Scrub level and value size", "Core to core", "Placement"] {
            assert!(left_out.contains(&title), "{title}: {left_out:?}");
        }
        assert!(report.left_out.iter().all(|(_, why)| !why.is_empty()));
        assert_eq!(report.sections.len() + report.left_out.len(), 13);
    }

    #[test]
    fn a_line_of_scaling_has_only_what_differs_in_nothing_else() {
        let at =
            |writers: u32, len: &str, goodput| run(&json!({"writers": writers, "value_len": len}), goodput);
        let report = report(&[at(1, "64", 1e6), at(4, "64", 2e6), at(2, "64", 1.6e6), at(1, "256", 9e5)]);
        let rows = rows(&report, "scaling", "Scaling over writers");
        let told: Vec<[&str; 3]> = rows.iter().map(|row| [row[1].as_str(), &row[2], &row[4]]).collect();
        assert_eq!(told, [["1", "1.00 M/s", "100"], ["2", "1.60 M/s", "80"], ["4", "2.00 M/s", "50"]]);
    }

    #[test]
    fn writers_and_readers_may_grow_together() {
        let at = |count: u32, goodput| run(&json!({"writers": count, "readers": 3 * count}), goodput);
        let report = report(&[at(1, 1e6), at(2, 1.5e6)]);
        let rows = rows(&report, "scaling", "Scaling over writers and readers");
        assert_eq!((rows[0][1].as_str(), rows[1][1].as_str(), rows[1][4].as_str()), ("4", "8", "75"));
    }

    #[test]
    fn the_scaling_of_claims_is_drawn_and_what_they_broke_is_on_top() {
        let point = |processors: u32, goodput: f64| json!({"processors": processors, "goodput_per_s": goodput, "efficiency": 0.5});
        let claim = json!({"claim": "500 M/s", "verdict": "not_comparable", "measured_per_s": 2e6, "measured_range_per_s": [1e6, 3e6], "broken": 0, "scaling": [point(1, 1e7), point(2, 1e7)]});
        let mut broken = claim.clone();
        broken["broken"] = json!(2);
        let of = |claim: &Value| {
            report(&[json!({"schema_version": 1, "kind": "reproduce", "verdict": "pass", "cells": [claim]})])
        };
        let table = rows(&of(&claim), "scaling", "Scaling of claims: x");
        assert_eq!(table[1], ["500 M/s", "2", "10.0 M/s", "50"].map(str::to_owned));
        let top = rows(&of(&broken), "verdicts", "Not passed");
        assert_eq!(top[0][3], "2 broken invariants");
        let further = rows(&of(&claim), "further", "reproduce cells: x");
        let start = ["500 M/s", "not comparable", "2.00 M/s", "1.00 M/s to 3.00 M/s", "0"];
        assert_eq!(further[0], start.map(str::to_owned));
    }

    #[test]
    fn rivals_are_compared_and_headline_figures_say_what_disturbed_them() {
        let entrant = |name: &str, goodput: f64, ratio: Value| {
            json!({"name": name, "version": "1", "goodput_per_s": goodput, "rounds": [goodput, goodput * 1.1],
                "ratio": ratio, "latency_ns": {"get": {"p50": 50, "p99": 70, "samples": 9}}})
        };
        let ratio = json!({"of": "splinter", "median": 400.0, "low": 390.0, "high": 410.0});
        let stores = [entrant("splinter", 3e7, Value::Null), entrant("Redis", 7.5e4, ratio)];
        let absent = json!({"name": "LMDB", "problem": "not installed"});
        let load = json!({"load": "all get and set", "entrants": [stores[0], stores[1], absent]});
        let report =
            report(&[json!({"schema_version": 1, "kind": "peers", "verdict": "pass", "cells": [load],
            "environment": {"processors": 2, "load_before": "6.5 1 1"}})]);
        let rows = rows(&report, "rivals", "Goodput and latency beside other stores: x");
        assert_eq!(
            rows[1][1..],
            ["Redis (1)", "75.0 k/s", "75.0 k/s to 82.5 k/s", "400×", "390× to 410×", "50.0 ns", "70.0 ns"]
                .map(str::to_owned)
        );
        assert_eq!(rows[2][1..3], ["LMDB", "-"].map(str::to_owned));
        let tiles: Vec<[&str; 2]> = report.tiles.iter().map(|it| [it.title.as_str(), &it.value]).collect();
        assert_eq!(
            tiles,
            [
                ["Peak goodput", "30.0 M/s"],
                ["Latency of get, p50 / p99", "50 / 70 ns"],
                ["Goodput beside Redis", "400×"]
            ]
        );
        for tile in &report.tiles {
            assert_eq!(tile.disturbed_by, "load 6.5 on 2 processors", "{tile:?}");
        }
    }

    #[test]
    fn a_heat_map_needs_several_levels_and_several_sizes() {
        let at =
            |scrub: &str, len: &str| run(&json!({"scrub": scrub, "value_len": len, "slots": len.len()}), 1e6);
        let has = |values: &[Value]| report(values).sections.iter().any(|section| section.id == "sizes");
        assert!(has(&[at("none", "64"), at("full", "64"), at("none", "1024")]));
        assert!(!has(&[at("none", "64"), at("full", "64")]));
        assert!(!has(&[at("none", "64"), at("none", "1024")]));
    }

    #[test]
    fn the_share_of_attempts_that_met_a_claim_is_told() {
        let report = report(&[run(&json!({"scrub": "none"}), 1e6)]);
        let rows = rows(&report, "contention", "Attempts that met a claim");
        assert_eq!(rows[0][1..], ["set", "100", "7", "7.000 %", "retries", "0"].map(str::to_owned));
    }

    #[test]
    fn of_too_many_the_ends_and_some_between_are_chosen() {
        assert_eq!(evenly((0..100).collect(), 4), [0, 33, 66, 99]);
        assert_eq!(evenly(vec![1, 2, 3], 4), [1, 2, 3]);
    }
}
