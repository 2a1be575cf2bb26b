//! The command `math`: atomic operations on a number in a store. None is ever lost.

use super::prelude::*;
use crate::options::not_one_of;
use crate::output::shown;
use crate::retry::retry_busy;
use splinter::{Error, IntegerOp};

pub(super) static COMMAND: Command = Command {
    name: "math",
    usage: &["KEY OPERATION [NUMBER]"],
    summary: "Changes the number in a BIGUINT key, and prints it",
    details: "\
OPERATION is inc or dec, by 1 without a NUMBER; and, or, or xor, with a NUMBER;
or not. A NUMBER is 0 to 2^64 - 1, decimal or with 0x, and results wrap around.
The name of a label (see label) stands for its mask. The key must exist and be a
BIGUINT; type makes one of decimal digits. With --initial N a missing key is
created, and the operation applies to N. No operation is lost, however many
processes run them at once.",
    args: &[
        Arg::one("KEY", Kind::Key),
        Arg::one("OPERATION", Kind::Choice(OPERATIONS)),
        Arg::optional("NUMBER", Kind::Text),
    ],
    options: &[Opt::valued("--initial", "N", "takes N for the number of a missing key")],
    run,
};

const OPERATIONS: &[&str] = &["inc", "dec", "and", "or", "xor", "not"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (key, operation, initial) = given(session, call)?;
    let mut writer = session.writer()?;
    let changed = retry_busy(|| match initial {
        Some(initial) => writer.integer_or(&key, operation, initial),
        None => writer.integer(&key, operation),
    });
    let now = changed.map_err(|error| failed(&key, error))?;
    if session.format != Format::Json {
        writeln!(session.out, "{now}")?;
    }
    session.answer_of(&writer, &key, json!({ "number": now }))
}

/// Returns the key of a call, the operation, and the number that a missing key has before it.
pub(super) fn given(
    session: &Session,
    call: &Call<'_>,
) -> Result<(Vec<u8>, IntegerOp, Option<u64>), Failure> {
    let operand =
        call.get(2).map(|word| session.labels.mask("NUMBER", word, &session.interrupt)).transpose()?;
    let operation = operation(call.arguments[1], operand)?;
    Ok((session.key(call.arguments[0]), operation, call.number("--initial")?))
}

/// Turns the store's error about an operation on `key` into a failure.
pub(super) fn failed(key: &[u8], error: Error) -> Failure {
    match error {
        Error::WrongType => {
            let key = shown(key);
            Failure::new(format!("{key} is not a BIGUINT; type makes one of decimal digits"))
        }
        error => Failure::key(key, error),
    }
}

fn operation(name: &[u8], operand: Option<u64>) -> Result<IntegerOp, Failure> {
    let shown_name = String::from_utf8_lossy(name);
    let needed = || operand.ok_or_else(|| Failure::usage(format!("{shown_name} needs a NUMBER after it")));
    Ok(match name {
        b"inc" => IntegerOp::Inc(operand.unwrap_or(1)),
        b"dec" => IntegerOp::Dec(operand.unwrap_or(1)),
        b"and" => IntegerOp::And(needed()?),
        b"or" => IntegerOp::Or(needed()?),
        b"xor" => IntegerOp::Xor(needed()?),
        b"not" if operand.is_some() => return Err(Failure::usage("not takes no NUMBER")),
        b"not" => IntegerOp::Not,
        _ => return Err(not_one_of(name, OPERATIONS)),
    })
}
