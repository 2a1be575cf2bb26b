//! The command `config`: shows a store's sizes and settings, and sets its scrub level and flags.

use super::prelude::*;
use crate::options::{choice, not_one_of, number};
use crate::output::write_json;
use splinter::Scrub;

pub(super) static COMMAND: Command = Command {
    name: "config",
    usage: &["", "av [VALUE]", "flags [VALUE]"],
    summary: "Shows the store's sizes and settings, or changes its scrub level or flags",
    details: "\
av is the scrub level: what later writes, in every process, do to stale bytes.
0 or none leaves them. 1 or hybrid zeroes the rest of the last 64 bytes written,
and removed values. 2 or full zeroes all. on and off, the older switch, mean
full and none.

Programs agree on what the sixteen flags mean. VALUE sets the flags whose bits
it has, and -VALUE clears them; it is decimal or begins with 0x. Without VALUE,
the command prints the setting.

eviction says which key makes room in a full store (see init), evicted how many
keys a cache has evicted, and expired how many were removed because their
deadline had passed. sketches says whether the store has sketches of its
vectors.",
    args: &[Arg::optional("SETTING", Kind::Choice(SETTINGS)), Arg::optional("VALUE", Kind::Text)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    if let Some(other) = call.get(0).filter(|word| !SETTINGS.iter().any(|known| known.as_bytes() == *word)) {
        return Err(not_one_of(other, SETTINGS));
    }
    let store = session.store()?.clone();
    match (call.get(0), call.get(1)) {
        (Some(b"av"), None) => {
            let level = store.scrub();
            let number = Scrub::ALL.iter().position(|one| *one == level).unwrap_or_default();
            match session.format {
                Format::Default => writeln!(session.out, "{number} ({level})")?,
                Format::Json => {
                    let level = json!({ "av": number, "scrub": level.to_string() });
                    write_json(&mut session.out, &level)?;
                }
                Format::Raw => writeln!(session.out, "{number}")?,
            }
            Ok(())
        }
        (Some(b"av"), Some(word)) => {
            let level = level(word)?;
            store.set_scrub(level)?;
            session.answer(&json!({ "scrub": level.to_string() }))
        }
        (Some(b"flags"), None) => {
            let flags = store.flags().user();
            session.print(format_args!("{flags:#x}"), &json!({ "flags": flags }))
        }
        (Some(b"flags"), Some([b'-', mask @ ..])) => {
            store.flags().clear_user(number("MASK", mask)?)?;
            session.answer(&json!({ "flags": store.flags().user() }))
        }
        (Some(b"flags"), Some(mask)) => {
            store.flags().set_user(number("MASK", mask)?)?;
            session.answer(&json!({ "flags": store.flags().user() }))
        }
        _ => show(session),
    }
}

const SETTINGS: &[&str] = &["av", "flags"];

fn level(word: &[u8]) -> Result<Scrub, Failure> {
    let known = [
        ("0", Scrub::None),
        ("1", Scrub::Hybrid),
        ("2", Scrub::Full),
        ("none", Scrub::None),
        ("hybrid", Scrub::Hybrid),
        ("full", Scrub::Full),
        ("on", Scrub::Full),
        ("off", Scrub::None),
    ];
    choice(word, &known).map_err(|failure| failure.with_context("LEVEL"))
}

fn show(session: &mut Session) -> Result<(), Failure> {
    let store = session.store()?.clone();
    let (header, name) = (store.header(), session.store_name().unwrap_or_default().to_vec());
    let geometry = header.geometry;
    let fields = vec![
        ("location", json!(store.location().to_string()), None),
        ("format", json!(header.version), None),
        ("slots", json!(geometry.slots), None),
        ("keys", json!(store.len()), None),
        ("max_value_length", json!(geometry.max_value_len), None),
        ("vector_dim", json!(geometry.vector_dim), None),
        ("max_writers", json!(geometry.max_writers), None),
        ("arena_bytes", json!(store.arena_len()), None),
        ("epoch", json!(header.epoch), None),
        ("scrub", json!(header.scrub.to_string()), None),
        ("flags", json!(header.user_flags), Some(format!("{:#x}", header.user_flags))),
        ("parse_failures", json!(header.parse_failures), None),
        ("last_failure_epoch", json!(header.last_failure_epoch), None),
        ("takeovers", json!(header.recoveries), None),
        ("eviction", json!(header.eviction.to_string()), None),
        ("evicted", json!(header.evicted), None),
        ("expired", json!(header.expired), None),
        ("sketches", json!(header.sketches), None),
        ("read_only", json!(store.is_read_only()), None),
    ];
    session.print_fields(Some(("store", &name)), fields)
}
