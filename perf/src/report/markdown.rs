//! A report as Markdown: the same sentences and tables; charts are named, and their figures are in the tables.

use super::document::{Block, Cell, Figure, Report, Table, Tone};
use splinter_harness::table::Flush;
use std::fmt::Write as _;

/// Writes a report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# {}\n\n{}.\n", plain(&report.title), plain(&report.subtitle));
    for tile in &report.tiles {
        let badge = match tile.disturbed_by.as_str() {
            "" => String::new(),
            why => format!(" (disturbed: {})", plain(why)),
        };
        let (title, detail) = (plain(&tile.title), plain(&tile.detail));
        let _ = writeln!(text, "- {title}: **{}**, {detail}{badge}", tile.value);
    }
    if !report.tiles.is_empty() {
        text.push('\n');
    }
    let tallies: Vec<String> = report
        .tallies
        .iter()
        .map(|tally| {
            let bold = if tally.tone == Tone::Bad { "**" } else { "" };
            format!("{bold}{} {}{bold}", tally.count, plain(tally.what))
        })
        .collect();
    let _ = writeln!(text, "{}\n", tallies.join(" · "));
    for section in &report.sections {
        let _ = writeln!(text, "## {}\n", plain(&section.title));
        for block in &section.blocks {
            match block {
                Block::Text(said) => {
                    let _ = writeln!(text, "{}\n", plain(said));
                }
                Block::Table(table) => write_table(&mut text, table),
                Block::Figure(Figure { title, caption, .. }) if !caption.is_empty() => {
                    let _ = writeln!(text, "*{}.* {}\n", plain(title), plain(caption));
                }
                Block::Figure(_) => {}
            }
        }
    }
    if !report.left_out.is_empty() {
        let _ = writeln!(text, "## Not shown\n");
        for (title, why) in &report.left_out {
            let _ = writeln!(text, "- {}: {}.", plain(title), plain(why));
        }
    }
    text
}

/// Writes a table, its title in bold before it.
pub(crate) fn write_table(text: &mut String, table: &Table) {
    if !table.title.is_empty() {
        let _ = writeln!(text, "**{}**\n", plain(&table.title));
    }
    let line =
        |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    text.push_str(&line(&mut table.heads.iter().map(|(head, _)| plain(head))));
    let rule = |(_, flush): &(String, Flush)| match flush {
        Flush::Left => "---".to_owned(),
        Flush::Right => "---:".to_owned(),
    };
    text.push_str(&line(&mut table.heads.iter().map(rule)));
    for row in &table.rows {
        text.push_str(&line(&mut row.iter().map(cell)));
    }
    text.push('\n');
}

fn cell(cell: &Cell) -> String {
    let text = if cell.code {
        // Nothing within is markup but the ends of the cell and of the code.
        format!("`{}`", cell.text.replace('|', "\\|").replace(['`', '\n'], " "))
    } else {
        plain(&cell.text)
    };
    match (&cell.link, cell.tone) {
        (Some(link), _) => format!("[{text}]({link})"),
        (None, Tone::Bad) => format!("**{text}**"),
        _ => text,
    }
}

/// Writes a text so that it stands for itself, on one line.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => safe.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            '<' => safe.push_str("&lt;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_cell() {
        let mut table = Table::new("a | b", &["x", ">n"]);
        table.row([Cell::from("1 | 2\n<b>*s*</b>"), Cell::code("a `b` | c")]);
        table.row([Cell::link("f [1]", "f.json"), Cell::toned("bad", Tone::Bad)]);
        let mut text = String::new();
        write_table(&mut text, &table);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "**a \\| b**");
        assert_eq!(lines[3], "| --- | ---: |");
        assert_eq!(lines[4], "| 1 \\| 2 &lt;b>\\*s\\*&lt;/b> | `a  b  \\| c` |");
        assert_eq!(lines[5], "| [f \\[1\\]](f.json) | **bad** |");
    }
}
