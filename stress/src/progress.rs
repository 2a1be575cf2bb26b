//! What a run tells while it goes on. The engine calls, whoever watches decides what to show; on a
//! terminal that is one line, redrawn.

use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Someone who watches a run.
pub trait Progress {
    /// A step of the run begins.
    fn step(&mut self, what: &str);
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
    fn tick(&mut self, _: f64, _: Option<Duration>) {}
    fn done(&mut self) {}
}

/// One line on stderr, redrawn; nothing where stderr is no terminal.
#[derive(Debug)]
pub struct Line {
    title: String,
    shown: bool,
}

impl Line {
    /// Begins a line that starts with a title.
    #[must_use]
    pub fn new(title: String) -> Self {
        Self {
            title,
            shown: std::io::stderr().is_terminal(),
        }
    }

    fn draw(&self, text: &str) {
        if self.shown {
            let mut stderr = std::io::stderr().lock();
            // Nobody is served by a failed redraw stopping the run.
            let _ = write!(stderr, "\r\x1b[K{}: {text}", self.title).and_then(|()| stderr.flush());
        }
    }
}

impl Progress for Line {
    fn step(&mut self, what: &str) {
        self.draw(what);
    }

    fn tick(&mut self, goodput_per_s: f64, left: Option<Duration>) {
        let left = left.map_or(String::new(), |left| {
            format!(", {:.0} s left", left.as_secs_f64().ceil())
        });
        self.draw(&format!(
            "{} operations/s{left}",
            crate::report::rate(goodput_per_s)
        ));
    }

    fn done(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.done();
    }
}
