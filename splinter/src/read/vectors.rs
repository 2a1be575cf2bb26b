//! Visiting vectors where they lie, without copies.

use crate::arena::Arena;
use crate::arena::copy::copy_vector_out;
use crate::arena::key::Key;
use crate::arena::version::Version;
use crate::open::Store;
use crate::protocol::OptimisticRead;
use crate::sync::{Relaxed, Word};
use std::fmt;

/// A vector where it lies in shared memory, uncopied.
///
/// As with a [`View`](crate::View), what is read of it is one published vector only if [`Self::validate`] says so
/// afterwards.
#[derive(Clone, Copy)]
pub struct VectorView<'s> {
    key: Key,
    read: OptimisticRead<'s>,
    words: &'s [Word],
    dim: usize,
}

impl<'s> VectorView<'s> {
    fn new(arena: &Arena<'s>, key: Key, read: OptimisticRead<'s>) -> Option<Self> {
        let descriptor = read.descriptor;
        let words = arena.vector(read.number, descriptor.vector_current());
        let dim = arena.shape.vector_dim as usize;
        (descriptor.has_vector() != 0).then_some(Self { key, read, words, dim })
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the version of the key when the view was made, never later than the vector's.
    #[must_use]
    pub fn version(&self) -> Version {
        Version { slot: self.read.number, epoch: self.read.stable_epoch() }
    }

    /// Returns whether the components read so far are one published vector of this key.
    #[must_use]
    pub fn validate(&self) -> bool {
        self.read.validate()
    }

    /// Iterates over the components.
    pub fn components(&self) -> impl Iterator<Item = f32> + '_ {
        let halves = self.words.iter().flat_map(|word| {
            let word = word.load(Relaxed);
            [f32::from_bits(word as u32), f32::from_bits((word >> 32) as u32)]
        });
        halves.take(self.dim)
    }

    /// Copies the components to the beginning of `out`, at most `out.len()` of them. Returns how many.
    pub fn copy_to(&self, out: &mut [f32]) -> usize {
        let len = self.dim.min(out.len());
        copy_vector_out(self.words, &mut out[..len]);
        len
    }
}

impl fmt::Debug for VectorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorView").field("key", &self.key).field("version", &self.version()).finish()
    }
}

impl Store {
    /// Visits the vectors of all keys that have one, in the order of the slots, without copying them.
    ///
    /// ```
    /// use splinter::{Config, Geometry, Store};
    ///
    /// let geometry = Geometry { vector_dim: 3, ..Geometry::default() };
    /// let store = Store::anonymous(&Config { geometry, ..Config::default() })?;
    /// let mut writer = store.writer()?;
    /// writer.set("k", b"text")?;
    /// writer.set_vector("k", &[1.0, 2.0, 2.0])?;
    /// for vector in store.vectors() {
    ///     let square: f32 = vector.components().map(|part| part * part).sum();
    ///     if vector.validate() {
    ///         assert_eq!(square, 9.0);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("embeddings", "iterate"))]
    pub fn vectors(&self) -> impl Iterator<Item = VectorView<'_>> + '_ {
        self.present().filter_map(|(key, read)| VectorView::new(self.arena(), key, read))
    }
}
