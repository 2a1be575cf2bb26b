//! `import`: sets the keys that `export` wrote.

use crate::command::{Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::interchange::Entry;
use crate::output::{Format, counted, shown, write_json};
use crate::session::{Session, patiently};
use crate::standard;
use serde_json::{Deserializer, Value, json};
use splinter::{Error, Writer};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;

/// The command.
pub static COMMAND: Command = Command {
    name: "import",
    usage: &["FILE [--keep]"],
    summary: "Sets the keys that export wrote",
    details: "FILE is what export wrote as ndjson, or as json with --values; - is standard
input. A key that is there already is set to what FILE has, labels, groups and
vector included; with --keep it stays as it is. Keys have their whole names in
FILE: under a prefix only those that begin with it are taken. What is wrong in
FILE ends the import; the keys before that are set.",
    args: &[Arg { name: "FILE", kind: Kind::File, count: Count::One }],
    options: &[Opt {
        long: "--keep",
        short: Some('k'),
        value: None,
        help: "leaves keys that are there as they are",
    }],
    run,
};

/// How far an import has come.
#[derive(Default)]
struct Counts {
    imported: u64,
    kept: u64,
    elsewhere: u64,
}

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (from, name): (Box<dyn BufRead>, _) = match call.arguments[0] {
        b"-" if session.is_interactive || session.reads_commands => {
            return Err(Failure::usage("commands come from standard input here; give a file"));
        }
        b"-" => (standard::input(), "standard input".to_owned()),
        path => {
            let file = File::open(OsStr::from_bytes(path));
            let name = shown(path);
            let failed = |error| Failure::io(&format!("read {name}"), &error);
            (Box::new(BufReader::new(file.map_err(failed)?)), name)
        }
    };
    let mut counts = Counts::default();
    let mut writer = session.writer()?;
    let mut take = |value: &Value| one(session, &mut writer, value, call, &mut counts);
    let done = (1_u64..).zip(Deserializer::from_reader(from).into_iter::<Value>());
    let mut done = done.map(|(number, value)| {
        let value = value.map_err(|error| match error.is_io() {
            true => Failure::new(format!("cannot read {name}: {error}")),
            false => Failure::new(format!("{name} is no export: {error}")),
        })?;
        let failed = |failure: Failure| failure.said_by(&format!("entry {number} of {name}"));
        match value.get("keys").and_then(Value::as_array) {
            Some(entries) if value.get("key").is_none() => entries.iter().try_for_each(&mut take),
            _ if number == 1 && value.get("splinter").is_some() => Ok(()),
            _ => take(&value),
        }
        .map_err(failed)
    });
    let done = done.try_for_each(|done| done);
    let Counts { imported, kept, elsewhere } = counts;
    done.map_err(|mut failure| {
        failure.message = format!("{}; {} imported", failure.message, counted(imported, "key"));
        failure
    })?;
    match session.format {
        Format::Default => writeln!(session.out, "imported {}", counted(imported, "key"))?,
        Format::Json => {
            let told = json!({ "imported": imported, "kept": kept, "elsewhere": elsewhere });
            write_json(&mut session.out, &told)?;
        }
        Format::Raw => {}
    }
    Ok(())
}

fn one(
    session: &Session,
    writer: &mut Writer,
    value: &Value,
    call: &Call<'_>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let entry = Entry::parse(value).map_err(|why| {
        let how = if value.get("epoch").is_some() && value.get("value").is_none() {
            "; export --values, or --format ndjson, writes values"
        } else {
            ""
        };
        Failure::new(format!("{why}{how}"))
    })?;
    // Whatever is wrong with a key, the file is at fault, not the command.
    let failed = |error| Failure::new(Failure::key(&entry.key, error).message);
    if !entry.key.starts_with(&session.prefix) {
        counts.elsewhere += 1;
        return Ok(());
    }
    if call.has("--keep") && patiently(|| writer.contains(&entry.key)).map_err(failed)? {
        counts.kept += 1;
        return Ok(());
    }
    entry.put(writer).map_err(|error| match error {
        Error::WrongDimension => {
            let dim = writer.geometry().vector_dim;
            let (key, has) = (shown(&entry.key), entry.vector.len());
            Failure::new(format!("{key}: a vector of {has}, and this store's have {dim}"))
        }
        Error::WrongType => {
            let key = shown(&entry.key);
            Failure::new(format!(
                "{key}: a BIGUINT is decimal digits or up to eight bytes of an integer, and its value is neither; \
                 give it another type"
            ))
        }
        error => failed(error),
    })?;
    counts.imported += 1;
    Ok(())
}
