//! The scrub levels, byte for byte: what is zero after a write and after a removal, in both buffers,
//! seen beside the mapping. Invariant 12, all of it.

use splinter::{Error, IntegerOp, Lifetime, Scrub, Store, Transaction, Type, Writer};
use splinter_testkit::raw::Raw;
use splinter_testkit::{config, geometry};

/// No power of two, and not a multiple of 64.
const MAX: usize = 1000;
const DIM: usize = 5;
const LENS: [usize; 14] = [1000, 0, 1, 7, 8, 13, 63, 64, 65, 127, 128, 129, 500, 999];

fn new(scrub: Scrub) -> (Store, Writer, Raw) {
    let geometry = geometry(4, MAX as u64, DIM as u32, 4);
    let store = Store::anonymous(&config(geometry, scrub)).unwrap();
    let writer = store.writer().unwrap();
    let raw = Raw::new(&store);
    (store, writer, raw)
}

/// Makes a value without a zero byte.
fn body(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 7 + salt * 31) % 255 + 1) as u8).collect()
}

/// A change to the key `key`.
type Change = fn(&mut Writer) -> Result<(), Error>;

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Fills both buffers of `key` to the brim with bytes that are not zero, at level none.
fn soil(store: &Store, writer: &mut Writer, key: &str) {
    let level = store.scrub();
    store.set_scrub(Scrub::None).unwrap();
    writer.set(key, &body(MAX, 1)).unwrap();
    writer.set(key, &body(MAX, 2)).unwrap();
    store.set_scrub(level).unwrap();
}

/// Asserts the table's line for `level` after a write that left a value of `len` bytes in `key`.
fn assert_after_write(store: &Store, raw: &Raw, key: &str, value: &[u8], level: Scrub) {
    let [current, other] = raw.buffers(store, key);
    let len = value.len();
    assert_eq!(&current[..len], value, "{level} {len}");
    match level {
        Scrub::None => {}
        Scrub::Hybrid => assert!(is_zero(&current[len..len.next_multiple_of(64)]), "{len}"),
        Scrub::Full => assert!(is_zero(&current[len..]) && is_zero(&other), "{len}"),
    }
    assert_eq!(store.inspect().unwrap().stale_bytes, 0);
}

#[test]
fn the_line_of_a_level_holds_after_every_set() {
    for level in Scrub::ALL {
        let (store, mut writer, raw) = new(level);
        soil(&store, &mut writer, "key");
        for (salt, len) in LENS.into_iter().chain(LENS.into_iter().rev()).enumerate() {
            let value = body(len, salt);
            writer.set("key", &value).unwrap();
            assert_after_write(&store, &raw, "key", &value, level);
        }
    }
}

#[test]
fn the_line_of_a_level_holds_after_every_append() {
    for level in Scrub::ALL {
        for start in LENS {
            let (store, mut writer, raw) = new(level);
            soil(&store, &mut writer, "key");
            let mut value = body(start, 3);
            writer.set("key", &value).unwrap();
            for tail in [0, 1, 7, 56, 64, 65, 200] {
                let tail = body(tail, 4);
                match writer.append("key", &tail) {
                    Ok(len) => value.extend_from_slice(&tail[..len - value.len()]),
                    Err(error) => assert_eq!(error, Error::ValueTooLong),
                }
                assert_after_write(&store, &raw, "key", &value, level);
            }
        }
    }
}

#[test]
fn the_line_of_a_level_holds_after_batches_tandems_and_handles() {
    for level in Scrub::ALL {
        let (store, mut writer, raw) = new(level);
        for key in ["key", "key.1", "key.2"] {
            soil(&store, &mut writer, key);
        }
        let values = [body(100, 1), body(0, 2), body(999, 3)];
        writer.set_tandem("key", &values.each_ref().map(Vec::as_slice)).unwrap();
        for (key, value) in ["key", "key.1", "key.2"].iter().zip(&values) {
            assert_after_write(&store, &raw, key, value, level);
        }
        let handle = store.resolve("key").unwrap();
        writer.set(handle, &body(70, 4)).unwrap();
        assert_after_write(&store, &raw, "key", &body(70, 4), level);
        let mut results = [Ok(()); 2];
        writer.set_many(&[("key.1", body(10, 5)), ("key.2", body(65, 6))], &mut results);
        assert_after_write(&store, &raw, "key.1", &body(10, 5), level);
        assert_after_write(&store, &raw, "key.2", &body(65, 6), level);
    }
}

#[test]
fn the_line_of_a_level_holds_after_a_removal() {
    for level in Scrub::ALL {
        for tandem in [false, true] {
            let (store, mut writer, raw) = new(level);
            soil(&store, &mut writer, "key");
            writer.set("key", &body(77, 3)).unwrap();
            writer.set_vector("key", &[1.5; DIM]).unwrap();
            let slot = raw.slot(&store, "key");
            let before = raw.both(slot);
            if tandem {
                assert_eq!(writer.unset_tandem("key", 2), Ok(1));
            } else {
                assert_eq!(writer.unset("key"), Ok(77));
            }
            let [first, second] = raw.both(slot);
            match level {
                Scrub::None => assert_eq!([first, second], before, "value bytes stay"),
                Scrub::Hybrid | Scrub::Full => assert!(is_zero(&first) && is_zero(&second)),
            }
            let [first, second] = raw.vectors(slot);
            let rest_is_zero = is_zero(&first) && is_zero(&second) && is_zero(&raw.key(slot));
            assert_eq!(rest_is_zero, level == Scrub::Full);
            assert_eq!(store.inspect().unwrap().stale_bytes, 0);
        }
    }
}

#[test]
fn numbers_leave_nothing_behind() {
    const NUMBER: u64 = 0x0123_4567_89ab_cdef;
    for level in Scrub::ALL {
        let (store, mut writer, raw) = new(level);
        writer.set_u64("key", NUMBER).unwrap();
        let slot = raw.slot(&store, "key");
        assert_eq!(raw.number(slot), NUMBER.to_le_bytes());
        writer.unset("key").unwrap();
        assert_eq!(is_zero(&raw.number(slot)), level != Scrub::None);
        // A text that becomes a number, and back: level full leaves neither behind.
        writer.set("key", b"1234567890123").unwrap();
        writer.set_type("key", Type::BigUint).unwrap();
        let slot = raw.slot(&store, "key");
        assert_eq!(raw.both(slot).iter().all(|bytes| is_zero(bytes)), level == Scrub::Full);
        writer.set("key", &body(20, 1)).unwrap();
        assert_eq!(is_zero(&raw.number(slot)), level == Scrub::Full);
        assert_after_write(&store, &raw, "key", &body(20, 1), level);
    }
}

#[test]
fn integer_operations_are_writes_to_level_full_as_well() {
    // Bytes that level none left behind go with the first write of any kind after the switch.
    let changes: [Change; 3] = [
        |writer| writer.integer("key", IntegerOp::Inc(1)).map(drop),
        |writer| writer.set_u64("key", 7),
        |writer| writer.bump("key"),
    ];
    for (which, change) in changes.into_iter().enumerate() {
        let (store, mut writer, raw) = new(Scrub::None);
        soil(&store, &mut writer, "key");
        writer.set_u64("key", 5).unwrap();
        let slot = raw.slot(&store, "key");
        store.set_scrub(Scrub::Full).unwrap();
        change(&mut writer).unwrap();
        // Where no exchange changes state and number at once, a number that replaces one lies in a buffer.
        let number = store.get_u64("key").unwrap().to_le_bytes();
        for bytes in raw.both(slot) {
            let (head, rest) = bytes.split_at(8);
            assert!((is_zero(head) || head == number) && is_zero(rest), "change {which} left stale bytes");
        }
        assert_eq!(store.inspect().unwrap().stale_bytes, 0);
    }
}

#[test]
fn a_single_stale_byte_goes_with_the_first_integer_operation_too() {
    // Invariant 12.
    let (store, mut writer, _) = new(Scrub::Hybrid);
    writer.set("key", b"5").unwrap();
    writer.set_type("key", Type::BigUint).unwrap();
    store.set_scrub(Scrub::Full).unwrap();
    writer.integer("key", IntegerOp::Inc(1)).unwrap();
    assert_eq!(store.inspect().unwrap().stale_bytes, 0);
}

#[test]
fn vectors_are_dropped_by_a_bit_and_zeroed_by_level_full() {
    for level in Scrub::ALL {
        let (store, mut writer, raw) = new(level);
        writer.set("key", b"x").unwrap();
        let slot = raw.slot(&store, "key");
        writer.set_vector("key", &[1.5; DIM]).unwrap();
        writer.set_vector("key", &[2.5; DIM]).unwrap();
        let live = |bytes: &Vec<u8>| !is_zero(bytes);
        let buffers = raw.vectors(slot).iter().filter(|bytes| live(bytes)).count();
        assert_eq!(buffers, if level == Scrub::Full { 1 } else { 2 });
        let mut vector = [0.0; DIM];
        store.vector("key", &mut vector).unwrap();
        assert_eq!(vector, [2.5; DIM]);
        // Setting the value drops the vector; clearing it does so, too.
        writer.set("key", b"y").unwrap();
        assert_eq!(store.vector("key", &mut vector), Err(Error::NotFound));
        assert_eq!(raw.vectors(slot).iter().any(live), level != Scrub::Full);
        writer.set_vector("key", &[3.5; DIM]).unwrap();
        writer.clear_vector("key").unwrap();
        assert_eq!(store.vector("key", &mut vector), Err(Error::NotFound));
        assert_eq!(raw.vectors(slot).iter().any(live), level != Scrub::Full);
        assert_eq!(store.inspect().unwrap().stale_bytes, 0);
    }
}

#[test]
fn every_level_is_reached_from_every_other_and_tells_the_truth() {
    let (store, mut writer, raw) = new(Scrub::default());
    assert_eq!(store.scrub(), Scrub::Hybrid);
    let other = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
    for from in Scrub::ALL {
        for to in Scrub::ALL {
            store.set_scrub(from).unwrap();
            soil(&store, &mut writer, "key");
            other.set_scrub(to).unwrap();
            for store in [&store, &other] {
                assert_eq!((store.scrub(), store.header().scrub), (to, to));
            }
            store.flags().set_user(0xa5a5).unwrap();
            assert_eq!((store.scrub(), store.flags().user()), (to, 0xa5a5));
            writer.set("key", &body(70, 9)).unwrap();
            assert_after_write(&store, &raw, "key", &body(70, 9), to);
            // Level none did not zero anything: what was there is still there.
            let [current, _] = raw.buffers(&store, "key");
            assert_eq!(is_zero(&current[70..128]), to != Scrub::None);
            assert_eq!(is_zero(&current[128..MAX]), to == Scrub::Full);
        }
    }
}

#[test]
fn purge_does_full_for_the_whole_store_at_any_level() {
    for level in Scrub::ALL {
        let (store, mut writer, raw) = new(level);
        for key in ["kept", "number", "secret-key"] {
            soil(&store, &mut writer, key);
            writer.set_vector(key, &[4.5; DIM]).unwrap();
        }
        writer.set("kept", &body(70, 3)).unwrap();
        writer.set_u64("number", 99).unwrap();
        let gone = raw.slot(&store, "secret-key");
        let number = raw.slot(&store, "number");
        store.set_scrub(Scrub::None).unwrap();
        writer.unset("secret-key").unwrap();
        assert!(raw.contains(b"secret-key"));
        store.set_scrub(level).unwrap();
        assert_eq!(writer.purge(), Ok(3));
        assert!(!raw.contains(b"secret-key"));
        assert!(is_zero(&raw.key(gone)));
        for slot in [gone, number] {
            assert!(raw.both(slot).iter().all(|bytes| is_zero(bytes)));
        }
        for slot in 0..4 {
            assert!(raw.vectors(slot).iter().all(|bytes| is_zero(bytes)));
        }
        let [current, other] = raw.buffers(&store, "kept");
        assert_eq!(current[..70], body(70, 3));
        assert!(is_zero(&current[70..]) && is_zero(&other));
        assert_eq!((store.get_u64("number"), store.scrub()), (Ok(99), level));
        store.set_scrub(Scrub::Full).unwrap();
        assert_eq!(store.inspect().unwrap().stale_bytes, 0);
    }
}

#[test]
fn a_retired_copy_is_gone_before_the_call_returns() {
    let (store, mut writer, raw) = new(Scrub::Full);
    let secret = b"the-secret-of-the-retired-copy";
    writer.set("key", secret).unwrap();
    assert!(raw.contains(secret));
    writer.set("key", b"").unwrap();
    assert!(!raw.contains(secret));
    writer.set("key", secret).unwrap();
    writer.unset("key").unwrap();
    assert!(!raw.contains(secret) && store.is_empty());
}

#[test]
fn nothing_that_was_about_a_key_is_left_of_it_at_level_full() {
    const NAME: &str = "a key whose name would show";
    const LABELS: u64 = 0x1122_3344_5566_7788;
    const DEADLINE: u64 = 0x0123_4567_89ab_cdef;
    for level in Scrub::ALL {
        let (_store, mut writer, raw) = new(level);
        let mut transaction = Transaction::new();
        transaction.key(NAME).set(b"value").label(LABELS).lifetime(Lifetime::Until(DEADLINE));
        writer.commit(&transaction).unwrap();
        let shows = |bytes: &[u8]| raw.whole().windows(bytes.len()).any(|window| window == bytes);
        let traces =
            || [shows(NAME.as_bytes()), shows(&LABELS.to_le_bytes()), shows(&DEADLINE.to_le_bytes())];
        assert_eq!(traces(), [true; 3]);
        writer.unset(NAME).unwrap();
        let is_left = level != Scrub::Full;
        assert_eq!(traces(), [is_left, is_left, false]);
        writer.purge().unwrap();
        assert_eq!(traces(), [false; 3]);
    }
}
