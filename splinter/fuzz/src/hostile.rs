//! Damaged bytes: a store with something of everything in it, and patches to scribble over it. The header says where the
//! parts of the store lie, so patches hit records and not only empty pages.

use crate::case::KeyName;
use arbitrary::Arbitrary;
use splinter::{BidTerms, Config, Eviction, Geometry, Scrub, Store, StoreError};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// One of a bucket only, and one of several map words.
const SMALL: Geometry = Geometry { slots: 4, max_value_len: 100, vector_dim: 3, max_writers: 2 };
const LARGE: Geometry = Geometry { slots: 70, max_value_len: 20, vector_dim: 0, max_writers: 3 };

/// The stores that are scribbled over.
const STORES: [(Geometry, Eviction); 4] = [
    (SMALL, Eviction::Expired),
    (LARGE, Eviction::Expired),
    (SMALL, Eviction::Sieve),
    (LARGE, Eviction::Lru),
];

/// The bytes of a store, and where the parts of it begin.
pub struct Specimen {
    pub bytes: Vec<u8>,
    edges: Vec<usize>,
}

/// Returns one of the specimens, which are made once.
pub fn specimen(which: u8) -> &'static Specimen {
    static SPECIMENS: OnceLock<Vec<Specimen>> = OnceLock::new();
    let all = SPECIMENS
        .get_or_init(|| STORES.iter().map(|(geometry, eviction)| make(geometry, *eviction)).collect());
    &all[usize::from(which) % all.len()]
}

fn make(geometry: &Geometry, eviction: Eviction) -> Specimen {
    let config =
        Config { geometry: *geometry, scrub: Scrub::Full, eviction, hash_seed: Some(0), ..Config::default() };
    let store = Store::anonymous(&config).expect("a store");
    store.register_labels(3, 5).expect("a group");
    let mut writer = store.writer().expect("a writer id");
    // The keys that the steps name: otherwise no step would read the damaged records.
    let key = |number| KeyName::valid(number).bytes();
    for number in 0..geometry.slots.min(8) as u8 {
        writer.set(key(number), &[number + 1; 17]).expect("room");
    }
    writer.set_u64(key(0), 7).expect("a number");
    if geometry.vector_dim > 0 {
        writer.set_vector(key(1), &[1.5; 3]).expect("a vector");
    }
    writer.label(key(2), 1).expect("a label");
    writer.register(key(3), 9).expect("a group");
    writer.unset(key(2)).expect("a key");
    writer.pin(key(1)).expect("a key");
    let _watcher = store.watch_all().expect("a watcher");
    writer.set(key(3), b"heard").expect("a key");
    store.bids().claim(7, BidTerms::default()).expect("a bid");
    drop(writer);
    let mut bytes = vec![0; store.arena_len() as usize];
    let file = File::from(store.fd().try_clone_to_owned().expect("a descriptor"));
    file.read_exact_at(&mut bytes, 0).expect("a store's bytes");
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a word"));
    // The offsets that the header records (writer table, map, subscriptions, rings, index, slots, values, vectors), and
    // those of the header's own parts: flags, counters, label subscriptions, bids, groups.
    let recorded = [72, 80, 88, 96, 112, 120, 136, 152].map(|at| word(at) as usize);
    let mut edges: Vec<_> = [256, 384, 512, 640, 768, 1024, 1536, 4096, 8192].into();
    edges.extend(recorded.into_iter().filter(|at| *at < bytes.len()));
    // The records of the first slots: all that a reader goes by is in them.
    edges.extend((1..6).map(|slot| word(120) as usize + slot % 4 * 128));
    if eviction != Eviction::Expired {
        // The hands of a cache; the marks of visits, and behind them the places and the queues.
        let visits_at = (word(152) + geometry.slots * word(160)).next_multiple_of(4096) as usize;
        let places_at = visits_at + (geometry.slots as usize).next_multiple_of(64);
        edges.extend([4032, visits_at, places_at, places_at + geometry.slots as usize * 8]);
        edges.retain(|at| *at < bytes.len());
    }
    Specimen { bytes, edges }
}

/// Makes a memory file.
pub fn memory_file(len: u64) -> File {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let fd = nix::sys::memfd::memfd_create("splinter-fuzz", flags).expect("a memory file");
    let file = File::from(fd);
    file.set_len(len).expect("its length");
    file
}

/// Writes bytes to a file, leaving out pages that are zero, as they are in a new one.
pub fn fill(file: &File, bytes: &[u8]) {
    for (page, at) in bytes.chunks(4096).zip((0..).step_by(4096)) {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, at).expect("room");
        }
    }
}

/// Opens the store in a file, for writing or only for reading.
pub fn open(file: &File, writable: bool) -> Result<Store, StoreError> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let opened = File::options().read(true).write(writable).open(path).expect("a descriptor");
    Store::from_fd(OwnedFd::from(opened))
}

/// A word to be written somewhere.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Patch {
    part: u8,
    offset: u16,
    word: Word,
}

/// The new value of a word. Most words that mean something are small, have few bits set, or are near the old value.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    Zero,
    Ones,
    Small(u8),
    Bit(u8),
    Flip(u8),
    Add(i8),
    High(u8),
    Any(u64),
}

impl Patch {
    /// Writes the word over the one that is there.
    fn apply(&self, specimen: &Specimen, file: &File) {
        let len = specimen.bytes.len();
        let start = match usize::from(self.part) % (specimen.edges.len() + 1) {
            0 => 0,
            edge => specimen.edges[edge - 1],
        };
        // The first records of a part are the likeliest; a few patches go anywhere behind.
        let reach = match self.offset {
            0..0x8000 => 128,
            0x8000..0xf000 => 512,
            _ => len - start,
        };
        let at = (start + usize::from(self.offset) * 8 % reach).min(len - 8) as u64 / 8 * 8;
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).expect("a word");
        let old = u64::from_le_bytes(bytes);
        let new = match self.word {
            Word::Zero => 0,
            Word::Ones => u64::MAX,
            Word::Small(small) => small.into(),
            Word::Bit(bit) => 1 << (bit & 63),
            Word::Flip(bit) => old ^ 1 << (bit & 63),
            Word::Add(by) => old.wrapping_add_signed(by.into()),
            Word::High(high) => u64::from(high) << 56 | old,
            Word::Any(word) => word,
        };
        file.write_all_at(&new.to_le_bytes(), at).expect("a word");
    }
}

/// Scribbles patches over a file, the geometry included.
pub fn scribble(file: &File, specimen: &Specimen, patches: &[Patch]) {
    patches.iter().for_each(|patch| patch.apply(specimen, file));
}
