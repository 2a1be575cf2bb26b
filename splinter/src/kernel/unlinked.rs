//! How a region is kept from sight until it is complete, and how it gets its name then: as a new one, or in the place of what
//! has it. Knows files and names; what is in them, and how they are made, is others' business.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::backing::Backing;
use super::location::{c_path, temporary_beside};
use super::sys;
use crate::error::StoreError;

/// How a staged region is kept from sight. Dropping it instead of revealing the region removes what name it has.
#[derive(Debug)]
pub(crate) enum UnlinkedFile {
    /// It is a memory file, and never gets a name.
    Nameless,
    /// It is an unnamed file of the directory its name will be in.
    Unnamed { target: PathBuf },
    /// It has a temporary name beside its name to be.
    Temporary { temporary: Temporary, target: PathBuf },
}

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfTaken {
    /// It stays, and the region does not get the name.
    Refuse,
    /// The region takes its place.
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
    /// Tells the temporary name that the region has, if it has one.
    pub(crate) fn temporary(&self) -> Option<&Path> {
        match self {
            Self::Temporary { temporary, .. } => Some(&temporary.0),
            Self::Nameless | Self::Unnamed { .. } => None,
        }
    }

    /// Makes the region visible under its name, or seals its length when it has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when something has the name and is not to be replaced.
    pub(crate) fn reveal(self, region: &Backing, if_taken: IfTaken) -> Result<(), StoreError> {
        let fd = region.fd.as_fd();
        let named = match (&self, if_taken) {
            (Self::Nameless, _) => {
                let fixed = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
                let sealed = sys::add_seals(fd, fixed);
                return sealed.map_err(|e| StoreError::os("seal", region.location.to_string(), e));
            }
            (Self::Unnamed { target }, IfTaken::Refuse) => sys::link_descriptor(fd, &c_path(target)?),
            // No link replaces a name, and no rename takes a file that has none.
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
        named.map_err(|e| taken_or("name", region.location.to_string(), e))
    }
}

/// Gives a file with a temporary name its own: by a second link, or, on file systems without links,
/// by a rename that replaces nothing. The temporary name goes when its guard does.
fn name_new(temporary: &Path, target: &Path) -> Result<io::Result<()>, StoreError> {
    let linked = std::fs::hard_link(temporary, target);
    Ok(match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            sys::rename_new(&c_path(temporary)?, &c_path(target)?)
                .map_err(|second| if is_taken(&second) { second } else { e })
        }
        settled => settled,
    })
}

fn is_taken(e: &io::Error) -> bool {
    e.raw_os_error() == Some(libc::EEXIST)
}

fn taken_or(operation: &'static str, subject: String, e: io::Error) -> StoreError {
    if is_taken(&e) { StoreError::Exists(subject) } else { StoreError::os(operation, subject, e) }
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
