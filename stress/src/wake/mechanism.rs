//! What is measured: the ways of telling another process, what each is held against, and what else
//! the processors do meanwhile. Pure tables.

use splinter_harness::named_enum;

use splinter::{Notifier, Store};

/// A way to notify another process of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mechanism {
    /// A word of shared memory and a futex on it.
    Futex,
    /// The same, asleep for a second at most: the cost of a deadline, at which a waiter looks for dead writers.
    FutexDeadline,
    /// The same as the first, each message held back until the other has long been asleep.
    FutexPaused,
    /// An eventfd, waited for with epoll, and read.
    Eventfd,
    /// A cache line that goes to and fro between two processors that look at it.
    Line,
    /// `set`, and a watcher that sleeps at once.
    Watcher,
    /// `set`, and a watcher's descriptor in epoll, by io_uring.
    Ring,
    /// The same, by a helper thread.
    Helper,
    /// `set`, and `poll_after`, each message held back until the spin before its sleep is over.
    PollPaused,
    /// `set`, and a watcher that spins.
    SpinWatcher,
    /// The same, without a read of the value.
    SpinUnread,
    /// `set`, and `poll_after`, answered within the spin before its sleep.
    SpinPoll,
}

/// How a message is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Asleep, from when there is nothing to do.
    Asleep,
    /// Asleep, and messages are held back so that it is.
    Paused,
    /// Looking all the time.
    Spinning,
}

/// The properties of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spec {
    /// Its name in tables and records.
    pub name: &'static str,
    /// How it waits.
    pub style: Style,
    /// What it is compared with; none if it is a limit itself.
    pub limit: Option<Mechanism>,
    /// How often the limit it may take.
    pub target: Option<f64>,
}

impl Mechanism {
    /// All of them, limits first.
    pub(crate) const ALL: [Self; 12] = [
        Self::Futex,
        Self::FutexPaused,
        Self::Eventfd,
        Self::Line,
        Self::FutexDeadline,
        Self::Watcher,
        Self::Ring,
        Self::Helper,
        Self::PollPaused,
        Self::SpinWatcher,
        Self::SpinUnread,
        Self::SpinPoll,
    ];

    /// Returns the mechanism of this number.
    #[must_use]
    pub(crate) fn numbered(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|&mechanism| mechanism as u64 == number)
    }

    /// Returns its properties.
    #[must_use]
    pub(crate) fn spec(self) -> Spec {
        use Style::{Asleep, Paused, Spinning};
        let (name, style, limit, target) = match self {
            Self::Futex => ("bare futex", Asleep, None, None),
            Self::FutexPaused => ("bare futex, long asleep", Paused, None, None),
            Self::Eventfd => ("eventfd + epoll", Asleep, None, None),
            Self::Line => ("cache line", Spinning, None, None),
            Self::FutexDeadline => ("bare futex, deadline", Asleep, Some(Self::Futex), None),
            Self::Watcher => ("watcher, asleep", Asleep, Some(Self::Futex), Some(1.15)),
            Self::Ring => ("descriptor, io_uring", Asleep, Some(Self::Eventfd), Some(1.15)),
            Self::Helper => ("descriptor, thread", Asleep, Some(Self::Eventfd), Some(1.6)),
            Self::PollPaused => ("poll, asleep", Paused, Some(Self::FutexPaused), None),
            Self::SpinWatcher => ("watcher, spinning", Spinning, Some(Self::Line), Some(2.0)),
            Self::SpinUnread => ("  told, value unread", Spinning, Some(Self::Line), None),
            Self::SpinPoll => ("poll, spinning", Spinning, Some(Self::Line), None),
        };
        Spec { name, style, limit, target }
    }

    /// Returns what makes its descriptor readable, if it has one.
    #[must_use]
    pub(crate) fn notifier(self) -> Option<Notifier> {
        match self {
            Self::Ring => Some(Notifier::IoUring),
            Self::Helper => Some(Notifier::HelperThread),
            _ => None,
        }
    }

    /// Says why it cannot be measured on this machine in any situation.
    #[must_use]
    pub(crate) fn unavailable(self, store: &Store) -> Option<String> {
        let watcher = store.watch(&[]).ok()?;
        let refused = watcher.pollable_by(self.notifier()?).err()?;
        Some(refused.to_string())
    }
}

named_enum! {
    /// What else the two processors do.
    pub enum Situation: "situation" {
        /// Two processors, and nothing else to do on them.
        Idle = "idle",
        /// One processor for both.
        Same = "same",
        /// Two processors, each with a loop that never ends beside.
        Busy = "busy",
    }
}

impl Situation {
    /// Says why a mechanism cannot be measured in it, with so many processors.
    #[must_use]
    pub(crate) fn excludes(self, mechanism: Mechanism, processors: usize) -> Option<String> {
        match self {
            Self::Same if mechanism.spec().style == Style::Spinning => {
                Some("a process that spins leaves the other no processor time".to_owned())
            }
            Self::Idle | Self::Busy if processors < 2 => {
                Some("it needs two processors, and there is one".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_a_name_and_a_limit_that_waits_as_it_does() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::numbered(mechanism as u64), Some(mechanism));
            let same = |other: &Mechanism| other.spec().name == mechanism.spec().name;
            assert_eq!(Mechanism::ALL.iter().filter(|other| same(other)).count(), 1);
            if let Some(limit) = mechanism.spec().limit {
                assert_eq!(limit.spec().limit, None);
                assert_eq!(limit.spec().style, mechanism.spec().style);
            }
        }
        assert_eq!(Mechanism::numbered(200), None);
    }

    #[test]
    fn one_processor_is_enough_for_sleeping_threads() {
        let there =
            |situation: Situation, mechanism, processors| situation.excludes(mechanism, processors).is_none();
        assert!(there(Situation::Same, Mechanism::Watcher, 1));
        assert!(!there(Situation::Same, Mechanism::Line, 1));
        assert!(!there(Situation::Idle, Mechanism::Watcher, 1));
        assert!(there(Situation::Busy, Mechanism::Line, 2));
    }
}
