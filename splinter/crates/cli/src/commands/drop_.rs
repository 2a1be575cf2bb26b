//! The command `drop`: removes a store.

use super::prelude::*;
use crate::output::{counted, json_bytes, shown};
use crate::store_file::{self, Users};
use splinter::{Store, StoreError};

pub(super) static COMMAND: Command = Command {
    name: "drop",
    usage: &["STORE [--force]"],
    summary: "Removes a store, with all its keys",
    details: "\
STORE is a name in shared memory; for splinterp_cli and splinterpctl, a path.
drop refuses a file that is not a store. It also refuses a store that another
process has open, as far as this user may see processes; --force removes it all
the same. A process that has it open keeps its bytes until it ends. A removed
store cannot be restored: save makes a copy first.",
    args: &[Arg::one("STORE", Kind::Store)],
    options: &[Opt::flag("--force", "removes a store that others have open").short('f')],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let name = call.arguments[0];
    let location = session.location(name)?;
    let store = Store::open_read_only(&location).map_err(|error| match error {
        StoreError::Missing(place) => {
            let name = shown(name);
            Failure::new(format!("there is no store {name} ({place}); stores lists them"))
        }
        error @ StoreError::NotAStore { .. } => {
            Failure::new(format!("{error}; drop removes nothing but stores"))
        }
        error => error.into(),
    })?;
    if !call.has("--force") {
        let shown = shown(name);
        let Some(users) = Users::now() else {
            let why = "without /proc it is unknown which processes have";
            return Err(Failure::new(format!("{why} {shown} open; mount it, or give --force")));
        };
        if let [process, ..] = users.of(&store)[..] {
            let why = format!("process {process} has {shown} open; end it first, or give --force");
            return Err(Failure::new(why));
        }
    }
    let keys = store.len();
    if store_file::lost(&store).is_some() {
        return Err(Failure::new(format!("{location} is another store by now; try again")));
    }
    location.unlink()?;
    session.leave(&location);
    let text = format!("dropped {} with {}", shown(name), counted(keys, "key"));
    session.report(text, &json!({ "dropped": json_bytes(name), "keys": keys }))
}
