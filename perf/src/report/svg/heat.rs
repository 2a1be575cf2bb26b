//! A table of coloured cells: the more of its colour a cell has, the greater its value, on the scale below. Values are
//! written in the cells where there is room.

use super::canvas::{Anchor, Canvas, LINE, widest, width_of};
use crate::unit::Unit;

/// The faintest and the strongest that a cell is coloured.
const STRENGTHS: (f64, f64) = (0.06, 0.94);

/// Cells coloured by their values.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    pub(crate) row_title: String,
    pub(crate) column_title: String,
    pub(crate) rows: Vec<String>,
    pub(crate) columns: Vec<String>,
    /// The values by row and column; none where nothing was measured.
    pub(crate) cells: Vec<Vec<Option<f64>>>,
    pub(crate) unit: Unit,
    /// Whether something disturbed the measurement.
    pub(crate) is_hatched: bool,
}

impl Heat {
    fn ends(&self) -> (f64, f64) {
        let values = || self.cells.iter().flatten().flatten().copied();
        let low = values().fold(f64::INFINITY, f64::min);
        (low, values().fold(f64::NEG_INFINITY, f64::max))
    }

    fn strength(value: f64, (low, high): (f64, f64)) -> f64 {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        STRENGTHS.0 + share * (STRENGTHS.1 - STRENGTHS.0)
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let ends = self.ends();
        let text = |value: f64| self.unit.show(value);
        let columns = self.columns.len().max(1) as f64;
        let left = widest(self.rows.iter().chain([&self.row_title])).min(width * 0.35) + 10.0;
        let across = ((width - left - 4.0) / columns).min(170.0);
        let texts: Vec<String> = self.cells.iter().flatten().flatten().map(|&value| text(value)).collect();
        let is_written = widest(texts.iter()) + 4.0 <= across;
        let down = if is_written { 34.0 } else { across.clamp(3.0, 30.0) };
        let top = 2.0 * LINE + 8.0;
        let bottom = top + down * self.rows.len() as f64;
        let height = bottom + 2.0 * LINE + 18.0;
        let mut canvas = Canvas::new(width, height);

        canvas.rect("plot", [left, top], [across * columns, bottom - top], "");
        canvas.text_within("axis", [0.0, 2.0 * LINE], Anchor::Start, &self.row_title, left - 8.0);
        canvas.text_within("axis", [left, LINE - 2.0], Anchor::Start, &self.column_title, width - left);
        let every = ((widest(self.columns.iter()) + 8.0) / across).ceil().max(1.0) as usize;
        for (index, name) in self.columns.iter().enumerate().step_by(every) {
            let middle = left + across * (index as f64 + 0.5);
            canvas.text("tick", [middle, 2.0 * LINE], Anchor::Middle, name);
        }
        let every = (LINE / down).ceil().max(1.0) as usize;
        for (index, (name, row)) in self.rows.iter().zip(&self.cells).enumerate() {
            let above = top + down * index as f64;
            let base = above + down / 2.0 + 4.0;
            if index % every == 0 {
                canvas.text_within("tick", [left - 8.0, base], Anchor::End, name, left - 8.0);
            }
            for (column, (of, value)) in self.columns.iter().zip(row).enumerate() {
                let at = [left + across * column as f64, above];
                let middle = at[0] + across / 2.0;
                let Some(value) = *value else {
                    canvas.rect("cell none", at, [across - 1.0, down - 1.0], "not measured");
                    continue;
                };
                let strength = Self::strength(value, ends);
                let hint = format!("{name}, {of}: {}", text(value));
                canvas.shade("cell", at, [across - 1.0, down - 1.0], strength, &hint);
                if is_written {
                    let class = format!("in h{:.0}", (strength * 10.0).floor());
                    canvas.text(&class, [middle, base], Anchor::Middle, &text(value));
                }
            }
        }
        if self.is_hatched {
            canvas.hatch([left, top], [across * columns, bottom - top]);
        }
        self.scale(&mut canvas, left, bottom + 14.0, ends);
        canvas
    }

    /// Draws what the colours mean.
    fn scale(&self, canvas: &mut Canvas, left: f64, top: f64, (low, high): (f64, f64)) {
        let [low_text, high_text] = [low, high].map(|value| self.unit.show(value));
        let start = left + width_of(&low_text) + 6.0;
        let room = canvas.width - start - width_of(&high_text) - 10.0;
        let steps = 24_u32;
        let step = room.min(240.0) / f64::from(steps);
        let base = top + 11.0;
        canvas.text("tick", [start - 6.0, base], Anchor::End, &low_text);
        for index in 0..steps {
            let value = f64::from(index) / f64::from(steps - 1);
            let at = [start + step * f64::from(index), top];
            canvas.shade("scale", at, [step, 14.0], Self::strength(value, (0.0, 1.0)), "");
        }
        let end = start + step * f64::from(steps) + 6.0;
        canvas.text("tick", [end, base], Anchor::Start, &high_text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chart;
    use super::super::tests::values;
    use super::*;

    fn heat(size: usize) -> Chart {
        let name = |index: usize| format!("{index}");
        let cell = |row: usize, column: usize| (row != column).then_some((row + column) as f64);
        Chart::Heat(Heat {
            row_title: "from".to_owned(),
            column_title: "to".to_owned(),
            rows: (0..size).map(name).collect(),
            columns: (0..size).map(name).collect(),
            cells: (0..size).map(|row| (0..size).map(|column| cell(row, column)).collect()).collect(),
            unit: Unit::Nanoseconds,
            is_hatched: false,
        })
    }

    #[test]
    fn a_greater_value_is_coloured_stronger_and_a_missing_one_not_at_all() {
        let svg = heat(3).draw(600.0, "x");
        let strengths = values(&svg, "cell", "fill-opacity");
        // 0-1, 0-2, 1-0, 1-2, 2-0, 2-1.
        assert_eq!(strengths.len(), 6);
        assert_eq!((strengths[0], strengths[3]), (STRENGTHS.0, STRENGTHS.1));
        assert!(strengths[0] < strengths[1] && strengths[1] < strengths[3]);
        assert_eq!(svg.matches("class=\"cell none\"").count(), 3);
        assert!(svg.contains(">3.00 ns<"));
    }

    #[test]
    fn a_big_matrix_stays_within_its_width_and_is_not_written_in() {
        let svg = heat(96).draw(340.0, "x");
        let right = values(&svg, "cell", "x").into_iter().fold(0.0, f64::max);
        assert!(right < 340.0, "{right}");
        assert_eq!(svg.matches("class=\"cell").count(), 96 * 96);
        assert!(!svg.contains("class=\"in"));
    }
}
