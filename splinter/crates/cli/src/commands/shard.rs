//! The command `shard`: as `bids`, with its words in the order of libsplinter's own command line.

use super::bids;
use super::prelude::*;
use crate::options::number;
use crate::output::shown;
use crate::wait::next_check;
use splinter::{BidError, BidTerms, Patience};

pub(super) static COMMAND: Command = Command {
    name: "shard",
    usage: &[
        "table",
        "who",
        "claim ID INTENT PRIORITY TICKS [--hold SPAN]",
        "rebid ID INTENT PRIORITY TICKS",
        "release ID",
        "advise ID INTENT [nowait]",
    ],
    summary: "Shows and makes bids as libsplinter's command of that name does",
    details: "\
It works as bids, which explains bids, with the words in the original's order. A
bid holds for TICKS of the processor's counter. advise is about the whole store,
and waits until the bid is elected. With nowait it fails at once if another bid
is sovereign.",
    args: &[
        Arg::optional("table", Kind::Choice(bids::ACTIONS)),
        Arg::optional("ID", Kind::Text),
        Arg::optional("INTENT", Kind::Choice(bids::INTENTS)),
        Arg::optional("PRIORITY", Kind::Text),
        Arg::optional("TICKS", Kind::Text),
    ],
    options: &[Opt::valued("--hold", "SPAN", "for how long claim keeps the store open")],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (action, words) = call.action(bids::ACTIONS, |action| match action {
        "claim" | "rebid" => (&["ID", "INTENT", "PRIORITY", "TICKS"], 4),
        "release" => (&["ID"], 1),
        "advise" => (&["ID", "INTENT"], 3),
        _ => (&[], 0),
    })?;
    let hold = call.span("--hold")?;
    if hold.is_some() && action != "claim" {
        return Err(Failure::usage("--hold goes with claim"));
    }
    let id = words.first().map_or(Ok(0), |word| number("ID", word))?;
    match (action, words) {
        ("table", _) => bids::table(session),
        ("who", _) => bids::who(session),
        ("release", _) => {
            session.store()?.bids().release(id)?;
            bids::print_done(session, "released", id)
        }
        ("advise", [_, intent, rest @ ..]) => {
            if let Some(other) = rest.first().filter(|word| **word != b"nowait") {
                return Err(Failure::usage(format!(
                    "{} is not nowait; {}",
                    shown(other),
                    call.usage_of(b"advise")
                )));
            }
            advise(session, id, intent, rest.is_empty())
        }
        (action, [_, intent, priority, ticks]) => {
            let terms = BidTerms {
                intent: bids::intent("INTENT", intent)?,
                priority: number("PRIORITY", priority)?,
                duration: number("TICKS", ticks)?,
            };
            if action == "claim" {
                return bids::hold(session, id, terms, hold, "give --hold SPAN");
            }
            session.store()?.bids().renew(id, terms)?;
            bids::print_done(session, "renewed", id)
        }
        _ => Err(Failure::usage(call.usage())),
    }
}

/// Gives advice on the whole store. Makes a bid for it if the process has none with that id.
fn advise(session: &Session, id: u32, intent: &[u8], waits: bool) -> Result<(), Failure> {
    let advice = bids::advice("INTENT", intent)?;
    let store = session.store()?;
    let mut has_own = false;
    let advised = loop {
        let patience = match waits {
            true => Patience::Until(next_check(session, None)),
            false => Patience::Defer,
        };
        match store.bids().advise(id, 0..store.arena_len(), advice, patience) {
            Err(BidError::Unknown { .. }) if !has_own => {
                store.bids().claim(id, BidTerms::default())?;
                has_own = true;
            }
            // Each wait is short, so that Ctrl-C can end it.
            Err(BidError::TimedOut { .. }) if waits && !session.is_interrupted() => {}
            advised => break advised,
        }
    };
    if has_own {
        store.bids().release(id)?;
    }
    Ok(advised?)
}
