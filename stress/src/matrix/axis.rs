//! What a matrix varies: its axes, and the settings on them. Pure.

use crate::workload::field::Field;
use crate::workload::file::{List, Mistake};
use crate::workload::{FIELDS, Workload};
use serde::{Deserialize, Serialize};
use splinter::Scrub;
use std::fmt;
use std::str::FromStr;

/// The axes by default: the cost of scrubbing depends on the size of values.
pub(crate) const DEFAULT: [(&str, &str); 2] = [("scrub", "all"), ("value_len", "16,64,256,1024,4096")];

/// A field of a workload that a matrix can vary.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Axis(&'static Field);

/// One setting of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    axis: Axis,
    text: String,
}

impl Axis {
    /// Returns all of them, in the order in which cells are named and listed.
    pub fn all() -> impl Iterator<Item = Self> {
        let listed = FIELDS.iter().filter(|field| field.list.is_some());
        listed.map(Self)
    }

    /// Returns the axis of a field that has one.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub(crate) fn named(field: &str) -> Self {
        field.parse().expect("a field that a matrix can vary")
    }

    /// Returns the name of the field.
    #[must_use]
    pub fn field(self) -> &'static str {
        self.0.name
    }

    /// Parses one setting.
    ///
    /// # Errors
    /// One line that says what would do.
    pub(crate) fn parse(self, text: &str) -> Result<Setting, String> {
        let mut workload = Workload::default();
        (self.0.set)(&mut workload, text)?;
        Ok(self.of(&workload))
    }

    /// Parses what a flag has: settings with commas between them, or, where one has commas itself, with slashes.
    ///
    /// # Errors
    /// One line that says what would do.
    pub(crate) fn parse_all(self, text: &str) -> Result<Vec<Setting>, String> {
        if self.field() == "scrub" && text == "all" {
            let levels = Scrub::ALL.iter();
            return levels.map(|level| self.parse(&level.to_string())).collect();
        }
        let slashes = text.contains('/');
        let words = text.split(if slashes { '/' } else { ',' });
        // A slash behind the last makes a list of one that has commas.
        let words = words.filter(|word| !(slashes && word.is_empty()));
        let settings = words.map(|word| self.parse(word.trim())).collect::<Result<Vec<_>, _>>()?;
        self.each_once(&settings)?;
        Ok(settings)
    }

    /// Reads what a file has.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn read(self, list: &List) -> Result<Vec<Setting>, Mistake> {
        let values = list.values.iter();
        let settings = values
            .map(|(text, line)| self.parse(text).map_err(|what| Mistake { line: *line, what }))
            .collect::<Result<Vec<_>, _>>()?;
        self.each_once(&settings).map_err(|what| Mistake { line: list.values[0].1, what })?;
        Ok(settings)
    }

    fn each_once(self, settings: &[Setting]) -> Result<(), String> {
        if settings.is_empty() {
            return Err(format!("nothing is given for {}", self.field()));
        }
        let again = (1..settings.len()).find(|&at| settings[..at].contains(&settings[at]));
        match again {
            None => Ok(()),
            Some(at) => Err(format!("{} is given twice for {}: leave one out", settings[at], self.field())),
        }
    }

    /// Returns the setting that a workload has.
    #[must_use]
    pub(crate) fn of(self, workload: &Workload) -> Setting {
        Setting { axis: self, text: (self.0.get)(workload).unwrap_or_default() }
    }
}

impl PartialEq for Axis {
    fn eq(&self, other: &Self) -> bool {
        self.field() == other.field()
    }
}

impl Eq for Axis {}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let field = text.replace('-', "_");
        Self::all().find(|axis| axis.field() == field).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::field).collect();
            format!("'{text}' is no axis: use {}", names.join(", "))
        })
    }
}

splinter_harness::as_text!(Axis);

impl Setting {
    /// Returns a workload with this in place of what it had.
    #[must_use]
    pub(crate) fn over(&self, workload: &Workload) -> Workload {
        let mut workload = workload.clone();
        (self.axis.0.set)(&mut workload, &self.text).expect("it was printed");
        workload
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &str, text: &str) -> Vec<String> {
        let settings = Axis::named(axis).parse_all(text).unwrap();
        settings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commas_part_settings_and_slashes_those_that_have_commas() {
        assert_eq!(texts("scrub", "all"), ["none", "hybrid", "full"]);
        assert_eq!(texts("writers", "1,2, 4"), ["1", "2", "4"]);
        assert_eq!(texts("value_len", "64,1024"), ["64", "1024"]);
        assert_eq!(texts("value_len", "64,4096/16..256"), ["64,4096", "16..256"]);
        assert_eq!(texts("value_len", "64,4096/"), ["64,4096"]);
        assert_eq!(texts("pin", "none,scatter"), ["none", "scatter"]);
        assert_eq!(texts("pin", "0-3,8/none"), ["0-3,8", "none"]);
        assert_eq!(texts("key_choice", "own,zipf:0.99"), ["own", "zipf:0.99"]);
    }

    #[test]
    fn nonsense_is_refused_in_one_line() {
        for (axis, text, word) in [
            ("writers", "1,x", "'x'"),
            ("writers", "1,1", "twice"),
            ("writers", "", "''"),
            ("value_len", "/", "nothing"),
            ("scrub", "none,some", "hybrid"),
            ("pin", "tight", "scatter"),
        ] {
            let error = Axis::named(axis).parse_all(text).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{text}: {error}");
        }
        assert!("threads".parse::<Axis>().unwrap_err().contains("key_choice"));
    }

    #[test]
    fn a_setting_is_what_the_workload_has_afterwards() {
        let settings = ["full", "7", "9", "16..32", "hot:3", "0-1"];
        assert_eq!(Axis::all().count(), settings.len());
        for (axis, text) in Axis::all().zip(settings) {
            let setting = axis.parse(text).unwrap();
            let workload = setting.over(&Workload::default());
            assert_ne!(workload, Workload::default());
            assert_eq!(axis.of(&workload), setting);
            assert_eq!(axis.field().parse(), Ok(axis));
        }
    }
}
