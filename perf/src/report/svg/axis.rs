//! Axes: where a value lies between two ends, which values are marked, and how they are written. Pure.

use super::canvas::width_of;
use crate::unit::Unit;

/// How the steps along an axis grow.
#[derive(Clone, Copy, Debug)]
enum Steps {
    /// Equal steps for equal differences, from 0.
    Linear,
    /// Equal steps for equal factors.
    Log,
    /// Equal steps for each factor of ten in what is beyond: 0, 90, 99, 99.9 and so on, of shares of a whole.
    Percentile,
}

/// An axis of numbers. They are plain where there is no unit.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(super) title: String,
    steps: Steps,
    unit: Option<Unit>,
}

/// An axis between two ends.
#[derive(Clone, Debug)]
pub(super) struct Scale<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
}

impl Axis {
    /// Makes an axis of equal steps for equal differences.
    pub(crate) fn linear(title: &str, unit: Option<Unit>) -> Self {
        Self { title: title.to_owned(), steps: Steps::Linear, unit }
    }

    /// Makes an axis of equal steps for equal factors.
    pub(crate) fn log(title: &str, unit: Unit) -> Self {
        Self { title: title.to_owned(), steps: Steps::Log, unit: Some(unit) }
    }

    /// Makes an axis of percentiles.
    pub(crate) fn percentile() -> Self {
        Self { title: "percentile".to_owned(), steps: Steps::Percentile, unit: None }
    }

    /// Takes an axis to the ends that some values need.
    pub(super) fn over(&self, values: impl Iterator<Item = f64>) -> Scale<'_> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(|value| self.place(value)).filter(|it| it.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let (low, high) = match self.steps {
            Steps::Linear => {
                let top = if high > 0.0 { high } else { 1.0 };
                let step = step(top, self.unit.is_some());
                (0.0, (top / step - 1e-9).ceil() * step)
            }
            // Whole decades, but no more than half a decade of nothing.
            Steps::Log => {
                let half = |value: f64| (value * 2.0).floor() / 2.0;
                let low = half(low);
                (low, (-half(-high)).max(low + 1.0))
            }
            Steps::Percentile => (0.0, high.max(1.0)),
        };
        Scale { axis: self, low, high }
    }

    fn place(&self, value: f64) -> f64 {
        match self.steps {
            Steps::Linear => value,
            Steps::Log => value.log10(),
            Steps::Percentile => -(1.0 - value).log10(),
        }
    }
}

/// Takes away the texts of marks along a way of some length that would lie on those before them.
pub(super) fn thin(ticks: &mut [(f64, String)], length: f64) {
    let mut free = f64::NEG_INFINITY;
    for (share, text) in ticks {
        let (middle, half) = (*share * length, width_of(text) / 2.0);
        if middle - half < free {
            text.clear();
        } else {
            free = middle + half + 4.0;
        }
    }
}

impl Scale<'_> {
    /// Returns where a value lies: 0 at the lower end, 1 at the upper.
    pub(super) fn at(&self, value: f64) -> f64 {
        ((self.axis.place(value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Returns the marked values: where they lie, and what is written there.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let tick = |value: f64| (self.at(value), self.write(value));
        match self.axis.steps {
            Steps::Linear => {
                let step = step(self.high, self.axis.unit.is_some());
                let count = (self.high / step).round() as u32;
                (0..=count).map(|number| tick(f64::from(number) * step)).collect()
            }
            Steps::Log => {
                let powers = self.low.ceil() as i32..=self.high.floor() as i32;
                powers.map(|power| tick(10_f64.powi(power))).collect()
            }
            Steps::Percentile => {
                let nines = (self.high + 1e-9).floor() as usize;
                let name = |nines: usize| match nines {
                    0 => "0".to_owned(),
                    1 => "90".to_owned(),
                    2 => "99".to_owned(),
                    more => format!("99.{}", "9".repeat(more - 2)),
                };
                (0..=nines).map(|nines| (nines as f64 / self.high, name(nines))).collect()
            }
        }
    }

    fn write(&self, value: f64) -> String {
        match self.axis.unit {
            _ if value == 0.0 => "0".to_owned(),
            Some(unit) => short(value, unit),
            None if self.high < 10.0 && value.fract().abs() > 1e-9 => format!("{value:.1}"),
            None => format!("{value:.0}"),
        }
    }
}

/// Returns a step of 1, 2, 2.5 or 5 times a power of ten that leads to a value in five steps at most.
fn step(top: f64, has_unit: bool) -> f64 {
    let rough = top / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = rough / power;
    // Of plain counts there are no halves.
    let nice = [1.0, 2.0, if has_unit { 2.5 } else { 5.0 }, 5.0, 10.0];
    let fits = nice.into_iter().find(|nice| *nice >= factor * 0.9999);
    let step = power * fits.unwrap_or(10.0);
    if has_unit || top < 2.0 { step } else { step.max(1.0) }
}

/// Writes a round value: as the suite does, without digits that say nothing.
fn short(value: f64, unit: Unit) -> String {
    let text = unit.show(value);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scale: &Scale<'_>) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_end_at_a_round_number() {
        let axis = Axis::linear("", Some(Unit::PerSecond));
        let scale = axis.over([3.1e6, 9.6e6].into_iter());
        assert_eq!(written(&scale), ["0", "2 M/s", "4 M/s", "6 M/s", "8 M/s", "10 M/s"]);
        assert_eq!((scale.at(0.0), scale.at(5e6), scale.at(99e6)), (0.0, 0.5, 1.0));
        let scale = axis.over([0.0].into_iter());
        assert!(scale.ticks().len() > 1, "an axis of nothing has ends, too");
    }

    #[test]
    fn log_axes_mark_the_powers_of_ten() {
        let axis = Axis::log("", Unit::Nanoseconds);
        let scale = axis.over([40.0, 3.7e8].into_iter());
        assert_eq!(written(&scale), ["100 ns", "1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s"]);
        // From half a decade below 40 to half a decade above 370 million.
        assert!((scale.at(10_f64.powf(1.5)) - 0.0).abs() < 1e-9);
        assert!((scale.at(10_f64.powf(9.0)) - 1.0).abs() < 1e-9);
        assert!((scale.at(1e5) - (5.0 - 1.5) / 7.5).abs() < 1e-9);
    }

    #[test]
    fn texts_that_would_lie_on_each_other_are_taken_away() {
        let axis = Axis::percentile();
        let scale = axis.over([0.999_999_9].into_iter());
        let mut ticks = scale.ticks();
        thin(&mut ticks, 240.0);
        let left: Vec<&str> = ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(left, ["0", "90", "99", "99.9", "99.99", "", "99.9999", ""]);
        assert_eq!(ticks.len(), 8, "the marks stay");
    }

    #[test]
    fn percentile_axes_have_a_step_for_each_nine() {
        let axis = Axis::percentile();
        let scale = axis.over([0.0, 0.5, 0.9999].into_iter());
        assert_eq!(written(&scale), ["0", "90", "99", "99.9", "99.99"]);
        assert!((scale.at(0.99) - 0.5).abs() < 1e-9);
        assert!((scale.at(0.0) - 0.0).abs() < 1e-9);
    }
}
