//! A group's ring by itself: writers beside each other, beside one that dies, and beside a watcher that is too slow.

use super::*;
use crate::signals::{Cursor, Peek, Wakes};

/// Signals that slot `number` changed to group 0, and wakes nobody.
fn push(tiny: &Tiny, number: u32) {
    tiny.arena().signal(number, 1, &mut Wakes::default());
}

/// Returns how many signals group 0 counts.
fn count(tiny: &Tiny) -> u64 {
    tiny.header.groups[0].count.load(Acquire)
}

/// Takes up to `looks` signals. Returns the slots, each with its position, and how many signals were missed.
fn take(tiny: &Tiny, cursor: &mut Cursor, looks: usize) -> (Vec<(u64, u32)>, u64) {
    let (mut taken, mut missed) = (vec![], 0);
    for _ in 0..looks {
        let position = cursor.position;
        match tiny.arena().take(cursor) {
            Peek::Nothing => assert_eq!(cursor.position, position),
            Peek::Changed(slot) => taken.push((position, slot)),
            Peek::Lagged(more) => {
                assert!(more > 0, "a lag is never empty");
                missed += more;
            }
        }
    }
    (taken, missed)
}

fn behind(position: u64) -> Cursor {
    Cursor { group: 0, position }
}

#[test]
fn signals_of_racing_writers_lose_none_and_share_no_position() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        let writers = [10, 20].map(|number| tiny.spawn(move |tiny| push(tiny, number)));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(count(&tiny), 2);
        take(&tiny, &mut behind(0), 3)
    });
    let orders = [vec![(0, 10), (1, 20)], vec![(0, 20), (1, 10)]];
    assert_eq!(seen, HashSet::from(orders.map(|taken| (taken, 0))));
}

#[test]
fn a_writer_that_comes_late_puts_its_signal_over_no_newer_one() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        let fast = tiny.spawn(|tiny| (10..13).for_each(|number| push(tiny, number)));
        let late = tiny.spawn(|tiny| push(tiny, 20));
        [fast, late].into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(count(&tiny), 4);
        // The ring still has the last two of the four.
        let (taken, missed) = take(&tiny, &mut behind(2), 3);
        assert_eq!((taken.len(), missed), (2, 0));
        taken
    });
    let ends = [[11, 12], [20, 12], [12, 20]];
    assert_eq!(seen, HashSet::from(ends.map(|[one, two]| vec![(2, one), (3, two)])));
}

#[test]
fn a_slow_watcher_takes_signals_in_order_or_is_told_how_many_it_missed() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        let writer = tiny.spawn(|tiny| (10..14).for_each(|number| push(tiny, number)));
        let watcher = tiny.spawn(|tiny| {
            let mut cursor = behind(0);
            (take(tiny, &mut cursor, 3), cursor.position)
        });
        writer.join().unwrap();
        let ((mut taken, mut missed), position) = watcher.join().unwrap();
        assert_eq!(taken.len() as u64 + missed, position);
        // Takes the rest.
        let rest = take(&tiny, &mut behind(position), 4);
        taken.extend(rest.0);
        missed += rest.1;
        assert_eq!(count(&tiny), 4);
        assert_eq!(taken.len() as u64 + missed, 4, "each was taken or missed, once");
        assert!(taken.is_sorted());
        assert!(taken.iter().all(|(position, slot)| *slot == 10 + *position as u32), "{taken:?}");
        (taken.len(), missed)
    });
    assert_eq!(seen, HashSet::from([(0, 4), (1, 3), (2, 2), (3, 1), (4, 0)]));
}

#[test]
fn a_slow_watcher_beside_two_writers_takes_what_each_put_in_order() {
    let seen = explore_within(1, || {
        let tiny = Size::default().build(&[]);
        let writers = [10, 20].map(|number| {
            tiny.spawn(move |tiny| {
                push(tiny, number);
                push(tiny, number + 1);
            })
        });
        let watcher = tiny.spawn(|tiny| {
            let mut cursor = behind(0);
            (take(tiny, &mut cursor, 3), cursor.position)
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let ((mut taken, mut missed), position) = watcher.join().unwrap();
        // A watcher that never stopped looking took these: no other watcher may see anything else in their positions.
        let last = take(&tiny, &mut behind(2), 2).0;
        let rest = take(&tiny, &mut behind(position), 4);
        taken.extend(rest.0);
        missed += rest.1;
        assert_eq!(count(&tiny), 4);
        assert_eq!(taken.len() as u64 + missed, 4, "each was taken or missed, once");
        assert!(taken.is_sorted());
        assert!(taken.iter().all(|seen| seen.0 < 2 || last.contains(seen)), "{taken:?} {last:?}");
        let slots: Vec<_> = taken.iter().map(|(_, slot)| *slot).collect();
        assert_eq!(slots.iter().collect::<HashSet<_>>().len(), slots.len(), "none is taken twice");
        for first in [10, 20] {
            let mine = slots.iter().filter(|slot| **slot / 10 * 10 == first);
            assert!(mine.is_sorted(), "{slots:?}");
        }
        (slots, missed)
    });
    assert!(seen.contains(&(vec![10, 11, 20, 21], 0)) && seen.iter().any(|(_, missed)| *missed > 0));
}

#[test]
fn a_writer_that_dies_while_it_signals_leaves_no_gap_and_stops_nobody() {
    for dead_first in [true, false] {
        let seen = explore_deaths(move |stores| {
            let tiny = Size::default().build(&[]);
            let die = move |tiny: &Tiny| crash::run(stores, || push(tiny, 10)).is_some();
            let other = dead_first.then(|| tiny.spawn(|tiny| push(tiny, 20)));
            let lived = tiny.spawn(die).join().unwrap();
            match other {
                Some(other) => other.join().unwrap(),
                None => push(&tiny, 20),
            }
            // One signal that is not counted shows all the same, and the next writer counts it.
            let first = take(&tiny, &mut behind(0), 3).0;
            push(&tiny, 30);
            let slots = take(&tiny, &mut behind(count(&tiny) - 2), 3).0;
            assert_eq!(slots.len(), 2);
            assert_eq!(slots[1].1, 30);
            assert_eq!(count(&tiny), first.len() as u64 + 1);
            assert!(first.iter().any(|(_, slot)| *slot == 20));
            (lived, first.iter().map(|(_, slot)| *slot).collect::<Vec<_>>())
        });
        assert!(seen.is_superset(&HashSet::from([vec![20], vec![10, 20]])), "{seen:?}");
    }
}

#[test]
fn a_watcher_that_comes_beside_a_signal_sees_all_that_follow() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        let writer = tiny.spawn(|tiny| (10..12).for_each(|number| push(tiny, number)));
        let watcher = tiny.spawn(|tiny| tiny.arena().cursor(0).position);
        writer.join().unwrap();
        let mut cursor = behind(watcher.join().unwrap());
        let (taken, missed) = take(&tiny, &mut cursor, 3);
        assert_eq!((cursor.position, missed), (2, 0));
        taken.len()
    });
    assert_eq!(seen, HashSet::from([0, 1, 2]));
}
