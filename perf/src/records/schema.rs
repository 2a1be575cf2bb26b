//! The fields that records are documented to have, read from `results/schema.md`: the page that people read is the list
//! that programs use. It knows no values.

use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const PAGE: &str = include_str!("../../../results/schema.md");

/// The section whose fields any kind may have.
const ALL_KINDS: &str = "All kinds";

static SCHEMA: LazyLock<Vec<Kind>> = LazyLock::new(|| parse(PAGE));

/// A kind of record with the paths of its fields.
struct Kind {
    name: String,
    paths: BTreeSet<Vec<String>>,
}

/// Reads the tables of the page whose first column is "field".
fn parse(page: &str) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    let (mut prefix, mut is_table) = (String::new(), false);
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let name = code(title).into_iter().next();
            kinds.push(Kind { name: name.unwrap_or(title).to_owned(), paths: BTreeSet::new() });
            prefix.clear();
        } else if let Some(title) = line.strip_prefix("### ") {
            prefix = format!("{}.", code(title).into_iter().next().unwrap_or(title));
        } else if line.starts_with("| field |") {
            is_table = true;
        } else if !line.starts_with('|') {
            is_table = false;
        } else if let (true, Some(kind)) = (is_table, kinds.last_mut()) {
            let mut cells = line.split(" | ");
            let fields = code(cells.next().unwrap_or_default());
            let content = code(cells.next().unwrap_or_default());
            let parts = content.into_iter().filter(|text| text.starts_with('{') && !text.contains('"'));
            let parts: Vec<&str> = parts.collect();
            for field in fields {
                let field = format!("{prefix}{field}");
                kind.paths.extend(expand(&field));
                kind.paths.extend(parts.iter().flat_map(|part| expand(&format!("{field}.{part}"))));
            }
        }
    }
    kinds
}

/// Returns what stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Writes `a.{b,c[]}.d` as the paths that it stands for.
fn expand(field: &str) -> Vec<Vec<String>> {
    let texts = match (field.find('{'), field.find('}')) {
        (Some(open), Some(close)) => {
            let choices = field[open + 1..close].split(',');
            let whole = |choice: &str| format!("{}{choice}{}", &field[..open], &field[close + 1..]);
            return choices.flat_map(|choice| expand(&whole(choice))).collect();
        }
        _ => field.replace("[]", ""),
    };
    vec![texts.split('.').map(str::to_owned).collect()]
}

/// Tells whether a documented path and one of a record agree as far as both go; a documented name in capitals stands
/// for any.
fn agree(documented: &[String], path: &[String]) -> bool {
    let mut pairs = documented.iter().zip(path);
    pairs.all(|(documented, name)| documented == name || is_any(documented))
}

fn is_any(name: &str) -> bool {
    name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase())
}

/// Returns the fields in the section of a kind; `None` for an unknown kind.
fn section(kind: &str) -> Option<&'static BTreeSet<Vec<String>>> {
    let kind = SCHEMA.iter().find(|it| it.name == kind)?;
    Some(&kind.paths)
}

/// Tells whether a kind is documented.
#[must_use]
pub fn is_kind(kind: &str) -> bool {
    kind != ALL_KINDS && section(kind).is_some()
}

/// Tells whether every kind may have a top-level field.
#[must_use]
pub fn is_common(field: &str) -> bool {
    let mut paths = section(ALL_KINDS).into_iter().flatten();
    paths.any(|path| path[0] == field)
}

/// Returns the fields of a record that its kind is not documented to have, to some depth; none for an unknown kind.
#[must_use]
pub fn undocumented(kind: &str, value: &Value, depth: usize) -> Vec<String> {
    let mut found = BTreeSet::new();
    if is_kind(kind) {
        // Every kind may have the common fields, and an environment as runs have it.
        let own = section(kind).into_iter().flatten();
        let common = section(ALL_KINDS).into_iter().flatten();
        let environment = section("run").into_iter().flatten().filter(|path| path[0] == "environment");
        let paths: Vec<&Vec<String>> = own.chain(common).chain(environment).collect();
        walk(value, &mut Vec::new(), depth, &mut |path| {
            let known = || paths.iter().filter(|known| agree(known, path));
            let is_known = known().any(|known| known.len() >= path.len());
            if !is_known {
                found.insert(path.join("."));
            }
            // What is documented as a whole is not looked into.
            is_known && known().any(|known| known.len() > path.len())
        });
    }
    found.into_iter().collect()
}

/// Returns the documented fields of a kind that none of some records has.
#[must_use]
pub fn unseen(kind: &str, values: &[Value]) -> Vec<String> {
    let mut left: BTreeSet<Vec<String>> = section(kind).cloned().unwrap_or_default();
    for value in values {
        walk(value, &mut Vec::new(), usize::MAX, &mut |path| {
            left.retain(|known| known.len() != path.len() || !agree(known, path));
            true
        });
    }
    left.into_iter().map(|path| path.join(".")).collect()
}

/// Visits the fields of a value, those of lists' elements as well; a visitor says whether to go on below.
fn walk(value: &Value, path: &mut Vec<String>, depth: usize, visit: &mut dyn FnMut(&[String]) -> bool) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| walk(value, path, depth, visit)),
        Value::Object(object) if depth > 0 => {
            for (name, value) in object {
                path.push(name.clone());
                if visit(path) {
                    walk(value, path, depth - 1, visit);
                }
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_read_from_tables_with_braces_lists_and_sections() {
        let page = "## All kinds\n| field | content |\n|---|---|\n| `kind` ● | a word |\n\n## `a`: one\n\
                    | field | content |\n|---|---|\n| `{b,c[].d}`, `e` | x |\n| `f` | `{g,h}` of it |\n\
                    | label | meaning |\n### `op.NAME`\n| field | content |\n| `i` ● | `j` |\n";
        let kinds = parse(page);
        let paths: Vec<String> = kinds[1].paths.iter().map(|path| path.join(".")).collect();
        assert_eq!(paths, ["b", "c.d", "e", "f", "f.g", "f.h", "op.NAME.i"]);
    }

    #[test]
    fn what_is_not_documented_is_found_at_any_depth() {
        let value = json!({"schema_version": 1, "kind": "run", "novel": 1, "NAME": 2,
            "operations": {"get": {"attempts": 1, "odd": 2}}, "config": {"writers": 1, "strange": {}},
            "placement": {"memory": {"before": {"nodes": {"0": 5}}}}});
        assert_eq!(undocumented("run", &value, 1), ["NAME", "novel"]);
        let all = undocumented("run", &value, usize::MAX);
        assert_eq!(all, ["NAME", "config.strange", "novel", "operations.get.odd"]);
        assert!(undocumented("unheard-of", &value, 1).is_empty());
        assert!(!is_kind("unheard-of") && is_kind("run") && is_kind("gate-baseline"));
        let unseen = unseen("run", &[value]);
        assert!(unseen.contains(&"operations.NAME.successes".to_owned()), "{unseen:?}");
        assert!(!unseen.contains(&"operations.NAME.attempts".to_owned()), "{unseen:?}");
    }
}
