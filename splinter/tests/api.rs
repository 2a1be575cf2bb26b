//! Every function that reads or changes a key: what it does, and each of its errors, of which none
//! truncates or changes anything (invariant 13).

use splinter::{Config, Error, Expect, IntegerOp, Key, MAX_ORDERS, Scrub, SlotSnapshot, Store, Type, Writer};
use splinter_testkit::{assert_sound, geometry, store};

const MAX: usize = 100;
const DIM: usize = 3;

fn new() -> (Store, Writer) {
    let store = store(geometry(8, MAX as u64, DIM as u32, 4));
    let writer = store.writer().unwrap();
    (store, writer)
}

/// A change to the key `key`.
type Change = fn(&mut Writer) -> Result<(), Error>;

/// All that can be known of `key`, with its value and its vector.
fn all_of(store: &Store, key: &str) -> (SlotSnapshot, Vec<u8>, Option<[f32; DIM]>) {
    let mut vector = [0.0; DIM];
    let has_vector = store.vector(key, &mut vector);
    let vector = has_vector.ok().map(|()| vector);
    (store.snapshot(key).unwrap(), store.get_vec(key).unwrap(), vector)
}

/// Runs every operation that takes a key, and returns what each answered, in words of errors only.
fn answers(store: &Store, writer: &mut Writer, key: &[u8]) -> Vec<(&'static str, Error)> {
    let mut batch_read = [Ok(0)];
    store.get_many(&[key], &mut [0; 200], 200, &mut batch_read);
    let mut batch_write = [Ok(())];
    writer.set_many(&[(key, b"v")], &mut batch_write);
    let all: Vec<(_, Option<Error>)> = vec![
        ("get", store.get(key, &mut [0; 200]).err()),
        ("get_many", batch_read[0].err()),
        ("get_vec", store.get_vec(key).err()),
        ("get_u64", store.get_u64(key).err()),
        ("get_with", store.get_with(key, |_| ()).err()),
        ("view", store.view(key).err()),
        ("value_len", store.value_len(key).err()),
        ("contains", store.contains(key).err()),
        ("epoch", store.epoch(key).err()),
        ("snapshot", store.snapshot(key).err()),
        ("resolve", store.resolve(key).err()),
        ("vector", store.vector(key, &mut [0.0; DIM]).err()),
        ("tandem", store.tandem(key, &mut [vec![]]).err()),
        ("set_many", batch_write[0].err()),
        ("set", writer.set(key, b"v").err()),
        ("append", writer.append(key, b"v").err()),
        ("unset", writer.unset(key).err()),
        ("bump", writer.bump(key).err()),
        ("integer", writer.integer(key, IntegerOp::Not).err()),
        ("set_u64", writer.set_u64(key, 1).err()),
        ("set_type", writer.set_type(key, Type::Json).err()),
        ("label", writer.label(key, 1).err()),
        ("unlabel", writer.unlabel(key, 1).err()),
        ("set_slot_flags", writer.set_slot_flags(key, 1).err()),
        ("clear_slot_flags", writer.clear_slot_flags(key, 1).err()),
        ("set_ctime", writer.set_ctime(key, 1, 0).err()),
        ("set_atime", writer.set_atime(key, 1, 0).err()),
        ("set_vector", writer.set_vector(key, &[0.0; DIM]).err()),
        ("clear_vector", writer.clear_vector(key).err()),
        ("set_tandem", writer.set_tandem(key, &[b"v"]).err()),
        ("unset_tandem", writer.unset_tandem(key, 1).err()),
    ];
    all.into_iter().filter_map(|(name, error)| Some((name, error?))).collect()
}

#[test]
fn invalid_keys_are_refused_by_every_operation() {
    // Invariant 13.
    let (store, mut writer) = new();
    let nuls = [&b"\0"[..], b"a\0", b"\0a", b"abc\0defghijkl", &[0; 63]];
    let long = [vec![b'k'; 64], vec![b'k'; 1000], vec![0; 64]];
    let cases = [(&b""[..], Error::KeyEmpty)];
    let cases = cases.into_iter().chain(nuls.map(|key| (key, Error::KeyHasNul)));
    let cases = cases.chain(long.iter().map(|key| (&key[..], Error::KeyTooLong)));
    for (key, error) in cases {
        let answers = answers(&store, &mut writer, key);
        assert_eq!(answers.len(), 31, "{answers:?}");
        assert!(answers.iter().all(|(_, answer)| *answer == error), "{error}: {answers:?}");
        assert_eq!(Key::new(key).err(), Some(error));
    }
    assert_eq!(store.header().epoch, 0);
    assert_sound(&store, 0);
}

#[test]
fn a_missing_key_is_not_found_and_only_sets_create_it() {
    // Invariant 13.
    let (store, mut writer) = new();
    store.get_many(&["no"], &mut [], 0, &mut [Ok(0)]);
    let not_found = Error::NotFound;
    assert_eq!(writer.append("no", b"v"), Err(not_found));
    assert_eq!(writer.unset("no"), Err(not_found));
    assert_eq!(writer.bump("no"), Err(not_found));
    assert_eq!(writer.integer("no", IntegerOp::Inc(1)), Err(not_found));
    assert_eq!(writer.set_type("no", Type::Json), Err(not_found));
    assert_eq!(writer.label("no", 1), Err(not_found));
    assert_eq!(writer.unlabel("no", 1), Err(not_found));
    assert_eq!(writer.set_slot_flags("no", 1), Err(not_found));
    assert_eq!(writer.clear_slot_flags("no", 1), Err(not_found));
    assert_eq!(writer.set_ctime("no", 1, 0), Err(not_found));
    assert_eq!(writer.set_atime("no", 1, 0), Err(not_found));
    assert_eq!(writer.set_vector("no", &[0.0; DIM]), Err(not_found));
    assert_eq!(writer.clear_vector("no"), Err(not_found));
    assert_eq!(writer.unset_tandem("no", 2), Ok(0));
    assert_eq!(store.get("no", &mut []), Err(not_found));
    assert_eq!(store.get_u64("no"), Err(not_found));
    assert_eq!(store.contains("no"), Ok(false));
    assert_eq!(store.view("no").err(), Some(not_found));
    assert_eq!(store.resolve("no").err(), Some(not_found));
    assert_eq!(store.tandem("no", &mut [vec![], vec![]]), Err(not_found));
    assert_eq!((store.header().epoch, store.len()), (0, 0));
    assert_sound(&store, 0);
}

#[test]
fn refusals_change_nothing_of_a_key() {
    // Invariant 13.
    let (store, mut writer) = new();
    writer.set("key", b"value").unwrap();
    writer.set_type("key", Type::Json).unwrap();
    writer.label("key", 6).unwrap();
    writer.set_slot_flags("key", 5).unwrap();
    writer.set_vector("key", &[1.0, 2.0, 3.0]).unwrap();
    writer.set_ctime("key", 100, 1).unwrap();
    let before = (all_of(&store, "key"), store.header().epoch);
    let long = [b'x'; MAX + 1];
    assert_eq!(writer.set("key", &long), Err(Error::ValueTooLong));
    let handle = store.resolve("key").unwrap();
    assert_eq!(writer.set(handle, &long), Err(Error::ValueTooLong));
    let mut results = [Ok(())];
    writer.set_many(&[("key", long)], &mut results);
    assert_eq!(results, [Err(Error::ValueTooLong)]);
    assert_eq!(writer.append("key", &long), Err(Error::ValueTooLong));
    assert_eq!(writer.append("key", &long[..MAX - 4]), Err(Error::ValueTooLong));
    assert_eq!(writer.set_tandem("key", &[b"ok", &long]), Err(Error::ValueTooLong));
    assert_eq!(writer.integer("key", IntegerOp::Inc(1)), Err(Error::WrongType));
    assert_eq!(writer.integer(handle, IntegerOp::Inc(1)), Err(Error::WrongType));
    assert_eq!(writer.set_type("key", Type::BigUint), Err(Error::WrongType));
    for dim in [0, DIM - 1, DIM + 1] {
        assert_eq!(writer.set_vector("key", &vec![9.0; dim]), Err(Error::WrongDimension));
        assert_eq!(store.vector("key", &mut vec![9.0; dim]), Err(Error::WrongDimension));
    }
    for orders in [0, MAX_ORDERS + 1] {
        assert_eq!(writer.set_tandem("key", &vec![&b"x"[..]; orders]), Err(Error::BadOrders));
        assert_eq!(writer.unset_tandem("key", orders), Err(Error::BadOrders));
        assert_eq!(store.tandem("key", &mut vec![vec![]; orders]), Err(Error::BadOrders));
    }
    assert_eq!(store.get_u64("key"), Err(Error::WrongType));
    let mut buf = [7; 4];
    let small = Err(Error::BufferTooSmall { needed: 5 });
    assert_eq!(store.get("key", &mut buf), small);
    assert_eq!(store.get(handle, &mut buf), small);
    let mut results = [Ok(0)];
    store.get_many(&["key"], &mut buf, 4, &mut results);
    assert_eq!((results[0], buf), (small, [7; 4]));
    let after = (all_of(&store, "key"), store.header().epoch);
    let ((mut snapshot, value, vector), count) = after;
    // Even the epoch: a failed change signals no watcher.
    let epoch = std::mem::replace(&mut snapshot.epoch, before.0.0.epoch);
    assert_eq!(((snapshot, value, vector), count), before);
    assert_eq!(epoch, before.0.0.epoch, "the epoch rose without a change");
}

#[test]
fn a_store_without_vectors_refuses_them() {
    let store = store(geometry(2, 8, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("key", b"v").unwrap();
    for dim in [0, 1] {
        assert_eq!(writer.set_vector("key", &vec![1.0; dim]), Err(Error::WrongDimension));
        assert_eq!(store.vector("key", &mut vec![1.0; dim]), Err(Error::WrongDimension));
    }
    assert!(!store.snapshot("key").unwrap().has_vector);
}

#[test]
fn setting_keeps_what_is_not_the_value_and_drops_the_vector() {
    let (store, mut writer) = new();
    writer.set("key", b"one").unwrap();
    writer.set_type("key", Type::VarText).unwrap();
    writer.label("key", 0b110).unwrap();
    writer.unlabel("key", 0b010).unwrap();
    assert_eq!(writer.set_slot_flags("key", 0xf0f0), Ok(0xf0f0));
    assert_eq!(writer.clear_slot_flags("key", 0xff00), Ok(0x00f0));
    writer.set_ctime("key", 1000, 1).unwrap();
    writer.set_atime("key", 5, 10).unwrap();
    writer.set_vector("key", &[1.0, f32::INFINITY, -0.0]).unwrap();
    let (seen, value, vector) = all_of(&store, "key");
    assert_eq!((seen.key.as_ref(), seen.value_len, &value[..]), (&b"key"[..], 3, &b"one"[..]));
    assert_eq!((seen.kind, seen.user_flags, seen.labels), (Type::VarText, 0x00f0, 0b100));
    assert_eq!((seen.ctime, seen.atime, seen.has_vector), (999, 0, true));
    assert_eq!(
        vector.map(|parts| parts.map(f32::to_bits)),
        Some([1.0, f32::INFINITY, -0.0].map(f32::to_bits))
    );
    assert_eq!(seen.hash, store.hash_key(b"key"));
    writer.set("key", b"four").unwrap();
    let (now, value, vector) = all_of(&store, "key");
    assert_eq!((&value[..], vector, now.has_vector), (&b"four"[..], None, false));
    assert_eq!(
        (now.kind, now.user_flags, now.labels, now.ctime),
        (seen.kind, seen.user_flags, seen.labels, seen.ctime)
    );
    // A removed key leaves nothing to the next of its name.
    writer.unset("key").unwrap();
    writer.set("key", b"new").unwrap();
    let (now, ..) = all_of(&store, "key");
    assert_eq!((now.kind, now.user_flags, now.labels, now.ctime, now.atime), (Type::Void, 0, 0, 0, 0));
}

#[test]
fn changes_of_the_content_raise_the_epoch_by_two_and_nothing_else_does() {
    // Invariant 6.
    let contents: [Change; 15] = [
        |w| w.set("key", b"1"),
        |w| w.append("key", b"2").map(drop),
        |w| w.append("key", b"").map(drop),
        |w| w.bump("key"),
        |w| w.set_type("key", Type::BigUint),
        |w| w.integer("key", IntegerOp::Inc(0)).map(drop),
        |w| w.set_vector("key", &[0.0; DIM]),
        |w| w.integer("key", IntegerOp::Inc(1)).map(drop),
        |w| w.set("key", b"12"),
        |w| w.integer("key", IntegerOp::Inc(1)).map(drop),
        |w| w.set_u64("key", 7),
        |w| w.set_vector("key", &[0.0; DIM]),
        |w| w.clear_vector("key"),
        |w| w.set_tandem("key", &[b"1"]),
        |w| {
            let mut result = [Ok(())];
            w.set_many(&[("key", b"2")], &mut result);
            result[0]
        },
    ];
    let others: [Change; 9] = [
        |w| w.label("key", 1),
        |w| w.unlabel("key", 1),
        |w| w.set_slot_flags("key", 1).map(drop),
        |w| w.clear_slot_flags("key", 1).map(drop),
        |w| w.set_ctime("key", 1, 0).and(w.set_atime("key", 1, 0)),
        |w| w.register("key", 3),
        |w| w.unregister("key", 3),
        |w| w.purge().map(drop),
        |w| w.set_tandem("key", &[&[0; MAX], &[0; MAX + 1]]).map_or(Ok(()), |()| Err(Error::Full)),
    ];
    for scrub in Scrub::ALL {
        let (store, mut writer) = new();
        store.set_scrub(scrub).unwrap();
        writer.set("key", b"1").unwrap();
        for (which, change) in contents.into_iter().enumerate() {
            for (other, unchanging) in others.into_iter().enumerate() {
                let before = (store.epoch("key"), store.get_vec("key"));
                unchanging(&mut writer).unwrap();
                assert_eq!((store.epoch("key"), store.get_vec("key")), before, "{other} before {which}");
            }
            let before = (store.epoch("key").unwrap(), store.header().epoch);
            change(&mut writer).unwrap();
            let after = (store.epoch("key").unwrap(), store.header().epoch);
            assert_eq!(after, (before.0 + 2, before.1 + 1), "change {which} at level {scrub:?}");
            let _ = (store.get_vec("key"), store.get_u64("key"), store.inspect(), store.keys().count());
            assert_eq!((store.epoch("key").unwrap(), store.header().epoch), after);
        }
        let before = store.header().epoch;
        let (_, removed) = writer.unset_if("key", Expect::Any).unwrap();
        assert!(store.header().epoch > before);
        let added = writer.set_if("key", b"1", Expect::Any).unwrap();
        assert_eq!((added.slot, added.epoch), (removed.slot, removed.epoch + 2));
    }
}

#[test]
fn handles_end_with_their_key() {
    let (store, mut writer) = new();
    writer.set_u64("key", 1).unwrap();
    let handle = store.resolve("key").unwrap();
    assert_eq!(writer.integer(handle, IntegerOp::Inc(1)), Ok(2));
    writer.set(handle, b"value").unwrap();
    assert_eq!(store.get(handle, &mut [0; 8]), Ok(5));
    writer.unset("key").unwrap();
    for _ in 0..2 {
        assert_eq!(store.get(handle, &mut [0; 8]), Err(Error::NotFound));
        assert_eq!(writer.set(handle, b"v"), Err(Error::NotFound));
        assert_eq!(writer.integer(handle, IntegerOp::Not), Err(Error::NotFound));
        // Even if another key has the slot.
        for n in 0..8 {
            let _ = writer.set(format!("other{n}"), b"v");
        }
    }
    assert_eq!(store.len(), 8);
}

#[test]
fn batches_answer_for_each_key_on_its_own() {
    let (store, mut writer) = new();
    let long = vec![b'x'; MAX + 1];
    let pairs: Vec<(&[u8], &[u8])> =
        vec![(b"a", b"1"), (b"", b"2"), (b"b", &long), (b"a", b"4"), (&[b'k'; 64], b"5"), (b"c", b"")];
    let mut results = vec![Ok(()); 7];
    writer.set_many(&pairs, &mut results);
    let expected = [
        Ok(()),
        Err(Error::KeyEmpty),
        Err(Error::ValueTooLong),
        Ok(()),
        Err(Error::KeyTooLong),
        Ok(()),
        Ok(()),
    ];
    assert_eq!(results, expected);
    let keys = ["a", "b", "", "c"];
    let (mut bufs, mut lens) = ([9; 8], [Ok(9); 5]);
    store.get_many(&keys, &mut bufs, 2, &mut lens);
    assert_eq!(lens, [Ok(1), Err(Error::NotFound), Err(Error::KeyEmpty), Ok(0), Ok(9)]);
    assert_eq!(bufs, [b'4', 9, 9, 9, 9, 9, 9, 9]);
    assert_eq!(store.len(), 2);
    // More keys than a batch holds, most of them once more than there is room for.
    let many: Vec<_> = (0..100).map(|n| (format!("many{n}"), [n as u8])).collect();
    let mut results = vec![Err(Error::Again); 100];
    writer.set_many(&many, &mut results);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Error::Full))));
    let keys: Vec<_> = many.iter().map(|(key, _)| key).collect();
    let (mut bufs, mut lens) = ([0; 100], [Ok(0); 100]);
    store.get_many(&keys, &mut bufs, 1, &mut lens);
    for n in 0..100 {
        assert_eq!(lens[n].is_ok(), results[n].is_ok());
        assert!(lens[n].is_err() || bufs[n] == n as u8);
    }
}

#[test]
fn views_show_values_where_they_lie_until_they_are_overwritten() {
    let (store, mut writer) = new();
    writer.set("key", b"0123456789").unwrap();
    let view = store.view("key").unwrap();
    assert_eq!((view.len(), view.is_empty(), view.epoch()), (10, false, store.epoch("key").unwrap()));
    assert!(view.bytes().eq(*b"0123456789"));
    assert_eq!(view.word(0), u64::from_le_bytes(*b"01234567"));
    assert_eq!((view.word(1), view.word(2)), (u64::from(u16::from_le_bytes(*b"89")), 0));
    let mut out = [0; 4];
    assert_eq!((view.copy_to(&mut out), &out), (4, b"0123"));
    assert!(view.validate());
    writer.set("key", b"again").unwrap();
    assert!(view.validate() && view.bytes().eq(*b"0123456789"), "one overwrite spares the buffer");
    writer.set("key", b"and again").unwrap();
    assert!(!view.validate());
    writer.set_u64("key", 0x0102).unwrap();
    let view = store.view("key").unwrap();
    assert_eq!((view.len(), view.word(0), view.word(1)), (8, 0x0102, 0));
    assert_eq!(store.get_with("key", |view| view.bytes().map(u64::from).sum::<u64>()), Ok(3));
}

#[test]
fn a_change_tells_the_version_that_it_made_at_every_scrub_level() {
    // Invariant 6, as writers see it.
    for scrub in Scrub::ALL {
        let store = Store::anonymous(&Config { scrub, ..Config::default() }).unwrap();
        let mut writer = store.writer().unwrap();
        let mut last = writer.set_if("k", b"one", Expect::Any).unwrap();
        assert_eq!(last.slot, store.resolve("k").unwrap().slot());
        for _ in 0..3 {
            let set = writer.set_if("k", b"two", Expect::Any).unwrap();
            let (len, appended) = writer.append_if("k", b"!", Expect::Any).unwrap();
            assert_eq!(len, 4);
            assert!(last.epoch < set.epoch && set.epoch < appended.epoch, "{scrub}");
            assert_eq!(store.epoch("k"), Ok(appended.epoch), "{scrub}");
            last = appended;
        }
        let (len, gone) = writer.unset_if("k", Expect::Any).unwrap();
        assert!(len == 4 && gone.slot == last.slot && gone.epoch > last.epoch, "{scrub}");
        let back = writer.set_if("k", b"three", Expect::Any).unwrap();
        assert!(back.slot != gone.slot || back.epoch > gone.epoch, "{scrub}");
    }
}

#[test]
fn the_content_of_a_key_is_all_that_was_put_there() {
    let store = store(geometry(8, 64, 3, 2));
    let mut writer = store.writer().unwrap();
    writer.set("key", b"value").unwrap();
    writer.set_type("key", Type::Json).unwrap();
    writer.set_vector("key", &[1.0, 2.0, 3.0]).unwrap();
    writer.label("key", 1 << 63 | 2).unwrap();
    writer.register("key", 63).unwrap();
    writer.set_ctime("key", 9, 2).unwrap();
    store.register_labels(2, 5).unwrap();
    let content = store.content("key").unwrap();
    assert_eq!((&content.value[..], content.number), (&b"value"[..], None));
    assert_eq!(content.vector, [1.0, 2.0, 3.0]);
    assert_eq!(content.slot, store.snapshot("key").unwrap());
    assert_eq!((content.slot.registered, content.slot.labels), (1 << 63, 1 << 63 | 2));
    assert_eq!(content.slot.groups, 1 << 63 | 1 << 5);
    assert_eq!((content.slot.kind, content.slot.ctime), (Type::Json, 7));
    assert_eq!([0, 1, 63, 64, 255].map(|label| store.label_groups(label)), [0, 1 << 5, 0, 0, 0]);
    writer.set_u64("number", u64::MAX - 1).unwrap();
    let number = store.content("number").unwrap();
    assert_eq!((number.number, number.value.len()), (Some(u64::MAX - 1), 8));
    assert!(number.vector.is_empty());
    assert_eq!(store.content("missing"), Err(Error::NotFound));
}

#[test]
fn a_key_that_is_removed_by_its_handle_leaves_nothing_in_the_index() {
    // Invariant 9: more keys than one bucket has room for, so that some are displaced.
    let store = store(geometry(64, 16, 0, 2));
    let mut writer = store.writer().unwrap();
    let keys: Vec<String> = (0..48).map(|number| format!("key{number}")).collect();
    for round in 0..100 {
        for key in &keys {
            writer.set(key, b"v").unwrap();
        }
        for key in keys.iter().skip(round % 3).step_by(3) {
            let handle = store.resolve(key).unwrap();
            assert_eq!(store.snapshot(handle).unwrap().hash, store.hash_key(key.as_bytes()));
            writer.label(handle, 1).unwrap();
            writer.append(handle, b"w").unwrap();
            assert_eq!(writer.unset(handle), Ok(2));
            assert_eq!(writer.unset(handle), Err(Error::NotFound));
            assert_eq!(writer.set(handle, b"v"), Err(Error::NotFound));
            assert!(!store.contains(key).unwrap());
        }
        assert_sound(&store, 32);
    }
}
