//! The readable summary of a comparison: a table of caches, and what was broken.

use super::record::{CacheRecord, CacheRow};
use splinter_harness::disturbance::disturbed;
use splinter_harness::table::{Flush, grouped, indent, or_dash, rate, span};
use std::fmt::Write as _;

/// Summarises a record.
#[must_use]
pub(crate) fn cache_summary(record: &CacheRecord) -> String {
    let config = &record.config;
    let mut text = format!(
        "caches of {} keys, values of {} bytes: {} requests of {} for {} keys; {} rounds, seed {}\n",
        grouped(config.slots),
        grouped(config.len),
        grouped(record.requests),
        config.trace_in_words(),
        grouped(record.keys),
        record.rounds,
        config.seed
    );
    let heads = ["cache", "", "hit ratio", "evictions", "a request", "middle half", "requests/s"];
    let rows = record.rows.iter().map(cells);
    let rows: Vec<Vec<String>> = [heads.map(str::to_owned).to_vec()].into_iter().chain(rows).collect();
    let flush = [&[Flush::Left; 2][..], &[Flush::Right; 5]].concat();
    indent(&mut text, &flush, &rows);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11}{value}");
    };
    let broken = record.invariants.named().into_iter().filter(|(_, count)| *count > 0);
    let broken: Vec<String> = broken.map(|(name, count)| format!("{count} {name}")).collect();
    line("invariants", if broken.is_empty() { "held".to_owned() } else { broken.join(", ") });
    line("references", "by key number, without values and times".to_owned());
    if let Some(why) = disturbed(&record.environment.disturbances) {
        line("times", format!("no verdict, {why}"));
    }
    if !record.labels.is_empty() {
        line("labels", record.labels.join("; "));
    }
    line("verdict", record.verdict.word().to_uppercase());
    for reason in &record.reasons {
        let _ = writeln!(text, "    - {reason}");
    }
    text.trim_end().to_owned()
}

fn cells(row: &CacheRow) -> Vec<String> {
    let ns = |ns: f64| span(ns.round() as u64);
    vec![
        row.name.clone(),
        row.situation.clone(),
        format!("{:.2} %", row.hit_ratio * 100.0),
        or_dash(row.evictions.map(grouped)),
        or_dash(row.value_ns.map(ns)),
        or_dash(row.quartiles.map(|middle| format!("{} to {}", ns(middle.q1), ns(middle.q3)))),
        or_dash(row.goodput_per_s.map(rate)),
    ]
}
