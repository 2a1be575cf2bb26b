//! Lines over an axis of numbers: latencies over percentiles, goodput over workers. Each line is named at its end
//! where the page is wide enough, and has a colour and a dash of its own.

use super::axis::{Axis, thin};
use super::canvas::{Anchor, Canvas, LINE, Plot, widest, width_of};
use super::{COLOURS, Key};

/// Pages narrower than this have no room for names at the ends of lines.
const WIDE: f64 = 600.0;

/// The most room that names at the ends of lines take.
const MOST_LABEL: f64 = 230.0;

/// Lines over two axes.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// The lines; at most [`COLOURS`] can be told apart.
    pub(crate) lines: Vec<Line>,
    /// Whether something disturbed a measurement that is drawn.
    pub(crate) is_hatched: bool,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Its points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
    /// Intervals of the points' heights; empty where there are none.
    pub(crate) intervals: Vec<(f64, f64)>,
    /// Whether its points are all that is known, so that they are marked.
    pub(crate) marked: bool,
    /// Whether it is what others are compared with: it is drawn thin and has no colour.
    pub(crate) is_reference: bool,
    /// Its colour, where charts side by side share theirs; otherwise it follows from its place.
    pub(crate) colour: Option<usize>,
}

impl Lines {
    fn class(&self, index: usize) -> String {
        if self.lines[index].is_reference {
            return "reference".to_owned();
        }
        let before = self.lines[..index].iter().filter(|line| !line.is_reference);
        let colour = self.lines[index].colour.unwrap_or_else(|| before.count());
        format!("k{}", colour % COLOURS)
    }

    pub(super) fn legend(&self) -> Vec<Key> {
        let key = |(index, line): (usize, &Line)| Key { class: self.class(index), name: line.name.clone() };
        self.lines.iter().enumerate().map(key).collect()
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let is_wide = width >= WIDE;
        let is_named = is_wide && self.lines.len() > 1;
        let height = if is_wide { 340.0 } else { 205.0 };
        let mut canvas = Canvas::new(width, height);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let ends = self.lines.iter().flat_map(|line| &line.intervals);
        let x = self.x.over(points().map(|&(x, _)| x));
        let y = self.y.over(points().map(|&(_, y)| y).chain(ends.flat_map(|&(low, high)| [low, high])));
        let (mut x_ticks, y_ticks) = (x.ticks(), y.ticks());
        let left = 12.0 + widest(y_ticks.iter().map(|(_, text)| text));
        let labels = widest(self.lines.iter().map(|line| &line.name)).min(MOST_LABEL);
        let last = x_ticks.last().map_or(0.0, |(_, text)| width_of(text) / 2.0 + 4.0);
        let beside = if is_named { labels + 26.0 } else { 14.0 };
        let right = width - beside.max(last);
        thin(&mut x_ticks, right - left);
        let (top, bottom) = (LINE + 10.0, height - 2.0 * LINE - 10.0);
        let at =
            |(px, py): (f64, f64)| [left + x.at(px) * (right - left), bottom - y.at(py) * (bottom - top)];

        let plot = Plot { left, top, right, bottom };
        canvas.rect("plot", plot.corner(), plot.size(), "");
        if self.is_hatched {
            canvas.hatch(plot.corner(), plot.size());
        }
        canvas.text("axis", [0.0, LINE - 4.0], Anchor::Start, &self.y.title);
        for (share, text) in &y_ticks {
            let height = bottom - share * (bottom - top);
            canvas.line("grid", [left, height], [right, height]);
            canvas.text("tick", [left - 6.0, height + 4.0], Anchor::End, text);
        }
        canvas.x_axis(&plot, &x_ticks, &self.x.title);

        for (index, line) in self.lines.iter().enumerate() {
            let class = self.class(index);
            let way: Vec<[f64; 2]> = line.points.iter().map(|&point| at(point)).collect();
            canvas.path(&format!("line {class}"), &way, &line.name);
            for (&(px, _), &(low, high)) in line.points.iter().zip(&line.intervals) {
                let (from, to) = (at((px, low)), at((px, high)));
                canvas.line(&format!("whisker {class}"), from, to);
            }
            if line.marked {
                for &point in &way {
                    canvas.dot(&format!("dot {class}"), point, 3.5, &line.name);
                }
            }
        }
        if is_named {
            let end = |(index, line): (usize, &Line)| {
                let end = at(*line.points.last()?);
                Some((end[1], end, index))
            };
            let mut labels: Vec<_> = self.lines.iter().enumerate().filter_map(end).collect();
            spread(&mut labels, top, bottom);
            for (height, end, index) in labels {
                let class = self.class(index);
                canvas.line(&format!("leader {class}"), end, [right + 10.0, height]);
                let (class, at) = (format!("label {class}"), [right + 14.0, height + 4.0]);
                let (name, room) = (&self.lines[index].name, width - right - 14.0);
                canvas.text_within(&class, at, Anchor::Start, name, room);
            }
        }
        canvas
    }
}

/// Moves heights apart so that the texts there do not lie on each other, in their order.
fn spread(labels: &mut [(f64, [f64; 2], usize)], top: f64, bottom: f64) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = top;
    for label in labels.iter_mut() {
        label.0 = label.0.max(least);
        least = label.0 + LINE;
    }
    let mut most = bottom;
    for label in labels.iter_mut().rev() {
        label.0 = label.0.min(most);
        most = label.0 - LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chart;
    use super::super::tests::values;
    use super::*;
    use crate::unit::Unit;

    fn lines(ends: &[f64]) -> Chart {
        let line = |&end: &f64| Line {
            name: format!("ending at {end}"),
            points: vec![(0.0, 40.0), (0.9, end)],
            ..Line::default()
        };
        Chart::Lines(Lines {
            x: Axis::percentile(),
            y: Axis::log("latency", Unit::Nanoseconds),
            lines: ends.iter().map(line).collect(),
            is_hatched: false,
        })
    }

    #[test]
    fn every_line_is_drawn_and_named_at_its_end() {
        let chart = lines(&[1e3, 1e4]);
        let svg = chart.draw(860.0, "latency");
        assert_eq!(svg.matches("<path class=\"line k").count(), 2);
        assert_eq!(svg.matches("<text class=\"label k").count(), 2);
        assert!(!chart.draw(340.0, "latency").contains("class=\"label"), "no room on a narrow page");
        let classes: Vec<String> = chart.legend().into_iter().map(|key| key.class).collect();
        assert_eq!(classes, ["k0", "k1"]);
    }

    #[test]
    fn names_of_lines_that_end_together_do_not_lie_on_each_other() {
        let svg = lines(&[1e3; 6]).draw(860.0, "latency");
        let mut heights = values(&svg, "label", "y");
        heights.sort_by(f64::total_cmp);
        assert_eq!(heights.len(), 6);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 0.11), "{heights:?}");
        assert!(*heights.last().unwrap() < 340.0);
    }

    #[test]
    fn a_reference_takes_no_colour() {
        let Chart::Lines(mut lines) = lines(&[1e3, 1e4]) else { unreachable!() };
        lines.lines[0].is_reference = true;
        let classes: Vec<String> = lines.legend().into_iter().map(|key| key.class).collect();
        assert_eq!(classes, ["reference", "k0"]);
    }
}
