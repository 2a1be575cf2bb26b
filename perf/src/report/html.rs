//! A report as one HTML file: style and charts are in it, nothing is fetched and no script is run, which its
//! content-security policy says as well.

use super::distinct;
use super::document::{Block, Cell, Figure, Report, Section, Table, Tile, Tone};
use super::svg::{Chart, Key, escape};
use splinter_harness::table::Flush;

/// Widths at which each chart is drawn: for wide pages and print, and for narrow pages.
const WIDE: f64 = 960.0;
const NARROW: f64 = 340.0;

/// Width at which a chart is drawn that has others beside it.
const HALF: f64 = 460.0;

/// Tables of more columns are shown as cards on narrow pages.
const MOST_NARROW_COLUMNS: usize = 3;

/// Tables whose columns need more characters in all, however often their lines are broken, are shown as cards there too.
const MOST_NARROW_CHARS: usize = 36;

/// Longer words may be broken behind a sign.
const LONGEST_WORD: usize = 14;

/// Longer words without a sign in them may be broken anywhere.
const LONGEST_UNBROKEN: usize = 30;

/// Longer texts have a line of a card for themselves.
const LONG_TEXT: usize = 24;

const STYLE: &str = include_str!("style.css");

/// A page may do nothing but have a style. The browser test looks for it.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Writes a report.
pub(crate) fn html(report: &Report) -> String {
    let (title, subtitle) = (escape(&report.title), escape(&report.subtitle));
    let tiles = list("tiles\" aria-label=\"Headline figures", &report.tiles, tile);
    let tallies = list("tallies", &report.tallies, |it| {
        format!("<li class=\"{}\"><b>{}</b> {}</li>", class(it.tone), it.count, escape(it.what))
    });
    let links =
        lines(&report.sections, |it| format!("<li><a href=\"#{}\">{}</a></li>", it.id, escape(&it.title)));
    let sections: String = report.sections.iter().map(section).collect();
    let left_out = list("left-out", &report.left_out, |(title, why)| {
        format!("<li><b>{}</b>: {}.</li>", escape(title), escape(why))
    });
    let left_out = match left_out.as_str() {
        "" => left_out,
        list => format!("<section id=\"left-out\">\n<h2>Not shown</h2>\n{list}</section>\n"),
    };
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="sub">{subtitle}</p>
{tiles}{tallies}<nav aria-label="Sections"><ul>
{links}</ul></nav>
</header>
<main>
{sections}{left_out}</main>
<footer><p>Made by splinter-perf report, version {version}. Point at a bar, line, cell or square to read its value; unfold a table for all of them.</p></footer>
</body>
</html>
"##
    )
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    items.iter().map(|item| line(item) + "\n").collect()
}

/// Makes a list of a class; nothing where it would be empty.
fn list<T>(class: &str, items: &[T], item: impl Fn(&T) -> String) -> String {
    match items {
        [] => String::new(),
        _ => format!("<ul class=\"{class}\">\n{}</ul>\n", lines(items, item)),
    }
}

fn tile(tile: &Tile) -> String {
    let badge = match tile.disturbed_by.as_str() {
        "" => "<span class=\"badge good\">undisturbed</span>".to_owned(),
        why => format!("<span class=\"badge doubtful\">disturbed: {}</span>", escape(why)),
    };
    let [title, value, detail] = [&tile.title, &tile.value, &tile.detail].map(|it| escape(it));
    format!(
        "<li><span class=\"what\">{title}</span><b>{value}</b><span class=\"of\">{detail}</span>{badge}</li>"
    )
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Doubtful => "doubtful",
        Tone::Bad => "bad",
    }
}

fn section(section: &Section) -> String {
    let block = |block: &Block| match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Table(table) => table_of(table),
        Block::Figure(figure) => figure_of(figure),
    };
    let (id, title) = (section.id, escape(&section.title));
    let blocks: String = section.blocks.iter().map(block).collect();
    format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{blocks}</section>\n")
}

fn figure_of(Figure { title, caption, charts }: &Figure) -> String {
    let mut keys = distinct(charts.iter().flat_map(|(_, chart)| chart.legend()));
    // References come last, and the meaning of hatching.
    keys.sort_by_key(|key| !key.class.starts_with('k'));
    let kind = charts.first().map_or("", |(_, chart)| chart.kind());
    let legend = list("legend", &keys, |key| swatch(key, kind));
    let charts = match charts.as_slice() {
        [(_, chart)] => drawn(chart, WIDE, title),
        several => {
            let one = |(name, chart): &(String, Chart)| {
                let chart = drawn(chart, HALF, &format!("{title}: {name}"));
                format!("<div>\n<h3>{}</h3>\n{chart}</div>", escape(name))
            };
            format!("<div class=\"multiples\">\n{}</div>\n", lines(several, one))
        }
    };
    let caption = match caption.as_str() {
        "" => String::new(),
        caption => format!("<p class=\"caption\">{}</p>\n", escape(caption)),
    };
    let title = escape(title);
    format!("<figure>\n<figcaption>{title}</figcaption>\n{legend}{charts}{caption}</figure>\n")
}

/// Draws a chart for wide pages and for narrow ones; the style shows one of them.
fn drawn(chart: &Chart, wide: f64, label: &str) -> String {
    lines(&[("wide", wide), ("narrow", NARROW)], |&(name, width)| {
        format!("<div class=\"chart {} {name}\">{}</div>", chart.kind(), chart.draw(width, label))
    })
}

fn swatch(key: &Key, kind: &str) -> String {
    let (class, name) = (&key.class, escape(&key.name));
    let swatch = if class == "hatch" {
        "<path class=\"hatch\" d=\"M2 11L12 1M9 11L19 1M16 11L25 2\"/>".to_owned()
    } else if kind == "lines" || class == "mark" {
        format!("<path class=\"swatch line {class}\" d=\"M0 6L26 6\"/>")
    } else {
        format!("<rect class=\"swatch {class}\" x=\"1\" y=\"1\" width=\"24\" height=\"10\"/>")
    };
    format!("<li><svg width=\"26\" height=\"12\" aria-hidden=\"true\">{swatch}</svg>{name}</li>")
}

fn table_of(Table { title, heads, rows, is_open }: &Table) -> String {
    let title = escape(title);
    let count = if rows.len() == 1 { "1 row".to_owned() } else { format!("{} rows", rows.len()) };
    let (open, caption, close) = match is_open {
        true => (String::new(), format!("<caption>{title}</caption>\n"), ""),
        false => {
            let count = format!("<span class=\"count\">{count}</span>");
            (format!("<details>\n<summary>{title} {count}</summary>\n"), String::new(), "</details>\n")
        }
    };
    let cards = if is_narrow(heads, rows) { "" } else { " class=\"cards\"" };
    let side = |flush: Flush| if flush == Flush::Right { "r" } else { "l" };
    let head = |(head, flush): &(String, Flush)| {
        format!("<th scope=\"col\" class=\"{}\">{}</th>", side(*flush), escape(head))
    };
    let cell = |(index, (cell, (head, flush))): (usize, (&Cell, &(String, Flush)))| {
        let (side, inner, head) = (side(*flush), inner(cell), escape(head));
        let long = if cell.text.len() > LONG_TEXT { " long" } else { "" };
        match index {
            0 => format!("<th scope=\"row\" class=\"{side}\">{inner}</th>"),
            _ => format!("<td class=\"{side}{long}\" data-head=\"{head}\">{inner}</td>"),
        }
    };
    let rows = lines(rows, |row| {
        format!("<tr>{}</tr>", row.iter().zip(heads).enumerate().map(cell).collect::<String>())
    });
    let heads: String = heads.iter().map(head).collect();
    format!(
        "{open}<table{cards}>\n{caption}<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n{close}"
    )
}

/// Tells whether a table fits on a narrow page as it is.
fn is_narrow(heads: &[(String, Flush)], rows: &[Vec<Cell>]) -> bool {
    let needed = |(index, (head, _)): (usize, &(String, Flush))| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| least_width(&cell.text));
        cells.fold(least_width(head), usize::max)
    };
    heads.len() <= MOST_NARROW_COLUMNS
        && heads.iter().enumerate().map(needed).sum::<usize>() <= MOST_NARROW_CHARS
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
    let part = |part: &str| match part.len() {
        0..=LONGEST_UNBROKEN => escape(part),
        _ => format!("<span class=\"any\">{}</span>", escape(part)),
    };
    let word = |word| parts(word).into_iter().map(part).collect::<Vec<_>>().join("<wbr>");
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Returns the parts of a word between which a line may be broken.
fn parts(word: &str) -> Vec<&str> {
    match word.len() {
        0..=LONGEST_WORD => vec![word],
        _ => word.split_inclusive(['-', '_', '/', ',', '.', '=', ':', '[', '(']).collect(),
    }
}

/// Returns the characters of a text's longest part in which no line may be broken.
fn least_width(text: &str) -> usize {
    let lengths = text.split(' ').flat_map(parts).map(|part| part.chars().count());
    lengths.filter(|&length| length <= LONGEST_UNBROKEN).max().unwrap_or(0)
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
    fn tables_that_are_too_wide_for_a_narrow_page_are_cards() {
        let heads = |count| vec![("head".to_owned(), Flush::Left); count];
        let row = |texts: &[&str]| vec![texts.iter().map(|&text| Cell::from(text)).collect::<Vec<_>>()];
        let hash = "x".repeat(40);
        assert!(is_narrow(&heads(3), &row(&["git revision", &hash, &hash])), "a hash is broken anywhere");
        assert!(is_narrow(&heads(3), &row(&["records", "short", "run-20261129T215540Z-2cpu"])));
        let names = ["records", "run-20261129T215540Z-2cpu", "run-20261129T215540Z-2cpu"];
        assert!(!is_narrow(&heads(3), &row(&names)), "two times of 17 characters beside each other");
        assert!(!is_narrow(&heads(4), &row(&["a", "b", "c", "d"])));
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
