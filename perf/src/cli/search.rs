//! `splinter-perf search`: what a vector search finds, and what it costs.

use super::{ENDED_EARLY, Rounds, count, verdict_text};
use crate::environment::EnvironmentWatch;
use crate::pinning;
use crate::search::family::Family;
use crate::search::npy::Matrix;
use crate::search::record::{PeerFamily, SearchConfig, SearchRecord};
use crate::search::rows::Scope;
use crate::search::{self, Request, Vectors, peers, table};
use clap::Args;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::interrupt;
use splinter_harness::program::{Outcome, complain, print_record};
use splinter_harness::progress::Line;
use splinter_harness::sampler::Schedule;
use splinter_harness::text::refusal;
use splinter_harness::verdict::Verdict;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Components of a vector that is drawn.
const DIM: usize = 768;

/// Queries that are drawn, or held out of a file.
const QUERIES: usize = 200;
const QUERIES_OF_FILE: usize = 1_000;

/// Measures vector search on a real store: recall, latency, throughput, and both while a writer is at work.
///
/// Each set of vectors is written to a store by 'set' and 'set_vector', and searched by cosine. Recall counts hits as near
/// as the farthest of the true nearest, which a plain scan in 64-bit floats finds. Latencies are of ten hits on one pinned
/// processor. A "bare pass" computes 32-bit dot products over an array of the same vectors; "the original's loop" reads
/// each key's vector by its name and computes three sums. "Under writes" a writer on another processor changes and deletes
/// a tenth of the keys a second. All are sampled in the same rounds, in an order drawn anew for each round.
///
/// Every answer is checked: a hit that was never true fails the run.
///
/// The verdict is "fail" where a target is clearly missed or an answer was wrong, "pass" where all targets are clearly
/// met, and "inconclusive" otherwise, or where others disturbed the rounds. Rows without a target do not count.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    #[command(flatten)]
    rounds: Rounds,
    /// Keys of each family of vectors [default: 100k, or 10k with --quick]
    #[arg(long, value_name = "N", value_parser = count::<usize>(100..=10_000_000))]
    keys: Option<usize>,
    /// Components of a vector [default: 768]
    #[arg(long, value_name = "N", value_parser = count::<usize>(1..=1 << 16))]
    dim: Option<usize>,
    /// Families of vectors to draw [default: all]
    #[arg(long, value_name = "NAME,...", value_enum, value_delimiter = ',')]
    family: Vec<Family>,
    /// Search the vectors of a NumPy file (.npy: float32, two dimensions, C order); its last rows are the queries
    #[arg(long, value_name = "FILE", conflicts_with_all = ["keys", "dim", "family"])]
    vectors: Option<PathBuf>,
    /// Queries of each set of vectors [default: 200, or 1k of a file]
    #[arg(long, value_name = "N", value_parser = count::<usize>(1..=1_000_000))]
    queries: Option<usize>,
    /// Searches under writes of each set of vectors, over all rounds [default: 5k, or 500 with --quick]
    #[arg(long, value_name = "N", value_parser = count::<u64>(1..=1_000_000_000))]
    searches: Option<u64>,
    /// Write the vectors and queries to DIR/NAME.vectors.npy and DIR/NAME.queries.npy, and measure nothing
    #[arg(long, value_name = "DIR", conflicts_with = "peers")]
    export: Option<PathBuf>,
    /// Show what perf/search/peers.py printed of the same vectors, in a second table below
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
}

impl Options {
    /// Reads what is given, and says what is to be measured.
    fn request(&self) -> Result<Request, String> {
        let rounds = &self.rounds;
        let asked = rounds.rounds();
        let mut queries = self.queries.unwrap_or(QUERIES);
        let mut keys = self.keys.unwrap_or(if rounds.quick { 10_000 } else { 100_000 });
        let mut dim = self.dim.unwrap_or(DIM);
        let vectors = match &self.vectors {
            Some(path) => {
                let mut members = Matrix::read(path)?;
                queries = self.queries.unwrap_or(QUERIES_OF_FILE);
                let asked = members.split_last(queries);
                let asked = asked.map_err(|why| format!("cannot use {}: {why}", path.display()))?;
                (keys, dim) = (members.rows(), members.dim);
                if keys < 100 {
                    return Err(format!(
                        "cannot use {}: it leaves {keys} vectors, and 100 are needed",
                        path.display()
                    ));
                }
                vec![Vectors::Given(Arc::new([members, asked]))]
            }
            None if self.family.is_empty() => Family::ALL.map(Vectors::Drawn).to_vec(),
            None => {
                Family::ALL.into_iter().filter(|it| self.family.contains(it)).map(Vectors::Drawn).collect()
            }
        };
        let pinned = super::processor(rounds.processor)?;
        let scope = Scope {
            keys,
            dim,
            recall: None,
            processors: pinning::processors().len(),
            budget: Duration::from_secs_f64(rounds.sample_ms() / 1e3),
            batch: if rounds.quick { 50 } else { 200 },
            batch_under_writes: self.searches().div_ceil(u64::from(asked)) as usize,
            writer_processor: pinned + 1,
        };
        let schedule = Schedule { rounds: asked, seed: rounds.seed, warm_up: true };
        Ok(Request { vectors, queries, seed: rounds.seed, scope, schedule })
    }

    fn searches(&self) -> u64 {
        self.searches.unwrap_or(if self.rounds.quick { 500 } else { 5_000 })
    }

    /// Writes the vectors and queries.
    fn export(&self, folder: &Path, request: &Request) -> Outcome {
        let refused = |error| format!("cannot make {}: {}", folder.display(), refusal(error));
        fs::create_dir_all(folder).map_err(refused)?;
        for vectors in &request.vectors {
            let name = vectors.name();
            for (part, matrix) in ["vectors", "queries"].into_iter().zip(vectors.get(request)) {
                matrix.write(&folder.join(format!("{name}.{part}.npy")))?;
            }
            complain(&format!("wrote {name}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn run(options: &Options) -> Outcome {
    let rounds = &options.rounds;
    let given = options.peers.as_deref().map(peers::read).transpose()?;
    let request = options.request()?;
    let given = given.map(|given| peers::matching(given, &request)).transpose()?.unwrap_or_default();
    if let Some(folder) = &options.export {
        return options.export(folder, &request);
    }
    let titles = request.titles();
    if !titles.iter().any(|title| rounds.wants(title)) {
        let names: Vec<String> = titles.iter().map(|title| format!("\"{title}\"")).collect();
        return Err(format!("--only matches no row; the rows are: {}", names.join(", ")).into());
    }
    request.check_memory()?;
    let environment = EnvironmentWatch::start();
    let mut watch = RoundWatch::start(rounds.again, &ProcessorUse::up_to(2));
    let method = rounds.method()?;
    let mut line = Line::new("search");
    let outcome = search::run(&request, &|title| rounds.wants(title), &mut watch, &mut line);
    drop(line);
    let outcome = outcome?;
    let doctor = environment.doctor();
    let environment = environment.complete_rounds(&watch);
    let (verdict, mut reasons) = search::settled(&outcome.rows, &environment);
    let config = SearchConfig {
        rounds: method.rounds,
        seed: method.seed,
        quick: rounds.quick,
        keys: options.vectors.is_none().then_some(request.scope.keys),
        dim: options.vectors.is_none().then_some(request.scope.dim),
        family: options.vectors.is_none().then(|| names(&request).join(",")),
        queries: request.queries,
        searches: options.searches(),
        vectors: options.vectors.as_ref().map(|path| path.display().to_string()),
        sample_ms: method.sample_ms,
        tuning: method.tuning,
        pinned_to: method.pinned_to,
    };
    let mut record = SearchRecord::of(config, &outcome, doctor, environment);
    record.verdict = verdict;
    if interrupt::requested() {
        record.verdict = verdict.max(Verdict::Inconclusive);
        reasons.insert(0, ENDED_EARLY.to_owned());
    }
    // Of vectors that were not searched in the end, there is nothing to compare with.
    let searched = |peer: &PeerFamily| record.families.iter().any(|own| own.name == peer.family);
    record.peers = given.into_iter().filter(searched).collect();
    record.reasons = reasons;
    print_record(rounds.json, &record, || {
        let rows = table::rows_text(&outcome.rows);
        let peers = match record.peers.as_slice() {
            [] => String::new(),
            peers => format!("\n{}", peers::text(peers)),
        };
        let checked = table::checked_text(&record.checked);
        format!("{rows}{peers}\n{checked}{}", verdict_text(record.verdict, &record.reasons))
    })?;
    Ok(record.verdict.exit_code())
}

fn names(request: &Request) -> Vec<&'static str> {
    request.vectors.iter().map(Vectors::name).collect()
}
