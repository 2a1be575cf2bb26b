//! The verdicts of all records, on top of all, with their reasons and broken invariants.

use super::super::document::{Cell, Section, Table, Tally, Tone};
use super::super::{Together, distinct, together};
use super::{Input, tone, word};
use crate::records::paths::link;
use crate::records::{Collection, File, Record};
use splinter_harness::verdict::Verdict;

/// Counts the records by verdict, and the invariants that were broken.
pub(in crate::report) fn tallies(found: &Collection) -> Vec<Tally> {
    // A record that only holds others together counts if something of it is wrong.
    let counts = |record: &&Record| !record.is_frame || tone(record.verdict()) != Tone::Good;
    let count = |verdict| {
        let all = found.records.iter().filter(counts);
        all.filter(|record| record.verdict() == verdict).count()
    };
    let broken = found.records.iter().filter(|it| !it.broken().is_empty()).count();
    let checked = found.records.iter().filter(|it| !it.invariants().is_empty()).count();
    let mut tallies = vec![
        (count(Some(Verdict::Pass)), "passed", Tone::Good),
        (count(Some(Verdict::Fail)), "failed", Tone::Bad),
        (count(Some(Verdict::Inconclusive)), "inconclusive", Tone::Doubtful),
        (count(None), "without a verdict", Tone::Plain),
        (broken, "with broken invariants", Tone::Bad),
    ];
    tallies.retain(|&(count, what, _)| count > 0 || what == "passed" || what == "failed");
    if broken == 0 && checked > 0 {
        tallies.push((checked, "with all invariants held", Tone::Good));
    }
    let tone_of = |count, tone| if count == 0 { Tone::Plain } else { tone };
    let tally = |(count, what, tone)| Tally { count, what, tone: tone_of(count, tone) };
    tallies.into_iter().map(tally).collect()
}

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let found = input.found;
    let mut bad =
        Table::new("Not passed", &["record", "verdict", "what was run", "broken invariants", "reasons"]);
    for file in &found.files {
        if !file.reasons.is_empty() && file.verdict.is_some_and(|verdict| verdict != Verdict::Pass) {
            let name = file.path.file_name().unwrap_or_default();
            bad.row([
                Cell::from(name.to_string_lossy()),
                Cell::toned(word(file.verdict), tone(file.verdict)),
                format!("all of it: {} records", file.records).into(),
                "-".into(),
                file.reasons.join("; ").into(),
            ]);
        }
    }
    for record in &found.records {
        let verdict = record.verdict();
        let broken = record.broken();
        let said: Vec<String> = broken.iter().map(|(name, count)| format!("{count} {name}")).collect();
        // Not all kinds have a verdict.
        if verdict.is_some_and(|verdict| verdict != Verdict::Pass) || !broken.is_empty() {
            let reasons = record.reasons();
            let mut shown = reasons.iter().take(6).cloned().collect::<Vec<_>>().join("; ");
            if reasons.len() > 6 {
                shown.push_str(&format!("; {} more in the record", reasons.len() - 6));
            }
            bad.row([
                Cell::link(record.name(), input.link(record)),
                Cell::toned(word(verdict), tone(verdict)),
                record.what().into(),
                if broken.is_empty() { "none".into() } else { Cell::toned(said.join(", "), Tone::Bad) },
                if shown.is_empty() { "it gives none".into() } else { shown.into() },
            ]);
        }
    }
    bad.is_open = true;
    if bad.rows.is_empty() {
        section.say("No record failed, and no invariant was broken.");
    } else {
        section.table(bad);
    }
    section.table(files(input));
}

/// Counts records; one that only holds others together counts where it is alone.
fn cells(records: &[&Record]) -> usize {
    let cells = records.iter().filter(|record| !record.is_frame).count();
    cells.max(records.len().min(1))
}

/// Files up to this number have a row each.
const MOST_FILES: usize = 20;

/// Lists all files, also those of which everything passed; many by their folders, kinds and verdicts.
fn files(input: &Input<'_>) -> Table {
    let heads = ["file", "kind", ">records", "verdict", "invariants", "labels", "what was run"];
    let mut table = Table::new("All files", &heads);
    let are_many = input.found.files.len() > MOST_FILES;
    let alike = |a: &File, b: &File| (&a.kind, a.verdict) == (&b.kind, b.verdict);
    for Together { place, files, records } in together(input.found, |_| are_many, alike) {
        let file = files[0];
        let checked: usize = records.iter().map(|it| it.invariants().len()).sum();
        let broken: usize = records.iter().map(|it| it.broken().len()).sum();
        let held = match (checked, broken) {
            (0, _) => Cell::from("none checked"),
            (all, 0) => format!("all {all} hold").into(),
            (all, broken) => Cell::toned(format!("{broken} of {all} BROKEN"), Tone::Bad),
        };
        let labels = distinct(records.iter().flat_map(|record| record.texts(&["labels"])));
        let what = match records.as_slice() {
            [] => "-".to_owned(),
            [one] => one.what(),
            [first, ..] if cells(&records) == 1 => first.what(),
            [first, ..] => format!("{}; and {} more", first.what(), cells(&records) - 1),
        };
        let name = match files.len() {
            1 => file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            files => {
                let folder = place.file_name().unwrap_or_default().to_string_lossy();
                format!("{files} files in {folder}/")
            }
        };
        let way = if files.len() == 1 { file.path.as_path() } else { place };
        table.row([
            Cell::link(name, link(input.folder, way)),
            file.kind.clone().into(),
            cells(&records).to_string().into(),
            Cell::toned(word(file.verdict), tone(file.verdict)),
            held,
            if labels.is_empty() { "-".into() } else { labels.join(", ").into() },
            what.into(),
        ]);
    }
    table
}
