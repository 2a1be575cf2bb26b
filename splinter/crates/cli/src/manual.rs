//! Generates the man pages from the table of commands: one for the program, one for each command. Only [`write_pages`]
//! writes files.

use crate::atomic_file::AtomicFile;
use crate::command::{Command, Table};
use crate::failure::Failure;
use crate::invocation::{ENVIRONMENT, NAMES, OPTIONS, UNITS};
use crate::options::{COMMON, Opt};
use crate::output::shown_path;
use std::fmt::Write;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Writes all pages into a folder, which it creates if it is missing.
pub(crate) fn write_pages(folder: &Path, table: &Table) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::io(&format!("write {}", shown_path(path)), &error);
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, page) in pages(table) {
        let path = folder.join(name);
        let mut file = AtomicFile::create(&path, 0o666, true)?;
        file.write_all(page.as_bytes()).map_err(|error| file.failed(&error))?;
        file.finish()?;
    }
    Ok(())
}

/// Returns all pages: the names of their files, and their text.
fn pages(table: &Table) -> Vec<(String, String)> {
    let mut pages = vec![("splinter_cli.1".to_owned(), program(table))];
    let others = NAMES.iter().skip(1);
    pages.extend(others.map(|name| (format!("{name}.1"), ".so man1/splinter_cli.1\n".to_owned())));
    let commands = table.commands.iter();
    pages.extend(commands.map(|command| (format!("{}.1", page_name(command.name)), one(command))));
    pages.extend(
        table.aliases.iter().map(|(alias, name)| {
            (format!("splinterctl-{alias}.1"), format!(".so man1/splinterctl-{name}.1\n"))
        }),
    );
    pages
}

/// Returns the name of a command's page, as `man` takes it.
fn page_name(command: &str) -> String {
    format!("splinterctl-{command}")
}

fn head(page: &mut String, name: &str, what: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let title = name.split(',').next().unwrap_or_default().to_uppercase();
    let _ = writeln!(page, ".TH \"{}\" 1 \"\" \"splinter {version}\" \"Splinter\"", escaped(&title));
    let _ = writeln!(page, ".SH NAME\n{} \\- {}", escaped(name), escaped(what));
}

fn program(table: &Table) -> String {
    let mut page = String::new();
    head(&mut page, &NAMES.join(", "), "look into, change and watch splinter stores");
    page.push_str(".SH SYNOPSIS\n");
    for name in NAMES {
        let _ = writeln!(
            page,
            ".B {}\n[\\fIOPTION\\fR]... [\\fICOMMAND\\fR [\\fIWORD\\fR]...]\n.br",
            escaped(name)
        );
    }
    page.push_str(".SH DESCRIPTION\n");
    page.push_str(&text(
        "splinter_cli and splinterp_cli read commands from a prompt, or from a pipe; splinterctl and splinterpctl run \
         one. Stores are named shared memory; for splinterp_cli and splinterpctl, files.",
    ));
    page.push_str(".SH OPTIONS\n");
    options(&mut page, OPTIONS.iter().chain(COMMON));
    page.push_str(".SH COMMANDS\n");
    for (name, summary) in table.names() {
        let (name, summary) = (escaped(&page_name(name)), escaped(&summary));
        let _ = writeln!(page, ".TP\n.BR {name} (1)\n{summary}.");
    }
    page.push_str(".SH SIZES AND TIMES\n");
    page.push_str(&text(UNITS));
    page.push_str(".SH ENVIRONMENT\n");
    for (variable, what) in ENVIRONMENT {
        let _ = writeln!(page, ".TP\n.B {}\n{}", escaped(variable), escaped(what));
    }
    page.push_str(EXIT);
    page
}

const EXIT: &str = ".SH EXIT STATUS\n\
    .TP\n.B 0\nsuccess\n\
    .TP\n.B 1\nfailure, such as no key, a busy key or no store\n\
    .TP\n.B 2\nwrong call\n\
    .TP\n.B 3, 4\nof fsck: the store is damaged (3), or was repaired without some keys (4)\n\
    .TP\n.B 5\na key is not as --if-absent, --if-present or --if-epoch expect it\n";

fn one(command: &Command) -> String {
    let mut page = String::new();
    let name = page_name(command.name);
    let mut what = command.summary.to_owned();
    what[..1].make_ascii_lowercase();
    head(&mut page, &name, &what);
    page.push_str(".SH SYNOPSIS\n");
    for line in command.usage {
        let call = format!("splinterctl {}", command.name);
        let _ = writeln!(page, ".B {}\n{}\n.br", escaped(&call), escaped(line));
    }
    let _ = write!(page, ".SH DESCRIPTION\n{}", text(command.details));
    page.push_str(".SH OPTIONS\n");
    options(&mut page, command.options.iter().chain(COMMON));
    page.push_str(EXIT);
    page.push_str(".SH SEE ALSO\n.BR splinterctl (1)\n");
    page
}

fn options<'a>(page: &mut String, options: impl Iterator<Item = &'a Opt>) {
    for opt in options {
        let names =
            opt.short.map_or_else(|| opt.long.to_owned(), |letter| format!("-{letter}, {}", opt.long));
        let value = opt.value.map_or(String::new(), |(name, _)| format!(" \\fI{}\\fR", escaped(name)));
        let _ = writeln!(page, ".TP\n\\fB{}\\fR{value}\n{}", escaped(&names), escaped(opt.help));
    }
}

/// Formats paragraphs. One that is indented stays as it is.
fn text(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        let lines: String = paragraph.lines().map(|line| escaped(line) + "\n").collect();
        if paragraph.starts_with(' ') { format!(".nf\n{lines}.fi\n") } else { lines }
    });
    paragraphs.collect::<Vec<_>>().join(".PP\n")
}

/// Escapes text so that roff prints it as it is.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::TABLE;

    #[test]
    fn every_name_and_command_has_a_page_with_all_its_words() {
        let pages = pages(&TABLE);
        for name in NAMES {
            assert!(pages.iter().any(|(file, _)| *file == format!("{name}.1")), "{name}");
        }
        let (_, program) = &pages[0];
        for command in TABLE.commands {
            let file = format!("splinterctl-{}.1", command.name);
            let page = &pages.iter().find(|(name, _)| *name == file).unwrap().1;
            assert!(program.contains(&format!(".BR splinterctl\\-{} (1)", escaped(command.name))));
            for opt in command.options.iter().chain(COMMON) {
                assert!(page.contains(&escaped(opt.long)), "{file} {}", opt.long);
                assert!(page.contains(&escaped(opt.help)), "{file} {}", opt.help);
            }
            for line in command.usage.iter().copied().chain(command.details.lines()) {
                assert!(page.contains(&escaped(line)), "{file} {line}");
            }
        }
        for opt in OPTIONS {
            assert!(program.contains(&escaped(opt.long)), "{}", opt.long);
        }
    }

    #[test]
    fn no_text_is_taken_for_a_request() {
        assert_eq!(escaped(".TH"), "\\&.TH");
        assert_eq!(escaped("'x' \\n a-b"), "\\&'x' \\en a\\-b");
        assert_eq!(
            text("one\n.two\n\n  a table\n\nthree\n"),
            "one\n\\&.two\n.PP\n.nf\n  a table\n.fi\n.PP\nthree\n"
        );
        for (name, page) in pages(&TABLE) {
            for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line.split(' ').next().unwrap();
                let known = [".TH", ".SH", ".TP", ".B", ".BR", ".PP", ".nf", ".fi", ".br", ".so"];
                assert!(known.contains(&request), "{name}: {line}");
            }
        }
    }
}
