//! The table of a workload's fields. A new field is one entry here: type, default, documentation, flags, limits.

use super::field::Takes::{Maybe, Nothing, Value};
use super::field::{Flag, Text, fields};
use crate::choice::KeyChoice;
use crate::keys::MAX_KEYS;
use crate::length::ValueLen;
use crate::mix::Mix;
use crate::open_loop::Arrivals;
use crate::options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
use crate::target::MOST_BATCHED;
use serde::{Deserialize, Serialize};
use splinter::{Eviction, Scrub};

/// Operations that a history has room for by default.
pub(crate) const HISTORY_LIMIT: u64 = 4_000_000;

const WORKLOAD: &str = "Workload";
const RATE: &str = "Rate";
const LENGTH: &str = "Length";
const PLACEMENT: &str = "Placement";
const TUNING: &str = "Tuning";
const STORE: &str = "Store";
const OBSERVER: &str = "Observer";

/// A flag that takes nothing and gives a field one value.
macro_rules! switch {
    ($name:literal, $help:literal, $field:ident = $value:expr $(, $rule:ident $flags:expr)?) => {
        Flag {
            $($rule: &$flags,)?
            ..Flag::new(
                $name,
                $help,
                Nothing,
                |workload, _| {
                    workload.$field = $value;
                    Ok(())
                },
                |workload| (workload.$field == $value).print(),
            )
        }
    };
}

fields! {
    /// A workload. Every field is in the record, and in a workload file, under its own name; one that is missing there is
    /// as by default.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    pub struct Workload;

    /// Scrub level of the store: none, hybrid or full; all stands for one run of each.
    #[serde(with = "super::store_word")]
    #[schemars(with = "String")]
    scrub: Scrub = Scrub::default(), WORKLOAD, takes: Value("LIST"),
        list: Some("Scrub levels, one after the other: a list of none, hybrid, full; or all");

    /// Workers that write.
    writers: u32 = 32, WORKLOAD, takes: Value("N"), limits: (0, 1023),
        list: Some("Numbers of writers, as in 1,2,4");

    /// Workers that only read.
    readers: u32 = 32, WORKLOAD, takes: Value("N"), limits: (0, 4096),
        list: Some("Numbers of readers");

    /// Workers that watch every change and read what changed; they come behind the readers.
    watchers: u32 = 0, WORKLOAD, takes: Value("N"), limits: (0, 4096);

    /// Signal groups that the keys are dealt over, in turn; every watcher watches all of them.
    watch_groups: u8 = 1, WORKLOAD, flags: Some(&[Flag::new(
        "watch_groups",
        "Signal groups that the keys are dealt over; every watcher watches all of them",
        Value("N"),
        |workload, text| {
            workload.watch_all = false;
            Text::parse(text).map(|groups| workload.watch_groups = groups)
        },
        |workload| workload.watch_groups.print().filter(|_| !workload.watch_all),
    )]), limits: (1, 64);

    /// Watches the whole store instead of groups; keys are in no group.
    watch_all: bool = false, WORKLOAD, flags: Some(&[
        switch!("watch_all", "Watches the whole store instead of groups", watch_all = true, conflicts ["watch_groups"]),
    ]);

    /// What a worker is: threads or processes.
    workers: Workers = Workers::Threads, WORKLOAD, takes: Value("KIND");

    /// Keys that hold values.
    keys: u64 = 4096, WORKLOAD, takes: Value("N"), example: Some("20000, 20k or 1M"), limits: (1, MAX_KEYS);

    /// Bytes of a value: 64, 16..256 (any of these) or 64,256,4096 (one of these).
    value_len: ValueLen = ValueLen::Fixed(64), WORKLOAD, takes: Value("LEN"),
        list: Some("Value sizes, as in 64,16..256; with slashes where one has commas: 64,4096/1024");

    /// How keys are chosen: own (each writer its own), uniform, zipf:THETA, hot:K or single.
    key_choice: KeyChoice = KeyChoice::Own, WORKLOAD, takes: Value("CHOICE"),
        list: Some("Key choices, as in own,uniform,zipf:0.99,hot:16,single");

    /// What writers do, with weights: get, set, append, int, tandem, vector, label, unset,
    /// transaction, update, set_if, expire, as in set=90,get=10.
    mix: Mix = Mix::default(), WORKLOAD, takes: Value("MIX");

    /// Orders of a tandem group.
    orders: u32 = 3, WORKLOAD, takes: Value("N");

    /// Values that a reader gets in one call.
    batch: u32 = 1, WORKLOAD, takes: Value("N"), limits: (1, MOST_BATCHED as u64);

    /// Starts so many operations per second, writers and readers together, however long they take: an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u64> = None, RATE, takes: Value("N"), example: Some("50k or 1M"),
        // More than any machine does, few enough to plan.
        limits: (1, 1_000_000_000_000), unset: Some("each worker starts the next one when the last has returned");

    /// How the starts at a rate follow each other: uniform or poisson.
    arrivals: Arrivals = Arrivals::Uniform, RATE, takes: Value("KIND");

    /// When the run ends: { duration_ms = N }, or { ops = N } completed operations, all workers together.
    span: Span = Span::DurationMs(5_000), LENGTH, flags: Some(&[
        Flag::new(
            "duration",
            "How long each run is measured, as in 500ms, 5s or 2m",
            Value("SPAN"),
            |workload, text| Span::parse_duration(text).map(|span| workload.span = span),
            |workload| matches!(workload.span, Span::DurationMs(_)).then(|| workload.span.to_string()),
        ),
        Flag {
            conflicts: &["duration"],
            ..Flag::new(
                "ops",
                "Completed operations instead of a duration, all workers together",
                Value("N"),
                |workload, text| Text::parse(text).map(|ops| workload.span = Span::Ops(ops)),
                |workload| if let Span::Ops(ops) = workload.span { ops.print() } else { None },
            )
        },
    ]);

    /// What is run before: auto (until goodput is steady; nothing with ops) or a span, as in 500ms.
    warmup: Warmup = Warmup::Auto, LENGTH, takes: Value("SPAN");

    /// Where workers run: none, compact, scatter, node:N, llc:N (a last-level cache), per-node, per-llc, per-core or
    /// processors as in 0-3,8.
    pin: Pin = Pin::Scatter, PLACEMENT, takes: Value("WHERE"),
        list: Some("Placements, as for 'run'; with slashes where one has commas: 0-3,8/none");

    /// Where readers and watchers run.
    pin_readers: Option<Pin> = None, PLACEMENT, takes: Value("WHERE"), unset: Some("behind the writers");

    /// Where the store's memory is: local, node:N, interleave or per-writer.
    memory: Memory = Memory::Local, PLACEMENT, flags: Some(&[
        Flag {
            conflicts: &["interleave"],
            ..Flag::new(
                "node",
                "NUMA node of the store's memory",
                Value("N"),
                |workload, text| Text::parse(text).map(|node| workload.memory = Memory::Node(node)),
                |workload| if let Memory::Node(node) = workload.memory { node.print() } else { None },
            )
        },
        switch!("interleave", "Spreads the store's memory over all NUMA nodes", memory = Memory::Interleave),
        switch!("per_writer", "Has each writer's keys on the node that it runs on", memory = Memory::PerWriter, conflicts ["node", "interleave"]),
    ]);

    /// Asks for huge pages: advise, collapse, hugetlb or off.
    huge_pages: Huge = Huge::Off, PLACEMENT, takes: Maybe("HOW", "collapse");

    /// Counts a run that was not placed as asked.
    allow_misplacement: bool = false, PLACEMENT, takes: Nothing;

    /// Looks at another writer's claim before it is asked whether that one lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_patience: Option<u32> = None, TUNING, takes: Value("N"), unset: Some("the current value, 32");

    /// Most pauses between two tries of an integer operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    back_off_pauses: Option<u32> = None, TUNING, takes: Value("N"), unset: Some("the current value, 1024");

    /// How long a watcher spins before it sleeps, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    spin_ns: Option<u64> = None, TUNING, takes: Value("NANOSECONDS"), unset: Some("the current value, 10000");

    /// Keys of a batch that are fetched from memory together, 1 to 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch_depth: Option<u32> = None, TUNING, takes: Value("N"), unset: Some("the current value, 32");

    /// Slots of the store.
    slots: Option<u64> = None, STORE, takes: Value("N"), unset: Some("as many as the keys need, or a cache half of the keys");

    /// Longest value of the store in bytes.
    max_value_len: Option<u64> = None, STORE, takes: Value("BYTES"), unset: Some("as long as the workload needs");

    /// Vector dimension.
    dim: Option<u32> = None, STORE, takes: Value("N"), unset: Some("768 where the mix has vectors, else 0");

    /// Which key a full store evicts for a new one: expired, sieve or lru; the last two make it a cache, by default with
    /// slots for half of the keys.
    #[serde(with = "super::store_word")]
    #[schemars(with = "String")]
    evict: Eviction = Eviction::Expired, STORE, takes: Value("POLICY");

    /// Where the store lives: anonymous, shared:NAME or file:PATH; it is removed afterwards.
    backing: Backing = Backing::Anonymous, STORE, takes: Value("WHERE");

    /// Seed of all random choices.
    seed: u64 = 1, WORKLOAD, takes: Value("N");

    /// Operations of which a history is kept and checked, all workers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<u64> = None, OBSERVER, flags: Some(&[
        Flag::new(
            "history",
            "Keeps a history of all operations and checks that it is linearizable; writes it to a file, if one is given",
            Maybe("FILE", ""),
            |workload, _| {
                workload.history.get_or_insert(HISTORY_LIMIT);
                Ok(())
            },
            |workload| workload.history.map(|_| String::new()),
        ),
        Flag {
            default: Some("4M"),
            requires: Some("history"),
            ..Flag::new(
                "history_limit",
                "Operations that a history has room for, all workers together; the run ends when it is full",
                Value("N"),
                |workload, text| Text::parse(text).map(|limit| workload.history = limit),
                |workload| workload.history.print(),
            )
        },
    ]), // Half a billion take 24 GB.
        limits: (1, 500_000_000), unset: Some("none is");

    /// Of how many attempts one is timed.
    sample: u32 = 1, OBSERVER, takes: Value("N"), limits: (1, u64::MAX);

    /// Whether latencies are recorded.
    histogram: bool = true, OBSERVER, flags: Some(&[
        switch!("no_histogram", "Leaves latencies unrecorded", histogram = false),
        switch!("histogram", "Records latencies, though the file of --workload says not to", histogram = true, overrides ["no_histogram"]),
    ]);

    /// Whether values prove themselves and the end is compared with what was acknowledged.
    oracle: bool = true, OBSERVER, flags: Some(&[
        switch!("no_oracle", "Leaves values unchecked", oracle = false),
        switch!("oracle", "Checks values, though the file of --workload says not to", oracle = true, overrides ["no_oracle"]),
    ]);
}
