//! The terms of a bid: plain data.

/// What a bidder intends to do with the store's memory.
///
/// ```
/// use splinter::Intent;
/// assert_eq!(Intent::from_number(4), Some(Intent::DontNeed));
/// assert_eq!(Intent::Sequential as u8, 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Intent {
    /// No particular intent.
    #[default]
    None = 0,
    /// The bidder needs the memory soon.
    WillNeed = 1,
    /// The bidder reads the memory once, in order.
    Sequential = 2,
    /// The bidder touches the memory here and there.
    Random = 3,
    /// The bidder can do without the memory.
    DontNeed = 4,
}

impl Intent {
    /// Every intent, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::WillNeed, Self::Sequential, Self::Random, Self::DontNeed];

    /// Returns the intent with a number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Tells whether a bid of this intent forbids giving memory up.
    pub(super) fn needs_memory(self) -> bool {
        matches!(self, Self::WillNeed | Self::Sequential)
    }
}

/// The terms of a bid.
///
/// ```
/// use splinter::{BidTerms, Intent};
/// let terms = BidTerms { intent: Intent::WillNeed, priority: 7, ..BidTerms::default() };
/// assert_eq!(terms.duration, u64::MAX);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BidTerms {
    /// What the bidder intends to do with the memory.
    pub intent: Intent,
    /// The higher the priority, the sooner the bid is elected.
    pub priority: u8,
    /// How long the bid is valid, in ticks of [`cycles`](crate::cycles()). With 0 it has expired at once, with
    /// `u64::MAX` it never expires.
    pub duration: u64,
}

impl Default for BidTerms {
    /// No intent, priority 0, without end.
    fn default() -> Self {
        Self { intent: Intent::None, priority: 0, duration: u64::MAX }
    }
}

/// A bid as it was when the table was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bid {
    /// The id, never 0.
    pub id: u32,
    /// The process that the bid names. It is a label: the bid lives as long as the store that made it.
    pub pid: u32,
    /// What the bidder intends to do with the memory.
    pub intent: Intent,
    /// The higher the priority, the sooner the bid is elected.
    pub priority: u8,
    /// When the bid was made or last renewed, in ticks of [`cycles`](crate::cycles()).
    pub claimed_at: u64,
    /// How long the bid is valid from then on, in ticks; `u64::MAX` means without end.
    pub duration: u64,
    /// Whether the bid has expired: it keeps its entry, but neither its id nor a place in elections.
    pub expired: bool,
    /// Whether the bid is elected.
    pub sovereign: bool,
}
