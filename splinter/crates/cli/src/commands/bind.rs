//! The command `bind`: subscribes a signal group to the changes of a key, or of all keys with a label.

use super::prelude::*;
use crate::options;
use crate::output::{counted, json_mask};

pub(super) static COMMAND: Command = Command {
    name: "bind",
    usage: &["KEY GROUP [--lasting]", "MASK GROUP", "--label MASK GROUP", "--lasting --remove GROUP"],
    summary: "Has changes of a key, or of all keys with a label, signalled to a group",
    details: "\
GROUP is 0 to 63. A key or label may be bound to any number of groups; watch
--group prints their changes. A key loses its own groups when it is removed;
labels keep theirs until --remove. With --lasting, a key that is missing may be
bound, and has the group again whenever it is set again; there is room for 56
such bindings, and copies of the store have none. With --lasting, --remove ends
that of a KEY, or all of a GROUP. If a word is not a key, but a mask or the
name of a label (see label), it means labels. With --bloom it means labels even
if a key has that name.",
    args: &[Arg::optional("KEY", Kind::Key), Arg::optional("GROUP", Kind::Group)],
    options: &[
        Opt::valued("--label", "MASK", "binds the labels in MASK, of any key"),
        Opt::flag("--bloom", "takes the first word as MASK").short('b'),
        Opt::flag("--remove", "removes a binding"),
        Opt::flag("--lasting", "binds a key whether it is there or not, and again after its removal"),
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let is_removed = call.has("--remove");
    let label = call.value("--label").map(|word| session.labels.mask("--label", word, &session.interrupt));
    if call.has("--lasting") {
        return bind_lasting(session, call);
    }
    let (word, group, mask) = match (call.arguments.as_slice(), label.transpose()?) {
        ([group], Some(mask)) => (None, group, Some(mask)),
        ([word, group], None) => (Some(*word), group, labels_meant(session, call, word)?),
        _ => {
            let how = call.usage();
            return Err(Failure::usage(format!("give a GROUP, and a KEY or --label; {how}")));
        }
    };
    let group = options::group("GROUP", group)?;
    match (word, mask) {
        (word, Some(mask)) => {
            let store = session.store()?;
            match is_removed {
                true => store.unregister_labels(mask, group)?,
                false => store.register_labels(mask, group)?,
            }
            // Show the user that the word was taken for labels, not for a key.
            if word.is_some() && !call.has("--bloom") && session.format == Format::Default {
                let not = if is_removed { " no longer" } else { "" };
                writeln!(session.out, "labels {mask:#x} are{not} bound to group {group}")?;
            }
            session.answer(&json!({ "labels": json_mask(mask), "group": group, "bound": !is_removed }))
        }
        (word, None) => {
            let answer = json!({ "group": group, "bound": !is_removed });
            change_key(session, word.unwrap_or_default(), answer, |writer, key| match is_removed {
                true => writer.unregister(key, group),
                false => writer.register(key, group),
            })
        }
    }
}

/// Binds a key whether or not it is there, or removes such bindings.
fn bind_lasting(session: &mut Session, call: &Call<'_>) -> Result<(), Failure> {
    let is_removed = call.has("--remove");
    if call.has("--label") || call.has("--bloom") {
        return Err(Failure::usage("--lasting is for a KEY; labels keep their groups anyway"));
    }
    match (call.arguments.as_slice(), is_removed) {
        ([word, group], _) => {
            let group = options::group("GROUP", group)?;
            let answer = json!({ "group": group, "bound": !is_removed, "lasting": true });
            change_key(session, word, answer, |writer, key| match is_removed {
                true => writer.unregister_lasting(key, group),
                false => writer.register_lasting(key, group),
            })
        }
        ([group], true) => {
            let group = options::group("GROUP", group)?;
            let ended = session.store()?.clear_lasting(group)?;
            if session.format == Format::Default {
                writeln!(session.out, "{} to group {group} ended", counted(ended as u64, "lasting binding"))?;
            }
            session.answer(&json!({ "group": group, "ended": ended, "lasting": true }))
        }
        _ => Err(Failure::usage(format!("give a KEY and a GROUP; {}", call.usage()))),
    }
}

/// Returns the labels that a word means. A word that is a key means none.
fn labels_meant(session: &Session, call: &Call<'_>, word: &[u8]) -> Result<Option<u64>, Failure> {
    if call.has("--bloom") {
        return session.labels.mask("MASK", word, &session.interrupt).map(Some);
    }
    // The code that uses the key reports errors of its name or of the store.
    match session.store().map(|store| store.contains(session.key(word))) {
        Ok(Ok(false)) => session.labels.find(word, &session.interrupt),
        _ => Ok(None),
    }
}
