//! What the processes of a queue run share beside the store: how far each producer came, how often each of its messages
//! was received, and the faults that any process found. It outlives every process that is killed.

use super::faults::{FAULTS, Fault};
use splinter_harness::shared::{Layout, SharedState, SharedWords, store_and_wake, wait_while};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The words of all processes: the faults, whether to begin, whether everything was received, how many consumers were killed.
const GO: usize = FAULTS;
const DRAINED: usize = FAULTS + 1;
const DEATHS: usize = FAULTS + 2;
const GLOBAL_WORDS: usize = FAULTS + 3;

/// The words of a process: whether it is ready. Of a producer then: sends begun and acknowledged, how many processes it had,
/// the position behind its last acknowledged message. Of a consumer: messages received.
const READY: usize = 0;
const BEGUN: usize = 1;
const DONE: usize = 2;
const GENERATION: usize = 3;
const LOWEST: usize = 4;
const RECEIVED: usize = 1;
const CELL_WORDS: usize = 5;

/// Messages whose counters share a word.
const PER_WORD: u64 = 8;
/// The highest count.
const MOST: u64 = 0xff;

/// The state that the coordinator, the producers and the consumers share. Processes are numbered: first the producers, then
/// the consumers, then the coordinator.
#[derive(Debug)]
pub(super) struct QueueState {
    /// The stop flag, which producers obey, the words of all, and a cell and a message of each process.
    pub shared: SharedState,
    /// A byte for each message: how often it was received.
    received: SharedWords,
    /// How many messages each producer may send, and the word with the first of its bytes.
    room: Vec<u64>,
    firsts: Vec<u64>,
    consumers: usize,
}

impl QueueState {
    /// Makes the state of producers that send up to `messages` together.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(producers: u32, consumers: u32, messages: u64) -> std::io::Result<Self> {
        let count = u64::from(producers);
        let room: Vec<u64> = (0..count).map(|number| (messages + count - 1 - number) / count).collect();
        let mut words = 0;
        let mut firsts = Vec::new();
        for room in &room {
            firsts.push(words);
            words += room.div_ceil(PER_WORD);
        }
        let shared = SharedState::create(Layout {
            global_words: GLOBAL_WORDS,
            workers: room.len() + consumers as usize + 1,
            cell_words: CELL_WORDS,
            message_bytes: 500,
        })?;
        let received = SharedWords::create(words as usize)?;
        Ok(Self { shared, received, room, firsts, consumers: consumers as usize })
    }

    /// Counts a fault, and keeps the words of the first that this process found.
    pub(super) fn fault(&self, process: usize, fault: Fault, text: &str) {
        self.shared.global()[fault as usize].fetch_add(1, AcqRel);
        if self.shared.message(process).is_empty() {
            self.shared.publish(process, text.as_bytes());
        }
    }

    /// Returns how often each kind of fault was found.
    pub(super) fn faults(&self) -> [u64; FAULTS] {
        std::array::from_fn(|fault| self.shared.global()[fault].load(Acquire))
    }

    /// Returns, in words, the first fault that each process found.
    pub(super) fn fault_texts(&self) -> Vec<String> {
        let texts = (0..=self.coordinator()).map(|process| self.shared.message(process));
        let texts = texts.filter(|text| !text.is_empty());
        texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    /// Returns the number of the process that kills and judges.
    pub(super) fn coordinator(&self) -> usize {
        self.room.len() + self.consumers
    }

    /// Returns the number of the process that is a consumer.
    pub(super) fn consumer(&self, number: usize) -> usize {
        self.room.len() + number
    }

    /// Says that a process is ready, and waits until all begin.
    pub(super) fn wait_for_start(&self, process: usize) {
        self.shared.cell(process)[READY].store(1, Release);
        wait_while(&self.shared.global()[GO], 0, || false);
    }

    /// Tells whether a process was ready once.
    pub(super) fn is_ready(&self, process: usize) -> bool {
        self.shared.cell(process)[READY].load(Acquire) != 0
    }

    /// Has all processes begin.
    pub(super) fn start(&self) {
        store_and_wake(&self.shared.global()[GO], 1);
    }

    /// Tells the consumers that there is nothing left to receive.
    pub(super) fn end_consumers(&self) {
        self.shared.global()[DRAINED].store(1, Release);
    }

    /// Tells whether the consumers are to end.
    pub(super) fn is_drained(&self) -> bool {
        self.shared.global()[DRAINED].load(Acquire) != 0
    }

    /// Counts consumers that are killed, before each dies.
    pub(super) fn deaths(&self) -> &AtomicU64 {
        &self.shared.global()[DEATHS]
    }

    pub(super) fn producer(&self, number: usize) -> ProducerState<'_> {
        ProducerState { number, room: self.room[number], words: self.shared.cell(number) }
    }

    pub(super) fn producers(&self) -> impl Iterator<Item = ProducerState<'_>> {
        (0..self.room.len()).map(|number| self.producer(number))
    }

    /// Returns how many receptions a consumer has counted.
    pub(super) fn received_by(&self, consumer: usize) -> &AtomicU64 {
        &self.shared.cell(self.consumer(consumer))[RECEIVED]
    }

    /// Returns how many receptions all consumers have counted. A killed consumer may have missed its last.
    pub(super) fn received(&self) -> u64 {
        (0..self.consumers).map(|number| self.received_by(number).load(Relaxed)).sum()
    }

    /// Counts that a message was received. Returns how often it was by now, up to 255.
    pub(super) fn receive(&self, producer: usize, serial: u64) -> u64 {
        let (word, shift) = self.counter(producer, serial);
        let more = |word: u64| (word >> shift & MOST < MOST).then(|| word + (1 << shift));
        word.fetch_update(AcqRel, Relaxed, more).map_or(MOST, |before| (before >> shift & MOST) + 1)
    }

    /// Returns how often a message was received, up to 255.
    pub(super) fn receptions(&self, producer: usize, serial: u64) -> u64 {
        let (word, shift) = self.counter(producer, serial);
        word.load(Acquire) >> shift & MOST
    }

    /// Returns the word with a message's counter, and its place there.
    fn counter(&self, producer: usize, serial: u64) -> (&AtomicU64, u64) {
        let word = self.firsts[producer] + serial / PER_WORD;
        (&self.received.words()[word as usize], serial % PER_WORD * 8)
    }
}

/// One producer's words, which its processes hand on to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProducerState<'s> {
    /// The producer's number.
    pub number: usize,
    /// How many messages it may send.
    pub room: u64,
    words: &'s [AtomicU64],
}

impl ProducerState<'_> {
    /// Returns how many sends were begun.
    pub(super) fn begun(self) -> u64 {
        self.words[BEGUN].load(Acquire)
    }

    /// Returns how many processes there were.
    pub(super) fn generation(self) -> u64 {
        self.words[GENERATION].load(Acquire)
    }

    /// Returns the lowest position that the next message may have.
    pub(super) fn lowest(self) -> u64 {
        self.words[LOWEST].load(Acquire)
    }

    /// Counts a new process.
    pub(super) fn next_process(self) {
        self.words[GENERATION].fetch_add(1, AcqRel);
    }

    /// Notes that the send of the message with this serial begins.
    pub(super) fn begin(self, serial: u64) {
        self.words[BEGUN].store(serial + 1, Release);
    }

    /// Notes that the send of that message was acknowledged, with its position.
    pub(super) fn acknowledge(self, serial: u64, position: u64) {
        self.words[LOWEST].store(position + 1, Release);
        self.words[DONE].store(serial + 1, Release);
    }

    /// Returns the serial of the message whose send was cut off, if one was, once the process is dead. The next process goes
    /// on behind it.
    pub(super) fn settle(self) -> Option<u64> {
        let begun = self.begun();
        let done = self.words[DONE].swap(begun, AcqRel);
        (done < begun).then_some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_counter_of_its_own_which_does_not_overflow() {
        let state = QueueState::new(3, 2, 50).unwrap();
        assert_eq!(state.producers().map(|producer| producer.room).collect::<Vec<_>>(), [17, 17, 16]);
        let messages =
            || state.producers().flat_map(|it| (0..it.room).map(move |serial| (it.number, serial)));
        for (producer, serial) in messages() {
            assert_eq!(state.receive(producer, serial), 1);
        }
        for time in 2..=300 {
            assert_eq!(state.receive(1, 7), time.min(MOST));
        }
        for (producer, serial) in messages() {
            let expected = if (producer, serial) == (1, 7) { MOST } else { 1 };
            assert_eq!(state.receptions(producer, serial), expected, "{serial} of {producer}");
        }
    }

    #[test]
    fn a_send_that_was_cut_off_is_known_once_and_never_used_again() {
        let state = QueueState::new(1, 1, 10).unwrap();
        let producer = state.producer(0);
        producer.begin(0);
        producer.acknowledge(0, 4);
        assert_eq!((producer.settle(), producer.lowest()), (None, 5));
        producer.begin(1);
        assert_eq!((producer.settle(), producer.settle()), (Some(1), None));
        assert_eq!((producer.begun(), producer.lowest()), (2, 5));
    }

    #[test]
    fn the_first_fault_of_each_process_is_kept() {
        let state = QueueState::new(2, 1, 10).unwrap();
        for process in 0..=state.coordinator() {
            state.fault(process, Fault::Ended, &format!("first of {process}"));
            state.fault(process, Fault::Torn, "a later one");
        }
        state.deaths().fetch_add(9, Relaxed);
        state.start();
        state.end_consumers();
        assert_eq!(state.faults(), [0, 0, 0, 4, 0, 0, 0, 4]);
        assert_eq!(state.fault_texts(), [0, 1, 2, 3].map(|process| format!("first of {process}")));
    }
}
