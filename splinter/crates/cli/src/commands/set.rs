//! `set`: a key's value, from the line, from standard input or from a file.

use crate::command::{Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::output::shown;
use crate::session::{Session, patiently};
use splinter::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// The command.
pub static COMMAND: Command = Command {
    name: "set",
    usage: &["KEY VALUE", "KEY -", "KEY --file FILE"],
    summary: "Sets the value of a key, which is made if it is missing",
    details: "\
VALUE is one word: put quotes around one that holds blanks. A VALUE of - takes
what is on standard input, to its end. The type and labels of a key stay, its
vector goes. A BIGUINT key takes decimal digits as a number, but eight bytes as
the number itself: use math for those.",
    args: &[
        Arg { name: "KEY", kind: Kind::Key, count: Count::One },
        Arg { name: "VALUE", kind: Kind::Text, count: Count::Maybe },
    ],
    options: &[Opt {
        long: "--file",
        short: None,
        value: Some(("FILE", Kind::File)),
        help: "takes the value from FILE",
    }],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let most = session.store()?.geometry().max_value_len;
    let value = given(call, session.is_interactive, most)?;
    let mut writer = session.writer()?;
    patiently(|| writer.set(&key, &value)).map_err(|error| match error {
        Error::ValueTooLong => too_long(value.len() as u64, most),
        error => Failure::key(&key, error),
    })
}

/// Returns the value that a call gives, in any of the three ways.
pub(super) fn given(call: &Call<'_>, is_interactive: bool, most: u64) -> Result<Vec<u8>, Failure> {
    match (call.get(1), call.value("--file")) {
        (Some(_), Some(_)) => Err(Failure::usage("give a VALUE or --file, not both")),
        (None, None) => Err(Failure::usage(format!("VALUE is missing; {}", call.usage()))),
        (None, Some(path)) => {
            let reading = format!("read {}", shown(path));
            let file = File::open(OsStr::from_bytes(path));
            let file = file.map_err(|error| Failure::io(&reading, &error))?;
            read_all(file, &reading, most)
        }
        (Some(b"-"), None) if is_interactive => {
            Err(Failure::usage("commands come from standard input here; give the value, or --file"))
        }
        (Some(b"-"), None) => read_all(io::stdin().lock(), "read standard input", most),
        (Some(value), None) => Ok(value.to_vec()),
    }
}

/// Reads to the end, but no more than a value can be and one byte.
fn read_all(from: impl Read, reading: &str, most: u64) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let read = from.take(most.saturating_add(1)).read_to_end(&mut value);
    match read {
        Err(error) => Err(Failure::io(reading, &error)),
        Ok(len) if len as u64 > most => Err(too_long(len as u64, most)),
        Ok(_) => Ok(value),
    }
}

fn too_long(len: u64, most: u64) -> Failure {
    Failure::new(format!(
        "the value has {len} bytes or more; this store's values have {most} at most"
    ))
}
