//! A map that does what a store should do, and answers what it should answer, one operation after the other.

mod cache;
mod transaction;

use crate::op::{Answer, Guess, Op, Reply};
use splinter::{Error, Geometry, IntegerOp, KEY_MAX, Lifetime, MAX_ORDERS, Scrub, Store, Type};
use std::collections::BTreeMap;

/// All that can be read of a key, except for its epoch and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The value; that of a number is its eight bytes, the lowest first.
    pub value: Vec<u8>,
    /// The type.
    pub kind: Type,
    /// The user's flags of the slot.
    pub flags: u16,
    /// The labels, one bit each.
    pub labels: u64,
    /// The groups that are subscribed to the key itself, one bit each.
    pub registered: u64,
    /// The time of creation.
    pub ctime: u64,
    /// The time of access.
    pub atime: u64,
    /// The vector.
    pub vector: Option<Vec<f32>>,
    /// Whether it has a deadline.
    pub expires: bool,
    /// Whether it is pinned.
    pub pinned: bool,
}

impl Seen {
    /// Reads a key.
    ///
    /// # Errors
    /// Those of [`Store::get_vec`].
    pub fn read(store: &Store, key: &[u8]) -> Result<Self, Error> {
        let slot = store.snapshot(key)?;
        let value = store.get_vec(key)?;
        let mut vector = vec![0.0; store.geometry().vector_dim as usize];
        if slot.has_vector {
            store.vector(key, &mut vector)?;
        }
        Ok(Self {
            value,
            kind: slot.kind,
            flags: slot.user_flags,
            labels: slot.labels,
            registered: slot.registered,
            ctime: slot.ctime,
            atime: slot.atime,
            vector: slot.has_vector.then_some(vector),
            expires: store.ttl(key)?.is_some(),
            pinned: slot.pinned,
        })
    }
}

/// The state of a key in the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// All that can be read of it.
    pub seen: Seen,
    /// Whether the value is held as a number, which cannot be appended to.
    pub is_number: bool,
    /// The scrub level whose promise the bytes of its slot keep.
    pub kept: Scrub,
    /// How many changes of the content there were since the key came: two epochs each.
    pub changes: u64,
    /// The store time from which the key is missing.
    pub deadline: Option<u64>,
}

impl Entry {
    fn new() -> Self {
        let seen = Seen {
            value: Vec::new(),
            kind: Type::Void,
            flags: 0,
            labels: 0,
            registered: 0,
            ctime: 0,
            atime: 0,
            vector: None,
            expires: false,
            pinned: false,
        };
        Self { seen, is_number: false, kept: Scrub::None, changes: 0, deadline: None }
    }

    /// Returns what its bytes still keep after a change beside its buffers: nothing is wiped.
    fn kept_beside(&self) -> Scrub {
        if self.kept == Scrub::Full { Scrub::Hybrid } else { self.kept }
    }

    /// Replaces the value at a scrub level.
    fn replace(&mut self, value: Vec<u8>, is_number: bool, level: Scrub) {
        (self.seen.value, self.is_number) = (value, is_number);
        self.changes += 1;
        // A number has a word of its own: the bytes of the buffers stay, except at the highest level.
        let kept = self.kept_beside();
        self.kept = if is_number && rank(kept) > rank(level) { kept } else { level };
    }
}

/// A deadline from here on is far away, and one of 0 has passed: whatever the store's clock says. Others are not modelled.
pub const FAR: u64 = 1 << 62;

/// A store that performs one operation at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The keys that are present.
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// The keys whose deadline has passed. Some of their slots may have been freed since.
    pub expired: BTreeMap<Vec<u8>, Entry>,
    /// The store's sizes.
    pub geometry: Geometry,
    /// The scrub level.
    pub level: Scrub,
    /// The user flags.
    pub user_flags: u16,
    /// How many messages could not be parsed.
    pub parse_failures: u64,
    /// The groups that are subscribed to each label, one bit each.
    pub label_groups: [u64; 64],
    /// How many keys a cache has evicted.
    pub evicted: u64,
}

impl Model {
    /// Returns the model of a new store.
    #[must_use]
    pub fn new(geometry: Geometry, level: Scrub) -> Self {
        let (entries, expired) = (BTreeMap::new(), BTreeMap::new());
        let (user_flags, parse_failures, evicted) = (0, 0, 0);
        Self { entries, expired, geometry, level, user_flags, parse_failures, label_groups: [0; 64], evicted }
    }

    /// Performs an operation. Returns what the store should answer.
    pub fn apply(&mut self, op: &Op) -> Answer {
        match op {
            Op::Get(key) => self.get(key).map(|entry| Reply::Value(entry.seen.value.clone())),
            Op::Set(key, value) => self.set(key, value).map(Reply::from),
            Op::SetWith(key, value, lifetime) => self.set_with(key, value, *lifetime).map(Reply::from),
            Op::SetLifetime(key, lifetime) => {
                self.get(key)?;
                self.set_lifetime(key, *lifetime);
                Ok(Reply::Done)
            }
            Op::Sweep => {
                self.expired.clear();
                Ok(Reply::Done)
            }
            Op::Commit(parts) => Ok(self.commit(parts)),
            Op::SetMany(pairs) => {
                let results = pairs.iter().map(|(key, value)| self.set(key, value));
                Ok(Reply::Each(results.collect()))
            }
            Op::Append(key, tail) => self.append(key, tail).map(Reply::from),
            Op::Unset(key) => {
                let len = self.get(key)?.seen.value.len();
                self.entries.remove(key);
                Ok(len.into())
            }
            Op::If(guess, op) => self.apply_if(*guess, op),
            Op::Update(key, tail) => self.update(key, tail).map(Reply::from),
            Op::Swap(key, value) => {
                let old = self.get(key).ok().map(|entry| entry.seen.value.clone());
                self.set_with(key, value, Lifetime::Endless)?;
                Ok(old.map_or(Reply::Done, Reply::Value))
            }
            Op::IntegerOr(key, op, initial) => match self.integer(key, *op) {
                Err(Error::NotFound) => {
                    let new = computed(*op, *initial);
                    self.set_u64(key, new, Lifetime::Endless).map(|()| new.into())
                }
                answer => answer.map(Reply::from),
            },
            Op::Bump(key) => self.change(key, |entry| entry.changes += 1),
            Op::Pulse(key) => self.get(key).map(|_| Reply::Done),
            Op::SetU64(key, number) => self.set_u64(key, *number, Lifetime::Endless).map(Reply::from),
            Op::Integer(key, op) => self.integer(key, *op).map(Reply::from),
            Op::SetType(key, kind) => self.set_type(key, *kind, parse_number).map(Reply::from),
            Op::SetTypeOfInteger(key, kind) => self.set_type(key, *kind, number_in_slot).map(Reply::from),
            Op::Label(key, mask) => self.change(key, |entry| entry.seen.labels |= mask),
            Op::Unlabel(key, mask) => self.change(key, |entry| entry.seen.labels &= !mask),
            Op::Pin(key, pinned) => self.change(key, |entry| entry.seen.pinned = *pinned),
            Op::SetSlotFlags(key, mask) => self.change(key, |entry| {
                entry.seen.flags |= mask;
                entry.seen.flags
            }),
            Op::ClearSlotFlags(key, mask) => self.change(key, |entry| {
                entry.seen.flags &= !mask;
                entry.seen.flags
            }),
            Op::SetCtime(key, time, by) => {
                self.change(key, |entry| entry.seen.ctime = time.saturating_sub(*by))
            }
            Op::SetAtime(key, time, by) => {
                self.change(key, |entry| entry.seen.atime = time.saturating_sub(*by))
            }
            Op::SetVector(key, vector) => {
                self.check_vector(key, vector)?;
                self.set_vector(key, Some(vector.clone()))
            }
            Op::ClearVector(key) => self.set_vector(key, None),
            Op::SetTandem(base, values) => self.set_tandem(base, values).map(Reply::from),
            Op::UnsetTandem(base, orders) => {
                let names = names(base, *orders)?;
                let removed = names.iter().filter(|name| self.entries.remove(*name).is_some());
                Ok(removed.count().into())
            }
            Op::Register(key, group) => {
                let bit = group_bit(*group)?;
                self.change(key, |entry| entry.seen.registered |= bit)
            }
            Op::Unregister(key, group) => {
                let bit = group_bit(*group)?;
                self.change(key, |entry| entry.seen.registered &= !bit)
            }
            Op::RegisterLabels(mask, group) => self.change_labels(*mask, *group, |groups, bit| groups | bit),
            Op::UnregisterLabels(mask, group) => {
                self.change_labels(*mask, *group, |groups, bit| groups & !bit)
            }
            Op::SetScrub(level) => {
                self.level = *level;
                Ok(Reply::Done)
            }
            Op::SetUserFlags(mask) => {
                self.user_flags |= mask;
                Ok(self.user_flags.into())
            }
            Op::ClearUserFlags(mask) => {
                self.user_flags &= !mask;
                Ok(self.user_flags.into())
            }
            Op::ReportParseFailure => {
                self.parse_failures += 1;
                Ok(Reply::Done)
            }
            Op::Purge => {
                self.entries.values_mut().for_each(|entry| entry.kept = Scrub::Full);
                Ok(Reply::Done)
            }
        }
    }

    /// Returns the state of a key.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of invalid keys.
    pub fn get(&self, key: &[u8]) -> Result<&Entry, Error> {
        check_key(key)?;
        self.entries.get(key).ok_or(Error::NotFound)
    }

    /// Returns the number that a key holds.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and [`Error::WrongType`].
    pub fn number(&self, key: &[u8]) -> Result<u64, Error> {
        let entry = self.get(key)?;
        let number = number_in_slot(&entry.seen.value).filter(|_| entry.seen.kind == Type::BigUint);
        number.ok_or(Error::WrongType)
    }

    /// Returns the groups that are signalled for a change of a key, one bit each.
    #[must_use]
    pub fn groups(&self, key: &[u8]) -> u64 {
        self.entries.get(key).map_or(0, |entry| self.groups_of(entry))
    }

    /// Returns the groups that are signalled for a change of a key in this state, one bit each.
    #[must_use]
    pub fn groups_of(&self, entry: &Entry) -> u64 {
        let labels = (0..64).filter(|label| entry.seen.labels >> label & 1 != 0);
        labels.fold(entry.seen.registered, |groups, label| groups | self.label_groups[label])
    }

    fn change<T: Into<Reply>>(&mut self, key: &[u8], change: impl FnOnce(&mut Entry) -> T) -> Answer {
        self.get(key)?;
        let entry = self.entries.get_mut(key).ok_or(Error::NotFound)?;
        Ok(change(entry).into())
    }

    fn change_labels(&mut self, mask: u64, group: u8, change: fn(u64, u64) -> u64) -> Answer {
        let bit = group_bit(group)?;
        for label in (0..64).filter(|label| mask >> label & 1 != 0) {
            self.label_groups[label] = change(self.label_groups[label], bit);
        }
        Ok(Reply::Done)
    }

    fn check_len(&self, len: usize) -> Result<(), Error> {
        if len as u64 > self.geometry.max_value_len { Err(Error::ValueTooLong) } else { Ok(()) }
    }

    fn get_or_insert(&mut self, key: &[u8]) -> Result<&mut Entry, Error> {
        if !self.entries.contains_key(key) && self.entries.len() as u64 == self.geometry.slots {
            return Err(Error::Full);
        }
        self.expired.remove(key);
        Ok(self.entries.entry(key.to_vec()).or_insert_with(Entry::new))
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.set_with(key, value, Lifetime::Endless)
    }

    fn set_with(&mut self, key: &[u8], value: &[u8], lifetime: Lifetime) -> Result<(), Error> {
        check_key(key)?;
        self.check_len(value.len())?;
        let level = self.level;
        let entry = self.get_or_insert(key)?;
        entry.replace(value.to_vec(), false, level);
        entry.seen.vector = None;
        self.set_lifetime(key, lifetime);
        Ok(())
    }

    /// Changes how long a present key stays.
    fn set_lifetime(&mut self, key: &[u8], lifetime: Lifetime) {
        let entry = self.entries.get_mut(key).expect("a present key");
        match lifetime {
            Lifetime::Unchanged => {}
            Lifetime::Endless => entry.deadline = None,
            Lifetime::For(span) => {
                entry.deadline = Some(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
            }
            Lifetime::Until(time) => entry.deadline = Some(time),
        }
        let deadline = entry.deadline;
        entry.seen.expires = deadline.is_some();
        assert!(deadline.is_none_or(|time| time == 0 || time >= FAR), "the model has no clock");
        if deadline == Some(0)
            && let Some((key, entry)) = self.entries.remove_entry(key)
        {
            self.expired.insert(key, entry);
        }
    }

    fn append(&mut self, key: &[u8], tail: &[u8]) -> Result<usize, Error> {
        let entry = self.get(key)?;
        if entry.is_number {
            return Err(Error::WrongType);
        }
        let value = [&entry.seen.value, tail].concat();
        self.check_len(value.len())?;
        let len = value.len();
        self.set_with(key, &value, Lifetime::Unchanged).map(|()| len)
    }

    fn set_u64(&mut self, key: &[u8], number: u64, lifetime: Lifetime) -> Result<(), Error> {
        check_key(key)?;
        let level = self.level;
        let entry = self.get_or_insert(key)?;
        entry.replace(number.to_le_bytes().into(), true, level);
        (entry.seen.kind, entry.seen.vector) = (Type::BigUint, None);
        self.set_lifetime(key, lifetime);
        Ok(())
    }

    fn integer(&mut self, key: &[u8], op: IntegerOp) -> Result<u64, Error> {
        let new = computed(op, self.number(key)?);
        self.set_u64(key, new, Lifetime::Unchanged).map(|()| new)
    }

    /// Performs an operation if its key is as guessed.
    fn apply_if(&mut self, guess: Guess, op: &Op) -> Answer {
        let (Op::Set(key, _)
        | Op::SetWith(key, ..)
        | Op::Append(key, _)
        | Op::Unset(key)
        | Op::SetVector(key, _)
        | Op::SetType(key, _)
        | Op::SetU64(key, _)) = op
        else {
            panic!("{op:?} has no condition");
        };
        // What makes an operation impossible whatever the key is comes first.
        let impossible = match op {
            Op::Set(_, value) | Op::SetWith(_, value, _) => check_key(key).and(self.check_len(value.len())),
            Op::SetVector(_, vector) => self.check_vector(key, vector),
            _ => check_key(key),
        };
        impossible?;
        match (guess, self.entries.contains_key(key)) {
            (Guess::Absent | Guess::Wrong, true) => Err(Error::Changed { epoch: 0 }),
            (Guess::Present | Guess::Right | Guess::Wrong, false) => Err(Error::NotFound),
            _ => self.apply(op),
        }
    }

    fn update(&mut self, key: &[u8], tail: &[u8]) -> Result<usize, Error> {
        check_key(key)?;
        let old = self.get(key).map(|entry| entry.seen.value.clone()).unwrap_or_default();
        if !self.entries.contains_key(key) && self.entries.len() as u64 == self.geometry.slots {
            return Err(Error::Full);
        }
        if tail.is_empty() {
            return Err(Error::TimedOut);
        }
        let value = [&old, tail].concat();
        self.set_with(key, &value, Lifetime::Unchanged).map(|()| value.len())
    }

    fn check_vector(&self, key: &[u8], vector: &[f32]) -> Result<(), Error> {
        check_key(key)?;
        let is_right = vector.len() == self.geometry.vector_dim as usize && !vector.is_empty();
        if is_right { Ok(()) } else { Err(Error::WrongDimension) }
    }

    fn set_type(&mut self, key: &[u8], kind: Type, parse: fn(&[u8]) -> Option<u64>) -> Result<(), Error> {
        let Entry { seen, is_number, .. } = self.get(key)?;
        let (becomes_number, mut value) = (kind == Type::BigUint, seen.value.clone());
        let changes = *is_number != becomes_number;
        if changes && becomes_number {
            value = parse(&value).ok_or(Error::WrongType)?.to_le_bytes().into();
        } else if changes {
            if matches!(kind, Type::Json | Type::VarText) {
                let bytes = value.try_into().expect("a number has eight bytes");
                value = u64::from_le_bytes(bytes).to_string().into_bytes();
            }
            self.check_len(value.len())?;
        }
        let level = self.level;
        let entry = self.get_or_insert(key)?;
        entry.seen.kind = kind;
        if changes {
            entry.replace(value, becomes_number, level);
        } else {
            // A number that a transaction left in a buffer gets a word.
            entry.kept = if becomes_number { entry.kept_beside() } else { entry.kept };
            entry.changes += 1;
        }
        Ok(())
    }

    fn set_vector(&mut self, key: &[u8], vector: Option<Vec<f32>>) -> Answer {
        self.change(key, |entry| {
            entry.seen.vector = vector;
            entry.kept = entry.kept_beside();
            entry.changes += 1;
        })
    }

    fn set_tandem(&mut self, base: &[u8], values: &[Vec<u8>]) -> Result<(), Error> {
        let names = names(base, values.len())?;
        values.iter().try_for_each(|value| self.check_len(value.len()))?;
        let missing = names.iter().filter(|name| !self.entries.contains_key(*name));
        if (self.entries.len() + missing.count()) as u64 > self.geometry.slots {
            return Err(Error::Full);
        }
        names.iter().zip(values).try_for_each(|(name, value)| self.set(name, value))
    }
}

/// Returns what an operation makes of a number.
fn computed(op: IntegerOp, old: u64) -> u64 {
    match op {
        IntegerOp::And(mask) => old & mask,
        IntegerOp::Or(mask) => old | mask,
        IntegerOp::Xor(mask) => old ^ mask,
        IntegerOp::Not => !old,
        IntegerOp::Inc(by) => old.wrapping_add(by),
        IntegerOp::Dec(by) => old.wrapping_sub(by),
    }
}

/// Refuses invalid keys.
fn check_key(key: &[u8]) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::KeyEmpty),
        len if len > KEY_MAX => Err(Error::KeyTooLong),
        _ if key.contains(&0) => Err(Error::KeyHasNul),
        _ => Ok(()),
    }
}

/// Returns the keys of the first orders of a tandem.
///
/// # Errors
/// [`Error::BadOrders`], and those of invalid keys.
pub fn names(base: &[u8], orders: usize) -> Result<Vec<Vec<u8>>, Error> {
    if !(1..=MAX_ORDERS).contains(&orders) {
        return Err(Error::BadOrders);
    }
    let order = |number: usize| match number {
        0 => base.to_vec(),
        _ => [base, b".", number.to_string().as_bytes()].concat(),
    };
    let names: Vec<_> = (0..orders).map(order).collect();
    names.iter().try_for_each(|name| check_key(name))?;
    Ok(names)
}

fn group_bit(group: u8) -> Result<u64, Error> {
    1_u64.checked_shl(group.into()).ok_or(Error::NoSuchGroup)
}

fn number_in_slot(bytes: &[u8]) -> Option<u64> {
    if bytes.len() == 8 { integer(bytes) } else { parse_number(bytes) }
}

fn parse_number(bytes: &[u8]) -> Option<u64> {
    parse_decimal(bytes).or_else(|| integer(bytes).filter(|_| !is_text(bytes)))
}

/// Bytes of an integer, the lowest first.
fn integer(bytes: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&bytes.len());
    fits.then(|| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn parse_decimal(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| digits)?.parse().ok()
}

fn is_text(bytes: &[u8]) -> bool {
    let is_shown = |char: char| char.is_whitespace() || !char.is_control();
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_shown));
    text.is_some_and(|text| !text.trim().is_empty())
}

/// Returns the place of a scrub level, from the fastest to the cleanest.
pub fn rank(level: Scrub) -> usize {
    Scrub::ALL.iter().position(|one| *one == level).expect("one of all")
}
