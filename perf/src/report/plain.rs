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
    let _ = writeln!(text, "{}", report.subtitle);
    for section in &report.sections {
        let _ = writeln!(text, "\n{}", section.title);
        for block in &section.blocks {
            match block {
                Block::Text(said) => {
                    let _ = writeln!(text, "  {said}");
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
    rows[0].extend(table.heads.iter().map(|(head, _)| head.clone()));
    rows.extend(table.rows.iter().map(|row| row.iter().map(|cell| cut(&cell.text)).collect()));
    columns(&flush.collect::<Vec<_>>(), &rows)
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
