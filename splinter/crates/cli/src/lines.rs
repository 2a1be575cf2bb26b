//! Reads scripts line by line, and splits the lines into words. Knows no command.

use crate::byte_order_mark;
use crate::failure::Failure;
use crate::words::{self, Word};
use std::io::{BufRead, BufReader, Read};

/// The most bytes of a line of a script, with its newline.
const MAX_LINE_LEN: u64 = 16 << 20;

/// The lines of a script: their numbers, from 1 on, and their words. A failure begins with the number of its line.
pub(crate) struct Lines<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, line: Vec::new(), number: 0 }
    }

    fn words(&self) -> Result<Vec<Word>, Failure> {
        if self.line.len() as u64 > MAX_LINE_LEN {
            let most = MAX_LINE_LEN >> 20;
            let why = format!("it is longer than {most} MiB; set KEY --file FILE takes long values");
            return Err(Failure::usage(why));
        }
        let line = match self.number {
            1 => byte_order_mark::without(&self.line).map_err(Failure::usage)?,
            _ => &self.line,
        };
        split(without_end(line))
    }
}

impl<R: Read> Lines<BufReader<R>> {
    /// Tells whether the next line is here already. It may take long to arrive otherwise.
    pub(crate) fn has_next(&self) -> bool {
        self.from.buffer().contains(&b'\n')
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<(u64, Vec<Word>), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line.clear();
        self.number += 1;
        match self.from.by_ref().take(MAX_LINE_LEN + 1).read_until(b'\n', &mut self.line) {
            Ok(0) => None,
            Ok(_) => Some(match self.words() {
                Ok(words) => Ok((self.number, words)),
                Err(failure) => Err(failure.at_line(self.number)),
            }),
            Err(error) => Some(Err(Failure::io("read the commands", &error))),
        }
    }
}

/// Splits a line into words. A line that is not finished is a mistake, with exit code 2.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Word>, Failure> {
    words::split(line).map_err(|unfinished| Failure::usage(unfinished.to_string()))
}

/// Returns a line without its line ending, which is not part of the last word.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
