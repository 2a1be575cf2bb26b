//! Random sequences of operations against a map that does the same: every answer and every value must
//! agree, at every scrub level, in stores so small that all keys meet in the index.

use splinter::{Config, Eviction, IntegerOp, Scrub, Store, Type};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{
    Entry, Guess, Model, Named, Op, Rng, assert_every_slot_usable, config, geometry, perform,
};
use std::collections::BTreeMap;

const MAX: usize = 150;
const DIM: usize = 3;

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

/// Draws an operation on a key, on the tandem of which it is the base, or on it and another key.
fn draw(rng: &mut Rng, key: &[u8], other: &[u8]) -> Op {
    let (key, value, word) = (key.to_vec(), draw_value(rng), rng.next());
    let (orders, group) = (1 + rng.below(4) as usize, rng.below(66) as u8);
    match rng.below(30) {
        0..4 => Op::Set(key, value),
        4..6 => Op::Append(key, value[..value.len().min(word as usize % 70)].into()),
        6..8 => Op::Unset(key),
        8 => Op::SetU64(key, word),
        9 => {
            let op = *rng.pick(&[
                IntegerOp::And(word),
                IntegerOp::Or(word),
                IntegerOp::Xor(word),
                IntegerOp::Not,
                IntegerOp::Inc(word),
                IntegerOp::Dec(word),
            ]);
            Op::Integer(key, op)
        }
        10 if word & 1 != 0 => Op::SetType(key, *rng.pick(&Type::ALL)),
        10 => Op::SetTypeOfInteger(key, *rng.pick(&Type::ALL)),
        11 if word & 1 != 0 => Op::Label(key, word),
        11 => Op::Unlabel(key, word),
        12 if word & 7 == 0 => Op::Pin(key, word & 8 != 0),
        12 => Op::SetSlotFlags(key, word as u16),
        13 => Op::ClearSlotFlags(key, word as u16 >> 3),
        14 => Op::SetCtime(key, word, 7),
        15 => Op::SetAtime(key, word >> 1, 7),
        16 => Op::SetVector(key, vec![word as f32, -1.5, f32::MIN_POSITIVE]),
        17 => Op::ClearVector(key),
        18 => Op::Bump(key),
        19 => Op::Get(key),
        20 => Op::SetTandem(key, vec![value; orders]),
        21 => Op::Pulse(key),
        22 => Op::Register(key, group),
        23 => Op::Unregister(key, group),
        24 if key != other => Op::SetMany(vec![(key, value), (other.to_vec(), draw_value(rng))]),
        24 => Op::SetMany(vec![(key, value)]),
        25 => Op::Update(key, value[..value.len().min(word as usize % 30)].into()),
        26 if word & 1 != 0 => Op::Swap(key, value),
        26 => Op::IntegerOr(key, IntegerOp::Inc(word), 7),
        27..29 => loop {
            let op = draw(rng, &key, other);
            if op.is_conditional() {
                break Op::If(*rng.pick(&Guess::ALL), Box::new(op));
            }
        },
        _ => Op::UnsetTandem(key, orders),
    }
}

/// Draws an operation on the whole store.
fn draw_of_store(rng: &mut Rng) -> Op {
    let (word, group) = (rng.next(), rng.below(66) as u8);
    match rng.below(10) {
        0..3 => Op::SetScrub(*rng.pick(&Scrub::ALL)),
        3 => Op::Purge,
        4 => Op::RegisterLabels(word, group),
        5 => Op::UnregisterLabels(word, group),
        6 => Op::SetUserFlags(word as u16),
        7 => Op::ClearUserFlags(word as u16),
        _ => Op::ReportParseFailure,
    }
}

/// Returns how often the content of each key changed, and its epoch.
fn epochs(model: &Model, store: &Store) -> BTreeMap<Vec<u8>, (u64, u64)> {
    let of = |(key, entry): (&Vec<u8>, &Entry)| (key.clone(), (entry.changes, store.epoch(key).unwrap()));
    model.entries.iter().take(12).map(of).collect()
}

fn run(slots: u64, keys: u64, eviction: Eviction, rounds: u32, seed: u64) {
    let name = Named::new();
    let mut rng = Rng(seed);
    let geometry = geometry(slots, MAX as u64, DIM as u32, 2);
    let config = Config { eviction, ..config(geometry, Scrub::None) };
    let mut store = Store::create(&name.0, &config).unwrap();
    let is_cache = eviction != Eviction::Expired;
    let mut model = Model::new(geometry, Scrub::None);
    let mut writer = store.writer().unwrap();
    let mut last = 0;
    for round in 0..rounds {
        let [key, other] = [(); 2].map(|()| format!("k{}", rng.below(keys)).into_bytes());
        let mut ops = match draw(&mut rng, &key, &other) {
            // The later of two insertions may evict the key of the earlier.
            Op::SetMany(pairs) if is_cache => pairs.into_iter().map(|pair| Op::SetMany(vec![pair])).collect(),
            op => vec![op],
        };
        if is_cache && rng.below(10) == 0 {
            ops.push(Op::Pin(key.clone(), rng.below(3) != 0));
        }
        if rng.below(20) == 0 {
            ops.push(draw_of_store(&mut rng));
        }
        for op in ops {
            let before = epochs(&model, &store);
            let answer = perform(&op, &mut writer);
            model.note_evictions(&store, &op, &answer);
            assert_eq!(answer, model.apply(&op), "{op:?}");
            let after = epochs(&model, &store);
            for (key, (changes, epoch)) in &before {
                // Not for a key that went and came again.
                if let Some((more, later)) = after.get(key).filter(|(more, _)| more >= changes) {
                    assert_eq!(later - epoch, 2 * (more - changes), "{op:?}");
                }
            }
        }
        model.assert_key(&store, &key);
        model.assert_key(&store, &other);
        let epoch = store.header().epoch;
        assert!(last <= epoch, "the store's epoch went back");
        last = epoch;
        if rng.below(400) == 0 {
            drop(writer);
            store = Store::open(&name.0).unwrap();
            writer = store.writer().unwrap();
        }
        if round % 64 == 0 {
            model.assert_store(&store);
        }
    }
    model.assert_store(&store);
    drop(writer);
    if is_cache {
        assert!(store.header().evicted > 0);
    } else {
        assert_every_slot_usable(&store, "fresh");
    }
}

#[test]
fn random_operations_agree_with_a_map_in_tiny_stores() {
    // Invariants 1, 2, 9 and 13: one to three buckets, more keys than slots.
    for (slots, keys) in [(1, 2), (2, 4), (4, 6), (5, 9), (8, 8), (11, 14)] {
        for seed in 0..2 {
            run(slots, keys, Eviction::Expired, rounds(3_000) as u32, seed << 8 | slots);
        }
    }
}

#[test]
fn random_operations_agree_with_a_map_in_small_stores() {
    for (slots, keys) in [(40, 60), (100, 90), (300, 1000)] {
        run(slots, keys, Eviction::Expired, rounds(5_000) as u32, slots);
    }
}

#[test]
fn random_operations_agree_with_a_map_that_loses_what_a_cache_evicts() {
    // Invariant 22.
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        for (slots, keys) in [(1, 3), (3, 6), (8, 14), (70, 120)] {
            // Also under Valgrind as many as fill the cache, and more.
            run(slots, keys, eviction, rounds(1_500).max(8 * slots) as u32, slots);
        }
    }
}
