//! Tests that a run whose workers are not where a policy had them fails, whatever the policy: it is planned for a
//! machine that this one is not.

use crate::options::Span;
use crate::run::run_on;
use crate::workload::Workload;
use splinter_harness::machine::{Found, FoundCache, Machine, MachineNode, Processor};
use splinter_harness::progress::Silent;
use splinter_harness::verdict::Verdict;

#[test]
fn a_misplaced_worker_fails_the_run_unless_that_is_allowed() {
    // Processors that are not here, or not for this process, of two caches, nodes and cores.
    let elsewhere = elsewhere(&[1020, 1021, 1022, 1023]);
    for pin in [
        "compact",
        "scatter",
        "node:0",
        "node:1",
        "llc:0",
        "llc:1",
        "per-node",
        "per-llc",
        "per-core",
        "1020-1023",
    ] {
        for (pin, pin_readers) in [(pin, None), ("none", Some(pin))] {
            let workload = Workload {
                writers: 2,
                readers: 2,
                keys: 16,
                span: Span::Ops(400),
                pin: pin.parse().unwrap(),
                pin_readers: pin_readers.map(|pin| pin.parse().unwrap()),
                ..Workload::default()
            };
            let record = run_on(&elsewhere, &workload, &mut Silent, None).unwrap();
            let (verdict, misplaced) = (record.verdict, &record.placement.misplaced);
            let pins = format!("--pin {pin} --pin-readers {pin_readers:?}");
            assert_eq!(verdict, Verdict::Fail, "{pins}");
            let those = if pin_readers.is_some() { 2 } else { 4 };
            assert_eq!(misplaced.len(), those, "{pins}: {misplaced:?}");
            assert_eq!(record.totals.counts.attempts, 0, "{pins}");
            let lenient = Workload { allow_misplacement: true, ..workload };
            let record = run_on(&elsewhere, &lenient, &mut Silent, None).unwrap();
            assert_eq!(record.verdict, Verdict::Pass, "{pins}: {:?}", record.reasons);
            assert_eq!(record.placement.misplaced.len(), those, "{pins}");
            assert_eq!(record.placement.topology, "a test");
        }
    }
}

/// A machine with these processors, on two nodes with a cache each.
fn elsewhere(ids: &[usize]) -> Machine {
    let half = ids.len() / 2;
    let found = ids.iter().enumerate().map(|(at, &id)| Found {
        processor: Processor {
            id,
            usable: true,
            node: (at / half) as u32,
            package: 0,
            cache: None,
            core: id,
        },
        cache: Some(FoundCache { key: (at / half) as u64, level: 3, bytes: 0 }),
    });
    let node = |id| MachineNode { id, memory: true, ..MachineNode::default() };
    Machine::assemble("a test".to_owned(), found.collect(), vec![node(0), node(1)])
}
