//! What lasts from one command to the next: the open store, the prefix, the format, where answers go. Opens stores and
//! reads keys' names; what a command does with them is its own business.

use crate::command::text;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::labels;
use crate::output::{Format, shown, write_json};
use crate::presence::{self, Lost};
use crate::standard;
use rustyline::history::{FileHistory, History};
use splinter::{Error, Key, Location, Store, StoreError, Writer};
use std::cell::{Cell, OnceCell};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
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
        Self {
            persistent: invocation.persistent,
            prefix: invocation.prefix.clone(),
            format: invocation.format,
            out: standard::output(),
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
                eprintln!(
                    "the store {place} was removed: values set from now on are lost; save keeps a copy"
                );
            }
            Some(lost) => {
                eprintln!("the store {place} {lost}: this is the old one; use opens the new one");
            }
        }
    }

    /// Gives up the store in use, if it is the one at a location.
    pub fn leave(&mut self, location: &Location) {
        if self.open.get().is_some_and(|open| open.store.location() == location) {
            self.open = OnceCell::new();
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

    /// Registers a writer of the store in use, for one command: a lane is held no longer than that.
    ///
    /// # Errors
    /// There is no store, it may only be read, or all its lanes are taken for longer than [`PATIENCE`].
    pub fn writer(&self) -> Result<Writer, Failure> {
        let store = self.store()?;
        let is_busy = |error: &StoreError| matches!(error, StoreError::NoLane { .. });
        Ok(retried(|| store.writer(), is_busy)?)
    }

    /// Answers in JSON, if that is asked for; else what was done needs no words.
    ///
    /// # Errors
    /// Those of the output.
    pub fn answer(&mut self, answer: &serde_json::Value) -> Result<(), Failure> {
        if self.format == Format::Json {
            write_json(&mut self.out, answer)?;
        }
        Ok(())
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
