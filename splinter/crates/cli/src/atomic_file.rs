//! Writes a file that gets its name only when it is complete. Until then it is an unlinked file (`O_TMPFILE`), or a
//! hidden one beside the target, and the file that had the name before stays whole. Knows nothing of the content.

use crate::failure::Failure;
use crate::fatal_signals;
use crate::output::shown_path;
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

/// A file that is being written. Dropping it before [`Self::finish`] leaves nothing behind.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: BufWriter<File>,
    target: PathBuf,
    /// Its temporary name, if the file system has no unlinked files.
    temporary: Option<PathBuf>,
    replaces: bool,
}

impl AtomicFile {
    /// Creates a file that will get the name `target`, with `mode` less the umask. Unless `replaces` is set, it is an
    /// error if the name exists.
    pub(crate) fn create(target: &Path, mode: u32, replaces: bool) -> Result<Self, Failure> {
        if !replaces && fs::symlink_metadata(target).is_ok() {
            return Err(failed(target, &io::ErrorKind::AlreadyExists.into()));
        }
        // Replace the file itself, not a link that leads to it.
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
                fatal_signals::remove_on_sigbus(&name);
                (file, Some(name))
            }
        };
        Ok(Self { file: BufWriter::new(file), target, temporary, replaces })
    }

    /// Returns the file, for a caller that writes at its own offsets.
    pub(crate) fn file(&self) -> &File {
        self.file.get_ref()
    }

    /// Turns the system's error about writing the file into a failure.
    pub(crate) fn failed(&self, error: &io::Error) -> Failure {
        failed(&self.target, error)
    }

    /// Flushes the buffer, syncs the file to the device, and gives it its name. Fails without room on the device, and
    /// if another file took the name meanwhile and is not to be replaced.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
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
                // A link cannot replace a name, so the file first gets a temporary one.
                let temporary = self.temporary.insert(hidden_beside(&self.target));
                link(self.file.get_ref(), temporary)?;
                fs::rename(temporary, &self.target)?;
            }
        }
        sync_folder_of(&self.target);
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            fatal_signals::keep_file();
            // After a rename there is nothing to remove.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Tells whether two paths lead to the same file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

fn failed(target: &Path, error: &io::Error) -> Failure {
    let name = shown_path(target);
    match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!("cannot make {name}: it exists already")),
        _ => Failure::io(&format!("make {name}"), error),
    }
}

/// Syncs the folder of a file, so that the file's name is on the device, too. Some file systems cannot; the name is there
/// all the same.
pub(crate) fn sync_folder_of(target: &Path) {
    let _ = File::open(folder_of(target)).and_then(|folder| folder.sync_all());
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

/// Returns the path of an open file by its descriptor.
fn by_number(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn link(file: &File, target: &Path) -> io::Result<()> {
    Ok(linkat(AT_FDCWD, &by_number(file), AT_FDCWD, target, AtFlags::AT_SYMLINK_FOLLOW)?)
}
