//! Listing keys with their values page by page, and vectors where they lie.

use splinter::Error;
use splinter_testkit::{geometry, retry, store};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

#[test]
fn a_scan_finds_each_key_that_stays_once_whatever_comes_and_goes() {
    let store = store(geometry(400, 32, 2, 4));
    let mut writer = store.writer().unwrap();
    for number in 0..100 {
        writer.set(format!("stays:{number}"), format!("value {number}").as_bytes()).unwrap();
        writer.set(format!("other:{number}"), b"of another prefix").unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = store.writer().unwrap();
            for number in (0..100).cycle().take_while(|_| !done.load(Relaxed)) {
                let name = format!("stays:comes and goes {number}");
                writer.set(&name, b"value").unwrap();
                writer.set(format!("stays:{number}"), format!("value {number}").as_bytes()).unwrap();
                writer.unset(&name).unwrap();
            }
        });
        for count in [1, 7, 1000].repeat(20) {
            let (mut cursor, mut seen) = (Some(0), HashMap::new());
            while let Some(from) = cursor {
                let page = retry(|| store.scan(from, "stays:", count)).unwrap();
                assert!(page.found.len() <= count);
                for found in page.found {
                    *seen.entry((found.key.to_string(), found.value)).or_insert(0) += 1;
                }
                cursor = page.next;
            }
            for number in 0..100 {
                let found = seen.get(&(format!("stays:{number}"), format!("value {number}").into_bytes()));
                assert_eq!(found, Some(&1), "{number}");
            }
            assert!(seen.keys().all(|(key, _)| key.starts_with("stays:")));
        }
        done.store(true, Relaxed);
    });
    assert_eq!(store.scan(400, "", 10).unwrap().found, []);
    assert_eq!(store.scan(u32::MAX, "", 10).unwrap().next, None);
}

#[test]
fn vectors_are_visited_where_they_lie() {
    let store = store(geometry(16, 32, 3, 4));
    let mut writer = store.writer().unwrap();
    for number in 0..10 {
        let key = format!("{number}");
        writer.set(&key, b"text").unwrap();
        if number % 2 == 0 {
            writer.set_vector(&key, &[number as f32; 3]).unwrap();
        }
    }
    let mut seen = Vec::new();
    for vector in store.vectors() {
        let components: Vec<f32> = vector.components().collect();
        let mut copy = [0.0; 3];
        assert_eq!((vector.copy_to(&mut copy), &copy[..]), (3, &components[..]));
        assert!(vector.validate());
        assert_eq!(store.epoch(vector.key()), Ok(vector.version().epoch));
        seen.push((vector.key().to_string(), components[0]));
    }
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(seen, [0, 2, 4, 6, 8].map(|number| (format!("{number}"), number as f32)));
    let view = store.vectors().next().unwrap();
    let key = *view.key();
    writer.set_vector(key, &[9.0; 3]).unwrap();
    writer.set_vector(key, &[8.0; 3]).unwrap();
    assert!(!view.validate(), "its buffer was written again");
}

#[test]
fn an_entry_has_value_epoch_and_type_of_one_moment() {
    let store = store(geometry(4, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    let first = writer.set_if("k", &[0; 64], splinter::Expect::Any).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..20_000_u32 {
                writer.set("k", &[round as u8; 64]).unwrap();
            }
            done.store(true, Relaxed);
        });
        let mut buf = [0; 64];
        while !done.load(Relaxed) {
            let entry = retry(|| store.get_entry("k", &mut buf)).unwrap();
            assert_eq!(entry.len, 64);
            let round = ((entry.version.epoch - first.epoch) / 2) as u8;
            // The epoch is that of the value, or the one before.
            assert!(buf == [round; 64] || buf == [round.wrapping_add(1); 64], "{} {round}", buf[0]);
        }
    });
    assert_eq!(store.get_entry("k", &mut [0; 8]), Err(Error::BufferTooSmall { needed: 64 }));
    assert_eq!(store.get_entry("none", &mut []), Err(Error::NotFound));
}
