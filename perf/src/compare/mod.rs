//! Two sides of records set beside each other: first what differs in machine, build and configuration, then the
//! figures, with the spread of each side where it has several records. It explains; it passes no verdict.

mod document;
mod explain;

use crate::records::config::{Difference, Fields, TRANSIENT, differences};
use crate::records::figures::Figure;
use crate::records::group::{Group, groups, labels};
use crate::records::spread::Spread;
use crate::records::{Collection, Record};
use serde::{Serialize, Serializer};
use splinter_harness::verdict::SCHEMA_VERSION;
use std::collections::BTreeSet;

/// A difference in machine or build, with what it means for figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Explained {
    /// What differs.
    #[serde(flatten)]
    pub difference: Difference,
    /// What that means, if anything is known of it.
    pub meaning: &'static str,
}

/// Records of the first side, and those of the second that they are compared with.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Pair {
    /// The subject, records of each side, differences of configuration.
    pub name: String,
    pub kind: String,
    pub records: [usize; 2],
    /// The subject, records of each side, differences of configuration.
    pub config: Vec<Difference>,
    /// Why there are no figures; else empty.
    pub not_comparable: Vec<String>,
    #[schemars(with = "Vec<RowRecord<'_>>")]
    pub rows: Vec<Row>,
}

/// A figure on both sides.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is, and what it counts; its value is of no side.
    pub figure: Figure,
    /// The first side.
    pub a: Spread,
    /// The second side.
    pub b: Spread,
}

/// What is compared, and what cannot be.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Comparison {
    pub schema_version: u32,
    pub kind: &'static str,
    /// Both sides: argument, number of records.
    pub names: [String; 2],
    pub records: [usize; 2],
    /// Differences of machine and build, and their effect.
    pub environment: Vec<Explained>,
    /// In words: load, steal, oversubscription.
    pub cautions: Vec<String>,
    pub pairs: Vec<Pair>,
    /// Records without counterpart.
    pub unmatched: Vec<String>,
}

impl Row {
    /// Returns the second side's median over the first's; `None` where that has no meaning.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let ratio = self.b.median / self.a.median;
        ratio.is_finite().then_some(ratio)
    }

    /// Returns the least and the greatest ratio that both intervals allow; `None` where a side has one record only.
    #[must_use]
    pub fn ratio_interval(&self) -> Option<(f64, f64)> {
        let ends = (self.b.low / self.a.high, self.b.high / self.a.low);
        let known = self.a.samples > 1 && self.b.samples > 1;
        (known && ends.0.is_finite() && ends.1.is_finite()).then_some(ends)
    }

    /// Tells whether the second side is better; `None` where the intervals overlap, or are of fewer than six records.
    #[must_use]
    pub fn better(&self) -> Option<bool> {
        if !self.a.apart(&self.b)? {
            return None;
        }
        Some((self.b.median > self.a.median) == self.figure.more_is_better())
    }
}

/// Compares two sides.
#[must_use]
pub fn compare(names: [String; 2], [a, b]: [&Collection; 2]) -> Comparison {
    let sides = [groups(&a.records), groups(&b.records)];
    let mut comparison = Comparison {
        schema_version: SCHEMA_VERSION,
        kind: "compare",
        names,
        records: [a.records.len(), b.records.len()],
        environment: environment([a, b]),
        cautions: explain::cautions([a, b]),
        ..Comparison::default()
    };
    let (pairs, lone) = matched(&sides);
    // Named together, so that what tells them apart is in their names.
    let firsts: Vec<Group<'_>> = pairs.iter().map(|(group, _)| (*group).clone()).collect();
    for ((first, second), name) in pairs.iter().zip(labels(&firsts)) {
        comparison.pairs.push(pair(name, first, second));
    }
    for (side, group) in lone {
        let record = group.records[0];
        comparison.unmatched.push(format!(
            "{} of {}: {} ({})",
            record.kind,
            ["A", "B"][side],
            record.what(),
            record.name()
        ));
    }
    comparison
}

impl Comparison {
    /// Tells whether any figure stands beside another.
    #[must_use]
    pub fn has_figures(&self) -> bool {
        self.pairs.iter().any(|pair| !pair.rows.is_empty())
    }
}

/// A [`Row`] as it is written.
#[derive(Serialize, schemars::JsonSchema)]
struct RowRecord<'a> {
    /// Operation, row, claim, entrant.
    subject: &'a str,
    /// `goodput`, percentile, `again`, `value`, `rate`, `time`.
    measure: &'a str,
    /// `ns`, `per_s`, `bytes`, `bytes_per_s`, `share`.
    unit: &'a str,
    /// With probability `coverage` the interval holds the median; 0 for one record.
    a: &'a Spread,
    /// With probability `coverage` the interval holds the median; 0 for one record.
    b: &'a Spread,
    /// `b` over `a`; interval null for one record.
    ratio: Option<f64>,
    ratio_interval: Option<(f64, f64)>,
    /// Whether B is better; null: intervals overlap, or under six records a side.
    better: Option<bool>,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { figure, a, b } = self;
        let unit = figure.unit.field().trim_start_matches("value_");
        let (ratio, ratio_interval, better) = (self.ratio(), self.ratio_interval(), self.better());
        let row = RowRecord {
            subject: &figure.subject,
            measure: &figure.measure,
            unit,
            a,
            b,
            ratio,
            ratio_interval,
            better,
        };
        row.serialize(serializer)
    }
}

/// Finds what differs in machine and build; a side of several has all their values.
fn environment(sides: [&Collection; 2]) -> Vec<Explained> {
    let all = sides.map(|side| {
        let mut values = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
        for record in &side.records {
            for (field, value) in record.machine_and_build() {
                values.entry(field).or_default().insert(value);
            }
        }
        let joined = |(field, values): (String, BTreeSet<String>)| {
            (field, values.into_iter().collect::<Vec<_>>().join(" / "))
        };
        values.into_iter().map(joined).collect::<Fields>()
    });
    differences(&all[0], &all[1])
        .into_iter()
        .filter(|difference| !TRANSIENT.contains(&difference.field.as_str()))
        .map(|difference| Explained { meaning: explain::meaning(&difference.field), difference })
        .collect()
}

type Matched<'a, 'b> = (Vec<(&'b Group<'a>, &'b Group<'a>)>, Vec<(usize, &'b Group<'a>)>);

/// Finds for each group of the first side the one of the second that is most like it: of the same kind, with the
/// fewest differences in the configuration. The most alike are taken first.
fn matched<'a, 'b>([a, b]: &'b [Vec<Group<'a>>; 2]) -> Matched<'a, 'b> {
    let mut ways: Vec<(usize, usize, usize)> = Vec::new();
    for (i, first) in a.iter().enumerate() {
        for (j, second) in b.iter().enumerate() {
            if first.kind() == second.kind() {
                ways.push((differences(&first.config, &second.config).len(), i, j));
            }
        }
    }
    ways.sort_unstable();
    let (mut taken_a, mut taken_b) = (BTreeSet::new(), BTreeSet::new());
    let mut pairs = Vec::new();
    for (_, i, j) in ways {
        if !taken_a.contains(&i) && !taken_b.contains(&j) {
            taken_a.insert(i);
            taken_b.insert(j);
            pairs.push((i, j));
        }
    }
    pairs.sort_unstable();
    let lone = |side: usize, groups: &'b [Group<'a>], taken: &BTreeSet<usize>| {
        let taken = taken.clone();
        let free = groups.iter().enumerate();
        free.filter(move |(index, _)| !taken.contains(index))
            .map(move |(_, group)| (side, group))
            .collect::<Vec<_>>()
    };
    let mut rest = lone(0, a, &taken_a);
    rest.extend(lone(1, b, &taken_b));
    let pairs = pairs.into_iter().map(|(i, j)| (&a[i], &b[j])).collect();
    (pairs, rest)
}

fn pair(name: String, a: &Group<'_>, b: &Group<'_>) -> Pair {
    let not_comparable = explain::obstacles(a, b);
    let rows = if not_comparable.is_empty() { rows(&a.records, &b.records) } else { Vec::new() };
    Pair {
        name,
        kind: a.kind().to_owned(),
        records: [a.records.len(), b.records.len()],
        config: differences(&a.config, &b.config),
        not_comparable,
        rows,
    }
}

/// Sets the figures that both sides have beside each other.
fn rows(a: &[&Record], b: &[&Record]) -> Vec<Row> {
    let all =
        |records: &[&Record]| -> Vec<Figure> { records.iter().flat_map(|record| record.figures()).collect() };
    let (a, b) = (all(a), all(b));
    let mut rows: Vec<Row> = Vec::new();
    for figure in &a {
        let same = |other: &&Figure| {
            (&other.subject, &other.measure, other.unit) == (&figure.subject, &figure.measure, figure.unit)
        };
        if rows.iter().any(|row| same(&&row.figure)) {
            continue;
        }
        let of = |figures: &[Figure]| Spread::of(figures.iter().filter(same).map(|it| it.value));
        if let (Some(a), Some(b)) = (of(&a), of(&b)) {
            rows.push(Row { figure: figure.clone(), a, b });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::records;
    use serde_json::{Value, json};

    fn run(scrub: &str, len: &str, goodput: f64, kernel: &str) -> Value {
        json!({"schema_version": 1, "kind": "run", "verdict": "pass",
            "config": {"scrub": scrub, "value_len": len},
            "environment": {"kernel": kernel, "processors": 2, "load_before": "0.1 0.1 0.1"},
            "operations": {"get": {"attempts": 10, "goodput_per_s": goodput,
                "latency_ns": {"p50": 100, "samples": 9}}}})
    }

    fn side(values: &[Value]) -> Collection {
        let each = |value: &Value| records("some.json", value);
        Collection { records: values.iter().flat_map(each).collect(), ..Collection::default() }
    }

    fn compared(a: &[Value], b: &[Value]) -> Comparison {
        compare(["a".to_owned(), "b".to_owned()], [&side(a), &side(b)])
    }

    #[test]
    fn differences_come_with_what_they_mean() {
        let found = compared(&[run("none", "64", 1e6, "6.1")], &[run("none", "64", 2e6, "6.18")]);
        assert_eq!(found.environment.len(), 1);
        let explained = &found.environment[0];
        assert_eq!((explained.difference.a.as_str(), explained.difference.b.as_str()), ("6.1", "6.18"));
        assert!(!explained.meaning.is_empty());
        let row = &found.pairs[0].rows[0];
        assert_eq!((row.figure.measure.as_str(), row.ratio()), ("goodput", Some(2.0)));
        assert_eq!((row.ratio_interval(), row.better()), (None, None), "one record each");
    }

    #[test]
    fn several_records_have_a_spread_and_only_what_is_apart_is_better() {
        // From one to the other in equal steps.
        let runs = |count: u32, least: f64, greatest: f64| -> Vec<Value> {
            let step = (greatest - least) / f64::from(count - 1);
            let goodputs = (0..count).map(|it| least + step * f64::from(it));
            goodputs.map(|it| run("none", "64", it, "6")).collect()
        };
        let found = compared(&runs(7, 1e6, 1.2e6), &runs(7, 2e6, 2.4e6));
        assert_eq!(found.pairs.len(), 1);
        let row = &found.pairs[0].rows[0];
        assert!((row.ratio().unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(row.better(), Some(true));
        let (low, high) = row.ratio_interval().unwrap();
        assert!((low - 2.0 / 1.2).abs() < 1e-9 && (high - 2.4).abs() < 1e-9);
        let latency = &found.pairs[0].rows[1];
        assert_eq!((latency.ratio(), latency.better()), (Some(1.0), None), "they overlap");
        let close = compared(&runs(7, 1e6, 1.2e6), &runs(7, 1.1e6, 1.3e6));
        assert_eq!(close.pairs[0].rows[0].better(), None);
        let few = compared(&runs(3, 1e6, 1.2e6), &runs(3, 2e6, 2.4e6));
        assert_eq!(few.pairs[0].rows[0].better(), None, "three records a side tell too little");
        assert!(few.pairs[0].rows[0].ratio_interval().is_some());
    }

    #[test]
    fn what_is_most_alike_is_compared_and_the_rest_is_named() {
        let a = [run("none", "64", 1.0, "6"), run("full", "64", 2.0, "6")];
        let b = [run("full", "256", 3.0, "6"), run("none", "256", 4.0, "6"), run("hybrid", "256", 5.0, "6")];
        let found = compared(&a, &b);
        let ratios: Vec<Option<f64>> = found.pairs.iter().map(|it| it.rows[0].ratio()).collect();
        assert_eq!(ratios, [Some(4.0), Some(1.5)]);
        assert_eq!(found.pairs[0].config[0].field, "value_len");
        assert_eq!(found.unmatched.len(), 1);
        assert!(found.unmatched[0].contains("hybrid"), "{:?}", found.unmatched);
    }

    #[test]
    fn what_cannot_be_compared_has_reasons_and_no_figures() {
        let good = run("none", "64", 1e6, "6");
        let mut void = good.clone();
        void["environment"]["valgrind"] = json!(true);
        let mut broken = good.clone();
        broken["invariants"] = json!({"torn_reads": 1});
        let mut debug = good.clone();
        debug["environment"]["build"] = json!({"debug_assertions": "true"});
        let wake = json!({"schema_version": 1, "kind": "wake", "rows": []});
        for (other, word) in [(void, "Valgrind"), (broken, "torn reads"), (debug, "debug")] {
            let found = compared(std::slice::from_ref(&good), &[other]);
            assert!(found.pairs[0].not_comparable.join(" ").contains(word), "{word}");
            assert!(!found.has_figures());
        }
        let found = compared(&[good], &[wake]);
        assert!(found.pairs.is_empty() && found.unmatched.len() == 2 && !found.has_figures());
    }
}
