//! Profiles: what suits a machine and a load, as a file that `splinter-perf tune` writes and anybody may edit. The form is
//! as much of TOML as is needed: sections, and lines of `name = value`, where a value is a whole number or a text in quotes.
//! This knows what is in a profile and how it is read, but nothing of how a good one is found.

use crate::arena::Scrub;
use crate::error::StoreError;
use crate::kernel::{HugePages, PerProcess, Placement};
use crate::settings::Config;
use crate::tuning::Tuning;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

/// Names a profile's file for every process that opens a store.
const VARIABLE: &str = "SPLINTER_PROFILE";
/// Far more than any profile has.
const MOST_BYTES: u64 = 64 << 10;

/// Settings for a machine and a load. A setting that is absent keeps its default.
///
/// A process whose environment has `SPLINTER_PROFILE=FILE` takes its [`Tuning`] from that file when it first opens a
/// store; if that fails, [`Store::notes`](crate::Store::notes) says why, and the built-in settings stay. The
/// rest is for the creator of a store, by [`Self::over`].
///
/// ```
/// use splinter::{Config, Geometry, HugePages, Profile};
///
/// let profile: Profile = "[process]\nspin_ns = 50000\n[store]\nhuge_pages = \"advise\"\n".parse()?;
/// assert_eq!(profile.tuning.spin.as_micros(), 50);
/// let config = profile.over(Config { geometry: Geometry { slots: 100, ..Geometry::default() }, ..Config::default() });
/// assert_eq!((config.huge_pages, config.geometry.slots), (HugePages::Advise, 100));
/// # Ok::<(), splinter::StoreError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Tuning of a process: section `process`, with the names of [`Tuning`]'s fields, and `spin_ns`.
    pub tuning: Tuning,
    /// The scrub level of new stores: `scrub` of section `store`.
    pub scrub: Option<Scrub>,
    /// How new stores ask for huge pages: `huge_pages`.
    pub huge_pages: Option<HugePages>,
    /// Which nodes' memory new stores take: `memory`, which is `"local"`, `"node:N"` or `"interleave"`.
    pub placement: Option<Placement>,
    /// How many times as many slots new stores have as are asked for: `slot_factor`.
    pub slot_factor: u64,
    /// Where workers run, in the words of the tools: section `workers`, which is nothing to the library.
    pub workers: BTreeMap<String, String>,
}

impl Default for Profile {
    /// Has no settings.
    fn default() -> Self {
        Self {
            tuning: Tuning::default(),
            scrub: None,
            huge_pages: None,
            placement: None,
            slot_factor: 1,
            workers: BTreeMap::new(),
        }
    }
}

impl Profile {
    /// Reads a profile from a file.
    ///
    /// # Errors
    /// [`StoreError::Tuning`] with the line that is wrong, or the kernel's refusal.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let subject = path.display().to_string();
        let refused = |error| StoreError::os("read the profile", subject.clone(), error);
        let meta = std::fs::metadata(path).map_err(refused)?;
        if !meta.is_file() || meta.len() > MOST_BYTES {
            let why = format!("{subject} is not a profile, which is a file of at most {MOST_BYTES} bytes");
            return Err(StoreError::Tuning(why));
        }
        let text = std::fs::read_to_string(path).map_err(refused)?;
        // Editors put a byte-order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        text.parse().map_err(|error| match error {
            StoreError::Tuning(why) => StoreError::Tuning(format!("{subject}, {why}")),
            other => other,
        })
    }

    /// Returns `config` with the profile's settings, and `slot_factor` times its slots.
    #[must_use]
    pub fn over(&self, config: Config) -> Config {
        let mut geometry = config.geometry;
        geometry.slots = geometry.slots.saturating_mul(self.slot_factor);
        Config {
            geometry,
            scrub: self.scrub.unwrap_or(config.scrub),
            huge_pages: self.huge_pages.unwrap_or(config.huge_pages),
            placement: self.placement.clone().unwrap_or(config.placement),
            ..config
        }
    }

    /// Sets what one line says. Returns what is wrong with it.
    fn set(&mut self, section: &str, name: &str, value: &str) -> Result<(), String> {
        let tuning = &mut self.tuning;
        match (section, name) {
            ("process", "claim_patience") => tuning.claim_patience = number(value)?,
            ("process", "back_off_pauses") => tuning.back_off_pauses = number(value)?,
            ("process", "spin_ns") => tuning.spin = Duration::from_nanos(number(value)?),
            ("process", "prefetch_depth") => tuning.prefetch_depth = number(value)?,
            ("store", "scrub") => {
                self.scrub = Some(text(value)?.parse().map_err(|why| format!("{why}"))?);
            }
            ("store", "huge_pages") => {
                let all = [HugePages::Off, HugePages::Advise, HugePages::Collapse, HugePages::Hugetlb];
                let wanted = text(value)?;
                let found = all.into_iter().find(|how| how.to_string() == wanted);
                let known = "off, advise, collapse or hugetlb";
                self.huge_pages = Some(found.ok_or_else(|| format!("\"{wanted}\" is not one of {known}"))?);
            }
            ("store", "memory") => {
                let wanted = text(value)?;
                let node = wanted.strip_prefix("node:").and_then(|node| node.parse().ok());
                self.placement = Some(match (wanted, node) {
                    ("local", _) => Placement::Local,
                    ("interleave", _) => Placement::Interleave(Vec::new()),
                    (_, Some(node)) => Placement::Bind(node),
                    _ => {
                        return Err(format!("\"{wanted}\" is not one of local, node:N or interleave"));
                    }
                });
            }
            ("store", "slot_factor") => match number(value)? {
                0 => return Err("a store has slots: give slot_factor 1 or more".to_owned()),
                factor => self.slot_factor = factor,
            },
            ("workers", _) => {
                self.workers.insert(name.to_owned(), text(value)?.to_owned());
            }
            ("process" | "store", _) => {
                return Err(format!("there is no '{name}' in the section '{section}'"));
            }
            _ => return Err(format!("'{name}' is in no section of process, store and workers")),
        }
        Ok(())
    }
}

impl FromStr for Profile {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let mut profile = Self::default();
        let mut section = String::new();
        let mut seen = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |why: String| StoreError::Tuning(format!("line {number}: {why}"));
            let line = without_comment(line).trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.trim().clone_into(&mut section);
                if !["process", "store", "workers"].contains(&section.as_str()) {
                    let why = "the sections are process, store and workers";
                    return Err(wrong(format!("there is no section '{section}': {why}")));
                }
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err(wrong(format!("'{line}' is neither [section] nor name = value")));
            };
            let name = name.trim();
            let place = (section.clone(), name.to_owned());
            if seen.contains(&place) {
                return Err(wrong(format!("'{name}' is there twice")));
            }
            seen.push(place);
            profile.set(&section, name, value.trim()).map_err(wrong)?;
            profile.tuning.out_of_bounds().map_or(Ok(()), Err).map_err(wrong)?;
        }
        Ok(profile)
    }
}

impl fmt::Display for Profile {
    /// Writes what a file holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tuning { claim_patience, back_off_pauses, spin, prefetch_depth } = self.tuning;
        writeln!(f, "[process]\nclaim_patience = {claim_patience}")?;
        writeln!(f, "back_off_pauses = {back_off_pauses}")?;
        // The largest whole number of TOML: what is longer is for ever anyhow.
        let spin_ns = i64::try_from(spin.as_nanos()).unwrap_or(i64::MAX);
        writeln!(f, "spin_ns = {spin_ns}\nprefetch_depth = {prefetch_depth}\n\n[store]")?;
        if let Some(scrub) = self.scrub {
            writeln!(f, "scrub = \"{scrub}\"")?;
        }
        if let Some(huge_pages) = self.huge_pages {
            writeln!(f, "huge_pages = \"{huge_pages}\"")?;
        }
        match &self.placement {
            Some(Placement::Local) => writeln!(f, "memory = \"local\"")?,
            Some(Placement::Bind(node)) => writeln!(f, "memory = \"node:{node}\"")?,
            Some(Placement::Interleave(_)) => writeln!(f, "memory = \"interleave\"")?,
            None => {}
        }
        writeln!(f, "slot_factor = {}", self.slot_factor)?;
        if !self.workers.is_empty() {
            f.write_str("\n[workers]\n")?;
            for (name, value) in &self.workers {
                writeln!(f, "{name} = \"{value}\"")?;
            }
        }
        Ok(())
    }
}

/// Returns a line up to its comment, which does not begin in a text.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|c: char| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    &line[..end.unwrap_or(line.len())]
}

fn number<T: TryFrom<u64>>(value: &str) -> Result<T, String> {
    let parsed = value.replace('_', "").parse::<u64>().ok();
    parsed
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("{value} is not a whole number that can stand here, as in 32"))
}

fn text(value: &str) -> Result<&str, String> {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let plain = inner.filter(|inner| !inner.contains(['"', '\\']));
    plain.ok_or_else(|| format!("{value} is not a text in quotes, as in \"hybrid\""))
}

impl Tuning {
    /// Checks that all settings are within bounds.
    ///
    /// # Errors
    /// [`StoreError::Tuning`], which names the first that is not.
    pub fn check(&self) -> Result<(), StoreError> {
        self.out_of_bounds().map_or(Ok(()), |why| Err(StoreError::Tuning(why)))
    }

    /// Applies the settings to the whole process, from now on.
    ///
    /// # Errors
    /// As [`Self::check`]; nothing is changed then.
    pub fn apply(self) -> Result<(), StoreError> {
        // Load the environment's profile first, so that it cannot overwrite these settings later.
        from_environment();
        self.check()?;
        self.store();
        Ok(())
    }

    /// Returns the current settings.
    #[must_use]
    pub fn current() -> Self {
        from_environment();
        Self::load()
    }
}

/// Applies the profile that the environment names, once. Returns why it could not.
pub(crate) fn from_environment() -> Option<&'static str> {
    // A child may find its parent in the middle of it.
    static DONE: PerProcess<OnceLock<Option<String>>> = PerProcess::new();
    let failed = DONE.get().get_or_init(|| {
        let path = std::env::var_os(VARIABLE)?;
        match Profile::load(Path::new(&path)) {
            Ok(profile) => {
                profile.tuning.store();
                None
            }
            Err(error) => {
                let mut note = String::new();
                // Writing to a string cannot fail.
                let _ = write!(note, "{VARIABLE}: {error}; the built-in settings stay");
                Some(note)
            }
        }
    });
    failed.as_deref()
}
