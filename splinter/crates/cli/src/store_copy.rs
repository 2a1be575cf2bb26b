//! Copies a store key by key, while other processes use it: each key as it was at one moment, never half a key. Also
//! copies a damaged store byte by byte. A copy gets its name once it is complete. Knows no command.

use crate::atomic_file::{AtomicFile, is_same, sync_folder_of};
use crate::entry::{Entry, bits};
use crate::failure::Failure;
use crate::fatal_signals;
use crate::output::shown_path;
use crate::retry::retry_busy;
use crate::store_file;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use splinter::{Config, Draft, Error, LABELS, Location, Reserve, Store, StoreError};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) keys: u64,
    /// How many keys were removed between being listed and being read.
    pub(crate) vanished: u64,
}

/// Copies a store into a file, which gets its name once it is complete and on the device.
///
/// The copy has the same sizes, scrub level, flags and groups of labels, and each key as it was at one moment. Epochs
/// start again. Refuses the store itself, and without `force` a name that exists.
pub(crate) fn copy_to(from: &Store, path: &Path, force: bool) -> Result<Copied, Failure> {
    if is_same(&store_file::path(from.location()), path) {
        let name = shown_path(path);
        return Err(Failure::new(format!("{name} is the store itself; give another name")));
    }
    // A copy takes the memory that its keys need, and no more.
    let reserve = Reserve::Nothing;
    let config = Config { geometry: from.geometry(), scrub: from.scrub(), reserve, ..Config::default() };
    let make = if force { Draft::replacing } else { Draft::new };
    let draft = make(&Location::file(path), &config).map_err(|error| refused(path, error))?;
    let _guard = draft.temporary().map(RemoveOnSigbus::new);
    let copied = copy_keys(from, draft.store())?;
    draft.store().flush()?;
    draft.publish().map_err(|error| refused(path, error))?;
    sync_folder_of(path);
    Ok(copied)
}

/// Copies a store into a new file byte by byte. The copy is as sparse as the store: parts that were never written take
/// no room.
pub(crate) fn copy_bytes(from: &Store, path: &Path) -> Result<(), Failure> {
    let reading = |error: &io::Error| Failure::io(&format!("read {}", from.location()), error);
    let file = from.fd().try_clone_to_owned().map_err(|error| reading(&error))?;
    let (file, to) = (File::from(file), AtomicFile::create(path, 0o600, false)?);
    let len = file.metadata().map_err(|error| reading(&error))?.len();
    to.file().set_len(len).map_err(|error| to.failed(&error))?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while let Some(data) = data_from(&file, at, len) {
        at = data.start;
        while at < data.end {
            let room = buffer.len().min((data.end - at) as usize);
            let read = file.read_at(&mut buffer[..room], at).map_err(|error| reading(&error))?;
            if read == 0 {
                // The file became shorter meanwhile.
                return to.finish();
            }
            let written = to.file().write_all_at(&buffer[..read], at);
            written.map_err(|error| to.failed(&error))?;
            at += read as u64;
        }
    }
    to.finish()
}

/// Finds the next bytes of a file, from `at` on, that were ever written.
fn data_from(file: &File, at: u64, len: u64) -> Option<Range<u64>> {
    let seek = |at: u64, whence| lseek(file, i64::try_from(at).unwrap_or(i64::MAX), whence);
    match seek(at, Whence::SeekData) {
        _ if at >= len => None,
        Ok(start) => {
            let end = seek(start as u64, Whence::SeekHole).map_or(len, |end| end as u64);
            Some(start as u64..end.min(len))
        }
        // There is no more data.
        Err(Errno::ENXIO) => None,
        // The file system cannot tell.
        Err(_) => Some(at..len),
    }
}

/// Turns the error about creating the copy at `path` into a failure.
fn refused(path: &Path, error: StoreError) -> Failure {
    match error {
        StoreError::Exists(_) => {
            let name = shown_path(path);
            Failure::new(format!("{name} exists already; --force replaces it"))
        }
        error => error.into(),
    }
}

/// Copies the settings of a store, and every key.
fn copy_keys(from: &Store, to: &Store) -> Result<Copied, Failure> {
    to.flags().set_user(from.flags().user())?;
    for label in 0..LABELS as u8 {
        for group in bits(from.label_groups(label)) {
            to.register_labels(1 << label, group)?;
        }
    }
    let mut writer = to.writer()?;
    let mut copied = Copied::default();
    for key in from.keys() {
        let failed = |error| Failure::key(key.as_ref(), error);
        match retry_busy(|| from.content(key)) {
            Ok(content) => Entry::from(content).put_unseen(&mut writer).map_err(failed)?,
            Err(Error::NotFound) => copied.vanished += 1,
            Err(error) => return Err(failed(error)),
        }
    }
    copied.keys = to.len();
    Ok(copied)
}

/// Makes SIGBUS remove the incomplete file, for as long as this guard lives.
struct RemoveOnSigbus;

impl RemoveOnSigbus {
    fn new(path: &Path) -> Self {
        fatal_signals::remove_on_sigbus(path);
        Self
    }
}

impl Drop for RemoveOnSigbus {
    fn drop(&mut self) {
        fatal_signals::keep_file();
    }
}
