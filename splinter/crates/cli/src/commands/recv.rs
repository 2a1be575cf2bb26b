//! The command `recv`: prints the messages that are sent to a key, as they come.

use super::prelude::*;
use crate::entry::bytes;
use crate::envelope::{Envelope, now_ms};
use crate::options::text;
use crate::output::{counted, json_text, shown};
use crate::retry::{BUSY_PAUSE, retry_forever};
use crate::store_file::StoreCheck;
use crate::time::deadline;
use crate::value::Reading;
use crate::wait::{is_over, next_check, until_changed};
use serde_json::Value;
use splinter::{Error, Store};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

pub(super) static COMMAND: Command = Command {
    name: "recv",
    usage: &["KEY [--count N | --follow] [--last] [--timeout SPAN] [--envelope [--as NAME]]"],
    summary: "Receives the messages that are sent to a key",
    details: "\
It prints the next message and ends. With --count it goes on until it has
printed N messages, with --follow until it is ended. With --last, the present
value of KEY is the first message. KEY need not exist yet. Receiving removes
nothing from the store: other receivers get the same messages. If messages
follow each other too fast, it prints the last one, and reports on standard
error how many it missed. Every change of KEY counts as a message, also one that
leaves the value as it is. It cannot count messages that came while KEY did not
exist.

With --envelope, it prints envelopes (see send), or with --raw their content. It
counts each message that is not an envelope in the store, and reports it. It
skips envelopes that have expired and, with --as, those for other receivers. The
envelope that is marked as the last ends it. It reports gaps in the numbers of a
sender. With --raw, each message ends in a newline.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[
        Opt::valued("--count", "N", "ends after N messages; after one, if not given").short('n'),
        Opt::flag("--follow", "goes on until it is ended").short('f'),
        Opt::flag("--last", "begins with the present value"),
        Opt::valued("--timeout", "SPAN", "gives up after this time, as in 500ms or 2m"),
        Opt::flag("--envelope", "expects envelopes").short('e'),
        Opt::valued("--as", "NAME", "takes messages for NAME or for all receivers"),
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let count = match (call.number::<u64>("--count")?, call.has("--follow")) {
        (Some(_), true) => return Err(Failure::usage("give --count or --follow, not both")),
        (None, true) => u64::MAX,
        (count, false) => count.unwrap_or(1),
    };
    let end = deadline(call.span("--timeout")?);
    let name = call.value("--as").map(|word| text("--as", word)).transpose()?;
    let mut filter = call.has("--envelope").then(|| EnvelopeFilter { name, seen: HashMap::new() });
    if name.is_some() && filter.is_none() {
        return Err(Failure::usage("--as goes with --envelope"));
    }
    let store = session.store()?.clone();
    // None once the key is missing: any value that comes then is new.
    let mut epoch = match epoch(&store, &key)? {
        Some(_) if call.has("--last") => None,
        epoch => epoch,
    };
    let mut store_check = StoreCheck::new();
    let (mut received, mut has_come) = (0, false);
    while received < count {
        // Messages that are skipped may come without end.
        if has_come && is_over(end) {
            return Err(Failure::new(LATE));
        }
        let Some(message) = next(session, &store, &key, &mut epoch, end, &mut store_check)? else {
            break;
        };
        has_come = true;
        match &mut filter {
            None => {
                message.answer_line(session, &key)?;
                received += 1;
            }
            Some(filter) => {
                let Some(envelope) = filter.pass(session, &store, &message) else { continue };
                write_envelope(session, &envelope)?;
                received += 1;
                if envelope.eof {
                    break;
                }
            }
        }
        session.out.flush()?;
    }
    Ok(())
}

const LATE: &str = "nothing came in time";

fn epoch(store: &Store, key: &[u8]) -> Result<Option<u64>, Failure> {
    match retry_forever(|| store.epoch(key)) {
        Ok(epoch) => Ok(Some(epoch)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(Failure::key(key, error)),
    }
}

/// Waits for the next value of a key, which may be removed and set again meanwhile. Returns none if Ctrl-C was pressed.
fn next(
    session: &Session,
    store: &Store,
    key: &[u8],
    epoch: &mut Option<u64>,
    end: Option<Instant>,
    store_check: &mut StoreCheck,
) -> Result<Option<Reading>, Failure> {
    loop {
        let came = match *epoch {
            Some(epoch) => until_changed(session, store, key, epoch, false, end, store_check)?
                .map(|epoch| epoch.is_some()),
            None => until_present(session, store, key, end, store_check)?,
        };
        match came.and_then(|came| if came { Reading::in_use(store, key).map(Some) } else { Ok(None) }) {
            Ok(Some(message)) => {
                let before = epoch.replace(message.epoch);
                let missed = before.map_or(0, |before| between(before, message.epoch));
                if missed > 0 {
                    let missed = counted(missed, "message");
                    session.warn(&format!("recv: {missed} came too fast and were missed"));
                }
                return Ok(Some(message));
            }
            Ok(None) => return Ok(None),
            Err(Error::NotFound) => *epoch = None,
            // It changed during every attempt. The next one reads it.
            Err(Error::Again) => thread::sleep(BUSY_PAUSE),
            Err(Error::TimedOut) => return Err(Failure::new(LATE)),
            Err(error) => return Err(Failure::key(key, error)),
        }
    }
}

/// Counts the changes between two epochs, without the last one. Each change raises the epoch by two.
fn between(before: u64, after: u64) -> u64 {
    (after.saturating_sub(before) / 2).saturating_sub(1)
}

/// Waits until a key exists. Returns false if Ctrl-C was pressed, or the store's error. Fails if the store was removed,
/// or removed and created again.
fn until_present(
    session: &Session,
    store: &Store,
    key: &[u8],
    end: Option<Instant>,
    store_check: &mut StoreCheck,
) -> Result<Result<bool, Error>, Failure> {
    match store.contains(key) {
        Ok(false) => {}
        answer => return Ok(answer),
    }
    // A read-only process cannot register a watcher.
    let mut watcher = store.watch_all().ok();
    while !session.is_interrupted() {
        match store.contains(key) {
            Ok(false) if is_over(end) => return Ok(Err(Error::TimedOut)),
            Ok(false) => store_check.run_if_due(store)?,
            answer => return Ok(answer),
        }
        match &mut watcher {
            // The check above finds the key, whichever key changed and however many changes were missed.
            Some(watcher) => {
                let _ = watcher.wait(Some(next_check(session, end)));
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(Ok(false))
}

/// Selects the messages to print.
struct EnvelopeFilter<'a> {
    name: Option<&'a str>,
    /// The last message of each sender: its id, and its position in a sequence.
    seen: HashMap<String, (String, Option<u64>)>,
}

impl EnvelopeFilter<'_> {
    /// Returns the envelope in a message, if it is for this receiver, has not expired, and differs from the previous
    /// one. Warns of messages that are not envelopes, and of gaps.
    fn pass(&mut self, session: &Session, store: &Store, message: &Reading) -> Option<Envelope> {
        let envelope = match Envelope::parse(&message.bytes) {
            Ok(envelope) => envelope,
            Err(malformed) => {
                session.warn(&format!("recv: {malformed}"));
                // A read-only process cannot count it.
                let _ = store.report_parse_failure();
                return None;
            }
        };
        let last = (envelope.id.clone(), envelope.seq);
        let before = self.seen.insert(envelope.from.clone(), last);
        if let Some((id, seq)) = before {
            if id == envelope.id {
                return None;
            }
            let missed = match (seq, envelope.seq) {
                (Some(before), Some(now)) => now.saturating_sub(before).saturating_sub(1),
                _ => 0,
            };
            if missed > 0 {
                let missed = counted(missed, "message");
                let from = shown(envelope.from.as_bytes());
                session.warn(&format!("recv: {missed} of {from} came too fast"));
            }
        }
        let is_mine = self.name.is_none_or(|name| envelope.is_for(name));
        (is_mine && !envelope.has_expired(now_ms())).then_some(envelope)
    }
}

fn write_envelope(session: &mut Session, envelope: &Envelope) -> Result<(), Failure> {
    match (session.format, &envelope.payload) {
        (Format::Default | Format::Json, _) => {
            writeln!(session.out, "{}", json_text(envelope))?;
        }
        (Format::Raw, Value::Null) => writeln!(session.out)?,
        (Format::Raw, payload) => {
            let content = bytes("payload", payload).unwrap_or_else(|_| payload.to_string().into_bytes());
            session.out.write_all(&content)?;
            session.out.write_all(b"\n")?;
        }
    }
    Ok(())
}
