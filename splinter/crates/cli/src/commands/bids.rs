//! The command `bids`: shows and makes bids, by which processes agree on memory advice.

use super::prelude::*;
use crate::options::{self, choice, not_one_of, number};
use crate::output::{shown, write_json};
use crate::stdio;
use crate::store_file::StoreCheck;
use crate::table;
use crate::time::deadline;
use crate::wait::{POLL_INTERVAL, is_over};
use serde_json::Value;
use splinter::{Advice, Bid, BidError, BidTerms, Intent, Patience, cycles};
use std::os::unix::process::ExitStatusExt;
use std::process;
use std::time::{Duration, Instant};

pub(super) static COMMAND: Command = Command {
    name: "bids",
    usage: &[
        "table",
        "who",
        "claim ID [OPTION]... [--hold SPAN | -- COMMAND...]",
        "rebid ID [OPTION]...",
        "release ID [--force]",
        "advise ID ADVICE [OPTION]...",
    ],
    summary: "Shows and makes bids for advice on the store's memory",
    details: "\
Processes agree by bids on whose memory advice the kernel gets. One of the
current bids is sovereign: the one with the highest priority, and of several the
earliest. who prints it. A dontneed bid is never elected while another process
needs the memory.

A bid lives as long as the open store that made it. At the prompt and in a
script it lives until release, use, or the end. splinterctl bids claim holds it
for --hold, or while a COMMAND runs, and then exits with the COMMAND's code.
release --force takes away another process's bid. advise makes a bid of its own
for a moment if there is none. It fails while another bid is sovereign, unless
--wait says how long to wait. ADVICE is normal, random, sequential, willneed or
dontneed, and changes no byte.

A SPAN is a number followed by us, ms, s, m or h.",
    args: &[
        Arg::optional("table", Kind::Choice(ACTIONS)),
        Arg::optional("ID", Kind::Text),
        Arg::any("ADVICE", Kind::Text),
    ],
    options: &[
        Opt::valued("--intent", "INTENT", "none, willneed, sequential, random or dontneed")
            .kind(Kind::Choice(INTENTS)),
        Opt::valued("--priority", "N", "0 to 255; the higher, the sooner it is elected"),
        Opt::valued("--duration", "SPAN", "for how long the bid holds; without end, if not given"),
        Opt::valued("--hold", "SPAN", "for how long claim keeps the store open"),
        Opt::flag("--force", "releases another's bid").short('f'),
        Opt::valued("--wait", "SPAN", "for how long advise waits to be sovereign"),
        Opt::valued("--from", "BYTE", "the first byte that advise is about; 0, if not given"),
        Opt::valued("--length", "BYTES", "how many it is about; to the end, if not given"),
    ],
    run,
};

pub(super) const ACTIONS: &[&str] = &["table", "who", "claim", "rebid", "release", "advise"];
/// The options, and the actions that take them.
const OF_ACTIONS: [(&str, &[&str]); 8] = [
    ("--intent", TERMS),
    ("--priority", TERMS),
    ("--duration", TERMS),
    ("--hold", &["claim"]),
    ("--force", &["release"]),
    ("--wait", &["advise"]),
    ("--from", &["advise"]),
    ("--length", &["advise"]),
];
const TERMS: &[&str] = &["claim", "rebid", "advise"];
/// The names of the intents, by their numbers.
pub(super) const INTENTS: &[&str] = &["none", "willneed", "sequential", "random", "dontneed"];
const ADVICE: [(&str, Advice); 5] = [
    ("normal", Advice::Normal),
    ("random", Advice::Random),
    ("sequential", Advice::Sequential),
    ("willneed", Advice::WillNeed),
    ("dontneed", Advice::DontNeed),
];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (action, words) = call.action(ACTIONS, |action| match action {
        "claim" => (&["ID"], usize::MAX),
        "rebid" | "release" => (&["ID"], 1),
        "advise" => (&["ID", "ADVICE"], 2),
        _ => (&[], 0),
    })?;
    for (option, actions) in OF_ACTIONS {
        if call.has(option) && !actions.contains(&action) {
            return Err(Failure::usage(format!("{option} goes with {}", actions.join(", "))));
        }
    }
    let id = words.first().map_or(Ok(0), |word| number("ID", word))?;
    match action {
        "table" => table(session),
        "who" => who(session),
        "claim" => claim(session, call, id),
        "rebid" => {
            session.store()?.bids().renew(id, terms(call)?)?;
            print_done(session, "renewed", id)
        }
        "release" => {
            let bids = session.store()?.bids();
            if call.has("--force") {
                bids.release_as_supervisor(id)?;
            } else {
                bids.release(id)?;
            };
            print_done(session, "released", id)
        }
        _ => advise(session, call, id),
    }
}

/// Prints what was done with a bid.
pub(super) fn print_done(session: &mut Session, done: &str, id: u32) -> Result<(), Failure> {
    session.report(format!("{done} {id}"), &json!({ done: id }))?;
    Ok(session.out.flush()?)
}

fn terms(call: &Call<'_>) -> Result<BidTerms, Failure> {
    let usual = BidTerms::default();
    let intent = match call.value("--intent") {
        None => usual.intent,
        Some(word) => intent("--intent", word)?,
    };
    let priority = call.number("--priority")?.unwrap_or(usual.priority);
    let duration = match call.span("--duration")? {
        None => usual.duration,
        Some(span) => (span.as_secs_f64() * cycles_per_second()) as u64,
    };
    Ok(BidTerms { intent, priority, duration })
}

pub(super) fn intent(what: &str, word: &[u8]) -> Result<Intent, Failure> {
    let place = INTENTS.iter().position(|name| name.as_bytes() == word);
    let intent = place.and_then(|place| Intent::from_number(place as u8));
    intent.ok_or_else(|| not_one_of(word, INTENTS).with_context(what))
}

/// Measures the frequency of the counter by which bids expire, in ticks per second.
fn cycles_per_second() -> f64 {
    let (begun, first) = (Instant::now(), cycles());
    std::thread::sleep(Duration::from_millis(10));
    let (ticks, passed) = (cycles().wrapping_sub(first), begun.elapsed());
    ticks as f64 / passed.as_secs_f64()
}

fn claim(session: &mut Session, call: &Call<'_>, id: u32) -> Result<(), Failure> {
    // The program to run, or another process while the bid is held, may need the writer id.
    session.release_writer();
    let (command, terms) = (&call.arguments[2..], terms(call)?);
    let hold = call.span("--hold")?;
    if hold.is_some() && !command.is_empty() {
        return Err(Failure::usage("give --hold or a COMMAND, not both"));
    }
    if let [program, words @ ..] = command {
        // The program would write into /dev/null, which the runtime opened in its place.
        stdio::check_output()?;
        session.store()?.bids().claim(id, terms)?;
        let done = run_program(program, words);
        session.store()?.bids().release(id)?;
        return done;
    }
    self::hold(session, id, terms, hold, "give --hold SPAN, or -- COMMAND")
}

/// Makes a bid, and holds it for a time or for as long as the session lasts. A session that runs a single command does
/// not last: without a time the call fails, with `advice` in the message.
pub(super) fn hold(
    session: &mut Session,
    id: u32,
    terms: BidTerms,
    hold: Option<Duration>,
    advice: &str,
) -> Result<(), Failure> {
    if hold.is_none() && !(session.is_interactive || session.reads_commands) {
        let why = format!("the bid would end with this command; {advice}");
        return Err(Failure::usage(why));
    }
    session.store()?.bids().claim(id, terms)?;
    print_done(session, "claimed", id)?;
    if let Some(hold) = hold {
        session.release_writer();
        let end = deadline(Some(hold));
        let mut store_check = StoreCheck::new();
        while !is_over(end) && !session.is_interrupted() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            std::thread::sleep(left.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL));
            store_check.run_if_due(session.store()?)?;
        }
        session.store()?.bids().release(id)?;
    }
    Ok(())
}

/// Runs a program to its end, and returns its exit code as the command's own. For a program that a signal ended, that
/// is 128 and the signal's number, as in a shell.
fn run_program(program: &[u8], words: &[&[u8]]) -> Result<(), Failure> {
    let words = words.iter().map(|word| options::path(word));
    let status = process::Command::new(options::path(program)).args(words).status();
    let status = status.map_err(|error| Failure::io(&format!("run {}", shown(program)), &error))?;
    let exit = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match exit {
        0 => Ok(()),
        exit => Err(Failure::with_exit_code(exit as u8, "")),
    }
}

pub(super) fn advice(what: &str, word: &[u8]) -> Result<Advice, Failure> {
    choice(word, &ADVICE).map_err(|failure| failure.with_context(what))
}

fn advise(session: &mut Session, call: &Call<'_>, id: u32) -> Result<(), Failure> {
    let word = call.arguments[2];
    let advice = advice("ADVICE", word)?;
    let store = session.store()?;
    let from: u64 = call.number("--from")?.unwrap_or(0);
    let to = match call.number::<u64>("--length")? {
        Some(length) => from.saturating_add(length),
        None => store.arena_len(),
    };
    let patience = match call.span("--wait")? {
        None => Patience::Defer,
        Some(wait) => deadline(Some(wait)).map_or(Patience::Forever, Patience::Until),
    };
    let terms = terms(call)?;
    match store.bids().advise(id, from..to, advice, patience) {
        Err(BidError::Unknown { .. }) => {
            store.bids().claim(id, terms)?;
            let advised = store.bids().advise(id, from..to, advice, patience);
            store.bids().release(id)?;
            advised?;
        }
        advised => advised?,
    }
    Ok(())
}

pub(super) fn who(session: &mut Session) -> Result<(), Failure> {
    let elected = session.store()?.bids().election()?;
    let out = &mut session.out;
    match (elected, session.format) {
        (None, Format::Json) => write_json(out, &Value::Null)?,
        (None, _) => return Err(Failure::new("there is no bid")),
        (Some(bid), Format::Json) => write_json(out, &json(&bid, None))?,
        (Some(bid), Format::Raw) => writeln!(out, "{}", bid.id)?,
        (Some(bid), Format::Default) => writeln!(out, "{} of process {}", bid.id, bid.pid)?,
    }
    Ok(())
}

pub(super) fn table(session: &mut Session) -> Result<(), Failure> {
    let bids = session.store()?.bids().list()?;
    let per_second = if bids.is_empty() { 1.0 } else { cycles_per_second() };
    let now = cycles();
    let out = &mut session.out;
    match session.format {
        Format::Json => {
            let row = |bid: &Bid| json(bid, Some(seconds_left(bid, now, per_second)));
            write_json(out, &bids.iter().map(row).collect())?;
        }
        Format::Raw => bids.iter().try_for_each(|bid| writeln!(out, "{}", bid.id))?,
        Format::Default => {
            let cells = bids.iter().map(|bid| {
                let left = match seconds_left(bid, now, per_second) {
                    Some(seconds) => format!("{seconds:.1} s"),
                    None => "no end".to_owned(),
                };
                let (id, pid, priority) = (bid.id.to_string(), bid.pid.to_string(), bid.priority.to_string());
                let (intent, state) = (INTENTS[bid.intent as usize].to_owned(), state(bid).to_owned());
                let cells = [id, pid, intent, priority, left, state];
                cells.into_iter().map(|cell| cell.into_bytes().into()).collect()
            });
            let rows: Vec<table::Row<'_>> = cells.collect();
            let heading = ["Bid", "Process", "Intent", "Priority", "Left", "State"];
            table::write(out, &heading, &rows)?;
        }
    }
    Ok(())
}

fn state(bid: &Bid) -> &'static str {
    match bid {
        Bid { sovereign: true, .. } => "sovereign",
        Bid { expired: true, .. } => "expired",
        _ => "waiting",
    }
}

/// Returns for how many seconds a bid still holds; none if it has no end.
fn seconds_left(bid: &Bid, now: u64, per_second: f64) -> Option<f64> {
    let gone = now.saturating_sub(bid.claimed_at);
    (bid.duration != u64::MAX).then(|| bid.duration.saturating_sub(gone) as f64 / per_second)
}

/// Formats a bid as JSON, with the seconds that are left, if given.
fn json(bid: &Bid, seconds_left: Option<Option<f64>>) -> Value {
    let mut answer = json!({
        "id": bid.id, "pid": bid.pid, "intent": INTENTS[bid.intent as usize],
        "priority": bid.priority, "state": state(bid),
    });
    if let Some(seconds) = seconds_left {
        answer["seconds_left"] = json!(seconds);
    }
    answer
}
