//! Boxes with marks in them: which worker was on which processor of which node.

use super::canvas::{Anchor, Canvas, LINE, widest};
use super::{COLOURS, Key};

/// Size of a mark, and of a mark with the gap behind it.
const MARK: f64 = 10.0;
const STEP: f64 = 13.0;

/// Places in frames.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The meaning of the marks' colours.
    pub(crate) keys: Vec<String>,
    /// The meaning of a ring.
    pub(crate) ring: String,
    /// The frames: their names, and their places.
    pub(crate) frames: Vec<(String, Vec<Place>)>,
}

/// A box with marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) marks: Vec<Mark>,
}

/// One mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Its colour.
    pub(crate) key: usize,
    pub(crate) ringed: bool,
    /// The text that is shown when it is pointed at.
    pub(crate) hint: String,
}

impl Places {
    pub(super) fn legend(&self) -> Vec<Key> {
        let marks = || {
            let places = self.frames.iter().flat_map(|(_, places)| places);
            places.flat_map(|place| &place.marks)
        };
        let key = |(index, name): (usize, &String)| {
            let used = marks().any(|mark| mark.key == index);
            used.then(|| Key { class: format!("k{}", index % COLOURS), name: name.clone() })
        };
        let mut keys: Vec<Key> = self.keys.iter().enumerate().filter_map(key).collect();
        if marks().any(|mark| mark.ringed) {
            keys.push(Key { class: "ring".to_owned(), name: self.ring.clone() });
        }
        keys
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let places = || self.frames.iter().flat_map(|(_, places)| places);
        let most = places().map(|place| place.marks.len()).max().unwrap_or(0);
        let name = widest(places().map(|place| &place.name));
        // Wider than high, so that rows of few places fill the page.
        let wanted = ((most as f64 * 3.0).sqrt().ceil() * STEP).max(name) + 16.0;
        let inner = width - 20.0;
        let across = wanted.clamp(40.0, inner.max(40.0));
        let columns = (inner / across).floor().max(1.0) as usize;
        let in_row = (((across - 14.0) / STEP).floor() as usize).max(1);
        let down = |place: &Place| LINE + 8.0 + place.marks.len().div_ceil(in_row) as f64 * STEP;

        // Heights first: the drawing has to know its own.
        let rows: Vec<Vec<(f64, &[Place])>> = self
            .frames
            .iter()
            .map(|(_, places)| {
                let row = |places: &[Place]| places.iter().map(down).fold(0.0, f64::max) + 6.0;
                let rows = places.chunks(columns);
                rows.map(|places| (row(places), places)).collect()
            })
            .collect();
        let frame =
            |rows: &[(f64, &[Place])]| LINE + 16.0 + rows.iter().map(|(height, _)| height).sum::<f64>();
        let height: f64 = rows.iter().map(|rows| frame(rows) + 10.0).sum();
        let mut canvas = Canvas::new(width, height.max(1.0));
        let mut top = 0.0;
        for ((name, _), rows) in self.frames.iter().zip(&rows) {
            let high = frame(rows);
            canvas.rect("plot frame", [0.5, top + 0.5], [width - 1.0, high - 1.0], "");
            canvas.text("axis", [10.0, top + LINE + 2.0], Anchor::Start, name);
            let mut above = top + LINE + 10.0;
            for (down, places) in rows {
                for (column, place) in places.iter().enumerate() {
                    let left = 10.0 + across * column as f64;
                    Self::place(&mut canvas, place, [left, above], [across - 6.0, down - 6.0], in_row);
                }
                above += down;
            }
            top += high + 10.0;
        }
        canvas
    }

    fn place(canvas: &mut Canvas, place: &Place, [left, top]: [f64; 2], size: [f64; 2], in_row: usize) {
        let class = if place.marks.is_empty() { "place empty" } else { "place" };
        canvas.rect(class, [left, top], size, "");
        canvas.text_within("name", [left + 5.0, top + LINE - 2.0], Anchor::Start, &place.name, size[0] - 5.0);
        for (index, mark) in place.marks.iter().enumerate() {
            let at = [
                left + 5.0 + STEP * (index % in_row) as f64,
                top + LINE + 4.0 + STEP * (index / in_row) as f64,
            ];
            let ring = if mark.ringed { " ring" } else { "" };
            let class = format!("spot k{}{ring}", mark.key % COLOURS);
            canvas.rect(&class, at, [MARK, MARK], &mark.hint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chart;
    use super::super::tests::values;
    use super::*;

    #[test]
    fn every_mark_is_drawn_inside_the_drawing_at_any_width() {
        let place = |processor: usize| Place {
            name: processor.to_string(),
            marks: vec![Mark::default(); processor % 40],
        };
        let frame = |node: usize| (format!("node {node}"), (0..48).map(place).collect());
        let chart = Chart::Places(Places {
            keys: vec!["writer".to_owned()],
            ring: "moved".to_owned(),
            frames: (0..2).map(frame).collect(),
        });
        let marks = 2 * (0..48).map(|processor| processor % 40).sum::<usize>();
        for width in [340.0, 860.0] {
            let svg = chart.draw(width, "x");
            let (along, down) = (values(&svg, "spot", "x"), values(&svg, "spot", "y"));
            assert_eq!(along.len(), marks);
            let height: f64 =
                svg.split(" height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
            assert!(along.iter().all(|x| *x >= 0.0 && x + MARK <= width), "at {width}");
            assert!(down.iter().all(|y| *y >= 0.0 && y + MARK <= height), "at {width}");
        }
        assert_eq!(chart.legend().len(), 1, "none has a ring");
    }
}
