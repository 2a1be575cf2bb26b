//! The command `import`: sets the keys that `export` wrote.

use super::export::DUMP_VERSION;
use super::prelude::*;
use crate::byte_order_mark;
use crate::entry::Entry;
use crate::output::{counted, shown};
use crate::retry::retry_busy;
use serde_json::{Deserializer, Value};
use splinter::{Error, Writer};
use std::io::{self, BufRead, Cursor, Read};

pub(super) static COMMAND: Command = Command {
    name: "import",
    usage: &["FILE [--keep]"],
    summary: "Sets the keys that export wrote",
    details: "\
FILE is an export as ndjson, or as json with values; - is standard input. The
command sets a key that exists to the entry in FILE, with its labels, groups and
vector; with --keep the key stays as it is. Keys have their whole names in FILE;
under a prefix, the command imports only the keys that begin with it. It stops
at the first error in FILE, also at the end of a FILE that was cut short. It has
then set the keys before that. The store in use keeps its sizes and its way of
eviction: a cache that has too few slots evicts keys that are not pinned.",
    args: &[Arg::one("FILE", Kind::File)],
    options: &[Opt::flag("--keep", "leaves existing keys as they are").short('k')],
    run,
};

/// The advice for text that is not an export.
const HOW: &str = "; import reads what export writes as json or ndjson";

/// The progress of an import, in keys.
#[derive(Clone, Copy, Default)]
struct Counts {
    imported: u64,
    kept: u64,
    elsewhere: u64,
}

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (mut from, name) = open_input(session, call.arguments[0])?;
    let mut counts = Counts::default();
    let done = import(session, call, &mut *from, &name, &mut counts);
    let Counts { imported, kept, elsewhere } = counts;
    done.map_err(|mut failure| {
        failure.message = format!("{}; {} imported", failure.message, counted(imported, "key"));
        failure
    })?;
    session.report(
        format!("imported {}", counted(imported, "key")),
        &json!({ "imported": imported, "kept": kept, "elsewhere": elsewhere }),
    )
}

/// Imports every entry of a file, and checks that the file is complete.
fn import(
    session: &Session,
    call: &Call<'_>,
    from: &mut dyn BufRead,
    name: &str,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let begin = without_mark(from).map_err(|error| not_read(name, &error))?;
    let mut writer = session.writer()?;
    // The number of entries so far, while the end line of an ndjson dump is still to come.
    let mut unfinished = None;
    let mut is_empty = true;
    for (number, value) in (1_u64..).zip(Deserializer::from_reader(begin.chain(from)).into_iter::<Value>()) {
        let value = value.map_err(|error| match error.io_error_kind() {
            Some(_) => not_read(name, &error.into()),
            None => Failure::new(format!("{name} is not an export: {error}{HOW}")),
        })?;
        is_empty = false;
        let mut take = |value: &Value| one(session, &mut writer, value, call, counts);
        let failed = |failure: Failure| failure.with_context(&format!("entry {number} of {name}"));
        match (value.get("splinter").and_then(Value::as_str), value.get("keys")) {
            (Some("export"), _) if unfinished.is_none() => {
                let is_marked = value.get("version").and_then(Value::as_u64) >= Some(DUMP_VERSION);
                unfinished = is_marked.then_some(0);
            }
            (Some("end"), Some(keys)) if unfinished.is_some() => {
                let found = unfinished.take().unwrap_or_default();
                if keys.as_u64() != Some(found) {
                    return Err(Failure::new(format!(
                        "{name} is not whole: it has {found} of {keys} keys; without its first and \
                         last line it would be imported as it is"
                    )));
                }
            }
            (Some("export"), _) => return Err(cut_short(name)),
            (None, Some(Value::Array(entries))) if value.get("key").is_none() => {
                entries.iter().try_for_each(take).map_err(failed)?;
            }
            _ => {
                take(&value).map_err(failed)?;
                unfinished = unfinished.map(|found: u64| found + 1);
            }
        }
    }
    match unfinished {
        _ if is_empty => Err(Failure::new(format!("{name} is empty"))),
        Some(_) => Err(cut_short(name)),
        None => Ok(()),
    }
}

fn not_read(name: &str, error: &io::Error) -> Failure {
    Failure::io(&format!("read {name}"), error)
}

fn cut_short(name: &str) -> Failure {
    Failure::new(format!("{name} was cut short: the line at its end is missing; export again"))
}

/// Reads the first three bytes, however they arrive, and returns those that are no byte-order mark.
fn without_mark(from: &mut dyn BufRead) -> io::Result<Cursor<Vec<u8>>> {
    let mut begin = Vec::new();
    from.take(3).read_to_end(&mut begin)?;
    let text = byte_order_mark::without(&begin).map_err(io::Error::other)?;
    Ok(Cursor::new(text.to_vec()))
}

fn one(
    session: &Session,
    writer: &mut Writer,
    value: &Value,
    call: &Call<'_>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let entry = Entry::parse(value).map_err(|why| {
        let how = if value.get("epoch").is_some() && value.get("value").is_none() {
            "; export --values, or --format ndjson, writes values"
        } else if !value.is_object() {
            HOW
        } else {
            ""
        };
        Failure::new(format!("{why}{how}"))
    })?;
    // An invalid key is an error of the file, not of the call.
    let failed = |error| Failure::new(Failure::key(&entry.key, error).message);
    if !entry.key.starts_with(&session.prefix) {
        counts.elsewhere += 1;
        return Ok(());
    }
    if call.has("--keep") && retry_busy(|| writer.contains(&entry.key)).map_err(failed)? {
        counts.kept += 1;
        return Ok(());
    }
    entry.put(writer).map_err(|error| match error {
        Error::WrongDimension => {
            let dim = writer.geometry().vector_dim;
            let (key, has) = (shown(&entry.key), counted(entry.vector.len() as u64, "component"));
            Failure::new(format!("{key}: a vector of {has}; this store's have {dim}"))
        }
        Error::WrongType => {
            let key = shown(&entry.key);
            Failure::new(format!(
                "{key}: a BIGUINT is decimal digits or up to eight bytes of an integer, and its value is neither; \
                 give it another type"
            ))
        }
        error => failed(error),
    })?;
    counts.imported += 1;
    Ok(())
}
