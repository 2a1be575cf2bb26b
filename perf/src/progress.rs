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
}

impl Progress {
    /// Creates a line that is drawn where standard error is a terminal.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shown: stderr().is_terminal(),
            drawn: None,
        }
    }

    /// Draws the step that begins, unless the last drawing was a moment ago.
    pub fn step(&mut self, step: Step<'_>) {
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL) {
            let Step {
                round,
                rounds,
                probe,
            } = step;
            self.draw(&if round == 0 {
                format!("warming up: {probe}")
            } else {
                format!("round {round} of {rounds}: {probe}")
            });
        }
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
