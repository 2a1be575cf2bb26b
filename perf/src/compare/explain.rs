//! What a difference between two environments means for figures, and what makes figures no figures. Words only.

use crate::records::group::Group;
use crate::records::{Collection, Record};

/// Says what a difference in a field of machine or build means; nothing where nothing is known.
pub(super) fn meaning(field: &str) -> &'static str {
    let first = field.split('.').next().unwrap_or_default();
    match (first, field) {
        ("cpu_model" | "caches", _) => "another processor: figures compare machines, not builds",
        ("processors", _) => "more or fewer processors: goodput is not comparable per worker",
        ("nodes", _) => "other memory nodes: placement and latencies of memory differ",
        ("memory_bytes", _) => "another size of memory; it matters only where memory is short",
        ("kernel", _) => "another kernel: scheduling, system calls and wakes may cost otherwise",
        ("huge_pages", _) => "another policy for huge pages: misses of the page tables differ",
        ("governor", _) => "another governor: clock speeds may differ",
        ("hypervisor", _) => "another hypervisor: steal time and wakes differ",
        ("valgrind", _) => "Valgrind voids every time",
        (_, "build.git_revision") => "other sources: this is what two builds are compared for",
        (_, "build.rustc") => "another compiler: it may account for some percent by itself",
        (_, "build.rustflags" | "build.target" | "build.opt_level" | "build.profile") => {
            "built otherwise: differences may be the flags', not the sources'"
        }
        (_, "build.debug_assertions") => "a build with debug assertions measures these as well",
        _ => "",
    }
}

/// Says what is to be known of the sides before their figures are looked at.
pub(super) fn cautions(sides: [&Collection; 2]) -> Vec<String> {
    let mut cautions = Vec::new();
    for (side, name) in sides.into_iter().zip(["A", "B"]) {
        let load = greatest(side, |record| {
            let load = record.load_before()?;
            let processors = record.number(&["environment", "processors"])?;
            (load > processors / 2.0).then_some(load / processors)
        });
        if let Some(share) = load {
            cautions.push(format!(
                "{name}: others were at work before it began, {:.0} % of the processors' worth (load average)",
                share * 100.0
            ));
        }
        if let Some(steal) =
            greatest(side, |record| record.number(&["environment", "steal_ms"]).filter(|it| *it > 0.0))
        {
            cautions.push(format!("{name}: the hypervisor took up to {steal:.0} ms from a record (steal)"));
        }
        if let Some(throttled) = greatest(side, |record| {
            record.number(&["environment", "cpu_quota", "throttled_ms"]).filter(|it| *it > 0.0)
        }) {
            cautions.push(format!(
                "{name}: the quota of a control group stopped a record's processes for up to {throttled:.0} ms"
            ));
        }
        let least = side
            .records
            .iter()
            .filter_map(|record| record.number(&["window", "processor_share"]))
            .fold(1.0, f64::min);
        if least < 0.9 {
            cautions.push(format!(
                "{name}: others, or a quota, took processors while it ran; a record had {:.0} % of what it could use",
                least * 100.0
            ));
        }
        for label in ["oversubscribed", "saturated", "interrupted"] {
            let labelled = |record: &&Record| record.texts(&["labels"]).contains(&label);
            let count = side.records.iter().filter(labelled).count();
            if count > 0 {
                let meaning = match label {
                    "oversubscribed" => "tail latencies are the scheduler's",
                    "saturated" => "latencies are those of a queue that grows",
                    _ => "less was measured than asked for",
                };
                cautions.push(format!(
                    "{name}: {count} of {} records are {label}: {meaning}",
                    side.records.len()
                ));
            }
        }
    }
    cautions
}

fn greatest(side: &Collection, of: impl Fn(&Record) -> Option<f64>) -> Option<f64> {
    side.records.iter().filter_map(of).reduce(f64::max)
}

/// Says why the figures of two groups cannot be compared; nothing where they can.
pub(super) fn obstacles(a: &Group<'_>, b: &Group<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    for (group, name) in [(a, "A"), (b, "B")] {
        if group.field("valgrind") == Some("true") {
            reasons.push(format!("{name} ran under Valgrind, which voids every time"));
        }
        let mut broken: Vec<String> = group
            .records
            .iter()
            .flat_map(|record| record.broken())
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        broken.dedup();
        if !broken.is_empty() {
            reasons.push(format!(
                "{name} broke an invariant ({}): what it did is not the store's work",
                broken.join(", ")
            ));
        }
    }
    let debug = |group: &Group<'_>| group.field("build.debug_assertions") == Some("true");
    if debug(a) != debug(b) {
        let which = if debug(a) { "A" } else { "B" };
        reasons.push(format!("{which} is a debug build, the other is not"));
    }
    reasons
}
