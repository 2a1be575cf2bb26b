//! The command `set`: sets a key's value, from the line, standard input or a file.

use super::prelude::*;
use crate::expect;
use crate::output::json_bytes;
use crate::value::{self, Terms};
use splinter::Lifetime;

pub(super) static COMMAND: Command = Command {
    name: "set",
    usage: &["KEY VALUE", "KEY -", "KEY --file FILE"],
    summary: "Sets the value of a key, and creates the key if it is missing",
    details: "\
VALUE is one word: put quotes around a value with blanks. A VALUE of - is all of
standard input. The key keeps its type and labels, and loses its vector. A
BIGUINT key takes a number: decimal digits, or eight bytes that are not text.

With --if-absent, --if-present or --if-epoch the key is set only if it is as
expected at that instant, and otherwise the exit code is 5. With --ttl the key
expires after SPAN, and with --keep-ttl when it would have before: see expire.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("VALUE", Kind::Text)],
    options: &[
        value::FILE,
        expect::ABSENT,
        expect::PRESENT,
        expect::EPOCH,
        Opt::valued("--ttl", "SPAN", "lets the key expire after SPAN, as in 500ms or 2h"),
        Opt::flag("--keep-ttl", "lets the key expire when it would have before"),
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (key, value, terms) = given(session, call)?;
    let mut writer = session.writer()?;
    let epoch = value::set(&mut writer, &key, &value, terms)?;
    let len = value.len();
    session.answer(&json!({ "key": json_bytes(&key), "epoch": epoch, "value_length": len }))
}

/// Returns the key of a call, its value and its terms.
pub(super) fn given(session: &Session, call: &Call<'_>) -> Result<(Vec<u8>, Vec<u8>, Terms), Failure> {
    let key = session.key(call.arguments[0]);
    let value = value::given(session, call)?;
    let expect = expect::given(call)?;
    let lifetime = match (call.span("--ttl")?, call.has("--keep-ttl")) {
        (None, false) => Lifetime::Endless,
        (Some(span), false) => Lifetime::For(span),
        (None, true) => Lifetime::Unchanged,
        (Some(_), true) => return Err(Failure::usage("give --ttl or --keep-ttl, not both")),
    };
    Ok((key, value, (expect, lifetime)))
}
