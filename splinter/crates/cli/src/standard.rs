//! Standard input, output and error as the program was given them. One that does not block is waited for. Rust's runtime
//! opens those of them that are closed as `/dev/null` before `main`: what is printed there would be lost, and what is read
//! would be nothing, and nobody would hear of it. So what is closed is remembered before the runtime begins. Knows no
//! command.

// Opts in for a function that runs before the runtime, which no safe code can ask for.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};
use std::cell::Cell;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

static INPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);
static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the system takes each entry of this section for a function, and calls it in the C manner, once, in the only thread
// there is, before main; this is one, and does nothing that needs Rust's runtime.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = remember;

extern "C" fn remember() {
    for (number, is_closed) in
        [(libc::STDIN_FILENO, &INPUT_IS_CLOSED), (libc::STDOUT_FILENO, &OUTPUT_IS_CLOSED)]
    {
        // SAFETY: this request takes any number, and no memory.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        // It fails for a closed descriptor, and for nothing else.
        is_closed.store(flags < 0, Ordering::Relaxed);
    }
}

/// Returns standard input. Reading from one that was closed when the program began fails, as it does for any program. One
/// that does not block is waited for.
pub fn input() -> BufReader<Input> {
    BufReader::with_capacity(64 << 10, Input)
}

/// Returns standard output, with a buffer, and a cell that tells whether what was written so far ends in a newline. Writing to
/// one that was closed when the program began fails with the first byte that leaves the buffer. One that does not block is
/// waited for.
pub fn output() -> (BufWriter<Output>, Rc<Cell<bool>>) {
    let at_line_start = Rc::new(Cell::new(true));
    (BufWriter::new(Output { at_line_start: Rc::clone(&at_line_start) }), at_line_start)
}

/// Writes a line to standard error, all of it. That it cannot be written is no reason to end: nobody could be told.
pub fn complain(line: &str) {
    let mut rest: &[u8] = &[line.as_bytes(), b"\n"].concat();
    while let Ok(len) = wait_until_done(io::stderr(), PollFlags::POLLOUT, |to| write(to, rest)) {
        rest = &rest[len..];
        if len == 0 || rest.is_empty() {
            return;
        }
    }
}

/// Has a terminal wait for its reader and its writer again, as a shell does: a program that ran there before may have left it
/// without.
pub fn block(terminal: impl AsFd) {
    let flags = fcntl(&terminal, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    if let Ok(flags) = flags
        && flags.contains(OFlag::O_NONBLOCK)
    {
        let _ = fcntl(&terminal, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK));
    }
}

/// Standard input, without a buffer.
#[derive(Debug)]
pub struct Input;

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if INPUT_IS_CLOSED.load(Ordering::Relaxed) {
            return Err(Errno::EBADF.into());
        }
        wait_until_done(io::stdin(), PollFlags::POLLIN, |from| read(from, buffer))
    }
}

/// Standard output, without a buffer.
#[derive(Debug)]
pub struct Output {
    at_line_start: Rc<Cell<bool>>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if OUTPUT_IS_CLOSED.load(Ordering::Relaxed) {
            return Err(Errno::EBADF.into());
        }
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

/// Calls the system until it is done, and waits wherever it would have to: a descriptor may be one that does not block,
/// because another program that has it wants it so.
fn wait_until_done<F: AsFd>(
    descriptor: F,
    ready: PollFlags,
    mut call: impl FnMut(&F) -> nix::Result<usize>,
) -> io::Result<usize> {
    loop {
        match call(&descriptor) {
            Err(Errno::EAGAIN) => {
                // Whatever it answers, the next call finds out.
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
    fn a_terminal_that_was_left_without_waits_again() {
        let (reader, _writer) = io::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        block(&reader);
        let flags = OFlag::from_bits_retain(fcntl(&reader, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        block(&reader);
    }
}
