//! Consistent reads beside a writer that sets one of two keys and removes the other, so that one of them is always there.

use super::*;
use crate::arena::change::{Content, KeyChange};
use crate::protocol::OptimisticRead;

const TWO: Size = Size { slots: 2, ..SMALLEST };

const REMOVAL: KeyChange<'static> =
    KeyChange { expect: Expect::Any, content: Content::Remove, vector: None, labels: [0; 2], lifetime: None };

/// The ways in which a store reads several keys as of one moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// That of `Store::read_consistent`: reads a few keys one after the other and validates all, or else as [`Self::Many`].
    Few,
    /// That of `Store::read_consistent_with` and `Store::tandem`.
    Many,
}

impl Way {
    pub(super) const BOTH: [Self; 2] = [Self::Many, Self::Few];

    /// Reads all `keys` by `body`.
    pub(super) fn read<'a, const N: usize>(
        self,
        arena: &Arena<'a>,
        keys: [KeyRef<'_>; N],
        body: impl FnMut(usize, Option<&OptimisticRead<'a>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Few => arena.read_all(keys.into_iter().map(Ok), body),
            Self::Many => arena.read_consistent(&keys, body),
        }
    }
}

/// Tells which of `keys` were there at one moment.
fn presence<'a, const N: usize>(
    arena: &Arena<'a>,
    way: Way,
    keys: [KeyRef<'_>; N],
) -> Result<[bool; N], Error> {
    let mut present = [false; N];
    way.read(arena, keys, |place, read| {
        present[place] = read.is_some();
        Ok(())
    })?;
    Ok(present)
}

/// Explores what a reader of "b" and "a" sees, of which only "a" is there at first, while a writer does `work`.
fn beside(
    preemptions: usize,
    way: Way,
    work: impl Fn(&mut Claimant<'_>) + Copy + Send + Sync + 'static,
) -> HashSet<Result<[bool; 2], Error>> {
    explore_within(preemptions, move || {
        let tiny = TWO.build(&[letter(0)]);
        let writer = tiny.writer(0, move |writer| work(writer));
        let reader = tiny.spawn(move |tiny| presence(&tiny.arena(), way, [letter(1), letter(0)]));
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    })
}

#[test]
fn exactly_one_of_two_keys_that_a_transaction_swaps_is_there() {
    // `Few` and its fallback take too many steps for a preemption.
    for (way, preemptions) in [(Way::Many, 1), (Way::Few, 0)] {
        let seen = beside(preemptions, way, |writer| {
            let insertion = KeyChange { content: Content::Bytes(&[2; 16]), ..KeyChange::default() };
            writer.transact(&[letter(0), letter(1)], &[REMOVAL, insertion]).unwrap();
        });
        let allowed = HashSet::from([Ok([false, true]), Ok([true, false]), Err(Error::Again)]);
        assert!(seen.is_subset(&allowed) && seen.len() > 1, "{way:?}: {seen:?}");
    }
}

#[test]
fn one_of_two_keys_is_always_there_if_one_is_set_before_the_other_is_removed() {
    for way in Way::BOTH {
        let seen = beside(1, way, |writer| {
            writer.put(&letter(1), &value(2)).unwrap();
            writer.unset_only(&letter(0)).unwrap();
        });
        assert!(!seen.contains(&Ok([false, false])), "{way:?}: {seen:?}");
        assert!(
            seen.is_superset(&HashSet::from([Ok([false, true]), Ok([true, true]), Ok([true, false])])),
            "{way:?}: {seen:?}"
        );
    }
}

#[test]
fn a_key_that_came_and_went_between_two_looks_is_no_longer_as_it_was() {
    // One thread: to see two such keys missing at once takes a writer that changes both twice between four looks.
    let seen = explore(|| {
        let tiny = TWO.build(&[]);
        let (arena, mut writer) = (tiny.arena(), tiny.claimant(0));
        let part = arena.look_at(letter(0));
        let before = arena.is_unchanged(&part);
        writer.put(&letter(0), &value(2)).unwrap();
        writer.unset_only(&letter(0)).unwrap();
        (before, arena.is_unchanged(&part))
    });
    assert_eq!(seen, HashSet::from([(true, false)]));
}

#[test]
fn a_key_set_during_a_transaction_that_removes_it_is_missing_after_the_commit() {
    no_transaction_overlooks_a_set(REMOVAL);
}

#[test]
fn a_key_that_a_transaction_expects_to_be_missing_is_missing_at_its_commit() {
    no_transaction_overlooks_a_set(KeyChange { expect: Expect::Absent, ..KeyChange::default() });
}

/// Explores a transaction that needs "b" to be missing, beside a writer that sets "b" and then reads "a".
fn no_transaction_overlooks_a_set(needs_none: KeyChange<'static>) {
    let seen = explore_within(1, move || {
        let tiny = TWO.build(&[letter(0)]);
        let committer = tiny.writer(0, move |writer| {
            let set = KeyChange { content: Content::Bytes(&[2; 16]), ..KeyChange::default() };
            let changes = [set, needs_none];
            writer.transact(&[letter(0), letter(1)], &changes).is_ok()
        });
        let setter = tiny.writer(1, |writer| {
            let set = writer.put(&letter(1), &value(3)).is_ok();
            (set, first_byte(&writer.arena))
        });
        let (committed, (set, first)) = (committer.join().unwrap(), setter.join().unwrap());
        tiny.check_at_rest();
        let held = [0, 1].map(|index| tiny.held(&letter(index)));
        assert_eq!(held[0], Some(if committed { 2 } else { 1 }));
        (committed, set, first, held[1])
    });
    // Set before the commit, and there after it.
    assert_eq!(seen.iter().find(|seen| matches!(seen, (true, true, 1, Some(3)))), None, "{seen:?}");
    assert!(seen.contains(&(true, true, 2, Some(3))) && seen.contains(&(true, false, 1, None)), "{seen:?}");
}

/// Reads the first byte of "a".
fn first_byte(arena: &Arena<'_>) -> u8 {
    let mut out = [0; 64];
    arena.read(&letter(0), |read| read.payload(arena).copy_to(&mut out)).unwrap();
    out[0]
}
