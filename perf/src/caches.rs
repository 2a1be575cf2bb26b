//! The caches of the machine, by which the limits choose how much memory they go through.

use splinter_harness::environment::Cache;

/// Caches of the first processor; none where the kernel does not tell.
#[derive(Clone, Debug, Default)]
pub struct Caches(Vec<Cache>);

impl Caches {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self(splinter_harness::environment::caches())
    }

    /// Makes caches up, of levels, kinds and sizes as the kernel writes them.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn of(caches: &[(u32, &str, &str)]) -> Self {
        let caches = caches.iter();
        Self(caches.filter_map(|(level, kind, size)| Cache::new(*level, kind, size)).collect())
    }

    /// Returns the size of the data cache of a level, if it is known.
    #[must_use]
    pub fn data_bytes(&self, level: u32) -> Option<u64> {
        self.0
            .iter()
            .find(|cache| cache.level == level && cache.kind != "Instruction")
            .map(|cache| cache.bytes)
    }

    /// Returns the size of the largest one, if any is known.
    #[must_use]
    pub fn largest_bytes(&self) -> Option<u64> {
        self.0.iter().map(|cache| cache.bytes).max()
    }
}

#[cfg(test)]
mod tests {
    use super::Caches;

    #[test]
    fn the_data_cache_of_a_level_is_not_its_instruction_cache() {
        let caches = Caches::of(&[(1, "Instruction", "32"), (1, "Data", "48"), (2, "Unified", "1K")]);
        assert_eq!(caches.data_bytes(1), Some(48));
        assert_eq!(caches.data_bytes(2), Some(1024));
        assert_eq!(caches.data_bytes(3), None);
        assert_eq!(caches.largest_bytes(), Some(1024));
    }
}
