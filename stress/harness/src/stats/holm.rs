//! Holm's step-down correction: of many tests, some come out small by chance. Knows p-values only.

/// Adjusts p-values, in their order: an adjusted one below a level rejects its hypothesis, and the chance that any true
/// hypothesis of the family is rejected stays below that level (Holm, "A simple sequentially rejective multiple test
/// procedure", 1979).
#[must_use]
pub fn adjust(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&one, &other| p_values[one].total_cmp(&p_values[other]));
    let mut adjusted = vec![1.0; count];
    let mut least = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        // Never below the one before: what is rejected later cannot be surer.
        least = least.max(p_values[at] * (count - rank) as f64).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::adjust;

    fn near(found: &[f64], wanted: &[f64]) -> bool {
        found.len() == wanted.len()
            && found.iter().zip(wanted).all(|(one, other)| (one - other).abs() < 1e-12)
    }

    /// The worked example of Wikipedia, "Holm-Bonferroni method": at 0.05, the first and the fourth are rejected.
    #[test]
    fn the_published_example_comes_out() {
        let adjusted = adjust(&[0.01, 0.04, 0.03, 0.005]);
        assert!(near(&adjusted, &[0.03, 0.06, 0.06, 0.02]), "{adjusted:?}");
    }

    #[test]
    fn one_test_needs_no_correction_and_none_goes_beyond_one() {
        assert!(near(&adjust(&[0.04]), &[0.04]));
        assert!(near(&adjust(&[0.7, 0.6]), &[1.0, 1.0]));
        assert!(adjust(&[]).is_empty());
    }
}
