//! Lasting subscriptions: groups that are subscribed to a name, whether or not a key has it. They are in a small table in
//! the header. An insertion looks there for the groups of its new key, once an entry of the index leads to that.
//!
//! A word is the subscription of one group to one name, so one exchange makes it or ends it. The slot of a key that is
//! there follows. A caller that dies in between leaves the slot as it was, and the same call by any writer completes it.

use crate::arena::Arena;
use crate::arena::records::FLAG_LASTING;
use crate::sync::{AcqRel, Relaxed, Word};

/// The bits of a word that hold the group.
const GROUP: u64 = 0x3f;
/// The bit of a word that is taken.
const TAKEN: u64 = 0x40;

/// Returns the word for a name, by its hash, and a group.
///
/// | bits | meaning |
/// |---|---|
/// | 0–5 | the group |
/// | 6 | set if the word is taken |
/// | 7–63 | the same bits of the hash |
const fn word_of(hash: u64, group: u8) -> u64 {
    hash & !(TAKEN | GROUP) | TAKEN | group as u64 & GROUP
}

impl Arena<'_> {
    /// Subscribes `group` to the name with `hash`, unless it is subscribed. Returns false if there is no room.
    pub(crate) fn add_lasting(&self, hash: u64, group: u8) -> bool {
        let (table, mine) = (&self.header.lasting, word_of(hash, group));
        self.header.flags.fetch_or(FLAG_LASTING, AcqRel);
        let is_mine = |seen: u64| seen == mine;
        // Another caller with the same subscription may take the place first.
        let takes = |word: &Word| match word.load(Relaxed) {
            seen if seen & TAKEN != 0 => is_mine(seen),
            // 0, unless it is damaged.
            seen => word.compare_exchange(seen, mine, AcqRel, Relaxed).map_or_else(is_mine, |_| true),
        };
        table.iter().any(|word| is_mine(word.load(Relaxed))) || table.iter().any(takes)
    }

    /// Ends the subscription of `group` to the name with `hash`. Two callers may have made it at once, in two words.
    pub(crate) fn remove_lasting(&self, hash: u64, group: u8) {
        let mine = word_of(hash, group);
        self.remove_lasting_if(|word| word == mine);
    }

    /// Ends all lasting subscriptions of `group`. Returns how many there were.
    pub(crate) fn clear_lasting(&self, group: u8) -> usize {
        self.remove_lasting_if(|word| word & (TAKEN | GROUP) == word_of(0, group))
    }

    fn remove_lasting_if(&self, is_wanted: impl Fn(u64) -> bool) -> usize {
        let removed = self.header.lasting.iter().filter(|word| {
            let seen = word.load(Relaxed);
            is_wanted(seen) && word.compare_exchange(seen, 0, AcqRel, Relaxed).is_ok()
        });
        removed.count()
    }

    /// Returns the groups that are subscribed to the name with `hash`, one bit each.
    pub(crate) fn lasting_groups(&self, hash: u64) -> u64 {
        let words = self.header.lasting.iter().map(|word| word.load(Relaxed));
        let of_name = words.filter(|word| word & !GROUP == word_of(hash, 0));
        of_name.fold(0, |groups, word| groups | 1 << (word & GROUP))
    }
}
