//! The operations of a store, each with its arguments, and how a writer performs them.

use splinter::{Error, Expect, IntegerOp, Lifetime, Scrub, Store, StoreError, Transaction, Type, Writer};

/// The bytes of a key or of a value.
pub type Bytes = Vec<u8>;

/// An operation. Those of a key begin with it; the others change the whole store.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Reads a value.
    Get(Bytes),
    /// Sets a value.
    Set(Bytes, Bytes),
    /// Sets a value, and how long the key stays. The deadline must have passed long ago or be far away.
    SetWith(Bytes, Bytes, Lifetime),
    /// Changes how long a key stays, likewise.
    SetLifetime(Bytes, Lifetime),
    /// Removes all keys whose deadline has passed. How many are left of these depends on which were met by other
    /// operations, so it answers no number.
    Sweep,
    /// Makes the changes of different keys at once, or none.
    Commit(Vec<Part>),
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
    /// Pins a key, or unpins it.
    Pin(Bytes, bool),
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
        use Op::{Append, Set, SetType, SetU64, SetVector, SetWith, Unset};
        matches!(
            self,
            Set(..) | SetWith(..) | Append(..) | Unset(_) | SetVector(..) | SetType(..) | SetU64(..)
        )
    }
}

/// What a transaction expects of a key, and does with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The key.
    pub key: Bytes,
    /// What it expects.
    pub guess: Guess,
    /// What it does with the value.
    pub content: Content,
    /// The vector that it sets.
    pub vector: Option<Vec<f32>>,
    /// The labels that it adds, and those that it takes away.
    pub labels: [u64; 2],
    /// How long the key stays, if it says so.
    pub lifetime: Option<Lifetime>,
}

impl Part {
    /// Returns the part that does this with the value of a key, and no more.
    #[must_use]
    pub fn new(key: Bytes, content: Content) -> Self {
        Self { key, guess: Guess::Any, content, vector: None, labels: [0; 2], lifetime: None }
    }

    /// Whether it changes the value or the vector.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        self.content != Content::Keep || self.vector.is_some()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_check(&self) -> bool {
        !self.is_of_content() && self.labels == [0; 2] && self.lifetime.is_none()
    }
}

/// What a transaction does with the value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing.
    Keep,
    /// Sets it.
    Set(Bytes),
    /// Sets a number.
    SetU64(u64),
    /// Computes with a number.
    Integer(IntegerOp),
    /// Computes with a number, or with this one if the key is missing.
    IntegerOr(IntegerOp, u64),
    /// Removes the key.
    Unset,
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

    /// Returns what the store is asked to expect of a key.
    fn expect(self, writer: &Writer, key: &Bytes) -> Expect {
        match self {
            Self::Any => Expect::Any,
            Self::Absent => Expect::Absent,
            Self::Present => Expect::Present,
            Self::Right => Expect::Epoch(writer.epoch(key).unwrap_or(2)),
            Self::Wrong => Expect::Epoch(writer.epoch(key).unwrap_or(2).wrapping_sub(2)),
        }
    }
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
    /// Of each key of a transaction, whether its content changed, and the number that an integer operation made.
    Committed(Vec<(bool, Option<u64>)>),
    /// The place of the key for which a transaction was refused, and why. The model gives all keys that are reason enough:
    /// which of them a store meets first depends on its slots.
    Refused(Vec<(usize, Error)>),
}

/// Tells whether a store's answer is one that the model allows.
#[must_use]
pub fn agree(store: &Answer, model: &Answer) -> bool {
    match (store, model) {
        (Ok(Reply::Refused(met)), Ok(Reply::Refused(reasons))) => {
            met.iter().all(|reason| reasons.contains(reason))
        }
        _ => store == model,
    }
}

/// Tells whether an answer says that the operation was done.
#[must_use]
pub fn is_done(answer: &Answer) -> bool {
    !matches!(answer, Err(_) | Ok(Reply::Refused(_)))
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
        Op::SetWith(key, value, lifetime) => {
            writer.set_with(key, value, Expect::Any, *lifetime).map(|_| Reply::Done)
        }
        Op::SetLifetime(key, lifetime) => match *lifetime {
            Lifetime::For(span) => writer.expire(key, span),
            Lifetime::Endless => writer.persist(key),
            lifetime => writer.set_lifetime(key, lifetime),
        }
        .map(Reply::from),
        Op::Sweep => writer.sweep_expired(u32::MAX).map(|_| Reply::Done),
        Op::Commit(parts) => Ok(commit(parts, writer)),
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
        Op::Pin(key, true) => writer.pin(key).map(Reply::from),
        Op::Pin(key, false) => writer.unpin(key).map(Reply::from),
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
    let expect = |writer: &Writer, key: &Bytes| guess.expect(writer, key);
    let answer = match op {
        Op::Set(key, value) => writer.set_if(key, value, expect(writer, key)).map(|_| Reply::Done),
        Op::SetWith(key, value, lifetime) => {
            writer.set_with(key, value, expect(writer, key), *lifetime).map(|_| Reply::Done)
        }
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
    answer.map_err(without_epoch)
}

/// Has a writer make all changes of a transaction.
fn commit(parts: &[Part], writer: &mut Writer) -> Reply {
    let mut transaction = Transaction::new();
    for Part { key, guess, content, vector, labels, lifetime } in parts {
        let part = transaction.key(key).expect(guess.expect(writer, key));
        let part = match content {
            Content::Keep => part,
            Content::Set(value) => part.set(value),
            Content::SetU64(number) => part.set_u64(*number),
            Content::Integer(op) => part.integer(*op),
            Content::IntegerOr(op, initial) => part.integer_or(*op, *initial),
            Content::Unset => part.unset(),
        };
        let part = part.label(labels[0]).unlabel(labels[1]);
        if let Some(vector) = vector {
            part.set_vector(vector);
        }
        if let Some(lifetime) = lifetime {
            part.lifetime(*lifetime);
        }
    }
    match writer.commit(&transaction) {
        Ok(outcomes) => {
            let of = outcomes.iter().map(|outcome| (outcome.version.is_some(), outcome.number));
            Reply::Committed(of.collect())
        }
        Err(refusal) => Reply::Refused(vec![(refusal.place, without_epoch(refusal.error))]),
    }
}

fn without_epoch(error: Error) -> Error {
    match error {
        Error::Changed { .. } => Error::Changed { epoch: 0 },
        error => error,
    }
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
