//! `export`: the keys, as text or JSON, with their values or without.

use super::list::matching;
use crate::command::{Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::interchange::Entry;
use crate::output::{Format, json_bytes, shown};
use crate::session::{Session, patiently};
use serde_json::{Map, Value, json};
use splinter::{Content, Error, Key};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;

/// The command.
pub static COMMAND: Command = Command {
    name: "export",
    usage: &["[PATTERN] [--format json|ndjson|text] [--values] [--output FILE]"],
    summary: "Writes the keys as JSON or text, with their values if asked",
    details: "PATTERN is as for list; keys have their whole names. The formats:

  json    one document, with epochs and lengths; with --values all there is
  ndjson  a line of JSON for the store, and one for each key, with all there is
  text    a line for each key: its name, type, length and value in quotes

What is not UTF-8 is {\"base64\": \"...\"} in JSON. --json is json on one line,
and --raw is text. import reads ndjson, and json with --values. Each key is as
it was at one moment; there is no one moment for all of them. What belongs to
the store and to no key is not in it: scrub level, flags, groups of labels.",
    args: &[Arg { name: "PATTERN", kind: Kind::Text, count: Count::Maybe }],
    options: &[
        Opt {
            long: "--format",
            short: None,
            value: Some(("FORMAT", Kind::Choice(FORMATS))),
            help: "json, ndjson or text",
        },
        Opt { long: "--values", short: None, value: None, help: "puts the values into json, too" },
        Opt {
            long: "--output",
            short: Some('o'),
            value: Some(("FILE", Kind::File)),
            help: "writes into FILE, which must not exist",
        },
    ],
    run,
};

const FORMATS: &[&str] = &["json", "ndjson", "text"];

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json { pretty: bool, values: bool },
    Ndjson,
    Text,
}

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let values = call.has("--values");
    let form = match (call.value("--format"), session.format) {
        (None | Some(b"json"), Format::Json) => Form::Json { pretty: false, values },
        (Some(b"json"), _) | (None, Format::Default) => Form::Json { pretty: true, values },
        (Some(b"ndjson"), _) => Form::Ndjson,
        (Some(b"text"), _) | (None, Format::Raw) => Form::Text,
        (Some(other), _) => {
            let known = FORMATS.join(", ");
            let message = format!("--format: {} is not one of {known}", shown(other));
            return Err(Failure::usage(message));
        }
    };
    let keys = matching(session, call.get(0))?;
    let Some(path) = call.value("--output") else {
        let mut out = std::mem::replace(&mut session.out, Box::new(std::io::sink()));
        let done = write(session, form, &keys, &mut out);
        session.out = out;
        return done;
    };
    let path = OsStr::from_bytes(path);
    let making = format!("make {}", shown(path.as_bytes()));
    let file = File::create_new(path).map_err(|error| Failure::io(&making, &error))?;
    let mut out = BufWriter::new(file);
    write(session, form, &keys, &mut out)?;
    out.flush().map_err(|error| Failure::io(&making, &error))
}

fn write(session: &Session, form: Form, keys: &[Key], out: &mut dyn Write) -> Result<(), Failure> {
    let store = session.store()?;
    let geometry = store.geometry();
    let mut contents = Vec::new();
    if form == Form::Ndjson {
        let head = json!({
            "splinter": "export", "slots": geometry.slots, "max_value_length": geometry.max_value_len,
            "vector_dim": geometry.vector_dim, "lanes": geometry.lanes,
        });
        writeln!(out, "{head}")?;
    }
    for key in keys {
        let content = match patiently(|| store.content(key)) {
            Ok(content) => content,
            // It was removed since it was listed.
            Err(Error::NotFound) => continue,
            Err(error) => return Err(Failure::key(key.as_ref(), error)),
        };
        match form {
            Form::Json { values, .. } => contents.push(row(content, values)),
            Form::Ndjson => writeln!(out, "{}", Value::Object(row(content, true)))?,
            Form::Text => {
                let (slot, value) = (&content.slot, &content.value);
                let value =
                    content.number.map_or_else(|| shown(value), |number| number.to_string());
                writeln!(out, "{} {} {}:{value}", shown(key.as_ref()), slot.kind, slot.value_len)?;
            }
        }
    }
    if let Form::Json { pretty, values } = form {
        document(out, geometry.slots, &contents, pretty, values)?;
    }
    Ok(())
}

/// What is written of a key in JSON.
fn row(content: Content, values: bool) -> Map<String, Value> {
    let (epoch, len) = (content.slot.epoch, content.slot.value_len);
    let mut row = if values {
        Entry::from(content).to_json()
    } else {
        Map::from_iter([("key".to_owned(), json_bytes(content.slot.key.as_ref()))])
    };
    row.insert("epoch".to_owned(), json!(epoch));
    row.insert("value_length".to_owned(), json!(len));
    row
}

/// Writes the document that the documentation shows: its fields are in an order that no map keeps.
fn document(
    out: &mut dyn Write,
    slots: u64,
    rows: &[Map<String, Value>],
    pretty: bool,
    values: bool,
) -> Result<(), Failure> {
    // On lines of their own, but not indented: so it is shown.
    let (line, colon) = if pretty { ("\n", ": ") } else { ("", ":") };
    let active = rows.len();
    write!(out, "{{{line}\"store\"{colon}{{{line}\"total_slots\"{colon}{slots},{line}")?;
    write!(out, "\"active_keys\"{colon}{active}{line}}},{line}\"keys\"{colon}[")?;
    for (at, row) in rows.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma}{line}{{")?;
        let first = ["key", "epoch", "value_length"];
        let rest = row.keys().map(String::as_str).filter(|name| values && !first.contains(name));
        for (at, name) in first.into_iter().chain(rest).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(out, "{comma}{line}\"{name}\"{colon}{}", row[name])?;
        }
        write!(out, "{line}}}")?;
    }
    let end = if rows.is_empty() { "" } else { line };
    Ok(writeln!(out, "{end}]{line}}}")?)
}
