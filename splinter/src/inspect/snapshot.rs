//! Snapshots: copies of a header or a slot at one moment.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use crate::arena::Scrub;
use crate::arena::cache::Eviction;
use crate::arena::copy::copy_vector_out;
use crate::arena::integer::integer_in_slot;
use crate::arena::key::{Key, KeyRef};
use crate::arena::payload::Payload;
use crate::arena::records;
use crate::arena::state::NotifyFlags;
use crate::error::Error;
use crate::open::Store;
use crate::protocol::OptimisticRead;
use crate::read::{AsKey, Plain};
use crate::settings::{Geometry, Type};
use crate::sync::Relaxed;
use std::time::Duration;

/// A copy of a store's header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderSnapshot {
    /// The magic number of every store.
    pub magic: u32,
    /// The version of the arena's layout.
    pub version: u32,
    /// The sizes the store was created with.
    pub geometry: Geometry,
    /// The number of changes published so far, by all writers together.
    pub epoch: u64,
    /// The current scrub level.
    pub scrub: Scrub,
    /// The store's user flags.
    pub user_flags: u16,
    /// How many values programs reported as unparseable.
    pub parse_failures: u64,
    /// The store's epoch at the last of these reports.
    pub last_failure_epoch: u64,
    /// How many claims of dead writers other writers recovered.
    pub recoveries: u64,
    /// Which key makes room for a new one when no slot is free.
    pub eviction: Eviction,
    /// How many keys were evicted.
    pub evicted: u64,
    /// How many keys were removed because their deadline had passed.
    pub expired: u64,
    /// Whether it has sketches of its vectors, which searches go by.
    pub sketches: bool,
}

/// A copy of a slot's record of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotSnapshot {
    /// The key.
    pub key: Key,
    /// The key's hash, which determines its place in the index.
    pub hash: u64,
    /// Its epoch: even, and higher by two after every change of its value, vector or type.
    pub epoch: u64,
    /// The offset of its value in the arena, in bytes.
    pub value_offset: u64,
    /// The length of its value, in bytes.
    pub value_len: usize,
    /// Its type.
    pub kind: Type,
    /// Its user flags.
    pub user_flags: u16,
    /// Its labels.
    pub labels: u64,
    /// The signal groups with which the key itself is registered, one bit each.
    pub registered: u64,
    /// The signal groups that its changes signal, by the key itself or by a label, one bit each.
    pub groups: u64,
    /// When the value was made, in the writers' unit.
    pub ctime: u64,
    /// When the value was last used, in the writers' unit.
    pub atime: u64,
    /// Whether it has a vector.
    pub has_vector: bool,
    /// For how long it stays, if it has a deadline.
    pub ttl: Option<Duration>,
    /// Whether it is pinned, so that a cache does not evict it.
    pub pinned: bool,
}

/// Everything that a store holds of a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Content {
    /// The slot's record.
    pub slot: SlotSnapshot,
    /// Its value. For a number, eight bytes, the lowest first.
    pub value: Vec<u8>,
    /// Its number, if its value is one.
    pub number: Option<u64>,
    /// Its vector; empty if it has none.
    pub vector: Vec<f32>,
}

impl Store {
    /// Reads the header. While writers change counters, each counter is as it was at some moment of the call.
    pub fn header(&self) -> HeaderSnapshot {
        let header = self.arena().header;
        HeaderSnapshot {
            magic: records::MAGIC as u32,
            version: records::FORMAT_VERSION as u32,
            geometry: self.geometry(),
            epoch: self.arena().epoch(),
            scrub: self.scrub(),
            user_flags: self.flags().user(),
            parse_failures: header.parse_failures.load(Relaxed),
            last_failure_epoch: header.last_failure_epoch.load(Relaxed),
            recoveries: header.recoveries.load(Relaxed),
            eviction: self.eviction(),
            evicted: header.hands.evicted.load(Relaxed),
            expired: header.expired.load(Relaxed),
            sketches: self.has_sketches(),
        }
    }

    /// Reads the slot's record of `key`, without its value.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the key is missing, [`Error::Again`] when writers kept changing it.
    pub fn snapshot(&self, key: impl AsKey) -> Result<SlotSnapshot, Error> {
        let key = key.plain().key_ref(self.arena())?;
        self.arena().read_with_metadata(&key, |read| Ok(self.snapshot_of(&key, read)))
    }

    /// Reads everything that the store holds of `key`, as it was at one moment, for a copy of the store.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("k", b"value")?;
    /// writer.label("k", 0b100)?;
    /// let content = store.content("k")?;
    /// assert_eq!((&content.value[..], content.slot.labels), (&b"value"[..], 0b100));
    /// assert!(content.number.is_none() && content.vector.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when the key is missing, [`Error::Again`] when writers kept changing it.
    pub fn content(&self, key: impl AsKey) -> Result<Content, Error> {
        let key = key.plain().key_ref(self.arena())?;
        let arena = self.arena();
        arena.read_with_metadata(&key, |read| {
            let (descriptor, payload) = (read.descriptor, read.payload(arena));
            let mut value = vec![0; payload.len()];
            payload.copy_to(&mut value)?;
            let number = if descriptor.is_number() { integer_in_slot(&value) } else { None };
            let dim = self.geometry().vector_dim * descriptor.has_vector() as u32;
            let mut vector = vec![0.0; dim as usize];
            if dim > 0 {
                copy_vector_out(arena.vector(read.number, descriptor.vector_current()), &mut vector);
            }
            Ok(Content { slot: self.snapshot_of(&key, read), value, number, vector })
        })
    }

    fn snapshot_of(&self, key: &KeyRef<'_>, read: &OptimisticRead<'_>) -> SlotSnapshot {
        let arena = self.arena();
        let (slot, descriptor, payload) = (read.slot, read.descriptor, read.payload(arena));
        let value_offset = match payload {
            Payload::Integer(_) => self.inner.layout.integer_offset(read.number),
            Payload::Bytes(..) => self.inner.layout.value_offset(read.number, descriptor.current()),
        };
        SlotSnapshot {
            key: (*key).into(),
            hash: key.hash_by(arena.hash),
            epoch: read.stable_epoch(),
            value_offset,
            value_len: payload.len(),
            kind: Type::from_kind(descriptor.kind()),
            user_flags: descriptor.flags() as u16,
            labels: arena.labels(read),
            registered: arena.metadata[read.number as usize].subscriptions.load(Relaxed),
            groups: arena.groups_of(read.number, slot),
            ctime: slot.ctime.load(Relaxed),
            atime: slot.atime.load(Relaxed),
            has_vector: descriptor.has_vector() != 0,
            ttl: arena.time_left(read.number, descriptor),
            pinned: NotifyFlags(slot.notify_flags.load(Relaxed)).is_pinned(),
        }
    }
}
