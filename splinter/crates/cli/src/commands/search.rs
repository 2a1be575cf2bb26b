//! The command `search`: finds the keys whose vectors are nearest to a query.

use super::list::regex;
use super::prelude::*;
use super::type_::TYPES;
use crate::options::{not_one_of, number, text};
use crate::output::{json_bytes, json_mask, listed, shown, write_json};
use crate::retry::{retry_busy, retry_key};
use crate::table;
use crate::vector;
use regex::bytes::Regex;
use serde_json::Value;
use splinter::{Candidate, Error, Key, Metric, Store, Type};
use std::collections::HashMap;

pub(super) static COMMAND: Command = Command {
    name: "search",
    usage: &["--key KEY [OPTION]...", "--vector FILE [OPTION]..."],
    summary: "Finds the keys whose vectors are nearest to a query",
    details: "\
The query is the vector of KEY, which is left out itself, or the one in FILE (-
is standard input): as many numbers as the store's vectors have components, as a
JSON array or with blanks, commas or newlines between them, or as raw 32-bit
floats, the lowest byte first. Searches for a text are not possible yet.

The answer is the ten nearest keys, or as many as --k or --limit says, the
nearest first; of keys that are equally near, the one in the lower slot. If none
is found, it is an empty table, and the exit code is 0. --raw prints the names.

The metric is cosine, the similarity from -1 to 1; dot, the dot product; or l2,
the Euclidean distance. Without --metric it is cosine, or l2 if --distance is
given without --similarity. With both, the order is that of the similarity.

The command finds keys that carry all labels of each --label and --bloom, one of
those of --any-label, and none of those of --no-label. A MASK is as for label;
for --bloom it is the name of a label, or hexadecimal with or without 0x. Under
a prefix, the command finds only the keys under it, by their whole names.

A search compares the vectors that their sketches say are the nearest, 500 and
ten for each key that is wanted, or as many as --depth says. It may miss some.
With --all and a bound (--min-score, --similarity or --distance) it ends after a
hundred keys in a row beyond the bound, or as many as --depth says.
--exact and --regex compare all vectors and miss none. PATTERN may match any
part of a key after the session's prefix.",
    // Only to explain why it is refused: the text that libsplinter's command of that name searches for.
    args: &[Arg::any("OPTION", Kind::Text)],
    options: &[
        Opt::valued("--key", "KEY", "searches for keys near KEY").kind(Kind::Key),
        Opt::valued("--vector", "FILE", "searches for keys near the vector in FILE").kind(Kind::File),
        Opt::valued("--k", "N", "how many keys to find at most; 10, if not given"),
        Opt::valued("--limit", "N", "as --k"),
        Opt::flag("--all", "finds all keys with a vector"),
        Opt::valued("--metric", "METRIC", "cosine, dot or l2").kind(Kind::Choice(METRICS)),
        Opt::valued("--label", "MASK", "finds keys that have all labels in MASK"),
        Opt::valued("--bloom", "MASK", "as --label, with MASK in hexadecimal"),
        Opt::valued("--any-label", "MASK", "finds keys that have one of the labels in MASK"),
        Opt::valued("--no-label", "MASK", "finds keys that have none of the labels in MASK"),
        Opt::valued("--prefix", "PREFIX", "finds keys that begin with PREFIX"),
        Opt::valued("--regex", "PATTERN", "finds keys that match PATTERN, and compares all vectors"),
        Opt::valued("--type", "TYPE", "finds keys of a type").kind(Kind::Choice(TYPES)),
        Opt::valued("--min-score", "F", "the least similarity or dot product"),
        Opt::valued("--similarity", "F", "the least cosine, from -1 to 1"),
        Opt::valued("--distance", "F", "the greatest Euclidean distance"),
        Opt::flag("--exact", "compares all vectors, and misses none"),
        Opt::valued("--depth", "N", "how many vectors to compare, at least"),
        Opt::valued("--threads", "N", "how many threads search; one, if not given"),
        Opt::flag("--group", "finds the orders of a tandem as one: the nearest of them"),
    ],
    run,
};

const METRICS: &[&str] = &["cosine", "dot", "l2"];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    if let Some(text) = call.get(0) {
        return Err(Failure::usage(format!(
            "{} is a text, of which no vector can be made yet; give --key or --vector",
            shown(text)
        )));
    }
    let wanted = Wanted::of(session, call)?;
    let query = Query::of(session, call)?;
    let store = session.store()?;
    let found = retry_busy(|| wanted.find(store, &query)).map_err(|error| match error {
        Error::Again => Failure::new("a key changed all the while; try again"),
        error => Failure::new(error.to_string()),
    })?;
    wanted.print(session, &found)
}

/// The vector to search for.
struct Query {
    vector: Vec<f32>,
    /// The key that has it.
    key: Option<Vec<u8>>,
}

impl Query {
    fn of(session: &Session, call: &Call<'_>) -> Result<Self, Failure> {
        let dim = session.store()?.geometry().vector_dim;
        let none = || Failure::new("this store has no vectors; init --dim makes one that has");
        match (call.value("--key"), call.value("--vector")) {
            (Some(_), Some(_)) => Err(Failure::usage("give --key or --vector, not both")),
            (None, None) => Err(Failure::usage(format!("--key or --vector is missing; {}", call.usage()))),
            _ if dim == 0 => Err(none()),
            (None, Some(word)) => {
                let (mut from, name) = open_input(session, word)?;
                Ok(Self { vector: vector::read(&mut from, &name, dim)?, key: None })
            }
            (Some(word), None) => {
                let (store, key) = (session.store()?, session.key(word));
                // A search is no use of the key: it leaves no visit in a cache.
                let vector = retry_key(&key, || store.content(&key))?.vector;
                if vector.is_empty() {
                    return Err(Failure::new(format!("{} has no vector", shown(&key))));
                }
                if !vector.iter().all(|component| component.is_finite()) {
                    let why = "has a component that is infinite or no number";
                    return Err(Failure::new(format!("the vector of {} {why}", shown(&key))));
                }
                Ok(Self { vector, key: Some(key) })
            }
        }
    }

    /// Returns the Euclidean distance to the vector of a key, if the key still has the content that it had as a candidate.
    fn distance_to(&self, store: &Store, candidate: &Candidate<'_>) -> Result<Option<f64>, Error> {
        let content = match store.content(candidate.key) {
            Err(Error::NotFound) => return Ok(None),
            content => content?,
        };
        if content.slot.epoch != candidate.epoch {
            return Ok(None);
        }
        let square = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
        Ok(Some(content.vector.iter().zip(&self.vector).map(square).sum::<f64>().sqrt()))
    }
}

/// What to find.
struct Wanted {
    count: usize,
    metric: Metric,
    /// The least score, as the store counts it: the higher, the nearer.
    min_score: Option<f64>,
    /// The greatest distance, if the order is not by distance.
    max_distance: Option<f64>,
    labels_all: u64,
    labels_any: u64,
    labels_none: u64,
    prefix: Vec<u8>,
    /// A pattern, and how many bytes of a key come before what it is to match.
    pattern: Option<(Regex, usize)>,
    kind: Option<Type>,
    is_exact: bool,
    depth: Option<usize>,
    threads: usize,
    groups_orders: bool,
}

/// A key that was found, all of it as it was at one moment.
struct Found {
    key: Key,
    slot: u32,
    epoch: u64,
    score: f64,
    details: Details,
}

/// What a search tells of a key besides its score.
#[derive(Clone, Copy)]
struct Details {
    value_len: usize,
    kind: Type,
    labels: u64,
    /// The distance, if the order is not by distance and one was asked for.
    distance: Option<f64>,
}

impl Wanted {
    fn of(session: &Session, call: &Call<'_>) -> Result<Self, Failure> {
        let counts = ["--k", "--limit"].map(|option| call.number::<u64>(option));
        let count = match (counts, call.has("--all")) {
            ([Err(failure), _] | [_, Err(failure)], _) => return Err(failure),
            ([Ok(Some(0)), _] | [_, Ok(Some(0))], _) => {
                return Err(Failure::usage("0 keys are none; give 1 or more"));
            }
            ([Ok(None), Ok(None)], true) => usize::MAX,
            ([Ok(count), Ok(None)] | [Ok(None), Ok(count)], false) => count.unwrap_or(10) as usize,
            _ => return Err(Failure::usage("give one of --k, --limit and --all")),
        };
        let (metric, min_score, max_distance) = bounds(call)?;
        let labels = |option| {
            let mask = |word| session.labels.mask(option, word, &session.interrupt);
            call.values(option).try_fold(0, |all, word| Ok::<_, Failure>(all | mask(word)?))
        };
        let kind = |word| {
            let kind = text("--type", word)?.parse();
            kind.map_err(|error| Failure::usage(format!("--type: {error}")))
        };
        let mut depth = call.number::<u64>("--depth")?.map(|depth| depth as usize);
        if call.has("--regex") {
            // Candidates that do not match would take the places of those that do.
            depth = Some(usize::MAX);
        }
        let threads: Option<u64> = call.number("--threads")?;
        if threads == Some(0) {
            return Err(Failure::usage("0 threads are none; give 1 or more"));
        }
        Ok(Self {
            count,
            metric,
            min_score,
            max_distance,
            labels_all: call.values("--bloom").try_fold(labels("--label")?, |all, word| {
                Ok::<_, Failure>(all | hexadecimal_mask(session, word)?)
            })?,
            labels_any: labels("--any-label")?,
            labels_none: labels("--no-label")?,
            prefix: session.key(call.value("--prefix").unwrap_or_default()),
            pattern: call
                .value("--regex")
                .map(regex)
                .transpose()?
                .map(|pattern| (pattern, session.prefix.len())),
            kind: call.value("--type").map(kind).transpose()?,
            is_exact: call.has("--exact"),
            depth,
            threads: threads.unwrap_or(1) as usize,
            groups_orders: call.has("--group"),
        })
    }

    /// Searches once.
    fn find(&self, store: &Store, query: &Query) -> Result<Vec<Found>, Error> {
        let (mut details, mut failed) = (HashMap::new(), None);
        let mut search = store
            .search(&query.vector)?
            .k(self.count)
            .metric(self.metric)
            .labels_all(self.labels_all)
            .labels_any(self.labels_any)
            .labels_none(self.labels_none)
            .prefix(&self.prefix)
            .exact(self.is_exact)
            .threads(self.threads)
            .group_orders(self.groups_orders);
        if let Some(kind) = self.kind {
            search = search.kind(kind);
        }
        if let Some(score) = self.min_score {
            search = search.min_score(score);
        }
        if let Some(depth) = self.depth {
            search = search.depth(depth);
        }
        // A candidate has its length, type and labels of the moment of its score. Without a score it is no hit.
        let hits = search.rescore(|candidate| {
            let key = candidate.key.as_ref();
            let matches = |(pattern, from): &(Regex, usize)| {
                key.get(*from..).is_some_and(|rest| pattern.is_match(rest))
            };
            if query.key.as_deref() == Some(key) || !self.pattern.as_ref().is_none_or(matches) {
                return f64::NAN;
            }
            if self.min_score.is_some_and(|least| candidate.score < least) {
                return candidate.score;
            }
            let distance = match self.max_distance.map(|most| (most, query.distance_to(store, candidate))) {
                None => None,
                Some((most, Ok(Some(distance)))) if distance <= most => Some(distance),
                Some((_, Ok(_))) => return f64::NAN,
                Some((_, Err(error))) => {
                    failed = Some(error);
                    return f64::NAN;
                }
            };
            let Candidate { kind, labels, value, .. } = *candidate;
            details.insert(candidate.slot, Details { value_len: value.len(), kind, labels, distance });
            candidate.score
        });
        let hits = hits.run()?;
        if let Some(error) = failed {
            return Err(error);
        }
        let found = hits.into_iter().map(|hit| {
            let details = *details.get(&hit.slot).expect("each hit was a candidate");
            Found { key: hit.key, slot: hit.slot, epoch: hit.epoch, score: hit.score, details }
        });
        Ok(found.collect())
    }

    /// Returns the name of the score in JSON, and in a table.
    fn names(&self) -> (&'static str, &'static str) {
        match self.metric {
            Metric::Cosine => ("similarity", "Similarity"),
            Metric::Dot => ("dot", "Dot Product"),
            Metric::L2 => ("distance", "Distance"),
        }
    }

    /// Returns the score of a key that was found as it is printed: distances are not negative.
    fn printed(&self, found: &Found) -> f64 {
        if self.metric == Metric::L2 { 0.0 - found.score } else { found.score }
    }

    fn print(&self, session: &mut Session, found: &[Found]) -> Result<(), Failure> {
        let (name, title) = self.names();
        let out = &mut session.out;
        match session.format {
            Format::Default => {
                let mut heading = vec!["Key Name", title, "Epoch", "Value Length", "Type"];
                if self.max_distance.is_some() {
                    heading.insert(2, "Distance");
                }
                let row = |key: &'_ Found| {
                    let Details { value_len, kind, distance, .. } = key.details;
                    let mut row = vec![readable(self.printed(key))];
                    row.extend(distance.map(readable));
                    row.extend([key.epoch.to_string(), value_len.to_string(), kind.to_string()]);
                    let cells = row.into_iter().map(|cell| cell.into_bytes().into());
                    [listed(key.key.as_ref()).into_owned().into()].into_iter().chain(cells).collect()
                };
                let rows: Vec<table::Row<'_>> = found.iter().map(row).collect();
                table::write(out, &heading, &rows)?;
            }
            Format::Json => {
                let row = |key: &Found| {
                    let Details { value_len, kind, labels, distance } = key.details;
                    let mut row = json!({
                        "key": json_bytes(key.key.as_ref()), "epoch": key.epoch, "slot": key.slot,
                        "value_length": value_len, "type": kind.to_string(), "labels": json_mask(labels),
                    });
                    row[name] = self.printed(key).into();
                    if let Some(distance) = distance {
                        row["distance"] = distance.into();
                    }
                    row
                };
                let results: Vec<Value> = found.iter().map(row).collect();
                write_json(out, &json!({ "metric": self.metric.to_string(), "results": results }))?;
            }
            Format::Raw => {
                for found in found {
                    out.write_all(&[found.key.as_ref(), b"\n"].concat())?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the metric, the least score by it, and the greatest distance if the metric is another one.
fn bounds(call: &Call<'_>) -> Result<(Metric, Option<f64>, Option<f64>), Failure> {
    let metric = match call.value("--metric") {
        None => None,
        Some(word) => {
            let metric = Metric::ALL.into_iter().find(|metric| metric.to_string().as_bytes() == word);
            Some(metric.ok_or_else(|| not_one_of(word, METRICS).with_context("--metric"))?)
        }
    };
    let score = float(call, "--min-score", f64::MIN, f64::MAX, "a finite number")?;
    let similarity = float(call, "--similarity", -1.0, 1.0, "a number from -1 to 1")?;
    let distance = float(call, "--distance", 0.0, f64::MAX, "a finite number from 0 on")?;
    if score.is_some() && (similarity.is_some() || distance.is_some()) {
        return Err(Failure::usage("--min-score goes with neither --similarity nor --distance"));
    }
    match metric {
        Some(metric) if similarity.is_some() && metric != Metric::Cosine => {
            Err(Failure::usage(format!("--similarity is of the metric cosine, not {metric}")))
        }
        Some(metric) if distance.is_some() && metric != Metric::L2 => {
            Err(Failure::usage(format!("--distance is of the metric l2, not {metric}")))
        }
        Some(Metric::L2) if score.is_some() => {
            Err(Failure::usage("--min-score is of the metrics cosine and dot; give --distance with l2"))
        }
        // The store counts distances as negative scores.
        metric if metric == Some(Metric::L2) || distance.is_some() && similarity.is_none() => {
            Ok((Metric::L2, distance.map(|distance| -distance), None))
        }
        metric => Ok((metric.unwrap_or_default(), score.or(similarity), distance)),
    }
}

/// Returns the value of an option as a number from `least` to `most`. Other words have exit code 2.
fn float(call: &Call<'_>, option: &str, least: f64, most: f64, what: &str) -> Result<Option<f64>, Failure> {
    let Some(word) = call.value(option) else { return Ok(None) };
    let number = str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| Failure::usage(format!("{option}: {} is not {what}", shown(word))))
}

/// Parses a mask of labels as libsplinter's command of that name does: in hexadecimal, with or without 0x. It may also be
/// the name of a label.
fn hexadecimal_mask(session: &Session, word: &[u8]) -> Result<u64, Failure> {
    let (named, decimal) = (session.labels.find(word, &session.interrupt)?, number("--bloom", word).ok());
    // A number stands for itself, unless a label has it as its name.
    if let Some(mask) = named.filter(|_| named != decimal) {
        return Ok(mask);
    }
    let digits = word.strip_prefix(b"0x").or_else(|| word.strip_prefix(b"0X")).unwrap_or(word);
    let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| {
        let word = shown(word);
        Failure::usage(format!(
            "--bloom: {word} is neither a label nor a mask of up to 16 hexadecimal digits"
        ))
    })
}

/// Formats a score for people: six digits behind the point, or in scientific notation if that says too little or too much.
fn readable(score: f64) -> String {
    match score.abs() {
        0.0 | 1e-4..1e15 => format!("{score:.6}"),
        _ => format!("{score:.6e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_are_those_of_the_store() {
        assert_eq!(METRICS, Metric::ALL.map(|metric| metric.to_string()));
    }

    #[test]
    fn scores_have_six_digits_or_are_scientific() {
        let texts = [0.0, 1.0, -0.25, 1e-5, -1e20].map(readable);
        assert_eq!(texts, ["0.000000", "1.000000", "-0.250000", "1.000000e-5", "-1.000000e20"]);
    }
}
