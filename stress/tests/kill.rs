//! Runs `splinter-stress kill` as its users do: a small storm, what it prints, what it exits with, and
//! what it leaves behind. Invariants 1 to 7.

use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn kill(flags: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_splinter-stress"))
        .arg("kill")
        .args(flags.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

#[test]
fn a_small_storm_keeps_every_invariant_at_every_level_and_says_what_it_hit() {
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = path.join(format!("kill-{}.hdr", std::process::id()));
    let hdr = path.display();
    let output = kill(&format!("--kills 90 --aimed 30 --json --hdr {hdr}"));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", record["reasons"]);
    assert_eq!(
        (&record["kind"], &record["verdict"]),
        (&"kill".into(), &"pass".into())
    );
    assert_eq!(record["schema_version"], 1);
    let kills = |name: &str| record["kills"][name].as_u64().unwrap();
    assert_eq!(kills("random") + kills("aimed"), 120);
    assert!(
        kills("random") >= 90,
        "an aim that finds nobody is a random kill"
    );
    assert!(kills("random_in_claim") + kills("aimed_in_claim") > 0);
    let levels = record["levels"].as_array().unwrap();
    let levels: Vec<_> = levels
        .iter()
        .map(|level| level["scrub"].as_str().unwrap())
        .collect();
    assert_eq!(levels, ["none", "hybrid", "full"]);
    assert!(record["detection_ns"]["samples"].as_u64().unwrap() > 0);
    assert!(record["operations"]["set"][0].as_u64().unwrap() > 0);
    assert!(record["reads"][0].as_u64().unwrap() > 0);
    let invariants = record["invariants"].as_object().unwrap();
    assert!(
        invariants.values().all(|count| count == 0),
        "{invariants:?}"
    );
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("Tag=detection,"), "{log}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_storm_that_cannot_be_had_is_refused_with_one_line() {
    for (flags, hint) in [
        ("--kills 0 --aimed 0", "--kills"),
        ("--writers 0", "--writers"),
        ("--readers 99", "--readers"),
        ("--max-value-len 1", "--max-value-len"),
        ("--kills many", "20k"),
        ("--bogus", "--bogus"),
    ] {
        let output = kill(flags);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags}: {error}");
        assert!(
            error.contains(hint) && error.lines().count() == 1,
            "{flags}: {error}"
        );
        assert!(output.stdout.is_empty(), "{flags}");
    }
}
