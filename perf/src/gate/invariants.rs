//! The invariant tier: a few runs of the head's own stress suite, none of which may break a promise. Which runs those are is
//! written here; what a promise is, the suite knows.

use super::child::{self, Stop};
use super::record::{InvariantRow, Tier, gravest};
use serde::Deserialize;
use serde_json::Value;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest that one run may take: it takes some seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// The runs, each with its flags. Every kind of write is in them, contended, at each scrub level, in threads and in
/// processes, watched, and with a history.
pub const RUNS: [(&str, &str); 3] = [
    (
        "every operation, at each scrub level",
        "--writers 4 --readers 4 --keys 300 --key-choice zipf:0.9 --value-len 32..300 --duration 1s \
         --mix set=60,get=10,append=5,int=10,tandem=5,vector=4,label=3,unset=3",
    ),
    (
        "processes and watchers",
        "--workers processes --writers 3 --readers 2 --keys 300 --key-choice uniform --scrub hybrid --duration 1s \
         --watchers 3 --watch-groups 2",
    ),
    (
        "history",
        "--history --writers 3 --readers 3 --keys 60 --key-choice hot:4 --scrub hybrid --ops 200k \
         --mix set=50,get=20,append=10,int=10,unset=10",
    ),
];

/// Runs the stress suite at `program`; `watch` hears of each run before it begins.
///
/// # Errors
/// [`Stop::Interrupted`] alone: a run that fails is a result.
pub fn run(
    program: &Path,
    environment: &[(String, String)],
    folder: &Path,
    seed: u64,
    watch: &mut dyn FnMut(&str),
) -> Result<Tier<InvariantRow>, Stop> {
    let mut rows = Vec::new();
    for (name, flags) in RUNS {
        watch(name);
        let mut command = Command::new(program);
        command.args(["run", "--json", "--warmup", "0s", "--pin", "none", "--seed", &seed.to_string()]);
        command.args(flags.split_whitespace()).envs(environment.iter().cloned());
        rows.push(match child::run(&mut command, folder, name, LIMIT) {
            Ok(left) => {
                let said = left.errors.clone();
                judge(name, &left.out, left.status.code(), &said)
            }
            Err(Stop::Interrupted) => return Err(Stop::Interrupted),
            Err(Stop::Failed(why)) => inconclusive(name, why),
        });
    }
    Ok(Tier {
        verdict: gravest(rows.iter().map(|row| row.verdict)),
        reasons: rows
            .iter()
            .filter(|row| row.verdict != Verdict::Pass)
            .map(|row| format!("{}: {}", row.name, row.reasons.join("; ")))
            .collect(),
        rows,
    })
}

fn inconclusive(name: &str, why: String) -> InvariantRow {
    InvariantRow {
        name: name.to_owned(),
        verdict: Verdict::Inconclusive,
        successes: 0,
        invariants: BTreeMap::new(),
        reasons: vec![why],
    }
}

/// Makes a row of what a run printed: one record, or several as cells.
fn judge(name: &str, out: &str, code: Option<i32>, said: &str) -> InvariantRow {
    let Ok(record) = serde_json::from_str::<Value>(out) else {
        return inconclusive(name, format!("no record, exit code {code:?}: {said}"));
    };
    let cells = match record["cells"].as_array() {
        Some(cells) => cells.clone(),
        None => vec![record],
    };
    let mut row = inconclusive(name, String::new());
    row.reasons.clear();
    let mut verdicts = Vec::new();
    for cell in &cells {
        verdicts.push(Verdict::deserialize(&cell["verdict"]).unwrap_or(Verdict::Inconclusive));
        let reasons = cell["reasons"].as_array().into_iter().flatten();
        row.reasons.extend(reasons.filter_map(Value::as_str).map(str::to_owned));
        row.successes += cell["totals"]["successes"].as_u64().unwrap_or(0);
        for (invariant, count) in cell["invariants"].as_object().into_iter().flatten() {
            *row.invariants.entry(invariant.clone()).or_default() += count.as_u64().unwrap_or(0);
        }
    }
    row.verdict = gravest(verdicts);
    // A broken invariant fails, even if the record says that it passed; and a run that did nothing kept nothing.
    if row.invariants.values().any(|count| *count > 0) {
        row.verdict = Verdict::Fail;
    } else if row.verdict == Verdict::Pass && (row.successes == 0 || row.invariants.is_empty()) {
        row.verdict = Verdict::Inconclusive;
        row.reasons.push("nothing was done".to_owned());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::judge;
    use splinter_harness::verdict::Verdict;

    fn cell(verdict: &str, torn: u64, successes: u64) -> String {
        format!(
            "{{\"verdict\": \"{verdict}\", \"reasons\": [\"why\"], \"totals\": {{\"successes\": {successes}}}, \
             \"invariants\": {{\"torn_reads\": {torn}, \"lost_updates\": 0}}}}"
        )
    }

    #[test]
    fn a_run_that_held_passes_and_its_cells_are_summed() {
        let text = format!("{{\"cells\": [{}, {}]}}", cell("pass", 0, 10), cell("pass", 0, 5));
        let row = judge("run", &text, Some(0), "");
        assert_eq!((row.verdict, row.successes, row.invariants.len()), (Verdict::Pass, 15, 2));
    }

    #[test]
    fn any_broken_invariant_fails() {
        assert_eq!(judge("run", &cell("fail", 1, 10), Some(1), "").verdict, Verdict::Fail);
        assert_eq!(judge("run", &cell("pass", 1, 10), Some(0), "").verdict, Verdict::Fail);
        let text = format!("{{\"cells\": [{}, {}]}}", cell("inconclusive", 0, 1), cell("fail", 2, 1));
        assert_eq!(judge("run", &text, Some(1), "").invariants["torn_reads"], 2);
    }

    #[test]
    fn nothing_done_and_no_record_are_inconclusive() {
        assert_eq!(judge("run", &cell("pass", 0, 0), Some(0), "").verdict, Verdict::Inconclusive);
        assert_eq!(judge("run", &cell("inconclusive", 0, 9), Some(4), "").verdict, Verdict::Inconclusive);
        let row = judge("run", "", Some(2), "no such flag");
        assert!(row.verdict == Verdict::Inconclusive && row.reasons[0].contains("no such flag"));
    }
}
