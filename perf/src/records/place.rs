//! Which worker ran where, as records tell it: nodes, their processors, and the workers on each. Pure.

use super::record::Record;
use serde_json::Value;
use std::collections::BTreeMap;

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number.
    pub number: u64,
    /// "writer", "reader" or "watcher".
    pub role: String,
    /// The processor it was to run on; none if that was left to the scheduler.
    pub requested: Option<u64>,
    /// The processor it was seen on at the end, or is planned to be on.
    pub seen: Option<u64>,
    /// How often it moved.
    pub migrations: u64,
}

impl Worker {
    /// Tells whether it was seen elsewhere than it was asked to be.
    #[must_use]
    pub fn astray(&self) -> bool {
        self.requested
            .zip(self.seen)
            .is_some_and(|(asked, seen)| asked != seen)
    }
}

/// One processor with those who ran there.
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
    /// Returns who ran where; empty where the record does not say.
    #[must_use]
    pub fn placed(&self) -> Vec<Node> {
        let list = self.at(&["placement", "workers"]).and_then(Value::as_array);
        let workers: Vec<Worker> = list.into_iter().flatten().filter_map(worker).collect();
        if workers.is_empty() {
            return Vec::new();
        }
        let mut by_processor: BTreeMap<Option<u64>, Vec<Worker>> = BTreeMap::new();
        for worker in workers {
            by_processor.entry(worker.seen).or_default().push(worker);
        }
        // A plan has the machine that it is for.
        let nodes = self
            .at(&["environment", "nodes"])
            .or_else(|| self.at(&["machine", "nodes"]))
            .and_then(Value::as_array);
        let mut placed: Vec<Node> = nodes
            .into_iter()
            .flatten()
            .filter_map(|node| {
                let id = node["id"].as_u64()?;
                let take = |id| Processor {
                    id,
                    workers: by_processor.remove(&Some(id)).unwrap_or_default(),
                };
                let processors: Vec<Processor> = processors(&node["processors"])
                    .into_iter()
                    .map(take)
                    .collect();
                let name = format!("node {id}");
                (!processors.is_empty()).then_some(Node { name, processors })
            })
            .collect();
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
            placed.push(Node {
                name: "node unknown".to_owned(),
                processors: elsewhere,
            });
        }
        placed
    }
}

fn worker(value: &Value) -> Option<Worker> {
    let number = |name: &str| value[name].as_u64();
    let planned = number("processor");
    Some(Worker {
        number: number("worker")?,
        role: value["role"].as_str().unwrap_or("worker").to_owned(),
        requested: number("requested").or(planned),
        seen: number("observed_end")
            .or(number("observed_start"))
            .or(planned),
        migrations: value["migrations"].as_u64().unwrap_or(0),
    })
}

/// Reads a list such as `0-3,8`, or one of numbers; what of it is no number is left out.
fn processors(list: &Value) -> Vec<u64> {
    if let Some(list) = list.as_array() {
        return list.iter().filter_map(Value::as_u64).collect();
    }
    let mut all = Vec::new();
    for part in list.as_str().unwrap_or_default().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u64>(), last.trim().parse::<u64>())
            && last.saturating_sub(first) < 65_536
        {
            all.extend(first..=last);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
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
                (
                    node.name.clone(),
                    processors.map(|it| (it.id, it.workers.len())).collect(),
                )
            })
            .collect();
        let named =
            |name: &str, processors: &[(u64, usize)]| (name.to_owned(), processors.to_vec());
        assert_eq!(
            shown,
            [
                named("node 0", &[(0, 1), (1, 1)]),
                named("node 1", &[(4, 0)]),
                named("seen nowhere", &[(0, 1)]),
                named("node unknown", &[(9, 1)]),
            ]
        );
        let astray: Vec<u64> = placed
            .iter()
            .flat_map(|node| &node.processors)
            .flat_map(|processor| &processor.workers)
            .filter(|worker| worker.astray())
            .map(|worker| worker.number)
            .collect();
        assert_eq!(astray, [1]);
    }

    #[test]
    fn a_plan_is_shown_on_the_machine_that_it_is_for() {
        let value = json!({"schema_version": 1, "kind": "topology",
            "machine": {"nodes": [{"id": 0, "processors": [0, 1]}]},
            "placement": {"workers": [{"worker": 0, "role": "writer", "processor": 1}]}});
        let placed = record(value).placed();
        assert_eq!(placed[0].processors[1].workers[0].requested, Some(1));
        assert!(!placed[0].processors[1].workers[0].astray());
    }

    #[test]
    fn lists_of_processors_are_read_as_the_kernel_writes_them() {
        assert_eq!(processors(&json!("0-2,8")), [0, 1, 2, 8]);
        assert_eq!(processors(&json!([4, 5, "x"])), [4, 5]);
        assert_eq!(processors(&json!("")), Vec::<u64>::new());
        assert_eq!(processors(&json!("3-1,x,0-99999999999")), Vec::<u64>::new());
    }
}
