//! What a matrix varies: its axes, and the settings on them. Pure.

use crate::choice::KeyChoice;
use crate::length::ValueLen;
use crate::options::Pin;
use crate::workload::Workload;
use crate::workload::file::{List, Mistake};
use serde::{Deserialize, Serialize};
use splinter::Scrub;
use std::fmt;
use std::str::FromStr;

/// A field of a workload that a matrix can vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// The scrub level.
    Scrub,
    /// How many write.
    Writers,
    /// How many only read.
    Readers,
    /// How long values are.
    ValueLen,
    /// How keys are chosen.
    KeyChoice,
    /// Where workers run.
    Pin,
}

/// One setting of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    Scrub(Scrub),
    Writers(u32),
    Readers(u32),
    ValueLen(ValueLen),
    KeyChoice(KeyChoice),
    Pin(Pin),
}

impl Axis {
    /// All of them, in the order in which cells are named and listed.
    pub const ALL: [Self; 6] = [
        Self::Scrub,
        Self::Writers,
        Self::Readers,
        Self::ValueLen,
        Self::KeyChoice,
        Self::Pin,
    ];

    /// Returns the name of the field.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::Writers => "writers",
            Self::Readers => "readers",
            Self::ValueLen => "value_len",
            Self::KeyChoice => "key_choice",
            Self::Pin => "pin",
        }
    }

    /// Parses one setting.
    ///
    /// # Errors
    /// One line that says what would do.
    pub(crate) fn parse(self, text: &str) -> Result<Setting, String> {
        let number = |text: &str| {
            let number = text.parse::<u32>();
            number.map_err(|_| format!("'{text}' is no number of {}", self.field()))
        };
        Ok(match self {
            Self::Scrub => Setting::Scrub(text.parse().map_err(|_| {
                format!("'{text}' is no scrub level: use none, hybrid, full or all")
            })?),
            Self::Writers => Setting::Writers(number(text)?),
            Self::Readers => Setting::Readers(number(text)?),
            Self::ValueLen => Setting::ValueLen(text.parse()?),
            Self::KeyChoice => Setting::KeyChoice(text.parse()?),
            Self::Pin => Setting::Pin(text.parse()?),
        })
    }

    /// Parses what a flag has: settings with commas between them, or, where one has commas itself, with slashes.
    ///
    /// # Errors
    /// One line that says what would do.
    pub(crate) fn parse_all(self, text: &str) -> Result<Vec<Setting>, String> {
        if self == Self::Scrub && text == "all" {
            return Ok(Scrub::ALL.map(Setting::Scrub).to_vec());
        }
        let slashes = text.contains('/');
        let words = text.split(if slashes { '/' } else { ',' });
        // A slash behind the last makes a list of one that has commas.
        let words = words.filter(|word| !(slashes && word.is_empty()));
        let settings = words
            .map(|word| self.parse(word.trim()))
            .collect::<Result<Vec<_>, _>>()?;
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
            .map(|(text, line)| {
                self.parse(text)
                    .map_err(|what| Mistake { line: *line, what })
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.each_once(&settings).map_err(|what| Mistake {
            line: list.values[0].1,
            what,
        })?;
        Ok(settings)
    }

    fn each_once(self, settings: &[Setting]) -> Result<(), String> {
        if settings.is_empty() {
            return Err(format!("nothing is given for {}", self.field()));
        }
        let again = (1..settings.len()).find(|&at| settings[..at].contains(&settings[at]));
        match again {
            None => Ok(()),
            Some(at) => Err(format!(
                "{} is given twice for {}: leave one out",
                settings[at],
                self.field()
            )),
        }
    }

    /// Returns the setting that a workload has.
    #[must_use]
    pub(crate) fn of(self, workload: &Workload) -> Setting {
        match self {
            Self::Scrub => Setting::Scrub(workload.scrub),
            Self::Writers => Setting::Writers(workload.writers),
            Self::Readers => Setting::Readers(workload.readers),
            Self::ValueLen => Setting::ValueLen(workload.value_len.clone()),
            Self::KeyChoice => Setting::KeyChoice(workload.key_choice),
            Self::Pin => Setting::Pin(workload.pin.clone()),
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field())
    }
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let field = text.replace('-', "_");
        let found = Self::ALL.into_iter().find(|axis| axis.field() == field);
        found.ok_or_else(|| {
            format!(
                "'{text}' is no axis: use {}",
                Self::ALL.map(Self::field).join(", ")
            )
        })
    }
}

impl Setting {
    /// Returns a workload with this in place of what it had.
    #[must_use]
    pub(crate) fn over(&self, workload: &Workload) -> Workload {
        let mut workload = workload.clone();
        match self {
            Self::Scrub(scrub) => workload.scrub = *scrub,
            Self::Writers(writers) => workload.writers = *writers,
            Self::Readers(readers) => workload.readers = *readers,
            Self::ValueLen(len) => workload.value_len = len.clone(),
            Self::KeyChoice(choice) => workload.key_choice = *choice,
            Self::Pin(pin) => workload.pin = pin.clone(),
        }
        workload
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scrub(scrub) => scrub.fmt(f),
            Self::Writers(count) | Self::Readers(count) => count.fmt(f),
            Self::ValueLen(len) => len.fmt(f),
            Self::KeyChoice(choice) => choice.fmt(f),
            Self::Pin(pin) => pin.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis, text: &str) -> Vec<String> {
        let settings = axis.parse_all(text).unwrap();
        settings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn commas_part_settings_and_slashes_those_that_have_commas() {
        assert_eq!(texts(Axis::Scrub, "all"), ["none", "hybrid", "full"]);
        assert_eq!(texts(Axis::Writers, "1,2, 4"), ["1", "2", "4"]);
        assert_eq!(texts(Axis::ValueLen, "64,1024"), ["64", "1024"]);
        assert_eq!(
            texts(Axis::ValueLen, "64,4096/16..256"),
            ["64,4096", "16..256"]
        );
        assert_eq!(texts(Axis::ValueLen, "64,4096/"), ["64,4096"]);
        assert_eq!(texts(Axis::Pin, "none,scatter"), ["none", "scatter"]);
        assert_eq!(texts(Axis::Pin, "0-3,8/none"), ["0-3,8", "none"]);
        assert_eq!(
            texts(Axis::KeyChoice, "lanes,zipf:0.99"),
            ["lanes", "zipf:0.99"]
        );
    }

    #[test]
    fn nonsense_is_refused_in_one_line() {
        for (axis, text, word) in [
            (Axis::Writers, "1,x", "'x'"),
            (Axis::Writers, "1,1", "twice"),
            (Axis::Writers, "", "''"),
            (Axis::ValueLen, "/", "nothing"),
            (Axis::Scrub, "none,some", "hybrid"),
            (Axis::Pin, "tight", "scatter"),
        ] {
            let error = axis.parse_all(text).unwrap_err();
            assert!(
                error.contains(word) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
        assert!(
            "threads"
                .parse::<Axis>()
                .unwrap_err()
                .contains("key_choice")
        );
    }

    #[test]
    fn a_setting_is_what_the_workload_has_afterwards() {
        let settings = ["full", "7", "9", "16..32", "hot:3", "0-1"];
        for (axis, text) in Axis::ALL.into_iter().zip(settings) {
            let setting = axis.parse(text).unwrap();
            let workload = setting.over(&Workload::default());
            assert_ne!(workload, Workload::default());
            assert_eq!(axis.of(&workload), setting);
            assert_eq!(axis.field().parse(), Ok(axis));
        }
    }
}
