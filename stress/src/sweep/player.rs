//! The two processes that work on the store: the first, which is traced and stands at a gate before and
//! after its operation, and the second, which works when it is told to. And the board by which they
//! speak with the sweep.

use super::act::{ANSWER_WORDS, Act, Answer, StoreFailure, perform};
use super::ground::{Cast, KEY_GROUP};
use super::process::{gate, is_overdue, now};
use crate::forked::Forked;
use crate::futex::{sleep_on, wake_sleepers};
use crate::shared::SharedWords;
use splinter::{Config, Location, Store, Watcher, Writer};
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// How far the first is.
const PHASE: usize = 0;
const READY: u64 = 1;
const OVER: u64 = 2;
/// What the second is told, and what it has done.
const ORDER: usize = 1;
const ORDERS_DONE: usize = 2;
const WHAT: usize = 3;
const PREPARE: u64 = 1;
const PLAY: u64 = 2;
/// The answers of both.
const ANSWERS: usize = 8;
const WORDS: usize = ANSWERS + 2 * ANSWER_WORDS;

/// Words that the sweep and its processes share.
#[derive(Debug)]
pub(super) struct Board(SharedWords);

impl Board {
    pub(super) fn create() -> io::Result<Self> {
        SharedWords::create(WORDS).map(Self)
    }

    /// Whether the first has done its operation.
    pub(super) fn is_over(&self) -> bool {
        self.0.words()[PHASE].load(Acquire) == OVER
    }

    /// Forgets what was said.
    pub(super) fn wipe(&self) {
        self.0.words()[PHASE].store(0, Release);
    }

    /// Takes the answer of the first (0) or the second (1).
    pub(super) fn answer(&self, whose: usize) -> Answer {
        let words = &self.0.words()[ANSWERS + whose * ANSWER_WORDS..][..ANSWER_WORDS];
        let words: Vec<u64> = words.iter().map(|word| word.load(Acquire)).collect();
        Answer::decode(&words)
    }

    fn put(&self, whose: usize, answer: &Answer) {
        let words = &self.0.words()[ANSWERS + whose * ANSWER_WORDS..][..ANSWER_WORDS];
        for (word, value) in words.iter().zip(answer.encode()) {
            word.store(value, Release);
        }
    }

    /// Tells the second what to do, without waiting for it.
    fn tell(&self, what: u64) {
        let words = self.0.words();
        words[WHAT].store(what, Relaxed);
        words[ORDER].fetch_add(1, Release);
        wake_sleepers(&words[ORDER], 1);
    }

    /// Waits until the second has done what it was told. Returns whether it has.
    fn wait(&self) -> bool {
        let (words, since) = (self.0.words(), now());
        loop {
            let done = words[ORDERS_DONE].load(Acquire);
            if done == words[ORDER].load(Relaxed) {
                return true;
            }
            if is_overdue(since) {
                return false;
            }
            sleep_on(&words[ORDERS_DONE], done, Some(Duration::from_millis(500)));
        }
    }
}

/// What one party does, and with what.
pub(super) struct Player {
    pub(super) act: Act,
    pub(super) cast: Cast,
    pub(super) stand: Stand,
}

/// What a party works on.
pub(super) enum Stand {
    /// An open store.
    Store(Store),
    /// A store that has a name, or is to get it.
    Name(Location, Config),
}

/// What a party holds from one performance to the next.
#[derive(Default)]
struct Props {
    writer: Option<Writer>,
    watcher: Option<Watcher>,
    epoch: u64,
    kept: Option<Store>,
}

impl Player {
    /// Gets ready: a lane taken anew, as one who has just come.
    fn prepare(&self, props: &mut Props) -> Result<(), StoreFailure> {
        props.kept = None;
        let Stand::Store(store) = &self.stand else {
            return Ok(());
        };
        props.writer = None;
        if self.act == Act::Poll {
            props.epoch = store.epoch(&self.cast.key).unwrap_or_default();
        } else if self.act == Act::Watch {
            props.watcher = store.watch(&[KEY_GROUP]).ok();
        } else {
            props.writer = Some(store.writer()?);
        }
        Ok(())
    }

    fn play(&self, props: &mut Props) -> Answer {
        match &self.stand {
            Stand::Name(location, config) => {
                let result = if self.act == Act::Create {
                    Store::create(location, config)
                } else {
                    Store::open(location)
                };
                match result {
                    Ok(store) => {
                        props.kept = Some(store);
                        Answer::Done(0)
                    }
                    Err(error) => Answer::Failed(error.into()),
                }
            }
            Stand::Store(store) => match (self.act, &mut props.writer, &mut props.watcher) {
                (Act::Poll, ..) => Answer::of(store.poll_after(&self.cast.key, props.epoch, None)),
                (Act::Watch, _, Some(watcher)) => match watcher.wait(None) {
                    Ok(Some(change)) => Answer::Done(u64::from(change.slot)),
                    Ok(None) => Answer::Refused(splinter::Error::TimedOut),
                    Err(_) => Answer::Refused(splinter::Error::Full),
                },
                (act, Some(writer), _) => perform(act, writer, &self.cast),
                _ => Answer::Failed(StoreFailure::Other),
            },
        }
    }

    /// Is the first: before the operation and after it, it stands at a gate.
    pub(super) fn be_first(&self, board: &Board) {
        let (phase, mut props) = (&board.0.words()[PHASE], Props::default());
        loop {
            if self.prepare(&mut props).is_err() {
                return;
            }
            phase.store(READY, Release);
            gate();
            let answer = self.play(&mut props);
            phase.store(OVER, Release);
            board.put(0, &answer);
            gate();
        }
    }

    /// Is the second, in a process of its own.
    pub(super) fn start_second<'b>(self, board: &'b Board) -> Result<Second<'b>, String> {
        let told = board.0.words()[ORDER].load(Acquire);
        board.0.words()[ORDERS_DONE].store(told, Release);
        let child = Forked::new(|| {
            self.be_second(board, told);
            0
        })?;
        Ok(Second { child, board })
    }

    fn be_second(&self, board: &Board, mut done: u64) {
        let (words, mut props) = (board.0.words(), Props::default());
        loop {
            while words[ORDER].load(Acquire) == done {
                sleep_on(&words[ORDER], done, None);
            }
            done += 1;
            if words[WHAT].load(Relaxed) == PLAY {
                let answer = self.play(&mut props);
                board.put(1, &answer);
            } else if self.prepare(&mut props).is_err() {
                return;
            }
            words[ORDERS_DONE].store(done, Release);
            wake_sleepers(&words[ORDERS_DONE], 1);
        }
    }
}

/// The second, as the sweep sees it.
pub(super) struct Second<'b> {
    pub(super) child: Forked,
    board: &'b Board,
}

impl Second<'_> {
    /// Has it get ready. Returns whether it is.
    pub(super) fn prepare(&self) -> bool {
        self.board.tell(PREPARE);
        self.board.wait()
    }

    /// Has it work, to the end. Returns its answer, if it came to one.
    pub(super) fn play(&self) -> Option<Answer> {
        self.begin();
        self.finish()
    }

    /// Whether it has done all that it was told.
    pub(super) fn is_idle(&self) -> bool {
        let words = self.board.0.words();
        words[ORDERS_DONE].load(Acquire) == words[ORDER].load(Relaxed)
    }

    /// Has it begin to work.
    pub(super) fn begin(&self) {
        self.board.tell(PLAY);
    }

    /// Waits for the end of its work.
    pub(super) fn finish(&self) -> Option<Answer> {
        self.board.wait().then(|| self.board.answer(1))
    }
}
