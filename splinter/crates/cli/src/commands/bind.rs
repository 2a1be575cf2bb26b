//! `bind`: which signal groups hear of a key's changes, or of a label's.

use crate::command::{self, Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::labels;
use crate::output::{Format, json_mask};
use crate::session::{Session, patiently};
use serde_json::json;

/// The command.
pub static COMMAND: Command = Command {
    name: "bind",
    usage: &["KEY GROUP", "MASK GROUP", "--label MASK GROUP"],
    summary: "Has changes of a key, or of all keys with a label, signalled to a group",
    details: "\
GROUP is 0 to 63. A key or label may be bound to any number of groups; watch
--group tells of their changes. A key's own groups go when it is removed; those
of labels stay until they are taken back by --remove. A word that is no key, and
is a mask or the name of a label (see label), is taken for labels; --bloom takes
it so even if there is a key of that name.",
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
        Opt {
            long: "--bloom",
            short: Some('b'),
            value: None,
            help: "takes the first word as MASK",
        },
        Opt { long: "--remove", short: None, value: None, help: "takes a binding back" },
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let is_removed = call.has("--remove");
    let label = call.value("--label").map(|word| labels::mask(session, "--label", word));
    let (word, group, mask) = match (call.arguments.as_slice(), label.transpose()?) {
        ([group], Some(mask)) => (None, group, Some(mask)),
        ([word, group], None) => (Some(*word), group, labels_meant(session, call, word)?),
        _ => {
            let how = call.usage();
            return Err(Failure::usage(format!("give a GROUP, and a KEY or --label; {how}")));
        }
    };
    let group = command::group("GROUP", group)?;
    match (word, mask) {
        (word, Some(mask)) => {
            let store = session.store()?;
            match is_removed {
                true => store.unregister_labels(mask, group)?,
                false => store.register_labels(mask, group)?,
            }
            // The user sees that the word was not taken for a key.
            if word.is_some() && !call.has("--bloom") && session.format == Format::Default {
                let not = if is_removed { " no longer" } else { "" };
                writeln!(session.out, "labels {mask:#x} are{not} bound to group {group}")?;
            }
            session
                .answer(&json!({ "labels": json_mask(mask), "group": group, "bound": !is_removed }))
        }
        (word, None) => {
            let key = session.key(word.unwrap_or_default());
            let mut writer = session.writer()?;
            let bound = patiently(|| match is_removed {
                true => writer.unregister(&key, group),
                false => writer.register(&key, group),
            });
            bound.map_err(|error| Failure::key(&key, error))?;
            session.answer_of(&writer, &key, json!({ "group": group, "bound": !is_removed }))
        }
    }
}

/// Tells which labels a word means, if it means any: that is, if it is no key.
fn labels_meant(session: &Session, call: &Call<'_>, word: &[u8]) -> Result<Option<u64>, Failure> {
    if call.has("--bloom") {
        return labels::mask(session, "MASK", word).map(Some);
    }
    // An error of the name or of the store is reported where the key is used.
    match session.store().map(|store| store.contains(session.key(word))) {
        Ok(Ok(false)) => labels::find(session, word),
        _ => Ok(None),
    }
}
