//! The core-to-core matrix: how long a line takes from each processor to each other one. Every pair is a probe of the
//! interleaved rounds; what comes of them is laid out as a matrix, in which a pair stands twice and nobody is paired
//! with itself.

use super::ping_pong::{self, Channel};
use crate::pinning;
use crate::unit::Unit;
use splinter_harness::sampler::{Probe, Series, Subject};
use splinter_harness::table::{Flush, columns};
use std::time::Duration;

/// The longest sample of a pair: there are many.
const LONGEST_SAMPLE: Duration = Duration::from_millis(1);

/// Pairs that take part in every round; with more of them each is sampled less often.
const PAIRS_A_ROUND: usize = 256;

/// The name that one pair is asked for by; each pair's own begins with it.
pub const NAME: &str = "core to core";

/// Two of this process's processors, counted from 0, the first the smaller.
pub type Pair = [usize; 2];

/// Lists every pair of `count` processors.
#[must_use]
pub fn pairs(count: usize) -> Vec<Pair> {
    (0..count).flat_map(|first| (first + 1..count).map(move |second| [first, second])).collect()
}

/// Returns the name of a pair's probe, by the numbers that the kernel gives its processors.
#[must_use]
pub fn name([first, second]: Pair) -> String {
    let number = |index: usize| pinning::processors().get(index).copied().unwrap_or(index);
    format!("{NAME} {}-{}", number(first), number(second))
}

/// Returns the probes of pairs.
#[must_use]
pub fn probes(pairs: &[Pair], budget: Duration) -> Vec<Probe<'static>> {
    let every = u32::try_from(pairs.len().div_ceil(PAIRS_A_ROUND)).unwrap_or(u32::MAX);
    let budget = budget.min(LONGEST_SAMPLE);
    let probe = |&pair: &Pair| {
        let subject = Subject::new(name(pair)).every(every.max(1));
        Probe::new(subject, move || ping_pong::sample(Channel::Line, pair, budget))
    };
    pairs.iter().map(probe).collect()
}

/// A matrix of nanoseconds one way, by row and column in the order of `processors`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Matrix {
    /// ● The processors, of rows and of columns.
    pub processors: Vec<usize>,
    /// ● One way of a cache line, the median over the rounds; null on the diagonal, and where a pair could not be
    /// sampled.
    pub ns: Vec<Vec<Option<f64>>>,
}

impl Matrix {
    /// Lays out the series of pairs among `processors`, which are numbers of processors in the order of their indices.
    #[must_use]
    pub fn of(processors: &[usize], series: &[(Pair, Series)]) -> Self {
        let mut ns = vec![vec![None; processors.len()]; processors.len()];
        for ([first, second], series) in series {
            let median = series.summary().map(|summary| Unit::Nanoseconds.round(summary.median));
            ns[*first][*second] = median;
            ns[*second][*first] = median;
        }
        Self { processors: processors.to_vec(), ns }
    }

    /// Lays it out as text.
    #[must_use]
    pub fn text(&self) -> String {
        let head = self.processors.iter().map(ToString::to_string);
        let mut rows = vec![std::iter::once("ns".to_owned()).chain(head).collect::<Vec<_>>()];
        for (processor, row) in self.processors.iter().zip(&self.ns) {
            let cells = row.iter().map(|ns| ns.map_or("-".to_owned(), |ns| format!("{ns:.0}")));
            rows.push(std::iter::once(processor.to_string()).chain(cells).collect());
        }
        columns(&vec![Flush::Right; self.processors.len() + 1], &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, Series, pairs};

    #[test]
    fn every_two_processors_meet_once() {
        assert_eq!(pairs(3), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(pairs(1), [[0_usize; 2]; 0]);
        assert_eq!(pairs(64).len(), 2016);
    }

    #[test]
    fn a_matrix_is_symmetric_with_nothing_on_its_diagonal() {
        let series = [
            ([0, 1], Series::of("a", [30.0, 40.0, 50.0])),
            ([0, 2], Series::failed("b", "gone".to_owned())),
            ([1, 2], Series::of("c", [90.0])),
        ];
        let matrix = Matrix::of(&[4, 6, 7], &series);
        let expected = [[None, Some(40.0), None], [Some(40.0), None, Some(90.0)], [None, Some(90.0), None]];
        assert_eq!(matrix.ns, expected);
        assert_eq!(matrix.processors, [4, 6, 7]);
        assert_eq!(matrix.text(), "ns   4   6   7\n 4   -  40   -\n 6  40   -  90\n 7   -  90   -\n");
    }
}
