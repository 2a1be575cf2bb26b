//! Reads names of labels from the user's file: a name and a mask on each line, with comments after `#`.

use crate::failure::Failure;
use crate::input;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;
use crate::options::number;
use crate::output::{shown, shown_path};
use crate::words;
use std::io;
use std::path::PathBuf;

/// The name of the file in the home folder.
const NAME: &str = ".splinterrc";

/// The file of label names.
#[derive(Clone, Debug)]
pub(crate) struct LabelFile {
    /// Where it is, and how messages call it; none without a home folder.
    place: Option<(PathBuf, String)>,
}

impl LabelFile {
    /// Returns the file that the program was called with, or the one in the home folder.
    pub(crate) fn new(invocation: &Invocation) -> Self {
        let given = invocation.rc_file.clone();
        let given = given.map(|path| (path.clone(), shown_path(&path)));
        let usual = || Some((invocation.home.as_ref()?.join(NAME), format!("~/{NAME}")));
        Self { place: given.or_else(usual) }
    }

    /// Parses a mask of labels: the name of a label, or a number. Other words have exit code 2, and a message that
    /// begins with `what`; a file that cannot be read or parsed has exit code 1.
    pub(crate) fn mask(&self, what: &str, word: &[u8], interrupt: &Interrupt) -> Result<u64, Failure> {
        match (self.find(word, interrupt)?, number(what, word)) {
            (Some(mask), _) | (None, Ok(mask)) => Ok(mask),
            (None, Err(failure)) => match &self.place {
                Some((path, name)) if path.exists() => {
                    let why = format!("{what}: {} is not a label in {name}, and not a number", shown(word));
                    let (_, most) = failure.message.split_once("is not a number").unwrap_or_default();
                    Err(Failure::usage(format!("{why}{most}")))
                }
                _ => Err(failure),
            },
        }
    }

    /// Finds the mask of a label by its name. A number is its own mask, unless a label has it as its name. A line that
    /// cannot be parsed is a failure only if no other has the name.
    pub(crate) fn find(&self, word: &[u8], interrupt: &Interrupt) -> Result<Option<u64>, Failure> {
        let Some((path, name)) = &self.place else { return Ok(number("MASK", word).ok()) };
        let text = match input::read(path, interrupt) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with('~') => Vec::new(),
            read => read.map_err(|error| Failure::io(&format!("read {name}"), &error))?,
        };
        let mut mistake = None;
        for (at, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let words = words::split(line);
            match words.as_deref().unwrap_or_default() {
                [] if words.is_ok() => {}
                [label, mask] => match number("", mask) {
                    Ok(mask) if label == word => return Ok(Some(mask)),
                    Ok(_) => {}
                    Err(_) => {
                        mistake = mistake.or(Some((at, format!("{} is not a mask", shown(mask)))));
                    }
                },
                _ => mistake = mistake.or(Some((at, format!("{} is not a label", shown(line))))),
            }
        }
        match (number("MASK", word), mistake) {
            (Ok(mask), _) => Ok(Some(mask)),
            (Err(_), None) => Ok(None),
            (Err(_), Some((at, why))) => Err(Failure::new(format!(
                "{name}, line {at}: {why}: a line is a name and a number, as in WAITING 0x1"
            ))),
        }
    }
}
