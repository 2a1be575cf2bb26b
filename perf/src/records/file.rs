//! Files and folders of records: what can be read of them, and what cannot, in words. A file holds one record, or
//! several as cells; cells that are records themselves become records here, and what else a file says stays with it.

use super::peers::Load;
use super::record::{Record, Source, texts, verdict};
use super::rows::{Claim, Row};
use super::schema;
use serde_json::Value;
use splinter_harness::input::read_text;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::fs;
use std::path::{Path, PathBuf};

/// One file that was read.
#[derive(Clone, Debug)]
pub struct File {
    /// As it was named or found.
    pub path: PathBuf,
    /// What made it.
    pub kind: String,
    /// The overall verdict.
    pub verdict: Option<Verdict>,
    /// The reasons of the overall verdict, unless a record states them.
    pub reasons: Vec<String>,
    /// How many records it holds.
    pub records: usize,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// The files that hold records.
    pub files: Vec<File>,
    /// The records, in the order of the files.
    pub records: Vec<Record>,
    /// What was found and could not be read as a record, or not all of it, in words.
    pub notes: Vec<String>,
    /// How many records were in a file before theirs as well.
    pub duplicates: usize,
    /// Every file that was read, whatever it holds.
    pub read: Vec<PathBuf>,
}

/// Reads files, and the `.json` files of folders and their folders.
///
/// # Errors
/// One line: what is not there, what was named and is no record, a record of a newer schema, or that there is none.
pub fn read(paths: &[PathBuf]) -> Result<Collection, String> {
    read_without(paths, None)
}

/// Reads as [`read`] does, and leaves out a folder below one that is searched.
///
/// # Errors
/// As [`read`].
pub fn read_without(paths: &[PathBuf], left_out: Option<&Path>) -> Result<Collection, String> {
    let mut found = Collection::default();
    for path in paths {
        if path.is_dir() {
            for file in files_below(path, left_out)? {
                found.add(&file, false)?;
            }
        } else {
            found.add(path, true)?;
        }
    }
    if found.duplicates > 0 {
        let note = format!("{} records are in two files, and are counted once", found.duplicates);
        found.notes.push(note);
    }
    if found.records.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let notes = found.notes.join("; ");
        let why = if notes.is_empty() { String::new() } else { format!(" ({notes})") };
        return Err(format!("no record in {}{why}", names.join(", ")));
    }
    Ok(found)
}

/// Lists the `.json` files of a folder and its folders, by name.
fn files_below(folder: &Path, left_out: Option<&Path>) -> Result<Vec<PathBuf>, String> {
    let fail = |error| format!("cannot read {}: {error}", folder.display());
    let mut files = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(fail)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    entries.sort_by_key(|path| natural(&path.to_string_lossy()));
    for path in entries {
        if Some(path.as_path()) == left_out {
            continue;
        }
        // A link to a folder above would never end.
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path, left_out)?);
        } else if path.extension().is_some_and(|end| end == "json") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Returns what names sort by so that 4 comes before 16.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for c in name.chars() {
        if let Some(digit) = c.to_digit(10) {
            let number = parts.last_mut().map(|(_, number)| number);
            if let Some(number) = number {
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            in_number = true;
        } else {
            if in_number {
                parts.push((String::new(), 0));
                in_number = false;
            }
            if let Some((text, _)) = parts.last_mut() {
                text.push(c);
            }
        }
    }
    parts
}

impl Collection {
    /// Returns the files that were read: no results go there.
    #[must_use]
    pub fn inputs(&self) -> Vec<Option<&Path>> {
        self.read.iter().map(|path| Some(path.as_path())).collect()
    }

    /// Adds a file. One that is no record is an error where it was asked for, and otherwise a note.
    fn add(&mut self, path: &Path, asked_for: bool) -> Result<(), String> {
        let text = read_text(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        self.read.push(path.to_owned());
        match parse(path, &text) {
            Ok((mut file, mut records, notes)) => {
                // A matrix keeps its cells as files, too.
                let known = |one: &Record| {
                    let mut all = self.records.iter();
                    all.any(|other| other.kind == one.kind && other.value == one.value)
                };
                records.retain(|record| !known(record));
                self.notes.extend(notes);
                let duplicates = file.records - records.len();
                self.duplicates += duplicates;
                file.records = records.len();
                if duplicates == 0 || file.records > 0 {
                    self.files.push(file);
                }
                self.records.extend(records);
                Ok(())
            }
            Err(Refusal::Newer(why)) => Err(why),
            Err(Refusal::Other(why)) if asked_for => Err(why),
            Err(Refusal::Other(why)) => {
                self.notes.push(why);
                Ok(())
            }
        }
    }
}

/// Why a file is not read.
enum Refusal {
    Newer(String),
    Other(String),
}

type Parsed = (File, Vec<Record>, Vec<String>);

fn parse(path: &Path, text: &str) -> Result<Parsed, Refusal> {
    let shown = path.display();
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let history = text.lines().next().is_some_and(|line| line.contains("\"kind\":\"history\""));
        Refusal::Other(if history {
            format!("{shown} is a history: 'splinter-stress history' checks it")
        } else {
            format!("{shown} is no JSON: {error}")
        })
    })?;
    let version = value.get("schema_version").and_then(Value::as_u64);
    let kind = value.get("kind").and_then(Value::as_str);
    let (Some(version), Some(kind)) = (version, kind) else {
        return Err(Refusal::Other(format!("{shown} is no record: it has no schema_version or no kind")));
    };
    refuse_newer(path, version)?;
    let kind = kind.to_owned();
    let mut notes = Vec::new();
    if !schema::is_kind(&kind) {
        notes.push(format!(
            "{shown} is of an unknown kind, '{kind}': what it has in common with others is shown"
        ));
    }
    let (records, reasons) = split(path, &kind, &value)?;
    for record in &records {
        let (list, dropped) = match record.kind.as_str() {
            "peers" => ("cells", record.dropped::<Load>("cells")),
            "reproduce" => ("cells", record.dropped::<Claim>("cells")),
            _ => ("rows", record.dropped::<Row>("rows")),
        };
        if dropped > 0 {
            notes.push(format!("{shown} has what cannot be read, and is left out: {dropped} of {list}"));
        }
        if !record.unknown_fields.is_empty() {
            let fields = record.unknown_fields.join(", ");
            let note =
                format!("{shown} has fields that a record of kind '{}' had not: {fields}", record.kind);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    let file =
        File { path: path.to_owned(), kind, verdict: verdict(&value), reasons, records: records.len() };
    Ok((file, records, notes))
}

fn refuse_newer(path: &Path, version: u64) -> Result<(), Refusal> {
    if version <= u64::from(SCHEMA_VERSION) {
        return Ok(());
    }
    Err(Refusal::Newer(format!(
        "{} is of schema version {version}, and this program reads {SCHEMA_VERSION}: use the one that wrote it, or a newer one",
        path.display()
    )))
}

/// Makes the records of a file: its cells, if they are records, and itself, if it holds more than cells. Returns the
/// reasons of the whole too.
fn split(path: &Path, kind: &str, value: &Value) -> Result<(Vec<Record>, Vec<String>), Refusal> {
    let own = |value: Value, kind: &str, cell, is_frame| {
        let unknown_fields = schema::undocumented(kind, &value, 1);
        let source = Source { path: path.to_owned(), cell };
        Record { source, kind: kind.to_owned(), value, unknown_fields, is_frame }
    };
    let cells = value.get("cells").and_then(Value::as_array);
    let is_record = |cell: &&Value| cell.get("operations").is_some_and(Value::is_object);
    let Some(cells) = cells.filter(|cells| cells.iter().any(|cell| is_record(&cell))) else {
        return Ok((vec![own(value.clone(), kind, None, false)], Vec::new()));
    };
    let mut outer = value.clone();
    let whole = outer.as_object_mut().expect("it has fields");
    let mut rest: Vec<Value> = Vec::new();
    let mut records = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        if !is_record(&cell) {
            rest.push(cell.clone());
            continue;
        }
        let mut cell = cell.clone();
        let fields = cell.as_object_mut().expect("it has operations");
        // What holds for all may be said once.
        for name in ["environment", "schema_version"] {
            if let (false, Some(common)) = (fields.contains_key(name), value.get(name)) {
                fields.insert(name.to_owned(), common.clone());
            }
        }
        if let Some(version) = cell.get("schema_version").and_then(Value::as_u64) {
            refuse_newer(path, version)?;
        }
        // What is made like a run is one, whatever asked for it.
        let cell_kind = cell.get("kind").and_then(Value::as_str).unwrap_or("run");
        records.push(own(cell.clone(), cell_kind, Some(index + 1), false));
    }
    if rest.is_empty() {
        whole.remove("cells");
    } else {
        whole.insert("cells".to_owned(), Value::Array(rest));
    }
    let reasons = texts(whole.get("reasons")).into_iter().map(str::to_owned).collect();
    let more = |(_, value): (_, &Value)| value.as_array().is_some_and(|list| !list.is_empty());
    let lists = whole.iter().filter(|(name, _)| !["reasons", "labels"].contains(&name.as_str()));
    if lists.into_iter().any(more) {
        records.push(own(outer, kind, None, true));
    }
    Ok((records, reasons))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;
    use splinter_testkit::Folder;

    /// Reads a value as the record of a file.
    pub(crate) fn record(value: impl Into<Value>) -> Record {
        records("record.json", &value.into()).remove(0)
    }

    /// Reads a value as the records of a file of that name.
    pub(crate) fn records(name: &str, value: &Value) -> Vec<Record> {
        match parse(Path::new(name), &value.to_string()) {
            Ok((_, records, _)) => records,
            Err(Refusal::Newer(why) | Refusal::Other(why)) => panic!("{why}"),
        }
    }

    fn refused(text: &str) -> String {
        match parse(Path::new("some.json"), text) {
            Ok(_) => panic!("it was read"),
            Err(Refusal::Newer(why)) => format!("newer: {why}"),
            Err(Refusal::Other(why)) => why,
        }
    }

    #[test]
    fn a_newer_schema_is_refused_in_one_line_even_within_a_cell() {
        for text in [
            r#"{"schema_version": 99, "kind": "run"}"#,
            r#"{"schema_version": 1, "kind": "run", "cells": [{"schema_version": 99, "operations": {}}]}"#,
        ] {
            let why = refused(text);
            assert!(why.starts_with("newer: ") && why.contains("99"), "{why}");
            assert!(!why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused_in_words() {
        assert!(refused("{").contains("no JSON"));
        assert!(refused("{\"a\": 1}").contains("no record"));
        let history = "{\"schema_version\":1,\"kind\":\"history\",\"cycle_ns\":0.3}\n{\"invoked\":1}\n";
        assert!(refused(history).contains("splinter-stress history"));
    }

    #[test]
    fn an_unknown_kind_and_unknown_fields_are_noted_and_read() {
        let text = r#"{"schema_version": 1, "kind": "novel", "verdict": "pass"}"#;
        let Ok((_, records, notes)) = parse(Path::new("a.json"), text) else { panic!("refused") };
        assert_eq!(records.len(), 1);
        assert!(notes[0].contains("novel"), "{notes:?}");
        let text = r#"{"schema_version": 1, "kind": "run", "store": {}, "flavour": 3}"#;
        let Ok((_, records, notes)) = parse(Path::new("a.json"), text) else { panic!("refused") };
        assert_eq!(records[0].unknown_fields, ["flavour"]);
        assert!(notes[0].contains("flavour"), "{notes:?}");
    }

    #[test]
    fn parts_of_a_list_that_cannot_be_read_are_noted() {
        let text = r#"{"schema_version": 1, "kind": "peers", "cells": [{"load": "one gets"}, {"load": 3}]}"#;
        let Ok((_, records, notes)) = parse(Path::new("a.json"), text) else { panic!("refused") };
        assert_eq!(records[0].loads().len(), 1);
        assert_eq!(notes, ["a.json has what cannot be read, and is left out: 1 of cells"]);
    }

    #[test]
    fn cells_are_records_and_take_over_what_holds_for_all() {
        let value = json!({"schema_version": 1, "kind": "matrix", "verdict": "inconclusive",
        "environment": {"kernel": "6"}, "reasons": ["one cell was refused"],
        "cells": [
            {"verdict": "pass", "operations": {"get": {"attempts": 1}}},
            {"verdict": "fail", "kind": "run", "operations": {}, "environment": {"kernel": "7"}},
        ]});
        let Ok((file, records, _)) = parse(Path::new("m.json"), &value.to_string()) else {
            panic!("refused")
        };
        assert_eq!(records.len(), 2);
        assert_eq!(
            (records[0].kind.as_str(), records[0].text(&["environment", "kernel"])),
            ("run", Some("6"))
        );
        assert_eq!(records[1].text(&["environment", "kernel"]), Some("7"));
        assert_eq!(records[1].name(), "m [2]");
        assert_eq!(
            (file.verdict, file.reasons.as_slice()),
            (Some(Verdict::Inconclusive), &["one cell was refused".to_owned()][..])
        );
    }

    #[test]
    fn what_a_file_lists_beside_its_cells_is_kept() {
        let value = json!({"schema_version": 1, "kind": "matrix",
            "cells": [{"operations": {}}, {"refused": "more writers than keys"}],
            "notes": ["x"]});
        let records = records("m.json", &value);
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].kind, "matrix");
        assert_eq!(records[1].value["cells"][0]["refused"], "more writers than keys");
        let claims =
            json!({"schema_version": 1, "kind": "reproduce", "cells": [{"claim": "a", "verdict": "fail"}]});
        let records = self::records("r.json", &claims);
        assert_eq!((records.len(), records[0].kind.as_str()), (1, "reproduce"));
    }

    #[test]
    fn numbers_in_names_sort_as_numbers() {
        let mut names = ["w16-s1", "w4-s10", "w4-s9", "v99"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["v99", "w4-s9", "w4-s10", "w16-s1"]);
    }

    #[test]
    fn a_record_that_is_in_two_files_is_counted_once() {
        let kept = Folder::new();
        let folder = kept.as_ref().to_owned();
        let cell =
            json!({"schema_version": 1, "kind": "run", "operations": {}, "window": {"started_unix_s": 5.0}});
        let matrix = json!({"schema_version": 1, "kind": "matrix", "verdict": "pass", "cells": [cell], "axes": ["scrub"]});
        fs::write(folder.join("cell.json"), cell.to_string()).unwrap();
        fs::write(folder.join("matrix.json"), matrix.to_string()).unwrap();
        fs::write(folder.join("same.json"), cell.to_string()).unwrap();
        let found = read(std::slice::from_ref(&folder));
        let found = found.unwrap();
        let kinds: Vec<(&str, bool)> =
            found.records.iter().map(|it| (it.kind.as_str(), it.is_frame)).collect();
        assert_eq!(kinds, [("run", false), ("matrix", true)]);
        let files: Vec<usize> = found.files.iter().map(|file| file.records).collect();
        assert_eq!(files, [1, 1], "a file without anything new is left out");
        assert_eq!(found.notes, ["2 records are in two files, and are counted once"]);
    }

    #[test]
    fn folders_are_searched_and_what_is_there_beside_records_is_noted() {
        let kept = Folder::new();
        let folder = kept.as_ref().to_owned();
        let below = folder.join("cells");
        fs::create_dir_all(&below).unwrap();
        fs::write(folder.join("a.json"), r#"{"schema_version": 1, "kind": "run"}"#).unwrap();
        fs::write(folder.join("b.json"), "[]").unwrap();
        fs::write(folder.join("c.txt"), "no").unwrap();
        fs::write(below.join("d.json"), r#"{"schema_version": 1, "kind": "wake"}"#).unwrap();
        let found = read(std::slice::from_ref(&folder));
        let asked = read(&[folder.join("b.json")]);
        let empty = read(&[folder.join("nothing.json")]);
        fs::write(below.join("e.json"), r#"{"schema_version": 9, "kind": "wake"}"#).unwrap();
        let newer = read(std::slice::from_ref(&folder));
        let found = found.unwrap();
        let kinds: Vec<&str> = found.records.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["run", "wake"]);
        assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
        assert!(asked.unwrap_err().contains("no record"));
        assert!(empty.unwrap_err().contains("cannot read"));
        assert!(newer.unwrap_err().contains("schema version 9"));
    }
}
