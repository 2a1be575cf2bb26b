//! The minimum detectable effect: what a design could have seen. A comparison that found nothing says something only if it
//! would have found what matters. Knows standard errors only.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Returns the smallest effect that a paired design finds with probability `power` in a two-sided test of level `alpha`: the
/// quantiles of both, of Student's distribution with one degree of freedom less than there are pairs, times the
/// standard error of the effect. In units of that error; infinite with fewer than two pairs.
#[must_use]
pub fn minimum_detectable_effect(standard_error: f64, pairs: usize, alpha: f64, power: f64) -> f64 {
    let distribution = match pairs {
        0 | 1 => return f64::INFINITY,
        _ => StudentsT::new(0.0, 1.0, (pairs - 1) as f64),
    };
    let Ok(distribution) = distribution else {
        return f64::INFINITY;
    };
    let quantiles = distribution.inverse_cdf(1.0 - alpha / 2.0) + distribution.inverse_cdf(power);
    quantiles * standard_error
}

#[cfg(test)]
mod tests {
    use super::minimum_detectable_effect;

    /// The paired t test of G*Power 3 (Faul, Erdfelder, Lang and Buchner, 2007) at 0.05, two-sided, and a power of 0.8: Cohen's
    /// small, medium and large effect take 199, 34 and 15 pairs; one pair fewer is too few.
    #[test]
    fn cohens_effects_take_the_published_numbers_of_pairs() {
        for (effect, pairs) in [(0.2, 199_usize), (0.5, 34), (0.8, 15)] {
            let least =
                |pairs: usize| minimum_detectable_effect(1.0 / (pairs as f64).sqrt(), pairs, 0.05, 0.8);
            assert!(least(pairs) <= effect, "{pairs}: {}", least(pairs));
            assert!(least(pairs - 1) > effect, "{}: {}", pairs - 1, least(pairs - 1));
        }
    }

    #[test]
    fn one_pair_detects_nothing() {
        assert!(minimum_detectable_effect(0.1, 1, 0.05, 0.8).is_infinite());
    }
}
