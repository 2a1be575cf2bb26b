//! Where everything lies in an arena of a given geometry, and the header that records it. Opening trusts
//! none of it: the geometry is read once, planned anew, and every recorded offset must agree.

use super::store_time;
use crate::arena::cache::{Cache, Eviction, HINTS_A_SLOT};
use crate::arena::key::KeyHash;
use crate::arena::records::{
    BitmapWord, Bucket, Deadlines, FLAG_CACHE, FORMAT_VERSION, GROUPS, HASH_RAPID_V3_SEEDED, Header,
    HeaderGeometry, MAGIC, Metadata, OWNERS_A_PAGE, Owners, READY, Slot, WRITER_TABLE_AT, WriterEntry,
};
use crate::arena::sketches::Sketches;
use crate::arena::{Arena, Shape};
use crate::error::StoreError;
use crate::kernel::Mapping;
use crate::settings::Geometry;
use crate::sketch::{self, Rotation};
use crate::sync::{Acquire, Byte, Relaxed, Release, Word};
use std::ops::Range;
use std::sync::Arc;

/// The offsets and strides of an arena, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) geometry: Geometry,
    pub(crate) arena_len: u64,
    /// Of the hash that keys are placed by.
    hash_seed: u64,
    buckets: u64,
    owners_at: u64,
    bitmap_at: u64,
    metadata_at: u64,
    deadlines_at: u64,
    rings_at: u64,
    ring_len: u64,
    buckets_at: u64,
    slots_at: u64,
    values_at: u64,
    value_stride: u64,
    vectors_at: u64,
    vector_stride: u64,
    pub(crate) eviction: Eviction,
    /// Behind the vectors of a cache: the marks of visits, the places of hints and the queues.
    visits_at: u64,
    places_at: u64,
    queues_at: u64,
    /// Behind these, the sketches of the vectors; none if the stride is 0.
    sketches_at: u64,
    sketch_stride: u64,
    /// Of the rotation that sketches are made with; 0 in a store without sketches.
    rotation_seed: u64,
}

/// What a process makes of the seeds in a header, once. The arena borrows it.
pub(crate) struct Seeded {
    hash: KeyHash,
    rotation: Option<Rotation>,
}

/// The version of the sketches that this library reads and writes. A header with 0 has none.
const SKETCH_VERSION: u64 = 1;
/// At most four slots a bucket of seven entries: the index is at most four sevenths full when the store is.
const SLOTS_PER_BUCKET: u64 = 4;
/// The size of a slot's record.
const SLOT: u64 = size_of::<Slot>() as u64;
/// The fewest and the most entries of a group's ring.
const RING_LEN: [u64; 2] = [64, 4096];
/// Rings: one for each group, and one for the whole store.
const RINGS: u64 = GROUPS as u64 + 1;
const LINE: u64 = 64;
const PAGE: u64 = size_of::<Owners>() as u64;
/// The most bytes an arena can have: what user space can map.
const ARENA_MAX: u64 = 1 << 47;

impl Layout {
    /// Plans an arena, or says which bound the geometry breaks. Nothing that can be asked for
    /// overflows: the bounds keep every product below 2^64.
    ///
    /// A store with vectors has sketches of them if there is a `rotation_seed`.
    pub(crate) fn new(
        geometry: Geometry,
        hash_seed: u64,
        eviction: Eviction,
        rotation_seed: Option<u64>,
    ) -> Result<Self, StoreError> {
        let Geometry { slots, max_value_len, vector_dim, max_writers } = geometry;
        let within = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                let why = format!("{name} is {value}, and must be {low} to {high}");
                Err(StoreError::BadGeometry(why))
            }
        };
        within("the number of slots", slots, 1, u64::from(u32::MAX) - 1)?;
        within("the longest value", max_value_len, 1, u64::from(u32::MAX) - 63)?;
        within("the vector dimension", vector_dim.into(), 0, 1 << 20)?;
        within("the number of writers", max_writers.into(), 1, 1023)?;
        let buckets = slots.div_ceil(SLOTS_PER_BUCKET).next_power_of_two();
        let owners_at = (WRITER_TABLE_AT + u64::from(max_writers) * size_of::<WriterEntry>() as u64)
            .next_multiple_of(PAGE);
        // A page more: where no page of a process's own can be put behind the last one, its list entries lie there.
        let bitmap_at = owners_at + (owner_pages(max_writers) + 1) * PAGE;
        let metadata_at = bitmap_at + slots.div_ceil(64) * size_of::<BitmapWord>() as u64;
        // A watcher that is more changes behind than there are slots reads the slots as cheaply.
        let ring_len = slots.next_power_of_two().clamp(RING_LEN[0], RING_LEN[1]);
        let deadlines_at = metadata_at + slots * size_of::<Metadata>() as u64;
        let rings_at = (deadlines_at + slots * size_of::<Deadlines>() as u64).next_multiple_of(PAGE);
        let buckets_at = rings_at + RINGS * ring_len * 8;
        let slots_at = (buckets_at + buckets * LINE).next_multiple_of(PAGE);
        let values_at = (slots_at + slots * SLOT).next_multiple_of(PAGE);
        let value_stride = spread(2 * max_value_len.next_multiple_of(LINE));
        let vectors_at = (values_at.checked_add(slots.saturating_mul(value_stride)))
            .and_then(|end| end.checked_next_multiple_of(PAGE));
        let vector_stride = spread(2 * (u64::from(vector_dim) * 4).next_multiple_of(LINE));
        let visits_at = vectors_at
            .and_then(|at| at.checked_add(slots.checked_mul(vector_stride)?))
            .and_then(|end| end.checked_next_multiple_of(PAGE))
            .filter(|end| *end <= ARENA_MAX);
        let (visits, hints) = (visits_len(eviction, slots), hints_len(eviction, slots));
        let rotation_seed = rotation_seed.filter(|_| vector_dim > 0);
        let sketch_stride = rotation_seed.map_or(0, |_| sketch::record_len(vector_dim) as u64 * 8);
        // Nothing here overflows: there are fewer slots than 2^32, and a sketch is shorter than its vector buffers.
        let arena_end = visits_at.map(|visits_at| {
            let places_at = visits_at + visits.next_multiple_of(LINE);
            let queues_at = places_at + hints * 8;
            let queues_end = queues_at + 2 * HINTS_A_SLOT as u64 * hints * 8;
            let sketches_at = queues_end.next_multiple_of(PAGE);
            let end = sketches_at + slots * sketch_stride;
            ([visits_at, places_at, queues_at, sketches_at], end.next_multiple_of(PAGE))
        });
        let arena_end = arena_end.filter(|(_, len)| *len <= ARENA_MAX);
        let (Some(vectors_at), Some((behind, arena_len))) = (vectors_at, arena_end) else {
            let why = format!(
                "{slots} slots of {max_value_len} bytes and {vector_dim} components need more than \
                 {} TiB",
                ARENA_MAX >> 40
            );
            return Err(StoreError::BadGeometry(why));
        };
        let [visits_at, places_at, queues_at, sketches_at] = behind;
        Ok(Self {
            geometry,
            hash_seed,
            arena_len,
            buckets,
            owners_at,
            bitmap_at,
            metadata_at,
            deadlines_at,
            rings_at,
            ring_len,
            buckets_at,
            slots_at,
            values_at,
            value_stride,
            vectors_at,
            vector_stride,
            eviction,
            visits_at,
            places_at,
            queues_at,
            sketches_at,
            sketch_stride,
            rotation_seed: rotation_seed.unwrap_or_default(),
        })
    }

    /// Whether the store has sketches of its vectors.
    pub(crate) fn has_sketches(&self) -> bool {
        self.sketch_stride > 0
    }

    /// The header's words of geometry, with what this plan has in each.
    fn fields<'h>(&self, header: &'h HeaderGeometry) -> [(&'h Word, u64); 20] {
        [
            (&header.slots, self.geometry.slots),
            (&header.max_value_len, self.geometry.max_value_len),
            (&header.vector_dim, self.geometry.vector_dim.into()),
            (&header.max_writers, self.geometry.max_writers.into()),
            (&header.buckets, self.buckets),
            (&header.hash, HASH_RAPID_V3_SEEDED),
            (&header.arena_len, self.arena_len),
            (&header.writer_table_at, WRITER_TABLE_AT),
            (&header.bitmap_at, self.bitmap_at),
            (&header.metadata_at, self.metadata_at),
            (&header.rings_at, self.rings_at),
            (&header.ring_len, self.ring_len),
            (&header.buckets_at, self.buckets_at),
            (&header.slots_at, self.slots_at),
            (&header.slot_stride, SLOT),
            (&header.values_at, self.values_at),
            (&header.value_stride, self.value_stride),
            (&header.vectors_at, self.vectors_at),
            (&header.vector_stride, self.vector_stride),
            (&header.owners_at, self.owners_at),
        ]
    }

    /// Writes the header of a new arena; the state that says it is complete comes last.
    pub(crate) fn write(&self, header: &Header, flags: u64) {
        for (word, value) in self.fields(&header.geometry) {
            word.store(value, Relaxed);
        }
        header.hash_seed.store(self.hash_seed, Relaxed);
        header.eviction.store(self.eviction as u64, Relaxed);
        header.sketches.store(if self.has_sketches() { SKETCH_VERSION } else { 0 }, Relaxed);
        header.rotation_seed.store(self.rotation_seed, Relaxed);
        header.visit_mark.store((self.eviction != Eviction::Expired).into(), Relaxed);
        let cache_flag = if self.eviction == Eviction::Expired { 0 } else { FLAG_CACHE };
        header.flags.store(flags | cache_flag, Relaxed);
        header.magic.store(MAGIC | FORMAT_VERSION << 32, Relaxed);
        header.state.store(READY, Release);
    }

    /// Reads and checks the header of `len` bytes that came from somewhere.
    pub(crate) fn read(header: &Header, len: u64, subject: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::NotAStore { subject: subject.to_owned(), reason };
        let magic = header.magic.load(Relaxed);
        if magic & u64::from(u32::MAX) != MAGIC {
            return Err(refuse(if magic.swap_bytes() & u64::from(u32::MAX) == MAGIC {
                "it was made on a machine of the other byte order; export it there, and import it here".into()
            } else {
                "it does not begin with the magic number of a store; check the name".into()
            }));
        }
        if magic >> 32 != FORMAT_VERSION {
            let version = magic >> 32;
            let how = match version {
                2 | 3 => "splinterctl restore OLD NEW makes a new store of it",
                0..FORMAT_VERSION => "open it with an older release, and export it from there",
                _ => "open it with a newer release, and export it from there",
            };
            return Err(refuse(format!(
                "it has format version {version}, and this library reads version {FORMAT_VERSION}; {how}"
            )));
        }
        if header.state.load(Acquire) != READY {
            let what = "its creation was not finished; remove it, and create it anew";
            return Err(refuse(what.into()));
        }
        let recorded = &header.geometry;
        let narrow = |word: &Word| u32::try_from(word.load(Relaxed)).unwrap_or(u32::MAX);
        let geometry = Geometry {
            slots: recorded.slots.load(Relaxed),
            max_value_len: recorded.max_value_len.load(Relaxed),
            vector_dim: narrow(&recorded.vector_dim),
            max_writers: narrow(&recorded.max_writers),
        };
        // Once: another process may change it, and then every key would be missing here.
        let hash_seed = header.hash_seed.load(Relaxed);
        let eviction = recorded_eviction(header).ok_or_else(|| {
            refuse("its header names an unknown way of eviction; open it with a newer release, or take a copy that is whole".into())
        })?;
        let sketches = header.sketches.load(Relaxed);
        if sketches > SKETCH_VERSION {
            let what = "its header names an unknown version of sketches; open it with a newer release, or take a \
                        copy that is whole";
            return Err(refuse(what.into()));
        }
        let rotation_seed = (sketches != 0).then(|| header.rotation_seed.load(Relaxed));
        let layout = Self::new(geometry, hash_seed, eviction, rotation_seed)
            .map_err(|error| refuse(error.to_string()))?;
        let differs = |(word, value): &(&Word, u64)| word.load(Relaxed) != *value;
        if layout.fields(recorded).iter().any(differs) || layout.has_sketches() != (sketches != 0) {
            return Err(refuse("its header contradicts itself; take a copy that is whole".into()));
        }
        if layout.arena_len > len {
            let missing = layout.arena_len - len;
            return Err(refuse(format!(
                "it is truncated: {missing} bytes are missing; copy it anew, to its end"
            )));
        }
        Ok(layout)
    }

    fn shape(&self) -> Shape {
        let words = |bytes: u64| (bytes / 8) as usize;
        Shape {
            slots: self.geometry.slots as u32,
            max_value_len: self.geometry.max_value_len as u32,
            vector_dim: self.geometry.vector_dim,
            values_at: words(self.values_at),
            value_stride: words(self.value_stride),
            value_words: words(self.geometry.max_value_len.next_multiple_of(LINE)),
            vectors_at: words(self.vectors_at),
            vector_stride: words(self.vector_stride),
            vector_words: words((u64::from(self.geometry.vector_dim) * 4).next_multiple_of(LINE)),
            ring_len: self.ring_len as u32,
        }
    }

    /// Borrows the arena in `mapping`, and what was `seeded` by its header, for as long as both live.
    ///
    /// # Safety
    /// The mapping outlives every use of what is returned, and is not shorter than this plan's arena. So does `seeded`.
    #[allow(unsafe_code, reason = "the one place where mapped bytes become records")]
    pub(crate) unsafe fn arena(
        &self,
        mapping: &Mapping,
        seeded: &Arc<Seeded>,
        is_volatile: bool,
    ) -> Arena<'static> {
        let base = mapping.base();
        assert!(mapping.len() as u64 >= self.arena_len, "the mapping holds the arena");
        // SAFETY: every offset below the arena's length stays within the mapping.
        let at = |offset: u64| unsafe { base.byte_add(offset as usize) };
        // SAFETY: here and below, the range lies within the mapping, as `new` planned them one behind
        // the other; the base is page-aligned and each offset is aligned to its records; the records
        // are made of atomics, for which every bit pattern is valid; the caller keeps the mapping alive.
        let header = unsafe { at(0).cast::<Header>().as_ref() };
        // SAFETY: see above.
        let writer_table =
            unsafe { slice::<WriterEntry>(at(WRITER_TABLE_AT), self.geometry.max_writers.into()) };
        // SAFETY: see above.
        let owners = unsafe { slice::<Owners>(at(self.owners_at), owner_pages(self.geometry.max_writers)) };
        // SAFETY: see above.
        let bitmap = unsafe { slice::<BitmapWord>(at(self.bitmap_at), self.geometry.slots.div_ceil(64)) };
        // SAFETY: see above.
        let metadata = unsafe { slice::<Metadata>(at(self.metadata_at), self.geometry.slots) };
        // SAFETY: see above.
        let deadlines = unsafe { slice::<Deadlines>(at(self.deadlines_at), self.geometry.slots) };
        // SAFETY: see above.
        let rings = unsafe { slice::<Word>(at(self.rings_at), RINGS * self.ring_len) };
        // SAFETY: see above.
        let buckets = unsafe { slice::<Bucket>(at(self.buckets_at), self.buckets) };
        // SAFETY: see above.
        let words = unsafe { slice::<Word>(at(0), self.arena_len / 8) };
        // SAFETY: see above.
        let slots = unsafe { slice::<Slot>(at(self.slots_at), self.geometry.slots) };
        // SAFETY: the caller keeps it alive, and it does not move.
        let seeded = unsafe { &*Arc::as_ptr(seeded) };
        let shape = self.shape();
        // SAFETY: see above.
        let visits =
            unsafe { slice::<Byte>(at(self.visits_at), visits_len(self.eviction, self.geometry.slots)) };
        let hints = hints_len(self.eviction, self.geometry.slots);
        // SAFETY: see above.
        let places = unsafe { slice::<Word>(at(self.places_at), hints) };
        let queue_len = HINTS_A_SLOT as u64 * hints;
        let queues = [0, 1].map(|which| {
            // SAFETY: see above.
            unsafe { slice::<Word>(at(self.queues_at + which * queue_len * 8), queue_len) }
        });
        let is_cache = self.eviction != Eviction::Expired;
        let cache = is_cache.then_some(Cache {
            eviction: self.eviction,
            hands: &header.hands,
            mark: &header.visit_mark,
            visits,
            places,
            queues,
        });
        let sketch_words = self.geometry.slots * self.sketch_stride / 8;
        // SAFETY: see above.
        let sketches = unsafe { slice::<Word>(at(self.sketches_at), sketch_words) };
        let sketches = seeded.rotation.as_ref().map(|rotation| {
            let record_len = (self.sketch_stride / 8) as usize;
            Sketches::new(sketches, record_len, rotation)
        });
        let clock = store_time::clock(header, mapping.is_writable(), is_volatile);
        Arena {
            header,
            writer_table,
            owners,
            bitmap,
            buckets,
            slots,
            metadata,
            deadlines,
            rings,
            words,
            shape,
            hash: &seeded.hash,
            clock,
            visits: if mapping.is_writable() { visits } else { &[] },
            cache,
            sketches,
        }
    }

    /// Returns the hash by which the store places its keys, and the rotation of its sketches.
    pub(crate) fn seeded(&self) -> Arc<Seeded> {
        let rotation = || Rotation::new(self.rotation_seed, self.geometry.vector_dim);
        let rotation = self.has_sketches().then(rotation);
        Arc::new(Seeded { hash: KeyHash::new(self.hash_seed), rotation })
    }

    /// Returns how many bytes the header, the writer ids and their owners take.
    pub(crate) fn head_len(&self) -> u64 {
        self.bitmap_at - PAGE
    }

    /// Returns where in the arena the page that has a writer id's owner is, in bytes.
    pub(crate) fn owner_page(&self, writer_id: u32) -> u64 {
        self.owners_at + u64::from(writer_id) / OWNERS_A_PAGE as u64 * PAGE
    }

    /// Returns where in the arena a slot's number word is, in bytes.
    pub(crate) fn integer_offset(&self, slot: u32) -> u64 {
        self.slots_at + u64::from(slot) * SLOT + 8
    }

    /// Returns the numbers of the slots whose records lie in a range of the arena's bytes, at least in part.
    pub(crate) fn slots_in(&self, bytes: &Range<usize>) -> Range<u32> {
        let behind = |at: usize| (at as u64).saturating_sub(self.slots_at);
        let end = behind(bytes.end).div_ceil(SLOT).min(self.geometry.slots);
        (behind(bytes.start) / SLOT).min(end) as u32..end as u32
    }

    /// Returns where in the arena one of a slot's value buffers begins, in bytes.
    pub(crate) fn value_offset(&self, slot: u32, which: u64) -> u64 {
        let buffer = self.geometry.max_value_len.next_multiple_of(LINE);
        self.values_at + u64::from(slot) * self.value_stride + (which & 1) * buffer
    }
}

/// Returns how many slots have a mark of their last visit.
fn visits_len(eviction: Eviction, slots: u64) -> u64 {
    if eviction == Eviction::Expired { 0 } else { slots }
}

/// Returns how many slots have a hint.
fn hints_len(eviction: Eviction, slots: u64) -> u64 {
    if eviction == Eviction::Sieve { slots } else { 0 }
}

/// Returns the way of eviction that a header records.
fn recorded_eviction(header: &Header) -> Option<Eviction> {
    let recorded = header.eviction.load(Relaxed);
    Eviction::ALL.into_iter().find(|eviction| *eviction as u64 == recorded)
}

/// How many pages the writer ids' owners take.
fn owner_pages(max_writers: u32) -> u64 {
    u64::from(max_writers).div_ceil(OWNERS_A_PAGE as u64)
}

/// Borrows `count` records at `first`.
///
/// # Safety
/// They lie in memory that stays mapped, and are aligned and valid whatever their bits.
#[allow(unsafe_code, reason = "see Layout::arena")]
unsafe fn slice<T>(first: std::ptr::NonNull<u8>, count: u64) -> &'static [T] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first.cast().as_ptr(), count as usize) }
}

/// Makes a stride an odd number of cache lines, so that the first lines of neighbours fall into
/// different sets of a cache: with a power of two, 4,096 slots would share eight sets.
const fn spread(stride: u64) -> u64 {
    if stride == 0 { 0 } else { (stride / LINE * LINE) | LINE }
}
