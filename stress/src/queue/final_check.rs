//! The last check, when no process lives any more: every message that was acknowledged to its producer was received, and the
//! queue counts as many as were.

use super::faults::{FAULTS, Fault};
use super::record::{QueuePlan, Totals};
use super::shared_state::QueueState;
use std::collections::HashSet;

/// Compares what was sent with what was received. `cut_off` has the sends that may have happened or not, by producer and
/// serial; `sent` is how many messages the queue counts.
pub(super) fn run(
    state: &QueueState,
    plan: &QueuePlan,
    cut_off: &HashSet<(usize, u64)>,
    sent: u64,
    totals: &mut Totals,
) {
    let fault = |fault, text: &str| state.fault(state.coordinator(), fault, text);
    for producer in state.producers() {
        for serial in 0..producer.begun() {
            let times = state.receptions(producer.number, serial);
            let is_cut_off = cut_off.contains(&(producer.number, serial));
            totals.received += u64::from(times > 0);
            totals.redelivered += times.saturating_sub(1);
            totals.kills.cut_off_and_received += u64::from(is_cut_off && times > 0);
            if times == 0 && !is_cut_off {
                fault(
                    Fault::Lost,
                    &format!("message {serial} of producer {} was never received", producer.number),
                );
            }
        }
    }
    let Totals { received, redelivered, kills, .. } = totals;
    // Anything else explains a difference.
    if sent != *received && state.faults() == [0; FAULTS] {
        let kind = if sent > *received { Fault::Lost } else { Fault::Invented };
        fault(kind, &format!("the queue counts {sent} messages, {received} were received"));
    }
    let most = kills.consumers * plan.batch;
    if *redelivered > most {
        let deaths = kills.consumers;
        let text =
            format!("{redelivered} messages came again, {most} at most after {deaths} deaths of consumers");
        fault(Fault::Duplicate, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::length::ValueLen;

    /// Checks a run of a producer that began four sends, the last of which was cut off. Each was received so many times.
    fn found(times: [u64; 4], sent: u64, consumers: u64) -> ([u64; FAULTS], Totals) {
        let state = QueueState::new(1, 1, 10).unwrap();
        state.producer(0).begin(3);
        for (serial, times) in times.into_iter().enumerate() {
            for _ in 0..times {
                state.receive(0, serial as u64);
            }
        }
        let plan = QueuePlan {
            producers: 1,
            consumers: 1,
            len: ValueLen::Fixed(64),
            capacity: 16,
            batch: 2,
            duration_ms: None,
            messages: None,
            kill_ms: None,
            seed: 1,
            plant: None,
        };
        let mut totals = Totals::default();
        totals.kills.consumers = consumers;
        run(&state, &plan, &HashSet::from([(0, 3)]), sent, &mut totals);
        (state.faults(), totals)
    }

    fn only(fault: Fault, count: u64) -> [u64; FAULTS] {
        std::array::from_fn(|at| if at == fault as usize { count } else { 0 })
    }

    #[test]
    fn a_send_that_was_cut_off_may_have_happened_or_not_and_any_other_must_have() {
        let (faults, totals) = found([1, 1, 1, 0], 3, 0);
        assert_eq!((faults, totals.received, totals.kills.cut_off_and_received), ([0; FAULTS], 3, 0));
        let (faults, totals) = found([1, 1, 1, 1], 4, 0);
        assert_eq!((faults, totals.received, totals.kills.cut_off_and_received), ([0; FAULTS], 4, 1));
        assert_eq!(found([1, 0, 1, 1], 3, 0).0, only(Fault::Lost, 1));
        assert_eq!(found([1, 1, 1, 0], 4, 0).0, only(Fault::Lost, 1), "the queue counts it");
        assert_eq!(found([1, 1, 1, 1], 3, 0).0, only(Fault::Invented, 1));
    }

    #[test]
    fn a_death_has_a_batch_delivered_again_and_no_more() {
        let (faults, totals) = found([2, 1, 2, 0], 3, 1);
        assert_eq!((faults, totals.redelivered), ([0; FAULTS], 2));
        assert_eq!(found([2, 2, 2, 0], 3, 1).0, only(Fault::Duplicate, 1));
        assert_eq!(found([2, 1, 1, 0], 3, 0).0, only(Fault::Duplicate, 1));
    }
}
