//! Standard input and output as the program was given them. Rust's runtime opens those of them that are closed as
//! `/dev/null` before `main`: what is printed there would be lost, and what is read would be nothing, and nobody would hear
//! of it. So what is closed is remembered before the runtime begins. Knows no command.

// Opts in for a function that runs before the runtime, which no safe code can ask for.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
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

/// Returns standard input. Reading from one that was closed when the program began fails, as it does for any program.
pub fn input() -> Box<dyn BufRead> {
    match INPUT_IS_CLOSED.load(Ordering::Relaxed) {
        true => Box::new(BufReader::new(Closed)),
        false => Box::new(io::stdin().lock()),
    }
}

/// Returns standard output, with a buffer. Writing to one that was closed when the program began fails with the first
/// byte that leaves the buffer.
pub fn output() -> Box<dyn Write> {
    match OUTPUT_IS_CLOSED.load(Ordering::Relaxed) {
        true => Box::new(BufWriter::new(Closed)),
        false => Box::new(BufWriter::new(io::stdout())),
    }
}

/// What a closed descriptor answers.
struct Closed;

impl Read for Closed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(Errno::EBADF.into())
    }
}

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(Errno::EBADF.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
