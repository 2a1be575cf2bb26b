//! Room in the ring, as a producer knows it: the floor in the queue's record, which producers raise to the lowest of the
//! groups'. Record and groups' handles are read again only when the record's epoch has changed.

use crate::error::QueueError;
use crate::group::FLOOR_WORD;
use crate::queue::{PATIENCE, Queue, missing};
use crate::record::{Record, group_key};
use splinter::{Error, Expect, Handle, Writer};

/// What a producer knows of the record and the groups.
pub(crate) struct Room {
    record: Record,
    /// The record's epoch; `None` to read it again.
    recorded: Option<u64>,
    name: Handle,
    groups: Vec<Handle>,
}

impl Room {
    pub(crate) fn new(queue: &Queue) -> Result<Self, QueueError> {
        let (record, _) = queue.record()?;
        let name = splinter::retry(PATIENCE, || queue.inner.store.resolve(queue.inner.name));
        let name = name.map_err(|error| missing(error, QueueError::Removed))?;
        Ok(Self { record, recorded: None, name, groups: vec![] })
    }

    /// Returns the position before which messages may be written: what the groups still need ends there.
    pub(crate) fn end(&self) -> u64 {
        self.record.floor + self.record.capacity
    }

    /// Makes room for the position `tail`: raises the floor to the lowest of the groups'. Returns the slowest group, with
    /// the epoch of its key, if there is still none.
    pub(crate) fn make(
        &mut self,
        queue: &Queue,
        writer: &mut Writer,
        tail: u64,
    ) -> Result<Option<(Handle, u64)>, QueueError> {
        loop {
            let recorded = self.refresh(queue)?;
            if tail < self.end() {
                return Ok(None);
            }
            let Some((lowest, slowest)) = self.lowest(writer, tail)? else {
                self.recorded = None;
                continue;
            };
            if lowest <= self.record.floor {
                return Ok(slowest);
            }
            let value = Record { floor: lowest, ..self.record.clone() }.to_bytes();
            let expect = Expect::Epoch(recorded);
            match splinter::retry(PATIENCE, || writer.set_if(self.name, &value, expect)) {
                Ok(version) => (self.record.floor, self.recorded) = (lowest, Some(version.epoch)),
                Err(Error::Changed { .. }) => self.recorded = None,
                Err(error) => return Err(missing(error, QueueError::Removed)),
            }
        }
    }

    /// Returns the lowest floor of the groups, at most `tail`, and the group that has it, with its key's epoch. None if a
    /// group is not where it was.
    #[allow(clippy::type_complexity, reason = "it is taken apart at once")]
    fn lowest(&self, writer: &Writer, tail: u64) -> Result<Option<(u64, Option<(Handle, u64)>)>, QueueError> {
        let (mut lowest, mut slowest) = (tail, None);
        for group in &self.groups {
            let read = splinter::retry(PATIENCE, || {
                let view = writer.view(group)?;
                let read = (view.word(0), view.word(FLOOR_WORD), view.epoch());
                if view.validate() { Ok(read) } else { Err(Error::Again) }
            });
            let (identity, floor, epoch) = match read {
                Err(Error::NotFound) => return Ok(None),
                read => read?,
            };
            if identity != self.record.identity || floor >= 1 << 63 {
                return Err(QueueError::Damaged(group.key()));
            }
            if floor < lowest {
                (lowest, slowest) = (floor, Some((*group, epoch)));
            }
        }
        Ok(Some((lowest, slowest)))
    }

    /// Reads the record again if it has changed, and finds the groups' keys. Returns the record's epoch.
    fn refresh(&mut self, queue: &Queue) -> Result<u64, QueueError> {
        let store = &queue.inner.store;
        loop {
            if let Some(recorded) = self.recorded
                && splinter::retry(PATIENCE, || store.epoch(self.name)) == Ok(recorded)
            {
                return Ok(recorded);
            }
            let (record, recorded) = queue.record()?;
            let find = |group: &String| {
                let key = group_key(queue.name(), group)?;
                splinter::retry(PATIENCE, || store.resolve(key))
                    .map_err(|error| missing(error, QueueError::Damaged(key)))
            };
            let name = splinter::retry(PATIENCE, || store.resolve(queue.inner.name));
            let found: Result<Vec<_>, QueueError> = record.groups.iter().map(find).collect();
            // A group may have been dropped in between. Until a drop is published, its record has the epoch before.
            if queue.record()? == (record.clone(), recorded) {
                self.groups = found?;
                self.name = name.map_err(|error| missing(error, QueueError::Removed))?;
                (self.record, self.recorded) = (record, Some(recorded));
                return Ok(recorded);
            }
        }
    }
}
