//! What came of a comparison, as text for people.

use splinter_harness::clock_cost::ClockCost;
use splinter_harness::table::Flush::{Left, Right};
use splinter_harness::table::columns;
use splinter_perf::records::peers::{Comparison, Entrant, Load};
use splinter_perf::unit::Unit;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Lays out all of it.
pub(crate) fn text(found: &Comparison) -> String {
    let mut text = String::new();
    for cell in &found.cells {
        text.push_str(&cell_text(cell, found.clock));
        text.push('\n');
    }
    // Each store that took part is described once.
    let entrants = || found.cells.iter().flat_map(|cell| &cell.entrants);
    let names: BTreeSet<&str> = entrants().map(|entrant| entrant.name.as_str()).collect();
    for name in names {
        let first = entrants().find(|entrant| entrant.name == name && entrant.problem.is_none());
        if let Some(entrant) = first {
            let note = entrant.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
            let _ = writeln!(text, "{name} is {}{note}", entrant.version);
        }
    }
    for reason in &found.reasons {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{reason}");
    }
    let _ = writeln!(text, "verdict: {}", found.verdict.word());
    text
}

fn cell_text(cell: &Load, clock: ClockCost) -> String {
    let config = &cell.config;
    let heads = ["", "goodput", "splinter is", "95 %", "get p50", "set p50", "torn"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(
        cell.entrants.iter().filter(|entrant| entrant.problem.is_none()).map(|entrant| row(entrant, clock)),
    );
    let mut text = format!(
        "{}: {} writers ({}), {} readers, {} keys, values of {} bytes\n",
        cell.load, config.writers, config.mix, config.readers, config.keys, config.value_len
    );
    text.push_str(&columns(&[Left, Right, Right, Right, Right, Right, Right], &rows));
    for entrant in &cell.entrants {
        if let Some(problem) = &entrant.problem {
            let _ = writeln!(text, "{} took no part: {problem}", entrant.name);
        }
    }
    text
}

fn row(entrant: &Entrant, clock: ClockCost) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let latency = |name: &str| {
        let latency = entrant.latency_ns.get(name)?;
        Some(clock.show(latency.p50))
    };
    let ratio = entrant.ratio.as_ref();
    vec![
        entrant.name.clone(),
        or_dash(entrant.goodput_per_s.map(|goodput| Unit::PerSecond.show(goodput))),
        or_dash(ratio.map(|ratio| format!("{:.2} x", ratio.median))),
        or_dash(ratio.map(|ratio| format!("{:.2} to {:.2}", ratio.low, ratio.high))),
        or_dash(latency("get")),
        or_dash(latency("set")),
        or_dash(entrant.torn_reads.map(|torn| torn.to_string())),
    ]
}
