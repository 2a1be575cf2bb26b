//! Tests of the batches of a text, with another writer or a death between them.

use super::*;
use splinter::{Config, Geometry};
use std::cell::Cell;

const CHUNK_LABEL: u64 = 0x200;

fn space(slots: u64) -> Store {
    let geometry = Geometry { slots, max_value_len: 100, vector_dim: 0, max_writers: 4 };
    Store::anonymous(&Config { geometry, ..Config::default() }).unwrap()
}

/// Returns the parts of a text of `count` chunks, all with the same `value`.
fn text<'t>(count: usize, value: &'t [u8], index: &'t str) -> Vec<Part<'t>> {
    let chunk = |order| Part { key: name(b"t", order), value, kind: Type::VarText, label: CHUNK_LABEL };
    let index = Part { key: b"t".to_vec(), value: index.as_bytes(), kind: Type::Json, label: INDEX_LABEL };
    (1..=count).map(chunk).chain([index]).collect()
}

/// Formats an index that names `count` chunks.
fn index(count: usize) -> String {
    format!(r#"{{"chunks":{count},"bytes":{}}}"#, 9 * count)
}

/// Checks that the keys are those of the text alone, with its values.
fn assert_stored(store: &Store, parts: &[Part<'_>]) {
    assert_whole(store, parts);
    assert_eq!(store.keys().count(), parts.len());
}

fn assert_whole(store: &Store, parts: &[Part<'_>]) {
    for part in parts {
        let done = store.content(&part.key).unwrap();
        assert_eq!((&done.value[..], done.slot.kind), (part.value, part.kind));
        assert_eq!((done.slot.labels, done.slot.ttl), (part.label, None));
    }
}

#[test]
fn new_keys_have_their_types_before_their_values_and_go_if_no_value_comes() {
    let store = space(4);
    let mut writer = store.writer().unwrap();
    let parts = text(1, b"text", "index");
    // Another process died after it had made the keys.
    let mut died = Tandem::new(&parts, &|| false);
    died.prepare(&mut writer).unwrap();
    for part in &parts {
        let made = store.content(&part.key).unwrap();
        assert_eq!((made.value.len(), made.slot.kind, made.slot.labels), (0, part.kind, 0));
        assert!(made.slot.ttl.is_some_and(|ttl| ttl <= RESERVED));
    }
    let mut tandem = Tandem::new(&parts, &|| false);
    assert_eq!(tandem.attempt(&mut writer), Ok(()));
    assert_eq!(tandem.made, [None; 2]);
    assert_stored(&store, &parts);
    // What another writer changed meanwhile is not overwritten by what was found before.
    tandem.prepare(&mut writer).unwrap();
    writer.set("t", b"another").unwrap();
    let refused = tandem.commit(&mut writer, 0..2, &mut Vec::new());
    assert!(matches!(&refused, Err(Stop::Refused(key, Error::Changed { .. })) if key == b"t"), "{refused:?}");
}

#[test]
fn a_long_text_does_not_mix_with_one_that_came_between_its_batches() {
    let store = space(2000);
    let mut writers = [(); 2].map(|()| store.writer().unwrap());
    for [one, other] in [[600, 600], [600, 300], [300, 600], [600, 3]] {
        let indexes = [one, other].map(index);
        let [first, second] = [text(one, b"first", &indexes[0]), text(other, b"second", &indexes[1])];
        let [slow, fast] = &mut writers;
        let mut overtaken = Tandem::new(&first, &|| false);
        let (last, mut gone) = overtaken.prepare(slow).unwrap();
        Tandem::new(&second, &|| false).store(fast).unwrap();
        assert_eq!(overtaken.commit(slow, last, &mut gone), Err(Stop::Overtaken));
        // The other one has still to store its chunks again, or to remove them.
        assert_whole(&store, &second);
        overtaken.store(slow).unwrap();
        assert_stored(&store, &first);
    }
}

#[test]
fn a_long_text_takes_chunks_as_they_are_that_others_changed_meanwhile() {
    let store = space(2000);
    let mut writers = [(); 2].map(|()| store.writer().unwrap());
    let [writer, other] = &mut writers;
    let [long, short] = [700, 300].map(index);
    Tandem::new(&text(700, b"old", &long), &|| false).store(writer).unwrap();
    let parts = text(300, b"new", &short);
    let mut tandem = Tandem::new(&parts, &|| false);
    let (last, mut gone) = tandem.prepare(writer).unwrap();
    other.set("t.300", b"another").unwrap();
    other.unset("t.290").unwrap();
    other.bump("t.301").unwrap();
    other.unset("t.302").unwrap();
    tandem.commit(writer, last, &mut gone).unwrap();
    assert_stored(&store, &parts);
    assert_eq!(tandem.removed, 399);
}

#[test]
fn a_long_text_that_fails_leaves_no_chunks_that_no_index_names() {
    let store = space(2000);
    let mut writer = store.writer().unwrap();
    let index = index(700);
    let parts = text(700, b"text", &index);
    // Ctrl-C is pressed behind the first batch.
    let is_begun = || store.content("t.1").is_ok_and(|chunk| !chunk.value.is_empty());
    let mut tandem = Tandem::new(&parts, &is_begun);
    assert_eq!(tandem.store(&mut writer), Err(Stop::Interrupted));
    assert_eq!((store.keys().count(), tandem.stored()), (0, 0));
    // Chunks that were there remain, new text or old.
    writer.set("t.2", b"old").unwrap();
    assert_eq!(tandem.store(&mut writer), Err(Stop::Interrupted));
    assert_eq!((store.keys().count(), tandem.stored()), (1, 1));
    assert_eq!(store.get_vec("t.2").unwrap(), b"text");
}

#[test]
fn many_chunks_that_a_text_does_not_need_go_before_its_index_comes() {
    let store = space(2000);
    let mut writer = store.writer().unwrap();
    let [long, short] = [1000, 2].map(index);
    Tandem::new(&text(1000, b"old", &long), &|| false).store(&mut writer).unwrap();
    let parts = text(2, b"new", &short);
    // A process that dies behind the second batch leaves those of the lowest orders, which the old index names.
    let is_over = || {
        let highest = (1..=1000).rev().find(|order| store.contains(name(b"t", *order)).unwrap());
        highest == Some(1000 - 2 * BATCH)
    };
    let mut died = Tandem::new(&parts, &is_over);
    assert_eq!(died.store(&mut writer), Err(Stop::Interrupted));
    assert_eq!(store.keys().count(), 1001 - 2 * BATCH);
    assert_eq!(store.get_vec("t").unwrap(), long.as_bytes());
    // A second run finishes.
    let mut tandem = Tandem::new(&parts, &|| false);
    assert_eq!(tandem.store(&mut writer), Ok(998 - 2 * BATCH as u64));
    assert_stored(&store, &parts);
}

#[test]
fn only_chunks_with_a_label_are_removed_and_the_search_for_them_can_be_interrupted() {
    let store = space(4096);
    let mut writer = store.writer().unwrap();
    let [old, new] = [4000, 1].map(index);
    writer.set("t", old.as_bytes()).unwrap();
    writer.set_type("t", Type::Json).unwrap();
    writer.label("t", INDEX_LABEL).unwrap();
    for (order, label) in [(2, 0), (3, 0x8)] {
        let key = name(b"t", order);
        writer.set(&key, b"mine").unwrap();
        writer.set_type(&key, Type::VarText).unwrap();
        writer.label(&key, label).unwrap();
    }
    let parts = text(1, b"new", &new);
    let looks = Cell::new(0);
    let is_pressed = || looks.replace(looks.get() + 1) == 3;
    assert_eq!(Tandem::new(&parts, &is_pressed).store(&mut writer), Err(Stop::Interrupted));
    assert_eq!(store.get_vec("t").unwrap(), old.as_bytes());
    assert_eq!(Tandem::new(&parts, &|| false).store(&mut writer), Ok(1));
    assert_eq!(store.get_vec("t.2").unwrap(), b"mine");
    assert_eq!((store.keys().count(), store.get_vec("t").unwrap()), (3, new.into_bytes()));
}

#[test]
fn a_type_that_cannot_be_set_is_a_failure_and_one_that_can_is_set_before_the_value() {
    let geometry = Geometry { slots: 8, max_value_len: 16, vector_dim: 0, max_writers: 2 };
    let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set_u64("t.1", 7).unwrap();
    writer.set_u64("t.2", u64::MAX).unwrap();
    let parts = text(2, b"text", "index");
    let refused = Tandem::new(&parts, &|| false).store(&mut writer);
    assert_eq!(refused, Err(Stop::Refused(b"t.2".to_vec(), Error::ValueTooLong)));
    assert_eq!((store.get_u64("t.2"), store.contains("t")), (Ok(u64::MAX), Ok(false)));
    writer.set_u64("t.2", 8).unwrap();
    let mut tandem = Tandem::new(&parts, &|| false);
    let (last, mut gone) = tandem.prepare(&mut writer).unwrap();
    assert_eq!(store.snapshot("t.2").unwrap().kind, Type::VarText);
    // Another writer takes it back, so the transaction would set a value of another type.
    writer.set_u64("t.2", 9).unwrap();
    assert!(tandem.commit(&mut writer, last, &mut gone).is_err());
    assert_eq!(tandem.store(&mut writer), Ok(0));
    assert_stored(&store, &parts);
}

#[test]
fn a_damaged_index_names_no_chunks() {
    assert_eq!(chunks_named(br#"{"chunks":3,"bytes":9,"source":"x","ingested":1}"#, 64), 3);
    for damaged in [
        &b""[..],
        b"3",
        b"\xff",
        br#"{"chunks":3"#,
        br#"{"chunks":3}"#,
        br#"{"chunks":-3,"bytes":9}"#,
        br#"{"chunks":3.5,"bytes":9}"#,
        br#"{"chunks":"3","bytes":9}"#,
        br#"{"chunks":10,"bytes":9}"#,
        br#"{"chunks":64,"bytes":900}"#,
        br#"{"chunks":18446744073709551615,"bytes":18446744073709551615}"#,
        br#"{"chunks":99999999999999999999999,"bytes":9}"#,
    ] {
        assert_eq!(chunks_named(damaged, 64), 0, "{}", damaged.escape_ascii());
    }
}
