//! The command `logtee`: appends the values of keys, and all their changes, to a file. Removes nothing from the store.

use super::list::regex;
use super::prelude::*;
use crate::atomic_file::is_same;
use crate::envelope::{Envelope, Type, now_ms};
use crate::options;
use crate::output::{json_bytes, json_text, listed, shown, write_json, write_value};
use crate::retry::retry_forever;
use crate::stdio;
use crate::store_file::{self, StoreCheck};
use crate::time::deadline;
use crate::value::Reading;
use crate::wait::{SlotKeys, TIMEOUT, is_over, next_check};
use regex::bytes::Regex;
use serde_json::Value;
use splinter::{Change, Error, Key, Store, StoreError};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

pub(super) static COMMAND: Command = Command {
    name: "logtee",
    usage: &["FILE [PATTERN] [--once] [--count N] [--timeout SPAN] [--envelope]"],
    summary: "Writes keys and their changes into a file, and removes none",
    details: "\
It appends to FILE a line for each key that matches PATTERN, as for list, and
then a line for each change of these keys, until it is ended. --once ends it
after the first part. It creates FILE if it is missing; - is standard output. A
line is the key, as list shows it, and its value, as in KEY LEN:VALUE. With
--raw both are unchanged. With --json it is an object with key, epoch, time in
milliseconds since 1970, and value; with --envelope, an event with that object
(see send). Removed keys get a line, too. If changes follow each other faster
than it can write, it writes the last one.",
    args: &[Arg::one("FILE", Kind::File), Arg::optional("PATTERN", Kind::Text)],
    options: &[
        Opt::flag("--once", "ends when all keys are written"),
        Opt::valued("--count", "N", "ends after N lines").short('n'),
        TIMEOUT,
        Opt::flag("--envelope", "writes envelopes").short('e'),
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let end = deadline(call.span(TIMEOUT.long)?);
    let left = call.number("--count")?.unwrap_or(u64::MAX);
    let pattern = call.get(1).map(regex).transpose()?;
    let store = session.store()?.clone();
    let form = match session.format {
        _ if call.has("--envelope") => Form::Envelope,
        Format::Json => Form::Json,
        format => Form::Line(format),
    };
    let file = call.arguments[0];
    if file != b"-" && is_same(options::path(file), &store_file::path(store.location())) {
        return Err(Failure::new(format!("{} is the store itself; give another FILE", shown(file))));
    }
    let (out, writing) = open(file)?;
    let from = String::from_utf8_lossy(session.store_name().unwrap_or_default()).into_owned();
    let (logged, seq) = (HashMap::new(), 0);
    let mut log = Log {
        store,
        pattern,
        prefix: session.prefix.clone(),
        form,
        out,
        writing,
        from,
        logged,
        seq,
        left,
        on_screen: file == b"-" && session.on_screen,
    };
    if call.has("--once") {
        let keys: Vec<Key> = log.store.keys().collect();
        keys.into_iter().try_for_each(|key| log.key(key))?;
        return log.flush();
    }
    // Register the watcher first, so that no change is missed while all keys are written.
    let mut watcher = log.store.watch_all().map_err(|error| match error {
        StoreError::ReadOnly => Failure::new(format!("{error}; --once writes what is there")),
        error => error.into(),
    })?;
    let mut slot_keys = SlotKeys::default();
    let mut store_check = StoreCheck::new();
    let mut changes = Vec::new();
    watcher.resync(|change| changes.push(change));
    loop {
        changes.drain(..).try_for_each(|change| log.change(&mut slot_keys, &change))?;
        log.flush()?;
        if log.left == 0 || session.is_interrupted() || is_over(end) {
            return Ok(());
        }
        store_check.run_if_due(&log.store)?;
        let mut next = watcher.wait(Some(next_check(session, end)));
        loop {
            match next {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => break,
                // Changes were missed, perhaps removals.
                Err(_) => {
                    watcher.resync(|change| changes.push(change));
                    log.miss()?;
                    break;
                }
            }
            // Take the changes that are already there as well, up to a limit, so that the clock is checked in between.
            if changes.len() >= 1000 {
                break;
            }
            next = watcher.try_next();
        }
    }
}

/// The format of a line.
#[derive(Clone, Copy)]
enum Form {
    Line(Format),
    Json,
    Envelope,
}

struct Log {
    store: Store,
    pattern: Option<Regex>,
    prefix: Vec<u8>,
    form: Form,
    out: Box<dyn Write>,
    /// The operation on the file, for messages; empty for standard output.
    writing: String,
    from: String,
    /// The last epoch written of each key.
    logged: HashMap<Key, u64>,
    seq: u64,
    /// How many lines are still to be written.
    left: u64,
    /// Whether the output is a terminal, which would obey control characters.
    on_screen: bool,
}

/// Opens the output, and returns the operation on it for messages.
fn open(path: &[u8]) -> Result<(Box<dyn Write>, String), Failure> {
    if path == b"-" {
        return Ok((Box::new(stdio::output().0), String::new()));
    }
    let writing = format!("write {}", shown(path));
    let file = OpenOptions::new().append(true).create(true).open(options::path(path));
    let file = file.map_err(|error| Failure::io(&writing, &error))?;
    let mut out = BufWriter::new(file);
    if is_cut_short(path) {
        out.write_all(b"\n")?;
    }
    Ok((Box::new(out), writing))
}

/// Tells whether a file ends in the middle of a line, as a file on a disk that filled up can.
fn is_cut_short(path: &[u8]) -> bool {
    let (path, mut last) = (options::path(path), [0]);
    let len = fs::metadata(path).map_or(0, |about| if about.is_file() { about.len() } else { 0 });
    let read = |file: File| file.read_exact_at(&mut last, len - 1);
    len > 0 && File::open(path).and_then(read).is_ok() && last != *b"\n"
}

impl Log {
    /// Writes the changed key's value, and the removal of the key that the slot held before.
    fn change(&mut self, slot_keys: &mut SlotKeys, change: &Change) -> Result<(), Failure> {
        if let Some(gone) = slot_keys.record(change)
            && self.logged.remove(&gone).is_some()
            && self.store.contains(gone) == Ok(false)
        {
            self.write(gone, None)?;
        }
        change.key.map_or(Ok(()), |key| self.key(key))
    }

    /// Writes the removals among the keys that were logged.
    fn miss(&mut self) -> Result<(), Failure> {
        let keys: Vec<Key> = self.logged.keys().copied().collect();
        for key in keys {
            if self.store.contains(key) == Ok(false) {
                self.logged.remove(&key);
                self.write(key, None)?;
            }
        }
        Ok(())
    }

    /// Writes a key's value, unless that epoch was written already.
    fn key(&mut self, key: Key) -> Result<(), Failure> {
        let bare = key.as_ref().strip_prefix(&*self.prefix);
        let fits = |bare| self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(bare));
        if !bare.is_some_and(fits) {
            return Ok(());
        }
        match retry_forever(|| Reading::of(&self.store, key.as_ref())) {
            Ok(value) if self.logged.insert(key, value.epoch) == Some(value.epoch) => Ok(()),
            Ok(value) => self.write(key, Some(&value)),
            // It was removed meanwhile. A change that reports this will come.
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(Failure::key(key.as_ref(), error)),
        }
    }

    /// Writes a line: the value, or the removal of the key.
    fn write(&mut self, key: Key, value: Option<&Reading>) -> Result<(), Failure> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let done = self.try_write(key.as_ref(), value);
        done.map_err(|error| self.failed(error))
    }

    fn try_write(&mut self, key: &[u8], value: Option<&Reading>) -> io::Result<()> {
        let mut answer = json!({ "key": json_bytes(key) });
        match value {
            Some(value) => {
                answer["epoch"] = json!(value.epoch);
                answer["value"] = value.json();
            }
            None => answer["removed"] = Value::Bool(true),
        }
        let out = &mut self.out;
        match self.form {
            Form::Line(format) => {
                // A key with a newline must not look like two lines.
                match format {
                    Format::Raw => out.write_all(key)?,
                    _ => out.write_all(&listed(key))?,
                }
                let Some(value) = value else { return out.write_all(b" was removed\n") };
                out.write_all(b" ")?;
                write_value(out, format, self.on_screen, &value.bytes)?;
                out.write_all(if format == Format::Raw { b"\n" } else { b"" })
            }
            Form::Json => {
                answer["ts"] = json!(now_ms());
                write_json(out, &answer)
            }
            Form::Envelope => {
                let mut envelope = Envelope::new(&*self.from, Type::Event, answer);
                envelope.seq = Some(self.seq);
                self.seq += 1;
                writeln!(out, "{}", json_text(&envelope))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Failure {
        if self.writing.is_empty() { error.into() } else { Failure::io(&self.writing, &error) }
    }
}
