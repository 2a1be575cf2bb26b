//! `splinter-perf search` as its users meet it, on few vectors. No figure is asserted: these runs are far too short.

mod common;

use common::{Folder, PROGRAM, text};
use serde_json::{Value, json};
use splinter_perf::records::schema;
use splinter_perf::search::npy::Matrix;
use splinter_perf::search::record::SearchRecord;
use std::process::{Command, Output};

const SMALL: &str = "search --quick --rounds 1 --queries 20 --searches 100";

fn perf(line: &str) -> Output {
    Command::new(PROGRAM).args(line.split(' ')).output().expect("the command starts")
}

fn record(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_record_has_the_fields_of_its_type_and_every_answer_was_right() {
    let record = record(&perf(&format!("{SMALL} --keys 2k --dim 64 --json")));
    let unknown = schema::undocumented("search", &record, usize::MAX);
    assert!(unknown.is_empty(), "{unknown:?}");
    let read: SearchRecord = serde_json::from_value(record.clone()).expect("it is such a record");
    assert_eq!(serde_json::to_value(&read).expect("it is JSON"), record);
    assert_eq!(read.families.len(), 4);
    assert!(read.checked.searches > 4 * 3 * 20 && read.checked.hits > 10 * 4 * 3 * 20);
    for row in read.rows.iter().filter(|row| row.samples == 0) {
        let why = row.problem.as_deref().unwrap_or_default();
        assert!(why.contains("processor"), "{}: {why}", row.name);
    }
    let wrong = read.reasons.iter().find(|why| why.contains("wrong") || why.contains("missed a nearer"));
    assert_eq!(wrong, None);
}

#[test]
fn the_vectors_of_a_file_are_searched_and_its_last_rows_are_the_queries() {
    let folder = Folder::new("vectors");
    let out = folder.perf("search --keys 300 --dim 24 --queries 3 --family uniform --export out");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let queries = Matrix::read(&folder.0.join("out/uniform.queries.npy")).unwrap();
    assert_eq!((queries.rows(), queries.dim), (3, 24));
    let out = folder.perf(&format!("{SMALL} --vectors out/uniform.vectors.npy --only recall --json"));
    let record = record(&out);
    let facts = &record["families"][0];
    assert_eq!(
        (&facts["name"], &facts["keys"], &facts["queries"]),
        (&"vectors".into(), &280.into(), &20.into())
    );
    let titles: Vec<&str> =
        record["rows"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(titles, ["recall@1", "recall@10", "recall@100"]);
}

#[test]
fn bad_input_is_refused_in_one_line() {
    let folder = Folder::new("refused");
    folder.put("text.npy", "no matrix");
    folder.put("peers.json", "{}");
    let peers = |family: &str, keys: u32| {
        let family = json!({"family": family, "keys": keys, "dim": 24, "queries": 3, "engines": []});
        json!({"schema_version": 1, "kind": "search-peers", "families": [family]})
    };
    folder.put_json("other.json", &peers("uniform", 200));
    folder.put_json("none.json", &peers("elsewhere", 300));
    for (line, why) in [
        ("search --vectors text.npy", "numpy.save"),
        ("search --vectors none.npy", "none.npy"),
        ("search --vectors text.npy --keys 1k", "--keys"),
        ("search --keys 3", "from 100"),
        ("search --family none", "--family"),
        ("search --only none", "recall@10 (clustered)"),
        ("search --peers peers.json", "peers.py"),
        (
            "search --keys 300 --dim 24 --queries 3 --peers other.json",
            "200 x 24 with 3 queries, not 300 x 24",
        ),
        ("search --keys 300 --dim 24 --queries 3 --peers none.json", "none of the vectors"),
        ("search --processor 9999", "counted from 0"),
    ] {
        let output = folder.perf(line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains(why), "{line}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{line}: {said}");
    }
}
