//! The command `uuid`: prints a random UUID, and can store it in a key.

use super::prelude::*;
use crate::value;
use std::fs;

/// A new UUID of version 4 in each read: proc_sys_kernel(5).
const SOURCE: &str = "/proc/sys/kernel/random/uuid";

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
    let read = fs::read_to_string(SOURCE);
    let line = read.map_err(|error| Failure::io(&format!("read {SOURCE}"), &error))?;
    let uuid = line.trim_end();
    if let Some(key) = call.get(0) {
        let key = session.key(key);
        let mut writer = session.writer()?;
        value::set(&mut writer, &key, uuid.as_bytes())?;
        if session.format == Format::Json {
            return session.answer_of(&writer, &key, json!({ "uuid": uuid }));
        }
    }
    session.print(uuid, &json!({ "uuid": uuid }))
}
