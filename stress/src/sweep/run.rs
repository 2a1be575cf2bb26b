//! What all scenarios have in common once they are set up: a traced first process, and pause points that can be tried.

use super::tracee::Trace;
use std::rc::Rc;

/// What a pause point came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All invariants held.
    Held,
    /// An invariant was broken, in words.
    Broken(String),
    /// The first process did not get there: its path differs from the trace.
    Missed,
}

/// Why a scenario could not be run, in words.
pub(super) type Failure = String;

/// A scenario that is set up: its processes and its store.
pub(super) trait Run {
    /// Returns what the trace of the first process depends on.
    fn label(&self) -> String;

    /// Records the trace of the first process, by single steps.
    fn trace(&mut self) -> Result<Rc<Trace>, Failure>;

    /// Returns how many pause points there are.
    fn points(&self, trace: &Trace) -> usize {
        trace.len()
    }

    /// Tries one pause point.
    fn point(&mut self, trace: &Trace, at: usize) -> Result<Outcome, Failure>;
}
