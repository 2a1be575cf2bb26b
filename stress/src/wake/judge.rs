//! Judges a ratio by its target. Pure.

use splinter_harness::stats::Middle;
use splinter_harness::stats::paired::{Bound, Judgement};

/// Judges a ratio by its target, if it has one.
fn judge(ratio: Option<Middle>, target: Option<f64>) -> Option<Judgement> {
    ratio.zip(target).map(|(ratio, target)| Bound::AtMost.judge(ratio.median, Some(ratio), target))
}

/// Tells whether most rounds were faster than the limit allows, so that their ratio says nothing.
fn is_too_fast(ratio: Option<Middle>) -> bool {
    ratio.is_some_and(|ratio| Bound::AtMost.is_beyond_limit(ratio.q3))
}

/// Tells whether a target is met; `None` where that is unknown.
#[must_use]
pub(crate) fn is_met(ratio: Option<Middle>, target: Option<f64>) -> Option<bool> {
    judge(ratio, target).filter(|_| !is_too_fast(ratio)).map(|judged| judged.met)
}

/// Returns the judgement on a ratio and its target, in words.
#[must_use]
pub(crate) fn judgement(ratio: Option<Middle>, target: Option<f64>) -> &'static str {
    match judge(ratio, target) {
        None => "",
        Some(_) if is_too_fast(ratio) => "inconclusive: faster than its limit",
        Some(judged) => judged.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_missed_unless_the_ratio_cannot_be() {
        let judge = |[q1, median, q3]: [f64; 3], target| {
            let ratio = Some(Middle { q1, median, q3 });
            (judgement(ratio, target), is_met(ratio, target))
        };
        assert_eq!(judge([1.0, 1.1, 1.14], Some(1.15)), ("met", Some(true)));
        assert_eq!(judge([1.0, 1.2, 1.3], Some(1.15)), ("missed, closely", Some(false)));
        assert_eq!(judge([0.93, 0.96, 1.01], Some(1.15)), ("met", Some(true)));
        let too_fast = ("inconclusive: faster than its limit", None);
        assert_eq!(judge([0.4, 0.5, 0.6], Some(1.15)), too_fast);
        assert_eq!(judge([1.0, 1.0, 1.0], None), ("", None));
        assert_eq!((judgement(None, Some(1.15)), is_met(None, Some(1.15))), ("", None));
    }
}
