//! A document as text for a terminal: sentences, and tables whose columns line up.

use super::document::{Block, Report, Table};
use splinter_harness::table::columns;
use std::fmt::Write as _;

/// Texts of table cells longer than this are cut.
const LONGEST: usize = 72;

/// Writes a document. Charts are left out.
pub(crate) fn plain(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", shown(&report.subtitle));
    for section in &report.sections {
        let _ = writeln!(text, "\n{}", shown(&section.title));
        for block in &section.blocks {
            match block {
                Block::Text(said) => {
                    let _ = writeln!(text, "  {}", shown(said));
                }
                Block::Table(table) => {
                    for line in rows(table).lines() {
                        let _ = writeln!(text, "    {line}");
                    }
                }
                Block::Figure(_) => {}
            }
        }
    }
    text
}

/// Lays the heads and the rows of a table out in columns.
pub(crate) fn rows(table: &Table) -> String {
    let (mut rows, flush) = (vec![Vec::new()], table.heads.iter().map(|(_, flush)| *flush));
    rows[0].extend(table.heads.iter().map(|(head, _)| shown(head)));
    rows.extend(table.rows.iter().map(|row| row.iter().map(|cell| cut(&shown(&cell.text))).collect()));
    columns(&flush.collect::<Vec<_>>(), &rows)
}

/// Shows control characters, and those that reorder or hide the text around them, as escapes: a terminal obeys them.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}'..='\u{e007f}' => {
                shown.extend(char.escape_unicode());
            }
            _ if char.is_control() => shown.extend(char.escape_default()),
            _ => shown.push(char),
        }
    }
    shown
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::document::Section;
    use super::*;

    #[test]
    fn a_terminal_obeys_no_character_of_a_record() {
        assert_eq!(shown("a\u{1b}[2J\nb\u{202e}c ä–"), "a\\u{1b}[2J\\nb\\u{202e}c ä–");
        let mut section = Section::new("x", "t\u{1b}t", "s\rs");
        let mut table = Table::new("", &["h"]);
        table.row(["1\n2".into()]);
        section.table(table);
        let report = Report { subtitle: "A\u{7}".to_owned(), sections: vec![section], ..Report::default() };
        let text = plain(&report);
        assert!(!text.contains(|char: char| char.is_control() && char != '\n'), "{text:?}");
        assert!(text.contains("1\\n2\n"), "{text:?}");
    }

    #[test]
    fn sentences_and_tables_are_indented_below_their_title() {
        let mut section = Section::new("x", "Figures", "A sentence.");
        let mut table = Table::new("", &["what", ">n"]);
        table.row(["get".into(), "10".into()]);
        section.table(table);
        let report =
            Report { subtitle: "two sides".to_owned(), sections: vec![section], ..Report::default() };
        assert_eq!(plain(&report), "two sides\n\nFigures\n  A sentence.\n    what   n\n    get   10\n");
        assert_eq!(cut(&"x".repeat(80)).chars().count(), LONGEST);
    }
}
