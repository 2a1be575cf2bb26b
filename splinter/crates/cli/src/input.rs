//! Opens the files that a user names for reading. Knows no command.

use crate::interrupt::Interrupt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait until a program opens a pipe for writing.
const WRITER_TIMEOUT: Duration = Duration::from_secs(2);

/// The most bytes of a file that is read as a whole.
const MAX_FILE_LEN: u64 = 16 << 20;

/// Opens a file for reading. If it is a pipe with a name, waits for a program that writes to it, and fails if none comes
/// within two seconds, or if Ctrl-C is pressed. A writer may take any time for its bytes.
pub(crate) fn open(path: &Path, interrupt: &Interrupt) -> io::Result<impl Read + use<>> {
    // Without the flag, opening a pipe waits for a writer without end.
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let is_pipe = file.metadata()?.file_type().is_fifo();
    let first = if is_pipe { wait_for_writer(&mut file, interrupt)? } else { Vec::new() };
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(Cursor::new(first).chain(file))
}

/// Reads a whole file, as [`open`] does. Fails if it has more than 16 MiB.
pub(crate) fn read(path: &Path, interrupt: &Interrupt) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match open(path, interrupt)?.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)? as u64 {
        ..=MAX_FILE_LEN => Ok(bytes),
        _ => Err(io::Error::other(format!("it has more than {} MiB", MAX_FILE_LEN >> 20))),
    }
}

/// Waits until a pipe has a writer, or had one that has closed it. Returns what it had to read to find out.
fn wait_for_writer(pipe: &mut File, interrupt: &Interrupt) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + WRITER_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => break,
            // It has bytes, or a writer closed it: POLLHUP.
            Ok(_) => return Ok(Vec::new()),
            Err(Errno::EINTR) if !interrupt.is_pressed() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut first = [0];
    match pipe.read(&mut first) {
        Ok(0) => Err(io::Error::other("it is a pipe, and no program writes to it; start the writer first")),
        Ok(_) => Ok(first.to_vec()),
        // There is a writer that has not written yet.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use splinter_testkit::Folder;
    use std::io::Write;

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_its_writer_writes() {
        let folder = Folder::new();
        let path = folder.join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let interrupt = Interrupt::begin();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = File::options().write(true).open(&path).unwrap();
                std::thread::sleep(WRITER_TIMEOUT + Duration::from_millis(500));
                writer.write_all(&[b'x'; 100_000]).unwrap();
            });
            let mut text = Vec::new();
            open(&path, &interrupt).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, [b'x'; 100_000]);
        });
        let refused = open(&path, &interrupt).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("no program writes to it"), "{refused}");
    }
}
