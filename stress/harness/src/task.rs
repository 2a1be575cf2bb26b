//! The kernel's state of a process or a thread, from `/proc`.

use std::fmt::Display;

/// Returns the letter of a process's state (`R` runs, `S` sleeps), or of that of a thread, named `PROCESS/task/THREAD`.
/// `None` when it is gone.
pub fn state(task: impl Display) -> Option<char> {
    letter(&std::fs::read_to_string(format!("/proc/{task}/stat")).ok()?)
}

/// Finds the letter behind the name, which is in parentheses and may hold any character.
fn letter(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_a_name_that_may_hold_anything() {
        assert_eq!(letter("12 (splinter-stress) S 1 12"), Some('S'));
        assert_eq!(letter("12 (a) R b) R 1 12"), Some('R'));
        assert_eq!(letter(""), None);
        assert_eq!(state(std::process::id()).map(char::is_uppercase), Some(true));
        assert_eq!(state("no such process"), None);
    }
}
