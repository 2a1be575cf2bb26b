//! How long a cache line takes from one processor to another, and what memory of each node costs from each, as
//! `limits` measures it.

use super::super::document::{Cell, Section, Table};
use super::super::svg::{Chart, Heat};
use super::Input;
use crate::limits::nodes::Matrices;
use crate::limits::pairs::Matrix;
use crate::records::Record;
use crate::unit::Unit;

/// Matrices up to this many columns stand in a table as well.
const MOST_IN_TABLE: usize = 8;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    for record in &input.found.records {
        for shown in matrices(record) {
            let title = format!("{}: {}", shown.title, record.name());
            let table = shown.table(&title);
            let is_small = shown.columns.len() <= MOST_IN_TABLE;
            // One cell alone is a number, and stands in the table.
            if shown.rows.len() * shown.columns.len() > 1 {
                section.chart(title, "", shown.chart(record.disturbed_by().is_some()));
            }
            if is_small {
                section.table(table);
            }
        }
    }
}

/// A matrix as it was measured, a gap where it was not.
struct Shown {
    title: &'static str,
    ends: [&'static str; 2],
    unit: Unit,
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<Vec<Option<f64>>>,
}

/// Returns the matrices of a record that have a value, and a row and a column for each name.
fn matrices(record: &Record) -> Vec<Shown> {
    fn names(numbers: &[impl ToString]) -> Vec<String> {
        numbers.iter().map(ToString::to_string).collect()
    }
    let mut all = Vec::new();
    if let Some(Matrix { processors, ns }) = record.part(&["core_to_core"]) {
        let (title, ends) = ("Core to core", ["from", "to processor"]);
        let names = names(&processors);
        all.push(Shown {
            title,
            ends,
            unit: Unit::Nanoseconds,
            rows: names.clone(),
            columns: names,
            cells: ns,
        });
    }
    if let Some(Matrices { from, to, load_ns, read_bytes_per_s }) = record.part(&["node_to_node"]) {
        let ends = ["processors of node", "memory of node"];
        for (title, unit, cells) in [
            ("Node to node, one load", Unit::Nanoseconds, load_ns),
            ("Node to node, reading", Unit::BytesPerSecond, read_bytes_per_s),
        ] {
            all.push(Shown { title, ends, unit, rows: names(&from), columns: names(&to), cells });
        }
    }
    all.retain(|Shown { rows, columns, cells, .. }| {
        let is_measured = cells.iter().flatten().any(Option::is_some);
        is_measured && cells.len() == rows.len() && cells.iter().all(|row| row.len() == columns.len())
    });
    all
}

impl Shown {
    fn chart(self, is_hatched: bool) -> Chart {
        let [row_title, column_title] = self.ends.map(str::to_owned);
        let Self { unit, rows, columns, cells, .. } = self;
        Chart::Heat(Heat { row_title, column_title, rows, columns, cells, unit, is_hatched })
    }

    fn table(&self, title: &str) -> Table {
        let mut heads = vec![self.ends[0].to_owned()];
        heads.extend(self.columns.iter().map(|it| format!(">to {it}")));
        let mut table = Table::new(title, &heads);
        for (name, row) in self.rows.iter().zip(&self.cells) {
            let row = row.iter().map(|value| Cell::or_dash(value.map(|value| self.unit.show(value))));
            table.row(std::iter::once(name.clone().into()).chain(row));
        }
        table
    }
}
