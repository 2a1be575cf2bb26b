//! Where everything lies in the committed store, and what it is called: the tables of `docs/format.md` for its
//! geometry, in numbers. Nothing here is asked of the crate.

/// Offsets in a record, and what begins there.
type Fields = &'static [(usize, &'static str)];

/// Records of one kind, one behind the other.
struct Part {
    /// Where the first begins. The last ends where the next part begins, or before.
    at: usize,
    /// The length of each.
    stride: usize,
    record: &'static str,
    fields: Fields,
}

/// The length of the file.
pub(crate) const ARENA_LEN: usize = 77_824;

const fn part(at: usize, stride: usize, record: &'static str, fields: Fields) -> Part {
    Part { at, stride, record, fields }
}

const ZERO: Fields = &[(0, "zero")];

/// All parts, by their offsets.
const PARTS: &[Part] = &[
    part(0, 1024, "header", HEADER),
    part(1024, 8, "label", &[(0, "subscriptions")]),
    part(
        1536,
        64,
        "bid",
        &[(0, "version"), (8, "subject"), (16, "terms"), (24, "claimed_at"), (32, "duration"), (40, "zero")],
    ),
    part(3584, 8, "lasting subscription", &[(0, "group and name")]),
    part(
        4032,
        64,
        "cache",
        &[
            (0, "hints taken"),
            (16, "hints put"),
            (32, "turns"),
            (40, "is filled"),
            (48, "evicted"),
            (56, "next slot"),
        ],
    ),
    part(
        4096,
        64,
        "group",
        &[
            (0, "count"),
            (8, "tickets taken"),
            (16, "tickets served"),
            (24, "read_to"),
            (32, "mark"),
            (40, "zero"),
        ],
    ),
    part(8256, 64, "after the groups", ZERO),
    part(
        8320,
        128,
        "writer",
        &[
            (0, "writes"),
            (8, "slot intent"),
            (16, "recovery intent"),
            (24, "bucket intent"),
            (32, "zero"),
            (64, "commit word"),
            (72, "zero"),
        ],
    ),
    part(8704, 3584, "after the writer table", ZERO),
    part(12_288, 4096, "owners of four writers", &[(0, "zero"), (4032, "store ids"), (4064, "owners")]),
    part(16_384, 4096, "after the owners", ZERO),
    part(20_480, 32, "slot bitmap", &[(0, "used"), (8, "touched"), (16, "expiring"), (24, "zero")]),
    part(
        20_512,
        32,
        "metadata",
        &[(0, "subscriptions"), (8, "changes"), (16, "prepared labels"), (24, "zero")],
    ),
    part(21_024, 16, "deadlines", &[(0, "word 0"), (8, "word 1")]),
    part(21_280, 3296, "after the deadlines", ZERO),
    part(24_576, 512, "ring", &[(0, "signals")]),
    part(57_856, 64, "bucket", &[(0, "control"), (8, "entries")]),
    part(58_112, 3328, "after the index", ZERO),
    part(
        61_440,
        128,
        "slot",
        &[
            (0, "state"),
            (8, "integer"),
            (16, "descriptor"),
            (24, "notify flags"),
            (32, "key"),
            (96, "prepared"),
            (104, "labels"),
            (112, "ctime"),
            (120, "atime"),
        ],
    ),
    part(63_488, 2048, "after the slots", ZERO),
    part(65_536, 320, "value", BUFFERS),
    part(70_656, 3072, "after the values", ZERO),
    part(73_728, 192, "vector", &[(0, "buffer 0"), (64, "buffer 1"), (128, "zero")]),
    part(76_800, 1024, "after the vectors", ZERO),
];

const BUFFERS: Fields = &[(0, "buffer 0"), (128, "buffer 1"), (256, "zero")];

const HEADER: Fields = &[
    (0, "magic, version"),
    (8, "state"),
    (16, "slots"),
    (24, "max_value_len"),
    (32, "vector_dim"),
    (40, "max writers"),
    (48, "buckets"),
    (56, "hash"),
    (64, "arena_len"),
    (72, "writer_table_at"),
    (80, "bitmap_at"),
    (88, "metadata_at"),
    (96, "rings_at"),
    (104, "ring_len"),
    (112, "buckets_at"),
    (120, "slots_at"),
    (128, "slot_stride"),
    (136, "values_at"),
    (144, "value_stride"),
    (152, "vectors_at"),
    (160, "vector_stride"),
    (168, "owners_at"),
    (176, "hash_seed"),
    (184, "eviction"),
    (192, "boot of the store time"),
    (200, "distance of the store time"),
    (208, "visit mark"),
    (216, "version of sketches"),
    (224, "rotation seed"),
    (232, "zero"),
    (256, "flags"),
    (264, "zero"),
    (384, "parse failures"),
    (392, "epoch of the last"),
    (400, "zero"),
    (512, "recoveries"),
    (520, "zero"),
    (640, "wake word"),
    (648, "zero"),
    (768, "bid changes"),
    (776, "zero"),
    (896, "store time seen"),
    (904, "sweep hand"),
    (912, "expired"),
    (920, "epoch floor"),
    (928, "zero"),
];

/// Says what the word at an offset is.
pub(crate) fn name(at: usize) -> String {
    let behind = PARTS.partition_point(|part| part.at <= at);
    let part = &PARTS[behind - 1];
    let end = PARTS.get(behind).map_or(ARENA_LEN, |next| next.at);
    let (number, within) = ((at - part.at) / part.stride, (at - part.at) % part.stride);
    let is_only = end - part.at == part.stride;
    let record = part.record.to_owned() + &if is_only { String::new() } else { format!(" {number}") };
    let (from, field) = part.fields.iter().rfind(|(from, _)| *from <= within).expect("one at 0");
    match within - from {
        0 => format!("{record}: {field}"),
        further => format!("{record}: {field} + {further}"),
    }
}
