//! The command `restore`: creates a store from a saved one.

use super::prelude::*;
use super::save::{FORCE, print_copied};
use crate::old_format::OldStore;
use crate::options;
use crate::output::shown;
use crate::store_copy::{convert_to, copy_to};
use crate::store_file;
use splinter::{Location, Store, StoreError};

pub(super) static COMMAND: Command = Command {
    name: "restore",
    usage: &["FILE STORE [--force]"],
    summary: "Creates a store from a file that save, cp or dd made",
    details: "\
FILE is a store in a file, and is only read. STORE gets its sizes, its way of
eviction, its keys and all their fields, and has its name once it is complete.
With --force, it takes the place of a store of that name. Processes that have
the old store open keep it, and must open the new one.

FILE may have file format 2 or 3, which this release does not open. So
splinterctl restore /dev/shm/OLD NEW converts a store of an older release.
Programs may use FILE meanwhile: STORE gets each key as it was at one moment,
and epochs start again.",
    args: &[Arg::one("FILE", Kind::File), Arg::one("STORE", Kind::Store)],
    options: &[FORCE],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let file = options::path(call.arguments[0]);
    let (name, force) = (call.arguments[1], call.has("--force"));
    let path = store_file::path(&session.location(name)?);
    let copied = match Store::open_read_only(&Location::file(file)) {
        Ok(from) => copy_to(&from, &path, force)?,
        Err(StoreError::Missing(_)) => {
            let file = shown(call.arguments[0]);
            return Err(Failure::new(format!("there is no file {file}; save makes one")));
        }
        Err(error) => match OldStore::open(file)? {
            Some(from) => convert_to(&from, &path, force)?,
            None => return Err(error.into()),
        },
    };
    let restored = session.location(name).map(|location| Store::open_read_only(&location));
    if let Ok(Ok(restored)) = restored
        && let Some(warning) = store_file::growth_warning(&restored)
    {
        session.warn(&format!("restore: {warning}"));
    }
    print_copied(session, "restored", copied, "as", name)
}
