//! The two loops: ping sends, waits for the answer and times both; pong waits and answers. What a
//! sample is, and where its numbers come from, is here and nowhere else.

use super::link::Exchange;
use super::mechanism::{Mechanism, Style};
use super::shared_state::{PATIENCE, SharedState, Word};
use nix::sched::sched_getcpu;
use nix::sys::resource::{UsageWho, getrusage};
use splinter_harness::ping_pong::{Link, RoundTrips, answer};

/// Messages to and fro before the first that counts.
const UNCOUNTED: u64 = 4;
/// How long a message is held back so that the other is asleep, in nanoseconds: several times as
/// long as any waiter spins before.
pub(crate) const PAUSE_NS: f64 = 60e3;
/// Messages to and fro that are timed together where one alone is too short for the clock.
const TOGETHER: u64 = 16;
/// How long a sample goes on at most, in nanoseconds.
const LONGEST_NS: f64 = 30e6;

/// How often the calling thread went to sleep, since it is there.
fn sleeps() -> u64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.voluntary_context_switches().unsigned_abs())
}

/// The processor that the caller runs on, plus one; 0 where the kernel does not tell.
fn here() -> u64 {
    sched_getcpu().map_or(0, |cpu| cpu as u64 + 1)
}

/// Keeps the processor for so many cycles, without doing anything.
pub(crate) fn hold_back(cycles: u64) {
    let start = splinter::cycles();
    // Without pauses, which would tell a hypervisor that there is nothing to do.
    while splinter::cycles().wrapping_sub(start) < cycles {}
}

/// Ping's side of one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    /// What is run.
    pub mechanism: Mechanism,
    /// Number of the command to the responder.
    pub command: u64,
    /// The responder's processor.
    pub responder_cpu: usize,
    /// Number of the first message.
    pub first: u64,
    /// Messages, or groups of messages, that are timed.
    pub count: u64,
    /// Length of a cycle of the time-stamp counter.
    pub cycle_ns: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// One-way times in cycles: half of a round trip, of its mean where several are timed together.
    pub one_way: Vec<u64>,
    /// Messages that were waited for while it was timed, on both sides, and how often one of them
    /// slept meanwhile.
    pub waits: u64,
    pub sleeps: u64,
    /// Processors that ping and pong ran on, plus one.
    pub observed: [u64; 2],
    /// Number of the next message.
    pub next: u64,
}

/// Why there is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A message was sent, and its receiver did not wake.
    Lost,
    /// The responder did not act on a command.
    NoResponse,
}

impl Exchange for Ping {
    type Output = Result<Sample, Broken>;

    fn run(self, shared: &SharedState, link: impl Link) -> Self::Output {
        let style = self.mechanism.spec().style;
        let cycles = |ns: f64| (ns / self.cycle_ns) as u64;
        let (together, pause) = match style {
            Style::Asleep => (1, 0),
            Style::Paused => (1, cycles(PAUSE_NS)),
            Style::Spinning => (TOGETHER, 0),
        };
        shared.set(Word::Mechanism, self.mechanism as u64);
        shared.set(Word::Cpu, self.responder_cpu as u64);
        shared.set(Word::Pause, pause);
        shared.set(Word::First, self.first);
        shared.set(Word::Last, u64::MAX);
        shared.set_and_wake(Word::Command, self.command);
        self.responder_is(shared, Word::Ready)?;

        let mut sample = Sample { one_way: Vec::with_capacity(self.count as usize), ..Sample::default() };
        let mut trips = RoundTrips::new(link, self.first);
        if !(0..UNCOUNTED).all(|_| trips.hop()) {
            return Err(Broken::Lost);
        }
        let slept = sleeps();
        let begun = splinter::cycles_fenced();
        let mut now = begun;
        for left in (0..self.count).rev() {
            let last = left == 0 || now - begun > cycles(LONGEST_NS);
            if pause > 0 {
                hold_back(pause);
            }
            let start = splinter::cycles_fenced();
            let arrived = (0..together).rev().all(|turn| {
                if last && turn == 0 {
                    shared.set(Word::Last, trips.next());
                }
                trips.hop()
            });
            if !arrived {
                return Err(Broken::Lost);
            }
            now = splinter::cycles_fenced();
            // The responder held back its answer as well, once.
            let took = now.saturating_sub(start).saturating_sub(pause);
            sample.one_way.push(took / (2 * together));
            if last {
                break;
            }
        }
        sample.sleeps = sleeps() - slept;
        sample.next = trips.next();
        self.responder_is(shared, Word::Done)?;
        sample.sleeps += shared.get(Word::Sleeps);
        sample.waits = 2 * together * sample.one_way.len() as u64;
        sample.observed = [here(), shared.get(Word::Observed)];
        Ok(sample)
    }
}

impl Ping {
    fn responder_is(&self, shared: &SharedState, word: Word) -> Result<(), Broken> {
        match shared.wait_for_change(word, self.command - 1, Some(PATIENCE)) {
            Some(command) if command == self.command => Ok(()),
            _ => Err(Broken::NoResponse),
        }
    }
}

/// Pong's side of one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pong {
    /// Number of the command.
    pub command: u64,
}

impl Exchange for Pong {
    type Output = ();

    fn run(self, shared: &SharedState, mut link: impl Link) {
        let first = shared.get(Word::First);
        let pause = shared.get(Word::Pause);
        shared.set_and_wake(Word::Ready, self.command);
        let mut slept = 0;
        let answered = answer(&mut link, first, |number| {
            let last = shared.get(Word::Last) == number;
            if pause > 0 && number >= first + UNCOUNTED {
                hold_back(pause);
            }
            if last {
                // Before the answer, which ends the sample.
                shared.set(Word::Sleeps, sleeps() - slept);
            } else if number + 1 == first + UNCOUNTED {
                slept = sleeps();
            }
            last
        });
        if answered {
            shared.set(Word::Observed, here());
            shared.set_and_wake(Word::Done, self.command);
        }
    }
}
