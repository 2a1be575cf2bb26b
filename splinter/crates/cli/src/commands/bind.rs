//! `bind`: which signal groups hear of a key's changes, or of a label's.

use crate::command::{self, Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::output::json_mask;
use crate::session::{Session, patiently};
use serde_json::json;

/// The command.
pub static COMMAND: Command = Command {
    name: "bind",
    usage: &["KEY GROUP", "--label MASK GROUP"],
    summary: "Has changes of a key, or of all keys with a label, signalled to a group",
    details: "\
GROUP is 0 to 63. A key or label may be bound to any number of groups; watch
--group tells of their changes. A key's own groups go when it is removed; those
of labels stay until they are taken back by --remove.",
    args: &[
        Arg { name: "KEY", kind: Kind::Key, count: Count::Maybe },
        Arg { name: "GROUP", kind: Kind::Group, count: Count::Maybe },
    ],
    options: &[
        Opt {
            long: "--label",
            short: None,
            value: Some(("MASK", Kind::Number)),
            help: "binds the labels in MASK, of whatever key",
        },
        Opt { long: "--remove", short: None, value: None, help: "takes a binding back" },
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let is_removed = call.has("--remove");
    match (call.arguments.as_slice(), call.number::<u64>("--label")?) {
        ([group], Some(mask)) => {
            let (group, store) = (command::group("GROUP", group)?, session.store()?);
            match is_removed {
                true => store.unregister_labels(mask, group)?,
                false => store.register_labels(mask, group)?,
            }
            session
                .answer(&json!({ "labels": json_mask(mask), "group": group, "bound": !is_removed }))
        }
        ([key, group], None) => {
            let (key, group) = (session.key(key), command::group("GROUP", group)?);
            let mut writer = session.writer()?;
            let bound = patiently(|| match is_removed {
                true => writer.unregister(&key, group),
                false => writer.register(&key, group),
            });
            bound.map_err(|error| Failure::key(&key, error))?;
            session.answer_of(&writer, &key, json!({ "group": group, "bound": !is_removed }))
        }
        _ => Err(Failure::usage(format!("give a GROUP, and a KEY or --label; {}", call.usage()))),
    }
}
