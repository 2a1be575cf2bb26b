//! The command `stores`: lists the stores.

use super::prelude::*;
use crate::options;
use crate::output::{json_bytes, listed, shown_path, write_json};
use crate::store_file::{Users, memory_bytes};
use crate::table;
use serde_json::Value;
use splinter::{Location, Store};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

pub(super) static COMMAND: Command = Command {
    name: "stores",
    usage: &["[FOLDER]"],
    summary: "Lists the stores",
    details: "\
It lists the stores in shared memory; with FOLDER, and for splinterp_cli and
splinterpctl, the stores in files there, or in the current folder. It leaves out
stores that this user may not read. Bytes is the size to which a store can grow,
Memory what it takes so far. Processes is the number of processes that have it
open, as far as this user may see processes. drop removes a store.",
    args: &[Arg::optional("FOLDER", Kind::File)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let mut stores = found(session, call.get(0))?;
    stores.sort_by(|(one, _), (other, _)| one.cmp(other));
    if session.format == Format::Raw {
        for (name, _) in stores {
            session.out.write_all(&name)?;
            session.out.write_all(b"\n")?;
        }
        return Ok(());
    }
    let users = Users::now();
    let out = &mut session.out;
    if session.format == Format::Json {
        let row = |(name, store): &(Vec<u8>, Store)| {
            json!({
                "store": json_bytes(name), "location": store.location().to_string(),
                "keys": store.len(), "slots": store.geometry().slots, "bytes": store.arena_len(),
                "memory_bytes": memory_bytes(store), "processes": users.as_ref().map(|users| users.of(store)),
            })
        };
        return Ok(write_json(out, &Value::Array(stores.iter().map(row).collect()))?);
    }
    let rows: Vec<table::Row<'_>> = stores
        .iter()
        .map(|(name, store)| {
            let numbers = [store.len(), store.geometry().slots, store.arena_len(), memory_bytes(store)];
            let numbers = numbers.map(|number| number.to_string());
            let users = users.as_ref().map_or("?".to_owned(), |users| users.of(store).len().to_string());
            let columns = numbers.into_iter().chain([users]).map(|text| text.into_bytes().into());
            std::iter::once(listed(name)).chain(columns).collect()
        })
        .collect();
    Ok(table::write(out, &["Store", "Keys", "Slots", "Bytes", "Memory", "Processes"], &rows)?)
}

/// Opens all stores in a folder, or in shared memory, read-only. Skips files that are not stores, and hidden names,
/// which belong to stores that are being created.
fn found(session: &Session, folder: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Store)>, Failure> {
    let is_shared = folder.is_none() && !session.persistent;
    let path = match folder {
        Some(folder) => options::path(folder),
        None => Path::new(if is_shared { "/dev/shm" } else { "." }),
    };
    let failed = |error| Failure::io(&format!("read the folder {}", shown_path(path)), &error);
    let mut stores = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().into_vec();
        if name.starts_with(b".") {
            continue;
        }
        let (name, location) = if is_shared {
            let text = String::from_utf8(name.clone()).ok();
            (name, text.and_then(|text| Location::shared(text).ok()))
        } else {
            let name = match folder {
                Some(folder) => [folder.strip_suffix(b"/").unwrap_or(folder), b"/", &name].concat(),
                None => name,
            };
            let location = Location::file(options::path(&name));
            (name, Some(location))
        };
        let store = location.and_then(|location| Store::open_read_only(&location).ok());
        stores.extend(store.map(|store| (name, store)));
    }
    Ok(stores)
}
