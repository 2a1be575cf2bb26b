//! `BIGUINT` slots: the operations, what turns into a number and what does not, and what a number turns
//! into.

use splinter::{Error, IntegerOp, Type};
use splinter_testkit::{geometry, store};

#[test]
fn operations_return_the_new_number_and_wrap() {
    // Invariant 10.
    let store = store(geometry(2, 32, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set_u64("n", 0b1100).unwrap();
    let steps = [
        (IntegerOp::And(0b0110), 0b0100),
        (IntegerOp::Or(0b0011), 0b0111),
        (IntegerOp::Xor(0b0101), 0b0010),
        (IntegerOp::Inc(40), 42),
        (IntegerOp::Dec(43), u64::MAX),
        (IntegerOp::Inc(2), 1),
        (IntegerOp::Not, u64::MAX - 1),
        (IntegerOp::Inc(u64::MAX), u64::MAX - 2),
    ];
    for (op, expected) in steps {
        assert_eq!(writer.integer("n", op), Ok(expected), "{op:?}");
        assert_eq!(store.get_u64("n"), Ok(expected));
        assert_eq!(store.get_vec("n").unwrap(), expected.to_le_bytes());
    }
    assert_eq!(store.value_len("n"), Ok(8));
    assert_eq!(store.snapshot("n").unwrap().kind, Type::BigUint);
}

#[test]
fn decimal_text_converts_when_it_is_promoted_and_other_text_is_refused() {
    let store = store(geometry(2, 32, 0, 2));
    let mut writer = store.writer().unwrap();
    let good: [(&[u8], u64); 8] = [
        (b"0", 0),
        (b"42", 42),
        (b"00042", 42),
        (b"12345678", 12_345_678),
        (b"18446744073709551615", u64::MAX),
        (&[1, 0, 0, 0, 0, 0, 0, 0], 1),
        (&[0xff; 8], u64::MAX),
        (&[1, 2], 0x201),
    ];
    for (text, number) in good {
        let _ = writer.unset("n");
        writer.set("n", text).unwrap();
        assert_eq!(writer.integer("n", IntegerOp::Inc(0)), Err(Error::WrongType));
        assert_eq!(store.get_u64("n"), Err(Error::WrongType));
        writer.set_type("n", Type::BigUint).unwrap();
        assert_eq!(store.get_u64("n"), Ok(number));
        assert_eq!(writer.integer("n", IntegerOp::Inc(1)), Ok(number.wrapping_add(1)));
    }
    let bad: [&[u8]; 9] = [
        b"",
        b"-1",
        b"+1",
        b" 1",
        b"1.5",
        b"0x10",
        b"18446744073709551616",
        b"100000000000000000000000",
        b"eighteen",
    ];
    for text in bad {
        let _ = writer.unset("n");
        writer.set("n", text).unwrap();
        assert_eq!(writer.set_type("n", Type::BigUint), Err(Error::WrongType));
        assert_eq!(store.get_vec("n").unwrap(), text);
        assert_eq!(store.snapshot("n").unwrap().kind, Type::Void);
    }
}

#[test]
fn eight_bytes_are_an_integer_by_its_own_call_whatever_they_look_like() {
    let store = store(geometry(2, 32, 3, 2));
    let mut writer = store.writer().unwrap();
    for text in [*b"12345678", *b"eighteen", [1, 0, 0, 0, 0, 0, 0, 0]] {
        writer.set("n", &text).unwrap();
        writer.set_type_of_integer("n", Type::BigUint).unwrap();
        assert_eq!(store.get_u64("n"), Ok(u64::from_le_bytes(text)));
        let _ = writer.unset("n");
    }
    writer.set("n", b"words").unwrap();
    assert_eq!(writer.set_type_of_integer("n", Type::BigUint), Err(Error::WrongType));
    writer.set("n", b"42").unwrap();
    writer.set_type_of_integer("n", Type::BigUint).unwrap();
    assert_eq!(store.get_u64("n"), Ok(42));
}

#[test]
fn numbers_become_digits_as_text_and_bytes_as_anything_else() {
    let store = store(geometry(2, 32, 3, 2));
    let mut writer = store.writer().unwrap();
    for kind in Type::ALL {
        for number in [0, 7, 1_234_567, u64::MAX] {
            let _ = writer.unset("n");
            writer.set_u64("n", number).unwrap();
            writer.set_vector("n", &[1.0; 3]).unwrap();
            writer.set_type("n", kind).unwrap();
            let seen = store.get_vec("n").unwrap();
            match kind {
                Type::Json | Type::VarText => assert_eq!(seen, number.to_string().into_bytes()),
                _ => assert_eq!(seen, number.to_le_bytes()),
            }
            let snapshot = store.snapshot("n").unwrap();
            assert_eq!((snapshot.kind, snapshot.has_vector), (kind, true));
            writer.set_type("n", Type::BigUint).unwrap();
            assert_eq!(store.get_u64("n"), Ok(number));
        }
    }
}

#[test]
fn a_number_slot_can_be_set_as_bytes_and_counted_on() {
    let store = store(geometry(2, 32, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set_u64("n", 5).unwrap();
    assert_eq!(writer.append("n", b"x"), Err(Error::WrongType));
    writer.set("n", b"100").unwrap();
    assert_eq!((store.get_vec("n").unwrap(), store.get_u64("n")), (b"100".to_vec(), Ok(100)));
    assert_eq!(writer.integer("n", IntegerOp::Inc(1)), Ok(101));
    writer.set("n", &7_u64.to_le_bytes()).unwrap();
    assert_eq!(writer.integer("n", IntegerOp::Inc(1)), Ok(8));
    writer.set("n", b"words").unwrap();
    assert_eq!(store.get_u64("n"), Err(Error::WrongType));
    assert_eq!(writer.integer("n", IntegerOp::Inc(1)), Err(Error::WrongType));
    assert_eq!(store.get_vec("n").unwrap(), b"words");
    // Setting the number itself needs no number to be there.
    writer.set_u64("n", 9).unwrap();
    assert_eq!(store.get_u64("n"), Ok(9));
}

#[test]
fn every_type_is_named_and_found_by_its_name() {
    let store = store(geometry(2, 32, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("key", b"1").unwrap();
    for kind in Type::ALL {
        writer.set_type("key", kind).unwrap();
        assert_eq!(store.snapshot("key").unwrap().kind, kind);
        assert_eq!(kind.to_string().to_lowercase().parse(), Ok(kind));
    }
    let unknown = "TEXT".parse::<Type>().unwrap_err().to_string();
    assert!(unknown.contains("TEXT") && unknown.contains("VARTEXT"));
}

#[test]
fn changing_a_number_drops_the_vector_that_its_old_value_had() {
    // Design, vectors: a vector goes with the value that it was made for.
    let store = store(geometry(2, 32, 4, 2));
    let mut writer = store.writer().unwrap();
    for by_set in [true, false] {
        writer.set_u64("n", 1).unwrap();
        writer.set_vector("n", &[1.0; 4]).unwrap();
        if by_set {
            writer.set_u64("n", 2).unwrap();
        } else {
            writer.integer("n", IntegerOp::Inc(1)).unwrap();
        }
        assert_eq!(store.get_u64("n"), Ok(2));
        assert_eq!(store.vector("n", &mut [0.0; 4]), Err(Error::NotFound));
    }
}
