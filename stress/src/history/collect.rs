//! From a run to its history: what was in the store before the first operation, what the workers recorded, and what
//! was there after the last.

use super::objects::{Objects, name, text};
use super::tape::Tape;
use super::{AFTER, Act, BEFORE, Event, History, Kind};
use crate::keys::{self, Family};
use crate::oracle::body::{self, PREFILL};
use crate::oracle::vector;
use crate::shared_state::SharedState;
use crate::target::{Miss, Reads};
use crate::worker::buffer_len;
use crate::workload::Workload;
use splinter::{Error, Store};

/// What each value was before the first operation: slot, epoch and length.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    values: Vec<(u32, u64, u32)>,
}

impl Before {
    /// Looks at every value of a filled store.
    ///
    /// # Errors
    /// One line if one of them is not there.
    pub(crate) fn look(workload: &Workload, store: &Store) -> Result<Self, String> {
        let value = |index| {
            let key = keys::name(Family::Value, index);
            let len = u32::try_from(store.value_len(key)?).unwrap_or(u32::MAX);
            Ok((store.resolve(key)?.slot(), store.epoch(key)?, len))
        };
        let values: Result<_, Error> = workload.key_sets().values.map(value).collect();
        let values = values.map_err(|error| format!("a value is not there: {error}"))?;
        Ok(Self { values })
    }
}

/// Puts the history of a run together, of the objects that had a part in it. Nobody writes any more.
#[must_use]
pub(crate) fn collect(
    workload: &Workload,
    before: &Before,
    block: &SharedState,
    store: &impl Reads,
    cycle_ns: f64,
) -> History {
    let objects = Objects::new(workload);
    let tapes: Vec<_> = (0..workload.operators())
        .filter_map(|at| block.tape(at))
        .collect();
    let recorded = || tapes.iter().flat_map(Tape::events);
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
        // What had no part needs no name either.
        let touched = touched[number as usize];
        names.push((
            kind,
            if touched {
                text(family, index)
            } else {
                String::new()
            },
        ));
        if touched {
            let blank = Event {
                key: number,
                ..Event::default()
            };
            ends.extend(first(kind, index, before, blank));
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
    History {
        unread,
        ..History::new(names.clone(), cycle_ns, all)
    }
}

/// Says what was there before the first operation.
fn first(kind: Kind, index: u64, before: &Before, blank: Event) -> Option<Event> {
    let filled = Event {
        worker: BEFORE,
        id: super::id(PREFILL, 1),
        ..blank
    };
    match kind {
        Kind::Value => {
            let &(slot, epoch, len) = before.values.get(usize::try_from(index).ok()?)?;
            Some(Event {
                act: Act::Set,
                slot,
                epoch,
                ..filled.sized(len, len)
            })
        }
        Kind::Counter => Some(Event {
            act: Act::Set,
            id: 0,
            ..filled
        }),
        Kind::Group => Some(Event {
            act: Act::Write,
            ..filled
        }),
        // No vector at all.
        Kind::Vector => None,
    }
}

/// What the last reads are made to.
struct Buffers {
    value: Vec<u8>,
    vector: Vec<f32>,
    orders: Vec<Vec<u8>>,
}

impl Buffers {
    fn new(workload: &Workload) -> Self {
        Self {
            value: vec![0; buffer_len(workload)],
            vector: vec![0.0; workload.geometry().vector_dim as usize],
            orders: vec![Vec::new(); workload.orders as usize],
        }
    }
}

/// Reads what is there after the last operation, or is not there any more.
///
/// # Errors
/// Why neither can be told.
fn last(
    kind: Kind,
    (family, index): (Family, u64),
    store: &impl Reads,
    buffers: &mut Buffers,
    blank: Event,
) -> Result<Option<Event>, Miss> {
    let key = keys::name(family, index);
    let hash = splinter::hash_key(&key);
    let invoked = splinter::cycles_fenced();
    let read = |act, id, len: usize| Event {
        act,
        id,
        len: u32::try_from(len).unwrap_or(u32::MAX),
        ..blank
    };
    let found = match kind {
        Kind::Value => store.get(&key, &mut buffers.value).map(|len| {
            let mut stamp = None;
            let value = &buffers.value[..len];
            let sound = body::check_pieces(value, hash, |piece| stamp = Some(piece)).is_ok();
            read(Act::Get, name(stamp.filter(|_| sound)), len)
        }),
        Kind::Counter => store
            .read_int(&key)
            .map(|number| read(Act::GetNumber, number, 0)),
        Kind::Group => store.read_tandem(&key, &mut buffers.orders).map(|()| {
            let stamp = body::check(&buffers.orders[0], hash).ok();
            read(Act::Read, name(stamp), 0)
        }),
        Kind::Vector => store.read_vector(&key, &mut buffers.vector).map(|()| {
            let stamp = vector::check(&buffers.vector, hash).ok();
            read(Act::Read, name(stamp), 0)
        }),
    };
    let event = match (found, kind) {
        (Ok(event), _) => event,
        // That there is no vector is no answer that a history has.
        (Err(Miss::NotFound), Kind::Vector) => return Ok(None),
        (Err(Miss::NotFound), _) => read(Act::NotFound, 0, 0),
        (Err(miss), _) => return Err(miss),
    };
    Ok(Some(Event {
        worker: AFTER,
        invoked,
        returned: splinter::cycles_fenced(),
        ..event
    }))
}

/// Puts the history of a run on another store than the real one together: all its values are of one length at first.
#[cfg(test)]
pub(crate) fn collect_for_tests(
    workload: &Workload,
    block: &SharedState,
    store: &impl Reads,
) -> History {
    let keys = workload.key_sets().values.end as usize;
    let before = Before {
        values: vec![(0, 0, workload.value_len.longest()); keys],
    };
    collect(workload, &before, block, store, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::super::record::HistoryRecord;
    use super::*;
    use crate::verdict::Verdict;

    /// A store of which nothing can be read, for one reason.
    struct Gone(Miss);

    impl Reads for Gone {
        fn get(&self, _: &[u8], _: &mut [u8]) -> Result<usize, Miss> {
            Err(self.0.clone())
        }
        fn view(&self, _: &[u8], _: &mut [u8]) -> Result<(usize, u64), Miss> {
            Err(self.0.clone())
        }
        fn read_int(&self, _: &[u8]) -> Result<u64, Miss> {
            Err(self.0.clone())
        }
        fn read_tandem(&self, _: &[u8], _: &mut [Vec<u8>]) -> Result<(), Miss> {
            Err(self.0.clone())
        }
        fn read_vector(&self, _: &[u8], _: &mut [f32]) -> Result<(), Miss> {
            Err(self.0.clone())
        }
        fn labels(&self, _: &[u8]) -> Result<u64, Miss> {
            Err(self.0.clone())
        }
    }

    fn last_of(kind: Kind, family: Family, why: Miss) -> Result<Option<Event>, Miss> {
        let mut buffers = Buffers::new(&Workload::default());
        last(
            kind,
            (family, 0),
            &Gone(why),
            &mut buffers,
            Event::default(),
        )
    }

    #[test]
    fn what_is_lost_in_the_end_contradicts_what_was_there_at_first() {
        let before = Before {
            values: vec![(0, 0, 8)],
        };
        for (kind, family) in [
            (Kind::Value, Family::Value),
            (Kind::Counter, Family::Counter),
            (Kind::Group, Family::Group),
        ] {
            let there = first(kind, 0, &before, Event::default()).unwrap();
            let lost = last_of(kind, family, Miss::NotFound).unwrap().unwrap();
            assert_eq!((lost.act, lost.worker), (Act::NotFound, AFTER));
            assert_eq!(check(kind, &[there]), None);
            assert!(check(kind, &[there, lost]).is_some(), "{kind:?}");
        }
        let vector = last_of(Kind::Vector, Family::Value, Miss::NotFound);
        assert_eq!(vector, Ok(None));
    }

    #[test]
    fn what_cannot_be_read_in_the_end_leaves_a_doubt() {
        for (kind, family) in [
            (Kind::Value, Family::Value),
            (Kind::Counter, Family::Counter),
            (Kind::Group, Family::Group),
            (Kind::Vector, Family::Value),
        ] {
            assert_eq!(last_of(kind, family, Miss::Again), Err(Miss::Again));
        }
        let history = History {
            unread: vec!["it is busy".to_owned()],
            ..History::default()
        };
        let record = HistoryRecord::of(&history, "nothing".to_owned());
        assert_eq!(record.verdict, Verdict::Inconclusive);
        assert_eq!(record.why.as_deref(), Some("it is busy"));
    }
}
