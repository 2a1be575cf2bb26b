//! Runs `splinter-stress cache` as its users do: small traces by rule, from files and from standard input; its table, its
//! record, its exit code, and what it refuses.

mod common;

use common::{passes, program, refuses, stress};
use serde_json::Value;
use splinter_testkit::{Folder, refused};
use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

/// Returns a field of the row of a cache.
fn field(record: &Value, name: &str, situation: &str, field: &str) -> Value {
    let rows = record["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name && row["situation"] == situation);
    row.unwrap_or_else(|| panic!("{name}, {situation} in {rows:?}"))[field].clone()
}

fn hits(record: &Value, name: &str, situation: &str) -> u64 {
    field(record, name, situation, "hits").as_u64().unwrap()
}

#[test]
fn sieve_answers_as_its_paper_says_and_nothing_is_above_the_optimum() {
    for trace in
        ["--trace zipf:0.9 --keys 900", "--trace zipf-exact:1.1 --keys 500", "--trace loop --keys 70"]
    {
        for slots in [1, 50, 1000] {
            let record = passes(&format!("cache {trace} --slots {slots} --requests 4000 --rounds 1"));
            let best = hits(&record, "Belady's optimum", "reference");
            let sieve = hits(&record, "SIEVE by its paper", "reference");
            assert_eq!(hits(&record, "store, sieve", "1 thread"), sieve, "{trace}, {slots}");
            for name in ["store, sieve", "store, lru"] {
                assert!(hits(&record, name, "1 thread") <= best, "{name}, {trace}, {slots}");
                let row = |name: &str, of: &str| field(&record, name, "1 thread", of).as_u64().unwrap();
                assert_eq!(row(name, "hits") + row(name, "misses"), 4000);
            }
            assert!(hits(&record, "exact LRU", "reference") <= best && sieve <= best, "{trace}, {slots}");
            // What it holds for a while above its slots does not matter here.
            if !trace.contains("loop") && slots == 50 {
                assert!(hits(&record, "moka", "1 thread") <= best, "{trace}");
            }
            if slots == 1000 {
                assert_eq!(sieve, best, "there is room for all keys");
                assert_eq!(field(&record, "store, sieve", "1 thread", "evictions"), 0);
            }
        }
    }
}

#[test]
fn a_record_says_what_was_replayed_and_what_came_of_it() {
    let record = passes("cache --keys 200 --slots 20 --writers 3 --seed 7 --rounds 2 --len 3");
    assert_eq!((&record["kind"], &record["schema_version"]), (&"cache".into(), &1.into()));
    assert_eq!(
        (&record["requests"], &record["keys"], &record["rounds"]),
        (&3000.into(), &200.into(), &2.into())
    );
    assert_eq!((&record["config"]["seed"], &record["config"]["trace"]), (&7.into(), &"zipf:0.99".into()));
    for name in ["store, sieve", "store, lru", "moka"] {
        for situation in ["1 thread", "3 threads"] {
            for figure in ["value_ns", "goodput_per_s", "hit_ratio"] {
                assert!(field(&record, name, situation, figure).as_f64().unwrap() > 0.0, "{name} {figure}");
            }
        }
    }
    assert!(field(&record, "exact LRU", "reference", "value_ns").is_null());
    let invariants = record["invariants"].as_object().unwrap();
    assert!(invariants.values().all(|count| count == 0), "{invariants:?}");
    // The same seed, the same trace.
    let again = passes("cache --keys 200 --slots 20 --seed 7 --rounds 1");
    for name in ["SIEVE by its paper", "exact LRU", "Belady's optimum"] {
        assert_eq!(hits(&record, name, "reference"), hits(&again, name, "reference"));
    }
}

#[test]
fn a_trace_is_read_from_a_file_and_from_standard_input() {
    // With three slots: LRU misses a, b, c, d, b, e, a and hits a once; SIEVE hits a twice.
    let lines = "a\nb\r\nc\na\nd\nb\ne\na";
    let folder = Folder::new();
    let path = folder.put("trace", lines);
    let record = passes(&format!("cache --trace-file {path} --slots 3 --rounds 1"));
    let all = |record: &Value| {
        ["SIEVE by its paper", "exact LRU", "Belady's optimum"].map(|name| hits(record, name, "reference"))
    };
    assert_eq!(all(&record), [2, 1, 3]);
    assert_eq!(hits(&record, "store, sieve", "1 thread"), 2);
    assert_eq!((&record["requests"], &record["keys"]), (&8.into(), &5.into()));

    let mut child = program()
        .args("cache --trace-file - --slots 3 --rounds 1 --json".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(all(&serde_json::from_slice(&output.stdout).unwrap()), [2, 1, 3]);

    let record = passes(&format!("cache --trace-file {path} --requests 4 --slots 3 --rounds 1"));
    assert_eq!((&record["requests"], all(&record)), (&4.into(), [1, 1, 1]));
}

#[test]
fn the_table_has_each_cache_with_its_hit_ratio() {
    let output = stress("cache --trace scan --keys 300 --slots 10 --rounds 1");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("300 requests of scan for 300 keys"), "{text}");
    for (name, evictions) in
        [("store, sieve", "290"), ("store, lru", "290"), ("SIEVE by its paper", "290"), ("exact LRU", "290")]
    {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line.contains("0.00 %") && line.contains(evictions), "{line}");
    }
    assert!(text.contains("Belady's optimum") && text.trim_end().ends_with("PASS"), "{text}");
}

#[test]
fn a_file_that_is_no_trace_is_refused_with_the_number_of_the_line() {
    let folder = Folder::new();
    let long = "x".repeat(64);
    for (name, text, words) in [
        ("gap", "a\n\nb\n".to_owned(), ["line 2", "empty"]),
        ("long", format!("a\nb\n{long}\n"), ["line 3", "63 bytes"]),
        ("nul", "a\0b".to_owned(), ["line 1", "NUL"]),
        ("nothing", String::new(), ["no line", "nothing"]),
    ] {
        let line = format!("cache --trace-file {}", folder.put(name, &text));
        refused(&stress(&line), &line, &words);
    }
    let line = "cache --trace-file /nowhere/at/all";
    refused(&stress(line), line, &["/nowhere/at/all", "No such file"]);
    // Refused before the lines are read, of which the second is no key.
    let line = format!("cache --trace-file {} --slots 16M --len 16M", folder.put("large", "a\n\n"));
    refused(&stress(&line), &line, &["MiB are free", "--slots"]);
    // Its size is enough to refuse it.
    let path = folder.put("huge", "");
    File::options().write(true).open(&path).unwrap().set_len(1 << 36).unwrap();
    let line = format!("cache --trace-file {path}");
    refused(&stress(&line), &line, &["more than 268435456 lines", "--requests"]);
    // Its standard input is empty.
    refused(&stress("cache --trace-file -"), "cache --trace-file -", &["standard input", "no line"]);
    let path = folder.put("kept", "a\n");
    let line = format!("cache --trace-file {path} --record {path}");
    refused(&stress(&line), &line, &["this command reads it"]);
    assert_eq!(folder.get("kept"), "a\n");
}

#[test]
fn a_comparison_that_cannot_be_made_is_refused_with_one_line() {
    refuses(
        "cache",
        &[
            ("--trace pareto", "zipf:THETA"),
            ("--trace zipf:1.2", "zipf-exact"),
            ("--trace scan --keys 10 --requests 11", "--requests"),
            ("--trace-file x --keys 5", "--keys"),
            ("--keys 0", "--keys"),
            ("--requests 0", "--requests"),
            ("--slots 0", "--slots"),
            ("--slots 99G", "--slots"),
            ("--len 0", "--len"),
            ("--slots 16M --len 16M", "MiB are free"),
            ("--writers 0", "--writers"),
            ("--writers 5000", "--writers"),
            ("--rounds 0", "--rounds"),
            ("--bogus", "--bogus"),
        ],
    );
}
