//! The command `uuid`: prints a random UUID, and can store it in a key.

use super::prelude::*;
use crate::retry::retry_busy;
use crate::value;
use std::fs::File;
use std::io::Read;

pub(super) static COMMAND: Command = Command {
    name: "uuid",
    usage: &["[KEY]"],
    summary: "Prints a random UUID, and sets a key to it if one is given",
    details: "\
It has version 4 (RFC 9562) and comes from the kernel's random numbers. Without
KEY it is only printed, and no store is needed.",
    args: &[Arg::optional("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let uuid = text(random()?);
    if let Some(key) = call.get(0) {
        let key = session.key(key);
        let mut writer = session.writer()?;
        let set = retry_busy(|| value::set(&mut writer, &key, uuid.as_bytes()));
        set.map_err(|error| value::refused(session, &key, uuid.as_bytes(), error))?;
        if session.format == Format::Json {
            return session.answer_of(&writer, &key, json!({ "uuid": uuid }));
        }
    }
    session.print(&uuid, &json!({ "uuid": uuid }))
}

fn random() -> Result<[u8; 16], Failure> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| Failure::io("read /dev/urandom", &error))?;
    Ok(bytes)
}

/// Formats 16 random bytes as a UUID of version 4, variant 1.
fn text(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_variant_are_marked_and_nothing_else_is_changed() {
        assert_eq!(text([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
