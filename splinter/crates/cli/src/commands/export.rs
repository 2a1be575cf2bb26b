//! The command `export`: writes the keys as text or JSON, with or without their values.

use super::list::matching;
use super::prelude::*;
use crate::atomic_file::AtomicFile;
use crate::entry::Entry;
use crate::options::{self, not_one_of};
use crate::output::{json_bytes, json_text, quoted, write_json};
use crate::retry::retry_busy;
use serde_json::{Map, Value};
use splinter::{Content, Error, Key, Store};
use std::io::{self, Write};

pub(super) static COMMAND: Command = Command {
    name: "export",
    usage: &["[PATTERN] [--format json|ndjson|text] [--values|--no-values] [--output FILE]"],
    summary: "Writes the keys as JSON or text, on request with their values",
    details: "\
PATTERN is as for list; keys have their whole names. The formats:

  json    one document with all fields; at a terminal, and with --no-values,
          only the keys with their epochs and lengths, unless --values is given
  ndjson  a line of JSON for the store, one for each key with all fields, and
          one that marks the end
  text    a line for each key: its name, type, length and value in quotes

JSON has bytes that are not UTF-8 as {\"base64\": \"...\"}. --json is json on one
line, and --raw is text. import reads ndjson, and json with values. Each key is
exported as it was at one moment, but the moments differ. Of the store's own
settings, ndjson has its sizes, its way of eviction, and whether it has
sketches; the export lacks scrub level, flags, groups of labels, and which keys
a cache saw used. FILE gets its name once it is complete.",
    args: &[Arg::optional("PATTERN", Kind::Text)],
    options: &[
        Opt::valued("--format", "FORMAT", "json, ndjson or text").kind(Kind::Choice(FORMATS)),
        Opt::flag("--values", "puts the values into json at a terminal, too"),
        Opt::flag("--no-values", "leaves them out of json"),
        Opt::valued("--output", "FILE", "writes into FILE, which must not exist").kind(Kind::File).short('o'),
    ],
    run,
};

const FORMATS: &[&str] = &["json", "ndjson", "text"];

/// The version of the ndjson format. From version 2 on its end is marked.
pub(super) const DUMP_VERSION: u64 = 2;

/// The output format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json { pretty: bool, values: bool },
    Ndjson,
    Text,
}

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let values = match (call.has("--values"), call.has("--no-values")) {
        (true, true) => return Err(Failure::usage("give --values or --no-values, not both")),
        (false, false) => !session.on_screen || call.has("--output"),
        (values, _) => values,
    };
    let form = match (call.value("--format"), session.format) {
        (None | Some(b"json"), Format::Json) => Form::Json { pretty: false, values },
        (Some(b"json"), _) | (None, Format::Default) => Form::Json { pretty: true, values },
        (Some(b"ndjson"), _) => Form::Ndjson,
        (Some(b"text"), _) | (None, Format::Raw) => Form::Text,
        (Some(other), _) => return Err(not_one_of(other, FORMATS).with_context("--format")),
    };
    let keys = matching(session, call.get(0))?;
    let store = session.store()?.clone();
    let Some(path) = call.value("--output") else {
        return write(&store, form, &keys, &mut session.out)?;
    };
    let mut file = AtomicFile::create(options::path(path), 0o666, false)?;
    write(&store, form, &keys, &mut file).map_err(|error| file.failed(&error))??;
    file.finish()
}

/// Writes the export. Returns the failure of the store apart from the error of the output.
fn write(store: &Store, form: Form, keys: &[Key], out: &mut dyn Write) -> io::Result<Result<(), Failure>> {
    let geometry = store.geometry();
    let mut contents = Vec::new();
    if form == Form::Ndjson {
        let head = json!({
            "splinter": "export", "slots": geometry.slots, "max_value_length": geometry.max_value_len,
            "vector_dim": geometry.vector_dim, "max_writers": geometry.max_writers, "version": DUMP_VERSION,
            "eviction": store.eviction().to_string(), "sketches": store.has_sketches(),
        });
        write_json(out, &head)?;
    }
    let mut written = 0_u64;
    for key in keys {
        let content = match retry_busy(|| store.content(key)) {
            Ok(content) => content,
            // It was removed after it was listed.
            Err(Error::NotFound) => continue,
            Err(error) => return Ok(Err(Failure::key(key.as_ref(), error))),
        };
        match form {
            Form::Json { values, .. } => contents.push(row(content, values)),
            Form::Ndjson => write_json(out, &Value::Object(row(content, true)))?,
            Form::Text => {
                let (slot, value) = (&content.slot, &content.value);
                let value = content.number.map_or_else(|| quoted(value), |number| number.to_string());
                writeln!(out, "{} {} {}:{value}", quoted(key.as_ref()), slot.kind, slot.value_len)?;
            }
        }
        written += 1;
    }
    if form == Form::Ndjson {
        // Without this line a truncated dump would look complete.
        write_json(out, &json!({ "splinter": "end", "keys": written }))?;
    }
    if let Form::Json { pretty, values } = form {
        document(out, geometry.slots, &contents, pretty, values)?;
    }
    Ok(Ok(()))
}

/// Formats a key as JSON.
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

/// Writes the JSON document in the format of the documentation. Its fields have an order that a map would not keep.
fn document(
    out: &mut dyn Write,
    slots: u64,
    rows: &[Map<String, Value>],
    pretty: bool,
    values: bool,
) -> io::Result<()> {
    // The documentation shows each field on a line of its own, without indentation.
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
            write!(out, "{comma}{line}\"{name}\"{colon}{}", json_text(&row[name]))?;
        }
        write!(out, "{line}}}")?;
    }
    let end = if rows.is_empty() { "" } else { line };
    writeln!(out, "{end}]{line}}}")
}
