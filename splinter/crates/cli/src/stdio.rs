//! Standard input, output and error, as the program inherited them. If one of them is non-blocking, this module waits
//! for it.
//!
//! Rust's runtime opens closed standard streams as `/dev/null` before `main`. Output would then be lost and input
//! empty, without an error. So this module records which ones are closed before the runtime starts. It knows no
//! command.

// Unsafe code is needed for a function that runs before the runtime; safe code cannot register one.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use nix::unistd::{read, write};
use std::cell::Cell;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

static INPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);
static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the C runtime takes each entry of this section for a function, and calls it with the C calling convention,
// once, before main, in the only thread there is. The entry is such a function, and needs nothing of Rust's runtime.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = record_closed;

extern "C" fn record_closed() {
    for (number, is_closed) in
        [(libc::STDIN_FILENO, &INPUT_IS_CLOSED), (libc::STDOUT_FILENO, &OUTPUT_IS_CLOSED)]
    {
        // SAFETY: F_GETFD takes any descriptor number, and no memory.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        // It fails for a closed descriptor only.
        is_closed.store(flags < 0, Ordering::Relaxed);
    }
}

/// Returns standard input, buffered. If it was closed when the program started, reading fails, as it does for any
/// program. If it is non-blocking, reading waits.
pub(crate) fn input() -> BufReader<Input> {
    BufReader::with_capacity(64 << 10, Input)
}

/// Tells whether a path leads to standard input.
pub(crate) fn is_input(path: &Path) -> bool {
    let Ok(input) = fstat(io::stdin()) else { return false };
    std::fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (input.st_dev, input.st_ino))
}

/// Returns standard output, buffered, and a cell that tells whether the output so far ends in a newline. If standard
/// output was closed when the program started, writing fails with the first byte that leaves the buffer. If it is
/// non-blocking, writing waits.
pub(crate) fn output() -> (BufWriter<Output>, Rc<Cell<bool>>) {
    let at_line_start = Rc::new(Cell::new(true));
    (BufWriter::new(Output { at_line_start: Rc::clone(&at_line_start) }), at_line_start)
}

/// Fails if standard output was closed when the program started.
pub(crate) fn check_output() -> io::Result<()> {
    match OUTPUT_IS_CLOSED.load(Ordering::Relaxed) {
        true => {
            Err(io::Error::other("standard output is closed; give it a place, as >FILE or >/dev/null does"))
        }
        false => Ok(()),
    }
}

/// Writes a whole line to standard error. Ignores errors: there is nowhere left to report them.
pub(crate) fn print_stderr(line: &str) {
    let mut rest: &[u8] = &[line.as_bytes(), b"\n"].concat();
    while let Ok(len) = wait_until_done(io::stderr(), PollFlags::POLLOUT, |to| write(to, rest)) {
        rest = &rest[len..];
        if len == 0 || rest.is_empty() {
            return;
        }
    }
}

/// Sets a terminal to blocking mode again, as a shell does. A program that ran there before may have left it
/// non-blocking.
pub(crate) fn set_blocking(terminal: impl AsFd) {
    let flags = fcntl(&terminal, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    if let Ok(flags) = flags
        && flags.contains(OFlag::O_NONBLOCK)
    {
        let _ = fcntl(&terminal, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK));
    }
}

/// Standard input, unbuffered.
#[derive(Debug)]
pub(crate) struct Input;

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if INPUT_IS_CLOSED.load(Ordering::Relaxed) {
            return Err(io::Error::other(
                "standard input is closed; give it something to read, as <FILE does",
            ));
        }
        wait_until_done(io::stdin(), PollFlags::POLLIN, |from| read(from, buffer))
    }
}

/// Standard output, unbuffered.
#[derive(Debug)]
pub(crate) struct Output {
    at_line_start: Rc<Cell<bool>>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check_output()?;
        let len = wait_until_done(io::stdout(), PollFlags::POLLOUT, |to| write(to, bytes))?;
        if let Some(last) = bytes[..len].last() {
            self.at_line_start.set(*last == b'\n');
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Repeats a system call until it succeeds or fails for good, and polls the descriptor whenever the call would block.
/// The descriptor may be non-blocking because another program that shares it wants it so.
fn wait_until_done<F: AsFd>(
    descriptor: F,
    ready: PollFlags,
    mut call: impl FnMut(&F) -> nix::Result<usize>,
) -> io::Result<usize> {
    loop {
        match call(&descriptor) {
            Err(Errno::EAGAIN) => {
                // The next call finds out whatever poll reports.
                let _ = poll(&mut [PollFd::new(descriptor.as_fd(), ready)], PollTimeout::NONE);
            }
            Err(Errno::EINTR) => {}
            done => return Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_was_left_non_blocking_blocks_again() {
        let (reader, _writer) = io::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        set_blocking(&reader);
        let flags = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        set_blocking(&reader);
    }
}
