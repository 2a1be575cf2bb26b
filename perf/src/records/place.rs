//! Which worker ran where, as records tell it: nodes, their processors, and the workers on each. Pure.

use super::record::Record;
use serde::Deserialize;
use splinter_harness::machine::MachineNode;
use splinter_harness::{cpulist, environment};
use std::collections::BTreeMap;

/// One worker, as a run saw it or as a plan has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Worker {
    /// Its number.
    #[serde(rename = "worker")]
    pub number: u64,
    /// "writer", "reader" or "watcher".
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    requested: Option<u64>,
    #[serde(default)]
    observed_start: Option<u64>,
    #[serde(default)]
    observed_end: Option<u64>,
    /// Of a plan.
    #[serde(default)]
    processor: Option<u64>,
    /// How often it moved.
    #[serde(default)]
    pub migrations: u64,
}

impl Worker {
    /// Returns the processor that it was to run on; `None` if that was left to the scheduler.
    #[must_use]
    pub fn requested(&self) -> Option<u64> {
        self.requested.or(self.processor)
    }

    /// Returns the processor that it was seen on at the end, or is planned to be on.
    #[must_use]
    pub fn seen(&self) -> Option<u64> {
        self.observed_end.or(self.observed_start).or(self.processor)
    }

    /// Tells whether it was seen elsewhere than it was asked to be.
    #[must_use]
    pub fn is_misplaced(&self) -> bool {
        let places = self.requested().zip(self.seen());
        places.is_some_and(|(asked, seen)| asked != seen)
    }
}

/// One processor with the workers that ran there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its number.
    pub id: u64,
    /// Its workers.
    pub workers: Vec<Worker>,
}

/// One node with its processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its processors.
    pub processors: Vec<Processor>,
}

impl Record {
    /// Returns the workers by node and processor; empty if the record does not say.
    #[must_use]
    pub fn placed(&self) -> Vec<Node> {
        let workers: Vec<Worker> = self.part(&["placement", "workers"]).unwrap_or_default();
        if workers.is_empty() {
            return Vec::new();
        }
        let mut by_processor: BTreeMap<Option<u64>, Vec<Worker>> = BTreeMap::new();
        for worker in workers {
            by_processor.entry(worker.seen()).or_default().push(worker);
        }
        // A run says where it was, with lists as the kernel writes them; a plan has the machine that it is for.
        let own = self.part::<Vec<environment::Node>>(&["environment", "nodes"]);
        let own = own.map(|nodes| {
            let processors = |node: environment::Node| cpulist::parse(&node.processors).unwrap_or_default();
            nodes.into_iter().map(|node| (node.id, processors(node))).collect()
        });
        let planned = || {
            let nodes = self.part::<Vec<MachineNode>>(&["machine", "nodes"])?;
            Some(nodes.into_iter().map(|node| (node.id, node.processors)).collect())
        };
        let nodes: Vec<(u32, Vec<usize>)> = own.or_else(planned).unwrap_or_default();
        let mut placed = Vec::new();
        for (node, processors) in nodes {
            let mut take = |id| Processor { id, workers: by_processor.remove(&Some(id)).unwrap_or_default() };
            let processors: Vec<Processor> = processors.into_iter().map(|id| take(id as u64)).collect();
            if !processors.is_empty() {
                let name = format!("node {node}");
                placed.push(Node { name, processors });
            }
        }
        let mut elsewhere = Vec::new();
        for (id, workers) in by_processor {
            match id {
                Some(id) => elsewhere.push(Processor { id, workers }),
                None => placed.push(Node {
                    name: "seen nowhere".to_owned(),
                    processors: vec![Processor { id: 0, workers }],
                }),
            }
        }
        if !elsewhere.is_empty() {
            placed.push(Node { name: "node unknown".to_owned(), processors: elsewhere });
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use crate::records::file::tests::record;
    use serde_json::json;

    #[test]
    fn workers_are_found_on_the_nodes_of_their_processors() {
        let worker = |number: u64, asked: Option<u64>, seen: Option<u64>| json!({"worker": number, "role": "reader", "requested": asked, "observed_end": seen, "migrations": 0});
        let value = json!({"schema_version": 1, "kind": "run",
            "environment": {"nodes": [{"id": 0, "processors": "0-1"}, {"id": 1, "processors": "4"}, {"id": 2, "processors": ""}]},
            "placement": {"workers": [worker(0, Some(1), Some(1)), worker(1, Some(4), Some(0)), worker(2, None, Some(9)), worker(3, None, None)]}});
        let placed = record(value).placed();
        let shown: Vec<(String, Vec<(u64, usize)>)> = placed
            .iter()
            .map(|node| {
                let processors = node.processors.iter();
                (node.name.clone(), processors.map(|it| (it.id, it.workers.len())).collect())
            })
            .collect();
        let named = |name: &str, processors: &[(u64, usize)]| (name.to_owned(), processors.to_vec());
        assert_eq!(
            shown,
            [
                named("node 0", &[(0, 1), (1, 1)]),
                named("node 1", &[(4, 0)]),
                named("seen nowhere", &[(0, 1)]),
                named("node unknown", &[(9, 1)]),
            ]
        );
        let is_misplaced: Vec<u64> = placed
            .iter()
            .flat_map(|node| &node.processors)
            .flat_map(|processor| &processor.workers)
            .filter(|worker| worker.is_misplaced())
            .map(|worker| worker.number)
            .collect();
        assert_eq!(is_misplaced, [1]);
    }

    #[test]
    fn a_plan_is_shown_on_the_machine_that_it_is_for() {
        let value = json!({"schema_version": 1, "kind": "topology",
            "machine": {"nodes": [{"id": 0, "processors": [0, 1]}]},
            "placement": {"workers": [{"worker": 0, "role": "writer", "processor": 1}]}});
        let placed = record(value).placed();
        assert_eq!(placed[0].processors[1].workers[0].requested(), Some(1));
        assert!(!placed[0].processors[1].workers[0].is_misplaced());
    }
}
