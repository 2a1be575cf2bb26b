//! The meaning of an arena's bytes, and copies to and from memory that other processes change meanwhile. An [`Arena`]
//! is borrowed records and a private copy of the geometry. This layer checks or clamps every index and length that
//! comes from shared memory, so that no bytes can lead outside the borrowed memory.
//!
//! It decides nothing: `protocol`, above it, decides which writer changes which word, and when.

pub(crate) mod bucket;
pub(crate) mod cache;
pub(crate) mod change;
pub(crate) mod copy;
pub(crate) mod deadline;
mod entries;
pub(crate) mod extent;
pub(crate) mod integer;
pub(crate) mod key;
pub(crate) mod orders;
pub(crate) mod os;
pub(crate) mod owner;
pub(crate) mod payload;
pub(crate) mod records;
mod scrub;
mod search;
pub(crate) mod sketches;
pub(crate) mod state;
pub(crate) mod version;

use self::cache::Cache;
use self::deadline::Clock;
use self::key::{KeyHash, KeyRef};
use self::owner::Ownership;
use self::records::{
    BitmapWord, Bucket, Deadlines, FLAG_FULL, FLAG_HYBRID, FLAG_WATCHED, Header, Metadata, OWNERS_A_PAGE,
    Owners, Slot, WriterEntry,
};
use self::sketches::Sketches;
use self::state::{Descriptor, NotifyFlags};
use crate::error::Error;
use crate::sync::{Byte, Relaxed, Release, Word};

/// The three scrub levels: which stale bytes a store zeroes.
///
/// ```
/// use splinter::Scrub;
/// assert_eq!("full".parse(), Ok(Scrub::Full));
/// assert_eq!(Scrub::default(), Scrub::Hybrid);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scrub {
    /// Leaves stale bytes behind a shorter value and after removal. Fastest.
    None,
    /// Zeroes up to the next 64-byte boundary behind a value, and the value region on removal.
    #[default]
    Hybrid,
    /// Leaves no stale byte behind a value, and none of an overwritten or removed one.
    Full,
}

/// The granularity to which the hybrid level zeroes, in bytes.
pub(crate) const HYBRID_LINE: usize = 64;

/// The private copy of the geometry, which all arithmetic uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) slots: u32,
    pub(crate) max_value_len: u32,
    pub(crate) vector_dim: u32,
    /// First word of slot 0's value buffers within the arena, and the distance between slots, in words.
    pub(crate) values_at: usize,
    pub(crate) value_stride: usize,
    /// Words of one value buffer.
    pub(crate) value_words: usize,
    pub(crate) vectors_at: usize,
    pub(crate) vector_stride: usize,
    /// Words of one vector buffer.
    pub(crate) vector_words: usize,
    /// Entries of a group's ring, a power of two.
    pub(crate) ring_len: u32,
}

/// A borrowed arena.
#[derive(Clone, Copy)]
pub(crate) struct Arena<'a> {
    pub(crate) header: &'a Header,
    pub(crate) writer_table: &'a [WriterEntry],
    /// The owners of the writer ids, four to a page.
    pub(crate) owners: &'a [Owners],
    pub(crate) bitmap: &'a [BitmapWord],
    pub(crate) buckets: &'a [Bucket],
    pub(crate) slots: &'a [Slot],
    /// For each slot, the groups that are subscribed to its key, and the count of changes beside its content.
    pub(crate) metadata: &'a [Metadata],
    /// For each slot, the two words of which one may be its key's deadline.
    pub(crate) deadlines: &'a [Deadlines],
    /// The groups' rings, one behind the other.
    pub(crate) rings: &'a [Word],
    /// Every word of the arena. The shape tells where values and vectors lie.
    pub(crate) words: &'a [Word],
    pub(crate) shape: Shape,
    /// The hash that places keys, made of the store's seed, which was read once.
    pub(crate) hash: &'a KeyHash,
    pub(crate) clock: Clock<'a>,
    /// For each slot, the mark of its key's last visit; empty unless the store is a cache and writable here.
    pub(crate) visits: &'a [Byte],
    /// What insertions evict by, if the store is a cache.
    pub(crate) cache: Option<Cache<'a>>,
    /// The sketches of the vectors, if the store has them.
    pub(crate) sketches: Option<Sketches<'a>>,
}

impl<'a> Arena<'a> {
    /// Checks a key and hashes it for this store.
    #[inline(always)]
    pub(crate) fn key<'k>(&self, bytes: &'k [u8]) -> Result<KeyRef<'k>, Error> {
        KeyRef::new(bytes, self.hash)
    }

    #[inline(always)]
    pub(crate) fn scrub(&self) -> Scrub {
        let flags = self.header.flags.load(Relaxed);
        if flags & FLAG_FULL != 0 {
            Scrub::Full
        } else if flags & FLAG_HYBRID != 0 {
            Scrub::Hybrid
        } else {
            Scrub::None
        }
    }

    /// Whether changes to `slot` are signalled, by its notify flags and the header's flags.
    #[inline(always)]
    pub(crate) fn is_signalled(&self, slot: &Slot) -> bool {
        let notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        notify_flags.is_subscribed() || self.header.flags.load(Relaxed) & FLAG_WATCHED != 0
    }

    /// Borrows the owner words of a writer id, if the store has that id.
    pub(crate) fn ownership(&self, writer_id: u32) -> Option<Ownership<'a>> {
        let page = self.owners.get(writer_id as usize / OWNERS_A_PAGE)?;
        let index = writer_id as usize % OWNERS_A_PAGE;
        Some(Ownership { owner: &page.owners[index], store_id: &page.store_ids[index] })
    }

    /// Borrows the record of slot `number`, if the store has that slot.
    #[inline(always)]
    pub(crate) fn slot(&self, number: u32) -> Option<&'a Slot> {
        self.slots.get(number as usize)
    }

    /// Borrows one of a slot's two value buffers. `which` is clamped to one bit.
    #[inline(always)]
    pub(crate) fn value(&self, slot: u32, which: u64) -> &'a [Word] {
        self.value_from(self.value_at(slot), which)
    }

    /// Returns the word at which a slot's value buffers begin.
    #[inline(always)]
    pub(crate) fn value_at(&self, slot: u32) -> usize {
        self.shape.values_at + slot as usize * self.shape.value_stride
    }

    /// Borrows one of the two value buffers that begin at this word.
    #[inline(always)]
    pub(crate) fn value_from(&self, first: usize, which: u64) -> &'a [Word] {
        let words = self.shape.value_words;
        let at = first + (which & 1) as usize * words;
        &self.words[at..at + words]
    }

    /// Prefetches the beginning of both of a slot's value buffers. The descriptor says which is current, and it comes with
    /// the slot's line: so both lines are on their way together. Returns the word at which the buffers begin.
    #[inline(always)]
    pub(crate) fn prefetch_value(&self, slot: u32) -> usize {
        let at = self.value_at(slot);
        let first = self.words.as_ptr().wrapping_add(at);
        prefetch_at::<false, _>(first);
        prefetch_at::<false, _>(first.wrapping_add(self.shape.value_words));
        at
    }

    /// Borrows one of a slot's two vector buffers.
    pub(crate) fn vector(&self, slot: u32, which: u64) -> &'a [Word] {
        let shape = &self.shape;
        let at = shape.vectors_at
            + slot as usize * shape.vector_stride
            + (which & 1) as usize * shape.vector_words;
        &self.words[at..at + shape.vector_words]
    }

    /// Reads a value's length, clamped to what a buffer holds.
    #[inline(always)]
    pub(crate) fn len_of(&self, descriptor: Descriptor) -> usize {
        if descriptor.is_integer() {
            8
        } else {
            descriptor.len().min(u64::from(self.shape.max_value_len)) as usize
        }
    }

    /// Computes a hash's home bucket; the number of buckets is a power of two.
    #[inline(always)]
    pub(crate) fn home(&self, hash: u64) -> usize {
        self.index().home(hash)
    }

    /// Borrows the bucket `distance` after `home`, once round at most.
    #[inline(always)]
    pub(crate) fn bucket(&self, home: usize, distance: u64) -> &'a Bucket {
        self.index().bucket(home, distance)
    }

    /// Returns the index of the bucket `distance` after `home`, once round at most.
    #[inline(always)]
    pub(crate) fn place(&self, home: usize, distance: u64) -> usize {
        self.index().place(home, distance)
    }

    /// Borrows the word of the map that holds slot `number`'s bit, and returns the bit.
    pub(crate) fn bit(&self, number: u32) -> (&'a BitmapWord, u64) {
        (&self.bitmap[number as usize / 64], 1 << (number % 64))
    }

    /// Counts a change of what is about a slot's content. The caller holds the slot.
    pub(crate) fn count_change(&self, number: u32) {
        mutant!("metadata-uncounted", return);
        let changes = &self.metadata[number as usize].changes;
        changes.store(changes.load(Relaxed).wrapping_add(1), Release);
    }

    /// Has keys that are inserted from now on begin above `epoch`, which a key has that is about to be removed.
    pub(crate) fn raise_epoch_floor(&self, epoch: u64) {
        mutant!("floor-unraised", return);
        mutant!("epoch-restarted", return);
        let floor = &self.header.epoch_floor;
        if floor.load(Relaxed) < epoch {
            floor.fetch_max(epoch, Relaxed);
        }
    }

    /// Reads the store's epoch: how many changes all writer ids have published.
    pub(crate) fn epoch(&self) -> u64 {
        self.writer_table.iter().fold(0, |sum, entry| entry.writes.load(Relaxed).wrapping_add(sum))
    }

    /// Visits the numbers of all slots whose bit is set in the word that `bits` selects.
    pub(crate) fn marked<F>(&self, bits: F) -> impl Iterator<Item = u32> + use<'a, F>
    where
        F: Fn(&BitmapWord) -> u64,
    {
        self.marked_from(0, bits)
    }

    /// Visits the slots that [`Self::marked`] does, from slot `first` on.
    pub(crate) fn marked_from<F>(&self, first: u32, bits: F) -> impl Iterator<Item = u32> + use<'a, F>
    where
        F: Fn(&BitmapWord) -> u64,
    {
        let count = self.shape.slots;
        self.bitmap
            .iter()
            .enumerate()
            .skip(first as usize / 64)
            .flat_map(move |(index, word)| {
                let mut rest = bits(word);
                std::iter::from_fn(move || {
                    let bit = rest.trailing_zeros();
                    rest &= rest.wrapping_sub(1);
                    (bit < 64).then_some(index as u32 * 64 + bit)
                })
            })
            .filter(move |slot| (first..count).contains(slot))
    }
}

/// Prefetches the cache line at `address`, to be read or, if `WRITE`, written.
///
/// For writing by assembly: the compiler makes a prefetch for reading of `_MM_HINT_ET0`, unless it builds for processors
/// that all have PREFETCHW. Those of x86-64 that have not take it for no operation.
#[inline(always)]
pub(crate) fn prefetch<const WRITE: bool, T>(address: &T) {
    prefetch_at::<WRITE, T>(address);
}

/// Prefetches the cache line at `address`, which may be any.
#[inline(always)]
fn prefetch_at<const WRITE: bool, T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
    {
        use std::arch::asm;
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address: *const i8 = address.cast();
        #[allow(unsafe_code, reason = "a prefetch has no effect that can be observed")]
        if WRITE {
            // SAFETY: any address may be asked for: a prefetch reads nothing that could fault.
            unsafe { asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly)) };
        } else {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, splinter_sanitize)))))]
    let _ = address;
}
