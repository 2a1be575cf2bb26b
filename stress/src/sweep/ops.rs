//! The operations that are swept, and how a process performs them.

use super::answer::{Answer, MAX_LEN, StoreErrorKind};
use splinter::{IntegerOp, Store, Writer};
use splinter_harness::named_enum;

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

/// Performs the operation.
#[inline(never)]
pub(super) fn perform(op: Op, writer: &mut Writer, arguments: &Arguments) -> Answer {
    let key = arguments.key.as_str();
    let value = arguments.value.as_slice();
    match op {
        Op::FirstSet | Op::Update => Answer::of(writer.set(key, value).map(|()| 0)),
        Op::Rewrite => {
            let rounds = (0..3).map(|_| writer.set(key, value));
            Answer::of(rounds.last().unwrap_or(Ok(())).map(|()| 0))
        }
        Op::Append => Answer::of(writer.append(key, &arguments.tail).map(|len| len as u64)),
        Op::Integer => Answer::of(writer.integer(key, IntegerOp::Inc(arguments.step))),
        Op::Unset => Answer::of(writer.unset(key).map(|len| len as u64)),
        Op::Tandem | Op::FirstTandem => Answer::of(writer.set_tandem(key, &[value, value]).map(|()| 0)),
        Op::Untandem => Answer::of(writer.unset_tandem(key, 2).map(|count| count as u64)),
        Op::Vector => {
            let vector = [arguments.part; VECTOR_DIM];
            Answer::of(writer.set_vector(key, &vector).map(|()| 0))
        }
        Op::Label => Answer::of(writer.label(key, arguments.label).map(|()| 0)),
        Op::Purge => Answer::of(writer.purge()),
        Op::Bump => Answer::of(writer.bump(key).map(|()| 0)),
        Op::Get => {
            let mut bytes = [0; MAX_LEN];
            match writer.get(key, &mut bytes) {
                Ok(len) => Answer::Read(bytes[..len].to_vec()),
                Err(error) => Answer::of(Err(error)),
            }
        }
        Op::Open => open_again(writer),
        Op::Create | Op::Poll | Op::Watch => Answer::Failed(StoreErrorKind::Other),
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
