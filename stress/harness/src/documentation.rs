//! Completions for shells and pages for `man`, made from the very table of flags that parses the command line.

use crate::files::{cannot_write, replace};
use crate::text::refusal_or;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Command, Subcommand};
use clap_complete::Shell;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The verbs about the command line itself, for both programs.
#[derive(Clone, Debug, Subcommand)]
pub enum Documentation {
    /// Prints completions of this command line for a shell.
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_parser = shells())]
        shell: Shell,
    },
    /// Writes pages for man, one for each command.
    Manual {
        /// Folder that the pages are written to; it is made if it is not there
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Parses the names of the shells that completions are made for.
fn shells() -> impl TypedValueParser<Value = Shell> {
    let names = PossibleValuesParser::new(["bash", "zsh", "fish"]);
    names.map(|name| name.parse().expect("all of them are known"))
}

impl Documentation {
    /// Returns the completions, or writes a page for the program and one for each of its commands and returns where,
    /// as many lines as pages; a page is replaced whole or left as it was.
    ///
    /// # Errors
    /// One line that says what cannot be written, and what to do.
    pub fn text(&self, command: &Command) -> Result<String, String> {
        let mut command = shown(command);
        match self {
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                let mut text = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut text);
                Ok(String::from_utf8(text).expect("completions are text"))
            }
            Self::Manual { folder } => pages(folder, command),
        }
    }
}

/// Leaves out the commands that are hidden: no user needs them, and the generators would name them.
fn shown(command: &Command) -> Command {
    let text = |text: Option<&clap::builder::StyledStr>| text.cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned())
        .version(command.get_version().unwrap_or_default().to_owned())
        .about(text(command.get_about()))
        .after_help(text(command.get_after_help()))
        .subcommands(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}

/// Writes a page for the program and one for each command, each of them whole or not at all. Returns where, a line each.
fn pages(folder: &Path, command: Command) -> Result<String, String> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let why = refusal_or(error, "give a folder that can be written");
        format!("cannot write pages to {}: {why}", folder.display())
    })?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs = command.get_subcommands().cloned().collect::<Vec<_>>();
    let mut written: Vec<String> = Vec::new();
    for command in verbs.into_iter().chain([command]) {
        let page = clap_mangen::Man::new(command);
        let path = folder.join(page.get_filename());
        replace(&path, |file| {
            let mut text = Vec::new();
            page.render(&mut text)?;
            file.write_all(&text)
        })
        .map_err(|error| cannot_write(&path, error))?;
        written.push(format!("{}\n", path.display()));
    }
    written.sort_unstable();
    Ok(written.concat())
}
