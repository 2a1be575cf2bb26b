//! A report as one HTML file: style and charts are in it, nothing is fetched and no script is run, which its
//! content-security policy says as well.

use super::document::{Block, Cell, Figure, Report, Section, Table, Tone};
use super::svg::{Chart, Key, escape};
use splinter_harness::table::Flush;
use std::fmt::Write as _;

/// Widths at which each chart is drawn: for wide pages and print, and for narrow pages.
const WIDE: f64 = 960.0;
const NARROW: f64 = 340.0;

/// Width at which a chart is drawn that has others beside it.
const HALF: f64 = 460.0;

/// Tables of more columns are shown as cards on narrow pages.
const MOST_NARROW_COLUMNS: usize = 3;

/// Longer words may be broken behind a sign.
const LONGEST_WORD: usize = 14;

/// Longer words without a sign in them may be broken anywhere.
const LONGEST_UNBROKEN: usize = 30;

/// Longer texts have a line of a card for themselves.
const LONG_TEXT: usize = 24;

const STYLE: &str = include_str!("style.css");

/// A page may do nothing but have a style. The browser test looks for it.
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
         <p class=\"sub\">{}</p>\n",
        escape(&report.subtitle)
    );
    write_tiles(&mut page, report);
    page.push_str("<ul class=\"tallies\">\n");
    for tally in &report.tallies {
        let (class, what) = (class(tally.tone), escape(&tally.what));
        let _ = writeln!(page, "<li class=\"{class}\"><b>{}</b> {what}</li>", tally.count);
    }
    page.push_str("</ul>\n<nav aria-label=\"Sections\"><ul>\n");
    for section in &report.sections {
        let (id, title) = (section.id, escape(&section.title));
        let _ = writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
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
         value; unfold a table for all of them.</p></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn write_tiles(page: &mut String, report: &Report) {
    if report.tiles.is_empty() {
        return;
    }
    page.push_str("<ul class=\"tiles\" aria-label=\"Headline figures\">\n");
    for tile in &report.tiles {
        let badge = match tile.disturbed_by.as_str() {
            "" => "<span class=\"badge good\">undisturbed</span>".to_owned(),
            why => format!("<span class=\"badge doubtful\">disturbed: {}</span>", escape(why)),
        };
        let [title, value, detail] = [&tile.title, &tile.value, &tile.detail].map(|it| escape(it));
        let _ = writeln!(
            page,
            "<li><span class=\"what\">{title}</span><b>{value}</b><span class=\"of\">{detail}</span>{badge}</li>"
        );
    }
    page.push_str("</ul>\n");
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
    let title = &figure.title;
    let _ = writeln!(page, "<figure>\n<figcaption>{}</figcaption>", escape(title));
    let mut keys: Vec<Key> = Vec::new();
    for key in figure.charts.iter().flat_map(|(_, chart)| chart.legend()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // References come last, and the meaning of hatching.
    keys.sort_by_key(|key| !key.class.starts_with('k'));
    write_legend(page, &keys, figure.charts.first().map_or("", |(_, chart)| kind(chart)));
    if let [(_, chart)] = figure.charts.as_slice() {
        write_chart(page, chart, WIDE, title);
    } else {
        page.push_str("<div class=\"multiples\">\n");
        for (name, chart) in &figure.charts {
            let _ = writeln!(page, "<div>\n<h3>{}</h3>", escape(name));
            write_chart(page, chart, HALF, &format!("{title}: {name}"));
            page.push_str("</div>\n");
        }
        page.push_str("</div>\n");
    }
    if !figure.caption.is_empty() {
        let _ = writeln!(page, "<p class=\"caption\">{}</p>", escape(&figure.caption));
    }
    page.push_str("</figure>\n");
}

fn kind(chart: &Chart) -> &'static str {
    match chart {
        Chart::Lines(_) => "lines",
        Chart::Bars(_) => "bars",
        Chart::Heat(_) => "heat",
        Chart::Places(_) => "places",
    }
}

fn write_chart(page: &mut String, chart: &Chart, wide: f64, label: &str) {
    for (name, width) in [("wide", wide), ("narrow", NARROW)] {
        let svg = chart.draw(width, label);
        let _ = writeln!(page, "<div class=\"chart {} {name}\">{svg}</div>", kind(chart));
    }
}

fn write_legend(page: &mut String, keys: &[Key], kind: &str) {
    if keys.is_empty() {
        return;
    }
    page.push_str("<ul class=\"legend\">\n");
    for key in keys {
        let (class, name) = (&key.class, escape(&key.name));
        let swatch = if class == "hatch" {
            "<path class=\"hatch\" d=\"M2 11L12 1M9 11L19 1M16 11L25 2\"/>".to_owned()
        } else if kind == "lines" || class == "mark" {
            format!("<path class=\"swatch line {class}\" d=\"M0 6L26 6\"/>")
        } else {
            format!("<rect class=\"swatch {class}\" x=\"1\" y=\"1\" width=\"24\" height=\"10\"/>")
        };
        let _ = writeln!(
            page,
            "<li><svg width=\"26\" height=\"12\" aria-hidden=\"true\">{swatch}</svg>{name}</li>"
        );
    }
    page.push_str("</ul>\n");
}

fn write_table(page: &mut String, table: &Table) {
    let title = escape(&table.title);
    let rows = match table.rows.len() {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    };
    if !table.is_open {
        let _ = writeln!(page, "<details>\n<summary>{title} <span class=\"count\">{rows}</span></summary>");
    }
    let is_card = table.heads.len() > MOST_NARROW_COLUMNS;
    let _ = writeln!(page, "<table{}>", if is_card { " class=\"cards\"" } else { "" });
    if table.is_open {
        let _ = writeln!(page, "<caption>{title}</caption>");
    }
    let flush = |flush: Flush| if flush == Flush::Right { "r" } else { "l" };
    page.push_str("<thead><tr>");
    for (head, side) in &table.heads {
        let (head, side) = (escape(head), flush(*side));
        let _ = write!(page, "<th scope=\"col\" class=\"{side}\">{head}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for (index, (cell, (head, side))) in row.iter().zip(&table.heads).enumerate() {
            let (class, inner) = (flush(*side), inner(cell));
            let long = if cell.text.len() > LONG_TEXT { " long" } else { "" };
            let head = escape(head);
            let _ = if index == 0 {
                write!(page, "<th scope=\"row\" class=\"{class}\">{inner}</th>")
            } else {
                write!(page, "<td class=\"{class}{long}\" data-head=\"{head}\">{inner}</td>")
            };
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    if !table.is_open {
        page.push_str("</details>\n");
    }
}

fn inner(cell: &Cell) -> String {
    let mut text = breakable(&cell.text);
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

/// Writes a text whose long words may be broken behind signs, and never within a word that people read.
fn breakable(text: &str) -> String {
    let word = |word: &str| {
        if word.len() <= LONGEST_WORD {
            return escape(word);
        }
        let parts = word.split_inclusive(['-', '_', '/', ',', '.', '=', ':', '[', '(']);
        let part = |part: &str| match part.len() {
            0..=LONGEST_UNBROKEN => escape(part),
            _ => format!("<span class=\"any\">{}</span>", escape(part)),
        };
        parts.map(part).collect::<Vec<_>>().join("<wbr>")
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_break_behind_signs_and_only_endless_ones_anywhere() {
        assert_eq!(breakable("a short <b>"), "a short &lt;b&gt;");
        let broken = breakable("scrub-full_writers-2 key");
        assert_eq!(broken, "scrub-<wbr>full_<wbr>writers-<wbr>2 key");
        let endless = "x".repeat(31);
        assert_eq!(breakable(&endless), format!("<span class=\"any\">{endless}</span>"));
    }

    #[test]
    fn tables_are_folded_unless_they_must_be_seen() {
        let mut report = Report::default();
        let mut section = Section::new("x", "X", "");
        let mut bad = Table::new("bad", &["a"]);
        bad.is_open = true;
        section.table(bad);
        section.table(Table::new("rest", &["a"]));
        report.sections.push(section);
        let page = html(&report);
        assert_eq!(page.matches("<details>").count(), 1, "{page}");
        assert!(page.contains("<summary>rest ") && page.contains("<caption>bad</caption>"));
    }
}
