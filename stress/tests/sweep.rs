//! Runs `splinter-stress sweep` as its users do: a few points of pairs of every sort, its output, and what it
//! leaves behind.

mod common;

use common::{record, refuses};
use serde_json::Value;
use splinter_testkit::skipped;

/// Exit code where processes cannot be traced.
const INCONCLUSIVE: i32 = 4;

/// How often a sweep is tried: on a busy machine a process that waits takes another path each time, and points are missed.
const ATTEMPTS: usize = 8;

/// Sweeps and returns the record, or nothing where this machine does not permit it.
fn swept(flags: &str) -> Option<Value> {
    let mut attempts = (0..ATTEMPTS).map(|_| record(&format!("sweep {flags}")));
    let is_missed = |(code, record): &(Option<i32>, Value)| {
        *code == Some(INCONCLUSIVE) && record["missed"].as_u64() > Some(0) && record["violations"] == 0
    };
    let whole = attempts.find(|attempt| !is_missed(attempt));
    let (code, record) = whole.unwrap_or_else(|| panic!("{flags}: points were missed every time"));
    if code == Some(INCONCLUSIVE) && record["reasons"].to_string().contains("not permitted") {
        skipped("sweeps: no process may be traced here");
        return None;
    }
    assert_eq!(code, Some(0), "{flags}: {record}");
    assert_eq!(record["verdict"], "pass", "{flags}: {record}");
    Some(record)
}

/// Invariants 1 to 9, 11, 12, 14, 15, 19, 21 and 22 hold at a few points of each of these pairs, which cover all kinds of scenarios. The
/// jobs of `ci/` try them at every instruction.
#[test]
fn pairs_of_every_sort_hold_at_a_few_points() {
    for scenario in [
        "update,append,resume,none,65",
        "first-set,first-set,kill,hybrid,64",
        "unset,update,stop,full,64,other",
        "tandem,untandem,kill,full,63",
        "update,label,resume,hybrid,64,same,heard",
        "first-set,update,stop,hybrid,64,crowd",
        "poll,update,resume,hybrid,64,same,heard",
        "update,watch,kill,hybrid,64,same,heard",
        "transaction,update,kill,full,64",
        "update,expire,resume,hybrid,64",
        "reuse,unset,kill,hybrid,64",
        "sweep-expired,update,resume,hybrid,64",
        "evict,pin,resume,hybrid,64",
        "update,evict,stop,hybrid,64",
        "evict,evict,kill,full,64,other",
        "set-if,unset,resume,hybrid,64",
        "unset,update-by,kill,hybrid,64",
        "open,update,kill,hybrid,64",
        "create,open,kill,hybrid,64",
        "create,create,resume,hybrid,64",
    ] {
        let Some(record) = swept(&format!("--only {scenario} --quick")) else {
            return;
        };
        assert_eq!(record["kind"], "sweep");
        assert_eq!(record["schema_version"], 1);
        assert_eq!(record["violations"], 0);
        let pair = &record["pairs"][0];
        assert!(record["points"].as_u64().unwrap() >= 5, "{scenario}: {record}");
        assert_eq!(pair["points"], record["points"]);
        assert!(pair["instructions"].as_u64().unwrap() > 50, "{scenario}: {record}");
    }
    let stores = std::fs::read_dir("/dev/shm").unwrap().map_while(Result::ok);
    let mut names = stores.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Other sweeps may run at this moment; those that have ended leave nothing.
    let stray = names.find(|name| {
        let process = name.strip_prefix("splinter-sweep-");
        process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists())
    });
    assert_eq!(stray, None);
}

#[test]
fn one_point_is_tried_again_by_its_number() {
    let Some(record) = swept("--only update,append,kill,full,64,same --point 60") else {
        return;
    };
    assert_eq!(record["points"], 1);
}

#[test]
fn a_sweep_of_what_is_not_there_is_refused_in_one_line_that_says_what_to_do() {
    refuses(
        "sweep",
        &[
            ("--only update,append", "FIRST,SECOND,HOW,SCRUB,LEN"),
            ("--only update,append,kill,full,193", "192"),
            ("--first dance", "first-set"),
            ("--how gently", "resume, kill or stop"),
            ("--first create --second update", "no pair"),
            ("--point 3", "--only"),
        ],
    );
}

#[test]
fn a_point_that_there_is_not_is_not_another_one() {
    let (code, record) = record("sweep --only update,append,kill,full,64,same --point 99999");
    let reasons = record["reasons"].to_string();
    assert_eq!(code, Some(INCONCLUSIVE), "{record}");
    assert!(reasons.contains("no point 99999") || reasons.contains("not permitted"), "{reasons}");
}
