//! Records that belong together: those of one configuration on one machine and build are repetitions of each other,
//! and what tells groups apart names them. Pure.

use super::config::Fields;
use super::record::Record;
use std::collections::BTreeSet;

/// Records of one kind that were made alike but for the seed.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The configuration, without the seed.
    pub config: Fields,
    /// The machine and the build.
    pub environment: Fields,
    /// The records, at least one.
    pub records: Vec<&'a Record>,
}

/// Groups records, in the order in which they first occur.
#[must_use]
pub fn groups<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for record in records {
        let mut config = record.config();
        config.remove("seed");
        let environment = record.machine_and_build();
        let same = groups.iter_mut().find(|group| {
            group.kind() == record.kind && group.config == config && group.environment == environment
        });
        match same {
            Some(group) => group.records.push(record),
            None => groups.push(Group { config, environment, records: vec![record] }),
        }
    }
    groups
}

impl Group<'_> {
    /// Returns the kind of its records.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.records[0].kind
    }

    /// Says what disturbed the first of its records that something disturbed.
    #[must_use]
    pub fn disturbed_by(&self) -> Option<String> {
        self.records.iter().find_map(|record| record.disturbed_by())
    }

    /// Returns a field of the configuration, or of the machine and build.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.config.get(name).or_else(|| self.environment.get(name));
        found.map(String::as_str)
    }
}

/// Names groups by what tells them apart, each in one short line; a single one by what was run.
#[must_use]
pub fn labels(groups: &[Group<'_>]) -> Vec<String> {
    let config = varying(groups.iter().map(|group| &group.config));
    let environment = varying(groups.iter().map(|group| &group.environment));
    let telling: Vec<&String> = config.iter().filter(|name| !is_minor(name)).collect();
    let tells = |fields: &[&String]| {
        let seen: BTreeSet<Vec<Option<&str>>> =
            groups.iter().map(|group| fields.iter().map(|name| group.field(name)).collect()).collect();
        seen.len() == groups.len()
    };
    let chosen: Vec<&String> = if tells(&telling) {
        telling
    } else {
        // What of the build says least is left to the others if it can be.
        let revision = environment.iter().filter(|name| *name == "build.git_revision");
        let short: Vec<&String> = config.iter().chain(revision).collect();
        if tells(&short) { short } else { config.iter().chain(&environment).collect() }
    };
    groups
        .iter()
        .map(|group| {
            let mut said: Vec<(usize, String)> = chosen
                .iter()
                .filter(|name| **name != "watchers" || group.field(name) != Some("0"))
                .filter_map(|name| Some((rank(name), say(name, group.field(name)?, chosen.len()))))
                .collect();
            said.sort_by_key(|&(rank, _)| rank);
            let parts: Vec<String> = said.into_iter().map(|(_, said)| said).collect();
            if parts.is_empty() { group.records[0].what() } else { parts.join(", ") }
        })
        .collect()
}

/// Returns the fields of which not all lists say the same.
pub fn varying<'a>(lists: impl Iterator<Item = &'a Fields>) -> BTreeSet<String> {
    let lists: Vec<&Fields> = lists.collect();
    let all: BTreeSet<&String> = lists.iter().flat_map(|fields| fields.keys()).collect();
    let varies = |name: &&String| lists.iter().any(|fields| fields.get(*name) != lists[0].get(*name));
    all.into_iter().filter(varies).cloned().collect()
}

/// Tells whether a field says little of what was run.
fn is_minor(name: &str) -> bool {
    ["span", "warmup", "slots", "max_value_len", "keys", "watch_groups"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// Returns where a field stands in a name: what is asked for first comes first, since long names are cut.
fn rank(name: &str) -> usize {
    let first = ["scrub", "value_len", "writers", "readers", "watchers", "key_choice", "mix", "pin"];
    first.iter().position(|it| *it == name).unwrap_or(first.len())
}

/// Says a field as people would, shorter where many are said.
fn say(name: &str, value: &str, many: usize) -> String {
    match name {
        "writers" | "readers" if many > 3 => format!("{value}{}", &name[..1]),
        "scrub" if many > 1 => value.to_owned(),
        "writers" | "readers" | "watchers" | "keys" => {
            let name = if value == "1" { name.trim_end_matches('s') } else { name };
            format!("{value} {name}")
        }
        "value_len" => format!("{value} B"),
        "mix" | "key_choice" | "workers" => value.to_owned(),
        "build.git_revision" => short_revision(value),
        _ => format!("{} {value}", name.replace(['_', '.'], " ")),
    }
}

/// Shortens a revision to what people read, with the mark of a tree that was changed since.
#[must_use]
pub fn short_revision(revision: &str) -> String {
    let (hash, mark) = match revision.split_once('-') {
        Some((hash, mark)) => (hash, format!("-{mark}")),
        None => (revision, String::new()),
    };
    let hash: String = hash.chars().take(9).collect();
    format!("{hash}{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use serde_json::{Value, json};

    fn run(config: &Value, environment: &Value) -> Record {
        record(json!({"schema_version": 1, "kind": "run", "config": config, "environment": environment}))
    }

    #[test]
    fn repetitions_are_one_group_whatever_their_seed_and_load() {
        let records: Vec<Record> = [(1, "none", "0.1"), (2, "none", "5.0"), (1, "full", "0.1")]
            .map(|(seed, scrub, load)| {
                run(&json!({"scrub": scrub, "seed": seed}), &json!({"kernel": "6", "load_before": load}))
            })
            .into();
        let groups = groups(&records);
        let sizes: Vec<usize> = groups.iter().map(|group| group.records.len()).collect();
        assert_eq!(sizes, [2, 1]);
        assert_eq!(labels(&groups), ["scrub none", "scrub full"]);
    }

    #[test]
    fn groups_are_named_by_what_tells_them_apart() {
        let build = |revision: &str| json!({"build": {"git_revision": revision}});
        let hash = "708868989b08bda1d10a1a1dffd9b59146d5df36";
        let records = [
            run(&json!({"writers": 1, "span": {"ops": 5}}), &build(hash)),
            run(&json!({"writers": 4, "span": {"ops": 6}}), &build(hash)),
        ];
        assert_eq!(labels(&groups(&records)), ["1 writer", "4 writers"]);
        let records = [
            run(&json!({"writers": 1}), &build(hash)),
            run(&json!({"writers": 1}), &build("abcdef0123456-dirty")),
        ];
        assert_eq!(labels(&groups(&records)), ["708868989", "abcdef012-dirty"]);
        let single = [run(&json!({"scrub": "full"}), &build(hash))];
        let label = labels(&groups(&single)).remove(0);
        assert!(label.starts_with("scrub full"), "{label}");
    }
}
