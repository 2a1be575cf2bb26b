//! Scenarios on the keys of a store. For each pause point, the store is restored, the first process runs to the instruction,
//! the second process works, and the checker checks.

use super::answer::Answer;
use super::checker::{Checker, PossibleStates, Watchers, contents_of};
use super::ops::Op;
use super::party::{Channel, Party, SecondProcess, Subject};
use super::process::ArenaBytes;
use super::run::{Failure, Outcome, Run};
use super::scenario::{Interruption, Scenario};
use super::snapshot::ArenaSnapshot;
use super::tracee::{Trace, TraceError, Tracee};
use splinter::{Error, Store, Writer};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::rc::Rc;

/// How many freed blocks of a size glibc's allocator keeps for a thread (`glibc.malloc.tcache_count`).
const KEPT_BLOCKS: usize = 7;

/// The processes, the store and its first content.
pub(super) struct StoreRun<'b> {
    checker: Checker,
    channel: &'b Channel,
    store: Store,
    // What is read: it shall not visit the keys of a cache.
    reader: Store,
    // A writer beside the two processes.
    third: Writer,
    bytes: ArenaBytes,
    // The bytes at first, and their last copy.
    template: Vec<u8>,
    now: Vec<u8>,
    // Dropped before its fork server.
    first: Option<Tracee>,
    fork_server: Option<Tracee>,
    second: Option<SecondProcess<'b>>,
    // A process that sleeps until the first one has changed something, and its fork server.
    sleeper: Option<Tracee>,
    sleeper_server: Option<(Channel, Tracee)>,
    text: Range<u64>,
}

impl<'b> StoreRun<'b> {
    /// Sets the scenario up.
    pub(super) fn setup(
        scenario: Scenario,
        channel: &'b Channel,
        text: &Range<u64>,
    ) -> Result<Self, Failure> {
        let words = |error: &dyn std::fmt::Display| format!("{scenario}: {error}");
        let store = Store::anonymous(&scenario.config()).map_err(|e| words(&e))?;
        let mut third = store.writer().map_err(|e| words(&e))?;
        let before = scenario.populate(&mut third).map_err(|e| words(&e))?;
        let bytes = ArenaBytes::of(store.fd(), store.arena_len()).map_err(|e| words(&e))?;
        let checker = Checker::new(scenario, before);
        let reader = read_only(&store).map_err(|e| words(&e))?;
        let mut run = Self {
            checker,
            channel,
            store,
            reader,
            third,
            bytes,
            template: Vec::new(),
            now: Vec::new(),
            first: None,
            fork_server: None,
            second: None,
            sleeper: None,
            sleeper_server: None,
            text: text.clone(),
        };
        run.start_processes()?;
        run.template = run.bytes.copy();
        run.now = run.template.clone();
        Ok(run)
    }

    /// Starts the processes.
    fn start_processes(&mut self) -> Result<(), Failure> {
        let scenario = self.checker.scenario;
        let [first, second] = &self.checker.arguments;
        let party = |op: Op, arguments| Party::new(op, arguments, Subject::Store(self.store.clone()));
        if scenario.second.waits() {
            let channel = Channel::create()?;
            let sleeper = party(scenario.second, second);
            let fork_server = sleeper.start_fork_server(&channel)?;
            self.sleeper_server = Some((channel, fork_server));
        }
        let second = party(scenario.second, second).start_second(self.channel)?;
        fail_if!(!second.prepare(), "{scenario}: the second process hangs before it works");
        self.second = Some(second);
        let fork_server = party(scenario.first, first).start_fork_server(self.channel)?;
        self.fork_server = Some(fork_server);
        Ok(())
    }

    /// Tells whether one first process performs its operation for all points.
    fn is_reused(&self) -> bool {
        self.checker.scenario.how == Interruption::Resume && !self.checker.scenario.first.waits()
    }

    fn lost(&self, error: &TraceError) -> Failure {
        format!("{}: the first process cannot be traced: {error:?}", self.checker.scenario)
    }

    /// Restores the store, and prepares all processes.
    fn reset(&mut self) -> Result<(), TraceError> {
        self.bytes.restore(&self.template);
        let ready = self.second.as_ref().is_some_and(SecondProcess::prepare);
        if !ready {
            return Err(TraceError::Hung);
        }
        self.channel.reset();
        let fork_server = self.fork_server.as_ref().ok_or(TraceError::Hung)?;
        let first = match self.first.take() {
            Some(first) => first,
            None => fork_server.fork_child()?,
        };
        first.run()?;
        self.first = Some(first);
        self.sleeper = None;
        if let Some((channel, fork_server)) = &self.sleeper_server {
            channel.reset();
            let sleeper = fork_server.fork_child()?;
            sleeper.run()?;
            sleeper.run_until_asleep()?;
            self.sleeper = Some(sleeper);
        }
        Ok(())
    }

    fn try_point(&mut self, trace: &Trace, at: usize, slowly: bool) -> Result<Outcome, Failure> {
        if let Err(error) = self.reset() {
            return Err(self.lost(&error));
        }
        let mut watchers = match self.checker.scenario.heard {
            true => Watchers::open(&self.store),
            false => None,
        };
        let channel = self.channel;
        let Some(first) = self.first.take() else {
            return Err("no first process".to_owned());
        };
        let asleep = at == trace.len();
        let here = if asleep {
            first.run_until_asleep()
        } else {
            first.approach(trace, at, slowly, || channel.is_over())
        };
        match here {
            Ok(()) => {}
            Err(TraceError::Diverged) => {
                first.kill();
                return Ok(Outcome::Missed);
            }
            Err(error) => return Err(self.lost(&error)),
        }
        let result = self.interrupt(first, asleep, watchers.as_mut());
        self.sleeper = None;
        if let Err(fault) = result {
            // A process in the middle of an operation cannot be reused.
            self.first = None;
            self.restart_processes()?;
            return Ok(Outcome::Broken(fault));
        }
        Ok(Outcome::Held)
    }

    /// Replaces processes that ended or hang.
    fn restart_processes(&mut self) -> Result<(), Failure> {
        let ended = |second: &SecondProcess<'_>| second.child.ended().is_some();
        if self.second.as_ref().is_none_or(ended) || !self.is_idle() {
            self.second = None;
            self.fork_server = None;
            self.sleeper_server = None;
            self.bytes.restore(&self.template);
            self.start_processes()?;
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.second.as_ref().is_some_and(SecondProcess::is_idle)
    }

    /// Interrupts the first process, which is at the pause point, and checks what follows.
    fn interrupt(
        &mut self,
        first: Tracee,
        asleep: bool,
        watchers: Option<&mut Watchers>,
    ) -> Result<(), String> {
        let scenario = self.checker.scenario;
        let contents = self.checker.read_all(&self.reader)?;
        let states = self.checker.at_pause(&contents)?;
        let first = match scenario.how {
            Interruption::Kill => {
                first.kill();
                None
            }
            Interruption::Resume | Interruption::Stop => Some(first),
        };
        if scenario.second.waits() {
            return self.check_wakeup(first, states);
        }
        let second = self.second.as_ref().and_then(SecondProcess::perform);
        let answer = second.ok_or_else(|| format!("{} did not end (7, 8)", scenario.second))?;
        let contents = self.checker.read_all(&self.reader)?;
        let (bytes, now) = (&self.bytes, &mut self.now);
        let is_claimed = || {
            bytes.copy_to(now);
            ArenaSnapshot(now).is_claimed()
        };
        let states = self.checker.after_second(states, &answer, &contents, is_claimed)?;
        if scenario.second == Op::Purge && scenario.how != Interruption::Resume && !answer.is_again() {
            self.bytes.copy_to(&mut self.now);
            self.checker.check_purged(&ArenaSnapshot(&self.now))?;
        }
        match (scenario.how, first) {
            (Interruption::Resume, Some(first)) if scenario.first.waits() => {
                if self.checker.ends_wait(1, &answer) {
                    self.check_noticed(&first, asleep, self.channel, scenario.first)?;
                }
                first.kill();
                self.after_death(&states, &answer, watchers)
            }
            (Interruption::Resume, Some(first)) => self.resume(first, states, &answer, watchers),
            (_, first) => {
                if let Some(first) = first {
                    self.bytes.copy_to(&mut self.now);
                    let [now, at_first] = [&self.now, &self.template].map(|bytes| ArenaSnapshot(bytes));
                    self.checker.beside_the_stopped(&mut self.third, &now, &at_first)?;
                    let contents = self.checker.read_all(&self.reader)?;
                    self.checker.after_stop(&states, &contents)?;
                    first.kill();
                }
                self.after_death(&states, &answer, watchers)
            }
        }
    }

    /// Lets a waiting process continue after a change: the change must have woken it, not its timeout.
    fn check_noticed(&self, waiter: &Tracee, asleep: bool, channel: &Channel, op: Op) -> Result<(), String> {
        let scenario = self.checker.scenario;
        let overslept = waiter
            .run_until_woken(asleep)
            .map_err(|error| format!("{op} did not end after a change: {error:?} (14)"))?;
        fail_if!(overslept, "{op} was not woken by a change (14)");
        let removes = |op| matches!(op, Op::Unset | Op::Untandem);
        let before = ArenaSnapshot(&self.template);
        let slot = before.slot_of(&self.checker.arguments[0].key);
        let slot = slot.map(|number| (number, before.slot(number).epoch()));
        // A transaction notifies a group of one of its keys, and a recovery of any of them.
        let of_transaction = scenario.first.is_transaction() || scenario.second.is_transaction();
        let slot = slot.filter(|_| op != Op::Watch || !of_transaction);
        let gone = removes(scenario.first) || removes(scenario.second);
        Checker::check_waiter(op, &channel.answer(0), slot, gone)
    }

    /// Checks a sleeping second process. A first process that continues wakes it at its end; after the first one's death, the
    /// recovery wakes it if the change is in effect.
    fn check_wakeup(&mut self, first: Option<Tracee>, states: PossibleStates) -> Result<(), String> {
        let scenario = self.checker.scenario;
        let sleeper = self.sleeper.take().ok_or("no process sleeps")?;
        let check_woken = |run: &Self| match &run.sleeper_server {
            Some((channel, _)) => run.check_noticed(&sleeper, true, channel, scenario.second),
            None => Ok(()),
        };
        match first {
            Some(first) => {
                first.run().map_err(|error| format!("{} did not end: {error:?} (8)", scenario.first))?;
                let answer = self.channel.answer(0);
                let contents = self.checker.read_all(&self.reader)?;
                let states = self.checker.after_first(states, &answer, &contents, None)?;
                if self.checker.ends_wait(0, &answer) {
                    check_woken(self)?;
                }
                drop(sleeper);
                self.first = Some(first);
                self.check_final(&states)
            }
            None => {
                self.store.writer().map(drop).map_err(|error| error.to_string())?;
                if states.iter().all(|(first, _)| *first) && self.checker.is_waited_for(0) {
                    check_woken(self)?;
                }
                let nothing = Answer::Refused(Error::Again);
                drop(sleeper);
                self.after_death(&states, &nothing, None)
            }
        }
    }

    /// Continues the first process to its end, and checks.
    fn resume(
        &mut self,
        first: Tracee,
        states: PossibleStates,
        answer: &Answer,
        watchers: Option<&mut Watchers>,
    ) -> Result<(), String> {
        let scenario = self.checker.scenario;
        if let Err(error) = first.run() {
            return Err(format!("{} did not end after it continued: {error:?} (8)", scenario.first));
        }
        let own = self.channel.answer(0);
        let contents = self.checker.read_all(&self.reader)?;
        let states = self.checker.after_first(states, &own, &contents, self.checker.kept(answer))?;
        self.bytes.copy_to(&mut self.now);
        if scenario.first == Op::Purge
            && !own.is_again()
            && matches!(scenario.second, Op::Get | Op::Bump | Op::Open)
        {
            self.checker.check_purged(&ArenaSnapshot(&self.now))?;
        }
        if let Some(watchers) = watchers {
            let done = [self.checker.is_change(0, &own), self.checker.is_change(1, answer)];
            self.checker.check_notified(watchers, |key| self.slots_of(key), done)?;
        }
        self.check_final(&states)?;
        self.first = Some(first);
        Ok(())
    }

    /// Checks that others recover what a dead first process left.
    fn after_death(
        &mut self,
        states: &PossibleStates,
        answer: &Answer,
        watchers: Option<&mut Watchers>,
    ) -> Result<(), String> {
        let take_writer_id = |store: &Store| store.writer().map(drop).map_err(|error| error.to_string());
        if let Some(watchers) = watchers {
            // The next owner of the dead process's writer id publishes the notifications that are missing.
            take_writer_id(&self.store)?;
            self.bytes.copy_to(&mut self.now);
            let sure = states.iter().all(|(first, _)| *first);
            let done = [sure, self.checker.is_change(1, answer)];
            self.checker.check_notified(watchers, |key| self.slots_of(key), done)?;
        }
        self.checker.check_recovered(&mut self.third, states)?;
        take_writer_id(&self.store)?;
        self.check_final(states)
    }

    /// Checks the store at rest.
    fn check_final(&mut self, states: &PossibleStates) -> Result<(), String> {
        self.checker.sweep_expired(&mut self.third)?;
        self.bytes.copy_to(&mut self.now);
        let level = self.checker.scenario.scrub.level();
        if let Some(fault) = ArenaSnapshot(&self.now).fault(&ArenaSnapshot(&self.template), level) {
            return Err(format!("{fault} (6, 7, 12)"));
        }
        let keys = states[0].1.entries.len();
        self.checker.check_sound(&self.store, keys)?;
        if self.checker.scenario.is_cache() {
            return self.checker.check_evicting(&mut self.third, keys);
        }
        self.checker.check_usable(&mut self.third, keys)?;
        self.checker.check_unchanged(&self.store, states)?;
        self.checker.check_sound(&self.store, keys)
    }

    /// Returns the slots in which a key was at first and is now.
    fn slots_of(&self, key: &str) -> [Option<usize>; 2] {
        [ArenaSnapshot(&self.template).slot_of(key), ArenaSnapshot(&self.now).slot_of(key)]
    }
}

/// Opens a store for reading only.
fn read_only(store: &Store) -> Result<Store, String> {
    let path = format!("/proc/self/fd/{}", store.fd().as_raw_fd());
    let file = File::open(path).map_err(|error| format!("the store cannot be read: {error}"))?;
    Store::from_fd(file.into()).map_err(|error| error.to_string())
}

impl Run for StoreRun<'_> {
    fn label(&self) -> String {
        let scenario = self.checker.scenario;
        format!(
            "{} {} {} {} {} {} {} {:?}",
            scenario.first,
            scenario.how == Interruption::Resume,
            scenario.scrub.level(),
            scenario.value_len,
            scenario.layout,
            scenario.heard,
            scenario.eviction(),
            contents_of(&self.checker.before)
        )
    }

    fn trace(&mut self) -> Result<Rc<Trace>, Failure> {
        let (channel, scenario) = (self.channel, self.checker.scenario);
        if self.is_reused() {
            // It may take another path at first: when it allocates, until the allocator keeps as many freed blocks as it may.
            let runs = if scenario.first.is_transaction() { KEPT_BLOCKS + 1 } else { 1 };
            for _ in 0..runs {
                self.reset().map_err(|error| self.lost(&error))?;
                let first = self.first.take().ok_or("no first process")?;
                first.run().map_err(|error| self.lost(&error))?;
                self.first = Some(first);
            }
        }
        self.reset().map_err(|error| self.lost(&error))?;
        let first = self.first.take().ok_or("no first process")?;
        let is_last = |first: &Tracee| scenario.first.waits() && first.is_about_to_sleep();
        let trace = first.trace(&self.text, || channel.is_over(), is_last);
        first.kill();
        trace.map(Rc::new).map_err(|error| self.lost(&error))
    }

    /// Returns one point for each instruction, and one for a sleeping process.
    fn points(&self, trace: &Trace) -> usize {
        trace.len() + usize::from(self.checker.scenario.first.waits())
    }

    fn point(&mut self, trace: &Trace, at: usize) -> Result<Outcome, Failure> {
        match self.try_point(trace, at, false)? {
            // A waiting operation reads the clock: by single steps it takes the path of the trace.
            Outcome::Missed if self.checker.scenario.first.waits() => self.try_point(trace, at, true),
            outcome => Ok(outcome),
        }
    }
}
