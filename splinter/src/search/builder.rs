//! What is searched for, and what is found.

use super::filter::{Filter, Prefix};
use crate::arena::key::Key;
use crate::error::Error;
use crate::open::Store;
use crate::settings::Type;
use crate::sketch::Metric;
use std::fmt;

/// A key that a search found.
///
/// At some instant during the search the key was there with this epoch, passed the filter, and had a vector with this
/// score. While a writer publishes a change, or is stopped as it does, the epoch may be that before the change, as
/// [`Store::epoch`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The key.
    pub key: Key,
    /// The number of the slot.
    pub slot: u32,
    /// The key's epoch.
    pub epoch: u64,
    /// How near its vector is to the query: higher is nearer, whatever the [`Metric`].
    pub score: f64,
}

/// A key that a search may find, for [`Search::rescore`]: everything of one moment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Candidate<'c> {
    /// The key.
    pub key: Key,
    /// The number of the slot.
    pub slot: u32,
    /// The key's epoch.
    pub epoch: u64,
    /// The score of its vector.
    pub score: f64,
    /// Its labels.
    pub labels: u64,
    /// Its type.
    pub kind: Type,
    /// Its value.
    pub value: &'c [u8],
}

/// Gives a candidate another score.
pub(super) type Rescore<'s> = Box<dyn FnMut(&Candidate<'_>) -> f64 + 's>;

/// A search for the keys whose vectors are nearest to a query: made by [`Store::search`] and [`Store::nearest_to`].
///
/// | wanted | method |
/// |---|---|
/// | how many hits, by which measure | [`Self::k`], [`Self::all`], [`Self::metric`] |
/// | only some keys | [`Self::labels_all`], [`Self::labels_any`], [`Self::labels_none`], [`Self::prefix`], [`Self::kind`], [`Self::min_epoch`] |
/// | all that are near enough (a range query) | [`Self::all`] with [`Self::min_score`] |
/// | no miss, or a better recall | [`Self::exact`], [`Self::depth`] |
/// | less time on several processors | [`Self::threads`] |
/// | one hit for each tandem | [`Self::group_orders`] |
/// | scores of one's own, as of a hybrid search | [`Self::rescore`] |
#[must_use = "a search does nothing until it is run"]
pub struct Search<'s> {
    pub(super) store: &'s Store,
    pub(super) vector: Vec<f32>,
    pub(super) metric: Metric,
    pub(super) filter: Filter,
    pub(super) k: usize,
    pub(super) min_score: Option<f64>,
    pub(super) is_exact: bool,
    pub(super) depth: Option<usize>,
    pub(super) threads: usize,
    pub(super) groups_orders: bool,
    pub(super) rescore: Option<Rescore<'s>>,
}

impl Store {
    /// Searches for the keys whose vectors are nearest to `query`, among all keys as they are now. There is no index to
    /// build. The search begins with [`Search::run`].
    ///
    /// ```
    /// use splinter::{Config, Geometry, Metric, Store};
    ///
    /// let geometry = Geometry { vector_dim: 3, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// for (key, vector) in [("north", [0.0, 1.0, 0.0]), ("east", [1.0, 0.0, 0.0]), ("up", [0.0, 0.1, 1.0])] {
    ///     writer.set(key, b"direction")?;
    ///     writer.set_vector(key, &vector)?;
    /// }
    /// let hits = store.search(&[0.1, 0.9, 0.0])?.k(2).metric(Metric::Cosine).run()?;
    /// assert_eq!(hits.iter().map(|hit| hit.key.to_string()).collect::<Vec<_>>(), ["north", "east"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongDimension`] when `query` does not have the store's dimension, or the store has no vectors;
    /// [`Error::NotFinite`] when a component is infinite or no number.
    #[doc(alias("knn", "nearest", "similar", "ann", "cosine", "vector search", "embedding"))]
    pub fn search(&self, query: &[f32]) -> Result<Search<'_>, Error> {
        let dim = self.geometry().vector_dim as usize;
        if dim == 0 || query.len() != dim {
            return Err(Error::WrongDimension);
        }
        Search::new(self, query.to_vec())
    }
}

impl<'s> Search<'s> {
    /// Begins a search near a vector of the store's dimension.
    pub(super) fn new(store: &'s Store, vector: Vec<f32>) -> Result<Self, Error> {
        if !vector.iter().all(|part| part.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok(Self {
            store,
            vector,
            metric: Metric::default(),
            filter: Filter::default(),
            k: 10,
            min_score: None,
            is_exact: false,
            depth: None,
            threads: 1,
            groups_orders: false,
            rescore: None,
        })
    }

    /// Leaves one key out.
    pub(super) fn without(mut self, key: Key) -> Self {
        self.filter.except = Some(key);
        self
    }

    /// Sets how many hits are wanted at most. The default is 10.
    #[doc(alias("limit", "top_k"))]
    pub fn k(self, k: usize) -> Self {
        Self { k, ..self }
    }

    /// Asks for all hits. With [`Self::min_score`] that is a range query; without it, every vector is scored.
    pub fn all(self) -> Self {
        self.k(usize::MAX)
    }

    /// Sets what a score measures. The default is [`Metric::Cosine`].
    #[doc(alias("distance", "similarity"))]
    pub fn metric(self, metric: Metric) -> Self {
        Self { metric, ..self }
    }

    /// Finds only keys that carry all labels in `mask`.
    #[doc(alias = "filter")]
    pub fn labels_all(mut self, mask: u64) -> Self {
        self.filter.all = mask;
        self
    }

    /// Finds only keys that carry at least one of the labels in `mask`, unless that is 0.
    pub fn labels_any(mut self, mask: u64) -> Self {
        self.filter.any = mask;
        self
    }

    /// Finds only keys that carry none of the labels in `mask`.
    pub fn labels_none(mut self, mask: u64) -> Self {
        self.filter.none = mask;
        self
    }

    /// Finds only keys that begin with `prefix`.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.filter.prefix = Prefix::new(prefix.as_ref());
        self
    }

    /// Finds only keys of one type.
    #[doc(alias = "type")]
    pub fn kind(mut self, kind: Type) -> Self {
        self.filter.kind = Some(kind);
        self
    }

    /// Finds only keys whose epoch is `epoch` or later. Each key counts its own changes, so this tells what was changed
    /// since for one key alone; [`Store::watch_prefix`] tells it for many.
    pub fn min_epoch(mut self, epoch: u64) -> Self {
        self.filter.min_epoch = epoch;
        self
    }

    /// Finds only keys with this score or a higher one. By sketches, the search for more of them ends once some hundred
    /// candidates in a row had lower scores; [`Self::depth`] in a range query ([`Self::all`]).
    #[doc(alias("threshold", "radius", "range"))]
    pub fn min_score(self, score: f64) -> Self {
        Self { min_score: Some(score), ..self }
    }

    /// Sets whether all vectors are scored, so that no nearer one is missed. Without sketches
    /// ([`Config::sketches`](crate::Config)) every search is exact.
    #[doc(alias("brute_force", "flat"))]
    pub fn exact(self, is_exact: bool) -> Self {
        Self { is_exact, ..self }
    }

    /// Sets the re-scoring depth: how many candidates, chosen by their sketches, are scored by their vectors. More find
    /// more of the nearest, and take longer. The default is 500, and ten for each hit that is wanted.
    #[doc(alias("ef", "nprobe", "oversampling", "candidates"))]
    pub fn depth(self, depth: usize) -> Self {
        Self { depth: Some(depth), ..self }
    }

    /// Sets how many threads scan, each its part of the slots: 1 by default, and at most 256. The hits are the same.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Sets whether the orders of a tandem are found as one: `base` and `base.1` to `base.254` give one hit, the
    /// best of them. The re-scoring depth counts bases then.
    #[doc(alias("group_by", "collapse", "dedup", "chunks"))]
    pub fn group_orders(self, groups_orders: bool) -> Self {
        Self { groups_orders, ..self }
    }

    /// Gives each candidate the score that `rescore` returns, as a hybrid search does: from its key, labels, value and the
    /// score of its vector. Candidates are as many as [`Self::depth`] says. One whose score is not a number is no hit, and
    /// another candidate takes its place. [`Self::min_score`] is about the new score.
    ///
    /// ```
    /// use splinter::{Config, Geometry, Store};
    ///
    /// let geometry = Geometry { vector_dim: 2, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// for (key, text, vector) in [("a", "a red house", [1.0, 0.1]), ("b", "a red boat", [1.0, 0.2])] {
    ///     writer.set(key, text.as_bytes())?;
    ///     writer.set_vector(key, &vector)?;
    /// }
    /// let has_word = |value: &[u8]| value.split(|byte| *byte == b' ').any(|word| word == b"boat");
    /// let search = store.search(&[1.0, 0.0])?.k(1);
    /// let hits = search.rescore(|found| found.score + if has_word(found.value) { 0.5 } else { 0.0 }).run()?;
    /// assert_eq!(hits[0].key.as_ref(), b"b");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("hybrid", "rerank", "boost", "fuse"))]
    pub fn rescore(self, rescore: impl FnMut(&Candidate<'_>) -> f64 + 's) -> Self {
        Self { rescore: Some(Box::new(rescore)), ..self }
    }
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search")
            .field("metric", &self.metric)
            .field("k", &self.k)
            .field("min_score", &self.min_score)
            .field("exact", &self.is_exact)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}
