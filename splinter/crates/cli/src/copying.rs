//! Copying a store key by key, while others use it: each key as it was at one moment, none half; or byte by byte, whatever is
//! wrong with it. The copy is seen once it is whole. Knows no command.

use crate::failure::Failure;
use crate::fatal;
use crate::interchange::{Entry, bits};
use crate::newfile::{NewFile, is_same};
use crate::output::shown;
use crate::session::patiently;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use splinter::{Config, Draft, Error, LABELS, Location, Store, StoreError};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What became of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many keys it has.
    pub keys: u64,
    /// How many were removed between being listed and being read.
    pub vanished: u64,
}

/// Writes a copy of a store into a file, which gets its name once it is complete and on the device.
///
/// The copy has the same sizes, scrub level, flags and routes, and each key as it was at one moment. Epochs begin anew.
///
/// # Errors
/// The file is the store itself; something of that name is there already, unless `force` is given; no room; a key that stayed busy.
pub fn copy_to(from: &Store, path: &Path, force: bool) -> Result<Copied, Failure> {
    if is_same(&path_of(from.location()), path) {
        let name = shown(path.as_os_str().as_bytes());
        return Err(Failure::new(format!("{name} is what is to be copied; give another name")));
    }
    let config = Config { geometry: from.geometry(), scrub: from.scrub(), ..Config::default() };
    let make = if force { Draft::replacing } else { Draft::new };
    let draft = make(&Location::file(path), &config).map_err(|error| refused(path, error))?;
    let _guard = draft.temporary().map(Unfinished::new);
    let copied = copy_keys(from, draft.store())?;
    draft.store().flush()?;
    draft.publish().map_err(|error| refused(path, error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // So that the name is on the device, too. Some file systems cannot do that for a folder; it is there all the same.
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    Ok(copied)
}

/// Writes a store into a new file as it is, byte by byte: what was never written takes no room there either.
///
/// # Errors
/// Something has that name already; what cannot be read or written.
pub fn copy_bytes(from: &Store, path: &Path) -> Result<(), Failure> {
    let reading = |error: &io::Error| Failure::io(&format!("read {}", from.location()), error);
    let file = from.fd().try_clone_to_owned().map_err(|error| reading(&error))?;
    let (file, to) = (File::from(file), NewFile::create(path, 0o600, false)?);
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
                // It is shorter by now.
                return to.finish();
            }
            let written = to.file().write_all_at(&buffer[..read], at);
            written.map_err(|error| to.failed(&error))?;
            at += read as u64;
        }
    }
    to.finish()
}

/// Finds the next bytes of a file that were ever written, from `at` on.
fn data_from(file: &File, at: u64, len: u64) -> Option<Range<u64>> {
    let seek = |at: u64, whence| lseek(file, i64::try_from(at).unwrap_or(i64::MAX), whence);
    match seek(at, Whence::SeekData) {
        _ if at >= len => None,
        Ok(start) => {
            let end = seek(start as u64, Whence::SeekHole).map_or(len, |end| end as u64);
            Some(start as u64..end.min(len))
        }
        // There is none any more.
        Err(Errno::ENXIO) => None,
        // The file system does not tell.
        Err(_) => Some(at..len),
    }
}

/// Says why there is no store at `path`.
fn refused(path: &Path, error: StoreError) -> Failure {
    match error {
        StoreError::Exists(_) => {
            let name = shown(path.as_os_str().as_bytes());
            Failure::new(format!("{name} exists already; --force replaces it"))
        }
        error => error.into(),
    }
}

/// Returns where the bytes of a store lie.
pub fn path_of(location: &Location) -> PathBuf {
    match location {
        Location::File(path) => path.clone(),
        shared => shared.to_string().into(),
    }
}

/// Copies what concerns a store as a whole, and every key.
fn copy_keys(from: &Store, to: &Store) -> Result<Copied, Failure> {
    to.set_user_flags(from.user_flags())?;
    for label in 0..LABELS as u8 {
        for group in bits(from.label_groups(label)) {
            to.register_labels(1 << label, group)?;
        }
    }
    let mut writer = to.writer()?;
    let mut copied = Copied::default();
    for key in from.keys() {
        let failed = |error| Failure::key(key.as_ref(), error);
        match patiently(|| from.content(key)) {
            Ok(content) => Entry::from(content).put_unseen(&mut writer).map_err(failed)?,
            Err(Error::NotFound) => copied.vanished += 1,
            Err(error) => return Err(failed(error)),
        }
    }
    copied.keys = to.len();
    Ok(copied)
}

/// Has a file that is not finished removed if the program ends for want of memory.
struct Unfinished;

impl Unfinished {
    fn new(path: &Path) -> Self {
        fatal::unfinished(path);
        Self
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        fatal::finished();
    }
}
