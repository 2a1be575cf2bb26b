//! `splinter-perf micro`: what a store's operations cost, as multiples of what the machine can do.

use super::{ENDED_EARLY, Rounds, verdict_text};
use crate::caches::Caches;
use crate::environment::EnvironmentWatch;
use crate::limits::Setup;
use crate::micro::goal::Claim;
use crate::micro::judge::{self, Row};
use crate::micro::record::{Measured, MicroRecord};
use crate::micro::rows::{self, Scope, TenMillion};
use crate::micro::{self, table};
use crate::pinning;
use clap::Args;
use splinter::Profile;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::environment::load_average;
use splinter_harness::interrupt;
use splinter_harness::program::{Outcome, print_record};
use splinter_harness::progress::Line;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};
use std::path::PathBuf;

/// Measures a store's operations, and holds each against the limit of the machine that binds it.
///
/// A row is one operation: its cost, the limit it is compared with, their ratio, and the target of that ratio. The
/// limits are bare loops: a pointer chase through half of the second-level cache or through memory, an uncontended
/// lock cmpxchg or lock xadd, a copy out of a working set of 4,096 blocks. Rows and limits are sampled in the same
/// rounds, in an order drawn anew for each round, and their medians are compared. "Middle half" is the spread of the
/// ratio from round to round; where the target lies within it, the row says "closely".
///
/// One pinned thread, 4,096 keys of 9 bytes in random order in a store of 8,192 slots made for the values' size,
/// values read and every byte of them used, unless the row says otherwise.
///
/// The verdict is "fail" where a target is clearly missed, "pass" where all are clearly met, and "inconclusive" where a row
/// could not be judged, its ratios lie on both sides of the target, or others disturbed the rounds.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    #[command(flatten)]
    rounds: Rounds,
    /// Measure the rows with ten million keys: they take 9 GiB of memory and some seconds to prepare [default: auto,
    /// or off with --quick]
    #[arg(long, value_name = "WHEN", value_enum)]
    keys_10m: Option<TenMillion>,
    /// Measure under a profile, as 'tune' writes it: what it says of the process; the rows choose their stores themselves
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Outcome {
    let rounds = &options.rounds;
    if let Some(path) = &options.profile {
        let loaded = Profile::load(path).and_then(|profile| profile.tuning.apply());
        loaded.map_err(|error| error.to_string())?;
    }
    let environment = EnvironmentWatch::start();
    // Nearly all rows have one thread, a few limits two; the crowds are a small part of a round.
    let mut watch = RoundWatch::start(rounds.again, &ProcessorUse::up_to(2));
    let method = rounds.method()?;
    let scope = Scope {
        budget: method.sample(),
        seed: rounds.seed,
        processors: pinning::processors().len(),
        load: load_average(),
        ten_million: options.keys_10m.unwrap_or(if rounds.quick {
            TenMillion::Off
        } else {
            TenMillion::Auto
        }),
    };
    let mut rows = rows::all(scope);
    let asked: Vec<Claim> =
        rows.iter().map(|row| row.claim.clone()).filter(|claim| rounds.wants(&claim.name)).collect();
    if asked.is_empty() {
        let names: Vec<String> = rows.iter().map(|row| format!("\"{}\"", row.claim.name)).collect();
        return Err(format!("--only matches no row; the rows are: {}", names.join(", ")).into());
    }
    // A row that another is compared with is measured too.
    rows.retain(|row| {
        let name = &row.claim.name;
        asked.iter().any(|claim| claim.name == *name || claim.goal.against.takes(name))
    });
    let setup = Setup { caches: Caches::read(), budget: method.sample(), seed: rounds.seed };

    let mut line = Line::new("micro");
    let (rows, limits) = micro::run(rows, &setup, &method.schedule(), &mut watch, &mut line);
    drop(line);
    let doctor = environment.doctor();
    let environment = environment.complete_rounds(&watch);
    let (mut verdict, mut reasons) = judge::settled(&rows, &environment);
    if interrupt::requested() {
        verdict = Verdict::Inconclusive;
        reasons.insert(0, ENDED_EARLY.to_owned());
    }
    let record = MicroRecord {
        schema_version: SCHEMA_VERSION,
        kind: "micro".to_owned(),
        verdict,
        reasons,
        config: method,
        rows: rows.iter().map(Row::record).collect(),
        limits: limits.iter().map(Measured::record).collect(),
        doctor,
        environment,
    };
    print_record(rounds.json, &record, || {
        let rows_text = table::rows_text(&rows) + &table::counters_text(&rows);
        let limits_text = table::limits_text(&limits);
        format!("{rows_text}\n{limits_text}\n{}", verdict_text(verdict, &record.reasons))
    })?;
    Ok(verdict.exit_code())
}
