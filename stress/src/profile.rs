//! Profiles of the store as workloads have them: one over the other, and back. Knows both, and no machine. Applies a
//! run's tuning to the process, and restores what was there.

use crate::options::{Huge, Memory};
use crate::workload::Workload;
use splinter::{HugePages, Placement, Profile, Tuning};
use std::time::Duration;

/// The names that section `workers` of a profile may have.
const PIN: &str = "pin";
const PIN_READERS: &str = "pin_readers";
const PER_LANE: &str = "per_writer";

/// Applies the tuning of a workload to this process; when dropped, restores the one before.
#[derive(Debug)]
pub(crate) struct AppliedTuning(Tuning);

impl AppliedTuning {
    /// Applies a workload's tuning.
    ///
    /// # Errors
    /// What is out of bounds.
    pub(crate) fn apply(workload: &Workload) -> Result<Self, String> {
        let before = Tuning::current();
        let tuning = workload.tuning(before);
        tuning.apply().map_err(|error| error.to_string())?;
        Ok(Self(before))
    }
}

impl Drop for AppliedTuning {
    fn drop(&mut self) {
        // It was applied before, so it is within bounds.
        let _ = self.0.apply();
    }
}

impl Workload {
    /// Returns the tuning of a run: what the workload says, and for the rest the current values.
    #[must_use]
    pub fn tuning(&self, current: Tuning) -> Tuning {
        Tuning {
            claim_patience: self.claim_patience.unwrap_or(current.claim_patience),
            back_off_pauses: self.back_off_pauses.unwrap_or(current.back_off_pauses),
            spin: self.spin_ns.map_or(current.spin, Duration::from_nanos),
            prefetch_depth: self.prefetch_depth.unwrap_or(current.prefetch_depth),
        }
    }

    /// Returns the workload as a profile has it, but for the number of slots: see [`Self::roomier`].
    ///
    /// # Errors
    /// One line that says what no workload can have.
    pub fn under(mut self, profile: &Profile) -> Result<Self, String> {
        match &profile.placement {
            None => {}
            Some(Placement::Local) => self.memory = Memory::Local,
            Some(Placement::Bind(node)) => self.memory = Memory::Node(*node),
            Some(Placement::Interleave(_)) => self.memory = Memory::Interleave,
        }
        for (name, text) in &profile.workers {
            match (name.as_str(), text.as_str()) {
                (PIN | PIN_READERS, _) => self = self.with_field(name, text)?,
                (PER_LANE, "yes") => self.memory = Memory::PerWriter,
                (PER_LANE, "no") => {}
                (PER_LANE, _) => {
                    return Err(format!("'{text}' is not yes or no, as {PER_LANE} is"));
                }
                _ => {
                    return Err(format!(
                        "there is no '{name}' in the section 'workers' of a profile: it has {PIN}, {PIN_READERS} and {PER_LANE}"
                    ));
                }
            }
        }
        let Tuning { claim_patience, back_off_pauses, spin, prefetch_depth } = profile.tuning;
        Ok(Self {
            scrub: profile.scrub.unwrap_or(self.scrub),
            huge_pages: profile.huge_pages.map_or(self.huge_pages, Huge::from),
            claim_patience: Some(claim_patience),
            back_off_pauses: Some(back_off_pauses),
            spin_ns: Some(u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX)),
            prefetch_depth: Some(prefetch_depth),
            ..self
        })
    }

    /// Returns the workload with so many times as many slots as its keys need. A number of slots that it states stays.
    #[must_use]
    pub fn roomier(self, factor: u64) -> Self {
        if factor == 1 || self.slots.is_some() {
            return self;
        }
        Self { slots: Some(self.geometry().slots.saturating_mul(factor)), ..self }
    }

    /// Returns a profile that has a workload run as this one, on a store with so many times as many slots as there would
    /// be otherwise.
    #[must_use]
    pub fn profile(&self, slot_factor: u64) -> Profile {
        let mut workers = vec![(PIN.to_owned(), self.pin.to_string())];
        workers.extend(self.pin_readers.iter().map(|pin| (PIN_READERS.to_owned(), pin.to_string())));
        if self.memory == Memory::PerWriter {
            workers.push((PER_LANE.to_owned(), "yes".to_owned()));
        }
        Profile {
            tuning: self.tuning(Tuning::default()),
            scrub: Some(self.scrub),
            huge_pages: Some(self.huge_pages.into()),
            placement: Some(match self.memory {
                Memory::Local | Memory::PerWriter => Placement::Local,
                Memory::Node(node) => Placement::Bind(node),
                Memory::Interleave => Placement::Interleave(Vec::new()),
            }),
            slot_factor,
            workers: workers.into_iter().collect(),
        }
    }
}

impl From<HugePages> for Huge {
    fn from(huge: HugePages) -> Self {
        match huge {
            HugePages::Off => Self::Off,
            HugePages::Advise => Self::Advise,
            HugePages::Collapse => Self::Collapse,
            HugePages::Hugetlb => Self::Hugetlb,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Pin;
    use splinter::Scrub;

    #[test]
    fn a_profile_of_a_workload_has_another_run_like_it() {
        let tuned = Workload {
            pin: "0-1".parse().unwrap(),
            pin_readers: Some(Pin::None),
            memory: Memory::PerWriter,
            scrub: Scrub::None,
            huge_pages: Huge::Advise,
            claim_patience: Some(0),
            back_off_pauses: Some(5),
            spin_ns: Some(77),
            prefetch_depth: Some(8),
            ..Workload::default()
        };
        let text = tuned.profile(2).to_string();
        let profile: Profile = text.parse().unwrap();
        let again = Workload::default().under(&profile).unwrap();
        assert_eq!(again, tuned, "{text}");
        let slots = again.geometry().slots;
        assert_eq!(again.clone().roomier(profile.slot_factor).geometry().slots, 2 * slots);
        let stated = Workload { slots: Some(9000), ..again };
        assert_eq!(stated.roomier(profile.slot_factor).slots, Some(9000));
    }

    #[test]
    fn a_profile_that_says_nothing_changes_nothing_but_names_the_tuning() {
        let base = Workload::default();
        let under = base.clone().under(&Profile::default()).unwrap();
        assert_eq!(under.tuning(Tuning::default()), Tuning::default());
        let (claim_patience, back_off_pauses) = (None, None);
        let (spin_ns, prefetch_depth) = (None, None);
        let untuned = Workload { claim_patience, back_off_pauses, spin_ns, prefetch_depth, ..under };
        assert_eq!(untuned, base);
        assert_eq!(base.clone().roomier(1), base);
    }

    #[test]
    fn words_that_no_worker_knows_are_refused() {
        for (text, word) in [
            ("[workers]\npins = \"none\"", "'pins'"),
            ("[workers]\npin = \"tight\"", "'tight'"),
            ("[workers]\nper_writer = \"maybe\"", "'maybe'"),
        ] {
            let profile: Profile = text.parse().unwrap();
            let error = Workload::default().under(&profile).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
    }

    /// The library reads it without a parser of TOML; others may have one.
    #[test]
    fn a_profile_is_toml() {
        let text = Workload::default().profile(1).to_string();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["workers"]["pin"].as_str(), Some("scatter"));
        assert_eq!(table["process"]["spin_ns"].as_integer(), Some(10_000));
    }
}
