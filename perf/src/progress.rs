//! One line on the terminal that says how far a measurement is. Writes to standard error, and only where that is
//! a terminal; drawing happens between samples and takes no part in any.

use crate::rounds::Step;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The least time between two drawings.
const INTERVAL: Duration = Duration::from_millis(100);

/// The line; cleared when dropped.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    drawn: Option<Instant>,
    /// When the first round began that counts.
    began: Option<Instant>,
}

impl Progress {
    /// Creates a line that is drawn where standard error is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shown: stderr().is_terminal(),
            drawn: None,
            began: None,
        }
    }

    /// Draws the step that begins, unless the last drawing was a moment ago.
    pub fn step(&mut self, step: Step<'_>) {
        if step.round > 0 {
            self.began.get_or_insert_with(Instant::now);
        }
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL) {
            let Step {
                round,
                rounds,
                probe,
            } = step;
            let elapsed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
            let done = round.saturating_sub(1) as usize;
            let rest = in_words(left(done, rounds as usize, elapsed));
            self.draw(&if round == 0 {
                format!("warming up: {probe}")
            } else {
                format!("round {round} of {rounds}{rest}: {probe}")
            });
        }
    }

    /// Draws how many of so many steps are done, and how long the rest will take if it goes on as it did.
    pub fn of(&mut self, done: usize, total: usize, elapsed: Duration, what: &str) {
        let rest = in_words(left(done, total, elapsed));
        self.draw(&format!("{done} of {total} done{rest}: {what}"));
    }

    /// Draws what is being prepared.
    pub fn preparing(&mut self, what: &str) {
        self.draw(&format!("preparing: {what}"));
    }

    fn draw(&mut self, text: &str) {
        if self.shown {
            // A terminal that went away is no reason to stop measuring.
            let _ = write!(stderr(), "\r\x1b[2K{text}");
            let _ = stderr().flush();
            self.drawn = Some(Instant::now());
        }
    }
}

fn in_words(left: Option<Duration>) -> String {
    left.map_or(String::new(), |left| {
        format!(", {:.0} s left", left.as_secs_f64().ceil())
    })
}

/// Returns how long the rest of so many steps will take, if each takes as long as those that are done; `None` before the
/// first is done.
#[must_use]
pub fn left(done: usize, total: usize, elapsed: Duration) -> Option<Duration> {
    let rest = total.saturating_sub(done);
    (done > 0).then(|| elapsed.mul_f64(rest as f64 / done as f64))
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(stderr(), "\r\x1b[2K");
            let _ = stderr().flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::left;
    use std::time::Duration;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        let second = Duration::from_secs(1);
        assert_eq!(left(0, 10, second), None);
        assert_eq!(left(2, 10, second), Some(4 * second));
        assert_eq!(left(10, 10, second), Some(Duration::ZERO));
        assert_eq!(left(11, 10, second), Some(Duration::ZERO));
    }
}
