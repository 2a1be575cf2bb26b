//! Order statistics of lists of samples, for both programs. Pure; knows nothing of what the samples are.

/// Returns samples in order. Those that are not finite are left out.
#[must_use]
pub fn sorted(samples: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let finite = samples.into_iter().filter(|sample| sample.is_finite());
    let mut sorted: Vec<f64> = finite.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Returns the median of samples, which are put in order; `NAN` when there are none.
#[must_use]
pub fn median(samples: &mut [f64]) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    samples.sort_unstable_by(f64::total_cmp);
    quantile(samples, 0.5)
}

/// Returns a quantile of sorted samples, linear between neighbours (type 7 of Hyndman and Fan, 1996).
///
/// # Panics
/// When there are no samples.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The NIST/SEMATECH e-Handbook of Statistical Methods, section 7.2.6.2, has these twelve measurements. The
    /// rank of type 7 is 1 + 0.9 (12 - 1) = 10.9.
    #[test]
    fn a_quantile_lies_between_its_neighbours_as_the_handbook_says() {
        let mut gauges = [
            95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1772, 95.0925,
            95.1990, 95.1682,
        ];
        let middle = median(&mut gauges);
        assert!((quantile(&gauges, 0.9) - 95.195_68).abs() < 1e-9);
        assert!((middle - 95.163_65).abs() < 1e-9);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn nonsense_is_left_out() {
        let samples = [3.0, f64::NAN, 1.0, f64::INFINITY];
        assert_eq!(sorted(samples), [1.0, 3.0]);
    }
}
