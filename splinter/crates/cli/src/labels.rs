//! Reads names of labels from the user's file: a name and a mask on each line, with comments after `#`.

use crate::command::number;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::shown;
use crate::session::Session;
use crate::words;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The name of the file in the home folder.
const NAME: &str = ".splinterrc";

/// Returns the file of label names, and how messages call it.
pub fn file(invocation: &Invocation) -> Option<(PathBuf, String)> {
    let given = invocation.rc_file.clone();
    let given = given.map(|path| (path.clone(), shown(path.as_os_str().as_bytes())));
    given.or_else(|| Some((invocation.home.as_ref()?.join(NAME), format!("~/{NAME}"))))
}

/// Parses a mask of labels: the name of a label, or a number.
///
/// # Errors
/// Neither: exit code 2, with a message that begins with `what`. A file that cannot be read or parsed: exit code 1.
pub fn mask(session: &Session, what: &str, word: &[u8]) -> Result<u64, Failure> {
    match (find(session, word)?, number(what, word)) {
        (Some(mask), _) | (None, Ok(mask)) => Ok(mask),
        (None, Err(failure)) => match &session.label_file {
            Some((path, name)) if path.exists() => {
                let why = format!("{what}: {} is no label in {name}, and no number", shown(word));
                let (_, most) = failure.message.split_once("is no number").unwrap_or_default();
                Err(Failure::usage(format!("{why}{most}")))
            }
            _ => Err(failure),
        },
    }
}

/// Finds the mask of a label by its name. A number is its own mask, unless a label has it as its name.
///
/// # Errors
/// A file that cannot be read; or no line has the name, and one cannot be parsed: exit code 1.
pub fn find(session: &Session, word: &[u8]) -> Result<Option<u64>, Failure> {
    let Some((path, name)) = &session.label_file else { return Ok(number("MASK", word).ok()) };
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with('~') => {
            Vec::new()
        }
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
                Err(_) => mistake = mistake.or(Some((at, format!("{} is no mask", shown(mask))))),
            },
            _ => mistake = mistake.or(Some((at, format!("{} is no label", shown(line))))),
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
