//! Whether goodput has become steady, from a series of looks at it. Pure. Two things must agree, each of which alone is
//! fooled by noise: the least-squares line through the last looks hardly rises or falls, and the older half of them has
//! about the same middle value as the newer one.

use serde::{Deserialize, Serialize};
use splinter_harness::stats::median;

/// Looks that are judged, the last of all; none is steady before there are so many.
pub(crate) const LOOKS: usize = 8;
/// Share of the mean by which the line may change over the looks, and by which the halves may differ.
const TREND: f64 = 0.05;
const HALVES: f64 = 0.05;

/// What the last looks are like.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Steadiness {
    /// Samples of goodput, one per 50 ms.
    pub looks: usize,
    /// Judgement of the last eight samples; null with fewer, or without successes.
    pub trend: f64,
    pub halves: f64,
    pub steady: bool,
}

/// Judges goodput at looks of equal distance, the last ones of all that there were; none while there are too few, or
/// while nothing is done.
#[must_use]
pub(crate) fn judge(looks: &[f64]) -> Option<Steadiness> {
    let last = &looks[looks.len().checked_sub(LOOKS)?..];
    let mean = last.iter().sum::<f64>() / LOOKS as f64;
    let (older, newer) = last.split_at(LOOKS / 2);
    let (older, newer) = (median(&mut older.to_vec()), median(&mut newer.to_vec()));
    if mean <= 0.0 || older <= 0.0 {
        return None;
    }
    let middle = (LOOKS as f64 - 1.0) / 2.0;
    let rise: f64 = (0..).zip(last).map(|(at, look)| (f64::from(at) - middle) * (look - mean)).sum();
    let run: f64 = (0..LOOKS).map(|at| (at as f64 - middle).powi(2)).sum();
    let trend = rise / run * (LOOKS as f64 - 1.0) / mean;
    let halves = (newer - older) / older;
    Some(Steadiness {
        looks: looks.len(),
        trend,
        halves,
        steady: trend.abs() < TREND && halves.abs() < HALVES,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::rng::Rng;

    /// Tells at which look, from 1, a series is first called steady.
    fn steady_at(series: &[f64]) -> Option<usize> {
        (1..=series.len()).find(|&end| judge(&series[..end]).is_some_and(|found| found.steady))
    }

    fn series(count: u32, at: impl FnMut(f64) -> f64) -> Vec<f64> {
        (0..count).map(f64::from).map(at).collect()
    }

    #[test]
    fn flat_is_steady_as_soon_as_there_are_looks_enough() {
        assert_eq!(steady_at(&series(20, |_| 100.0)), Some(LOOKS));
        let zigzag = series(20, |at| if at % 2.0 == 0.0 { 104.0 } else { 96.0 });
        assert_eq!(steady_at(&zigzag), Some(LOOKS));
    }

    #[test]
    fn what_rises_or_falls_is_not() {
        assert_eq!(steady_at(&series(20, |at| 100.0 + 3.0 * at)), None);
        assert_eq!(steady_at(&series(20, |at| 100.0 - 2.0 * at)), None);
    }

    #[test]
    fn a_warm_up_is_steady_once_it_has_levelled_off() {
        let warming = series(60, |at| 100.0 * (1.0 - (-at / 6.0).exp()));
        let at = steady_at(&warming).unwrap();
        let (first, now) = (warming[at - LOOKS], warming[at - 1]);
        assert!(first > 0.93 * now, "{first} to {now} within the looks");
        assert!(now > 97.0, "{now} of 100 after {at} looks");
    }

    #[test]
    fn a_step_within_the_looks_is_seen_by_either() {
        let mut stepped = vec![100.0; 4];
        stepped.extend([120.0; 4]);
        let found = judge(&stepped).unwrap();
        assert!(!found.steady && found.halves > 0.19 && found.trend > 0.1, "{found:?}");
        stepped.extend([120.0; 4]);
        assert!(judge(&stepped).unwrap().steady, "only the last looks count");
    }

    #[test]
    fn a_hump_has_no_trend_but_no_two_equal_halves_either() {
        // The line through it is flat; the middles are not.
        let hump = [100.0, 100.0, 100.0, 100.0, 110.0, 110.0, 110.0, 87.0];
        let found = judge(&hump).unwrap();
        assert!(found.trend.abs() < TREND && !found.steady, "{found:?}");
        // And the other way round: equal middles, but a line that rises.
        let rising = [60.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 140.0];
        let found = judge(&rising).unwrap();
        assert!(found.halves.abs() < HALVES && !found.steady, "{found:?}");
    }

    #[test]
    fn one_stalled_look_in_the_middle_does_not_matter() {
        let mut stalled = vec![100.0; LOOKS];
        stalled[4] = 60.0;
        assert!(judge(&stalled).unwrap().steady, "{:?}", judge(&stalled));
    }

    #[test]
    fn a_steady_rise_hidden_in_noise_is_rarely_taken_for_steady() {
        let mut rng = Rng::new(3, 1);
        let mut fooled = 0;
        for _ in 0..1_000 {
            // 3 % a look, with noise of 4 % either way.
            let noisy = series(8, |at| (100.0 + 3.0 * at) * (0.96 + 0.08 * rng.unit()));
            fooled += u32::from(judge(&noisy).unwrap().steady);
        }
        assert!(fooled < 5, "{fooled} of 1000");
    }

    #[test]
    fn nothing_done_and_too_few_looks_tell_nothing() {
        assert_eq!(judge(&[]), None);
        assert_eq!(judge(&[100.0; LOOKS - 1]), None);
        assert_eq!(judge(&[0.0; LOOKS]), None);
    }
}
