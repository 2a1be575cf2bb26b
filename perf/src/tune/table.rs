//! The result of a search, as text for people.

use super::Finding;
use super::objective::Objective;
use super::record::{Row, Tried, Tuned};
use crate::unit::Unit;
use splinter_harness::table::{headed, or_dash};
use std::fmt::Write as _;

/// The most candidates that are told of.
const MOST: usize = 12;

/// Lays out all of it.
#[must_use]
pub fn text(tuned: &Tuned) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} runs in {:.0} s", tuned.runs, tuned.took_s);
    for choices in &tuned.space {
        let (axis, others) = (choices.axis.name(), choices.others.join(", "));
        let _ = writeln!(text, "  {axis}: {} or {others}", choices.default);
    }
    for rung in &tuned.rungs {
        let times = match rung.rounds {
            1 => "once".to_owned(),
            rounds => format!("{rounds} times more"),
        };
        let _ = writeln!(
            text,
            "rung {}: {} candidates run {times}, {} kept",
            rung.rung, rung.candidates, rung.kept
        );
    }
    if !tuned.candidates.is_empty() {
        let heads = ["candidate", ">rung", ">runs", ">gain", ">goodput", ">p99", "given up"];
        text += "\n";
        text += &headed(&heads, tuned.candidates.iter().take(MOST).map(tried));
        let more = tuned.candidates.len().saturating_sub(MOST);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
    }
    text += &last_word(tuned);
    for reason in &tuned.reasons {
        let _ = writeln!(text, "{reason}");
    }
    let _ = writeln!(text, "verdict: {}", tuned.verdict.word());
    text
}

fn tried(tried: &Tried) -> Vec<String> {
    vec![
        tried.candidate.clone(),
        tried.rung.to_string(),
        tried.runs.to_string(),
        or_dash(tried.gain_percent.map(percent)),
        or_dash(tried.goodput_per_s.map(|rate| Unit::PerSecond.show(rate))),
        or_dash(tried.p99_ns.map(|ns| Unit::Nanoseconds.show(ns))),
        tried.out.clone().unwrap_or_default(),
    ]
}

/// Tells how the winner did against the default, and what that means.
fn last_word(tuned: &Tuned) -> String {
    let mut text = "\n".to_owned();
    if let [default, other] = tuned.rows.as_slice() {
        // A column that repeats the objective is left out.
        let twice = [Objective::Goodput, Objective::P99].contains(&tuned.config.objective);
        let objective = format!(">{}", tuned.config.objective);
        let heads = ["on fresh runs", ">goodput", ">p99", &objective];
        text += &headed(&heads[..if twice { 3 } else { 4 }], [default, other].map(row));
    }
    if let Some(outcome) = &tuned.outcome {
        let tail = outcome.p99_percent.map_or(String::new(), |change| format!("; p99 {}", percent(change)));
        let seen = outcome
            .detectable_percent
            .map_or(String::new(), |least| format!("; a gain below {least:.1} % might have gone unseen"));
        let _ = writeln!(
            text,
            "{} in {} rounds, {} to {} with 95 % confidence (p {:.4}){tail}{seen}",
            percent(outcome.gain_percent),
            outcome.rounds,
            percent(outcome.low_percent),
            percent(outcome.high_percent),
            outcome.p
        );
    }
    if let Some(proof) = &tuned.proof {
        let rate = proof.goodput_per_s.map(|rate| Unit::PerSecond.show(rate));
        let rate = rate.unwrap_or_else(|| "nothing".to_owned());
        let broken = proof.broken;
        let _ =
            writeln!(text, "proved once more with every value checked: {rate}, {broken} broken invariants");
    }
    let reason = tuned.outcome.as_ref().and_then(|outcome| outcome.reason.as_ref());
    text += &match (tuned.finding, tuned.rows.get(1), reason) {
        (Finding::Winner, Some(row), _) => format!("better than the default: {}\n", row.name),
        (Finding::NothingBeatsTheDefault, Some(row), Some(reason)) => {
            format!("nothing beats the default; {}: {reason}\n", row.name)
        }
        (Finding::NothingBeatsTheDefault, ..) => {
            "nothing beats the default: no candidate was ahead of it at the end of the search\n".to_owned()
        }
        _ => "unfinished: whether anything beats the default is not known\n".to_owned(),
    };
    text
}

fn row(row: &Row) -> Vec<String> {
    let rate = |value: Option<f64>| value.map(|rate| Unit::PerSecond.show(rate));
    let time = |value: Option<f64>| value.map(|ns| Unit::Nanoseconds.show(ns));
    vec![
        row.name.clone(),
        or_dash(rate(row.goodput_per_s)),
        or_dash(time(row.p99_ns)),
        or_dash(rate(row.value_per_s).or_else(|| time(row.value_ns))),
    ]
}

fn percent(value: f64) -> String {
    format!("{value:+.1} %")
}
