//! Histories in files: one JSON object a line, first a header, then an operation each, in any order. What the fields
//! mean is in `results/schema.md`.

use super::{Event, History, ObjectKind, OpKind};
use serde::{Deserialize, Serialize};
use splinter_harness::error::RunError;
use splinter_harness::files::{self, cannot_write};
use splinter_harness::input;
use splinter_harness::verdict::SCHEMA_VERSION;
use std::collections::{HashMap, TryReserveError};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

/// Bytes of the longest line that is taken: far more than an operation has.
const LONGEST_LINE: u64 = 4 << 20;

/// Why a history is not read.
#[derive(Debug)]
enum Unread {
    /// The kernel gives no memory for it.
    NoMemory,
    /// It is no history, for this reason.
    Wrong(String),
}

impl From<String> for Unread {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

impl From<TryReserveError> for Unread {
    fn from(_: TryReserveError) -> Self {
        Self::NoMemory
    }
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    schema_version: u32,
    kind: String,
    cycle_ns: f64,
    /// How many operations follow; older files do not say.
    #[serde(default)]
    operations: Option<u64>,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    invoked: u64,
    returned: u64,
    worker: u32,
    object: ObjectKind,
    #[serde(borrow)]
    key: std::borrow::Cow<'a, str>,
    operation: OpKind,
    #[serde(default, skip_serializing_if = "is_zero")]
    id: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    slot: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    epoch: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    len: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    size: u32,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a history to a file.
///
/// # Errors
/// One line that says what would do.
pub(crate) fn save(history: &History, path: &Path) -> Result<(), String> {
    files::replace(path, |file| write(history, file)).map_err(|error| cannot_write(path, error))
}

fn write(history: &History, file: &mut File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    let header = Header {
        schema_version: SCHEMA_VERSION,
        kind: "history".to_owned(),
        cycle_ns: history.cycle_ns,
        operations: Some(history.events.len() as u64),
    };
    serde_json::to_writer(&mut file, &header)?;
    for (object, (kind, name)) in history.objects.iter().enumerate() {
        for event in history.of(object) {
            let line = Line {
                invoked: event.invoked,
                returned: event.returned,
                worker: event.worker,
                object: *kind,
                key: name.as_str().into(),
                operation: event.op,
                id: event.id,
                slot: event.slot,
                epoch: event.epoch,
                len: event.len,
                size: event.size,
            };
            file.write_all(b"\n")?;
            serde_json::to_writer(&mut file, &line)?;
        }
    }
    file.write_all(b"\n")?;
    file.flush()
}

/// Reads a history from a file.
///
/// # Errors
/// One line that says what is wrong with it, or that there is no memory for it.
pub(crate) fn load(path: &Path) -> Result<History, RunError> {
    let name = path.display();
    let wrong = |why: String| {
        let why = printable(&why);
        RunError::Usage(format!("{name}: {why}; give a file that 'splinter-stress run --history=FILE' wrote"))
    };
    let file = input::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = BufReader::new(file);
    input::skip_mark(&mut text).map_err(|error| wrong(error.to_string()))?;
    read(text).map_err(|unread| match unread {
        Unread::NoMemory => RunError::Failed(format!(
            "{name}: there is not enough memory for it; raise the limit on memory (ulimit -v)"
        )),
        Unread::Wrong(why) => wrong(why),
    })
}

/// Escapes what a terminal obeys, line ends too: a file may have anything in it.
fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, c| {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
        shown
    })
}

/// Copies a text, or says that there is no memory for it.
fn copy(text: &str) -> Result<String, TryReserveError> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len())?;
    copy.push_str(text);
    Ok(copy)
}

fn read(mut text: impl BufRead) -> Result<History, Unread> {
    let mut line = String::new();
    if !next_line(&mut text, &mut line).map_err(|why| format!("line 1: {why}"))? {
        return Err("it is empty".to_owned().into());
    }
    let header: Header =
        serde_json::from_str(&line).map_err(|error| format!("line 1 is no header: {error}"))?;
    if header.kind != "history" || header.schema_version != SCHEMA_VERSION {
        return Err(format!(
            "it is a {} of version {}, not a history of version {SCHEMA_VERSION}",
            header.kind, header.schema_version
        )
        .into());
    }
    if !(header.cycle_ns.is_finite() && header.cycle_ns > 0.0) {
        return Err("line 1: a cycle takes no time".to_owned().into());
    }
    let mut numbers: HashMap<ObjectKind, HashMap<String, u32>> = HashMap::new();
    let mut objects = Vec::new();
    let mut events = Vec::new();
    for number in 2_u64.. {
        let at = |why: String| format!("line {number}: {why}");
        if !next_line(&mut text, &mut line).map_err(at)? {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let line: Line<'_> = serde_json::from_str(&line).map_err(|error| at(error.to_string()))?;
        check_line(&line).map_err(at)?;
        let numbers = numbers.entry(line.object).or_default();
        let key = if let Some(number) = numbers.get(&*line.key) {
            *number
        } else {
            let number = u32::try_from(objects.len()).unwrap_or(u32::MAX);
            numbers.try_reserve(1)?;
            numbers.insert(copy(&line.key)?, number);
            objects.try_reserve(1)?;
            objects.push((line.object, copy(&line.key)?));
            number
        };
        events.try_reserve(1)?;
        events.push(Event {
            invoked: line.invoked,
            returned: line.returned,
            worker: line.worker,
            key,
            op: line.operation,
            id: line.id,
            slot: line.slot,
            epoch: line.epoch,
            len: line.len,
            size: line.size,
        });
    }
    if let Some(said) = header.operations
        && events.len() as u64 != said
    {
        let found = events.len();
        return Err(format!("it has {found} operations, and line 1 says {said}: a part is missing").into());
    }
    drop(numbers);
    Ok(History::try_new(objects, header.cycle_ns, events.iter().copied())?)
}

/// Reads the next line into a text, in place of the last. Tells whether there was one.
fn next_line(text: &mut impl BufRead, line: &mut String) -> Result<bool, String> {
    line.clear();
    let read = text.take(LONGEST_LINE + 1).read_line(line).map_err(|error| error.to_string())?;
    if read as u64 > LONGEST_LINE {
        return Err(format!("it is longer than {} MiB", LONGEST_LINE >> 20));
    }
    Ok(read > 0)
}

/// Refuses operations that no history has.
fn check_line(line: &Line<'_>) -> Result<(), String> {
    if line.invoked > line.returned {
        return Err("it returned before it was invoked".to_owned());
    }
    let fits = match line.object {
        ObjectKind::Value => {
            !matches!(line.operation, OpKind::Add | OpKind::GetNumber | OpKind::Write | OpKind::Read)
        }
        ObjectKind::Counter => matches!(line.operation, OpKind::Set | OpKind::Add | OpKind::GetNumber),
        ObjectKind::Group | ObjectKind::Vector => {
            matches!(line.operation, OpKind::Write | OpKind::Read)
        }
    };
    if fits { Ok(()) } else { Err(format!("no {} has the operation {}", line.object, line.operation)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::Folder;

    const HEADER: &str = r#"{"schema_version":1,"kind":"history","cycle_ns":0.5}"#;

    #[test]
    fn a_history_is_read_back_as_it_was_written() {
        let event = |key, op, at| Event {
            invoked: at,
            returned: at + 5,
            worker: 3,
            key,
            op,
            id: 1 << 50 | at,
            slot: 7,
            epoch: 12,
            len: 64,
            size: 64,
        };
        let events = [event(0, OpKind::Set, 1), event(1, OpKind::Write, 2), event(0, OpKind::Get, 9)];
        let objects =
            vec![(ObjectKind::Value, "v0000000".to_owned()), (ObjectKind::Vector, "v0000000".to_owned())];
        let history = History::new(objects, 0.5, events.into_iter());
        let folder = Folder::new();
        let path = folder.join("history");
        save(&history, &path).unwrap();
        let back = load(&path).unwrap();
        // Cut at the end of a line, it is no whole history.
        let text = std::fs::read_to_string(&path).unwrap();
        let cut = text.trim_end().rsplit_once('\n').unwrap().0;
        std::fs::write(&path, format!("{cut}\n")).unwrap();
        let error = load(&path).unwrap_err();
        let RunError::Usage(error) = error else { panic!("{error}") };
        assert!(error.contains("2 operations, and line 1 says 3"), "{error}");
        assert_eq!((&back.objects, &back.events), (&history.objects, &history.events));
        assert_eq!((&back.starts, back.cycle_ns), (&history.starts, 0.5));
    }

    #[test]
    fn wrong_files_are_refused_in_one_line() {
        let line = r#"{"invoked":5,"returned":4,"worker":0,"object":"value","key":"k","operation":"get"}"#;
        for (text, why) in [
            (String::new(), "empty"),
            ("nonsense".to_owned(), "line 1"),
            (HEADER.replace("history", "run"), "a run"),
            (HEADER.replace("0.5", "0.0"), "no time"),
            (format!("{HEADER}\n{{}}"), "line 2"),
            ("x".repeat(5 << 20), "line 1: it is longer than 4 MiB"),
            (format!("{HEADER}\n{}", " ".repeat(5 << 20)), "line 2: it is longer"),
            (HEADER.replace('}', r#","operations":1}"#), "a part is missing"),
            (format!("{HEADER}\n{line}"), "line 2: it returned before"),
            (
                format!(
                    "{HEADER}\n{}",
                    line.replace("get", "add").replace("\"returned\":4", "\"returned\":6")
                ),
                "no value has the operation add",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            let Unread::Wrong(error) = error else { panic!("{error:?}") };
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
        }
    }
}
