//! What can go wrong in a queue run: one list, of which the faults, their counts in the record and their names are made.

use serde::{Deserialize, Serialize};

/// Makes the faults and their counts of the list: each fault, the field that counts it, and what that field says.
macro_rules! faults {
    ($(#[$doc:meta] $fault:ident => $count:ident,)*) => {
        /// What can be wrong. [`QueueInvariants`] describes each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub(super) enum Fault {
            $($fault,)*
        }

        /// How many kinds of fault there are.
        pub(super) const FAULTS: usize = [$(Fault::$fault),*].len();

        /// Invariants. All must be 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        pub struct QueueInvariants {
            $(#[$doc] pub $count: u64,)*
        }

        impl QueueInvariants {
            /// Takes the counts in the order of [`Fault`].
            pub(super) fn of(faults: [u64; FAULTS]) -> Self {
                Self { $($count: faults[Fault::$fault as usize],)* }
            }

            /// Lists the counts with their names.
            pub(crate) fn named(&self) -> [(String, u64); FAULTS] {
                [$((stringify!($count).replace('_', " "), self.$count),)*]
            }
        }
    };
}

faults! {
    /// ● Messages acknowledged to their producer and never received.
    Lost => lost,
    /// ● First deliveries that came before an earlier message of their producer, or at a position that the consumer had passed.
    OutOfOrder => out_of_order,
    /// ● Messages received more often than delivered, or delivered again without a death.
    Duplicate => duplicates,
    /// ● Messages that no producer wrote as a whole.
    Torn => torn,
    /// ● Messages received and never sent.
    Invented => invented,
    /// ● Processes that did not get on, and messages that woke nobody.
    Stuck => stuck,
    /// ● Errors that the operation may not have.
    Unexpected => unexpected_errors,
    /// ● Processes that panicked, or ended otherwise than killed or asked to.
    Ended => lost_processes,
}

impl QueueInvariants {
    /// Tells whether all of them held.
    #[must_use]
    pub fn held(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_fails_the_run_under_its_own_name() {
        let mut names = std::collections::HashSet::new();
        for fault in 0..FAULTS {
            let mut faults = [0; FAULTS];
            faults[fault] = 3;
            let invariants = QueueInvariants::of(faults);
            assert!(!invariants.held());
            let [(name, 3)] =
                &invariants.named().into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()[..]
            else {
                panic!("{invariants:?}");
            };
            names.insert(name.clone());
        }
        assert_eq!(names.len(), FAULTS);
        assert!(names.contains("out of order"));
        assert!(QueueInvariants::of([0; FAULTS]).held());
    }
}
