//! Copies a store key by key, while other processes use it: each key as it was at one moment, never half a key. Converts
//! a store of an older format likewise, and copies a damaged store byte by byte. A copy gets its name once it is complete.
//! Knows no command.

use crate::atomic_file::{AtomicFile, is_same, sync_folder_of};
use crate::entry::{Entry, bits};
use crate::failure::Failure;
use crate::fatal_signals;
use crate::old_format::OldStore;
use crate::output::{shown, shown_path};
use crate::retry::retry_busy;
use crate::store_file::{self, data_from};
use splinter::{Config, Draft, Error, Eviction, Geometry, LABELS, Location, Reserve, Store, StoreError};
use std::fs::File;
use std::io;
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
/// The copy has the same sizes, way of eviction, scrub level, flags and groups of labels, sketches if the store has them,
/// and each key as it was at one moment. It has room for all of them, so a copy of a cache evicts none. Epochs start again, and so does the order in
/// which a cache evicts. Refuses the store itself, and without `force` a name that exists.
pub(crate) fn copy_to(from: &Store, path: &Path, force: bool) -> Result<Copied, Failure> {
    let groups = std::array::from_fn(|label| from.label_groups(label as u8));
    let (geometry, eviction, flags) = (from.geometry(), from.eviction(), from.flags().bits());
    let settings = Settings { geometry, eviction, sketches: from.has_sketches(), flags, groups };
    make_copy(&store_file::path(from.location()), path, force, &settings, |to| copy_keys(from, to))
}

/// As [`copy_to`], from a store of an older format, which becomes one of this release's.
pub(crate) fn convert_to(from: &OldStore, path: &Path, force: bool) -> Result<Copied, Failure> {
    // No store of an older format is a cache.
    let eviction = Eviction::Expired;
    let (geometry, flags, groups) = (from.geometry(), from.flags(), from.label_groups());
    let settings = Settings { geometry, eviction, sketches: true, flags, groups };
    make_copy(from.path(), path, force, &settings, |to| {
        let mut writer = to.writer()?;
        from.for_each_entry(|entry| {
            let failed = |error| Failure::key(&entry.key, error);
            if to.contains(&entry.key).map_err(failed)? {
                let key = shown(&entry.key);
                let advice = "if programs write to it, stop them, and try again";
                return Err(Failure::new(format!("{} has the key {key} twice; {advice}", from.name())));
            }
            entry.put_unseen(&mut writer).map_err(failed)
        })?;
        Ok(Copied { keys: to.len(), vanished: 0 })
    })
}

/// What a copy has of a store besides keys.
struct Settings {
    geometry: Geometry,
    eviction: Eviction,
    sketches: bool,
    flags: u32,
    /// The groups of each label.
    groups: [u64; LABELS],
}

/// The flag that a C program armed the event bus, which nobody has done in a copy.
const ARMED: u32 = 1 << 3;

/// Makes a store at `path` of the store in the file `from`, whose keys `fill` copies.
fn make_copy(
    from: &Path,
    path: &Path,
    force: bool,
    settings: &Settings,
    fill: impl FnOnce(&Store) -> Result<Copied, Failure>,
) -> Result<Copied, Failure> {
    if is_same(from, path) {
        let name = shown_path(path);
        return Err(Failure::new(format!("{name} is the store itself; give another name")));
    }
    // A copy takes the memory that its keys need, and no more.
    let reserve = Reserve::Nothing;
    let Settings { geometry, eviction, sketches, .. } = *settings;
    let config = Config { geometry, eviction, sketches, reserve, ..Config::default() };
    let make = if force { Draft::replacing } else { Draft::new };
    let draft = make(&Location::file(path), &config).map_err(|error| refused(path, error))?;
    let _guard = draft.temporary().map(RemoveOnSigbus::new);
    let to = draft.store();
    // These have the scrub level, too.
    to.flags().clear(u32::MAX)?;
    to.flags().set(settings.flags & !ARMED)?;
    for (label, groups) in (0..).zip(settings.groups) {
        for group in bits(groups) {
            to.register_labels(1 << label, group)?;
        }
    }
    let copied = fill(to)?;
    to.flush()?;
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

/// Copies every key.
fn copy_keys(from: &Store, to: &Store) -> Result<Copied, Failure> {
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
