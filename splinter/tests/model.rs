//! Random sequences of operations against a map that does the same: every answer and every value must
//! agree, at every scrub level, in stores so small that all keys meet in the index.

mod common;

use common::valgrind::rounds;
use common::{Named, Rng, assert_every_slot_usable, assert_sound_but_for_stale_bytes, config, geometry};
use splinter::{Error, IntegerOp, Scrub, Store, Type, Writer};
use std::collections::BTreeMap;

const MAX: usize = 150;
const DIM: usize = 3;

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    value: Vec<u8>,
    /// Whether the value is held as a number, which cannot be appended to.
    is_number: bool,
    kind: Type,
    flags: u16,
    labels: u64,
    ctime: u64,
    atime: u64,
    vector: Option<[f32; DIM]>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            value: Vec::new(),
            is_number: false,
            kind: Type::Void,
            flags: 0,
            labels: 0,
            ctime: 0,
            atime: 0,
            vector: None,
        }
    }
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<String, Entry>,
    slots: usize,
}

impl Model {
    fn get(&mut self, key: &str) -> Result<&mut Entry, Error> {
        self.entries.get_mut(key).ok_or(Error::NotFound)
    }

    fn get_or_insert(&mut self, key: &str) -> Result<&mut Entry, Error> {
        if !self.entries.contains_key(key) && self.entries.len() == self.slots {
            return Err(Error::Full);
        }
        Ok(self.entries.entry(key.to_owned()).or_default())
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        check_len(value.len())?;
        let entry = self.get_or_insert(key)?;
        (entry.value, entry.is_number, entry.vector) = (value.to_vec(), false, None);
        Ok(())
    }

    fn append(&mut self, key: &str, tail: &[u8]) -> Result<usize, Error> {
        check_len(tail.len())?;
        let entry = self.get(key)?;
        if entry.is_number {
            return Err(Error::WrongType);
        }
        check_len(entry.value.len() + tail.len())?;
        entry.value.extend_from_slice(tail);
        entry.vector = None;
        Ok(entry.value.len())
    }

    fn set_u64(&mut self, key: &str, number: u64) -> Result<(), Error> {
        let entry = self.get_or_insert(key)?;
        entry.vector = None;
        (entry.value, entry.is_number, entry.kind) = (number.to_le_bytes().into(), true, Type::BigUint);
        Ok(())
    }

    fn integer(&mut self, key: &str, op: IntegerOp) -> Result<u64, Error> {
        let entry = self.get(key)?;
        if entry.kind != Type::BigUint {
            return Err(Error::WrongType);
        }
        let old = number_in_slot(&entry.value).ok_or(Error::WrongType)?;
        let new = match op {
            IntegerOp::And(mask) => old & mask,
            IntegerOp::Or(mask) => old | mask,
            IntegerOp::Xor(mask) => old ^ mask,
            IntegerOp::Not => !old,
            IntegerOp::Inc(by) => old.wrapping_add(by),
            IntegerOp::Dec(by) => old.wrapping_sub(by),
        };
        (entry.value, entry.is_number, entry.vector) = (new.to_le_bytes().into(), true, None);
        Ok(new)
    }

    fn set_type(&mut self, key: &str, kind: Type, parse: fn(&[u8]) -> Option<u64>) -> Result<(), Error> {
        let entry = self.get(key)?;
        if kind == Type::BigUint && !entry.is_number {
            let number = parse(&entry.value).ok_or(Error::WrongType)?;
            (entry.value, entry.is_number) = (number.to_le_bytes().into(), true);
        } else if kind != Type::BigUint && entry.is_number {
            entry.is_number = false;
            if matches!(kind, Type::Json | Type::VarText) {
                let bytes = entry.value.clone().try_into().expect("eight bytes");
                entry.value = u64::from_le_bytes(bytes).to_string().into_bytes();
            }
        }
        entry.kind = kind;
        Ok(())
    }

    fn set_tandem(&mut self, names: &[String], values: &[&[u8]]) -> Result<(), Error> {
        values.iter().try_for_each(|value| check_len(value.len()))?;
        let missing = names.iter().filter(|name| !self.entries.contains_key(*name));
        if self.entries.len() + missing.count() > self.slots {
            return Err(Error::Full);
        }
        names.iter().zip(values).try_for_each(|(name, value)| self.set(name, value))
    }
}

fn check_len(len: usize) -> Result<(), Error> {
    if len > MAX { Err(Error::ValueTooLong) } else { Ok(()) }
}

fn number_in_slot(bytes: &[u8]) -> Option<u64> {
    if bytes.len() == 8 { integer(bytes) } else { parse_number(bytes) }
}

/// Bytes of an integer, the lowest first.
fn integer(bytes: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&bytes.len());
    fits.then(|| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn parse_decimal(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| digits)?.parse().ok()
}

fn parse_number(bytes: &[u8]) -> Option<u64> {
    parse_decimal(bytes).or_else(|| integer(bytes).filter(|_| !is_text(bytes)))
}

fn is_text(bytes: &[u8]) -> bool {
    let is_shown = |char: char| char.is_whitespace() || !char.is_control();
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_shown));
    text.is_some_and(|text| !text.trim().is_empty())
}

/// Draws a value: of any length, or one that reads as a number.
fn draw_value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(6) {
        0 => rng.next().to_string().into_bytes(),
        1 => (rng.next() >> 40).to_string().into_bytes(),
        2 => rng.next().to_le_bytes()[..1 + rng.below(8) as usize].to_vec(),
        3 => {
            let len = MAX + 1 - rng.below(3) as usize;
            rng.bytes(len)
        }
        _ => {
            let len = rng.below(MAX as u64) as usize;
            rng.bytes(len)
        }
    }
}

fn step(rng: &mut Rng, writer: &mut Writer, model: &mut Model, key: &str) {
    let value = draw_value(rng);
    let orders = 1 + rng.below(4) as usize;
    let names: Vec<_> =
        (0..orders).map(|n| if n == 0 { key.to_owned() } else { format!("{key}.{n}") }).collect();
    let word = rng.next();
    match rng.below(18) {
        0..4 => assert_eq!(writer.set(key, &value), model.set(key, &value)),
        4..6 => {
            let tail = &value[..value.len().min(word as usize % 70)];
            assert_eq!(writer.append(key, tail), model.append(key, tail));
        }
        6..8 => {
            let removed = model.entries.remove(key).map(|entry| entry.value.len());
            assert_eq!(writer.unset(key), removed.ok_or(Error::NotFound));
        }
        8 => assert_eq!(writer.set_u64(key, word), model.set_u64(key, word)),
        9 => {
            let op = *rng.pick(&[
                IntegerOp::And(word),
                IntegerOp::Or(word),
                IntegerOp::Xor(word),
                IntegerOp::Not,
                IntegerOp::Inc(word),
                IntegerOp::Dec(word),
            ]);
            assert_eq!(writer.integer(key, op), model.integer(key, op));
        }
        10 => {
            let kind = *rng.pick(&Type::ALL);
            if word & 1 != 0 {
                assert_eq!(writer.set_type(key, kind), model.set_type(key, kind, parse_number));
            } else {
                let theirs = writer.set_type_of_integer(key, kind);
                assert_eq!(theirs, model.set_type(key, kind, number_in_slot));
            }
        }
        11 => {
            let set = word & 1 != 0;
            let (theirs, change): (_, fn(u64, u64) -> u64) = if set {
                (writer.label(key, word), |labels, mask| labels | mask)
            } else {
                (writer.unlabel(key, word), |labels, mask| labels & !mask)
            };
            assert_eq!(theirs, model.get(key).map(|entry| entry.labels = change(entry.labels, word)));
        }
        12 => {
            let mask = word as u16;
            let ours = model.get(key).map(|entry| {
                entry.flags |= mask;
                entry.flags
            });
            assert_eq!(writer.set_slot_flags(key, mask), ours);
            let ours = model.get(key).map(|entry| {
                entry.flags &= !(mask >> 3);
                entry.flags
            });
            assert_eq!(writer.clear_slot_flags(key, mask >> 3), ours);
        }
        13 => {
            let (theirs, ours) = (writer.set_ctime(key, word, 7), word.saturating_sub(7));
            assert_eq!(theirs, model.get(key).map(|entry| entry.ctime = ours));
            let theirs = writer.set_atime(key, word >> 1, 7);
            let ours = (word >> 1).saturating_sub(7);
            assert_eq!(theirs, model.get(key).map(|entry| entry.atime = ours));
        }
        14 => {
            let vector = [word as f32, -1.5, f32::MIN_POSITIVE];
            let theirs = writer.set_vector(key, &vector);
            assert_eq!(theirs, model.get(key).map(|entry| entry.vector = Some(vector)));
        }
        15 if word & 1 == 0 => {
            let theirs = writer.clear_vector(key);
            assert_eq!(theirs, model.get(key).map(|entry| entry.vector = None));
        }
        15 => assert_eq!(writer.bump(key), model.get(key).map(|_| ())),
        16 => {
            let values = vec![&value[..]; orders];
            assert_eq!(writer.set_tandem(key, &values), model.set_tandem(&names, &values));
        }
        _ => {
            let removed = names.iter().filter(|name| model.entries.remove(*name).is_some());
            let removed = removed.count();
            assert_eq!(writer.unset_tandem(key, orders), Ok(removed));
        }
    }
}

/// Compares all that can be read of `key`.
fn compare(store: &Store, model: &Model, key: &str) {
    let entry = model.entries.get(key);
    let expected = entry.map(|entry| entry.value.clone()).ok_or(Error::NotFound);
    assert_eq!(store.get_vec(key), expected, "{key}");
    assert_eq!(store.contains(key), Ok(entry.is_some()));
    let Some(entry) = entry else {
        assert_eq!(store.snapshot(key), Err(Error::NotFound));
        return;
    };
    let seen = store.snapshot(key).unwrap();
    assert_eq!((seen.kind, seen.user_flags, seen.labels), (entry.kind, entry.flags, entry.labels), "{key}");
    assert_eq!((seen.ctime, seen.atime), (entry.ctime, entry.atime), "{key}");
    assert_eq!(seen.value_len, entry.value.len());
    let mut vector = [0.0; DIM];
    let found = store.vector(key, &mut vector).map(|()| vector);
    assert_eq!(found, entry.vector.ok_or(Error::NotFound), "{key}");
}

fn run(slots: u64, keys: u64, rounds: u32, seed: u64) {
    let name = Named::new();
    let mut rng = Rng(seed);
    let mut store =
        Store::create(&name.0, &config(geometry(slots, MAX as u64, DIM as u32, 2), Scrub::None)).unwrap();
    let mut model = Model { slots: slots as usize, ..Model::default() };
    let mut writer = store.writer().unwrap();
    let mut epochs = BTreeMap::new();
    for round in 0..rounds {
        let key = format!("k{}", rng.below(keys));
        step(&mut rng, &mut writer, &mut model, &key);
        let other = format!("k{}", rng.below(keys));
        compare(&store, &model, &key);
        compare(&store, &model, &other);
        let epoch = store.header().epoch;
        assert!(epochs.insert("store", epoch).is_none_or(|last| last <= epoch));
        if rng.below(50) == 0 {
            let level = *rng.pick(&Scrub::ALL);
            store.set_scrub(level).unwrap();
            if rng.below(4) == 0 {
                writer.purge().unwrap();
            }
        }
        if rng.below(400) == 0 {
            drop(writer);
            store = Store::open(&name.0).unwrap();
            writer = store.writer().unwrap();
        }
        if round % 256 == 0 {
            assert_sound_but_for_stale_bytes(&store, model.entries.len() as u64);
            let listed: Vec<_> = store.keys().map(|key| key.to_string()).collect();
            assert!(listed.iter().all(|key| model.entries.contains_key(key)));
            for label in 0..64 {
                let mut found = 0;
                store.for_each_label(1 << label, |_, _| found += 1);
                let labelled = model.entries.values().filter(|entry| entry.labels >> label & 1 != 0);
                assert_eq!(found, labelled.count());
            }
        }
    }
    let keys: Vec<_> = model.entries.keys().cloned().collect();
    keys.iter().for_each(|key| compare(&store, &model, key));
    assert_sound_but_for_stale_bytes(&store, keys.len() as u64);
    drop(writer);
    assert_every_slot_usable(&store, "fresh");
}

#[test]
fn random_operations_agree_with_a_map_in_tiny_stores() {
    // Invariants 1, 2, 9 and 13: one to three chunks, more keys than slots.
    for (slots, keys) in [(1, 2), (2, 4), (4, 6), (5, 9), (8, 8), (11, 14)] {
        for seed in 0..2 {
            run(slots, keys, rounds(3_000) as u32, seed << 8 | slots);
        }
    }
}

#[test]
fn random_operations_agree_with_a_map_in_small_stores() {
    for (slots, keys) in [(40, 60), (100, 90), (300, 1000)] {
        run(slots, keys, rounds(5_000) as u32, slots);
    }
}
