//! A workload as a TOML file: read with the lines of mistakes, and printed with a word on each field. Reading what
//! was printed gives the same workload. A file has the fields of a record's `config`; those that it leaves out are as
//! by default, and some may have a list of values, which is for whoever runs several workloads to deal with.

use super::Workload;
use crate::input::read_text;
use crate::text::refusal;
use serde::Deserialize;
use serde_json::Value;
use splinter::Scrub;
use std::fmt::Write as _;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Every field with what is said of it, in the order in which they are printed.
const FIELDS: [(&str, &str); 35] = [
    ("writers", "Workers that write"),
    ("readers", "Workers that only read"),
    (
        "watchers",
        "Workers that hear of every change and read what changed",
    ),
    (
        "watch_groups",
        "Signal groups that the keys are dealt over, 1 to 64; every watcher watches all of them",
    ),
    (
        "watch_all",
        "Whether watchers watch the whole store instead of groups",
    ),
    ("workers", "What a worker is: threads or processes"),
    ("keys", "Keys that hold values"),
    (
        "key_choice",
        "How keys are chosen: lanes (each writer its own), uniform, zipf:THETA, hot:K or single",
    ),
    (
        "value_len",
        "Bytes of a value: \"64\", \"16..256\" (any of these) or \"64,256,4096\" (one of these)",
    ),
    (
        "mix",
        "What writers do, with weights: get, set, append, int, tandem, vector, label, unset",
    ),
    ("orders", "Orders of a tandem group"),
    ("batch", "Values that a reader gets in one call, 1 to 256"),
    (
        "scrub",
        "Scrub level: none, hybrid or full; \"all\" stands for one run of each",
    ),
    (
        "rate",
        "Operations started per second, all workers together, however long they take; left out, each worker starts the next one when the last has returned",
    ),
    (
        "arrivals",
        "How the starts at a rate follow each other: uniform or poisson",
    ),
    (
        "span",
        "When the run ends: { duration_ms = N }, or { ops = N } completed operations, all workers together",
    ),
    (
        "warmup",
        "What is run before: auto (until goodput is steady; nothing with ops) or a span, as in 500ms",
    ),
    ("pin", "Where workers run: as with --pin"),
    (
        "pin_readers",
        "Where readers and watchers run, if not behind the writers",
    ),
    (
        "memory",
        "Where the store's memory is: local, node:N, interleave or per-lane",
    ),
    ("huge_pages", "Huge pages: off, advise, collapse or hugetlb"),
    (
        "claim_patience",
        "Looks at another's claim before it is asked whether its writer lives; left out, as is in force",
    ),
    (
        "back_off_pauses",
        "Most pauses between two tries of an integer operation; left out, as is in force",
    ),
    (
        "spin_ns",
        "How long a watcher spins before it sleeps, in nanoseconds; left out, as is in force",
    ),
    (
        "prefetch_depth",
        "Keys of a batch that are fetched from memory together, 1 to 32; left out, as is in force",
    ),
    (
        "slots",
        "Slots of the store; left out, as many as the keys need",
    ),
    (
        "max_value_len",
        "Longest value of the store in bytes; left out, as long as the workload needs",
    ),
    (
        "dim",
        "Vector dimension; left out, 768 where the mix has vectors, else 0",
    ),
    (
        "backing",
        "Where the store lives: anonymous, shared:NAME or file:PATH",
    ),
    ("seed", "Seed of all random choices"),
    (
        "oracle",
        "Whether values prove themselves, and the end is compared with what was acknowledged",
    ),
    ("histogram", "Whether latencies are recorded"),
    ("sample", "Of how many attempts one is timed"),
    (
        "allow_misplacement",
        "Whether a run counts that was not placed as asked",
    ),
    (
        "history",
        "Operations of which a history is kept and checked, all workers together; left out, none is",
    ),
];

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
        if !FIELDS.iter().any(|(field, _)| field == name) {
            return Err(Mistake {
                line: line_at(text, key.span().start),
                what: format!(
                    "there is no field '{name}'; 'run --print-workload' prints all that there are"
                ),
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
            DeValue::String(all) if field == "scrub" && all == "all" => Scrub::ALL
                .iter()
                .map(|level| (level.to_string(), line))
                .collect(),
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
        lists.push(List {
            field: field.to_owned(),
            values,
        });
        table.get_mut().remove(field);
    }
    let workload = Workload::deserialize(toml::de::Deserializer::from(table)).map_err(wrong)?;
    Ok(Loaded { workload, lists })
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
    for (name, what) in FIELDS {
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
mod tests {
    use super::*;
    use crate::choice::KeyChoice;
    use crate::length::ValueLen;
    use crate::mix::Op;
    use crate::options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
    use crate::pace::Arrivals;
    use crate::rng::Rng;
    use std::time::Duration;

    fn one_of<T: Clone>(rng: &mut Rng, all: &[T]) -> T {
        all[rng.index(all.len())].clone()
    }

    fn maybe<T>(rng: &mut Rng, some: impl FnOnce(&mut Rng) -> T) -> Option<T> {
        (rng.below(2) == 0).then(|| some(rng))
    }

    fn small(rng: &mut Rng) -> u32 {
        u32::try_from(rng.below(1 << 20)).unwrap()
    }

    /// Draws every field, sound or not.
    fn random(rng: &mut Rng) -> Workload {
        let flag = |rng: &mut Rng| rng.below(2) == 0;
        let pins = ["none", "compact", "scatter", "node:2", "0-3,8"]
            .map(|pin| pin.parse::<Pin>().unwrap());
        let texts = [
            "a",
            "with \"quotes\" and \\",
            "tab\tand\nline",
            "späte Häuser # = 1",
            "1979-05-27",
        ];
        let mix: Vec<String> = Op::ALL[2..8]
            .iter()
            .map(|op| format!("{}={}", op.name(), rng.below(1_000_000)))
            .collect();
        Workload {
            writers: small(rng),
            readers: small(rng),
            watchers: small(rng),
            watch_groups: u8::try_from(rng.below(256)).unwrap(),
            watch_all: flag(rng),
            workers: one_of(rng, &[Workers::Threads, Workers::Processes]),
            keys: rng.next_u64(),
            key_choice: match rng.below(5) {
                0 => KeyChoice::Lanes,
                1 => KeyChoice::Uniform,
                2 => KeyChoice::Zipf(rng.unit().max(1e-9) * 10.0),
                3 => KeyChoice::Hot(rng.next_u64().max(1)),
                _ => KeyChoice::Single,
            },
            value_len: match rng.below(3) {
                0 => ValueLen::Fixed(1 + small(rng)),
                1 => ValueLen::Uniform(1 + small(rng), 1 << 21),
                _ => ValueLen::List(vec![1 + small(rng), 1 + small(rng), 1 + small(rng)]),
            },
            mix: format!("set=1,{}", mix.join(",")).parse().unwrap(),
            orders: small(rng),
            batch: small(rng),
            scrub: one_of(rng, &Scrub::ALL),
            rate: maybe(rng, Rng::next_u64),
            arrivals: one_of(rng, &[Arrivals::Uniform, Arrivals::Poisson]),
            span: if flag(rng) {
                Span::Ops(rng.next_u64())
            } else {
                Span::DurationMs(rng.next_u64())
            },
            warmup: maybe(rng, small).map_or(Warmup::Auto, |millis| {
                Warmup::For(Duration::from_millis(millis.into()))
            }),
            pin: one_of(rng, &pins),
            pin_readers: maybe(rng, |rng| one_of(rng, &pins)),
            memory: one_of(
                rng,
                &[
                    Memory::Local,
                    Memory::Node(3),
                    Memory::Interleave,
                    Memory::PerLane,
                ],
            ),
            huge_pages: one_of(
                rng,
                &[Huge::Off, Huge::Advise, Huge::Collapse, Huge::Hugetlb],
            ),
            claim_patience: maybe(rng, small),
            back_off_pauses: maybe(rng, small),
            spin_ns: maybe(rng, Rng::next_u64),
            prefetch_depth: maybe(rng, small),
            slots: maybe(rng, Rng::next_u64),
            max_value_len: maybe(rng, Rng::next_u64),
            dim: maybe(rng, small),
            backing: match rng.below(3) {
                0 => Backing::Anonymous,
                1 => Backing::Shared(one_of(rng, &texts).to_owned()),
                _ => Backing::File(one_of(rng, &texts).into()),
            },
            seed: rng.next_u64(),
            oracle: flag(rng),
            histogram: flag(rng),
            sample: small(rng),
            allow_misplacement: flag(rng),
            history: maybe(rng, Rng::next_u64),
        }
    }

    #[test]
    fn what_is_printed_is_read_back_the_same() {
        let mut rng = Rng::new(5, 1);
        for _ in 0..500 {
            let workload = random(&mut rng);
            let text = print(&workload, &[workload.scrub]);
            let loaded =
                parse(&text, &[]).unwrap_or_else(|mistake| panic!("{mistake:?} in {text}"));
            assert_eq!(loaded.workload, workload, "{text}");
            assert_eq!(loaded.lists, []);
        }
    }

    #[test]
    fn every_field_is_printed_with_a_word_on_it() {
        let mut all = Workload::default();
        (all.rate, all.history) = (Some(1), Some(1));
        (all.claim_patience, all.back_off_pauses) = (Some(1), Some(1));
        (all.spin_ns, all.prefetch_depth) = (Some(1), Some(1));
        let values = serde_json::to_value(all).unwrap();
        let mut named: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
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
        let expected = Workload {
            keys: 20_000,
            span: Span::Ops(7),
            ..Workload::default()
        };
        assert_eq!(loaded.workload, expected);
    }

    #[test]
    fn lists_are_taken_where_they_are_asked_for() {
        let text = "writers = [1,\n 2, 4]\nscrub = \"all\"\nvalue_len = [64, \"16..256\"]\n";
        let loaded = parse(text, &["scrub", "writers", "value_len", "pin"]).unwrap();
        let list = |field: &str, values: &[(&str, usize)]| List {
            field: field.to_owned(),
            values: values
                .iter()
                .map(|&(text, line)| (text.to_owned(), line))
                .collect(),
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
        assert_eq!(
            parse(&two, &["scrub"]).unwrap().lists[0].values.len(),
            2,
            "{two}"
        );
    }

    #[test]
    fn a_mistake_is_told_of_in_one_line_with_its_number() {
        for (text, line, word) in [
            ("keys = 1\nwriter = 3\n", 2, "'writer'"),
            ("\n\nkeys = \"many\"", 3, "u64"),
            ("writers = -1", 1, "-1"),
            ("# c\nkey_choice = \"pareto\"", 2, "zipf:THETA"),
            ("span = { hours = 3 }", 1, "duration_ms"),
            ("keys = 1\nkeys = 2", 2, "duplicate"),
            ("keys 1", 1, "="),
            ("writers = [1, 2]", 1, "u32"),
            ("scrub = [\"none\", true]", 1, "numbers or texts"),
            ("scrub = []", 1, "empty"),
            ("warmup = \"soon\"", 1, "500ms"),
        ] {
            let mistake = parse(text, &["scrub"]).unwrap_err();
            assert_eq!(mistake.line, line, "{text}: {mistake:?}");
            let said = mistake.of(Path::new("some.toml"));
            assert!(
                said.contains(word) && !said.contains('\n'),
                "{text}: {said}"
            );
        }
    }
}
