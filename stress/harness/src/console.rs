//! Standard output and standard error of the programs. A result that cannot be written makes a program fail; one line of
//! bounded length says what is wrong.
#![allow(unsafe_code)] // Looks at a descriptor before Rust's own start, and has a signal ignored.

use crate::text::refusal;
use crate::verdict::USAGE;
use clap::Parser;
use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _, stderr, stdout};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The longest line about what is wrong, and the longest word in one, in characters.
const MOST: usize = 2_000;
const MOST_OF_A_WORD: usize = 300;

/// Whether standard output was closed when the program started.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Before `main`, Rust opens `/dev/null` in place of a standard output that is closed, and nothing shows it afterwards.
extern "C" fn look() {
    // SAFETY: it asks about a number, which need not be an open descriptor.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    CLOSED.store(flags == -1, Relaxed);
}

// SAFETY: the C library calls each function of this section once, before Rust's start; this one takes no arguments, and
// needs nothing that is prepared there.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Begins a program: parses its command line, and has it meet the limit on the size of files as an error instead of a
/// signal. Returns the code to end with, where help was asked for or the command line is refused.
///
/// # Errors
/// That code.
pub fn begin<P: Parser>(program: &str) -> Result<P, ExitCode> {
    // SAFETY: a signal that is ignored runs no handler.
    let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    debug_assert!(ignored.is_ok(), "SIGXFSZ can be ignored");
    if CLOSED.load(Relaxed) {
        complain(program, "standard output is closed: give it somewhere to go, as in >/dev/null");
        return Err(ExitCode::from(USAGE));
    }
    P::try_parse().map_err(|error| refuse(program, &error))
}

/// Prints help where it was asked for, else one line that says what is wrong.
fn refuse(program: &str, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // On a terminal clap prints it in colours.
        if stdout().is_terminal() && error.print().is_ok() {
            return ExitCode::SUCCESS;
        }
        return end_with(program, &error.to_string(), ExitCode::SUCCESS);
    }
    if error.kind() == DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(USAGE);
    }
    let text = error.to_string();
    // What is missing stands on lines of its own.
    let head = text.lines().take_while(|line| !line.is_empty());
    let head = head.map(str::trim).collect::<Vec<_>>().join(" ");
    let what = head.trim_start_matches("error: ");
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let help = format!("see '{program} --help' or that of the command");
    complain(program, &format!("{what}; {}", tip.unwrap_or(&help)));
    ExitCode::from(USAGE)
}

/// Prints a result. A reader that has had enough is no error; where it cannot be written, says so and returns the code to
/// end with.
///
/// # Errors
/// That code.
pub fn print(program: &str, text: &str) -> Result<(), ExitCode> {
    match write_out(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(program, &format!("cannot write the result: {}", refusal(error)));
            Err(ExitCode::from(USAGE))
        }
        _ => Ok(()),
    }
}

/// Prints a result, and returns the code to end with.
pub fn end_with(program: &str, text: &str, code: ExitCode) -> ExitCode {
    print(program, text).map_or_else(|unwritten| unwritten, |()| code)
}

/// Writes to standard output itself: the handle that Rust has for it takes a descriptor that cannot be written for one
/// that takes everything.
fn write_out(mut bytes: &[u8]) -> io::Result<()> {
    let mut out = File::from(stdout().as_fd().try_clone_to_owned()?);
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another program may share it, as on the other end of a socket.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut room = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
                // Woken early, it finds no room again.
                let _ = poll(&mut room, PollTimeout::NONE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says on standard error what is wrong. Where that cannot be written, the exit code still says that something is.
pub fn complain(program: &str, what: &str) {
    let _ = writeln!(stderr(), "{program}: {}", bounded(what));
}

/// Cuts what is too long for anybody to read, words first, as those are that repeat what was read. Control characters are
/// shown as escapes, line ends and tabulators aside.
fn bounded(what: &str) -> String {
    let words = what.split_inclusive(char::is_whitespace);
    let words: String = words.map(|word| cut(word, MOST_OF_A_WORD)).collect();
    let text = cut(&words, MOST);
    text.chars().fold(String::new(), |mut shown, c| {
        if c.is_control() && !"\n\t".contains(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Cuts a text in the middle to about so many characters: its end says what to do.
fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let last = most / 4;
    let first: String = text.chars().take(most - last).collect();
    let rest: String = text.chars().skip(count - last).collect();
    format!("{first}[{} characters left out]{rest}", count - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_beginning_and_its_end() {
        let long = "\u{e4}".repeat(1 << 20);
        let word = bounded(&format!("invalid '{long}' for '--mix': '{long}' is none; give set=1"));
        assert!(word.chars().count() < 800, "{word}");
        assert!(word.starts_with("invalid '\u{e4}") && word.ends_with("is none; give set=1"));
        assert!(word.contains("' for '--mix': '"), "{word}");
        assert!(word.contains("characters left out"), "{word}");
        let words = bounded(&format!("'{}' is none; give set=1", "a b ".repeat(1 << 20)));
        assert!(words.chars().count() < MOST + 50, "{words}");
        assert!(words.starts_with("'a b") && words.ends_with("is none; give set=1"));
        let short = "x".repeat(MOST_OF_A_WORD);
        assert_eq!(bounded(&short), short);
    }

    #[test]
    fn characters_that_move_a_terminals_cursor_are_escaped() {
        assert_eq!(bounded("a\x1b[2J\rb\nc\td"), "a\\u{1b}[2J\\rb\nc\td");
    }
}
