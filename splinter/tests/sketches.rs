//! The sketches of vectors: each is that of the slot's vector whenever nobody holds the slot, and zero without one.
//! Invariant 23. `kills` has writers that die anywhere in a change, and `extents` those that have no memory for it.

use splinter::{
    Config, Error, Eviction, IntegerOp, Lifetime, Location, Scrub, Store, StoreError, Transaction, Type,
    Writer,
};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::raw::Raw;
use splinter_testkit::{Folder, assert_sound, config, geometry, retry};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

const DIM: usize = 5;
const ONE: [f32; DIM] = [1.0; DIM];
/// Has the sign of one component different from [`ONE`], and another length.
const OTHER: [f32; DIM] = {
    let mut vector = [2.0; DIM];
    vector[3] = -7.0;
    vector
};

/// A change of the key "key", and what it is called.
type Change = (&'static str, fn(&mut Writer) -> Result<(), Error>);

/// Changes that take the vector of a key away.
const LOSSES: [Change; 11] = [
    ("set", |writer| writer.set("key", b"bytes")),
    ("append", |writer| writer.append("key", b"more").map(drop)),
    ("clear_vector", |writer| writer.clear_vector("key")),
    ("set_u64", |writer| writer.set_u64("key", 7)),
    ("integer", |writer| {
        writer.set_type("key", Type::BigUint)?;
        writer.integer("key", IntegerOp::Inc(1)).map(drop)
    }),
    ("update", |writer| {
        writer.update("key", |_, new| {
            new.extend(b"new");
            Ok::<(), Error>(())
        })
    }),
    ("swap", |writer| writer.swap("key", b"new").map(drop)),
    ("tandem", |writer| writer.set_tandem("key", &[b"a", b"b"])),
    ("transaction", |writer| {
        let mut transaction = Transaction::new();
        transaction.key("key").set(b"new");
        transaction.key("key.1").set(b"new");
        writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
    }),
    ("unset", |writer| writer.unset("key").map(drop)),
    ("transaction that removes it", |writer| {
        let mut transaction = Transaction::new();
        transaction.key("key").unset();
        writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
    }),
];

/// Changes that leave the key the vector that it has.
const OTHERS: [Change; 5] = [
    ("bump", |writer| writer.bump("key")),
    ("set_type", |writer| writer.set_type("key", Type::Json)),
    ("label", |writer| writer.label("key", 5)),
    ("lifetime", |writer| writer.set_lifetime("key", Lifetime::Until(1 << 62))),
    ("transaction that labels it", |writer| {
        let mut transaction = Transaction::new();
        transaction.key("key").label(2);
        writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
    }),
];

/// Changes that give the key another vector.
const GAINS: [Change; 3] = [
    ("set_vector", |writer| writer.set_vector("key", &OTHER)),
    ("transaction with a vector", |writer| {
        let mut transaction = Transaction::new();
        transaction.key("key").set_vector(&OTHER);
        transaction.key("key.1").set(b"new");
        writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
    }),
    ("transaction with a value and a vector", |writer| {
        let mut transaction = Transaction::new();
        transaction.key("key").set(b"123").set_vector(&OTHER);
        writer.commit(&transaction).map(drop).map_err(|refusal| refusal.error)
    }),
];

fn new(slots: u64, scrub: Scrub) -> Store {
    Store::anonymous(&config(geometry(slots, 64, DIM as u32, 4), scrub)).unwrap()
}

/// Sets the key to a number as text, with a vector. Returns its slot.
fn prepare(writer: &mut Writer, raw: &Raw, vector: &[f32]) -> u64 {
    retry(|| writer.set("key", b"12345678")).unwrap();
    writer.set_vector("key", vector).unwrap();
    raw.slot(writer, "key")
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Asserts that the sketch of a slot is that of the key's vector, or zero if the key is missing or has none.
fn assert_right(store: &Store, raw: &Raw, slot: u64, what: &str) {
    let has_vector = store.snapshot("key").is_ok_and(|found| found.has_vector);
    assert_eq!(is_zero(&raw.sketch(slot)), !has_vector, "{what}");
    assert_eq!(store.inspect().unwrap().wrong_sketches, 0, "{what}");
}

#[test]
fn a_sketch_comes_and_goes_with_its_vector() {
    for scrub in Scrub::ALL {
        let store = new(4, scrub);
        let raw = Raw::new(&store);
        let mut writer = store.writer().unwrap();
        let slot = prepare(&mut writer, &raw, &OTHER);
        let other = raw.sketch(slot);
        for (what, change) in LOSSES {
            assert_eq!(prepare(&mut writer, &raw, &ONE), slot, "{what}");
            let one = raw.sketch(slot);
            assert!(!is_zero(&one) && one != other);
            change(&mut writer).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(is_zero(&raw.sketch(slot)), "{what}");
            assert_right(&store, &raw, slot, what);
        }
        for (what, change) in OTHERS {
            prepare(&mut writer, &raw, &ONE);
            let one = raw.sketch(slot);
            change(&mut writer).unwrap();
            assert_eq!(raw.sketch(slot), one, "{what}");
            assert_right(&store, &raw, slot, what);
        }
        for (what, change) in GAINS {
            prepare(&mut writer, &raw, &ONE);
            change(&mut writer).unwrap();
            assert_eq!(raw.sketch(slot), other, "{what}");
            assert_right(&store, &raw, slot, what);
            change(&mut writer).unwrap();
            assert_eq!(raw.sketch(slot), other, "{what}, again");
        }
        assert_eq!(writer.set_vector("key", &ONE[1..]), Err(Error::WrongDimension));
        assert_eq!(raw.sketch(slot), other);
        writer.purge().unwrap();
        assert_eq!(raw.sketch(slot), other);
        assert_sound(&store, 2);
    }
}

#[test]
fn expired_and_evicted_keys_lose_their_sketches() {
    for scrub in Scrub::ALL {
        let store = new(4, scrub);
        let raw = Raw::new(&store);
        let mut writer = store.writer().unwrap();
        for sweeps in [true, false] {
            let slot = prepare(&mut writer, &raw, &ONE);
            writer.set_lifetime("key", Lifetime::Until(store.time())).unwrap();
            // The next writer of the key removes it, too.
            match sweeps {
                true => assert_eq!(writer.sweep_expired(100), Ok(1)),
                false => assert_eq!(writer.bump("key"), Err(Error::NotFound)),
            }
            assert!(is_zero(&raw.sketch(slot)));
            assert_sound(&store, 0);
        }
    }
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let config = Config { eviction, ..config(geometry(3, 64, DIM as u32, 4), Scrub::None) };
        let store = Store::anonymous(&config).unwrap();
        let raw = Raw::new(&store);
        let mut writer = store.writer().unwrap();
        let slot = prepare(&mut writer, &raw, &ONE);
        let mut transaction = Transaction::new();
        for key in ["one", "two", "three"] {
            transaction.key(key).set(b"new");
        }
        writer.commit(&transaction).unwrap();
        assert_eq!((store.contains("key"), store.header().evicted), (Ok(false), 1));
        assert!(is_zero(&raw.sketch(slot)), "{eviction}");
        assert_sound(&store, 3);
    }
}

#[test]
fn a_vector_that_no_search_can_find_has_no_sketch() {
    let store = new(2, Scrub::None);
    let raw = Raw::new(&store);
    let mut writer = store.writer().unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let slot = prepare(&mut writer, &raw, &ONE);
        assert!(!is_zero(&raw.sketch(slot)));
        let mut vector = ONE;
        vector[2] = bad;
        writer.set_vector("key", &vector).unwrap();
        assert!(is_zero(&raw.sketch(slot)), "{bad}");
        assert_sound(&store, 1);
    }
    // It has a length, and other vectors have a similarity to it.
    let slot = prepare(&mut writer, &raw, &[0.0; DIM]);
    assert!(!is_zero(&raw.sketch(slot)));
}

/// The changes that write the sketch, each by a way of its own.
fn deaths() -> impl Iterator<Item = Change> {
    let others = ["append", "set_u64", "update", "swap"];
    LOSSES.into_iter().filter(move |(what, _)| !others.contains(what)).chain(GAINS)
}

#[test]
fn a_writer_that_dies_at_the_sketch_leaves_the_right_one_once_its_claim_is_recovered() {
    alone("a_writer_that_dies_at_the_sketch_leaves_the_right_one_once_its_claim_is_recovered", || {
        for (at, (what, change)) in deaths().enumerate() {
            let directory = Folder::new();
            let path = directory.join("store");
            let config = config(geometry(4, 64, DIM as u32, 4), Scrub::ALL[at % 3]);
            let store = Store::create(&Location::file(&path), &config).unwrap();
            let raw = Raw::new(&store);
            let slot = prepare(&mut store.writer().unwrap(), &raw, &ONE);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let mut victim = Forked::new(|| {
                let mut writer = store.writer().unwrap();
                // Its pages are gone when the writer comes to the sketch.
                file.set_len(raw.sketch_at(0)).unwrap();
                let _ = change(&mut writer);
            });
            let end = victim.end();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(libc::SIGBUS), "{what}");
            // They come back as zeroes.
            file.set_len(store.arena_len()).unwrap();
            Forked::new(|| drop(store.writer().unwrap())).join();
            assert!(store.header().recoveries > 0, "{what}");
            assert_right(&store, &raw, slot, what);
            if GAINS.iter().any(|(gain, _)| *gain == what) {
                let vector = store.content("key").unwrap().vector;
                assert_eq!(vector, ONE, "{what}: the writer takes the memory before its change counts");
            }
            prepare(&mut store.writer().unwrap(), &raw, &OTHER);
            assert_sound(&store, store.len());
        }
    });
}

/// Makes a store of one key with a vector, and of one without, in a file.
fn made(path: &Path, sketches: bool) -> Store {
    let config =
        Config { sketches, hash_seed: Some(5), ..config(geometry(8, 64, DIM as u32, 3), Scrub::Full) };
    let store = Store::create(&Location::file(path), &config).unwrap();
    let mut writer = store.writer().unwrap();
    for key in ["key", "plain"] {
        writer.set(key, b"value").unwrap();
    }
    writer.set_vector("key", &ONE).unwrap();
    drop(writer);
    store
}

/// Bytes that are written over the beginning of a slot's sketch.
type Damages<'d> = &'d [(u64, &'d [u8])];

#[test]
fn a_damaged_sketch_is_found_and_repaired() {
    let directory = Folder::new();
    let store = made(&directory.join("store"), true);
    let raw = Raw::new(&store);
    let file = OpenOptions::new().write(true).open(directory.join("store")).unwrap();
    let [with, without] = ["key", "plain"].map(|key| raw.slot(&store, key));
    let (right, epoch) = (raw.sketch(with), store.epoch("key").unwrap());
    let flipped = [&[!right[0]], &right[1..]].concat();
    let mut torn = right.clone();
    torn[8..].fill(0);
    let cases: [(Damages<'_>, u64); 5] = [
        (&[(with, &flipped)], 1),
        (&[(with, &torn)], 1),
        (&[(with, &vec![0; right.len()])], 1),
        (&[(without, &right)], 1),
        (&[(with, &flipped), (without, &[1])], 2),
    ];
    for (damages, count) in cases {
        for (slot, bytes) in damages {
            file.write_all_at(bytes, raw.sketch_at(*slot)).unwrap();
        }
        let found = store.inspect().unwrap();
        assert!(found.wrong_sketches == count && !found.is_sound(), "{found:?}");
        let repair = store.repair().unwrap();
        assert_eq!((repair.before, repair.given_up.len()), (found, 0));
        assert!(repair.after.is_sound(), "{:?}", repair.after);
        assert_eq!(raw.sketch(with), right);
        assert!(is_zero(&raw.sketch(without)));
        // What is derived from the content is no part of it.
        assert_eq!(store.epoch("key"), Ok(epoch));
        assert_eq!(store.content("key").unwrap().vector, ONE);
    }
}

#[test]
fn a_store_without_sketches_is_as_before_there_were_any() {
    let directory = Folder::new();
    let [with, without] =
        [true, false].map(|sketches| made(&directory.join(format!("{sketches}")), sketches));
    assert!(with.has_sketches() && with.header().sketches);
    assert!(!without.has_sketches() && !without.header().sketches);
    // Eight sketches of two words, in whole pages.
    assert_eq!(with.arena_len(), without.arena_len() + 4096);
    let [with, without] = [&with, &without].map(|store| Raw::new(store).whole());
    let differing: Vec<_> = (with.chunks(8).zip(without.chunks(8)).enumerate())
        .filter(|(at, (one, other))| one != other && !is_time_or_owner(at * 8))
        .map(|(at, _)| at * 8)
        .collect();
    assert_eq!(differing, [64, 216, 224, 20_504], "length, version, seed, and the map of sketches");
    assert_eq!((&without[216..232], &with[216..224]), (&[0; 16][..], &1_u64.to_le_bytes()[..]));
    let store = Store::open(&Location::file(directory.join("false"))).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set_vector("plain", &OTHER).unwrap();
    writer.unset("key").unwrap();
    assert_eq!(store.content("plain").unwrap().vector, OTHER);
    assert_eq!(store.repair().map(|_| ()).map_err(|error| error.to_string()), Ok(()));
    drop(writer);
    assert_sound(&store, 1);
    // There is nothing to sketch in a store without vectors.
    let store = Store::anonymous(&config(geometry(8, 64, 0, 3), Scrub::None)).unwrap();
    assert!(!store.has_sketches());
}

/// Whether a word of the file depends on when, and by which open store, it was made.
fn is_time_or_owner(at: usize) -> bool {
    (192..208).contains(&at) || at == 896 || (3 * 4096..4 * 4096).contains(&at)
}

/// Rotates a vector as `docs/search.md` says.
fn rotated(seed: u64, vector: &[f32]) -> Vec<f32> {
    let mut rotated = vector.to_vec();
    let (dim, words) = (vector.len(), vector.len().div_ceil(64));
    let part = 1 << dim.ilog2();
    for round in 0..4 {
        for (at, component) in rotated.iter_mut().enumerate() {
            let number = (round * words + at / 64 + 1) as u64;
            let mut word = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            *component *= if word >> (at % 64) & 1 == 0 { 1.0 } else { -1.0 };
        }
        let first = if round % 2 == 0 { 0 } else { dim - part };
        let old = rotated[first..first + part].to_vec();
        for (row, component) in rotated[first..first + part].iter_mut().enumerate() {
            let sign = |column: usize| if (row & column).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            *component = (old.iter().enumerate()).map(|(column, old)| old * sign(column)).sum::<f32>();
            *component /= (part as f32).sqrt();
        }
        if round == 1 && part < dim {
            let half = dim.div_ceil(2);
            for at in half..dim {
                let (one, other) = (rotated[at - half] / 2_f32.sqrt(), rotated[at] / 2_f32.sqrt());
                (rotated[at - half], rotated[at]) = (one + other, one - other);
            }
        }
    }
    rotated
}

#[test]
fn a_sketch_is_made_of_the_vector_and_the_seed_as_the_format_says() {
    for dim in [1, 2, 3, 5, 64, 65, 100] {
        let config = Config { hash_seed: Some(dim), ..config(geometry(3, 64, dim as u32, 3), Scrub::None) };
        let store = Store::anonymous(&config).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("first", b"").unwrap();
        writer.set("key", b"").unwrap();
        let vector: Vec<f32> = (0..dim).map(|at| (at as f32 * 0.7 + dim as f32).sin() * 3.0).collect();
        writer.set_vector("key", &vector).unwrap();
        let raw = Raw::new(&store);
        let words = |bytes: Vec<u8>| -> Vec<u64> {
            bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
        };
        let header = words(raw.bytes(216, 16));
        assert_eq!(header[0], 1);
        let rotated = rotated(header[1], &vector);
        let sketch = words(raw.sketch(raw.slot(&store, "key")));
        let bits = (0..64 * (sketch.len() - 1)).map(|at| sketch[1 + at / 64] >> (at % 64) & 1 == 1);
        let signs = rotated.iter().map(|component| *component >= 0.0).chain(std::iter::repeat(false));
        assert!(bits.zip(signs).all(|(bit, sign)| bit == sign), "{dim}");
        let square: f32 = vector.iter().map(|component| component * component).sum();
        let sum: f32 = rotated.iter().map(|component| component.abs()).sum();
        let near = |bits: u32, right: f32| (f32::from_bits(bits) / right - 1.0).abs() < 1e-5;
        assert!(near(sketch[0] as u32, square.sqrt()), "{dim}");
        assert!(near((sketch[0] >> 32) as u32, square.sqrt() / sum), "{dim}");
    }
}

#[test]
fn one_seed_makes_stores_alike_and_another_other_sketches() {
    let sketch = |seed| {
        const DIM: usize = 100;
        let config = Config { hash_seed: Some(seed), ..config(geometry(2, 64, DIM as u32, 3), Scrub::None) };
        let store = Store::anonymous(&config).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set("key", b"value").unwrap();
        let mut vector = [0.0; DIM];
        (0..DIM).for_each(|at| vector[at] = (at as f32 - 40.0) / 3.0);
        writer.set_vector("key", &vector).unwrap();
        assert_sound(&store, 1);
        let raw = Raw::new(&store);
        raw.sketch(raw.slot(&store, "key"))
    };
    assert_eq!((sketch(1).len(), sketch(1)), (24, sketch(1)));
    assert_ne!(sketch(1), sketch(2));
}

#[test]
fn a_header_that_lies_about_sketches_is_refused_or_costs_only_them() {
    let directory = Folder::new();
    let path = directory.join("store");
    let [with, without] = [true, false].map(|sketches| {
        drop(made(&directory.join(format!("{sketches}")), sketches));
        std::fs::read(directory.join(format!("{sketches}"))).unwrap()
    });
    let open = |bytes: &[u8], at: usize, word: u64| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        Store::open(&Location::file(&path))
    };
    let refusal = |opened: Result<Store, StoreError>| match opened {
        Err(StoreError::NotAStore { reason, .. }) => reason,
        other => panic!("the answer is {other:?}"),
    };
    let unknown = "its header names an unknown version of sketches; open it with a newer release, or take a copy \
                   that is whole";
    for version in [2, 256, 1 << 32, u64::MAX] {
        for bytes in [&with, &without] {
            assert_eq!(refusal(open(bytes, 216, version)), unknown);
        }
    }
    let contradiction = "its header contradicts itself; take a copy that is whole";
    assert_eq!(refusal(open(&with, 216, 0)), contradiction);
    assert_eq!(refusal(open(&without, 216, 1)), contradiction);
    // There are no sketches of no vectors.
    let config = config(geometry(8, 64, 0, 3), Scrub::None);
    std::fs::remove_file(directory.join("true")).unwrap();
    drop(Store::create(&Location::file(directory.join("true")), &config).unwrap());
    let bare = std::fs::read(directory.join("true")).unwrap();
    assert_eq!(refusal(open(&bare, 216, 1)), contradiction);
    // With another rotation the sketches are wrong.
    for seed in [0, 1, u64::MAX] {
        let store = open(&with, 224, seed).unwrap();
        assert_eq!(store.inspect().unwrap().wrong_sketches, 1);
        assert!(store.repair().unwrap().after.is_sound());
        assert_eq!(store.content("key").unwrap().vector, ONE);
    }
    assert!(open(&without, 224, 7).unwrap().inspect().unwrap().is_sound());
}
