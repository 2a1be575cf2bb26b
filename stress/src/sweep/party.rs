//! The two processes of a scenario: the first is traced and stops at a trap before and after its operation, the second runs
//! one command after the other. And the channel between them and the sweep.

use super::answer::{ANSWER_WORDS, Answer, StoreErrorKind};
use super::ops::{Arguments, Op, perform};
use super::process::{is_overdue, serve_forks, ticks, trap};
use super::run::Failure;
use super::scenario::KEY_GROUP;
use super::tracee::Tracee;
use splinter::{Config, Error, Location, Store, Watcher, Writer};
use splinter_harness::forked::Forked;
use splinter_harness::shared::{Layout, SharedState, store_and_wake, wait_while};
use splinter_testkit::{self as testkit, Reply};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Words of the channel: how far the first process is; how many commands the second process was sent and has done, and the
/// last command.
const PHASE: usize = 0;
const SENT: usize = 1;
const DONE: usize = 2;
const COMMAND: usize = 3;
/// Phases of the first process.
const READY: u64 = 1;
const OVER: u64 = 2;
/// Commands to the second process.
const PREPARE: u64 = 1;
const PERFORM: u64 = 2;

/// The channel between the sweep and the processes of a scenario.
#[derive(Debug)]
pub(super) struct Channel(SharedState);

impl Channel {
    pub(super) fn create() -> Result<Self, Failure> {
        let state = SharedState::create(Layout {
            global_words: 4,
            workers: 2,
            cell_words: ANSWER_WORDS,
            message_bytes: 0,
        });
        state.map(Self).map_err(|error| format!("no shared memory: {error}"))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.0.global()[at]
    }

    /// Tells whether the first process has done its operation.
    pub(super) fn is_over(&self) -> bool {
        self.word(PHASE).load(Acquire) == OVER
    }

    /// Forgets the phase of the first process.
    pub(super) fn reset(&self) {
        self.word(PHASE).store(0, Release);
    }

    /// Returns the answer of the first process (0) or the second (1).
    pub(super) fn answer(&self, whose: usize) -> Answer {
        let words = self.0.cell(whose).iter();
        let words: Vec<u64> = words.map(|word| word.load(Acquire)).collect();
        Answer::decode(&words)
    }

    fn put_answer(&self, whose: usize, answer: &Answer) {
        for (word, value) in self.0.cell(whose).iter().zip(answer.encode()) {
            word.store(value, Release);
        }
    }

    /// Sends the second process a command, without waiting for it.
    fn send(&self, command: u64) {
        self.word(COMMAND).store(command, Relaxed);
        let sent = self.word(SENT);
        store_and_wake(sent, sent.load(Relaxed) + 1);
    }

    /// Waits until the second process has done its command. Returns whether it has.
    fn wait(&self) -> bool {
        let since = ticks();
        while !self.is_idle() {
            let done = self.word(DONE);
            if wait_while(done, done.load(Acquire), || is_overdue(since)).is_none() {
                return self.is_idle();
            }
        }
        true
    }

    /// Tells whether the second process has done all its commands.
    fn is_idle(&self) -> bool {
        self.word(DONE).load(Acquire) == self.word(SENT).load(Relaxed)
    }
}

/// A process's operation, and what it works on.
pub(super) struct Party {
    op: Op,
    key: String,
    /// The store's operation, made before so that making it is no part of what is traced.
    on: Option<testkit::Op>,
    subject: Subject,
}

/// What an operation works on.
pub(super) enum Subject {
    /// An open store.
    Store(Store),
    /// A store that has a name, or is to get it.
    Name(Location, Config),
}

/// What a process holds from its preparation to its operation.
#[derive(Default)]
struct Resources {
    writer: Option<Writer>,
    watcher: Option<Watcher>,
    epoch: u64,
    store: Option<Store>,
}

impl Party {
    pub(super) fn new(op: Op, arguments: &Arguments, subject: Subject) -> Self {
        Self { op, key: arguments.key.clone(), on: op.on(arguments), subject }
    }

    /// Prepares the operation: takes a new writer id, as a process that has just started does.
    fn prepare(&self, resources: &mut Resources) -> Result<(), StoreErrorKind> {
        resources.store = None;
        let Subject::Store(store) = &self.subject else {
            return Ok(());
        };
        resources.writer = None;
        if self.op == Op::Poll {
            resources.epoch = store.epoch(&self.key).unwrap_or_default();
        } else if self.op == Op::Watch {
            resources.watcher = store.watch(&[KEY_GROUP]).ok();
        } else {
            resources.writer = Some(store.writer()?);
        }
        Ok(())
    }

    fn perform(&self, resources: &mut Resources) -> Answer {
        match &self.subject {
            Subject::Name(location, config) => {
                let result = if self.op == Op::Create {
                    Store::create(location, config)
                } else {
                    Store::open(location)
                };
                match result {
                    Ok(store) => {
                        resources.store = Some(store);
                        Answer::Done(0)
                    }
                    Err(error) => Answer::Failed(error.into()),
                }
            }
            Subject::Store(store) => {
                let epoch = resources.epoch;
                match (self.op, &mut resources.writer, &mut resources.watcher) {
                    (Op::Poll, ..) => store.poll_after(&self.key, epoch, None).map(Reply::from).into(),
                    (Op::Watch, _, Some(watcher)) => match watcher.wait(None) {
                        Ok(Some(change)) => Answer::Done(u64::from(change.slot)),
                        Ok(None) => Answer::Refused(Error::TimedOut),
                        Err(_) => Answer::Refused(Error::Full),
                    },
                    (op, Some(writer), _) => perform(op, self.on.as_ref(), writer),
                    _ => Answer::Failed(StoreErrorKind::Other),
                }
            }
        }
    }

    /// Starts a fork server, each child of which is a first process, and stops it at its trap.
    pub(super) fn start_fork_server(&self, channel: &Channel) -> Result<Tracee, Failure> {
        let child = Forked::new(|| {
            serve_forks(|| self.run_first(channel));
            0
        });
        Tracee::adopt(child.map_err(|error| format!("no process to be traced: {error}"))?)
    }

    /// Runs as the first process: it stops at a trap before the operation and after it.
    fn run_first(&self, channel: &Channel) {
        let (phase, mut resources) = (channel.word(PHASE), Resources::default());
        loop {
            if self.prepare(&mut resources).is_err() {
                return;
            }
            phase.store(READY, Release);
            trap();
            let answer = self.perform(&mut resources);
            phase.store(OVER, Release);
            channel.put_answer(0, &answer);
            trap();
        }
    }

    /// Starts the second process.
    pub(super) fn start_second<'c>(self, channel: &'c Channel) -> Result<SecondProcess<'c>, Failure> {
        let sent = channel.word(SENT).load(Acquire);
        channel.word(DONE).store(sent, Release);
        let child = Forked::new(|| {
            self.run_second(channel, sent);
            0
        });
        let child = child.map_err(|error| format!("no second process: {error}"))?;
        Ok(SecondProcess { child, channel })
    }

    /// Runs as the second process, of which `done` commands are done.
    fn run_second(&self, channel: &Channel, mut done: u64) {
        let mut resources = Resources::default();
        loop {
            wait_while(channel.word(SENT), done, || false);
            done += 1;
            if channel.word(COMMAND).load(Relaxed) == PERFORM {
                let answer = self.perform(&mut resources);
                channel.put_answer(1, &answer);
            } else if self.prepare(&mut resources).is_err() {
                return;
            }
            store_and_wake(channel.word(DONE), done);
        }
    }
}

/// The second process, as the sweep sees it.
pub(super) struct SecondProcess<'c> {
    pub(super) child: Forked,
    channel: &'c Channel,
}

impl SecondProcess<'_> {
    /// Prepares the operation. Returns whether it is prepared.
    pub(super) fn prepare(&self) -> bool {
        self.channel.send(PREPARE);
        self.channel.wait()
    }

    /// Performs the operation. Returns its answer, if it ended.
    pub(super) fn perform(&self) -> Option<Answer> {
        self.channel.send(PERFORM);
        self.channel.wait().then(|| self.channel.answer(1))
    }

    /// Tells whether it has done all its commands.
    pub(super) fn is_idle(&self) -> bool {
        self.channel.is_idle()
    }
}
