//! How throughput grows with the processors that are used, and what a figure would need of more of them. Pure.

use serde::{Deserialize, Serialize};

/// One point of a scaling curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
pub struct Point {
    /// Processors that are used, a worker on each.
    pub processors: usize,
    /// Median goodput over the repetitions.
    pub goodput_per_s: f64,
    /// Goodput of one processor here, as a share of what one alone reaches.
    pub efficiency: Option<f64>,
}

/// Returns the numbers of processors to try: doubling from one, and all of them.
#[must_use]
pub fn steps(processors: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = std::iter::successors(Some(1_usize), |step| step.checked_mul(2))
        .take_while(|&step| step < processors)
        .collect();
    steps.push(processors.max(1));
    steps
}

/// Makes the curve of pairs of processors and goodput; empty unless one processor alone did something.
#[must_use]
pub fn curve(measured: &[(usize, f64)]) -> Vec<Point> {
    let alone = measured.iter().find(|(processors, _)| *processors == 1).map(|&(_, goodput)| goodput);
    let Some(alone) = alone.filter(|&alone| alone > 0.0) else {
        return Vec::new();
    };
    measured
        .iter()
        .map(|&(processors, goodput_per_s)| Point {
            processors,
            goodput_per_s,
            efficiency: Some(goodput_per_s / (alone * processors as f64)),
        })
        .collect()
}

/// Says how many processors like these a figure would need: at least, were each as good as one alone, and if each did what
/// each of those did that made `measured_each_per_s`. The curve says how far these two are apart; that each does more
/// beside others than alone is not counted on. Beyond the measured number it is a guess, whose error the fall of
/// efficiency shows.
#[must_use]
pub fn needed(figure_per_s: f64, measured_each_per_s: f64, curve: &[Point]) -> Option<[f64; 2]> {
    let efficiency = curve.last()?.efficiency?.min(1.0);
    let as_here = figure_per_s / measured_each_per_s;
    (measured_each_per_s > 0.0).then(|| [(as_here * efficiency).ceil(), as_here.ceil()])
}

#[cfg(test)]
mod tests {
    use super::{curve, needed, steps};

    #[test]
    fn steps_double_and_end_with_all() {
        assert_eq!(steps(1), [1]);
        assert_eq!(steps(2), [1, 2]);
        assert_eq!(steps(12), [1, 2, 4, 8, 12]);
        assert_eq!(steps(16), [1, 2, 4, 8, 16]);
        assert_eq!(steps(0), [1]);
    }

    #[test]
    fn efficiency_is_relative_to_one_processor_alone() {
        let curve = curve(&[(1, 10.0), (2, 18.0), (4, 20.0)]);
        let efficiency: Vec<f64> = curve.iter().filter_map(|point| point.efficiency).collect();
        assert_eq!(efficiency, [1.0, 0.9, 0.5]);
    }

    #[test]
    fn the_processors_that_a_figure_needs_lie_between_the_best_and_the_last() {
        let falling = curve(&[(1, 10.0), (4, 20.0)]);
        assert_eq!(needed(100.0, 5.0, &falling), Some([10.0, 20.0]));
        assert_eq!(needed(101.0, 10.0, &curve(&[(1, 10.0)])), Some([11.0, 11.0]));
        // What was measured may be another load than that of the curve, of which the efficiency is taken alone.
        assert_eq!(needed(100.0, 50.0, &falling), Some([1.0, 2.0]));
    }

    #[test]
    fn no_processor_is_counted_as_faster_beside_others_than_alone() {
        let rising = curve(&[(1, 10.0), (2, 30.0)]);
        assert_eq!(needed(100.0, 15.0, &rising), Some([7.0, 7.0]));
    }

    #[test]
    fn a_point_of_an_older_record_has_no_efficiency_rather_than_none_at_all() {
        let point: super::Point = serde_json::from_str(r#"{"processors": 2, "goodput_per_s": 9.0}"#).unwrap();
        assert_eq!(point.efficiency, None);
        assert_eq!(needed(100.0, 5.0, &[point]), None);
    }

    #[test]
    fn nothing_follows_from_nothing() {
        assert!(curve(&[(1, 0.0), (2, 5.0)]).is_empty());
        assert!(curve(&[(2, 5.0)]).is_empty());
        assert_eq!(needed(1.0, 1.0, &[]), None);
        assert_eq!(needed(1.0, 0.0, &curve(&[(1, 1.0)])), None);
    }
}
