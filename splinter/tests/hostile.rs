//! Hostile and damaged bytes: refused when a store is opened, or else good for wrong answers at worst,
//! and never for a panic, a hang or a crash. Invariant 16. Each test that runs on such bytes has a
//! process of its own, whose alarm turns a hang into a failure.

use splinter::{Error, IntegerOp, Location, Metric, Scrub, Store, StoreError, Type, Watcher};
use splinter_testkit::process::alone;
use splinter_testkit::{Folder, Named, Rng, config, geometry, wait_until};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const KEYS: u64 = 12;

/// Makes a store with something of everything in it, and returns its bytes.
fn specimen(directory: &Folder) -> Vec<u8> {
    let path = directory.join("specimen");
    let location = Location::file(&path);
    let store = Store::create(&location, &config(geometry(10, 100, 3, 3), Scrub::Full)).unwrap();
    let mut writer = store.writer().unwrap();
    for n in 0..8 {
        writer.set(format!("key{n}"), &[n as u8; 77]).unwrap();
    }
    writer.set_u64("key0", 7).unwrap();
    writer.set_vector("key1", &[1.0; 3]).unwrap();
    drop(writer);
    let bytes = std::fs::read(&path).unwrap();
    location.unlink().unwrap();
    bytes
}

/// Does everything there is to do, a few times. Answers are not looked at: any is right.
fn exercise(store: &Store, seed: u64, rounds: u64) {
    let mut rng = Rng(seed);
    let mut writer = store.writer().ok();
    let mut buf = [0; 200];
    let mut vector = [0.0; 3];
    let mut watchers = vec![store.watch(&[seed as u8 & 63, 5]).expect("groups that there are")];
    watchers.extend(store.watch_all().ok());
    for _ in 0..rounds {
        let key = format!("key{}", rng.below(KEYS));
        let word = rng.next();
        let _ = store.get(&key, &mut buf);
        let _ = store.get_vec(&key);
        let _ = (store.get_u64(&key), store.value_len(&key), store.epoch(&key));
        let _ = (store.snapshot(&key), store.header(), store.contains(&key));
        let _ = store.vector(&key, &mut vector);
        let _ = store.tandem(&key, &mut [vec![], vec![], vec![]]);
        let _ = store.view(&key).map(|view| (view.bytes().count(), view.copy_to(&mut buf)));
        let _ = store.resolve(&key).map(|handle| store.get(handle, &mut buf));
        store.get_many(&[key.as_str(), "key0"], &mut buf, 100, &mut [Ok(0), Ok(0)]);
        search(store, &key, &vector, word);
        listen(store, &mut watchers, &key, word);
        if let Some(writer) = &mut writer {
            let body = &buf[..word as usize % 101];
            match word >> 32 & 15 {
                0 => drop(writer.unset(&key)),
                1 => drop(writer.append(&key, body)),
                2 => drop(writer.set_u64(&key, word)),
                3 | 4 => drop(writer.integer(&key, IntegerOp::Inc(word))),
                5 => drop(writer.set_type(&key, *rng.pick(&Type::ALL))),
                6 => drop(writer.set_tandem(&key, &[body, body])),
                7 => drop(writer.unset_tandem(&key, 3)),
                8 => drop(writer.set_vector(&key, &vector)),
                9 => drop((writer.label(&key, word), writer.set_slot_flags(&key, 9))),
                10 => drop(store.set_scrub(Scrub::ALL[word as usize % 3])),
                11 => writer.set_many(&[(&key, body)], &mut [Ok(())]),
                12 => drop((writer.register(&key, word as u8 & 63), writer.pulse(&key))),
                _ => drop(writer.set(&key, body)),
            }
        }
        if word.is_multiple_of(16) {
            let _ = writer.as_mut().map(splinter::Writer::purge);
            drop(writer.take());
            writer = store.writer().ok();
            let _ = (store.inspect(), store.keys().count(), store.len());
            let _ = (store.content(&key), store.label_groups(word as u8));
            if word.is_multiple_of(64) {
                drop(writer.take());
                let _ = store.repair();
                writer = store.writer().ok();
            }
            store.for_each_label(word & 1, |_, _| ());
        }
    }
}

/// Searches, by sketches and by vectors.
fn search(store: &Store, key: &str, vector: &[f32], word: u64) {
    let metric = Metric::ALL[word as usize % 3];
    let searches = [store.search(vector), store.search(&[1.0, -2.0, 0.5]), store.nearest_to(key)];
    for (turn, search) in searches.into_iter().flatten().enumerate() {
        let search = search.metric(metric).k(2).depth(2).threads(1 + turn % 2).group_orders(word & 1 == 0);
        let search = if word & 2 == 0 { search } else { search.labels_all(word & 64).prefix("key") };
        let search = if word & 4 == 0 { search } else { search.rescore(|found| found.value.len() as f64) };
        let hits = search.exact(word & 24 == 0).run().unwrap_or_default();
        assert!(hits.len() <= 2, "{hits:?}");
    }
    let _ = store.similarity(key, "key1", metric);
}

/// Watches, waits and arranges, never for long. A wait ends even if others write garbage.
fn listen(store: &Store, watchers: &mut [Watcher], key: &str, word: u64) {
    let group = (word >> 8) as u8 & 63;
    for watcher in watchers {
        // More than a ring holds: further ones can only be forged.
        for _ in 0..70 {
            if let Ok(None) = watcher.try_next() {
                break;
            }
        }
        if word.is_multiple_of(8) {
            watcher.set_spin(Duration::from_micros(word >> 16 & 15));
            let _ = watcher.wait(Some(Instant::now() + Duration::from_micros(word >> 20 & 63)));
            watcher.resync(|_| ());
        }
    }
    if word % 8 == 1 {
        let deadline = Some(Instant::now() + Duration::from_micros(word >> 20 & 63));
        let _ = (store.poll(key, deadline), store.poll_after(key, word, deadline));
        let _ = (store.register_labels(word, group), store.unregister_labels(!word, group));
        let _ = (store.signal_count(group), store.watch_all().map(drop));
    }
}

fn refusal(path: &Path) -> String {
    match Store::open(&Location::file(path)) {
        Err(StoreError::NotAStore { reason, .. }) => reason,
        other => panic!("{} was answered by {other:?}", path.display()),
    }
}

#[test]
fn files_cut_short_anywhere_are_refused() {
    let directory = Folder::new();
    let bytes = specimen(&directory);
    let path = directory.join("cut");
    let small = (0..=8).flat_map(|n| [n, n * 64, n * 128 + 1]);
    let pages = (0..bytes.len()).step_by(4096);
    let edges = pages.flat_map(|at| [at.saturating_sub(1), at, at + 1, at + 64]);
    for len in small.chain(edges).chain([bytes.len() - 1]) {
        let len = len.min(bytes.len() - 1);
        std::fs::write(&path, &bytes[..len]).unwrap();
        refusal(&path);
        let read_only = Store::open_read_only(&Location::file(&path));
        assert!(matches!(read_only, Err(StoreError::NotAStore { .. })), "{len}");
    }
    // Bytes behind the end are none of ours.
    std::fs::write(&path, [&bytes[..], &[0xff; 5000]].concat()).unwrap();
    assert_eq!(Store::open(&Location::file(&path)).unwrap().len(), 8);
}

#[test]
fn a_refusal_says_what_the_file_is_instead() {
    let directory = Folder::new();
    let bytes = specimen(&directory);
    let path = directory.join("other");
    let with = |at: usize, patch: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        bytes
    };
    let mut swapped = bytes.clone();
    swapped.chunks_exact_mut(8).for_each(<[u8]>::reverse);
    let missing = "it is truncated: 4096 bytes are missing; copy it anew, to its end";
    for (bytes, why) in [
        (vec![], "it is empty; remove it, and create it anew"),
        (b"hello".to_vec(), "it has 5 bytes, fewer than the 8320 that a header has"),
        (b"hello, world".repeat(1000), "it does not begin with the magic number of a store; check the name"),
        (swapped, "it was made on a machine of the other byte order; export it there, and import it here"),
        (
            with(4, &5_u32.to_le_bytes()),
            "it has format version 5, and this library reads version 4; open it with a newer release, \
             and export it from there",
        ),
        (
            with(4, &3_u32.to_le_bytes()),
            "it has format version 3, and this library reads version 4; splinterctl restore OLD NEW makes \
             a new store of it",
        ),
        (
            with(4, &1_u32.to_le_bytes()),
            "it has format version 1, and this library reads version 4; open it with an older release, \
             and export it from there",
        ),
        (with(8, &[0; 8]), "its creation was not finished; remove it, and create it anew"),
        (with(48, &[9; 8]), "its header contradicts itself; take a copy that is whole"),
        (bytes[..bytes.len() - 4096].to_vec(), missing),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(refusal(&path), why);
    }
}

#[test]
fn random_bytes_are_refused() {
    let directory = Folder::new();
    let head = specimen(&directory)[..16].to_vec();
    let path = directory.join("random");
    let mut rng = Rng(16);
    for round in 0..200_usize {
        let mut bytes = rng.bytes([0, 1, 100, 8192, 8191, 10_000, 40_000][round % 7]);
        if round % 2 == 0 && bytes.len() > 16 {
            // Magic, version and state are right; the rest is not.
            bytes[..16].copy_from_slice(&head);
        }
        std::fs::write(&path, &bytes).unwrap();
        refusal(&path);
    }
}

#[test]
fn every_word_of_the_header_is_checked_or_harmless() {
    alone("every_word_of_the_header_is_checked_or_harmless", || {
        let directory = Folder::new();
        let bytes = specimen(&directory);
        let path = directory.join("changed");
        // The first groups and the last, which is that of the whole store.
        for at in (0..1040).chain(4096..4160).chain(8192..8256).step_by(8) {
            let old = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            for new in [
                0,
                1,
                old.wrapping_add(1),
                old.wrapping_sub(1),
                old.wrapping_mul(2),
                old | 1 << 63,
                1 << 32 | old,
                1 << 47,
                u64::MAX >> 1,
                u64::MAX,
            ] {
                if new == old {
                    continue;
                }
                let mut changed = bytes.clone();
                changed[at..at + 8].copy_from_slice(&new.to_le_bytes());
                std::fs::write(&path, &changed).unwrap();
                match Store::open(&Location::file(&path)) {
                    Ok(store) => {
                        // The four sizes may be others that need the same room.
                        let fixed = at < 16 || (48..144).contains(&at);
                        assert!(!fixed, "word {} may not be {new:#x}", at / 8);
                        exercise(&store, new, 3);
                    }
                    Err(StoreError::NotAStore { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    });
}

#[test]
fn files_that_are_not_regular_are_refused() {
    let directory = Folder::new();
    let bytes = specimen(&directory);
    std::fs::write(directory.join("store"), bytes).unwrap();
    assert!(Store::open(&Location::file(directory.join("store"))).is_ok());
    std::os::unix::fs::symlink(directory.join("store"), directory.join("link")).unwrap();
    std::fs::create_dir(directory.join("directory")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(directory.join("fifo")).status();
    let _socket = std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap();
    let mut names = vec!["link", "directory", "socket"];
    names.extend(fifo.is_ok_and(|status| status.success()).then_some("fifo"));
    for name in names {
        refusal(&directory.join(name));
        let read_only = Store::open_read_only(&Location::file(directory.join(name)));
        assert!(matches!(read_only, Err(StoreError::NotAStore { .. })), "{name}");
    }
    refusal(Path::new("/dev/zero"));
    let (pipe, _end) = std::io::pipe().unwrap();
    assert!(matches!(Store::from_fd(pipe.into()), Err(StoreError::NotAStore { .. })));
    let only_writing = OpenOptions::new().write(true).open(directory.join("store")).unwrap();
    assert!(matches!(Store::from_fd(only_writing.into()), Err(StoreError::NotAStore { .. })));
}

/// Where the parts of a specimen lie: writer table, map, subscriptions, rings, index, slots and values, as ranges
/// of bytes; then the wake word and all else of the header but the geometry, and the groups.
fn parts(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let word = |n: usize| u64::from_le_bytes(bytes[n * 8..n * 8 + 8].try_into().unwrap()) as usize;
    let edges = [9, 10, 11, 12, 14, 15, 17].map(word).into_iter().chain([bytes.len()]);
    let edges: Vec<_> = edges.collect();
    let mut parts: Vec<_> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
    parts.extend([256..1024, 640..648, 1024..1536, 4096..8320, 8192..8256]);
    parts.push(edges[0]..edges[5]);
    parts
}

#[test]
fn stores_whose_records_are_damaged_answer_something() {
    alone("stores_whose_records_are_damaged_answer_something", || {
        let directory = Folder::new();
        let bytes = specimen(&directory);
        let path = directory.join("damaged");
        let mut rng = Rng(1616);
        for round in 0..900_u64 {
            let mut damaged = bytes.clone();
            let parts = parts(&bytes);
            let part = rng.pick(&parts).clone();
            match round % 4 {
                0 => damaged[part].fill([0, 0xff, 0x80, 1][round as usize / 4 % 4]),
                1 => {
                    let noise = rng.bytes(part.len());
                    damaged[part].copy_from_slice(&noise);
                }
                // Single words and single bits, here and there.
                2 => (0..8).for_each(|_| {
                    let at = part.start + rng.below(part.len() as u64 / 8) as usize * 8;
                    let word = [u64::MAX, rng.next(), 1 << 12, 0xfff][rng.below(4) as usize];
                    damaged[at..at + 8].copy_from_slice(&word.to_le_bytes());
                }),
                _ => (0..20).for_each(|_| {
                    let at = part.start + rng.below(part.len() as u64) as usize;
                    damaged[at] ^= 1 << rng.below(8);
                }),
            }
            std::fs::write(&path, &damaged).unwrap();
            let store = Store::open(&Location::file(&path)).unwrap();
            exercise(&store, round, 12);
        }
    });
}

#[test]
fn an_integer_operation_ends_where_damage_gave_its_key_a_second_slot() {
    alone("an_integer_operation_ends_where_damage_gave_its_key_a_second_slot", || {
        let directory = Folder::new();
        let location = Location::file(directory.join("twice"));
        // One bucket of the index leads to every slot.
        let store = Store::create(&location, &config(geometry(4, 100, 0, 1), Scrub::None)).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set_u64("number", 7).unwrap();
        writer.set("text", b"seven").unwrap();
        let file = File::options().read(true).write(true).open(directory.join("twice")).unwrap();
        let read = |at: u64| {
            let mut word = [0; 8];
            file.read_exact_at(&mut word, at).unwrap();
            u64::from_le_bytes(word)
        };
        let write = |at: u64, word: u64| file.write_all_at(&word.to_le_bytes(), at).unwrap();
        let (bucket, slots) = (read(14 * 8), read(15 * 8));
        let entry_of = |slot: u64| {
            let entries = (1..8).map(|index| bucket + index * 8);
            entries.into_iter().find(|at| read(*at) as u32 == slot as u32 + 1).unwrap()
        };
        let slot_of = |key: &[u8]| {
            let key = |slot: &u64| read(slots + slot * 128 + 32).to_le_bytes().starts_with(key);
            (0..4).find(key).unwrap()
        };
        let (number, text) = (slot_of(b"number"), slot_of(b"text"));
        assert!(entry_of(number) < entry_of(text), "the number is found first");
        // The text gets the number's key and an entry that leads there.
        (32..96).step_by(8).for_each(|at| {
            write(slots + text * 128 + at, read(slots + number * 128 + at));
        });
        let label = read(entry_of(number)) >> 32 << 32;
        write(entry_of(text), label | (text + 1));
        // The number's slot holds no key, unless its prepared descriptor is the current one, as a state
        // says that no claim left so.
        let number = slots + number * 128;
        write(number + 96, read(number + 16));
        write(number + 16, read(number + 16) & !(1 << 49));
        write(number, read(number) | 1 << 11 | 1 << 10);
        assert_eq!(writer.integer("number", IntegerOp::Inc(1)), Err(Error::WrongType));
    });
}

#[test]
fn no_length_beyond_the_maximum_is_handed_out() {
    let directory = Folder::new();
    let mut bytes = specimen(&directory);
    let path = directory.join("long");
    let word = |n: usize| u64::from_le_bytes(bytes[n * 8..n * 8 + 8].try_into().unwrap()) as usize;
    let (slots, slots_at) = (word(2), word(15));
    for len in [101_u32, 120, 128, 129, u32::MAX] {
        for slot in 0..slots {
            // The length, in the lower half of the meta word.
            let at = slots_at + slot * 128 + 16;
            bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
        }
        std::fs::write(&path, &bytes).unwrap();
        let store = Store::open(&Location::file(&path)).unwrap();
        for n in 1..8 {
            let key = format!("key{n}");
            let lens = [
                store.value_len(&key),
                store.get(&key, &mut [0; 100]),
                store.get_vec(&key).map(|value| value.len()),
                store.view(&key).map(|view| view.len()),
                store.snapshot(&key).map(|slot| slot.value_len),
            ];
            assert_eq!(lens, [Ok(100); 5], "{key} of {len} bytes");
        }
    }
}

#[test]
fn a_repair_ends_while_another_process_zeroes_the_owner_words() {
    alone("a_repair_ends_while_another_process_zeroes_the_owner_words", || {
        let store = Store::anonymous(&config(geometry(4, 64, 0, 2), Scrub::None)).unwrap();
        store.writer().unwrap().set("k", b"v").unwrap();
        let file = File::from(store.fd().try_clone_to_owned().unwrap());
        let mut owners_at = [0; 8];
        file.read_exact_at(&mut owners_at, 168).unwrap();
        let at = u64::from_le_bytes(owners_at) + 4096 - 32;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    file.write_all_at(&[0; 32], at).unwrap();
                }
            });
            for _ in 0..200 {
                // The repair has both writer ids, or another seems to have them.
                let found = store.repair();
                assert!(matches!(&found, Ok(_) | Err(StoreError::TooManyWriters { .. })), "{found:?}");
            }
            is_over.store(true, Relaxed);
        });
        assert_eq!(store.get_vec("k").unwrap(), b"v");
    });
}

#[test]
fn operations_end_while_somebody_scribbles_over_the_store() {
    alone("operations_end_while_somebody_scribbles_over_the_store", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(10, 100, 3, 3), Scrub::Full)).unwrap();
        exercise(&store, 0, 100);
        let bytes = std::fs::read(name.path()).unwrap();
        let (done, scribbles) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file: File = OpenOptions::new().write(true).open(name.path()).unwrap();
                let mut rng = Rng(99);
                let parts = parts(&bytes);
                while !done.load(Relaxed) {
                    let part = rng.pick(&parts);
                    let at = part.start + rng.below(part.len() as u64 / 8) as usize * 8;
                    let word = [rng.next(), rng.next() & 0xffff_ffff, u64::MAX, 0][rng.below(4) as usize];
                    file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
                    // The header's geometry is never read again.
                    let at = 16 + rng.below(16) * 8;
                    file.write_all_at(&rng.next().to_le_bytes(), at).unwrap();
                    scribbles.fetch_add(1, Relaxed);
                }
            });
            let threads = [1, 2].map(|seed| {
                let store = &store;
                scope.spawn(move || exercise(store, seed, 6_000))
            });
            let ended = threads.map(|thread| thread.join().is_ok());
            wait_until("somebody scribbles", || scribbles.load(Relaxed) > 1_000);
            done.store(true, Relaxed);
            assert_eq!(ended, [true; 2]);
        });
        // And when all is quiet, on what is left.
        exercise(&store, 3, 500);
    });
}
