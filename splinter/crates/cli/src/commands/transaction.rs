//! The command `transaction`: makes the changes that the lines of a script describe, all at once or none.

use super::prelude::*;
use super::{check, expire, label, math, set, unset};
use crate::command::Table;
use crate::expect;
use crate::lines::Lines;
use crate::options;
use crate::output::{json_bytes, shown};
use crate::retry::retry_busy;
use crate::stdio;
use crate::value::{self, not_set, number_meant};
use crate::words::Word;
use serde_json::Value;
use splinter::{Error, Expect, IntegerOp, Lifetime, MAX_ORDERS, Outcome, Store, Transaction};

pub(super) static COMMAND: Command = Command {
    name: "transaction",
    usage: &["[FILE]"],
    summary: "Makes the changes in the lines of FILE all at once, or none",
    details: "\
A line is one of these commands, with the words and options that it always has:

  set, unset KEY..., math, label KEY MASK, expire, persist, check

Without FILE, or if it is -, the lines come from standard input. All of them are
read and checked before anything happens, and a mistake is told with its line.
Then all changes happen at one instant, for every process, also if this one dies
half-way. Readers find all keys as before, or all as after.

Nothing happens if any line cannot be done: if a key is missing, for example, or
busy for too long. The exit code is 5 if a key is not as a line expects it to
be, as check, set --if-absent or unset --if-epoch do.

The order of the lines does not matter. For each key, one line at most may set,
unset or compute its value, one may expect something of it, and one may say how
long it stays. A transaction has 255 keys at most. If several lines cannot be
done, one of them is told. It prints the numbers that math made; the answer of
--json has each key, with its epoch if the transaction made or expected one.",
    args: &[Arg::optional("FILE", Kind::File)],
    options: &[],
    run,
};

/// What a script does with the value of a key.
enum Content {
    Set(Vec<u8>),
    Compute(IntegerOp, Option<u64>),
    Remove,
}

/// What a script expects of a key and does with it, with the numbers of the lines that say so.
struct Part {
    key: Vec<u8>,
    /// The first line that names the key.
    line: u64,
    expect: Option<(u64, Expect)>,
    content: Option<(u64, Content)>,
    lifetime: Option<(u64, Lifetime)>,
    /// Labels to add, and labels to remove.
    labels: Option<[u64; 2]>,
}

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let word = call.get(0).unwrap_or(b"-");
    let (from, _) = open_input(session, word)?;
    session.store()?;
    // The lines may take long to arrive.
    session.release_writer();
    // Standard input has the lines, or one value at most.
    let reads_commands = session.reads_commands;
    session.reads_commands |= word == b"-" || stdio::is_input(options::path(word));
    let mut parts = Vec::new();
    let read = Lines::new(from).try_for_each(|line| {
        let (line, words) = line?;
        not_interrupted(session)?;
        read_line(&mut parts, line, &words, session, call.table).map_err(|failure| failure.at_line(line))
    });
    session.reads_commands = reads_commands;
    read?;
    not_interrupted(session)?;
    session.warn_if_lost();
    parts.iter().try_for_each(Part::check)?;
    let outcomes = commit(session, &parts)?;
    answer(session, &parts, &outcomes)
}

/// Fails if Ctrl-C was pressed while the lines arrived.
pub(super) fn not_interrupted(session: &Session) -> Result<(), Failure> {
    match session.is_interrupted() {
        true => Err(Failure::new("interrupted; nothing was changed")),
        false => Ok(()),
    }
}

/// Reads a line of the script into the part of its key, or of its keys.
fn read_line(
    parts: &mut Vec<Part>,
    line: u64,
    words: &[Word],
    session: &mut Session,
    table: &'static Table,
) -> Result<(), Failure> {
    let Some((name, rest)) = words.split_first() else { return Ok(()) };
    let command = table.find(name).ok_or_else(|| table.unknown(name))?;
    let call = Call::parse(table, command, rest);
    let read = call.and_then(|call| read_call(parts, line, &call, session));
    read.map_err(|failure| failure.with_context(command.name))
}

fn read_call(
    parts: &mut Vec<Part>,
    line: u64,
    call: &Call<'_>,
    session: &mut Session,
) -> Result<(), Failure> {
    if call.has("--help") || call.format().is_some() {
        return Err(Failure::usage("--help, --json and --raw are not for single lines of a transaction"));
    }
    let first = |session: &Session| session.key(call.arguments[0]);
    match call.command.name {
        "set" => {
            let (key, value, (expect, lifetime)) = set::given(session, call)?;
            session.reads_commands |= value::is_from_input(call);
            let part = part(parts, line, key)?;
            part.expect(line, expect)?;
            part.content(line, Content::Set(value))?;
            if lifetime != Lifetime::Endless {
                part.lifetime(line, lifetime)?;
            }
            Ok(())
        }
        "unset" if call.has("--tandem") || call.has("--regex") => {
            Err(Failure::usage("a transaction removes keys by name only, without --tandem and --regex"))
        }
        "unset" if call.arguments.is_empty() => Err(call.missing("KEY")),
        "unset" => {
            let expect = unset::expected(call)?;
            call.arguments.iter().try_for_each(|word| {
                let part = part(parts, line, session.key(word))?;
                part.expect(line, expect)?;
                part.content(line, Content::Remove)
            })
        }
        "math" => {
            let (key, operation, initial) = math::given(session, call)?;
            part(parts, line, key)?.content(line, Content::Compute(operation, initial))
        }
        "label" => {
            let (mask, is_removed) = label::given(session, call)?.ok_or_else(|| call.missing("MASK"))?;
            let part = part(parts, line, first(session))?;
            let labels = part.labels.get_or_insert_default();
            labels[usize::from(is_removed)] |= mask;
            match labels[0] & labels[1] {
                0 => Ok(()),
                both => {
                    let key = shown(&part.key);
                    Err(Failure::usage(format!("the lines add and remove the labels {both:#x} of {key}")))
                }
            }
        }
        "expire" => {
            let span = expire::given(call)?;
            part(parts, line, first(session))?.lifetime(line, Lifetime::For(span))
        }
        "persist" => part(parts, line, first(session))?.lifetime(line, Lifetime::Endless),
        "check" => {
            let (key, expect) = check::given(session, call)?;
            part(parts, line, key)?.expect(line, expect)
        }
        _ => Err(Failure::usage(
            "a transaction has no such line; it takes set, unset, math, label, expire, persist and check",
        )),
    }
}

/// Returns the part of `key`, which is added if there is none.
fn part(parts: &mut Vec<Part>, line: u64, key: Vec<u8>) -> Result<&mut Part, Failure> {
    let place = match parts.iter().position(|part| part.key == key) {
        Some(place) => place,
        None if parts.len() == MAX_ORDERS => return Err(Failure::usage(Error::TooManyKeys.to_string())),
        None => {
            parts.push(Part { key, line, expect: None, content: None, lifetime: None, labels: None });
            parts.len() - 1
        }
    };
    Ok(&mut parts[place])
}

impl Part {
    fn expect(&mut self, line: u64, expect: Expect) -> Result<(), Failure> {
        if expect == Expect::Any {
            return Ok(());
        }
        note(&mut self.expect, line, expect, "expects something of", &self.key)
    }

    fn expected(&self) -> Expect {
        self.expect.map_or(Expect::Any, |(_, expect)| expect)
    }

    fn content(&mut self, line: u64, content: Content) -> Result<(), Failure> {
        note(&mut self.content, line, content, "sets, unsets or computes", &self.key)
    }

    fn lifetime(&mut self, line: u64, lifetime: Lifetime) -> Result<(), Failure> {
        note(&mut self.lifetime, line, lifetime, "gives or takes the deadline of", &self.key)
    }

    /// Checks that the lines about a key do not contradict each other.
    fn check(&self) -> Result<(), Failure> {
        let key = shown(&self.key);
        let changes_more = self.lifetime.is_some() || self.labels.is_some();
        let needs_key = match self.content {
            Some((line, Content::Remove)) if changes_more => {
                return Err(Failure::usage(format!("unset: another line changes {key}, too")).at_line(line));
            }
            Some((_, Content::Remove | Content::Compute(_, None))) => true,
            Some(_) => false,
            None => changes_more,
        };
        match self.expect {
            Some((line, Expect::Absent)) if needs_key => {
                Err(Failure::usage(format!("another line needs {key}, which must be missing here"))
                    .at_line(line))
            }
            _ => Ok(()),
        }
    }

    /// Turns the store's error about the key into a failure, which names the line that stands in the way.
    fn refused(&self, store: &Store, error: Error) -> Failure {
        let content_line = self.content.as_ref().map_or(self.line, |(line, _)| *line);
        let (expect_line, expect) = self.expect.unwrap_or((content_line, Expect::Any));
        let (line, failure) = match (&self.content, error) {
            (_, Error::Changed { .. } | Error::NotFound) => {
                (expect_line, expect::failure(&self.key, expect, error))
            }
            (Some((line, Content::Set(value))), _) => {
                (*line, not_set(store, &self.key, value, expect, error))
            }
            (Some((line, Content::Compute(..))), _) => (*line, math::failed(&self.key, error)),
            _ => (content_line, Failure::key(&self.key, error)),
        };
        failure.at_line(line)
    }
}

/// Notes what a line says, unless another line has said as much.
fn note<T>(noted: &mut Option<(u64, T)>, line: u64, said: T, does: &str, key: &[u8]) -> Result<(), Failure> {
    match noted {
        Some((earlier, _)) => Err(Failure::usage(format!("line {earlier} already {does} {}", shown(key)))),
        None => {
            *noted = Some((line, said));
            Ok(())
        }
    }
}

/// Makes all changes at once, or none.
fn commit(session: &Session, parts: &[Part]) -> Result<Vec<Outcome>, Failure> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = session.writer()?;
    let mut place = 0;
    let made = retry_busy(|| {
        let transaction = transaction(parts, &writer, &mut place)?;
        writer.commit(&transaction).map_err(|refusal| {
            place = refusal.place;
            refusal.error
        })
    });
    made.map_err(|error| parts[place].refused(&writer, error))
}

/// Returns the transaction that the store makes of the parts. If a type or number is wrong, `place` is that of its part.
fn transaction<'p>(parts: &'p [Part], store: &Store, place: &mut usize) -> Result<Transaction<'p>, Error> {
    let mut transaction = Transaction::new();
    for (at, part) in parts.iter().enumerate() {
        *place = at;
        let change = transaction.key(&part.key);
        match &part.content {
            None => &mut *change,
            Some((_, Content::Set(value))) => match number_meant(store, &part.key, value, part.expected())? {
                Some(number) => change.set_u64(number),
                None => change.set(value),
            },
            Some((_, Content::Compute(operation, None))) => change.integer(*operation),
            Some((_, Content::Compute(operation, Some(initial)))) => change.integer_or(*operation, *initial),
            // The key must exist, as for the command.
            Some((_, Content::Remove)) => change.unset().expect(Expect::Present),
        };
        if let Some([added, removed]) = part.labels {
            change.label(added).unlabel(removed);
            // The key must exist, also if there is nothing to change.
            if part.content.is_none() {
                change.expect(Expect::Present);
            }
        }
        part.lifetime.map(|(_, lifetime)| change.lifetime(lifetime));
        part.expect.map(|(_, expect)| change.expect(expect));
    }
    Ok(transaction)
}

/// Prints the numbers that were computed, in the order of their lines, or all keys in JSON.
fn answer(session: &mut Session, parts: &[Part], outcomes: &[Outcome]) -> Result<(), Failure> {
    let computed = |part: &Part, outcome: &Outcome| match part.content {
        Some((line, Content::Compute(..))) => outcome.number.map(|number| (line, number)),
        _ => None,
    };
    let all = parts.iter().zip(outcomes);
    if session.format != Format::Json {
        let mut numbers: Vec<_> = all.filter_map(|(part, outcome)| computed(part, outcome)).collect();
        numbers.sort_unstable();
        for (_, number) in numbers {
            writeln!(session.out, "{number}")?;
        }
        return Ok(());
    }
    let rows = all.map(|(part, outcome)| {
        let mut row = json!({ "key": json_bytes(&part.key) });
        let made = outcome.version.map(|version| version.epoch);
        let known = match part.expected() {
            Expect::Epoch(epoch) => Some(epoch),
            _ => None,
        };
        if let Some(epoch) = made.or(known) {
            row["epoch"] = epoch.into();
        }
        if let Some((_, number)) = computed(part, outcome) {
            row["number"] = number.into();
        }
        row
    });
    let rows = Value::Array(rows.collect());
    session.answer(&rows)
}
