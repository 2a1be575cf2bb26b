//! Reads the value of a command from its line, standard input or a file, and prints values. A `BIGUINT` is read and
//! printed in decimal digits. Never reads more than a value of the store can hold.

use crate::command::Call;
use crate::expect;
use crate::failure::Failure;
use crate::input;
use crate::options::{self, Kind, Opt};
use crate::output::{Format, json_bytes, shown, write_json, write_value};
use crate::retry::retry_busy;
use crate::session::Session;
use crate::stdio;
use serde_json::{Value, json};
use splinter::{Content, Error, Expect, Lifetime, Store, Transaction, Type, Writer};
use std::io::{self, BufRead, Read};

/// What a command expects of a key, and how long it lets the key stay.
pub(crate) type Terms = (Expect, Lifetime);
/// The terms of a command without options.
pub(crate) const PLAIN: Terms = (Expect::Any, Lifetime::Endless);
/// The size of a number in the store, in bytes.
pub(crate) const NUMBER_LEN: usize = size_of::<u64>();

/// The option `--file`, for commands that take a value.
pub(crate) const FILE: Opt =
    Opt::valued("--file", "FILE", "takes the value from FILE; - is standard input").kind(Kind::File);

/// Returns the value that a call gives as `KEY VALUE`, `KEY -` or `KEY --file FILE`. A FILE of `-` is standard input,
/// too. Fails for no value or more than one, and for more bytes than the store's values can have.
pub(crate) fn given(session: &Session, call: &Call<'_>) -> Result<Vec<u8>, Failure> {
    given_at(session, call, 1)
}

/// As [`given`], for a call whose VALUE is the argument at an index.
pub(crate) fn given_at(session: &Session, call: &Call<'_>, at: usize) -> Result<Vec<u8>, Failure> {
    let most = session.store()?.geometry().max_value_len;
    match (call.get(at), call.value(FILE.long)) {
        (Some(_), Some(_)) => Err(Failure::usage("give a VALUE or --file, not both")),
        (None, None) => Err(Failure::usage(format!("VALUE is missing; {}", call.usage()))),
        (value, file) if [value, file].contains(&Some(b"-")) => match session.reads_commands {
            true => Err(Failure::usage(
                "- is standard input, which has the commands or another value; give the value, or a file",
            )),
            false => read_all(stdio::input(), "read standard input", most),
        },
        (None, Some(path)) => {
            let reading = format!("read {}", shown(path));
            let file = input::open(options::path(path), &session.interrupt);
            read_all(file.map_err(|error| Failure::io(&reading, &error))?, &reading, most)
        }
        (Some(value), None) => Ok(value.to_vec()),
    }
}

/// Tells whether a call takes its value from standard input.
pub(crate) fn is_from_input(call: &Call<'_>) -> bool {
    call.get(1) == Some(b"-") || call.value(FILE.long) == Some(b"-")
}

/// A consistent copy of a key's value and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The epoch of the value.
    pub(crate) epoch: u64,
    /// The bytes as they are printed: decimal digits for a number.
    pub(crate) bytes: Vec<u8>,
    /// The number, if the key is a `BIGUINT`.
    pub(crate) number: Option<u64>,
}

impl Reading {
    /// Reads the value of `key`. Fails with [`Error::Again`] if the value changed during every attempt.
    pub(crate) fn of(store: &Store, key: &[u8]) -> Result<Self, Error> {
        let Content { slot, value: bytes, .. } = store.content(key)?;
        Ok(Self::new(slot.epoch, slot.kind, bytes))
    }

    /// As [`Self::of`], and counts as a use of the key: a cache keeps it longer. A command that follows all changes
    /// of a store does not use its keys.
    pub(crate) fn in_use(store: &Store, key: &[u8]) -> Result<Self, Error> {
        let mut bytes = vec![0; 256];
        loop {
            match store.get_entry(key, &mut bytes) {
                Ok(entry) => {
                    bytes.truncate(entry.len);
                    return Ok(Self::new(entry.version.epoch, entry.kind, bytes));
                }
                Err(Error::BufferTooSmall { needed }) => bytes.resize(needed, 0),
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a reading from the epoch, the type and the stored bytes of a key.
    pub(crate) fn new(epoch: u64, kind: Type, bytes: Vec<u8>) -> Self {
        let number = <[u8; NUMBER_LEN]>::try_from(bytes.as_slice()).ok();
        let number = number.filter(|_| kind == Type::BigUint).map(u64::from_le_bytes);
        let bytes = number.map_or(bytes, |number| number.to_string().into_bytes());
        Self { epoch, bytes, number }
    }

    /// Formats the value as JSON: a number, text, or bytes.
    pub(crate) fn json(&self) -> Value {
        self.number.map_or_else(|| json_bytes(&self.bytes), Value::from)
    }

    /// Writes the value of `key` as the answer of a command: for people, in JSON with its key and epoch, or the bytes
    /// alone.
    pub(crate) fn answer(&self, session: &mut Session, key: &[u8]) -> io::Result<()> {
        let out = &mut session.out;
        match session.format {
            Format::Json => write_json(out, &self.json_with_key(key)),
            format => write_value(out, format, session.on_screen, &self.bytes),
        }
    }

    /// As [`Self::answer`], for one of several values: with a newline after it in the raw format, too.
    pub(crate) fn answer_line(&self, session: &mut Session, key: &[u8]) -> io::Result<()> {
        self.answer(session, key)?;
        session.out.write_all(if session.format == Format::Raw { b"\n" } else { b"" })
    }

    /// Formats the value as JSON, with `key` and the epoch.
    pub(crate) fn json_with_key(&self, key: &[u8]) -> Value {
        json!({ "key": json_bytes(key), "epoch": self.epoch, "value": self.json() })
    }
}

/// Sets the value of `key`, if it is as expected, and how long it stays. Returns the new epoch. A `BIGUINT` key takes a number only.
pub(crate) fn set(
    writer: &mut Writer,
    key: &[u8],
    value: &[u8],
    (expect, lifetime): Terms,
) -> Result<u64, Failure> {
    let set = retry_busy(|| {
        let Some(number) = number_meant(writer, key, value, expect)? else {
            return writer.set_with(key, value, expect, lifetime);
        };
        if lifetime == Lifetime::Endless {
            return writer.set_u64_if(key, number, expect);
        }
        let mut transaction = Transaction::new();
        transaction.key(key).set_u64(number).expect(expect).lifetime(lifetime);
        writer.commit(&transaction)?[0].version.ok_or(Error::NotFound)
    });
    set.map(|version| version.epoch).map_err(|error| not_set(writer, key, value, expect, error))
}

/// Turns the store's error about setting `key` to `value` into a failure.
pub(crate) fn not_set(store: &Store, key: &[u8], value: &[u8], expect: Expect, error: Error) -> Failure {
    match error {
        Error::ValueTooLong => too_long(value.len() as u64, store.geometry().max_value_len),
        Error::WrongType => Failure::new(format!(
            "{} is a BIGUINT, and {} is not a number from 0 to 2^64 - 1; type gives it another type",
            shown(key),
            shown(value)
        )),
        error => expect::failure(key, expect, error),
    }
}

/// Returns the number that `value` stands for, if `key` is a `BIGUINT`. It reads decimal digits, with or without blanks
/// around them, since the output of a program ends in a newline. It also reads eight bytes that are not text, as a
/// number lies in memory. Anything else is [`Error::WrongType`].
/// A key that is not as expected is none whose type matters.
pub(crate) fn number_meant(
    store: &Store,
    key: &[u8],
    value: &[u8],
    expect: Expect,
) -> Result<Option<u64>, Error> {
    match store.snapshot(key) {
        Ok(_) if expect == Expect::Absent => return Ok(None),
        Ok(slot) if matches!(expect, Expect::Epoch(epoch) if epoch != slot.epoch) => return Ok(None),
        Ok(slot) if slot.kind == Type::BigUint => {}
        Ok(_) | Err(Error::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    }
    let digits = value.trim_ascii();
    let digits = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
        return Ok(Some(number));
    }
    let is_text = value.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let bytes = <[u8; NUMBER_LEN]>::try_from(value).ok().filter(|_| !is_text);
    bytes.map(u64::from_le_bytes).map(Some).ok_or(Error::WrongType)
}

/// Reads a line, without its newline; none at the end. Of a line with more than `most` bytes it reads one or two more.
pub(crate) fn next_line(from: &mut impl BufRead, most: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let read = from.take(most.saturating_add(2)).read_until(b'\n', &mut line);
    if read.map_err(|error| Failure::io("read standard input", &error))? == 0 {
        return Ok(None);
    }
    line.pop_if(|last| *last == b'\n');
    Ok(Some(line))
}

/// Reads to the end, but at most one byte more than a value may have.
fn read_all(from: impl Read, reading: &str, most: u64) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    match from.take(most.saturating_add(1)).read_to_end(&mut value) {
        Err(error) => Err(Failure::io(reading, &error)),
        Ok(len) if len as u64 > most => {
            Err(Failure::new(format!("the value has more than the {most} bytes that this store takes")))
        }
        Ok(_) => Ok(value),
    }
}

/// Returns the failure for a value that is too long for the store.
pub(crate) fn too_long(len: u64, most: u64) -> Failure {
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
