//! A map that does what a store should do, and answers what it should answer.

use splinter::{Error, IntegerOp, KEY_MAX, MAX_ORDERS, Scrub, Type};
use std::collections::BTreeMap;

/// What a key has.
#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Vec<u8>,
    /// Whether the value is held as a number, which cannot be appended to.
    pub is_number: bool,
    pub kind: Type,
    pub flags: u16,
    pub labels: u64,
    pub ctime: u64,
    pub atime: u64,
    pub vector: Option<Vec<f32>>,
    /// The groups it was registered with.
    pub registered: u64,
    /// The level whose promise its bytes keep.
    pub kept: Scrub,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            value: Vec::new(),
            is_number: false,
            kind: Type::Void,
            flags: 0,
            labels: 0,
            ctime: 0,
            atime: 0,
            vector: None,
            registered: 0,
            kept: Scrub::None,
        }
    }
}

/// The map, and what a store knows beside its keys.
pub struct Model {
    pub entries: BTreeMap<Vec<u8>, Entry>,
    pub slots: u64,
    pub max_value_len: u64,
    pub vector_dim: u32,
    pub level: Scrub,
    pub user_flags: u16,
    pub parse_failures: u64,
    pub label_routes: [u64; 64],
}

type Answer<T> = Result<T, Error>;

impl Model {
    /// Refuses what cannot be a key.
    pub fn check_key(key: &[u8]) -> Answer<()> {
        match key.len() {
            0 => Err(Error::KeyEmpty),
            len if len > KEY_MAX => Err(Error::KeyTooLong),
            _ if key.contains(&0) => Err(Error::KeyHasNul),
            _ => Ok(()),
        }
    }

    fn check_len(&self, len: usize) -> Answer<()> {
        if len as u64 > self.max_value_len { Err(Error::ValueTooLong) } else { Ok(()) }
    }

    pub fn get(&self, key: &[u8]) -> Answer<&Entry> {
        Self::check_key(key)?;
        self.entries.get(key).ok_or(Error::NotFound)
    }

    pub fn get_mut(&mut self, key: &[u8]) -> Answer<&mut Entry> {
        Self::check_key(key)?;
        self.entries.get_mut(key).ok_or(Error::NotFound)
    }

    fn get_or_insert(&mut self, key: &[u8]) -> Answer<&mut Entry> {
        if !self.entries.contains_key(key) && self.entries.len() as u64 == self.slots {
            return Err(Error::Full);
        }
        Ok(self.entries.entry(key.to_vec()).or_default())
    }

    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Answer<()> {
        Self::check_key(key)?;
        self.check_len(value.len())?;
        let level = self.level;
        let entry = self.get_or_insert(key)?;
        (entry.value, entry.is_number, entry.vector) = (value.to_vec(), false, None);
        entry.kept = level;
        Ok(())
    }

    pub fn append(&mut self, key: &[u8], tail: &[u8]) -> Answer<usize> {
        let entry = self.get(key)?;
        if entry.is_number {
            return Err(Error::WrongType);
        }
        self.check_len(entry.value.len() + tail.len())?;
        let level = self.level;
        let entry = self.get_mut(key)?;
        entry.value.extend_from_slice(tail);
        entry.vector = None;
        entry.kept = level;
        Ok(entry.value.len())
    }

    pub fn set_u64(&mut self, key: &[u8], number: u64) -> Answer<()> {
        Self::check_key(key)?;
        let level = self.level;
        let entry = self.get_or_insert(key)?;
        (entry.value, entry.is_number) = (number.to_le_bytes().into(), true);
        (entry.kind, entry.vector) = (Type::BigUint, None);
        entry.kept = entry.kept.min_of(Scrub::Hybrid).max_of(level);
        Ok(())
    }

    pub fn number(&self, key: &[u8]) -> Answer<u64> {
        let entry = self.get(key)?;
        let number = number_in_slot(&entry.value).filter(|_| entry.kind == Type::BigUint);
        number.ok_or(Error::WrongType)
    }

    pub fn integer(&mut self, key: &[u8], op: IntegerOp) -> Answer<u64> {
        let old = self.number(key)?;
        let new = match op {
            IntegerOp::And(mask) => old & mask,
            IntegerOp::Or(mask) => old | mask,
            IntegerOp::Xor(mask) => old ^ mask,
            IntegerOp::Not => !old,
            IntegerOp::Inc(by) => old.wrapping_add(by),
            IntegerOp::Dec(by) => old.wrapping_sub(by),
        };
        self.set_u64(key, new).map(|()| new)
    }

    pub fn set_type(&mut self, key: &[u8], kind: Type) -> Answer<()> {
        let entry = self.get(key)?;
        let (mut value, mut is_number) = (entry.value.clone(), entry.is_number);
        if kind == Type::BigUint && !is_number {
            let number = number_to_be(&value).ok_or(Error::WrongType)?;
            (value, is_number) = (number.to_le_bytes().into(), true);
        } else if kind != Type::BigUint && is_number {
            if matches!(kind, Type::Json | Type::VarText) {
                let bytes = value.try_into().expect("a number has eight bytes");
                value = u64::from_le_bytes(bytes).to_string().into_bytes();
            }
            self.check_len(value.len())?;
            is_number = false;
        }
        let (level, was_number) = (self.level, entry.is_number);
        let entry = self.get_mut(key)?;
        (entry.value, entry.is_number, entry.kind) = (value, is_number, kind);
        if was_number != is_number {
            entry.kept = if is_number { entry.kept.min_of(Scrub::Hybrid).max_of(level) } else { level };
        }
        Ok(())
    }

    pub fn set_vector(&mut self, key: &[u8], vector: &[f32]) -> Answer<()> {
        Self::check_key(key)?;
        if vector.len() != self.vector_dim as usize || vector.is_empty() {
            return Err(Error::WrongDimension);
        }
        let entry = self.get_mut(key)?;
        entry.vector = Some(vector.to_vec());
        entry.kept = entry.kept.min_of(Scrub::Hybrid);
        Ok(())
    }

    pub fn clear_vector(&mut self, key: &[u8]) -> Answer<()> {
        let entry = self.get_mut(key)?;
        entry.vector = None;
        entry.kept = entry.kept.min_of(Scrub::Hybrid);
        Ok(())
    }

    pub fn set_tandem(&mut self, names: &[Vec<u8>], values: &[&[u8]]) -> Answer<()> {
        values.iter().try_for_each(|value| self.check_len(value.len()))?;
        let missing = names.iter().filter(|name| !self.entries.contains_key(*name));
        if self.entries.len() + missing.count() > self.slots as usize {
            return Err(Error::Full);
        }
        names.iter().zip(values).try_for_each(|(name, value)| self.set(name, value))
    }

    /// Returns the groups that hear of changes to `key`.
    pub fn groups(&self, key: &[u8]) -> u64 {
        let Some(entry) = self.entries.get(key) else { return 0 };
        let labels = (0..64).filter(|label| entry.labels >> label & 1 != 0);
        labels.fold(entry.registered, |groups, label| groups | self.label_routes[label])
    }
}

/// Names the orders of a tandem, or refuses all of them.
pub fn names(base: &[u8], orders: usize) -> Answer<Vec<Vec<u8>>> {
    if !(1..=MAX_ORDERS).contains(&orders) {
        return Err(Error::BadOrders);
    }
    let order = |number: usize| match number {
        0 => base.to_vec(),
        _ => [base, b".", number.to_string().as_bytes()].concat(),
    };
    let names: Vec<_> = (0..orders).map(order).collect();
    names.iter().try_for_each(|name| Model::check_key(name))?;
    Ok(names)
}

fn number_in_slot(bytes: &[u8]) -> Option<u64> {
    if bytes.len() == 8 { integer(bytes) } else { number_to_be(bytes) }
}

fn number_to_be(bytes: &[u8]) -> Option<u64> {
    decimal(bytes).or_else(|| integer(bytes).filter(|_| !is_text(bytes)))
}

/// Bytes of an integer, the lowest first.
fn integer(bytes: &[u8]) -> Option<u64> {
    let fits = (1..=8).contains(&bytes.len());
    fits.then(|| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn is_text(bytes: &[u8]) -> bool {
    let is_shown = |char: char| char.is_whitespace() || !char.is_control();
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_shown));
    text.is_some_and(|text| !text.trim().is_empty())
}

fn decimal(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| digits)?.parse().ok()
}

/// The levels in their order, from the fastest to the cleanest.
pub trait Ordered {
    fn rank(self) -> usize;
    #[must_use]
    fn min_of(self, other: Self) -> Self;
    #[must_use]
    fn max_of(self, other: Self) -> Self;
}

impl Ordered for Scrub {
    fn rank(self) -> usize {
        Self::ALL.iter().position(|level| *level == self).expect("one of all")
    }

    fn min_of(self, other: Self) -> Self {
        if self.rank() < other.rank() { self } else { other }
    }

    fn max_of(self, other: Self) -> Self {
        if self.rank() > other.rank() { self } else { other }
    }
}
