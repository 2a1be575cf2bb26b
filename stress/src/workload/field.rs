//! What a field of a workload is made of: the flags that set it, its help, its limits, and how it is parsed and
//! printed. [`fields!`] makes the struct, its default and the table of fields from one list, [`super::table`]. Flags,
//! comments of workload files, axes of a matrix and the command that repeats a run all come from that table.

use super::Workload;
use crate::choice::KeyChoice;
use crate::length::ValueLen;
use crate::mix::Mix;
use crate::open_loop::Arrivals;
use crate::options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
use serde_json::Value;
use splinter::{Eviction, Scrub};
use splinter_harness::text::parse_count;

/// A field of a workload.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in records, workload files and lists of axes.
    pub name: &'static str,
    /// What it is, as a sentence.
    pub doc: &'static str,
    /// Sets it from a text.
    pub set: Set,
    /// Returns its text; `None` where it has no value.
    pub get: Get,
    /// The heading of its flags in the help.
    pub heading: &'static str,
    /// What the flag of its name takes, if it has that flag alone.
    pub takes: Takes,
    /// Its flags, if they are others.
    pub flags: Option<&'static [Flag]>,
    /// The least and the greatest number that it can be.
    pub limits: (u64, u64),
    /// Texts that its flag takes, for the help.
    pub example: Option<&'static str>,
    /// What holds where it has no value.
    pub unset: Option<&'static str>,
    /// Help for a list of its values; `None` where no matrix can vary it.
    pub list: Option<&'static str>,
}

type Set = fn(&mut Workload, &str) -> Result<(), String>;
type Get = fn(&Workload) -> Option<String>;

const UNLIMITED: (u64, u64) = (0, u64::MAX);

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing: it is given or not.
    Nothing,
    /// A value, which the help calls so.
    Value(&'static str),
    /// The same, or nothing, which stands for the second text.
    Maybe(&'static str, &'static str),
}

/// A flag that sets a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name, with underscores.
    pub name: &'static str,
    /// What the help says of it.
    pub help: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it is where it is not given, if the default workload does not tell.
    pub default: Option<&'static str>,
    /// Flags that cannot be given beside it.
    pub conflicts: &'static [&'static str],
    /// A flag that it takes the place of, where it comes later.
    pub overrides: &'static [&'static str],
    /// A flag without which it has no meaning.
    pub requires: Option<&'static str>,
    /// Sets the field from its text; `true` for one that takes nothing.
    pub set: Set,
    /// Returns the text with which it would make the field what it is; `None` or `false` where it cannot.
    pub get: Get,
}

impl Flag {
    /// Makes a flag that has no rules.
    pub(crate) const fn new(
        name: &'static str,
        help: &'static str,
        takes: Takes,
        set: Set,
        get: Get,
    ) -> Self {
        Self { name, help, takes, default: None, conflicts: &[], overrides: &[], requires: None, set, get }
    }
}

impl Field {
    /// Makes a field that a flag without a value gives, with no limits.
    pub(crate) const fn new(
        name: &'static str,
        doc: &'static str,
        heading: &'static str,
        set: Set,
        get: Get,
    ) -> Self {
        let (takes, limits) = (Takes::Nothing, UNLIMITED);
        Self {
            name,
            doc,
            set,
            get,
            heading,
            takes,
            flags: None,
            limits,
            example: None,
            unset: None,
            list: None,
        }
    }

    /// Returns the field of this name.
    #[must_use]
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        super::FIELDS.iter().find(|field| field.name == name)
    }

    /// Returns the flags that set it.
    #[must_use]
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let own =
            || Flag { default: self.unset, ..Flag::new(self.name, self.doc, self.takes, self.set, self.get) };
        self.flags.map_or_else(|| vec![own()], <[_]>::to_vec)
    }

    /// Returns the comment on it in a workload file.
    #[must_use]
    pub(crate) fn comment(&self) -> String {
        let text = self.bounded(without_stop(self.doc));
        match self.unset {
            None => text,
            Some(unset) => format!("{text}; left out, {unset}"),
        }
    }

    /// Returns the help of one of its flags.
    #[must_use]
    pub(crate) fn help(&self, flag: &Flag) -> String {
        let help = without_stop(flag.help);
        let default = (flag.get)(&Workload::default()).or_else(|| flag.default.map(str::to_owned));
        match (flag.takes, default) {
            (Takes::Value(_), default) => {
                let example = self.example.map_or(String::new(), |texts| format!(", as in {texts}"));
                let default = default.map_or(String::new(), |default| format!(" [default: {default}]"));
                self.bounded(&format!("{help}{example}")) + &default
            }
            (Takes::Maybe(_, missing), Some(default)) if !missing.is_empty() => {
                format!("{help} [default: {default}; {missing} where none is said]")
            }
            _ => help.to_owned(),
        }
    }

    /// Returns in words which values it takes in a workload file.
    pub(crate) fn values(&self) -> String {
        let default = serde_json::to_value(Workload::default()).expect("a workload is plain data");
        match &default[self.name] {
            // The span.
            Value::Object(_) => "{ duration_ms = N } or { ops = N }".to_owned(),
            Value::Bool(_) => "true or false".to_owned(),
            Value::String(text) => format!("a text, as in \"{text}\""),
            _ => match self.bounds().as_str() {
                "" => "a whole number".to_owned(),
                bounds => format!("a whole number, {bounds}"),
            },
        }
    }

    /// Returns its limits in words; nothing where it has none.
    fn bounds(&self) -> String {
        match self.limits {
            UNLIMITED => String::new(),
            (0, most) => format!("at most {most}"),
            (least, u64::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        }
    }

    /// Writes a description, and the limits behind it.
    fn bounded(&self, text: &str) -> String {
        match self.bounds().as_str() {
            "" => text.to_owned(),
            bounds => format!("{text}; {bounds}"),
        }
    }

    /// Checks that a number is within its limits.
    ///
    /// # Errors
    /// One line that names the flag and the limits.
    pub(crate) fn check(&self, workload: &Workload) -> Result<(), String> {
        let number = (self.get)(workload).and_then(|text| text.parse::<u64>().ok());
        let (least, most) = self.limits;
        let Some(number) = number.filter(|number| !(least..=most).contains(number)) else {
            return Ok(());
        };
        let name = self.flags().last().map_or(self.name, |flag| flag.name);
        let bounds = self.bounds();
        Err(format!("--{} {number} is out of range: give {bounds}", dashed(name)))
    }
}

fn without_stop(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}

/// Writes a name as a flag has it.
#[must_use]
pub(crate) fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

impl Workload {
    /// Returns the flags of `splinter-stress run` that stand for this workload, word by word; those that say what is the
    /// default anyway are left out.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let default = Self::default();
        let mut words = Vec::new();
        for flag in super::FIELDS.iter().flat_map(Field::flags) {
            let text = (flag.get)(self);
            // Without a scrub level every level is run, one after the other.
            if text == (flag.get)(&default) && flag.name != "scrub" {
                continue;
            }
            let name = format!("--{}", dashed(flag.name));
            match (flag.takes, text) {
                (Takes::Nothing, Some(text)) if text == "true" => words.push(name),
                (Takes::Maybe(..), Some(text)) if text.is_empty() => words.push(name),
                (Takes::Maybe(..), Some(text)) => words.push(format!("{name}={text}")),
                (Takes::Value(_), Some(text)) => words.extend([name, text]),
                _ => {}
            }
        }
        words
    }

    /// Returns what a field is, in the words of its flag; `None` where it has no value, or is not there.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        (Field::named(name)?.get)(self)
    }

    /// Returns the workload with another value of a field.
    ///
    /// # Errors
    /// One line that says what is wrong with the text.
    pub fn with_field(mut self, name: &str, text: &str) -> Result<Self, String> {
        let field = Field::named(name).ok_or_else(|| format!("there is no field '{name}'"))?;
        (field.set)(&mut self, text)?;
        Ok(self)
    }
}

/// A type that a field can have, as text.
pub(super) trait Text: Sized {
    /// Parses it; where it cannot, says in one line what would do.
    fn parse(text: &str) -> Result<Self, String>;
    /// Prints it; `None` where there is no value.
    fn print(&self) -> Option<String>;
}

macro_rules! text {
    ($($type:ty),+ => $parse:expr) => {$(
        impl Text for $type {
            fn parse(text: &str) -> Result<Self, String> {
                let parse: fn(&str) -> Result<$type, String> = $parse;
                parse(text)
            }

            fn print(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

text!(u8, u32, u64 => |text| {
    let count = parse_count(text)?;
    u128::from(count).try_into().map_err(|_| format!("'{text}' is too much: give less"))
});
text!(bool => |text| text.parse().map_err(|_| format!("'{text}' is neither true nor false")));
text!(Scrub => |text| {
    let level = text.parse();
    level.map_err(|_| format!("'{text}' is no scrub level: use none, hybrid, full or all"))
});
text!(Eviction => |text| text.parse().map_err(|_| format!("'{text}' is no eviction policy: use expired, sieve or lru")));
text!(Workers, KeyChoice, ValueLen, Mix, Arrivals, Span, Warmup, Pin, Memory, Huge, Backing => str::parse);

impl<T: Text> Text for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn print(&self) -> Option<String> {
        self.as_ref().and_then(T::print)
    }
}

/// Makes [`Workload`], its default and the table `FIELDS` from a list of fields.
macro_rules! fields {
    (
        $(#[$of_all:meta])*
        pub struct Workload;
        $(
            $(#[doc = $doc:literal])+
            $(#[serde($($serde:tt)+)])?
            $(#[schemars($($schemars:tt)+)])?
            $name:ident: $type:ty = $default:expr, $heading:ident $(, $option:ident: $value:expr)*;
        )+
    ) => {
        $(#[$of_all])*
        pub struct Workload {
            $(
                $(#[doc = $doc])+
                $(#[serde($($serde)+)])?
                $(#[schemars($($schemars)+)])?
                pub $name: $type,
            )+
        }

        impl Default for Workload {
            /// Describes the default run: 32 writers, the number that the published figures are for, on
            /// keys of their own, and as many readers, so that about half of the attempts read what the
            /// other half writes.
            fn default() -> Self {
                Self { $($name: $default),+ }
            }
        }

        /// All fields, in the order of the help.
        pub(crate) static FIELDS: &[$crate::workload::field::Field] = &[$(
            $crate::workload::field::Field {
                $($option: $value,)*
                ..$crate::workload::field::Field::new(
                    stringify!($name),
                    concat!($($doc),+),
                    $heading,
                    |workload, text| {
                        workload.$name = $crate::workload::field::Text::parse(text)?;
                        Ok(())
                    },
                    |workload| $crate::workload::field::Text::print(&workload.$name),
                )
            }
        ),+];
    };
}
pub(super) use fields;
