//! The format of a store's file, held by a file: `format/v4.txt` has every word that is not zero of a small store
//! that was made once. This library has to read it, and to make the same bytes of the same operations, so
//! that no change of the format goes unnoticed. The places of things are written down in `format/places.rs` as
//! `docs/format.md` has them, and share no code with the crate. `hostile` tests the messages for other files.
//!
//! The store is one without sketches, as libraries of this version made before there were any. `sketches` has the words of
//! one with them.
//!
//! No word of the store differs from run to run or from machine to machine: its one bid is made for a process and a
//! time that are given. Words that are not zero only while a process holds a key, sleeps or is dead are not in it.
//!
//! Once the format version was raised, `cargo test -p splinter --test format -- --ignored` writes the new version's
//! file; it writes over none. Files of older versions stay: they open, or are refused for their version. The command line's
//! tests convert them.
#![cfg(target_endian = "little")]

#[path = "format/places.rs"]
mod places;

use places::name;
use splinter::{
    BidTerms, Change, Config, Content, Expect, IntegerOp, Intent, Lifetime, Location, Scrub, Store,
    StoreError, Type,
};
use splinter_testkit::{Folder, assert_every_slot_usable, assert_sound, committed, config, geometry};
use std::fs::File;
use std::path::{Path, PathBuf};

const LONGEST_KEY: &str = "a key of 63 bytes, as long as a key may ever be, and no longer~";
/// Keys whose home in the index is that of six others, by this seed: with its seven entries one goes to the next bucket.
const BESIDE: [&str; 2] = ["beside 3", "beside 10"];
const HASH_SEED: u64 = 224;
const LONGEST_VALUE: [u8; 100] = [0xa5; 100];
const VECTOR: [f32; 5] = [1.0, -0.5, 0.0, 3.25, 1e-9];
/// A store time that does not come.
const DEADLINE: u64 = 1 << 60;
const MINUS_TWO: [u8; 8] = (-2_i64).to_le_bytes();

/// Creates the store that is committed, in a file.
fn made(path: &Path) -> Store {
    let config = config(geometry(16, 100, 5, 3), Scrub::Full);
    let config = Config { hash_seed: Some(HASH_SEED), sketches: false, ..config };
    let store = Store::create(&Location::file(path), &config).unwrap();
    fill(&store).unwrap();
    store
}

/// Does one of everything that leaves something in a store.
fn fill(store: &Store) -> Result<(), Box<dyn std::error::Error>> {
    store.set_scrub(Scrub::Hybrid)?;
    store.flags().set(1 << 3)?;
    store.flags().set_user(0x9003)?;
    store.flags().clear_user(1)?;
    store.register_labels(0b100, 5)?;
    let mut writer = store.writer()?;
    let mut second = store.writer()?;
    for (key, value, kind) in [
        ("void", &b"nothing was said"[..], Type::Void),
        ("bigint", &MINUS_TWO, Type::BigInt),
        ("biguint", b"4096", Type::BigUint),
        ("json", b"{\"a\":[1,2]}", Type::Json),
        ("binary", b"\0\x01\xfe\xff", Type::Binary),
        ("imgdata", b"\x89PNG", Type::ImgData),
        ("audio", b"RIFF", Type::Audio),
        ("vartext", b"some text", Type::VarText),
        ("video", b"ftyp", Type::Video),
    ] {
        writer.set(key, value)?;
        if kind != Type::Void {
            writer.set_type(key, kind)?;
        }
    }
    writer.integer("biguint", IntegerOp::Inc(7))?;
    second.set_u64("count", u64::MAX - 1)?;
    second.integer("count", IntegerOp::Dec(1))?;
    writer.set_slot_flags("void", 0x8003)?;
    writer.clear_slot_flags("void", 2)?;
    writer.label("json", 1 << 63 | 0b101)?;
    writer.unlabel("json", 0b1)?;
    writer.register("binary", 63)?;
    writer.set("binary", b"\xff\xfe")?;
    writer.pulse("binary")?;
    writer.set_vector("imgdata", &[9.0; 5])?;
    writer.set_vector("imgdata", &VECTOR)?;
    writer.set_vector("audio", &[0.25; 5])?;
    writer.clear_vector("audio")?;
    writer.append("vartext", b", and some more")?;
    writer.set_ctime("video", 1_000_000, 1_000)?;
    writer.set_atime("video", 2_000_000, 0)?;
    writer.bump("video")?;
    writer.set_with("audio", b"RIFF", Expect::Present, Lifetime::Until(1 << 59))?;
    writer.set_lifetime("audio", Lifetime::Until(DEADLINE))?;
    writer.set_type("audio", Type::Audio)?;
    writer.set("gone", b"until it was removed")?;
    writer.unset("gone")?;
    second.set(LONGEST_KEY, &LONGEST_VALUE)?;
    for key in BESIDE {
        second.set(key, key.as_bytes())?;
    }
    second.set_tandem("pair", &[b"first", b"generation"])?;
    second.set_tandem("pair", &[b"the second", b"of them"])?;
    store.report_parse_failure()?;
    let mut watcher = store.watch_all()?;
    writer.set("void", b"watched")?;
    assert!(matches!(watcher.try_next(), Ok(Some(Change { .. }))));
    let terms = BidTerms { intent: Intent::WillNeed, priority: 3, duration: 500_000 };
    store.bids().claim_as(7, terms, 4711, 1_000_000)?;
    Ok(())
}

/// All that is known of a key.
#[derive(Debug, PartialEq)]
struct Known {
    key: &'static str,
    value: &'static [u8],
    kind: Type,
    epoch: u64,
    number: Option<u64>,
    flags: u16,
    labels: u64,
    /// The groups it is registered with, and those that hear of it.
    groups: [u64; 2],
    /// When its value was made, and when last used.
    times: [u64; 2],
    vector: &'static [f32],
}

const PLAIN: Known = Known {
    key: "",
    value: b"",
    kind: Type::Void,
    epoch: 0,
    number: None,
    flags: 0,
    labels: 0,
    groups: [0; 2],
    times: [0; 2],
    vector: &[],
};

impl Known {
    fn check(&self, content: &Content) {
        let slot = &content.slot;
        assert_eq!(slot.key.as_ref(), self.key.as_bytes());
        let key = self.key;
        assert_eq!(content.value, self.value, "the value of {key}");
        assert_eq!(slot.kind, self.kind, "the type of {key}");
        assert_eq!(slot.epoch, self.epoch, "the epoch of {key}");
        assert_eq!(content.number, self.number, "the number of {key}");
        assert_eq!(slot.user_flags, self.flags, "the flags of {key}");
        assert_eq!(slot.labels, self.labels, "the labels of {key}");
        assert_eq!([slot.registered, slot.groups], self.groups, "the groups of {key}");
        assert_eq!([slot.ctime, slot.atime], self.times, "the times of {key}");
        assert_eq!(content.vector, self.vector, "the vector of {key}");
        assert_eq!(slot.has_vector, !self.vector.is_empty(), "whether {key} has a vector");
    }
}

/// The keys of the committed store, in the order of their slots.
const KNOWN: [Known; 15] = [
    Known { key: "void", value: b"watched", epoch: 4, flags: 0x8001, ..PLAIN },
    Known { key: "bigint", value: &MINUS_TWO, kind: Type::BigInt, epoch: 4, ..PLAIN },
    Known {
        key: "biguint",
        value: &4103_u64.to_le_bytes(),
        kind: Type::BigUint,
        epoch: 6,
        number: Some(4103),
        ..PLAIN
    },
    Known {
        key: "json",
        value: b"{\"a\":[1,2]}",
        kind: Type::Json,
        epoch: 4,
        labels: 1 << 63 | 0b100,
        groups: [0, 1 << 5],
        ..PLAIN
    },
    Known { key: "binary", value: b"\xff\xfe", kind: Type::Binary, epoch: 6, groups: [1 << 63; 2], ..PLAIN },
    Known { key: "imgdata", value: b"\x89PNG", kind: Type::ImgData, epoch: 8, vector: &VECTOR, ..PLAIN },
    Known { key: "audio", value: b"RIFF", kind: Type::Audio, epoch: 12, ..PLAIN },
    Known { key: "vartext", value: b"some text, and some more", kind: Type::VarText, epoch: 6, ..PLAIN },
    Known { key: "video", value: b"ftyp", kind: Type::Video, epoch: 6, times: [999_000, 2_000_000], ..PLAIN },
    Known {
        key: "count",
        value: &(u64::MAX - 2).to_le_bytes(),
        kind: Type::BigUint,
        epoch: 4,
        number: Some(u64::MAX - 2),
        ..PLAIN
    },
    // In the slot of a key that was removed.
    Known { key: LONGEST_KEY, value: &LONGEST_VALUE, epoch: 6, ..PLAIN },
    Known { key: BESIDE[0], value: BESIDE[0].as_bytes(), epoch: 6, ..PLAIN },
    Known { key: BESIDE[1], value: BESIDE[1].as_bytes(), epoch: 6, ..PLAIN },
    Known { key: "pair", value: b"the second", epoch: 8, ..PLAIN },
    Known { key: "pair.1", value: b"of them", epoch: 8, ..PLAIN },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format")
}

/// The version that this library makes.
fn version(store: &Store) -> u32 {
    store.header().version
}

/// Writes a store's bytes down as [`committed`] reads them.
fn described(bytes: &[u8], version: u32) -> String {
    let mut text = format!(
        "# A store of format version {version}: 16 slots, values of up to 100 bytes, vectors of 5 components, 3 writers.\n\
         # Made by tests/format.rs. Each word of its {} bytes that is not zero: the offset, the bytes in\n\
         # their order, and what they are by the tables in docs/format.md.\n",
        bytes.len(),
    );
    for (at, word) in words(bytes).filter(|(_, word)| *word != [0; 8]) {
        text += &format!("{at:05x} {} {}\n", hex(word), name(at));
    }
    text
}

/// Reads a store's bytes, but for the random numbers of open stores, which the owners of its writer ids have, and for
/// the store time.
fn read(path: &Path) -> Vec<u8> {
    let mut bytes = read_without_times(path);
    for (at, word) in words(&bytes.clone()).filter(|(at, _)| name(*at).contains("store ids")) {
        assert!(word[4..] == [0; 4] || word[..4] != [0; 4], "a generation without a store: {at:05x}");
        bytes[at..at + 4].fill(0);
    }
    bytes
}

fn read_without_times(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    for (at, _) in words(&bytes.clone()).filter(|(at, _)| name(*at).contains("store time")) {
        bytes[at..at + 8].fill(0);
    }
    bytes
}

fn words(bytes: &[u8]) -> impl Iterator<Item = (usize, [u8; 8])> + '_ {
    let words = bytes.chunks_exact(8).map(|word| word.try_into().expect("eight bytes"));
    (0..).step_by(8).zip(words)
}

fn hex(word: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(word))
}

/// Puts the committed store of this library's version into a file.
fn copied(directory: &Folder) -> Location {
    let version = version(&Store::anonymous(&config(geometry(1, 1, 0, 1), Scrub::None)).unwrap());
    std::fs::write(directory.join("committed"), committed(version)).unwrap();
    Location::file(directory.join("committed"))
}

fn check_all(store: &Store) {
    let keys: Vec<_> = store.keys().collect();
    assert_eq!(keys.len(), KNOWN.len());
    for (known, key) in KNOWN.iter().zip(keys) {
        known.check(&store.content(key).unwrap());
    }
    let mut pair = [vec![], vec![]];
    store.tandem("pair", &mut pair).unwrap();
    assert_eq!(pair, [&b"the second"[..], b"of them"]);
    assert_eq!(store.get_u64("biguint"), Ok(4103));
    let before = store.time();
    let left = store.ttl("audio").unwrap().expect("a deadline").as_nanos() as u64;
    assert!(left <= DEADLINE - before && left > DEADLINE / 2);
    assert_eq!(store.contains("gone"), Ok(false));
    let mut labelled = vec![];
    store.for_each_label(0b100, |key, epoch| labelled.push((key.to_string(), epoch)));
    assert_eq!(labelled, [("json".to_owned(), 4)]);

    let header = store.header();
    assert_eq!(header.geometry, geometry(16, 100, 5, 3));
    assert_eq!((header.epoch, header.scrub, header.recoveries), (46, Scrub::Hybrid, 0));
    assert_eq!((header.parse_failures, header.last_failure_epoch), (1, 45));
    // The user's; the C library's; that the whole store was watched; level hybrid.
    assert_eq!(store.flags().bits(), 0x9002 << 16 | 1 << 3 | 1 << 2 | 1 << 1);
    assert_eq!((store.label_groups(2), store.label_groups(63)), (1 << 5, 0));
    assert_eq!([0, 5, 63].map(|group| store.signal_count(group)), [0, 2, 2].map(Some));
}

#[test]
fn the_committed_store_reads_as_it_was_written() {
    let directory = Folder::new();
    let location = copied(&directory);
    check_all(&Store::open_read_only(&location).unwrap());
    let store = Store::open(&location).unwrap();
    check_all(&store);
    assert_sound(&store, KNOWN.len() as u64);
    // The process that made the bid is gone, and the bid with it.
    assert_eq!(store.bids().list().unwrap(), []);
    // None of this changed a byte.
    assert_eq!(read_without_times(&directory.join("committed")), committed(version(&store)));
}

#[test]
fn the_committed_store_can_be_written_on() {
    let directory = Folder::new();
    let store = Store::open(&copied(&directory)).unwrap();
    let mut watcher = store.watch(&[5]).unwrap();
    let mut writer = store.writer().unwrap();
    for Known { key, epoch, .. } in KNOWN {
        writer.bump(key).unwrap();
        assert_eq!(writer.epoch(key), Ok(epoch + 2), "{key}");
    }
    // `json`, by its label; others by none.
    let mut heard = || watcher.try_next().unwrap().map(|change| change.key.expect("a key"));
    assert_eq!(heard().expect("a change").as_ref(), b"json");
    assert_eq!(heard(), None);
    assert_eq!(writer.integer("count", IntegerOp::Inc(3)), Ok(0));
    assert_eq!(writer.append("vartext", b"."), Ok(25));
    assert_eq!(writer.get_vec("vartext").unwrap(), b"some text, and some more.");
    writer.set_vector("audio", &VECTOR).unwrap();
    assert_eq!(writer.content("audio").unwrap().vector, VECTOR);
    assert_eq!(writer.unset_tandem("pair", 2), Ok(2));
    writer.unset(BESIDE[1]).unwrap();
    writer.set(BESIDE[1], b"anew").unwrap();
    store.bids().claim(7, BidTerms::default()).unwrap();
    assert!(store.bids().is_sovereign(7).unwrap());
    assert_sound(&store, KNOWN.len() as u64 - 2);
    drop(writer);
    assert_every_slot_usable(&store, "new");
}

/// The rest of the header is in `hostile`, with what is said of other versions, byte orders and lengths.
#[test]
fn a_size_or_a_place_that_does_not_fit_the_others_is_refused() {
    let directory = Folder::new();
    let location = copied(&directory);
    let bytes = std::fs::read(directory.join("committed")).unwrap();
    for at in (16..176).step_by(8) {
        let mut changed = bytes.clone();
        changed[at] ^= 64;
        std::fs::write(directory.join("committed"), &changed).unwrap();
        let refused = |opened: Result<Store, StoreError>| match opened {
            Err(StoreError::NotAStore { reason, .. }) => reason,
            other => panic!("{} was changed, and the answer is {other:?}", name(at)),
        };
        let why = "its header contradicts itself; take a copy that is whole";
        assert_eq!(refused(Store::open(&location)), why, "{}", name(at));
        assert_eq!(refused(Store::open_read_only(&location)), why, "{}", name(at));
    }
}

/// A version whose file is here opens, or the refusal names it.
#[test]
fn files_of_all_versions_open_or_are_refused_for_their_version() {
    let directory = Folder::new();
    let mut opened = vec![];
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".txt") else {
            continue;
        };
        let number: u32 = name[1..].parse().expect("named by its version");
        let bytes = committed(number);
        assert_eq!(bytes[4..8], number.to_le_bytes(), "the version that {name} has");
        std::fs::write(directory.join(name), bytes).unwrap();
        match Store::open(&Location::file(directory.join(name))) {
            Ok(store) => opened.push(version(&store)),
            Err(StoreError::NotAStore { reason, .. }) => {
                assert!(reason.starts_with(&format!("it has format version {number}, ")), "{reason}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(!opened.is_empty(), "none is of this library's version");
}

#[test]
fn the_same_operations_make_the_same_bytes_as_the_committed_store() {
    let directory = Folder::new();
    let store = made(&directory.join("made"));
    let bytes = read(&directory.join("made"));
    let committed = committed(version(&store));
    assert_eq!(bytes.len(), committed.len());
    let changed: Vec<_> = (words(&committed).zip(words(&bytes)))
        .filter(|(old, new)| old != new)
        .map(|((at, old), (_, new))| format!("{at:05x} {}: {} -> {}", name(at), hex(old), hex(new)))
        .collect();
    assert!(
        changed.is_empty(),
        "{} words are not as they were. The format changed: raise the version, and keep the old file \
         readable or have its refusal say what to do. (Only if each is a word that nobody reads, of a buffer \
         not current or a prepared descriptor of no claim, it did not: then remove the file and write it anew.)\n{}",
        changed.len(),
        changed[..changed.len().min(20)].join("\n")
    );
}

#[test]
#[ignore = "writes the file of a new format version"]
fn the_file_of_a_new_version_is_written() {
    let directory = Folder::new();
    let store = made(&directory.join("made"));
    let bytes = read(&directory.join("made"));
    let path = folder().join(format!("v{}.txt", version(&store)));
    // One that is there was made by the library as it was then.
    File::create_new(&path).expect("no file of this version");
    std::fs::write(&path, described(&bytes, version(&store))).unwrap();
}
