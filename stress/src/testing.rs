//! A fake store for tests of the harness itself: sound, or broken in one way that the oracle must catch.

use crate::keys::order_name;
use crate::proof::accounts;
use crate::proof::value::ENDLESS;
use crate::target::{Miss, Notification, Reads, SlotChange, Transfer, Version, Watches, Writes};
use splinter::Expect;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Nothing.
    #[default]
    Sound,
    /// Some reads mix two values.
    TornReads,
    /// Some reads answer with an older value.
    StaleReads,
    /// Some sets are acknowledged and not done.
    LostSets,
    /// Some additions are acknowledged and not done.
    LostAdditions,
    /// Some keys are not found.
    Misses,
    /// Some reads answer with another key's value.
    ForeignValues,
    /// Some tandem writes leave out the last order.
    MixedGroups,
    /// Some transactions leave out the account that they give to.
    HalfTransfers,
    /// Some transactions are acknowledged and not done.
    LostTransfers,
    /// Transactions do not look at epochs, and so pass over another one.
    UncheckedTransfers,
    /// Some transactions are refused, though all is as expected.
    RefusedTransfers,
    /// Some updates are acknowledged and not done.
    LostTallies,
    /// Some updates begin with an older value.
    StaleUpdates,
    /// Some updates whose function fails leave what it made.
    KeptFailures,
    /// Some updates whose function panics leave what it made.
    KeptPanics,
    /// Some updates whose function fails are acknowledged.
    HiddenFailures,
    /// Conditional writes do not look at what they expect, and so pass over another one.
    UncheckedExpectations,
    /// Some conditional writes are refused, though all is as expected.
    RefusedExpectations,
    /// Some conditional writes are refused, and done.
    DoneRefusals,
    /// Some conditional writes are acknowledged and not done.
    LostConditionals,
    /// Some keys that nobody has are created twice.
    SharedLocks,
    /// Some reads return what has expired.
    LateExpiry,
    /// Some reads of what expires later find nothing.
    EarlyExpiry,
    /// Some deadlines are forgotten.
    LostDeadlines,
    /// Some plain sets leave the deadline.
    KeptDeadlines,
    /// Some deadlines are not moved.
    UnmovedDeadlines,
    /// Some labels are forgotten.
    LostLabels,
    /// Some vectors are forgotten.
    LostVectors,
    /// Some signals are counted, and no watcher is notified.
    LostNotifications,
    /// Some changes are neither counted nor notified.
    Unsignalled,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    value: Vec<u8>,
    older: Vec<u8>,
    vector: Option<Vec<f32>>,
    labels: u64,
    epoch: u64,
    group: Option<u8>,
    deadline: Option<u64>,
}

impl Slot {
    /// Returns an empty slot, whose epochs are later than all before.
    fn new(calls: u64) -> Self {
        Self { epoch: calls * 2, ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Vec<u8>, Slot>,
    /// Calls so far; some of them go wrong.
    calls: u64,
    last_read: Vec<u8>,
    /// Signals, by group.
    signals: HashMap<u8, u64>,
    /// The notifications: group, key and epoch.
    notifications: Vec<(u8, Vec<u8>, u64)>,
}

impl State {
    /// Returns the time: some for each call.
    fn time(&self) -> u64 {
        self.calls * 10_000
    }

    /// Removes a key whose deadline has passed.
    fn expire(&mut self, key: &[u8]) {
        let time = self.time();
        if self.slots.get(key).is_some_and(|slot| slot.deadline.is_some_and(|deadline| deadline <= time)) {
            self.slots.remove(key);
        }
    }

    /// Checks that a key is as expected.
    fn check(&self, key: &[u8], expect: Expect) -> Result<(), Miss> {
        let epoch = self.slots.get(key).map(|slot| slot.epoch);
        match (expect, epoch) {
            (Expect::Absent, Some(epoch)) => Err(Miss::Changed { place: 0, epoch }),
            (Expect::Epoch(expected), Some(epoch)) if epoch != expected => {
                Err(Miss::Changed { place: 0, epoch })
            }
            (Expect::Present | Expect::Epoch(_), None) => Err(Miss::NotFound),
            _ => Ok(()),
        }
    }
}

/// The store. Every thirteenth call goes wrong; every seventh is answered `Again`.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    broken: Broken,
    max_len: usize,
    state: Mutex<State>,
}

impl Fake {
    pub(crate) fn new(broken: Broken, max_len: usize) -> Self {
        Self { broken, max_len, state: Mutex::default() }
    }

    /// Takes the content of another store.
    pub(crate) fn copy_from(&self, other: Self) {
        *self.lock() = other.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls += 1;
        state
    }

    /// Notes that a key has changed, and notifies watchers. Returns the version that this made: all keys are in one slot.
    fn changed(&self, state: &mut State, key: &[u8]) -> Version {
        let unsignalled = self.goes_wrong(state, Broken::Unsignalled);
        let lost = self.goes_wrong(state, Broken::LostNotifications);
        let slot = state.slots.get_mut(key).expect("a key that changed");
        slot.epoch += 2;
        let epoch = slot.epoch;
        let version = Version { slot: 0, epoch };
        let Some(group) = slot.group.filter(|_| !unsignalled) else {
            return version;
        };
        *state.signals.entry(group).or_default() += 1;
        if !lost {
            state.notifications.push((group, key.to_vec(), epoch));
        }
        version
    }

    /// Returns a watcher of all groups.
    pub(crate) fn watcher(&self) -> FakeWatcher<'_> {
        let next = self.lock().notifications.len();
        FakeWatcher { fake: self, next }
    }

    fn goes_wrong(&self, state: &State, how: Broken) -> bool {
        self.broken == how && state.calls.is_multiple_of(13)
    }
}

impl Fake {
    /// Reads a value; returns its length and epoch.
    fn read(&self, key: &[u8], buf: &mut [u8]) -> Result<(usize, u64), Miss> {
        let mut state = self.lock();
        if !self.goes_wrong(&state, Broken::LateExpiry) {
            state.expire(key);
        }
        let slot = state.slots.get(key).cloned().ok_or(Miss::NotFound)?;
        if slot.deadline.is_some() && self.goes_wrong(&state, Broken::EarlyExpiry) {
            return Err(Miss::NotFound);
        }
        let mut value = slot.value;
        if self.goes_wrong(&state, Broken::Misses) {
            return Err(Miss::NotFound);
        }
        if self.goes_wrong(&state, Broken::ForeignValues) && !state.last_read.is_empty() {
            value.clone_from(&state.last_read);
        }
        if self.goes_wrong(&state, Broken::StaleReads) && !slot.older.is_empty() {
            value.clone_from(&slot.older);
        }
        if self.goes_wrong(&state, Broken::TornReads) && slot.older.len() == value.len() {
            let middle = value.len() / 2;
            value[..middle].copy_from_slice(&slot.older[..middle]);
        }
        buf[..value.len()].copy_from_slice(&value);
        state.last_read.clone_from(&value);
        Ok((value.len(), slot.epoch))
    }

    /// Writes a value that stays until a deadline, or for ever, if the key is as expected.
    fn put(&self, key: &[u8], value: &[u8], expect: Expect, deadline: Option<u64>) -> Result<Version, Miss> {
        let mut state = self.lock();
        if state.calls.is_multiple_of(7) {
            return Err(Miss::Again);
        }
        let conditional = expect != Expect::Any;
        let wrong = |how| conditional && self.goes_wrong(&state, how);
        let (unchecked, refused) = (wrong(Broken::UncheckedExpectations), wrong(Broken::RefusedExpectations));
        let (done, shared) = (wrong(Broken::DoneRefusals), wrong(Broken::SharedLocks));
        let lost = self.goes_wrong(&state, Broken::LostSets) || wrong(Broken::LostConditionals);
        let kept = deadline.is_none() && self.goes_wrong(&state, Broken::KeptDeadlines);
        let forgotten = self.goes_wrong(&state, Broken::LostDeadlines);
        state.expire(key);
        if unchecked && state.slots.contains_key(key) {
            self.changed(&mut state, key);
        } else {
            state.check(key, expect)?;
        }
        if let Some(slot) = state.slots.get(key).filter(|_| refused) {
            return Err(Miss::Changed { place: 0, epoch: slot.epoch });
        }
        let calls = state.calls;
        let slot = state.slots.entry(key.to_vec()).or_insert_with(|| Slot::new(calls));
        if !lost {
            slot.older = std::mem::replace(&mut slot.value, value.to_vec());
            slot.vector = None;
            slot.deadline = if kept { slot.deadline } else { deadline.filter(|_| !forgotten) };
        }
        let version = self.changed(&mut state, key);
        if shared && expect == Expect::Absent {
            self.changed(&mut state, key);
        }
        if done { Err(Miss::Changed { place: 0, epoch: version.epoch }) } else { Ok(version) }
    }
}

impl Reads for &Fake {
    fn get(&self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        Ok(self.read(key, buf)?.0)
    }

    fn view(&self, key: &[u8], buf: &mut [u8]) -> Result<(usize, u64), Miss> {
        self.read(key, buf)
    }

    fn read_int(&self, key: &[u8]) -> Result<u64, Miss> {
        let state = self.lock();
        let slot = state.slots.get(key).ok_or(Miss::NotFound)?;
        Ok(u64::from_le_bytes(slot.value[..8].try_into().expect("eight bytes")))
    }

    fn read_tandem(&self, base: &[u8], orders: &mut [Vec<u8>]) -> Result<(), Miss> {
        let state = self.lock();
        for (order, value) in orders.iter_mut().enumerate() {
            let name = order_name(base.try_into().expect("a base has eight bytes"), order);
            value.clone_from(&state.slots.get(name.as_ref()).ok_or(Miss::NotFound)?.value);
        }
        Ok(())
    }

    fn read_vector(&self, key: &[u8], vector: &mut [f32]) -> Result<(), Miss> {
        let state = self.lock();
        let slot = state.slots.get(key).ok_or(Miss::NotFound)?;
        vector.copy_from_slice(slot.vector.as_ref().ok_or(Miss::NotFound)?);
        Ok(())
    }

    fn labels(&self, key: &[u8]) -> Result<u64, Miss> {
        Ok(self.lock().slots.get(key).ok_or(Miss::NotFound)?.labels)
    }

    fn time(&self) -> u64 {
        self.lock().time()
    }

    fn time_left(&self, key: &[u8]) -> Result<Option<u64>, Miss> {
        let mut state = self.lock();
        state.expire(key);
        let deadline = state.slots.get(key).ok_or(Miss::NotFound)?.deadline;
        Ok(deadline.map(|deadline| deadline - state.time()))
    }
}

impl Writes for &Fake {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        self.put(key, value, Expect::Any, None).map(drop)
    }

    fn set_if(&mut self, key: &[u8], value: &[u8], expect: Expect) -> Result<Version, Miss> {
        self.put(key, value, expect, None)
    }

    fn set_until(&mut self, key: &[u8], value: &[u8], deadline: u64) -> Result<(), Miss> {
        self.put(key, value, Expect::Any, Some(deadline)).map(drop)
    }

    fn set_deadline(&mut self, key: &[u8], deadline: u64) -> Result<(), Miss> {
        let mut state = self.lock();
        let unmoved = self.goes_wrong(&state, Broken::UnmovedDeadlines);
        state.expire(key);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        if !unmoved {
            slot.deadline = Some(deadline).filter(|&deadline| deadline != ENDLESS);
        }
        Ok(())
    }

    fn sweep(&mut self, _: u32) {}

    fn append(&mut self, key: &[u8], piece: &[u8]) -> Result<(usize, Version), Miss> {
        let mut state = self.lock();
        let lost = self.goes_wrong(&state, Broken::LostSets);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        if slot.value.len() + piece.len() > self.max_len {
            return Err(Miss::TooLong);
        }
        if !lost {
            slot.value.extend_from_slice(piece);
        }
        slot.vector = None;
        let len = slot.value.len();
        Ok((len, self.changed(&mut state, key)))
    }

    fn register(&mut self, key: &[u8], group: u8) -> Result<(), Miss> {
        let mut state = self.lock();
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        slot.group = Some(group);
        Ok(())
    }

    fn set_int(&mut self, key: &[u8], value: u64) -> Result<(), Miss> {
        let mut state = self.lock();
        let calls = state.calls;
        let slot = state.slots.entry(key.to_vec()).or_insert_with(|| Slot::new(calls));
        slot.value = value.to_le_bytes().to_vec();
        Ok(())
    }

    fn add(&mut self, key: &[u8], amount: u64) -> Result<u64, Miss> {
        let mut state = self.lock();
        let lost = self.goes_wrong(&state, Broken::LostAdditions);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        let sum = u64::from_le_bytes(slot.value[..8].try_into().expect("eight bytes")) + amount;
        if !lost {
            slot.value = sum.to_le_bytes().to_vec();
        }
        Ok(sum)
    }

    fn set_tandem(&mut self, base: &[u8], orders: &[&[u8]]) -> Result<(), Miss> {
        let mut state = self.lock();
        let whole =
            if self.goes_wrong(&state, Broken::MixedGroups) { orders.len() - 1 } else { orders.len() };
        for (order, value) in orders.iter().enumerate().take(whole) {
            let name = order_name(base.try_into().expect("a base has eight bytes"), order);
            state.slots.entry(name.as_ref().to_vec()).or_default().value = value.to_vec();
        }
        Ok(())
    }

    fn set_vector(&mut self, key: &[u8], vector: &[f32]) -> Result<(), Miss> {
        let mut state = self.lock();
        let lost = self.goes_wrong(&state, Broken::LostVectors);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        slot.vector = (!lost).then(|| vector.to_vec());
        Ok(())
    }

    fn label(&mut self, key: &[u8], mask: u64) -> Result<(), Miss> {
        let mut state = self.lock();
        let lost = self.goes_wrong(&state, Broken::LostLabels);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        if !lost {
            slot.labels |= mask;
        }
        Ok(())
    }

    fn update(
        &mut self,
        key: &[u8],
        change: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<u64, Miss>,
    ) -> Result<u64, Miss> {
        let mut state = self.lock();
        let wrong = |how| self.goes_wrong(&state, how);
        let (lost, stale) = (wrong(Broken::LostTallies), wrong(Broken::StaleUpdates));
        let (failures, panics) = (self.broken == Broken::KeptFailures, self.broken == Broken::KeptPanics);
        let slot = state.slots.get_mut(key).ok_or(Miss::NotFound)?;
        let old = if stale && !slot.older.is_empty() { &slot.older } else { &slot.value };
        let mut new = Vec::new();
        let made = catch_unwind(AssertUnwindSafe(|| change(Some(old), &mut new)));
        let stays = match made {
            Ok(Ok(_)) => lost,
            Ok(Err(_)) => !failures,
            Err(_) => !panics,
        };
        if !stays {
            slot.older = std::mem::replace(&mut slot.value, new);
            self.changed(&mut state, key);
        }
        match made {
            Ok(Err(_)) if self.broken == Broken::HiddenFailures => Ok(0),
            Ok(made) => made,
            Err(panic) => resume_unwind(panic),
        }
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<[u64; 3], Miss> {
        let mut state = self.lock();
        let names: [_; accounts::KEYS] = std::array::from_fn(|place| order_name(transfer.base, place));
        let refused = self.goes_wrong(&state, Broken::RefusedTransfers);
        let unchecked = self.broken == Broken::UncheckedTransfers;
        if transfer.epochs.is_some() && state.calls.is_multiple_of(11) {
            // Another writer was there since the keys were read.
            let journal = state.slots.get_mut(names[0].as_ref()).ok_or(Miss::NotFound)?;
            journal.value[0] ^= u8::from(unchecked);
            self.changed(&mut state, names[0].as_ref());
        }
        for (place, expected) in transfer.epochs.into_iter().flatten().enumerate() {
            let epoch = state.slots.get(names[place].as_ref()).ok_or(Miss::NotFound)?.epoch;
            if refused || epoch != expected && !unchecked {
                return Err(Miss::Changed { place, epoch });
            }
        }
        let lost = self.goes_wrong(&state, Broken::LostTransfers);
        let half = self.goes_wrong(&state, Broken::HalfTransfers);
        let amount = transfer.amount;
        let steps =
            [(0, 1, lost), (transfer.from, amount.wrapping_neg(), lost), (transfer.to, amount, lost | half)];
        Ok(steps.map(|(place, step, left_out)| {
            let slot = state.slots.get_mut(names[place].as_ref()).expect("groups are never removed");
            let number = accounts::number(&slot.value).expect("an integer").wrapping_add(step);
            if !left_out {
                slot.value = number.to_le_bytes().to_vec();
            }
            self.changed(&mut state, names[place].as_ref());
            number
        }))
    }

    fn unset_if(&mut self, key: &[u8], expect: Expect) -> Result<(usize, Version), Miss> {
        let mut state = self.lock();
        state.check(key, expect)?;
        let slot = state.slots.remove(key).ok_or(Miss::NotFound)?;
        Ok((slot.value.len(), Version { slot: 0, epoch: slot.epoch + 2 }))
    }
}

/// A watcher of a fake.
#[derive(Debug)]
pub(crate) struct FakeWatcher<'a> {
    fake: &'a Fake,
    /// The next notification.
    next: usize,
}

/// Describes a key as it is. Keys are numbered by what they hold.
fn change(state: &State, key: &[u8], group: Option<u8>) -> SlotChange {
    let value = crate::keys::value_index(key);
    SlotChange {
        slot: value.map_or(0, |index| u32::try_from(index).unwrap_or(0)),
        value,
        order: value.is_none(),
        epoch: Some(state.slots.get(key).map_or(0, |slot| slot.epoch)),
        group,
    }
}

impl Watches for FakeWatcher<'_> {
    fn next(&mut self) -> Notification {
        let state = self.fake.lock();
        let Some((group, key, epoch)) = state.notifications.get(self.next) else {
            return Notification::Nothing;
        };
        self.next += 1;
        // Some notifications are overwritten before they are taken. The resync that follows would report changes that had no
        // signal.
        if self.next.is_multiple_of(200) && self.fake.broken != Broken::Unsignalled {
            let missed = state.notifications.len() - self.next + 1;
            self.next = state.notifications.len();
            return Notification::Lagged(missed as u64);
        }
        Notification::Change(SlotChange {
            // The epoch of the change, so that a slow watcher notices as much as a fast one.
            epoch: Some(*epoch),
            ..change(&state, key, Some(*group))
        })
    }

    fn wait(&mut self, _: Duration) -> Notification {
        std::thread::yield_now();
        self.next()
    }

    fn resync(&mut self, mut visit: impl FnMut(SlotChange)) {
        let state = self.fake.lock();
        for key in state.slots.keys() {
            visit(change(&state, key, None));
        }
    }

    fn signals(&self, group: u8) -> u64 {
        self.fake.lock().signals.get(&group).copied().unwrap_or(0)
    }
}
