//! Bars, one below the other, each with its name, its parts, the interval of its whole and its value in words. Names
//! stand beside the bars where the page is wide enough, and above them where it is not.

use super::axis::{Axis, thin};
use super::canvas::{Anchor, Canvas, LINE, Plot, widest, width_of};
use super::{COLOURS, Key};

/// Pages narrower than this have the names above the bars.
const WIDE: f64 = 600.0;

/// Bars over an axis.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) axis: Axis,
    /// The names of the parts of a bar, in the order of their colours; empty for colours that no part has.
    pub(crate) parts: Vec<String>,
    /// The name of the mark of a bar; empty where none has one.
    pub(crate) mark: String,
    pub(crate) bars: Vec<Bar>,
    /// Values that the axis reaches too, as those of the charts beside it.
    pub(crate) reached: Vec<f64>,
}

/// One bar.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bar {
    pub(crate) name: String,
    /// The lengths of its parts, by their colour.
    pub(crate) parts: Vec<(usize, f64)>,
    /// The interval of its whole.
    pub(crate) interval: Option<(f64, f64)>,
    /// A value to be marked on it.
    pub(crate) mark: Option<f64>,
    /// Its value in words.
    pub(crate) text: String,
    /// The text that is shown when it is pointed at.
    pub(crate) hint: String,
    /// Whether something disturbed the measurement.
    pub(crate) is_hatched: bool,
}

impl Bar {
    fn whole(&self) -> f64 {
        self.parts.iter().map(|&(_, length)| length).sum()
    }
}

impl Bars {
    /// Makes bars without marks.
    pub(crate) fn new(axis: Axis, parts: &[&str], bars: Vec<Bar>) -> Self {
        let parts = parts.iter().map(|&name| name.to_owned()).collect();
        Self { axis, parts, mark: String::new(), bars, reached: Vec::new() }
    }

    pub(super) fn legend(&self) -> Vec<Key> {
        let key = |class: String, name: &String| Key { class, name: name.clone() };
        let mut keys = Vec::new();
        if self.parts.len() > 1 {
            let parts = self.parts.iter().enumerate();
            let parts = parts.filter(|(_, name)| !name.is_empty());
            keys.extend(parts.map(|(colour, name)| key(format!("k{}", colour % COLOURS), name)));
        }
        if self.bars.iter().any(|bar| bar.mark.is_some()) {
            keys.push(key("mark".to_owned(), &self.mark));
        }
        keys
    }

    pub(super) fn draw(&self, width: f64) -> Canvas {
        let is_wide = width >= WIDE;
        let (bar, row) = if is_wide { (16.0, 24.0) } else { (9.0, 28.0) };
        let values = self.bars.iter().flat_map(|bar| {
            let ends = bar.interval.map(|(low, high)| [low, high]);
            [Some(bar.whole()), bar.mark].into_iter().flatten().chain(ends.into_iter().flatten())
        });
        let scale = self.axis.over(values.chain(self.reached.iter().copied()));
        let names = widest(self.bars.iter().map(|bar| &bar.name));
        let texts = widest(self.bars.iter().map(|bar| &bar.text));
        let mut ticks = scale.ticks();
        let first = ticks.first().map_or(0.0, |(_, text)| width_of(text) / 2.0);
        let left = if is_wide { names.min(width * 0.38) + 12.0 } else { first.max(14.0) };
        // On a narrow page the value stands above the bar as well; the last mark of the axis needs its room in any case.
        let last = ticks.last().map_or(0.0, |(_, text)| width_of(text) / 2.0 + 4.0);
        let beside = if is_wide { texts.min(width * 0.3) + 14.0 } else { 14.0 };
        let right = width - beside.max(last);
        thin(&mut ticks, right - left);
        let (top, bottom) = (6.0, 6.0 + row * self.bars.len() as f64);
        let height = bottom + 2.0 * LINE + 10.0;
        let mut canvas = Canvas::new(width, height);
        let along = |value: f64| left + scale.at(value) * (right - left);

        let plot = Plot { left, top, right, bottom };
        canvas.rect("plot", plot.corner(), plot.size(), "");
        canvas.x_axis(&plot, &ticks, &self.axis.title);

        for (index, one) in self.bars.iter().enumerate() {
            let above = top + row * index as f64;
            let base = if is_wide { above + (row - bar) / 2.0 } else { above + row - bar - 3.0 };
            if is_wide {
                let text = base + bar / 2.0 + 4.0;
                canvas.text_within("name", [left - 8.0, text], Anchor::End, &one.name, left - 8.0);
                let room = width - right - 8.0;
                canvas.text_within("value", [right + 8.0, text], Anchor::Start, &one.text, room);
            } else {
                let value = width_of(&one.text).min(width * 0.6);
                let room = right - left - value - 8.0;
                canvas.text_within("name", [left, base - 4.0], Anchor::Start, &one.name, room);
                canvas.text_within("value", [right, base - 4.0], Anchor::End, &one.text, value + 7.0);
            }
            let mut from = 0.0;
            for &(colour, length) in &one.parts {
                let class = format!("bar k{}", colour % COLOURS);
                let (start, end) = (along(from), along(from + length));
                canvas.rect(&class, [start, base], [end - start, bar], &one.hint);
                from += length;
            }
            if one.is_hatched {
                canvas.hatch([left, base], [along(one.whole()) - left, bar]);
            }
            let half = base + bar / 2.0;
            if let Some((low, high)) = one.interval {
                let (low, high) = (along(low), along(high));
                canvas.line("whisker", [low, half], [high, half]);
                for end in [low, high] {
                    canvas.line("whisker", [end, half - 4.0], [end, half + 4.0]);
                }
            }
            if let Some(mark) = one.mark {
                let mark = along(mark);
                canvas.line("mark", [mark, base - 3.0], [mark, base + bar + 3.0]);
            }
        }
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::super::Chart;
    use super::super::tests::values;
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values_and_parts_follow_each_other() {
        let bar = |parts: &[(usize, f64)], interval| Bar {
            name: "a name".to_owned(),
            parts: parts.to_vec(),
            interval,
            text: "some".to_owned(),
            ..Bar::default()
        };
        let bars = vec![bar(&[(0, 2.0), (1, 6.0)], Some((7.0, 9.0))), bar(&[(0, 4.0)], None)];
        let chart = Chart::Bars(Bars::new(Axis::linear("goodput", None), &["get", "set"], bars));
        for width in [340.0, 860.0] {
            let svg = chart.draw(width, "goodput");
            let (starts, lengths) = (values(&svg, "bar", "x"), values(&svg, "bar", "width"));
            assert_eq!(lengths.len(), 3);
            assert!((lengths[1] / lengths[0] - 3.0).abs() < 0.01, "{lengths:?}");
            assert!((lengths[2] / lengths[0] - 2.0).abs() < 0.01, "{lengths:?}");
            assert!((starts[0] + lengths[0] - starts[1]).abs() < 0.2, "{starts:?}");
            let ends = [values(&svg, "whisker", "x1")[0], values(&svg, "whisker", "x2")[0]];
            assert!(((ends[1] - ends[0]) / lengths[0] - 1.0).abs() < 0.01, "{ends:?}");
        }
        let names: Vec<String> = chart.legend().into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["get", "set"]);
    }
}
