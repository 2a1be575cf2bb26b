//! Where everything lies in a store of an older format: what the formats differ in, and the offsets that follow from a
//! store's sizes.

use splinter::{GROUPS, Geometry};

/// What tells one format from another. All else that is read here is alike.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) version: u64,
    /// The number of the hash that places keys.
    hash: u64,
    /// Whether a page for each four writer ids, and one more, lie behind the writer table.
    has_owners: bool,
}

pub(super) const FORMATS: [Format; 2] =
    [Format { version: 2, hash: 1, has_owners: false }, Format { version: 3, hash: 2, has_owners: true }];

/// How many bytes of the header are read: those up to the bids.
pub(super) const HEADER_LEN: usize = 1536;
pub(super) const WRITER_TABLE_AT: u64 = 8320;
/// The bytes of a writer's entry in the table, and where in it the commit word is.
pub(super) const WRITER_ENTRY: u64 = 128;
pub(super) const COMMIT_WORD_AT: u64 = 64;
/// The bytes of a slot's record.
pub(super) const SLOT: u64 = 128;
const LINE: u64 = 64;
const PAGE: u64 = 4096;
/// The most bytes a store can have.
const ARENA_MAX: u64 = 1 << 47;

/// The offsets and strides of a store, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) geometry: Geometry,
    pub(super) arena_len: u64,
    pub(super) subscriptions_at: u64,
    pub(super) slots_at: u64,
    values_at: u64,
    value_stride: u64,
    vectors_at: u64,
    vector_stride: u64,
}

impl Layout {
    /// Reads the sizes from a header, and computes the offsets. Returns none if a size is out of bounds, or if the
    /// header has another offset.
    pub(super) fn read(format: &Format, header: &[u8; HEADER_LEN]) -> Option<Self> {
        let [slots, max_value_len, vector_dim, max_writers] = [16, 24, 32, 40].map(|at| word(header, at));
        let is_possible = (1..u64::from(u32::MAX)).contains(&slots)
            && (1..=u64::from(u32::MAX) - 63).contains(&max_value_len)
            && vector_dim <= 1 << 20
            && (1..=1023).contains(&max_writers);
        if !is_possible {
            return None;
        }
        let buckets = slots.div_ceil(4).next_power_of_two();
        let writer_table_end = WRITER_TABLE_AT + max_writers * WRITER_ENTRY;
        let (owners_at, bitmap_at) = if format.has_owners {
            let owners_at = writer_table_end.next_multiple_of(PAGE);
            (owners_at, owners_at + (max_writers.div_ceil(4) + 1) * PAGE)
        } else {
            (0, writer_table_end)
        };
        let subscriptions_at = bitmap_at + slots.div_ceil(64) * 16;
        let ring_len = slots.next_power_of_two().clamp(64, 4096);
        let rings_at = (subscriptions_at + slots * 8).next_multiple_of(PAGE);
        let buckets_at = rings_at + (GROUPS as u64 + 1) * ring_len * 8;
        let slots_at = (buckets_at + buckets * LINE).next_multiple_of(PAGE);
        let values_at = (slots_at + slots * SLOT).next_multiple_of(PAGE);
        let value_stride = odd(2 * buffer(max_value_len));
        // The only product that the bounds above leave too large.
        let values_len = slots.checked_mul(value_stride).filter(|len| *len <= ARENA_MAX)?;
        let vectors_at = (values_at + values_len).next_multiple_of(PAGE);
        let vector_stride = odd(2 * buffer(4 * vector_dim));
        let arena_len = (vectors_at + slots * vector_stride).next_multiple_of(PAGE);
        let offsets = [
            (48, buckets),
            (56, format.hash),
            (64, arena_len),
            (72, WRITER_TABLE_AT),
            (80, bitmap_at),
            (88, subscriptions_at),
            (96, rings_at),
            (104, ring_len),
            (112, buckets_at),
            (120, slots_at),
            (128, SLOT),
            (136, values_at),
            (144, value_stride),
            (152, vectors_at),
            (160, vector_stride),
            (168, owners_at),
        ];
        let agrees = arena_len <= ARENA_MAX && offsets.iter().all(|(at, value)| word(header, *at) == *value);
        let (vector_dim, max_writers) = (vector_dim as u32, max_writers as u32);
        let geometry = Geometry { slots, max_value_len, vector_dim, max_writers };
        agrees.then_some(Self {
            geometry,
            arena_len,
            subscriptions_at,
            slots_at,
            values_at,
            value_stride,
            vectors_at,
            vector_stride,
        })
    }

    /// Returns where the first or the second of a slot's value buffers begins.
    pub(super) fn value_at(&self, slot: u64, second: bool) -> u64 {
        self.values_at + slot * self.value_stride + u64::from(second) * buffer(self.geometry.max_value_len)
    }

    /// Returns where the first or the second of a slot's vector buffers begins.
    pub(super) fn vector_at(&self, slot: u64, second: bool) -> u64 {
        let len = 4 * u64::from(self.geometry.vector_dim);
        self.vectors_at + slot * self.vector_stride + u64::from(second) * buffer(len)
    }
}

/// Reads a word of a record.
pub(super) fn word(record: &[u8], at: usize) -> u64 {
    record[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns the bytes of a buffer that holds `len` bytes.
fn buffer(len: u64) -> u64 {
    len.next_multiple_of(LINE)
}

/// Adds a line if the bytes are an even count of lines.
fn odd(len: u64) -> u64 {
    if len == 0 { 0 } else { len | LINE }
}
