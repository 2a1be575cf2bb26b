//! What it costs to set a vector, in a store with sketches and in one without.

use super::family::Family;
use super::npy::Matrix;
use super::scene::{VALUE, store};
use crate::clock::ns_per_op;
use crate::micro::fixture::{Key, say};
use splinter::{Store, Writer};
use std::time::Duration;

/// Keys of each store.
const KEYS: usize = 512;

/// Two filled stores.
pub struct Sets {
    vectors: Matrix,
    keys: Vec<Key>,
    /// With sketches, and without. A store goes with its writer.
    writers: [(Store, Writer); 2],
}

impl Sets {
    /// Fills the stores with vectors of a dimension.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new(dim: usize, seed: u64) -> Result<Self, String> {
        let [vectors, _] = Family::Clustered.draw(KEYS, 1, dim, seed);
        let keys = Key::shuffled('s', KEYS, seed);
        let filled = |sketches| {
            let store = store(KEYS, dim, sketches)?;
            let mut writer = store.writer().map_err(say)?;
            keys.iter().try_for_each(|key| writer.set(key, VALUE)).map_err(say)?;
            Ok::<_, String>((store, writer))
        };
        let writers = [filled(true)?, filled(false)?];
        Ok(Self { vectors, keys, writers })
    }

    /// Returns nanoseconds that it takes to set a vector without a sketch, and that the sketch adds.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn sample(&mut self, budget: Duration) -> Result<[f64; 2], String> {
        let Self { vectors, keys, writers } = self;
        let [with, without] = writers.each_mut().map(|(_, writer)| {
            ns_per_op(budget / 2, KEYS as u64, || {
                let mut pairs = keys.iter().enumerate();
                pairs.try_for_each(|(number, key)| writer.set_vector(key, vectors.row(number)))
            })
        });
        let without = without.map_err(say)?;
        Ok([without, with.map_err(say)? - without])
    }
}

#[cfg(test)]
mod tests {
    use super::Sets;
    use std::time::Duration;

    #[test]
    fn one_store_makes_sketches_and_the_other_does_not() {
        let mut sets = Sets::new(32, 1).unwrap();
        assert!(sets.writers[0].0.has_sketches() && !sets.writers[1].0.has_sketches());
        let [without, added] = sets.sample(Duration::from_millis(1)).unwrap();
        assert!(without > 0.0 && added.is_finite());
    }
}
