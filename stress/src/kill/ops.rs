//! The keys and operations of a kill test. A key of one writer alone is changed in numbered steps, and what it must hold
//! after step `n` follows from `n` alone: so the key itself shows how far its dead writer came.

use crate::proof::value;
use splinter::hash_key;
use splinter_harness::named_enum;
use splinter_harness::rng::Rng;

/// How many keys all writers share: those that stay, and those that come and go.
pub(crate) const HOT: u64 = 4;
pub(crate) const CHURN: u64 = 6;
/// The integer that all writers add to, the tandem that all write, and a key that every operation can set.
pub(crate) const SUM: &str = "sum";
pub(crate) const PAIR: &str = "pair";
pub(crate) const MIXED: &str = "mixed";
/// A number in eight bytes to which all writers add one, by functions of it and by conditional sets; and the accounts between
/// which they move amounts, whose sum stays.
pub(crate) const TALLY: &str = "tally";
pub(crate) const ACCOUNTS: &str = "account";
pub(crate) const ACCOUNT_COUNT: usize = 4;
pub(crate) const TOTAL: u64 = 1_000_000;
/// Orders of every tandem.
pub(crate) const ORDERS: usize = 3;
/// Components of every vector.
pub(crate) const DIM: u32 = 9;
/// The most keys that all writers share, and that each writer may have beside them.
pub(crate) const SHARED_KEYS: u64 = HOT + CHURN + 3 + (ORDERS + ACCOUNT_COUNT) as u64;
pub(crate) const KEYS_PER_WRITER: u64 = OWN_KEYS as u64 + 2 * (ORDERS as u64 - 1) + 2;
/// Steps after which a key's labels, and whether it is missing, repeat.
pub(crate) const CYCLE: usize = 128;
/// The text that the key set by every operation can hold.
pub(crate) const TEXT: &str = "12345";

named_enum! {
    /// A key that only one writer changes.
    #[repr(usize)]
    pub(crate) enum OwnKey: "key" {
        /// Set, at every length.
        Value = "value",
        /// Appended to, and set anew when it is full.
        Log = "log",
        /// Incremented by 1.
        Count = "count",
        /// A tandem, removed at every eighth step.
        Group = "group",
        /// Given a vector.
        Vector = "vector",
        /// Given a label, and rid of it.
        Mark = "mark",
        /// Set and removed.
        Comes = "comes",
        /// Changed by transactions, with more keys of its own. It is the first order of a tandem: two values, and a number
        /// between them. A further key is there after every other step.
        Several = "several",
        /// Set with a deadline far away, expired by a change of that, set again without one, and with one that has passed.
        Lasts = "lasts",
    }
}

/// How many keys a writer has of its own.
pub(crate) const OWN_KEYS: usize = OwnKey::ALL.len();

impl OwnKey {
    /// Tells whether the key is missing after step `step`.
    pub(crate) fn is_gone(self, step: u64) -> bool {
        match self {
            Self::Group => step % 8 == 7,
            Self::Comes | Self::Lasts => step.is_multiple_of(2),
            _ => false,
        }
    }

    /// Returns the key of writer `writer`.
    pub(crate) fn key(self, writer: usize) -> String {
        format!("s{writer}.{self}")
    }
}

named_enum! {
    /// What a writer can do next.
    #[repr(usize)]
    pub(crate) enum Op: "operation" {
        /// The next step on the writer's own key of the same number: the first nine operations.
        Value = "set",
        Log = "append",
        Count = "integer",
        Group = "tandem",
        Vector = "vector",
        Mark = "label",
        Comes = "unset",
        Several = "transaction",
        Lasts = "expire",
        /// Sets a key that all writers set.
        Hot = "hot_set",
        /// Sets or removes a key that all writers set and remove.
        Churn = "churn",
        /// Sets a key that no writer used before, and removes the last one.
        Once = "first_set",
        /// Adds to the sum of all.
        Sum = "sum",
        /// Sets or removes the tandem of all.
        Pair = "hot_tandem",
        /// Sets a number in one of the ways there are.
        Mixed = "promote",
        /// Changes a key's metadata and not its value: bump, type, times, flags.
        Metadata = "about",
        /// Purges the whole store.
        Purge = "purge",
        /// Moves an amount between two accounts of all.
        Transfer = "transfer",
        /// Adds to the tally of all.
        Tally = "tally",
        /// Removes some keys whose deadline has passed, whichever writers they belong to.
        SweepExpired = "sweep_expired",
        /// Sets a key of the cache, which evicts.
        Cache = "cache",
    }
}

impl Op {
    /// How often, of [`Op::TOTAL`] times, an operation is chosen.
    const WEIGHTS: [u64; 21] = [8, 6, 3, 7, 5, 3, 8, 8, 5, 7, 8, 5, 3, 5, 3, 4, 1, 4, 2, 1, 4];
    const TOTAL: u64 = 100;

    /// Draws an operation by its weight.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut choice = rng.below(Self::TOTAL);
        for (op, weight) in Self::ALL.into_iter().zip(Self::WEIGHTS) {
            if choice < weight {
                return op;
            }
            choice -= weight;
        }
        Self::Value
    }
}

/// Returns the key that the transactions of a writer set and remove in turn.
pub(crate) fn alternate(key: &str) -> String {
    format!("{key}-even")
}

/// Makes a number that can be told from any other: its halves are equal, and neither it nor its complement is text.
pub(crate) fn number_of(draw: u64) -> u64 {
    let half = draw & 0xffff_0000 | 0x80;
    half << 32 | half
}

/// Tells whether [`MIXED`] can hold this: a number that was set, or its complement, in eight bytes or in digits.
pub(crate) fn is_mixed(value: &[u8]) -> bool {
    let digits = || {
        let text = std::str::from_utf8(value).ok()?;
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    };
    let number = value.try_into().map(u64::from_le_bytes).ok().or_else(digits);
    let set = |number: u64| number == 0 || number.to_string() == TEXT || number == number_of(number);
    number.is_some_and(|number| set(number) || set(!number))
}

/// Returns the labels of a writer's marked key after a step.
pub(crate) fn labels_after(step: u64) -> u64 {
    if step.is_multiple_of(2) { 0 } else { 1 << (step / 2 % 64) }
}

/// Fills `bytes` with the value that a writer gives a key as its write with this number.
pub(crate) fn fill<'a>(bytes: &'a mut Vec<u8>, len: u64, key: &str, writer: usize, stamp: u64) -> &'a [u8] {
    bytes.resize(len as usize, 0);
    value::fill(bytes, hash_key(key.as_bytes()), writer as u16, stamp);
    bytes
}

pub(crate) fn hot(number: u64) -> String {
    format!("hot{number}")
}

pub(crate) fn churn(number: u64) -> String {
    format!("churn{number}")
}

pub(crate) fn once(writer: usize, number: u64) -> String {
    format!("once{writer}.{number}")
}

/// Returns the key of one order of a tandem.
pub(crate) fn order_name(base: &str, order: usize) -> String {
    match order {
        0 => base.to_owned(),
        _ => format!("{base}.{order}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_drawn_as_often_as_its_weight_says() {
        assert_eq!(Op::WEIGHTS.iter().sum::<u64>(), Op::TOTAL);
        let mut rng = Rng::new(1, 1);
        let mut drawn = [0_u64; Op::ALL.len()];
        for _ in 0..100_000 {
            drawn[Op::draw(&mut rng) as usize] += 1;
        }
        for (count, weight) in drawn.into_iter().zip(Op::WEIGHTS) {
            assert!(count.abs_diff(weight * 1000) < weight * 300 + 200, "{drawn:?}");
        }
    }

    #[test]
    fn only_what_some_writer_sets_can_be_in_the_key_that_is_set_in_every_way() {
        let number = number_of(0x1234_5678_9abc_def0);
        for number in [0, 12345, number] {
            for number in [number, !number] {
                assert!(is_mixed(&number.to_le_bytes()), "{number:x}");
                assert!(is_mixed(number.to_string().as_bytes()), "{number:x}");
            }
        }
        let other = number_of(0xfeed_beef);
        let [mut torn, other] = [number, other].map(u64::to_le_bytes);
        torn[..4].copy_from_slice(&other[..4]);
        let cut = &number.to_string()[..12];
        for wrong in [&b""[..], b"1234", b"12345\0\0\x01", &torn, &other[..5], cut.as_bytes()] {
            assert!(!is_mixed(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn neighbouring_steps_can_be_told_apart() {
        for step in 1..300 {
            assert_ne!(labels_after(step), labels_after(step - 1));
            for own in [OwnKey::Comes, OwnKey::Lasts] {
                assert_ne!(own.is_gone(step), own.is_gone(step - 1));
            }
            assert!(!(OwnKey::Group.is_gone(step) && OwnKey::Group.is_gone(step - 1)));
        }
    }

    #[test]
    fn labels_and_missing_keys_repeat_after_a_cycle() {
        for step in 0..300 {
            let later = step + CYCLE as u64;
            assert_eq!(labels_after(step), labels_after(later));
            assert!(OwnKey::ALL.into_iter().all(|own| own.is_gone(step) == own.is_gone(later)), "{step}");
        }
    }
}
