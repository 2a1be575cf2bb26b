//! Opens the files that a user names for reading. Knows no command.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// How long to wait until a program opens a pipe for writing, in milliseconds.
const WRITER_TIMEOUT_MS: u16 = 2000;

/// The most bytes of a file that is read as a whole.
const MAX_FILE_LEN: u64 = 16 << 20;

/// Opens a file for reading. If it is a pipe with a name, waits for a program that writes to it, and fails if none comes
/// within two seconds. A writer may take any time for its bytes.
pub(crate) fn open(path: &Path) -> io::Result<impl Read + use<>> {
    // Without the flag, opening a pipe waits for a writer without end.
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let first = if file.metadata()?.file_type().is_fifo() { wait_for_writer(&mut file)? } else { Vec::new() };
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(Cursor::new(first).chain(file))
}

/// Reads a whole file, as [`open`] does. Fails if it has more than 16 MiB.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match open(path)?.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)? as u64 {
        ..=MAX_FILE_LEN => Ok(bytes),
        _ => Err(io::Error::other(format!("it has more than {} MiB", MAX_FILE_LEN >> 20))),
    }
}

/// Waits until a pipe has a writer. Returns what it had to read to find out.
fn wait_for_writer(pipe: &mut File) -> io::Result<Vec<u8>> {
    let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    while poll(&mut ready, PollTimeout::from(WRITER_TIMEOUT_MS)) == Err(Errno::EINTR) {}
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
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_its_writer_writes() {
        let path = std::env::temp_dir().join(format!("splinter-cli-pipe-{}", std::process::id()));
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = File::options().write(true).open(&path).unwrap();
                std::thread::sleep(Duration::from_millis(u64::from(WRITER_TIMEOUT_MS) + 500));
                writer.write_all(&[b'x'; 100_000]).unwrap();
            });
            let mut text = Vec::new();
            open(&path).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text, [b'x'; 100_000]);
        });
        let refused = open(&path).map(|_| ()).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(refused.to_string().contains("no program writes to it"), "{refused}");
    }
}
