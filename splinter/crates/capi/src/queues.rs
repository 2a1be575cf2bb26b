//! Queues: handles of open queues, which any thread sends by, and of consumers. Both end with their store, too.
//!
//! Senders borrow a producer of the queue for the length of a call. So threads share a handle, and a child of a fork
//! makes producers of its own. A consumer is one thread's at a time, and never a child's.

use crate::args::{Handle, In, Out, Text};
use crate::errno::Failure;
use crate::fork::{CopyOnWrite, ForkMutex, back_off, generation};
use crate::handles::{self, Dependent, Entry};
use crate::objects::Objects;
use crate::shapes::{QueueMessage, QueueSnapshot, STARTS};
use crate::values::deadline;
use libc::{c_char, c_int, c_void};
use splinter::{Error, Store, StoreError};
use splinter_queue::{Consumer, Producer, Queue, QueueConfig, QueueError};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The most threads that send by one handle at once; more take turns.
const MAX_PRODUCERS: usize = 16;
/// The longest sleep of a wait before it checks whether the queue was closed.
const MAX_SLEEP: Duration = Duration::from_millis(100);

static QUEUES: Objects<OpenQueue> = Objects::new();
static CONSUMERS: Objects<OpenConsumer> = Objects::new();

/// A queue that was not closed.
struct OpenQueue {
    /// None once it is closed, so that it keeps no store open.
    queue: CopyOnWrite<Option<Queue>>,
    /// The serial number of its store.
    store: u64,
    max_len: usize,
    producers: ForkMutex<Producers>,
    closed: AtomicBool,
}

/// The producers of a queue that this process has.
#[derive(Default)]
struct Producers {
    /// The process that made them.
    process: u64,
    idle: Vec<Producer>,
    lent: usize,
}

/// A consumer that has not left its group.
struct OpenConsumer {
    /// None once the consumer has left, and in the child of a fork, if another thread was using it.
    consumer: ForkMutex<Option<Consumer>>,
    max_len: usize,
    closed: AtomicBool,
}

impl Dependent for OpenQueue {
    fn release(&self) {
        self.closed.store(true, Ordering::Release);
        QUEUES.forget(self);
        self.queue.change(|queue| *queue = None);
        drop(mem::take(&mut self.producers.lock().idle));
    }
}

impl Dependent for OpenConsumer {
    fn release(&self) {
        self.closed.store(true, Ordering::Release);
        CONSUMERS.forget(self);
        let consumer = self.consumer.lock().take();
        // Gives back what it has not finished.
        drop(consumer);
    }
}

/// A producer that a thread has borrowed for a call.
struct Lent<'q> {
    queue: &'q OpenQueue,
    producer: Option<Producer>,
}

impl OpenQueue {
    fn get(&self) -> Result<Queue, Failure> {
        self.queue.read(Option::clone).ok_or(Failure::CALLER)
    }

    /// Lends a producer. Returns none if other threads have as many as there can be.
    fn lend(&self, queue: &Queue) -> Result<Option<Lent<'_>>, QueueError> {
        let mut producers = self.producers.lock();
        if producers.process != generation() {
            // Those of a parent, which did nothing here.
            *producers = Producers { process: generation(), ..Producers::default() };
        }
        let producer = match producers.idle.pop() {
            Some(producer) => producer,
            None if producers.lent >= MAX_PRODUCERS => return Ok(None),
            None => match queue.producer() {
                Err(QueueError::Writer(StoreError::TooManyWriters { .. })) if producers.lent > 0 => {
                    return Ok(None);
                }
                producer => producer?,
            },
        };
        producers.lent += 1;
        Ok(Some(Lent { queue: self, producer: Some(producer) }))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut producers = self.queue.producers.lock();
        producers.lent = producers.lent.saturating_sub(1);
        // Acquire: after `release`, which found it lent, nobody would drop it.
        if !self.queue.closed.load(Ordering::Acquire) {
            producers.idle.extend(self.producer.take());
        }
    }
}

/// Calls `attempt` until it is done or the time is over, with the time until which it may wait: none if it must not.
fn wait<R>(
    timeout_ms: u64,
    closed: &AtomicBool,
    mut attempt: impl FnMut(Option<Instant>) -> Result<R, QueueError>,
) -> Result<R, Failure> {
    let end = deadline(timeout_ms);
    loop {
        if closed.load(Ordering::Acquire) {
            return Err(Failure::CALLER);
        }
        let next = Instant::now() + MAX_SLEEP;
        let until = end.map_or(next, |end| end.min(next));
        match attempt((timeout_ms > 0).then_some(until)) {
            Err(QueueError::TimedOut | QueueError::Store(Error::Again))
                if timeout_ms > 0 && end.is_none_or(|end| Instant::now() < end) =>
            {
                // Other threads may want what this one uses.
                back_off(u32::MAX);
            }
            Err(_) if closed.load(Ordering::Acquire) => return Err(Failure::CALLER),
            result => return Ok(result?),
        }
    }
}

/// Returns the name of a queue or group.
fn name(text: Text<'_>) -> Result<&str, Failure> {
    std::str::from_utf8(text.key()?).map_err(|_| Failure::ARGUMENT)
}

/// Adds an object that ends with its store. Returns its handle.
fn add<T: Dependent + 'static>(store: &Entry, objects: &Objects<T>, object: T) -> Result<Handle, Failure> {
    let object = Arc::new(object);
    let handle = objects.add(Arc::clone(&object));
    // Released already if the store was closed just now.
    store.attach(&object)?;
    Ok(handle)
}

/// Returns the handle of a queue that was opened.
fn opened(store: &Entry, queue: Queue) -> Result<Handle, Failure> {
    let max_len = queue.max_message_len();
    let (own, producers) = (CopyOnWrite::new(), ForkMutex::default());
    own.change(|place| *place = Some(queue));
    let closed = AtomicBool::new(false);
    add(store, &QUEUES, OpenQueue { queue: own, store: store.serial, max_len, producers, closed })
}

/// Returns a function that creates a queue by `make`, or opens it if that does.
pub(crate) fn create(
    make: impl Fn(&Store, &str, &QueueConfig) -> Result<Queue, QueueError>,
) -> impl Fn(&Entry, Text<'_>, u64, usize, u64) -> Result<Handle, Failure> {
    move |store, queue, capacity, max_message_len, timeout_ms| {
        let timeout = (timeout_ms != u64::MAX).then(|| Duration::from_millis(timeout_ms));
        let config = QueueConfig { capacity, max_message_len, timeout, ..QueueConfig::default() };
        opened(store, make(&store.store, name(queue)?, &config)?)
    }
}

pub(crate) fn open(store: &Entry, queue: Text<'_>) -> Result<Handle, Failure> {
    opened(store, Queue::open(&store.store, name(queue)?)?)
}

pub(crate) fn remove(store: &Entry, queue: Text<'_>) -> Result<c_int, Failure> {
    Queue::remove(&store.store, name(queue)?)?;
    Ok(0)
}

pub(crate) fn close(queue: Handle) -> Result<(), Failure> {
    QUEUES.remove(queue).map(|open| open.release())
}

pub(crate) fn send(
    queue: Handle,
    bytes: In<'_, c_void>,
    len: usize,
    timeout_ms: u64,
    position: Out<'_, u64>,
) -> Result<c_int, Failure> {
    let open = QUEUES.find(queue)?;
    // Check the length first: no slice is made of bytes that cannot be there.
    if len > open.max_len {
        bytes.bytes(0)?;
        return Err(Error::ValueTooLong.into());
    }
    let (message, queue) = (bytes.bytes(len)?, open.get()?);
    let mut lent = None;
    let sent = wait(timeout_ms, &open.closed, |until| {
        if lent.is_none() {
            lent = open.lend(&queue)?;
        }
        match (lent.as_mut().and_then(|lent| lent.producer.as_mut()), until) {
            (None, _) => Err(Error::Again.into()),
            (Some(producer), None) => producer.try_send(message),
            (Some(producer), until) => producer.send(message, until),
        }
    })?;
    position.put(sent);
    Ok(0)
}

/// Calls `act` with a queue that is open.
fn with_queue<R>(queue: Handle, act: impl FnOnce(&Queue) -> Result<R, QueueError>) -> Result<R, Failure> {
    Ok(act(&QUEUES.find(queue)?.get()?)?)
}

pub(crate) fn create_group(queue: Handle, group: Text<'_>, start: c_int) -> Result<c_int, Failure> {
    let group = name(group)?;
    let start = usize::try_from(start).ok().and_then(|start| STARTS.get(start));
    let (_, start) = start.ok_or(Failure::ARGUMENT)?;
    with_queue(queue, |queue| queue.create_group(group, *start))?;
    Ok(0)
}

pub(crate) fn drop_group(queue: Handle, group: Text<'_>) -> Result<c_int, Failure> {
    let group = name(group)?;
    with_queue(queue, |queue| queue.drop_group(group))?;
    Ok(0)
}

pub(crate) fn get_group(
    queue: Handle,
    index: usize,
    buf: Out<'_, c_char>,
    cap: usize,
) -> Result<c_int, Failure> {
    let buf = buf.required()?;
    let groups = with_queue(queue, Queue::groups)?;
    let group = groups.get(index).ok_or(Error::NotFound)?;
    if group.len() >= cap {
        return Err(Error::BufferTooSmall { needed: group.len() + 1 }.into());
    }
    buf.put_all(group.bytes().chain([0]).map(|byte| byte as c_char))?;
    Ok(0)
}

pub(crate) fn backlog(queue: Handle, group: Text<'_>, count: Out<'_, u64>) -> Result<c_int, Failure> {
    let (group, count) = (name(group)?, count.required()?);
    count.put(with_queue(queue, |queue| queue.backlog(group))?);
    Ok(0)
}

pub(crate) fn snapshot(queue: Handle, snapshot: Out<'_, QueueSnapshot>) -> Result<c_int, Failure> {
    let snapshot = snapshot.required()?;
    let found = with_queue(queue, |queue| {
        Ok(QueueSnapshot {
            capacity: queue.capacity(),
            max_len: queue.max_message_len() as u64,
            timeout_ms: queue
                .timeout()
                .map_or(u64::MAX, |timeout| timeout.as_nanos().div_ceil(1_000_000) as u64),
            sent: queue.sent()?,
            groups: queue.groups()?.len() as u64,
        })
    })?;
    snapshot.put(found);
    Ok(0)
}

pub(crate) fn join(queue: Handle, group: Text<'_>) -> Result<Handle, Failure> {
    let (open, group) = (QUEUES.find(queue)?, name(group)?);
    handles::with(open.store, |store| {
        let made = ForkMutex::default();
        *made.lock() = Some(open.get()?.consumer(group)?);
        let (max_len, closed) = (open.max_len, AtomicBool::new(false));
        add(store, &CONSUMERS, OpenConsumer { consumer: made, max_len, closed })
    })
}

pub(crate) fn leave(consumer: Handle) -> Result<(), Failure> {
    CONSUMERS.remove(consumer).map(|open| open.release())
}

/// Calls `act` with a consumer, once no other thread uses it.
fn with_consumer<R>(
    consumer: Handle,
    act: impl FnOnce(&mut Consumer) -> Result<R, QueueError>,
) -> Result<R, Failure> {
    let open = CONSUMERS.find(consumer)?;
    let mut held = open.consumer.lock();
    match held.as_mut() {
        Some(consumer) => Ok(act(consumer)?),
        None if open.closed.load(Ordering::Acquire) => Err(Failure::CALLER),
        // A fork interrupted its use.
        None => Err(Error::Forked.into()),
    }
}

pub(crate) fn recv(
    consumer: Handle,
    buf: Out<'_, c_void>,
    cap: usize,
    len: Out<'_, usize>,
    timeout_ms: u64,
    message: Out<'_, QueueMessage>,
) -> Result<c_int, Failure> {
    let open = CONSUMERS.find(consumer)?;
    let room = buf.bytes(cap.min(open.max_len))?;
    if cap < open.max_len {
        len.put(open.max_len);
        return Err(Error::BufferTooSmall { needed: open.max_len }.into());
    }
    let (received, about) = wait(timeout_ms, &open.closed, |until| {
        let mut held = open.consumer.lock();
        // None: a fork interrupted its use, or it was left just now.
        let consumer = held.as_mut().ok_or(Error::Forked)?;
        let got = match until {
            None => consumer.try_recv(),
            until => consumer.recv(until),
        }?;
        room[..got.bytes.len()].copy_from_slice(got.bytes);
        let about = QueueMessage { position: got.position, deliveries: got.deliveries, reserved: 0 };
        Ok((got.bytes.len(), about))
    })?;
    len.put(received);
    message.put(about);
    Ok(0)
}

pub(crate) fn ack(consumer: Handle) -> Result<c_int, Failure> {
    with_consumer(consumer, Consumer::ack)?;
    Ok(0)
}

pub(crate) fn nack(consumer: Handle, delay_ms: u64) -> Result<c_int, Failure> {
    with_consumer(consumer, |consumer| consumer.nack(Duration::from_millis(delay_ms)))?;
    Ok(0)
}

pub(crate) fn set_batch(consumer: Handle, messages: usize) -> Result<c_int, Failure> {
    if messages == 0 {
        return Err(Failure::ARGUMENT);
    }
    with_consumer(consumer, |consumer| {
        consumer.set_batch(messages);
        Ok(0)
    })
}

pub(crate) fn is_death_noticed(consumer: Handle) -> Result<c_int, Failure> {
    with_consumer(consumer, |consumer| Ok(consumer.is_death_noticed().into()))
}
