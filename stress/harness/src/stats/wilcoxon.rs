//! The signed-rank test: do differences lie to one side of 0 further than chance puts them? Needs no normal distribution,
//! and one wild pair weighs no more than its rank. Knows differences only.

use statrs::distribution::{ContinuousCDF, Normal};

/// Most differences for which every assignment of signs is counted.
const MOST_EXACT: usize = 25;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// Differences that are not 0: those that the test is about.
    pub count: usize,
    /// Sum of the ranks of the differences above 0.
    pub above: f64,
    /// Sum of the ranks of the differences below 0.
    pub below: f64,
    /// Two-sided p-value: how often signs drawn by lot give rank sums as far apart, or further.
    pub p: f64,
}

/// Tests whether differences are symmetric about 0 (Wilcoxon, "Individual comparisons by ranking methods", 1945).
/// Differences of 0 are left out, equal ones share their mean rank. Up to 25 differences every assignment of signs is
/// counted, ties included; beyond, the normal approximation is used, with the correction for ties and for continuity
/// (Hollander and Wolfe, "Nonparametric Statistical Methods", section 3.1). Without differences, p is 1.
#[must_use]
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let mut ordered: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|difference| *difference != 0.0 && difference.is_finite())
        .collect();
    ordered.sort_unstable_by(|one, other| one.abs().total_cmp(&other.abs()));
    let count = ordered.len();
    // Twice the ranks: a mean of ranks is a whole number or a half.
    let mut doubled = vec![0_usize; count];
    let mut ties = 0.0;
    let mut from = 0;
    while from < count {
        let equal = ordered[from..].iter().take_while(|other| other.abs() == ordered[from].abs()).count();
        doubled[from..from + equal].fill(2 * from + equal + 1);
        ties += (equal as f64).powi(3) - equal as f64;
        from += equal;
    }
    let signed = doubled.iter().zip(&ordered);
    let above: usize = signed.filter(|(_, difference)| **difference > 0.0).map(|(rank, _)| rank).sum();
    let below = doubled.iter().sum::<usize>() - above;
    let p = match count {
        0 => 1.0,
        1..=MOST_EXACT => exact(&doubled, above.min(below)),
        _ => approximate(count as f64, above.min(below) as f64 / 2.0, ties),
    };
    SignedRank { count, above: above as f64 / 2.0, below: below as f64 / 2.0, p }
}

/// Returns the least p-value that `count` differences can have: that of all of them lying on one side.
#[must_use]
pub fn least_p(count: usize) -> f64 {
    let all: Vec<f64> = (1..=count).map(|rank| rank as f64).collect();
    signed_rank(&all).p
}

/// Counts the assignments of signs whose smaller rank sum is at most `least`; all in doubled ranks.
fn exact(doubled: &[usize], least: usize) -> f64 {
    let total: usize = doubled.iter().sum();
    // Ways to reach each sum with the ranks so far. 2^25 of them are exact in a float.
    let mut ways = vec![0.0_f64; total + 1];
    ways[0] = 1.0;
    for &rank in doubled {
        for sum in (rank..=total).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let low: f64 = ways[..=least].iter().sum();
    (2.0 * low / 2.0_f64.powi(doubled.len() as i32)).min(1.0)
}

fn approximate(count: f64, least: f64, ties: f64) -> f64 {
    let mean = count * (count + 1.0) / 4.0;
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - ties / 48.0;
    let z = ((mean - least - 0.5) / variance.sqrt()).max(0.0);
    (2.0 * Normal::standard().sf(z)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::{MOST_EXACT, approximate, exact, least_p, signed_rank};

    /// Hollander and Wolfe (1973), page 29: Hamilton's depression scale of nine patients before and after. The example of
    /// R's `wilcox.test`: V = 40, and a one-sided p of 0.01953.
    #[test]
    #[allow(clippy::approx_constant)] // It is none.
    fn the_depression_scale_example_comes_out() {
        let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = first.iter().zip(second).map(|(x, y)| x - y).collect();
        let found = signed_rank(&differences);
        assert_eq!((found.count, found.above, found.below), (9, 40.0, 5.0));
        assert!((found.p - 0.039_062_5).abs() < 1e-12, "{found:?}");
    }

    /// Darwin's maize, cross- against self-fertilised, in eighths of an inch: the example of SciPy's `wilcoxon`, which has
    /// the statistic 24 and p = 0.041259765625.
    #[test]
    fn darwins_maize_comes_out() {
        let found = signed_rank(&[
            6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0,
        ]);
        assert_eq!((found.above, found.below), (96.0, 24.0));
        assert!((found.p - 0.041_259_765_625).abs() < 1e-15, "{found:?}");
    }

    /// The blood pressures of Wikipedia, "Wilcoxon signed-rank test": W is 27 - 18 = 9, with one tie and one pair of equals.
    /// Of the 512 assignments of signs, 324 put the rank sums as far apart or further.
    #[test]
    fn ties_share_their_mean_rank() {
        let second = [125.0, 115.0, 130.0, 140.0, 140.0, 115.0, 140.0, 125.0, 140.0, 135.0];
        let first = [110.0, 122.0, 125.0, 120.0, 140.0, 124.0, 123.0, 137.0, 135.0, 145.0];
        let differences: Vec<f64> = second.iter().zip(first).map(|(x, y)| x - y).collect();
        let found = signed_rank(&differences);
        assert_eq!((found.count, found.above, found.below), (9, 27.0, 18.0));
        assert!((found.p - 324.0 / 512.0).abs() < 1e-12, "{found:?}");
    }

    /// SciPy 1.17.1, `wilcoxon(d, correction=True, method="asymptotic")`: the statistic 204.5, p = 0.016082671402970074.
    #[test]
    fn many_ties_among_many_differences_come_out_as_scipy_has_them() {
        let found = signed_rank(&[
            4.0, -2.0, 7.0, 1.0, -5.0, 4.0, -2.0, 8.0, 2.0, -4.0, 5.0, -1.0, 8.0, 2.0, -4.0, 5.0, -1.0, 8.0,
            2.0, -4.0, 6.0, 9.0, 3.0, -3.0, 6.0, 10.0, 4.0, -2.0, 7.0, 1.0, -5.0, 4.0, -2.0, 7.0, 1.0, -5.0,
            4.0, -2.0,
        ]);
        assert_eq!(found.above.min(found.below), 204.5);
        assert!((found.p - 0.016_082_671_402_970_074).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn the_approximation_is_near_the_count_where_both_can_be_had() {
        let doubled: Vec<usize> = (1..=MOST_EXACT).map(|rank| 2 * rank).collect();
        for least in [100, 115, 130, 150] {
            let counted = exact(&doubled, 2 * least);
            let approximated = approximate(MOST_EXACT as f64, least as f64, 0.0);
            assert!((counted - approximated).abs() < 0.04 * counted, "{counted} {approximated}");
        }
    }

    #[test]
    fn few_pairs_cannot_be_significant_and_no_difference_is_none() {
        assert_eq!(least_p(4), 0.125);
        assert_eq!(least_p(9), 2.0 / 512.0);
        assert_eq!(signed_rank(&[0.0, 0.0, f64::NAN]).p, 1.0);
        assert_eq!(signed_rank(&[1.0, -1.0]).p, 1.0);
    }
}
