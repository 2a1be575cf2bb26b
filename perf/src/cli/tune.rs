//! `splinter-perf tune`: the settings that suit this machine and a load best.

use super::{ANY, count};
use crate::environment::EnvironmentWatch;
use crate::tune::objective::{Bound, Objective};
use crate::tune::record::Tuned;
use crate::tune::space::Space;
use crate::tune::this_machine::{self, ThisMachine};
use crate::tune::{Finding, Plan, table, tune};
use clap::Args;
use splinter::Scrub;
use splinter_harness::disturbance::disturbed;
use splinter_harness::environment::settle;
use splinter_harness::files::{try_files, write_file};
use splinter_harness::interrupt;
use splinter_harness::program::{Outcome, OutputArguments, complain};
use splinter_stress::cli::WorkloadFlags;
use splinter_stress::{Span, Workload};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Searches for the settings that suit this machine and a load best: placement, huge pages, how roomy the store is, scrub level,
/// and how the library waits, backs off and fetches ahead.
///
/// Candidates are run in rounds with the default among them; the best third is run three times more, and so on. The one
/// that is left is held against the default on fresh runs, and is the winner only if its gain is beyond chance and
/// it keeps what has to be kept: no broken invariant, workers and memory where they were asked to be, and the bound on p99.
/// What matters to the load and what does not is taken from the load: it is described by the flags of 'splinter-stress run',
/// and what they say is the default.
///
/// The verdict is "pass" with a winner or when nothing beats the default, "fail" if an invariant broke, "inconclusive" if it
/// was ended early or others disturbed it. A profile of a disturbed search says so.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    #[command(flatten)]
    workload: WorkloadFlags,

    /// What is to be as good as can be: goodput, writes, reads, p99 or wake (until a watcher has the news)
    #[arg(long, value_name = "WHAT", default_value = "goodput", help_heading = "Search")]
    objective: Objective,
    /// The longest p99 of any operation: a time, as in 5us, a multiple of the default's, or none
    #[arg(long, value_name = "BOUND", default_value = "1.2x", help_heading = "Search")]
    p99: Bound,
    /// The least goodput, as a share of the default's [default: 0.95 where the objective is a time, else 0]
    #[arg(long, value_name = "SHARE", value_parser = parse_share, help_heading = "Search")]
    least_goodput: Option<f64>,
    /// The scrub level that must be promised at least [default: that of the load]
    #[arg(long, value_name = "LEVEL", help_heading = "Search")]
    least_scrub: Option<Scrub>,
    /// Most candidates [default: 27, or 9 with --quick]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=729), help_heading = "Search")]
    candidates: Option<u32>,
    /// Rounds in which the winner is held against the default; --duration is how long each of their runs
    /// is measured [default: 15 of 1s, or 7 of 400ms with --quick]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=1000), help_heading = "Search")]
    rounds: Option<u32>,
    /// Run again what others disturbed, at most N runs in all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u32>(ANY), help_heading = "Search")]
    again: u32,
    /// Take fewer candidates and shorter runs, for a first look: under 45 seconds where the store is small
    #[arg(long, help_heading = "Search")]
    quick: bool,

    /// Write the profile to a file, for 'splinter-stress run --profile' and for SPLINTER_PROFILE; the default's where nothing
    /// beats it
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    out: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Results")]
    output: OutputArguments,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("'{text}' is no share: give a number from 0 to 1"))
}

impl Options {
    fn plan(&self) -> Result<Plan, String> {
        let workload = self.workload.workload()?;
        if let Span::Ops(_) = workload.span {
            return Err("a search is of equal times: give --duration instead of --ops".to_owned());
        }
        if workload.history.is_some() {
            return Err("a search keeps no history: leave out --history".to_owned());
        }
        let least_scrub = self.least_scrub.unwrap_or(workload.scrub);
        check(self.objective, self.p99, &workload)?;
        let share = if self.objective.is_time() { 0.95 } else { 0.0 };
        let duration = self.workload.duration()?;
        let run = Duration::from_millis(if self.quick { 400 } else { 1000 });
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
        Ok(Plan {
            objective: self.objective,
            p99: self.p99,
            goodput_share: self.least_goodput.unwrap_or(share),
            least_scrub,
            candidates: self.candidates.unwrap_or(if self.quick { 9 } else { 27 }) as usize,
            search_ms: if self.quick { 200 } else { 400 },
            rounds: self.rounds.unwrap_or(if self.quick { 7 } else { 15 }) as usize,
            run_ms: millis(duration.unwrap_or(run)),
            quick: self.quick,
            seed: workload.seed,
            workload,
        })
    }
}

/// Refuses what a load never has.
fn check(objective: Objective, p99: Bound, workload: &Workload) -> Result<(), String> {
    let needs_times = objective.is_time() || matches!(p99, Bound::Nanoseconds(_));
    if needs_times && !workload.histogram {
        return Err("nothing is known of times without them: leave out --no-histogram".to_owned());
    }
    if objective == Objective::Wake && (workload.watchers == 0 || !workload.oracle) {
        return Err(
            "wakes are measured by watchers that check what they read: give --watchers, and no --no-oracle"
                .to_owned(),
        );
    }
    let missing = match objective {
        Objective::Writes => workload.writers == 0,
        Objective::Reads => workload.readers == 0 && !workload.mix.has(splinter_stress::Op::Get),
        _ => false,
    };
    if missing {
        return Err(format!("nobody does any {objective}: choose another --objective"));
    }
    if workload.rate.is_some() && !objective.is_time() {
        return Err("at a set rate goodput is what was asked for: give --objective p99, or leave out --rate"
            .to_owned());
    }
    Ok(())
}

pub(super) fn run(options: &Options) -> Outcome {
    let plan = options.plan()?;
    let outputs = [options.output.record.as_deref(), options.out.as_deref()];
    try_files(&outputs, &options.workload.inputs(&plan.workload))?;
    let watch = EnvironmentWatch::start();
    let site = this_machine::site(watch.before());
    let space = Space::of(&plan.workload, plan.least_scrub, &site, this_machine::seats);
    if space.axes.is_empty() {
        return Err("there is nothing to choose for this load on this machine".into());
    }
    interrupt::watch();
    let (began, started) = (Instant::now(), SystemTime::now());
    let mut executor = ThisMachine::new(&plan.workload, options.again);
    let mut tuned = tune(&plan, &space, &mut executor);
    let rounds = executor.rounds().clone();
    drop(executor);
    let since_epoch = started.duration_since(SystemTime::UNIX_EPOCH);
    tuned.started_unix_s = since_epoch.unwrap_or_default().as_secs_f64();
    tuned.took_s = began.elapsed().as_secs_f64();
    tuned.doctor = watch.doctor();
    let environment = watch.complete_rounds(&rounds);
    settle(&mut tuned.verdict, &mut tuned.reasons, &environment);
    tuned.environment = Some(environment);
    options.output.hand_out(&tuned, || table::text(&tuned))?;
    if let (Some(path), Some(profile)) = (&options.out, &tuned.profile) {
        write_file(path, &(head(&tuned) + profile))?;
        complain(&format!("the profile is in {}", path.display()));
    } else if options.out.is_some() {
        complain("no profile is written: the search came to no end that counts");
    }
    Ok(tuned.verdict.exit_code())
}

/// Returns the comment on top of a profile: its machine, its load and the gain that was measured.
fn head(tuned: &Tuned) -> String {
    let mut lines = vec!["Made by 'splinter-perf tune'.".to_owned()];
    if let Some(environment) = &tuned.environment {
        lines.push(format!("Machine: {}, {} processors.", environment.cpu_model, environment.processors));
        lines.extend(disturbed(&environment.disturbances));
    }
    let workload = &tuned.config.workload;
    lines.push(format!(
        "Load: {} writers ({}), {} readers, {} keys by {}, values of {} bytes.",
        workload.writers,
        workload.mix,
        workload.readers,
        workload.keys,
        workload.key_choice,
        workload.value_len
    ));
    lines.push(match (&tuned.outcome, tuned.rows.get(1)) {
        (Some(outcome), Some(row)) if tuned.finding == Finding::Winner => format!(
            "{}: {} {:+.1} % against the default, {:+.1} to {:+.1} % with 95 % confidence.",
            row.name, tuned.config.objective, outcome.gain_percent, outcome.low_percent, outcome.high_percent
        ),
        _ => "This is the default: nothing that was tried beats it.".to_owned(),
    });
    lines.iter().map(|line| format!("# {line}\n")).collect()
}
