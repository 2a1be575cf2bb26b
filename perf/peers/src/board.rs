//! iceoryx2's blackboard: values of one size in shared memory, one writer, entries asked by handle.

use crate::contender::Contender;
use crate::scratch::Scratch;
use iceoryx2::config::Config;
use iceoryx2::port::reader::EntryHandle;
use iceoryx2::port::writer::EntryHandleMut;
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::blackboard::PortFactory;
use splinter_harness::files::unique_name;
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer, key_number};
use std::fmt::Debug;

/// Makes the contender, for the sizes of value that are compiled in: a value has a type.
pub(crate) fn board(name: &str, workload: &Workload) -> Result<Contender, String> {
    let len = workload.value_len.longest();
    if workload.writers > 1 {
        return Err(format!("a blackboard has one writer, this load has {}", workload.writers));
    }
    match (workload.value_len.shortest() == len, len) {
        (true, 8) => make::<8>(name, workload),
        (true, 16) => make::<16>(name, workload),
        (true, 64) => make::<64>(name, workload),
        (true, 256) => make::<256>(name, workload),
        (true, 1024) => make::<1024>(name, workload),
        (true, 4096) => make::<4096>(name, workload),
        _ => Err("its values are of one size; here of 8, 16, 64, 256, 1024 or 4096 bytes".to_owned()),
    }
}

fn make<const LEN: usize>(name: &str, workload: &Workload) -> Result<Contender, String> {
    set_log_level(LogLevel::Fatal);
    let text = format!("{}-", unique_name("splinter-peers-board"));
    let service: ServiceName = text.as_str().try_into().map_err(words)?;
    let scratch = Scratch::new("board").map_err(|error| format!("no folder for it: {error}"))?;
    let config = config(&scratch, &text)?;
    let node = node(&config)?;
    let mut creator = node
        .service_builder(&service)
        .blackboard_creator::<u64>()
        .max_readers(workload.operators() as usize + 2)
        .max_nodes(workload.operators() as usize + 3);
    for key in 0..workload.keys {
        creator = creator.add::<[u8; LEN]>(key, [0; LEN]);
    }
    let factory = creator.create().map_err(words)?;
    let peer = Board::<LEN> { name: service, config, keys: workload.keys };
    let contender = Contender::new(name, "iceoryx2 0.9", workload, peer)?;
    let contender =
        contender.note("its blackboard: one writer, values of one size, keys fixed when it is made");
    // The service is there for as long as somebody has it open.
    Ok(contender.keeping((factory, node, Leftovers(text), scratch)))
}

/// Has everything that it makes in a folder of our own, or under our own name.
fn config(scratch: &Scratch, prefix: &str) -> Result<Config, String> {
    let mut config = Config::default();
    let folder = scratch.path().to_string_lossy();
    config.global.set_root_path(&Path::new(folder.as_bytes()).map_err(words)?);
    config.global.prefix = FileName::new(prefix.as_bytes()).map_err(words)?;
    Ok(config)
}

fn node(config: &Config) -> Result<Node<ipc::Service>, String> {
    NodeBuilder::new().config(config).create::<ipc::Service>().map_err(words)
}

/// Removes what the library leaves in shared memory, by the beginning of its name.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.0) && entry.path().is_file() {
                // What cannot be removed cannot be helped here.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn words(error: impl Debug) -> String {
    format!("{error:?}")
}

/// A board, by its name.
struct Board<const LEN: usize> {
    name: ServiceName,
    config: Config,
    keys: u64,
}

/// One worker's way to it. What comes first is dropped first.
struct BoardLink<const LEN: usize> {
    read: Vec<EntryHandle<ipc::Service, u64, [u8; LEN]>>,
    /// Of the one writer only.
    write: Vec<EntryHandleMut<ipc::Service, u64, [u8; LEN]>>,
    _factory: PortFactory<ipc::Service, u64>,
    _node: Node<ipc::Service>,
}

impl<const LEN: usize> Peer for Board<LEN> {
    type Link = BoardLink<LEN>;

    fn link(&self, writes: bool) -> Result<BoardLink<LEN>, String> {
        let node = node(&self.config)?;
        let builder = node.service_builder(&self.name).blackboard_opener::<u64>();
        let factory = builder.open().map_err(words)?;
        let reader = factory.reader_builder().create().map_err(words)?;
        let read: Result<_, _> = (0..self.keys).map(|key| reader.entry(&key)).collect();
        let write = if writes {
            let writer = factory.writer_builder().create().map_err(words)?;
            let write: Result<_, _> = (0..self.keys).map(|key| writer.entry(&key)).collect();
            write.map_err(words)?
        } else {
            Vec::new()
        };
        Ok(BoardLink { read: read.map_err(words)?, write, _factory: factory, _node: node })
    }
}

impl<const LEN: usize> Link for BoardLink<LEN> {
    #[inline]
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let entry = self.read.get(key_number(key)?).ok_or(Miss::NotFound)?;
        let value = entry.get();
        buf.get_mut(..LEN).ok_or(Miss::TooLong)?.copy_from_slice(&*value);
        Ok(LEN)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let entry = self.write.get(key_number(key)?).ok_or(Miss::NotFound)?;
        entry.update_with_copy(value.try_into().map_err(|_| Miss::TooLong)?);
        Ok(())
    }
}
