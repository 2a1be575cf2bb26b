//! A report of any set of records: [`build`] makes sections of sentences, tables and charts of them, [`html`] and
//! [`markdown`] write those down. What a section is about is in `sections`, how charts are drawn in `svg`; neither
//! reads files or measures anything.

pub(crate) mod document;
pub(crate) mod html;
pub(crate) mod index;
pub(crate) mod markdown;
pub(crate) mod plain;
mod sections;
pub(crate) mod svg;

use crate::records::record::date_and_time;
use crate::records::{Collection, File, Record};
use document::{Report, Section};
use std::path::Path;

/// The records that all sections are made of.
struct Input<'a> {
    found: &'a Collection,
    /// The folder of the file that is written: links begin there.
    folder: &'a Path,
}

/// Files that one row of a table tells of, with all their records; the place is the file itself, or their folder.
struct Together<'a> {
    place: &'a Path,
    files: Vec<&'a File>,
    records: Vec<&'a Record>,
}

/// Puts files together that are `alike` and lie in one folder, if a folder `counts` as one place, in the order of the
/// first of each.
fn together<'a>(
    found: &'a Collection,
    counts: impl Fn(&Path) -> bool,
    alike: impl Fn(&File, &File) -> bool,
) -> Vec<Together<'a>> {
    let mut rows: Vec<Together<'a>> = Vec::new();
    for (file, records) in by_file(found) {
        let place = file.path.parent().filter(|folder| counts(folder)).unwrap_or(&file.path);
        match rows.iter_mut().find(|row| row.place == place && alike(row.files[0], file)) {
            Some(row) => {
                row.files.push(file);
                row.records.extend(records);
            }
            None => rows.push(Together { place, files: vec![file], records: records.iter().collect() }),
        }
    }
    rows
}

/// Returns each file with its records.
fn by_file(found: &Collection) -> impl Iterator<Item = (&File, &[Record])> {
    let mut rest = found.records.as_slice();
    found.files.iter().map(move |file| {
        let (records, others) = rest.split_at(file.records);
        rest = others;
        (file, records)
    })
}

/// Returns values without repetitions, in the order in which each comes first.
fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

/// Puts values with equal keys together, in the order in which each key comes first.
fn by_key<K: PartialEq, V>(values: impl IntoIterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut all: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in values {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, same)) => same.push(value),
            None => all.push((key, vec![value])),
        }
    }
    all
}

/// Returns where a name is in a list, to which it is added if it is new.
fn place_in(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// Makes a report of records. `folder` is where the file will lie that it is written to: links begin there.
pub(crate) fn build(found: &Collection, title: &str, folder: &Path) -> Report {
    let input = Input { found, folder };
    let mut report = Report {
        title: title.to_owned(),
        subtitle: subtitle(found),
        tiles: sections::headline::tiles(found),
        tallies: sections::verdicts::tallies(found),
        ..Report::default()
    };
    for chapter in sections::ALL {
        let mut section = Section::new(chapter.id, chapter.title, chapter.lead);
        let before = section.blocks.len();
        (chapter.fill)(&input, &mut section);
        if section.blocks.len() > before {
            report.sections.push(section);
        } else {
            report.left_out.push((section.title, chapter.absent.to_owned()));
        }
    }
    report
}

/// Says how many there are of something.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn subtitle(found: &Collection) -> String {
    let mut text =
        format!("{} of {}", counted(found.records.len(), "record"), counted(found.files.len(), "file"));
    let began = || found.records.iter().filter_map(Record::started_unix_s);
    let first = began().fold(f64::INFINITY, f64::min);
    let last = began().fold(f64::NEG_INFINITY, f64::max);
    if first.is_finite() {
        let (first, last) = (date_and_time(first), date_and_time(last));
        if first == last {
            text.push_str(&format!(", measured {first} UTC"));
        } else {
            text.push_str(&format!(", measured from {first} to {last} UTC"));
        }
    }
    let mut machines: Vec<String> = found.records.iter().filter_map(Record::machine).collect();
    machines.sort();
    machines.dedup();
    match machines.as_slice() {
        [] => {}
        [one] => text.push_str(&format!(", on {one}")),
        several => text.push_str(&format!(", on {} machines", several.len())),
    }
    text
}
