//! Receiving. One update of the group's key acknowledges what the consumer has finished and takes the next batch. The
//! messages of the batch were read before: an entry does not change while the group needs it.

use crate::error::QueueError;
use crate::group::{DELIVERY_BYTES, Delivery, GROUP_BYTES, Group, NEVER, NOBODY, Taker};
use crate::liveness::{Life, is_dead};
use crate::producer::{LONGEST_WAIT, is_past, wait_until};
use crate::queue::{PATIENCE, Queue, header, missing, note_time};
use crate::record::{HEADER, Seen, group_key};
use splinter::{Error, Handle, Writer};
use std::fmt;
use std::time::{Duration, Instant};

/// The most bytes of messages that a consumer reads at once, unless one message has more.
const BUFFER_BYTES: usize = 64 << 10;
/// The largest batch that is chosen by default.
const BATCH: usize = 64;
/// How often a consumer looks whether others live, if they have messages in flight.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A message, as a consumer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'c> {
    /// Its place in the queue: no other message has it, and later ones have higher positions.
    pub position: u64,
    /// How often the group's consumers took a batch with it: 1 unless one died, returned it, was too slow, or was
    /// dropped before it was done. A consumer that died may not have handed it out.
    pub deliveries: u32,
    /// What was sent.
    pub bytes: &'c [u8],
}

/// Receives the messages of a group, together with all other consumers of that group.
///
/// A message is finished when the next one is asked for. What is finished is acknowledged with the next batch, or at once
/// by [`Self::ack`]. If the process dies first, other consumers get it again, at most a batch.
///
/// Dropping the consumer gives back what it has not finished, the message that it got last included.
pub struct Consumer {
    queue: Queue,
    writer: Writer,
    group: Handle,
    life: Life,
    /// The group's state when this consumer looked last.
    state: Group,
    /// Everything in flight for this consumer: positions from `acknowledged` to `end`. It has finished those below
    /// `finished`, and has handed out those below `handed`.
    acknowledged: u64,
    finished: u64,
    handed: u64,
    end: u64,
    /// How often these were delivered, and until when they are this consumer's alone.
    deliveries: u32,
    until: u64,
    /// The position that the group delivers next, as far as this consumer knows.
    next: u64,
    /// The entries that were read: the first position, how many have their message, their bytes and lengths.
    first: u64,
    read: u64,
    bytes: Vec<u8>,
    lens: Vec<Result<usize, Error>>,
    /// How many entries to read: twice as many as there were the last time, up to a batch.
    wanted: usize,
    batch: usize,
    /// One more than the position of the batch whose lines were asked for; 0 if none was.
    fetched: u64,
    /// Consumers in flight that are dead, and when that was found out.
    dead: Vec<u64>,
    looked: Option<Instant>,
}

impl Queue {
    /// Makes a consumer of a group, which registers a writer. Each thread that receives has its own.
    ///
    /// # Errors
    /// [`QueueError::NoGroup`], [`QueueError::Writer`], [`QueueError::Damaged`], [`QueueError::Removed`],
    /// [`QueueError::Store`].
    pub fn consumer(&self, group: &str) -> Result<Consumer, QueueError> {
        Consumer::new(self.clone(), group)
    }
}

impl Consumer {
    fn new(queue: Queue, group: &str) -> Result<Self, QueueError> {
        let (record, _) = queue.record()?;
        if !record.groups.iter().any(|known| known == group) {
            return Err(QueueError::NoGroup);
        }
        let writer = queue.inner.store.writer()?;
        let key = group_key(queue.name(), group)?;
        let group = splinter::retry(PATIENCE, || writer.resolve(key));
        let group = group.map_err(|error| queue.group_error(error.into()))?;
        let life = Life::new(&writer);
        let mut consumer = Self {
            queue,
            writer,
            group,
            life,
            state: Group::default(),
            acknowledged: 0,
            finished: 0,
            handed: 0,
            end: 0,
            deliveries: 0,
            until: NEVER,
            next: 0,
            first: 0,
            read: 0,
            bytes: vec![],
            lens: vec![],
            wanted: 1,
            batch: 0,
            fetched: 0,
            dead: vec![],
            looked: None,
        };
        let quarter = consumer.queue.capacity() as usize / 4;
        consumer.set_batch(BATCH.min(BUFFER_BYTES / consumer.stride()).min(quarter));
        consumer.look()?;
        Ok(consumer)
    }

    /// Tells whether other consumers notice that this one's process died, and get what it had. If not, they get that by
    /// the queue's timeout only, and without one never. So it is where the store lies on overlayfs or FUSE, where there
    /// is no `/proc`, or the program closed the store's descriptor, or the process had no descriptor or memory left when
    /// it made the consumer.
    #[must_use]
    pub fn is_death_noticed(&self) -> bool {
        self.life.is_known()
    }

    /// Sets how many messages are taken at once, at most. The default is 64, and fewer if they are long, or if
    /// the queue has fewer than 256. More make each cheaper. Fewer leave more to other consumers, and fewer to be delivered again after a death.
    pub fn set_batch(&mut self, messages: usize) {
        self.batch = messages.clamp(1, self.queue.capacity() as usize);
        self.wanted = 1;
        self.read = 0;
        self.bytes = vec![0; self.batch * self.stride()];
        self.lens = vec![Ok(0); self.batch];
    }

    /// The bytes from one message to the next in the buffer.
    fn stride(&self) -> usize {
        HEADER + (self.queue.inner.record.max_message_len as usize).next_multiple_of(8)
    }

    /// Finishes the last message and returns the next one, if there is one. It may acknowledge what is finished also
    /// if it then finds nothing or fails.
    ///
    /// # Errors
    /// [`QueueError::Empty`], [`QueueError::TooManyDeliveries`], [`QueueError::Damaged`], [`QueueError::Removed`],
    /// [`QueueError::NoGroup`] if it was dropped, [`QueueError::Store`].
    pub fn try_recv(&mut self) -> Result<Message<'_>, QueueError> {
        if let Some(position) = self.following() {
            return self.message(position);
        }
        let position = self.finishing(|consumer| consumer.attempt()?.ok_or(QueueError::Empty))?;
        self.message(position)
    }

    /// Finishes the last message and returns the next one. Waits for it until `deadline`, without one for ever. It may
    /// acknowledge what is finished also if it then finds nothing or fails.
    ///
    /// # Errors
    /// [`QueueError::TimedOut`], and those of [`Self::try_recv`] but [`QueueError::Empty`].
    pub fn recv(&mut self, deadline: Option<Instant>) -> Result<Message<'_>, QueueError> {
        if let Some(position) = self.following() {
            return self.message(position);
        }
        let position = self.finishing(|consumer| consumer.wait(deadline))?;
        self.message(position)
    }

    /// Finishes the last messages and passes up to `most` to `visit`: waits for the first as [`Self::recv`] does, and
    /// for no other. Returns how many there were. The next call finishes them, and [`Self::nack`] returns them all.
    ///
    /// # Errors
    /// As [`Self::recv`], if there was none.
    pub fn recv_many(
        &mut self,
        most: usize,
        deadline: Option<Instant>,
        mut visit: impl FnMut(Message<'_>),
    ) -> Result<usize, QueueError> {
        if most == 0 {
            self.finished = self.handed;
            return Ok(0);
        }
        let mut position = self.finishing(|consumer| consumer.wait(deadline))?;
        let mut count = 0;
        loop {
            visit(self.message(position)?);
            count += 1;
            // No further batch: that would acknowledge what was not finished.
            match self.hand_out() {
                Ok(Some(next)) if count < most => position = next,
                Ok(Some(_)) => {
                    self.handed -= 1;
                    return Ok(count);
                }
                Ok(None) | Err(_) => return Ok(count),
            }
        }
    }

    /// Acknowledges all messages that this consumer got, the last one included. If they were delivered to another
    /// consumer meanwhile, since the queue's timeout was over, nothing happens.
    ///
    /// # Errors
    /// [`QueueError::Damaged`], [`QueueError::NoGroup`], [`QueueError::Removed`], [`QueueError::Store`].
    pub fn ack(&mut self) -> Result<(), QueueError> {
        self.finished = self.handed;
        self.settle(0, 0)
    }

    /// Gives the last message back, to be delivered again after `delay`, to any consumer. Acknowledges those before it.
    ///
    /// A receive that returned a message or found none has finished the messages before: they cannot be given back. After
    /// one that failed, those are given back that it did not acknowledge.
    ///
    /// # Errors
    /// [`QueueError::TooManyDeliveries`] if the group's key has no room for that; those of [`Self::ack`].
    pub fn nack(&mut self, delay: Duration) -> Result<(), QueueError> {
        let delay = u64::try_from(delay.as_nanos()).unwrap_or(NEVER);
        let mut due = 0;
        if delay > 0 {
            note_time(&mut self.writer)?;
            due = self.writer.time().saturating_add(delay);
        }
        self.settle((self.handed - self.finished) as u32, due)
    }

    /// Finishes the last messages and receives. If that fails before they were acknowledged, they are not finished.
    fn finishing(
        &mut self,
        receive: impl FnOnce(&mut Self) -> Result<u64, QueueError>,
    ) -> Result<u64, QueueError> {
        let before = (self.acknowledged, self.finished);
        self.finished = self.handed;
        receive(self).inspect_err(|_| {
            if self.acknowledged == before.0 {
                self.finished = before.1.min(self.handed);
            }
        })
    }

    /// Finishes the last messages and returns the next position, if that is read already and nothing else is to be done.
    #[inline]
    fn following(&mut self) -> Option<u64> {
        let is_read = self.handed.wrapping_sub(self.first) < self.read;
        if !is_read || self.handed >= self.end || self.until != NEVER || !self.life.is_ours() {
            return None;
        }
        let position = self.handed;
        (self.finished, self.handed) = (position, position + 1);
        Some(position)
    }

    /// Returns the position that comes next, after waiting for it.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<u64, QueueError> {
        let mut armed = None;
        loop {
            match self.attempt() {
                Ok(Some(position)) => return Ok(position),
                Ok(None) => {}
                Err(QueueError::Store(Error::Again)) if !is_past(deadline) => continue,
                Err(error) => return Err(error),
            }
            if is_past(deadline) {
                return Err(QueueError::TimedOut);
            }
            // The entry's epoch was read before that attempt, so a message or a bump since then ends the poll.
            match armed.take() {
                Some((next, epoch)) if next == self.next => {
                    let until = wait_until(deadline, self.longest_wait());
                    match self.writer.poll_after(self.queue.entry(next), epoch, Some(until)) {
                        Ok(_) | Err(Error::TimedOut) => {}
                        Err(error) => return Err(missing(error, QueueError::Removed)),
                    }
                }
                _ => armed = Some((self.next, self.queue.look(self.next)?.1)),
            }
        }
    }

    /// Returns how long no other look is needed: until a delivery in flight may be due.
    fn longest_wait(&self) -> Duration {
        let Some(due) = self.state.deliveries.iter().map(|delivery| delivery.until).min() else {
            return LONGEST_WAIT;
        };
        Duration::from_nanos(due.saturating_sub(self.writer.time())).min(LOOK_INTERVAL)
    }

    /// Returns the position that comes next, of the batch or of a new one.
    fn attempt(&mut self) -> Result<Option<u64>, QueueError> {
        match self.hand_out()? {
            None if self.take()? => self.hand_out(),
            position => Ok(position),
        }
    }

    /// Returns the next position of the batch.
    fn hand_out(&mut self) -> Result<Option<u64>, QueueError> {
        if !self.life.is_ours() {
            return Err(Error::Forked.into());
        }
        if self.handed == self.end {
            return Ok(None);
        }
        let is_read = (self.first..self.first + self.read).contains(&self.handed);
        let seen = if is_read {
            Ok(Seen::Message)
        } else {
            self.read_entries(self.handed, (self.end - self.handed) as usize)
        };
        if self.until != NEVER && self.writer.time() >= self.until {
            // The rest may be another consumer's by now, or acknowledged by that.
            self.end = self.handed;
            return Ok(None);
        }
        if !matches!(seen, Ok(Seen::Message)) {
            // If the group was dropped, nothing kept the entries, and it has no such delivery if it was created again.
            self.look()?;
            let own = (self.life.id, self.acknowledged);
            if !self.state.deliveries.iter().any(|delivery| (delivery.consumer, delivery.first) == own) {
                self.end = self.handed;
                return Ok(None);
            }
            seen?;
            return Err(self.queue.damaged(self.handed));
        }
        self.handed += 1;
        Ok(Some(self.handed - 1))
    }

    /// Takes a batch, after acknowledging the last one. Returns whether there was one.
    fn take(&mut self) -> Result<bool, QueueError> {
        loop {
            let seen = self.read_entries(self.next, self.wanted)?;
            let (now, identity) = (self.writer.time(), self.queue.inner.record.identity);
            let has_done = self.finished > self.acknowledged;
            if seen != Seen::Message || self.is_look_due() {
                self.look()?;
                let is_old = self.next != self.state.next;
                self.next = self.state.next;
                if seen != Seen::Message && !has_done && self.state.due(now, &self.dead).is_none() {
                    match seen {
                        _ if is_old => continue,
                        Seen::Later => return Err(self.queue.damaged(self.next)),
                        _ => return Ok(false),
                    }
                }
            }
            let until = now.saturating_add(self.queue.inner.record.timeout_ns);
            let taker = Taker { consumer: self.life.id, now, until, dead: &self.dead, room: self.room() };
            let done = (self.acknowledged, (self.finished - self.acknowledged) as u32);
            let (state, key, batch) = (&mut self.state, self.group.key(), self.batch as u32);
            let (first, end) = (self.first, self.first + self.read);
            let change = |writer: &mut Writer| {
                writer.update(self.group, |old: Option<&[u8]>, new: &mut Vec<u8>| {
                    old.and_then(|old| state.read(old, identity)).ok_or(QueueError::Damaged(key))?;
                    let settled = done.1 > 0 && state.settle(taker.consumer, done.0, done.1, 0, 0);
                    let taken = state.take_due(&taker, batch).or_else(|| state.take_new(&taker, first, end));
                    if taken.is_none() && !settled {
                        let is_full = state.deliveries.len() >= taker.room;
                        return Err(if is_full { QueueError::TooManyDeliveries } else { QueueError::Empty });
                    }
                    state.write(identity, new);
                    Ok(taken)
                })
            };
            let taken = match again(&mut self.writer, change) {
                Ok(taken) => taken,
                Err(QueueError::Empty) => None,
                Err(error) => return Err(self.queue.group_error(error)),
            };
            self.next = self.state.next;
            self.begin(taken);
            if taken.is_some() {
                self.fetch_ahead();
                return Ok(true);
            }
        }
    }

    /// Asks the processor for the values of the next batch and the records of the one behind it, if there were messages
    /// for a whole batch: then theirs are probably there, too. Until they are, their producer has the lines.
    fn fetch_ahead(&mut self) {
        if self.batch == 1 || (self.read as usize) < self.batch {
            return;
        }
        let entries = &self.queue.inner.entries;
        let from = |position: u64| {
            let at = self.queue.index(position);
            &entries[at..entries.len().min(at + self.batch)]
        };
        self.fetched = self.next + 1;
        self.queue.inner.store.prefetch_values(from(self.next));
        self.queue.inner.store.prefetch_records(from(self.next + self.batch as u64));
    }

    /// Begins a batch, or has none.
    fn begin(&mut self, taken: Option<Delivery>) {
        let first = taken.map_or(self.end, |taken| taken.first);
        (self.acknowledged, self.finished, self.handed) = (first, first, first);
        self.end = taken.map_or(first, Delivery::end);
        (self.deliveries, self.until) = taken.map_or((0, NEVER), |taken| (taken.count, taken.until));
    }

    /// Returns how many deliveries the group's key has room for.
    fn room(&self) -> usize {
        (self.queue.inner.store.geometry().max_value_len as usize - GROUP_BYTES) / DELIVERY_BYTES
    }

    /// Acknowledges what is finished, and gives the `back` messages behind back, due at the store time `due`.
    fn settle(&mut self, back: u32, due: u64) -> Result<(), QueueError> {
        let (id, first) = (self.life.id, self.acknowledged);
        let done = (self.finished - first) as u32;
        self.release(back, |state| state.settle(id, first, done, back, due))
    }

    /// Changes the group's state, which ends the delivery of what is finished and of the `back` messages behind, unless
    /// the change finds that they are no longer this consumer's.
    fn release(&mut self, back: u32, end: impl Fn(&mut Group) -> bool) -> Result<(), QueueError> {
        if self.finished == self.acknowledged && back == 0 {
            return Ok(());
        }
        let (state, key, identity) = (&mut self.state, self.group.key(), self.queue.inner.record.identity);
        let change = |writer: &mut Writer| {
            writer.update(self.group, |old: Option<&[u8]>, new: &mut Vec<u8>| {
                old.and_then(|old| state.read(old, identity)).ok_or(QueueError::Damaged(key))?;
                if end(state) {
                    state.write(identity, new);
                    Ok(())
                } else {
                    Err(QueueError::Empty)
                }
            })
        };
        match again(&mut self.writer, change) {
            Ok(()) | Err(QueueError::Empty) => {}
            Err(QueueError::Store(Error::ValueTooLong)) => return Err(QueueError::TooManyDeliveries),
            Err(error) => return Err(self.queue.group_error(error)),
        }
        self.acknowledged = self.finished + u64::from(back);
        self.finished = self.acknowledged;
        if back > 0 {
            // Wakes the group's sleeping consumers. The message is back even if that fails.
            let next = self.queue.entry(self.state.next);
            let _ = splinter::retry(PATIENCE, || self.writer.bump(next));
        }
        Ok(())
    }

    /// Reads the group's state, and once in a while finds out which of its consumers in flight are dead.
    fn look(&mut self) -> Result<(), QueueError> {
        let bytes = splinter::retry(PATIENCE, || self.writer.get_vec(self.group));
        let bytes = bytes.map_err(|error| self.queue.group_error(error.into()))?;
        let state = self.state.read(&bytes, self.queue.inner.record.identity);
        state.ok_or_else(|| self.queue.group_error(QueueError::Damaged(self.group.key())))?;
        if self.is_look_due() {
            self.looked = Some(Instant::now());
            if self.queue.inner.record.timeout_ns != NEVER {
                note_time(&mut self.writer)?;
            }
            self.dead.clear();
            for Delivery { consumer, .. } in &self.state.deliveries {
                let is_other = ![NOBODY, self.life.id].contains(consumer) && !self.dead.contains(consumer);
                if is_other && is_dead(&self.writer, *consumer) {
                    self.dead.push(*consumer);
                }
            }
        }
        Ok(())
    }

    fn is_look_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL)
    }

    /// Reads up to `most` entries from a position on, as many as have their messages. Returns what the first has to say.
    fn read_entries(&mut self, first: u64, most: usize) -> Result<Seen, QueueError> {
        let (at, stride) = (self.queue.index(first), self.stride());
        let inner = &self.queue.inner;
        let most = most.min(self.batch).min(inner.entries.len() - at);
        let entries = &inner.entries[at..at + most];
        (self.first, self.read) = (first, 0);
        // What was asked for before comes one by one as fast as together, in fewer instructions.
        let is_fetched = first + 1 == self.fetched;
        if !is_fetched {
            inner.store.get_many(entries, &mut self.bytes, stride, &mut self.lens[..most]);
        }
        let mut before = Seen::Free;
        for (place, position) in (first..).take(most).enumerate() {
            let bytes = &mut self.bytes[place * stride..(place + 1) * stride];
            if is_fetched {
                self.lens[place] = inner.store.get(entries[place], bytes);
            }
            if self.lens[place] == Err(Error::Again) {
                self.lens[place] = splinter::retry(PATIENCE, || inner.store.get(entries[place], bytes));
            }
            let seen = match self.lens[place] {
                Ok(len) => header(&bytes[..len])
                    .map(|[number, identity]| self.queue.judge(position, number, identity)),
                Err(Error::NotFound) => Some(Err(QueueError::Removed)),
                Err(Error::BufferTooSmall { .. }) => None,
                Err(error) => Some(Err(error.into())),
            };
            match seen.unwrap_or_else(|| Err(self.queue.damaged(position))) {
                Ok(Seen::Message) => self.read += 1,
                // What comes before can be delivered all the same.
                _ if place > 0 => break,
                Ok(seen) => return Ok(seen),
                Err(error) => return Err(error),
            }
            before = Seen::Message;
        }
        self.wanted = (2 * self.read as usize).clamp(1, self.batch);
        Ok(before)
    }

    /// Returns a message that was handed out.
    fn message(&self, position: u64) -> Result<Message<'_>, QueueError> {
        let place = (position - self.first) as usize;
        let at = place * self.stride();
        let bytes = self.lens[place].ok().and_then(|len| self.bytes.get(at + HEADER..at + len));
        let bytes = bytes.ok_or_else(|| self.queue.damaged(position))?;
        Ok(Message { position, deliveries: self.deliveries, bytes })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.life.is_ours() {
            // If this fails, the lock that goes now shows that the messages are nobody's.
            let (id, first, room) = (self.life.id, self.acknowledged, self.room());
            let [done, handed] = [self.finished, self.handed].map(|end| (end - first) as u32);
            let left = (self.end - self.finished) as u32;
            let _ = self.release(left, |state| state.leave(id, first, done, handed, room));
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.group.key())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Changes the group's key, trying again while another consumer changes it.
fn again<T>(
    writer: &mut Writer,
    mut change: impl FnMut(&mut Writer) -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    let mut refused = None;
    let attempt = || match change(writer) {
        Err(QueueError::Store(error)) => Err(error),
        Err(error) => {
            refused = Some(error);
            Ok(None)
        }
        Ok(value) => Ok(Some(value)),
    };
    let done = splinter::retry(PATIENCE, attempt)?;
    done.ok_or_else(|| refused.unwrap_or(QueueError::Empty))
}
