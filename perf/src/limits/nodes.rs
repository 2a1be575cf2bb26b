//! The node-to-node matrices: how long a load takes, and how many bytes a second can be read, from processors of each
//! node in memory of each node. Every pair is two probes of the interleaved rounds, over one region a node that is
//! bound there and was seen to be there. Which pairs there are is told by the model of the machine alone.

use super::Setup;
use super::chase::Chase;
use super::pages::{PageKind, Pages};
use crate::clock;
use crate::pinning;
use crate::unit::Unit;
use splinter_harness::environment::available_memory;
use splinter_harness::machine::Machine;
use splinter_harness::machine::kernel::nodes_of;
use splinter_harness::sampler::{Probe, Series};
use splinter_harness::table::{Flush, columns};
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name that these are asked for by; each pair's own begins with it.
pub const NAME: &str = "node to node";

/// Bytes that are read between two looks at the clock.
const PIECE: usize = 1 << 20;

/// Of how many pages of a region one is asked where it is.
const PAGES_A_LOOK: usize = 61;

/// Bytes of a small page.
const PAGE: usize = 4096;

/// What is measured of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One dependent load, in nanoseconds.
    Load,
    /// Bytes read per second by one thread, from front to back.
    Read,
}

/// One probe: of what, from which node's processor, in which node's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What is measured.
    pub kind: Kind,
    /// The node whose processor loads.
    pub from: u32,
    /// The node whose memory is loaded.
    pub to: u32,
}

impl Pair {
    /// Returns the name of its probe.
    #[must_use]
    pub fn name(self) -> String {
        let Self { kind, from, to } = self;
        match kind {
            Kind::Load => format!("{NAME} {from}-{to} load"),
            Kind::Read => format!("{NAME} {from}-{to} read"),
        }
    }
}

/// Lists every pair: of nodes with processors that may be used, and nodes with memory.
#[must_use]
pub fn pairs(machine: &Machine) -> Vec<Pair> {
    let (from, to) = ends(machine);
    let kinds = [Kind::Load, Kind::Read];
    let pairs = kinds.into_iter().flat_map(|kind| {
        let to = &to;
        let row = move |&from| to.iter().map(move |&to| Pair { kind, from, to });
        from.iter().flat_map(row)
    });
    pairs.collect()
}

/// The nodes that load, and those that are loaded from.
fn ends(machine: &Machine) -> (Vec<u32>, Vec<u32>) {
    let nodes = machine.nodes.iter();
    let from = nodes.clone().filter(|node| !node.usable.is_empty());
    let to = nodes.filter(|node| node.memory);
    (from.map(|node| node.id).collect(), to.map(|node| node.id).collect())
}

/// Prepares the probes of pairs; says of those that cannot be had why, in the place of a probe.
#[must_use]
pub fn probes(pairs: &[Pair], machine: &Machine, setup: &Setup) -> Vec<Result<Probe<'static>, String>> {
    let cached = setup.caches.largest_bytes().unwrap_or(0);
    let bytes = super::MEMORY_BYTES.max(cached.saturating_mul(8));
    probes_over(pairs, machine, setup, bytes)
}

/// Prepares probes over regions of so many bytes, or fewer where there is not that much room.
fn probes_over(
    pairs: &[Pair],
    machine: &Machine,
    setup: &Setup,
    bytes: u64,
) -> Vec<Result<Probe<'static>, String>> {
    let mut wanted: Vec<u32> = pairs.iter().map(|pair| pair.to).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let room = available_memory().unwrap_or(u64::MAX) / 2 / wanted.len().max(1) as u64;
    let regions: Vec<(u32, Result<Shared, String>)> =
        wanted.iter().map(|&node| (node, region(node, machine, setup, bytes.min(room)))).collect();
    let probe = |pair: &Pair| {
        let (_, region) = regions.iter().find(|(node, _)| *node == pair.to).ok_or("it has no memory")?;
        let region = Arc::clone(region.as_ref().map_err(Clone::clone)?);
        let processor = processor_of(pair.from, machine)
            .ok_or_else(|| format!("no processor of node {} can be pinned to", pair.from))?;
        let (kind, budget) = (pair.kind, setup.budget);
        Ok(Probe::new(pair.name(), move || {
            on_processor(processor, || {
                let mut chase = region.lock().unwrap_or_else(PoisonError::into_inner);
                match kind {
                    Kind::Load => chase.sample(budget),
                    Kind::Read => bytes_read_per_s(chase.pages().bytes(), budget),
                }
            })
        }))
    };
    pairs.iter().map(probe).collect()
}

/// A node's region, which the probes of all pairs with it take in turns.
type Shared = Arc<Mutex<Chase>>;

/// Makes the region of a node, of so many bytes or what there is room for, all of it on that node.
fn region(node: u32, machine: &Machine, setup: &Setup, bytes: u64) -> Result<Shared, String> {
    let cached = setup.caches.largest_bytes().unwrap_or(0);
    let of_node = machine.nodes.iter().find(|it| it.id == node);
    let bytes = match of_node.map_or(0, |it| it.memory_bytes) {
        0 => bytes,
        all => bytes.min(all / 4),
    };
    if bytes < cached.saturating_mul(2).max(PIECE as u64) {
        return Err(format!(
            "node {node} has room for {} MiB, too little beside caches of {} MiB",
            bytes >> 20,
            cached >> 20
        ));
    }
    let len = usize::try_from(bytes).map_err(|_| "larger than the address space")?;
    let len = len / PIECE * PIECE;
    // On a machine with one node there is nothing to bind, and a sandbox may deny it.
    let pages = if machine.nodes.len() == 1 {
        Pages::new(len, PageKind::Base)
    } else {
        Pages::on_node(len, PageKind::Base, node)
    };
    let pages = pages.map_err(|error| format!("no memory on node {node}: {error}"))?;
    let start = pages.start().addr().get();
    let asked: Vec<usize> = (0..len / PAGE).step_by(PAGES_A_LOOK).map(|page| start + page * PAGE).collect();
    if machine.nodes.len() > 1 {
        let told = nodes_of(&asked).map_err(|error| format!("pages cannot be found: {error}"))?;
        let astray = told.iter().filter(|&&it| it != Some(node)).count();
        if astray > 0 {
            return Err(format!("{astray} of {} pages looked at are not on node {node}", told.len()));
        }
    }
    Ok(Arc::new(Mutex::new(Chase::over(pages, setup.seed))))
}

/// Returns the first processor of a node that threads can be pinned to, as an index of [`pinning::processors`].
fn processor_of(node: u32, machine: &Machine) -> Option<usize> {
    let node = machine.nodes.iter().find(|it| it.id == node)?;
    pinning::processors().iter().position(|cpu| node.usable.contains(cpu))
}

/// Does work on a thread of its own that is pinned to a processor.
fn on_processor<R: Send>(index: usize, work: impl FnOnce() -> R + Send) -> Result<R, String> {
    let pinned = || {
        pinning::pin(index).ok_or("the thread could not be pinned")?;
        Ok(work())
    };
    pinning::apart(pinned)?
}

/// Takes one sample: bytes read per second, piece by piece from front to back, as words that are added up.
fn bytes_read_per_s(bytes: &[u8], budget: Duration) -> f64 {
    let mut pieces = bytes.chunks_exact(PIECE).cycle();
    let ns = clock::infallible(clock::ns_per_op(budget, PIECE as u64, || {
        black_box(sum(pieces.next().unwrap_or_default()));
        Ok(())
    }));
    1e9 / ns
}

fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0.iter();
    words.fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

/// Both matrices, by row of the node that loads and column of the node that is loaded from.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Matrices {
    /// ● Nodes with usable processors, by row.
    pub from: Vec<u32>,
    /// ● Nodes with memory, by column.
    pub to: Vec<u32>,
    /// ● A dependent load of one thread, the median over the rounds; null: not sampled.
    pub load_ns: Vec<Vec<Option<f64>>>,
    /// ● A sequential read of one thread, likewise.
    pub read_bytes_per_s: Vec<Vec<Option<f64>>>,
}

impl Matrices {
    /// Lays out the series of pairs.
    #[must_use]
    pub fn of(machine: &Machine, series: &[(Pair, Series)]) -> Self {
        let (from, to) = ends(machine);
        let median = |pair: Pair| {
            let (_, series) = series.iter().find(|(it, _)| *it == pair)?;
            series.summary().map(|summary| summary.median)
        };
        let cells = |kind, unit: Unit| -> Vec<Vec<Option<f64>>> {
            let cell = |from, to| Some(unit.round(median(Pair { kind, from, to })?));
            from.iter().map(|&from| to.iter().map(|&to| cell(from, to)).collect()).collect()
        };
        let load_ns = cells(Kind::Load, Unit::Nanoseconds);
        let read_bytes_per_s = cells(Kind::Read, Unit::BytesPerSecond);
        Self { from, to, load_ns, read_bytes_per_s }
    }

    /// Lays them out as text, a table each.
    #[must_use]
    pub fn text(&self) -> String {
        let table = |head: &str, cells: &[Vec<Option<f64>>], unit: Unit| {
            let heads = self.to.iter().map(|node| format!("memory {node}"));
            let mut rows = vec![std::iter::once(head.to_owned()).chain(heads).collect()];
            for (node, row) in self.from.iter().zip(cells) {
                let show = |value: &Option<f64>| value.map_or("-".to_owned(), |value| unit.show(value));
                let cells = row.iter().map(show);
                rows.push(std::iter::once(format!("processors {node}")).chain(cells).collect::<Vec<_>>());
            }
            let mut flush = vec![Flush::Right; self.to.len() + 1];
            flush[0] = Flush::Left;
            columns(&flush, &rows)
        };
        let load = table("one load", &self.load_ns, Unit::Nanoseconds);
        let read = table("reading", &self.read_bytes_per_s, Unit::BytesPerSecond);
        format!("{load}{read}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Machine, Matrices, Pair, Series, pairs, probes_over};
    use crate::caches::Caches;
    use crate::limits::Setup;
    use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
    use splinter_harness::machine::MachineNode;
    use splinter_harness::progress::Silent;
    use splinter_harness::sampler::{Schedule, run};
    use std::time::Duration;

    /// Two nodes with both, one without memory, one without processors.
    fn machine() -> Machine {
        let node = |id, usable: &[usize], memory| MachineNode {
            id,
            processors: usable.to_vec(),
            usable: usable.to_vec(),
            memory,
            ..MachineNode::default()
        };
        Machine {
            nodes: vec![
                node(0, &[0, 1], true),
                node(1, &[2], false),
                node(2, &[], true),
                node(5, &[7], true),
            ],
            ..Machine::default()
        }
    }

    #[test]
    fn nodes_without_processors_load_nothing_and_nodes_without_memory_are_not_loaded_from() {
        let pairs = pairs(&machine());
        let loads: Vec<(u32, u32)> =
            pairs.iter().filter(|pair| pair.kind == Kind::Load).map(|pair| (pair.from, pair.to)).collect();
        let expected = [0, 1, 5].map(|from| [0, 2, 5].map(|to| (from, to)));
        assert_eq!(loads, expected.concat());
        assert_eq!(pairs.len(), 2 * loads.len());
        assert_eq!(pairs[1].name(), "node to node 0-2 load");
    }

    #[test]
    fn a_matrix_has_a_row_for_each_node_that_loads_and_a_gap_where_nothing_was_measured() {
        let pair = |kind, from, to| Pair { kind, from, to };
        let series = [
            (pair(Kind::Load, 0, 5), Series::of("a", [90.0, 110.0, 100.0])),
            (pair(Kind::Load, 5, 0), Series::failed("b", "gone".to_owned())),
            (pair(Kind::Read, 1, 2), Series::of("c", [2e9])),
        ];
        let matrices = Matrices::of(&machine(), &series);
        assert_eq!((&matrices.from[..], &matrices.to[..]), (&[0, 1, 5][..], &[0, 2, 5][..]));
        assert_eq!(matrices.load_ns[0], [None, None, Some(100.0)]);
        assert_eq!(matrices.load_ns[2], [None, None, None]);
        assert_eq!(matrices.read_bytes_per_s[1], [None, Some(2e9), None]);
        let text = matrices.text();
        assert!(text.contains("processors 5"), "{text}");
    }

    #[test]
    fn this_machine_is_measured_where_it_has_the_memory() {
        let this = splinter_harness::machine::source::this_machine();
        let setup = Setup { caches: Caches::default(), budget: Duration::from_micros(50), seed: 1 };
        let own = pairs(&this)[0];
        for probe in probes_over(&[own], &this, &setup, 4 << 20) {
            let mut probe = [probe.unwrap()];
            let schedule = Schedule { rounds: 1, seed: 1, warm_up: false };
            let series =
                run(&mut probe, &schedule, &mut RoundWatch::start(0, &ProcessorUse::ALL), &mut Silent);
            assert_eq!(series[0].error, None);
            assert!(series[0].summary().unwrap().min > 0.0);
        }
    }
}
