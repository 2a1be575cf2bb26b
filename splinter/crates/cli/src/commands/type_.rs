//! The command `type`: shows or sets the type of a key.

use super::prelude::*;
use crate::options::text;
use crate::output::{json_bytes, shown};
use crate::retry::{retry_busy, retry_key};
use splinter::{Error, Type};

pub(super) static COMMAND: Command = Command {
    name: "type",
    usage: &["KEY [TYPE]"],
    summary: "Shows or sets the type of a key",
    details: "\
TYPE is one of VOID, BIGINT, BIGUINT, JSON, BINARY, IMGDATA, AUDIO, VARTEXT and
VIDEO, in upper or lower case. Types are information, and not enforced. Only a
BIGUINT holds a number, which math changes: a value that becomes a BIGUINT must
be decimal digits, or one to eight bytes that are not text, the lowest first.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("TYPE", Kind::Choice(TYPES))],
    options: &[],
    run,
};

pub(super) const TYPES: &[&str] =
    &["VOID", "BIGINT", "BIGUINT", "JSON", "BINARY", "IMGDATA", "AUDIO", "VARTEXT", "VIDEO"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let Some(word) = call.get(1) else {
        let store = session.store()?;
        let slot = retry_key(&key, || store.snapshot(&key))?;
        let kind = slot.kind.to_string();
        let answer = json!({ "key": json_bytes(&key), "epoch": slot.epoch, "type": kind });
        return session.print(kind, &answer);
    };
    let kind: Type = text("TYPE", word)?.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    let mut writer = session.writer()?;
    retry_busy(|| writer.set_type(&key, kind)).map_err(|error| match error {
        Error::WrongType => Failure::new(format!(
            "{} cannot become a BIGUINT: its value is neither decimal digits nor an integer of up to eight bytes",
            shown(&key)
        )),
        error => Failure::key(&key, error),
    })?;
    session.answer_of(&writer, &key, json!({ "type": kind.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_store() {
        assert_eq!(TYPES, Type::ALL.map(|kind| kind.to_string()));
    }
}
