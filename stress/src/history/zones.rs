//! Zones (Gibbons and Korach, 1997): the time that a life must cover, or of which it needs one moment; and whether all lives
//! find theirs. This module knows times only.

/// A moment, and the operation that it comes from, if any.
pub(super) type Bound = (u64, Option<u32>);

/// A life that begins at `begin` at the latest and ends at `end` at the earliest. If `begin` is before `end`, the zone is
/// forward, and the life covers it; otherwise it is backward, and the life may be at any one moment from `end` to `begin`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    pub(super) begin: Bound,
    pub(super) end: Bound,
}

impl Zone {
    fn is_forward(&self) -> bool {
        self.begin.0 < self.end.0
    }
}

/// Calls `each` for pairs of zones that exclude each other, at least for one pair if there is any.
pub(super) fn conflicts(zones: &[Zone], mut each: impl FnMut(&Zone, &Zone)) {
    let mut forward: Vec<&Zone> = zones.iter().filter(|zone| zone.is_forward()).collect();
    forward.sort_unstable_by_key(|zone| zone.begin.0);
    let mut apart = true;
    let Some((first, rest)) = forward.split_first() else {
        return;
    };
    let mut longest = first;
    for zone in rest {
        if zone.begin.0 < longest.end.0 {
            apart = false;
            each(longest, zone);
        }
        if zone.end.0 > longest.end.0 {
            longest = zone;
        }
    }
    if !apart {
        return;
    }
    for zone in zones.iter().filter(|zone| !zone.is_forward()) {
        let before = forward.partition_point(|other| other.begin.0 < zone.end.0);
        if let Some(zone_before) = before.checked_sub(1).map(|at| forward[at])
            && zone_before.end.0 > zone.begin.0
        {
            each(zone_before, zone);
        }
    }
}
