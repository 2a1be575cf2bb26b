//! Every instruction of an operation, tried: a process goes through one operation, and at each of its
//! instructions it is held up while a second process does another, or killed, or stopped for ever; then
//! the store is judged. With every instruction tried (`--stride 1`), this is exhaustive for one preemption or one crash
//! of the pairs and stores that it plays, in the machine code that users run.
//!
//! The way through an operation is found once, by single steps; from then on a breakpoint brings the first to
//! any instruction of it. Scenes are shared out among processes, each on its own processor, since a tracee
//! belongs to who traces it.

mod act;
mod birth;
mod ground;
mod judge;
mod model;
mod picture;
mod place;
mod player;
mod process;
mod program;
mod record;
mod stage;
mod tracee;

pub use act::Act;
pub use ground::{Ground, How, Scene, Scrubbing};
pub use place::Place;
pub use program::SweepPlan;
pub use record::{Pair, SweepRecord, Violation, sweep_summary};

use crate::affinity;
use crate::error::RunError;
use crate::forked::Forked;
use crate::interrupt;
use crate::progress::{Progress, left_in_words};
use crate::rng::Rng;
use crate::shared::SharedWords;
use place::Image;
use player::Board;
use record::{Gathered, Report};
use stage::{Outcome, Play};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Instant;
use tracee::Path;

/// Points of a scene in a quick sweep.
const QUICK_POINTS: usize = 6;
/// Violations of one scene after which the rest of it tells nothing new.
const ENOUGH: usize = 3;
/// How often the way is found anew when the first goes another.
const TRACES: u32 = 3;
/// Scenes that a worker takes at once.
const SHARE: usize = 6;

/// Sweeps, and returns the record.
///
/// # Errors
/// [`RunError`]: what kept it from sweeping. A violation is no error: the record says so.
pub fn sweep(plan: &SweepPlan, progress: &mut dyn Progress) -> Result<SweepRecord, RunError> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| RunError::Failed(format!("{what}: {error}"));
    let begin = Instant::now();
    let scenes = plan.scenes();
    if scenes.is_empty() {
        return Err(RunError::Usage(
            "no pair of operations is left to sweep; see 'splinter-stress sweep --help'".to_owned(),
        ));
    }
    let image = Image::of_this().map_err(RunError::Failed)?;
    let cores = affinity::allowed();
    let jobs = if plan.jobs > 0 {
        plan.jobs
    } else {
        cores.len().max(1)
    };
    let jobs = jobs.min(scenes.len().div_ceil(SHARE));
    let taken = SharedWords::create(1).map_err(|error| failed("no shared memory", &error))?;
    let mut workers = Vec::new();
    let mut ends = Vec::new();
    for job in 0..jobs {
        let (reader, writer) = nix::unistd::pipe().map_err(|error| failed("no pipe", &error))?;
        let core = cores.get(job % cores.len().max(1)).copied();
        let work = Work {
            plan,
            scenes: &scenes,
            image: &image,
            taken: &taken,
        };
        // Forked before any thread is started.
        let worker = Forked::new(|| {
            work.run(core, writer);
            0
        });
        workers.push(worker.map_err(|error| failed("no worker process", &error))?);
        ends.push(reader);
    }
    let gathered = gather(ends, scenes.len(), progress);
    progress.done();
    let mut gathered = gathered;
    if interrupt::requested() {
        gathered.reasons.push("interrupted".to_owned());
    } else if gathered.reasons.is_empty() && gathered.pairs.len() < scenes.len() {
        let left = scenes.len() - gathered.pairs.len();
        gathered
            .reasons
            .push(format!("{left} scenes were not played: a worker ended"));
    }
    for worker in workers {
        // One that was ended in the middle of creating a store leaves its name.
        let name = process::name_of(worker.pid());
        drop(worker);
        let _ = splinter::Location::shared(name).and_then(|location| location.unlink());
    }
    Ok(gathered.into_record(plan.seed, plan.quick, begin.elapsed().as_secs_f64()))
}

/// Takes what the workers report, until all of them are done.
fn gather(ends: Vec<OwnedFd>, scenes: usize, progress: &mut dyn Progress) -> Gathered {
    let (sender, receiver) = mpsc::channel::<Report>();
    for end in ends {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(File::from(end))
                .lines()
                .map_while(Result::ok)
            {
                let report = serde_json::from_str(&line).unwrap_or_else(|error| Report {
                    failure: Some(format!("a worker's report cannot be read: {error}")),
                    ..Report::default()
                });
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut gathered = Gathered::default();
    let mut points = 0;
    let began = Instant::now();
    for report in receiver {
        points += report.pair.as_ref().map_or(0, |pair| pair.points);
        gathered.add(report);
        progress.step(&format!(
            "{} of {scenes} scenes{}, {points} points, {} violations",
            gathered.pairs.len(),
            left_in_words(gathered.pairs.len(), scenes, began.elapsed()),
            gathered.violations.len()
        ));
        if interrupt::requested() {
            break;
        }
    }
    gathered
}

/// How many ways that firsts go are kept.
const WAYS: usize = 4;

/// What a worker needs.
struct Work<'a> {
    plan: &'a SweepPlan,
    scenes: &'a [Scene],
    image: &'a Image,
    taken: &'a SharedWords,
}

impl Work<'_> {
    /// Is a worker: takes scenes until none is left.
    fn run(&self, core: Option<usize>, writer: OwnedFd) {
        // Stepping hands one processor to and fro; two would wake each other up.
        let _ = core.map(affinity::pin);
        process::wind_up();
        let mut file = File::from(writer);
        let mut say = |report: &Report| {
            let line = serde_json::to_string(report).expect("reports are plain data");
            writeln!(file, "{line}").is_ok()
        };
        let board = match Board::create() {
            Ok(board) => board,
            Err(error) => {
                let failure = Some(format!("no shared memory: {error}"));
                say(&Report {
                    failure,
                    ..Report::default()
                });
                return;
            }
        };
        let mut paths = HashMap::new();
        loop {
            let from = self.taken.words()[0].fetch_add(SHARE as u64, Relaxed) as usize;
            let Some(rest) = self.scenes.get(from..) else {
                return;
            };
            for scene in rest.iter().take(SHARE) {
                let report = self.play(*scene, &board, &mut paths);
                let fatal = report.pair.is_none();
                if !say(&report) || fatal || interrupt::requested() {
                    return;
                }
            }
            if rest.len() <= SHARE {
                return;
            }
        }
    }

    /// Plays a scene at all points that are wanted.
    fn play(&self, scene: Scene, board: &Board, paths: &mut HashMap<String, Rc<Path>>) -> Report {
        let mut report = Report::default();
        let mut pair = Pair::of(&scene);
        let result = self.try_points(scene, board, paths, &mut pair, &mut report);
        match result {
            Ok(()) => report.pair = Some(pair),
            Err(failure) => report.failure = Some(failure),
        }
        report
    }

    fn try_points(
        &self,
        scene: Scene,
        board: &Board,
        paths: &mut HashMap<String, Rc<Path>>,
        pair: &mut Pair,
        report: &mut Report,
    ) -> Result<(), String> {
        let mut stage = Play::lay(scene, board, &self.image.text)?;
        let label = stage.label();
        let mut path = match paths.get(&label) {
            Some(path) => Rc::clone(path),
            None => stage.trace()?,
        };
        pair.instructions = path.len();
        pair.stride = self.stride(&scene, path.len());
        if let (Some(point), count) = (self.plan.point, stage.points(&path))
            && point >= count
        {
            return Err(format!(
                "{scene} has {count} points: there is no point {point}"
            ));
        }
        let (mut faults, mut traces) = (Vec::new(), 0);
        for at in self.points(&scene, &path, stage.points(&path)) {
            if at >= stage.points(&path) {
                break;
            }
            let mut outcome = stage.point(&path, at)?;
            if matches!(outcome, Outcome::Missed) && traces < TRACES {
                // What is known of the way may have been another scene's; and who waits looks after the dead once a
                // second, by another way.
                traces += 1;
                path = stage.trace()?;
                if at >= stage.points(&path) {
                    break;
                }
                outcome = stage.point(&path, at)?;
            }
            pair.points += u64::from(!matches!(outcome, Outcome::Missed));
            match outcome {
                Outcome::Held => {}
                Outcome::Missed => pair.missed += 1,
                Outcome::Broken(what) => {
                    pair.violations += 1;
                    faults.push((at, what));
                }
            }
            if faults.len() >= ENOUGH || interrupt::requested() {
                break;
            }
        }
        // Scenes that go the same way follow each other. What is kept is copied, page by page, with every fork.
        if paths.len() >= WAYS {
            paths.clear();
        }
        paths.insert(label, Rc::clone(&path));
        if !faults.is_empty() {
            let loader = self.image.loader();
            report.violations = faults
                .into_iter()
                .map(|(point, what)| Violation {
                    scene: scene.to_string(),
                    point,
                    what,
                    place: self.image.place(loader.as_ref(), path.rip(point)),
                    replay: format!("splinter-stress sweep --only {scene} --point {point}"),
                })
                .collect();
        }
        Ok(())
    }

    /// Of how many instructions one is tried.
    fn stride(&self, scene: &Scene, count: usize) -> usize {
        match (self.plan.stride, self.plan.quick) {
            (0, _) if self.plan.point.is_some() => 1,
            (0, true) => count.div_ceil(QUICK_POINTS).max(1),
            // One scene alone is played in full.
            (0, false) if self.plan.only.is_some() => 1,
            (0, false) => scene.stride(),
            (stride, _) => stride,
        }
    }

    /// Chooses the points of a scene, among so many: all of them, or one drawn from every stretch, but always
    /// those around a call of the kernel where most of the others are alike, and the last one.
    fn points(&self, scene: &Scene, path: &Path, count: usize) -> Vec<usize> {
        if let Some(point) = self.plan.point {
            return vec![point];
        }
        let number = self.scenes.iter().position(|known| known == scene);
        let mut rng = Rng::new(self.plan.seed, number.unwrap_or_default() as u64);
        let stride = self.stride(scene, count);
        let mut points: BTreeSet<usize> = (0..count)
            .step_by(stride)
            .map(|from| from + rng.below(stride.min(count - from) as u64) as usize)
            .collect();
        if scene.is_long() && !self.plan.quick && stride > 1 {
            let around = path.calls().iter().flat_map(|at| [*at, at + 1]);
            points.extend(around.filter(|at| *at < count));
        }
        if scene.first.waits() {
            points.insert(count - 1);
        }
        points.into_iter().collect()
    }
}
