//! Reads stores of file formats 2 and 3, which the library no longer opens, entry by entry. Nothing in such a file is
//! believed: each offset is computed anew from the sizes, and each length is checked. Processes of an older release may
//! use the file meanwhile. Writes nothing. `docs/format.md` has the tables.

mod layout;
#[cfg(test)]
mod tests;

use crate::entry::{Data, Entry};
use crate::failure::Failure;
use crate::output::shown;
use crate::retry::BUSY_TIMEOUT;
use crate::store_file::data_from;
use layout::{COMMIT_WORD_AT, FORMATS, HEADER_LEN, Layout, SLOT, WRITER_ENTRY, WRITER_TABLE_AT, word};
use nix::libc;
use splinter::{Geometry, KEY_MAX, Key, LABELS, Location, StoreError, Type};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

const MAGIC: u64 = 0x534c_4e54;
/// The header's state once the store is complete.
const READY: u64 = 0x5245_4144_5921;
/// How many bytes of slots are read at once: a multiple of [`SLOT`].
const BLOCK: u64 = 64 << 10;

/// Bits of a slot's state word.
const WRITER_ID: u64 = 0x3ff;
const TANDEM: u64 = 1 << 10;
const COMMITTED: u64 = 1 << 11;
const CLAIMED: u64 = 1 << 13;

/// Bits of a descriptor. Bits 0–31 are the length of the value, 32–47 the flags, 60–63 the type.
const CURRENT: u64 = 1 << 48;
const PRESENT: u64 = 1 << 49;
const INTEGER: u64 = 1 << 50;
const HAS_VECTOR: u64 = 1 << 51;
const VECTOR_CURRENT: u64 = 1 << 52;

/// A store of an older format, open for reading.
#[derive(Debug)]
pub(crate) struct OldStore {
    file: File,
    path: PathBuf,
    name: String,
    header: [u8; HEADER_LEN],
    layout: Layout,
}

impl OldStore {
    /// Opens the file at `path` if it is a store of an older format; returns none for any other file, and if there is
    /// none. Fails if it is one, and cannot be read as a whole.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, Failure> {
        // Follows no link and waits for no FIFO, as the library.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else { return Ok(None) };
        let mut header = [0; HEADER_LEN];
        if file.read_exact_at(&mut header, 0).is_err() {
            return Ok(None);
        }
        let magic = word(&header, 0);
        let of_version = |format: &&layout::Format| magic == MAGIC | format.version << 32;
        let Some(format) = FORMATS.iter().find(of_version) else { return Ok(None) };
        let name = Location::file(path).to_string();
        let refuse = |reason: &str| {
            let reason = reason.to_owned();
            Err(Failure::from(StoreError::NotAStore { subject: name.clone(), reason }))
        };
        if word(&header, 8) != READY {
            return refuse("its creation was not finished; remove it");
        }
        let Some(layout) = Layout::read(format, &header) else {
            return refuse("its header contradicts itself; take a copy that is whole");
        };
        let len = file.metadata().map_err(|error| Failure::io(&format!("read {name}"), &error))?.len();
        if layout.arena_len > len {
            let missing = layout.arena_len - len;
            return refuse(&format!(
                "it is truncated: {missing} bytes are missing; copy it anew, to its end"
            ));
        }
        Ok(Some(Self { file, path: path.to_owned(), name, header, layout }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name that messages have for the store.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.layout.geometry
    }

    /// Returns the header's flags. Their bits mean the same in all formats.
    pub(crate) fn flags(&self) -> u32 {
        word(&self.header, 256) as u32
    }

    /// Returns the groups that changes of keys with each label signal.
    pub(crate) fn label_groups(&self) -> [u64; LABELS] {
        std::array::from_fn(|label| word(&self.header, 1024 + label * 8))
    }

    /// Calls `visit` with the entry of each key.
    pub(crate) fn for_each_entry(
        &self,
        mut visit: impl FnMut(&Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let start = self.layout.slots_at;
        let end = start + self.layout.geometry.slots * SLOT;
        let (mut block, mut at) = (vec![0; BLOCK as usize], start);
        // Slots that were never written take no room.
        while let Some(data) = data_from(&self.file, at, end) {
            at = data.start - (data.start - start) % SLOT;
            while at < data.end {
                let block = &mut block[..BLOCK.min(end - at) as usize];
                self.read(block, at)?;
                for record in block.chunks_exact(SLOT as usize) {
                    if may_hold_key(record)
                        && let Some(entry) = self.entry((at - start) / SLOT)?
                    {
                        visit(&entry)?;
                    }
                    at += SLOT;
                }
            }
        }
        // What is missing was not read as a hole.
        self.read(&mut [0], self.layout.arena_len - 1)
    }

    /// Reads the entry of a slot as it was at one moment, or none if it holds no key.
    fn entry(&self, slot: u64) -> Result<Option<Entry>, Failure> {
        self.while_unchanged(slot, |state| self.entry_at(slot, state))?
    }

    /// Repeats `read`, which gets the slot's state, until the state did not change meanwhile: no writer claimed or
    /// released the slot then. What is published stays whole during a claim.
    fn while_unchanged<T>(&self, slot: u64, mut read: impl FnMut(u64) -> T) -> Result<T, Failure> {
        let (at, start) = (self.layout.slots_at + slot * SLOT, Instant::now());
        loop {
            let state = self.read_word(at)?;
            let result = read(state);
            if self.read_word(at)? == state {
                return Ok(result);
            }
            if start.elapsed() > BUSY_TIMEOUT {
                let why = "changes all the time; stop the programs that write to it, and try again";
                return Err(Failure::new(format!("{}: slot {slot} {why}", self.name)));
            }
        }
    }

    /// Reads the entry of a slot whose state is `state`. If the state changes meanwhile, the result may be anything.
    fn entry_at(&self, slot: u64, state: u64) -> Result<Option<Entry>, Failure> {
        let Layout { geometry, .. } = self.layout;
        // Before the record: of a claim that is committed, the prepared word was written before.
        let descriptor_at = if self.is_committed(slot, state)? { 96 } else { 16 };
        let mut record = [0; SLOT as usize];
        self.read(&mut record, self.layout.slots_at + slot * SLOT)?;
        let descriptor = word(&record, descriptor_at);
        if descriptor & PRESENT == 0 {
            return Ok(None);
        }
        let key = &record[32..=32 + KEY_MAX];
        let key_len = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
        let (key, padding) = key.split_at(key_len);
        if Key::new(key).is_err() || padding.iter().any(|byte| *byte != 0) {
            return Err(self.damaged(slot, "its key is none"));
        }
        let damaged = |what: &str| self.damaged(slot, &format!("of the key {}, {what}", shown(key)));
        let kind = Type::ALL.get((descriptor >> 60) as usize).copied();
        let kind = kind.ok_or_else(|| damaged("the type is none"))?;
        let value = if descriptor & INTEGER != 0 {
            if kind != Type::BigUint {
                return Err(damaged(&format!("the value is a number, and the type {kind}")));
            }
            Data::Number(word(&record, 8))
        } else {
            let len = descriptor & u64::from(u32::MAX);
            if len > geometry.max_value_len {
                return Err(damaged(&format!("the value has {len} bytes, more than the store allows")));
            }
            let mut value = vec![0; len as usize];
            self.read(&mut value, self.layout.value_at(slot, descriptor & CURRENT != 0))?;
            Data::Bytes(value)
        };
        let has_vector = descriptor & HAS_VECTOR != 0;
        if has_vector && geometry.vector_dim == 0 {
            return Err(damaged("there is a vector, and the store has none"));
        }
        let mut vector = vec![0; geometry.vector_dim as usize * 4 * usize::from(has_vector)];
        self.read(&mut vector, self.layout.vector_at(slot, descriptor & VECTOR_CURRENT != 0))?;
        Ok(Some(Entry {
            key: key.to_vec(),
            value,
            kind,
            labels: word(&record, 104),
            groups: self.read_word(self.layout.subscriptions_at + slot * 8)?,
            flags: (descriptor >> 32) as u16,
            ctime: word(&record, 112),
            atime: word(&record, 120),
            vector: vector.as_chunks().0.iter().map(|float| f32::from_le_bytes(*float)).collect(),
            ttl: None,
            pinned: false,
        }))
    }

    /// Tells whether the slot belongs to a tandem that is committed, so that its prepared descriptor is current: the
    /// state says so, or the commit word of the writer that holds the claim.
    fn is_committed(&self, slot: u64, state: u64) -> Result<bool, Failure> {
        if state & CLAIMED == 0 || state & (TANDEM | COMMITTED) == 0 {
            return Ok(false);
        }
        let writer_id = state & WRITER_ID;
        if writer_id >= self.layout.geometry.max_writers.into() {
            let what = format!("writer id {writer_id} holds it, and the store has no such");
            return Err(self.damaged(slot, &what));
        }
        let commit_word_at = WRITER_TABLE_AT + writer_id * WRITER_ENTRY + COMMIT_WORD_AT;
        Ok(state & COMMITTED != 0 || self.read_word(commit_word_at)? != 0)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), Failure> {
        self.file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Failure::new(format!("{} became shorter meanwhile; take a copy that is whole", self.name))
            }
            _ => Failure::io(&format!("read {}", self.name), &error),
        })
    }

    fn read_word(&self, at: u64) -> Result<u64, Failure> {
        let mut bytes = [0; 8];
        self.read(&mut bytes, at)?;
        Ok(word(&bytes, 0))
    }

    fn damaged(&self, slot: u64, what: &str) -> Failure {
        let advice = "repair it with the release that made it (fsck --repair)";
        Failure::new(format!("{} is damaged in slot {slot}: {what}; {advice}", self.name))
    }
}

/// Tells whether a slot may hold a key: it does, or a writer claims it.
fn may_hold_key(record: &[u8]) -> bool {
    word(record, 16) & PRESENT != 0 || word(record, 0) & CLAIMED != 0
}
