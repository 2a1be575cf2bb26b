//! The flags that make up a workload, of `run` and of `matrix`, built from the table of its fields, and the workloads that
//! those of `run` stand for. A flag that is not given leaves what the workload file says, or what is so by default.

use crate::matrix::axis::{Axis, DEFAULT, Setting};
use crate::options::{Backing, Span};
use crate::workload::field::{Field, Flag, Takes, dashed};
use crate::workload::file::{self, Loaded};
use crate::workload::{FIELDS, Workload};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use splinter::{Profile, Scrub, StoreError};
use splinter_harness::program::OutputArguments;
use splinter_harness::text::parse_count;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) flags: WorkloadFlags,

    /// Prints the workload as a file for --workload, and runs nothing
    #[arg(long, conflicts_with_all = ["json", "record", "hdr"], help_heading = "Results")]
    pub(super) print_workload: bool,
    /// Has figures count, not only invariants: runs again, at most N times, while others disturb the run; if they still do,
    /// it is inconclusive
    #[arg(long, value_name = "N", value_parser = times, help_heading = "Results")]
    pub(super) again: Option<u32>,
    #[command(flatten, next_help_heading = "Results")]
    pub(super) output: OutputArguments,
    /// Writes the latencies to a file, as an HdrHistogram V2 log
    #[arg(long, value_name = "PATH", help_heading = "Results")]
    pub(super) hdr: Option<PathBuf>,
}

/// Stands for a value that is not given, where it may be left out: no argument of a program can have it.
const NO_VALUE: &str = "\0";

/// Parses how often something is done.
fn times(text: &str) -> Result<u32, String> {
    parse_count(text)?.try_into().map_err(|_| format!("'{text}' is too much: give less"))
}

/// What to run, and where.
pub type WorkloadFlags = Flags<RUN>;

/// The flags of `run`: all fields, of which only the scrub level can have a list.
pub(super) const RUN: u8 = 0;
/// Those of `matrix`: all fields, of which each that is an axis can have a list.
pub(super) const MATRIX: u8 = 1;
/// Those that say which workers there are and where, and nothing else.
pub(super) const WORKERS: u8 = 2;

/// The flags of a verb that stand for a workload.
#[derive(Clone, Debug)]
pub struct Flags<const VERB: u8> {
    workload: Option<PathBuf>,
    profile: Option<PathBuf>,
    /// The flags that are given, with their texts, in the order of the table.
    given: Vec<(Flag, String)>,
    /// The axes that are given.
    lists: Vec<Axes>,
}

/// An axis and its settings.
type Axes = (Axis, Vec<Setting>);

/// Returns the fields that a verb has flags for.
fn fields_of(verb: u8) -> impl Iterator<Item = &'static Field> {
    let workers = ["writers", "readers", "watchers", "pin", "pin_readers"];
    let all = FIELDS.iter();
    all.filter(move |field| verb != WORKERS || workers.contains(&field.name))
}

/// Tells which axis a field is.
fn axis_of(field: &Field, verb: u8) -> Option<(Axis, &'static str)> {
    let listed = verb == MATRIX || (verb == RUN && field.name == "scrub");
    let help = field.list.filter(|_| listed)?;
    Some((Axis::named(field.name), help))
}

/// Makes the argument for the list of an axis.
fn list_argument(field: &'static Field, axis: Axis, help: &str, verb: u8) -> Arg {
    let several = DEFAULT.iter().find(|(name, _)| *name == field.name);
    let default = match several {
        Some((_, all)) if verb == MATRIX => {
            format!("default of the matrix without any list: {all}")
        }
        Some((_, all)) => format!("default: {all}"),
        None => {
            let default = (field.get)(&Workload::default());
            format!("default: {}", default.unwrap_or_default())
        }
    };
    let heading = if verb == MATRIX { "Axes" } else { field.heading };
    Arg::new(field.name)
        .long(dashed(field.name))
        .value_name("LIST")
        .value_parser(move |text: &str| axis.parse_all(text))
        .help(format!("{help} [{default}]"))
        .help_heading(heading)
}

/// Makes the argument for a flag of a field.
fn argument(field: &Field, flag: Flag) -> Arg {
    let argument = Arg::new(flag.name)
        .long(dashed(flag.name))
        .conflicts_with_all(flag.conflicts)
        .overrides_with_all(flag.overrides)
        .help(field.help(&flag))
        .help_heading(field.heading);
    let argument = match flag.requires {
        None => argument,
        Some(other) => argument.requires(other),
    };
    let check = move |text: &str| {
        let set = (flag.set)(&mut Workload::default(), text);
        set.map(|()| text.to_owned())
    };
    match flag.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::Value(name) => argument.value_name(name).value_parser(check),
        Takes::Maybe(name, missing) => argument
            .value_name(name)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(NO_VALUE)
            .value_parser(move |text: &str| match text {
                NO_VALUE => Ok(missing.to_owned()),
                "" => Err("there is nothing behind '=': give a value, or leave out the '='".to_owned()),
                _ => check(text),
            }),
    }
}

impl<const VERB: u8> Args for Flags<VERB> {
    fn augment_args(command: Command) -> Command {
        let file = |name: &'static str, heading: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(help)
                .help_heading(heading)
        };
        let fields = fields_of(VERB).flat_map(|field| match axis_of(field, VERB) {
            Some((axis, help)) => vec![list_argument(field, axis, help, VERB)],
            None => {
                let flags = field.flags().into_iter();
                flags.map(|flag| argument(field, flag)).collect()
            }
        });
        let command = command.args(fields);
        if VERB == WORKERS {
            return command;
        }
        command
            .arg(file(
                "workload",
                "Workload",
                "Reads the workload from a TOML file, as 'run --print-workload' prints it; flags beside it win. For \
                 'matrix' its axes may be lists",
            ))
            .arg(file(
                "profile",
                "Tuning",
                "Reads where workers and memory are, the store's scrub level, huge pages and tuning from a profile, as \
                 'splinter-perf tune' writes it; flags beside it win",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const VERB: u8> FromArgMatches for Flags<VERB> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = |name| matches.try_get_one::<PathBuf>(name).ok().flatten().cloned();
        let text = |flag: &Flag| match flag.takes {
            Takes::Nothing => matches.get_flag(flag.name).then(|| "true".to_owned()),
            _ => matches.get_one::<String>(flag.name).cloned(),
        };
        let (mut given, mut lists) = (Vec::new(), Vec::new());
        for field in fields_of(VERB) {
            if let Some((axis, _)) = axis_of(field, VERB) {
                let settings = matches.get_one::<Vec<Setting>>(field.name);
                lists.extend(settings.map(|settings| (axis, settings.clone())));
            } else {
                let flags = field.flags().into_iter();
                given.extend(flags.filter_map(|flag| Some((flag, text(&flag)?))));
            }
        }
        Ok(Self { workload: file("workload"), profile: file("profile"), given, lists })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<const VERB: u8> Flags<VERB> {
    /// Tells whether any flag of a field is given.
    pub(super) fn any(&self) -> bool {
        !self.given.is_empty()
    }

    /// Returns the text of a flag that is given.
    fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.given.iter().find(|(flag, _)| flag.name == name)?;
        Some(text)
    }

    /// Returns where the history is to be written.
    pub(super) fn history_file(&self) -> Option<&Path> {
        let path = self.text("history").filter(|path| !path.is_empty());
        path.map(Path::new)
    }

    /// Returns the files that a command with these flags reads, and the one that the store of their workload is in: no
    /// results go there.
    #[must_use]
    pub fn inputs<'a>(&'a self, workload: &'a Workload) -> [Option<&'a Path>; 3] {
        let store = match &workload.backing {
            Backing::File(path) => Some(path.as_path()),
            Backing::Anonymous | Backing::Shared(_) => None,
        };
        [self.workload.as_deref(), self.profile.as_deref(), store]
    }

    /// Reads the workload file: what it says of all but axes, and of these.
    fn load(&self) -> Result<(Workload, Vec<Axes>), String> {
        let Some(path) = self.workload.as_deref() else {
            return Ok((Workload::default(), Vec::new()));
        };
        let axes = FIELDS.iter().filter_map(|field| axis_of(field, VERB));
        let names: Vec<&str> = axes.map(|(axis, _)| axis.field()).collect();
        let Loaded { workload, lists } = file::load(path, &names)?;
        let axes = lists.iter().map(|list| {
            let axis = Axis::named(&list.field);
            let settings = axis.read(list).map_err(|mistake| mistake.of(path))?;
            Ok((axis, settings))
        });
        Ok((workload, axes.collect::<Result<_, String>>()?))
    }

    /// Reads the profile, if one is given.
    fn read_profile(&self) -> Result<Profile, String> {
        let load = |path| Profile::load(path).map_err(|error: StoreError| error.to_string());
        self.profile.as_deref().map_or(Ok(Profile::default()), load)
    }

    /// Returns the workload that all cells have in common, and the axes that flags or file give.
    ///
    /// # Errors
    /// One line that says what is wrong with file or profile, and where.
    pub(super) fn base(&self) -> Result<(Workload, Vec<Axes>), String> {
        let (mut workload, listed) = self.load()?;
        let profile = self.read_profile()?;
        if self.profile.is_some() {
            workload = workload.under(&profile)?;
        }
        let workload = self.over(workload)?.roomier(profile.slot_factor);
        let axes = Axis::all().filter_map(|axis| {
            let found = |lists: &[Axes]| lists.iter().find(|(other, _)| *other == axis).cloned();
            found(&self.lists).or_else(|| found(&listed))
        });
        Ok((workload, axes.collect()))
    }

    /// Returns a workload with what the flags say in place of what it had.
    pub(super) fn over(&self, mut workload: Workload) -> Result<Workload, String> {
        for (flag, text) in &self.given {
            (flag.set)(&mut workload, text)?;
        }
        Ok(workload)
    }
}

impl WorkloadFlags {
    /// Returns the one workload that these flags stand for, sound; its scrub level is that by default where none is said.
    ///
    /// # Errors
    /// One line that says what is wrong, or that there are several.
    pub fn workload(&self) -> Result<Workload, String> {
        let mut all = self.at_levels(&[Workload::default().scrub])?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err("this is of one scrub level: choose one with --scrub".to_owned()),
        }
    }

    /// Returns how long a run is to be measured, if flags or file say so.
    ///
    /// # Errors
    /// One line that says what is wrong with the file.
    pub fn duration(&self) -> Result<Option<Duration>, String> {
        let span = self.over(self.load()?.0)?.span;
        let said = self.text("duration").is_some() || span != Workload::default().span;
        Ok(match span {
            Span::DurationMs(millis) if said => Some(Duration::from_millis(millis)),
            _ => None,
        })
    }

    /// Returns the workloads that these flags stand for: one per scrub level, sound.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn workloads(&self) -> Result<Vec<Workload>, String> {
        self.at_levels(&Scrub::ALL)
    }

    /// Returns the workloads, at these scrub levels where none is said.
    fn at_levels(&self, otherwise: &[Scrub]) -> Result<Vec<Workload>, String> {
        let (workload, axes) = self.base()?;
        workload.validate()?;
        let profile = self.read_profile()?.scrub.filter(|_| self.lists.is_empty());
        let levels: Vec<Scrub> = match (profile, axes.first()) {
            (Some(scrub), _) => vec![scrub],
            (None, Some((_, levels))) => levels.iter().map(|it| it.over(&workload).scrub).collect(),
            (None, None) => otherwise.to_vec(),
        };
        if self.history_file().is_some() && levels.len() > 1 {
            return Err("a history file is of one run: choose one level with --scrub".to_owned());
        }
        let at = |scrub| Workload { scrub, ..workload.clone() };
        Ok(levels.into_iter().map(at).collect())
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
