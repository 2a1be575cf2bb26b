//! What a bid says: plain data.

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
    /// Nothing in particular.
    #[default]
    None = 0,
    /// To need it soon.
    WillNeed = 1,
    /// To go through it once, in order.
    Sequential = 2,
    /// To touch it here and there.
    Random = 3,
    /// To do without it.
    DontNeed = 4,
}

impl Intent {
    /// Every intent, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::WillNeed, Self::Sequential, Self::Random, Self::DontNeed];

    /// Returns the intent of a number, if it is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Tells whether a bid of this intent forbids that memory is given up.
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
    /// What the bidder intends.
    pub intent: Intent,
    /// The higher, the sooner it is elected.
    pub priority: u8,
    /// For how many ticks of [`cycles`](crate::cycles()) the bid holds: with 0 it has expired at once, with
    /// `u64::MAX` it never does.
    pub duration: u64,
}

impl Default for BidTerms {
    /// No intent, priority 0, without end.
    fn default() -> Self {
        Self { intent: Intent::None, priority: 0, duration: u64::MAX }
    }
}

/// A bid as it was when the table was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bid {
    /// What is bid for; never 0.
    pub id: u32,
    /// The process the bid is said to be for. A label: the bid lives as long as the store it was made by.
    pub pid: u32,
    /// What the bidder intends.
    pub intent: Intent,
    /// The higher, the sooner it is elected.
    pub priority: u8,
    /// When the bid was made or last renewed, as [`cycles`](crate::cycles()) counts.
    pub claimed_at: u64,
    /// For how many ticks from then it holds; `u64::MAX`: without end.
    pub duration: u64,
    /// Whether it no longer holds: it keeps its entry, but neither its id nor a place in elections.
    pub expired: bool,
    /// Whether it is elected.
    pub sovereign: bool,
}
