//! The drawing itself: shapes and texts in CSS pixels, collected as the inside of an SVG element. Colours and sizes of
//! text are classes of the page's style.

use std::fmt::Write as _;

/// Height of a line of text, of the size that the page's style gives to texts in charts.
pub(super) const LINE: f64 = 16.0;

/// Width of a character at that size, by estimate: more than most have.
pub(super) const CHARACTER: f64 = 6.7;

/// Which way a text runs from its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Where a chart's marks lie: the sides of a rectangle.
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Plot {
    pub(super) fn corner(&self) -> [f64; 2] {
        [self.left, self.top]
    }

    pub(super) fn size(&self) -> [f64; 2] {
        [self.right - self.left, self.bottom - self.top]
    }
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) width: f64,
    pub(super) height: f64,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Draws a straight line.
    pub(super) fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.add(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    /// Draws a rectangle; `hint` is shown when it is pointed at.
    pub(super) fn rect(&mut self, class: &str, at: [f64; 2], size: [f64; 2], hint: &str) {
        self.rect_with(class, at, size, "", hint);
    }

    /// Draws a rectangle that has only a share of its colour.
    pub(super) fn shade(&mut self, class: &str, at: [f64; 2], size: [f64; 2], share: f64, hint: &str) {
        self.rect_with(class, at, size, &format!(r#" fill-opacity="{share:.3}""#), hint);
    }

    fn rect_with(&mut self, class: &str, [x, y]: [f64; 2], size: [f64; 2], more: &str, hint: &str) {
        let [width, height] = size.map(|it| it.max(0.0));
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"{more}>{}</rect>"#,
            title(hint)
        ));
    }

    /// Draws the axis along the bottom of a plot: its title below, and at each tick a line across the plot and its text.
    pub(super) fn x_axis(&mut self, plot: &Plot, ticks: &[(f64, String)], title: &str) {
        for (share, text) in ticks {
            let along = plot.left + share * (plot.right - plot.left);
            self.line("grid", [along, plot.top], [along, plot.bottom]);
            self.text("tick", [along, plot.bottom + LINE], Anchor::Middle, text);
        }
        let middle = f64::midpoint(plot.left, plot.right);
        self.text("axis", [middle, self.height - 6.0], Anchor::Middle, title);
    }

    /// Hatches a rectangle with diagonal lines.
    pub(super) fn hatch(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        const GAP: f64 = 7.0;
        let mut way = String::new();
        // Each line is where `along + down` is the same, cut at the four sides.
        let mut sum = GAP / 2.0;
        while sum < width + height {
            let (from, to) = (sum.min(width), sum.min(height));
            let (x1, y1, x2, y2) = (x + from, y + sum - from, x + sum - to, y + to);
            let _ = write!(way, "M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}");
            sum += GAP;
        }
        if !way.is_empty() {
            self.add(format_args!(r#"<path class="hatch" d="{way}"/>"#));
        }
    }

    /// Draws lines from point to point.
    pub(super) fn path(&mut self, class: &str, points: &[[f64; 2]], hint: &str) {
        let mut way = String::new();
        for (at, [x, y]) in points.iter().enumerate() {
            let _ = write!(way, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
        }
        self.add(format_args!(r#"<path class="{class}" d="{way}">{}</path>"#, title(hint)));
    }

    /// Draws a dot.
    pub(super) fn dot(&mut self, class: &str, [x, y]: [f64; 2], radius: f64, hint: &str) {
        self.add(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}">{}</circle>"#,
            title(hint)
        ));
    }

    /// Writes a text; `y` is its base line.
    pub(super) fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: Anchor, text: &str) {
        if text.is_empty() {
            return;
        }
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            escape(text)
        ));
    }

    /// Writes as much of a text as there is room for; all of it is shown when it is pointed at.
    pub(super) fn text_within(&mut self, class: &str, at: [f64; 2], anchor: Anchor, text: &str, room: f64) {
        let most = (room / CHARACTER).max(1.0) as usize;
        if text.chars().count() <= most {
            return self.text(class, at, anchor, text);
        }
        let cut: String = text.chars().take(most - 1).collect();
        self.add(format_args!("<g>{}", title(text)));
        self.text(class, at, anchor, &format!("{}…", cut.trim_end()));
        self.add(format_args!("</g>"));
    }

    /// Returns the element, with a name and a description for readers who do not see it.
    pub(super) fn finish(self, label: &str, description: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{label}\">\n<title>{label}</title>\n<desc>{description}</desc>\n{body}</svg>\n",
            label = escape(label),
            description = escape(description)
        )
    }
}

fn title(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("<title>{}</title>", escape(hint)) }
}

/// Returns the room that a text takes, by estimate.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// Returns the room that the widest of some texts takes, by estimate.
pub(super) fn widest<'a>(texts: impl Iterator<Item = &'a String>) -> f64 {
    texts.map(|text| width_of(text)).fold(0.0, f64::max)
}

/// Writes a text so that it stands for itself in HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Characters that no document may hold.
            c if c.is_control() && c != '\n' && c != '\t' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text("t", [0.0, 0.0], Anchor::Start, "<script>alert('a & b')</script>\u{1}");
        let svg = canvas.finish("\"><b>", "</desc><b>");
        assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
        assert!(svg.contains("a &amp; b") && !svg.contains('\u{1}'), "{svg}");
    }

    #[test]
    fn a_hatched_rectangle_is_hatched_within_its_sides() {
        let mut canvas = Canvas::new(50.0, 50.0);
        canvas.hatch([10.0, 20.0], [30.0, 8.0]);
        let svg = canvas.finish("x", "");
        let way = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let points = way.split(['M', 'L']).filter(|point| !point.is_empty());
        let points: Vec<(f64, f64)> = points
            .map(|point| point.split_once(' ').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(points.len(), 10, "five lines: {way}");
        for (x, y) in points {
            assert!((10.0..=40.0).contains(&x) && (20.0..=28.0).contains(&y), "{x} {y}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_kept_as_a_hint() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text_within("t", [0.0, 0.0], Anchor::Start, "a rather long name", 10.0 * CHARACTER);
        let svg = canvas.finish("x", "");
        assert!(svg.contains(">a rather…<") && svg.contains("<title>a rather long name</title>"), "{svg}");
    }
}
