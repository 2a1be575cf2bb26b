//! Claims that leave the content as it was go back to the epoch before them, so that a state comes again. What another
//! thread saw under the first must not be believed under the second.

use super::*;
use crate::sync::fence;

/// Adds a label to "a" and a user flag, which leaves its content as it is.
fn mark(writer: &mut Claimant<'_>, bit: u64) -> Result<(), Error> {
    let marked = |slot: &Slot, descriptor: Descriptor| {
        slot.labels.store(slot.labels.load(Relaxed) | bit, Relaxed);
        descriptor.with_flags(descriptor.flags() | bit)
    };
    writer.change_metadata(&letter(0), marked).map(drop)
}

/// Builds a store whose "a" has been claimed once without a change: the next such claims leave its state alone.
fn marked() -> Arc<Tiny> {
    let tiny = Size { max_writers: 4, ..Size::default() }.build(&[letter(0)]);
    mark(&mut tiny.claimant(3), 0).unwrap();
    tiny
}

#[test]
fn flags_that_two_writers_set_at_the_same_time_are_both_set() {
    let seen = explore(|| {
        let tiny = marked();
        let writers =
            [(0, 1), (1, 2)].map(|(writer_id, bit)| tiny.writer(writer_id, move |writer| mark(writer, bit)));
        let results = writers.map(|writer| writer.join().unwrap());
        tiny.check_at_rest();
        let slot = &tiny.slots[0];
        let flags = Descriptor(slot.descriptor.load(Relaxed)).flags();
        assert_eq!(flags, slot.labels.load(Relaxed));
        let set = results.iter().zip([1, 2]).filter(|(result, _)| result.is_ok());
        assert_eq!(flags, set.map(|(_, bit)| bit).sum());
        results
    });
    assert!(seen.contains(&[Ok(()); 2]), "{seen:?}");
}

#[test]
fn a_set_beside_a_flag_keeps_the_flag() {
    let seen = explore(|| {
        let tiny = marked();
        let marker = tiny.writer(0, |writer| mark(writer, 1));
        let setter = tiny.writer(1, |writer| writer.put(&letter(0), &value(2)));
        let results = (marker.join().unwrap(), setter.join().unwrap());
        tiny.check_at_rest();
        let flags = Descriptor(tiny.slots[0].descriptor.load(Relaxed)).flags();
        assert_eq!(
            (flags, tiny.held(&letter(0))),
            match results {
                (Ok(()), Ok(())) => (1, Some(2)),
                (Ok(()), _) => (1, Some(1)),
                _ => (0, Some(2)),
            }
        );
        results
    });
    assert!(seen.contains(&(Ok(()), Ok(()))), "{seen:?}");
}

#[test]
fn an_undone_claim_that_wrote_the_other_buffer_spoils_no_read_of_what_was_there() {
    // A reader copies the value before last, which the undone claim overwrites. The state is then the one in which
    // that value was still whole.
    let seen = explore(|| {
        let tiny = Size::default().build(&[letter(0)]);
        let writer = tiny.writer(0, |writer| {
            writer.put(&letter(0), &value(2)).unwrap();
            let claim = writer.claim(&letter(0), Expect::Any).unwrap();
            writer.write_value::<false>(&claim, &value(9));
        });
        let reader = tiny.reader(letter(0));
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        assert_eq!(tiny.held(&letter(0)), Some(2));
        read
    });
    let allowed = HashSet::from([Ok(value(1)), Ok(value(2)), Err(Error::Again)]);
    assert!(seen.is_subset(&allowed) && seen.len() > 1, "{seen:?}");
}

#[test]
fn a_claim_is_recovered_from_the_dead_owner_that_made_it_and_from_no_later_one() {
    // A writer sees a claim whose owner then releases it and ends. The writer id's next owner claims the slot, which
    // looks the same.
    let seen = explore(|| {
        let tiny = marked();
        let first = tiny.writer(0, |writer| mark(writer, 1));
        let recoverer = tiny.writer(1, |writer| writer.put(&letter(0), &value(3)));
        let first = first.join().unwrap();
        tiny.end(0);
        let next = tiny.writer(0, |writer| writer.put(&letter(0), &value(2))).join().unwrap();
        let results = (first, recoverer.join().unwrap(), next);
        tiny.check_at_rest();
        let held = tiny.held(&letter(0)).unwrap();
        let wrote = [(1, Ok(())), (3, results.1), (2, results.2)];
        assert!(wrote.contains(&(held, Ok(()))), "{held} {results:?}");
        assert_eq!(tiny.header.recoveries.load(Relaxed), 0, "no owner died with a claim");
        (results.1.is_ok(), results.2.is_ok())
    });
    assert!(seen.contains(&(true, true)) && seen.contains(&(false, true)), "{seen:?}");
}

#[test]
fn a_prepared_word_counts_only_for_the_tandem_that_committed_it() {
    // Two tandems that come to nothing claim "a" before and after a tandem of other keys commits. Their claims look the
    // same, and the prepared word of "a" says that the key is gone.
    let seen = explore(|| {
        let tiny = marked();
        let writer = tiny.writer(0, |writer| {
            let slot = &writer.arena.slots[0];
            writer.notified = Some(0);
            let claim_in_vain = |writer: &mut Claimant<'_>| {
                let claim = writer.claim(&letter(0), Expect::Any).unwrap();
                slot.prepared.store(claim.descriptor.vacant().0, Relaxed);
                loom::thread::yield_now();
            };
            claim_in_vain(writer);
            writer.record.committed.store(1 << 63, Release);
            loom::thread::yield_now();
            writer.record.committed.store(0, Release);
            claim_in_vain(writer);
            writer.record.committed.store(1 << 63 | 1, Release);
            fence(Release);
            writer.record.committed.store(0, Release);
            writer.notified = None;
        });
        let reader = tiny.spawn(|tiny| tiny.arena().locate(&letter(0)).is_some());
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([true]));
}

#[test]
fn an_integer_operation_after_a_subscription_is_signalled() {
    let seen = explore(|| {
        let tiny = Size { max_writers: 4, ..Size::default() }.build(&[]);
        let mut builder = tiny.claimant(3);
        builder.set_integer(&letter(0), 7).unwrap();
        mark(&mut builder, 0).unwrap();
        drop(builder);
        let adder = tiny.writer(0, |writer| writer.integer(&letter(0), crate::IntegerOp::Inc(1)));
        let subscribed = tiny.writer(1, |writer| writer.subscribe(&letter(0), 1, true)).join().unwrap();
        // From here on a change is signalled. The number shows whether the operation came before.
        let before = tiny.slots[0].state_integer.second();
        let added = adder.join().unwrap();
        let signals = tiny.header.groups[0].count.load(Relaxed);
        if subscribed.is_ok() && before == 7 && added == Ok(8) {
            assert_eq!(signals, 1, "the change came after the subscription");
        }
        (before, added.is_ok(), signals)
    });
    assert!(seen.contains(&(7, true, 1)) && seen.contains(&(8, true, 0)), "{seen:?}");
}
