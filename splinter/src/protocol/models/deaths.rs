//! Crashes: writers that die at any store of any operation, and living writers and readers that meet what they left.

use super::*;
use crate::IntegerOp;
use crate::arena::integer::integer_from_text;
use crate::arena::state::KIND_BIGUINT;

/// An operation on "a" that is interrupted, and what the store held before.
#[derive(Clone, Copy)]
pub(super) struct Op {
    pub(super) name: &'static str,
    scrub: Scrub,
    setup: fn(&mut Claimant<'_>) -> Result<(), Error>,
    pub(super) run: fn(&mut Claimant<'_>) -> Result<(), Error>,
    /// What "a" may read as afterwards; `None` if it is missing.
    before: Option<&'static [u8]>,
    after: Option<&'static [u8]>,
    /// Components of a vector, if the store has any.
    dim: usize,
    /// Whether the operation changes "b" together with "a", from and to the same values.
    is_tandem: bool,
}

const A: &[u8] = &[1; 16];
const B: &[u8] = &[2; 16];

/// Returns every operation that can die with a claim.
pub(super) fn ops() -> [Op; 18] {
    let set_a = |writer: &mut Claimant<'_>| writer.put(&letter(0), A);
    let nothing = |_: &mut Claimant<'_>| Ok(());
    let set_b = |writer: &mut Claimant<'_>| writer.put(&letter(0), B);
    let seven = |writer: &mut Claimant<'_>| writer.set_integer(&letter(0), 7);
    let base = Op {
        name: "set",
        scrub: Scrub::None,
        setup: set_a,
        run: set_b,
        before: Some(A),
        after: Some(B),
        dim: 0,
        is_tandem: false,
    };
    let tandem = Op {
        name: "tandem",
        // One by one, so that "a" is in the first slot.
        setup: |writer| [0, 1].into_iter().try_for_each(|index| writer.put(&letter(index), A)),
        run: |writer| writer.set_tandem(&[letter(0), letter(1)], &[B, B]),
        is_tandem: true,
        ..base
    };
    let unset = |writer: &mut Claimant<'_>| writer.unset_only(&letter(0)).map(drop);
    [
        base,
        Op { name: "full set", scrub: Scrub::Full, ..base },
        Op { name: "insert", setup: nothing, before: None, ..base },
        Op { name: "unset", run: unset, after: None, ..base },
        Op { name: "full unset", scrub: Scrub::Full, run: unset, after: None, ..base },
        Op {
            name: "append",
            setup: |writer| writer.put(&letter(0), &A[..8]),
            run: |writer| writer.extend(&letter(0), &[1; 8]).map(drop),
            before: Some(&[1; 8]),
            ..base.after(A)
        },
        Op {
            name: "integer",
            setup: seven,
            run: |writer| writer.integer(&letter(0), IntegerOp::Inc(1)).map(drop),
            before: Some(&[7, 0, 0, 0, 0, 0, 0, 0]),
            ..base.after(&[8, 0, 0, 0, 0, 0, 0, 0])
        },
        Op { name: "set number", run: seven, ..base.after(&[7, 0, 0, 0, 0, 0, 0, 0]) },
        Op {
            name: "number over a number",
            setup: seven,
            run: |writer| writer.set_integer_if(&letter(0), 8, Expect::Present).map(drop),
            before: Some(&[7, 0, 0, 0, 0, 0, 0, 0]),
            ..base.after(&[8, 0, 0, 0, 0, 0, 0, 0])
        },
        Op {
            name: "full number over one with a vector",
            scrub: Scrub::Full,
            dim: 2,
            setup: |writer| {
                writer.set_integer(&letter(0), 7)?;
                writer.set_vector(&letter(0), &[2.0; 2], Expect::Any).map(drop)
            },
            run: |writer| writer.set_integer_if(&letter(0), 8, Expect::Present).map(drop),
            before: Some(&[7, 0, 0, 0, 0, 0, 0, 0]),
            ..base.after(&[8, 0, 0, 0, 0, 0, 0, 0])
        },
        Op {
            name: "type",
            setup: |writer| writer.put(&letter(0), b"41"),
            run: |writer| {
                writer.set_kind(&letter(0), (KIND_BIGUINT, false), integer_from_text, Expect::Any).map(drop)
            },
            before: Some(b"41"),
            ..base.after(&[41, 0, 0, 0, 0, 0, 0, 0])
        },
        Op {
            name: "label",
            run: |writer| {
                let label = |slot: &Slot, descriptor| {
                    slot.labels.store(1, Relaxed);
                    descriptor
                };
                writer.change_metadata(&letter(0), label).map(drop)
            },
            ..base.after(A)
        },
        Op {
            name: "vector",
            run: |writer| writer.set_vector(&letter(0), &[2.0; 2], Expect::Any).map(drop),
            dim: 2,
            ..base.after(A)
        },
        Op {
            name: "purge",
            setup: |writer| [A, B].into_iter().try_for_each(|value| writer.put(&letter(0), value)),
            run: |writer| writer.purge().map(drop),
            before: Some(B),
            ..base
        },
        tandem,
        Op { name: "full tandem", scrub: Scrub::Full, ..tandem },
        Op { name: "tandem insert", setup: nothing, before: None, ..tandem },
        Op {
            name: "tandem unset",
            run: |writer| writer.unset_tandem(&[letter(0), letter(1)]).map(drop),
            after: None,
            ..tandem
        },
    ]
}

impl Op {
    /// Whether two writers that meet the dead claim have few enough orders. Operations that make or remove two keys, or
    /// wipe one that is made again meanwhile, have too many. For them a model with one such writer suffices.
    fn is_brief(&self) -> bool {
        let changes = self.before.is_some() && self.after.is_some();
        changes || !self.is_tandem && self.scrub == Scrub::None
    }

    fn after(self, value: &'static [u8]) -> Self {
        Self { after: Some(value), ..self }
    }

    /// Builds a store of two slots in which this operation is possible.
    pub(super) fn set_up(self) -> Arc<Tiny> {
        let size = Size { slots: 2, max_writers: 4, dim: self.dim, ..Size::default() };
        let tiny = size.scrubbed(self.scrub).build(&[]);
        (self.setup)(&mut tiny.claimant(3)).unwrap();
        tiny
    }

    /// Builds a store of two slots in which the owner of writer id 0 did this operation up to store number `stores`,
    /// and died. Returns whether it finished.
    pub(super) fn done(self, stores: u32) -> (Arc<Tiny>, bool) {
        let tiny = self.set_up();
        let lived = tiny.die(0, stores, self.run);
        assert_ne!(lived, Some(Err(Error::Again)));
        (tiny, lived.is_some())
    }

    /// Checks that "b" is of the same generation as `read`, the value of "a".
    pub(super) fn check_tandem(self, tiny: &Tiny, read: &Read) {
        if self.is_tandem && self.allows(read) {
            assert_eq!(tiny.get(&letter(1)), *read, "{}: both or none", self.name);
        }
    }

    /// Whether a reader may read "a" as `read`, if nobody else wrote.
    pub(super) fn allows(self, read: &Read) -> bool {
        [self.before, self.after].iter().any(|value| match value {
            Some(value) => read.as_deref() == Ok(*value),
            None => *read == Err(Error::NotFound),
        })
    }
}

#[test]
fn after_any_death_the_value_is_readable_and_the_key_writable() {
    for op in ops() {
        explore_deaths(move |stores| {
            let (tiny, lived) = op.done(stores);
            let recoverer = tiny.writer(1, |writer| writer.put(&letter(0), &value(3)));
            let reader = tiny.reader(letter(0));
            assert_eq!(recoverer.join().unwrap(), Ok(()), "{} {stores}", op.name);
            let read = reader.join().unwrap();
            tiny.check_at_rest();
            assert_eq!(tiny.held(&letter(0)), Some(3));
            let is_allowed = op.allows(&read) || read == Ok(value(3)) || read == Err(Error::Again);
            assert!(is_allowed, "{} {stores}: {read:?}", op.name);
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn of_two_writers_that_find_a_dead_claim_one_recovers_it() {
    for op in ops().into_iter().filter(Op::is_brief) {
        explore_deaths(move |stores| {
            let (tiny, lived) = op.done(stores);
            let recoverers = [(1, 3), (2, 4)].map(|(writer_id, byte)| {
                tiny.writer(writer_id, move |writer| writer.put(&letter(0), &value(byte)))
            });
            let results = recoverers.map(|recoverer| recoverer.join().unwrap());
            tiny.check_at_rest();
            let held = tiny.held(&letter(0));
            let wrote = [(3, results[0]), (4, results[1])];
            assert!(wrote.contains(&(held.unwrap(), Ok(()))), "{} {stores}", op.name);
            assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Error::Again))));
            (lived, ())
        });
    }
}

#[test]
fn a_claim_is_recovered_by_another_writer_or_by_its_next_owner_but_not_both() {
    for op in ops().into_iter().filter(Op::is_brief) {
        explore_deaths(move |stores| {
            let (tiny, lived) = op.done(stores);
            let next_owner = tiny.spawn(|tiny| drop(tiny.claimant(0)));
            let recoverer = tiny.writer(1, |writer| writer.put(&letter(0), &value(3)));
            next_owner.join().unwrap();
            let recovered = recoverer.join().unwrap();
            tiny.check_at_rest();
            let read = tiny.get(&letter(0));
            match recovered {
                Ok(()) => assert_eq!(read, Ok(value(3)), "{} {stores}", op.name),
                // The next owner may hold both slots.
                Err(other) => {
                    assert!(matches!(other, Error::Again | Error::Full));
                    assert!(op.allows(&read), "{} {stores}: {read:?}", op.name);
                    op.check_tandem(&tiny, &read);
                }
            }
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn a_writer_that_dies_beside_a_reader_shows_it_the_old_value_or_the_new() {
    for op in ops() {
        explore_deaths(move |stores| {
            let (tiny, _) = op.done(0);
            let writer = tiny.spawn(move |tiny| tiny.die(1, stores, op.run).is_some());
            let reader = tiny.reader(letter(0));
            let lived = writer.join().unwrap();
            let read = reader.join().unwrap();
            let is_allowed = op.allows(&read) || read == Err(Error::Again);
            assert!(is_allowed, "{} {stores}: {read:?}", op.name);
            (lived, ())
        });
    }
}

#[test]
fn no_epoch_comes_again_of_a_key_whose_remover_died() {
    let seen = explore_deaths(|stores| {
        let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&[letter(0)]);
        let lived = tiny.die(0, stores, |writer| writer.unset_only(&letter(0))).is_some();
        let mut writer = tiny.claimant(0);
        let was_removed = tiny.held(&letter(0)).is_none();
        if !was_removed {
            writer.unset_only(&letter(0)).unwrap();
        }
        // What a poll would return.
        let last = State(tiny.slots[0].state_integer.first_acquire()).content_epoch();
        // Another key gets that slot, and the key the other.
        writer.put(&letter(1), &value(2)).unwrap();
        writer.put(&letter(0), &value(2)).unwrap();
        let version = tiny.arena().read(&letter(0), |read| Ok((read.number, read.stable_epoch()))).unwrap();
        assert_eq!(version.0, 1);
        assert!(version.1 > last, "{stores}: {} after {last}", version.1);
        (lived, was_removed)
    });
    assert_eq!(seen, HashSet::from([false, true]));
}
