//! The judgement of a claim by its trial. Pure: it is handed what was measured and what the machine has, and knows nothing of
//! how either was found out.

use super::claims::{Needs, Rate};
use super::scaling::{self, Point};
use crate::unit::Unit;
use serde::{Deserialize, Serialize};
use splinter_harness::stats::Summary;

/// The finding on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The figure was reached.
    Reproduced,
    /// It was not, on a machine that should reach it.
    NotReproduced,
    /// It was not, and this machine lacks what it was claimed for.
    NotComparable,
    /// What was measured cannot be right, or what it is held against.
    Inconclusive,
}

impl Finding {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::NotReproduced => "not reproduced",
            Self::NotComparable => "not comparable on this hardware",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The machine's share of what claims ask for.
pub type Has = Needs;

/// A finding and its grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The finding.
    pub finding: Finding,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
}

impl Judgement {
    fn new(finding: Finding, reason: String) -> Self {
        Self { finding, reasons: vec![reason] }
    }

    /// Takes the finding back, saying why.
    #[must_use]
    pub fn doubt(mut self, reason: String) -> Self {
        self.finding = Finding::Inconclusive;
        self.reasons.push(reason);
        self
    }

    /// Adds a sentence.
    #[must_use]
    pub fn and(mut self, reason: Option<String>) -> Self {
        self.reasons.extend(reason);
        self
    }
}

/// Judges a rate by the median goodput of its repetitions.
#[must_use]
pub fn rate(claim: &Rate, goodput: Option<Summary>, curve: &[Point], has: Has) -> Judgement {
    let figure = claim.figure_per_s;
    let Some(goodput) = goodput.map(|summary| summary.median) else {
        return Judgement::new(Finding::NotReproduced, "nothing was measured".to_owned());
    };
    let times = format!("{} is {:.2} of it", Unit::PerSecond.show(goodput), goodput / figure);
    if goodput >= figure {
        return Judgement::new(Finding::Reproduced, times);
    }
    let lacks = lacks(claim.needs, has);
    let finding = if lacks.is_empty() { Finding::NotReproduced } else { Finding::NotComparable };
    let each = goodput / has.processors.max(1) as f64;
    let needed = scaling::needed(figure, each, curve).map(|[least, as_here]| {
        let last = curve.last().and_then(|point| point.efficiency).unwrap_or(1.0);
        format!(
            "it would take {as_here:.0} such processors if each did what each did here, {least:.0} if the efficiency were 1 \
             and not {last:.2}"
        )
    });
    Judgement::new(finding, times).and((!lacks.is_empty()).then_some(lacks)).and(needed)
}

fn lacks(needs: Needs, has: Has) -> String {
    let parts = [(needs.processors, has.processors, "processors"), (needs.nodes, has.nodes, "NUMA nodes")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(needs, has, _)| has < needs)
        .map(|(needs, has, what)| format!("{what}: {has} here, {needs} there"))
        .collect();
    parts.join("; ")
}

/// Judges reads that must not be torn, from the greatest rate that was reached and the torn reads of all runs.
#[must_use]
pub fn untorn(reported_per_s: [f64; 2], reached_per_s: f64, torn: u64) -> Judgement {
    let [slower, faster] = reported_per_s;
    let reached = Unit::PerSecond.show(reached_per_s);
    if torn > 0 {
        return Judgement::new(Finding::NotReproduced, format!("{torn} torn reads, at up to {reached}"));
    }
    let none = format!("no torn read at up to {reached}");
    if reached_per_s >= slower {
        let faster = (reached_per_s < faster)
            .then(|| format!("the faster machine's {} was not reached here", Unit::PerSecond.show(faster)));
        return Judgement::new(Finding::Reproduced, none).and(faster);
    }
    let slower = format!(
        "the rates at which they were reported, {} and more, were not reached here",
        Unit::PerSecond.show(slower)
    );
    Judgement::new(Finding::NotComparable, none).and(Some(slower))
}

/// Judges a get beside one load from the last-level cache, both medians in nanoseconds. Without that load, `implausible`
/// says why what was measured is none.
#[must_use]
pub fn latency(get_ns: Option<f64>, last_level_ns: Option<f64>, implausible: Option<&str>) -> Judgement {
    if let Some(why) = implausible {
        return Judgement::new(Finding::Inconclusive, format!("the load from the last-level cache is {why}"));
    }
    match (get_ns, last_level_ns) {
        (Some(get), Some(load)) => {
            let finding = if get <= load { Finding::Reproduced } else { Finding::NotReproduced };
            let ns = |value| Unit::Nanoseconds.show(value);
            Judgement::new(
                finding,
                format!(
                    "a get takes {}, {:.2} of one load from the last-level cache, {}",
                    ns(get),
                    get / load,
                    ns(load)
                ),
            )
        }
        (None, _) => Judgement::new(Finding::NotReproduced, "the get was not measured".to_owned()),
        (_, None) => Judgement::new(
            Finding::NotComparable,
            "the machine tells of no third-level cache to compare with".to_owned(),
        ),
    }
}

/// One way of waking, beside the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
pub struct Way {
    /// Its name.
    pub name: String,
    /// Median one way, in nanoseconds.
    pub ns: Option<f64>,
    /// The kernel's way that it is held against.
    pub limit_name: String,
    /// That one's median.
    pub limit_ns: Option<f64>,
    /// Median of the rounds' ratios.
    pub ratio: Option<f64>,
    /// The greatest ratio that counts as the kernel's own.
    pub target: f64,
    /// Whether it is no greater.
    pub met: Option<bool>,
}

/// Judges the ways of waking.
#[must_use]
pub fn wake(ways: &[Way], lost: u64) -> Judgement {
    if lost > 0 {
        return Judgement::new(Finding::NotReproduced, format!("{lost} messages woke nobody"));
    }
    if let Some(way) = ways.iter().find(|way| way.met.is_none() && way.ratio.is_some()) {
        let why = format!("{}: faster than {} can be", way.name, way.limit_name);
        return Judgement::new(Finding::Inconclusive, why);
    }
    let judged: Vec<&Way> = ways.iter().filter(|way| way.met.is_some()).collect();
    if judged.is_empty() {
        return Judgement::new(
            Finding::NotComparable,
            "two processors are needed to wake a process on another".to_owned(),
        );
    }
    let all = judged.iter().all(|way| way.met == Some(true));
    let finding = if all { Finding::Reproduced } else { Finding::NotReproduced };
    let words = |way: &&Way| {
        let ratio = way.ratio.unwrap_or(f64::NAN);
        format!("{}: {ratio:.2} of {}", way.name, way.limit_name)
    };
    Judgement { finding, reasons: judged.iter().map(words).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::claims::{Needs, Rate};
    use super::super::scaling::curve;
    use super::{Finding, Judgement, Way, latency, rate, untorn, wake};
    use splinter_harness::stats::Summary;
    use splinter_stress::Workload;

    const CLAIM: Rate = Rate {
        figure_per_s: 100.0,
        needs: Needs { processors: 8, nodes: 2 },
        workload: |_| Workload::default(),
        scaled: None,
    };

    fn says(judgement: &Judgement, words: &str) -> bool {
        judgement.reasons.iter().any(|reason| reason.contains(words))
    }

    #[test]
    fn a_figure_that_is_reached_is_reproduced_on_any_machine() {
        let small = Needs { processors: 1, nodes: 1 };
        let judged = rate(&CLAIM, Summary::of([90.0, 120.0, 130.0]), &[], small);
        assert_eq!(judged.finding, Finding::Reproduced);
        assert!(says(&judged, "1.20 of it"), "{judged:?}");
    }

    #[test]
    fn a_figure_that_is_missed_counts_only_on_a_machine_that_has_what_it_needs() {
        let measured = Summary::of([50.0]);
        let curve = curve(&[(1, 40.0), (2, 50.0)]);
        let small = rate(&CLAIM, measured, &curve, Needs { processors: 2, nodes: 2 });
        assert_eq!(small.finding, Finding::NotComparable);
        assert!(says(&small, "processors: 2 here, 8 there") && !says(&small, "nodes"), "{small:?}");
        assert!(
            says(&small, "4 such processors") && says(&small, "3 if the efficiency were 1 and not 0.62"),
            "{small:?}"
        );
        let large = rate(&CLAIM, measured, &curve, Needs { processors: 8, nodes: 2 });
        assert_eq!(large.finding, Finding::NotReproduced);
        assert_eq!(rate(&CLAIM, None, &[], CLAIM.needs).finding, Finding::NotReproduced);
    }

    #[test]
    fn a_torn_read_counts_at_any_rate_and_none_only_at_a_high_one() {
        let reported = [12.0, 21.0];
        let of = |rate, torn| untorn(reported, rate, torn).finding;
        assert_eq!(of(5.0, 1), Finding::NotReproduced);
        assert_eq!(of(30.0, 1), Finding::NotReproduced);
        assert_eq!(of(11.0, 0), Finding::NotComparable);
        assert_eq!(of(12.0, 0), Finding::Reproduced);
        assert!(says(&untorn(reported, 12.0, 0), "faster machine"));
        assert!(!says(&untorn(reported, 21.0, 0), "faster machine"));
    }

    #[test]
    fn a_get_is_held_against_one_load() {
        let of = |get, load| latency(get, load, None).finding;
        assert_eq!(of(Some(16.0), Some(20.0)), Finding::Reproduced);
        assert_eq!(of(Some(21.0), Some(20.0)), Finding::NotReproduced);
        assert_eq!(of(Some(16.0), None), Finding::NotComparable);
        assert_eq!(of(None, Some(20.0)), Finding::NotReproduced);
        let refused = latency(Some(16.0), None, Some("implausible: 141 ns a load"));
        assert_eq!(refused.finding, Finding::Inconclusive);
        assert!(says(&refused, "141 ns a load"), "{refused:?}");
    }

    #[test]
    fn every_way_of_waking_that_there_is_must_be_as_good_as_the_kernels() {
        let way = |met: Option<bool>| Way {
            name: "watcher".to_owned(),
            ns: Some(20.0),
            limit_name: "bare futex".to_owned(),
            limit_ns: Some(19.0),
            ratio: met.map(|_| 1.05),
            target: 1.15,
            met,
        };
        assert_eq!(wake(&[way(Some(true)), way(None)], 0).finding, Finding::Reproduced);
        assert_eq!(wake(&[way(Some(true)), way(Some(false))], 0).finding, Finding::NotReproduced);
        assert_eq!(wake(&[way(None)], 0).finding, Finding::NotComparable);
        assert_eq!(wake(&[way(Some(true))], 1).finding, Finding::NotReproduced);
        let mut faster = way(None);
        faster.ratio = Some(0.5);
        assert_eq!(wake(&[faster], 0).finding, Finding::Inconclusive);
    }
}
