//! Keeps the file of a new store unlinked or under a temporary name until it is complete, and then gives it its name:
//! a free one, or that of a file that it replaces. It knows files and names, not their contents.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::backing::Backing;
use super::location::{c_path, temporary_beside};
use super::sys;
use crate::error::StoreError;

/// How a new file is kept out of sight. Dropping it instead of revealing the file removes its temporary name, if any.
#[derive(Debug)]
pub(crate) enum UnlinkedFile {
    /// A memory file, which never gets a name.
    Nameless,
    /// An unnamed file in the directory of its future name (`O_TMPFILE`).
    Unnamed { target: PathBuf },
    /// A file with a temporary name beside its future name.
    Temporary { temporary: Temporary, target: PathBuf },
}

/// What happens to a file that already has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// It stays, and the new file does not get the name.
    Refuse,
    /// The new file replaces it.
    Replace,
}

/// A temporary name, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary(pub(super) PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing can be done about a failure, and a name already gone is what is wanted.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl UnlinkedFile {
    /// Returns the temporary name of the file, if it has one.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match self {
            Self::Temporary { temporary, .. } => Some(&temporary.0),
            Self::Nameless | Self::Unnamed { .. } => None,
        }
    }

    /// Gives the file its name, or seals its length if it is anonymous.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when another file has the name and `if_taken` refuses, [`StoreError::Os`] when the kernel
    /// refuses.
    pub(crate) fn reveal(self, region: &Backing, if_taken: IfTaken) -> Result<(), StoreError> {
        let fd = region.fd.as_fd();
        let named = match (&self, if_taken) {
            (Self::Nameless, _) => {
                let fixed = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
                let sealed = sys::add_seals(fd, fixed);
                return sealed.map_err(|e| StoreError::os("seal", region.location.to_string(), e));
            }
            (Self::Unnamed { target }, IfTaken::Refuse) => sys::link_descriptor(fd, &c_path(target)?),
            // `link` replaces no name, and `rename` moves no file without a name.
            (Self::Unnamed { target }, IfTaken::Replace) => {
                let temporary = Temporary(temporary_beside(target));
                sys::link_descriptor(fd, &c_path(&temporary.0)?)
                    .and_then(|()| std::fs::rename(&temporary.0, target))
            }
            (Self::Temporary { temporary, target }, IfTaken::Refuse) => name_new(&temporary.0, target)?,
            (Self::Temporary { temporary, target }, IfTaken::Replace) => {
                std::fs::rename(&temporary.0, target)
            }
        };
        let subject = || region.location.to_string();
        named.map_err(|e| {
            if is_taken(&e) { StoreError::Exists(subject()) } else { StoreError::os("name", subject(), e) }
        })
    }
}

/// Gives a file with a temporary name its own name by a second link, or, on file systems without links, by a rename
/// that replaces nothing. The guard removes the temporary name.
fn name_new(temporary: &Path, target: &Path) -> Result<io::Result<()>, StoreError> {
    let linked = std::fs::hard_link(temporary, target);
    Ok(match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            sys::rename_new(&c_path(temporary)?, &c_path(target)?)
                .map_err(|second| if is_taken(&second) { second } else { e })
        }
        named_or_taken => named_or_taken,
    })
}

fn is_taken(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EEXIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Directory;

    #[test]
    fn renaming_never_replaces() {
        let directory = Directory::new();
        let (from, to) = (directory.join("from"), directory.join("to"));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        let rename = || sys::rename_new(&c_path(&from).unwrap(), &c_path(&to).unwrap());
        assert!(is_taken(&rename().unwrap_err()));
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "old");
        std::fs::remove_file(&to).unwrap();
        rename().unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "new");
    }
}
