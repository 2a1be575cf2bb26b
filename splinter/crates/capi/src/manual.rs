//! Generates the manual pages, section 3, from the functions that the macros keep: an overview, and one page for each
//! section of the header, with the name of its first function. `scripts/install` adds a page for each other function,
//! which refers to that page. As with the header, a test compares the committed pages with the generated ones.

use crate::declarations::{Function, Section};
use crate::header::{ABOUT, ERRORS, MACROS, SHAPES, compare, structure};
use crate::interface::SECTIONS;
use std::fmt::Write;

/// The longest line of a prototype, in columns.
const WIDTH: usize = 76;

/// Returns text, escaped so that roff prints it as it is.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// Writes lines of text, each on a line of its own.
fn lines(page: &mut String, text: impl IntoIterator<Item = &'static str>) {
    for line in text {
        writeln!(page, "{}", escaped(line.trim())).unwrap();
    }
}

/// Writes the beginning of a page: title, names and libraries.
fn head(page: &mut String, names: &[&str], what: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let title = names[0].to_uppercase();
    writeln!(page, ".TH {title} 3 \"\" \"splinter {version}\" \"Splinter\"").unwrap();
    // No hyphenation: most words are names.
    page.push_str(".nh\n.ad l\n");
    writeln!(page, ".SH NAME\n{} \\- {}", names.join(", "), escaped(what)).unwrap();
    page.push_str(".SH LIBRARY\n");
    page.push_str(
        "libsplinter (\\-lsplinter), or libsplinter_p (\\-lsplinter_p), in which names are paths\n",
    );
}

/// Writes a list of errors and their meanings.
fn errors<'e>(page: &mut String, errors: impl Iterator<Item = &'e (&'static str, &'static str)>) {
    for (name, why) in errors {
        writeln!(page, ".TP\n.B {name}\n{}", escaped(why)).unwrap();
    }
}

/// Generates the overview page.
fn overview() -> String {
    let mut page = String::new();
    head(&mut page, &["splinter"], "a key-value, vector and signal store in shared memory");
    page.push_str(".SH SYNOPSIS\n.nf\n.B #include <splinter.h>\n.PP\n");
    page.push_str("cc program.c \\-lsplinter \\-lpthread\n.fi\n.SH DESCRIPTION\n");
    for (index, paragraph) in ABOUT[2..].iter().enumerate() {
        page.push_str(if index == 0 { "" } else { ".PP\n" });
        lines(&mut page, paragraph.lines());
    }
    page.push_str(".SH FUNCTIONS\n");
    for section in &SECTIONS {
        let first = section.functions[0].name;
        writeln!(page, ".TP\n.BR {first} (3)\n{}", escaped(section.title)).unwrap();
    }
    page.push_str(".SH STRUCTURES\n.nf\n");
    for shape in SHAPES {
        let mut declared = String::new();
        structure(&mut declared, shape);
        for line in declared.trim().lines() {
            // Within `.nf`, lines stay as they are in the header.
            writeln!(page, "{}", escaped(line)).unwrap();
        }
        page.push_str(".PP\n");
    }
    page.push_str(".fi\nConstants are described in the header.\n.SH MACROS\n");
    errors(&mut page, MACROS.iter());
    page.push_str(".SH RETURN VALUE\n");
    lines(&mut page, ABOUT[0].lines());
    page.push_str(".SH ERRORS\n");
    errors(&mut page, ERRORS.iter());
    page.push_str(".PP\n");
    lines(&mut page, ABOUT[1].lines());
    page.push_str(".SH SEE ALSO\n.BR splinterctl (1)\n");
    page
}

/// Writes a function's prototype, in bold except for the names of its parameters.
fn prototype(page: &mut String, function: &Function, of_twin: bool) {
    let name = if of_twin { function.twin } else { function.name };
    let parameters = function.c_parameters(of_twin);
    let mut line = format!(".BI \"{}{name}(", function.c_return_type());
    let mut width = line.len();
    if parameters.is_empty() {
        line.push_str("void");
    }
    for (index, (before, name, behind)) in parameters.iter().enumerate() {
        let len = before.len() + name.len() + behind.len() + 2;
        if index > 0 {
            line.push_str(", ");
        }
        if index > 0 && width + len > WIDTH {
            writeln!(page, "{}\"", line.trim_end()).unwrap();
            line = ".BI \"    ".to_owned();
            width = 4;
        }
        write!(line, "{before}\" {name} \"{behind}").unwrap();
        width += len;
    }
    writeln!(page, "{line});\"").unwrap();
}

/// Generates the page of a section.
fn section_page(section: &Section) -> String {
    let mut page = String::new();
    let names: Vec<_> = names(section).collect();
    let mut what = section.title.to_owned();
    what[..1].make_ascii_lowercase();
    head(&mut page, &names, &what);
    page.push_str(".SH SYNOPSIS\n.nf\n");
    if !section.guard.is_empty() {
        writeln!(page, ".B #define {}", section.guard).unwrap();
    }
    page.push_str(".B #include <splinter.h>\n.PP\n");
    for function in section.functions {
        prototype(&mut page, function, false);
        if !function.twin.is_empty() {
            prototype(&mut page, function, true);
        }
    }
    page.push_str(".fi\n.SH DESCRIPTION\n");
    if section.functions.iter().any(|function| !function.twin.is_empty()) {
        page.push_str("Functions whose names begin with splinter_store_ do the same on the store of a handle as the others\n");
        page.push_str("on the default store.\n");
    }
    for function in section.functions {
        writeln!(page, ".TP\n.BR {} ()", function.name).unwrap();
        lines(&mut page, function.notes.iter().copied());
    }
    page.push_str(".SH RETURN VALUE\n");
    lines(&mut page, ABOUT[0].lines());
    page.push_str(".SH ERRORS\n");
    let notes: String = section.functions.iter().flat_map(|function| function.notes).copied().collect();
    errors(&mut page, ERRORS.iter().filter(|(name, _)| notes.contains(name)));
    page.push_str(".PP\nAll values of errno are in\n.BR splinter (3).\n");
    page.push_str(".SH SEE ALSO\n.BR splinter (3)\n");
    page
}

/// Returns the names of a section's functions.
fn names(section: &Section) -> impl Iterator<Item = &'static str> {
    let both = section.functions.iter().flat_map(|function| [function.name, function.twin]);
    both.filter(|name| !name.is_empty())
}

/// Generates all pages: the names of their files, and their contents.
fn pages() -> Vec<(String, String)> {
    let sections = SECTIONS.iter().map(|section| (section.functions[0].name, section_page(section)));
    let pages = [("splinter", overview())].into_iter().chain(sections);
    pages.map(|(name, page)| (format!("{name}.3"), page)).collect()
}

#[test]
fn the_committed_pages_are_what_the_definitions_say() {
    for (name, page) in pages() {
        compare(&format!("man/{name}"), &page);
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/man");
    let mut committed: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut generated: Vec<_> = pages().into_iter().map(|(name, _)| name).collect();
    committed.sort_unstable();
    generated.sort_unstable();
    assert_eq!(committed, generated);
}

#[test]
fn every_function_is_on_one_page_with_all_that_is_said_of_it() {
    let pages = pages();
    for section in &SECTIONS {
        let file = format!("{}.3", section.functions[0].name);
        let (_, page) = pages.iter().find(|(name, _)| *name == file).unwrap();
        let named = page.split(".SH NAME\n").nth(1).unwrap().split(" \\-").next().unwrap();
        assert_eq!(named.split(", ").collect::<Vec<_>>(), names(section).collect::<Vec<_>>());
        for function in section.functions {
            assert!(function.notes.iter().all(|note| page.contains(&escaped(note.trim()))));
            for name in [function.name, function.twin].into_iter().filter(|name| !name.is_empty()) {
                assert!(page.contains(&format!("{}{name}(", function.c_return_type())), "{name}");
            }
        }
    }
}

#[test]
fn roff_has_nothing_to_say_against_a_page() {
    use std::process::{Command, Stdio};
    for (name, page) in pages() {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-rLL=80n"]).stdin(Stdio::piped());
        groff.stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut child) = groff.spawn() else {
            return skipped("manual pages: groff is not installed");
        };
        let mut input = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || std::io::Write::write_all(&mut input, page.as_bytes()).unwrap());
            let output = child.wait_with_output().unwrap();
            let warnings = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && warnings.is_empty(), "{name}: {warnings}");
            assert!(output.stdout.len() > 500, "{name}");
        });
    }
}

/// Reports that something cannot be tested here, and why: to stderr, and to the file that `ci/unit` names.
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("SPLINTER_TEST_SKIPS") {
        let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, format!("{why}\n").as_bytes()).unwrap();
    }
}
