//! Searches and similarities by the vectors that keys have.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::builder::Search;
use super::score::Scorer;
use crate::arena::Arena;
use crate::arena::copy::copy_vector_out;
use crate::arena::key::Key;
use crate::error::Error;
use crate::open::Store;
use crate::protocol::OptimisticRead;
use crate::read::{AsKey, Plain};
use crate::sketch::Metric;

impl Store {
    /// Searches for the keys whose vectors are nearest to that of `key`, which is left out itself. The search begins with
    /// [`Search::run`].
    ///
    /// ```
    /// use splinter::{Config, Geometry, Store};
    ///
    /// let geometry = Geometry { vector_dim: 2, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// for (key, vector) in [("cat", [0.9, 0.1]), ("dog", [0.8, 0.2]), ("car", [0.0, 1.0])] {
    ///     writer.set(key, b"word")?;
    ///     writer.set_vector(key, &vector)?;
    /// }
    /// let hits = store.nearest_to("cat")?.k(1).run()?;
    /// assert_eq!(hits[0].key.as_ref(), b"dog");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such key or it has no vector; [`Error::NotFinite`] when a component of that is
    /// infinite or no number; [`Error::WrongDimension`] when the store has no vectors; [`Error::Again`].
    #[doc(alias("more_like_this", "neighbours", "neighbors", "knn", "similar"))]
    pub fn nearest_to(&self, key: impl AsKey) -> Result<Search<'_>, Error> {
        let mut vector = self.empty_vector()?;
        let arena = self.arena();
        // Unlike a plain read, this leaves no visit in a cache.
        let key = arena.read_with_metadata(&key.plain().key_ref(arena)?, |read| {
            copy_vector(arena, read, &mut vector).map(|()| Key::read_from(read.slot))
        })?;
        Search::new(self, vector).map(|search| search.without(key))
    }

    /// Computes how near the vectors of two keys are to each other, both as they are at one moment: the score that a search
    /// for the one gives the other. In a cache this visits both, as reading them does.
    ///
    /// ```
    /// use splinter::{Config, Geometry, Metric, Store};
    ///
    /// let geometry = Geometry { vector_dim: 2, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// for (key, vector) in [("a", [3.0, 4.0]), ("b", [0.0, 4.0])] {
    ///     writer.set(key, b"point")?;
    ///     writer.set_vector(key, &vector)?;
    /// }
    /// assert_eq!(store.similarity("a", "b", Metric::Cosine)?, 0.8);
    /// assert_eq!(store.similarity("a", "b", Metric::L2)?, -3.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when one of the keys is missing or has no vector; [`Error::NotFinite`],
    /// [`Error::WrongDimension`] and [`Error::Again`] as of [`Self::nearest_to`].
    #[doc(alias("distance", "cosine", "dot_product", "euclidean"))]
    pub fn similarity(&self, a: impl AsKey, b: impl AsKey, metric: Metric) -> Result<f64, Error> {
        let mut vectors = [self.empty_vector()?, self.empty_vector()?];
        let arena = self.arena();
        let keys = [a.plain().key_ref(arena)?, b.plain().key_ref(arena)?];
        arena.read_consistent(&keys, |place, read| {
            copy_vector(arena, read.ok_or(Error::NotFound)?, &mut vectors[place])
        })?;
        let [a, b] = &vectors;
        let is_finite = b.iter().all(|part| part.is_finite());
        Scorer::new(b, metric).score(a).filter(|_| is_finite).ok_or(Error::NotFinite)
    }

    /// Makes room for a vector.
    fn empty_vector(&self) -> Result<Vec<f32>, Error> {
        match self.geometry().vector_dim {
            0 => Err(Error::WrongDimension),
            dim => Ok(vec![0.0; dim as usize]),
        }
    }
}

/// Copies the vector of the key that is read.
fn copy_vector(arena: &Arena<'_>, read: &OptimisticRead<'_>, out: &mut [f32]) -> Result<(), Error> {
    if read.descriptor.has_vector() == 0 {
        return Err(Error::NotFound);
    }
    copy_vector_out(arena.vector(read.number, read.descriptor.vector_current()), out);
    Ok(())
}
