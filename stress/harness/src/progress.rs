//! What a command reports while it runs. The engine calls, and an implementation decides what to show; on a
//! terminal that is one line, redrawn. Drawing happens between samples and takes no part in any.

use crate::table::rate;
use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// The least time between two drawings of rounds, some of which take a few milliseconds.
const INTERVAL: Duration = Duration::from_millis(100);

/// Shows how far a run is.
pub trait Progress {
    /// A step of the run begins.
    fn step(&mut self, what: &str);
    /// A part of a round begins, of so many rounds that are alike; round 0 warms up.
    fn round(&mut self, round: usize, rounds: usize, what: &str) {
        self.step(&round_in_words(round, rounds, None, what));
    }
    /// Counted work goes on: goodput so far, and time that is left, where it is known.
    fn tick(&mut self, goodput_per_s: f64, left: Option<Duration>);
    /// The run is over.
    fn done(&mut self);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&mut self, _: &str) {}
    fn round(&mut self, _: usize, _: usize, _: &str) {}
    fn tick(&mut self, _: f64, _: Option<Duration>) {}
    fn done(&mut self) {}
}

/// One line on stderr, redrawn; nothing where stderr is no terminal. Cleared when dropped.
#[derive(Debug)]
pub struct Line {
    title: String,
    shown: bool,
    /// When it was drawn last; none when there is nothing to clear.
    drawn: Option<Instant>,
    /// When the first round began that counts.
    began: Option<Instant>,
}

impl Line {
    /// Begins a line that starts with a title.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), shown: stderr().is_terminal(), drawn: None, began: None }
    }

    fn draw(&mut self, text: &str) {
        if self.shown {
            let mut stderr = stderr().lock();
            // Nobody is served by a failed redraw stopping the run.
            let _ = write!(stderr, "\r\x1b[K{}: {text}", self.title).and_then(|()| stderr.flush());
            self.drawn = Some(Instant::now());
        }
    }
}

impl Progress for Line {
    fn step(&mut self, what: &str) {
        self.began = None;
        self.draw(what);
    }

    fn round(&mut self, round: usize, rounds: usize, what: &str) {
        if round > 0 {
            self.began.get_or_insert_with(Instant::now);
        }
        let is_due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= INTERVAL);
        if self.shown && is_due {
            let elapsed = self.began.map(|began| began.elapsed());
            self.draw(&round_in_words(round, rounds, elapsed, what));
        }
    }

    fn tick(&mut self, goodput_per_s: f64, left: Option<Duration>) {
        let rate = rate(goodput_per_s);
        self.draw(&format!("{rate} operations/s{}", in_words(left)));
    }

    fn done(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.done();
    }
}

/// Says how long the rest of so many parts will take, if each takes as long as those that are done: `, 5 s left`. Nothing
/// before the first is done.
#[must_use]
pub fn left_in_words(done: usize, total: usize, elapsed: Duration) -> String {
    let rest = total.saturating_sub(done);
    in_words((done > 0).then(|| elapsed.mul_f64(rest as f64 / done as f64)))
}

fn in_words(left: Option<Duration>) -> String {
    left.map_or(String::new(), |left| format!(", {:.0} s left", left.as_secs_f64().ceil()))
}

/// Names a round, of which a part has just begun, and what is left where it is known how long those before it took.
fn round_in_words(round: usize, rounds: usize, elapsed: Option<Duration>, what: &str) -> String {
    let Some(done) = round.checked_sub(1) else {
        return format!("warming up: {what}");
    };
    let left = elapsed.map(|elapsed| left_in_words(done, rounds, elapsed));
    format!("round {round} of {rounds}{}: {what}", left.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_did() {
        let second = Duration::from_secs(1);
        assert_eq!(left_in_words(0, 10, second), "");
        assert_eq!(left_in_words(2, 10, second), ", 4 s left");
        assert_eq!(left_in_words(10, 10, second), ", 0 s left");
        assert_eq!(left_in_words(11, 10, second), ", 0 s left");
    }

    #[test]
    fn the_round_that_begins_is_part_of_the_rest_and_the_warm_up_of_nothing() {
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(round_in_words(0, 5, seconds(9), "get"), "warming up: get");
        assert_eq!(round_in_words(1, 5, seconds(1), "get"), "round 1 of 5: get");
        let third = round_in_words(3, 5, seconds(4), "get");
        assert_eq!(third, "round 3 of 5, 6 s left: get");
        let unknown = round_in_words(3, 5, None, "get");
        assert_eq!(unknown, "round 3 of 5: get");
    }
}
