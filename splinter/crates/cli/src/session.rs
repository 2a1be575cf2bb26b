//! The state that lasts from one command to the next: the open store, the prefix, the format and the output. Opens
//! stores and lists keys; knows no command.

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::labels::LabelFile;
use crate::options::{self, text};
use crate::output::{Format, json_bytes, json_text, listed, one_line, shown, write_json};
use crate::retry::{BUSY_TIMEOUT, retry_busy};
use crate::stdio;
use crate::store_file::{self, Lost};
use rustyline::history::{FileHistory, History};
use serde_json::{Value, json};
use splinter::{Error, Key, Location, Store, StoreError, Writer};
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

/// The name of the history file in the home folder.
const HISTORY: &str = ".splinter_history";

/// The state that lasts from one command to the next.
pub(crate) struct Session {
    /// Whether stores are files.
    pub(crate) persistent: bool,
    pub(crate) prefix: Vec<u8>,
    pub(crate) format: Format,
    /// The output; flushed after every command.
    pub(crate) out: Box<dyn Write>,
    /// Whether the output is a terminal, which would obey control characters.
    pub(crate) on_screen: bool,
    /// Whether the output that was flushed so far ends in a newline.
    at_line_start: Rc<Cell<bool>>,
    /// Whether a user types the commands.
    pub(crate) is_interactive: bool,
    /// Whether the commands come from standard input, which then cannot hold a value.
    pub(crate) reads_commands: bool,
    /// Whether a command (`exit`) ended the prompt or the script.
    pub(crate) is_over: bool,
    /// The state of Ctrl-C.
    pub(crate) interrupt: Interrupt,
    /// The file of the prompt's history, if any.
    pub(crate) history_file: Option<PathBuf>,
    /// The most lines of the history, if given.
    pub(crate) history_len: Option<usize>,
    pub(crate) labels: LabelFile,
    /// The lines entered at the prompt, those of earlier sessions first. None until they are needed or one is entered.
    pub(crate) entered: Option<Vec<String>>,
    /// The name of the store to open, until the first command that needs it.
    wanted: Option<Vec<u8>>,
    open: OnceCell<Open>,
    /// Whether to keep the writer for the next command. True in a script, since its lines follow directly.
    pub(crate) keeps_writer: bool,
    /// The writer that is kept.
    kept: Rc<RefCell<Option<Writer>>>,
}

/// A field of an answer: its name, its value, and its text for people if that is another one.
pub(crate) type Field = (&'static str, Value, Option<String>);

/// The open store, and the name the user gave for it.
struct Open {
    name: Vec<u8>,
    store: Store,
    /// When it was last checked that the name still refers to the store. None once the user was warned that it does
    /// not.
    checked: Cell<Option<Instant>>,
}

impl Session {
    /// Creates a session without an open store, which writes to standard output.
    pub(crate) fn new(invocation: &Invocation) -> Self {
        let (out, at_line_start) = stdio::output();
        Self {
            persistent: invocation.persistent,
            prefix: invocation.prefix.clone(),
            format: invocation.format,
            out: Box::new(out),
            on_screen: io::stdout().is_terminal(),
            at_line_start,
            is_interactive: false,
            reads_commands: false,
            is_over: false,
            interrupt: Interrupt::begin(),
            history_file: invocation
                .history_file
                .clone()
                .or_else(|| invocation.home.as_ref().map(|home| home.join(HISTORY))),
            history_len: invocation.history_len,
            labels: LabelFile::new(invocation),
            entered: None,
            wanted: invocation.use_store.clone(),
            open: OnceCell::new(),
            keeps_writer: false,
            kept: Rc::default(),
        }
    }

    /// Opens the store that the program was called with, if any. Without this call the first command that needs the
    /// store opens it. If it cannot be opened, no store is in use.
    pub(crate) fn connect(&mut self) -> Result<(), Failure> {
        self.wanted.take().map_or(Ok(()), |name| self.use_store(&name))
    }

    /// Returns the location of a store by its name: in shared memory, or a file in a persistent session.
    pub(crate) fn location(&self, name: &[u8]) -> Result<Location, Failure> {
        if self.persistent {
            return Ok(Location::file(options::path(name)));
        }
        Ok(Location::shared(text("the store's name", name)?)?)
    }

    /// Opens a store and uses it from now on. Opens it read-only if the user may only read it. If it cannot be opened,
    /// the store in use stays.
    pub(crate) fn use_store(&mut self, name: &[u8]) -> Result<(), Failure> {
        self.open = OnceCell::from(self.opened(name)?);
        self.release_writer();
        self.wanted = None;
        Ok(())
    }

    /// Opens a store without using it for the session.
    pub(crate) fn open_apart(&self, name: &[u8]) -> Result<Store, Failure> {
        Ok(self.opened(name)?.store)
    }

    fn opened(&self, name: &[u8]) -> Result<Open, Failure> {
        let location = self.location(name)?;
        let store = match Store::open(&location) {
            Err(StoreError::Os { source, .. })
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Store::open_read_only(&location)
            }
            opened => opened,
        };
        let store = store.map_err(|error| not_opened(name, error))?;
        Ok(Open { name: name.to_vec(), store, checked: Cell::new(Some(Instant::now())) })
    }

    /// Warns, once, if the name of the open store no longer refers to it. Checks before every command at a prompt, and
    /// once a second in a script.
    pub(crate) fn warn_if_lost(&self) {
        let Some(open) = self.open.get() else { return };
        let Some(checked) = open.checked.get() else { return };
        if !self.is_interactive && checked.elapsed() < store_file::CHECK_INTERVAL {
            return;
        }
        let place = open.store.location();
        let lost = store_file::lost(&open.store);
        open.checked.set(lost.is_none().then(Instant::now));
        match lost {
            None => {}
            Some(Lost::Removed) => {
                self.warn(&format!(
                    "the store {place} was removed: values set from now on are lost; save keeps a copy"
                ));
            }
            Some(lost) => {
                self.warn(&format!("the store {place} {lost}: this is the old one; use opens the new one"));
            }
        }
    }

    /// Closes the store in use, if it is the one at `location`.
    pub(crate) fn leave(&mut self, location: &Location) {
        if self.open.get().is_some_and(|open| open.store.location() == location) {
            self.open = OnceCell::new();
            self.release_writer();
        }
    }

    /// Returns the name of the open store, as the user gave it.
    pub(crate) fn store_name(&self) -> Option<&[u8]> {
        self.open.get().map(|open| open.name.as_slice())
    }

    /// Returns the name of the store to open, until a command has opened it.
    pub(crate) fn wanted_store(&self) -> Option<&[u8]> {
        self.wanted.as_deref()
    }

    /// Tells whether a store is open, or will be once a command needs it.
    pub(crate) fn has_store(&self) -> bool {
        self.open.get().is_some() || self.wanted.is_some()
    }

    /// Returns the store in use.
    pub(crate) fn store(&self) -> Result<&Store, Failure> {
        if let Some(open) = self.open.get() {
            return Ok(&open.store);
        }
        let name = self.wanted.as_ref().ok_or_else(|| {
            Failure::new("no store is in use; say which by --use, SPLINTER_DEFAULT_STORE or the command use")
        })?;
        let open = self.opened(name)?;
        Ok(&self.open.get_or_init(|| open).store)
    }

    /// Registers a writer of the store in use, for one command. The writer holds a writer id no longer than the command
    /// runs. In a script the next line gets the same writer, which knows where free slots are. A new writer would
    /// search from the first slot. Fails if all writer ids are taken for longer than 100 ms.
    pub(crate) fn writer(&self) -> Result<WriterGuard, Failure> {
        let return_to = self.keeps_writer.then(|| Rc::clone(&self.kept));
        if let Some(writer) = self.kept.take() {
            return Ok(WriterGuard { writer: Some(writer), return_to });
        }
        let store = self.store()?;
        let writer = splinter::retry(BUSY_TIMEOUT, || match store.writer() {
            Err(StoreError::TooManyWriters { .. }) => Err(Error::Again),
            writer => Ok(writer),
        });
        let writer = writer.unwrap_or_else(|_| store.writer())?;
        Ok(WriterGuard { writer: Some(writer), return_to })
    }

    /// Gives back the writer id of the kept writer, before a command that waits or needs all writer ids.
    pub(crate) fn release_writer(&self) {
        self.kept.take();
    }

    /// Begins a new line, unless the output ends in a newline. A prompt on the same line would overwrite the answer.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        if !self.at_line_start.get() {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }

    /// Prints a warning to standard error, as JSON if answers are.
    pub(crate) fn warn(&self, warning: &str) {
        let warning = one_line(warning);
        match self.format {
            Format::Json => stdio::print_stderr(&json_text(&json!({ "warning": warning }))),
            Format::Default | Format::Raw => stdio::print_stderr(&warning),
        }
    }

    /// Prints what a command found: `text` on a line, or `json`.
    pub(crate) fn print(&mut self, text: impl fmt::Display, json: &Value) -> Result<(), Failure> {
        match self.format {
            Format::Default | Format::Raw => writeln!(self.out, "{text}")?,
            Format::Json => write_json(&mut self.out, json)?,
        }
        Ok(())
    }

    /// Prints what a command has done: `text` on a line, `json`, or nothing with `--raw`.
    pub(crate) fn report(&mut self, text: impl AsRef<[u8]>, json: &Value) -> Result<(), Failure> {
        if self.format == Format::Default {
            self.out.write_all(&[text.as_ref(), b"\n"].concat())?;
        }
        self.answer(json)
    }

    /// Prints fields, a line each, or as one JSON object. A field that is the name of something is first and may be any
    /// bytes.
    pub(crate) fn print_fields(
        &mut self,
        named: Option<(&'static str, &[u8])>,
        fields: Vec<Field>,
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            let named = named.map(|(name, value)| (name.to_owned(), json_bytes(value)));
            let fields = fields.into_iter().map(|(name, value, _)| (name.to_owned(), value));
            return Ok(write_json(&mut self.out, &named.into_iter().chain(fields).collect())?);
        }
        if let Some((name, value)) = named {
            self.out.write_all(&[name.as_bytes(), b": ", &*listed(value), b"\n"].concat())?;
        }
        for (name, value, text) in fields {
            let text = text.unwrap_or_else(|| match value {
                Value::Bool(is_so) => if is_so { "yes" } else { "no" }.to_owned(),
                Value::String(text) => text,
                value => value.to_string(),
            });
            writeln!(self.out, "{name}: {text}")?;
        }
        Ok(())
    }

    /// Prints `answer` if the format is JSON, and nothing otherwise.
    pub(crate) fn answer(&mut self, answer: &Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            write_json(&mut self.out, answer)?;
        }
        Ok(())
    }

    /// Prints `answer`, with the key and its epoch if it exists, if the format is JSON, and nothing otherwise.
    pub(crate) fn answer_of(&mut self, store: &Store, key: &[u8], mut answer: Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            answer["key"] = json_bytes(key);
            if let Ok(epoch) = retry_busy(|| store.epoch(key)) {
                answer["epoch"] = epoch.into();
            }
        }
        self.answer(&answer)
    }

    /// Tells whether Ctrl-C was pressed while this command ran.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_pressed()
    }

    /// Returns the lines entered at the prompt, the oldest first.
    pub(crate) fn history(&mut self) -> Vec<String> {
        let file = self.history_file.as_deref();
        let read = |file: &Path| read_history(file, self.history_len);
        self.entered.get_or_insert_with(|| file.map(read).unwrap_or_default()).clone()
    }

    /// Returns a key with the prefix in front.
    pub(crate) fn key(&self, word: &[u8]) -> Vec<u8> {
        [&self.prefix, word].concat()
    }

    /// Lists the keys under the session's prefix, in the reverse order of slots. That is the newest first, as long as
    /// one program at a time creates keys and none is removed.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, Failure> {
        let mut keys: Vec<Key> = self.store()?.keys().collect();
        keys.retain(|key| key.as_ref().starts_with(&self.prefix));
        keys.reverse();
        Ok(keys)
    }
}

/// A writer, lent to a command. When dropped, it is kept for the next command, or gives back its writer id.
pub(crate) struct WriterGuard {
    /// Always there, until the guard is dropped.
    writer: Option<Writer>,
    return_to: Option<Rc<RefCell<Option<Writer>>>>,
}

impl Deref for WriterGuard {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        self.writer.as_ref().expect("the guard was not dropped")
    }
}

impl DerefMut for WriterGuard {
    fn deref_mut(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("the guard was not dropped")
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        if let Some(return_to) = &self.return_to {
            return_to.replace(self.writer.take());
        }
    }
}

/// Reads the history from a file; returns nothing if that cannot be read.
fn read_history(file: &Path, most: Option<usize>) -> Vec<String> {
    let mut history = FileHistory::new();
    most.map(|most| history.set_max_len(most));
    let _ = history.load(file);
    history.iter().cloned().collect()
}

/// Turns an error about opening a store into a failure. A missing store gets the advice to create it.
fn not_opened(name: &[u8], error: StoreError) -> Failure {
    match error {
        StoreError::Missing(place) => {
            let name = shown(name);
            Failure::new(format!("there is no store {name} ({place}); init makes one"))
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry};
    use splinter_testkit::Named;
    use std::ffi::OsString;

    #[test]
    fn in_a_script_the_next_line_gets_the_same_writer_which_begins_where_there_was_room() {
        let name = Named::new();
        let geometry = Geometry { slots: 256, max_value_len: 64, vector_dim: 0, max_writers: 2 };
        let store = Store::create(&name.0, &Config { geometry, ..Config::default() }).unwrap();
        let Location::Shared(shared) = &name.0 else { panic!("{name:?} is in shared memory") };
        let args = ["splinter_cli", "--use", shared.as_str()].map(OsString::from);
        let mut session = Session::new(&Invocation::parse(&args, |_| None).unwrap());
        session.keeps_writer = true;
        let set = |key: &str| session.writer().unwrap().set(key, b"").unwrap();
        let place = |key: &str| store.keys().position(|found| found.as_ref() == key.as_bytes());
        (0..128).for_each(|key| set(&key.to_string()));
        let mut other = store.writer().unwrap();
        assert!(matches!(store.writer(), Err(StoreError::TooManyWriters { .. })), "the writer id is kept");
        // The first slot is free now. Only a new writer finds it; the kept one does not look there.
        other.unset("0").unwrap();
        set("behind");
        assert_eq!(place("behind"), Some(127));
        session.release_writer();
        set("in front");
        assert_eq!(place("in front"), Some(0));
        session.release_writer();
        assert!(store.writer().is_ok(), "the writer id is given back");
        session.keeps_writer = false;
        drop(session.writer().unwrap());
        assert!(store.writer().is_ok(), "outside a script no writer id is kept");
    }
}
