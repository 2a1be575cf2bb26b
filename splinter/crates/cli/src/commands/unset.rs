//! The command `unset`: removes keys, by name or by pattern.

use super::prelude::*;
use super::{list, orders};
use crate::expect;
use crate::output::{counted, json_bytes, write_json};
use crate::retry::retry_busy;
use serde_json::Value;
use splinter::{Error, Expect};

pub(super) static COMMAND: Command = Command {
    name: "unset",
    usage: &["KEY...", "--if-epoch N KEY", "--tandem KEY...", "--regex PATTERN"],
    summary: "Removes keys",
    details: "\
It removes the named keys in order, up to the first that is missing or busy. Or
it removes every key under the prefix that matches PATTERN, as for list: list
PATTERN shows them first. If no key matches, that is not a failure. With
--tandem it removes the orders of each KEY as well, all at once: KEY.1, KEY.2
and so on, as many as exist in a row. With --if-epoch it removes a single key,
and only if that still has epoch N; otherwise the exit code is 5. The scrub
level decides whether the bytes are zeroed: see config.",
    args: &[Arg::any("KEY", Kind::Key)],
    options: &[
        Opt::valued("--regex", "PATTERN", "removes the keys that match PATTERN"),
        Opt::flag("--tandem", "removes the orders of a tandem, too").short('r'),
        expect::EPOCH,
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let pattern = call.value("--regex");
    let is_tandem = call.has("--tandem");
    if is_tandem && pattern.is_some() {
        return Err(Failure::usage("give --tandem or --regex, not both"));
    }
    let expect = expected(call)?;
    let keys: Vec<Vec<u8>> = match (call.arguments.as_slice(), pattern) {
        ([], None) => return Err(call.missing("KEY")),
        ([], pattern) => {
            let keys = list::matching(session, pattern)?;
            keys.iter().map(|key| key.as_ref().to_vec()).collect()
        }
        (_, Some(_)) => return Err(Failure::usage("give keys or --regex, not both")),
        (names, None) => names.iter().map(|name| session.key(name)).collect(),
    };
    let mut writer = session.writer()?;
    let (mut removed, mut rows) = (0, Vec::new());
    let mut failure = None;
    for key in &keys {
        let done = retry_busy(|| match is_tandem {
            true => {
                let count = orders::present(&writer, key)?;
                writer.unset_tandem(key, count).map(|orders| json!({ "orders": orders }))
            }
            false => writer
                .unset_if(key, expect)
                .map(|(len, version)| json!({ "deleted_length": len, "epoch": version.epoch })),
        });
        match done {
            Ok(mut row) => {
                removed += 1;
                if session.format == Format::Json {
                    row["key"] = json_bytes(key);
                    rows.push(row);
                }
            }
            // Another process removed it after it was listed.
            Err(Error::NotFound) if pattern.is_some() => {}
            Err(error) => {
                let mut why = expect::failure(key, expect, error);
                if error == Error::NotFound && is_like_a_pattern(&key[session.prefix.len()..]) {
                    why.message.push_str("; --regex takes a pattern");
                }
                failure = Some(why);
                break;
            }
        }
    }
    match session.format {
        Format::Default if pattern.is_some() => {
            writeln!(session.out, "unset: removed {}", counted(removed, "key"))?;
        }
        Format::Json => {
            write_json(&mut session.out, &Value::Array(rows))?;
        }
        Format::Default | Format::Raw => {}
    }
    failure.map_or(Ok(()), Err)
}

/// Returns what a call expects of its key.
pub(super) fn expected(call: &Call<'_>) -> Result<Expect, Failure> {
    match expect::given(call)? {
        Expect::Any => Ok(Expect::Any),
        expect if call.arguments.len() == 1 && !call.has("--tandem") => Ok(expect),
        _ => Err(Failure::usage("--if-epoch takes one KEY")),
    }
}

/// Tells whether a name looks like a pattern.
fn is_like_a_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| b"*?[]()^$|".contains(byte))
}
