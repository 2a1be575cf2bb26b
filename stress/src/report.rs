//! The readable summary of a record: a table of operations, what held, where it ran, what it came
//! to.

use crate::history::record::HistoryRecord;
use crate::latency::Percentiles;
use crate::mix::Op;
use crate::open_loop::judge::OpenLoop;
use crate::options::{Pin, Span};
use crate::record::{Notifications, Operation, Record};
use crate::shared_state::Counts;
use splinter_harness::counters::NAMES;
use splinter_harness::disturbance::disturbed;
use splinter_harness::table::{align, grouped, percent, rate, span};
use splinter_harness::text::print_duration;
use splinter_harness::verdict::Verdict;
use std::fmt::Write as _;
use std::time::Duration;

/// Summarises one record.
#[must_use]
pub fn summary(record: &Record) -> String {
    let mut text = format!("{}\n", heading(record));
    table(&mut text, record);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11}{value}");
    };
    line("window", window(record));
    if let Some(open_loop) = &record.open_loop {
        line("open loop", open_loop_line(open_loop));
    }
    if let Some(taken) = &record.notifications {
        line("watchers", watchers(taken));
    }
    line("invariants", invariants(record));
    if let Some(history) = &record.history {
        line("history", history.line());
    }
    line("placement", placement(record));
    let quota = record.environment.cpu_quota.as_ref();
    if let Some(quota) = quota.filter(|quota| quota.throttled_ms > 0) {
        line("quota", quota.describe());
    }
    line("events", events(record));
    line("store", store(record));
    line("observer", observer(record));
    if !record.labels.is_empty() {
        line("labels", record.labels.join("; "));
    }
    if let Some(why) = disturbed(&record.environment.disturbances) {
        line("figures", format!("no verdict, {why}"));
    }
    line("verdict", record.verdict.word().to_uppercase());
    if let Some(window) = record.history.as_ref().and_then(HistoryRecord::window_text) {
        let _ = writeln!(text, "{window}");
    }
    for reason in record.reasons.iter().chain(&record.placement.misplaced) {
        let _ = writeln!(text, "    - {reason}");
    }
    text
}

/// Puts the records of several scrub levels side by side.
#[must_use]
pub fn comparison(records: &[Record]) -> String {
    let mut rows = vec![
        [
            "scrub",
            "writes/s",
            "reads/s",
            "goodput/s",
            "attempts/s",
            "again %",
            "cpu %",
            "p50",
            "p99.9",
            "verdict",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for record in records {
        let main = main_operation(record);
        let totals = &record.totals;
        rows.push(vec![
            record.config.scrub.to_string(),
            rate(totals.writes_per_s),
            rate(totals.reads_per_s),
            rate(totals.goodput_per_s),
            rate(totals.attempts_per_s),
            percent(totals.counts.again, totals.counts.attempts),
            record.window.processor_share.map_or("-".to_owned(), |share| format!("{:.0}", share * 100.0)),
            main.map_or("-".to_owned(), |main| caller_latency(record, main, |at| at.p50)),
            main.map_or("-".to_owned(), |main| caller_latency(record, main, |at| at.p999)),
            record.verdict.word().to_owned(),
        ]);
    }
    let from = match records.first().map(|record| record.config.rate) {
        Some(Some(_)) => ", from its planned start",
        _ => "",
    };
    let mut text = format!("scrub levels compared (latencies are those of the most frequent write{from})\n");
    align(&mut text, &rows);
    let gravest = records.iter().map(|record| record.verdict).max().unwrap_or(Verdict::Pass);
    let _ = write!(text, "  verdict    {}", gravest.word().to_uppercase());
    text
}

/// Returns the most frequent write, which stands for all operations where there is room for one only; without writers the
/// first of what readers do.
pub(crate) fn main_operation(record: &Record) -> Option<&Operation> {
    let writes = record.operations.iter().filter(|(name, _)| name.parse().is_ok_and(|op: Op| !op.is_read()));
    let main = writes.max_by_key(|(_, operation)| operation.counts.attempts).map(|(_, operation)| operation);
    main.or_else(|| record.operations.values().next())
}

/// Shows the latency that a caller would have waited for: from the planned start, where there is one.
pub(crate) fn caller_latency(record: &Record, operation: &Operation, at: fn(&Percentiles) -> u64) -> String {
    match &operation.latency_from_planned_ns {
        Some(from_plan) => span(at(from_plan)),
        None => latency(record, operation, at(&operation.latency_ns)),
    }
}

fn heading(record: &Record) -> String {
    let config = &record.config;
    let many = |count: u32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let span = match config.span {
        Span::DurationMs(millis) => print_duration(Duration::from_millis(millis)),
        Span::Ops(ops) => format!("{} operations", grouped(ops)),
    };
    let readers = many(config.readers, "reader");
    let watched = match config.watchers {
        0 => readers,
        count => format!("{readers}, {}", many(count, "watcher")),
    };
    format!(
        "scrub {}: {} ({}), {}, {}; {} keys by {}, values of {} bytes; {span}, seed {}",
        config.scrub,
        many(config.writers, "writer"),
        config.mix,
        watched,
        config.workers,
        grouped(config.keys),
        config.key_choice,
        config.value_len,
        config.seed,
    )
}

fn table(text: &mut String, record: &Record) {
    let mut rows = vec![
        ["operation", "attempts/s", "goodput/s", "again %", "p50", "p99", "p99.9", "max"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for op in Op::ALL {
        let Some(operation) = record.operations.get(op.name()) else {
            continue;
        };
        let at = &operation.latency_ns;
        rows.push(vec![
            op.name().to_owned(),
            rate(operation.attempts_per_s),
            rate(operation.goodput_per_s),
            percent(operation.counts.again, operation.counts.attempts),
            latency(record, operation, at.p50),
            latency(record, operation, at.p99),
            latency(record, operation, at.p999),
            latency(record, operation, at.max),
        ]);
        if let Some(at) = &operation.latency_from_planned_ns {
            let mut row = vec!["  from the plan".to_owned()];
            row.resize(4, String::new());
            row.extend([at.p50, at.p99, at.p999, at.max].map(span));
            rows.push(row);
        }
    }
    let totals = &record.totals;
    if record.operations.len() > 1 {
        let mut row = vec![
            "all".to_owned(),
            rate(totals.attempts_per_s),
            rate(totals.goodput_per_s),
            percent(totals.counts.again, totals.counts.attempts),
        ];
        row.resize(8, String::new());
        rows.push(row);
    }
    align(text, &rows);
    type Count = fn(&Counts) -> u64;
    let others: [(&str, Count, &str); 3] = [
        ("failures", |counts| counts.failures, "nothing there, or no room"),
        ("refusals", |counts| counts.changed, "a key was not as expected"),
        ("given up", |counts| counts.given_up, "the function of an update failed or panicked, as planned"),
    ];
    for (what, count, why) in others {
        let counts = record.operations.iter().map(|(name, operation)| (name, count(&operation.counts)));
        let shown: Vec<String> = counts
            .filter(|&(_, count)| count > 0)
            .map(|(name, count)| format!("{} {name}", grouped(count)))
            .collect();
        if !shown.is_empty() {
            let _ = writeln!(text, "  {what:<11}{} ({why})", shown.join(", "));
        }
    }
}

fn window(record: &Record) -> String {
    let window = &record.window;
    let warmup = match window.warmup_ended.as_str() {
        "none" => "no warm-up".to_owned(),
        "steady" => format!("{:.2} s of warm-up until steady", window.warmup_s),
        other => format!("{:.2} s of warm-up, {other}", window.warmup_s),
    };
    let share = window
        .processor_share
        .map_or(String::new(), |share| format!(", with {:.0} % of the processors", share * 100.0));
    format!("{:.2} s measured after {warmup}{share}", window.measured_s)
}

fn open_loop_line(found: &OpenLoop) -> String {
    let mut text = format!(
        "{}/s asked for ({}, pacer {}), {}/s done; {} of {} planned starts made; latest {:.1} ms late, {:.1} ms at the end",
        rate(found.asked_per_s as f64),
        found.arrivals,
        found.pacer,
        rate(found.done_per_s),
        grouped(found.started),
        grouped(found.planned),
        found.longest_lateness_ms,
        found.late_at_end_ms
    );
    if found.saturated {
        text.push_str("; SATURATED: no latency here is to be trusted");
    }
    text
}

fn watchers(taken: &Notifications) -> String {
    let notices = &taken.notices;
    let signals = notices.signalled.map_or(String::new(), |signals| format!(" of {}", grouped(signals)));
    let missed = format!(
        "{} missed in {} lags, {} lost{signals}",
        grouped(notices.missed),
        grouped(notices.lagged),
        grouped(notices.lost)
    );
    let at = |name: &str, spans: &Percentiles| match spans.samples {
        0 => String::new(),
        _ => format!("; {name} p50 {} p99 {} p99.9 {}", span(spans.p50), span(spans.p99), span(spans.p999)),
    };
    format!(
        "{} notifications/s; {missed}{}{}",
        rate(taken.goodput_per_s),
        at("write to reading it", &taken.latency_ns),
        at("where waited for", &taken.wake_latency_ns),
    )
}

fn invariants(record: &Record) -> String {
    let named = record.invariants.named();
    let broken: Vec<String> = named
        .iter()
        .filter(|&&(_, count)| count > 0)
        .map(|(name, count)| format!("{} {name}", grouped(*count)))
        .collect();
    if broken.is_empty() {
        let shown: Vec<String> = named.iter().take(6).map(|(name, _)| format!("0 {name}")).collect();
        format!("all {} hold: {}, ...", named.len(), shown.join(", "))
    } else {
        format!("BROKEN: {}", broken.join(", "))
    }
}

fn placement(record: &Record) -> String {
    let (config, placement) = (&record.config, &record.placement);
    let workers = placement.workers.len();
    let moves: u64 = placement.workers.iter().map(|worker| worker.affinity.migrations).sum();
    let pinned = placement.workers.iter().filter(|worker| worker.affinity.pinned).count();
    let mut text = match (&config.pin, pinned) {
        (Pin::None, 0) => format!("{workers} workers left to the scheduler"),
        (pin, _) => format!("{pinned} of {workers} workers pinned ({pin})"),
    };
    let _ = write!(text, " on {} processors, {} migrations", placement.processors, grouped(moves));
    let pages: Vec<String> = placement
        .memory
        .after
        .nodes
        .iter()
        .map(|(node, pages)| format!("{} pages on node {node}", grouped(*pages)))
        .collect();
    let _ = write!(text, "; memory {}: {}", placement.memory.requested, pages.join(", "));
    if !placement.misplaced.is_empty() {
        let _ = write!(text, "; {} MISPLACED", placement.misplaced.len());
    }
    text
}

/// Lists what the kernel's counters say of one operation.
fn events(record: &Record) -> String {
    let (known, unknown): (Vec<_>, Vec<_>) =
        NAMES.into_iter().partition(|name| record.per_operation.contains_key(*name));
    let words = |name: &str| name.replace('_', " ");
    let shown = known.iter().map(|name| match (words(name), record.per_operation[*name]) {
        (name, count) if count >= 10.0 => format!("{name} {count:.0}"),
        (name, count) => format!("{name} {count:.3}"),
    });
    let mut text = match known.is_empty() {
        true => "none".to_owned(),
        false => format!("per operation: {}", shown.collect::<Vec<_>>().join(", ")),
    };
    if !unknown.is_empty() {
        let _ = write!(
            text,
            "; not counted here: {}",
            unknown.into_iter().map(words).collect::<Vec<_>>().join(", ")
        );
    }
    text
}

fn store(record: &Record) -> String {
    let store = &record.store;
    let mut text = format!(
        "{} slots of {} bytes, {}, {} keys at the end",
        grouped(store.slots),
        grouped(store.max_value_len),
        record.config.backing,
        grouped(store.keys_at_end)
    );
    if record.config.evicts() {
        let _ = write!(text, ", {} evicted ({})", grouped(store.evicted), record.config.evict);
    }
    for note in &store.notes {
        let _ = write!(text, "; {note}");
    }
    text
}

fn observer(record: &Record) -> String {
    let observer = &record.observer;
    let timed = match observer.timed_one_of {
        0 => "no attempt timed".to_owned(),
        1 => "every success timed".to_owned(),
        every => format!("one attempt of {every} timed"),
    };
    let pacer = match record.open_loop {
        None => String::new(),
        Some(_) => format!(", pacer {:.0}", observer.pacer_ns),
    };
    format!(
        "{:.0} ns per write, {:.0} ns per read (clock {:.0} in steps of {:.0}, histogram {:.0}{pacer}, \
         fill {:.0}, check {:.0}; {timed})",
        observer.per_write_ns,
        observer.per_read_ns,
        observer.clock_ns,
        observer.clock_step_ns,
        observer.histogram_ns,
        observer.fill_ns,
        observer.check_ns
    )
}

fn latency(record: &Record, operation: &Operation, ns: u64) -> String {
    if operation.latency_ns.samples == 0 { "-".to_owned() } else { record.observer.clock.show(ns) }
}
