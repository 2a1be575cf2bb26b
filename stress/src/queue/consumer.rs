//! The loop of a consumer process, which ends when everything was received or when it is killed, and its checks of each
//! message. It counts a message in the shared state before it acknowledges it, so its death makes no message look lost.

use super::faults::Fault;
use super::message::check;
use super::shared_state::{ProducerState, QueueState};
use splinter_queue::{Consumer, Message, QueueError};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

/// How long a consumer waits before it looks whether everything was received.
const LOOK: Duration = Duration::from_millis(50);

/// Receives until everything was received.
///
/// # Errors
/// The first error that no receive may have, in words.
pub(super) fn run(consumer: &mut Consumer, state: &QueueState, number: usize) -> Result<(), String> {
    let mut checker = Checker::new(state, number);
    let received = state.received_by(number);
    loop {
        let message = match consumer.try_recv() {
            Err(QueueError::Empty) => consumer.recv(Some(Instant::now() + LOOK)),
            message => message,
        };
        match message {
            Ok(Message { position, deliveries, bytes, .. }) => {
                checker.take(position, deliveries.into(), bytes);
                // This process alone counts here.
                received.store(received.load(Relaxed) + 1, Relaxed);
            }
            Err(QueueError::TimedOut) if state.is_drained() => return Ok(()),
            Err(QueueError::TimedOut) => {}
            Err(error) if error.is_temporary() => std::thread::yield_now(),
            Err(error) => return Err(format!("consumer {number}: a receive: {error}")),
        }
    }
}

/// What one consumer has received so far, by which it judges what comes next.
pub(super) struct Checker<'s> {
    state: &'s QueueState,
    number: usize,
    /// One more than the position of the last first delivery.
    next_position: u64,
    producers: Vec<Known<'s>>,
}

/// What a consumer knows of a producer. The counts only grow, so they are read again only when they would not do: every
/// send writes them.
struct Known<'s> {
    state: ProducerState<'s>,
    begun: u64,
    generation: u64,
    /// One more than the serial of the last first delivery.
    next_serial: u64,
}

impl Known<'_> {
    /// Tells whether a process of that generation had begun to send the message.
    fn has_begun(&mut self, generation: u64, serial: u64) -> bool {
        if serial >= self.begun || generation > self.generation {
            (self.begun, self.generation) = (self.state.begun(), self.state.generation());
        }
        serial < self.begun && generation <= self.generation
    }
}

impl<'s> Checker<'s> {
    /// Begins with nothing received.
    pub(super) fn new(state: &'s QueueState, number: usize) -> Self {
        let known = |state| Known { state, begun: 0, generation: 0, next_serial: 0 };
        Self { state, number, next_position: 0, producers: state.producers().map(known).collect() }
    }

    /// Checks and counts a message.
    pub(super) fn take(&mut self, position: u64, deliveries: u64, bytes: &[u8]) {
        if let Err((fault, text)) = self.judge(position, deliveries, bytes) {
            let text = format!("consumer {} at position {position}: {text}", self.number);
            self.state.fault(self.state.consumer(self.number), fault, &text);
        }
    }

    fn judge(&mut self, position: u64, deliveries: u64, bytes: &[u8]) -> Result<(), (Fault, String)> {
        let numbers = check(bytes).map_err(|flaw| {
            (Fault::Torn, format!("no producer wrote these {} bytes: {flaw:?}", bytes.len()))
        })?;
        let (producer, serial) = (numbers.producer, numbers.serial);
        let name = || format!("message {serial} of producer {producer}");
        let known = self.producers.get_mut(producer);
        let known = known.and_then(|known| known.has_begun(numbers.generation, serial).then_some(known));
        let Some(known) = known else {
            return Err((Fault::Invented, format!("{} was never sent", name())));
        };
        let times = self.state.receive(producer, serial);
        let deaths = self.state.deaths().load(Acquire);
        if times > deliveries || deliveries > deaths + 1 {
            let text = format!(
                "{} received {times} times, delivered {deliveries} times, {deaths} consumers died",
                name()
            );
            return Err((Fault::Duplicate, text));
        }
        if position < numbers.lowest {
            let before = numbers.lowest - 1;
            return Err((Fault::OutOfOrder, format!("{}, but the one before is at {before}", name())));
        }
        if deliveries > 1 {
            return Ok(());
        }
        let next = (self.next_position, known.next_serial);
        (self.next_position, known.next_serial) = (position + 1, serial + 1);
        if position < next.0 || serial < next.1 {
            let before = (next.0 - 1, next.1.max(1) - 1);
            let text = format!("{}, behind position {} and message {}", name(), before.0, before.1);
            return Err((Fault::OutOfOrder, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::FAULTS;
    use super::super::message::{Numbers, SHORTEST, fill};
    use super::*;

    fn message(producer: usize, generation: u64, serial: u64, lowest: u64) -> Vec<u8> {
        let mut bytes = vec![0; SHORTEST + 9];
        fill(&mut bytes, Numbers { producer, generation, serial, lowest });
        bytes
    }

    /// Shows two consumers messages of two producers, which have begun ten sends each in one process, after so many deaths of
    /// consumers. A message is its consumer, position, deliveries, producer, serial and lowest position.
    fn found(deaths: u64, messages: &[(usize, u64, u64, usize, u64, u64)]) -> [u64; FAULTS] {
        let state = QueueState::new(2, 2, 100).unwrap();
        for producer in state.producers() {
            producer.next_process();
            producer.begin(9);
        }
        state.deaths().store(deaths, Relaxed);
        let mut checkers = [0, 1].map(|number| Checker::new(&state, number));
        for &(consumer, position, deliveries, producer, serial, lowest) in messages {
            checkers[consumer].take(position, deliveries, &message(producer, 1, serial, lowest));
        }
        state.faults()
    }

    fn only(fault: Fault) -> [u64; FAULTS] {
        std::array::from_fn(|at| u64::from(at == fault as usize))
    }

    #[test]
    fn messages_in_order_are_no_fault_and_those_of_dead_consumers_may_come_again() {
        let sound = [(0, 0, 1, 0, 0, 0), (1, 1, 1, 1, 0, 0), (0, 2, 1, 0, 1, 1), (1, 5, 1, 1, 3, 2)];
        assert_eq!(found(0, &sound), [0; FAULTS]);
        // The third was received, not acknowledged, and delivered to the other.
        let again = [&sound[..], &[(1, 2, 2, 0, 1, 1), (1, 6, 1, 0, 2, 3)]].concat();
        assert_eq!(found(1, &again), [0; FAULTS]);
        // Its first consumer died before it received it.
        assert_eq!(found(1, &[(1, 2, 2, 0, 1, 1)]), [0; FAULTS]);
    }

    #[test]
    fn each_broken_promise_is_found_under_its_own_name() {
        let first = (0, 4, 1, 0, 3, 0);
        // Received twice, though delivered once; delivered twice, though nobody died.
        assert_eq!(found(5, &[first, (1, 5, 1, 0, 3, 0)]), only(Fault::Duplicate));
        assert_eq!(found(0, &[first, (1, 4, 2, 0, 3, 0)]), only(Fault::Duplicate));
        assert_eq!(found(1, &[first, (1, 4, 2, 0, 3, 0), (1, 4, 2, 0, 3, 0)]), only(Fault::Duplicate));
        // An earlier message of the producer; another producer's at an earlier position.
        assert_eq!(found(0, &[first, (0, 5, 1, 0, 2, 0)]), only(Fault::OutOfOrder));
        assert_eq!(found(0, &[first, (0, 3, 1, 1, 0, 0)]), only(Fault::OutOfOrder));
        // Another consumer got it, before the position of the message before.
        assert_eq!(found(0, &[first, (1, 5, 1, 0, 4, 6)]), only(Fault::OutOfOrder));
        // Sends that were not begun.
        assert_eq!(found(0, &[(0, 0, 1, 0, 10, 0)]), only(Fault::Invented));
        assert_eq!(found(0, &[(0, 0, 1, 2, 0, 0)]), only(Fault::Invented));
    }

    #[test]
    fn a_message_of_a_process_that_never_was_and_one_that_is_torn_are_found() {
        let state = QueueState::new(1, 1, 100).unwrap();
        state.producer(0).next_process();
        state.producer(0).begin(9);
        let mut checker = Checker::new(&state, 0);
        checker.take(0, 1, &message(0, 2, 0, 0));
        assert_eq!(state.faults(), only(Fault::Invented));
        let mut torn = message(0, 1, 0, 0);
        torn[20] ^= 1;
        checker.take(0, 1, &torn);
        assert_eq!(state.faults()[Fault::Torn as usize], 1);
        assert_eq!(state.receptions(0, 0), 0);
        assert!(state.fault_texts()[0].contains("was never sent"), "{:?}", state.fault_texts());
    }
}
