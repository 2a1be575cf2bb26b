//! Text for people: columns that line up, and numbers that are short. Knows nothing of what is printed.

use std::fmt::Write as _;

/// Which way a column's texts are flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Returns a head's text, and its column's flush: to the right, as numbers are, where the text begins with ">".
#[must_use]
pub fn head(text: &str) -> (String, Flush) {
    match text.strip_prefix('>') {
        Some(text) => (text.to_owned(), Flush::Right),
        None => (text.to_owned(), Flush::Left),
    }
}

/// Lays rows out as [`columns`] below their [heads](head).
#[must_use]
pub fn headed<R: Into<Vec<String>>>(heads: &[impl AsRef<str>], rows: impl IntoIterator<Item = R>) -> String {
    let (heads, flush): (Vec<String>, Vec<Flush>) = heads.iter().map(|text| head(text.as_ref())).unzip();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows.into_iter().map(Into::into)).collect();
    columns(&flush, &rows)
}

/// Returns the text, or a dash where there is none.
#[must_use]
pub fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// Lays rows out in columns two blanks apart, the first row being the heads. Rows may be shorter than the list of
/// columns; no line ends in blanks.
#[must_use]
pub fn columns(flush: &[Flush], rows: &[Vec<String>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..flush.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, flush), width) in row.iter().zip(flush).zip(&widths) {
            // Writing to a string cannot fail.
            let _ = match flush {
                Flush::Left => write!(line, "{cell:<width$}  "),
                Flush::Right => write!(line, "{cell:>width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes rows as [`columns`], indented: the first column to the left, the others, numbers, to the right.
pub fn align(text: &mut String, rows: &[Vec<String>]) {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut flush = vec![Flush::Right; count];
    flush.iter_mut().take(1).for_each(|it| *it = Flush::Left);
    indent(text, &flush, rows);
}

/// Writes rows as [`columns`], two blanks further in.
pub fn indent(text: &mut String, flush: &[Flush], rows: &[Vec<String>]) {
    for line in columns(flush, rows).lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
}

/// Prints nanoseconds with a unit that keeps them short.
pub fn span(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e4 => format!("{:.1} us", ns / 1e3),
        ..1e6 => format!("{:.0} us", ns / 1e3),
        ..1e7 => format!("{:.1} ms", ns / 1e6),
        ..1e9 => format!("{:.0} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

/// Prints a rate with three to four digits and a unit.
#[must_use]
pub fn rate(per_s: f64) -> String {
    match per_s {
        ..1e3 => format!("{per_s:.0}"),
        ..1e6 => format!("{:.1} k", per_s / 1e3),
        ..1e9 => format!("{:.2} M", per_s / 1e6),
        _ => format!("{:.2} G", per_s / 1e9),
    }
}

/// Prints a share in percent.
pub fn percent(part: u64, whole: u64) -> String {
    format!("{:.3}", part as f64 / whole.max(1) as f64 * 100.0)
}

/// Prints a count with commas between thousands.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [span(7), span(1_234), span(45_678), span(2_500_000), span(3_000_000_000)],
            ["7 ns", "1.2 us", "46 us", "2.5 ms", "3.0 s"]
        );
        assert_eq!(
            [rate(12.0), rate(1_500.0), rate(25_300_000.0), rate(1.5e9)],
            ["12", "1.5 k", "25.30 M", "1.50 G"]
        );
        assert_eq!([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1,000", "1,234,567"]);
        assert_eq!(percent(1, 8), "12.500");
        assert_eq!(percent(0, 0), "0.000");
    }

    #[test]
    fn columns_line_up_and_no_line_ends_in_blanks() {
        let rows = [["get".to_owned(), "3.1 ns".to_owned()], ["get_many".to_owned(), or_dash(None)]];
        let text = headed(&["operation", ">value"], rows);
        assert_eq!(text, "operation   value\nget        3.1 ns\nget_many        -\n");
    }

    #[test]
    fn the_first_column_of_an_indented_table_is_words() {
        let rows = [["name", "n"], ["a", "100"]].map(|row| row.map(str::to_owned).to_vec());
        let mut text = String::new();
        align(&mut text, &rows);
        assert_eq!(text, "  name    n\n  a     100\n");
    }
}
