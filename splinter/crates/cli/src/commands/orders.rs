//! The command `orders`: sets, reads and removes tandems, which are keys that change as one.

use super::prelude::*;
use crate::options::number;
use crate::output::{json_bytes, listed, shown, write_json};
use crate::retry::retry_busy;
use crate::tandem::name;
use crate::value::{NUMBER_LEN, Reading, number_meant};
use splinter::{Error, Expect, MAX_ORDERS, Store};
use std::borrow::Cow;

pub(super) static COMMAND: Command = Command {
    name: "orders",
    usage: &["set BASE VALUE...", "set BASE COUNT", "get BASE [COUNT]", "unset BASE [COUNT]"],
    summary: "Sets, prints or removes the orders of a tandem as one",
    details: "\
A tandem is the keys BASE, BASE.1, BASE.2 and so on, up to 255 of them, which
change together. get returns all of one generation, even if a writer dies in the
middle of a set. get and unset take the first COUNT orders; without COUNT, all
that exist in a row. get prints a line for each order, and --raw only the
values. unset prints how many orders it removed. A BIGUINT among them is a
number in decimal digits, as for set and get.

set with one number from 2 to 255, and no other value, creates that many orders:
existing ones keep their values, and new ones are empty. (One order is an
ordinary key: set creates it.)",
    args: &[
        Arg::optional("set", Kind::Choice(ACTIONS)),
        Arg::optional("BASE", Kind::Key),
        Arg::any("VALUE", Kind::Text),
    ],
    options: &[],
    run,
};

const ACTIONS: &[&str] = &["set", "get", "unset"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (action, words) = call.action(ACTIONS, |action| match action {
        "set" => (&["BASE", "VALUE"], usize::MAX),
        _ => (&["BASE"], 2),
    })?;
    let (base, words) = (words[0], &words[1..]);
    let base = session.key(base);
    match (action, words) {
        ("set", [word]) if count_meant(word).is_some() => {
            make(session, &base, count_meant(word).unwrap_or_default())
        }
        ("set", values) => {
            let mut writer = session.writer()?;
            let set = retry_busy(|| {
                let values = (0..).zip(values).map(|(order, value)| {
                    match number_meant(&writer, &name(&base, order), value, Expect::Any)? {
                        Some(number) => Ok(Cow::Owned(number.to_le_bytes().to_vec())),
                        None => Ok(Cow::Borrowed(*value)),
                    }
                });
                let values: Vec<Cow<'_, [u8]>> = values.collect::<Result<_, Error>>()?;
                let values: Vec<&[u8]> = values.iter().map(AsRef::as_ref).collect();
                writer.set_tandem(&base, &values)
            });
            set.map_err(|error| match error {
                Error::WrongType => {
                    let base = shown(&base);
                    let why = "an order that is a BIGUINT is set to a value that is not a number";
                    Failure::new(format!("{base}: {why}; type gives an order another type"))
                }
                error => failed(&base, error),
            })?;
            let epoch = writer.epoch(&base).ok();
            let (base, orders) = (json_bytes(&base), values.len());
            session.answer(&json!({ "base": base, "epoch": epoch, "orders": orders }))
        }
        ("get", count) => get(session, &base, asked(count)?),
        (_, count) => unset(session, &base, asked(count)?),
    }
}

/// Returns how many orders a word asks for: plain digits from 2 to 255. Any other word is a value.
fn count_meant(word: &[u8]) -> Option<usize> {
    let count: usize = std::str::from_utf8(word).ok()?.parse().ok()?;
    (word[0].is_ascii_digit() && (2..=MAX_ORDERS).contains(&count)).then_some(count)
}

/// Creates orders until there are at least `count`. Leaves existing ones alone: others may be writing them.
fn make(session: &mut Session, base: &[u8], count: usize) -> Result<(), Failure> {
    let mut writer = session.writer()?;
    let made = retry_busy(|| {
        // Check all names before creating any order: one may be too long.
        let mut missing = Vec::new();
        for order in (0..count).map(|order| name(base, order)) {
            if !writer.contains(&order)? {
                missing.push(order);
            }
        }
        missing.iter().try_for_each(|order| writer.set(order, b""))?;
        present(&writer, base)
    });
    let count = made.map_err(|error| failed(base, error))?;
    if session.format == Format::Default {
        session.out.write_all(&listed(base))?;
        writeln!(session.out, " has {count} orders")?;
    }
    let epoch = writer.epoch(base).ok();
    session.answer(&json!({ "base": json_bytes(base), "epoch": epoch, "orders": count }))
}

/// Returns the COUNT, if one was given.
fn asked(count: &[&[u8]]) -> Result<Option<usize>, Failure> {
    let Some(word) = count.first() else { return Ok(None) };
    match number::<u64>("COUNT", word)? {
        count @ 1..=255 => Ok(Some(count as usize)),
        count => {
            Err(Failure::usage(format!("COUNT: {count} is not a number of orders from 1 to {MAX_ORDERS}")))
        }
    }
}

fn get(session: &mut Session, base: &[u8], asked: Option<usize>) -> Result<(), Failure> {
    let store = session.store()?;
    // JSON has the epochs as well.
    let is_exact = session.format == Format::Json;
    let read = || read(store, base, asked.map_or_else(|| present(store, base), Ok)?, is_exact);
    // Without a count, orders may be removed after being counted and before being read.
    let values = retry_busy(|| match read() {
        Err(Error::NotFound) if asked.is_none() && store.contains(base)? => Err(Error::Again),
        read => read,
    });
    let values = values.map_err(|error| match (error, asked) {
        (Error::NotFound, Some(count)) => {
            Failure::new(format!("{} has fewer than {count} orders", shown(base)))
        }
        (error, _) => failed(base, error),
    })?;
    let out = &mut session.out;
    match session.format {
        Format::Default => {
            for (order, value) in values.iter().enumerate() {
                value.answer(session, &name(base, order))?;
            }
        }
        Format::Json => {
            let with_key = |(order, value): (usize, &Reading)| value.json_with_key(&name(base, order));
            write_json(out, &values.iter().enumerate().map(with_key).collect())?;
        }
        Format::Raw => {
            for value in values {
                out.write_all(&value.bytes)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}

/// Reads the first `count` orders, all of one generation. The store returns their bytes without their types, so types
/// and epochs are looked up before and after the read. The result is valid if those of all orders that may be numbers
/// are unchanged. If `is_exact`, those of all orders must be unchanged, so that the epochs belong to the values.
fn read(store: &Store, base: &[u8], count: usize, is_exact: bool) -> Result<Vec<Reading>, Error> {
    let look = |order| store.snapshot(name(base, order)).ok().map(|slot| (slot.epoch, slot.kind));
    let before: Vec<_> = (0..count).map(look).collect();
    let mut values = vec![Vec::new(); count];
    store.tandem(base, &mut values)?;
    let mut readings = Vec::with_capacity(count);
    for (order, (value, seen)) in values.into_iter().zip(before).enumerate() {
        let may_be_number = value.len() == NUMBER_LEN;
        if (may_be_number || is_exact) && (seen.is_none() || look(order) != seen) {
            return Err(Error::Again);
        }
        let (epoch, kind) = seen.unwrap_or_default();
        readings.push(Reading::new(epoch, kind, value));
    }
    Ok(readings)
}

fn unset(session: &mut Session, base: &[u8], asked: Option<usize>) -> Result<(), Failure> {
    let mut writer = session.writer()?;
    let removed = retry_busy(|| {
        let count = asked.map_or_else(|| present(&writer, base), Ok)?;
        writer.unset_tandem(base, count)
    });
    match removed.map_err(|error| failed(base, error))? {
        0 => Err(Failure::key(base, Error::NotFound)),
        removed => session.print(removed, &json!({ "base": json_bytes(base), "removed": removed })),
    }
}

/// Counts the orders that exist, consecutively from the base on.
pub(super) fn present(store: &Store, base: &[u8]) -> Result<usize, Error> {
    if !store.contains(base)? {
        return Err(Error::NotFound);
    }
    for order in 1..MAX_ORDERS {
        match store.contains(name(base, order)) {
            Ok(true) => {}
            // The next name would be too long.
            Ok(false) | Err(Error::KeyTooLong) => return Ok(order),
            Err(error) => return Err(error),
        }
    }
    Ok(MAX_ORDERS)
}

/// Turns the store's error about a tandem into a failure.
fn failed(base: &[u8], error: Error) -> Failure {
    match error {
        Error::BadOrders => Failure::usage(error.to_string()),
        error => Failure::key(base, error),
    }
}
