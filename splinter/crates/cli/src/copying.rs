//! Copying a store key by key, while others use it: each key as it was at one moment, none half. The copy is
//! seen once it is whole. Knows no command.

use crate::failure::Failure;
use crate::fatal;
use crate::interchange::{Entry, bits};
use crate::output::shown;
use crate::session::patiently;
use splinter::{Config, Draft, Error, LABELS, Location, Store, StoreError};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
/// Something of that name is there already, unless `force` is given; no room; a key that stayed busy.
pub fn copy_to(from: &Store, path: &Path, force: bool) -> Result<Copied, Failure> {
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
