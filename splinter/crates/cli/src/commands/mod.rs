//! The commands, one per file, and the table of them.

use crate::command::{Command, Table};

pub mod append;
pub mod bids;
pub mod bind;
pub mod bump;
pub mod caps;
pub mod clear;
pub mod config;
pub mod drop_;
pub mod exit;
pub mod export;
pub mod flush;
pub mod fsck;
pub mod get;
pub mod head;
pub mod help;
pub mod hist;
pub mod import;
pub mod init;
pub mod label;
pub mod list;
pub mod logtee;
pub mod math;
pub mod numa;
pub mod orders;
pub mod poll;
pub mod purge;
pub mod recv;
pub mod restore;
pub mod retrain;
pub mod save;
pub mod send;
pub mod set;
pub mod shard;
pub mod stores;
pub mod type_;
pub mod unset;
pub mod use_;
pub mod uuid;
pub mod watch;

/// All commands.
pub static TABLE: Table = Table {
    commands: COMMANDS,
    aliases: &[("cls", "clear"), ("quit", "exit")],
    synonyms: SYNONYMS,
};

static COMMANDS: &[&Command] = &[
    &append::COMMAND,
    &bids::COMMAND,
    &bind::COMMAND,
    &bump::COMMAND,
    &caps::COMMAND,
    &clear::COMMAND,
    &config::COMMAND,
    &drop_::COMMAND,
    &exit::COMMAND,
    &export::COMMAND,
    &flush::COMMAND,
    &fsck::COMMAND,
    &get::COMMAND,
    &head::COMMAND,
    &help::COMMAND,
    &hist::COMMAND,
    &import::COMMAND,
    &init::COMMAND,
    &label::COMMAND,
    &list::COMMAND,
    &logtee::COMMAND,
    &math::COMMAND,
    &numa::COMMAND,
    &orders::COMMAND,
    &poll::COMMAND,
    &purge::COMMAND,
    &recv::COMMAND,
    &restore::COMMAND,
    &retrain::COMMAND,
    &save::COMMAND,
    &send::COMMAND,
    &set::COMMAND,
    &shard::COMMAND,
    &stores::COMMAND,
    &type_::COMMAND,
    &unset::COMMAND,
    &use_::COMMAND,
    &uuid::COMMAND,
    &watch::COMMAND,
];

/// Names that other tools use, and the command to suggest for each.
static SYNONYMS: &[(&str, &str)] = &[
    ("add", "set"),
    ("create", "init"),
    ("decr", "math KEY dec"),
    ("del", "unset"),
    ("delete", "unset"),
    ("destroy", "drop"),
    ("dump", "export"),
    ("incr", "math KEY inc"),
    ("info", "config"),
    ("keys", "list"),
    ("load", "import"),
    ("ls", "list"),
    ("open", "use"),
    ("publish", "send"),
    ("put", "set"),
    ("rem", "unset"),
    ("remove", "unset"),
    ("rm", "unset"),
    ("scan", "list"),
    ("select", "use"),
    ("stat", "head"),
    ("subscribe", "watch"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{COMMON, Count, Kind};

    #[test]
    fn other_names_are_of_commands_and_of_none_themselves() {
        for (name, ours) in TABLE.aliases.iter().chain(SYNONYMS) {
            let command = ours.split(' ').next().unwrap();
            assert!(COMMANDS.iter().any(|known| known.name == command), "{name}");
            assert!(COMMANDS.iter().all(|known| known.name != *name), "{name}");
        }
        assert_eq!(TABLE.find(b"cls").map(|command| command.name), Some("clear"));
        assert!(TABLE.find(b"del").is_none());
    }

    #[test]
    fn the_table_is_in_order_and_says_something_of_everything() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        for command in COMMANDS {
            let Command { name, usage, summary, details, args, options, .. } = command;
            assert!(!usage.is_empty() && !details.is_empty(), "{name}");
            assert!(summary.starts_with(char::is_uppercase) && !summary.ends_with('.'), "{name}");
            let too_long = details.lines().find(|line| line.chars().count() > 80);
            assert_eq!(too_long, None, "{name}");
            for arg in *args {
                let says = |text: &str| usage.iter().any(|line| line.contains(text));
                let is_said = match arg.kind {
                    Kind::Choice(words) => says(arg.name) || words.iter().all(|word| says(word)),
                    _ => says(arg.name),
                };
                assert!(is_said, "{name} {}", arg.name);
            }
            let rest = args.iter().rev().skip(1);
            assert!(rest.into_iter().all(|arg| arg.count != Count::Any));
            for option in *options {
                assert!(option.long.starts_with("--") && !option.help.is_empty(), "{name}");
                assert!(COMMON.iter().all(|common| common.long != option.long), "{name}");
            }
        }
    }
}
