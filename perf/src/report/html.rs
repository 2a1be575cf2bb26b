//! A report as one HTML file: style and charts are in it, nothing is fetched and no script is run, which its
//! content-security policy says as well.

use super::document::{Block, Cell, Figure, Report, Section, Table, Tone};
use super::svg::{Chart, escape};
use splinter_stress::table::Flush;
use std::fmt::Write as _;

/// Widths that each chart is drawn at: one for wide pages and print, one for narrow pages.
const WIDE: f64 = 860.0;
const NARROW: f64 = 320.0;

/// Tables of more columns are shown as cards on narrow pages.
const MOST_NARROW_COLUMNS: usize = 3;

/// Words of cells that are longer may be broken anywhere.
const LONGEST_WORD: usize = 18;

/// Longer texts have a line of a card for themselves.
const LONG_TEXT: usize = 24;

const STYLE: &str = include_str!("style.css");

/// What a page may do: nothing but have a style. The browser test looks for it.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Writes a report.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    let title = escape(&report.title);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"sub\">{}</p>\n<ul class=\"tallies\">\n",
        escape(&report.subtitle)
    );
    for tally in &report.tallies {
        let _ = writeln!(
            page,
            "<li class=\"{}\"><b>{}</b> {}</li>",
            class(tally.tone),
            tally.count,
            escape(&tally.what)
        );
    }
    page.push_str("</ul>\n<nav aria-label=\"Sections\"><ul>\n");
    for section in &report.sections {
        let _ = writeln!(
            page,
            "<li><a href=\"#{}\">{}</a></li>",
            section.id,
            escape(&section.title)
        );
    }
    page.push_str("</ul></nav>\n</header>\n<main>\n");
    for section in &report.sections {
        write_section(&mut page, section);
    }
    if !report.left_out.is_empty() {
        page.push_str("<section id=\"left-out\">\n<h2>Not shown</h2>\n<ul class=\"left-out\">\n");
        for (title, why) in &report.left_out {
            let _ = writeln!(page, "<li><b>{}</b>: {}.</li>", escape(title), escape(why));
        }
        page.push_str("</ul>\n</section>\n");
    }
    let _ = write!(
        page,
        "</main>\n<footer><p>Made by splinter-perf report, version {}. Point at a bar, line, cell or square to read its \
         value.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Doubtful => "doubtful",
        Tone::Bad => "bad",
    }
}

fn write_section(page: &mut String, section: &Section) {
    let (id, title) = (section.id, escape(&section.title));
    let _ = writeln!(page, "<section id=\"{id}\">\n<h2>{title}</h2>");
    for block in &section.blocks {
        match block {
            Block::Text(text) => {
                let _ = writeln!(page, "<p>{}</p>", escape(text));
            }
            Block::Table(table) => write_table(page, table),
            Block::Figure(figure) => write_figure(page, figure),
        }
    }
    page.push_str("</section>\n");
}

fn write_figure(page: &mut String, figure: &Figure) {
    let title = escape(&figure.title);
    let _ = writeln!(page, "<figure>\n<figcaption>{title}</figcaption>");
    let legend = figure.chart.legend();
    let kind = match figure.chart {
        Chart::Lines(_) => "lines",
        Chart::Bars(_) => "bars",
        Chart::Heat(_) => "heat",
        Chart::Places(_) => "places",
    };
    if !legend.is_empty() {
        page.push_str("<ul class=\"legend\">\n");
        for key in legend {
            let (class, name) = (&key.class, escape(&key.name));
            let swatch = if kind == "lines" || class == "mark" {
                format!("<path class=\"swatch line {class}\" d=\"M0 6L26 6\"/>")
            } else {
                format!(
                    "<rect class=\"swatch {class}\" x=\"1\" y=\"1\" width=\"24\" height=\"10\"/>"
                )
            };
            let _ = writeln!(
                page,
                "<li><svg width=\"26\" height=\"12\" aria-hidden=\"true\">{swatch}</svg>{name}</li>"
            );
        }
        page.push_str("</ul>\n");
    }
    for (name, width) in [("wide", WIDE), ("narrow", NARROW)] {
        let svg = figure.chart.draw(width, &figure.title);
        let _ = writeln!(page, "<div class=\"chart {kind} {name}\">{svg}</div>");
    }
    if !figure.caption.is_empty() {
        let _ = writeln!(page, "<p class=\"caption\">{}</p>", escape(&figure.caption));
    }
    page.push_str("</figure>\n");
}

fn write_table(page: &mut String, table: &Table) {
    let cards = if table.heads.len() > MOST_NARROW_COLUMNS {
        " class=\"cards\""
    } else {
        ""
    };
    let _ = writeln!(page, "<table{cards}>");
    if !table.title.is_empty() {
        let _ = writeln!(page, "<caption>{}</caption>", escape(&table.title));
    }
    let flush = |flush: Flush| if flush == Flush::Right { "r" } else { "l" };
    page.push_str("<thead><tr>");
    for (head, side) in &table.heads {
        let _ = write!(
            page,
            "<th scope=\"col\" class=\"{}\">{}</th>",
            flush(*side),
            escape(head)
        );
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (index, (cell, (head, side))) in row.iter().zip(&table.heads).enumerate() {
            let (class, inner) = (flush(*side), inner(cell));
            // A long word must not make the table wider than the page; a short one must not be broken.
            let is_long = cell.text.split(' ').any(|word| word.len() > LONGEST_WORD);
            let any = if is_long { " any" } else { "" };
            let long = if cell.text.len() > LONG_TEXT {
                " long"
            } else {
                ""
            };
            if index == 0 {
                let _ = write!(page, "<th scope=\"row\" class=\"{class}\">{inner}</th>");
            } else {
                let head = escape(head);
                let _ = write!(
                    page,
                    "<td class=\"{class}{any}{long}\" data-head=\"{head}\">{inner}</td>"
                );
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

fn inner(cell: &Cell) -> String {
    let mut text = escape(&cell.text);
    if cell.code {
        text = format!("<code>{text}</code>");
    }
    if let Some(link) = &cell.link {
        text = format!("<a href=\"{}\">{text}</a>", escape(link));
    }
    match cell.tone {
        Tone::Plain => text,
        tone => format!("<span class=\"{}\">{text}</span>", class(tone)),
    }
}
