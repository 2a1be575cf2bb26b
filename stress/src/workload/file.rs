//! A workload as a TOML file: read with the lines of mistakes, and printed with a word on each field. Reading what
//! was printed gives the same workload. A file has the fields of a record's `config`; those that it leaves out are as
//! by default, and some may have a list of values, from which a matrix makes several workloads.

use super::field::Field;
use super::{FIELDS, Workload};
use serde::Deserialize;
use serde_json::Value;
use splinter::Scrub;
use splinter_harness::input::read_text;
use splinter_harness::text::refusal;
use std::fmt::Write as _;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What a file says.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The workload, as by default in the fields that may have a list.
    pub workload: Workload,
    /// Those of them that the file has, with one value or several.
    pub lists: Vec<List>,
}

/// The values of a field that may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// Its name.
    pub field: String,
    /// The values as text, each with its line.
    pub values: Vec<(String, usize)>,
}

/// What is wrong with a file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// In words.
    pub what: String,
}

impl Mistake {
    /// Says it in one line.
    #[must_use]
    pub(crate) fn of(&self, path: &Path) -> String {
        format!("{}, line {}: {}", path.display(), self.line, self.what)
    }
}

/// Reads a workload file, in which some fields may have a list of values.
///
/// # Errors
/// One line that says what is wrong, with file and line.
pub(crate) fn load(path: &Path, listable: &[&str]) -> Result<Loaded, String> {
    let text = read_text(path).map_err(|error| {
        format!(
            "cannot read {}: {}; give a file that 'run --print-workload' wrote",
            path.display(),
            refusal(error)
        )
    })?;
    parse(&text, listable).map_err(|mistake| mistake.of(path))
}

/// Reads what a workload file holds.
///
/// # Errors
/// The first mistake.
pub(crate) fn parse(text: &str, listable: &[&str]) -> Result<Loaded, Mistake> {
    let wrong = |error: toml::de::Error| Mistake {
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        what: one_line(error.message()),
    };
    let mut table = DeTable::parse(text).map_err(wrong)?;
    for (key, _) in table.get_ref() {
        let name = key.get_ref();
        if Field::named(name).is_none() {
            return Err(Mistake {
                line: line_at(text, key.span().start),
                what: format!("there is no field '{name}'; 'run --print-workload' prints all that there are"),
            });
        }
    }
    let mut lists = Vec::new();
    for &field in listable {
        let Some(value) = table.get_ref().get(field) else {
            continue;
        };
        let line = line_at(text, value.span().start);
        let values = match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|item| {
                    let line = line_at(text, item.span().start);
                    match scalar(item.get_ref()) {
                        Some(text) => Ok((text, line)),
                        None => Err(Mistake {
                            line,
                            what: format!("a list of '{field}' has numbers or texts only"),
                        }),
                    }
                })
                .collect::<Result<Vec<_>, _>>()?,
            DeValue::String(all) if field == "scrub" && all == "all" => {
                Scrub::ALL.iter().map(|level| (level.to_string(), line)).collect()
            }
            single => match scalar(single) {
                Some(text) => vec![(text, line)],
                None => continue,
            },
        };
        if values.is_empty() {
            return Err(Mistake {
                line,
                what: format!("the list of '{field}' is empty: give at least one value"),
            });
        }
        lists.push(List { field: field.to_owned(), values });
        table.get_mut().remove(field);
    }
    let values: Vec<_> =
        table.get_ref().iter().map(|(key, value)| (key.get_ref().to_string(), value.span())).collect();
    let workload = Workload::deserialize(toml::de::Deserializer::from(table)).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let field = values.iter().find(|(_, span)| span.contains(&at));
        let field = field.and_then(|(name, _)| Field::named(name));
        let mistake = wrong(error);
        let what = field.and_then(|field| of_another_type(field, &mistake.what));
        Mistake { what: what.unwrap_or(mistake.what), ..mistake }
    })?;
    Ok(Loaded { workload, lists })
}

/// Says what a field takes, where what is wrong is that a value is of another type.
fn of_another_type(field: &Field, what: &str) -> Option<String> {
    let takes = format!("'{}' takes {}", field.name, field.values());
    // Of what is neither of both, its parser says no more.
    if what == "wanted string or table" {
        return Some(takes);
    }
    let got = what.strip_prefix("invalid type: ").or_else(|| what.strip_prefix("invalid value: "))?;
    let (got, _) = got.rsplit_once(", expected ")?;
    Some(format!("{takes}, not {got}"))
}

/// Returns a number or a text as text.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        _ => None,
    }
}

/// Prints a workload, at one scrub level or several.
#[must_use]
pub(crate) fn print(workload: &Workload, levels: &[Scrub]) -> String {
    let values = serde_json::to_value(workload).expect("a workload is plain data");
    let mut text = String::new();
    for field in FIELDS {
        let (name, what) = (field.name, field.comment());
        let value = match values.get(name) {
            Some(_) if name == "scrub" => literal(&scrub_value(levels)),
            Some(value) => literal(value),
            None => None,
        };
        let _ = match value {
            Some(value) => writeln!(text, "# {what}.\n{name} = {value}"),
            None => writeln!(text, "# {what}.\n# {name} ="),
        };
    }
    text
}

/// Returns what stands for some scrub levels.
fn scrub_value(levels: &[Scrub]) -> Value {
    match levels {
        [level] => Value::from(level.to_string()),
        all if *all == Scrub::ALL => Value::from("all"),
        some => some.iter().map(ToString::to_string).collect(),
    }
}

/// Writes a value as TOML; none is what has no value.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) => Some(toml::Value::String(text.clone()).to_string()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(literal).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter_map(|(name, value)| Some(format!("{name} = {}", literal(value)?)))
                .collect();
            Some(format!("{{ {} }}", fields.join(", ")))
        }
    }
}

/// Returns the number of the line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    let before = &text.as_bytes()[..byte.min(text.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

/// Has a message of several lines in one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::options::Span;
    use splinter_harness::rng::Rng;

    /// Draws every field, sound or not: a number if it can be one, or else one of some texts that it can be.
    pub(crate) fn random(rng: &mut Rng) -> Workload {
        const TEXTS: &[(&str, &[&str])] = &[
            ("scrub", &["none", "hybrid", "full"]),
            ("workers", &["threads", "processes"]),
            ("value_len", &["7", "1..2097152", "3,77,5"]),
            ("key_choice", &["own", "uniform", "zipf:0.12345", "hot:99", "single"]),
            ("mix", &["set=1", "int=3,append=999999", "vector=5,unset=6,label=0"]),
            ("arrivals", &["uniform", "poisson"]),
            ("span", &["5s", "77ms", "123456ops"]),
            ("warmup", &["auto", "0s", "1234ms"]),
            ("pin", &["none", "compact", "scatter", "node:2", "0-3,8"]),
            ("pin_readers", &["none", "per-core", "llc:1"]),
            ("memory", &["local", "node:3", "interleave", "per-writer"]),
            ("huge_pages", &["off", "advise", "collapse", "hugetlb"]),
            (
                "backing",
                &[
                    "anonymous",
                    "shared:a",
                    "shared:with \"quotes\" and \\",
                    "file:tab\tand\nline",
                    "file:späte Häuser # = 1",
                    "shared:1979-05-27",
                ],
            ),
        ];
        let mut workload = Workload::default();
        for field in FIELDS {
            let number = match rng.below(3) {
                0 => rng.next_u64() >> rng.below(64),
                1 => rng.below(1 << 20),
                _ => rng.below(256),
            };
            let named = TEXTS.iter().find(|(name, _)| *name == field.name);
            let text = match named {
                Some((_, texts)) => texts[rng.index(texts.len())].to_owned(),
                None if matches!((field.get)(&workload).as_deref(), Some("true" | "false")) => {
                    (number % 2 == 0).to_string()
                }
                None => number.to_string(),
            };
            // A value that is not there is one of those that are to be read back, and a number may be too much.
            if rng.below(3) > 0 {
                workload = workload.clone().with_field(field.name, &text).unwrap_or(workload);
            }
        }
        workload
    }

    #[test]
    fn what_is_printed_is_read_back_the_same() {
        let mut rng = Rng::new(5, 1);
        for _ in 0..500 {
            let workload = random(&mut rng);
            let text = print(&workload, &[workload.scrub]);
            let loaded = parse(&text, &[]).unwrap_or_else(|mistake| panic!("{mistake:?} in {text}"));
            assert_eq!(loaded.workload, workload, "{text}");
            assert_eq!(loaded.lists, []);
        }
    }

    #[test]
    fn every_field_is_read_back_from_its_text() {
        let mut rng = Rng::new(5, 2);
        for _ in 0..100 {
            let workload = random(&mut rng);
            let mut again = Workload::default();
            for field in FIELDS {
                if let Some(text) = workload.field(field.name) {
                    again = again.with_field(field.name, &text).unwrap();
                }
            }
            assert_eq!(again, workload);
        }
    }

    #[test]
    fn every_field_is_printed_with_a_word_on_it() {
        let mut all = Workload::default();
        (all.rate, all.history) = (Some(1), Some(1));
        (all.claim_patience, all.back_off_pauses) = (Some(1), Some(1));
        (all.spin_ns, all.prefetch_depth) = (Some(1), Some(1));
        let values = serde_json::to_value(all).unwrap();
        let mut named: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        named.sort_unstable();
        let fields: Vec<&String> = values.as_object().unwrap().keys().collect();
        assert_eq!(named, fields);
        for line in print(&Workload::default(), &[Scrub::Full]).lines() {
            assert!(line.starts_with("# ") || line.contains(" = "), "{line}");
        }
    }

    #[test]
    fn what_a_file_leaves_out_is_as_by_default() {
        assert_eq!(parse("", &[]).unwrap().workload, Workload::default());
        let loaded = parse("keys = 20_000\nspan = { ops = 7 }\n", &[]).unwrap();
        let expected = Workload { keys: 20_000, span: Span::Ops(7), ..Workload::default() };
        assert_eq!(loaded.workload, expected);
    }

    #[test]
    fn lists_are_taken_where_they_are_asked_for() {
        let text = "writers = [1,\n 2, 4]\nscrub = \"all\"\nvalue_len = [64, \"16..256\"]\n";
        let loaded = parse(text, &["scrub", "writers", "value_len", "pin"]).unwrap();
        let list = |field: &str, values: &[(&str, usize)]| List {
            field: field.to_owned(),
            values: values.iter().map(|&(text, line)| (text.to_owned(), line)).collect(),
        };
        assert_eq!(
            loaded.lists,
            [
                list("scrub", &[("none", 3), ("hybrid", 3), ("full", 3)]),
                list("writers", &[("1", 1), ("2", 2), ("4", 2)]),
                list("value_len", &[("64", 4), ("16..256", 4)]),
            ]
        );
        assert_eq!(loaded.workload, Workload::default());
        assert!(print(&loaded.workload, &Scrub::ALL).contains("\nscrub = \"all\"\n"));
        let two = print(&loaded.workload, &[Scrub::None, Scrub::Full]);
        assert_eq!(parse(&two, &["scrub"]).unwrap().lists[0].values.len(), 2, "{two}");
    }

    #[test]
    fn a_mistake_is_reported_in_one_line_with_its_number() {
        for (text, line, word) in [
            ("keys = 1\nwriter = 3\n", 2, "'writer'"),
            ("\n\nkeys = \"many\"", 3, "'keys' takes a whole number, 1 to 268435456, not string \"many\""),
            ("writers = -1", 1, "'writers' takes a whole number, at most 1023, not integer `-1`"),
            ("dim = \"x\"", 1, "'dim' takes a whole number, not"),
            ("oracle = 1", 1, "'oracle' takes true or false, not integer"),
            ("seed = 1.5", 1, "'seed' takes a whole number, not floating"),
            ("mix = 5", 1, "'mix' takes a text, as in"),
            ("workers = 5", 1, "'workers' takes a text, as in \"threads\""),
            ("value_len = true", 1, "'value_len' takes"),
            ("span = 5", 1, "{ duration_ms = N } or { ops = N }"),
            ("# c\nkey_choice = \"pareto\"", 2, "zipf:THETA"),
            ("span = { hours = 3 }", 1, "duration_ms"),
            ("keys = 1\nkeys = 2", 2, "duplicate"),
            ("keys 1", 1, "="),
            ("writers = [1, 2]", 1, "'writers' takes a whole number"),
            ("scrub = [\"none\", true]", 1, "numbers or texts"),
            ("scrub = []", 1, "empty"),
            ("warmup = \"soon\"", 1, "500ms"),
        ] {
            let mistake = parse(text, &["scrub"]).unwrap_err();
            assert_eq!(mistake.line, line, "{text}: {mistake:?}");
            let said = mistake.of(Path::new("some.toml"));
            assert!(said.contains(word) && !said.contains('\n'), "{text}: {said}");
        }
    }
}
