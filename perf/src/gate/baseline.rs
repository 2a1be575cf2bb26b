//! A stored baseline: counts of instructions, and under which conditions they were made. Counts of another compiler,
//! target, flags or probe are of other machine code, and nothing to compare with.

use super::build_directory::{Compiler, probe_fingerprint};
use super::instructions::Count;
use super::record::SCHEMA_VERSION;
use serde::{Deserialize, Serialize};
use splinter_harness::files::{as_json, write_file};
use splinter_harness::input::read_text;
use std::path::Path;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Baseline {
    pub schema_version: u32,
    pub kind: String,
    /// What counted, and how it was built.
    pub rustc: String,
    pub target: String,
    pub flags: String,
    /// Fingerprint of the probe's sources.
    pub probe: String,
    /// What counted, and how it was built.
    pub valgrind: String,
    pub seed: u64,
    pub rows: Vec<Entry>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Entry {
    /// Counts by operation; the band is their spread.
    pub name: String,
    pub instructions: f64,
    pub band_percent: f64,
}

const KIND: &str = "gate-baseline";

impl Baseline {
    /// Makes a baseline of counts.
    #[must_use]
    pub fn of(counts: &[Count], compiler: &Compiler, valgrind: &str, seed: u64) -> Self {
        let round = |value: f64, digits: f64| (value * digits).round() / digits;
        let rows = counts.iter().map(|count| Entry {
            name: count.name.clone(),
            instructions: round(count.instructions, 1e6),
            band_percent: round(count.band_percent, 1e5),
        });
        Self {
            schema_version: SCHEMA_VERSION,
            kind: KIND.to_owned(),
            rustc: compiler.rustc.clone(),
            target: compiler.target.clone(),
            flags: compiler.flags.clone(),
            probe: probe_fingerprint(),
            valgrind: valgrind.to_owned(),
            seed,
            rows: rows.collect(),
        }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// One line if the file is none.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = read_text(path).map_err(|error| format!("{shown}: {error}"))?;
        let found: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{shown} is no baseline of a gate: {error}"))?;
        if found.kind != KIND || found.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "{shown}: kind '{}' of version {} is no baseline that this program reads",
                found.kind, found.schema_version
            ));
        }
        Ok(found)
    }

    /// Writes the baseline.
    ///
    /// # Errors
    /// One line if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        write_file(path, &as_json(self))
    }

    /// Returns the counts.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let count = |row: &Entry| Count {
            name: row.name.clone(),
            instructions: row.instructions,
            band_percent: row.band_percent,
        };
        self.rows.iter().map(count).collect()
    }

    /// Says, in words, why counts made under these conditions cannot be held against the baseline; `None` if they can.
    #[must_use]
    pub fn foreign(&self, compiler: &Compiler, seed: u64) -> Option<String> {
        let probe = probe_fingerprint();
        let seeds = [self.seed.to_string(), seed.to_string()];
        let conditions = [
            ("compiler", &self.rustc, &compiler.rustc),
            ("target", &self.target, &compiler.target),
            ("flags", &self.flags, &compiler.flags),
            ("probe", &self.probe, &probe),
            ("seed", &seeds[0], &seeds[1]),
        ];
        let (what, of, here) = conditions.into_iter().find(|(_, of, here)| of != here)?;
        Some(format!(
            "the baseline was made with another {what} ('{of}', here '{here}'), so its counts are of other machine code; make \
             one at a revision that is known to be good: splinter-perf gate --save-baseline FILE"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Compiler, Count};
    use splinter_testkit::Folder;

    fn compiler() -> Compiler {
        Compiler {
            rustc: "rustc 1.95.0".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            flags: String::new(),
        }
    }

    fn baseline() -> Baseline {
        let counts = [Count { name: "get".to_owned(), instructions: 203.071_533, band_percent: 0.0 }];
        Baseline::of(&counts, &compiler(), "valgrind-3.19.0", 1)
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let folder = Folder::new();
        let path = folder.join("baseline.json");
        baseline().write(&path).unwrap();
        let read = Baseline::read(&path);
        std::fs::write(&path, "{}").unwrap();
        let none = Baseline::read(&path);
        assert_eq!(read, Ok(baseline()));
        assert_eq!(baseline().counts()[0].instructions, 203.071_533);
        assert!(none.unwrap_err().contains("no baseline"));
    }

    #[test]
    fn counts_of_another_compiler_are_foreign_and_the_reason_says_what_to_do() {
        assert_eq!(baseline().foreign(&compiler(), 1), None);
        let newer = Compiler { rustc: "rustc 1.96.0".to_owned(), ..compiler() };
        let why = baseline().foreign(&newer, 1).unwrap();
        assert!(
            why.contains("another compiler") && why.contains("1.96.0") && why.contains("--save-baseline"),
            "{why}"
        );
        let flags = Compiler { flags: "-C target-cpu=native".to_owned(), ..compiler() };
        assert!(baseline().foreign(&flags, 1).unwrap().contains("another flags"));
        assert!(baseline().foreign(&compiler(), 2).unwrap().contains("another seed"));
    }
}
