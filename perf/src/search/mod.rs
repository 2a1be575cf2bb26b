//! Vector search: what it finds and what it costs, on vectors that are drawn or given, with every answer checked.

pub mod family;
pub mod npy;
pub mod pass;
pub mod peers;
pub mod record;
pub mod rows;
pub mod scene;
pub mod sets;
pub mod table;
pub mod truth;
pub mod writes;

use crate::micro::judge;
use crate::micro::paired::Paired;
use family::Family;
use npy::Matrix;
use record::{Checked, FamilyFacts};
use rows::{Entry, Scope, What};
use scene::{Scene, Tally};
use sets::Sets;
use splinter_harness::disturbance::RoundWatch;
use splinter_harness::environment::{Environment, available_memory};
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use splinter_harness::sampler::{self, Probe, Schedule, Series};
use splinter_harness::verdict::Verdict;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A set of vectors to search.
#[derive(Clone, Debug)]
pub enum Vectors {
    /// They are drawn.
    Drawn(Family),
    /// They are given, and the queries.
    Given(Arc<[Matrix; 2]>),
}

impl Vectors {
    /// Returns its name in tables and records.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drawn(family) => family.name(),
            Self::Given(_) => "vectors",
        }
    }

    /// Returns the least recall of the ten nearest, where there is a target.
    fn least_recall(&self) -> Option<f64> {
        match self {
            Self::Drawn(Family::Uniform) => None,
            Self::Drawn(_) => Some(0.98),
            Self::Given(_) => Some(0.99),
        }
    }

    /// Returns members and queries.
    #[must_use]
    pub fn get(&self, request: &Request) -> [Matrix; 2] {
        match self {
            Self::Drawn(family) => {
                family.draw(request.scope.keys, request.queries, request.scope.dim, request.seed)
            }
            Self::Given(given) => <[Matrix; 2]>::clone(given),
        }
    }
}

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Request {
    /// The sets of vectors, one after the other.
    pub vectors: Vec<Vectors>,
    /// Queries of each that is drawn.
    pub queries: usize,
    /// Seed of every random choice.
    pub seed: u64,
    /// The sizes; each set has its own target of recall.
    pub scope: Scope,
    /// The rounds.
    pub schedule: Schedule,
}

/// A judged row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row.
    pub row: judge::Row,
    /// The vectors.
    pub situation: Option<String>,
    /// Whether it must reach its goal.
    pub has_target: bool,
    /// Whether it is held against another row.
    pub is_compared: bool,
}

impl Row {
    /// Returns its name, with the vectors.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.row.claim.name, self.situation.as_deref())
    }
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The sets of vectors.
    pub families: Vec<FamilyFacts>,
    /// The rows of all of them.
    pub rows: Vec<Row>,
    /// What was checked.
    pub checked: Checked,
}

fn title(name: &str, situation: Option<&str>) -> String {
    match situation {
        Some(situation) => format!("{name} ({situation})"),
        None => name.to_owned(),
    }
}

/// The rows of one set of vectors, or of none.
struct Group<'a> {
    vectors: Option<&'a Vectors>,
    entries: Vec<Entry>,
}

impl Group<'_> {
    fn situation(&self) -> Option<&'static str> {
        self.vectors.map(Vectors::name)
    }
}

impl Request {
    fn scope_of(&self, vectors: &Vectors) -> Scope {
        Scope { recall: vectors.least_recall(), ..self.scope }
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let of =
            |vectors| Group { vectors: Some(vectors), entries: rows::of_vectors(&self.scope_of(vectors)) };
        let mut groups: Vec<Group<'_>> = self.vectors.iter().map(of).collect();
        groups.push(Group { vectors: None, entries: rows::of_sets() });
        groups
    }

    /// Returns the name of each row, with its vectors.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        let groups = self.groups().into_iter();
        let titles = groups.flat_map(|group| {
            let situation = group.situation();
            group
                .entries
                .into_iter()
                .map(move |entry| title(&entry.claim.name, situation))
                .collect::<Vec<_>>()
        });
        titles.collect()
    }

    /// Finds out whether there is memory enough.
    ///
    /// # Errors
    /// One line that says what to do.
    pub fn check_memory(&self) -> Result<(), String> {
        let needed = scene::bytes(self.scope.keys, self.scope.dim) >> 20;
        let free = available_memory().unwrap_or(u64::MAX) >> 20;
        if needed > free / 10 * 9 {
            let fewer = match self.vectors.as_slice() {
                [Vectors::Given(_)] => "a file of fewer vectors",
                _ => "fewer --keys",
            };
            return Err(format!("it takes {needed} MiB of memory, and {free} MiB are free: give {fewer}"));
        }
        Ok(())
    }
}

/// Measures the rows that are wanted, and those that they are held against. From the first round on Ctrl-C ends the rounds,
/// and no more the program.
///
/// # Errors
/// One line if a store cannot be filled.
pub fn run(
    request: &Request,
    wants: &dyn Fn(&str) -> bool,
    watch: &mut RoundWatch,
    progress: &mut dyn Progress,
) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let tally = Arc::new(Tally::default());
    for mut group in request.groups() {
        let situation = group.situation();
        let entries = &mut group.entries;
        let asked: Vec<Entry> =
            entries.iter().filter(|entry| wants(&title(&entry.claim.name, situation))).cloned().collect();
        entries.retain(|entry| {
            let name = &entry.claim.name;
            asked.iter().any(|asked| asked.claim.name == *name || asked.claim.goal.against.takes(name))
        });
        if entries.is_empty() || interrupt::requested() {
            continue;
        }
        progress.step(&format!("preparing {}", situation.unwrap_or("set_vector")));
        let series = match group.vectors {
            Some(vectors) => {
                let [members, queries] = vectors.get(request);
                let scene = Arc::new(Scene::new(members, queries, request.seed, Arc::clone(&tally))?);
                outcome.families.push(facts(vectors.name(), &scene));
                of_scene(&group.entries, &scene, request, watch, progress)
            }
            None => of_sets(&group.entries, request, watch, progress)?,
        };
        outcome.rows.extend(group.entries.into_iter().map(|entry| judge(entry, situation, &series)));
    }
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    outcome.checked = Checked {
        searches: of(&tally.searches),
        hits: of(&tally.hits),
        while_published: of(&tally.while_published),
        again: of(&tally.again),
    };
    Ok(outcome)
}

fn facts(name: &str, scene: &Scene) -> FamilyFacts {
    let seconds = |s: f64| (s * 1e3).round() / 1e3;
    let [fill_s, truth_s] = scene.took_s.map(seconds);
    FamilyFacts {
        name: name.to_owned(),
        keys: scene.members.rows(),
        dim: scene.members.dim,
        queries: scene.queries.rows(),
        fill_s,
        truth_s,
    }
}

/// Samples the rows of a set of vectors.
fn of_scene(
    entries: &[Entry],
    scene: &Arc<Scene>,
    request: &Request,
    watch: &mut RoundWatch,
    progress: &mut dyn Progress,
) -> Vec<Series> {
    let samples = rows::samples(entries, scene, request.scope);
    let pairs = entries.iter().zip(samples);
    let measurable = pairs.filter(|(entry, _)| entry.claim.not_comparable.is_none());
    let probes = measurable.filter_map(|(entry, sample)| Some(Probe::new(&entry.claim.name, sample?)));
    let mut probes: Vec<Probe<'_>> = probes.collect();
    let mut series = Vec::new();
    for entry in entries {
        if let What::Recall(k) = entry.what {
            let name = &entry.claim.name;
            series.push(match scene.recall(k) {
                Ok(recall) => Series::of(name, [recall]),
                Err(why) => Series::failed(name, why),
            });
        }
    }
    series.extend(sampler::run(&mut probes, &request.schedule, watch, progress));
    series
}

/// Samples what it costs to set a vector.
fn of_sets(
    entries: &[Entry],
    request: &Request,
    watch: &mut RoundWatch,
    progress: &mut dyn Progress,
) -> Result<Vec<Series>, String> {
    let mut sets = Sets::new(request.scope.dim, request.seed)?;
    let mut halves = Paired::halves(|| sets.sample(request.scope.budget)).map(Some);
    let probes = entries.iter().filter_map(|entry| match entry.what {
        What::Set(part) => Some(Probe::new(&entry.claim.name, halves[part].take()?)),
        _ => None,
    });
    let mut probes: Vec<Probe<'_>> = probes.collect();
    Ok(sampler::run(&mut probes, &request.schedule, watch, progress))
}

/// Judges a row; one without a target only fails.
fn judge(entry: Entry, situation: Option<&str>, series: &[Series]) -> Row {
    const OPEN: &str = "no target";
    let Entry { claim, has_target, .. } = entry;
    let is_compared = rows::is_compared(&claim);
    let is_open = !has_target && claim.not_comparable.is_none();
    let claim = if is_open { claim.not_comparable(OPEN) } else { claim };
    let mut row = judge::Row::judge(claim, series);
    row.problem = row.problem.filter(|why| why != OPEN);
    if is_open && row.value.is_none() && row.problem.is_none() {
        row.problem = Some("not measured".to_owned());
    }
    Row { row, situation: situation.map(str::to_owned), has_target, is_compared }
}

/// Judges a table by its rows with a target, and by those that failed. Only a failure is a verdict if others disturbed it.
#[must_use]
pub fn settled(rows: &[Row], environment: &Environment) -> (Verdict, Vec<String>) {
    let counts = rows.iter().filter(|row| row.has_target || row.row.met == Some(false));
    let counting: Vec<judge::Row> = counts.map(|row| row.row.clone()).collect();
    let (verdict, mut reasons) = judge::settled(&counting, environment);
    let failed = rows.iter().filter(|row| row.row.met == Some(false) && row.row.problem.is_some());
    reasons.extend(
        failed.map(|row| format!("{}: {}", row.title(), row.row.problem.as_deref().unwrap_or_default())),
    );
    (verdict, reasons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::micro::goal::{Claim, Goal};
    use crate::unit::Unit;
    use splinter_harness::stats::paired::Bound;

    fn row(has_target: bool, series: &Series) -> Row {
        let claim = Claim::new("search", Unit::Nanoseconds, Goal::figure(Bound::AtMost, 10.0));
        judge(
            Entry { what: What::Search(0), claim, has_target },
            Some("uniform"),
            std::slice::from_ref(series),
        )
    }

    #[test]
    fn a_row_without_a_target_is_no_miss_and_leaves_nothing_open_but_a_failure_counts() {
        let environment = Environment::read();
        let (fast, slow) = (Series::of("search", [5.0]), Series::of("search", [50.0]));
        let wrong = Series::failed("search", "a wrong hit".to_owned());
        for (has_target, series, expected) in [
            (true, &fast, Verdict::Pass),
            (true, &slow, Verdict::Fail),
            (false, &slow, Verdict::Pass),
            (false, &wrong, Verdict::Fail),
            (true, &wrong, Verdict::Fail),
            (true, &Series::of("search", []), Verdict::Inconclusive),
        ] {
            let (verdict, reasons) = settled(&[row(has_target, series)], &environment);
            assert_eq!(verdict, expected, "{has_target} {series:?}");
            assert_eq!(
                reasons.iter().any(|why| why == "search (uniform): a wrong hit"),
                series.error.is_some()
            );
        }
        let open = row(false, &slow).record();
        assert_eq!((open.target, open.limit_name, open.problem, open.met), (None, None, None, None));
        assert_eq!(row(true, &slow).record().ratio, Some(5.0));
    }
}
