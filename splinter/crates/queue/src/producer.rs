//! Sending. One conditional set of an entry takes the position and writes the message, so a producer that dies has sent
//! its message whole or not at all.

use crate::error::QueueError;
use crate::queue::{PATIENCE, Queue, missing};
use crate::record::{HEADER, Seen};
use crate::room::Room;
use splinter::{Error, Expect, Handle, Writer};
use std::fmt;
use std::time::{Duration, Instant};

/// The longest wait without another look, which finds what no wake tells of.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many entries a producer asks the processor for at once, if the ring has eight times as many.
const AHEAD: u64 = 8;

/// Sends messages to a queue.
///
/// ```
/// # use splinter_queue::{Queue, QueueConfig, QueueError};
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let config = QueueConfig { capacity: 2, ..QueueConfig::default() };
/// let queue = Queue::create(&store, "small", &config)?;
/// let mut producer = queue.producer()?;
/// assert_eq!((producer.try_send(b"one")?, producer.try_send(b"two")?), (0, 1));
/// assert!(matches!(producer.try_send(b"three"), Err(QueueError::Full)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer {
    queue: Queue,
    writer: Writer,
    /// All positions below are written.
    tail: u64,
    room: Room,
    /// All positions from here up to the tail are this producer's.
    own_since: u64,
    /// The epoch of each entry after this producer wrote it.
    epochs: Vec<u64>,
    /// The value of the last entry: header and message.
    value: Vec<u8>,
    /// The entries of the positions below are on their way to this processor.
    fetched: u64,
    /// The number of the process that made it.
    process: u64,
}

impl Queue {
    /// Makes a producer, which registers a writer. Each thread that sends has its own.
    ///
    /// # Errors
    /// [`QueueError::Writer`], [`QueueError::Damaged`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn producer(&self) -> Result<Producer, QueueError> {
        Producer::new(self.clone())
    }
}

impl Producer {
    fn new(queue: Queue) -> Result<Self, QueueError> {
        let (writer, tail) = (queue.inner.store.writer()?, queue.tail()?);
        let (room, record) = (Room::new(&queue)?, &queue.inner.record);
        let mut value = Vec::with_capacity(HEADER + record.max_message_len as usize);
        value.extend_from_slice(&[0; 8]);
        value.extend_from_slice(&record.identity.to_le_bytes());
        let epochs = vec![0; record.capacity as usize];
        let process = splinter::process();
        Ok(Self { queue, writer, tail, room, own_since: tail, epochs, value, fetched: tail, process })
    }

    /// Sends a message, if there is room. Returns its position.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::MessageTooLong`], [`QueueError::Damaged`], [`QueueError::Removed`],
    /// [`QueueError::Store`].
    pub fn try_send(&mut self, message: &[u8]) -> Result<u64, QueueError> {
        self.attempt(message)?.map_err(|_| QueueError::Full)
    }

    /// Sends a message, and waits for room until `deadline`, without one for ever. Returns its position.
    ///
    /// # Errors
    /// [`QueueError::TimedOut`], and those of [`Self::try_send`] but [`QueueError::Full`].
    pub fn send(&mut self, message: &[u8], deadline: Option<Instant>) -> Result<u64, QueueError> {
        loop {
            let (group, epoch) = match self.attempt(message) {
                Ok(Ok(position)) => return Ok(position),
                Ok(Err(slowest)) => slowest,
                Err(QueueError::Store(Error::Again)) if !is_past(deadline) => continue,
                Err(error) => return Err(error),
            };
            if is_past(deadline) {
                return Err(QueueError::TimedOut);
            }
            match self.writer.poll_after(group, epoch, Some(wait_until(deadline, LONGEST_WAIT))) {
                // A group that is missing was dropped, and makes room.
                Ok(_) | Err(Error::TimedOut | Error::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends messages in their order, until there is no room for one. Returns how many it sent.
    ///
    /// # Errors
    /// Those of [`Self::try_send`], if it sent none.
    pub fn send_many<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, QueueError> {
        let mut sent = 0;
        for message in messages {
            match self.try_send(message.as_ref()) {
                Ok(_) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Sends a message. If there is no room, returns the slowest group, with the epoch of its key at that time.
    fn attempt(&mut self, message: &[u8]) -> Result<Result<u64, (Handle, u64)>, QueueError> {
        if self.process != splinter::process() {
            return Err(Error::Forked.into());
        }
        let (capacity, max) = (self.queue.capacity(), self.queue.inner.record.max_message_len as usize);
        if message.len() > max {
            return Err(QueueError::MessageTooLong { max });
        }
        self.value.truncate(HEADER);
        self.value.extend_from_slice(message);
        let mut was_changed = false;
        loop {
            let position = self.tail;
            if position >= self.room.end()
                && let Some(slowest) = self.room.make(&self.queue, &mut self.writer, position)?
            {
                return Ok(Err(slowest));
            }
            // An entry that this producer wrote a lap ago has that epoch still, unless it was bumped or recovered.
            let index = self.queue.index(position);
            let is_own = !was_changed && position >= self.own_since + capacity;
            let (seen, epoch) =
                if is_own { (Seen::Free, self.epochs[index]) } else { self.queue.look(position)? };
            if seen == Seen::Free {
                if is_own {
                    self.fetch_ahead();
                }
                self.value[..8].copy_from_slice(&(position + capacity).to_le_bytes());
                let (entry, expect) = (self.queue.entry(position), Expect::Epoch(epoch));
                match splinter::retry(PATIENCE, || self.writer.set_if(entry, &self.value, expect)) {
                    Ok(version) => {
                        self.epochs[index] = version.epoch;
                        self.tail = position + 1;
                        return Ok(Ok(position));
                    }
                    // Another producer was first, or the entry was bumped.
                    Err(Error::Changed { .. }) => was_changed = true,
                    Err(error) => return Err(missing(error, QueueError::Removed)),
                }
            } else {
                // After a lap it would be slow to go step by step.
                let tail = if seen == Seen::Message { 0 } else { self.queue.tail()? };
                self.tail = tail.max(position + 1);
                self.own_since = self.tail;
            }
        }
    }

    /// Asks the processor for the entries that come next, as far as there is room: consumers have the lines still. Only
    /// if this producer is the only one, since others would ask for them as well.
    #[inline]
    fn fetch_ahead(&mut self) {
        let (first, most) = (self.fetched.max(self.tail + 1), AHEAD.min(self.queue.capacity() / 8));
        if first > self.tail + most || first >= self.room.end() {
            return;
        }
        let (at, entries) = (self.queue.index(first), &self.queue.inner.entries);
        let count = most.min(self.room.end() - first) as usize;
        let entries = &entries[at..entries.len().min(at + count)];
        self.writer.prefetch_for_sets(entries, self.value.len());
        self.fetched = first + entries.len() as u64;
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("queue", &self.queue)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

/// Tells whether the deadline has passed.
pub(crate) fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Returns until when to wait: for `longest`, but not beyond the deadline.
pub(crate) fn wait_until(deadline: Option<Instant>, longest: Duration) -> Instant {
    let end = Instant::now() + longest;
    deadline.map_or(end, |deadline| deadline.min(end))
}
