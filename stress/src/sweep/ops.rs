//! The operations that are swept, and how a process performs them.

use super::answer::{Answer, MAX_LEN, StoreErrorKind};
use splinter::{IntegerOp, Lifetime, Store, Writer};
use splinter_harness::named_enum;
use splinter_testkit::{self as testkit, Content, Guess, Model, Part};
use std::time::Duration;

/// Components of a vector.
pub(super) const VECTOR_DIM: usize = 8;

named_enum! {
    /// One operation.
    pub enum Op: "operation" {
        /// Sets a key that is not there.
        FirstSet = "first-set",
        /// Sets a key that is there.
        Update = "update",
        /// Appends to a value.
        Append = "append",
        /// Adds to a number.
        Integer = "integer",
        /// Removes a key.
        Unset = "unset",
        /// Sets a tandem that is there.
        Tandem = "tandem",
        /// Sets a tandem that is not there.
        FirstTandem = "first-tandem",
        /// Removes a tandem.
        Untandem = "untandem",
        /// Sets a vector.
        Vector = "vector",
        /// Adds a label.
        Label = "label",
        /// Purges the store.
        Purge = "purge",
        /// Bumps a key.
        Bump = "bump",
        /// Sets a key three times: only so the buffer that another process reads is written again.
        Rewrite = "rewrite",
        /// Reads a key.
        Get = "get",
        /// Opens the store, and registers a writer. As the first operation: opens a store that has a name.
        Open = "open",
        /// Creates a store that has a name.
        Create = "create",
        /// Waits for a change of a key.
        Poll = "poll",
        /// Waits for a change of a group.
        Watch = "watch",
        /// Sets a key that must be there.
        SetIf = "set-if",
        /// Sets a key by a function of its value, and answers the old one.
        UpdateBy = "update-by",
        /// Gives a key a deadline, which is far away.
        Expire = "expire",
        /// Sets a key whose deadline has passed.
        Reuse = "reuse",
        /// Removes a key whose deadline has passed, by a sweep.
        SweepExpired = "sweep-expired",
        /// Sets a key that must be there, and its label; adds to a number; removes a key; inserts one that must be missing.
        Transaction = "transaction",
        /// Would do most of that, if a key were there that is missing.
        RefusedTransaction = "refused-transaction",
        /// Pins a key.
        Pin = "pin",
        /// Inserts a key into a full cache, which evicts by SIEVE.
        Evict = "evict",
        /// Inserts a key into a full cache, which evicts by sampled LRU.
        EvictLru = "evict-lru",
    }
}

impl Op {
    /// Tells whether it acts on the two orders of a tandem.
    pub(super) fn is_of_tandem(self) -> bool {
        matches!(self, Self::Tandem | Self::FirstTandem | Self::Untandem)
    }

    /// Tells whether it is a transaction, which acts on several keys.
    pub(super) fn is_transaction(self) -> bool {
        matches!(self, Self::Transaction | Self::RefusedTransaction)
    }

    /// Tells whether it claims the slots of several keys at once.
    pub(super) fn is_of_several(self) -> bool {
        self.is_of_tandem() || self.is_transaction()
    }

    /// Tells whether it inserts a key into a full cache.
    pub(super) fn evicts(self) -> bool {
        matches!(self, Self::Evict | Self::EvictLru)
    }

    /// Tells whether it finds its key expired.
    pub(super) fn finds_expired(self) -> bool {
        matches!(self, Self::Reuse | Self::SweepExpired)
    }

    /// Tells whether its key is missing before.
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::FirstSet | Self::FirstTandem) || self.evicts()
    }

    /// Tells whether it is tried beside few others: it claims as one of them does, and the rest is tried beside those.
    pub(super) fn has_few_partners(self) -> bool {
        self.finds_expired()
            || self.is_transaction()
            || self.evicts()
            || matches!(self, Self::SetIf | Self::UpdateBy | Self::Expire | Self::Pin)
    }

    /// Tells whether it waits for another process.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::Poll | Self::Watch)
    }

    /// Tells whether it changes keys.
    pub(super) fn changes(self) -> bool {
        use Op::{Create, Get, Open, Purge, RefusedTransaction, SweepExpired};
        !self.waits() && !matches!(self, Get | Open | Create | Purge | RefusedTransaction | SweepExpired)
    }
}

/// The arguments of one process's operation.
#[derive(Clone, Debug)]
pub(super) struct Arguments {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) tail: Vec<u8>,
    pub(super) step: u64,
    pub(super) part: f32,
    pub(super) label: u64,
}

impl Arguments {
    /// Returns the second order of the tandem of which the key is the base.
    pub(super) fn order(&self) -> String {
        format!("{}.1", self.key)
    }

    /// Returns the keys of a transaction beside the first: a number, one that is removed, one that comes, one that never does.
    pub(super) fn parts(&self) -> [String; 4] {
        ["number", "goes", "comes", "never"].map(|name| format!("{}-{name}", self.key))
    }

    /// Returns all keys on which an operation acts.
    pub(super) fn keys(&self, op: Op) -> Vec<String> {
        let mut keys = vec![self.key.clone()];
        if op.is_of_tandem() {
            keys.push(self.order());
        }
        if op.is_transaction() {
            keys.extend(self.parts());
        }
        keys
    }

    /// Returns what a transaction does.
    fn transaction(&self, is_refused: bool) -> testkit::Op {
        let part = |key: &str, content| Part::new(key.as_bytes().to_vec(), content);
        let [number, goes, comes, never] = self.parts();
        let set = Content::Set(self.value.clone());
        let mut parts = vec![
            Part { guess: Guess::Present, labels: [self.label, 0], ..part(&self.key, set.clone()) },
            part(&number, Content::Integer(IntegerOp::Inc(self.step))),
            Part { guess: Guess::Absent, ..part(&comes, set) },
            part(&goes, Content::Unset),
        ];
        if is_refused {
            parts.push(Part { guess: Guess::Present, ..part(&never, Content::Keep) });
        }
        testkit::Op::Commit(parts)
    }
}

impl Op {
    /// Returns the store's operation with these arguments; none for one that opens, creates or waits.
    pub(super) fn on(self, arguments: &Arguments) -> Option<testkit::Op> {
        let (key, value) = (arguments.key.clone().into_bytes(), arguments.value.clone());
        Some(match self {
            Self::FirstSet | Self::Update | Self::Rewrite | Self::Evict | Self::EvictLru => {
                testkit::Op::Set(key, value)
            }
            Self::Pin => testkit::Op::Pin(key, true),
            Self::Append => testkit::Op::Append(key, arguments.tail.clone()),
            Self::Integer => testkit::Op::Integer(key, IntegerOp::Inc(arguments.step)),
            Self::Unset => testkit::Op::Unset(key),
            Self::Tandem | Self::FirstTandem => testkit::Op::SetTandem(key, vec![value; 2]),
            Self::Untandem => testkit::Op::UnsetTandem(key, 2),
            Self::Vector => testkit::Op::SetVector(key, vec![arguments.part; VECTOR_DIM]),
            Self::Label => testkit::Op::Label(key, arguments.label),
            Self::Purge => testkit::Op::Purge,
            Self::Bump => testkit::Op::Bump(key),
            Self::Get => testkit::Op::Get(key),
            Self::SetIf => testkit::Op::If(Guess::Present, testkit::Op::Set(key, value).into()),
            Self::UpdateBy => testkit::Op::Swap(key, value),
            Self::Expire => testkit::Op::SetLifetime(key, Lifetime::For(Duration::MAX)),
            Self::Reuse => testkit::Op::Set(key, value),
            Self::SweepExpired => testkit::Op::Sweep,
            Self::Transaction => arguments.transaction(false),
            Self::RefusedTransaction => arguments.transaction(true),
            Self::Open | Self::Create | Self::Poll | Self::Watch => return None,
        })
    }

    /// Applies the operation to a model. Returns the right answer.
    pub(super) fn apply(self, model: &mut Model, arguments: &Arguments) -> Answer {
        self.on(arguments).map_or(Answer::Done(0), |op| model.apply(&op).into())
    }
}

/// Performs the operation; `on` is the store's, with its arguments.
#[inline(never)]
pub(super) fn perform(op: Op, on: Option<&testkit::Op>, writer: &mut Writer) -> Answer {
    let Some(on) = on else {
        return if op == Op::Open { open_again(writer) } else { Answer::Failed(StoreErrorKind::Other) };
    };
    match on {
        // Not by the testkit: its buffers are the allocator's, whose path differs from one process to the next.
        testkit::Op::Get(key) => {
            let mut bytes = [0; MAX_LEN];
            match writer.get(key, &mut bytes) {
                Ok(len) => Answer::Read(bytes[..len].to_vec()),
                Err(error) => Answer::Refused(error),
            }
        }
        testkit::Op::SetTandem(base, values) => {
            let done = writer.set_tandem(base, &[values[0].as_slice(), values[1].as_slice()]);
            done.map_or_else(Answer::Refused, |()| Answer::Done(0))
        }
        _ => {
            if op == Op::Rewrite {
                let _ = (testkit::perform(on, writer), testkit::perform(on, writer));
            }
            testkit::perform(on, writer).into()
        }
    }
}

/// Opens the store again, as another process would, and takes a writer id of it.
fn open_again(store: &Store) -> Answer {
    let opened = store
        .fd()
        .try_clone_to_owned()
        .map_err(|_| StoreErrorKind::Other)
        .and_then(|fd| Store::from_fd(fd).map_err(StoreErrorKind::from))
        .and_then(|store| store.writer().map_err(StoreErrorKind::from));
    match opened {
        Ok(_) => Answer::Done(0),
        Err(failure) => Answer::Failed(failure),
    }
}
