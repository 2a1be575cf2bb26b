//! The command `queue`: creates queues, sends to them and receives from them, between processes that come and go.

use super::prelude::*;
use crate::options::{not_one_of, text};
use crate::output::{counted, json_bytes, listed, shown, write_json, write_value};
use crate::retry::BUSY_TIMEOUT;
use crate::stdio;
use crate::store_file::StoreCheck;
use crate::time::deadline;
use crate::value::{FILE, given_at, next_line};
use crate::wait::{is_over, next_check};
use serde_json::{Map, Value};
use splinter::{Error, Store, StoreError};
use splinter_queue::{Consumer, Message, Producer, Queue, QueueConfig, QueueError, Start};
use std::time::{Duration, Instant};

pub(super) static COMMAND: Command = Command {
    name: "queue",
    usage: &[
        "create NAME [OPTION]...",
        "send NAME VALUE [--wait SPAN]",
        "send NAME - [--wait SPAN]",
        "send NAME --lines [--wait SPAN]",
        "recv NAME [--group GROUP] [--count N | --all | --follow] [--wait SPAN]",
        "group add|drop NAME GROUP [--oldest]",
        "show NAME",
        "remove NAME",
    ],
    summary: "Sends messages to a queue and receives them, each once in a group",
    details: "\
A queue is under the key NAME, and takes as many slots of the store as it holds
messages, and one more for itself and each group. Every group gets every
message, and hands it to one of its consumers. A cache can hold no queue: it
would evict messages. create makes the group \"default\", or those of --group.
group add makes another, for the messages that come from then on, or with
--oldest also for those that are still there.

send fails if the queue is full, which it is while a group has not acknowledged
its oldest message: with --wait it waits for room first. --lines sends each line
of standard input as a message.

recv prints a message, and acknowledges it once it was written to standard
output. If that fails, or the process ends before that, another consumer gets
the message: it may be printed twice, and is never lost. --no-ack gives it back
after printing it. --count prints N messages, --all those that are there, and
--follow goes on until it is ended. Without a message recv fails, unless --all
was given; with --wait it waits that long for each. A process holds one message
at a time, and a writer id of the store while it waits.

A SPAN is a number followed by us, ms, s, m or h.",
    args: &[
        Arg::optional("create", Kind::Choice(ACTIONS)),
        Arg::optional("NAME", Kind::Key),
        Arg::any("VALUE", Kind::Text),
    ],
    options: &[
        Opt::valued("--capacity", "N", "how many messages it holds: a power of two; 256, if not given"),
        Opt::valued("--max-len", "BYTES", "the longest message; 1024, if not given, or what the store takes"),
        Opt::valued("--timeout", "SPAN", "after which time a message without acknowledgement comes again"),
        Opt::flag("--or-open", "succeeds also if there is one, which stays as it is"),
        Opt::valued("--group", "GROUP", "the group; \"default\", if not given; create takes several")
            .short('g'),
        Opt::flag("--oldest", "begins a group with the oldest message that is there"),
        FILE,
        Opt::flag("--lines", "sends standard input line by line"),
        Opt::valued("--wait", "SPAN", "how long to wait for room, or for each message, as in 2s").short('w'),
        Opt::valued("--count", "N", "how many messages to receive; one, if not given").short('n'),
        Opt::flag("--all", "receives all messages that are there").short('a'),
        Opt::flag("--follow", "goes on until it is ended").short('f'),
        Opt::flag("--no-ack", "gives the message back, so that a consumer gets it again"),
    ],
    run,
};

const ACTIONS: &[&str] = &["create", "send", "recv", "group", "show", "remove"];
/// The options, and the actions that take them.
const OF_ACTIONS: [(&str, &[&str]); 13] = [
    ("--capacity", &["create"]),
    ("--max-len", &["create"]),
    ("--timeout", &["create"]),
    ("--or-open", &["create"]),
    ("--group", &["create", "recv"]),
    ("--oldest", &["group"]),
    ("--file", &["send"]),
    ("--lines", &["send"]),
    ("--wait", &["send", "recv"]),
    ("--count", &["recv"]),
    ("--all", &["recv"]),
    ("--follow", &["recv"]),
    ("--no-ack", &["recv"]),
];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (action, words) = call.action(ACTIONS, |action| match action {
        "send" => (&["NAME"], 2),
        "group" => (&["add or drop", "NAME", "GROUP"], 3),
        _ => (&["NAME"], 1),
    })?;
    for (option, actions) in OF_ACTIONS {
        if call.has(option) && !actions.contains(&action) {
            return Err(Failure::usage(format!("{option} goes with {}", actions.join(", "))));
        }
    }
    let named = if action == "group" { words[1] } else { words[0] };
    let key = session.key(named);
    let name = text("NAME", &key)?;
    match action {
        "create" => create(session, call, name),
        "send" => send(session, call, name),
        "recv" => recv(session, call, name),
        "group" => group(session, call, name, words),
        "show" => show(session, name),
        _ => {
            let store = session.store()?;
            registered(session, name, || Queue::remove(store, name))?;
            let name = name.as_bytes();
            session.report(format!("removed {}", shown(name)), &json!({ "removed": json_bytes(name) }))
        }
    }
}

/// Calls `act`, which registers a writer. If all writer ids are taken, tries again for a moment.
fn registered<T>(
    session: &Session,
    name: &str,
    act: impl Fn() -> Result<T, QueueError>,
) -> Result<T, Failure> {
    // The one that a script keeps may be the last.
    session.release_writer();
    let done = splinter::retry(BUSY_TIMEOUT, || match act() {
        Err(QueueError::Writer(StoreError::TooManyWriters { .. })) => Err(Error::Again),
        done => Ok(done),
    });
    done.unwrap_or_else(|_| act()).map_err(|error| failure(name, error))
}

/// Turns an error about the queue `name` into a failure.
fn failure(name: &str, error: QueueError) -> Failure {
    let key = name.as_bytes();
    let shown = shown(key);
    match error {
        QueueError::Store(error) => Failure::key(key, error),
        QueueError::Writer(error) => error.into(),
        QueueError::NoQueue => Failure::new(format!("there is no queue {shown}; queue create makes one")),
        QueueError::NoGroup => {
            Failure::new(format!("{shown} has no such group; queue group add makes one, and show lists them"))
        }
        QueueError::Full => {
            Failure::new(format!("{shown} is full; --wait waits until its groups have acknowledged messages"))
        }
        QueueError::Empty => Failure::new(format!("{shown} has no message; --wait waits for one")),
        QueueError::BadName(_) | QueueError::BadConfig(_) => Failure::usage(format!("{shown}: {error}")),
        error => Failure::new(format!("{shown}: {error}")),
    }
}

fn open(session: &Session, name: &str) -> Result<Queue, Failure> {
    let store = session.store()?;
    registered(session, name, || Queue::open(store, name))
}

fn create(session: &mut Session, call: &Call<'_>, name: &str) -> Result<(), Failure> {
    let store = session.store()?;
    let usual = QueueConfig::default();
    // A store of short values has queues of short messages.
    let most = store.geometry().max_value_len.saturating_sub(Queue::ENTRY_HEADER as u64) as usize;
    let groups: Vec<String> = call
        .values("--group")
        .map(|word| text("--group", word).map(str::to_owned))
        .collect::<Result<_, _>>()?;
    let config = QueueConfig {
        capacity: call.number("--capacity")?.unwrap_or(usual.capacity),
        max_message_len: call
            .number::<u64>("--max-len")?
            .map_or(usual.max_message_len.min(most), |len| len as usize),
        timeout: call.span("--timeout")?,
        groups: if groups.is_empty() { usual.groups } else { groups },
    };
    let queue = registered(session, name, || match call.has("--or-open") {
        true => Queue::open_or_create(store, name, &config),
        false => Queue::create(store, name, &config),
    })?;
    let (capacity, max_len) = (queue.capacity(), queue.max_message_len());
    let done = if call.has("--or-open") { "there is" } else { "created" };
    let messages = counted(capacity, "message");
    let text = format!("{done} {} for {messages} of up to {max_len} bytes", shown(name.as_bytes()));
    session.report(text, &json!({ "queue": name, "capacity": capacity, "max_len": max_len }))
}

fn group(session: &mut Session, call: &Call<'_>, name: &str, words: &[&[u8]]) -> Result<(), Failure> {
    let group = text("GROUP", words[2])?;
    let is_added = match words[0] {
        b"add" => true,
        b"drop" if call.has("--oldest") => return Err(Failure::usage("--oldest goes with group add")),
        b"drop" => false,
        word => return Err(not_one_of(word, &["add", "drop"])),
    };
    let queue = open(session, name)?;
    let start = if call.has("--oldest") { Start::Oldest } else { Start::Newest };
    registered(session, name, || match is_added {
        true => queue.create_group(group, start),
        false => queue.drop_group(group),
    })?;
    let done = if is_added { "added" } else { "dropped" };
    let text = format!("{done} the group {} of {}", shown(group.as_bytes()), shown(name.as_bytes()));
    session.report(text, &json!({ "queue": name, done: group }))
}

/// Prints what a queue is, and how many messages each of its groups has not acknowledged.
fn show(session: &mut Session, name: &str) -> Result<(), Failure> {
    let queue = open(session, name)?;
    let failed = |error| failure(name, error);
    let (timeout, sent) = (queue.timeout(), queue.sent().map_err(failed)?);
    let mut groups = Vec::new();
    for group in queue.groups().map_err(failed)? {
        match queue.backlog(&group) {
            Ok(backlog) => groups.push((group, backlog)),
            // It was dropped meanwhile.
            Err(QueueError::NoGroup) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let mut fields = vec![
        ("capacity", json!(queue.capacity()), None),
        ("max_len", json!(queue.max_message_len()), None),
        (
            "timeout_ms",
            json!(timeout.map(|time| time.as_nanos().div_ceil(1_000_000) as u64)),
            timeout.is_none().then(|| "none".into()),
        ),
        ("sent", json!(sent), None),
    ];
    if session.format == Format::Json {
        let backlogs: Map<String, Value> =
            groups.into_iter().map(|(group, backlog)| (group, backlog.into())).collect();
        fields.push(("backlogs", backlogs.into(), None));
        return session.print_fields(Some(("queue", name.as_bytes())), fields);
    }
    session.print_fields(Some(("queue", name.as_bytes())), fields)?;
    for (group, backlog) in groups {
        let messages = counted(backlog, "message");
        let line = [b"group ", &*listed(group.as_bytes()), b": ", messages.as_bytes(), b"\n"].concat();
        session.out.write_all(&line)?;
    }
    Ok(())
}

/// How long a command waits for a queue, and the check that its store is still there.
struct QueueWait {
    store: Store,
    /// None: it does not wait.
    timeout: Option<Duration>,
    check: StoreCheck,
}

impl QueueWait {
    fn new(session: &Session, timeout: Option<Duration>) -> Result<Self, Failure> {
        Ok(Self { store: session.store()?.clone(), timeout, check: StoreCheck::new() })
    }

    /// Calls `attempt` with the time until which to wait, until it is done or the time is over. Returns none if Ctrl-C
    /// was pressed. Fails if the store was removed, or removed and created again.
    fn retry<T>(
        &mut self,
        session: &Session,
        mut attempt: impl FnMut(Option<Instant>) -> Result<T, QueueError>,
    ) -> Result<Option<Result<T, QueueError>>, Failure> {
        let end = deadline(self.timeout);
        while !session.is_interrupted() {
            self.check.run_if_due(&self.store)?;
            match attempt(self.timeout.map(|_| next_check(session, end))) {
                Err(QueueError::TimedOut | QueueError::Store(Error::Again))
                    if self.timeout.is_some() && !is_over(end) => {}
                done => return Ok(Some(done)),
            }
        }
        Ok(None)
    }
}

fn send(session: &mut Session, call: &Call<'_>, name: &str) -> Result<(), Failure> {
    let is_lines = call.has("--lines");
    if is_lines && (call.get(2).is_some() || call.has(FILE.long)) {
        return Err(Failure::usage("--lines takes standard input, and no VALUE or --file"));
    }
    if is_lines && (session.is_interactive || session.reads_commands) {
        return Err(Failure::usage("commands come from standard input here; send message by message"));
    }
    let mut wait = QueueWait::new(session, call.span("--wait")?)?;
    let value = if is_lines { Vec::new() } else { given_at(session, call, 2)? };
    let queue = open(session, name)?;
    let mut producer = registered(session, name, || queue.producer())?;
    if is_lines {
        return send_lines(session, name, &mut producer, &mut wait);
    }
    match send_one(session, name, &mut producer, &mut wait, &value)? {
        Some(position) => session.answer(&json!({ "queue": name, "position": position })),
        None => Ok(()),
    }
}

/// Sends a message. Returns its position, or none if Ctrl-C was pressed.
fn send_one(
    session: &Session,
    name: &str,
    producer: &mut Producer,
    wait: &mut QueueWait,
    message: &[u8],
) -> Result<Option<u64>, Failure> {
    let sent = wait.retry(session, |until| match until {
        None => producer.try_send(message),
        until => producer.send(message, until),
    })?;
    sent.transpose().map_err(|error| match error {
        QueueError::TimedOut => Failure::new(format!("{} was full all the time", shown(name.as_bytes()))),
        error => failure(name, error),
    })
}

/// Sends each line of standard input as a message.
fn send_lines(
    session: &mut Session,
    name: &str,
    producer: &mut Producer,
    wait: &mut QueueWait,
) -> Result<(), Failure> {
    let (mut input, most) = (stdio::input(), wait.store.geometry().max_value_len);
    let mut sent = 0;
    while let Some(line) = next_line(&mut input, most)? {
        let done = send_one(session, name, producer, wait, &line);
        let at_line = |failure: Failure| {
            let message =
                format!("line {}: {}; {} sent", sent + 1, failure.message, counted(sent, "message"));
            Failure { message, ..failure }
        };
        if done.map_err(at_line)?.is_none() {
            return Ok(());
        }
        sent += 1;
    }
    session.answer(&json!({ "queue": name, "messages": sent }))
}

/// How many messages to receive.
#[derive(Clone, Copy, PartialEq)]
enum Amount {
    Count(u64),
    All,
    Endless,
}

impl Amount {
    fn of(call: &Call<'_>) -> Result<Self, Failure> {
        let amount = match (call.number("--count")?, call.has("--all"), call.has("--follow")) {
            (Some(0), ..) => return Err(Failure::usage("0 messages are none; give 1 or more")),
            (count, false, false) => Self::Count(count.unwrap_or(1)),
            (None, true, false) => Self::All,
            (None, false, true) => Self::Endless,
            _ => return Err(Failure::usage("give one of --count, --all and --follow")),
        };
        if call.has("--no-ack") && amount != Self::Count(1) {
            return Err(Failure::usage(
                "--no-ack receives one message; leave out --count, --all and --follow",
            ));
        }
        if call.has("--wait") && amount == Self::Endless {
            return Err(Failure::usage("--follow waits without end; leave out --wait"));
        }
        Ok(amount)
    }
}

fn recv(session: &mut Session, call: &Call<'_>, name: &str) -> Result<(), Failure> {
    let amount = Amount::of(call)?;
    let group = call.value("--group").map_or(Ok(Queue::DEFAULT_GROUP), |word| text("--group", word))?;
    let timeout = if amount == Amount::Endless { Some(Duration::MAX) } else { call.span("--wait")? };
    let mut wait = QueueWait::new(session, timeout)?;
    let queue = open(session, name)?;
    let mut consumer = registered(session, name, || queue.consumer(group))?;
    // What this process does not print goes to others at once.
    consumer.set_batch(1);
    let mut received = 0;
    while amount != Amount::Count(received) {
        match receive(session, &mut consumer, &mut wait)? {
            None => break,
            Some(Ok(message)) => message.print(session, name)?,
            Some(Err(QueueError::Empty | QueueError::TimedOut)) if amount == Amount::All => break,
            Some(Err(error)) => return Err(not_received(name, amount, received, error)),
        }
        session.out.flush()?;
        received += 1;
        if !call.has("--no-ack") {
            consumer.ack().map_err(|error| failure(name, error))?;
        }
    }
    Ok(())
}

/// Receives a message, or the queue's error. Returns none if Ctrl-C was pressed.
fn receive(
    session: &Session,
    consumer: &mut Consumer,
    wait: &mut QueueWait,
) -> Result<Option<Result<Received, QueueError>>, Failure> {
    wait.retry(session, |until| {
        let message = match until {
            None => consumer.try_recv(),
            until => consumer.recv(until),
        };
        message.map(Received::from)
    })
}

/// Turns an error after some messages into a failure.
fn not_received(name: &str, amount: Amount, received: u64, error: QueueError) -> Failure {
    match (error, amount) {
        (QueueError::Empty | QueueError::TimedOut, Amount::Count(count)) if received > 0 => {
            Failure::new(format!("only {received} of {count} messages came"))
        }
        (QueueError::TimedOut, _) => Failure::new("nothing came in time"),
        (error, _) => failure(name, error),
    }
}

/// A message that was received and not acknowledged.
struct Received {
    position: u64,
    deliveries: u32,
    bytes: Vec<u8>,
}

impl From<Message<'_>> for Received {
    fn from(message: Message<'_>) -> Self {
        let Message { position, deliveries, bytes, .. } = message;
        Self { position, deliveries, bytes: bytes.to_vec() }
    }
}

impl Received {
    fn print(&self, session: &mut Session, name: &str) -> Result<(), Failure> {
        let (out, bytes) = (&mut session.out, &self.bytes);
        if session.format == Format::Json {
            let (position, deliveries) = (self.position, self.deliveries);
            let message = json_bytes(bytes);
            let answer =
                json!({ "queue": name, "position": position, "deliveries": deliveries, "message": message });
            return Ok(write_json(out, &answer)?);
        }
        write_value(out, session.format, session.on_screen, bytes)?;
        // One message may follow another.
        Ok(out.write_all(if session.format == Format::Raw { b"\n" } else { b"" })?)
    }
}
