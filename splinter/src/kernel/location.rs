//! The location of a store: anonymous memory, named shared memory, or a file. It checks names and paths. Other modules
//! make, open and map the files.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::sys;
use crate::error::{REMOVE, StoreError};

/// The directory of named shared memory, the one that `shm_open` uses.
const SHARED_MEMORY: &str = "/dev/shm";
/// The longest file name Linux takes, in bytes.
const FILE_NAME_MAX: usize = 255;
/// How many bytes a temporary name adds at most to the final name: two dots around it, the process id, a dot, 16
/// hexadecimal digits.
const TEMPORARY_ROOM: usize = 32;
/// The longest name of a shared store, in bytes.
const SHARED_NAME_MAX: usize = FILE_NAME_MAX - TEMPORARY_ROOM;

/// The location of a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Memory without a name. A program passes it on as a descriptor. It ends with its last user.
    Anonymous,
    /// Named shared memory, `/dev/shm/NAME`. It lasts until it is removed or the machine stops. systemd removes it when
    /// its owner logs out for the last time, unless `RemoveIPC=no` is set or the owner is a system user.
    Shared(String),
    /// A file. It lasts until it is removed.
    File(PathBuf),
}

impl Location {
    /// Names a store in shared memory. One leading `/` is dropped, as `shm_open` does.
    ///
    /// # Errors
    ///
    /// [`StoreError::BadName`] for a name that is empty, longer than 223 bytes, `.` or `..`, or that contains another
    /// `/` or a NUL byte.
    pub fn shared(name: impl Into<String>) -> Result<Self, StoreError> {
        let name = name.into();
        shared_name(&name).map(|name| Self::Shared(name.to_owned()))
    }

    /// Names a store in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// Removes the name. Programs that have the store open keep it. The kernel frees its bytes when the last one closes
    /// it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] when no file has the name, [`StoreError::BadName`] for an anonymous store,
    /// [`StoreError::Os`] when the kernel refuses.
    pub fn unlink(&self) -> Result<(), StoreError> {
        std::fs::remove_file(self.path()?).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(self.to_string()),
            _ => StoreError::os(REMOVE, self.to_string(), e),
        })
    }

    /// Makes up a name for a store that cannot be anonymous because the kernel denies memory files.
    pub(super) fn generated() -> Self {
        Self::Shared(format!("splinter-{}-{:016x}", std::process::id(), sys::random()))
    }

    /// Returns the path, after checking the name.
    pub(super) fn path(&self) -> Result<PathBuf, StoreError> {
        match self {
            Self::Anonymous => Err(bad("an anonymous store has no name; pass its descriptor on")),
            Self::Shared(name) => Ok(Path::new(SHARED_MEMORY).join(shared_name(name)?)),
            Self::File(path) => {
                if path.as_os_str().as_bytes().contains(&0) {
                    return Err(bad("a path holds no NUL byte"));
                }
                match path.file_name() {
                    Some(_) => Ok(path.clone()),
                    None => Err(bad(format!("\"{}\" ends in no file name", path.display()))),
                }
            }
        }
    }

    /// Returns the path as a C string, if there is one.
    pub(super) fn c_path(&self) -> Option<CString> {
        CString::new(self.path().ok()?.into_os_string().into_vec()).ok()
    }

    /// Returns the location of a path.
    pub(super) fn of_path(path: PathBuf) -> Self {
        let shared = path
            .strip_prefix(SHARED_MEMORY)
            .ok()
            .and_then(Path::to_str)
            .and_then(|name| Self::shared(name).ok());
        shared.unwrap_or(Self::File(path))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("an anonymous store"),
            Self::Shared(name) => {
                write!(f, "{SHARED_MEMORY}/{}", name.strip_prefix('/').unwrap_or(name))
            }
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Makes up a hidden name beside `path`, for the file until it is complete.
pub(super) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or(OsStr::new("store")).as_bytes();
    let prefix = &name[..name.len().min(SHARED_NAME_MAX)];
    let mut temporary = vec![b'.'];
    temporary.extend_from_slice(prefix);
    temporary.extend_from_slice(format!(".{}.{:016x}", std::process::id(), sys::random()).as_bytes());
    path.with_file_name(OsString::from_vec(temporary))
}

/// Turns a path into a C string, for system calls.
pub(super) fn c_path(path: &Path) -> Result<CString, StoreError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| bad("a path holds no NUL byte"))
}

fn shared_name(name: &str) -> Result<&str, StoreError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    match bare {
        "" => Err(bad("it is empty")),
        "." | ".." => Err(bad(format!("\"{bare}\" is a directory"))),
        _ if bare.len() > SHARED_NAME_MAX => {
            Err(bad(format!("it has {} bytes; {SHARED_NAME_MAX} is the most", bare.len())))
        }
        _ if bare.contains('/') => {
            Err(bad(format!("\"{bare}\" holds a '/'; use a file for a store elsewhere")))
        }
        _ if bare.contains('\0') => Err(bad("it holds a NUL byte")),
        _ => Ok(bare),
    }
}

fn bad(why: impl Into<String>) -> StoreError {
    StoreError::BadName(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::Named;

    #[test]
    fn shared_names_are_single_file_names() {
        for good in ["a", "/a", "demo.1", "ünï", ".hidden", &"n".repeat(SHARED_NAME_MAX)] {
            let Ok(Location::Shared(name)) = Location::shared(good) else { panic!("{good}") };
            assert_eq!(name, good.strip_prefix('/').unwrap_or(good));
        }
        let long = "n".repeat(SHARED_NAME_MAX + 1);
        for bad in ["", "/", "//a", "a/b", "a/", ".", "..", "/..", "a\0b", &long] {
            assert!(matches!(Location::shared(bad), Err(StoreError::BadName(_))), "{bad:?}");
            let unchecked = Location::Shared(bad.into());
            assert!(matches!(unchecked.path(), Err(StoreError::BadName(_))), "{bad:?}");
        }
    }

    #[test]
    fn paths_without_a_file_name_are_refused() {
        for bad in ["", "/", "..", "a/..", "a\0b"] {
            assert!(matches!(Location::file(bad).path(), Err(StoreError::BadName(_))), "{bad:?}");
        }
    }

    #[test]
    fn locations_print_as_a_shell_takes_them() {
        assert_eq!(Location::Shared("/demo".into()).to_string(), "/dev/shm/demo");
        assert_eq!(Location::file("/tmp/x").to_string(), "/tmp/x");
        assert_eq!(Location::of_path("/dev/shm/demo".into()), Location::Shared("demo".into()));
        assert_eq!(Location::of_path("/dev/shm/a/b".into()), Location::file("/dev/shm/a/b"));
    }

    #[test]
    fn temporary_names_fit_beside_the_longest_name() {
        let temporary = temporary_beside(Path::new(&format!("/d/{}", "n".repeat(FILE_NAME_MAX))));
        assert_eq!(temporary.parent(), Some(Path::new("/d")));
        assert!(temporary.file_name().is_some_and(|name| name.len() <= FILE_NAME_MAX));
        assert_ne!(temporary, temporary_beside(Path::new("/d/n")));
    }

    #[test]
    fn removing_tells_a_missing_store_from_a_nameless_one() {
        assert!(matches!(Named::new().0.unlink(), Err(StoreError::Missing(_))));
        assert!(matches!(Location::Anonymous.unlink(), Err(StoreError::BadName(_))));
    }
}
