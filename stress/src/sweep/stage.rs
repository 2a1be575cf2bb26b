//! One scene, played once for each pause point: the store is put back as it was, the first is brought to
//! the instruction, the second works, and the judge looks.

use super::act::{Act, Answer};
use super::birth::Birth;
use super::ground::{HASH_SEED, How, Scene};
use super::judge::{Ears, Histories, Judge};
use super::picture::Picture;
use super::player::{Board, Player, Second, Stand};
use super::process::{Bytes, breed};
use super::tracee::{Astray, Path, Tracee};
use crate::forked::Forked;
use splinter::{Config, Store, Writer};
use std::ops::Range;
use std::rc::Rc;

/// What a point came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All held.
    Held,
    /// Something was broken.
    Broken(String),
    /// The first did not get there: it takes another way than before.
    Missed,
}

/// Why a scene could not be played.
pub(super) type Failure = String;

/// A scene that has been laid.
pub(super) enum Play<'b> {
    /// On a store.
    Stage(Box<Stage<'b>>),
    /// On a name.
    Birth(Birth<'b>),
}

impl<'b> Play<'b> {
    /// Lays a scene.
    pub(super) fn lay(scene: Scene, board: &'b Board, text: &Range<u64>) -> Result<Self, Failure> {
        if scene.is_of_names() {
            Birth::lay(scene, board, text).map(Self::Birth)
        } else {
            Stage::lay(scene, board, text).map(|stage| Self::Stage(Box::new(stage)))
        }
    }

    /// What the way of the first depends on.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Stage(stage) => stage.label(),
            Self::Birth(birth) => birth.label(),
        }
    }

    /// Finds the way of the first, step by step.
    pub(super) fn trace(&mut self) -> Result<Rc<Path>, Failure> {
        match self {
            Self::Stage(stage) => stage.trace(),
            Self::Birth(birth) => birth.trace(),
        }
    }

    /// How many points there are.
    pub(super) fn points(&self, path: &Path) -> usize {
        match self {
            Self::Stage(stage) => stage.points(path),
            Self::Birth(_) => path.len(),
        }
    }

    /// Tries one point.
    pub(super) fn point(&mut self, path: &Path, at: usize) -> Result<Outcome, Failure> {
        match self {
            Self::Stage(stage) => stage.point(path, at),
            Self::Birth(birth) => birth.point(path, at),
        }
    }
}

/// Processes, store and template of one scene.
pub(super) struct Stage<'b> {
    judge: Judge,
    board: &'b Board,
    store: Store,
    third: Writer,
    bytes: Bytes,
    template: Vec<u8>,
    now: Vec<u8>,
    // The first goes before who bore it.
    first: Option<Tracee>,
    zygote: Option<Tracee>,
    second: Option<Second<'b>>,
    // Who sleeps until the first has changed something, and who bears such.
    sleeper: Option<Tracee>,
    dreams: Option<(Board, Tracee)>,
    text: Range<u64>,
}

impl<'b> Stage<'b> {
    /// Lays the scene.
    pub(super) fn lay(scene: Scene, board: &'b Board, text: &Range<u64>) -> Result<Self, Failure> {
        let words = |error: &dyn std::fmt::Display| format!("{scene}: {error}");
        let config = Config {
            geometry: scene.geometry(),
            scrub: scene.scrub.level(),
            hash_seed: Some(HASH_SEED),
            ..Config::default()
        };
        let store = Store::anonymous(&config).map_err(|e| words(&e))?;
        let mut third = store.writer().map_err(|e| words(&e))?;
        let before = scene.populate(&mut third).map_err(|e| words(&e))?;
        let bytes = Bytes::of(store.fd(), store.arena_len()).map_err(|e| words(&e))?;
        let judge = Judge::new(scene, before);
        let mut stage = Self {
            judge,
            board,
            store,
            third,
            bytes,
            template: Vec::new(),
            now: Vec::new(),
            first: None,
            zygote: None,
            second: None,
            sleeper: None,
            dreams: None,
            text: text.clone(),
        };
        stage.hire()?;
        stage.template = stage.bytes.copy();
        stage.now = stage.template.clone();
        Ok(stage)
    }

    /// Starts the processes.
    fn hire(&mut self) -> Result<(), Failure> {
        let scene = self.judge.scene;
        let [first, second] = self.judge.casts.clone();
        let player = |act: Act, cast| Player {
            act,
            cast,
            stand: Stand::Store(self.store.clone()),
        };
        if scene.second.waits() {
            let board = Board::create().map_err(|e| format!("no shared memory: {e}"))?;
            let sleeper = player(scene.second, second.clone());
            let child = Forked::new(|| {
                breed(|| sleeper.be_first(&board));
                0
            });
            let child = child.map_err(|e| format!("no second process: {e}"))?;
            self.dreams = Some((board, adopt(child)?));
        }
        let second = player(scene.second, second);
        let second = second.start_second(self.board);
        let second = second.map_err(|e| format!("no second process: {e}"))?;
        if !second.prepare() {
            return Err(format!("{scene}: the second does not get ready"));
        }
        self.second = Some(second);
        let (first, board) = (player(scene.first, first), self.board);
        let child = Forked::new(|| {
            breed(|| first.be_first(board));
            0
        });
        let child = child.map_err(|e| format!("no first process: {e}"))?;
        self.zygote = Some(adopt(child)?);
        Ok(())
    }

    /// Who is it, and what may be known of it in advance.
    pub(super) fn label(&self) -> String {
        let scene = self.judge.scene;
        format!(
            "{} {} {} {} {} {} {:?}",
            scene.first,
            scene.how == How::Resume,
            scene.scrub.level(),
            scene.value_len,
            scene.ground,
            scene.heard,
            self.judge.before.view()
        )
    }

    /// Finds the way of the first, step by step.
    pub(super) fn trace(&mut self) -> Result<Rc<Path>, Failure> {
        let (board, scene) = (self.board, self.judge.scene);
        if self.is_used_again() {
            // It may go another way the first time, when it allocates for example.
            self.reset().map_err(|astray| self.lost(&astray))?;
            let first = self.first.take().ok_or("no first process")?;
            first.run().map_err(|astray| self.lost(&astray))?;
            self.first = Some(first);
        }
        self.reset().map_err(|astray| self.lost(&astray))?;
        let first = self.first.take().ok_or("no first process")?;
        let is_last = |first: &Tracee| scene.first.waits() && first.is_about_to_sleep();
        let path = first.trace(&self.text, || board.is_over(), is_last);
        first.kill();
        path.map(Rc::new).map_err(|astray| self.lost(&astray))
    }

    /// Whether the first goes through its operation again and again.
    fn is_used_again(&self) -> bool {
        self.judge.scene.how == How::Resume && !self.judge.scene.first.waits()
    }

    /// How many points there are: one for each instruction, and one for somebody asleep.
    pub(super) fn points(&self, path: &Path) -> usize {
        path.len() + usize::from(self.judge.scene.first.waits())
    }

    fn lost(&self, astray: &Astray) -> Failure {
        format!(
            "{}: the first cannot be traced: {astray:?}",
            self.judge.scene
        )
    }

    /// Puts the store back, and has everybody ready: the first at its gate.
    fn reset(&mut self) -> Result<(), Astray> {
        self.bytes.restore(&self.template);
        let ready = self.second.as_ref().is_some_and(Second::prepare);
        if !ready {
            return Err(Astray::Hung);
        }
        self.board.wipe();
        let zygote = self.zygote.as_ref().ok_or(Astray::Hung)?;
        let first = match self.first.take() {
            Some(first) => first,
            None => zygote.bear()?,
        };
        first.run()?;
        self.first = Some(first);
        self.sleeper = None;
        if let Some((board, zygote)) = &self.dreams {
            board.wipe();
            let sleeper = zygote.bear()?;
            sleeper.run()?;
            sleeper.fall_asleep()?;
            self.sleeper = Some(sleeper);
        }
        Ok(())
    }

    /// Tries one point.
    pub(super) fn point(&mut self, path: &Path, at: usize) -> Result<Outcome, Failure> {
        match self.try_point(path, at, false)? {
            // Who waits looks at the clock: at leisure it goes the way that was found.
            Outcome::Missed if self.judge.scene.first.waits() => self.try_point(path, at, true),
            outcome => Ok(outcome),
        }
    }

    fn try_point(&mut self, path: &Path, at: usize, slowly: bool) -> Result<Outcome, Failure> {
        if let Err(astray) = self.reset() {
            return Err(self.lost(&astray));
        }
        let mut ears = match self.judge.scene.heard {
            true => Ears::open(&self.store),
            false => None,
        };
        let board = self.board;
        let Some(first) = self.first.take() else {
            return Err("no first process".to_owned());
        };
        let asleep = at == path.len();
        let here = if asleep {
            first.fall_asleep()
        } else {
            first.approach(path, at, slowly, || board.is_over())
        };
        match here {
            Ok(()) => {}
            Err(Astray::Diverged) => {
                first.kill();
                return Ok(Outcome::Missed);
            }
            Err(astray) => return Err(self.lost(&astray)),
        }
        let result = self.interrupt(first, asleep, ears.as_mut());
        self.sleeper = None;
        if let Err(fault) = result {
            // Whoever is in the middle of something now cannot be used again.
            self.first = None;
            self.dismiss()?;
            return Ok(Outcome::Broken(fault));
        }
        Ok(Outcome::Held)
    }

    /// Starts over with new processes and a store as before.
    fn dismiss(&mut self) -> Result<(), Failure> {
        let hung = |second: &Second<'_>| second.child.ended().is_some();
        if self.second.as_ref().is_none_or(hung) || !self.is_idle() {
            self.second = None;
            self.zygote = None;
            self.dreams = None;
            self.bytes.restore(&self.template);
            self.hire()?;
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.second.as_ref().is_some_and(Second::is_idle)
    }

    /// What happens once the first stands where it is to be interrupted.
    fn interrupt(
        &mut self,
        first: Tracee,
        asleep: bool,
        ears: Option<&mut Ears>,
    ) -> Result<(), String> {
        let scene = self.judge.scene;
        let view = self.judge.look(&self.store)?;
        let histories = self.judge.at_pause(&view)?;
        let first = match scene.how {
            How::Kill => {
                first.kill();
                None
            }
            How::Resume | How::Stop => Some(first),
        };
        if scene.second.waits() {
            return self.rouse(first, histories);
        }
        let second = self.second.as_ref().and_then(Second::play);
        let answer = second.ok_or_else(|| format!("{} did not end (7, 8)", scene.second))?;
        let view = self.judge.look(&self.store)?;
        let (bytes, now) = (&self.bytes, &mut self.now);
        let is_claimed = || {
            bytes.copy_to(now);
            Picture(now).is_claimed()
        };
        let histories = self
            .judge
            .after_second(histories, &answer, &view, is_claimed)?;
        if scene.second == Act::Purge && scene.how != How::Resume && !answer.is_again() {
            self.bytes.copy_to(&mut self.now);
            self.judge.purged(&Picture(&self.now))?;
        }
        match (scene.how, first) {
            (How::Resume, Some(first)) if scene.first.waits() => {
                if self.judge.is_change(1, &answer) {
                    self.notice(&first, asleep, self.board, scene.first)?;
                }
                first.kill();
                self.bury(&histories, &answer, ears)
            }
            (How::Resume, Some(first)) => self.go_on(first, histories, &answer, ears),
            (_, first) => {
                if let Some(first) = first {
                    self.bytes.copy_to(&mut self.now);
                    self.judge
                        .beside_the_stopped(&mut self.third, &Picture(&self.now))?;
                    let view = self.judge.look(&self.store)?;
                    self.judge.after_stop(&histories, &view)?;
                    first.kill();
                }
                self.bury(&histories, &answer, ears)
            }
        }
    }

    /// Lets one who waits go on, or wake up, after a change: it must have noticed, and not have slept until
    /// its time was over.
    fn notice(&self, waiter: &Tracee, asleep: bool, board: &Board, act: Act) -> Result<(), String> {
        let scene = self.judge.scene;
        let overslept = waiter
            .wake_up(asleep)
            .map_err(|astray| format!("{act} did not end after a change: {astray:?} (14)"))?;
        if overslept {
            return Err(format!("{act} was not woken by a change (14)"));
        }
        let removes = |act| matches!(act, Act::Unset | Act::Untandem);
        let before = Picture(&self.template);
        let slot = before.slot_of(&self.judge.casts[0].key);
        let slot = slot.map(|number| (number, before.slot(number).epoch()));
        let gone = removes(scene.first) || removes(scene.second);
        Judge::noticed(act, &board.answer(0), slot, gone)
    }

    /// Somebody sleeps until the first has changed something. It is woken when the first goes on to its
    /// end; or when somebody looks after the first, which is dead, if the change is in effect.
    fn rouse(&mut self, first: Option<Tracee>, histories: Histories) -> Result<(), String> {
        let scene = self.judge.scene;
        let sleeper = self.sleeper.take().ok_or("nobody sleeps")?;
        let awaken = |stage: &Self| match &stage.dreams {
            Some((board, _)) => stage.notice(&sleeper, true, board, scene.second),
            None => Ok(()),
        };
        match first {
            Some(first) => {
                first
                    .run()
                    .map_err(|astray| format!("{} did not end: {astray:?} (8)", scene.first))?;
                let answer = self.board.answer(0);
                let view = self.judge.look(&self.store)?;
                let histories = self.judge.after_first(histories, &answer, &view)?;
                if self.judge.is_change(0, &answer) {
                    awaken(self)?;
                }
                drop(sleeper);
                self.first = Some(first);
                self.at_rest(&histories)
            }
            None => {
                self.store
                    .writer()
                    .map(drop)
                    .map_err(|error| error.to_string())?;
                if histories.iter().all(|(first, _)| *first) {
                    awaken(self)?;
                }
                let nothing = Answer::Refused(splinter::Error::Again);
                drop(sleeper);
                self.bury(&histories, &nothing, None)
            }
        }
    }

    /// The first goes on, and comes to its end.
    fn go_on(
        &mut self,
        first: Tracee,
        histories: Histories,
        answer: &Answer,
        ears: Option<&mut Ears>,
    ) -> Result<(), String> {
        let scene = self.judge.scene;
        if let Err(astray) = first.run() {
            return Err(format!(
                "{} did not end once it went on: {astray:?} (8)",
                scene.first
            ));
        }
        let own = self.board.answer(0);
        let view = self.judge.look(&self.store)?;
        let histories = self.judge.after_first(histories, &own, &view)?;
        self.bytes.copy_to(&mut self.now);
        if scene.first == Act::Purge
            && !own.is_again()
            && matches!(scene.second, Act::Get | Act::Bump | Act::Open)
        {
            self.judge.purged(&Picture(&self.now))?;
        }
        if let Some(ears) = ears {
            let done = [
                self.judge.is_change(0, &own),
                self.judge.is_change(1, answer),
            ];
            self.judge.heard(ears, |key| self.places(key), done)?;
        }
        self.at_rest(&histories)?;
        self.first = Some(first);
        Ok(())
    }

    /// The first is dead: others look after what it left.
    fn bury(
        &mut self,
        histories: &Histories,
        answer: &Answer,
        ears: Option<&mut Ears>,
    ) -> Result<(), String> {
        let heir = |store: &Store| store.writer().map(drop).map_err(|error| error.to_string());
        if let Some(ears) = ears {
            // Whoever takes the dead one's lane tells of what that did not.
            heir(&self.store)?;
            self.bytes.copy_to(&mut self.now);
            let sure = histories.iter().all(|(first, _)| *first);
            let done = [sure, self.judge.is_change(1, answer)];
            self.judge.heard(ears, |key| self.places(key), done)?;
        }
        self.judge.mended(&mut self.third, histories)?;
        heir(&self.store)?;
        self.at_rest(histories)
    }

    /// Looks at the store when nobody works in it any more.
    fn at_rest(&mut self, histories: &Histories) -> Result<(), String> {
        self.bytes.copy_to(&mut self.now);
        let level = self.judge.scene.scrub.level();
        if let Some(fault) = Picture(&self.now).fault(&Picture(&self.template), level) {
            return Err(format!("{fault} (6, 7, 12)"));
        }
        let keys = histories[0].1.cells.len();
        self.judge.sound(&self.store, keys)?;
        self.judge.usable(&mut self.third, keys)?;
        self.judge.settled(&self.store, histories)?;
        self.judge.sound(&self.store, keys)
    }

    /// The slots in which a key was and is.
    fn places(&self, key: &str) -> [Option<usize>; 2] {
        [
            Picture(&self.template).slot_of(key),
            Picture(&self.now).slot_of(key),
        ]
    }
}

/// Traces a child that asked for it, and takes over what becomes of it.
pub(super) fn adopt(child: Forked) -> Result<Tracee, Failure> {
    let tracee = Tracee::adopt(child.pid());
    child.release();
    tracee.map_err(|astray| {
        format!(
            "tracing is not permitted ({astray:?}): give the process CAP_SYS_PTRACE, or set \
             /proc/sys/kernel/yama/ptrace_scope to 1 or less"
        )
    })
}
