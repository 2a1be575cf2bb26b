//! Reads files that a user names. They may be pipes: one that somebody writes to is read to its end, and one that nobody
//! writes to is not waited for.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// How long a pipe is waited for that nobody has opened for writing.
const PATIENCE_MS: u16 = 2_000;
/// Bytes of the longest text that is taken: what never ends is no text.
const MOST_TEXT: u64 = 64 << 20;

/// Opens a file for reading.
///
/// # Errors
/// What the kernel says, or that nobody writes to the pipe that it is.
pub(crate) fn open(path: &Path) -> io::Result<impl Read> {
    let mut options = File::options();
    // Or opening a pipe that nobody writes to would wait for ever.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    let first = if file.metadata()?.file_type().is_fifo() {
        wait_for_writer(&mut file)?
    } else {
        Vec::new()
    };
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(io::Cursor::new(first).chain(file))
}

/// Waits until a pipe has bytes or somebody who may still write some. Returns what had to be read to know that.
fn wait_for_writer(pipe: &mut File) -> io::Result<Vec<u8>> {
    let mut readable = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::from(PATIENCE_MS);
    while poll(&mut readable, timeout) == Err(Errno::EINTR) {}
    let mut first = [0];
    match pipe.read(&mut first) {
        Ok(0) => Err(io::Error::other("it is a pipe, and nobody writes to it")),
        Ok(_) => Ok(first.to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a text as a whole.
///
/// # Errors
/// As [`open`], and that it is too long or no UTF-8.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = open(path)?.take(MOST_TEXT + 1).read_to_string(&mut text)?;
    if read as u64 > MOST_TEXT {
        let most = MOST_TEXT >> 20;
        return Err(io::Error::other(format!("it has more than {most} MiB")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::io::Write as _;
    use std::path::PathBuf;

    /// A pipe with a name; removed when dropped.
    struct Pipe(PathBuf);

    impl Pipe {
        fn new(name: &str) -> Self {
            let name = format!("splinter-input-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
            Self(path)
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused() {
        let refused = text(&Pipe::new("alone").0).unwrap_err();
        assert!(refused.to_string().contains("nobody writes"), "{refused}");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_its_writer_writes() {
        let pipe = Pipe::new("late");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = File::options().write(true).open(&pipe.0).unwrap();
                // Longer than a pipe without a writer is waited for.
                let late = std::time::Duration::from_millis(u64::from(PATIENCE_MS) + 500);
                std::thread::sleep(late);
                for _ in 0..1000 {
                    writer.write_all(&[b'x'; 100]).unwrap();
                }
            });
            assert_eq!(text(&pipe.0).unwrap(), "x".repeat(100_000));
        });
    }

    #[test]
    fn what_never_ends_is_no_text() {
        let refused = text(Path::new("/dev/zero")).unwrap_err();
        assert!(refused.to_string().contains("64 MiB"), "{refused}");
        assert!(text(Path::new("/")).is_err());
    }
}
