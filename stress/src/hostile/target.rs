//! The parts of a store that can be damaged.

use splinter_harness::named_enum;

named_enum! {
    /// A part of a store.
    #[repr(usize)]
    pub enum Target: "part of a store" {
        /// Magic, geometry, flags, counters and the wake words.
        Header = "header",
        /// The signal groups of labels and slots.
        Subscriptions = "subscriptions",
        /// The table of bids.
        Bids = "bids",
        /// The signal groups' counters.
        Groups = "groups",
        /// The writer table's records.
        Writers = "writers",
        /// The map of slots in use.
        Map = "map",
        /// The rings of changed slots.
        Rings = "rings",
        /// The buckets of the index.
        Index = "index",
        /// The slots' records.
        Slots = "slots",
        /// The values.
        Values = "values",
        /// The vectors.
        Vectors = "vectors",
        /// A cache's hands, and its visits, places and queues.
        Cache = "cache",
    }
}

impl Target {
    /// Words of one of its records.
    pub(super) fn record(self) -> usize {
        match self {
            Self::Bids | Self::Groups | Self::Index => 8,
            Self::Writers | Self::Slots => 16,
            Self::Map => 2,
            _ => 1,
        }
    }
}
