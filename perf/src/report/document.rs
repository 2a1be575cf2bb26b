//! The parts of a report, before it is HTML or Markdown: sections of sentences, tables and charts. Pure data; it
//! knows neither records nor how anything looks.

use super::svg::Chart;
use splinter_harness::table::{Flush, head, or_dash};

/// A whole report.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) title: String,
    /// What it is of, in a sentence or two.
    pub(crate) subtitle: String,
    pub(crate) tiles: Vec<Tile>,
    /// How many records came to which verdict.
    pub(crate) tallies: Vec<Tally>,
    pub(crate) sections: Vec<Section>,
    /// Sections that are left out, each with the reason.
    pub(crate) left_out: Vec<(String, String)>,
}

/// A headline figure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tile {
    /// What was measured.
    pub(crate) title: String,
    /// The figure with its unit.
    pub(crate) value: String,
    /// The workload that measured it.
    pub(crate) detail: String,
    /// The disturbance of the measurement; empty if there was none.
    pub(crate) disturbed_by: String,
}

/// A number with what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: usize,
    /// What it counts.
    pub(crate) what: &'static str,
    /// Whether that is good.
    pub(crate) tone: Tone,
}

/// Whether something is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It is neither.
    #[default]
    Plain,
    /// It is as it should be.
    Good,
    /// It cannot be told.
    Doubtful,
    /// It is not as it should be.
    Bad,
}

/// One section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its name in links.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

impl Section {
    /// Begins a section with a sentence on how it is to be read.
    pub(crate) fn new(id: &'static str, title: &str, lead: &str) -> Self {
        let blocks = if lead.is_empty() { Vec::new() } else { vec![Block::Text(lead.to_owned())] };
        Self { id, title: title.to_owned(), blocks }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Adds a chart of the whole width.
    pub(crate) fn chart(&mut self, title: impl Into<String>, caption: impl Into<String>, chart: Chart) {
        self.charts(title, caption, vec![(String::new(), chart)]);
    }

    /// Adds small charts side by side, each with its name; one alone gets the whole width.
    pub(crate) fn charts(
        &mut self,
        title: impl Into<String>,
        caption: impl Into<String>,
        charts: Vec<(String, Chart)>,
    ) {
        if !charts.is_empty() {
            self.blocks.push(Block::Figure(Figure { title: title.into(), caption: caption.into(), charts }));
        }
    }
}

/// A part of a section.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// A paragraph.
    Text(String),
    /// A table.
    Table(Table),
    /// A chart, or several.
    Figure(Figure),
}

/// Charts with their words; the colours of several mean the same.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) title: String,
    /// How they are to be read, or what is not in them.
    pub(crate) caption: String,
    /// The charts with their names.
    pub(crate) charts: Vec<(String, Chart)>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// The columns' heads, and which way their texts are flushed.
    pub(crate) heads: Vec<(String, Flush)>,
    /// The rows, as long as the heads.
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Whether a page shows it at once; otherwise its reader unfolds it.
    pub(crate) is_open: bool,
}

impl Table {
    /// Begins a table with [these heads](head).
    pub(crate) fn new(title: &str, heads: &[impl AsRef<str>]) -> Self {
        let heads = heads.iter().map(|text| head(text.as_ref())).collect();
        Self { title: title.to_owned(), heads, ..Self::default() }
    }

    /// Makes a table of rows of plain cells.
    pub(crate) fn of<R: IntoIterator<Item = String>>(
        heads: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let mut table = Self::new("", heads);
        rows.into_iter().for_each(|row| table.row(row.into_iter().map(Cell::from)));
        table
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// The target of its link.
    pub(crate) link: Option<String>,
    /// Whether it is good.
    pub(crate) tone: Tone,
    /// Whether it is a command, to be copied as it is.
    pub(crate) code: bool,
}

impl Cell {
    /// Makes a cell that is good, bad or in doubt.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone, ..Self::default() }
    }

    /// Makes a cell that leads somewhere.
    pub(crate) fn link(text: impl Into<String>, link: impl Into<String>) -> Self {
        Self { text: text.into(), link: Some(link.into()), ..Self::default() }
    }

    /// Makes a cell of a text that may be missing: a dash then.
    pub(crate) fn or_dash(text: Option<String>) -> Self {
        or_dash(text).into()
    }

    /// Makes a cell that is a command.
    pub(crate) fn code(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: true, ..Self::default() }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}
