//! How long a cache line takes from one processor to another, and what memory of each node costs from each, as
//! `limits` measures it.

use super::super::document::{Cell, Section, Table};
use super::super::svg::{Chart, Heat};
use super::Input;
use crate::records::Record;
use crate::unit::Unit;

/// Matrices up to this many columns stand in a table as well.
const MOST_IN_TABLE: usize = 8;

/// A matrix that a record may have.
struct Kind {
    title: &'static str,
    /// Paths in the record of its rows' names, its columns' and its cells.
    paths: [[&'static str; 2]; 3],
    ends: [&'static str; 2],
    unit: Unit,
}

const KINDS: [Kind; 3] = [
    Kind {
        title: "Core to core",
        paths: [["core_to_core", "processors"], ["core_to_core", "processors"], ["core_to_core", "ns"]],
        ends: ["from", "to processor"],
        unit: Unit::Nanoseconds,
    },
    Kind {
        title: "Node to node, one load",
        paths: [["node_to_node", "from"], ["node_to_node", "to"], ["node_to_node", "load_ns"]],
        ends: ["processors of node", "memory of node"],
        unit: Unit::Nanoseconds,
    },
    Kind {
        title: "Node to node, reading",
        paths: [["node_to_node", "from"], ["node_to_node", "to"], ["node_to_node", "read_bytes_per_s"]],
        ends: ["processors of node", "memory of node"],
        unit: Unit::BytesPerSecond,
    },
];

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    for record in &input.found.records {
        for kind in &KINDS {
            let Some(matrix) = Matrix::of(record, kind) else {
                continue;
            };
            let title = format!("{}: {}", kind.title, record.name());
            let table = matrix.table(&title, kind);
            let is_small = matrix.columns.len() <= MOST_IN_TABLE;
            // One cell alone is a number, and stands in the table.
            if matrix.rows.len() * matrix.columns.len() > 1 {
                section.chart(title, "", matrix.chart(kind, record));
            }
            if is_small {
                section.table(table);
            }
        }
    }
}

/// A matrix as it was measured, a gap where it was not.
struct Matrix {
    rows: Vec<String>,
    columns: Vec<String>,
    cells: Vec<Vec<Option<f64>>>,
}

impl Matrix {
    fn of(record: &Record, kind: &Kind) -> Option<Self> {
        let [rows, columns, cells] = kind.paths;
        let names = |path: [&str; 2]| -> Option<Vec<String>> {
            let numbers: Vec<u64> = record.part(&path)?;
            Some(numbers.iter().map(ToString::to_string).collect())
        };
        let (rows, columns) = (names(rows)?, names(columns)?);
        let cells: Vec<Vec<Option<f64>>> = record.part(&cells)?;
        if cells.iter().any(|row| row.len() != columns.len()) {
            return None;
        }
        let measured = cells.iter().flatten().flatten().count();
        (cells.len() == rows.len() && measured > 0).then_some(Self { rows, columns, cells })
    }

    fn chart(self, kind: &Kind, record: &Record) -> Chart {
        let [row_title, column_title] = kind.ends.map(str::to_owned);
        Chart::Heat(Heat {
            row_title,
            column_title,
            rows: self.rows,
            columns: self.columns,
            cells: self.cells,
            unit: kind.unit,
            is_hatched: record.disturbed_by().is_some(),
        })
    }

    fn table(&self, title: &str, kind: &Kind) -> Table {
        let mut heads = vec![kind.ends[0].to_owned()];
        heads.extend(self.columns.iter().map(|it| format!(">to {it}")));
        let mut table = Table::new(title, &heads);
        for (name, row) in self.rows.iter().zip(&self.cells) {
            let row = row.iter().map(|value| Cell::or_dash(value.map(|value| kind.unit.show(value))));
            table.row(std::iter::once(name.clone().into()).chain(row));
        }
        table
    }
}
