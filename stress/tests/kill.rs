//! Runs `splinter-stress kill` as its users do: a small kill test, its output, its exit code and its
//! record. Invariants 1 to 7.

mod common;

use common::{passes, refuses};
use splinter_testkit::Folder;

#[test]
fn a_small_kill_test_keeps_every_invariant_at_every_level_and_says_what_it_hit() {
    let folder = Folder::new();
    let path = folder.join("kill.hdr");
    let hdr = path.display();
    let record = passes(&format!("kill --kills 90 --aimed 30 --hdr {hdr}"));
    assert_eq!(record["kind"], "kill");
    assert_eq!(record["schema_version"], 1);
    let kills = |name: &str| record["kills"][name].as_u64().unwrap();
    assert_eq!(kills("random") + kills("aimed"), 120);
    assert!(kills("random") >= 90, "an aim that finds no writer is a random kill");
    assert!(kills("random_in_claim") + kills("aimed_in_claim") > 0);
    let levels = record["levels"].as_array().unwrap();
    let levels: Vec<_> = levels.iter().map(|level| level["scrub"].as_str().unwrap()).collect();
    assert_eq!(levels, ["none", "hybrid", "full"]);
    assert!(record["detection_ns"]["samples"].as_u64().unwrap() > 0);
    assert_eq!(record["rescue_ns"]["samples"], record["recovery_ns"]["samples"]);
    for operation in ["set", "transaction", "expire", "transfer", "tally", "sweep_expired", "cache"] {
        assert!(record["operations"][operation][0].as_u64().unwrap() > 0, "{operation}");
    }
    assert!(record["reads"][0].as_u64().unwrap() > 0);
    let invariants = record["invariants"].as_object().unwrap();
    assert!(invariants.values().all(|count| count == 0), "{invariants:?}");
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("Tag=detection,"), "{log}");
}

#[test]
fn a_kill_test_that_cannot_run_is_refused_with_one_line() {
    refuses(
        "kill",
        &[
            ("--kills 0 --aimed 0", "--kills"),
            ("--writers 0", "--writers"),
            ("--readers 99", "--readers"),
            ("--max-value-len 1", "--max-value-len"),
            ("--kills many", "20k"),
            ("--bogus", "--bogus"),
        ],
    );
}
