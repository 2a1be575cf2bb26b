//! Prints tables for people: a heading, a line, and rows.

use std::borrow::Cow;
use std::io::{self, Write};

/// A row: one cell per column.
pub(crate) type Row<'a> = Vec<Cow<'a, [u8]>>;

/// Writes a table with aligned columns. The last column is not padded. If the cells of each column have one width
/// already, as in a single row, nothing is padded, not even the heading. The documentation shows tables like that, and
/// scripts rely on it.
pub(crate) fn write(out: &mut dyn Write, heading: &[&str], rows: &[Row<'_>]) -> io::Result<()> {
    let mut widths = vec![0; heading.len()];
    let mut is_even = true;
    for (at, row) in rows.iter().enumerate() {
        for (width, cell) in widths.iter_mut().zip(&row[..row.len() - 1]) {
            let len = width_of(cell);
            is_even &= at == 0 || *width == len;
            *width = len.max(*width);
        }
    }
    for (width, title) in widths.iter_mut().zip(heading) {
        *width = if is_even { 0 } else { title.len().max(*width) };
    }
    let titles = heading.iter().map(|title| Cow::Borrowed(title.as_bytes())).collect();
    write_row(out, &widths, &titles)?;
    writeln!(out, "{}", "-".repeat(66))?;
    rows.iter().try_for_each(|row| write_row(out, &widths, row))
}

fn write_row(out: &mut dyn Write, widths: &[usize], row: &Row<'_>) -> io::Result<()> {
    for (at, cell) in row.iter().enumerate() {
        out.write_all(if at == 0 { b"" } else { b" | " })?;
        out.write_all(cell)?;
        if at + 1 < row.len() {
            write!(out, "{:1$}", "", widths[at].saturating_sub(width_of(cell)))?;
        }
    }
    out.write_all(b"\n")
}

/// Counts the characters of a cell.
fn width_of(cell: &[u8]) -> usize {
    String::from_utf8_lossy(cell).chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: &[[&str; 3]]) -> Vec<String> {
        let cells = rows.iter().map(|row| row.iter().map(|cell| cell.as_bytes().into()).collect());
        let rows: Vec<Row<'_>> = cells.collect();
        let mut out = Vec::new();
        write(&mut out, &["Key", "Epoch", "Length"], &rows).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_line_up_unless_they_do_so_by_themselves() {
        let table = written(&[["a", "2", "5"], ["k\u{e4}se", "10", "100"]]);
        assert_eq!(table[0], "Key  | Epoch | Length");
        assert_eq!(table[2..], ["a    | 2     | 5", "k\u{e4}se | 10    | 100"]);
        let table = written(&[["one", "2", "5"], ["two", "4", "100"]]);
        assert_eq!(table[0], "Key | Epoch | Length");
        assert_eq!(table[2..], ["one | 2 | 5", "two | 4 | 100"]);
        assert_eq!(written(&[]).len(), 2);
    }
}
