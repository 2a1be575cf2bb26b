//! Whether a workload makes sense. Pure: asks neither the machine nor the store, so what passes here may still be
//! refused by them.

use super::{FIELDS, Workload};
use crate::choice::{KeyChoice, MOST_ZIPF_KEYS};
use crate::event_log::{Event, MAX_SIZE, words_for};
use crate::keys::Family;
use crate::mix::Op;
use crate::open_loop::Arrivals;
use crate::options::{Backing, Huge, Memory, Pin, Span};
use crate::proof::value::SHORTEST_ORDER;
use crate::proof::{value, vector};
use splinter::Tuning;

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
        refuse(self.operators() == 0, "nobody to run: give --writers or --readers at least 1".to_owned())?;
        FIELDS.iter().try_for_each(|field| field.check(self))?;
        refuse(
            self.watchers > 0 && self.writers == 0,
            "watchers see nothing without writers: give --writers at least 1".to_owned(),
        )?;
        refuse(
            !self.signal_groups().is_empty() && self.may_miss(),
            "a key that is removed leaves its signal groups: watch everything with --watch-all, \
             or leave out --evict, and unset from --mix"
                .to_owned(),
        )?;
        refuse(
            self.key_choice == KeyChoice::Own && keys < u64::from(self.writers),
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
            refuse(hot > keys, format!("hot:{hot} wants more keys than the {keys} there are: raise --keys"))?;
        }
        let pinned_own = self.key_choice == KeyChoice::Own && self.pin != Pin::None;
        refuse(
            self.memory == Memory::PerWriter && (self.writers == 0 || !pinned_own),
            "memory of a writer's keys lies where it runs: give --per-writer together with --writers, \
             --key-choice own and a --pin other than none"
                .to_owned(),
        )?;
        refuse(
            self.memory == Memory::PerWriter && self.removes_keys(),
            "a key that is removed leaves its place, and a new one may lie in another's: leave out --evict, \
             and unset, set_if and expire from --mix, or --per-writer"
                .to_owned(),
        )?;
        let needed = self.slots_needed();
        refuse(
            !self.evicts() && self.slots.is_some_and(|slots| slots < needed),
            format!("the keys take {needed} slots: raise --slots or lower --keys"),
        )?;
        self.validate_cache()?;
        refuse(
            self.max_value_len.is_some_and(|most| most < longest),
            format!("values of {longest} bytes do not fit: raise --max-value-len or shorten --value-len"),
        )?;
        let shortest = match () {
            () if self.mix.has(Op::Expire) => value::SHORTEST_TIMED,
            () if [Op::Tandem, Op::Update, Op::SetIf].iter().any(|op| self.mix.has(*op)) => SHORTEST_ORDER,
            () if self.mix.has(Op::Int) || self.mix.has(Op::Transaction) => 8,
            () => 0,
        } as u64;
        refuse(
            self.max_value_len.is_some_and(|most| most < shortest),
            format!("the operations of --mix write {shortest} bytes: raise --max-value-len"),
        )?;
        refuse(
            self.mix.has(Op::Append) && self.oracle && (self.value_len.shortest() as usize) < header,
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
            self.mix.has(Op::Tandem) && !(2..=splinter::MAX_ORDERS as u64).contains(&u64::from(self.orders)),
            format!("a tandem group has 2 to {} orders: change --orders", splinter::MAX_ORDERS),
        )?;
        refuse(
            matches!(self.span, Span::DurationMs(0) | Span::Ops(0)),
            "nothing to run: give --duration or --ops more than 0".to_owned(),
        )?;
        refuse(
            self.rate.is_none() && self.arrivals != Arrivals::Uniform,
            "a closed loop has no arrivals: give --rate, or leave out --arrivals".to_owned(),
        )?;
        self.validate_history()?;
        refuse(
            self.batch > 1 && (self.rate.is_some() || self.history.is_some()),
            "a rate starts, and a history has, single operations: give --batch 1, or leave out --rate and --history"
                .to_owned(),
        )?;
        self.tuning(Tuning::default()).check().map_err(|error| {
            format!("{error}: change --claim-patience, --back-off-pauses or --prefetch-depth")
        })?;
        let ledgers: u64 = (0..self.writers).map(|writer| self.writer_keys(writer).count() * 32).sum();
        refuse(
            self.oracle && ledgers > MAX_LEDGER_BYTES,
            format!(
                "the oracle would take {} GiB to remember what {} writers wrote to {keys} keys: \
                 lower --keys or --writers, choose \
                 --key-choice own, or give --no-oracle",
                ledgers >> 30,
                self.writers
            ),
        )
    }
}

impl Workload {
    /// Checks that the first values of all keys and a history fit into so many bytes of memory.
    ///
    /// # Errors
    /// One line that says what takes too much and which flag would put it right.
    pub(crate) fn check_memory(&self, available: u64) -> Result<(), String> {
        let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
        let refuse = |bytes: u128, what: &str, remedy: &str| {
            let (needed, free) = (gib(bytes), gib(available.into()));
            if bytes > available.into() {
                return Err(format!(
                    "{what} would take {needed:.1} GiB, and {free:.1} GiB of memory are free: {remedy}"
                ));
            }
            Ok(())
        };
        let keys = self.key_sets();
        let values = match self.backing {
            Backing::File(_) => 0,
            // These pages were set aside for them: the kernel does not count them as available.
            _ if self.huge_pages == Huge::Hugetlb => 0,
            _ => {
                let groups = u128::from(keys.of(Family::Group).end) * u128::from(self.orders);
                let others = [Family::Value, Family::Tally, Family::Chain, Family::Lease]
                    .map(|family| u128::from(keys.of(family).end));
                groups + others.iter().sum::<u128>()
            }
        };
        // At least: each key has a value, and each worker a buffer for one.
        let stored = (values + u128::from(self.operators())) * u128::from(self.value_len.shortest());
        refuse(stored, "the first values of all keys", "lower --keys or shorten --value-len")?;
        // Each operation is in its worker's log, and at the end in the history that is made of all logs.
        let each = self
            .history_share()
            .map_or(0, |each| words_for(each) as u128 * 8 + (each * size_of::<Event>()) as u128);
        let kept = each * u128::from(self.operators());
        refuse(stored + kept, "the history and the first values", "lower --history-limit")
    }

    /// Checks that a cache evicts, and that nothing relies on keys that it evicts.
    fn validate_cache(&self) -> Result<(), String> {
        let refuse = |wrong: bool, message: &str| if wrong { Err(message.to_owned()) } else { Ok(()) };
        if !self.evicts() {
            return Ok(());
        }
        refuse(
            self.slots.is_some_and(|slots| slots >= self.keys),
            "a cache with room for all keys evicts none: lower --slots or raise --keys",
        )?;
        refuse(
            Family::ALL.into_iter().any(|family| family != Family::Value && self.mix.uses(family)),
            "a sum is lost with an evicted key: leave all but get, set, append, vector, label and unset out of --mix, \
             or --evict",
        )?;
        refuse(
            self.history.is_some(),
            "a history does not have the evictions: leave out --history or --evict",
        )
    }

    /// Checks that a history can be kept: values must name their write, and sizes must fit.
    fn validate_history(&self) -> Result<(), String> {
        if self.history.is_none() {
            return Ok(());
        }
        if !self.oracle {
            return Err("a history needs values that name their write: leave out --no-oracle".to_owned());
        }
        let (shortest, longest) = (self.value_len.shortest(), self.value_len.longest());
        if self.mix.uses(Family::Value) && (shortest as usize) < SHORTEST_ORDER {
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

    #[test]
    fn nonsense_is_refused_in_one_line_that_names_a_flag() {
        for broken in [
            "writers=0 readers=0",
            "writers=1024",
            "keys=0",
            "writers=0 watchers=1",
            "watch_groups=65",
            "watchers=1 mix=set,unset",
            "keys=31",
            "memory=per-writer pin=none",
            "memory=per-writer key_choice=uniform",
            "memory=per-writer mix=set,unset",
            "memory=per-writer mix=set_if",
            "memory=per-writer mix=expire",
            "max_value_len=39 value_len=9 mix=expire",
            "max_value_len=15 value_len=9 mix=update",
            "max_value_len=7 value_len=5 mix=transaction",
            "key_choice=hot:5000",
            "keys=16777217 key_choice=zipf:0.99",
            "max_value_len=32",
            "evict=sieve mix=set,int",
            "evict=sieve slots=4096",
            "evict=lru watchers=1",
            "evict=lru history=9",
            "evict=lru memory=per-writer",
            "mix=append value_len=16",
            "mix=vector dim=2",
            "mix=tandem orders=1",
            "sample=0",
            "batch=0",
            "batch=257",
            "batch=2 rate=5",
            "prefetch_depth=0",
            "rate=0",
            "arrivals=poisson",
            "span=0s",
            "span=0ops",
            "history=0",
            "history=9 oracle=false",
            "history=9 value_len=1",
            "keys=100000000 key_choice=uniform",
        ] {
            let fields = broken.split(' ').map(|field| field.split_once('=').unwrap());
            let workload = fields
                .fold(Workload::default(), |workload, (name, text)| workload.with_field(name, text).unwrap());
            let error = workload.validate().unwrap_err();
            assert!(error.contains("--") && !error.contains('\n'), "{broken}: {error}");
        }
    }

    #[test]
    fn what_takes_more_memory_than_there_is_is_refused() {
        let refused = |workload: &Workload, free: u64| workload.check_memory(free).unwrap_err();
        let mut workload =
            Workload { writers: 1, readers: 1, history: Some(500_000_000), ..Workload::default() };
        let error = refused(&workload, 16 << 30);
        assert!(error.contains("--history-limit") && error.contains("16.0 GiB"), "{error}");
        // The history of a few operations takes little, unless a warm-up of any length is in it, too.
        workload.span = Span::Ops(5);
        assert_eq!(workload.check_memory(1 << 20), Ok(()));
        assert_eq!(workload.history_share(), Some(3 + 256));
        workload.warmup = "1s".parse().unwrap();
        refused(&workload, 16 << 30);
        workload.history = None;
        workload.value_len = "4294967232".parse().unwrap();
        assert!(refused(&workload, 1 << 40).contains("--value-len"));
        // In a file, and in huge pages that were set aside, there is room for them, but not in the workers.
        let in_file = Workload { backing: "file:x".parse().unwrap(), ..workload.clone() };
        let in_huge_pages = Workload { huge_pages: Huge::Hugetlb, ..workload };
        for workload in [in_file, in_huge_pages] {
            assert_eq!(workload.check_memory(16 << 30), Ok(()));
            refused(&workload, 4 << 30);
        }
    }
}
