//! The operations of a store, each with its arguments, and how a writer performs them.

use splinter::{Error, Expect, IntegerOp, Scrub, Store, StoreError, Type, Writer};

/// The bytes of a key or of a value.
pub type Bytes = Vec<u8>;

/// An operation. Those of a key begin with it; the others change the whole store.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Reads a value.
    Get(Bytes),
    /// Sets a value.
    Set(Bytes, Bytes),
    /// Sets values of several keys, each as if alone.
    SetMany(Vec<(Bytes, Bytes)>),
    /// Appends to a value.
    Append(Bytes, Bytes),
    /// Removes a key.
    Unset(Bytes),
    /// Performs one of the operations that [`is_conditional`](Op::is_conditional) names, if its key is as guessed.
    If(Guess, Box<Op>),
    /// Appends to a value, or makes it if the key is missing, by a function of the old value. The function fails if the
    /// tail is empty.
    Update(Bytes, Bytes),
    /// Sets a value, and answers the old one.
    Swap(Bytes, Bytes),
    /// Computes with a number, or with this one if the key is missing.
    IntegerOr(Bytes, IntegerOp, u64),
    /// Raises a key's epoch.
    Bump(Bytes),
    /// Signals the groups of a key.
    Pulse(Bytes),
    /// Sets a number.
    SetU64(Bytes, u64),
    /// Computes with a number.
    Integer(Bytes, IntegerOp),
    /// Sets the type; text that becomes a number is decimal.
    SetType(Bytes, Type),
    /// Sets the type; eight bytes that become a number are one already.
    SetTypeOfInteger(Bytes, Type),
    /// Adds labels.
    Label(Bytes, u64),
    /// Takes labels away.
    Unlabel(Bytes, u64),
    /// Sets flags of the slot.
    SetSlotFlags(Bytes, u16),
    /// Clears flags of the slot.
    ClearSlotFlags(Bytes, u16),
    /// Sets the time of creation, and how long processing took.
    SetCtime(Bytes, u64, u64),
    /// Sets the time of access, and how long processing took.
    SetAtime(Bytes, u64, u64),
    /// Sets the vector.
    SetVector(Bytes, Vec<f32>),
    /// Takes the vector away.
    ClearVector(Bytes),
    /// Sets all orders of a tandem.
    SetTandem(Bytes, Vec<Bytes>),
    /// Removes the first orders of a tandem.
    UnsetTandem(Bytes, usize),
    /// Subscribes a group to a key.
    Register(Bytes, u8),
    /// Ends the subscription of a group to a key.
    Unregister(Bytes, u8),
    /// Subscribes a group to labels.
    RegisterLabels(u64, u8),
    /// Ends the subscription of a group to labels.
    UnregisterLabels(u64, u8),
    /// Sets the scrub level.
    SetScrub(Scrub),
    /// Sets user flags.
    SetUserFlags(u16),
    /// Clears user flags.
    ClearUserFlags(u16),
    /// Counts a message that could not be parsed.
    ReportParseFailure,
    /// Wipes all that no key holds. How many slots it counts depends on which were used, so it answers no number.
    Purge,
}

impl Op {
    /// Whether there is such an operation with a condition.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        use Op::{Append, Set, SetType, SetU64, SetVector, Unset};
        matches!(self, Set(..) | Append(..) | Unset(_) | SetVector(..) | SetType(..) | SetU64(..))
    }
}

/// What a conditional operation expects, beside what is there when it is performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Nothing.
    Any,
    /// No key.
    Absent,
    /// A key.
    Present,
    /// The epoch that the key has, or any if it is missing.
    Right,
    /// An epoch that the key had before, or any if it is missing.
    Wrong,
}

impl Guess {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Any, Self::Absent, Self::Present, Self::Right, Self::Wrong];
}

/// The result of an operation.
pub type Answer = Result<Reply, Error>;

/// The result of an operation that succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Done,
    /// A length in bytes, a count, flags, or a number of the store's.
    Number(u64),
    /// A value.
    Value(Bytes),
    /// A result for each of several keys.
    Each(Vec<Result<(), Error>>),
}

impl From<()> for Reply {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl From<u16> for Reply {
    fn from(flags: u16) -> Self {
        Self::Number(flags.into())
    }
}

impl From<u64> for Reply {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Reply {
    fn from(count: usize) -> Self {
        Self::Number(count as u64)
    }
}

/// Has a writer perform an operation.
///
/// # Panics
/// If an operation of the whole store fails, except for a group that there is not.
pub fn perform(op: &Op, writer: &mut Writer) -> Answer {
    match op {
        Op::Get(key) => {
            // A number takes eight bytes whatever the longest value is.
            let mut value = vec![0; writer.geometry().max_value_len.max(8) as usize];
            let len = writer.get(key, &mut value)?;
            value.truncate(len);
            Ok(Reply::Value(value))
        }
        Op::Set(key, value) => writer.set(key, value).map(Reply::from),
        Op::SetMany(pairs) => {
            let mut results = vec![Ok(()); pairs.len()];
            writer.set_many(pairs, &mut results);
            Ok(Reply::Each(results))
        }
        Op::Append(key, tail) => writer.append(key, tail).map(Reply::from),
        Op::If(guess, op) => perform_if(*guess, op, writer),
        Op::Update(key, tail) => writer.update(key, |old, new| {
            new.extend_from_slice(old.unwrap_or_default());
            new.extend_from_slice(tail);
            if tail.is_empty() { Err(Error::TimedOut) } else { Ok(Reply::from(new.len())) }
        }),
        Op::Swap(key, value) => {
            let old = writer.swap(key, value)?;
            Ok(old.map_or(Reply::Done, Reply::Value))
        }
        Op::IntegerOr(key, op, initial) => writer.integer_or(key, *op, *initial).map(Reply::from),
        Op::Unset(key) => writer.unset(key).map(Reply::from),
        Op::Bump(key) => writer.bump(key).map(Reply::from),
        Op::Pulse(key) => writer.pulse(key).map(Reply::from),
        Op::SetU64(key, number) => writer.set_u64(key, *number).map(Reply::from),
        Op::Integer(key, op) => writer.integer(key, *op).map(Reply::from),
        Op::SetType(key, kind) => writer.set_type(key, *kind).map(Reply::from),
        Op::SetTypeOfInteger(key, kind) => writer.set_type_of_integer(key, *kind).map(Reply::from),
        Op::Label(key, mask) => writer.label(key, *mask).map(Reply::from),
        Op::Unlabel(key, mask) => writer.unlabel(key, *mask).map(Reply::from),
        Op::SetSlotFlags(key, mask) => writer.set_slot_flags(key, *mask).map(Reply::from),
        Op::ClearSlotFlags(key, mask) => writer.clear_slot_flags(key, *mask).map(Reply::from),
        Op::SetCtime(key, time, by) => writer.set_ctime(key, *time, *by).map(Reply::from),
        Op::SetAtime(key, time, by) => writer.set_atime(key, *time, *by).map(Reply::from),
        Op::SetVector(key, vector) => writer.set_vector(key, vector).map(Reply::from),
        Op::ClearVector(key) => writer.clear_vector(key).map(Reply::from),
        Op::SetTandem(base, values) => {
            let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
            writer.set_tandem(base, &values).map(Reply::from)
        }
        Op::UnsetTandem(base, orders) => writer.unset_tandem(base, *orders).map(Reply::from),
        Op::Register(key, group) => writer.register(key, *group).map(Reply::from),
        Op::Unregister(key, group) => writer.unregister(key, *group).map(Reply::from),
        Op::RegisterLabels(..)
        | Op::UnregisterLabels(..)
        | Op::SetScrub(_)
        | Op::SetUserFlags(_)
        | Op::ClearUserFlags(_)
        | Op::ReportParseFailure => perform_without_writer(op, writer).expect("an operation of the store"),
        Op::Purge => writer.purge().map(|_| Reply::Done),
    }
}

/// Performs an operation if its key is as guessed. The epoch in its way is left out of the answer.
fn perform_if(guess: Guess, op: &Op, writer: &mut Writer) -> Answer {
    let expect = |writer: &Writer, key: &Bytes| match guess {
        Guess::Any => Expect::Any,
        Guess::Absent => Expect::Absent,
        Guess::Present => Expect::Present,
        Guess::Right => Expect::Epoch(writer.epoch(key).unwrap_or(2)),
        Guess::Wrong => Expect::Epoch(writer.epoch(key).unwrap_or(2) - 2),
    };
    let answer = match op {
        Op::Set(key, value) => writer.set_if(key, value, expect(writer, key)).map(|_| Reply::Done),
        Op::Append(key, tail) => {
            writer.append_if(key, tail, expect(writer, key)).map(|(len, _)| Reply::from(len))
        }
        Op::Unset(key) => writer.unset_if(key, expect(writer, key)).map(|(len, _)| Reply::from(len)),
        Op::SetVector(key, vector) => {
            writer.set_vector_if(key, vector, expect(writer, key)).map(|_| Reply::Done)
        }
        Op::SetType(key, kind) => writer.set_type_if(key, *kind, expect(writer, key)).map(|_| Reply::Done),
        Op::SetU64(key, number) => writer.set_u64_if(key, *number, expect(writer, key)).map(|_| Reply::Done),
        op => panic!("{op:?} has no condition"),
    };
    answer.map_err(|error| match error {
        Error::Changed { .. } => Error::Changed { epoch: 0 },
        error => error,
    })
}

/// Performs an operation that needs no writer. Returns none for the others.
///
/// # Panics
/// If the operation fails, except for a group that there is not.
pub fn perform_without_writer(op: &Op, store: &Store) -> Option<Answer> {
    Some(match op {
        Op::RegisterLabels(mask, group) => of_store(store.register_labels(*mask, *group)),
        Op::UnregisterLabels(mask, group) => of_store(store.unregister_labels(*mask, *group)),
        Op::SetScrub(level) => of_store(store.set_scrub(*level)),
        Op::SetUserFlags(mask) => of_store(store.flags().set_user(*mask)),
        Op::ClearUserFlags(mask) => of_store(store.flags().clear_user(*mask)),
        Op::ReportParseFailure => of_store(store.report_parse_failure()),
        _ => return None,
    })
}

fn of_store<T: Into<Reply>>(result: Result<T, StoreError>) -> Answer {
    match result {
        Ok(reply) => Ok(reply.into()),
        Err(StoreError::NoSuchGroup(_)) => Err(Error::NoSuchGroup),
        Err(error) => panic!("{error}"),
    }
}
