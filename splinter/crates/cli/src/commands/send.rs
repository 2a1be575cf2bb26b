//! The command `send`: sends a message, by setting a key; in an envelope, if asked.

use super::prelude::*;
use crate::byte_order_mark;
use crate::envelope::{Envelope, Type};
use crate::options::{not_one_of, text};
use crate::output::{counted, json_bytes, shown};
use crate::stdio;
use crate::store_file::StoreCheck;
use crate::value::{self, FILE, given, next_line};
use serde_json::Value;
use splinter::Writer;
use std::time::Duration;

pub(super) static COMMAND: Command = Command {
    name: "send",
    usage: &["KEY VALUE [OPTION]...", "KEY - [OPTION]...", "KEY --lines [OPTION]..."],
    summary: "Sends a message to all receivers of a key",
    details: "\
The message becomes the value of KEY, which is created if it is missing. recv
prints it at the other end. A key holds one message: if two follow each other
faster than they are received, the receiver finds the second.

--lines sends each line of standard input as a message. --envelope wraps a
message in a line of JSON with its sender, time and type. With --lines it
numbers the messages, so that a receiver can see gaps, and with --eof it sends
one more message that marks the end. In an envelope, VALUE is a string, or JSON
with --parse.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("VALUE", Kind::Text)],
    options: &[
        FILE,
        Opt::flag("--lines", "sends standard input line by line"),
        Opt::valued("--pace", "SPAN", "how long to wait between lines, as in 10ms"),
        Opt::flag("--envelope", "wraps it in an envelope").short('e'),
        Opt::valued("--type", "TYPE", "query, response, event (if not given), error or heartbeat")
            .kind(Kind::Choice(Type::NAMES)),
        Opt::valued("--from", "NAME", "the sender; by default, the process"),
        Opt::valued("--to", "NAME", "the receiver"),
        Opt::valued("--ttl", "SPAN", "after which time it expires, as in 5s"),
        Opt::valued("--trace", "ID", "the id of what it belongs to"),
        Opt::valued("--seq", "N", "its number in a sequence; the first one's, with --lines"),
        Opt::flag("--eof", "marks it as the last"),
        Opt::flag("--parse", "takes VALUE as JSON"),
    ],
    run,
};

/// The options that need `--envelope`.
const OF_ENVELOPES: [&str; 8] = ["--type", "--from", "--to", "--ttl", "--trace", "--seq", "--eof", "--parse"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let wrapper = Wrapper::of(call)?;
    let mut writer = session.writer()?;
    if !call.has("--lines") {
        if call.has("--pace") {
            return Err(Failure::usage("--pace goes with --lines"));
        }
        let value = given(session, call)?;
        let message = match &wrapper {
            None => value,
            Some(wrapper) => wrapper.wrap(&value, wrapper.seq, wrapper.eof)?,
        };
        let epoch = value::set(&mut writer, &key, &message, value::PLAIN)?;
        let (key, len) = (json_bytes(&key), message.len());
        return session.answer(&json!({ "key": key, "epoch": epoch, "value_length": len }));
    }
    if call.get(1).is_some() || call.has(FILE.long) {
        return Err(Failure::usage("--lines takes standard input, and no VALUE or --file"));
    }
    if session.is_interactive || session.reads_commands {
        return Err(Failure::usage("commands come from standard input here; send line by line"));
    }
    let pace = call.span("--pace")?.unwrap_or_default();
    let messages = send_lines(&mut writer, &key, wrapper.as_ref(), pace)?;
    session.answer_of(&writer, &key, json!({ "messages": messages }))
}

/// Sends each line of standard input as a message. Returns the number of messages.
fn send_lines(
    writer: &mut Writer,
    key: &[u8],
    wrapper: Option<&Wrapper>,
    pace: Duration,
) -> Result<u64, Failure> {
    let first = wrapper.and_then(|wrapper| wrapper.seq).unwrap_or(0);
    let mut messages = 0;
    let seq = |messages: u64| Some(first.wrapping_add(messages));
    let mut store_check = StoreCheck::new();
    let (mut input, most) = (stdio::input(), writer.geometry().max_value_len);
    for number in 1_u64.. {
        let Some(line) = next_line(&mut input, most)? else { break };
        if line.len() as u64 > most {
            let sent = counted(messages, "message");
            return Err(Failure::new(format!(
                "line {number} is longer than the {most} bytes that this store takes; {sent} sent"
            )));
        }
        let message = match wrapper {
            None => line,
            Some(wrapper) => wrapper.wrap(&line, seq(messages), false)?,
        };
        store_check.run_if_due(writer)?;
        value::set(writer, key, &message, value::PLAIN)?;
        messages += 1;
        std::thread::sleep(pace);
    }
    if let Some(wrapper) = wrapper.filter(|wrapper| wrapper.eof) {
        let mut last = wrapper.envelope(Value::Null);
        (last.seq, last.eof) = (seq(messages), true);
        value::set(writer, key, last.to_string().as_bytes(), value::PLAIN)?;
        messages += 1;
    }
    Ok(messages)
}

/// The fields that all envelopes of one call share.
struct Wrapper {
    kind: Type,
    from: String,
    to: Option<String>,
    ttl_ms: Option<u64>,
    trace: Option<String>,
    seq: Option<u64>,
    eof: bool,
    parse: bool,
}

impl Wrapper {
    /// Reads the options. Returns none without `--envelope`.
    fn of(call: &Call<'_>) -> Result<Option<Self>, Failure> {
        if !call.has("--envelope") {
            return match OF_ENVELOPES.into_iter().find(|long| call.has(long)) {
                Some(long) => Err(Failure::usage(format!("{long} goes with --envelope"))),
                None => Ok(None),
            };
        }
        let named = |long: &str| -> Result<Option<String>, Failure> {
            call.value(long).map(|word| text(long, word).map(str::to_owned)).transpose()
        };
        let kind = match named("--type")? {
            None => Type::Event,
            Some(name) => Type::from_name(&name)
                .ok_or_else(|| not_one_of(name.as_bytes(), Type::NAMES).with_context("--type"))?,
        };
        let from = named("--from")?;
        if from.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::usage("--from: the name is empty"));
        }
        let ttl = call.span("--ttl")?;
        Ok(Some(Self {
            kind,
            from: from.unwrap_or_else(|| format!("splinterctl-{}", std::process::id())),
            to: named("--to")?,
            ttl_ms: ttl.map(|ttl| ttl.as_millis().try_into().unwrap_or(u64::MAX)),
            trace: named("--trace")?,
            seq: call.number("--seq")?,
            eof: call.has("--eof"),
            parse: call.has("--parse"),
        }))
    }

    fn envelope(&self, payload: Value) -> Envelope {
        let mut envelope = Envelope::new(&*self.from, self.kind, payload);
        (envelope.to, envelope.trace) = (self.to.clone(), self.trace.clone());
        envelope.ttl_ms = self.ttl_ms;
        envelope
    }

    /// Puts a message into an envelope.
    fn wrap(&self, message: &[u8], seq: Option<u64>, eof: bool) -> Result<Vec<u8>, Failure> {
        let payload = if self.parse {
            let wrong = |why: &str| Failure::usage(format!("--parse: {} is not JSON: {why}", shown(message)));
            let text = byte_order_mark::without(message).map_err(wrong)?;
            serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))?
        } else {
            json_bytes(message)
        };
        let mut envelope = self.envelope(payload);
        (envelope.seq, envelope.eof) = (seq, eof);
        Ok(envelope.to_string().into_bytes())
    }
}
