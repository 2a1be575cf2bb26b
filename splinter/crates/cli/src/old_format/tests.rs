//! Converts the committed stores of the older formats: as they are, claimed, in use, cut short and damaged.

use super::OldStore;
use crate::entry::{Data, Entry};
use crate::failure::Failure;
use crate::store_copy::{Copied, convert_to};
use splinter::{Location, Scrub, Store, Type};
use splinter_testkit::{Folder, Rng, assert_sound, committed, geometry};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const VERSIONS: [u32; 2] = [2, 3];
/// The committed stores' slots of some keys.
const BINARY: usize = 4;
const COUNT: usize = 9;
const PAIR: [usize; 2] = [13, 14];

/// A folder with an old store, its bytes, and the offsets that its header has.
struct Old {
    folder: Folder,
    bytes: Vec<u8>,
}

impl Old {
    fn new(version: u32) -> Self {
        Self { folder: Folder::new(), bytes: committed(version) }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("old")
    }

    fn word(&self, at: usize) -> u64 {
        super::word(&self.bytes, at)
    }

    fn set(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Returns where a slot's record is.
    fn slot(&self, slot: usize) -> usize {
        self.word(120) as usize + slot * 128
    }

    /// Lets writer `id` claim a slot, with `bits` of the state.
    fn claim(&mut self, slot: usize, id: u64, bits: u64) {
        let at = self.slot(slot);
        self.set(at, self.word(at) + (super::CLAIMED | id | bits));
    }

    fn convert(&self) -> Result<Copied, Failure> {
        fs::write(self.path(), &self.bytes).unwrap();
        self.convert_file()
    }

    fn convert_file(&self) -> Result<Copied, Failure> {
        let old = OldStore::open(&self.path())?.expect("a store of an older format");
        convert_to(&old, &self.folder.join("new"), true)
    }

    /// Converts, and returns the new store.
    fn converted(&self) -> Store {
        self.convert().unwrap();
        Store::open(&Location::file(self.folder.join("new"))).unwrap()
    }

    /// Converts, checks that nothing is made, and returns what the error says behind the file's name.
    fn refused(&self) -> String {
        let message = self.convert().unwrap_err().message;
        assert!(
            !self.folder.join("new").exists() && fs::read_dir(self.folder.join("")).unwrap().count() == 1
        );
        let rest = message.strip_prefix(&*self.path().to_string_lossy()).unwrap_or(&message);
        assert!(!rest.contains('\n'), "{rest}");
        rest.to_owned()
    }
}

fn bytes(key: &str, value: &[u8], kind: Type) -> Entry {
    Entry {
        key: key.into(),
        value: Data::Bytes(value.to_vec()),
        kind,
        labels: 0,
        groups: 0,
        flags: 0,
        ctime: 0,
        atime: 0,
        vector: vec![],
        ttl: None,
        pinned: false,
    }
}

fn number(key: &str, number: u64) -> Entry {
    Entry { value: Data::Number(number), ..bytes(key, b"", Type::BigUint) }
}

/// The keys of both committed stores, in the order of their slots.
fn known() -> Vec<Entry> {
    let longest_key = "a key of 63 bytes, as long as a key may ever be, and no longer~";
    vec![
        Entry { flags: 0x8001, ..bytes("void", b"watched", Type::Void) },
        bytes("bigint", &(-2_i64).to_le_bytes(), Type::BigInt),
        number("biguint", 4103),
        Entry { labels: 1 << 63 | 0b100, ..bytes("json", b"{\"a\":[1,2]}", Type::Json) },
        Entry { groups: 1 << 63, ..bytes("binary", b"\xff\xfe", Type::Binary) },
        Entry { vector: vec![1.0, -0.5, 0.0, 3.25, 1e-9], ..bytes("imgdata", b"\x89PNG", Type::ImgData) },
        bytes("audio", b"RIFF", Type::Audio),
        bytes("vartext", b"some text, and some more", Type::VarText),
        Entry { ctime: 999_000, atime: 2_000_000, ..bytes("video", b"ftyp", Type::Video) },
        number("count", u64::MAX - 2),
        bytes(longest_key, &[0xa5; 100], Type::Void),
        bytes("beside 3", b"beside 3", Type::Void),
        bytes("beside 10", b"beside 10", Type::Void),
        bytes("pair", b"the second", Type::Void),
        bytes("pair.1", b"of them", Type::Void),
    ]
}

/// Checks that a store has the known keys and no others.
fn check(store: &Store, known: &[Entry]) {
    assert_sound(store, known.len() as u64);
    for entry in known {
        assert_eq!(&Entry::from(store.content(&entry.key).unwrap()), entry);
    }
}

#[test]
fn the_committed_stores_are_converted_with_every_key_and_setting() {
    for version in VERSIONS {
        let old = Old::new(version);
        let store = old.converted();
        check(&store, &known());
        assert_eq!((store.geometry(), store.scrub()), (geometry(16, 100, 5, 3), Scrub::Hybrid));
        // Nobody watches the new store, or has armed its event bus.
        assert_eq!(store.flags().bits(), 0x9002 << 16 | 1 << 1);
        let groups: Vec<_> = (0..64).map(|label| store.label_groups(label)).collect();
        assert!(groups.iter().enumerate().all(|(label, groups)| *groups == u64::from(label == 2) << 5));
        assert_eq!(fs::read(old.path()).unwrap(), committed(version));
    }
}

#[test]
fn flags_of_the_c_library_and_all_scrub_levels_are_kept() {
    for (bits, scrub) in [(0, Scrub::None), (1, Scrub::Full), (2, Scrub::Hybrid)] {
        let mut old = Old::new(3);
        old.set(256, 0xfff0_fff0 | bits);
        let store = old.converted();
        assert_eq!((store.scrub(), u64::from(store.flags().bits())), (scrub, 0xfff0_fff0 | bits));
    }
}

#[test]
fn a_claimed_slot_has_what_was_published_last() {
    for version in VERSIONS {
        let mut old = Old::new(version);
        for slot in 0..known().len() {
            old.claim(slot, slot as u64 % 3, 0);
        }
        // A key that is about to be inserted.
        let at = old.slot(15);
        old.claim(15, 2, 0);
        old.set(at + 32, u64::from_le_bytes(*b"unborn\0\0"));
        check(&old.converted(), &known());
    }
}

#[test]
fn what_a_tandem_prepared_counts_once_it_is_committed() {
    let (known, mut first) = (known(), known());
    first[PAIR[0]].value = Data::Bytes(b"first".to_vec());
    first.remove(PAIR[1]);
    let commits = [(0, 0, false), (1, 0, true), (1 << 63 | 1, 0, true), (0, super::COMMITTED, true)];
    for (version, (commit_word, bits, counts)) in
        VERSIONS.into_iter().flat_map(|version| commits.map(|commit| (version, commit)))
    {
        let mut old = Old::new(version);
        // The other buffer of the first key, which has the value from before; the second key is to be removed.
        let descriptor = old.word(old.slot(PAIR[0]) + 16);
        let prepared = descriptor & !0xffff_ffff ^ super::CURRENT | 5;
        for (slot, prepared) in PAIR.into_iter().zip([prepared, 0]) {
            old.set(old.slot(slot) + 96, prepared);
            old.claim(slot, 1, super::TANDEM | bits);
        }
        old.set(8320 + 128 + 64, commit_word);
        check(&old.converted(), if counts { &first } else { &known });
        // Without the claims, the prepared descriptors are old.
        for slot in PAIR {
            let at = old.slot(slot);
            old.set(at, old.word(at) & !(super::CLAIMED | 0xfff));
        }
        check(&old.converted(), &known);
    }
}

#[test]
fn a_number_that_was_set_to_no_number_is_kept() {
    let mut old = Old::new(2);
    let at = old.slot(1) + 16;
    old.set(at, old.word(at) & !(0xf << 60) | 2 << 60);
    old.set(at, old.word(at) & !0xffff_ffff | 3);
    let entry = old.converted().content("bigint").map(Entry::from);
    assert_eq!(entry, Ok(bytes("bigint", &[0xfe, 0xff, 0xff], Type::BigUint)));
}

#[test]
fn parts_that_were_never_written_may_be_holes() {
    for version in VERSIONS {
        let old = Old::new(version);
        let file = fs::File::create(old.path()).unwrap();
        file.set_len(old.bytes.len() as u64).unwrap();
        for (page, bytes) in
            old.bytes.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|b| *b != 0))
        {
            file.write_all_at(bytes, page as u64 * 4096).unwrap();
        }
        old.convert_file().unwrap();
        check(&Store::open(&Location::file(old.folder.join("new"))).unwrap(), &known());
    }
}

#[test]
fn other_files_are_not_of_an_older_format() {
    let folder = Folder::new();
    let path = folder.join("other");
    assert!(OldStore::open(&path).unwrap().is_none());
    for bytes in [vec![], committed(4), vec![b'x'; 10_000], committed(3)[..100].to_vec()] {
        fs::write(&path, bytes).unwrap();
        assert!(OldStore::open(&path).unwrap().is_none());
    }
    std::os::unix::fs::symlink("other", folder.join("link")).unwrap();
    fs::write(&path, committed(3)).unwrap();
    assert!(OldStore::open(&folder.join("link")).unwrap().is_none());
    assert!(OldStore::open(&path).unwrap().is_some());
}

#[test]
fn damage_is_named_with_its_slot_and_key() {
    let advice = "; repair it with the release that made it (fsck --repair)";
    type Damage = dyn Fn(&mut Old, usize);
    let damages: [(&Damage, &str); 8] = [
        (&|old, at| old.set(at + 32, 0), "its key is none"),
        (&|old, at| old.set(at + 56, 1), "its key is none"),
        (&|old, at| old.bytes[at + 32..at + 96].fill(b'k'), "its key is none"),
        (&|old, at| old.bytes[at + 23] = 0x90, "of the key \"count\", the type is none"),
        (
            &|old, at| old.bytes[at + 23] = 0x30,
            "of the key \"count\", the value is a number, and the type JSON",
        ),
        (
            &|old, at| {
                old.bytes[at + 22] &= !4;
                old.bytes[at + 16] = 101;
            },
            "of the key \"count\", the value has 101 bytes, more than the store allows",
        ),
        (&|old, _| old.claim(COUNT, 3, super::TANDEM), "writer id 3 holds it, and the store has no such"),
        (
            &|old, _| old.claim(COUNT, 0x3ff, super::COMMITTED),
            "writer id 1023 holds it, and the store has no such",
        ),
    ];
    for (damage, what) in damages {
        let mut old = Old::new(3);
        let at = old.slot(COUNT);
        damage(&mut old, at);
        assert_eq!(old.refused(), format!(" is damaged in slot {COUNT}: {what}{advice}"));
    }
    let mut old = Old::new(2);
    let (from, to) = (old.slot(BINARY), old.slot(COUNT));
    old.bytes.copy_within(from + 32..from + 96, to + 32);
    let twice = " has the key \"binary\" twice; if programs write to it, stop them, and try again";
    assert_eq!(old.refused(), twice);
    // A store of vectors of no components.
    let mut old = Old::new(3);
    for (at, word) in [(32, 0), (160, 0), (64, old.word(152))] {
        old.set(at, word);
    }
    let what = "in slot 5: of the key \"imgdata\", there is a vector, and the store has none";
    assert_eq!(old.refused(), format!(" is damaged {what}{advice}"));
}

#[test]
fn a_header_that_does_not_fit_is_refused() {
    for version in VERSIONS {
        let unfinished = " is not a store: its creation was not finished; remove it";
        let mut old = Old::new(version);
        old.set(8, 0);
        assert_eq!(old.refused(), unfinished);
        let why = " is not a store: its header contradicts itself; take a copy that is whole";
        let mut old = Old::new(version);
        let largest = [u64::from(u32::MAX) - 1, u64::from(u32::MAX) - 63, 1 << 20, 1023];
        (16..).step_by(8).zip(largest).for_each(|(at, size)| old.set(at, size));
        assert_eq!(old.refused(), why);
        // Version 2 has no owners: there the word at 168 is zero.
        for at in (16..176).step_by(8) {
            for change in [64, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
                let mut old = Old::new(version);
                old.set(at, old.word(at) ^ change);
                assert_eq!(old.refused(), why, "{at} {change:x}");
            }
        }
    }
}

#[test]
fn files_cut_short_anywhere_are_refused() {
    for version in VERSIONS {
        let mut old = Old::new(version);
        let whole = old.bytes.len();
        let pages = (4096..=whole).step_by(4096).flat_map(|at| [at - 4096 + 1536, at - 1, at, at + 1]);
        for len in pages.filter(|len| *len < whole) {
            old.bytes = committed(version)[..len].to_vec();
            let why = format!("it is truncated: {} bytes are missing; copy it anew, to its end", whole - len);
            assert_eq!(old.refused(), format!(" is not a store: {why}"));
        }
        // Bytes behind the end do no harm.
        old.bytes = [committed(version), vec![0xff; 5000]].concat();
        check(&old.converted(), &known());
    }
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_refused() {
    for cut in [100, 8192, 60_000] {
        let old = Old::new(3);
        fs::write(old.path(), &old.bytes).unwrap();
        let open = OldStore::open(&old.path()).unwrap().unwrap();
        OpenOptions::new().write(true).open(old.path()).unwrap().set_len(cut).unwrap();
        let failure = convert_to(&open, &old.folder.join("new"), false).unwrap_err();
        let why = "became shorter meanwhile; take a copy that is whole";
        assert!(failure.message.ends_with(why), "{}", failure.message);
        assert!(!old.folder.join("new").exists());
    }
}

#[test]
fn random_changes_of_bytes_end_in_a_store_or_in_one_line() {
    let mut rng = Rng(18);
    let (mut stores, mut refusals) = (0, 0);
    for round in 0..400 {
        let mut old = Old::new(VERSIONS[round % 2]);
        // Most of them where lengths, offsets and states are.
        let slots = old.slot(0)..old.slot(16);
        for _ in 0..=rng.below(8) {
            let at = match rng.below(8) {
                0 => rng.below(old.bytes.len() as u64) as usize,
                1 => 8320 + rng.below(384) as usize,
                2 if round % 3 == 0 => rng.below(1536) as usize,
                _ => slots.start + rng.below(slots.len() as u64) as usize,
            };
            old.bytes[at] ^= 1 << rng.below(8);
        }
        fs::write(old.path(), &old.bytes).unwrap();
        match OldStore::open(&old.path()) {
            Ok(None) => refusals += 1,
            Ok(Some(_)) if old.convert_file().is_ok() => {
                let store = Store::open(&Location::file(old.folder.join("new"))).unwrap();
                assert_sound(&store, store.len());
                stores += 1;
            }
            _ => {
                old.refused();
                refusals += 1;
            }
        }
    }
    assert!(stores > 50 && refusals > 50, "{stores} {refusals}");
}

#[test]
fn a_slot_that_changed_while_it_was_read_is_read_again() {
    let old = Old::new(3);
    fs::write(old.path(), &old.bytes).unwrap();
    let file = OpenOptions::new().write(true).open(old.path()).unwrap();
    let open = OldStore::open(&old.path()).unwrap().unwrap();
    let change = |state: u64| file.write_all_at(&(state + 1).to_le_bytes(), old.slot(COUNT) as u64).unwrap();
    let mut states = vec![];
    let read = open.while_unchanged(COUNT as u64, |state| {
        states.push(state);
        (states.len() < 3).then(|| change(state))
    });
    let state = old.word(old.slot(COUNT));
    assert_eq!((read, &states[..]), (Ok(None), &[state, state + 1, state + 2][..]));
    let failure = open.while_unchanged(COUNT as u64, change).unwrap_err();
    let why = "slot 9 changes all the time; stop the programs that write to it, and try again";
    assert_eq!(failure.message, format!("{}: {why}", open.name()));
}

/// A writer of an older release, by its steps: claim, write the other buffer, publish, release.
#[test]
fn a_store_in_use_is_read_one_key_at_a_moment() {
    for version in VERSIONS {
        let old = Old::new(version);
        fs::write(old.path(), &old.bytes).unwrap();
        let file = OpenOptions::new().write(true).open(old.path()).unwrap();
        let write = |at: usize, word: u64| file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
        let (at, value_at) = (old.slot(PAIR[0]), old.word(136) as usize + PAIR[0] * old.word(144) as usize);
        let (mut state, mut descriptor) = (old.word(at), old.word(at + 16) & !0xffff_ffff | 96);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0_u64.. {
                    if done.load(Relaxed) {
                        break;
                    }
                    write(at, state + super::CLAIMED);
                    descriptor ^= super::CURRENT;
                    let buffer = value_at + usize::from(descriptor & super::CURRENT != 0) * 128;
                    (0..96).step_by(8).for_each(|within| write(buffer + within, round));
                    write(at + 16, descriptor);
                    state += 2 * super::CLAIMED;
                    write(at, state);
                    // Leaves time for a reader.
                    thread::sleep(Duration::from_micros(50));
                }
            });
            let read = |_| {
                old.convert_file()?;
                Ok(Store::open_read_only(&Location::file(old.folder.join("new")))?.get_vec("pair"))
            };
            let values: Vec<Result<_, Failure>> = (0..30).map(read).collect();
            done.store(true, Relaxed);
            let values: Vec<_> = values.into_iter().map(|value| value.unwrap().unwrap()).collect();
            for value in values.iter().filter(|value| value.len() == 96) {
                assert!(value.chunks(8).all(|word| word == &value[..8]), "{value:?}");
            }
            assert!(values[0] != values[29], "the writer wrote nothing");
        });
    }
}
