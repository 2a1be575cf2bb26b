//! The fields of the records, by kind, as the types have them that programs write records with; and `results/schema.md`,
//! which is made of these types and of the prose in `schema.template.md`. It knows no values.
//!
//! A field's comment is its description there. A comment that begins with ● marks a field that scripts rely on. A field
//! without a comment shares the one above it, or is described by the fields of its own type; one with ● alone does both.

use super::peers;
use crate::micro::record::{LimitsRecord, MicroRecord};
use crate::search::record::SearchRecord;
use crate::{compare, gate, reproduce, tune};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use splinter_stress as stress;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

const TEMPLATE: &str = include_str!("schema.template.md");

/// How a line begins that stands where the fields of a kind go, or those within one of its fields.
const MARK: &str = "<!-- fields: ";

const STABLE: &str = "●";

/// What stands behind the name of a list, or of a map, before those of the fields within it.
const LIST: &str = "[]";
const MAP: &str = ".NAME";

/// Fields that every kind may have: the page describes them once.
const COMMON: [&str; 11] = [
    "config",
    "doctor",
    "environment",
    "hdr_log",
    "interrupted",
    "kind",
    "labels",
    "reasons",
    "schema_version",
    "took_s",
    "verdict",
];

/// A type whose fields the page names once.
const PERCENTILES: &str = "Percentiles";

/// What `splinter-stress history` prints.
#[derive(JsonSchema)]
#[allow(dead_code)] // Nothing but its description is used.
struct HistoryCheck {
    history: stress::HistoryRecord,
}

static KINDS: LazyLock<[(&str, Type); 20]> = LazyLock::new(|| {
    [
        ("run", Type::of::<stress::Record>()),
        ("history", Type::of::<HistoryCheck>()),
        ("matrix", Type::of::<stress::MatrixRecord>()),
        ("wake", Type::of::<stress::WakeRecord>()),
        ("cache", Type::of::<stress::CacheRecord>()),
        ("kill", Type::of::<stress::KillRecord>()),
        ("hostile", Type::of::<stress::HostileRecord>()),
        ("queue", Type::of::<stress::QueueRecord>()),
        ("sweep", Type::of::<stress::SweepRecord>()),
        ("numa", Type::of::<stress::NumaRecord>()),
        ("topology", Type::of::<stress::TopologyRecord>()),
        ("micro", Type::of::<MicroRecord>()),
        ("limits", Type::of::<LimitsRecord>()),
        ("reproduce", Type::of::<reproduce::record::Reproduction>()),
        ("tune", Type::of::<tune::record::Tuned>()),
        ("gate", Type::of::<gate::record::Record>()),
        ("gate-baseline", Type::of::<gate::baseline::Baseline>()),
        ("compare", Type::of::<compare::Comparison>()),
        ("search", Type::of::<SearchRecord>()),
        ("peers", Type::of::<peers::Comparison>()),
    ]
});

/// A type with named fields; or any other, which has none.
#[derive(Clone, Debug, Default)]
struct Type {
    name: String,
    fields: Vec<Field>,
    /// Lists and maps that it is within, the outermost first.
    within: Vec<&'static str>,
}

/// A field of a type.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    /// Its description, without the sign of a stable field.
    text: String,
    is_stable: bool,
    of: Type,
}

impl Type {
    fn of<T: JsonSchema>() -> Self {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let root = generator.into_root_schema_for::<T>().to_value();
        let name = root["title"].as_str().unwrap_or_default();
        Self { name: name.to_owned(), ..Self::read(&root, &root) }
    }

    /// Reads a type's description within that of a kind, through references, options, lists and maps.
    fn read(root: &Value, schema: &Value) -> Self {
        if let Some(path) = schema["$ref"].as_str() {
            let name = path.rsplit('/').next().unwrap_or_default();
            let read = Self::read(root, &root["$defs"][name]);
            // Digits tell types of one name apart.
            let name = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            return Self { name, ..read };
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            let fields = variants.iter().flat_map(|variant| Self::read(root, variant).fields);
            return Self { fields: fields.collect(), ..Self::default() };
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let read = options.iter().map(|option| Self::read(root, option));
            return read.max_by_key(|read| read.fields.len()).unwrap_or_default();
        }
        let numbered = schema["patternProperties"].as_object().and_then(|it| it.values().next());
        let within = |schema: &Value, sign| {
            let mut read = Self::read(root, schema);
            read.within.insert(0, sign);
            read
        };
        match (&schema["items"], numbered.unwrap_or(&schema["additionalProperties"])) {
            (items @ Value::Object(_), _) => within(items, LIST),
            (_, values @ Value::Object(_)) => within(values, MAP),
            _ => Self { fields: Self::fields(root, schema), ..Self::default() },
        }
    }

    /// Reads fields: in their order, and last those that may be absent.
    fn fields(root: &Value, schema: &Value) -> Vec<Field> {
        let Some(properties) = schema["properties"].as_object() else {
            return Vec::new();
        };
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required: Vec<&str> = required.collect();
        let rest = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
        let names = required.iter().copied().chain(rest);
        let field = |name: &str| {
            let schema = properties.get(name)?;
            let text = schema["description"].as_str().unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let stable = text.strip_prefix(STABLE);
            Some(Field {
                name: name.to_owned(),
                text: stable.unwrap_or(&text).trim().to_owned(),
                is_stable: stable.is_some(),
                of: Self::read(root, schema),
            })
        };
        names.filter_map(field).collect()
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

fn kind(name: &str) -> Option<&'static Type> {
    KINDS.iter().find(|(kind, _)| *kind == name).map(|(_, fields)| fields)
}

/// Tells whether a kind is known.
#[must_use]
pub fn is_kind(name: &str) -> bool {
    kind(name).is_some()
}

/// Tells whether every kind may have a top-level field.
#[must_use]
pub fn is_common(field: &str) -> bool {
    COMMON.contains(&field)
}

/// Returns the fields of a record that its kind does not have, to some depth; none for an unknown kind.
#[must_use]
pub fn undocumented(kind: &str, value: &Value, depth: usize) -> Vec<String> {
    let mut found = BTreeSet::new();
    if let Some(fields) = self::kind(kind) {
        walk(fields, value, "", depth, &mut found);
        found.retain(|field| !is_common(field));
    }
    found.into_iter().collect()
}

fn walk(of: &Type, value: &Value, prefix: &str, depth: usize, found: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let Some(field) = of.find(name) else {
            found.insert(path);
            continue;
        };
        if depth > 1 {
            let mut values = vec![value];
            for sign in &field.of.within {
                values = values.into_iter().flat_map(|value| elements(value, sign)).collect();
            }
            for value in values {
                walk(&field.of, value, &format!("{path}."), depth - 1, found);
            }
        }
    }
}

fn elements<'a>(value: &'a Value, sign: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(list) if sign == LIST => list.iter().collect(),
        Value::Object(map) if sign == MAP => map.values().collect(),
        _ => Vec::new(),
    }
}

/// Makes the page of all fields.
#[must_use]
pub fn page() -> String {
    let marks = || TEMPLATE.lines().filter_map(|line| line.strip_prefix(MARK)?.strip_suffix(" -->"));
    let described: Vec<&str> = marks().map(|mark| marked(mark).name.as_str()).chain([PERCENTILES]).collect();
    let mut page = String::new();
    for line in TEMPLATE.lines() {
        let Some(mark) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else {
            page.push_str(line);
            page.push('\n');
            continue;
        };
        page.push_str("field | content\n---|---\n");
        let mut rows: Vec<Row<'_>> = Vec::new();
        add_rows(marked(mark), "", &described, &mut rows);
        for Row { prefix, names, text, is_stable } in rows {
            let field = braced(&names);
            let stable = if is_stable { " ●" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(page, "`{prefix}{field}`{stable} | {text}");
        }
    }
    page
}

/// Finds what a mark names: a kind, and maybe one of its fields.
///
/// # Panics
/// If there is no such field: the template is wrong.
fn marked(mark: &str) -> &'static Type {
    let mut words = mark.split([' ', '.']);
    let kind = kind(words.next().unwrap_or_default()).expect("the template names a kind");
    words.fold(kind, |of, name| &of.find(name).expect("the template names a field").of)
}

fn braced(names: &[&str]) -> String {
    if let [name] = names { (*name).to_owned() } else { format!("{{{}}}", names.join(",")) }
}

/// A row of a table: fields of one description.
struct Row<'a> {
    prefix: String,
    names: Vec<&'a str>,
    text: String,
    is_stable: bool,
}

/// Adds the rows of a type's fields. Types that are `described` elsewhere are not looked into.
fn add_rows<'a>(of: &'a Type, prefix: &str, described: &[&str], rows: &mut Vec<Row<'a>>) {
    let mut shared: Option<usize> = None;
    for field in &of.fields {
        let Field { name, text, is_stable, of } = field;
        let is_apart = of.fields.is_empty() || described.contains(&of.name.as_str());
        if text.is_empty() && prefix.is_empty() && is_common(name) {
            shared = None;
        } else if text.is_empty() && !is_apart {
            if let (true, Some(row)) = (is_stable, shared) {
                rows[row].names.push(name);
            }
            add_rows(of, &format!("{prefix}{name}{}.", of.within.concat()), described, rows);
        } else if let (true, Some(row)) = (text.is_empty(), shared) {
            rows[row].names.push(name);
        } else {
            let parts: Vec<&str> = of.fields.iter().map(|part| part.name.as_str()).collect();
            let text = if is_apart { text.clone() } else { format!("`{}`: {text}", braced(&parts)) };
            let same =
                |row: &Row<'_>| row.prefix == prefix && row.text == text && row.is_stable == *is_stable;
            shared = rows.iter().position(same);
            if let Some(row) = shared {
                rows[row].names.push(name);
            } else {
                shared = Some(rows.len());
                rows.push(Row { prefix: prefix.to_owned(), names: vec![name], text, is_stable: *is_stable });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_of_one_description_share_a_row_and_types_within_are_looked_into() {
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Outer {
            kind: String,
            /// ● Two
            /// of them.
            a: u32,
            b: u32,
            /// ●
            list: Vec<Inner>,
            /// Said.
            told: Option<Inner>,
            map: std::collections::BTreeMap<String, Inner>,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Inner {
            /// X.
            x: u32,
            #[serde(skip_serializing_if = "Option::is_none")]
            early: Option<u32>,
            /// X.
            y: u32,
        }
        let outer = Type::of::<Outer>();
        let mut rows = Vec::new();
        add_rows(&outer, "", &[], &mut rows);
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("{}{} {} {}", row.prefix, braced(&row.names), row.is_stable, row.text))
            .collect();
        assert_eq!(
            rows,
            [
                "{a,b,list} true Two of them.",
                "list[].{x,y,early} false X.",
                "told false `{x,y,early}`: Said.",
                "map.NAME.{x,y,early} false X.",
            ]
        );
    }

    #[test]
    fn what_a_kind_does_not_have_is_found_at_any_depth() {
        let value = json!({"schema_version": 1, "kind": "run", "novel": 1, "NAME": 2,
            "operations": {"get": {"attempts": 1, "odd": {"deep": 2}}},
            "config": {"writers": {"of": 1}, "strange": {}, "span": {"ops": 2, "years": 3}},
            "placement": {"workers": [{"worker": 1, "hat": 2}], "memory": {"before": {"nodes": {"0": 5}}}}});
        assert_eq!(undocumented("run", &value, 1), ["NAME", "novel"]);
        let all = undocumented("run", &value, usize::MAX);
        assert_eq!(
            all,
            [
                "NAME",
                "config.span.years",
                "config.strange",
                "config.writers.of",
                "novel",
                "operations.odd",
                "placement.workers.hat"
            ]
        );
        let gate = json!({"kind": "gate", "config": {"seed": 1, "luck": 2}});
        assert_eq!(undocumented("gate", &gate, usize::MAX), ["config.luck"]);
        assert!(undocumented("unheard-of", &value, 1).is_empty());
        assert!(!is_kind("unheard-of") && is_kind("run") && is_kind("gate-baseline"));
    }
}
