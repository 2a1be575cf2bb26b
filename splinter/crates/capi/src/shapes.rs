//! The structures and constants of the interface. Each is defined once, for Rust and for the header: the macros also
//! keep the definitions as data, from which `header` generates `splinter.h`.

use libc::{c_char, c_int, c_uint, c_void};
#[cfg(test)]
use splinter::Intent;
use splinter::{Eviction, Expect, IntegerOp, KEY_MAX, MAX_ORDERS, Metric, Type};
use splinter_queue::Start;

/// Declares a structure with C's layout, and keeps its documentation for the header.
macro_rules! shape {
    ($about:ident, $(#[doc = $doc:literal])+ $(#[align = $align:literal])? struct $name:ident as $c_name:literal {
        $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        #[repr(C $(, align($align))?)]
        pub(crate) struct $name {
            $($(#[doc = $field_doc])+ pub(crate) $field: $type,)+
        }

        #[cfg(test)]
        pub(crate) const $about: $crate::declarations::Shape = $crate::declarations::Shape {
            notes: &[$($doc),+],
            name: $c_name,
            align: { #[allow(unused_mut, unused_assignments)] { let mut align = 0; $(align = $align;)? align } },
            fields: &[$((&[$($field_doc),+], stringify!($field), stringify!($type))),+],
        };
    };
}

/// Declares constants, and keeps their documentation for the header.
macro_rules! constants {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[doc = $doc])* #[allow(dead_code, reason = "C alone uses some")] pub(crate) const $name: $type = $value;)+

        /// The constants of the header, in order.
        #[cfg(test)]
        pub(crate) const CONSTANTS: &[$crate::declarations::Constant] = &[$($crate::declarations::Constant {
            notes: &[$($doc),*],
            name: stringify!($name),
            value: $value as u64,
        }),+];
    };
}

constants! {
    /// The first four bytes of every store.
    SPLINTER_MAGIC: u32 = 0x534C_4E54;
    /// The version of the layout of stores.
    SPLINTER_VER: u32 = 4;
    /// The size of a key in bytes, with the NUL at its end.
    SPLINTER_KEY_MAX: usize = KEY_MAX + 1;
    /// The number of signal groups; the first is 0.
    SPLINTER_MAX_GROUPS: usize = 64;
    /// The most bids in a store's table.
    SPLINTER_MAX_SHARDS: usize = 32;
    /// The bits of the mask that splinter_event_bus_get_dirty fills. A store may have more slots.
    SPLINTER_MAX_SLOTS: usize = 1024;
    /// The words of the mask that splinter_event_bus_get_dirty fills. Slots may share a bit.
    SPLINTER_EVENT_BUS_MASK_WORDS: usize = SPLINTER_MAX_SLOTS / 64;
    /// The most keys of a transaction.
    SPLINTER_MAX_TRANSACTION_KEYS: usize = MAX_ORDERS;
    /// Nanoseconds in a millisecond.
    NS_PER_MS: u64 = 1_000_000;

    /// Bits of splinter_config_*. The first alone sets the scrub level to full, the second sets it to hybrid (the default),
    /// and without both it is none.
    SPL_SYS_AUTO_SCRUB: u8 = 1;
    SPL_SYS_HYBRID_SCRUB: u8 = 2;
    /// Unused bits of splinter_config_*.
    SPL_SYS_RESERVED_2: u8 = 4;
    SPL_SYS_RESERVED_3: u8 = 8;
    /// Bits of splinter_config_* for programs; they are SPL_FLAG_USR1 to 4, too.
    SPL_SUSR1: u8 = 1 << 4;
    SPL_SUSR2: u8 = 1 << 5;
    SPL_SUSR3: u8 = 1 << 6;
    SPL_SUSR4: u8 = 1 << 7;

    /// Bits of splinter_slot_usr_* for programs.
    SPL_FUSR1: u16 = 1;
    SPL_FUSR2: u16 = 1 << 1;
    SPL_FUSR3: u16 = 1 << 2;
    SPL_FUSR4: u16 = 1 << 3;
    SPL_FUSR5: u16 = 1 << 4;
    SPL_FUSR6: u16 = 1 << 5;
    SPL_FUSR7: u16 = 1 << 6;
    SPL_FUSR8: u16 = 1 << 7;
    /// The bit that splinter_set_as_system sets. It is not what keeps the key in a cache: splinter_set_as_system pins it.
    SPL_SLOT_SYSTEM: u16 = 1 << 15;

    /// Types that splinter_set_named_type gives to keys.
    SPL_SLOT_TYPE_VOID: u16 = 1;
    SPL_SLOT_TYPE_BIGINT: u16 = 2;
    SPL_SLOT_TYPE_BIGUINT: u16 = 4;
    SPL_SLOT_TYPE_JSON: u16 = 8;
    SPL_SLOT_TYPE_BINARY: u16 = 16;
    SPL_SLOT_TYPE_IMGDATA: u16 = 32;
    SPL_SLOT_TYPE_AUDIO: u16 = 64;
    SPL_SLOT_TYPE_VARTEXT: u16 = 128;
    SPL_SLOT_TYPE_VIDEO: u16 = 256;
    /// The type of a key to which no program gave a type.
    SPL_SLOT_DEFAULT_TYPE: u16 = SPL_SLOT_TYPE_VOID;

    /// Which time splinter_set_slot_time sets.
    SPL_TIME_CTIME: u16 = 0;
    SPL_TIME_ATIME: u16 = 1;
}

/// An operation of `splinter_integer_op`: its name in C, and the function that makes it of an operand.
type Operation = (&'static str, fn(u64) -> IntegerOp);

/// The operations, in the order of their numbers.
pub(crate) const OPERATIONS: [Operation; 6] = [
    ("SPL_OP_AND", IntegerOp::And),
    ("SPL_OP_OR", IntegerOp::Or),
    ("SPL_OP_XOR", IntegerOp::Xor),
    ("SPL_OP_NOT", |_| IntegerOp::Not),
    ("SPL_OP_INC", IntegerOp::Inc),
    ("SPL_OP_DEC", IntegerOp::Dec),
];

/// An expectation's name in C, and the expectation with an epoch.
type Expectation = (&'static str, fn(u64) -> Expect);

/// The expectations, in the order of their numbers.
pub(crate) const EXPECTATIONS: [Expectation; 4] = [
    ("SPL_IF_ANY", |_| Expect::Any),
    ("SPL_IF_ABSENT", |_| Expect::Absent),
    ("SPL_IF_PRESENT", |_| Expect::Present),
    ("SPL_IF_EPOCH", Expect::Epoch),
];

/// Where a new group of a queue begins, by the names in C, in the order of their numbers.
pub(crate) const STARTS: [(&str, Start); 2] =
    [("SPL_QUEUE_NEWEST", Start::Newest), ("SPL_QUEUE_OLDEST", Start::Oldest)];

/// The ways of eviction with their names in C, in the order of their numbers.
pub(crate) const EVICTIONS: [(&str, Eviction); 3] = [
    ("SPL_EVICT_EXPIRED", Eviction::Expired),
    ("SPL_EVICT_SIEVE", Eviction::Sieve),
    ("SPL_EVICT_LRU", Eviction::Lru),
];

/// The metrics of a search with their names in C, in the order of their numbers.
pub(crate) const METRICS: [(&str, Metric); 3] = [
    ("SPLINTER_METRIC_COSINE", Metric::Cosine),
    ("SPLINTER_METRIC_DOT", Metric::Dot),
    ("SPLINTER_METRIC_L2", Metric::L2),
];

/// Returns the name of an intent in C.
#[cfg(test)]
pub(crate) fn name_of_intent(intent: Intent) -> &'static str {
    match intent {
        Intent::None => "SPL_INTENT_NONE",
        Intent::WillNeed => "SPL_INTENT_WILLNEED",
        Intent::Sequential => "SPL_INTENT_SEQUENTIAL",
        Intent::Random => "SPL_INTENT_RANDOM",
        Intent::DontNeed => "SPL_INTENT_DONTNEED",
    }
}

/// Returns the type with this bit.
pub(crate) fn type_of_bit(bit: u16) -> Option<Type> {
    if !bit.is_power_of_two() {
        return None;
    }
    Type::ALL.get(bit.trailing_zeros() as usize).copied()
}

/// Returns the bit of a type.
pub(crate) fn bit_of_type(kind: Type) -> u16 {
    Type::ALL.iter().position(|one| *one == kind).map_or(SPL_SLOT_TYPE_VOID, |number| 1 << number)
}

/// A buffer for a key and its NUL, as C has it.
pub(crate) type KeyBuffer = [u8; SPLINTER_KEY_MAX];

/// The dimension of vectors that C programs are compiled for.
pub(crate) const EMBED_DIM: usize = 768;

shape! {
    HEADER_SNAPSHOT,
    /// The fields of a store's header.
    struct HeaderSnapshot as "splinter_header_snapshot" {
        /// SPLINTER_MAGIC.
        magic: u32,
        /// SPLINTER_VER.
        version: u32,
        /// The most keys that the store can hold.
        slots: u32,
        /// The longest value, in bytes.
        max_val_sz: u32,
        /// The number of changes so far.
        epoch: u64,
        /// The result of splinter_config_snapshot.
        core_flags: u8,
        /// Zero.
        reserved: u8,
        /// The upper half of the result of splinter_flag_snapshot.
        user_flags: u16,
        /// The number of values that programs reported as malformed.
        parse_failures: u64,
        /// The store's epoch at the last such report.
        last_failure_epoch: u64,
    }
}

shape! {
    SLOT_SNAPSHOT,
    /// The metadata of a key.
    struct SlotSnapshot as "splinter_slot_snapshot" {
        /// The hash by which the key is placed.
        hash: u64,
        /// Even, and higher after every change.
        epoch: u64,
        /// The offset of its value in the store, in bytes.
        val_off: u64,
        /// Its value's length in bytes.
        val_len: u32,
        /// Its type: one of SPL_SLOT_TYPE_*.
        type_flag: u16,
        /// Its flags: SPL_FUSR* and other bits that splinter_slot_usr_set has set.
        user_flag: u16,
        /// When the value was made, as splinter_set_slot_time recorded.
        ctime: u64,
        /// When the value was last used, as splinter_set_slot_time recorded.
        atime: u64,
        /// Its labels.
        bloom: u64,
        /// The key.
        key: KeyBuffer,
    }
}

/// A slot snapshot followed by the vector: its layout in programs compiled with `SPLINTER_EMBEDDINGS`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct SlotSnapshotWithVector {
    pub(crate) slot: SlotSnapshot,
    pub(crate) embedding: [f32; EMBED_DIM],
}

// No padding between the two: in C the vector is one more member.
const _: () = assert!(size_of::<SlotSnapshot>() == std::mem::offset_of!(SlotSnapshotWithVector, embedding));

shape! {
    SLOT,
    /// A slot that belongs to the program. splinter_get_slot fills it for a key of an open store. In a slot that was never
    /// filled, and is all zero, functions use only user_flag.
    #[align = 64]
    struct Slot as "splinter_slot" {
        /// The store's number in this process; 0: none.
        store: u64,
        /// This field and the next ones are as in struct splinter_slot_snapshot, when the slot was filled.
        hash: u64,
        /// Even, and higher after every change.
        epoch: u64,
        /// The labels.
        bloom: u64,
        /// When the value was made.
        ctime: u64,
        /// When the value was last used.
        atime: u64,
        /// The value's length in bytes.
        val_len: u32,
        /// The type: one of SPL_SLOT_TYPE_*.
        type_flag: u16,
        /// The flags, which splinter_slot_usr_set and splinter_slot_usr_clear keep up to date.
        user_flag: u16,
        /// Zero.
        reserved: u64,
        /// The key.
        key: KeyBuffer,
    }
}

shape! {
    BID_SNAPSHOT,
    /// A bid for advice on a store's memory.
    struct BidSnapshot as "splinter_shard_bid_snapshot" {
        /// The id of the bid.
        shard_id: u32,
        /// The process for which the bid was made.
        pid: u32,
        /// One of SPL_INTENT_*.
        intent: u8,
        /// The higher, the sooner it is elected.
        priority: u8,
        /// 1 if the bid has expired.
        expired: u8,
        /// 1 if the bid is elected.
        sovereign: u8,
        /// Zero.
        reserved: u32,
        /// How many ticks of splinter_now the bid holds; UINT64_MAX is without end.
        duration_tsc: u64,
        /// When it was made or last renewed, by splinter_now.
        claimed_at: u64,
    }
}

shape! {
    OUTCOME,
    /// What became of a key in a transaction.
    struct Outcome as "splinter_outcome" {
        /// Its epoch after the change; 0 if its value and vector are as they were.
        epoch: u64,
        /// The number that splinter_transaction_set_integer or an integer operation made.
        number: u64,
        /// The number of its slot, as splinter_event_bus_get_dirty counts; 0 if the epoch is 0.
        slot: u32,
        /// 1 if there is a number, otherwise 0.
        has_number: u32,
    }
}

shape! {
    QUEUE_MESSAGE,
    /// What splinter_queue_recv tells of a message, besides its bytes.
    struct QueueMessage as "splinter_queue_message" {
        /// Its place in the queue: later messages have higher ones.
        position: u64,
        /// How often consumers of the group took it: 1 unless one died, returned it or was too slow.
        deliveries: u32,
        /// Zero.
        reserved: u32,
    }
}

shape! {
    QUEUE_SNAPSHOT,
    /// The terms of a queue, and how many messages were sent.
    struct QueueSnapshot as "splinter_queue_snapshot" {
        /// How many messages it holds.
        capacity: u64,
        /// The longest message, in bytes.
        max_len: u64,
        /// After how many milliseconds without an acknowledgement a message comes again; UINT64_MAX: never.
        timeout_ms: u64,
        /// How many messages were ever sent: the next position.
        sent: u64,
        /// How many groups it has.
        groups: u64,
    }
}

shape! {
    SEARCH_HIT,
    /// A key that a search found. At some instant during the search it was there with all that this says.
    struct SearchHit as "splinter_hit" {
        /// The key.
        key: KeyBuffer,
        /// The number of its slot, as splinter_event_bus_get_dirty counts.
        slot: u32,
        /// Zero.
        reserved: u32,
        /// Its epoch; while a writer publishes a change, perhaps that before the change.
        epoch: u64,
        /// How near its vector is to the query: higher is nearer, whatever the metric.
        score: f64,
    }
}

shape! {
    CANDIDATE,
    /// A key that a search may find: what the function rescore of its options is called with. Everything is of one moment.
    struct Candidate as "splinter_candidate" {
        /// The key.
        key: KeyBuffer,
        /// The number of its slot.
        slot: u32,
        /// Its type: one of SPL_SLOT_TYPE_*.
        type_flag: c_uint,
        /// Its epoch.
        epoch: u64,
        /// Its labels.
        labels: u64,
        /// The score of its vector.
        score: f64,
        /// A copy of its value, which stays until the function returns.
        value: *const c_void,
        /// Its value's length in bytes.
        len: usize,
    }
}

/// A function of the program that gives a candidate another score. It gets the program's data.
pub(crate) type Rescore = Option<extern "C" fn(*const Candidate, *mut c_void) -> f64>;

shape! {
    SEARCH_OPTIONS,
    /// Options of splinter_search and splinter_search_near. Set size, and leave every other member zero that is not wanted:
    /// later versions may have more of them.
    struct SearchOptions as "splinter_search" {
        /// sizeof(splinter_search_t).
        size: usize,
        /// How many hits are wanted; 0: 10. SIZE_MAX: as many as there is room for.
        k: usize,
        /// How many components the query has; 0: SPLINTER_EMBED_DIM. splinter_search_near ignores it.
        dim: usize,
        /// Finds only keys that carry all of these labels.
        labels_all: u64,
        /// Finds only keys that carry at least one of these labels; 0: any key.
        labels_any: u64,
        /// Finds only keys that carry none of these labels.
        labels_none: u64,
        /// Finds only keys of this epoch or a later one.
        min_epoch: u64,
        /// Finds only keys with this score or a higher one, if has_min_score is not 0.
        min_score: f64,
        /// Finds only keys that begin with this; NULL: any key.
        prefix: *const c_char,
        /// How many candidates, which are chosen by sketches of their vectors, are scored by the vectors; 0: 500, and ten for
        /// each hit that is wanted. More miss fewer of the nearest keys, and take longer.
        depth: usize,
        /// A function that gives a candidate another score, as a hybrid search does; NULL: none. It is called in the calling
        /// thread, and may call any function of this library. A candidate whose score is no number is no hit.
        rescore: Rescore,
        /// What the function gets as its second argument.
        data: *mut c_void,
        /// One of SPLINTER_METRIC_*.
        metric: c_int,
        /// Finds only keys of this type, one of SPL_SLOT_TYPE_*; 0: any key.
        type_flag: c_uint,
        /// How many threads scan, 256 at most; 0: one, the calling thread.
        threads: c_uint,
        /// Not 0: min_score counts.
        has_min_score: c_int,
        /// Not 0: scores every vector, so that no nearer one is missed.
        exact: c_int,
        /// Not 0: finds the orders of a tandem as one, by the best of them.
        group_orders: c_int,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_bit_of_its_own() {
        for (number, kind) in Type::ALL.into_iter().enumerate() {
            assert_eq!(type_of_bit(1 << number), Some(kind));
            assert_eq!(type_of_bit(bit_of_type(kind)), Some(kind));
        }
        for no_type in [0, 3, 512, u16::MAX] {
            assert_eq!(type_of_bit(no_type), None);
        }
    }

    #[test]
    fn each_way_of_eviction_has_the_name_that_it_has_in_c() {
        assert_eq!(EVICTIONS.map(|(_, eviction)| eviction), Eviction::ALL);
        for (name, eviction) in EVICTIONS {
            assert_eq!(name, format!("SPL_EVICT_{eviction}").to_uppercase());
        }
    }

    #[test]
    fn each_metric_has_the_name_that_it_has_in_c() {
        assert_eq!(METRICS.map(|(_, metric)| metric), Metric::ALL);
        for (name, metric) in METRICS {
            assert_eq!(name, format!("SPLINTER_METRIC_{metric}").to_uppercase());
        }
    }

    #[test]
    fn what_a_search_takes_and_gives_has_no_holes() {
        assert_eq!(size_of::<SearchHit>(), SPLINTER_KEY_MAX + 24);
        assert_eq!(size_of::<Candidate>(), SPLINTER_KEY_MAX + 32 + size_of::<[usize; 2]>());
        assert_eq!(size_of::<SearchOptions>(), 64 + size_of::<[usize; 7]>());
    }

    #[test]
    fn operations_have_the_numbers_that_their_names_have_in_c() {
        let not = OPERATIONS.iter().position(|(name, _)| *name == "SPL_OP_NOT");
        assert_eq!(not.map(|number| OPERATIONS[number].1(6)), Some(IntegerOp::Not));
        for (name, make) in OPERATIONS {
            let made = format!("SPL_OP_{:?}", make(6)).to_uppercase();
            assert_eq!(made.trim_end_matches("(6)"), name);
        }
    }
}
