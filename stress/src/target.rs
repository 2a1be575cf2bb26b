//! What the engine drives: anything that answers these calls. The splinter store is one; the tests
//! bring another that is broken on purpose; other implementations of the same operations can
//! follow.

use crate::keys;
use crate::proof::accounts;
use crate::proof::value::ENDLESS;
use splinter::{
    Change, Error, Expect, IntegerOp, Lagged, Lifetime, Store, Transaction, TransactionError, Watcher, Writer,
};
use std::time::{Duration, Instant};

/// Most values that a reader gets in one call.
pub(crate) const MOST_BATCHED: usize = 256;

/// Why a call did not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It met another writer's claim: try again.
    Again,
    /// There is no such key, or it has no vector.
    NotFound,
    /// The value would become too long.
    TooLong,
    /// A key was not as expected.
    Changed {
        /// Its place among the keys of the operation.
        place: usize,
        /// The epoch that it has.
        epoch: u64,
    },
    /// The operation's own function gave it up.
    GivenUp,
    /// Anything else; never part of a sound run.
    Other(Box<str>),
}

/// The calls of a reader. An error says why nothing was read.
pub(crate) trait Reads {
    /// Reads a value; returns its length.
    fn get(&self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss>;
    /// Reads many values, each into its part of `bufs`, `stride` bytes behind the one before; what came of each goes into
    /// `results`.
    fn get_many(
        &self,
        keys: &[[u8; 8]],
        bufs: &mut [u8],
        stride: usize,
        results: &mut [Result<usize, Miss>],
    ) {
        for ((key, buf), result) in keys.iter().zip(bufs.chunks_mut(stride)).zip(results) {
            *result = self.get(key, buf);
        }
    }
    /// Reads a value as it lies, by a view; returns its length and the epoch that the view says.
    fn view(&self, key: &[u8], buf: &mut [u8]) -> Result<(usize, u64), Miss>;
    /// Reads an integer.
    fn read_int(&self, key: &[u8]) -> Result<u64, Miss>;
    /// Reads a tandem group, all orders.
    fn read_tandem(&self, base: &[u8], orders: &mut [Vec<u8>]) -> Result<(), Miss>;
    /// Reads a vector.
    fn read_vector(&self, key: &[u8], vector: &mut [f32]) -> Result<(), Miss>;
    /// Reads a key's labels.
    fn labels(&self, key: &[u8]) -> Result<u64, Miss>;
    /// Returns the store time, in nanoseconds.
    fn time(&self) -> u64;
    /// Reads for how many nanoseconds a key stays, or `None` if that is for ever.
    fn time_left(&self, key: &[u8]) -> Result<Option<u64>, Miss>;
}

/// The calls of a writer, which reads as well. An error says why nothing was changed.
pub(crate) trait Writes: Reads {
    /// Writes a value.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss>;
    /// Writes a value, if the key is as expected; returns the version that this made.
    fn set_if(&mut self, key: &[u8], value: &[u8], expect: Expect) -> Result<Version, Miss>;
    /// Appends to a value; returns the new length and the version that this made.
    fn append(&mut self, key: &[u8], piece: &[u8]) -> Result<(usize, Version), Miss>;
    /// Makes an integer of this value.
    fn set_int(&mut self, key: &[u8], value: u64) -> Result<(), Miss>;
    /// Adds to an integer; returns the sum.
    fn add(&mut self, key: &[u8], amount: u64) -> Result<u64, Miss>;
    /// Writes a tandem group.
    fn set_tandem(&mut self, base: &[u8], orders: &[&[u8]]) -> Result<(), Miss>;
    /// Writes a vector.
    fn set_vector(&mut self, key: &[u8], vector: &[f32]) -> Result<(), Miss>;
    /// Sets labels.
    fn label(&mut self, key: &[u8], mask: u64) -> Result<(), Miss>;
    /// Puts a key into a signal group.
    fn register(&mut self, key: &[u8], group: u8) -> Result<(), Miss>;
    /// Writes what a function makes of the old value; returns what it returned.
    fn update(
        &mut self,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<u64, Miss>,
    ) -> Result<u64, Miss>;
    /// Writes a value that stays until a store time.
    fn set_until(&mut self, key: &[u8], value: &[u8], deadline: u64) -> Result<(), Miss>;
    /// Has a key stay until a store time, or for ever.
    fn set_deadline(&mut self, key: &[u8], deadline: u64) -> Result<(), Miss>;
    /// Removes keys whose deadline has passed, after a look at so many.
    fn sweep(&mut self, budget: u32);
    /// Makes a transaction; returns the numbers that it left in the journal and in the two accounts.
    fn transfer(&mut self, transfer: &Transfer) -> Result<[u64; 3], Miss>;
    /// Removes a key, if it is as expected; returns the length its value had and the version that this made.
    fn unset_if(&mut self, key: &[u8], expect: Expect) -> Result<(usize, Version), Miss>;
}

/// A transaction: it takes an amount from one account of a group, gives it to another, and adds 1 to the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    /// The name of the journal.
    pub base: [u8; 8],
    /// The places of both accounts in the group, whose journal is at 0.
    pub from: usize,
    pub to: usize,
    pub amount: u64,
    /// The epochs that all keys of the group must have, if that matters.
    pub epochs: Option<[u64; accounts::KEYS]>,
}

/// A slot, and the epoch that it has since a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    pub slot: u32,
    pub epoch: u64,
}

impl From<splinter::Version> for Version {
    #[inline]
    fn from(version: splinter::Version) -> Self {
        Self { slot: version.slot, epoch: version.epoch }
    }
}

/// What a watcher takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// Nothing new.
    Nothing,
    /// A slot changed.
    Change(SlotChange),
    /// So many changes were overwritten before they were taken.
    Lagged(u64),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotChange {
    /// The number of the slot.
    pub slot: u32,
    /// The value key in it, if it holds one.
    pub value: Option<u64>,
    /// Whether it holds a further order of a tandem group: a change of the group is notified as one of its base.
    pub order: bool,
    /// Its epoch; none while a writer holds it, which may have raised it already or not.
    pub epoch: Option<u64>,
    /// The group that was signalled; none where the whole store is watched, and for changes that
    /// a resync promised.
    pub group: Option<u8>,
}

/// The calls of a watcher.
pub(crate) trait Watches {
    /// Takes the next change, if there is one.
    fn next(&mut self) -> Notification;
    /// Waits for the next change for some time.
    fn wait(&mut self, patience: Duration) -> Notification;
    /// Shows every key that is watched as it is now.
    fn resync(&mut self, visit: impl FnMut(SlotChange));
    /// Returns how often a group was signalled since there was a store.
    fn signals(&self, group: u8) -> u64;
}

impl From<Change> for SlotChange {
    #[inline]
    fn from(change: Change) -> Self {
        let key = change.key.as_ref().map(AsRef::as_ref);
        Self {
            slot: change.slot,
            order: key.is_some_and(crate::keys::is_order),
            value: key.and_then(crate::keys::value_index),
            epoch: (!change.held).then_some(change.epoch),
            group: change.group,
        }
    }
}

impl From<Result<Option<Change>, Lagged>> for Notification {
    #[inline]
    fn from(taken: Result<Option<Change>, Lagged>) -> Self {
        match taken {
            Ok(None) => Self::Nothing,
            Ok(Some(change)) => Self::Change(change.into()),
            Err(lagged) => Self::Lagged(lagged.missed),
        }
    }
}

/// A watcher, and the store that counts what it should take.
impl Watches for (&Store, Watcher) {
    #[inline]
    fn next(&mut self) -> Notification {
        self.1.try_next().into()
    }

    fn wait(&mut self, patience: Duration) -> Notification {
        self.1.wait(Some(Instant::now() + patience)).into()
    }

    fn resync(&mut self, mut visit: impl FnMut(SlotChange)) {
        self.1.resync(|change| visit(change.into()));
    }

    fn signals(&self, group: u8) -> u64 {
        self.0.signal_count(group).unwrap_or(0)
    }
}

/// Calls a target until it answers something other than [`Miss::Again`], for at most `patience`.
pub(crate) fn retry<T>(patience: Duration, mut call: impl FnMut() -> Result<T, Miss>) -> Result<T, Miss> {
    let answer = splinter::retry(patience, || match call() {
        Err(Miss::Again) => Err(Error::Again),
        answer => Ok(answer),
    });
    answer.unwrap_or(Err(Miss::Again))
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        miss(error)
    }
}

/// Sorts the store's errors.
#[inline]
fn miss(error: Error) -> Miss {
    match error {
        Error::Again => Miss::Again,
        Error::NotFound => Miss::NotFound,
        Error::ValueTooLong => Miss::TooLong,
        Error::Changed { epoch } => Miss::Changed { place: 0, epoch },
        other => unexpected(other),
    }
}

#[cold]
fn unexpected(error: Error) -> Miss {
    Miss::Other(error.to_string().into())
}

/// Has a store, or a writer of one, answer the calls of a reader.
macro_rules! reads {
    ($($target:ty),+) => {$(
        impl Reads for $target {
            #[inline]
            fn get(&self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
                Store::get(self, key, buf).map_err(miss)
            }

            fn get_many(
                &self,
                keys: &[[u8; 8]],
                bufs: &mut [u8],
                stride: usize,
                results: &mut [Result<usize, Miss>],
            ) {
                let mut answers = [const { Err(Error::Again) }; MOST_BATCHED];
                let answers = &mut answers[..keys.len()];
                Store::get_many(self, keys, bufs, stride, answers);
                for (result, answer) in results.iter_mut().zip(answers) {
                    *result = answer.map_err(miss);
                }
            }

            fn view(&self, key: &[u8], buf: &mut [u8]) -> Result<(usize, u64), Miss> {
                Store::get_with(self, key, |view| (view.copy_to(buf), view.epoch())).map_err(miss)
            }

            #[inline]
            fn read_int(&self, key: &[u8]) -> Result<u64, Miss> {
                Store::get_u64(self, key).map_err(miss)
            }

            fn read_tandem(&self, base: &[u8], orders: &mut [Vec<u8>]) -> Result<(), Miss> {
                Store::tandem(self, base, orders).map_err(miss)
            }

            fn read_vector(&self, key: &[u8], vector: &mut [f32]) -> Result<(), Miss> {
                Store::vector(self, key, vector).map_err(miss)
            }

            fn labels(&self, key: &[u8]) -> Result<u64, Miss> {
                Store::snapshot(self, key).map(|slot| slot.labels).map_err(miss)
            }

            fn time(&self) -> u64 {
                Store::time(self)
            }

            fn time_left(&self, key: &[u8]) -> Result<Option<u64>, Miss> {
                let left = self.ttl(key).map_err(miss)?;
                Ok(left.map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))
            }
        }
    )+};
}

reads!(Store, Writer);

impl Writes for Writer {
    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        Self::set(self, key, value).map_err(miss)
    }

    #[inline]
    fn set_if(&mut self, key: &[u8], value: &[u8], expect: Expect) -> Result<Version, Miss> {
        Self::set_if(self, key, value, expect).map(Version::from).map_err(miss)
    }

    #[inline]
    fn append(&mut self, key: &[u8], piece: &[u8]) -> Result<(usize, Version), Miss> {
        let appended = self.append_if(key, piece, Expect::Any).map_err(miss)?;
        Ok((appended.0, appended.1.into()))
    }

    fn set_int(&mut self, key: &[u8], value: u64) -> Result<(), Miss> {
        self.set_u64(key, value).map_err(miss)
    }

    #[inline]
    fn add(&mut self, key: &[u8], amount: u64) -> Result<u64, Miss> {
        self.integer(key, IntegerOp::Inc(amount)).map_err(miss)
    }

    fn set_tandem(&mut self, base: &[u8], orders: &[&[u8]]) -> Result<(), Miss> {
        Self::set_tandem(self, base, orders).map_err(miss)
    }

    fn set_vector(&mut self, key: &[u8], vector: &[f32]) -> Result<(), Miss> {
        Self::set_vector(self, key, vector).map_err(miss)
    }

    fn label(&mut self, key: &[u8], mask: u64) -> Result<(), Miss> {
        Self::label(self, key, mask).map_err(miss)
    }

    fn register(&mut self, key: &[u8], group: u8) -> Result<(), Miss> {
        Self::register(self, key, group).map_err(miss)
    }

    fn update(
        &mut self,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<u64, Miss>,
    ) -> Result<u64, Miss> {
        Self::update(self, key, change)
    }

    fn set_until(&mut self, key: &[u8], value: &[u8], deadline: u64) -> Result<(), Miss> {
        self.set_with(key, value, Expect::Any, Lifetime::Until(deadline)).map(drop).map_err(miss)
    }

    fn set_deadline(&mut self, key: &[u8], deadline: u64) -> Result<(), Miss> {
        match deadline {
            ENDLESS => self.persist(key),
            _ => self.set_lifetime(key, Lifetime::Until(deadline)),
        }
        .map_err(miss)
    }

    fn sweep(&mut self, budget: u32) {
        // It only makes room; whether it could is of no account.
        let _ = self.sweep_expired(budget);
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<[u64; 3], Miss> {
        let Transfer { base, from, to, amount, epochs } = *transfer;
        let names: [_; accounts::KEYS] = std::array::from_fn(|place| keys::order_name(base, place));
        let mut transaction = Transaction::new();
        for (name, epoch) in names.iter().zip(epochs.into_iter().flatten()) {
            transaction.key(name).expect(Expect::Epoch(epoch));
        }
        let steps = [(0, IntegerOp::Inc(1)), (from, IntegerOp::Dec(amount)), (to, IntegerOp::Inc(amount))];
        for (place, step) in steps {
            transaction.key(&names[place]).integer(step);
        }
        let refused = |refused: TransactionError| match miss(refused.error) {
            Miss::Changed { epoch, .. } => Miss::Changed { place: refused.place, epoch },
            other => other,
        };
        let made = self.commit(&transaction).map_err(refused)?;
        // Where all keys are checked they are in the order of the group.
        let places = if epochs.is_some() { [0, from, to] } else { [0, 1, 2] };
        Ok(places.map(|place| made[place].number.unwrap_or(u64::MAX)))
    }

    #[inline]
    fn unset_if(&mut self, key: &[u8], expect: Expect) -> Result<(usize, Version), Miss> {
        let removed = Self::unset_if(self, key, expect).map_err(miss)?;
        Ok((removed.0, removed.1.into()))
    }
}
