//! The commands, one per file, and the table of them. The static `COMMAND` of each file is its entry in the table.

use crate::command::{Command, Table};

mod append;
mod bids;
mod bind;
mod bump;
mod caps;
mod check;
mod clear;
mod config;
mod drop_;
mod exit;
mod expire;
mod export;
mod flush;
mod fsck;
mod get;
mod head;
mod help;
mod hist;
mod import;
mod ingest;
mod init;
mod label;
mod list;
mod logtee;
mod math;
mod numa;
mod orders;
mod persist;
mod pin;
mod poll;
mod prelude;
mod purge;
mod queue;
mod recv;
mod restore;
mod retrain;
mod save;
mod search;
mod send;
mod set;
mod shard;
mod stores;
mod sweep;
mod transaction;
mod ttl;
mod type_;
mod unpin;
mod unset;
mod use_;
mod uuid;
mod watch;

/// All commands.
pub(crate) static TABLE: Table =
    Table { commands: COMMANDS, aliases: &[("cls", "clear"), ("quit", "exit")], synonyms: SYNONYMS };

static COMMANDS: &[&Command] = &[
    &append::COMMAND,
    &bids::COMMAND,
    &bind::COMMAND,
    &bump::COMMAND,
    &caps::COMMAND,
    &check::COMMAND,
    &clear::COMMAND,
    &config::COMMAND,
    &drop_::COMMAND,
    &exit::COMMAND,
    &expire::COMMAND,
    &export::COMMAND,
    &flush::COMMAND,
    &fsck::COMMAND,
    &get::COMMAND,
    &head::COMMAND,
    &help::COMMAND,
    &hist::COMMAND,
    &import::COMMAND,
    &ingest::COMMAND,
    &init::COMMAND,
    &label::COMMAND,
    &list::COMMAND,
    &logtee::COMMAND,
    &math::COMMAND,
    &numa::COMMAND,
    &orders::COMMAND,
    &persist::COMMAND,
    &pin::COMMAND,
    &poll::COMMAND,
    &purge::COMMAND,
    &queue::COMMAND,
    &recv::COMMAND,
    &restore::COMMAND,
    &retrain::COMMAND,
    &save::COMMAND,
    &search::COMMAND,
    &send::COMMAND,
    &set::COMMAND,
    &shard::COMMAND,
    &stores::COMMAND,
    &sweep::COMMAND,
    &transaction::COMMAND,
    &ttl::COMMAND,
    &type_::COMMAND,
    &unpin::COMMAND,
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
    ("dequeue", "queue recv"),
    ("destroy", "drop"),
    ("dump", "export"),
    ("enqueue", "queue send"),
    ("exec", "transaction"),
    ("exists", "check"),
    ("incr", "math KEY inc"),
    ("info", "config"),
    ("keys", "list"),
    ("knn", "search"),
    ("load", "import"),
    ("ls", "list"),
    ("multi", "transaction"),
    ("nearest", "search"),
    ("open", "use"),
    ("pexpire", "expire"),
    ("publish", "send"),
    ("put", "set"),
    ("query", "search"),
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
            let mut help = Vec::new();
            crate::help::write_command(&mut help, command).unwrap();
            assert!(String::from_utf8(help).unwrap().contains(details), "{name}");
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
