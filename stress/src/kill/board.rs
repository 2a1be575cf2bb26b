//! What the processes of a storm share beside the store: what each writer has begun and what was
//! acknowledged to it, kept where its death cannot reach, and what anybody found wrong. A writer's *seat*
//! outlives its processes: whoever sits in it next goes on where the dead one stopped.

use super::desk::{Deed, OWN, Own};
use crate::shared::SharedWords;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Words of a seat, of a reader and of a slip.
const SEAT: usize = 64;
const READER: usize = 16;
const SLIP: usize = 64;
/// Words before the seats.
const HEAD: usize = 32;

/// What can be wrong. The order is that of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fault {
    /// A value that no single write wrote, or another key's; a tandem of two generations.
    Torn,
    /// Not what was acknowledged last, nor what was under way.
    Lost,
    /// A key that is there was reported missing.
    Missing,
    /// A slot's epoch, or what one reader saw of one writer, went back.
    Backwards,
    /// A dead writer's lock or claim stayed, or a key took no write.
    Stuck,
    /// Two slots for one key, a key that the index does not lead to, a slot or entry gone astray.
    Astray,
    /// Bytes that the scrub level promises to be zero.
    Stale,
    /// An error that has no place here.
    Unexpected,
    /// A process that panicked, or ended otherwise than killed.
    Ended,
}

/// How many kinds of fault there are.
pub(crate) const FAULTS: usize = 9;

/// The words.
#[derive(Debug)]
pub(crate) struct Board {
    words: SharedWords,
    seats: usize,
    readers: usize,
}

impl Board {
    /// Makes the words for so many writers and readers; the process that kills has a slip, too.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new(seats: u32, readers: u32) -> std::io::Result<Self> {
        let (seats, readers) = (seats as usize, readers as usize);
        let slips = seats + readers + 1;
        let words = SharedWords::create(HEAD + seats * SEAT + readers * READER + slips * SLIP)?;
        const { assert!(FAULTS < HEAD) };
        Ok(Self {
            words,
            seats,
            readers,
        })
    }

    /// Tells readers to end.
    pub(crate) fn stop(&self, stop: bool) {
        self.words.words()[0].store(u64::from(stop), Release);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.words.words()[0].load(Acquire) != 0
    }

    /// Counts a fault, and keeps the words of the first that anybody in this place found.
    pub(crate) fn fault(&self, place: usize, fault: Fault, text: &str) {
        self.words.words()[1 + fault as usize].fetch_add(1, AcqRel);
        let slip = self.slip(place);
        if slip[0].load(Acquire) != 0 {
            return;
        }
        let mut end = text.len().min((SLIP - 1) * 8);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for (word, bytes) in slip[1..].iter().zip(text.as_bytes()[..end].chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        slip[0].store(end as u64, Release);
    }

    /// Returns how often each kind of fault was found.
    pub(crate) fn faults(&self) -> [u64; FAULTS] {
        std::array::from_fn(|fault| self.words.words()[1 + fault].load(Acquire))
    }

    /// Returns, in words, the first fault that was found in each place.
    pub(crate) fn stories(&self) -> Vec<String> {
        let slips = self.words.words()[self.slips_at()..].chunks(SLIP);
        let read = |slip: &[AtomicU64]| {
            let len = slip[0].load(Acquire) as usize;
            let bytes = slip[1..]
                .iter()
                .flat_map(|word| word.load(Relaxed).to_le_bytes());
            let bytes: Vec<u8> = bytes.take(len).collect();
            (len > 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
        };
        slips.filter_map(read).collect()
    }

    /// Returns the place of the process that kills.
    pub(crate) fn own_place(&self) -> usize {
        self.seats + self.readers
    }

    pub(crate) fn seat(&self, number: usize) -> Seat<'_> {
        Seat {
            number,
            words: &self.words.words()[HEAD + number * SEAT..][..SEAT],
        }
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = Seat<'_>> {
        (0..self.seats).map(|number| self.seat(number))
    }

    /// Returns a reader's counters: reads that answered, and those that were given up.
    pub(crate) fn reads(&self, reader: usize) -> [&AtomicU64; 2] {
        let at = HEAD + self.seats * SEAT + reader * READER;
        [&self.words.words()[at], &self.words.words()[at + 1]]
    }

    /// Returns the counters of all readers together.
    pub(crate) fn all_reads(&self) -> [u64; 2] {
        [0, 1].map(|which| {
            (0..self.readers)
                .map(|reader| self.reads(reader)[which].load(Relaxed))
                .sum()
        })
    }

    fn slips_at(&self) -> usize {
        HEAD + self.seats * SEAT + self.readers * READER
    }

    fn slip(&self, place: usize) -> &[AtomicU64] {
        &self.words.words()[self.slips_at() + place * SLIP..][..SLIP]
    }
}

/// One writer's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat<'b> {
    /// Its number.
    pub number: usize,
    words: &'b [AtomicU64],
}

/// In a seat: the lane, the processes so far, the last stamp, additions to the sum that are begun and
/// acknowledged, the last key that was used once; then what is begun and acknowledged of each of its own keys; then what it did.
const LANE: usize = 0;
const LIFE: usize = 1;
const STAMP: usize = 2;
const SUM: usize = 3;
const ONCE: usize = 5;
const OWNS: usize = 6;
const DEEDS: usize = OWNS + 2 * OWN;

impl<'b> Seat<'b> {
    /// Notes the lane of the process that sits here now, or none.
    pub(crate) fn set_lane(self, lane: Option<u32>) {
        self.words[LANE].store(lane.map_or(0, |lane| u64::from(lane) + 1), Release);
    }

    pub(crate) fn lane(self) -> Option<u32> {
        (self.words[LANE].load(Acquire) as u32).checked_sub(1)
    }

    /// Counts a process that sits down here, from 1.
    pub(crate) fn next_life(self) -> u64 {
        self.words[LIFE].fetch_add(1, AcqRel) + 1
    }

    /// Draws the number of this seat's next write to a key that is not its own.
    pub(crate) fn next_stamp(self) -> u64 {
        self.words[STAMP].fetch_add(1, AcqRel) + 1
    }

    /// Returns the number of the last key that was used once; whether it is there still is not said.
    pub(crate) fn once(self) -> &'b AtomicU64 {
        &self.words[ONCE]
    }

    /// Returns how often this seat set out to add to the sum, and how often that was acknowledged.
    pub(crate) fn sum(self) -> [&'b AtomicU64; 2] {
        [&self.words[SUM], &self.words[SUM + 1]]
    }

    /// Returns what was begun of a key of its own, and what was acknowledged.
    pub(crate) fn own(self, own: Own) -> [&'b AtomicU64; 2] {
        let at = OWNS + 2 * own as usize;
        [&self.words[at], &self.words[at + 1]]
    }

    /// Returns the counters of a deed: done, again.
    pub(crate) fn count(self, deed: Deed) -> [&'b AtomicU64; 2] {
        let at = DEEDS + 2 * deed as usize;
        [&self.words[at], &self.words[at + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_do_not_overlap_and_stories_come_back() {
        const { assert!(DEEDS + 2 * Deed::ALL.len() <= SEAT) };
        let board = Board::new(3, 2).unwrap();
        assert_eq!(board.own_place(), 5);
        for place in 0..=board.own_place() {
            board.fault(place, Fault::Lost, &format!("story of {place} ä"));
            board.fault(place, Fault::Torn, "a later one");
        }
        board.seat(2).own(Own::Comes)[1].store(7, Relaxed);
        board.reads(1)[1].store(9, Relaxed);
        assert_eq!(board.all_reads(), [0, 9]);
        assert_eq!(board.faults()[Fault::Lost as usize], 6);
        assert_eq!(board.faults()[Fault::Torn as usize], 6);
        let stories: Vec<_> = (0..6).map(|place| format!("story of {place} ä")).collect();
        assert_eq!(board.stories(), stories);
    }
}
