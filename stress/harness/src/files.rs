//! Files that results are written to and inputs are read from, as the command line names them, and the form of a record in
//! them. A result replaces the file of its name only when it is whole: it is written beside, then renamed.

use crate::text::refusal_or;
use serde::Serialize;
use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// Links that are followed before a path counts as a circle, as in the kernel.
const MOST_LINKS: usize = 40;

/// Where a result goes.
enum Place {
    /// To a device, a pipe or an open descriptor: straight away.
    Stream,
    /// To a file, which may be there already. The path has no links in it.
    File(PathBuf, Option<Metadata>),
}

/// Returns a name for a folder, a store or another thing of this run: the prefix, the process id and a random number. The
/// process id alone would not do: the kernel gives it again, and a run that was killed leaves what it made.
#[must_use]
pub fn unique_name(prefix: &str) -> String {
    let process = std::process::id();
    format!("{prefix}-{process}-{:016x}", RandomState::new().hash_one(process))
}

/// Which file a path names: two paths to one file are equal, whether it is there or not.
#[derive(PartialEq, Eq)]
enum Identity {
    There(u64, u64),
    Absent(PathBuf),
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            let name = path.file_name();
            let name = name.ok_or_else(|| io::Error::from_raw_os_error(libc::EISDIR))?;
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder.canonicalize()?,
                _ => Path::new(".").canonicalize()?,
            };
            // A name there stands for a file that a process has open.
            if folder.starts_with("/proc") {
                return Ok(Self::Stream);
            }
            let whole = folder.join(name);
            let there = match whole.symlink_metadata() {
                Ok(there) => there,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Self::File(whole, None));
                }
                Err(error) => return Err(error),
            };
            if there.is_symlink() {
                path = folder.join(whole.read_link()?);
            } else if there.is_dir() {
                return Err(io::Error::from_raw_os_error(libc::EISDIR));
            } else if there.is_file() {
                return Ok(Self::File(whole, Some(there)));
            } else {
                return Ok(Self::Stream);
            }
        }
        Err(io::Error::from_raw_os_error(libc::ELOOP))
    }

    /// Tells which file it is; a stream is none.
    fn identity(&self) -> Option<Identity> {
        match self {
            Self::Stream => None,
            Self::File(_, Some(there)) => Some(Identity::There(there.dev(), there.ino())),
            Self::File(path, None) => Some(Identity::Absent(path.clone())),
        }
    }
}

/// Finds out whether results can be written to files, where any are wanted, and leaves what is there as it was: a
/// result that cannot be kept is not measured. Nothing is written over what is read, or twice to one file.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn try_files(outputs: &[Option<&Path>], inputs: &[Option<&Path>]) -> Result<(), String> {
    let identity = |path: &&Path| Place::of(path).ok().and_then(|place| place.identity());
    let read: Vec<Identity> = inputs.iter().flatten().filter_map(identity).collect();
    let mut written = Vec::new();
    for path in outputs.iter().flatten() {
        let place = Place::of(path).map_err(|error| cannot_write(path, error))?;
        match &place {
            Place::Stream => nix::unistd::access(*path, nix::unistd::AccessFlags::W_OK)
                .map_err(|error| cannot_write(path, error))?,
            Place::File(target, there) => {
                let (_, beside) = create_beside(target, there.as_ref()).map_err(|e| cannot_write(path, e))?;
                let _ = fs::remove_file(beside);
            }
        }
        let Some(identity) = place.identity() else {
            continue;
        };
        let shown = path.display();
        if read.contains(&identity) {
            return Err(format!("cannot write {shown}: this command reads it, too; give another path"));
        }
        if written.contains(&identity) {
            return Err(format!(
                "cannot write {shown}: another result goes there; give each a path of its own"
            ));
        }
        written.push(identity);
    }
    Ok(())
}

/// Makes a file in the folder of a target, to take its place.
fn create_beside(target: &Path, there: Option<&Metadata>) -> io::Result<(File, PathBuf)> {
    if there.is_some() {
        // A file that is protected is not to be replaced, though its folder lets that be done.
        nix::unistd::access(target, nix::unistd::AccessFlags::W_OK)?;
    }
    let process = std::process::id();
    for number in 0u32.. {
        let beside = target.with_file_name(format!(".splinter-{process}-{number}.unfinished"));
        match File::options().write(true).create_new(true).open(&beside) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => {
                let file = created?;
                if let Some(there) = there {
                    // As far as this user may: the mode and the owner of what it replaces.
                    let _ = fchown(&file, Some(there.uid()), Some(there.gid()));
                    let _ = file.set_permissions(there.permissions());
                }
                return Ok((file, beside));
            }
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Writes a file whole, in place of one that is there, or leaves that as it was.
///
/// # Errors
/// Those of `write`, and the kernel's.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let (target, there) = match Place::of(path)? {
        Place::Stream => return write(&mut File::options().append(true).open(path)?),
        Place::File(target, there) => (target, there),
    };
    let (mut file, beside) = create_beside(&target, there.as_ref())?;
    let written = write(&mut file)
        // Some file systems find out late that there is no room.
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::rename(&beside, &target) {
            // A file that is a mount of its own cannot be replaced, only written over.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                fs::copy(&beside, &target).and_then(|_| fs::remove_file(&beside))
            }
            renamed => renamed,
        });
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Says why a file cannot be written, and what to do.
pub fn cannot_write(path: &Path, error: impl Into<io::Error>) -> String {
    let why = refusal_or(error, "give a path in a folder that can be written");
    format!("cannot write {}: {why}", path.display())
}

/// Writes results to a file, as [`replace`] does, or to a stream: a reader of that who has had enough is no error.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn write_file(path: &Path, text: &str) -> Result<(), String> {
    match replace(path, |file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| cannot_write(path, error)),
    }
}

/// Returns the text of a record: JSON, indented, with the end of its last line.
///
/// # Panics
/// When the record has what JSON lacks, as maps do whose keys are no text.
#[must_use]
pub fn as_json(record: &impl Serialize) -> String {
    serde_json::to_string_pretty(record).expect("records are plain data") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::Folder;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = Folder::new();
        let file = PathBuf::from(folder.put("old", "what was there"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let failed = replace(&file, |file| {
            file.write_all(b"half")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        });
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(fs::read(&file).unwrap(), b"what was there");
        assert_eq!(folder.names(), ["old"], "no part of it is left");
        write_file(&file, "new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(folder.names(), ["old"]);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = Folder::new();
        let file = PathBuf::from(folder.put("file", "old"));
        let link = folder.join("link");
        symlink("file", &link).unwrap();
        write_file(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        fs::remove_file(&file).unwrap();
        write_file(&link, "again").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"again");
        symlink("circle", folder.join("circle")).unwrap();
        let error = write_file(&folder.join("circle"), "").unwrap_err();
        assert!(error.contains("symbolic links"), "{error}");
    }

    #[test]
    fn devices_and_descriptors_are_written_to_and_stay_what_they_are() {
        for path in ["/dev/null", "/proc/self/fd/2"] {
            let path = Path::new(path);
            assert!(matches!(Place::of(path).unwrap(), Place::Stream));
        }
        write_file(Path::new("/dev/null"), "text").unwrap();
        let error = write_file(Path::new("/dev/full"), "text").unwrap_err();
        assert!(error.contains("room"), "{error}");
        // Both may go there.
        let null = Some(Path::new("/dev/null"));
        assert_eq!(try_files(&[null, null], &[null]), Ok(()));
    }

    #[test]
    fn a_file_that_is_tried_is_left_as_it_was() {
        let folder = Folder::new();
        let there = PathBuf::from(folder.put("there", "text"));
        let absent = folder.join("absent");
        assert_eq!(try_files(&[Some(&there), None, Some(&absent)], &[]), Ok(()));
        assert_eq!(fs::read(&there).unwrap(), b"text");
        assert_eq!(folder.names(), ["there"]);
        for path in [folder.as_ref(), &folder.join("no/folder"), Path::new("/"), Path::new("")] {
            let error = try_files(&[Some(path)], &[]).unwrap_err();
            assert!(error.contains("give a path"), "{error}");
        }
    }

    #[test]
    fn a_result_is_written_over_no_input_and_no_other_result() {
        let folder = Folder::new();
        let input = PathBuf::from(folder.put("input", "text"));
        let link = folder.join("link");
        symlink(&input, &link).unwrap();
        let hard = folder.join("hard");
        fs::hard_link(&input, &hard).unwrap();
        let roundabout = folder.join("../").join(folder.as_ref().file_name().unwrap()).join("input");
        for output in [&input, &link, &hard, &roundabout] {
            let error = try_files(&[Some(output)], &[None, Some(&input)]).unwrap_err();
            assert!(error.contains("this command reads it"), "{error}");
        }
        let new = folder.join("new");
        let error = try_files(&[Some(&new), Some(&folder.join("./new"))], &[]).unwrap_err();
        assert!(error.contains("another result"), "{error}");
        assert_eq!(fs::read(&input).unwrap(), b"text");
    }
}
