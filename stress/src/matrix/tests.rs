//! Runs matrices on an executor that runs nothing: order, what is kept, what is refused, what an interruption leaves.

use super::*;
use crate::options::{Pin, Span, Warmup};
use splinter_harness::progress::Silent;
use splinter_harness::verdict::Verdict;
use std::path::Path;
use std::sync::OnceLock;

/// Returns a real record, of a short run, as if it had been of this workload.
fn record_of(workload: &Workload) -> Record {
    static REAL: OnceLock<Record> = OnceLock::new();
    let real = REAL.get_or_init(|| {
        let small = Workload {
            writers: 1,
            readers: 1,
            keys: 8,
            span: Span::Ops(100),
            warmup: Warmup::For(Duration::ZERO),
            pin: Pin::None,
            ..Workload::default()
        };
        run(&small, &mut Silent).unwrap()
    });
    let mut record = real.clone();
    record.config = workload.clone();
    record.verdict = Verdict::Pass;
    record.reasons.clear();
    record.environment.disturbances.clear();
    // Something to tell cells apart by.
    record.totals.goodput_per_s = f64::from(workload.writers) * 1e6;
    record
}

/// Runs nothing, and says what it would have.
#[derive(Default)]
struct Mock {
    ran: Vec<Workload>,
    /// Wants to stop after so many cells, the last of them unfinished.
    stop_after: Option<usize>,
    /// What the machine says to workloads of so many writers.
    trouble: Option<(u32, RunError)>,
    verdict: Option<Verdict>,
    disturbed: bool,
}

impl Executor for Mock {
    fn run(&mut self, workload: &Workload, progress: &mut dyn Progress) -> Result<Record, RunError> {
        progress.step("pretending");
        progress.tick(1e6, Some(Duration::from_secs(1)));
        self.ran.push(workload.clone());
        if let Some((writers, error)) = &self.trouble
            && *writers == workload.writers
        {
            return Err(error.clone());
        }
        let mut record = record_of(workload);
        record.window.interrupted = self.interrupted();
        record.verdict = self.verdict.unwrap_or(record.verdict);
        let disturbance = splinter_harness::disturbance::Disturbance {
            cause: splinter_harness::disturbance::Cause::OtherLoad,
            ms: 900,
            share: 0.45,
        };
        record.environment.disturbances = vec![disturbance; self.disturbed.into()];
        Ok(record)
    }

    fn interrupted(&self) -> bool {
        self.stop_after.is_some_and(|after| self.ran.len() >= after)
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.ran.len() as u64)
    }
}

/// A folder that is gone in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(splinter_testkit::unique()))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn plan(axes: &[(&str, &str)], into: Option<&Path>) -> MatrixPlan {
    MatrixPlan {
        base: Workload { readers: 1, keys: 64, ..Workload::default() },
        axes: axes
            .iter()
            .map(|&(axis, text)| (Axis::named(axis), text))
            .map(|(axis, text)| (axis, axis.parse_all(text).unwrap()))
            .collect(),
        into: into.map(Path::to_owned),
        again: false,
    }
}

const SIX: [(&str, &str); 2] = [("scrub", "all"), ("writers", "1,2")];

fn run_cells_by(plan: &MatrixPlan, mock: &mut Mock) -> MatrixRecord {
    run_cells(plan, mock, &mut Silent).unwrap()
}

#[test]
fn every_cell_is_run_once_in_an_order_by_seed_and_listed_in_that_of_the_axes() {
    let order = |seed| {
        let mut plan = plan(&SIX, None);
        plan.base.seed = seed;
        let mut mock = Mock::default();
        let record = run_cells_by(&plan, &mut mock);
        let listed: Vec<String> = record.cells.iter().map(|cell| plan.title_of(&cell.config)).collect();
        assert_eq!(
            listed,
            [
                "scrub none, writers 1",
                "scrub none, writers 2",
                "scrub hybrid, writers 1",
                "scrub hybrid, writers 2",
                "scrub full, writers 1",
                "scrub full, writers 2",
            ]
        );
        assert_eq!((record.measured, record.kept, record.verdict), (6, 0, Verdict::Pass));
        mock.ran.iter().map(|workload| plan.title_of(workload)).collect::<Vec<_>>()
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn an_interrupted_matrix_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let plan = plan(&SIX, Some(&scratch.0));
    let mut first = Mock { stop_after: Some(3), ..Mock::default() };
    let record = run_cells_by(&plan, &mut first);
    // The third was cut short, so it is not kept.
    assert_eq!((record.measured, record.missing.len()), (2, 4));
    assert_eq!(record.verdict, Verdict::Inconclusive);
    assert!(record.interrupted);
    let how = record.reasons.last().unwrap();
    assert!(how.contains("4 of 6") && how.contains("goes on"), "{how}");
    assert_eq!(scratch.names().len(), 2);

    let mut second = Mock::default();
    let record = run_cells_by(&plan, &mut second);
    assert_eq!((record.measured, record.kept, record.verdict), (4, 2, Verdict::Pass));
    assert_eq!(record.cells.len(), 6);
    assert!(first.ran[..2].iter().all(|ran| !second.ran.contains(ran)));
    let names = scratch.names();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(
        names.contains(
            &"scrub-full_writers-2_readers-1_value-len-64_key-choice-own_pin-scatter.json".to_owned()
        )
    );

    let mut third = Mock::default();
    assert_eq!(run_cells_by(&plan, &mut third).kept, 6);
    assert_eq!(third.ran, []);
    let again = MatrixPlan { again: true, ..plan.clone() };
    assert_eq!(run_cells_by(&again, &mut third).measured, 6);
    // Other axes go beside them.
    let more = MatrixPlan {
        axes: vec![
            (Axis::named("scrub"), Axis::named("scrub").parse_all("all").unwrap()),
            (Axis::named("writers"), Axis::named("writers").parse_all("2,4").unwrap()),
        ],
        ..plan
    };
    let record = run_cells_by(&more, &mut Mock::default());
    assert_eq!((record.kept, record.measured), (3, 3));
}

#[test]
fn records_of_something_else_are_neither_taken_nor_lost() {
    let scratch = Scratch::new();
    let plan = plan(&[("writers", "1,2")], Some(&scratch.0));
    run_cells_by(&plan, &mut Mock::default());
    let refused = |plan: &MatrixPlan| {
        let mut mock = Mock::default();
        let error = run_cells(plan, &mut mock, &mut Silent).unwrap_err();
        assert_eq!(mock.ran, [], "nothing is run");
        let RunError::Usage(line) = error else {
            panic!("{error:?}");
        };
        assert!(line.contains("--again") && !line.contains('\n'), "{line}");
        line
    };
    let mut other = plan.clone();
    other.base.keys = 65;
    let line = refused(&other);
    assert!(line.contains("2 of the records") && line.contains("keys is 64 there, 65 now"), "{line}");

    let path = scratch.0.join(&scratch.names()[0]);
    let kept = std::fs::read_to_string(&path).unwrap();
    let change = |edit: fn(&mut Record)| {
        let mut record: Record = serde_json::from_str(&kept).unwrap();
        edit(&mut record);
        std::fs::write(&path, serde_json::to_string(&record).unwrap()).unwrap();
        refused(&plan)
    };
    assert!(
        change(|record| record.environment.build.git_revision = "older".to_owned()).contains("'older' there")
    );
    assert!(change(|record| record.environment.cpu_model = "abacus".to_owned()).contains("abacus"));
    std::fs::write(&path, "half a rec").unwrap();
    assert!(refused(&plan).contains("no record"));

    let again = MatrixPlan { again: true, ..plan };
    assert_eq!(run_cells_by(&again, &mut Mock::default()).measured, 2);
    assert!(serde_json::from_str::<Record>(&std::fs::read_to_string(&path).unwrap()).is_ok());
}

#[test]
fn cells_that_cannot_be_run_are_reported_with_the_reason() {
    // 64 keys cannot be shared by 100 writers, and the machine has its own opinion on four.
    let axes = [("writers", "1,4,100"), ("key_choice", "own,uniform")];
    let mut mock = Mock {
        trouble: Some((4, RunError::Usage("no processor of 'node:9'".to_owned()))),
        ..Mock::default()
    };
    let record = run_cells_by(&plan(&axes, None), &mut mock);
    let refused: Vec<&str> = record.refused.iter().map(|refused| refused.cell.as_str()).collect();
    assert_eq!(
        refused,
        ["writers 4, key_choice own", "writers 4, key_choice uniform", "writers 100, key_choice own"]
    );
    assert!(record.refused[2].reason.contains("--keys"));
    assert_eq!((record.measured, record.verdict), (3, Verdict::Pass));
    let text = matrix_summary(&record, None, None);
    assert!(text.contains("refused    writers 100, key_choice own: 64 keys cannot"), "{text}");

    let mut mock = Mock { trouble: Some((4, RunError::Failed("no memory".to_owned()))), ..Mock::default() };
    let record = run_cells_by(&plan(&axes, None), &mut mock);
    assert_eq!((record.failed.len(), record.verdict), (2, Verdict::Inconclusive));
    assert!(record.reasons[0].contains("no memory"));
}

#[test]
fn a_matrix_of_which_nothing_can_be_run_is_refused() {
    let error = run_cells(&plan(&[("writers", "100,200")], None), &mut Mock::default(), &mut Silent);
    assert!(matches!(error, Err(RunError::Usage(line)) if line.contains("--keys")));
}

#[test]
fn the_gravest_cell_is_the_verdict() {
    let mut mock = Mock { verdict: Some(Verdict::Fail), ..Mock::default() };
    let record = run_cells_by(&plan(&SIX, None), &mut mock);
    assert_eq!(record.verdict, Verdict::Fail);
    assert!(record.reasons[0].starts_with("fail at scrub none, writers 1"));
}

#[test]
fn a_matrix_with_disturbed_cells_gives_no_verdict() {
    let mut mock = Mock { disturbed: true, ..Mock::default() };
    let record = run_cells_by(&plan(&SIX, None), &mut mock);
    assert_eq!(record.verdict, Verdict::Inconclusive);
    assert!(record.reasons[0].contains("scrub none, writers 1") && record.reasons[0].contains("DISTURBED"));
}

#[test]
fn a_folder_that_cannot_be_had_is_refused_before_anything_is_run() {
    let mut mock = Mock::default();
    let plan = plan(&SIX, Some(Path::new("/dev/null/folder")));
    let error = run_cells(&plan, &mut mock, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("--into"), "{error}");
    assert_eq!(mock.ran, []);
}

#[test]
fn the_summary_has_a_row_for_each_cell_and_a_map() {
    let axes = [("scrub", "none,full"), ("writers", "1,2,4"), ("pin", "none")];
    let record = run_cells_by(&plan(&axes, None), &mut Mock::default());
    let text = matrix_summary(&record, None, None);
    let map: Vec<&str> = text.lines().skip_while(|line| !line.contains("at most")).collect();
    assert!(map[0].starts_with("goodput/s, 4.00 M at most"), "{text}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(map[1]), ["writers", "\\", "scrub", "none", "full"]);
    assert_eq!(words(map[2]), ["1", "1.00", "M", "░░", "1.00", "M", "░░"]);
    assert_eq!(words(map[4]), ["4", "4.00", "M", "██", "4.00", "M", "██"]);
    // By one axis alone, the other's cells are pooled.
    let text = matrix_summary(&record, Some(Axis::named("pin")), Some(Axis::named("writers")));
    assert!(text.contains("the median of up to 2 cells"), "{text}");
    assert!(text.contains("6 measured, 0 kept from before"), "{text}");
    assert!(!text.contains("pin  scrub"), "an axis of one setting is no column: {text}");
}

#[test]
fn the_time_that_is_left_is_that_of_cells_like_those_before() {
    let second = Duration::from_secs(1);
    assert_eq!(rest_of(Duration::ZERO, 0, 5, second * 3), second * 12);
    assert_eq!(rest_of(second * 10, 2, 5, second), second * 10);
    assert_eq!(rest_of(second * 10, 4, 5, second), Duration::ZERO);
}
