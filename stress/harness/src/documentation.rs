//! Completions for shells and pages for `man`, made from the very table of flags that parses the command line.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use std::io;
use std::path::{Path, PathBuf};

/// For which shell.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shells,
}

/// The shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shells {
    Bash,
    Zsh,
    Fish,
}

/// Where the pages go.
#[derive(Args, Clone, Debug)]
pub struct ManualArguments {
    /// Folder that the pages are written to; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Returns what a shell is to be fed with.
#[must_use]
pub fn completions(arguments: &CompletionsArguments, command: &Command) -> String {
    let mut command = shown(command);
    let shell = match arguments.shell {
        Shells::Bash => Shell::Bash,
        Shells::Zsh => Shell::Zsh,
        Shells::Fish => Shell::Fish,
    };
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    String::from_utf8(text).expect("completions are text")
}

/// Writes a page for the program and one for each of its commands. Returns where, as many lines as pages.
///
/// # Errors
/// One line that says what cannot be written.
pub fn manual(arguments: &ManualArguments, command: &Command) -> Result<String, String> {
    let folder = &arguments.folder;
    let pages = pages(folder, &shown(command));
    let cannot = |error: io::Error| {
        let folder = folder.display();
        format!("cannot write pages to {folder}: {error}; give a folder that can be written")
    };
    pages.map_err(cannot)
}

/// Leaves out the commands that are hidden: they are no users' business, and the generators would name them.
fn shown(command: &Command) -> Command {
    let text = |text: Option<&clap::builder::StyledStr>| text.cloned().unwrap_or_default();
    Command::new(command.get_name().to_owned())
        .version(command.get_version().unwrap_or_default().to_owned())
        .about(text(command.get_about()))
        .after_help(text(command.get_after_help()))
        .subcommands(command.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}

fn pages(folder: &Path, command: &Command) -> io::Result<String> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command.clone(), folder)?;
    let mut written: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(command.get_name()) && name.ends_with(".1") {
            written.push(folder.join(name).display().to_string());
        }
    }
    written.sort_unstable();
    Ok(written.join("\n"))
}
