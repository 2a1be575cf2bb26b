//! Charts as SVG. No plotting crate draws them: their colours come from the page's style, so that light, dark and print
//! need no second drawing, and each chart is laid out twice, for wide and for narrow pages, so that its text is legible
//! on both. This folder knows numbers and names, and nothing of records.

mod axis;
mod bars;
mod canvas;
mod heat;
mod lines;
mod map;

pub(crate) use axis::Axis;
pub(crate) use bars::{Bar, Bars};
pub(crate) use canvas::escape;
pub(crate) use heat::Heat;
pub(crate) use lines::{Line, Lines};
pub(crate) use map::{Mark, Place, Places};

/// Colours that a chart can tell series apart by; the page's style has them.
pub(crate) const COLOURS: usize = 8;

/// A chart.
#[derive(Clone, Debug)]
pub(crate) enum Chart {
    /// Lines over an axis of numbers.
    Lines(Lines),
    /// Bars, one below the other.
    Bars(Bars),
    /// A table of coloured cells.
    Heat(Heat),
    /// Boxes with marks in them.
    Places(Places),
}

impl Chart {
    /// Returns its class in the page's style.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Lines(_) => "lines",
            Self::Bars(_) => "bars",
            Self::Heat(_) => "heat",
            Self::Places(_) => "places",
        }
    }

    /// Draws it as an SVG element, `width` CSS pixels wide. `label` is what it is called where it is not seen.
    pub(crate) fn draw(&self, width: f64, label: &str) -> String {
        let canvas = match self {
            Self::Lines(lines) => lines.draw(width),
            Self::Bars(bars) => bars.draw(width),
            Self::Heat(heat) => heat.draw(width),
            Self::Places(places) => places.draw(width),
        };
        canvas.finish(label, &self.description())
    }

    /// Says in words what it shows: the text for readers who do not see it.
    fn description(&self) -> String {
        let joined = |texts: Vec<&str>| texts.join("; ");
        let said = match self {
            Self::Lines(Lines { x, y, lines, .. }) => {
                let names = joined(lines.iter().map(|line| line.name.as_str()).collect());
                format!("Lines of {} over {}: {names}", y.title, x.title)
            }
            Self::Bars(Bars { axis, bars, .. }) => {
                let hints = joined(bars.iter().map(|bar| bar.hint.as_str()).collect());
                format!("Bars of {}: {hints}", axis.title)
            }
            Self::Heat(heat) => {
                let (row, column) = (&heat.row_title, &heat.column_title);
                format!("Cells by {row} and {column}, each with its value")
            }
            Self::Places(places) => {
                let names = joined(places.frames.iter().map(|(name, _)| name.as_str()).collect());
                format!("Workers by processor: {names}")
            }
        };
        if self.is_hatched() {
            return format!("{said}. {HATCHED}");
        }
        said
    }

    /// Tells whether any of it was measured while something disturbed it.
    pub(crate) fn is_hatched(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_hatched,
            Self::Bars(bars) => bars.bars.iter().any(|bar| bar.is_hatched),
            Self::Heat(heat) => heat.is_hatched,
            Self::Places(_) => false,
        }
    }

    /// Returns what its colours mean: names, in the order of the colours. Empty where there is nothing to tell apart.
    pub(crate) fn legend(&self) -> Vec<Key> {
        let mut keys = match self {
            Self::Lines(lines) => lines.legend(),
            Self::Bars(bars) => bars.legend(),
            Self::Heat(_) => Vec::new(),
            Self::Places(places) => places.legend(),
        };
        if self.is_hatched() {
            keys.push(Key { class: "hatch".to_owned(), name: HATCHED.to_owned() });
        }
        keys
    }
}

/// The meaning of hatching.
const HATCHED: &str = "hatched: disturbed by load";

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The mark's class in the page's style.
    pub(crate) class: String,
    /// What it stands for.
    pub(crate) name: String,
}

#[cfg(test)]
pub(super) mod tests {
    /// Returns the values of an attribute of the elements of a class, in the order in which they are drawn.
    pub(in crate::report) fn values(svg: &str, class: &str, attribute: &str) -> Vec<f64> {
        let marked = format!("class=\"{class}");
        svg.split('<')
            .filter(|element| element.contains(&marked))
            .filter_map(|element| {
                let (_, rest) = element.split_once(&format!(" {attribute}=\""))?;
                rest.split('"').next()?.parse().ok()
            })
            .collect()
    }

    #[test]
    fn attributes_are_found() {
        let svg = r#"<rect class="bar k0" x="1.5" y="2"/><rect class="bar k1" x="3"/>"#;
        assert_eq!(values(svg, "bar", "x"), [1.5, 3.0]);
        assert_eq!(values(svg, "dot", "x"), Vec::<f64>::new());
    }
}
