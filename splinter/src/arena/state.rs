//! The bit fields of the words that decide everything: a slot's state (a sequence lock's counter and its owner), its
//! descriptor and notify flags, a bucket's control word and entries. Pure arithmetic: nothing here touches memory.
//! Every value decodes to something, whatever bytes a hostile process wrote.

/// Decodes and builds the bit fields of one word.
macro_rules! fields {
    ($($(#[$doc:meta])* $get:ident, $with:ident: $shift:literal, $bits:literal;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub(crate) const fn $get(self) -> u64 {
            self.0 >> $shift & ((1 << $bits) - 1)
        }
        #[doc = concat!("Returns the word with another `", stringify!($get), "`.")]
        #[inline(always)]
        pub(crate) const fn $with(self, value: u64) -> Self {
            let mask = (1 << $bits) - 1;
            Self(self.0 & !(mask << $shift) | (value & mask) << $shift)
        }
    )*};
}

/// A slot's state word: the sequence lock.
///
/// | bits | field | meaning |
/// |---|---|---|
/// | 0–9 | writer id | while the epoch is odd, the writer id that holds the claim |
/// | 10 | tandem | the claim belongs to a tandem; the prepared word is current once the writer id commits |
/// | 11 | committed | the prepared word is current (a claim that set a number over a number, or a committed tandem's that was recovered) |
/// | 12 | wiped | buffers that were current before this epoch, or before this claim's change, may be overwritten |
/// | 13–62 | epoch | odd while claimed, even when stable; grows by two with each change of the content |
/// | 63 | polled | a thread may sleep until the slot changes; set while the epoch is even, and kept by claims |
///
/// Bits 0–11 are zero while the epoch is even. A claim that changes nothing but labels, times, flags or subscriptions
/// goes back to the epoch before it, so two claims of one writer id may look alike. At 50 million writes a second to
/// one slot, the epoch lasts 4 months.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct State(pub(crate) u64);

impl State {
    const TANDEM: u64 = 1 << 10;
    const COMMITTED: u64 = 1 << 11;
    const WIPED: u64 = 1 << 12;
    const EPOCH: u64 = 1 << 13;
    /// The models keep a state in 32 bits.
    const POLLED: u64 = if cfg!(loom) { 1 << 31 } else { 1 << 63 };
    /// Writer id and flags of a claim.
    const CLAIM: u64 = 0xfff;

    pub(crate) const fn epoch(self) -> u64 {
        (self.0 & !Self::POLLED) >> 13
    }

    pub(crate) const fn is_claimed(self) -> bool {
        self.0 & Self::EPOCH != 0
    }

    pub(crate) const fn writer_id(self) -> u32 {
        (self.0 & 0x3ff) as u32
    }

    /// Whether the slot is unclaimed and yet has a writer id or flags of a claim, which only damage leaves.
    pub(crate) const fn has_leftover_claim(self) -> bool {
        !self.is_claimed() && self.0 & Self::CLAIM != 0
    }

    /// Returns the state without a claim's writer id and flags.
    pub(crate) const fn without_claim(self) -> Self {
        Self(self.0 & !Self::CLAIM)
    }

    /// Whether the claim belongs to a tandem whose writer id's commit word decides.
    pub(crate) const fn is_tandem(self) -> bool {
        self.0 & Self::TANDEM != 0
    }

    /// Whether the claim itself tells that the prepared word is current.
    pub(crate) const fn is_marked_committed(self) -> bool {
        self.0 & Self::COMMITTED != 0
    }

    /// Whether the prepared word may be current: the claim is a tandem's or marked as committed.
    #[inline(always)]
    pub(crate) const fn is_of_tandem(self) -> bool {
        self.0 & (Self::TANDEM | Self::COMMITTED) != 0
    }

    /// Whether the writer that publishes a change has to wake sleepers.
    #[inline(always)]
    pub(crate) const fn is_polled(self) -> bool {
        self.0 & Self::POLLED != 0
    }

    /// Whether nobody holds the slot, and nobody sleeps on it.
    #[inline(always)]
    pub(crate) const fn is_unclaimed_and_unpolled(self) -> bool {
        self.0 & (Self::EPOCH | Self::POLLED) == 0
    }

    /// Returns the state with the polled bit: a thread may sleep on it.
    pub(crate) const fn polled(self) -> Self {
        Self(self.0 | Self::POLLED)
    }

    /// Returns the state without the polled bit.
    pub(crate) const fn unpolled(self) -> Self {
        Self(self.0 & !Self::POLLED)
    }

    /// Whether buffers that an earlier epoch, or this claim before its change, had current may be overwritten.
    pub(crate) const fn is_wiped(self) -> bool {
        self.0 & Self::WIPED != 0
    }

    /// Returns the claim that tells readers that what its change retired is about to be overwritten.
    pub(crate) const fn wiping(self) -> Self {
        Self(self.0 | Self::WIPED)
    }

    /// Returns the even state with `epoch`.
    #[cfg(all(test, not(loom)))]
    pub(crate) const fn stable(epoch: u64) -> Self {
        Self(epoch << 13)
    }

    /// Returns the stable state with `floor` as its epoch, an even one, if its own is lower.
    pub(crate) const fn raised_to(self, floor: u64) -> Self {
        let polled = self.0 & Self::POLLED;
        if self.epoch() < floor { Self(floor << 13 & !(Self::EPOCH | Self::POLLED) | polled) } else { self }
    }

    /// Returns the stable state's successor, claimed by `writer_id`.
    #[inline(always)]
    pub(crate) const fn claimed(self, writer_id: u32, tandem: bool) -> Self {
        let flag = if tandem { Self::TANDEM } else { 0 };
        // Clears the wiped bit and raises the epoch at once.
        let claimed = (self.0 | Self::WIPED | Self::CLAIM).wrapping_add(1);
        Self(claimed | flag | writer_id as u64)
    }

    /// Returns the claim marked so that the prepared word is current.
    pub(crate) const fn committed(self) -> Self {
        Self(self.0 | Self::COMMITTED)
    }

    /// Returns the state two epochs on: after a change made in one step.
    pub(crate) const fn advanced(self) -> Self {
        Self((self.0 & !Self::WIPED).wrapping_add(2 * Self::EPOCH))
    }

    /// Returns the claim as `writer_id` recovers it, two epochs on.
    pub(crate) const fn recovered(self, writer_id: u32, committed: bool) -> Self {
        let flag = if committed { Self::COMMITTED } else { 0 };
        Self(self.advanced().0 & !Self::CLAIM | flag | writer_id as u64)
    }

    /// Returns the state without the wiped bit, for a planted mistake.
    #[cfg(splinter_mutants)]
    pub(crate) const fn unwiped(self) -> Self {
        Self(self.0 & !Self::WIPED)
    }

    /// Returns the state two epochs before, for a planted mistake.
    #[cfg(splinter_mutants)]
    pub(crate) const fn unraised(self) -> Self {
        Self(self.0 - 2 * Self::EPOCH)
    }

    /// Returns the stable state that follows the claim once it has changed the content. The polled bit stays.
    #[inline(always)]
    pub(crate) const fn released(self) -> Self {
        Self((self.0 & !Self::CLAIM).wrapping_add(Self::EPOCH))
    }

    /// Returns the stable state that follows the claim if it has left the content as it was: the epoch is that from
    /// before the claim. The buffer that is not current may have been overwritten all the same.
    #[inline(always)]
    pub(crate) const fn released_unchanged(self) -> Self {
        Self((self.0 & !Self::CLAIM).wrapping_sub(Self::EPOCH) | Self::WIPED)
    }

    /// Returns the epoch of the current content: the last even one, or the next if the claim has published its change
    /// and wipes what that retired.
    pub(crate) const fn content_epoch(self) -> u64 {
        (self.epoch() + self.is_wiped() as u64) & !1
    }

    /// Returns the epoch of the content, unless it is `epoch`. It may be earlier than `epoch` if that was another slot's,
    /// which held the key before.
    pub(crate) fn moved_from(self, epoch: u64) -> Option<u64> {
        let now = self.content_epoch();
        (now != epoch).then_some(now)
    }

    /// Whether a buffer that was current in this state is still whole at `later`. The claim after this state writes the
    /// *other* buffer; the one after that may write this one, and so may one that wipes.
    #[inline(always)]
    pub(crate) const fn is_intact_at(self, later: Self) -> bool {
        let epochs = later.epoch().wrapping_sub(self.epoch() & !1);
        epochs == 0 || epochs < 3 && !later.is_wiped()
    }
}

/// The type name's number of `BIGUINT` slots.
pub(crate) const KIND_BIGUINT: u64 = 2;

/// A slot's descriptor, the word that a writer publishes: which buffer, length, type (double buffering).
///
/// | bits | field | meaning |
/// |---|---|---|
/// | 0–31 | len | value length in bytes |
/// | 32–47 | flags | the user's sixteen flags |
/// | 48 | current | which of the two value buffers holds the value |
/// | 49 | present | the slot holds a key |
/// | 50 | number | the value is the slot's number word, 8 bytes |
/// | 51 | has_vector | the slot holds a vector |
/// | 52 | vector_current | which of the two vector buffers holds it |
/// | 53–54 | vector_stale | which of the two vector buffers may have a byte that is not zero, a bit each |
/// | 55 | values_stale | the value is a number, and the value buffers may have bytes that are not zero |
/// | 56 | expires | the key has a deadline |
/// | 57 | deadline | which of the slot's two deadline words it is |
/// | 58 | labels_prepared | the key's labels are the prepared ones in its metadata |
/// | 59 | number_bytes | the value is a number, and lies in the current value buffer |
/// | 60–63 | kind | the type name's number |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Descriptor(pub(crate) u64);

impl Descriptor {
    fields! {
        len, with_len: 0, 32;
        flags, with_flags: 32, 16;
        current, with_current: 48, 1;
        present, with_present: 49, 1;
        integer, with_integer: 50, 1;
        has_vector, with_has_vector: 51, 1;
        vector_current, with_vector_current: 52, 1;
        vector_stale, with_vector_stale: 53, 2;
        values_stale, with_values_stale: 55, 1;
        expires, with_expires: 56, 1;
        deadline, with_deadline: 57, 1;
        labels_prepared, with_labels_prepared: 58, 1;
        number_bytes, with_number_bytes: 59, 1;
        kind, with_kind: 60, 4;
    }

    #[inline(always)]
    pub(crate) const fn is_present(self) -> bool {
        self.present() != 0
    }

    #[inline(always)]
    pub(crate) const fn is_integer(self) -> bool {
        self.integer() != 0
    }

    /// Whether the value is a number, be it in the number word or in a buffer.
    pub(crate) const fn is_number(self) -> bool {
        self.integer() | self.number_bytes() != 0
    }

    /// Returns the descriptor of a slot whose value is a number, the eight bytes that it holds.
    pub(crate) const fn holding_number_bytes(self) -> Self {
        self.with_number_bytes(1).with_kind(KIND_BIGUINT)
    }

    /// Whether the slot holds a key that stays until it is removed.
    #[inline(always)]
    pub(crate) const fn is_lasting(self) -> bool {
        // The upper sixteen bits alone: the mask fits into an instruction.
        const MASK: u16 = (Descriptor(0).with_present(1).with_expires(1).0 >> 48) as u16;
        (self.0 >> 48) as u16 & MASK == (Descriptor(0).with_present(1).0 >> 48) as u16
    }

    /// Whether the slot holds such a key, and its value is in a buffer.
    #[inline(always)]
    pub(crate) const fn is_lasting_in_buffer(self) -> bool {
        const MASK: u16 = (Descriptor(0).with_present(1).with_integer(1).with_expires(1).0 >> 48) as u16;
        (self.0 >> 48) as u16 & MASK == (Descriptor(0).with_present(1).0 >> 48) as u16
    }

    /// Returns the descriptor of a slot whose value is its number word.
    pub(crate) const fn holding_integer(self) -> Self {
        self.with_present(1).with_integer(1).with_number_bytes(0).with_len(8).with_kind(KIND_BIGUINT)
    }

    /// Returns the descriptor of a slot whose value is in buffer `which`.
    #[inline(always)]
    pub(crate) const fn holding_bytes(self, which: u64, len: usize) -> Self {
        let word = self.with_present(1).with_integer(0).with_number_bytes(0).with_values_stale(0);
        word.with_current(which).with_len(len as u64)
    }

    /// Returns the descriptor of a slot that holds no key. It keeps only which vector buffers may be stale.
    pub(crate) const fn vacant(self) -> Self {
        Self(0).with_vector_stale(self.vector_stale())
    }

    /// Returns the vector buffer that holds the slot's vector, if it has one.
    pub(crate) fn vector(self) -> Option<u64> {
        (self.has_vector() != 0).then_some(self.vector_current())
    }

    /// Whether vector buffer `which` holds the slot's vector.
    pub(crate) const fn is_vector_in(self, which: u64) -> bool {
        self.has_vector() != 0 && self.vector_current() == which
    }

    /// Returns the descriptor once all vector buffers are zero except the current one.
    pub(crate) const fn with_vectors_wiped(self) -> Self {
        self.with_vector_stale(self.has_vector() << self.vector_current())
    }
}

/// A slot's notify flags, which tell a writer whether changes may concern a group, and the extents of the value
/// buffers. They change under the slot's claim.
///
/// | bits | field | meaning |
/// |---|---|---|
/// | 0 | subscribed | the slot's subscription is not zero |
/// | 1 | labelled | the key has labels |
/// | 2 | pinned | a cache does not evict the key |
/// | 3–5 | | zero |
/// | 6–31 | extent 0 | how many 64-byte lines at the start of value buffer 0 may have a byte that is not zero |
/// | 32–37 | | zero |
/// | 38–63 | extent 1 | the same of value buffer 1 |
///
/// Each half, its flags left out, is the extent in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotifyFlags(pub(crate) u64);

impl NotifyFlags {
    const SUBSCRIBED: u64 = 1;
    const LABELLED: u64 = 2;
    const PINNED: u64 = 4;
    /// The extent in the lower half.
    const EXTENT: u64 = 0xffff_ffc0;
    const LINE: u64 = 64;

    /// Whether changes may concern a group.
    #[inline(always)]
    pub(crate) const fn is_subscribed(self) -> bool {
        self.0 & (Self::SUBSCRIBED | Self::LABELLED) != 0
    }

    /// Whether the key must not be evicted.
    pub(crate) const fn is_pinned(self) -> bool {
        self.0 & Self::PINNED != 0
    }

    /// Returns the word of a slot whose key may be evicted, or not if it is `pinned`.
    pub(crate) const fn with_pinned(self, pinned: bool) -> Self {
        Self(self.0 & !Self::PINNED | if pinned { Self::PINNED } else { 0 })
    }

    /// Returns the word of a slot with these subscriptions and labels.
    #[inline(always)]
    pub(crate) const fn with_groups(self, subscriptions: u64, labels: u64) -> Self {
        let subscribed = if subscriptions != 0 { Self::SUBSCRIBED } else { 0 };
        let labelled = if labels != 0 { Self::LABELLED } else { 0 };
        Self(self.0 & !(Self::SUBSCRIBED | Self::LABELLED) | subscribed | labelled)
    }

    /// Returns how many bytes of value buffer `which` may not be zero.
    #[inline(always)]
    pub(crate) const fn extent(self, which: u64) -> usize {
        // A choice takes fewer instructions than a shift by a variable.
        let half = if which & 1 == 0 { self.0 } else { self.0 >> 32 };
        (half & Self::EXTENT) as usize
    }

    /// Returns the word with another extent of buffer `which`, in bytes, rounded up to lines.
    pub(crate) const fn with_extent(self, which: u64, bytes: usize) -> Self {
        let shift = 32 * (which & 1);
        let extent = (bytes as u64).next_multiple_of(Self::LINE) & Self::EXTENT;
        Self(self.0 & !(Self::EXTENT << shift) | extent << shift)
    }

    /// Whether any byte of the value buffers may not be zero.
    #[inline(always)]
    pub(crate) const fn is_written(self) -> bool {
        self.0 & (Self::EXTENT << 32 | Self::EXTENT) != 0
    }
}

/// A ring's entry: bits 0–31 the number of the slot that changed, 32–63 the lap, plus one, of its position round the
/// ring. Zero is an entry that was never written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Signal(pub(crate) u64);

impl Signal {
    /// Returns the entry for the signal at `position` of a ring of `len` entries, a power of two.
    pub(crate) const fn new(slot: u32, position: u64, len: u64) -> Self {
        let lap = (position >> len.trailing_zeros()).wrapping_add(1) as u32;
        Self((lap as u64) << 32 | slot as u64)
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Whether this is the entry of the signal at `position` or of a later one in its place.
    pub(crate) const fn reaches(self, position: u64, len: u64) -> bool {
        let lap = Self::new(0, position, len).0 >> 32;
        ((self.0 >> 32) as u32).wrapping_sub(lap as u32) as i32 >= 0
    }

    /// Whether this is the entry of the signal at `position`, whichever slot it names.
    pub(crate) const fn is_at(self, position: u64, len: u64) -> bool {
        self.0 >> 32 == Self::new(0, position, len).0 >> 32
    }
}

/// A bucket's control word. A bucket is home to the keys whose hash leads there.
///
/// | bits | field | meaning |
/// |---|---|---|
/// | 0–15 | max_distance | maximum probe distance: how many buckets further on the farthest entry of this home lies |
/// | 16–25 | writer id | while claimed, the writer id that holds the claim |
/// | 26 | claimed | a writer is adding or moving entries of this home, or changing its maximum distance |
/// | 27 | compact | its entries or maximum distance may be farther than need be; the claim's holder compacts it |
/// | 28 | awaited | the same, for the holder of an entry's slot |
/// | 29–63 | version | counts claims, so that no two are alike, and entries that were moved |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Control(pub(crate) u64);

impl Control {
    fields! {
        max_distance, with_max_distance: 0, 16;
        writer_id_bits, with_writer_id_bits: 16, 10;
        claimed_bit, with_claimed_bit: 26, 1;
        version, with_version: 29, 35;
    }

    /// The largest maximum distance.
    pub(crate) const DISTANCE_MAX: u64 = 0xffff;
    /// The mark on a home that its claim's holder, or the next one, has to compact.
    pub(crate) const COMPACT: u64 = 1 << 27;
    /// The mark on a home that waits for the holder of an entry's slot to compact it.
    pub(crate) const AWAITED: u64 = 1 << 28;
    /// Both marks.
    pub(crate) const MARKS: u64 = Self::COMPACT | Self::AWAITED;
    /// Added to the word for each entry that is moved.
    pub(crate) const MOVED: u64 = 1 << 29;
    /// Writer id and flag of a claim.
    pub(crate) const CLAIM: u64 = 0x7ff << 16;

    pub(crate) const fn is_claimed(self) -> bool {
        self.claimed_bit() != 0
    }

    /// Whether the word has one of these marks.
    pub(crate) const fn has(self, marks: u64) -> bool {
        self.0 & marks != 0
    }

    pub(crate) const fn writer_id(self) -> u32 {
        self.writer_id_bits() as u32
    }

    /// Returns the word claimed by `writer_id`, one version on.
    pub(crate) const fn claimed(self, writer_id: u32) -> Self {
        self.with_writer_id_bits(writer_id as u64)
            .with_claimed_bit(1)
            .with_version(self.version().wrapping_add(1))
    }

    pub(crate) const fn released(self) -> Self {
        self.with_writer_id_bits(0).with_claimed_bit(0)
    }
}

/// A bucket's entry. The upper half is its tag. Zero is free.
///
/// | bits | meaning |
/// |---|---|
/// | 0–31 | the slot's number plus one |
/// | 32–47 | the distance from the key's home bucket |
/// | 48–63 | the highest bits of the key's hash, which do not choose the home |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(pub(crate) u64);

impl Entry {
    pub(crate) const FREE: Self = Self(0);

    pub(crate) const fn new(slot: u32, tag: u32) -> Self {
        Self((tag as u64) << 32 | (slot as u64 + 1))
    }

    /// Returns the tag of an entry for a key with `hash` whose home is `distance` buckets back.
    #[inline(always)]
    pub(crate) const fn tag(hash: u64, distance: u64) -> u32 {
        (hash >> 48 << 16) as u32 | distance as u32 & 0xffff
    }

    pub(crate) const fn distance(self) -> u64 {
        self.0 >> 32 & 0xffff
    }

    /// Returns the same key's entry at another distance.
    pub(crate) const fn at(self, distance: u64) -> Self {
        Self(self.0 & !(0xffff << 32) | (distance & 0xffff) << 32)
    }

    pub(crate) const fn is_free(self) -> bool {
        self.0 & 0xffff_ffff == 0
    }

    /// Returns the slot's number; for a free entry, one that no store has.
    #[inline(always)]
    pub(crate) const fn slot(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_odd_names_its_writer_id_and_is_followed_by_the_next_even_epoch() {
        let claim = State::stable(8).claimed(1023, true);
        assert_eq!((claim.epoch(), claim.writer_id(), claim.is_tandem()), (9, 1023, true));
        assert!(claim.is_claimed() && !claim.released().is_claimed());
        assert_eq!(claim.released(), State::stable(10));
        assert_eq!(claim.advanced().released(), State::stable(12));
        assert_eq!(claim.recovered(3, true).epoch(), 11);
        assert!(claim.recovered(3, true).is_marked_committed() && !claim.recovered(3, true).is_tandem());
    }

    #[test]
    fn a_copy_is_good_until_the_claim_after_next() {
        let seen = State::stable(8);
        assert!(seen.is_intact_at(State::stable(8)));
        assert!(seen.is_intact_at(seen.claimed(1, false)));
        assert!(seen.is_intact_at(State::stable(10)));
        assert!(!seen.is_intact_at(State::stable(10).claimed(1, false)));
        assert!(seen.claimed(1, false).is_intact_at(State::stable(10)));
        assert!(!seen.claimed(1, false).is_intact_at(State::stable(12)));
    }

    #[test]
    fn descriptor_fields_do_not_overlap() {
        let full = Descriptor(0)
            .with_len(u64::from(u32::MAX))
            .with_flags(0xffff)
            .with_current(1)
            .with_present(1)
            .with_integer(1)
            .with_has_vector(1)
            .with_vector_current(1)
            .with_vector_stale(3)
            .with_values_stale(1)
            .with_kind(15);
        assert_eq!(full.0, !(0xf << 56));
        assert_eq!(full.with_flags(0).0, full.0 & !(0xffff << 32));
    }

    #[test]
    fn extents_are_whole_lines_and_keep_off_each_other_and_the_flags() {
        let longest = u32::MAX as usize - 63;
        for len in [0, 1, 63, 64, 65, 4095, 4096, longest - 1, longest] {
            for which in 0..2 {
                let word = NotifyFlags(0).with_groups(1, 1).with_extent(1 - which, 640);
                let word = word.with_extent(which, len);
                assert_eq!(word.extent(which), len.next_multiple_of(64));
                assert_eq!((word.extent(1 - which), word.is_subscribed()), (640, true));
                assert_eq!(word.with_extent(1 - which, 0).is_written(), len > 0);
                assert_eq!(word.with_groups(0, 0).extent(which), len.next_multiple_of(64));
            }
        }
        assert!(!NotifyFlags(0).with_groups(1, 1).is_written());
    }

    #[test]
    fn wiped_vectors_leave_the_current_one() {
        let word = Descriptor(0).with_vector_stale(3).with_vector_current(1);
        assert_eq!(word.with_vectors_wiped().vector_stale(), 0);
        assert_eq!(word.with_has_vector(1).with_vectors_wiped().vector_stale(), 2);
        assert_eq!(word.vacant(), Descriptor(0).with_vector_stale(3));
    }

    #[test]
    fn entries_keep_slot_and_tag_apart() {
        let entry = Entry::new(u32::MAX - 1, Entry::tag(0xabcd << 48, 7));
        assert_eq!((entry.slot(), entry.distance()), (u32::MAX - 1, 7));
        assert_eq!((entry.0 >> 32) as u32, 0xabcd_0007);
        assert!(!entry.is_free() && Entry::FREE.is_free());
    }
}
