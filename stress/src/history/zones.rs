//! Stretches of time that something must cover, and choices of moments of which something needs one: whether all find
//! their place. Knows times only.

/// A moment, and the operation that it comes from, if any.
pub(super) type Bound = (u64, Option<u32>);

/// Something that begins at `begin` at the latest and ends at `end` at the earliest. If `begin` is before `end`
/// that is a stretch that it covers; otherwise it may be at any one moment from `end` to `begin`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zone {
    pub(super) begin: Bound,
    pub(super) end: Bound,
}

impl Zone {
    fn is_stretch(&self) -> bool {
        self.begin.0 < self.end.0
    }
}

/// Shows every pair of which one cannot be while the other is, at least one if there is any.
pub(super) fn conflicts(zones: &[Zone], mut each: impl FnMut(&Zone, &Zone)) {
    let mut stretches: Vec<&Zone> = zones.iter().filter(|zone| zone.is_stretch()).collect();
    stretches.sort_unstable_by_key(|zone| zone.begin.0);
    let mut apart = true;
    let Some((first, rest)) = stretches.split_first() else {
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
    for zone in zones.iter().filter(|zone| !zone.is_stretch()) {
        let before = stretches.partition_point(|stretch| stretch.begin.0 < zone.end.0);
        if let Some(stretch) = before.checked_sub(1).map(|at| stretches[at])
            && stretch.end.0 > zone.begin.0
        {
            each(stretch, zone);
        }
    }
}
