//! The command `list`: lists the keys, with their epochs and lengths.

use super::prelude::*;
use crate::options::text;
use crate::output::{json_bytes, listed, shown, write_json};
use crate::retry::retry_busy;
use crate::table;
use regex::bytes::Regex;
use serde_json::Value;
use splinter::{Error, Key};

pub(super) static COMMAND: Command = Command {
    name: "list",
    usage: &["[PATTERN] [--label MASK]"],
    summary: "Lists the keys",
    details: "\
PATTERN is a regular expression, which must match somewhere in the key without
the prefix: ^user: finds the keys that begin with user:. Under a prefix, the
command lists only the keys under it, by their whole names. Keys come in the
order of their slots, the last first. That is the newest first, as long as one
program at a time creates keys and none is removed. Control characters are
escapes; --raw prints the names unchanged.",
    args: &[Arg::optional("PATTERN", Kind::Text)],
    options: &[Opt::valued("--label", "MASK", "lists the keys that have all labels in MASK")],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let keys = matching(session, call.get(0))?;
    let labels = call.value("--label").map(|word| session.labels.mask("--label", word, &session.interrupt));
    let labels = labels.transpose()?.unwrap_or(0);
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        let store = session.store()?;
        match retry_busy(|| store.snapshot(key)) {
            Ok(slot) if slot.labels & labels == labels => {
                rows.push((key, slot.epoch, slot.value_len));
            }
            Ok(_) => {}
            // It was removed after it was listed.
            Err(Error::NotFound) => {}
            Err(error) => return Err(Failure::key(key.as_ref(), error)),
        }
    }
    let out = &mut session.out;
    match session.format {
        Format::Default => {
            let number = |number: u64| number.to_string().into_bytes().into();
            let row = |(key, epoch, len): &(Key, u64, usize)| {
                vec![listed(key.as_ref()).into_owned().into(), number(*epoch), number(*len as u64)]
            };
            let rows: Vec<table::Row<'_>> = rows.iter().map(row).collect();
            table::write(out, &["Key Name", "Epoch", "Value Length"], &rows)?;
        }
        Format::Json => {
            let row = |(key, epoch, len): &(Key, u64, usize)| json!({ "key": json_bytes(key.as_ref()), "epoch": epoch, "value_length": len });
            write_json(out, &Value::Array(rows.iter().map(row).collect()))?;
        }
        Format::Raw => {
            for (key, ..) in rows {
                out.write_all(key.as_ref())?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// Lists the keys under the prefix that match a pattern; all of them if there is none.
pub(super) fn matching(session: &Session, pattern: Option<&[u8]>) -> Result<Vec<Key>, Failure> {
    let mut keys = session.keys()?;
    if let Some(pattern) = pattern {
        let pattern = regex(pattern)?;
        let from = session.prefix.len();
        keys.retain(|key| key.as_ref().get(from..).is_some_and(|rest| pattern.is_match(rest)));
    }
    Ok(keys)
}

/// Compiles a pattern.
pub(super) fn regex(pattern: &[u8]) -> Result<Regex, Failure> {
    let pattern = text("PATTERN", pattern)?;
    Regex::new(pattern).map_err(|error| {
        // The last line of the error names the mistake. The others draw its place.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let pattern = shown(pattern.as_bytes());
        Failure::usage(format!("{pattern} is not a regular expression: {why}"))
    })
}
