//! Makes stores under each policy, fills them from a processor on which first touch would be wrong, and asks
//! where every page went.

use super::judge::{Accounts, Wanted};
use super::maps;
use super::record::{NumaPlan, NumaRow, Plant};
use crate::keys::{self, Family};
use crate::placement::Affinity;
use crate::threads::start_in;
use splinter::{Config, Geometry, Location, Placement, Store};
use splinter_harness::cpulist;
use splinter_harness::files::unique_name;
use splinter_harness::machine::Machine;
use splinter_harness::machine::kernel;
use splinter_harness::progress::Progress;
use std::collections::BTreeMap;

/// Keys of a store, and bytes of a value: four MiB in more than a thousand pages.
const KEYS: u64 = 480;
const VALUE_LEN: usize = 4096;

/// How the reason begins where the kernel refuses to answer this process.
const DENIED: &str = "the kernel does not say";

/// One store to make.
#[derive(Clone, Debug)]
struct Case {
    check: &'static str,
    asked: String,
    location: Location,
    placement: Placement,
    /// What `numa_maps` is to call it.
    policy: Option<String>,
    /// Processor from which it is filled.
    from: usize,
    wanted: Wanted,
}

/// Checks memory under each policy.
pub(super) fn rows(plan: &NumaPlan, machine: &Machine, progress: &mut dyn Progress) -> Vec<NumaRow> {
    let mut rows = Vec::new();
    for case in cases(plan, machine) {
        progress.step(&format!("{} {}", case.check, case.asked));
        rows.push(row(plan, &case));
    }
    if machine.with_memory().count() < 2 {
        let why = "one node has memory, and every page is there whatever is asked";
        rows.push(NumaRow::not_checked("policies", "several nodes", why));
    }
    rows
}

fn cases(plan: &NumaPlan, machine: &Machine) -> Vec<Case> {
    let mut cases = Vec::new();
    let with_memory: Vec<u32> = machine.with_memory().map(|node| node.id).collect();
    for &node in &with_memory {
        let Some(from) = machine.processor_off(node) else {
            continue;
        };
        let name = unique_name(&format!("splinter-numa-{node}"));
        let named = Location::shared(name);
        for location in [Some(Location::Anonymous), named.ok()].into_iter().flatten() {
            let kind = match location {
                Location::Anonymous => "anonymous",
                _ => "named",
            };
            cases.push(Case {
                check: "bind",
                asked: format!("node {node}, {kind}, filled from processor {from}"),
                location,
                placement: Placement::Bind(node),
                policy: Some(format!("bind:{node}")),
                from,
                wanted: Wanted::On(node),
            });
        }
    }
    let mut spreads = vec![with_memory.clone()];
    if with_memory.len() > 2 {
        spreads.push(with_memory.iter().copied().skip(1).step_by(2).collect());
    }
    for nodes in spreads {
        let Some(from) = machine.processor_off(nodes[0]) else {
            continue;
        };
        let places: Vec<usize> = nodes.iter().map(|&node| node as usize).collect();
        let names = cpulist::print(&places);
        cases.push(Case {
            check: "interleave",
            asked: format!("nodes {names}, filled from processor {from}"),
            location: Location::Anonymous,
            placement: Placement::Interleave(nodes.clone()),
            policy: Some(format!("interleave:{names}")),
            from,
            wanted: Wanted::Over(nodes),
        });
    }
    for node in machine.with_processors().filter(|node| node.memory) {
        let from = node.usable[node.usable.len() - 1];
        cases.push(Case {
            check: "local",
            asked: format!("node {}, filled from processor {from}", node.id),
            location: Location::Anonymous,
            placement: Placement::Local,
            policy: Some("default".to_owned()),
            from,
            wanted: Wanted::On(node.id),
        });
    }
    if plan.plant == Some(Plant::Unbound) {
        for case in &mut cases {
            case.placement = Placement::Local;
        }
    }
    cases
}

fn row(plan: &NumaPlan, case: &Case) -> NumaRow {
    let found: Result<_, String> = std::thread::scope(|scope| {
        let thread = start_in(scope, || {
            let affinity = Affinity::take(Some(case.from));
            if !affinity.placed() {
                return Err(affinity.fault().unwrap_or_default());
            }
            fill_and_look(plan, case)
        })?;
        Ok(thread.join().unwrap_or_else(|_| Err("the thread died".to_owned())))
    });
    let found = match found {
        Ok(found) => found,
        Err(why) => return NumaRow::not_checked(case.check, &case.asked, &why),
    };
    match found {
        Ok(accounts) => {
            let faults = accounts.faults(&case.wanted, case.policy.as_deref());
            NumaRow::new(case.check, &case.asked, &accounts.maps.policy, faults).with_pages(accounts.asked)
        }
        // What cannot be asked here is no fault of the store.
        Err(why) if why.starts_with(DENIED) => NumaRow::not_checked(case.check, &case.asked, &why),
        Err(why) => NumaRow::failed(case.check, &case.asked, why),
    }
}

fn fill_and_look(plan: &NumaPlan, case: &Case) -> Result<Accounts, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let config = Config {
        geometry: Geometry { slots: KEYS, max_value_len: VALUE_LEN as u64, vector_dim: 64, max_writers: 8 },
        placement: case.placement.clone(),
        ..Config::default()
    };
    let store = Store::create(&case.location, &config).map_err(|e| words(&e))?;
    let filled = fill(&store);
    let looked = filled.and_then(|()| {
        if plan.plant == Some(Plant::Page) {
            misplace_a_page(&store, &case.wanted)?;
        }
        accounts(&store)
    });
    if store.location() != &Location::Anonymous {
        store.location().unlink().map_err(|e| words(&e))?;
    }
    looked
}

/// Writes every byte that values and vectors can take: both buffers of each.
fn fill(store: &Store) -> Result<(), String> {
    let mut writer = store.writer().map_err(|error| error.to_string())?;
    for round in 1..=2 {
        for index in 0..KEYS {
            let key = keys::name(Family::Value, index);
            let done = writer
                .set(key, &[round; VALUE_LEN])
                .and_then(|()| writer.set_vector(key, &[f32::from(round); 64]));
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Asks for the pages of a store in three ways.
pub(super) fn accounts(store: &Store) -> Result<Accounts, String> {
    // First, for it maps in all pages that are there; the two others tell only of such.
    let residency = store.residency().map_err(|error| error.to_string())?;
    let base = base(store)?;
    let page = usize::try_from(residency.page_bytes).map_err(|error| error.to_string())?;
    let len = usize::try_from(store.arena_len()).map_err(|error| error.to_string())?;
    let pages: Vec<usize> = (base..base + len).step_by(page).collect();
    let nodes = kernel::nodes_of(&pages).map_err(|error| match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS) => format!("{DENIED}: move_pages: {error}"),
        _ => format!("move_pages: {error}"),
    })?;
    let maps = maps::of(base).map_err(|error| format!("{DENIED}: {error}"))?;
    let mut asked = BTreeMap::new();
    for node in nodes.into_iter().flatten() {
        *asked.entry(node).or_default() += 1;
    }
    Ok(Accounts { store: residency.nodes.iter().copied().collect(), unknown: residency.unknown, asked, maps })
}

/// Finds where a store is mapped, from one of its values.
fn base(store: &Store) -> Result<usize, String> {
    let key = keys::name(Family::Value, 0);
    let view = store.view(key).map_err(|error| error.to_string())?;
    let slot = store.snapshot(key).map_err(|error| error.to_string())?;
    let offset = usize::try_from(slot.value_offset).map_err(|error| error.to_string())?;
    Ok(view.as_ptr() as usize - offset)
}

/// Moves the last page of a store's values off where it is to be, so that there is something to find.
fn misplace_a_page(store: &Store, wanted: &Wanted) -> Result<(), String> {
    let away = |node: &u32| match wanted {
        Wanted::On(on) => node != on,
        Wanted::Over(nodes) => !nodes.contains(node),
    };
    let Some(node) = splinter::numa_nodes().into_iter().find(away) else {
        return Ok(());
    };
    let key = keys::name(Family::Value, KEYS - 1);
    let view = store.view(key).map_err(|error| error.to_string())?;
    kernel::send(view.as_ptr() as usize, node).map_err(|error| format!("move_pages: {error}"))
}
