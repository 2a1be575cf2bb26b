//! Where a value comes from, the line, standard input, or a file, and how it is shown. A number is digits at both ends.
//! Never reads more than the store takes.

use crate::command::{Call, Kind, Opt};
use crate::failure::Failure;
use crate::output::{Format, json_bytes, shown, write_json, write_value};
use crate::session::Session;
use crate::standard;
use serde_json::Value;
use splinter::{Content, Error, Store, Type, Writer};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

/// The option of commands that take a value.
pub const FILE: Opt = Opt {
    long: "--file",
    short: None,
    value: Some(("FILE", Kind::File)),
    help: "takes the value from FILE",
};

/// Returns the value that a call of `KEY VALUE`, `KEY -` or `KEY --file FILE` gives.
///
/// # Errors
/// There is none, or more than one; what cannot be read; more bytes than the store's values have.
pub fn given(session: &Session, call: &Call<'_>) -> Result<Vec<u8>, Failure> {
    let most = session.store()?.geometry().max_value_len;
    match (call.get(1), call.value(FILE.long)) {
        (Some(_), Some(_)) => Err(Failure::usage("give a VALUE or --file, not both")),
        (None, None) => Err(Failure::usage(format!("VALUE is missing; {}", call.usage()))),
        (None, Some(path)) => {
            let reading = format!("read {}", shown(path));
            let file = File::open(OsStr::from_bytes(path));
            let file = file.map_err(|error| Failure::io(&reading, &error))?;
            read_all(file, &reading, most)
        }
        (Some(b"-"), None) if session.reads_commands => Err(Failure::usage(
            "- is standard input, from which the commands come; give the value, or --file",
        )),
        (Some(b"-"), None) => read_all(standard::input(), "read standard input", most),
        (Some(value), None) => Ok(value.to_vec()),
    }
}

/// A value as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The epoch it was published with.
    pub epoch: u64,
    /// The bytes, as they are shown: a number's decimal digits.
    pub bytes: Vec<u8>,
    /// The number that it is, in a `BIGUINT` key.
    pub number: Option<u64>,
}

impl Reading {
    /// Reads the value of `key`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Again`] when it changed all the while.
    pub fn of(store: &Store, key: &[u8]) -> Result<Self, Error> {
        let Content { slot, value: bytes, .. } = store.content(key)?;
        let number =
            <[u8; 8]>::try_from(bytes.as_slice()).ok().filter(|_| slot.kind == Type::BigUint);
        let number = number.map(u64::from_le_bytes);
        let bytes = number.map_or(bytes, |number| number.to_string().into_bytes());
        Ok(Self { epoch: slot.epoch, bytes, number })
    }

    /// Turns the value into JSON: a number, text, or bytes.
    pub fn json(&self) -> Value {
        self.number.map_or_else(|| json_bytes(&self.bytes), Value::from)
    }

    /// Writes the value: `LEN:VALUE` and a newline, JSON, or the bytes alone.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write, format: Format) -> io::Result<()> {
        match format {
            Format::Json => write_json(out, &self.json()),
            format => write_value(out, format, &self.bytes),
        }
    }
}

/// Sets the value of `key`. Eight digits set on a number are digits, though eight bytes are a number to the store.
///
/// # Errors
/// As [`Writer::set`].
pub fn set(writer: &mut Writer, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let digits = std::str::from_utf8(value).ok().filter(|_| value.len() == 8);
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) if writer.snapshot(key).is_ok_and(|slot| slot.kind == Type::BigUint) => {
            writer.set_u64(key, number)
        }
        _ => writer.set(key, value),
    }
}

/// Says what the store answered when `value` was to be stored at `key`.
pub fn refused(session: &Session, key: &[u8], len: usize, error: Error) -> Failure {
    match (error, session.store()) {
        (Error::ValueTooLong, Ok(store)) => too_long(len as u64, store.geometry().max_value_len),
        (error, _) => Failure::key(key, error),
    }
}

/// Reads to the end, but no more than a value can be and one byte.
fn read_all(from: impl Read, reading: &str, most: u64) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    match from.take(most.saturating_add(1)).read_to_end(&mut value) {
        Err(error) => Err(Failure::io(reading, &error)),
        Ok(len) if len as u64 > most => Err(Failure::new(format!(
            "the value has more than the {most} bytes that this store takes"
        ))),
        Ok(_) => Ok(value),
    }
}

fn too_long(len: u64, most: u64) -> Failure {
    Failure::new(format!("the value has {len} bytes; this store takes {most} at most"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_the_store_takes() {
        assert_eq!(read_all(&b"1234"[..], "read", 4), Ok(b"1234".to_vec()));
        let refusal = read_all(io::repeat(b'x'), "read", 4).unwrap_err();
        assert_eq!((refusal.exit, refusal.message.contains("more than the 4 bytes")), (1, true));
    }
}
