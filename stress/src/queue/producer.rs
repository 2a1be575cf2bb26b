//! The loop of a producer process, which ends when all its messages are sent, when it is asked to, or when it is killed.
//! It notes the beginning and the acknowledgement of each send in the shared state, where its death cannot reach them.

use super::message::{Numbers, fill};
use super::record::{Plant, QueuePlan};
use super::shared_state::ProducerState;
use splinter_harness::rng::Rng;
use splinter_harness::shared::SharedState;
use splinter_queue::{Producer, QueueError};
use std::time::{Duration, Instant};

/// How long a send waits for room before the producer looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// The message at which a planted mistake is made.
const PLANTED_AT: u64 = 10;

/// Sends numbered messages.
pub(super) struct ProducerLoop<'s> {
    state: ProducerState<'s>,
    plan: &'s QueuePlan,
    rng: Rng,
    message: Vec<u8>,
}

impl<'s> ProducerLoop<'s> {
    /// Prepares the loop of a producer's next process. The same `seed` of the plan and `stream` draw the same lengths.
    pub(super) fn new(state: ProducerState<'s>, plan: &'s QueuePlan, stream: u64) -> Self {
        Self { state, plan, rng: Rng::new(plan.seed, stream), message: vec![0; plan.len.longest() as usize] }
    }

    /// Sends until there is no more to send, or `shared` says stop.
    ///
    /// # Errors
    /// The first error that no send may have, in words.
    pub(super) fn run(&mut self, producer: &mut Producer, shared: &SharedState) -> Result<(), String> {
        let mut serial = self.state.begun();
        while serial < self.state.room && !shared.is_stopped() {
            self.state.begin(serial);
            let position = match self.plan.plant.filter(|_| self.state.number == 0 && serial == PLANTED_AT) {
                None => self.send(producer, serial)?,
                Some(plant) => self.plant(producer, serial, plant)?,
            };
            self.state.acknowledge(serial, position);
            serial += 1;
        }
        Ok(())
    }

    /// Sends a message and returns its position.
    fn send(&mut self, producer: &mut Producer, serial: u64) -> Result<u64, String> {
        let len = self.fill(serial);
        self.deliver(producer, len)
    }

    /// Fills the buffer with a message and returns its length.
    fn fill(&mut self, serial: u64) -> usize {
        let len = self.plan.len.draw(&mut self.rng);
        let ProducerState { number, .. } = self.state;
        let (generation, lowest) = (self.state.generation(), self.state.lowest());
        fill(&mut self.message[..len], Numbers { producer: number, generation, serial, lowest });
        len
    }

    /// Sends what is in the buffer. A send that began is completed, since consumers make room until the last.
    fn deliver(&mut self, producer: &mut Producer, len: usize) -> Result<u64, String> {
        let message = &self.message[..len];
        // Without a look at the clock, as long as there is room.
        let mut sent = producer.try_send(message);
        loop {
            match sent {
                Ok(position) => return Ok(position),
                Err(error) if error.is_temporary() || matches!(error, QueueError::TimedOut) => {}
                Err(error) => return Err(format!("producer {}: a send: {error}", self.state.number)),
            }
            sent = producer.send(message, Some(Instant::now() + LOOK));
        }
    }

    /// Does what a broken queue would do with a message.
    fn plant(&mut self, producer: &mut Producer, serial: u64, plant: Plant) -> Result<u64, String> {
        match plant {
            Plant::Lose => Ok(self.state.lowest() - 1),
            Plant::Repeat => {
                self.send(producer, serial)?;
                self.send(producer, serial)
            }
            Plant::Swap => {
                // The next one will come once more.
                self.state.begin(serial + 1);
                self.send(producer, serial + 1)?;
                self.send(producer, serial)
            }
            Plant::Tear => {
                let len = self.fill(serial);
                self.message[len - 1] ^= 1;
                self.deliver(producer, len)
            }
        }
    }
}
