//! What lasts from one command to the next: the open store, the prefix, the format, where answers go. Opens stores and
//! reads keys' names; what a command does with them is its own business.

use crate::command::text;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::labels;
use crate::output::{Format, cut, json_bytes, json_text, shown, write_json};
use crate::presence::{self, Lost};
use crate::standard;
use rustyline::history::{FileHistory, History};
use serde_json::{Value, json};
use splinter::{Error, Key, Location, Store, StoreError, Writer};
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// For how long a busy key, or a store whose lanes are all taken, is tried again.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// The history's name in the home folder.
const HISTORY: &str = ".splinter_history";

/// What lasts from one command to the next.
pub struct Session {
    /// Whether stores are files.
    pub persistent: bool,
    /// What is put in front of every key.
    pub prefix: Vec<u8>,
    /// How answers are written.
    pub format: Format,
    /// Where answers go; flushed after every command.
    pub out: Box<dyn Write>,
    /// Whether that is a terminal, which would obey what it is sent.
    pub on_screen: bool,
    /// Whether the last answer ended in a newline, as far as it was flushed.
    at_line_start: Rc<Cell<bool>>,
    /// Whether somebody types the commands.
    pub is_interactive: bool,
    /// Whether the commands come from standard input, which then has no value to give.
    pub reads_commands: bool,
    /// Whether a command said that it was the last.
    pub is_over: bool,
    /// Whether Ctrl-C was pressed while a command ran.
    pub interrupt: Interrupt,
    /// Where the prompt keeps its history, if anywhere.
    pub history_file: Option<PathBuf>,
    /// How many lines of it there are at most, if that was said.
    pub history_len: Option<usize>,
    /// The file that gives labels their names, if there is one; and how it is called in messages.
    pub label_file: Option<(PathBuf, String)>,
    /// The lines entered at the prompt, earlier sessions' first; none until they are asked for or entered.
    pub entered: Option<Vec<String>>,
    /// The store that is to be in use, until the first command that needs it.
    wanted: Option<Vec<u8>>,
    open: OnceCell<Open>,
    /// Whether a writer is kept for the next command: in a script, whose lines come one right after the other.
    pub keeps_writer: bool,
    /// The writer that is kept.
    kept: Rc<RefCell<Option<Writer>>>,
}

/// A store that is in use, and the name it was asked for by.
struct Open {
    name: Vec<u8>,
    store: Store,
    /// When it was looked at last whether it is still the one of its name; none once it was told that it is not.
    looked: Cell<Option<Instant>>,
}

impl Session {
    /// Begins a session without a store, which answers to standard output.
    pub fn new(invocation: &Invocation) -> Self {
        let (out, at_line_start) = standard::output();
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
            label_file: labels::file(invocation),
            entered: None,
            wanted: invocation.use_store.clone(),
            open: OnceCell::new(),
            keeps_writer: false,
            kept: Rc::default(),
        }
    }

    /// Opens the store that the program was called with, if it was: else the first command that needs it does.
    ///
    /// # Errors
    /// Why it cannot be opened. No store is in use then.
    pub fn connect(&mut self) -> Result<(), Failure> {
        self.wanted.take().map_or(Ok(()), |name| self.use_store(&name))
    }

    /// Returns where a store of a name is: in shared memory, or, in a persistent session, a file.
    ///
    /// # Errors
    /// A name that cannot be one: exit code 2.
    pub fn location(&self, name: &[u8]) -> Result<Location, Failure> {
        if self.persistent {
            return Ok(Location::file(OsStr::from_bytes(name)));
        }
        Ok(Location::shared(text("the store's name", name)?)?)
    }

    /// Opens a store and uses it from now on. One that may only be read is opened for reading.
    ///
    /// # Errors
    /// Why it cannot be opened; the store in use stays.
    pub fn use_store(&mut self, name: &[u8]) -> Result<(), Failure> {
        self.open = OnceCell::from(self.opened(name)?);
        self.release_writer();
        self.wanted = None;
        Ok(())
    }

    /// Opens a store beside the one in use.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open_apart(&self, name: &[u8]) -> Result<Store, Failure> {
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
        Ok(Open { name: name.to_vec(), store, looked: Cell::new(Some(Instant::now())) })
    }

    /// Says, once, that the store in use is not the one of its name any more. At a prompt it looks before every command, in a
    /// script once a second.
    pub fn tell_if_lost(&self) {
        let Some(open) = self.open.get() else { return };
        let Some(looked) = open.looked.get() else { return };
        if !self.is_interactive && looked.elapsed() < presence::LOOK {
            return;
        }
        let place = open.store.location();
        let lost = presence::lost(&open.store);
        open.looked.set(lost.is_none().then(Instant::now));
        match lost {
            None => {}
            Some(Lost::Removed) => {
                self.warn(&format!(
                    "the store {place} was removed: values set from now on are lost; save keeps a copy"
                ));
            }
            Some(lost) => {
                self.warn(&format!(
                    "the store {place} {lost}: this is the old one; use opens the new one"
                ));
            }
        }
    }

    /// Gives up the store in use, if it is the one at a location.
    pub fn leave(&mut self, location: &Location) {
        if self.open.get().is_some_and(|open| open.store.location() == location) {
            self.open = OnceCell::new();
            self.release_writer();
        }
    }

    /// Returns the name of the store that is open, as it was asked for.
    pub fn store_name(&self) -> Option<&[u8]> {
        self.open.get().map(|open| open.name.as_slice())
    }

    /// Tells whether a store is in use, or will be once a command needs it.
    pub fn has_store(&self) -> bool {
        self.open.get().is_some() || self.wanted.is_some()
    }

    /// Returns the store in use.
    ///
    /// # Errors
    /// There is none, or it cannot be opened: exit code 1.
    pub fn store(&self) -> Result<&Store, Failure> {
        if let Some(open) = self.open.get() {
            return Ok(&open.store);
        }
        let name = self.wanted.as_ref().ok_or_else(|| {
            Failure::new(
                "no store is in use; say which by --use, SPLINTER_DEFAULT_STORE or the command use",
            )
        })?;
        let open = self.opened(name)?;
        Ok(&self.open.get_or_init(|| open).store)
    }

    /// Registers a writer of the store in use, for one command: a lane is held no longer than that. In a script the next line
    /// gets the same writer, which knows where there is room: each new one would look for it from the first slot on.
    ///
    /// # Errors
    /// There is no store, it may only be read, or all its lanes are taken for longer than [`PATIENCE`].
    pub fn writer(&self) -> Result<Lent, Failure> {
        let keeper = self.keeps_writer.then(|| Rc::clone(&self.kept));
        if let Some(writer) = self.kept.take() {
            return Ok(Lent { writer: Some(writer), keeper });
        }
        let store = self.store()?;
        let is_busy = |error: &StoreError| matches!(error, StoreError::NoLane { .. });
        let writer = retried(|| store.writer(), is_busy)?;
        Ok(Lent { writer: Some(writer), keeper })
    }

    /// Gives back the lane of a writer that is kept, before anything waits, or needs all lanes.
    pub fn release_writer(&self) {
        self.kept.take();
    }

    /// Begins a new line, unless the last answer ended in one: a prompt would be written over it.
    ///
    /// # Errors
    /// Those of the output.
    pub fn end_line(&mut self) -> io::Result<()> {
        if !self.at_line_start.get() {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }

    /// Tells of something that is no failure, on standard error; in JSON, if answers are.
    pub fn warn(&self, warning: &str) {
        let warning = cut(warning.to_owned());
        match self.format {
            Format::Json => standard::complain(&json_text(&json!({ "warning": warning }))),
            Format::Default | Format::Raw => standard::complain(&warning),
        }
    }

    /// Answers in JSON, if that is asked for; else what was done needs no words.
    ///
    /// # Errors
    /// Those of the output.
    pub fn answer(&mut self, answer: &Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            write_json(&mut self.out, answer)?;
        }
        Ok(())
    }

    /// Answers in JSON what became of a key, with its name, and its epoch if it is there; as [`Self::answer`] else.
    ///
    /// # Errors
    /// Those of the output.
    pub fn answer_of(
        &mut self,
        store: &Store,
        key: &[u8],
        mut answer: Value,
    ) -> Result<(), Failure> {
        if self.format == Format::Json {
            answer["key"] = json_bytes(key);
            if let Ok(epoch) = patiently(|| store.epoch(key)) {
                answer["epoch"] = epoch.into();
            }
        }
        self.answer(&answer)
    }

    /// Tells whether Ctrl-C was pressed while this command ran.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.is_pressed()
    }

    /// Returns the lines entered at the prompt, the oldest first.
    pub fn history(&mut self) -> Vec<String> {
        let file = self.history_file.as_deref();
        let read = |file: &Path| read_history(file, self.history_len);
        self.entered.get_or_insert_with(|| file.map(read).unwrap_or_default()).clone()
    }

    /// Puts the prefix in front of a key.
    pub fn key(&self, word: &[u8]) -> Vec<u8> {
        [&self.prefix, word].concat()
    }

    /// Lists the keys that begin with the session's prefix, the last slot first: the newest key first, as long as one
    /// program at a time makes keys and none is removed.
    ///
    /// # Errors
    /// There is no store.
    pub fn keys(&self) -> Result<Vec<Key>, Failure> {
        let mut keys: Vec<Key> = self.store()?.keys().collect();
        keys.retain(|key| key.as_ref().starts_with(&self.prefix));
        keys.reverse();
        Ok(keys)
    }
}

/// A writer that a command has. Afterwards it is kept for the next one, or gives back its lane.
pub struct Lent {
    /// Is there until it is dropped.
    writer: Option<Writer>,
    keeper: Option<Rc<RefCell<Option<Writer>>>>,
}

impl Deref for Lent {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        self.writer.as_ref().expect("a writer that was not dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("a writer that was not dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.replace(self.writer.take());
        }
    }
}

/// Reads a prompt's history; nothing where there is none that can be read.
fn read_history(file: &Path, most: Option<usize>) -> Vec<String> {
    let mut history = FileHistory::new();
    most.map(|most| history.set_max_len(most));
    let _ = history.load(file);
    history.iter().cloned().collect()
}

/// Says how to make a store that is not there.
fn not_opened(name: &[u8], error: StoreError) -> Failure {
    match error {
        StoreError::Missing(place) => {
            let name = shown(name);
            Failure::new(format!("there is no store {name} ({place}); init makes one"))
        }
        error => error.into(),
    }
}

/// Tries again while the key is busy, for [`PATIENCE`] at most.
///
/// # Errors
/// Those of `attempt`; [`Error::Again`] when patience ends.
pub fn patiently<T>(attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    retried(attempt, |error| *error == Error::Again)
}

/// Tries again while `is_busy` says so of the error, for [`PATIENCE`] at most.
fn retried<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_busy: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut begun = None;
    loop {
        match attempt() {
            Err(error) if is_busy(&error) => {
                if begun.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    return Err(error);
                }
                thread::sleep(Duration::from_micros(100));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry};
    use std::ffi::OsString;

    /// The name of a store, which is gone in the end.
    struct Named(String);

    impl Drop for Named {
        fn drop(&mut self) {
            let _ = Location::shared(&*self.0).and_then(|location| location.unlink());
        }
    }

    #[test]
    fn in_a_script_the_next_line_gets_the_same_writer_which_begins_where_there_was_room() {
        let name = Named(format!("splinter-cli-kept-{}", std::process::id()));
        let location = Location::shared(&*name.0).unwrap();
        let geometry = Geometry { slots: 256, max_value_len: 64, vector_dim: 0, lanes: 2 };
        let store = Store::create(&location, &Config { geometry, ..Config::default() }).unwrap();
        let args = ["splinter_cli", "--use", &name.0].map(OsString::from);
        let mut session = Session::new(&Invocation::parse(&args, |_| None).unwrap());
        session.keeps_writer = true;
        let set = |key: &str| session.writer().unwrap().set(key, b"").unwrap();
        let place = |key: &str| store.keys().position(|found| found.as_ref() == key.as_bytes());
        (0..128).for_each(|key| set(&key.to_string()));
        let mut other = store.writer().unwrap();
        assert!(matches!(store.writer(), Err(StoreError::NoLane { .. })), "the lane is kept");
        // There is room in front by now, where a writer that is new finds it, and nobody else looks.
        other.unset("0").unwrap();
        set("behind");
        assert_eq!(place("behind"), Some(127));
        session.release_writer();
        set("in front");
        assert_eq!(place("in front"), Some(0));
        session.release_writer();
        assert!(store.writer().is_ok(), "and given back");
        session.keeps_writer = false;
        drop(session.writer().unwrap());
        assert!(store.writer().is_ok(), "without a script none is kept");
    }

    #[test]
    fn a_busy_key_is_tried_again_and_not_for_ever() {
        let mut left = 3;
        let done = patiently(|| {
            left -= 1;
            if left > 0 { Err(Error::Again) } else { Ok(()) }
        });
        assert_eq!((done, left), (Ok(()), 0));
        assert_eq!(patiently(|| Err::<(), _>(Error::Again)), Err(Error::Again));
        assert_eq!(patiently(|| Err::<(), _>(Error::Full)), Err(Error::Full));
    }
}
