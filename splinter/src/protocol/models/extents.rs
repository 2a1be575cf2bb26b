//! Extents of a writer that died: nothing that it wrote lies beyond them. All of an extent but its last step was
//! written, so that it has memory.

use super::*;
use crate::arena::extent::STEP;

/// Value buffers of three steps.
const WORDS: usize = 3 * STEP / 8;

/// Checks that every step of slot 0's extents was written, except the last `open` of each. The writers write no zeroes.
fn check_written(tiny: &Tiny, open: usize) {
    let arena = tiny.arena();
    for which in 0..2 {
        let steps = arena.extent(&tiny.slots[0], which) / STEP;
        for step in arena.value(0, which).chunks(STEP / 8).take(steps.saturating_sub(open)) {
            let is_written = step.iter().any(|word| word.load(Relaxed) != 0);
            assert!(is_written, "buffer {which} was written {steps} steps far");
        }
    }
}

#[test]
fn a_writer_that_dies_anywhere_leaves_nothing_beyond_its_extents() {
    type Op = fn(&mut Claimant<'_>) -> Result<(), Error>;
    let ops: [Op; 6] = [
        |writer| writer.put(&letter(0), &[2; 8 * WORDS]),
        |writer| writer.extend(&letter(0), &[2; 8 * WORDS - 16]).map(drop),
        |writer| writer.put(&letter(1), &[2; 8 * WORDS]),
        |writer| writer.set_tandem(&[letter(0), letter(1)], &[&[2; 8 * WORDS], &[2; 8]]),
        |writer| writer.set_vector(&letter(0), &[2.0; 4], Expect::Any).map(drop),
        |writer| writer.unset_only(&letter(0)).map(drop),
    ];
    for scrub in [Scrub::None, Scrub::Hybrid, Scrub::Full] {
        for (number, op) in ops.into_iter().enumerate() {
            let seen = explore_deaths(move |stores| {
                let size = Size { slots: 2, words: WORDS, dim: 4, scrub, ..Size::default() };
                let tiny = size.build(&[letter(0)]);
                let lived = tiny.die(0, stores, op).is_some();
                tiny.check_extents();
                // A removal zeroes the bytes before it lowers the extents.
                let is_written = scrub == Scrub::None && number < 5;
                if is_written {
                    check_written(&tiny, 1);
                }
                drop(tiny.claimant(0));
                tiny.check_at_rest();
                if is_written {
                    check_written(&tiny, 0);
                }
                let extents = |slot| (0..2).map(move |which| (slot, which));
                let extents = tiny.slots.iter().flat_map(extents);
                let left = extents.map(|(slot, which)| tiny.arena().extent(slot, which)).max();
                assert_eq!(tiny.claimant(1).put(&letter(0), &value(3)), Ok(()));
                assert_eq!(tiny.claimant(1).purge().map(drop), Ok(()));
                tiny.check_at_rest();
                // No byte is left that the value does not need.
                let words = tiny.words.iter().filter(|word| word.load(Relaxed) != 0).count();
                let other = tiny.held_len(&letter(1)).div_ceil(8);
                assert_eq!(words, 2 + other, "{scrub:?} {number} {stores}");
                (lived, left)
            });
            // The deaths left more than one extent. Removals may not, nor whole values alone, where only bytes without
            // memory are wiped.
            let is_wiped = scrub == Scrub::Full || scrub == Scrub::Hybrid && number == 2;
            assert!(number > 3 || is_wiped || seen.len() > 2, "{scrub:?} {number}: {seen:?}");
        }
    }
}
