//! A file that is seen once it is complete: it is made without a name, or under a hidden one beside it, and what had its name
//! before stays whole until then. Knows nothing of what is in it.

use crate::failure::Failure;
use crate::fatal;
use crate::output::shown;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use nix::unistd::linkat;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that is being written. Dropping it before it is finished leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    file: BufWriter<File>,
    target: PathBuf,
    /// The name that it has meanwhile, where the file system knows no files without.
    temporary: Option<PathBuf>,
    replaces: bool,
}

impl NewFile {
    /// Begins a file that is to be at `target`, of a mode that the umask takes from. Unless it `replaces` what is there,
    /// nothing may be.
    ///
    /// # Errors
    /// There is something of that name; the system's refusal.
    pub fn create(target: &Path, mode: u32, replaces: bool) -> Result<Self, Failure> {
        if !replaces && fs::symlink_metadata(target).is_ok() {
            return Err(failed(target, &io::ErrorKind::AlreadyExists.into()));
        }
        // What has the name is replaced where it is, not the link that leads there.
        let target = if replaces { fs::canonicalize(target) } else { Ok(target.to_owned()) }
            .unwrap_or_else(|_| target.to_owned());
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(mode);
        let unnamed = options.clone().custom_flags(libc::O_TMPFILE).open(folder_of(&target));
        let (file, temporary) = match unnamed {
            Ok(file) if by_number(&file).exists() => (file, None),
            _ => {
                let name = hidden_beside(&target);
                let file = options.create_new(true).open(&name);
                let file = file.map_err(|error| failed(&target, &error))?;
                fatal::unfinished(&name);
                (file, Some(name))
            }
        };
        Ok(Self { file: BufWriter::new(file), target, temporary, replaces })
    }

    /// Returns the file, for a caller that writes at offsets of its own.
    pub fn file(&self) -> &File {
        self.file.get_ref()
    }

    /// Says what the system answered when the file was written.
    pub fn failed(&self, error: &io::Error) -> Failure {
        failed(&self.target, error)
    }

    /// Writes what is in the buffer, has all of it on the device, and gives the file its name.
    ///
    /// # Errors
    /// No room; something took the name meanwhile and is not to be replaced.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.try_finish().map_err(|error| failed(&self.target, &error))
    }

    fn try_finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        match (&self.temporary, self.replaces) {
            (Some(temporary), true) => fs::rename(temporary, &self.target)?,
            (Some(temporary), false) => fs::hard_link(temporary, &self.target)?,
            (None, false) => link(self.file.get_ref(), &self.target)?,
            (None, true) => {
                // No link replaces a name: the file has another for a moment.
                let temporary = self.temporary.insert(hidden_beside(&self.target));
                link(self.file.get_ref(), temporary)?;
                fs::rename(temporary, &self.target)?;
            }
        }
        // So that the name is on the device, too. Some file systems cannot do that for a folder; it is there all the same.
        let _ = File::open(folder_of(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            fatal::finished();
            // One that was renamed is no longer there.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Tells whether two names lead to one file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

fn failed(target: &Path, error: &io::Error) -> Failure {
    let name = shown(target.as_os_str().as_bytes());
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(format!("cannot make {name}: it exists already"))
        }
        _ => Failure::io(&format!("make {name}"), error),
    }
}

fn folder_of(target: &Path) -> &Path {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn hidden_beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().as_bytes();
    // A name has at most 255 bytes.
    let mut hidden = [b".", &name[..name.len().min(200)]].concat();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    hidden.extend(format!(".{}-{:x}", std::process::id(), since.as_nanos()).bytes());
    target.with_file_name(OsString::from_vec(hidden))
}

/// The name by which the kernel knows an open file.
fn by_number(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn link(file: &File, target: &Path) -> io::Result<()> {
    Ok(linkat(AT_FDCWD, &by_number(file), AT_FDCWD, target, AtFlags::AT_SYMLINK_FOLLOW)?)
}
