//! Scenarios of store creation: the first process creates or opens a store by name, and the second opens it or creates one
//! of the same name. A process that opens the store finds it complete or not at all, one of two creators succeeds, and a dead
//! creator's leftovers do not keep others from creating it (invariant 15).

use super::answer::{Answer, StoreErrorKind};
use super::ops::Op;
use super::party::{Channel, Party, SecondProcess, Subject};
use super::process::name_of;
use super::run::{Failure, Outcome, Run};
use super::scenario::{Interruption, Scenario};
use super::tracee::{Trace, TraceError, Tracee};
use splinter::{Config, Location, Store, StoreError};
use std::ops::Range;
use std::rc::Rc;

/// A key that is in the store that is opened.
const KEY: &str = "here";

/// The processes and the store's name.
pub(super) struct CreationRun<'b> {
    scenario: Scenario,
    channel: &'b Channel,
    location: Location,
    config: Config,
    // Dropped before its fork server.
    first: Option<Tracee>,
    fork_server: Tracee,
    second: SecondProcess<'b>,
    text: Range<u64>,
}

impl<'b> CreationRun<'b> {
    /// Sets the scenario up.
    pub(super) fn setup(
        scenario: Scenario,
        channel: &'b Channel,
        text: &Range<u64>,
    ) -> Result<Self, Failure> {
        let name = name_of(nix::unistd::getpid());
        let location = Location::shared(name).map_err(|error| error.to_string())?;
        let config = scenario.config();
        let party =
            |op: Op, arguments| Party::new(op, arguments, Subject::Name(location.clone(), config.clone()));
        let [first, second] = scenario.arguments();
        let second = party(scenario.second, &second).start_second(channel)?;
        let fork_server = party(scenario.first, &first).start_fork_server(channel)?;
        Ok(Self {
            scenario,
            channel,
            location: location.clone(),
            config: config.clone(),
            first: None,
            fork_server,
            second,
            text: text.clone(),
        })
    }

    fn lost(&self, error: &TraceError) -> Failure {
        format!("{}: the first process cannot be traced: {error:?}", self.scenario)
    }

    /// Restores the name, and prepares both processes. The first one is always new, since each opens and maps a store.
    fn prepare(&mut self) -> Result<Tracee, TraceError> {
        self.first = None;
        if !self.second.prepare() {
            return Err(TraceError::Hung);
        }
        let _ = self.location.unlink();
        if self.scenario.first == Op::Open {
            let store = Store::create(&self.location, &self.config);
            let written = store.and_then(|store| store.writer());
            let written = written.is_ok_and(|mut writer| writer.set(KEY, b"x").is_ok());
            if !written {
                return Err(TraceError::Ended("no store to open".to_owned()));
            }
        }
        self.channel.reset();
        let first = self.fork_server.fork_child()?;
        first.run()?;
        Ok(first)
    }

    fn interrupt(&self, first: Tracee) -> Result<(), String> {
        let Scenario { second, how, .. } = self.scenario;
        let first = if how == Interruption::Kill {
            first.kill();
            None
        } else {
            Some(first)
        };
        let answer = self.second.perform();
        let answer = answer.ok_or_else(|| format!("{second} did not end (8, 15)"))?;
        let existed = self.scenario.first == Op::Open;
        let missing = Answer::Failed(StoreErrorKind::Missing);
        let exists = Answer::Failed(StoreErrorKind::Exists);
        let right = match second {
            Op::Open => answer == Answer::Done(0) || !existed && answer == missing,
            _ => answer == exists || !existed && answer == Answer::Done(0),
        };
        fail_if!(!right, "{second} answered {answer} (15)");
        let is_there = answer != missing;
        if is_there {
            self.check_complete()?;
        }
        match (how, first) {
            (Interruption::Resume, Some(first)) => {
                first.run().map_err(|error| format!("{} did not end: {error:?} (8)", self.scenario.first))?;
                let own = self.channel.answer(0);
                let lost = second == Op::Create && answer == Answer::Done(0);
                let wanted = if lost { &exists } else { &Answer::Done(0) };
                fail_if!(
                    own != *wanted,
                    "{} answered {own} where {second} was answered {answer} (15)",
                    self.scenario.first
                );
                self.check_complete()
            }
            (_, first) => {
                if let Some(first) = first {
                    first.kill();
                }
                self.check_created_again(is_there)
            }
        }
    }

    /// Checks that the name leads to a complete and usable store.
    fn check_complete(&self) -> Result<(), String> {
        let failed = |error: StoreError| format!("the name leads to no usable store: {error} (15)");
        let store = Store::open(&self.location).map_err(failed)?;
        fail_if!(
            store.geometry() != self.config.geometry || store.scrub() != self.config.scrub,
            "the store was not made as it was asked for (15)"
        );
        let kept = u64::from(self.scenario.first == Op::Open);
        let mut writer = store.writer().map_err(failed)?;
        let found = store.inspect().map_err(failed)?;
        let mut sound = splinter::Inspection::default();
        sound.keys = kept;
        fail_if!(found != sound, "the store is not sound: {found:?} (15)");
        let answers = (writer.set("new", b"y"), writer.unset("new"));
        fail_if!(answers != (Ok(()), Ok(1)), "the store cannot be used: {answers:?} (15)");
        Ok(())
    }

    /// Checks that a dead creator's leftovers do not keep others from creating the store.
    fn check_created_again(&self, is_there: bool) -> Result<(), String> {
        match (Store::create(&self.location, &self.config), is_there) {
            (Err(StoreError::Exists(_)), _) => self.check_complete(),
            (Ok(store), false) => {
                drop(store);
                self.check_complete()
            }
            (Ok(_), true) => Err("a store that was there was created again (15)".to_owned()),
            (Err(error), _) => {
                Err(format!("after a creator's death the store cannot be created: {error} (15)"))
            }
        }
    }
}

impl Run for CreationRun<'_> {
    fn label(&self) -> String {
        format!("{} by name, pid {}", self.scenario.first, std::process::id())
    }

    fn trace(&mut self) -> Result<Rc<Trace>, Failure> {
        let first = self.prepare().map_err(|error| self.lost(&error))?;
        let channel = self.channel;
        let trace = first.trace(&self.text, || channel.is_over(), |_| false);
        first.kill();
        trace.map(Rc::new).map_err(|error| self.lost(&error))
    }

    fn point(&mut self, trace: &Trace, at: usize) -> Result<Outcome, Failure> {
        let first = self.prepare().map_err(|error| self.lost(&error))?;
        let channel = self.channel;
        match first.approach(trace, at, false, || channel.is_over()) {
            Ok(()) => {}
            Err(TraceError::Diverged) => return Ok(Outcome::Missed),
            Err(error) => return Err(self.lost(&error)),
        }
        Ok(match self.interrupt(first) {
            Ok(()) => Outcome::Held,
            Err(fault) => Outcome::Broken(fault),
        })
    }
}

impl Drop for CreationRun<'_> {
    fn drop(&mut self) {
        self.first = None;
        let _ = self.location.unlink();
    }
}
