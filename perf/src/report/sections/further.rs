//! All else that records hold: lists of any kind as tables, as they are. So a kind of record that is newer than this
//! report is shown, too.

use super::super::distinct;
use super::super::document::{Cell, Section, Table, Tone};
use super::Input;
use crate::records::config::text;
use crate::records::schema;
use crate::unit::Unit;
use serde_json::{Map, Value};

/// Rows and columns of one table.
const MOST_ROWS: usize = 60;
const MOST_COLUMNS: usize = 10;

/// Numbers of a list that a cell shows.
const MOST_NUMBERS: usize = 4;

/// The longest text of a cell.
const LONGEST: usize = 160;

/// Fields, beside the common ones, that other sections show, or that are of no use in a table.
#[rustfmt::skip]
const ELSEWHERE: [&str; 9] = [
    "placement", "core_to_core", "node_to_node", "hdr_log", "detection_ns", "recovery_ns",
    "rescue_ns", "machine", "invariants",
];

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    for record in &input.found.records {
        // Their own sections have all of these.
        if ["run", "micro", "limits", "peers"].contains(&record.kind.as_str()) {
            continue;
        }
        let fields = record.value.as_object().into_iter().flatten();
        for (name, value) in fields {
            let elsewhere = schema::is_common(name) || ELSEWHERE.contains(&name.as_str());
            if elsewhere || (record.kind == "wake" && name == "rows") {
                continue;
            }
            let title = format!("{} {}: {}", record.kind, name.replace('_', " "), record.name());
            match value {
                Value::Array(list) => list_of(section, &title, list),
                Value::Object(object) => object_of(section, &title, object),
                _ => {}
            }
        }
    }
}

/// Shows a list of objects as rows; columns are the fields that hold a value of one line.
fn list_of(section: &mut Section, title: &str, list: &[Value]) {
    let rows: Vec<Vec<(String, &Value)>> = list.iter().map(fields).collect();
    let mut columns = distinct(rows.iter().flatten().map(|(name, _)| name.clone()));
    if columns.is_empty() {
        return;
    }
    columns.sort_by_key(|column| rank(column));
    let left_out = columns.len().saturating_sub(MOST_COLUMNS);
    columns.truncate(MOST_COLUMNS);
    let heads: Vec<String> = columns
        .iter()
        .map(|column| {
            let of = || rows.iter().flatten().filter(|(name, _)| name == column);
            let numeric = of().all(|(_, value)| value.is_number() || value.is_null());
            let sign = if numeric { ">" } else { "" };
            // The unit stands beside each value; it is left out where that is not needed to tell columns apart.
            let without_unit =
                |column: &str| unit(column).map_or(column.to_owned(), |(name, _)| name.to_owned());
            let alike = columns.iter().filter(|other| without_unit(other) == without_unit(column)).count();
            let column = if alike > 1 { column.clone() } else { without_unit(column) };
            format!("{sign}{}", column.replace(['_', '.'], " "))
        })
        .collect();
    let mut table = Table::new("", &heads);
    for row in rows.iter().take(MOST_ROWS) {
        table.row(columns.iter().map(|column| {
            let value = row.iter().find(|(name, _)| name == column);
            value.map_or("-".into(), |(name, value)| cell(name, value))
        }));
    }
    let hidden = rows.len().saturating_sub(MOST_ROWS);
    let more = [(hidden, "rows"), (left_out, "columns")];
    let more = more.into_iter().filter(|(count, _)| *count > 0);
    let more: Vec<String> = more.map(|(count, what)| format!("{count} more {what}")).collect();
    let title = if more.is_empty() {
        title.to_owned()
    } else {
        format!("{title} ({} in the record)", more.join(" and "))
    };
    section.table(Table { title, ..table });
}

/// Returns where a column stands: what names a row first, what it came to next, then its figures.
fn rank(column: &str) -> usize {
    #[rustfmt::skip]
    const FIRST: [&str; 14] = [
        "claim", "check", "cell", "candidate", "axis", "name", "subject", "scene", "first",
        "second", "how", "verdict", "met", "reason",
    ];
    let named = FIRST.iter().position(|it| *it == column);
    let rest = usize::from(unit(column).is_none()) + 2 * usize::from(column.contains('.'));
    named.unwrap_or(FIRST.len() + rest)
}

/// Returns the unit that a field's name ends with, and the name without it.
fn unit(column: &str) -> Option<(&str, Unit)> {
    let units = [
        ("_bytes_per_s", Unit::BytesPerSecond),
        ("_per_s", Unit::PerSecond),
        ("_ns", Unit::Nanoseconds),
        ("_bytes", Unit::Bytes),
    ];
    units.into_iter().find_map(|(end, unit)| Some((column.strip_suffix(end)?, unit)))
}

/// Returns the fields of a row, those of objects within it as well.
fn fields(row: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (name, value) in row.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => all.extend(
                inner
                    .iter()
                    .filter(|(_, value)| is_short(value))
                    .map(|(inner, value)| (format!("{name}.{inner}"), value)),
            ),
            value if is_short(value) => all.push((name.clone(), value)),
            _ => {}
        }
    }
    all
}

/// Shows the fields of an object, and below them the lists and objects that it holds.
fn object_of(section: &mut Section, title: &str, object: &Map<String, Value>) {
    let mut table = Table::new(title, &["what", "value"]);
    for (name, value) in object.iter().filter(|(_, value)| is_short(value)) {
        table.row([name.replace('_', " ").into(), cell(name, value)]);
    }
    if !table.rows.is_empty() {
        section.table(table);
    }
    for (name, value) in object {
        let title = format!("{title}, {}", name.replace('_', " "));
        match value {
            Value::Array(list) => list_of(section, &title, list),
            Value::Object(inner) => object_of(section, &title, inner),
            _ => {}
        }
    }
}

/// Tells whether a value fits a cell: no objects, and no lists of lists.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(list) => list.iter().all(|it| !it.is_array() && !it.is_object()),
        _ => true,
    }
}

/// Counts the numbers of a list.
fn numbers(value: &Value) -> usize {
    let list = value.as_array().into_iter().flatten();
    list.filter(|it| it.is_number()).count()
}

fn cell(name: &str, value: &Value) -> Cell {
    if value.is_null() {
        return "-".into();
    }
    let mut shown = match (value.as_f64(), unit(name)) {
        (Some(number), Some((_, unit))) => unit.show(number),
        // Digits that say nothing are left to the record, and so are long lists of numbers.
        (Some(number), None) if number.fract() != 0.0 => format!("{number:.2}"),
        (None, _) if numbers(value) > MOST_NUMBERS => format!("{} values", numbers(value)),
        (None, Some((_, unit))) if value.is_array() => {
            let all = value.as_array().into_iter().flatten().filter_map(Value::as_f64);
            all.map(|number| unit.show(number)).collect::<Vec<_>>().join(" to ")
        }
        _ => text(value),
    };
    if name == "verdict" {
        shown = shown.replace('_', " ");
    }
    if shown.chars().count() > LONGEST {
        shown = shown.chars().take(LONGEST).collect::<String>() + "…";
    }
    let tone = match (name, shown.as_str()) {
        ("verdict", "pass" | "reproduced") | ("met", "true") => Tone::Good,
        ("verdict", "fail" | "not reproduced") | ("met", "false") => Tone::Bad,
        ("verdict", _) => Tone::Doubtful,
        _ => Tone::Plain,
    };
    Cell::toned(shown, tone)
}
