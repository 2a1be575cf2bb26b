//! The gate: is the head worse than the base? Three tiers, each of which says fail, pass or that it cannot tell: instructions
//! under Callgrind, invariants under load, and time. The whole of it is [`gate`], in order; what is judged, and how, is
//! in the pure modules [`instructions`], [`invariants`] and [`time`].

pub mod baseline;
pub mod build_directory;
pub mod callgrind;
pub mod child;
pub mod instructions;
pub mod invariants;
mod junit;
pub mod processes;
pub mod record;
mod report;
pub mod time;
#[cfg(test)]
mod time_tests;

pub use junit::junit;
pub use report::{markdown, text};

use crate::environment::EnvironmentWatch;
use crate::only;
use baseline::Baseline;
use build_directory::{BuildDirectory, Side, Source, WorkTree};
use child::Stop;
use instructions::Count;
use processes::{Probe, Processes};
use record::{Config, Record, SCHEMA_VERSION, Subject, Tier, Tiers};
use splinter_harness::progress::Progress;
use splinter_harness::verdict::Verdict;
use std::path::PathBuf;
use std::time::Duration;

/// The side that the head is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    /// Another tree.
    Tree(Source),
    /// A stored baseline, and the file it is from.
    Stored(Baseline, PathBuf),
}

/// One of the tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TierName {
    /// Instructions of each operation, under Callgrind.
    Instructions,
    /// Broken promises of the head's own stress suite.
    Invariants,
    /// Goodput and latency of two builds, interleaved.
    Time,
}

/// The plan of a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The side that the head is compared with, where that is needed.
    pub base: Option<Base>,
    /// The head.
    pub head: Source,
    /// The tiers, in any order.
    pub tiers: Vec<TierName>,
    /// Compiler flags added to those of the environment, for both sides.
    pub flags: String,
    /// Set in the environment of the base's processes.
    pub base_environment: Vec<(String, String)>,
    /// Set in the environment of the head's processes.
    pub head_environment: Vec<(String, String)>,
    /// Counts that a median is taken of.
    pub repeats: u32,
    /// Only the benchmarks of the time tier whose name contains this.
    pub only: Option<String>,
    /// Blocks of the time tier.
    pub blocks: usize,
    /// Time of a sample.
    pub sample: Duration,
    /// Loss of goodput that is too much, in percent.
    pub goodput_percent: f64,
    /// Growth of the 99th percentile that is too much, in percent.
    pub p99_percent: f64,
    /// Which of this process's processors the samples are pinned to.
    pub processor: usize,
    /// Seed of all orders.
    pub seed: u64,
}

/// Runs the tiers of a plan. What was found before an interruption is in the record, which says so.
///
/// # Errors
/// One line when there is nothing to judge: no such revision, or one that does not build.
pub fn gate(plan: &Plan, progress: &mut dyn Progress) -> Result<Record, String> {
    let watch = EnvironmentWatch::start();
    let mut tiers = Tiers::default();
    let mut base = None;
    let mut head = Subject { name: String::new(), revision: String::new() };
    let done = run(plan, progress, &mut tiers, &mut base, &mut head);
    let environment = watch.complete();
    let mut reasons: Vec<String> = Vec::new();
    let interrupted = match done {
        Ok(()) => false,
        Err(Stop::Interrupted) => true,
        Err(Stop::Failed(why)) => return Err(why),
    };
    let mut verdict = tiers.verdict();
    if interrupted {
        reasons.push("interrupted".to_owned());
        verdict = verdict.max(Verdict::Inconclusive);
    }
    for (name, _, why) in tiers.named() {
        reasons.extend(why.iter().map(|why| format!("{name}: {why}")));
    }
    Ok(Record {
        schema_version: SCHEMA_VERSION,
        kind: "gate",
        verdict,
        reasons,
        interrupted,
        base,
        head,
        config: config(plan),
        tiers,
        environment,
    })
}

fn run(
    plan: &Plan,
    progress: &mut dyn Progress,
    tiers: &mut Tiers,
    base: &mut Option<Subject>,
    head: &mut Subject,
) -> Result<(), Stop> {
    let has = |tier| plan.tiers.contains(&tier);
    let mut builds = BuildDirectory::open(&plan.flags)?;
    let mut prepare = |side, source: &Source| builds.prepare(side, source);
    let head_tree = prepare(Side::Head, &plan.head)?;
    *head = head_tree.subject.clone();
    let same = matches!(&plan.base, Some(Base::Tree(source)) if *source == plan.head);
    let base_tree = match &plan.base {
        // A tree that is compared with itself is built once.
        Some(Base::Tree(_)) if same => Some(head_tree.clone()),
        Some(Base::Tree(source)) => Some(prepare(Side::Base, source)?),
        _ => None,
    };
    *base = match &plan.base {
        Some(Base::Stored(stored, file)) => Some(Subject {
            name: file.display().to_string(),
            revision: format!("baseline of {}", stored.rustc),
        }),
        _ => base_tree.as_ref().map(|work_tree| work_tree.subject.clone()),
    };

    // Build both sides.
    let (mut head_probe, mut base_probe) = (None, None);
    if has(TierName::Instructions) || has(TierName::Time) {
        let program = build(&builds, &head_tree, progress)?;
        if let Some(work_tree) = &base_tree {
            let program = match same {
                true => program.clone(),
                false => build(&builds, work_tree, progress)?,
            };
            base_probe = Some(Probe { program, environment: plan.base_environment.clone() });
        }
        let environment = plan.head_environment.clone();
        head_probe = Some(Probe { program, environment });
    }

    // Count, then load, then time: what is surest comes first.
    if let (true, Some(head)) = (has(TierName::Instructions), &head_probe) {
        tiers.instructions = Some(count(plan, &builds, base_probe.as_ref(), head, progress)?);
    }
    if has(TierName::Invariants) {
        progress.step("building the stress suite");
        let program = builds.build_stress(&head_tree)?;
        let told = &mut |run: &str| progress.step(&format!("stress: {run}"));
        let environment = &plan.head_environment;
        let tier = invariants::run(&program, environment, builds.folder(), plan.seed, told)?;
        tiers.invariants = Some(tier);
    }
    if let (true, Some(head), Some(base)) = (has(TierName::Time), head_probe, base_probe) {
        let tier = timed(plan, &builds, base, head, progress)?;
        let interrupted = splinter_harness::interrupt::requested();
        tiers.time = Some(tier);
        if interrupted {
            return Err(Stop::Interrupted);
        }
    }
    Ok(())
}

fn build(
    builds: &BuildDirectory,
    work_tree: &WorkTree,
    progress: &mut dyn Progress,
) -> Result<PathBuf, Stop> {
    progress.step(&format!("building the probe of {}", work_tree.subject.name));
    builds.build_probe(work_tree)
}

/// Counts a probe's operations, as often as the plan says.
fn counts(plan: &Plan, builds: &BuildDirectory, probe: &Probe) -> Result<Vec<Count>, Stop> {
    let folder = builds.folder();
    callgrind::count(&probe.program, &probe.environment, folder, plan.seed, plan.repeats)
}

fn count(
    plan: &Plan,
    builds: &BuildDirectory,
    base: Option<&Probe>,
    head: &Probe,
    progress: &mut dyn Progress,
) -> Result<Tier<record::InstructionRow>, Stop> {
    if builds.version_of("valgrind").is_none() {
        return Ok(Tier::inconclusive(
            "valgrind is missing; install it, as 'apt-get install valgrind libc6-dbg' does on Debian",
        ));
    }
    let before = match (&plan.base, base) {
        (Some(Base::Stored(stored, _)), _) => {
            if let Some(why) = stored.foreign(&builds.compiler()?, plan.seed) {
                return Ok(Tier::inconclusive(why));
            }
            stored.counts()
        }
        (_, Some(base)) => {
            progress.step("counting the base's instructions");
            counts(plan, builds, base)?
        }
        (_, None) => {
            return Ok(Tier::inconclusive("there is no base to compare with: give --base"));
        }
    };
    progress.step("counting the head's instructions");
    match counts(plan, builds, head) {
        Ok(after) => Ok(instructions::judge(&before, &after)),
        Err(Stop::Failed(why)) => Ok(Tier::inconclusive(why)),
        Err(Stop::Interrupted) => Err(Stop::Interrupted),
    }
}

fn timed(
    plan: &Plan,
    builds: &BuildDirectory,
    base: Probe,
    head: Probe,
    progress: &mut dyn Progress,
) -> Result<Tier<record::TimeRow>, Stop> {
    let what = "listing the benchmarks";
    let mut list = std::process::Command::new(&head.program);
    list.arg("list");
    let limit = Duration::from_secs(60);
    let names = child::run(&mut list, builds.folder(), what, limit)?.success(what)?;
    let wanted = |name: &&str| only::wants(plan.only.as_deref(), name);
    let benchmarks: Vec<String> = names.lines().filter(wanted).map(str::to_owned).collect();
    if benchmarks.is_empty() {
        let names: Vec<&str> = names.lines().collect();
        return Err(Stop::Failed(format!(
            "--only matches no benchmark; the benchmarks are: {}",
            names.join(", ")
        )));
    }
    let design = time::Design {
        benchmarks,
        blocks: plan.blocks,
        seed: plan.seed,
        goodput_percent: plan.goodput_percent,
        p99_percent: plan.p99_percent,
    };
    let mut executor = Processes {
        base,
        head,
        folder: builds.folder().to_owned(),
        processor: plan.processor,
        seed: plan.seed,
        span: plan.sample,
    };
    let told = &mut |number, benchmark: &str| progress.round(number, plan.blocks, benchmark);
    Ok(time::judge(&time::take(&mut executor, &design, told), &design))
}

/// Counts the head's instructions and makes a baseline of them.
///
/// # Errors
/// One line when it does not build, or nothing can be counted.
pub fn baseline_of(plan: &Plan, progress: &mut dyn Progress) -> Result<Baseline, Stop> {
    let mut builds = BuildDirectory::open(&plan.flags)?;
    let valgrind = builds
        .version_of("valgrind")
        .ok_or_else(|| Stop::Failed("a baseline needs valgrind: install it".to_owned()))?;
    let work_tree = builds.prepare(Side::Head, &plan.head)?;
    let probe =
        Probe { program: build(&builds, &work_tree, progress)?, environment: plan.head_environment.clone() };
    progress.step("counting instructions");
    let counts = counts(plan, &builds, &probe)?;
    Ok(Baseline::of(&counts, &builds.compiler()?, &valgrind, plan.seed))
}

fn config(plan: &Plan) -> Config {
    let lines = |variables: &[(String, String)]| -> Vec<String> {
        let line = |(name, value): &(String, String)| format!("{name}={value}");
        variables.iter().map(line).collect()
    };
    Config {
        tiers: plan.tiers.iter().map(|tier| format!("{tier:?}").to_lowercase()).collect(),
        build_flags: plan.flags.clone(),
        base_environment: lines(&plan.base_environment),
        head_environment: lines(&plan.head_environment),
        repeats: plan.repeats,
        only: plan.only.clone(),
        blocks: plan.blocks,
        sample_ms: plan.sample.as_millis() as u64,
        goodput_threshold_percent: plan.goodput_percent,
        p99_threshold_percent: plan.p99_percent,
        processor: plan.processor,
        seed: plan.seed,
    }
}
