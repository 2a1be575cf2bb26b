//! Collects the history of a run: what was in the store before the first operation, the workers' event logs, and what was in
//! the store after the last operation.

use super::objects::{Objects, UNKNOWN, name, text};
use super::{AFTER, BEFORE, Event, History, ObjectKind, OpKind};
use crate::event_log::EventLog;
use crate::keys::{self, Family};
use crate::proof::accounts;
use crate::proof::value::{self, PREFILL};
use crate::proof::vector;
use crate::shared_state::SharedState;
use crate::target::{Miss, Reads};
use crate::workload::Workload;
use splinter::{Error, Store};

/// The slot, epoch and length of each value before the first operation, and of each link of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    values: Vec<(u32, u64, u32)>,
    chains: Vec<(u32, u64, u32)>,
}

impl Before {
    /// Reads every value of a filled store.
    ///
    /// # Errors
    /// One line if one of them is not there.
    pub(crate) fn look(workload: &Workload, store: &Store) -> Result<Self, String> {
        let value = |family, index| {
            let key = keys::name(family, index);
            let len = u32::try_from(store.value_len(key)?).unwrap_or(u32::MAX);
            Ok((store.resolve(key)?.slot(), store.epoch(key)?, len))
        };
        let all = |family| {
            let values = workload.key_sets().of(family).map(|index| value(family, index));
            let values: Result<_, Error> = values.collect();
            values.map_err(|error| format!("a value is not there: {error}"))
        };
        Ok(Self { values: all(Family::Value)?, chains: all(Family::Chain)? })
    }
}

/// Collects the history of a run, of the objects that it used. No process may still write.
#[must_use]
pub(crate) fn collect(
    workload: &Workload,
    before: &Before,
    shared: &SharedState,
    store: &impl Reads,
    cycle_ns: f64,
) -> History {
    let objects = Objects::new(workload);
    let logs: Vec<_> = (0..workload.operators()).filter_map(|at| shared.event_log(at)).collect();
    let recorded = || logs.iter().flat_map(EventLog::events);
    let mut touched = vec![false; objects.all().count()];
    for event in recorded() {
        if let Some(touched) = touched.get_mut(event.key as usize) {
            *touched = true;
        }
    }
    let mut buffers = Buffers::new(workload);
    let mut names = Vec::new();
    let (mut ends, mut unread) = (Vec::new(), Vec::new());
    for (number, (kind, family, index)) in (0..).zip(objects.all()) {
        // An object that was not used needs no name.
        let touched = touched[number as usize];
        names.push((kind, if touched { text(family, index) } else { String::new() }));
        if touched {
            let blank = Event { key: number, ..Event::default() };
            ends.extend(first(kind, (family, index), before, blank));
            match last(kind, (family, index), store, &mut buffers, blank) {
                Ok(read) => ends.extend(read),
                Err(miss) => unread.push(format!(
                    "{} cannot be read after the last operation: {miss:?}",
                    text(family, index)
                )),
            }
        }
    }
    let known = |event: &Event| (event.key as usize) < names.len();
    let all = recorded().chain(ends.iter().copied()).filter(known);
    History { unread, ..History::new(names.clone(), cycle_ns, all) }
}

/// Returns what the object held before the first operation.
fn first(kind: ObjectKind, (family, index): (Family, u64), before: &Before, blank: Event) -> Option<Event> {
    let seq = u64::from(family != Family::Chain);
    let filled = Event { worker: BEFORE, id: super::id(PREFILL, seq), ..blank };
    match kind {
        // Nobody holds it.
        ObjectKind::Value if family == Family::Lock => None,
        ObjectKind::Value => {
            let values = if family == Family::Chain { &before.chains } else { &before.values };
            let &(slot, epoch, len) = values.get(usize::try_from(index).ok()?)?;
            Some(Event { op: OpKind::Set, slot, epoch, ..filled.sized(len, len) })
        }
        ObjectKind::Counter => Some(Event { op: OpKind::Set, id: 0, ..filled }),
        ObjectKind::Group => Some(Event { op: OpKind::Write, ..filled }),
        ObjectKind::Vector if family == Family::Lease => Some(Event { op: OpKind::Write, ..filled }),
        // No vector at all.
        ObjectKind::Vector => None,
    }
}

/// The buffers of the last reads.
struct Buffers {
    value: Vec<u8>,
    vector: Vec<f32>,
    orders: Vec<Vec<u8>>,
    accounts: [Vec<u8>; accounts::KEYS],
}

impl Buffers {
    fn new(workload: &Workload) -> Self {
        Self {
            value: vec![0; workload.buffer_len()],
            vector: vec![0.0; workload.geometry().vector_dim as usize],
            orders: vec![Vec::new(); workload.orders as usize],
            accounts: Default::default(),
        }
    }
}

/// Reads what the object holds after the last operation, if anything.
///
/// # Errors
/// Why that is unknown.
fn last(
    kind: ObjectKind,
    (family, index): (Family, u64),
    store: &impl Reads,
    buffers: &mut Buffers,
    blank: Event,
) -> Result<Option<Event>, Miss> {
    let key = keys::name(family, index);
    let hash = splinter::hash_key(&key);
    let invoked = splinter::cycles_fenced();
    let read = |op, id, len: usize| Event { op, id, len: u32::try_from(len).unwrap_or(u32::MAX), ..blank };
    let found = match kind {
        ObjectKind::Value => store.get(&key, &mut buffers.value).map(|len| {
            let mut stamp = None;
            let value = &buffers.value[..len];
            let sound = value::check_pieces(value, hash, |piece| stamp = Some(piece)).is_ok();
            read(OpKind::Get, name(stamp.filter(|_| sound)), len)
        }),
        // The journal as part of its group, as readers read it.
        ObjectKind::Counter if family == Family::Account => store
            .read_tandem(&key, &mut buffers.accounts)
            .map(|()| read(OpKind::GetNumber, accounts::number(&buffers.accounts[0]).unwrap_or(UNKNOWN), 0)),
        ObjectKind::Counter if family == Family::Tally => store.get(&key, &mut buffers.value).map(|len| {
            let tally = value::check(&buffers.value[..len], hash).map_or(UNKNOWN, |stamp| stamp.seq);
            read(OpKind::GetNumber, tally, 0)
        }),
        ObjectKind::Counter => store.read_int(&key).map(|number| read(OpKind::GetNumber, number, 0)),
        ObjectKind::Group => store.read_tandem(&key, &mut buffers.orders).map(|()| {
            let stamp = value::check(&buffers.orders[0], hash).ok();
            read(OpKind::Read, name(stamp), 0)
        }),
        ObjectKind::Vector if family == Family::Lease => store.get(&key, &mut buffers.value).map(|len| {
            let stamp = value::check(&buffers.value[..len], hash).ok();
            read(OpKind::Read, name(stamp), 0)
        }),
        ObjectKind::Vector => store.read_vector(&key, &mut buffers.vector).map(|()| {
            let stamp = vector::check(&buffers.vector, hash).ok();
            read(OpKind::Read, name(stamp), 0)
        }),
    };
    let event = match (found, kind) {
        (Ok(event), _) => event,
        // Histories have no event for a missing vector.
        (Err(Miss::NotFound), ObjectKind::Vector) => return Ok(None),
        (Err(Miss::NotFound), _) => read(OpKind::NotFound, 0, 0),
        (Err(miss), _) => return Err(miss),
    };
    Ok(Some(Event { worker: AFTER, invoked, returned: splinter::cycles_fenced(), ..event }))
}

/// Collects the history of a run on a fake store, whose values all have one length at first.
#[cfg(test)]
pub(crate) fn collect_for_tests(workload: &Workload, shared: &SharedState, store: &impl Reads) -> History {
    let keys = |family| workload.key_sets().of(family).end as usize;
    let values = |family| vec![(0, 0, workload.value_len.longest()); keys(family)];
    let before = Before { values: values(Family::Value), chains: values(Family::Chain) };
    collect(workload, &before, shared, store, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::super::record::HistoryRecord;
    use super::*;
    use splinter_harness::verdict::Verdict;

    /// A store that answers every read with the same error.
    struct Gone(Miss);

    macro_rules! gone {
        ($(fn $name:ident($($argument:ty),+) -> $done:ty;)+) => {$(
            fn $name(&self, $(_: $argument),+) -> Result<$done, Miss> {
                Err(self.0.clone())
            }
        )+};
    }

    impl Reads for Gone {
        gone! {
            fn get(&[u8], &mut [u8]) -> usize;
            fn view(&[u8], &mut [u8]) -> (usize, u64);
            fn read_int(&[u8]) -> u64;
            fn read_tandem(&[u8], &mut [Vec<u8>]) -> ();
            fn read_vector(&[u8], &mut [f32]) -> ();
            fn labels(&[u8]) -> u64;
            fn time_left(&[u8]) -> Option<u64>;
        }

        fn time(&self) -> u64 {
            0
        }
    }

    fn last_of(kind: ObjectKind, family: Family, why: Miss) -> Result<Option<Event>, Miss> {
        let mut buffers = Buffers::new(&Workload::default());
        last(kind, (family, 0), &Gone(why), &mut buffers, Event::default())
    }

    #[test]
    fn a_key_that_is_lost_in_the_end_contradicts_its_first_value() {
        let before = Before { values: vec![(0, 0, 8)], chains: vec![(0, 0, 8)] };
        for (kind, family) in [
            (ObjectKind::Value, Family::Value),
            (ObjectKind::Counter, Family::Counter),
            (ObjectKind::Group, Family::Group),
            (ObjectKind::Counter, Family::Account),
            (ObjectKind::Counter, Family::Tally),
            (ObjectKind::Value, Family::Chain),
        ] {
            let there = first(kind, (family, 0), &before, Event::default()).unwrap();
            let lost = last_of(kind, family, Miss::NotFound).unwrap().unwrap();
            assert_eq!((lost.op, lost.worker), (OpKind::NotFound, AFTER));
            assert_eq!(check(kind, &[there]), None);
            assert!(check(kind, &[there, lost]).is_some(), "{kind:?}");
        }
        let vector = last_of(ObjectKind::Vector, Family::Value, Miss::NotFound);
        assert_eq!(vector, Ok(None));
    }

    #[test]
    fn a_lease_that_is_read_after_another_was_set_contradicts_it() {
        let workload = Workload { mix: "expire".parse().unwrap(), ..Workload::default() };
        let (kind, family, _) = Objects::new(&workload).all().next().unwrap();
        assert_eq!(family, Family::Lease);
        let event = |op, id, at| Event { op, id, invoked: at, returned: at + 1, ..Event::default() };
        let before = Before { values: vec![], chains: vec![] };
        let first = first(kind, (family, 0), &before, Event::default()).unwrap();
        let later = event(OpKind::Write, 7, 10);
        for (read, is_sound) in [(first.id, false), (7, true), (8, false)] {
            let found = check(kind, &[first, later, event(OpKind::Read, read, 20)]);
            assert_eq!(found.is_none(), is_sound, "{read}: {found:?}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_in_the_end_makes_the_history_inconclusive() {
        for (kind, family) in [
            (ObjectKind::Value, Family::Value),
            (ObjectKind::Counter, Family::Counter),
            (ObjectKind::Group, Family::Group),
            (ObjectKind::Vector, Family::Value),
            (ObjectKind::Vector, Family::Lease),
            (ObjectKind::Counter, Family::Account),
            (ObjectKind::Counter, Family::Tally),
            (ObjectKind::Value, Family::Chain),
        ] {
            assert_eq!(last_of(kind, family, Miss::Again), Err(Miss::Again));
        }
        let history = History { unread: vec!["it is busy".to_owned()], ..History::default() };
        let record = HistoryRecord::of(&history, "nothing".to_owned());
        assert_eq!(record.verdict, Verdict::Inconclusive);
        assert_eq!(record.why.as_deref(), Some("it is busy"));
    }
}
