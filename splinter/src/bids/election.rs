//! Elects the sovereign bid. It is pure: the caller passes the bids and the time.

use super::terms::{Bid, BidTerms};
use std::cmp::Reverse;

/// The content of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) id: u32,
    pub(super) pid: u32,
    pub(super) claimed_at: u64,
    pub(super) terms: BidTerms,
}

impl Offer {
    /// Tells whether the bid has expired at `now`.
    pub(super) fn has_expired(&self, now: u64) -> bool {
        match self.terms.duration {
            // A separate case: the clock of another processor may still be a tick behind.
            0 => true,
            u64::MAX => false,
            duration => self.claimed_at.saturating_add(duration) <= now,
        }
    }

    /// Returns the ticks from `now` until the bid expires, if it ever does.
    pub(super) fn ticks_left(&self, now: u64) -> Option<u64> {
        let end = self.claimed_at.saturating_add(self.terms.duration);
        (self.terms.duration != u64::MAX).then(|| end.saturating_sub(now))
    }

    /// Returns the bid as the public API shows it.
    pub(super) fn show(&self, now: u64, sovereign: bool) -> Bid {
        let Self { id, pid, claimed_at, terms: BidTerms { intent, priority, duration } } = *self;
        let expired = self.has_expired(now);
        Bid { id, pid, intent, priority, claimed_at, duration, expired, sovereign }
    }
}

/// Elects one of `offers`, which are all of live owners, and returns its index.
///
/// Expired bids are out, and bids that give up memory are out if any bid needs it. Then the highest priority wins, then
/// the earliest bid, then the lowest process, and last the lowest id, so that all processes agree.
pub(super) fn elect(offers: &[Offer], now: u64) -> Option<usize> {
    let valid = |index: &usize| !offers[*index].has_expired(now);
    let intent = |index: usize| offers[index].terms.intent;
    let is_needed = (0..offers.len()).filter(valid).any(|index| intent(index).needs_memory());
    (0..offers.len())
        .filter(valid)
        .filter(|index| !(is_needed && intent(*index) == super::Intent::DontNeed))
        .min_by_key(|index| {
            let Offer { id, pid, claimed_at, terms } = offers[*index];
            (Reverse(terms.priority), claimed_at, pid, id)
        })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::bids::Intent::{self, DontNeed, Random, Sequential, WillNeed};

    const NOW: u64 = 1000;

    fn offer(id: u32, intent: Intent, priority: u8) -> Offer {
        let terms = BidTerms { intent, priority, duration: u64::MAX };
        Offer { id, pid: 10, claimed_at: 100, terms }
    }

    /// Returns the elected id, which must not depend on the order of the table.
    fn elected(offers: &[Offer]) -> Option<u32> {
        let elect_in = |first: usize| {
            let rotated: Vec<_> = [&offers[first..], &offers[..first]].concat();
            elect(&rotated, NOW).map(|index| rotated[index].id)
        };
        let elected = elect_in(0);
        assert!((1..offers.len()).all(|first| elect_in(first) == elected));
        elected
    }

    #[test]
    fn without_bids_none_is_elected() {
        assert_eq!(elected(&[]), None);
    }

    #[test]
    fn the_highest_priority_is_elected() {
        let offers = [offer(1, Random, 3), offer(2, Random, 200), offer(3, WillNeed, 4)];
        assert_eq!(elected(&offers), Some(2));
    }

    #[test]
    fn among_equals_the_earliest_is_elected_and_then_the_lowest_process() {
        let late = Offer { claimed_at: 200, pid: 1, ..offer(1, Random, 3) };
        let [early, low] = [offer(2, Random, 3), Offer { pid: 9, ..offer(3, Random, 3) }];
        assert_eq!(elected(&[late, early]), Some(2));
        assert_eq!(elected(&[late, early, low]), Some(3));
        assert_eq!(elected(&[offer(8, Random, 3), offer(7, Random, 3)]), Some(7));
    }

    #[test]
    fn dontneed_never_beats_a_bid_that_needs_memory() {
        let careless = offer(1, DontNeed, 255);
        assert_eq!(elected(&[careless, offer(2, Random, 0)]), Some(1));
        for intent in [WillNeed, Sequential] {
            assert_eq!(elected(&[careless, offer(2, intent, 0)]), Some(2));
            // The bid that needs memory need not be the elected one.
            let needy = offer(2, intent, 0);
            assert_eq!(elected(&[careless, needy, offer(3, Random, 5)]), Some(3));
            let gone = Offer { terms: BidTerms { duration: 5, ..needy.terms }, ..needy };
            assert_eq!(elected(&[careless, gone]), Some(1), "an expired need is none");
        }
    }

    #[test]
    fn expired_bids_are_never_elected() {
        let lasting = |duration| {
            let offer = offer(1, Random, 9);
            Offer { terms: BidTerms { duration, ..offer.terms }, ..offer }
        };
        for (duration, elects) in [(0, false), (1, false), (900, false), (901, true)] {
            assert_eq!(elected(&[lasting(duration)]).is_some(), elects, "{duration}");
            assert_eq!(lasting(duration).ticks_left(NOW), Some(duration.saturating_sub(900)));
        }
        for duration in [u64::MAX - 1, u64::MAX] {
            let ages = Offer { claimed_at: u64::MAX - 1, ..lasting(duration) };
            assert_eq!(elected(&[ages]), Some(1), "no sum overflows");
        }
        let ahead = Offer { claimed_at: NOW + 5, ..lasting(0) };
        assert_eq!(elected(&[ahead]), None);
    }
}
