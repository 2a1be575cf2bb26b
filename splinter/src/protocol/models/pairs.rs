//! Every operation beside every other on one key is linearizable. In whatever order their accesses take effect, both
//! return and leave what they would one after the other. Or one returns `Again` and the other was alone.

use super::*;
use crate::IntegerOp;
use crate::arena::copy::copy_vector_out;
use crate::arena::integer::integer_from_text;
use crate::arena::state::{KIND_BIGUINT, NotifyFlags};

/// The result of an operation: a length, a number, a count, or 0.
type Answer = Result<u64, Error>;

/// An operation on "a", or on "a" and "b".
#[derive(Clone, Copy)]
struct Op {
    name: &'static str,
    run: fn(&mut Claimant<'_>) -> Answer,
}

/// The whole content of a key: its value, labels, vector, type and flags, and its subscribed groups.
type Snapshot = (Read, u64, Option<[u8; 2]>, u64, u64);

const OPS: [Op; 12] = [
    Op { name: "set", run: |writer| writer.put(&letter(0), b"1234").map(|()| 0) },
    Op { name: "append", run: |writer| writer.extend(&letter(0), b"9").map(|len| len as u64) },
    Op { name: "unset", run: |writer| writer.unset_only(&letter(0)).map(|len| len as u64) },
    Op { name: "integer", run: |writer| writer.integer(&letter(0), IntegerOp::Inc(5)) },
    Op { name: "set number", run: |writer| writer.set_integer(&letter(0), 70).map(|()| 0) },
    Op {
        name: "type",
        run: |writer| {
            writer.set_kind(&letter(0), (KIND_BIGUINT, false), integer_from_text, Expect::Any).map(|_| 0)
        },
    },
    Op {
        name: "label",
        run: |writer| {
            let label = |slot: &Slot, descriptor| {
                slot.labels.store(slot.labels.load(Relaxed) + 1, Relaxed);
                descriptor
            };
            writer.change_metadata(&letter(0), label).map(|_| 0)
        },
    },
    Op { name: "vector", run: |writer| writer.set_vector(&letter(0), &[2.0; 2], Expect::Any).map(|_| 0) },
    Op { name: "register", run: |writer| writer.subscribe(&letter(0), 2, true).map(|()| 0) },
    Op { name: "purge", run: |writer| writer.purge() },
    Op {
        name: "tandem",
        run: |writer| writer.set_tandem(&[letter(0), letter(1)], &[b"55", b"66"]).map(|()| 0),
    },
    Op {
        name: "tandem unset",
        run: |writer| writer.unset_tandem(&[letter(0), letter(1)]).map(|count| count as u64),
    },
];

/// Builds a store in which "a" is digits or, if `number`, the number that they are; "b" is text.
fn set_up(number: bool, scrub: Scrub) -> Arc<Tiny> {
    let size = Size { slots: 3, max_writers: 3, dim: 2, ..Size::default() };
    let tiny = size.scrubbed(scrub).build(&[]);
    let mut writer = tiny.claimant(2);
    writer.put(&letter(0), b"41").unwrap();
    if number {
        writer.set_kind(&letter(0), (KIND_BIGUINT, false), integer_from_text, Expect::Any).unwrap();
    }
    writer.put(&letter(1), b"7").unwrap();
    drop(writer);
    tiny
}

/// Reads all of a key's content while no thread writes.
fn snapshot(tiny: &Tiny, key: &KeyRef<'_>) -> Snapshot {
    let arena = tiny.arena();
    let seen = arena.read(key, |read| {
        let descriptor = read.descriptor;
        let mut vector = [0.0; 2];
        copy_vector_out(arena.vector(read.number, descriptor.vector_current()), &mut vector);
        let vector = (descriptor.has_vector() != 0).then(|| vector.map(|part| part as u8));
        let labels = read.slot.labels.load(Relaxed);
        let groups = arena.metadata[read.number as usize].subscriptions.load(Relaxed);
        let notify_flags = NotifyFlags(read.slot.notify_flags.load(Relaxed));
        assert_eq!(notify_flags.is_subscribed(), labels != 0 || groups != 0, "the notify flags agree");
        Ok((labels, vector, descriptor.kind(), groups))
    });
    let (labels, vector, kind, groups) = seen.unwrap_or_default();
    (tiny.get(key), labels, vector, kind, groups)
}

fn snapshots_of_both(tiny: &Tiny) -> [Snapshot; 2] {
    tiny.check_at_rest();
    [0, 1].map(|index| snapshot(tiny, &letter(index)))
}

/// Runs operations one after the other. Returns their answers, and the content that they left.
fn in_order(number: bool, scrub: Scrub, ops: &[Op]) -> (Vec<Answer>, [Snapshot; 2]) {
    let ops = ops.to_vec();
    let seen = explore_within(0, move || {
        let tiny = set_up(number, scrub);
        let answers: Vec<Answer> = ops.iter().map(|op| (op.run)(&mut tiny.claimant(0))).collect();
        (answers, snapshots_of_both(&tiny))
    });
    seen.into_iter().next().unwrap()
}

/// Runs each pair of operations that `is_wanted` beside each other.
fn run_pairs(number: bool, scrub: Scrub, is_wanted: impl Fn(&str, &str) -> bool) {
    let mut unexpected = Vec::new();
    for (at, one) in OPS.iter().enumerate() {
        for other in OPS[at..].iter().filter(|other| is_wanted(one.name, other.name)) {
            let (one, other) = (*one, *other);
            let mut allowed = HashSet::new();
            let (answers, snapshots) = in_order(number, scrub, &[one, other]);
            allowed.insert(([answers[0], answers[1]], snapshots));
            let (answers, snapshots) = in_order(number, scrub, &[other, one]);
            allowed.insert(([answers[1], answers[0]], snapshots));
            let (answers, snapshots) = in_order(number, scrub, &[one]);
            allowed.insert(([answers[0], Err(Error::Again)], snapshots));
            let (answers, snapshots) = in_order(number, scrub, &[other]);
            allowed.insert(([Err(Error::Again), answers[0]], snapshots));
            let seen = explore_within(1, move || {
                let tiny = set_up(number, scrub);
                let threads = [(0, one), (1, other)]
                    .map(|(writer_id, op)| tiny.writer(writer_id, move |writer| (op.run)(writer)));
                let answers = threads.map(|thread| thread.join().unwrap());
                (answers, snapshots_of_both(&tiny))
            });
            let odd = seen.difference(&allowed).map(|odd| (one.name, other.name, odd.clone()));
            unexpected.extend(odd);
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

#[test]
fn every_change_of_a_value_beside_every_other_comes_before_or_after_it() {
    // An operation that creates beside one that removes two has by far the most orders. That removal is tried with a
    // set.
    let is_longest = |one: &str, other: &str| one == "set number" && other == "tandem unset";
    run_pairs(false, Scrub::None, |one, other| !is_longest(one, other));
}

#[test]
fn every_change_of_a_number_beside_every_other_comes_before_or_after_it() {
    run_pairs(true, Scrub::None, |one, other| one == "integer" || other == "integer");
}

#[test]
fn every_change_at_level_full_beside_a_set_or_a_purge_comes_before_or_after_it() {
    let is_one = |name: &str| ["set", "purge"].contains(&name);
    let is_brief = |name: &str| !name.starts_with("tandem");
    let is_wanted =
        |one: &str, other: &str| (is_one(one) || is_one(other)) && is_brief(one) && is_brief(other);
    run_pairs(false, Scrub::Full, is_wanted);
}
