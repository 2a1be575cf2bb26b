//! Reads the machine through hwloc: this one, one that it has exported as XML, or one in its own words. Where
//! hwloc has several nodes near a processor (memory of another kind), the first is the processor's.

use super::{Found, FoundCache, Machine, MachineNode, Processor};
use crate::input;
use hwlocality::Topology;
use hwlocality::object::TopologyObject;
use hwlocality::object::attributes::ObjectAttributes;
use hwlocality::object::distance::DistancesKind;
use hwlocality::object::types::ObjectType;
use hwlocality::topology::builder::{BuildFlags, TopologyBuilder};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;
use std::path::Path;

/// Processors of the largest machine that is described: hwloc takes a time that grows with the cube of a level.
const MOST_PROCESSORS: u64 = 8192;

/// Distances by the node they are from, in the order of the nodes they are to.
type Distances = BTreeMap<u32, Vec<u32>>;

/// Reads this machine, of which some processors are usable.
///
/// # Errors
/// That hwloc cannot tell, or tells of another machine.
pub fn this_machine(usable: &[usize]) -> Result<Machine, String> {
    let topology = build(Topology::builder())?;
    if !topology.is_this_system() {
        return Err("it describes another machine: unset HWLOC_SYNTHETIC and HWLOC_XMLFILE".to_owned());
    }
    let mut machine = read(&topology, "hwloc".to_owned(), &|cpu| usable.contains(&cpu))?;
    if machine.nodes.len() == 1 && machine.nodes[0].distances.is_empty() {
        // Of a single node it has nothing to tell; Linux's own distance of a node to itself.
        machine.nodes[0].distances = vec![10];
    }
    let known = |cpu: &usize| machine.processor(*cpu).is_some();
    match usable.iter().find(|cpu| !known(cpu)) {
        Some(cpu) => Err(format!("it knows no processor {cpu}, which this process may use")),
        None => Ok(machine),
    }
}

/// Reads a machine in hwloc's words.
///
/// # Errors
/// One line that says that they are none.
pub fn synthetic(words: &str) -> Result<Machine, String> {
    let wrong = |error: &dyn fmt::Display| {
        format!(
            "'{words}' describes no machine to hwloc ({error}): name levels from the widest to the \
             narrowest, as in 'pack:2 numa:2 l3:1 core:8 pu:2'"
        )
    };
    if let Some(count) = described_processors(words).filter(|&count| count > MOST_PROCESSORS) {
        return Err(format!(
            "'{words}' has {count} processors: describe a machine of {MOST_PROCESSORS} at most, which is what \
             Linux can be built for"
        ));
    }
    let builder = Topology::builder().from_synthetic(words);
    let builder = builder.map_err(|error| wrong(&error))?;
    let topology = build(builder).map_err(|error| wrong(&error))?;
    described(&topology, format!("synthetic:{words}"))
}

/// Reads a machine from a file that hwloc has exported.
///
/// # Errors
/// One line that says why it cannot be read.
pub fn exported(path: &Path) -> Result<Machine, String> {
    let name = path.display();
    let text = input::read_text(path).map_err(|error| {
        format!("{name} cannot be read: {error}; give a file that 'lstopo --of xml' wrote")
    })?;
    let wrong = |error: &dyn fmt::Display| {
        format!("{name} is no machine that hwloc can read ({error}): export one by 'lstopo --of xml FILE'")
    };
    let own = (hwlocality::hwloc_api_version() >> 16) as u64;
    if let Some(version) = written_by(&text).filter(|version| major(version) > own) {
        return Err(format!(
            "{name} was written by hwloc {version}, and hwloc {own}, which is in this build, reads none newer than its own: \
             export it there by 'lstopo --of xml --export-xml-flags v{own} FILE'"
        ));
    }
    let builder = Topology::builder().from_xml(&text);
    let builder = builder.map_err(|error| wrong(&error))?;
    let topology = build(builder).map_err(|error| wrong(&error))?;
    described(&topology, name.to_string())
}

/// Returns the version of hwloc's format that an exported machine is in; none where it does not say, as before 2.0.
fn written_by(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<topology")?;
    let (head, _) = rest.split_once('>')?;
    let (_, version) = head.split_once("version=\"")?;
    version.split('"').next()
}

fn major(version: &str) -> u64 {
    let first = version.split('.').next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// Returns how many processors hwloc's words come to; none where they are none of hwloc's.
fn described_processors(words: &str) -> Option<u64> {
    let (mut depth, mut levels) = (0_u32, String::new());
    for letter in words.chars() {
        match letter {
            // Attributes, and memory beside a level.
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => levels.push(letter),
            _ => {}
        }
    }
    let arity = |level: &str| level.rsplit(':').next()?.parse::<u64>().ok();
    let mut arities = levels.split_whitespace().map(arity);
    arities.try_fold(1_u64, |all, arity| Some(all.saturating_mul(arity?)))
}

fn build(builder: TopologyBuilder) -> Result<Topology, String> {
    let builder = builder
        // Also what this process may not use.
        .with_flags(BuildFlags::INCLUDE_DISALLOWED)
        .map_err(|error| error.to_string())?;
    builder.build().map_err(|error| match error.errno {
        Some(errno) => format!("{}: {errno}", error.api),
        None => error.to_string(),
    })
}

fn described(topology: &Topology, source: String) -> Result<Machine, String> {
    let allowed: Vec<usize> = topology.allowed_cpuset().iter_set().map(usize::from).collect();
    read(topology, source, &|cpu| allowed.binary_search(&cpu).is_ok())
}

fn read(topology: &Topology, source: String, usable: &dyn Fn(usize) -> bool) -> Result<Machine, String> {
    let mut nodes = BTreeMap::new();
    let mut node_of = BTreeMap::new();
    let distances = distances(topology)?;
    let mut objects: Vec<_> = topology.objects_with_type(ObjectType::NUMANode).collect();
    objects.sort_by_key(|object| object.os_index());
    for object in objects {
        let Some(id) = number(object) else { continue };
        let memory_bytes = match object.attributes() {
            Some(ObjectAttributes::NUMANode(node)) => node.local_memory().map_or(0, NonZeroU64::get),
            _ => 0,
        };
        nodes.entry(id).or_insert(MachineNode {
            id,
            memory: memory_bytes > 0,
            memory_bytes,
            distances: distances.get(&id).cloned().unwrap_or_default(),
            ..MachineNode::default()
        });
        let near = object.cpuset();
        for cpu in near.iter().flat_map(|set| set.iter_set()) {
            node_of.entry(usize::from(cpu)).or_insert(id);
        }
    }
    let processors = topology.objects_with_type(ObjectType::PU);
    let found = processors.filter_map(|object| {
        let id = object.os_index()?;
        let package = object.first_ancestor_with_type(ObjectType::Package);
        let core = object.first_ancestor_with_type(ObjectType::Core);
        let siblings = core.and_then(TopologyObject::cpuset);
        let lowest = siblings.and_then(|set| set.first_set()).map(usize::from);
        Some(Found {
            processor: Processor {
                id,
                usable: usable(id),
                node: node_of.get(&id).copied().unwrap_or(u32::MAX),
                package: package.and_then(TopologyObject::os_index).unwrap_or(0),
                cache: None,
                core: lowest.unwrap_or(id),
            },
            cache: last_cache(object),
        })
    });
    let nodes = nodes.into_values().collect();
    Ok(Machine::assemble(source, found.collect(), nodes))
}

/// Finds the outermost cache of a processor.
fn last_cache(processor: &TopologyObject) -> Option<FoundCache> {
    let ancestors = processor.ancestors();
    let caches = ancestors.filter(|object| object.object_type().is_cpu_data_cache());
    let object = caches.last()?;
    let Some(ObjectAttributes::Cache(cache)) = object.attributes() else {
        return None;
    };
    Some(FoundCache {
        key: object.logical_index() as u64,
        level: u32::try_from(cache.depth()).ok()?,
        bytes: cache.size().map_or(0, NonZeroU64::get),
    })
}

fn distances(topology: &Topology) -> Result<Distances, String> {
    let matrices = topology
        // Others are bandwidths.
        .distances_with_type(Some(DistancesKind::MEANS_LATENCY), ObjectType::NUMANode)
        .map_err(|error| error.to_string())?;
    let mut distances = Distances::new();
    let Some(matrix) = matrices.first() else {
        return Ok(distances);
    };
    let objects: Option<Vec<u32>> = matrix.objects().map(|object| number(object?)).collect();
    let objects = objects.ok_or("it has a distance to nothing")?;
    let values = matrix.distances();
    for (from, row) in objects.iter().zip(values.chunks(objects.len().max(1))) {
        let to = objects.iter().zip(row);
        let sorted: BTreeMap<u32, u32> = to.map(|(&node, &value)| (node, value as u32)).collect();
        distances.insert(*from, sorted.into_values().collect());
    }
    Ok(distances)
}

fn number(object: &TopologyObject) -> Option<u32> {
    u32::try_from(object.os_index()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::made_up::two_sockets;
    use super::super::sysfs;
    use super::*;
    use hwlocality::topology::export::xml::XMLExportFlags;
    use std::fs;
    use std::path::PathBuf;

    /// A file of a test's own; removed when dropped.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("splinter-hwloc-{name}-{}", std::process::id());
            let file = Self(std::env::temp_dir().join(name));
            fs::write(&file.0, text).unwrap();
            file
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn exporting(words: &str) -> String {
        let builder = Topology::builder().from_synthetic(words).unwrap();
        let topology = build(builder).unwrap();
        topology.export_xml(XMLExportFlags::empty()).unwrap().to_string()
    }

    #[test]
    fn two_sockets_of_two_nodes_are_read_as_they_are_described() {
        let machine = synthetic("pack:2 numa:2 l3:1 core:4 pu:2").unwrap();
        let expected = two_sockets(false);
        assert_eq!(machine.processors, expected.processors);
        let processors = |machine: &Machine| {
            let caches = machine.caches.iter().map(|cache| cache.processors.clone());
            let nodes = machine.nodes.iter().map(|node| node.processors.clone());
            caches.chain(nodes).collect::<Vec<_>>()
        };
        assert_eq!(processors(&machine), processors(&expected));
        assert_eq!(machine.source, "synthetic:pack:2 numa:2 l3:1 core:4 pu:2");
    }

    #[test]
    fn siblings_may_be_numbered_last() {
        let machine = synthetic("pack:2 numa:2 l3:1 core:4 pu:2(indexes=2*16:16*1)").unwrap();
        let indexes: Vec<_> = machine.processors.iter().map(|cpu| (cpu.id, cpu.core)).collect();
        let expected: Vec<_> = (0..32).map(|id| (id, id % 16)).collect();
        assert_eq!(indexes, expected);
        assert_eq!(machine.processors, two_sockets(true).processors);
    }

    #[test]
    fn nodes_with_holes_or_without_memory_and_of_two_kinds_are_read() {
        let holes = synthetic("numa:2(indexes=6,2) core:2 pu:1").unwrap();
        let nodes: Vec<_> = holes.nodes.iter().map(|node| (node.id, &node.processors[..])).collect();
        assert_eq!(nodes, [(2, &[2, 3][..]), (6, &[0, 1])]);
        let none = synthetic("pack:2 [numa(memory=0)] core:1 pu:1").unwrap();
        assert!(none.with_memory().next().is_none());
        assert_eq!(none.nodes[1].usable, [1]);
        // Every processor is of one node only.
        let kinds = synthetic("pack:2 [numa(memory=8GB)] [numa(memory=1GB)] core:2 pu:1").unwrap();
        let usable = kinds.nodes.iter().map(|node| &node.usable[..]);
        assert_eq!(usable.collect::<Vec<_>>(), [&[0, 1][..], &[], &[2, 3], &[]]);
        assert!(kinds.nodes.iter().all(|node| node.memory));
    }

    #[test]
    fn an_exported_machine_is_the_one_that_was_exported() {
        let words = "pack:2 numa:2 l3:2 core:2 pu:2";
        let file = File::new("exported", &exporting(words));
        let machine = exported(&file.0).unwrap();
        assert_eq!(machine.source, file.0.display().to_string());
        let there = Machine { source: machine.source.clone(), ..synthetic(words).unwrap() };
        assert_eq!(machine, there);
    }

    #[test]
    fn what_an_exported_machine_did_not_allow_is_not_usable() {
        let all = exporting("core:4 pu:1");
        let some = all.replace("allowed_cpuset=\"0x0000000f\"", "allowed_cpuset=\"0x00000005\"");
        assert_ne!(some, all);
        let machine = exported(&File::new("allowed", &some).0).unwrap();
        assert_eq!(machine.nodes[0].usable, [0, 2]);
        assert_eq!(machine.nodes[0].processors, [0, 1, 2, 3]);
    }

    #[test]
    fn what_describes_no_machine_is_refused_in_one_line() {
        for words in ["x", "pack:0", "pack:2 core:", "\0"] {
            let refused = synthetic(words).unwrap_err();
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
        let whole = exporting("core:4 pu:1");
        for text in ["", "<topology/>", "no XML", &whole[..whole.len() / 2]] {
            let refused = exported(&File::new("broken", text).0).unwrap_err();
            assert_eq!(refused.lines().count(), 1, "{refused}");
        }
        assert!(exported(Path::new("/nowhere.xml")).unwrap_err().contains("lstopo"));
    }

    #[test]
    fn a_machine_that_a_newer_hwloc_wrote_is_refused_with_its_version() {
        let newer =
            exporting("core:4 pu:1").replace("<topology version=\"2.0\"", "<topology version=\"3.0\"");
        assert_eq!(written_by(&newer), Some("3.0"));
        let refused = exported(&File::new("newer", &newer).0).unwrap_err();
        assert!(refused.contains("hwloc 3.0") && refused.contains("--export-xml-flags v2"), "{refused}");
        assert_eq!(written_by("<topology><object/>"), None);
        assert_eq!(major("2.1"), 2);
    }

    #[test]
    fn a_machine_that_is_too_large_is_refused_before_hwloc_is_asked() {
        for words in [
            "pu:100000",
            "pack:16 numa:16 core:64 pu:2",
            "pack:2 [numa(memory=8GB)] core:4097(indexes=1*2) pu:1",
            "pack:99999999999 core:99999999999 pu:2",
        ] {
            assert!(synthetic(words).unwrap_err().contains("8192 at most"), "{words}");
        }
        for (words, count) in [
            ("pack:2 [numa(memory=8GB)] [numa(memory=1GB)] core:2 pu:1", 4),
            ("pack:2 numa:2 l3:1 core:4 pu:2(indexes=2*16:16*1)", 32),
            ("2 3 4", 24),
        ] {
            assert_eq!(described_processors(words), Some(count), "{words}");
        }
        assert_eq!(described_processors("pack:2 core:"), None);
    }

    #[test]
    fn this_machine_has_what_this_process_may_use_and_no_more() {
        let all = sysfs::usable();
        let machine = this_machine(&all[..1]).unwrap();
        assert_eq!(machine.usable().map(|cpu| cpu.id).collect::<Vec<_>>(), all[..1]);
        assert!(this_machine(&[usize::MAX]).unwrap_err().contains("knows no processor"));
    }
}
