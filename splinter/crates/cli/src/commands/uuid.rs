//! The command `uuid`: prints a random UUID, and can store it in a key.

use super::prelude::*;
use crate::value;
use std::fs::File;
use std::io::Read;

/// Where random bytes come from: random(4).
const SOURCE: &str = "/dev/urandom";

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
    let mut random = [0; 16];
    let read = File::open(SOURCE).and_then(|mut source| source.read_exact(&mut random));
    read.map_err(|error| Failure::io(&format!("read {SOURCE}"), &error))?;
    let uuid = &text(u128::from_be_bytes(random));
    if let Some(key) = call.get(0) {
        let key = session.key(key);
        let mut writer = session.writer()?;
        value::set(&mut writer, &key, uuid.as_bytes(), value::PLAIN)?;
        if session.format == Format::Json {
            return session.answer_of(&writer, &key, json!({ "uuid": uuid }));
        }
    }
    session.print(uuid, &json!({ "uuid": uuid }))
}

/// Formats a random number as a UUID of version 4, variant 10.
fn text(random: u128) -> String {
    let fixed = random & !(0xf << 76 | 0b11 << 62) | 4 << 76 | 0b10 << 62;
    let digits = format!("{fixed:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn only_the_version_and_the_variant_of_a_uuid_are_fixed() {
        assert_eq!(text(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
