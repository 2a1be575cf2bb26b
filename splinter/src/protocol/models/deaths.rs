//! Writers that die at any store of any operation, and the living who meet what they left.

use super::*;
use crate::IntegerOp;
use crate::arena::integer::number_to_be;
use crate::arena::state::KIND_BIGUINT;

/// An operation on "a" that is cut short, with what the store held before.
#[derive(Clone, Copy)]
pub(super) struct Deed {
    pub(super) name: &'static str,
    scrub: Scrub,
    prepare: fn(&mut Claimant<'_>) -> Result<(), Error>,
    pub(super) act: fn(&mut Claimant<'_>) -> Result<(), Error>,
    /// What "a" may read as afterwards; nothing for missing.
    before: Option<&'static [u8]>,
    after: Option<&'static [u8]>,
    /// Components of a vector, if the store has any.
    dim: usize,
    /// Whether the operation changes "b" together with "a", from the same value to the same.
    is_tandem: bool,
}

const A: &[u8] = &[1; 16];
const B: &[u8] = &[2; 16];

/// Returns every operation that can die with a claim.
pub(super) fn deeds() -> [Deed; 16] {
    let set_a = |writer: &mut Claimant<'_>| writer.put(&letter(0), A);
    let nothing = |_: &mut Claimant<'_>| Ok(());
    let set_b = |writer: &mut Claimant<'_>| writer.put(&letter(0), B);
    let seven = |writer: &mut Claimant<'_>| writer.set_number(&letter(0), 7);
    let base = Deed {
        name: "set",
        scrub: Scrub::None,
        prepare: set_a,
        act: set_b,
        before: Some(A),
        after: Some(B),
        dim: 0,
        is_tandem: false,
    };
    let tandem = Deed {
        name: "tandem",
        prepare: |writer| writer.set_tandem(&[letter(0), letter(1)], &[A, A]),
        act: |writer| writer.set_tandem(&[letter(0), letter(1)], &[B, B]),
        is_tandem: true,
        ..base
    };
    let unset = |writer: &mut Claimant<'_>| writer.unset_only(&letter(0)).map(drop);
    [
        base,
        Deed { name: "full set", scrub: Scrub::Full, ..base },
        Deed { name: "insert", prepare: nothing, before: None, ..base },
        Deed { name: "unset", act: unset, after: None, ..base },
        Deed { name: "full unset", scrub: Scrub::Full, act: unset, after: None, ..base },
        Deed {
            name: "append",
            prepare: |writer| writer.put(&letter(0), &A[..8]),
            act: |writer| writer.extend(&letter(0), &[1; 8]).map(drop),
            before: Some(&[1; 8]),
            ..base.after(A)
        },
        Deed {
            name: "integer",
            prepare: seven,
            act: |writer| writer.integer(&letter(0), IntegerOp::Inc(1)).map(drop),
            before: Some(&[7, 0, 0, 0, 0, 0, 0, 0]),
            ..base.after(&[8, 0, 0, 0, 0, 0, 0, 0])
        },
        Deed { name: "set number", act: seven, ..base.after(&[7, 0, 0, 0, 0, 0, 0, 0]) },
        Deed {
            name: "type",
            prepare: |writer| writer.put(&letter(0), b"41"),
            act: |writer| writer.set_kind(&letter(0), (KIND_BIGUINT, false), number_to_be),
            before: Some(b"41"),
            ..base.after(&[41, 0, 0, 0, 0, 0, 0, 0])
        },
        Deed {
            name: "label",
            act: |writer| {
                let label = |slot: &Slot, descriptor| {
                    slot.labels.store(1, Relaxed);
                    descriptor
                };
                writer.amend(&letter(0), label).map(drop)
            },
            ..base.after(A)
        },
        Deed {
            name: "vector",
            act: |writer| writer.set_vector(&letter(0), &[2.0; 2]),
            dim: 2,
            ..base.after(A)
        },
        Deed {
            name: "purge",
            prepare: |writer| [A, B].into_iter().try_for_each(|value| writer.put(&letter(0), value)),
            act: |writer| writer.purge().map(drop),
            before: Some(B),
            ..base
        },
        tandem,
        Deed { name: "full tandem", scrub: Scrub::Full, ..tandem },
        Deed { name: "tandem insert", prepare: nothing, before: None, ..tandem },
        Deed {
            name: "tandem unset",
            act: |writer| writer.unset_tandem(&[letter(0), letter(1)]).map(drop),
            after: None,
            ..tandem
        },
    ]
}

impl Deed {
    /// Whether two who meet what this left have few enough orders. Not so those that make or remove two keys, or wipe
    /// one that is made again meanwhile: for them there is one who meets it.
    fn is_brief(&self) -> bool {
        let changes = self.before.is_some() && self.after.is_some();
        changes || !self.is_tandem && self.scrub == Scrub::None
    }

    fn after(self, value: &'static [u8]) -> Self {
        Self { after: Some(value), ..self }
    }

    /// Builds a store of two slots in which this can be done.
    pub(super) fn prepared(self) -> Arc<Tiny> {
        let size = Size { slots: 2, max_writers: 4, dim: self.dim, ..Size::default() };
        let tiny = size.scrubbed(self.scrub).build(&[]);
        (self.prepare)(&mut tiny.claimant(3)).unwrap();
        tiny
    }

    /// Builds a store of two slots in which the owner of writer id 0 did this up to store number `stores`,
    /// and died. Returns whether it got through.
    pub(super) fn done(self, stores: u32) -> (Arc<Tiny>, bool) {
        let tiny = self.prepared();
        let lived = tiny.die(0, stores, self.act);
        assert_ne!(lived, Some(Err(Error::Again)));
        (tiny, lived.is_some())
    }

    /// Checks that "b" is of the generation that `read`, the value of "a", is of.
    pub(super) fn check_tandem(self, tiny: &Tiny, read: &Read) {
        if self.is_tandem && self.allows(read) {
            assert_eq!(tiny.get(&letter(1)), *read, "{}: both or none", self.name);
        }
    }

    /// Whether "a" may be read as `read`, by those who wrote nothing.
    pub(super) fn allows(self, read: &Read) -> bool {
        [self.before, self.after].iter().any(|value| match value {
            Some(value) => read.as_deref() == Ok(*value),
            None => *read == Err(Error::NotFound),
        })
    }
}

#[test]
fn whatever_a_writer_died_of_the_value_stays_readable_and_the_key_writable() {
    for deed in deeds() {
        explore_deaths(move |stores| {
            let (tiny, lived) = deed.done(stores);
            let taker = tiny.writer(1, |writer| writer.put(&letter(0), &value(3)));
            let reader = tiny.reader(letter(0));
            assert_eq!(taker.join().unwrap(), Ok(()), "{} {stores}", deed.name);
            let read = reader.join().unwrap();
            tiny.check_at_rest();
            assert_eq!(tiny.held(&letter(0)), Some(3));
            let notified = deed.allows(&read) || read == Ok(value(3)) || read == Err(Error::Again);
            assert!(notified, "{} {stores}: {read:?}", deed.name);
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn of_two_who_find_a_dead_claim_one_takes_it_over() {
    for deed in deeds().into_iter().filter(Deed::is_brief) {
        explore_deaths(move |stores| {
            let (tiny, lived) = deed.done(stores);
            let takers = [(1, 3), (2, 4)].map(|(writer_id, byte)| {
                tiny.writer(writer_id, move |writer| writer.put(&letter(0), &value(byte)))
            });
            let results = takers.map(|taker| taker.join().unwrap());
            tiny.check_at_rest();
            let held = tiny.held(&letter(0));
            let wrote = [(3, results[0]), (4, results[1])];
            assert!(wrote.contains(&(held.unwrap(), Ok(()))), "{} {stores}", deed.name);
            assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(Error::Again))));
            (lived, ())
        });
    }
}

#[test]
fn a_claim_is_taken_over_or_recovered_by_its_lane_but_not_both() {
    for deed in deeds().into_iter().filter(Deed::is_brief) {
        explore_deaths(move |stores| {
            let (tiny, lived) = deed.done(stores);
            let heir = tiny.spawn(|tiny| drop(tiny.claimant(0)));
            let taker = tiny.writer(1, |writer| writer.put(&letter(0), &value(3)));
            heir.join().unwrap();
            let taken = taker.join().unwrap();
            tiny.check_at_rest();
            let read = tiny.get(&letter(0));
            match taken {
                Ok(()) => assert_eq!(read, Ok(value(3)), "{} {stores}", deed.name),
                // Both slots may be in the heir's hands.
                Err(other) => {
                    assert!(matches!(other, Error::Again | Error::Full));
                    assert!(deed.allows(&read), "{} {stores}: {read:?}", deed.name);
                    deed.check_tandem(&tiny, &read);
                }
            }
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn a_writer_that_dies_beside_a_reader_shows_it_the_old_value_or_the_new() {
    for deed in deeds() {
        explore_deaths(move |stores| {
            let (tiny, _) = deed.done(0);
            let heir = tiny.spawn(move |tiny| tiny.die(1, stores, deed.act).is_some());
            let reader = tiny.reader(letter(0));
            let lived = heir.join().unwrap();
            let read = reader.join().unwrap();
            let notified = deed.allows(&read) || read == Err(Error::Again);
            assert!(notified, "{} {stores}: {read:?}", deed.name);
            (lived, ())
        });
    }
}
