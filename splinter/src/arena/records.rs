//! The file format: the records of an arena, byte by byte (header, bid, group, writer table entry, owners, map, bucket,
//! slot). Layouts are asserted at compile time and described in `docs/format.md`; a change to one raises
//! [`FORMAT_VERSION`].
//!
//! Every field is an atomic word, so that a record can be borrowed while other processes write it. All zeroes is every
//! record's first state, so a sparse file is an empty arena.

use crate::sync::{Acquire, Pair, Relaxed, Word};

/// The first word of an arena: `TNLS` and, in the upper half, the format's version.
pub(crate) const MAGIC: u64 = 0x534c_4e54;
/// The version of the layout in this file.
pub(crate) const FORMAT_VERSION: u64 = 4;
/// The number of the hash function that places keys: rapidhash, version 3, with secrets made of the store's seed.
pub(crate) const HASH_RAPID_V3_SEEDED: u64 = 2;
/// The header's state once the arena is complete.
pub(crate) const READY: u64 = 0x5245_4144_5921;

/// A word of padding. The models, in which every word costs time, have none.
#[cfg(not(loom))]
type Unused = Word;
#[cfg(loom)]
type Unused = ();

/// Entries in a bucket.
pub(crate) const BUCKET_ENTRIES: usize = 7;
/// Words of a key, which has at most 63 bytes and is padded with zeroes.
pub(crate) const KEY_WORDS: usize = 8;

/// The header flag of scrub level full, and that of hybrid; neither is level none.
pub(crate) const FLAG_FULL: u64 = 1;
/// See [`FLAG_FULL`].
pub(crate) const FLAG_HYBRID: u64 = 2;
/// The header flag that is set while a thread may watch the whole store.
pub(crate) const FLAG_WATCHED: u64 = 4;
/// The header flag that is set with the first lasting subscription, and stays. Behind the 32 flags that callers can set.
pub(crate) const FLAG_LASTING: u64 = 1 << 32;
/// The header flag of a cache: sets leave marks of their visits.
pub(crate) const FLAG_CACHE: u64 = 1 << 33;
/// Where the user's sixteen flags begin in the header's flag word.
pub(crate) const USER_FLAG_SHIFT: u32 = 16;

/// The geometry as the header records it, read once when a store is opened.
#[repr(C)]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct HeaderGeometry {
    pub(crate) slots: Word,
    pub(crate) max_value_len: Word,
    pub(crate) vector_dim: Word,
    pub(crate) max_writers: Word,
    pub(crate) buckets: Word,
    pub(crate) hash: Word,
    pub(crate) arena_len: Word,
    pub(crate) writer_table_at: Word,
    pub(crate) bitmap_at: Word,
    pub(crate) metadata_at: Word,
    pub(crate) rings_at: Word,
    pub(crate) ring_len: Word,
    pub(crate) buckets_at: Word,
    pub(crate) slots_at: Word,
    pub(crate) slot_stride: Word,
    pub(crate) values_at: Word,
    pub(crate) value_stride: Word,
    pub(crate) vectors_at: Word,
    pub(crate) vector_stride: Word,
    pub(crate) owners_at: Word,
}

/// The start of every arena. Cache lines that are written are kept apart from those that are only read.
#[repr(C, align(128))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Header {
    /// [`MAGIC`] in the lower half, [`FORMAT_VERSION`] in the upper.
    pub(crate) magic: Word,
    /// Zero while the store is being created, then [`READY`].
    pub(crate) state: Word,
    pub(crate) geometry: HeaderGeometry,
    /// The seed of the hash that places keys: drawn when the store is created, read once by each process that opens it.
    pub(crate) hash_seed: Word,
    /// Which keys make room for new ones: 0 for those whose deadline has passed, 1 by SIEVE, 2 the least recently visited.
    pub(crate) eviction: Word,
    /// The boot that the distance belongs to, and how far store time is ahead of that boot's clock.
    #[cfg(not(loom))]
    pub(crate) time_base: Pair,
    /// The mark that a visit of a key leaves in a cache: read by every read there.
    pub(crate) visit_mark: Word,
    /// The version of the sketches of vectors; 0: there are none.
    pub(crate) sketches: Word,
    /// The seed of the rotation that sketches are made with; read once by each process that opens the store.
    pub(crate) rotation_seed: Word,
    times_line: [Unused; 3],
    /// Scrub level and the user's flags: read by every write.
    pub(crate) flags: Word,
    flags_line: [Unused; 15],
    /// Failures to parse a value, as programs that read it reported them.
    pub(crate) parse_failures: Word,
    /// The store's epoch when the last of them was reported.
    pub(crate) last_failure_epoch: Word,
    diagnostics_line: [Unused; 14],
    /// How many claims of dead writers other writers have recovered.
    pub(crate) recoveries: Word,
    recoveries_line: [Unused; 15],
    /// The word that watchers sleep on: a writer changes its lower half before it wakes them.
    pub(crate) wake_word: Word,
    wake_word_line: [Unused; 15],
    /// Changes whenever the table of bids does. Bidders sleep on its lower half.
    pub(crate) bid_changes: Word,
    bids_line: [Unused; 15],
    /// The store time that was noted last, from which it goes on after a reboot.
    pub(crate) time_seen: Word,
    /// The slot at which the next sweep begins.
    pub(crate) sweep_hand: Word,
    /// How many keys were removed because their deadline had passed.
    pub(crate) expired: Word,
    /// No removed key had a higher epoch. A new key's first epoch is higher, so no epoch of a key ever comes again.
    pub(crate) epoch_floor: Word,
    sweeps_line: [Unused; 12],
    /// For each label, the groups that are subscribed to keys with it, one bit a group.
    pub(crate) label_subscriptions: [Word; LABELS],
    pub(crate) bids: [Bid; BIDS],
    /// Lasting subscriptions, one a word: see `signals::lasting`.
    pub(crate) lasting: [Word; LASTING],
    pub(crate) hands: CacheHands,
    /// The groups that subscribe to keys and labels and, last, that of the whole store.
    pub(crate) groups: [Group; GROUPS + 1],
}

/// How many signal groups a store has, numbered from 0: a bit each in a mask of groups. The group of the whole store
/// comes in addition. The models make do with two.
pub const GROUPS: usize = if cfg!(loom) { 2 } else { 64 };
/// The group of the whole store.
pub(crate) const WHOLE_STORE: usize = GROUPS;
/// How many labels a key can carry, numbered from 0: a bit each in a mask of labels. The models make do with two.
pub const LABELS: usize = if cfg!(loom) { 2 } else { 64 };
/// Entries in the table of bids.
pub(crate) const BIDS: usize = if cfg!(loom) { 3 } else { 32 };
/// How many lasting subscriptions a store can have: of one group to one key each. The models make do with two.
pub const LASTING: usize = if cfg!(loom) { 2 } else { 56 };
/// Offset of the bids, in bytes.
pub(crate) const BIDS_AT: u64 = 1536;
/// Offset of the writer table, in bytes.
pub(crate) const WRITER_TABLE_AT: u64 = size_of::<Header>() as u64;

/// One open store's bid for advice on memory. The bidder keeps the byte at the bid's offset locked as long as it lives.
/// Only the holder of that lock writes the entry. Other processes only free it, by exchanging the very subject word
/// that they have seen.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Bid {
    /// Odd while the three words behind `subject` are being written.
    pub(crate) version: Word,
    /// The id that is bid for, and the bid's stage.
    ///
    /// | bits | meaning |
    /// |---|---|
    /// | 0–31 | the id; 0 in a free entry |
    /// | 32–33 | the stage: 0 free, 1 proposed, 2 committed, 3 renewing |
    /// | 34–63 | the serial number, which every bid in this entry raises |
    pub(crate) subject: Word,
    /// Bits 0–7 the intent, 8–15 the priority, 32–63 the process that the bid is said to be for.
    pub(crate) terms: Word,
    /// When the bid was made or last renewed, in cycles.
    pub(crate) claimed_at: Word,
    /// How long it holds from then on, in cycles; all ones: without end.
    pub(crate) duration: Word,
    rest: [Unused; 3],
}

/// Where the queues of a cache begin and end, and its counters. Changed by insertions.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct CacheHands {
    /// Of each queue, how many hints were taken from its front, and how many were put at its end.
    pub(crate) taken: [Word; 2],
    pub(crate) put: [Word; 2],
    /// How often the queues changed places: the lowest bit is the number of the one ahead of the hand.
    pub(crate) turns: Word,
    /// Not zero once an insertion has found no free slot.
    pub(crate) is_filled: Word,
    /// How many keys were evicted.
    pub(crate) evicted: Word,
    /// The slot at which the search for a key without a hint begins.
    pub(crate) next_slot: Word,
}

/// A signal group: how many signals it has had, and the tickets of its waiters (an eventcount).
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Group {
    /// Signals so far: the position in the group's ring of the next one.
    pub(crate) count: Word,
    /// How many times a thread has announced that it will sleep until a signal comes.
    pub(crate) tickets: Word,
    /// Tickets whose waiters need no wake any more. Nobody sleeps if this equals `tickets`.
    pub(crate) served: Word,
    /// Up to which position some watcher has read; used for the group of the whole store only.
    pub(crate) read_to: Word,
    /// The position, plus one, from which a watcher that begins later wants to read; 0: none. Used for the group of the
    /// whole store only.
    pub(crate) mark: Word,
    rest: [Unused; 3],
}

/// A writer table entry. Only the owner uses its first line. Other writers and readers read the second line, which only
/// tandems write.
#[repr(C, align(128))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct WriterEntry {
    /// How many changes this writer id has published. The store's epoch is the sum over all writer ids.
    pub(crate) writes: Word,
    /// The slot, plus one, that the owner was last about to claim; [`EVERY_SLOT`] in a tandem's write.
    pub(crate) slot_intent: Word,
    /// The slot, plus one, that the owner was last about to recover from a dead writer, or whose sleepers it was about
    /// to wake.
    pub(crate) recovery_intent: Word,
    /// The bucket, plus one, that the owner was last about to claim.
    pub(crate) bucket_intent: Word,
    owner_line: [Unused; 4],
    /// Non-zero while the prepared words of this writer id's tandem claims are current.
    pub(crate) committed: Word,
    shared_line: [Unused; 7],
}

impl WriterEntry {
    /// Borrows the words that note which slots and bucket the owner was last about to claim.
    pub(crate) fn intents(&self) -> [&Word; 3] {
        [&self.slot_intent, &self.recovery_intent, &self.bucket_intent]
    }

    /// Counts one published change. Only the owner stores this word.
    #[inline(always)]
    pub(crate) fn count_write(&self) {
        self.writes.store(self.writes.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Clears the intents. The owner holds no claim.
    pub(crate) fn clear_intents(&self) {
        self.intents().into_iter().for_each(|intent| intent.store(0, Relaxed));
    }

    /// Whether the last owner left nothing to finish: it died before its first claim, or gave the writer id back.
    pub(crate) fn has_no_intents(&self) -> bool {
        self.intents().into_iter().chain([&self.committed]).all(|word| word.load(Acquire) == 0)
    }
}

/// For how many writer ids a page holds the owners.
pub(crate) const OWNERS_A_PAGE: usize = 4;

/// The owner words of four writer ids: an [`Ownership`](super::owner::Ownership) each. The owners lie at the end of the
/// page, so that a process can map a page of its own behind them.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Owners {
    space: [Unused; if cfg!(loom) { 0 } else { 504 }],
    pub(crate) store_ids: [Word; OWNERS_A_PAGE],
    pub(crate) owners: [Word; OWNERS_A_PAGE],
}

/// The [`WriterEntry::slot_intent`] of an owner whose claims may be on any slots.
pub(crate) const EVERY_SLOT: u64 = u64::MAX;

/// Bits of 64 slots.
#[repr(C, align(32))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct BitmapWord {
    /// Set while the slot holds a key. A writer may claim a slot whose bit is clear for a new key.
    pub(crate) used: Word,
    /// Set before the slot is first used, and never cleared. All other slots have never been written.
    pub(crate) touched: Word,
    /// Set before the slot's key gets a deadline. Cleared under the slot's claim after its descriptor names
    /// none.
    pub(crate) expiring: Word,
    /// Set before the slot gets its first sketch, and never cleared. All other sketches have never been written.
    pub(crate) sketched: Word,
}

/// The deadlines of a slot: the descriptor says which word is current. The other may be anything.
#[repr(C, align(16))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Deadlines {
    pub(crate) words: [Word; 2],
}

/// One bucket of the index, a cache line.
#[repr(C, align(64))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Bucket {
    /// A [`Control`](super::state::Control).
    pub(crate) control: Word,
    /// [`Entry`](super::state::Entry) words.
    pub(crate) entries: [Word; BUCKET_ENTRIES],
}

/// What is about a slot's key and needs no place in the slot's lines.
#[repr(C, align(32))]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Metadata {
    /// The groups that are subscribed to the key, a bit each.
    pub(crate) subscriptions: Word,
    /// Counts the changes of labels, times, flags, deadlines and subscriptions, which leave the slot's epoch alone.
    pub(crate) changes: Word,
    /// The labels that a transaction gives the key. The descriptor says whether they are current.
    pub(crate) prepared_labels: Word,
    rest: Unused,
}

/// One key's record. A lookup of a key of up to 31 bytes and a write need only its first line.
#[repr(C, align(128))]
pub(crate) struct Slot {
    /// The state word, and the number that integer operations act on.
    pub(crate) state_integer: Pair,
    /// A [`Descriptor`](super::state::Descriptor).
    pub(crate) descriptor: Word,
    /// [`NotifyFlags`](super::state::NotifyFlags): whether changes may concern a group, and the extents.
    pub(crate) notify_flags: Word,
    /// The key, padded with zeroes; its 64th byte is always zero.
    pub(crate) key: [Word; KEY_WORDS],
    /// The descriptor that a transaction, or a number set over a number, will publish; while labels change, the groups
    /// of the old labels.
    pub(crate) prepared: Word,
    /// The 64 labels.
    pub(crate) labels: Word,
    /// When the value was made, in the user's clock.
    pub(crate) ctime: Word,
    /// When the value was last used, in the user's clock.
    pub(crate) atime: Word,
}

#[cfg(loom)]
impl Default for Slot {
    fn default() -> Self {
        Self {
            state_integer: Pair::new(0, 0),
            descriptor: Word::default(),
            notify_flags: Word::default(),
            key: Default::default(),
            prepared: Word::default(),
            labels: Word::default(),
            ctime: Word::default(),
            atime: Word::default(),
        }
    }
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(offset_of!(Header, geometry) == 16);
    assert!(offset_of!(Header, hash_seed) == 176);
    assert!(offset_of!(Header, eviction) == 184 && offset_of!(Header, visit_mark) == 208);
    assert!(offset_of!(Header, sketches) == 216 && offset_of!(Header, rotation_seed) == 224);
    assert!(offset_of!(Header, hands) == 4032 && size_of::<CacheHands>() == 64);
    assert!(offset_of!(Header, time_base) == 192);
    assert!(offset_of!(Header, time_seen) == 896 && offset_of!(Header, expired) == 912);
    assert!(offset_of!(Header, flags) == 256);
    assert!(offset_of!(Header, parse_failures) == 384);
    assert!(offset_of!(Header, recoveries) == 512);
    assert!(offset_of!(Header, wake_word) == 640);
    assert!(offset_of!(Header, bid_changes) == 768);
    assert!(offset_of!(Header, label_subscriptions) == 1024);
    assert!(offset_of!(Header, bids) == BIDS_AT as usize && size_of::<Bid>() == 64);
    assert!(offset_of!(Header, lasting) == 3584);
    assert!(offset_of!(Header, groups) == 4096 && size_of::<Group>() == 64);
    assert!(WRITER_TABLE_AT == 8320);
    assert!(size_of::<WriterEntry>() == 128 && offset_of!(WriterEntry, committed) == 64);
    assert!(size_of::<Owners>() == 4096 && offset_of!(Owners, store_ids) == 4032);
    assert!(offset_of!(Owners, owners) == 4064);
    assert!(size_of::<BitmapWord>() == 32 && size_of::<Deadlines>() == 16);
    assert!(size_of::<Bucket>() == 64 && offset_of!(Bucket, entries) == 8);
    assert!(size_of::<Metadata>() == 32);
    assert!(size_of::<Slot>() == 128);
    assert!(offset_of!(Slot, descriptor) == 16 && offset_of!(Slot, key) == 32);
    assert!(offset_of!(Slot, prepared) == 96 && offset_of!(Slot, atime) == 120);
};
