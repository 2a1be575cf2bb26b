//! Chosen keys: without a store's hash seed an attacker cannot choose keys that make searches for other keys long. Searches
//! that were long, because many keys had one home, are short again once those keys are gone. The tests count the cache
//! lines of the index that a search visits, not time.

use splinter::{Config, Scrub, Store, Writer};
use splinter_testkit::raw::Raw;
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{assert_sound, config, geometry, retry, store};
use std::collections::HashSet;
use std::thread;

/// A store's index at some moment.
struct Index<'s> {
    store: &'s Store,
    raw: Raw,
    buckets: Vec<[u64; 8]>,
}

impl<'s> Index<'s> {
    fn of(store: &'s Store) -> Self {
        let raw = Raw::new(store);
        Self { store, buckets: raw.index(), raw }
    }

    fn home(&self, key: &str) -> usize {
        self.store.hash_key(key.as_bytes()) as usize & (self.buckets.len() - 1)
    }

    /// How many buckets a search for a key that is present visits.
    fn hit(&self, key: &str) -> usize {
        let hash = self.store.hash_key(key.as_bytes());
        let slot = self.raw.slot(self.store, key);
        let mut distances = 0..self.buckets.len();
        let found = distances.find(|distance| {
            let entry = hash >> 48 << 48 | (*distance as u64) << 32 | (slot + 1);
            let bucket = (self.home(key) + distance) & (self.buckets.len() - 1);
            self.buckets[bucket][1..].contains(&entry)
        });
        found.expect("an entry of the key") + 1
    }

    /// How many buckets a search visits for a missing key that has the home of `key`.
    fn miss(&self, key: &str) -> usize {
        (self.buckets[self.home(key)][0] & 0xffff) as usize + 1
    }

    /// The buckets that searches for all of the keys visit, and for as many that are missing.
    fn lines(&self, keys: &[String]) -> [Vec<usize>; 2] {
        let hit = keys.iter().map(|key| self.hit(key)).collect();
        [hit, keys.iter().map(|key| self.miss(key)).collect()]
    }
}

fn total([hit, miss]: &[Vec<usize>; 2]) -> [usize; 2] {
    [hit.iter().sum(), miss.iter().sum()]
}

/// Keys that all have one hash by rapidhash with its published secrets and any seed: each begins, or ends,
/// with a word that makes a factor zero.
fn chosen(family: usize, number: u64) -> Vec<u8> {
    // No byte is zero.
    let digits = format!("{number:08x}");
    match family {
        0 => [&b"\xc9\xac\x2e\x96\x93\x4b\xb8\x8b"[..], digits.as_bytes()].concat(),
        1 => {
            let first = b"\xa3\xd4\x33\xd4\x2e\xa6\x33\x4b";
            [&first[..], digits.as_bytes(), b"and sixteen more"].concat()
        }
        _ => format!("key{number:013}").into_bytes(),
    }
}

/// The cost is the same while the chosen keys are there and afterwards, for each family of chosen keys.
#[test]
fn keys_that_are_chosen_without_the_seed_cost_others_nothing() {
    let count = rounds(20_000);
    for family in 0..3 {
        let geometry = geometry(2 * count, 16, 0, 2);
        let random = Config { hash_seed: None, ..config(geometry, Scrub::None) };
        let store = Store::anonymous(&random).unwrap();
        let mut writer = store.writer().unwrap();
        let named = |when: &str| -> Vec<_> {
            (0..count / 20).map(|number| format!("{when} neighbour {number}")).collect()
        };
        let [early, late] = ["early", "late"].map(named);
        let set_all = |writer: &mut Writer, keys: &[String]| {
            keys.iter().for_each(|key| writer.set(key, b"v").unwrap());
        };
        set_all(&mut writer, &early);
        let before = Index::of(&store).lines(&early);
        let quiet = total(&before);
        for number in 0..count {
            writer.set(chosen(family, number), b"v").unwrap();
        }
        // Late keys find no room where the chosen keys are.
        set_all(&mut writer, &late);
        for keys in [&early, &late] {
            let during = total(&Index::of(&store).lines(keys));
            for (during, quiet) in during.into_iter().zip(quiet) {
                assert!(during <= 2 * quiet, "family {family}: {during} lines, {quiet} without");
            }
        }
        for number in 0..count {
            writer.unset(chosen(family, number)).unwrap();
        }
        for key in &late {
            writer.unset(key).unwrap();
        }
        assert_eq!(Index::of(&store).lines(&early), before, "family {family}, afterwards");
        drop(writer);
        assert_sound(&store, early.len() as u64);
    }
}

#[test]
fn each_new_store_has_a_seed_of_its_own() {
    let geometry = geometry(1, 1, 0, 1);
    let stores = [(); 8].map(|()| Store::anonymous(&Config { geometry, ..Config::default() }));
    let hashes = stores.map(|store| store.unwrap().hash_key(b"key"));
    assert_eq!(HashSet::from(hashes).len(), 8);
    let given = |seed| Store::anonymous(&Config { hash_seed: Some(seed), ..Config::default() });
    let hash = |seed| given(seed).unwrap().hash_key(b"key");
    assert_eq!(hash(7), hash(7));
    assert_ne!(hash(7), hash(0));
}

/// A handle of another store finds its key there only if it lies in the same slot, and no hash goes with it.
#[test]
fn a_handle_of_another_store_does_no_harm() {
    let stores = [1, 2].map(|seed| {
        let geometry = geometry(64, 16, 0, 2);
        let seeded = Config { hash_seed: Some(seed), ..config(geometry, Scrub::None) };
        let store = Store::anonymous(&seeded).unwrap();
        store.writer().unwrap().set("key", b"v").unwrap();
        store
    });
    let handle = stores[0].resolve("key").unwrap();
    let mut writer = stores[1].writer().unwrap();
    assert_eq!(writer.set(handle, b"by handle"), Ok(()));
    assert_eq!(stores[1].get_vec("key").unwrap(), b"by handle");
    assert_eq!(writer.unset("key"), Ok(9));
    assert_eq!(writer.set(handle, b"gone"), Err(splinter::Error::NotFound));
    drop(writer);
    assert_sound(&stores[1], 0);
    assert_sound(&stores[0], 1);
}

const SLOTS: u64 = 4096;
const HOME: usize = 100;
/// So many of them fill as many buckets as the homes of the neighbours are.
const PILE: usize = 700;

/// Keys that all have one home, found with the seed, which an attacker does not know.
fn pile(store: &Store) -> Vec<String> {
    let home = |key: &String| store.hash_key(key.as_bytes()) as usize % (SLOTS as usize / 4);
    let keys = (0..).map(|number| format!("pile {number}"));
    keys.filter(|key| home(key) == HOME).take(PILE).collect()
}

/// Keys whose homes the pile covers.
fn neighbours(store: &Store, name: &str) -> Vec<String> {
    let home = |key: &String| store.hash_key(key.as_bytes()) as usize % (SLOTS as usize / 4);
    let keys = (0..).map(|number| format!("{name} {number}"));
    keys.filter(|key| (HOME..HOME + PILE / 7).contains(&home(key))).take(100).collect()
}

/// Counts the buckets that searches for the neighbours visit in a store that never had the pile.
fn undisturbed(keys: &[String]) -> [usize; 2] {
    let store = store(geometry(SLOTS, 16, 0, 2));
    let mut writer = store.writer().unwrap();
    for key in keys {
        writer.set(key, b"v").unwrap();
    }
    total(&Index::of(&store).lines(keys))
}

/// Keys that came while the pile was there lie behind it, and have to come back even if no writer writes them again.
#[test]
fn searches_are_short_again_once_the_keys_that_made_them_long_are_gone() {
    for order in 0..3 {
        let store = store(geometry(SLOTS, 16, 0, 2));
        let (pile, mut keys) = (pile(&store), neighbours(&store, "before"));
        let mut writer = store.writer().unwrap();
        for key in keys.iter().chain(&pile) {
            writer.set(key, b"v").unwrap();
        }
        keys.extend(neighbours(&store, "after"));
        for key in &keys {
            writer.set(key, b"v").unwrap();
        }
        let during = total(&Index::of(&store).lines(&keys));
        assert!(during[1] > 10 * keys.len(), "the pile is in the way: {during:?}");
        let gone: Vec<_> = match order {
            0 => pile.iter().collect(),
            1 => pile.iter().rev().collect(),
            // As good as any order.
            _ => (0..PILE).map(|number| &pile[number * 333 % PILE]).collect(),
        };
        for key in gone {
            writer.unset(key).unwrap();
        }
        assert_eq!(total(&Index::of(&store).lines(&keys)), undisturbed(&keys), "order {order}");
        drop(writer);
        assert_sound(&store, keys.len() as u64);
    }
}

/// Removers meet claims of each other and of the writers of the neighbours: the owner of a claim in the way does their
/// work for them.
#[test]
fn searches_are_short_again_after_any_writer_was_in_the_way() {
    for round in 0..rounds(4) {
        let store = store(geometry(SLOTS, 16, 0, 8));
        let (pile, keys) = (pile(&store), neighbours(&store, "after"));
        let mut writer = store.writer().unwrap();
        for key in pile.iter().chain(&keys) {
            writer.set(key, b"v").unwrap();
        }
        drop(writer);
        thread::scope(|scope| {
            for part in pile.chunks(PILE / 4) {
                let store = &store;
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for key in part {
                        retry(|| writer.unset(key)).unwrap();
                    }
                });
            }
            for half in keys.chunks(keys.len() / 2) {
                let store = &store;
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for key in half.iter().cycle().take(2_000) {
                        assert!(store.contains(key).unwrap(), "{key} is missing");
                        retry(|| writer.set(key, b"w")).unwrap();
                    }
                });
            }
        });
        assert_eq!(total(&Index::of(&store).lines(&keys)), undisturbed(&keys), "round {round}");
        assert_sound(&store, keys.len() as u64);
    }
}
