//! Sizes: stores of one slot, full stores, arenas above 4 GiB, value sizes that are no power of two,
//! keys of every length. Invariant 18, and 13 at every bound.

use splinter::{Config, Error, Geometry, IntegerOp, KEY_MAX, Scrub, Store, StoreError};
use splinter_testkit::{Named, assert_every_slot_usable, assert_sound, config, geometry, store, value};
use std::os::unix::fs::MetadataExt;

#[test]
fn exactly_as_many_keys_fit_as_there_are_slots() {
    for slots in 1..=200 {
        let store = store(geometry(slots, 8, 0, 2));
        assert_every_slot_usable(&store, "key");
        assert_every_slot_usable(&store, "other");
        assert_sound(&store, 0);
    }
}

#[test]
fn a_full_store_serves_the_keys_it_has() {
    for slots in [1, 2, 7, 64, 65] {
        let store = store(geometry(slots, 100, 2, 2));
        let mut writer = store.writer().unwrap();
        let keys: Vec<_> = (0..slots).map(|n| format!("key{n}")).collect();
        for key in &keys {
            writer.set(key, b"1").unwrap();
        }
        assert_eq!(writer.set("more", b"1"), Err(Error::Full));
        assert_eq!(writer.set_u64("more", 1), Err(Error::Full));
        assert_eq!(writer.set_tandem("more", &[b"1", b"2"]), Err(Error::Full));
        assert_eq!(writer.set_tandem("key0", &[b"1", b"2"]), Err(Error::Full));
        for missing in ["more", "more.1", "key0.1"] {
            assert_eq!(store.contains(missing), Ok(false));
        }
        for (n, key) in keys.iter().enumerate() {
            writer.set(key, &value(key, n as u64, 99)).unwrap();
            assert_eq!(writer.append(key, b"x"), Ok(100));
            writer.set_vector(key, &[1.0, n as f32]).unwrap();
            writer.set_u64(key, n as u64).unwrap();
            assert_eq!(writer.integer(key, IntegerOp::Inc(1)), Ok(n as u64 + 1));
        }
        assert_sound(&store, slots);
        assert_eq!(writer.unset("key0"), Ok(8));
        writer.set("more", b"1").unwrap();
        assert_eq!(writer.set("key0", b"1"), Err(Error::Full));
        assert_sound(&store, slots);
    }
}

#[test]
fn values_of_every_length_up_to_the_longest_are_kept_whole() {
    for max in [1, 13, 63, 64, 65, 100, 4095] {
        for scrub in Scrub::ALL {
            let store = store(geometry(3, max, 0, 2));
            store.set_scrub(scrub).unwrap();
            let mut writer = store.writer().unwrap();
            let max = max as usize;
            let before = vec![0xaa; max];
            writer.set("before", &before).unwrap();
            writer.set("key", b"").unwrap();
            writer.set("after", &before).unwrap();
            let mut buf = vec![0; max];
            for len in (0..=max.min(140)).chain(max.saturating_sub(70)..=max) {
                let body = vec![len as u8 | 1; len];
                writer.set("key", &body).unwrap();
                assert_eq!(store.get("key", &mut buf), Ok(len));
                assert_eq!(buf[..len], body);
                assert_eq!(store.get("key", &mut buf[..len]), Ok(len));
                if let Some(short) = len.checked_sub(1) {
                    let needed = Err(Error::BufferTooSmall { needed: len });
                    assert_eq!(store.get("key", &mut buf[..short]), needed);
                }
                assert_eq!(writer.set("key", &vec![1; max + 1]), Err(Error::ValueTooLong));
                assert_eq!(writer.append("key", &vec![1; max + 1 - len]), Err(Error::ValueTooLong));
                assert_eq!(store.get_vec("key").unwrap(), body);
            }
            for neighbour in ["before", "after"] {
                assert_eq!(store.get_vec(neighbour).unwrap(), before);
            }
        }
    }
}

#[test]
fn numbers_need_no_room_among_the_values() {
    let store = store(geometry(1, 1, 0, 1));
    let mut writer = store.writer().unwrap();
    writer.set_u64("n", u64::MAX - 1).unwrap();
    assert_eq!(writer.integer("n", IntegerOp::Inc(3)), Ok(1));
    assert_eq!(store.get_vec("n").unwrap(), 1_u64.to_le_bytes());
    // Its eight bytes would be too long for a value: nothing changes.
    let refused = writer.set_type("n", splinter::Type::Binary);
    assert_eq!(refused, Err(Error::ValueTooLong));
    assert_eq!(store.get_u64("n"), Ok(1));
    writer.set_type("n", splinter::Type::VarText).unwrap();
    assert_eq!(store.get_vec("n").unwrap(), b"1");
}

#[test]
fn keys_of_every_length_are_told_apart() {
    let store = store(geometry(256, 16, 0, 2));
    let mut writer = store.writer().unwrap();
    let keys: Vec<Vec<u8>> = (1..=KEY_MAX)
        .flat_map(|len| {
            let mut last = vec![b'k'; len];
            last[len - 1] = 0xff;
            let mut first = vec![b'k'; len];
            first[0] = 1;
            [vec![b'k'; len], last, first]
        })
        .collect();
    for (n, key) in keys.iter().enumerate() {
        writer.set(key, &n.to_le_bytes()).unwrap();
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(store.get_vec(key).unwrap(), n.to_le_bytes());
        let handle = store.resolve(key).unwrap();
        assert_eq!(handle.key().as_ref(), key);
        assert_eq!(store.get(handle, &mut [0; 8]), Ok(8));
    }
    let mut listed: Vec<Vec<u8>> = store.keys().map(|key| key.as_ref().to_vec()).collect();
    listed.sort();
    let mut sorted = keys.clone();
    sorted.sort();
    assert_eq!(listed, sorted);
    // The longest refuses to be longer, and is not cut to one that is there.
    for len in [KEY_MAX + 1, KEY_MAX + 2, 200] {
        assert_eq!(writer.set(vec![b'k'; len], b"x"), Err(Error::KeyTooLong));
        assert_eq!(store.get_vec(vec![b'k'; len]), Err(Error::KeyTooLong));
        assert_eq!(writer.unset(vec![b'k'; len]), Err(Error::KeyTooLong));
    }
    for key in &keys {
        assert_eq!(writer.unset(key), Ok(8));
        assert_eq!(store.contains(key), Ok(false));
    }
    assert_sound(&store, 0);
}

#[test]
fn arenas_above_four_gibibytes_keep_their_slots_apart() {
    let slots = 300;
    let store = store(geometry(slots, 16 << 20, 1 << 20, 2));
    assert!(store.arena_len() > 8 << 30);
    let mut writer = store.writer().unwrap();
    let keys: Vec<_> = (0..slots).map(|n| format!("key{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        writer.set(key, &value(key, n as u64, 40)).unwrap();
    }
    let offset = |key: &String| store.snapshot(key).unwrap().value_offset;
    assert!(keys.iter().any(|key| offset(key) > 4 << 30), "no value lies above 4 GiB");
    // The longest value and vector in the slots that lie first and last.
    let first = keys.iter().min_by_key(|key| offset(key)).unwrap();
    let last = keys.iter().max_by_key(|key| offset(key)).unwrap();
    let mut body = vec![0x5a; 16 << 20];
    let mut vector = vec![1.25; 1 << 20];
    for (salt, key) in [first, last].into_iter().enumerate() {
        body[(16 << 20) - 1] = salt as u8;
        vector[(1 << 20) - 1] = salt as f32;
        writer.set(key, &body).unwrap();
        writer.set_vector(key, &vector).unwrap();
    }
    let mut seen = vec![0.0; 1 << 20];
    for (salt, key) in [first, last].into_iter().enumerate() {
        body[(16 << 20) - 1] = salt as u8;
        vector[(1 << 20) - 1] = salt as f32;
        assert!(store.get_vec(key).unwrap() == body);
        store.vector(key, &mut seen).unwrap();
        assert!(seen == vector);
    }
    for (n, key) in keys.iter().enumerate() {
        if key != first && key != last {
            assert_eq!(store.get_vec(key).unwrap(), value(key, n as u64, 40));
        }
        writer.unset(key).unwrap();
    }
    assert!(store.is_empty());
}

/// Reads how many bytes of this process are in memory.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn a_store_takes_memory_only_as_it_is_used() {
    splinter_testkit::process::alone("a_store_takes_memory_only_as_it_is_used", || {
        let before = resident();
        let store = store(geometry(8 << 20, 4096, 0, 4));
        assert!(store.arena_len() > 64 << 30);
        let mut writer = store.writer().unwrap();
        for n in 0..100_u32 {
            writer.set(format!("key{n}"), &n.to_le_bytes()).unwrap();
        }
        let file = std::fs::File::from(store.fd().try_clone_to_owned().unwrap());
        // A page for each value, the index and the slots, rather than 64 GiB.
        let taken = file.metadata().unwrap().blocks() * 512;
        assert!(taken < 64 << 20, "{taken} bytes of memory");
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes resident");
        assert_eq!(store.residency().unwrap().untouched * 4096 / store.arena_len(), 0);
    });
}

#[test]
fn geometries_that_cannot_be_are_refused_before_anything_is_created() {
    let good = Geometry::default();
    let absurd = [
        Geometry { slots: 0, ..good },
        Geometry { slots: u64::from(u32::MAX), ..good },
        Geometry { slots: u64::MAX, ..good },
        Geometry { max_value_len: 0, ..good },
        Geometry { max_value_len: 1 << 32, ..good },
        Geometry { max_value_len: u64::MAX, ..good },
        Geometry { vector_dim: (1 << 20) + 1, ..good },
        Geometry { vector_dim: u32::MAX, ..good },
        Geometry { max_writers: 0, ..good },
        Geometry { max_writers: 1024, ..good },
        Geometry { max_writers: u32::MAX, ..good },
        geometry(u64::from(u32::MAX) - 1, u64::from(u32::MAX) - 63, 1 << 20, 1023),
        geometry(u64::MAX, u64::MAX, u32::MAX, u32::MAX),
        geometry(1 << 31, 1 << 20, 0, 1),
    ];
    for geometry in absurd {
        let name = Named::new();
        let refused = Store::create(&name.0, &config(geometry, Scrub::Hybrid));
        assert!(matches!(refused, Err(StoreError::BadGeometry(_))), "{geometry:?}");
        assert!(!name.path().exists());
        let refused = Store::open_or_create(&name.0, &config(geometry, Scrub::Hybrid));
        assert!(matches!(refused, Err(StoreError::BadGeometry(_))), "{geometry:?}");
        assert!(!name.path().exists());
    }
    // At the bounds everything works.
    for geometry in [
        geometry(1, 1, 0, 1),
        geometry(1, 1, 1, 1023),
        geometry(1, u64::from(u32::MAX) - 63, 1 << 20, 1),
        geometry(u64::from(u32::MAX) - 1, 1, 0, 1),
    ] {
        let store = store(geometry);
        assert_eq!(store.geometry(), geometry);
        store.writer().unwrap().set("key", b"v").unwrap();
        assert_eq!(store.get_vec("key").unwrap(), b"v");
    }
    assert_eq!(Store::anonymous(&Config::default()).unwrap().geometry(), good);
}
