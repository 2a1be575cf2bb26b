//! The operations that are swept, and how a process performs them.

use super::answer::{Answer, MAX_LEN, StoreErrorKind};
use splinter::{IntegerOp, Store, Writer};
use splinter_harness::named_enum;
use splinter_testkit::{self as testkit, Model};

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
    }
}

impl Op {
    /// Tells whether it acts on the two orders of a tandem.
    pub(super) fn is_of_tandem(self) -> bool {
        matches!(self, Self::Tandem | Self::FirstTandem | Self::Untandem)
    }

    /// Tells whether its key is missing before.
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::FirstSet | Self::FirstTandem)
    }

    /// Tells whether it waits for another process.
    pub(super) fn waits(self) -> bool {
        matches!(self, Self::Poll | Self::Watch)
    }

    /// Tells whether it changes keys.
    pub(super) fn changes(self) -> bool {
        !self.waits() && !matches!(self, Self::Get | Self::Open | Self::Create | Self::Purge)
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
}

impl Op {
    /// Returns the store's operation with these arguments; none for one that opens, creates or waits.
    pub(super) fn on(self, arguments: &Arguments) -> Option<testkit::Op> {
        let (key, value) = (arguments.key.clone().into_bytes(), arguments.value.clone());
        Some(match self {
            Self::FirstSet | Self::Update | Self::Rewrite => testkit::Op::Set(key, value),
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
