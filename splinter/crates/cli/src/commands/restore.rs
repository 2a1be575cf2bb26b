//! The command `restore`: creates a store from a saved one.

use super::prelude::*;
use super::save::{FORCE, print_copied};
use crate::options;
use crate::output::shown;
use crate::store_copy::copy_to;
use crate::store_file;
use splinter::{Location, Store, StoreError};

pub(super) static COMMAND: Command = Command {
    name: "restore",
    usage: &["FILE STORE [--force]"],
    summary: "Creates a store from a file that save, cp or dd made",
    details: "\
FILE is a store in a file, and is only read. STORE gets its sizes, its keys and
all their fields, and has its name once it is complete. With --force, it takes
the place of a store of that name. Processes that have the old store open keep
it, and must open the new one.",
    args: &[Arg::one("FILE", Kind::File), Arg::one("STORE", Kind::Store)],
    options: &[FORCE],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let from = Location::file(options::path(call.arguments[0]));
    let name = call.arguments[1];
    let path = store_file::path(&session.location(name)?);
    let from = Store::open_read_only(&from).map_err(|error| match error {
        StoreError::Missing(_) => {
            let file = shown(call.arguments[0]);
            Failure::new(format!("there is no file {file}; save makes one"))
        }
        error => error.into(),
    })?;
    let copied = copy_to(&from, &path, call.has("--force"))?;
    let restored = session.location(name).map(|location| Store::open_read_only(&location));
    if let Ok(Ok(restored)) = restored
        && let Some(warning) = store_file::growth_warning(&restored)
    {
        session.warn(&format!("restore: {warning}"));
    }
    print_copied(session, "restored", copied, "as", name)
}
