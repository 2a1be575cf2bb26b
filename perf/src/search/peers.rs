//! What other indexes of vectors did with the same vectors and queries, as `perf/search/peers.py` writes it.

use super::Request;
use super::record::PeerFamily;
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

/// Takes those of the vectors that are to be searched.
///
/// # Errors
/// One line if any was of other vectors, or all were.
pub fn matching(peers: Vec<PeerFamily>, request: &Request) -> Result<Vec<PeerFamily>, String> {
    const AGAIN: &str = "export these vectors, and run them again";
    let (keys, dim, queries) = (request.scope.keys, request.scope.dim, request.queries);
    let is_wanted = |peer: &&PeerFamily| request.vectors.iter().any(|own| own.name() == peer.family);
    let others = |peer: &&PeerFamily| (peer.keys, peer.dim, peer.queries) != (keys, dim, queries);
    if let Some(peer) = peers.iter().filter(is_wanted).find(others) {
        return Err(format!(
            "the peers searched {} of {} x {} with {} queries, not {keys} x {dim} with {queries}: {AGAIN}",
            peer.family, peer.keys, peer.dim, peer.queries
        ));
    }
    if !peers.iter().any(|peer| is_wanted(&peer)) {
        return Err(format!("the peers searched none of the vectors that are asked for: {AGAIN}"));
    }
    Ok(peers.into_iter().filter(|peer| is_wanted(&peer)).collect())
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
    use crate::search::Vectors;
    use crate::search::family::Family;
    use crate::search::rows::Scope;
    use splinter_harness::sampler::Schedule;
    use splinter_testkit::Folder;
    use std::time::Duration;

    const TEXT: &str = r#"{"schema_version": 1, "kind": "search-peers", "families": [{"family": "uniform", "keys": 10,
        "dim": 4, "queries": 2, "engines": [
        {"name": "hnsw", "version": "1.0", "build_s": 2.0, "problem": null,
            "points": [{"depth": "ef=10", "recall_at_10": 0.9, "p50_ns": 2e6, "p99_ns": 3e6}]},
        {"name": "absent", "version": null, "build_s": null, "problem": "is not installed", "points": []}]}]}"#;

    fn request(family: Family, keys: usize) -> Request {
        let scope = Scope {
            keys,
            dim: 4,
            recall: None,
            processors: 1,
            budget: Duration::ZERO,
            batch: 1,
            batch_under_writes: 1,
            writer_processor: 0,
        };
        let schedule = Schedule { rounds: 1, seed: 1, warm_up: false };
        Request { vectors: vec![Vectors::Drawn(family)], queries: 2, seed: 1, scope, schedule }
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
        assert_eq!(matching(peers.clone(), &request(Family::Uniform, 10)).unwrap().len(), 1);
        let others = matching(peers.clone(), &request(Family::Uniform, 11)).unwrap_err();
        assert!(others.contains("10 x 4") && others.contains("11 x 4"), "{others}");
        let none = matching(peers, &request(Family::Clustered, 10)).unwrap_err();
        assert!(none.contains("none of the vectors"), "{none}");
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
