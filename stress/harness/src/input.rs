//! Reads files that a user names. They may be pipes: one that has a writer is read to its end, and one that has none
//! is not waited for.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, BufRead, ErrorKind, Read};
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
pub fn open(path: &Path) -> io::Result<impl Read> {
    let mut options = File::options();
    // Or opening a pipe that nobody writes to would wait for ever.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    let first = if file.metadata()?.file_type().is_fifo() { wait_for_writer(&mut file)? } else { Vec::new() };
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(io::Cursor::new(first).chain(file))
}

/// Waits until a pipe has bytes, or a writer that may still write some. Returns what had to be read to know that.
fn wait_for_writer(pipe: &mut File) -> io::Result<Vec<u8>> {
    let mut readable = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::from(PATIENCE_MS);
    while poll(&mut readable, timeout) == Err(Errno::EINTR) {}
    let mut first = [0];
    match pipe.read(&mut first) {
        Ok(0) => Err(io::Error::other("it is a pipe, and nobody writes to it")),
        Ok(_) => Ok(first.to_vec()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a text as a whole. A byte-order mark in front of it is left out.
///
/// # Errors
/// The kernel's; in words, that nobody writes to the pipe that it is, that it is too long, or no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(MOST_TEXT + 1).read_to_end(&mut bytes)?;
    if read as u64 > MOST_TEXT {
        let most = MOST_TEXT >> 20;
        return Err(io::Error::other(format!("it has more than {most} MiB")));
    }
    bytes.drain(..mark_len(&bytes)?);
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(ErrorKind::InvalidData, format!("it is no UTF-8 text, from byte {at} on"))
    })
}

/// Leaves out the byte-order mark that what is read line by line may begin with.
///
/// # Errors
/// As [`read_text`].
pub fn skip_mark(text: &mut impl BufRead) -> io::Result<()> {
    let len = mark_len(text.fill_buf()?)?;
    text.consume(len);
    Ok(())
}

/// Returns the length of the byte-order mark that a text begins with.
fn mark_len(bytes: &[u8]) -> io::Result<usize> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => Ok(3),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..] => Err(io::Error::new(
            ErrorKind::InvalidData,
            "it is UTF-16 or UTF-32 text, by its byte-order mark: save it as UTF-8",
        )),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use splinter_testkit::Folder;
    use std::io::Write as _;
    use std::path::PathBuf;

    /// Makes a pipe in a folder.
    fn pipe(folder: &Folder) -> PathBuf {
        let path = folder.join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        path
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_refused() {
        let folder = Folder::new();
        let refused = read_text(&pipe(&folder)).unwrap_err();
        assert!(refused.to_string().contains("nobody writes"), "{refused}");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_however_late_its_writer_writes() {
        let folder = Folder::new();
        let pipe = pipe(&folder);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = File::options().write(true).open(&pipe).unwrap();
                // Longer than a pipe without a writer is waited for.
                let late = std::time::Duration::from_millis(u64::from(PATIENCE_MS) + 500);
                std::thread::sleep(late);
                for _ in 0..1000 {
                    writer.write_all(&[b'x'; 100]).unwrap();
                }
            });
            assert_eq!(read_text(&pipe).unwrap(), "x".repeat(100_000));
        });
    }

    #[test]
    fn what_never_ends_is_no_text() {
        let refused = read_text(Path::new("/dev/zero")).unwrap_err();
        assert!(refused.to_string().contains("64 MiB"), "{refused}");
        assert!(read_text(Path::new("/")).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_left_out_or_named() {
        let folder = Folder::new();
        let path = folder.join("text");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfkeys = 5"), Ok("keys = 5".to_owned()));
        assert_eq!(read("k\u{e4}ys".as_bytes()), Ok("k\u{e4}ys".to_owned()));
        assert_eq!(read(b""), Ok(String::new()));
        for bytes in [&b"\xff\xfek\0"[..], b"\xfe\xff\0k", b"\xff\xfe\0\0k\0\0\0", b"\0\0\xfe\xff\0\0\0k"] {
            assert!(read(bytes).unwrap_err().contains("save it as UTF-8"));
        }
        assert!(read(b"abc\xff").unwrap_err().contains("from byte 3"));
        let mut lines = &b"\xef\xbb\xbfone\n"[..];
        skip_mark(&mut lines).unwrap();
        assert_eq!(lines, b"one\n");
    }
}
