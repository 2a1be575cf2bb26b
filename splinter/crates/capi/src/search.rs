//! Search: the keys whose vectors are nearest to a query, and how near the vectors of two keys are.
//!
//! A search may call the program's function, which may close the store. So each holds a reference to the store.

use crate::args::{Handle, In, Out, Text};
use crate::boundary::uncancelled;
use crate::errno::Failure;
use crate::handles::{self, Entry};
use crate::names::key_buffer;
use crate::shapes::{Candidate, EMBED_DIM, METRICS, SearchHit, SearchOptions, bit_of_type, type_of_bit};
use libc::c_int;
use splinter::{Error, Metric, Search};
use std::sync::Arc;

/// How many hits are wanted if the program does not say.
const DEFAULT_K: usize = 10;

/// The default store, for functions without a handle.
pub(crate) fn default_store() -> Result<Arc<Entry>, Failure> {
    handles::find(handles::default_serial())
}

/// The store of a handle.
pub(crate) fn store_of(handle: Handle) -> Result<Arc<Entry>, Failure> {
    handles::find(handle.serial())
}

/// Where a program wants what was found.
struct Room<'c> {
    hits: Out<'c, SearchHit>,
    capacity: usize,
    count: Out<'c, usize>,
}

impl<'c> Room<'c> {
    fn new(hits: Out<'c, SearchHit>, capacity: usize, count: Out<'c, usize>) -> Result<Self, Failure> {
        Ok(Self { hits: hits.required()?, capacity, count: count.required()? })
    }
}

/// Returns the metric of this number.
fn metric_of(number: c_int) -> Result<Metric, Failure> {
    let metric = usize::try_from(number).ok().and_then(|number| METRICS.get(number));
    metric.map(|(_, metric)| *metric).ok_or(Failure::ARGUMENT)
}

/// Returns the dimension of the store's vectors. Fails if it has none.
fn dimension(store: &Entry) -> Result<usize, Failure> {
    match store.store.geometry().vector_dim as usize {
        0 => Err(Failure::of(libc::EOPNOTSUPP)),
        dim => Ok(dim),
    }
}

pub(crate) fn search(
    store: &Entry,
    query: In<'_, f32>,
    options: In<'_, SearchOptions>,
    hits: Out<'_, SearchHit>,
    capacity: usize,
    count: Out<'_, usize>,
) -> Result<c_int, Failure> {
    query.slice(0)?;
    let (options, room) = (options.options()?, Room::new(hits, capacity, count)?);
    let dim = options.map(|options| options.dim).filter(|dim| *dim > 0).unwrap_or(EMBED_DIM);
    // Check the dimension first: of a query of another one nothing is read.
    if dimension(store)? != dim {
        return Err(Error::WrongDimension.into());
    }
    finish(store.store.search(query.slice(dim)?)?, options, &room)
}

pub(crate) fn near(
    store: &Entry,
    key: Text<'_>,
    options: In<'_, SearchOptions>,
    hits: Out<'_, SearchHit>,
    capacity: usize,
    count: Out<'_, usize>,
) -> Result<c_int, Failure> {
    let (key, options, room) = (key.key()?, options.options()?, Room::new(hits, capacity, count)?);
    dimension(store)?;
    finish(store.store.nearest_to(key)?, options, &room)
}

/// Runs a search with a program's options, and gives it the hits.
fn finish(search: Search<'_>, options: Option<SearchOptions>, room: &Room<'_>) -> Result<c_int, Failure> {
    let k = options.map(|options| options.k).filter(|k| *k > 0).unwrap_or(DEFAULT_K);
    let search = search.k(k.min(room.capacity));
    let search = match options {
        Some(options) => with_options(search, &options)?,
        None => search,
    };
    let found = uncancelled(|| search.run())?;
    let count = found.len();
    room.hits.put_all(found.into_iter().map(|hit| SearchHit {
        key: key_buffer(hit.key.as_ref()),
        slot: hit.slot,
        reserved: 0,
        epoch: hit.epoch,
        score: hit.score,
    }))?;
    room.count.put(count);
    Ok(0)
}

/// Sets all options but the number of hits.
fn with_options<'s>(search: Search<'s>, options: &SearchOptions) -> Result<Search<'s>, Failure> {
    let mut search = search
        .metric(metric_of(options.metric)?)
        .labels_all(options.labels_all)
        .labels_any(options.labels_any)
        .labels_none(options.labels_none)
        .min_epoch(options.min_epoch)
        .exact(options.exact != 0)
        .threads(options.threads as usize)
        .group_orders(options.group_orders != 0);
    if !options.prefix.is_null() {
        search = search.prefix(Text::new(options.prefix).key()?);
    }
    if options.type_flag != 0 {
        let bit = u16::try_from(options.type_flag).map_err(|_| Failure::ARGUMENT)?;
        search = search.kind(type_of_bit(bit).ok_or(Failure::ARGUMENT)?);
    }
    if options.has_min_score != 0 {
        if options.min_score.is_nan() {
            return Err(Failure::ARGUMENT);
        }
        search = search.min_score(options.min_score);
    }
    if options.depth != 0 {
        search = search.depth(options.depth);
    }
    let (Some(rescore), data) = (options.rescore, options.data) else { return Ok(search) };
    Ok(search.rescore(move |found| {
        let candidate = Candidate {
            key: key_buffer(found.key.as_ref()),
            slot: found.slot,
            type_flag: bit_of_type(found.kind).into(),
            epoch: found.epoch,
            labels: found.labels,
            score: found.score,
            value: found.value.as_ptr().cast(),
            len: found.value.len(),
        };
        rescore(&raw const candidate, data)
    }))
}

pub(crate) fn similarity(
    store: &Entry,
    a: Text<'_>,
    b: Text<'_>,
    metric: c_int,
    score: Out<'_, f64>,
) -> Result<c_int, Failure> {
    let (a, b, metric, score) = (a.key()?, b.key()?, metric_of(metric)?, score.required()?);
    dimension(store)?;
    score.put(store.store.similarity(a, b, metric)?);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors;
    use splinter::{Config, Geometry, Store};
    use std::ffi::CStr;
    use std::ptr;

    const NO_VECTORS: Failure = Failure::of(libc::EOPNOTSUPP);

    const OPTIONS: SearchOptions = SearchOptions {
        size: size_of::<SearchOptions>(),
        k: 0,
        dim: 0,
        labels_all: 0,
        labels_any: 0,
        labels_none: 0,
        min_epoch: 0,
        min_score: 0.0,
        prefix: ptr::null(),
        depth: 0,
        rescore: None,
        data: ptr::null_mut(),
        metric: 0,
        type_flag: 0,
        threads: 0,
        has_min_score: 0,
        exact: 0,
        group_orders: 0,
    };

    /// Opens a store with the keys "a" and "b", which have vectors if those have two components.
    fn store(dim: u32) -> Arc<Entry> {
        let geometry = Geometry { slots: 8, vector_dim: dim, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let mut writer = store.writer().unwrap();
        for (key, vector) in [("a", [1.0, 0.0]), ("b", [0.8, 0.6])] {
            writer.set(key, b"value").unwrap();
            if dim == 2 {
                writer.set_vector(key, &vector).unwrap();
            }
        }
        drop(writer);
        handles::find(handles::add(store)).unwrap()
    }

    /// Calls `act` with room for two hits. Returns their keys' first letters.
    fn found(
        act: impl FnOnce(Out<'_, SearchHit>, Out<'_, usize>) -> Result<c_int, Failure>,
    ) -> Result<String, Failure> {
        let mut hits = [SearchHit { key: key_buffer(b""), slot: 9, reserved: 9, epoch: 9, score: 9.0 }; 2];
        let mut count = 9;
        let result = act(Out::new(hits.as_mut_ptr()), Out::new(&raw mut count));
        assert!(result.is_ok() || count == 9 && hits[0].slot == 9, "a failure changed something");
        result.map(|_| hits[..count].iter().map(|hit| char::from(hit.key[0])).collect())
    }

    #[test]
    fn vectors_of_another_dimension_are_found_if_the_program_says_so_and_none_are_an_error() {
        let (two, none) = (store(2), store(0));
        let (long, short) = ([0.5; EMBED_DIM], [1.0, 0.1]);
        let search = |store: &Entry, query: &[f32], options: Option<&SearchOptions>| {
            let options = In::new(options.map_or(ptr::null(), ptr::from_ref));
            found(|hits, count| search(store, In::new(query.as_ptr()), options, hits, 2, count))
        };
        assert_eq!(search(&two, &short, Some(&SearchOptions { dim: 2, ..OPTIONS })), Ok("ab".to_owned()));
        for dim in [0, 1, 3, EMBED_DIM, usize::MAX] {
            let options = SearchOptions { dim, ..OPTIONS };
            assert_eq!(search(&two, &long, Some(&options)), Err(Failure::ARGUMENT));
            assert_eq!(search(&none, &long, Some(&options)), Err(NO_VECTORS));
        }
        assert_eq!(search(&two, &long, None), Err(Failure::ARGUMENT));
        assert_eq!(search(&none, &long, None), Err(NO_VECTORS));
        assert_eq!([&two, &none].map(|store| vectors::dimension(store)), [Ok(2), Ok(0)]);

        let key = |key: &'static CStr| Text::new(key.as_ptr());
        let near =
            |store: &Entry| found(|hits, count| near(store, key(c"a"), In::new(ptr::null()), hits, 2, count));
        assert_eq!([&two, &none].map(|store| near(store)), [Ok("b".to_owned()), Err(NO_VECTORS)]);
        let mut score = 9.0;
        let mut similarity =
            |store: &Entry| similarity(store, key(c"a"), key(c"b"), 1, Out::new(&raw mut score));
        assert_eq!([&none, &two].map(|store| similarity(store)), [Err(NO_VECTORS), Ok(0)]);
        assert_eq!(score, f64::from(0.8_f32));
        assert!([two, none].iter().all(|store| handles::close(store.serial)));
    }
}
