//! The commands, one to a file, and the table of them.

use crate::command::Command;

pub mod bids;
pub mod export;
pub mod flush;
pub mod fsck;
pub mod get;
pub mod help;
pub mod import;
pub mod init;
pub mod list;
pub mod numa;
pub mod orders;
pub mod restore;
pub mod save;
pub mod set;
pub mod use_;

/// Every command, in the order of the alphabet.
pub static COMMANDS: &[&Command] = &[
    &bids::COMMAND,
    &export::COMMAND,
    &flush::COMMAND,
    &fsck::COMMAND,
    &get::COMMAND,
    &help::COMMAND,
    &import::COMMAND,
    &init::COMMAND,
    &list::COMMAND,
    &numa::COMMAND,
    &orders::COMMAND,
    &restore::COMMAND,
    &save::COMMAND,
    &set::COMMAND,
    &use_::COMMAND,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{COMMON, Count};

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
                assert!(usage.iter().any(|line| line.contains(arg.name)), "{name} {}", arg.name);
            }
            let rest = args.iter().rev().skip(1);
            assert!(rest.into_iter().all(|arg| !matches!(arg.count, Count::Some | Count::Any)));
            for option in *options {
                assert!(option.long.starts_with("--") && !option.help.is_empty(), "{name}");
                assert!(COMMON.iter().all(|common| common.long != option.long), "{name}");
            }
        }
    }
}
