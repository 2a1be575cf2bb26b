//! Copying a store key by key, while others use it: each key as it was at one moment, none half. What a file of a store is
//! called until it is whole, and how it gets its name. Knows no command.

use crate::failure::Failure;
use crate::fatal;
use crate::interchange::{Entry, bits};
use crate::output::shown;
use crate::session::patiently;
use splinter::{Config, Error, Location, Store};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
    if !force {
        refuse_existing(path)?;
    }
    let temporary = Temporary::beside(path);
    let location = Location::file(&temporary.0);

    let config = Config { geometry: from.geometry(), scrub: from.scrub(), ..Config::default() };
    let to = Store::create(&location, &config)?;
    let copied = copy_keys(from, &to)?;
    to.flush()?;
    drop(to);
    temporary.publish(path, force)?;
    Ok(copied)
}

fn refuse_existing(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        let name = shown(path.as_os_str().as_bytes());
        return Err(Failure::new(format!("{name} exists already; --force replaces it")));
    }
    Ok(())
}

/// Copies what concerns a store as a whole, and every key.
fn copy_keys(from: &Store, to: &Store) -> Result<Copied, Failure> {
    to.set_user_flags(from.user_flags())?;
    for label in 0..64 {
        for group in bits(from.label_groups(label)) {
            to.register_labels(1 << label, group)?;
        }
    }
    let mut writer = to.writer()?;
    let mut copied = Copied::default();
    for key in from.keys() {
        let failed = |error| Failure::key(key.as_ref(), error);
        match patiently(|| from.content(key)) {
            Ok(content) => Entry::from(content).put(&mut writer).map_err(failed)?,
            Err(Error::NotFound) => copied.vanished += 1,
            Err(error) => return Err(failed(error)),
        }
    }
    copied.keys = to.len();
    Ok(copied)
}

/// A file that is not finished, and goes if it never is.
pub struct Temporary(pub PathBuf);

impl Temporary {
    /// Makes up a hidden name beside `path`, which nothing has.
    pub fn beside(path: &Path) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!(".splinter-{}-{:x}", std::process::id(), now.as_nanos());
        let path = path.with_file_name(OsString::from(name));
        fatal::unfinished(&path);
        Self(path)
    }

    /// Gives the file its name, and makes sure that the name is on the device, too.
    ///
    /// # Errors
    /// Something else has the name by now, unless `force` is given; the kernel's refusal.
    pub fn publish(self, path: &Path, force: bool) -> Result<(), Failure> {
        let failed = |error: &io::Error| {
            Failure::io(&format!("make {}", shown(path.as_os_str().as_bytes())), error)
        };
        if force {
            fs::rename(&self.0, path).map_err(|error| failed(&error))?;
        } else {
            match fs::hard_link(&self.0, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    refuse_existing(path)?;
                }
                // A file system without links: somebody else may take the name between the two.
                Err(_) => {
                    refuse_existing(path)?;
                    fs::rename(&self.0, path).map_err(|error| failed(&error))?;
                }
                Ok(()) => {}
            }
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Some file systems cannot do that for a folder; the name is there all the same.
        let _ =
            fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        fatal::finished();
    }
}
