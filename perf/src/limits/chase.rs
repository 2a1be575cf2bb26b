//! The pointer chase: how long one load takes when its address is known only once the load before it is done.
//!
//! The region is cut into 64-byte lines. Each holds the address of another, together one single random cycle
//! (Sattolo), so that neither a prefetcher nor a short loop helps. A step is one load.
#![allow(unsafe_code)] // A chase follows raw addresses: an index would add an instruction to every step.

use super::pages::{PageKind, Pages};
use crate::clock;
use splinter_harness::rng::Rng;
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Steps between two looks at the clock; an eighth of them where each is slow.
const LAP: u64 = 8192;

/// Lines of the largest region that is taken to fit a cache: 32 MiB.
const CACHED_LINES: u64 = 1 << 19;

/// One line's link to the next.
type Link = Option<NonNull<u8>>;

/// A cycle of lines, ready to be walked. It goes on where it stopped, so that a region larger than the caches is
/// never met warm.
pub struct Chase {
    pages: Pages,
    at: NonNull<u8>,
}

// SAFETY: `at` points into `pages`, which this value owns alone.
unsafe impl Send for Chase {}

impl Chase {
    /// Prepares a cycle over all lines of a fresh region of `bytes`, rounded up to a line.
    ///
    /// # Errors
    /// What the kernel said when it refused the memory.
    pub fn new(bytes: usize, kind: PageKind, seed: u64) -> io::Result<Self> {
        let lines = bytes.div_ceil(LINE).max(1);
        Ok(Self::over(Pages::new(lines * LINE, kind)?, seed))
    }

    /// Prepares a cycle over all lines of a region, of which there is one at least.
    #[must_use]
    pub fn over(pages: Pages, seed: u64) -> Self {
        let lines = pages.len() / LINE;
        let line = |index: usize| {
            // SAFETY: `index` is below `lines`, so the line lies inside the region.
            unsafe { pages.start().add(index * LINE) }
        };
        for (index, next) in Rng::new(seed, 0).single_cycle(lines).into_iter().enumerate() {
            let link = line(index).cast::<Link>();
            // SAFETY: a line is 64 writable bytes, aligned to 64, and only this loop refers to them.
            unsafe { link.write(Some(line(next as usize))) };
        }
        let at = pages.start();
        Self { pages, at }
    }

    /// Follows `steps` links.
    pub fn walk(&mut self, steps: u64) {
        let mut at = self.at;
        for _ in 0..steps {
            // SAFETY: `at` is the start of a line, and `new` wrote a link into every line.
            match unsafe { at.cast::<Link>().read() } {
                Some(next) => at = next,
                None => unreachable!("every line holds a link"),
            }
        }
        self.at = at;
    }

    /// Takes one sample: nanoseconds per load. A region that fits a cache is walked once untimed before.
    pub fn sample(&mut self, budget: Duration) -> f64 {
        let lines = (self.pages.len() / LINE) as u64;
        let lap = if lines <= CACHED_LINES {
            self.walk(lines);
            LAP
        } else {
            LAP / 8
        };
        clock::infallible(clock::ns_per_op(budget, lap, || {
            self.walk(lap);
            Ok(())
        }))
    }

    /// Returns the memory it walks.
    #[must_use]
    pub fn pages(&self) -> &Pages {
        &self.pages
    }
}

#[cfg(test)]
mod tests {
    use super::{Chase, LINE, PageKind};
    use std::time::Duration;

    #[test]
    fn a_walk_comes_back_after_every_line_and_not_before() {
        let mut chase = Chase::new(100 * LINE, PageKind::Base, 11).unwrap();
        let start = chase.at;
        for step in 1..=100 {
            chase.walk(1);
            assert_eq!(chase.at == start, step == 100);
            assert_eq!(chase.at.addr().get() % LINE, 0);
        }
    }

    #[test]
    fn the_walk_goes_on_where_it_stopped() {
        let mut chase = Chase::new(64 * LINE, PageKind::Base, 2).unwrap();
        let start = chase.at;
        chase.walk(40);
        chase.walk(24);
        assert_eq!(chase.at, start);
    }

    #[test]
    fn a_sample_is_a_time() {
        let mut chase = Chase::new(1, PageKind::Base, 1).unwrap();
        assert!(chase.sample(Duration::ZERO) >= 0.0);
    }
}
