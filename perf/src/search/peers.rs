//! What other indexes of vectors did with the same vectors and queries, as `perf/search/peers.py` writes it.

use super::record::{FamilyFacts, PeerFamily};
use crate::unit::Unit;
use serde::Deserialize;
use splinter_harness::input;
use splinter_harness::table::{headed, or_dash};
use splinter_harness::text::refusal;
use std::path::Path;

/// The kind of document that the script prints.
const KIND: &str = "search-peers";

#[derive(Debug, Deserialize)]
struct Document {
    kind: String,
    families: Vec<PeerFamily>,
}

/// Reads the file.
///
/// # Errors
/// One line that says what is wrong.
pub fn read(path: &Path) -> Result<Vec<PeerFamily>, String> {
    let name = path.display();
    let text = input::read_text(path).map_err(|error| format!("cannot read {name}: {}", refusal(error)))?;
    let document: Result<Document, _> = serde_json::from_str(&text);
    match document {
        Ok(document) if document.kind == KIND => Ok(document.families),
        _ => Err(format!("{name} is not what perf/search/peers.py prints: give its output")),
    }
}

/// Takes those of the vectors that were measured.
///
/// # Errors
/// One line if any was of other vectors.
pub fn matching(peers: Vec<PeerFamily>, families: &[FamilyFacts]) -> Result<Vec<PeerFamily>, String> {
    let mut taken = Vec::new();
    for peer in peers {
        let Some(own) = families.iter().find(|own| own.name == peer.family) else { continue };
        if (own.keys, own.dim, own.queries) != (peer.keys, peer.dim, peer.queries) {
            return Err(format!(
                "the peers searched {} of {} x {} with {} queries, not {} x {} with {}: export these vectors, and run them again",
                peer.family, peer.keys, peer.dim, peer.queries, own.keys, own.dim, own.queries
            ));
        }
        taken.push(peer);
    }
    Ok(taken)
}

/// Lays the peers out as text.
#[must_use]
pub fn text(peers: &[PeerFamily]) -> String {
    let heads = ["peer", "vectors", ">build", "depth", ">recall@10", ">p50", ">p99"];
    let mut rows = Vec::new();
    for family in peers {
        for engine in &family.engines {
            let build = or_dash(engine.build_s.map(|s| Unit::Nanoseconds.show(s * 1e9)));
            let begin = vec![engine.name.clone(), family.family.clone(), build];
            if let Some(why) = &engine.problem {
                rows.push([begin, vec![why.clone()]].concat());
                continue;
            }
            for point in &engine.points {
                let [p50, p99] = [point.p50_ns, point.p99_ns].map(|ns| Unit::Nanoseconds.show(ns));
                let recall = Unit::Share.show(point.recall_at_10);
                rows.push([begin.clone(), vec![point.depth.clone(), recall, p50, p99]].concat());
            }
        }
    }
    headed(&heads, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::Folder;

    const TEXT: &str = r#"{"schema_version": 1, "kind": "search-peers", "families": [{"family": "uniform", "keys": 10,
        "dim": 4, "queries": 2, "engines": [
        {"name": "hnsw", "version": "1.0", "build_s": 2.0, "problem": null,
            "points": [{"depth": "ef=10", "recall_at_10": 0.9, "p50_ns": 2e6, "p99_ns": 3e6}]},
        {"name": "absent", "version": null, "build_s": null, "problem": "is not installed", "points": []}]}]}"#;

    fn facts(keys: usize) -> FamilyFacts {
        FamilyFacts { name: "uniform".to_owned(), keys, dim: 4, queries: 2, fill_s: 0.0, truth_s: 0.0 }
    }

    #[test]
    fn peers_are_read_and_shown() {
        let folder = Folder::new();
        let path = folder.join("peers.json");
        std::fs::write(&path, TEXT).unwrap();
        let peers = read(&path).unwrap();
        let text = text(&peers);
        for part in ["hnsw", "2.00 s", "ef=10", "90.000 %", "2.00 ms", "is not installed"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(matching(peers.clone(), &[facts(10)]).unwrap().len(), 1);
        assert!(matching(peers.clone(), &[]).unwrap().is_empty());
        assert!(matching(peers, &[facts(11)]).unwrap_err().contains("10 x 4"));
    }

    #[test]
    fn any_other_file_is_refused_in_one_line() {
        let folder = Folder::new();
        for text in ["{}", "not JSON", r#"{"kind": "run", "families": []}"#] {
            let path = folder.join("other");
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).unwrap_err().contains("peers.py"));
        }
        assert!(read(&folder.join("none")).unwrap_err().contains("cannot read"));
    }
}
