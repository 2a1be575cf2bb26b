//! The store of a run: created, filled before the first worker starts, looked at when the last one
//! has ended, and removed again whatever happens.

use crate::keys::{self, Family};
use crate::options::{Backing, Memory, shared_file};
use crate::placement::plan::Plan;
use crate::placement::{Affinity, writer_memory};
use crate::proof::accounts;
use crate::proof::value::SHORTEST_ORDER;
use crate::proof::value::{self, PREFILL};
use crate::record::{MemoryPlacement, Pages, StoreFacts};
use crate::target::{Miss, Writes, retry};
use crate::threads::start_in;
use crate::workload::{KeySets, Workload};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use splinter::{Config, Location, Placement, Reserve, Residency, Store, StoreError, Tuning};
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::rng::Rng;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

/// Share of touched pages that must be on the node asked for. Not all: pages that the kernel
/// shares, or moves, are not the run's.
const RESIDENT: f64 = 0.999;
/// How far a node's share of interleaved pages may be from an even one.
const UNEVEN: f64 = 0.1;

/// A created store; dropping it removes its name.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The store.
    pub store: Store,
    location: Location,
    /// Device and inode of the file that it is in, where that has a name.
    file: Option<(u64, u64)>,
}

impl Setup {
    /// Creates the store that a workload asks for. One that exists already is left alone.
    ///
    /// # Errors
    /// [`RunError::Usage`] for what a different flag would put right, [`RunError::Failed`] for the
    /// rest.
    pub(crate) fn create(workload: &Workload) -> Result<Self, RunError> {
        let refused = |error: StoreError| match error {
            StoreError::Exists(name) => {
                RunError::Usage(format!("{name} exists already: remove it, or choose another --backing"))
            }
            StoreError::BadGeometry(why) => RunError::Usage(format!(
                "no such store can be built: {why}; change --slots, --max-value-len or --dim"
            )),
            StoreError::BadName(why) => {
                RunError::Usage(format!("no store can have that name: {why}; change --backing"))
            }
            StoreError::Placement(why) => {
                RunError::Usage(format!("the memory cannot be placed: {why}; change --node or --interleave"))
            }
            StoreError::Os { ref source, .. }
                if matches!(workload.backing, Backing::File(_)) && is_of_the_path(source.kind()) =>
            {
                RunError::Usage(format!("{error}; give --backing a file in a folder that can be written"))
            }
            other => RunError::Failed(format!("the store cannot be created: {other}")),
        };
        let location = match &workload.backing {
            Backing::Anonymous => Location::Anonymous,
            Backing::Shared(name) => Location::shared(name.as_str()).map_err(refused)?,
            Backing::File(path) => Location::file(path),
        };
        let config = Config {
            geometry: workload.geometry(),
            scrub: workload.scrub,
            placement: match workload.memory {
                // A writer's keys are touched first by that writer.
                Memory::Local | Memory::PerWriter => Placement::Local,
                Memory::Node(node) => Placement::Bind(node),
                Memory::Interleave => Placement::Interleave(splinter::numa_nodes()),
            },
            huge_pages: workload.huge_pages.into(),
            // Where memory can run short, that is to be an error now, and no fatal signal later.
            reserve: match workload.backing {
                Backing::Anonymous => Reserve::Nothing,
                _ => Reserve::All,
            },
            mode: None,
            hash_seed: Some(workload.seed),
            eviction: workload.evict,
            sketches: true,
        };
        let store = Store::create(&location, &config).map_err(refused)?;
        // Where memfds are denied an anonymous store has got a name after all.
        let location = store.location().clone();
        let file = identity(&location);
        Ok(Self { store, location, file })
    }

    /// Gives every key its first value, and its signal group where there are watchers: with all
    /// processors, or each writer's keys from its own one, where they are to lie there.
    ///
    /// # Errors
    /// One line if the store does not take them.
    pub(crate) fn fill(&self, workload: &Workload, plan: &Plan) -> Result<(), RunError> {
        if workload.memory == Memory::PerWriter {
            return self.fill_by_writer(workload, plan);
        }
        let keys = workload.key_sets();
        let parts = u32::try_from(rayon::current_num_threads().clamp(1, 16)).unwrap_or(1);
        (0..parts)
            .into_par_iter()
            .try_for_each(|part| self.fill_keys(workload, &keys.share(part, parts), part))
    }

    /// Has each writer's keys made on its processor, one writer after the other: new keys take free
    /// slots in order, so that what is made together lies together, and on that processor's node.
    fn fill_by_writer(&self, workload: &Workload, plan: &Plan) -> Result<(), RunError> {
        for (writer, &cpu) in (0..workload.writers).zip(&plan.cpus) {
            let filled = std::thread::scope(|scope| {
                let fill = move || {
                    let affinity = Affinity::take(cpu);
                    if !affinity.placed() && !workload.allow_misplacement {
                        let fault = affinity.fault().unwrap_or_default();
                        return Err(RunError::Usage(format!("writer {writer} {fault}: change --pin")));
                    }
                    self.fill_keys(workload, &workload.writer_keys(writer), writer)
                };
                let thread = start_in(scope, fill).map_err(RunError::Failed)?;
                thread.join().unwrap_or_else(|_| Err(RunError::Failed("the filling thread died".into())))
            });
            filled?;
        }
        Ok(())
    }

    fn fill_keys(&self, workload: &Workload, keys: &KeySets, part: u32) -> Result<(), RunError> {
        let failed = |reason: String| RunError::Failed(format!("the store cannot be filled: {reason}"));
        let mut writer = self.store.writer().map_err(|error| failed(error.to_string()))?;
        let filled = fill_part(workload, keys, &mut writer, u64::from(part));
        let registered = filled.and_then(|()| register_part(workload, keys, &mut writer));
        registered.map_err(|miss| {
            if interrupt::requested() {
                let nothing = "interrupted while the store was filled: nothing was measured";
                return RunError::Failed(nothing.to_owned());
            }
            failed(match miss {
                Miss::Other(error) => format!("{error}; raise --slots or lower --keys"),
                other => format!("{other:?}"),
            })
        })
    }

    /// Tells where the store's pages are.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn pages(&self) -> Result<(u64, Pages), String> {
        let residency = self.store.residency().map_err(|error| error.to_string())?;
        Ok((residency.page_bytes, pages(&residency)))
    }

    /// Describes the store.
    #[must_use]
    pub(crate) fn facts(&self) -> StoreFacts {
        let geometry = self.store.geometry();
        StoreFacts {
            slots: geometry.slots,
            max_value_len: geometry.max_value_len,
            vector_dim: geometry.vector_dim,
            max_writers: geometry.max_writers,
            arena_bytes: self.store.arena_len(),
            huge_page_bytes: self.store.huge_page_bytes(),
            notes: self.store.notes().to_vec(),
            keys_at_end: self.store.len(),
            live_claims_at_end: 0,
            recoveries: self.store.header().recoveries,
            evicted: self.store.header().evicted,
            tuning: Some(Tuning::current().into()),
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // A file that has taken its place is the user's.
        if self.file.is_some() && identity(&self.location) == self.file {
            // Already gone is as good; anything else cannot be helped here.
            let _ = self.location.unlink();
        }
    }
}

/// Tells whether the kernel refuses a path, which is the user's to change.
fn is_of_the_path(kind: ErrorKind) -> bool {
    use ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(kind, IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// Returns device and inode of the file that a store is in, if there is one by that name.
fn identity(location: &Location) -> Option<(u64, u64)> {
    let path = match location {
        Location::Anonymous => return None,
        Location::Shared(name) => shared_file(name),
        Location::File(path) => path.clone(),
    };
    let there = path.symlink_metadata().ok()?;
    Some((there.dev(), there.ino()))
}

/// Ends the filling of a store, which may take long, when the user wants to stop.
fn check_interrupt() -> Result<(), Miss> {
    if interrupt::requested() {
        return Err(Miss::Other("interrupted".into()));
    }
    Ok(())
}

/// Gives keys their first values.
pub(crate) fn fill_part(
    workload: &Workload,
    keys: &KeySets,
    writer: &mut impl Writes,
    part: u64,
) -> Result<(), Miss> {
    let mut rng = Rng::new(workload.seed, 1 << 32 | part);
    let mut value = vec![0; workload.longest_value().try_into().unwrap_or(usize::MAX)];
    for index in keys.of(Family::Value) {
        check_interrupt()?;
        let key = keys::name(Family::Value, index);
        let value = &mut value[..workload.value_len.draw(&mut rng)];
        value::fill(value, splinter::hash_key(&key), PREFILL, 1);
        retry(Duration::MAX, || writer.set(&key, value))?;
    }
    for index in keys.of(Family::Counter) {
        check_interrupt()?;
        retry(Duration::MAX, || writer.set_int(&keys::name(Family::Counter, index), 0))?;
    }
    let numbered = [Family::Tally, Family::Chain];
    for (family, index) in numbered.into_iter().flat_map(|family| keys.of(family).map(move |it| (family, it)))
    {
        check_interrupt()?;
        let key = keys::name(family, index);
        let value = &mut value[..workload.value_len.draw(&mut rng).max(SHORTEST_ORDER)];
        value::fill(value, splinter::hash_key(&key), PREFILL, 0);
        retry(Duration::MAX, || writer.set(&key, value))?;
    }
    for index in keys.of(Family::Lease) {
        check_interrupt()?;
        let key = keys::name(Family::Lease, index);
        let value = &mut value[..workload.value_len.draw(&mut rng).max(value::SHORTEST_TIMED)];
        value::fill_timed(value, splinter::hash_key(&key), PREFILL, 1, value::ENDLESS);
        retry(Duration::MAX, || writer.set(&key, value))?;
    }
    for index in keys.of(Family::Account) {
        check_interrupt()?;
        for place in 0..accounts::KEYS {
            let name = keys::order_name(keys::name(Family::Account, index), place);
            let number = if place == 0 { 0 } else { accounts::OPENING };
            retry(Duration::MAX, || writer.set_int(name.as_ref(), number))?;
        }
    }
    for index in keys.of(Family::Group) {
        check_interrupt()?;
        let base = keys::name(Family::Group, index);
        let len = workload.value_len.draw(&mut rng).max(SHORTEST_ORDER);
        let orders: Vec<Vec<u8>> = (0..workload.orders as usize)
            .map(|order| {
                let mut value = vec![0; len];
                value::fill(
                    &mut value,
                    splinter::hash_key(keys::order_name(base, order).as_ref()),
                    PREFILL,
                    1,
                );
                value
            })
            .collect();
        let orders: Vec<&[u8]> = orders.iter().map(Vec::as_slice).collect();
        retry(Duration::MAX, || writer.set_tandem(&base, &orders))?;
    }
    Ok(())
}

/// Puts keys into the signal groups that they are dealt to, every order of a tandem group into that
/// of its base.
fn register_part(workload: &Workload, keys: &KeySets, writer: &mut impl Writes) -> Result<(), Miss> {
    let groups = workload.signal_groups();
    if groups.is_empty() {
        return Ok(());
    }
    let group = |index: u64| (index % u64::from(groups.end)) as u8;
    for family in [Family::Value, Family::Counter] {
        for index in keys.of(family) {
            retry(Duration::MAX, || writer.register(&keys::name(family, index), group(index)))?;
        }
    }
    for index in keys.of(Family::Group) {
        for order in 0..workload.orders as usize {
            let name = keys::order_name(keys::name(Family::Group, index), order);
            retry(Duration::MAX, || writer.register(name.as_ref(), group(index)))?;
        }
    }
    Ok(())
}

/// Fills a store other than the real one.
#[cfg(test)]
pub(crate) fn fill_for_tests(workload: &Workload, writer: &mut impl Writes) {
    let keys = workload.key_sets();
    fill_part(workload, &keys, writer, 0).expect("a sound store can be filled");
    register_part(workload, &keys, writer).expect("keys of a sound store can be registered");
}

fn pages(residency: &Residency) -> Pages {
    Pages {
        nodes: residency.nodes.iter().copied().collect(),
        untouched: residency.untouched,
        unknown: residency.unknown,
    }
}

/// Compares where pages are with where they were asked to be. Returns what is not as asked.
#[must_use]
pub(crate) fn judge_memory(memory: Memory, nodes: usize, placement: &mut MemoryPlacement) -> Option<String> {
    memory.to_string().clone_into(&mut placement.requested);
    let touched: u64 = placement.after.nodes.values().sum();
    let share = |node: u32| {
        placement.after.nodes.get(&node).map_or(0.0, |&pages| pages as f64 / touched.max(1) as f64)
    };
    match memory {
        Memory::Local => None,
        Memory::PerWriter => {
            let (resident, fault) = writer_memory::judge(&placement.writers);
            placement.resident_share = Some(resident);
            fault
        }
        Memory::Node(node) => {
            placement.resident_share = Some(share(node));
            (share(node) < RESIDENT).then(|| {
                format!(
                    "{:.1} % of the store's pages are on node {node}, where all were to be",
                    share(node) * 100.0
                )
            })
        }
        Memory::Interleave => {
            let even = 1.0 / nodes.max(1) as f64;
            let smallest = placement.after.nodes.keys().map(|&node| share(node)).fold(1.0, f64::min);
            let all =
                placement.after.nodes.len() >= nodes.min(usize::try_from(touched).unwrap_or(usize::MAX));
            placement.resident_share = Some(if all { smallest } else { 0.0 });
            (!all || smallest < even - UNEVEN).then(|| {
                format!("pages are not spread evenly over {nodes} nodes: {:?}", placement.after.nodes)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(pages: &[(u32, u64)]) -> MemoryPlacement {
        let after = Pages { nodes: pages.iter().copied().collect(), ..Pages::default() };
        MemoryPlacement { after, ..MemoryPlacement::default() }
    }

    #[test]
    fn a_file_that_took_the_place_of_the_store_is_left() {
        let folder = splinter_testkit::Folder::new();
        let path = folder.join("store");
        let backing = Backing::File(path.clone());
        let workload = Workload { keys: 8, writers: 1, backing, ..Workload::default() };
        drop(Setup::create(&workload).unwrap());
        assert!(!path.exists());
        let setup = Setup::create(&workload).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "the user's").unwrap();
        drop(setup);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the user's");
    }

    #[test]
    fn pages_elsewhere_are_noticed() {
        let judge = |memory, nodes, pages: &[_]| judge_memory(memory, nodes, &mut placed(pages));
        assert_eq!(judge(Memory::Local, 2, &[(0, 1), (1, 999)]), None);
        assert_eq!(judge(Memory::Node(1), 2, &[(1, 1000)]), None);
        assert!(judge(Memory::Node(1), 2, &[(0, 10), (1, 990)]).is_some());
        assert!(judge(Memory::Node(3), 2, &[(0, 10)]).is_some());
        assert_eq!(judge(Memory::Interleave, 2, &[(0, 500), (1, 500)]), None);
        assert!(judge(Memory::Interleave, 2, &[(0, 900), (1, 100)]).is_some());
        assert!(judge(Memory::Interleave, 2, &[(0, 1000)]).is_some());
        assert_eq!(judge(Memory::Interleave, 1, &[(0, 1000)]), None);
    }
}
