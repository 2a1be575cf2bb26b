//! Whether a workload makes sense. Pure: asks neither the machine nor the store, so what passes here may still be
//! refused by them.

use super::Workload;
use crate::choice::{KeyChoice, MOST_ZIPF_KEYS};
use crate::history::event_log::MAX_SIZE;
use crate::keys::MAX_KEYS;
use crate::mix::Op;
use crate::options::{Memory, Pin, Span};
use crate::oracle::{value, vector};
use crate::pace::Arrivals;
use crate::target::MOST_BATCHED;
use crate::worker::writer::SHORTEST_ORDER;
use splinter::Tuning;

/// Most writers of one run: as many as a store has lanes at most.
const MAX_WRITERS: u32 = 1023;
/// Most readers of one run.
const MAX_READERS: u32 = 4096;
/// Signal groups of a store.
const MOST_GROUPS: u8 = 64;
/// Operations per second that can be asked for: more than any machine does, few enough to plan.
const MOST_RATE: u64 = 1_000_000_000_000;
/// Operations that a history can have: half a billion take 24 GB.
const MOST_HISTORY: u64 = 500_000_000;
/// Memory that the ledgers of all writers may take.
const MAX_LEDGER_BYTES: u64 = 4 << 30;

impl Workload {
    /// Checks that the workload makes sense.
    ///
    /// # Errors
    /// One line that says what is wrong and which flag would put it right.
    pub fn validate(&self) -> Result<(), String> {
        let refuse = |wrong: bool, message: String| if wrong { Err(message) } else { Ok(()) };
        let keys = self.keys;
        let longest = u64::from(self.value_len.longest());
        let header = value::HEADER;
        refuse(
            self.operators() == 0,
            "nobody to run: give --writers or --readers at least 1".to_owned(),
        )?;
        refuse(
            self.writers > MAX_WRITERS || self.readers > MAX_READERS || self.watchers > MAX_READERS,
            format!(
                "too many workers: give --writers at most {MAX_WRITERS}, --readers and --watchers \
                 at most {MAX_READERS}"
            ),
        )?;
        refuse(
            self.watchers > 0 && self.writers == 0,
            "watchers hear nothing without writers: give --writers at least 1".to_owned(),
        )?;
        refuse(
            self.watch_groups == 0 || self.watch_groups > MOST_GROUPS,
            format!("a store has {MOST_GROUPS} signal groups: give --watch-groups from 1 to that"),
        )?;
        refuse(
            !self.signal_groups().is_empty() && self.may_miss(),
            "a key that is removed leaves its signal groups: watch everything with --watch-all, \
             or leave unset out of --mix"
                .to_owned(),
        )?;
        refuse(
            keys == 0 || keys > MAX_KEYS,
            format!("{keys} keys: give --keys from 1 to {MAX_KEYS}"),
        )?;
        refuse(
            self.key_choice == KeyChoice::Lanes && keys < u64::from(self.writers),
            format!(
                "{keys} keys cannot give {} writers one each: raise --keys or choose \
                 --key-choice uniform",
                self.writers
            ),
        )?;
        refuse(
            matches!(self.key_choice, KeyChoice::Zipf(_)) && keys > MOST_ZIPF_KEYS,
            format!("zipf draws from {MOST_ZIPF_KEYS} keys at most: lower --keys"),
        )?;
        if let KeyChoice::Hot(hot) = self.key_choice {
            refuse(
                hot > keys,
                format!("hot:{hot} wants more keys than the {keys} there are: raise --keys"),
            )?;
        }
        let pinned_lanes = self.key_choice == KeyChoice::Lanes && self.pin != Pin::None;
        refuse(
            self.memory == Memory::PerLane && (self.writers == 0 || !pinned_lanes),
            "memory of a lane lies where its writer runs: give --per-lane together with --writers, \
             --key-choice lanes and a --pin other than none"
                .to_owned(),
        )?;
        refuse(
            self.memory == Memory::PerLane && self.may_miss(),
            "a key that is removed leaves its place, and a new one may lie in another's: leave unset \
             out of --mix, or --per-lane"
                .to_owned(),
        )?;
        let needed = self.slots_needed();
        refuse(
            self.slots.is_some_and(|slots| slots < needed),
            format!("the keys take {needed} slots: raise --slots or lower --keys"),
        )?;
        refuse(
            self.max_value_len.is_some_and(|most| most < longest),
            format!(
                "values of {longest} bytes do not fit: raise --max-value-len or shorten --value-len"
            ),
        )?;
        refuse(
            self.mix.has(Op::Append)
                && self.oracle
                && (self.value_len.shortest() as usize) < header,
            format!(
                "append with the oracle needs values of {header} bytes or more: raise --value-len \
                 or give --no-oracle"
            ),
        )?;
        refuse(
            self.mix.has(Op::Vector) && self.geometry().vector_dim < vector::MIN_DIM,
            format!("vectors need --dim {} or more", vector::MIN_DIM),
        )?;
        refuse(
            self.mix.has(Op::Tandem)
                && !(2..=splinter::MAX_ORDERS as u64).contains(&u64::from(self.orders)),
            format!(
                "a tandem group has 2 to {} orders: change --orders",
                splinter::MAX_ORDERS
            ),
        )?;
        refuse(
            self.sample == 0,
            "--sample 0 times nothing: give 1 or more, or --no-histogram".to_owned(),
        )?;
        refuse(
            matches!(self.span, Span::DurationMs(0) | Span::Ops(0)),
            "nothing to run: give --duration or --ops more than 0".to_owned(),
        )?;
        refuse(
            self.rate
                .is_some_and(|rate| !(1..=MOST_RATE).contains(&rate)),
            format!("no rate to start operations at: give --rate from 1 to {MOST_RATE}"),
        )?;
        refuse(
            self.rate.is_none() && self.arrivals != Arrivals::Uniform,
            "a closed loop has no arrivals: give --rate, or leave out --arrivals".to_owned(),
        )?;
        self.validate_history()?;
        self.validate_batch()?;
        self.tuning(Tuning::default()).check().map_err(|error| {
            format!("{error}: change --claim-patience, --back-off-pauses or --prefetch-depth")
        })?;
        let ledgers: u64 = (0..self.writers)
            .map(|writer| self.writer_keys(writer).count() * 32)
            .sum();
        refuse(
            self.oracle && ledgers > MAX_LEDGER_BYTES,
            format!(
                "the oracle would take {} GiB to remember what {} writers wrote to {keys} keys: \
                 lower --keys or --writers, choose \
                 --key-choice lanes, or give --no-oracle",
                ledgers >> 30,
                self.writers
            ),
        )
    }
}

impl Workload {
    /// Checks that values can be got many at once: whoever starts or records single operations cannot.
    fn validate_batch(&self) -> Result<(), String> {
        let batch = self.batch;
        if batch == 0 || batch as usize > MOST_BATCHED {
            return Err(format!(
                "{batch} values in one call: give --batch from 1 to {MOST_BATCHED}"
            ));
        }
        if batch > 1 && (self.rate.is_some() || self.history.is_some()) {
            return Err(
                "a rate starts, and a history has, single operations: give --batch 1, or leave out --rate and --history"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Checks that a history can be kept: values must name their write, and sizes must fit.
    fn validate_history(&self) -> Result<(), String> {
        let Some(limit) = self.history else {
            return Ok(());
        };
        if limit == 0 || limit > MOST_HISTORY {
            return Err(format!(
                "a history of {limit} operations: give --history-limit from 1 to {MOST_HISTORY}"
            ));
        }
        if !self.oracle {
            return Err(
                "a history needs values that name their write: leave out --no-oracle".to_owned(),
            );
        }
        let (shortest, longest) = (self.value_len.shortest(), self.value_len.longest());
        if self.mix.uses_values() && (shortest as usize) < SHORTEST_ORDER {
            return Err(format!(
                "values of {shortest} bytes cannot name their write: give --value-len {SHORTEST_ORDER} or \
                 more, or leave out --history"
            ));
        }
        if u64::from(longest) > MAX_SIZE {
            return Err(format!(
                "values of {longest} bytes have no room in a history: give --value-len {MAX_SIZE} or less"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::length::ValueLen;
    use crate::mix::Mix;

    #[test]
    fn nonsense_is_refused_in_one_line_that_names_a_flag() {
        let base = Workload::default;
        let mix = |text: &str| text.parse::<Mix>().unwrap();
        let broken = [
            Workload {
                writers: 0,
                readers: 0,
                ..base()
            },
            Workload {
                writers: MAX_WRITERS + 1,
                ..base()
            },
            Workload { keys: 0, ..base() },
            Workload {
                writers: 0,
                watchers: 1,
                ..base()
            },
            Workload {
                watch_groups: 65,
                ..base()
            },
            Workload {
                watchers: 1,
                mix: mix("set,unset"),
                ..base()
            },
            Workload { keys: 31, ..base() },
            Workload {
                memory: Memory::PerLane,
                pin: Pin::None,
                ..base()
            },
            Workload {
                memory: Memory::PerLane,
                key_choice: KeyChoice::Uniform,
                ..base()
            },
            Workload {
                memory: Memory::PerLane,
                mix: mix("set,unset"),
                ..base()
            },
            Workload {
                key_choice: KeyChoice::Hot(5000),
                ..base()
            },
            Workload {
                keys: MOST_ZIPF_KEYS + 1,
                key_choice: KeyChoice::Zipf(0.99),
                ..base()
            },
            Workload {
                max_value_len: Some(32),
                ..base()
            },
            Workload {
                mix: mix("append"),
                value_len: ValueLen::Fixed(16),
                ..base()
            },
            Workload {
                mix: mix("vector"),
                dim: Some(2),
                ..base()
            },
            Workload {
                mix: mix("tandem"),
                orders: 1,
                ..base()
            },
            Workload {
                sample: 0,
                ..base()
            },
            Workload { batch: 0, ..base() },
            Workload {
                batch: 257,
                ..base()
            },
            Workload {
                batch: 2,
                rate: Some(5),
                ..base()
            },
            Workload {
                prefetch_depth: Some(0),
                ..base()
            },
            Workload {
                rate: Some(0),
                ..base()
            },
            Workload {
                arrivals: Arrivals::Poisson,
                ..base()
            },
            Workload {
                span: Span::Ops(0),
                ..base()
            },
            Workload {
                keys: 100_000_000,
                key_choice: KeyChoice::Uniform,
                ..base()
            },
        ];
        for workload in broken {
            let error = workload.validate().unwrap_err();
            assert!(error.contains("--") && !error.contains('\n'), "{error}");
        }
    }
}
