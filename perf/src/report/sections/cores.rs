//! How long a cache line takes from one processor to another, as `limits` measures it.

use super::super::document::{Figure, Section, Table};
use super::super::svg::{Chart, Heat};
use super::Matter;
use crate::records::Record;
use crate::text::Unit;
use serde_json::Value;

/// Matrices up to this many processors stand in a table as well.
const MOST_IN_TABLE: usize = 8;

pub(in crate::report) fn section(matter: &Matter<'_>) -> Result<Section, String> {
    let lead = "How long it takes until a processor sees what another has written: from the processor of the row to \
                that of the column.";
    let mut section = Section::new("cores", "", lead);
    for record in &matter.found.records {
        let Some((processors, cells)) = matrix(record) else {
            continue;
        };
        let title = format!("Core to core: {}", record.name());
        if processors.len() <= MOST_IN_TABLE {
            section.table(table(&title, &processors, &cells));
        }
        section.chart(Figure {
            title,
            caption: format!("{} processors.", processors.len()),
            chart: Chart::Heat(Heat {
                row_title: "from".to_owned(),
                column_title: "to processor".to_owned(),
                rows: processors.clone(),
                columns: processors,
                cells,
                unit: Unit::Nanoseconds,
            }),
        });
    }
    if section.blocks.len() > 1 {
        Ok(section)
    } else {
        Err("none of the records has such a matrix; 'splinter-perf limits --json' makes one where there are two processors".to_owned())
    }
}

type Cells = Vec<Vec<Option<f64>>>;

fn matrix(record: &Record) -> Option<(Vec<String>, Cells)> {
    let list = |value: &Value| value.as_array().cloned();
    let processors = list(record.at(&["core_to_core", "processors"])?)?;
    let processors: Vec<String> = processors.iter().map(ToString::to_string).collect();
    let rows = list(record.at(&["core_to_core", "ns"])?)?;
    let row = |row: &Value| {
        let row = list(row)?;
        (row.len() == processors.len()).then(|| row.iter().map(Value::as_f64).collect())
    };
    let cells: Cells = rows.iter().map(row).collect::<Option<_>>()?;
    let measured = cells.iter().flatten().flatten().count();
    (cells.len() == processors.len() && measured > 0).then_some((processors, cells))
}

fn table(title: &str, processors: &[String], cells: &Cells) -> Table {
    let mut heads = vec!["from".to_owned()];
    heads.extend(processors.iter().map(|it| format!(">to {it}")));
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(title, &heads);
    for (name, row) in processors.iter().zip(cells) {
        let cell =
            |value: &Option<f64>| value.map_or("-".to_owned(), |ns| Unit::Nanoseconds.show(ns));
        let row = row.iter().map(|value| cell(value).into());
        table.row(std::iter::once(name.clone().into()).chain(row));
    }
    table
}
