//! The flags of `matrix`, and what it does with them. Those that `run` has too take a list here if they are an axis.

use super::arguments::{Flags, MATRIX};
use crate::matrix::axis::DEFAULT;
use crate::matrix::{Axis, MatrixPlan, matrix, matrix_summary};
use crate::threads::start_shared;
use clap::Args;
use splinter_harness::program::{Failure, Outcome, OutputArguments, complain};
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// What to vary, what is the same in all cells, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct MatrixArguments {
    #[command(flatten)]
    flags: Flags<MATRIX>,

    /// Keeps the record of each cell in a folder as soon as it ends, and runs those only that are not there
    #[arg(long, value_name = "FOLDER", help_heading = "Results")]
    into: Option<PathBuf>,
    /// Runs all cells, and replaces the records that are there
    #[arg(long, requires = "into", help_heading = "Results")]
    again: bool,
    /// Axis that goes down the heat map: scrub, writers, readers, value_len, key_choice or pin [default: that with most
    /// settings]
    #[arg(long, value_name = "AXIS", help_heading = "Results")]
    rows: Option<Axis>,
    /// Axis that goes across it [default: that with second most]
    #[arg(long, value_name = "AXIS", help_heading = "Results")]
    columns: Option<Axis>,
    #[command(flatten)]
    output: OutputArguments,
}

impl MatrixArguments {
    /// Returns the matrix that these flags stand for.
    fn plan(&self) -> Result<MatrixPlan, String> {
        if self.flags.history_file().is_some() {
            return Err("a history file is of one run: give --history without a file".to_owned());
        }
        if self.rows.is_some() && self.rows == self.columns {
            return Err("--rows and --columns are one axis: choose two".to_owned());
        }
        let (base, mut axes) = self.flags.base()?;
        if axes.iter().all(|(_, settings)| settings.len() == 1) {
            for (name, text) in DEFAULT {
                let axis = Axis::named(name);
                if axes.iter().all(|(given, _)| *given != axis) {
                    axes.push((axis, axis.parse_all(text)?));
                }
            }
            axes.sort_by_key(|(axis, _)| Axis::all().position(|other| other == *axis));
        }
        Ok(MatrixPlan { base, axes, into: self.into.clone(), again: self.again })
    }
}

/// Runs and prints.
pub(super) fn run(arguments: &MatrixArguments) -> Outcome {
    let plan = arguments.plan()?;
    start_shared().map_err(Failure::Machine)?;
    let shared = plan.base.backing.shared_file();
    arguments.output.run_and_report(
        "matrix",
        &[&arguments.flags.inputs(&plan.base)[..], &[shared.as_deref()]].concat(),
        None,
        |line| matrix(&plan, line),
        |record| {
            // A summary on the terminal says it already.
            if let (false, Some(how)) = (record.missing.is_empty(), record.reasons.last())
                && (arguments.output.json || !std::io::stdout().is_terminal())
            {
                complain(how);
            }
            let summary = matrix_summary(record, arguments.rows, arguments.columns);
            (summary, record.verdict)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::parsed;
    use super::*;
    use splinter_testkit::Folder;

    fn plan(flags: &str) -> Result<MatrixPlan, String> {
        parsed::<MatrixArguments>(flags)?.plan()
    }

    /// Returns the axes of a plan as text.
    fn axes(plan: &MatrixPlan) -> String {
        let axes = plan.axes.iter().map(|(axis, settings)| {
            let texts: Vec<String> = settings.iter().map(ToString::to_string).collect();
            format!("{axis}={}", texts.join("/"))
        });
        axes.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn flags_are_the_axes_and_the_rest_is_the_same_everywhere() {
        let plan = plan("--writers 1,2 --pin none --keys 99 --duration 1s").unwrap();
        assert_eq!(axes(&plan), "writers=1/2 pin=none");
        assert_eq!((plan.base.keys, plan.base.readers), (99, 32));
    }

    #[test]
    fn without_a_list_scrub_levels_meet_value_sizes() {
        let sizes = "value_len=16/64/256/1024/4096";
        assert_eq!(axes(&plan("").unwrap()), format!("scrub=none/hybrid/full {sizes}"));
        assert_eq!(axes(&plan("--writers 2 --scrub full").unwrap()), format!("scrub=full writers=2 {sizes}"));
    }

    #[test]
    fn a_file_has_axes_too_and_flags_win_over_it() {
        let folder = Folder::new();
        let path = folder.join("matrix.toml");
        std::fs::write(&path, "writers = [1, 2]\nreaders = 3\nscrub = \"all\"\nkeys = 77\n").unwrap();
        let flag = format!("--workload {}", path.display());
        let (as_is, over) = (plan(&flag).unwrap(), plan(&format!("{flag} --writers 9 --keys 5")).unwrap());
        std::fs::write(&path, "keys = 5\nwriters = [1,\n 1]\n").unwrap();
        let twice = plan(&flag).unwrap_err();
        assert_eq!(axes(&as_is), "scrub=none/hybrid/full writers=1/2 readers=3");
        assert_eq!(as_is.base.keys, 77);
        assert_eq!(axes(&over), "scrub=none/hybrid/full writers=9 readers=3");
        assert_eq!(over.base.keys, 5);
        assert!(twice.contains("line 2") && twice.contains("twice"), "{twice}");
    }

    #[test]
    fn nonsense_is_refused() {
        for (flags, word) in [
            ("--writers 1,two", "two"),
            ("--rows writers --columns writers", "choose two"),
            ("--rows threads", "value_len"),
            ("--history=/tmp/x", "--history"),
            ("--again", "--into"),
        ] {
            let error = plan(flags).unwrap_err();
            assert!(error.contains(word), "{flags}: {error}");
        }
    }
}
