//! Stores that come into being: the first creates or opens a store that has a name, and the second opens it
//! or creates one of the same name. Whoever opens it finds it complete or not at all, of two who create it one
//! does, and what a dead creator leaves keeps nobody from creating it (invariant 15).

use super::act::{Act, Answer, StoreFailure};
use super::ground::{HASH_SEED, How, Scene};
use super::player::{Board, Player, Second, Stand};
use super::process::{breed, name_of};
use super::stage::{Failure, Outcome, adopt};
use super::tracee::{Astray, Path, Tracee};
use crate::forked::Forked;
use splinter::{Config, Location, Store, StoreError};
use std::ops::Range;
use std::rc::Rc;

/// A key that is in the store that is opened.
const KEY: &str = "here";

/// Processes and name of one scene.
pub(super) struct Birth<'b> {
    scene: Scene,
    board: &'b Board,
    location: Location,
    config: Config,
    // The first goes before who bore it.
    first: Option<Tracee>,
    zygote: Tracee,
    second: Second<'b>,
    text: Range<u64>,
}

impl<'b> Birth<'b> {
    /// Lays the scene.
    pub(super) fn lay(scene: Scene, board: &'b Board, text: &Range<u64>) -> Result<Self, Failure> {
        let name = name_of(nix::unistd::getpid());
        let location = Location::shared(name).map_err(|error| error.to_string())?;
        let config = Config {
            geometry: scene.geometry(),
            scrub: scene.scrub.level(),
            hash_seed: Some(HASH_SEED),
            ..Config::default()
        };
        let player = |act: Act, cast| Player {
            act,
            cast,
            stand: Stand::Name(location.clone(), config.clone()),
        };
        let [first, second] = scene.casts();
        let second = player(scene.second, second).start_second(board);
        let second = second.map_err(|error| format!("no second process: {error}"))?;
        let first = player(scene.first, first);
        let child = Forked::new(|| {
            breed(|| first.be_first(board));
            0
        });
        let child = child.map_err(|error| format!("no first process: {error}"))?;
        Ok(Self {
            scene,
            board,
            location: location.clone(),
            config: config.clone(),
            first: None,
            zygote: adopt(child)?,
            second,
            text: text.clone(),
        })
    }

    /// What the way of the first depends on.
    pub(super) fn label(&self) -> String {
        format!("{} by name, pid {}", self.scene.first, std::process::id())
    }

    /// Finds the way of the first, step by step.
    pub(super) fn trace(&mut self) -> Result<Rc<Path>, Failure> {
        let first = self.ready().map_err(|astray| self.lost(&astray))?;
        let board = self.board;
        let path = first.trace(&self.text, || board.is_over(), |_| false);
        first.kill();
        path.map(Rc::new).map_err(|astray| self.lost(&astray))
    }

    fn lost(&self, astray: &Astray) -> Failure {
        format!("{}: the first cannot be traced: {astray:?}", self.scene)
    }

    /// Has the name as it was, and everybody ready: the first at its gate, always a new one, since each opens
    /// and maps what it did not before.
    fn ready(&mut self) -> Result<Tracee, Astray> {
        self.first = None;
        if !self.second.prepare() {
            return Err(Astray::Hung);
        }
        let _ = self.location.unlink();
        if self.scene.first == Act::Open {
            let store = Store::create(&self.location, &self.config);
            let written = store.and_then(|store| store.writer());
            let written = written.is_ok_and(|mut writer| writer.set(KEY, b"x").is_ok());
            if !written {
                return Err(Astray::Ended("no store to open".to_owned()));
            }
        }
        self.board.wipe();
        let first = self.zygote.bear()?;
        first.run()?;
        Ok(first)
    }

    /// Tries one point.
    pub(super) fn point(&mut self, path: &Path, at: usize) -> Result<Outcome, Failure> {
        let first = self.ready().map_err(|astray| self.lost(&astray))?;
        let board = self.board;
        match first.approach(path, at, false, || board.is_over()) {
            Ok(()) => {}
            Err(Astray::Diverged) => return Ok(Outcome::Missed),
            Err(astray) => return Err(self.lost(&astray)),
        }
        Ok(match self.interrupt(first) {
            Ok(()) => Outcome::Held,
            Err(fault) => Outcome::Broken(fault),
        })
    }

    fn interrupt(&self, first: Tracee) -> Result<(), String> {
        let Scene { second, how, .. } = self.scene;
        let first = if how == How::Kill {
            first.kill();
            None
        } else {
            Some(first)
        };
        let answer = self.second.play();
        let answer = answer.ok_or_else(|| format!("{second} did not end (8, 15)"))?;
        let existed = self.scene.first == Act::Open;
        let missing = Answer::Failed(StoreFailure::Missing);
        let exists = Answer::Failed(StoreFailure::Exists);
        let right = match second {
            Act::Open => answer == Answer::Done(0) || !existed && answer == missing,
            _ => answer == exists || !existed && answer == Answer::Done(0),
        };
        if !right {
            return Err(format!("{second} answered {answer} (15)"));
        }
        let is_there = answer != missing;
        if is_there {
            self.complete()?;
        }
        match (how, first) {
            (How::Resume, Some(first)) => {
                first.run().map_err(|astray| {
                    format!("{} did not end: {astray:?} (8)", self.scene.first)
                })?;
                let own = self.board.answer(0);
                let lost = second == Act::Create && answer == Answer::Done(0);
                let wanted = if lost { &exists } else { &Answer::Done(0) };
                if own != *wanted {
                    return Err(format!(
                        "{} answered {own} where {second} was answered {answer} (15)",
                        self.scene.first
                    ));
                }
                self.complete()
            }
            (_, first) => {
                if let Some(first) = first {
                    first.kill();
                }
                self.created_again(is_there)
            }
        }
    }

    /// What has the name is a store, complete and usable.
    fn complete(&self) -> Result<(), String> {
        let failed =
            |error: StoreError| format!("what has the name is no store to use: {error} (15)");
        let store = Store::open(&self.location).map_err(failed)?;
        if store.geometry() != self.config.geometry || store.scrub() != self.config.scrub {
            return Err("the store was not made as it was asked for (15)".to_owned());
        }
        let kept = u64::from(self.scene.first == Act::Open);
        let mut writer = store.writer().map_err(failed)?;
        let found = store.inspect().map_err(failed)?;
        let mut sound = splinter::Inspection::default();
        sound.keys = kept;
        if found != sound {
            return Err(format!("the store is not sound: {found:?} (15)"));
        }
        let answers = (writer.set("new", b"y"), writer.unset("new"));
        if answers != (Ok(()), Ok(1)) {
            return Err(format!("the store cannot be used: {answers:?} (15)"));
        }
        Ok(())
    }

    /// What a creator leaves that died keeps nobody from creating the store.
    fn created_again(&self, is_there: bool) -> Result<(), String> {
        match (Store::create(&self.location, &self.config), is_there) {
            (Err(StoreError::Exists(_)), _) => self.complete(),
            (Ok(store), false) => {
                drop(store);
                self.complete()
            }
            (Ok(_), true) => Err("a store that was there was created again (15)".to_owned()),
            (Err(error), _) => Err(format!(
                "after a creator's death the store cannot be created: {error} (15)"
            )),
        }
    }
}

impl Drop for Birth<'_> {
    fn drop(&mut self) {
        self.first = None;
        let _ = self.location.unlink();
    }
}
