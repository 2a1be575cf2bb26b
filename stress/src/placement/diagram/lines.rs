//! Lines of a picture: how wide they are, how they begin, and how what is too long goes on.

use std::fmt::Write as _;

/// Columns of a line.
pub(super) const WIDTH: usize = 100;
/// Those of them that say what the line is.
pub(super) const MARGIN: usize = 16;

/// Adds lines that begin with what they are of.
pub(super) fn paragraph(text: &mut String, what: &str, words: &str) {
    let mut head = what;
    for line in wrap(words, WIDTH - MARGIN) {
        let _ = writeln!(text, "{head:<MARGIN$}{line}");
        head = "";
    }
}

/// Breaks a text into lines; within a word where that is too long.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if let Some(last) = lines.last_mut()
            && last.chars().count() + 1 + word.len() <= width
        {
            last.push(' ');
            last.extend(word);
            continue;
        }
        while word.len() > width {
            lines.push(word.drain(..width).collect());
        }
        lines.push(word.into_iter().collect());
    }
    lines
}

pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Prints a size, in the largest unit of which it has one or more.
pub(super) fn of_bytes(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..units.len() - 1).take_while(|unit| bytes >> (10 * (unit + 1)) > 0).count();
    let whole = bytes as f64 / (1_u64 << (10 * unit)) as f64;
    let digits = usize::from(whole.fract() != 0.0);
    format!("{whole:.digits$} {}", units[unit])
}

/// Adds a line of cells.
pub(super) fn line(text: &mut String, what: &str, cell: usize, cells: impl Iterator<Item = String>) {
    let mut line = format!("{what:<MARGIN$}");
    for content in cells {
        let _ = write!(line, "{content:<cell$}");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_fits() {
        let printed = [0, 512, 1 << 10, 48 << 10, 3 << 29, 1 << 40, 1 << 50].map(of_bytes);
        let expected = ["0 bytes", "512 bytes", "1 KiB", "48 KiB", "1.5 GiB", "1 TiB", "1024 TiB"];
        assert_eq!(printed, expected);
    }
}
