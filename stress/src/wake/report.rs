//! The readable summary of a measurement: a table per situation, and the waiters.

use super::mechanism::{Mechanism, Situation};
use super::record::{Row, WakeRecord};
use splinter_harness::table::{align, span};
use std::fmt::Write as _;

/// Summarises a record.
#[must_use]
pub fn wake_summary(record: &WakeRecord) -> String {
    let [a, b] = record.placement.requested;
    let two = if a == b { format!("processor {a}") } else { format!("processors {a} and {b}") };
    let mut text = format!(
        "until another process has the value: half of a round trip between two processes, {} rounds, \
         seed {}\n",
        record.rounds, record.config.seed
    );
    for situation in Situation::ALL {
        let of = match situation {
            Situation::Idle => {
                format!("idle: {two}, nothing else of ours on them")
            }
            Situation::Same => format!("same: both on processor {a}"),
            Situation::Busy => {
                format!("busy: {two}, a loop that never ends on each")
            }
        };
        let _ = writeln!(text, "\n{of}");
        table(&mut text, record, situation);
    }
    waiters(&mut text, record);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11}{value}");
    };
    text_lines(record, &mut line);
    for reason in &record.reasons {
        let _ = writeln!(text, "    - {reason}");
    }
    text
}

fn table(text: &mut String, record: &WakeRecord, situation: Situation) {
    let heads = ["", "p50", "p90", "p99", "max", "asleep %", "limit", "ratio", "middle half", "target", ""];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let mut absent = Vec::new();
    for row in record.rows.iter().filter(|row| row.situation == situation) {
        match &row.not_measured {
            Some(why) => absent.push((row.name.clone(), why.clone())),
            None => rows.push(cells(row)),
        }
    }
    if rows.len() == 1 {
        let why = absent.first().map_or("", |(_, why)| why.as_str());
        let _ = writeln!(text, "  not measured: {why}");
        return;
    }
    align(text, &rows);
    // One line for those that lack for the same reason.
    let mut reasons: Vec<&String> = absent.iter().map(|(_, why)| why).collect();
    reasons.dedup();
    for reason in reasons {
        let names: Vec<&str> =
            absent.iter().filter(|(_, why)| why == reason).map(|(name, _)| name.as_str()).collect();
        let _ = writeln!(text, "  not measured: {} ({reason})", names.join("; "));
    }
}

fn cells(row: &Row) -> Vec<String> {
    let at = &row.one_way_ns;
    let times = |ratio: f64| format!("{ratio:.2}");
    let mut cells = vec![row.name.clone()];
    cells.extend([at.p50, at.p90, at.p99, at.max].map(|ns| match at.samples {
        0 => "-".to_owned(),
        _ => span(ns),
    }));
    cells.push(row.asleep_share.map_or(String::new(), |share| format!("{:.0}", share * 100.0)));
    cells.push(row.limit_name.clone().unwrap_or_default());
    cells.push(row.ratio.map_or(String::new(), times));
    cells.push(
        row.ratio_quartiles
            .map_or(String::new(), |middle| format!("{} to {}", times(middle.q1), times(middle.q3))),
    );
    cells.push(row.target.map_or(String::new(), |target| format!("<= {target:.2}")));
    cells.push(row.judgement.clone());
    cells
}

fn waiters(text: &mut String, record: &WakeRecord) {
    let Some(any) = record.fan_out.first() else {
        return;
    };
    let _ = writeln!(
        text,
        "\none write, {} sleepers in {} processes: time until the first and the last has it",
        any.watchers, any.processes
    );
    let heads = [
        "",
        "first p50",
        "last p50",
        "last p90",
        "last max",
        "writer p50",
        "woken",
        "limit",
        "ratio",
        "middle half",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for way in &record.fan_out {
        let times = |ratio: f64| format!("{ratio:.2}");
        rows.push(vec![
            way.name.clone(),
            span(way.first_ns.p50),
            span(way.last_ns.p50),
            span(way.last_ns.p90),
            span(way.last_ns.max),
            span(way.writer_ns.p50),
            format!("{} of {}", way.woken, way.calls * way.watchers as u64),
            way.limit_name.clone().unwrap_or_default(),
            way.ratio.map_or(String::new(), times),
            way.ratio_quartiles
                .map_or(String::new(), |middle| format!("{} to {}", times(middle.q1), times(middle.q3))),
        ]);
    }
    align(text, &rows);
    text.push('\n');
}

fn text_lines(record: &WakeRecord, line: &mut impl FnMut(&str, String)) {
    let lost = record.invariants.lost_wakes;
    line("wakes", if lost == 0 { "none lost".to_owned() } else { format!("{lost} LOST") });
    let [a, b] = record
        .placement
        .observed
        .each_ref()
        .map(|seen| splinter_harness::cpulist::print(&seen.iter().copied().collect::<Vec<_>>()));
    let observed =
        format!("one was seen on {a}, its responder on {b}, of {} processors", record.placement.processors);
    line("placement", observed);
    line(
        "how",
        format!(
            "asleep: how many waits the kernel put to sleep; spinning: 16 round trips timed together; \
             '{}' holds each message back for 60 us",
            Mechanism::FutexPaused.spec().name
        ),
    );
    let environment = &record.environment;
    line(
        "machine",
        format!(
            "{}; the hypervisor took {} of it; load before {}",
            environment.cpu_model,
            span(environment.steal_ms * 1_000_000),
            environment.load_before
        ),
    );
    if let Some(quota) = environment.cpu_quota.as_ref().filter(|it| it.throttled_ms > 0) {
        line("quota", quota.describe());
    }
    if !record.labels.is_empty() {
        line("labels", record.labels.join("; "));
    }
    line("verdict", record.verdict.word().to_uppercase());
}
